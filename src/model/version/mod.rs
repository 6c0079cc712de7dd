//! Versions of products, the schemes that order them, and constraints over them.
//!
//! A [`Version`] is read once under a [`VersionScheme`] and from then on compares by a precomputed key of bytes, so that the order
//! is total by construction whatever people write. A [`VersionReq`] is a constraint such as `~> 13.4`. Lock and plan files store
//! the text of a version only: the scheme is the provider's to say, so [`Version`] serialises as text and cannot be deserialised.

mod debian;
mod dotted;
mod error;
mod key;
mod pep440;
#[cfg(test)]
mod properties;
mod requirement;
mod scheme;
mod semver;

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::{Serialize, Serializer};

pub use error::VersionError;
pub use requirement::VersionReq;
pub use scheme::{Pattern, VersionScheme};

use key::Facts;

/// A version as written, with the key that orders it. Cheap to clone.
///
/// Equality, order and hash all go by the key, never by the text: under [`VersionScheme::Dotted`] `5.0`, `V5.0.0` and
/// `5.0.0-GA` are equal. Ask [`text`](Self::text) for what was written. Versions of one product share a scheme; between
/// versions of different schemes there is an order too, but it means nothing.
#[derive(Clone)]
pub struct Version(Arc<Inner>);

struct Inner {
    text: Arc<str>,
    facts: Facts,
}

impl Version {
    /// The longest text of a version, in bytes.
    pub const MAX_LEN: usize = 128;

    /// Reads a version. White space around it is dropped, so that the content of a `VERSION` file can be passed as it is.
    ///
    /// # Errors
    /// The text is empty, too long, or not a version under the scheme.
    pub fn parse(text: &str, scheme: &VersionScheme) -> Result<Self, VersionError> {
        let trimmed = text.trim();
        let start = text.len() - text.trim_start().len();
        Self::read(trimmed, scheme).map_err(|error| error.within(start))
    }

    fn read(text: &str, scheme: &VersionScheme) -> Result<Self, VersionError> {
        if text.is_empty() {
            return Err(VersionError::whole(text, "is empty", "write a version, such as `1.2.3`"));
        }
        if text.len() > Self::MAX_LEN {
            let problem = format!("is longer than {} bytes", Self::MAX_LEN);
            return Err(VersionError::whole(
                text,
                problem,
                "a version is short; look whether a whole file or command output was given",
            ));
        }
        if let Some(character) = text.chars().find(|character| character.is_control()) {
            let problem = format!("has a control character ({})", character.escape_default());
            return Err(VersionError::whole(text, problem, "write the version on one line, without tabs"));
        }
        let facts = match scheme {
            VersionScheme::Semver => semver::read(text),
            VersionScheme::Pep440 => pep440::read(text),
            VersionScheme::Dotted => dotted::read(text, dotted::Letters::Words),
            VersionScheme::Letter => dotted::read(text, dotted::Letters::Patches),
            VersionScheme::Debian => debian::read(text),
            VersionScheme::Regex(pattern) => {
                pattern.capture(text).and_then(|captured| dotted::read(captured, dotted::Letters::Words))
            }
        };
        match facts {
            Ok(facts) => Ok(Self(Arc::new(Inner { text: Arc::from(text), facts }))),
            Err(problem) => Err(VersionError::whole(text, problem.problem, problem.help)),
        }
    }

    /// The text as written (without white space around it).
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// The text as written, shared: for data that keeps the text only.
    #[must_use]
    pub fn shared_text(&self) -> Arc<str> {
        Arc::clone(&self.0.text)
    }

    /// The number at `index` of the release part (0 major, 1 minor, 2 patch, …); `None` where it was not written or is beyond
    /// 64 bits. The epoch of PEP 440 and Debian is not part of it.
    #[must_use]
    pub fn component(&self, index: usize) -> Option<u64> {
        self.0.facts.numbers.get(index).copied().flatten()
    }

    /// How many numbers the release part was written with: 3 for `13.4.1-rc1`.
    #[must_use]
    pub fn component_count(&self) -> usize {
        self.0.facts.numbers.len()
    }

    /// Whether it comes before the release that it names: `rc`, `beta`, `alpha`, `dev`, `SNAPSHOT`, a Debian upstream `~`, ….
    #[must_use]
    pub fn is_prerelease(&self) -> bool {
        self.0.facts.prerelease
    }

    fn facts(&self) -> &Facts {
        &self.0.facts
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.text())
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Version").field(&self.0.text).finish()
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.0.facts.key == other.0.facts.key
    }
}

impl Eq for Version {}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.facts.key.cmp(&other.0.facts.key)
    }
}

impl Hash for Version {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.facts.key.hash(state);
    }
}

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.text())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{Version, VersionScheme};

    fn dotted(text: &str) -> Version {
        Version::parse(text, &VersionScheme::Dotted).unwrap()
    }

    #[test]
    fn equality_and_hash_go_by_the_key_and_the_text_stays_as_written() {
        let versions: HashSet<Version> = ["5.0", "V5.0.0", "v5", "5.0.0-GA", "5.0.RELEASE"].into_iter().map(dotted).collect();
        assert_eq!(versions.len(), 1);
        assert_eq!(dotted("V5.0").text(), "V5.0");
        assert_eq!(dotted("V5.0").to_string(), "V5.0");
        assert_eq!(&*dotted("V5.0").shared_text(), "V5.0");
        assert_eq!(format!("{:>6}|", dotted("1.2")), "   1.2|");
    }

    #[test]
    fn white_space_around_a_version_is_dropped() {
        assert_eq!(dotted(" 1.2.3\n").text(), "1.2.3");
    }

    #[test]
    fn components_are_the_numbers_as_written() {
        let version = dotted("4.5.16.1002-GA");
        assert_eq!(
            (0..5).map(|index| version.component(index)).collect::<Vec<_>>(),
            [Some(4), Some(5), Some(16), Some(1002), None]
        );
        assert_eq!(dotted("16.2").component(2), None);
        assert_eq!(dotted("16.2").component_count(), 2);
        assert_eq!(dotted("99999999999999999999.7").component(0), None);
        assert_eq!(dotted("99999999999999999999.7").component(1), Some(7));
        assert_eq!(dotted("8u392").component_count(), 1);
    }

    #[test]
    fn a_version_serialises_as_its_text() {
        assert_eq!(serde_json::to_string(&dotted("V5.0")).unwrap(), "\"V5.0\"");
    }

    #[test]
    fn empty_overlong_and_many_line_texts_are_refused_under_every_scheme() {
        let long = format!("1.{}", "0".repeat(127));
        for scheme in ["semver", "pep440", "dotted", "letter", "debian", "regex:^(.*)$"] {
            let scheme: VersionScheme = scheme.parse().unwrap();
            for (text, problem) in
                [("", "is empty"), (" \n", "is empty"), (&long, "longer"), ("1.0\n2.0", "control character (\\n)")]
            {
                let error = Version::parse(text, &scheme).unwrap_err();
                assert!(error.problem.contains(problem), "{text:?}: {error}");
            }
        }
        assert!(Version::parse(&long[..128], &VersionScheme::Dotted).is_ok());
    }

    #[test]
    fn an_error_points_at_the_trimmed_text() {
        let error = Version::parse("  latest ", &VersionScheme::Dotted).unwrap_err();
        assert_eq!(error.range, 2..8);
        assert_eq!(error.token, "latest");
        assert_eq!(error.to_string(), "`latest` has no number");
    }
}
