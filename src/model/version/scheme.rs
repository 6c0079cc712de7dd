//! How a product orders its versions, as its provider says it.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::error::{Problem, VersionError};
use crate::source::nearest;

/// What introduces a pattern: `regex:^KAP (.*)$`.
const REGEX: &str = "regex:";

/// The plain schemes, by name.
const NAMED: [(&str, VersionScheme); 5] = [
    ("semver", VersionScheme::Semver),
    ("pep440", VersionScheme::Pep440),
    ("dotted", VersionScheme::Dotted),
    ("letter", VersionScheme::Letter),
    ("debian", VersionScheme::Debian),
];

/// How a product orders its versions. As text: `semver`, `pep440`, `dotted`, `letter`, `debian`, or `regex:PATTERN`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum VersionScheme {
    /// Semantic Versioning 2.0; a leading `v` and absent minor and patch numbers are let pass.
    Semver,
    /// Python's PEP 440.
    Pep440,
    /// Runs of digits and letters: `4.5.16.1002-GA`, `V5.2.1`, `1.8.0rc1`. The default.
    #[default]
    Dotted,
    /// As `Dotted`, with letters behind the numbers as patch: `1.1.1w` before `1.1.1za`.
    Letter,
    /// Debian's epoch, upstream version and revision.
    Debian,
    /// The first capture group of a regular expression (all it matches, where it has none), ordered as `Dotted`.
    Regex(Pattern),
}

impl FromStr for VersionScheme {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        if let Some(pattern) = text.strip_prefix(REGEX) {
            return Pattern::new(pattern).map(Self::Regex).map_err(|error| error.within(REGEX.len()));
        }
        if let Some((_, scheme)) = NAMED.iter().find(|(name, _)| *name == text) {
            return Ok(scheme.clone());
        }
        let choices =
            "one of `semver`, `pep440`, `dotted`, `letter`, `debian`, or `regex:` and a pattern such as `regex:^KAP (.*)$`";
        let help = match nearest(&text.to_lowercase(), NAMED.iter().map(|(name, _)| *name)) {
            Some(name) => format!("did you mean `{name}`? It is {choices}"),
            None if NAMED.iter().any(|(name, _)| text.eq_ignore_ascii_case(name)) => format!("write `{}`", text.to_lowercase()),
            None => format!("write {choices}"),
        };
        Err(VersionError::whole(text, "is not a version scheme", help))
    }
}

impl fmt::Display for VersionScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Semver => f.pad("semver"),
            Self::Pep440 => f.pad("pep440"),
            Self::Dotted => f.pad("dotted"),
            Self::Letter => f.pad("letter"),
            Self::Debian => f.pad("debian"),
            Self::Regex(pattern) => write!(f, "{REGEX}{}", pattern.as_str()),
        }
    }
}

impl Serialize for VersionScheme {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for VersionScheme {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|error: VersionError| de::Error::custom(format!("{error}; {}", error.help)))
    }
}

/// A regular expression that finds the version in a longer name; known to compile, equal by its text.
#[derive(Clone)]
pub struct Pattern {
    text: Arc<str>,
    regex: Regex,
}

impl Pattern {
    /// The longest pattern, in bytes.
    pub const MAX_LEN: usize = 512;
    /// What a compiled pattern may take, in bytes: guards against `(\w{1000}){1000}`.
    const MAX_COMPILED: usize = 1 << 20;

    /// Compiles a pattern.
    ///
    /// # Errors
    /// It is empty, too long, not a regular expression, or too big when compiled.
    pub fn new(text: &str) -> Result<Self, VersionError> {
        if text.is_empty() {
            return Err(VersionError::whole(
                text,
                "is an empty pattern",
                "write one that captures the version: `regex:^KAP (.*)$`",
            ));
        }
        if text.len() > Self::MAX_LEN {
            return Err(VersionError::whole(text, format!("is longer than {} bytes", Self::MAX_LEN), "write a shorter pattern"));
        }
        match RegexBuilder::new(text).size_limit(Self::MAX_COMPILED).nest_limit(32).build() {
            Ok(regex) => Ok(Self { text: Arc::from(text), regex }),
            Err(error) => {
                let reason = error.to_string();
                let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ");
                Err(VersionError::whole(text, format!("is not a regular expression: {reason}"), "correct the pattern"))
            }
        }
    }

