//! The tests of policies: rules whose names begin with `test_`. One passes where it is true.

use regorus::Value;

use super::engine::Policies;

/// What became of one test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// The file that it is in.
    pub file: String,
    /// Its rule: `data.windlass.friday_test.test_friday_is_denied`.
    pub rule: String,
    /// How it ended.
    pub end: TrialEnd,
}

/// How a test ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrialEnd {
    /// True.
    Passed,
    /// Not true; what it was.
    Failed(String),
    /// It could not be evaluated.
    Broken(String),
}

impl Policies {
    /// Runs every test, in the order of their names.
    #[must_use]
    pub fn test(&self) -> Vec<Trial> {
        let tests = self.rules.iter().filter(|rule| rule.name.starts_with("test_"));
        tests
            .map(|rule| {
                // Each its own engine: what one computes must not change what another sees.
                let mut engine = self.engine.clone();
                engine.set_input(Value::new_object());
                let end = match Self::ask(&mut engine, rule) {
                    Ok(Some(serde_json::Value::Bool(true))) => TrialEnd::Passed,
                    Ok(None) => TrialEnd::Failed("nothing: a condition of it does not hold".to_owned()),
                    Ok(Some(other)) => TrialEnd::Failed(other.to_string()),
                    Err(why) => TrialEnd::Broken(why),
                };
                Trial { file: rule.file.clone(), rule: rule.path.clone(), end }
            })
            .collect()
    }
}
