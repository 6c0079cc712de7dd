//! The standard keys of an instance's `backup` block: how its backups are kept, how long, and when they are made.
//!
//! Providers see the whole block as `self.backup`; these keys the program itself understands. Others are the provider's.

use std::time::Duration;

use super::duration::parse_duration;
use super::retention::Retention;
use crate::lang::Value;

/// What the block says.
#[derive(Debug, Clone, Default)]
pub struct BackupPolicy {
    /// `tar`, `restic`, `snapshot`, `managed`, or a word of the provider.
    pub method: Option<String>,
    /// Where backups are kept.
    pub repository: Option<String>,
    /// What opens a restic repository; sensitive.
    pub password: Option<Value>,
    /// The file that it stands in.
    pub password_file: Option<String>,
    /// How long backups are kept.
    pub keep: Retention,
    /// When they are made: cron, five fields.
    pub schedule: Option<String>,
    /// For `managed`: what whoever makes the backups calls them.
    pub reference: Option<String>,
}

/// Methods that mean: somebody else makes the backups.
pub const MANAGED: &str = "managed";

impl BackupPolicy {
    /// Reads the block, and says what is wrong in it.
    #[must_use]
    pub fn read(block: &Value) -> (Self, Vec<String>) {
        let mut problems = Vec::new();
        let mut policy = Self { password: block.get("password").filter(|value| !value.is_null()).cloned(), ..Self::default() };
        for (name, field) in [
            ("method", &mut policy.method),
            ("repository", &mut policy.repository),
            ("password_file", &mut policy.password_file),
            ("schedule", &mut policy.schedule),
            ("reference", &mut policy.reference),
        ] {
            match block.get(name).map(|value| value.unmark().0) {
                None | Some(Value::Null | Value::Unknown) => {}
                Some(Value::String(text)) => *field = Some(text.to_string()),
                Some(other) => problems.push(format!("`backup.{name}` must be a string, not a {}", other.kind())),
            }
        }
        if let Some(cron) = &policy.schedule {
            if cron.split_whitespace().count() != 5 {
                problems.push(format!("`backup.schedule` is `{cron}`, which has not five fields"));
            } else if let Err(error) = cron.parse::<croner::Cron>() {
                problems.push(format!("`backup.schedule` is `{cron}`, which is no schedule: {error}"));
            }
        }
        if let Some(keep) = block.get("keep").filter(|keep| !keep.is_null()) {
            policy.keep = keep_rules(keep, &mut problems);
        }
        if policy.method.as_deref() == Some(MANAGED) && policy.reference.is_none() {
            problems
                .push("`backup.method` is `managed`, and `backup.reference` does not say what the backups are called".to_owned());
        }
        (policy, problems)
    }

    /// Whether somebody else makes the backups.
    #[must_use]
    pub fn is_managed(&self) -> bool {
        self.method.as_deref() == Some(MANAGED)
    }
}

fn keep_rules(keep: &Value, problems: &mut Vec<String>) -> Retention {
    let mut rules = Retention::default();
    let Some(object) = keep.as_object() else {
        problems.push("`backup.keep` must be a block with `last`, `within`, `daily`, `weekly` or `monthly`".to_owned());
        return rules;
    };
    for (name, value) in object.iter().filter(|(_, value)| !value.is_null()) {
        let count = || match value.unmark().0 {
            Value::Number(number) => u64::try_from(*number).ok().filter(|_| number.is_integer()),
            _ => None,
        };
        let known = match &**name {
            "last" => count().map(|count| rules.last = Some(count)),
            "daily" => count().map(|count| rules.daily = Some(count)),
            "weekly" => count().map(|count| rules.weekly = Some(count)),
            "monthly" => count().map(|count| rules.monthly = Some(count)),
            "within" => within(value).map(|within| rules.within = Some(within)),
            _ => {
                problems.push(format!("`backup.keep` has no `{name}`: it knows last, within, daily, weekly and monthly"));
                continue;
            }
        };
        if known.is_none() {
            let what = if &**name == "within" { "a duration such as \"30d\"" } else { "a whole number" };
            problems.push(format!("`backup.keep.{name}` must be {what}"));
        }
    }
    rules
}

fn within(value: &Value) -> Option<Duration> {
    parse_duration(value.as_str()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: serde_json::Value) -> (BackupPolicy, Vec<String>) {
        BackupPolicy::read(&serde_json::from_value(json).unwrap())
    }

    #[test]
    fn all_keys_are_read_and_others_are_left_to_the_provider() {
        let (policy, problems) = read(serde_json::json!({
            "method": "restic", "repository": "/r", "password_file": "/k", "schedule": "15 6 * * 1-5", "exclude": ["logs"],
            "keep": {"last": 3, "within": "30d", "daily": 7, "weekly": 4, "monthly": 6}, "anything": {"else": 1},
        }));
        assert_eq!(problems, [""; 0]);
        assert_eq!(policy.keep.last, Some(3));
        assert_eq!(policy.keep.within, Some(Duration::from_secs(30 * 86400)));
        assert!(policy.keep.says_something() && !policy.is_managed());
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (wrong, words) in [
            (serde_json::json!({"schedule": "daily"}), "five fields"),
            (serde_json::json!({"schedule": "61 6 * * *"}), "no schedule"),
            (serde_json::json!({"keep": {"days": 3}}), "no `days`"),
            (serde_json::json!({"keep": {"last": 1.5}}), "a whole number"),
            (serde_json::json!({"keep": {"within": "soon"}}), "a duration"),
            (serde_json::json!({"keep": 3}), "a block"),
            (serde_json::json!({"method": ["tar"]}), "a string"),
            (serde_json::json!({"method": "managed"}), "`backup.reference`"),
        ] {
            let (_, problems) = read(wrong.clone());
            assert!(problems.len() == 1 && problems[0].contains(words), "{wrong}: {problems:?}");
        }
    }
}