    /// The pattern as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The part of `text` that is the version.
    pub(super) fn capture<'t>(&self, text: &'t str) -> Result<&'t str, Problem> {
        let captures = self.regex.captures(text).ok_or_else(|| {
            Problem::new(
                format!("does not match the pattern `{}`", self.text),
                "write a version that matches the provider's `version_scheme`",
            )
        })?;
        let group = if self.regex.captures_len() > 1 { captures.get(1) } else { captures.get(0) };
        group.map(|found| found.as_str().trim()).filter(|found| !found.is_empty()).ok_or_else(|| {
            Problem::new(
                format!("matches the pattern `{}`, which captures nothing of it", self.text),
                "let the first group of the pattern capture the version",
            )
        })
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pattern").field(&self.text).finish()
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

impl Hash for Pattern {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::VersionScheme;
    use crate::model::version::Version;

    #[test]
    fn every_scheme_prints_as_it_is_written() {
        for text in ["semver", "pep440", "dotted", "letter", "debian", "regex:^KAP (.*)$", "regex:.+"] {
            let scheme: VersionScheme = text.parse().unwrap();
            assert_eq!(scheme.to_string(), text);
            let json = serde_json::to_string(&scheme).unwrap();
            assert_eq!(serde_json::from_str::<VersionScheme>(&json).unwrap(), scheme);
        }
        assert_eq!(VersionScheme::default(), VersionScheme::Dotted);
    }

    #[test]
    fn a_wrong_scheme_is_named_with_what_to_write() {
        let error = "semvre".parse::<VersionScheme>().unwrap_err();
        assert_eq!(error.to_string(), "`semvre` is not a version scheme");
        assert!(error.help.contains("did you mean `semver`"), "{}", error.help);
        assert_eq!("PEP440".parse::<VersionScheme>().unwrap_err().help, "write `pep440`");
        assert!("".parse::<VersionScheme>().unwrap_err().help.starts_with("write one of `semver`"));
        let error = serde_json::from_str::<VersionScheme>("\"calver9\"").unwrap_err();
        assert!(error.to_string().contains("write one of"), "{error}");
    }

    #[test]
    fn a_broken_huge_or_deep_pattern_is_refused() {
        let deep = format!("regex:{}{}", "(".repeat(200), ")".repeat(200));
        for text in ["regex:", "regex:(", "regex:(\\w{1000}){1000}", &format!("regex:{}", "a".repeat(513)), &deep] {
            let error = text.parse::<VersionScheme>().unwrap_err();
            assert_eq!(error.range, 6..text.len());
        }
        let error = "regex:(a".parse::<VersionScheme>().unwrap_err();
        assert_eq!(error.problem, "is not a regular expression: unclosed group");
    }

    #[test]
    fn a_pattern_finds_the_version_in_a_longer_name() {
        let scheme: VersionScheme = "regex:^(?:KAP|Kyligence Enterprise) (.*)$".parse().unwrap();
        let version = |text| Version::parse(text, &scheme);
        assert!(version("KAP 2.5.4.1003").unwrap() < version("Kyligence Enterprise 3.0.1.2074").unwrap());
        assert_eq!(version("KAP 2.5.4.1003").unwrap().component(0), Some(2));
        assert_eq!(version("KAP 2.5").unwrap().text(), "KAP 2.5");
        assert!(version("KE 2.5").unwrap_err().problem.contains("does not match the pattern"));
        assert!(version("KAP ").unwrap_err().problem.contains("does not match"));
        assert!(version("KAP  ").is_err());
        let whole: VersionScheme = r"regex:\d+(?:\.\d+)*".parse().unwrap();
        let postgres = Version::parse("15.18 (Debian 15.18-0+deb12u1)", &whole).unwrap();
        assert_eq!(postgres, Version::parse("15.18", &whole).unwrap());
        let optional: VersionScheme = "regex:^x(\\d+)?".parse().unwrap();
        assert!(Version::parse("x", &optional).unwrap_err().problem.contains("captures nothing"));
    }
}
