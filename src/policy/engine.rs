//! Policies that were read and understood, ready to be asked.

use std::num::NonZeroU32;
use std::time::Duration;

use regorus::unstable::{Rule, RuleHead};
use regorus::utils::limits::ExecutionTimerConfig;
use regorus::{Engine, Value};

use super::guard;
use crate::source::{Diagnostic, Diagnostics};

/// The largest policy that is read, in bytes.
pub const LARGEST: usize = 256 << 10;
/// The most policies that are read.
pub const MOST: usize = 500;

/// How long one rule may take.
const LONGEST: Duration = Duration::from_secs(10);
/// Units of the engine's work between two looks at the clock.
const LOOK_EVERY: NonZeroU32 = NonZeroU32::new(512).unwrap();

/// The text of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyText {
    /// Where it is, for people: `policies/friday.rego`.
    pub path: String,
    /// What it says.
    pub text: String,
}

/// Policies that were read and understood.
#[derive(Clone)]
pub struct Policies {
    pub(super) engine: Engine,
    pub(super) rules: Vec<RulePath>,
}

/// A rule that has a meaning here.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RulePath {
    /// How the engine is asked: `data.windlass.friday.deny`.
    pub(super) path: String,
    /// The last part of its package: the id of what gives none.
    pub(super) package: String,
    /// Its name: `deny`, `warn`, `test_…`.
    pub(super) name: String,
    /// Where it is written.
    pub(super) file: String,
}

impl std::fmt::Debug for Policies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Policies").field("rules", &self.rules).finish_non_exhaustive()
    }
}

impl Policies {
    /// Reads policies.
    ///
    /// # Errors
    /// Every policy that cannot be understood, with the parser's reason.
    pub fn new(texts: &[PolicyText]) -> Result<Self, Diagnostics> {
        let mut engine = Engine::new();
        engine.set_execution_timer_config(ExecutionTimerConfig { limit: LONGEST, check_interval: LOOK_EVERY });
        let mut problems = Diagnostics::new();
        if texts.len() > MOST {
            problems.push(
                Diagnostic::error("too many policies")
                    .detail(format!("there are {} policies, and at most {MOST} are read", texts.len()))
                    .help("put several rules into one file"),
            );
            return Err(problems);
        }
        for PolicyText { path, text } in texts {
            if text.len() > LARGEST {
                let detail = format!("{path} has {} bytes, and at most {LARGEST} are read", text.len());
                problems.push(unreadable(detail));
            } else if let Err((line, why)) = guard::check(text) {
                problems.push(unreadable(format!("{path}:{line}: {why}")));
            } else if let Err(error) = engine.add_policy(path.clone(), text.clone()) {
                problems.push(unreadable(reason(&error)));
            }
        }
        if problems.has_errors() {
            return Err(problems);
        }
        let rules = rules(&mut engine).map_err(unreadable)?;
        let policies = Self { engine, rules };
        policies.check().map_err(unreadable)?;
        Ok(policies)
    }

    /// The rules that object, as file and path, in the order of paths.
    #[must_use]
    pub fn rules(&self) -> Vec<(String, String)> {
        let objecting = self.rules.iter().filter(|rule| matches!(rule.name.as_str(), "deny" | "warn"));
        objecting.map(|rule| (rule.file.clone(), rule.path.clone())).collect()
    }

    /// Another limit on time.
    #[cfg(test)]
    pub(super) fn limit(&mut self, limit: Duration) {
        self.engine.set_execution_timer_config(ExecutionTimerConfig { limit, check_interval: LOOK_EVERY });
    }

    /// Names that nothing defines and the like come to light when the engine makes itself ready.
    fn check(&self) -> Result<(), String> {
        let mut engine = self.engine.clone();
        engine.set_input(Value::new_object());
        engine.eval_query("1 == 1".to_owned(), false).map(|_| ()).map_err(|error| reason(&error))
    }

    /// What a rule says to a document; `None`: it says nothing.
    pub(super) fn ask(engine: &mut Engine, rule: &RulePath) -> Result<Option<serde_json::Value>, String> {
        match engine.eval_rule(rule.path.clone()).map_err(|error| reason(&error))? {
            Value::Undefined => Ok(None),
            value => {
                let text = value.to_json_str().map_err(|error| reason(&error))?;
                serde_json::from_str(&text).map(Some).map_err(|error| error.to_string())
            }
        }
    }
}

fn unreadable(detail: String) -> Diagnostic {
    Diagnostic::error("policy cannot be read")
        .detail(detail)
        .help("correct the policy; docs/how-to/policy.md shows how one is written")
}

fn reason(error: &impl std::fmt::Display) -> String {
    format!("{error:#}").trim().to_owned()
}

/// How a member of a package is written.
fn member(part: &str) -> String {
    let plain =
        part.chars().enumerate().all(|(at, sign)| sign == '_' || sign.is_ascii_alphabetic() || at > 0 && sign.is_ascii_digit());
    if plain && !part.is_empty() { format!(".{part}") } else { format!("[{}]", serde_json::Value::from(part)) }
}

/// The rules that have a meaning here, each once.
fn rules(engine: &mut Engine) -> Result<Vec<RulePath>, String> {
    let packages = engine.get_policy_package_components().map_err(|error| reason(&error))?;
    let mut found = Vec::new();
    for (module, package) in engine.get_modules().iter().zip(&packages) {
        let mut prefix = "data".to_owned();
        for part in &package.components {
            prefix.push_str(&member(part));
        }
        for rule in &module.policy {
            let head = match &**rule {
                Rule::Spec { head: RuleHead::Compr { refr, .. } | RuleHead::Set { refr, .. }, .. } => refr,
                Rule::Spec { head: RuleHead::Func { .. }, .. } | Rule::Default { .. } => continue,
            };
            let text = head.span().text().to_owned();
            let name: String = text.chars().take_while(|sign| sign.is_alphanumeric() || *sign == '_').collect();
            if matches!(name.as_str(), "deny" | "warn") || name.starts_with("test_") {
                found.push(RulePath {
                    path: format!("{prefix}.{name}"),
                    package: package.components.last().cloned().unwrap_or_default(),
                    name,
                    file: package.source_file.clone(),
                });
            }
        }
    }
    found.sort();
    found.dedup_by(|a, b| a.path == b.path);
    Ok(found)
}
