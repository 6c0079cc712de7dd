//! What drift is about, and what the configuration says of it: classes, severities, exceptions, whom to tell.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::name::{EnvironmentName, InstanceAddr};
use crate::source::Span;

/// Kinds of drift.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DriftClass {
    /// Another version than recorded.
    Version,
    /// A fact that tells of configuration has another value than after the last hop.
    Configuration,
    /// Recorded, and not there.
    Missing,
    /// There, and not recorded.
    Unmanaged,
    /// There, and not running or not healthy.
    Unhealthy,
    /// Could not be looked at.
    Unreachable,
    /// Its newest good backup is too old, or there is none.
    StaleBackup,
}

impl DriftClass {
    /// Every class, in the order of the reference.
    pub const ALL: [Self; 7] =
        [Self::Version, Self::Configuration, Self::Missing, Self::Unmanaged, Self::Unhealthy, Self::Unreachable, Self::StaleBackup];

    /// The word for it, as the configuration writes it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Version => "version",
            Self::Configuration => "configuration",
            Self::Missing => "missing",
            Self::Unmanaged => "unmanaged",
            Self::Unhealthy => "unhealthy",
            Self::Unreachable => "unreachable",
            Self::StaleBackup => "stale_backup",
        }
    }

    /// How bad it is where the configuration does not say.
    #[must_use]
    pub fn severity(self) -> Severity {
        match self {
            Self::Missing | Self::Unhealthy => Severity::Critical,
            Self::Version | Self::Configuration | Self::Unreachable | Self::StaleBackup => Severity::Warning,
            Self::Unmanaged => Severity::Info,
        }
    }
}

/// How bad drift is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// To be known.
    Info,
    /// To be seen to.
    Warning,
    /// To be seen to now.
    Critical,
}

impl Severity {
    /// Every severity, the least first.
    pub const ALL: [Self; 3] = [Self::Info, Self::Warning, Self::Critical];

    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// The `drift` block.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DriftRules {
    /// Severities that are not the default ones.
    pub severities: BTreeMap<DriftClass, Severity>,
    /// What is no drift, why, and until when.
    pub ignores: Vec<DriftIgnore>,
    /// Older backups are stale; `None`: none is, unless the instance says so.
    pub backup_max_age: Option<Duration>,
    /// How often `drift --watch` looks.
    pub interval: Option<Duration>,
    /// Whom `drift --watch` tells.
    pub webhooks: Vec<Webhook>,
}

impl DriftRules {
    /// How bad drift of this class is.
    #[must_use]
    pub fn severity(&self, class: DriftClass) -> Severity {
        self.severities.get(&class).copied().unwrap_or_else(|| class.severity())
    }
}

/// `ignore "NAME" { … }`: drift that is known and accepted for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DriftIgnore {
    /// Its name.
    pub name: Arc<str>,
    /// Only this class; `None`: any.
    pub class: Option<DriftClass>,
    /// Only facts of this pattern; `None`: any, and what is about no fact.
    pub fact: Option<String>,
    /// Only instances of this pattern; `None`: any.
    pub instance: Option<String>,
    /// Only this environment; `None`: any.
    pub environment: Option<EnvironmentName>,
    /// Why.
    pub reason: String,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Until when (exclusive); after it the rule counts no more and is reported.
    pub until: Option<Timestamp>,
    /// Where it is declared.
    pub span: Option<Span>,
}

impl DriftIgnore {
    /// Whether it has run out.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now)
    }

    /// Whether it speaks of this drift, run out or not.
    #[must_use]
    pub fn matches(&self, environment: &EnvironmentName, instance: &InstanceAddr, class: DriftClass, fact: Option<&str>) -> bool {
        self.class.is_none_or(|only| only == class)
            && self.environment.as_ref().is_none_or(|only| only == environment)
            && self.instance.as_ref().is_none_or(|pattern| fits(pattern, instance.as_str()))
            && self.fact.as_ref().is_none_or(|pattern| fact.is_some_and(|fact| fits(pattern, fact)))
    }
}

/// `webhook "NAME" { … }`: whom to tell of changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Its name.
    pub name: Arc<str>,
    /// Where to send to.
    pub url: Address,
    /// The environment variable that holds the key that messages are signed with.
    pub secret_env: String,
    /// Nothing below is told.
    pub severity: Severity,
}

/// Where a webhook's address stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// In the configuration.
    Url(String),
    /// In this environment variable, because it is a secret itself.
    Variable(String),
}

impl Address {
    /// Whether messages may be sent there: encrypted, or not leaving this machine.
    #[must_use]
    pub fn is_safe(url: &str) -> bool {
        let Some(rest) = url.strip_prefix("http://") else { return url.starts_with("https://") };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = if authority.starts_with('[') { authority.split(']').next() } else { authority.split(':').next() };
        matches!(host, Some("localhost" | "127.0.0.1" | "[::1"))
    }
}

/// Whether a text fits a pattern, in which `*` stands for any number of letters. Brackets of addresses mean themselves.
#[must_use]
pub fn fits(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut left) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        // The leftmost place leaves the most for what follows.
        let Some(at) = left.find(part) else { return false };
        left = &left[at + part.len()..];
    }
    left.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything_and_brackets_for_themselves() {
        for (pattern, text, expected) in [
            ("dss.design", "dss.design", true),
            ("dss.design", "dss.design2", false),
            ("dss.*", "dss.design", true),
            ("*", "", true),
            ("*.a", "x.a", true),
            ("*.a", "x.a.b", false),
            ("a*a", "a", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "acb", false),
            ("etcd.node[\"*\"]", "etcd.node[\"a\"]", true),
            ("etcd.node[*]", "etcd.node0", false),
            ("*é*", "caféx", true),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn only_this_machine_is_told_without_encryption() {
        for (url, safe) in [
            ("https://ops.example.org/x", true),
            ("http://ops.example.org/x", false),
            ("http://127.0.0.1:9000/x", true),
            ("http://[::1]:9/", true),
            ("http://localhost", true),
            ("http://localhost.example.org/", false),
            ("http://127.0.0.1@example.org/", false),
            ("ftp://x", false),
        ] {
            assert_eq!(Address::is_safe(url), safe, "{url}");
        }
    }

    #[test]
    fn a_rule_for_a_fact_does_not_hide_what_is_about_no_fact() {
        let rule = DriftIgnore {
            name: "x".into(),
            class: None,
            fact: Some("config_*".to_owned()),
            instance: Some("dss.*".to_owned()),
            environment: None,
            reason: String::new(),
            owner: None,
            until: Some(Timestamp::UNIX_EPOCH),
            span: None,
        };
        let (env, addr) = (EnvironmentName::new("test"), InstanceAddr::from_text("dss.design"));
        assert!(rule.matches(&env, &addr, DriftClass::Configuration, Some("config_port")));
        assert!(!rule.matches(&env, &addr, DriftClass::Configuration, Some("port")));
        assert!(!rule.matches(&env, &addr, DriftClass::Missing, None));
        assert!(!rule.matches(&env, &InstanceAddr::from_text("etcd.a"), DriftClass::Configuration, Some("config_port")));
        assert!(rule.is_expired(Timestamp::UNIX_EPOCH) && !rule.is_expired(Timestamp::MIN));
    }
}
