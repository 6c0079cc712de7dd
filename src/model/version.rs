//! Versions of products, the schemes that order them, and constraints over them.

use std::sync::Arc;

/// How a product orders its versions.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum VersionScheme {
    /// Semantic Versioning 2.0.
    Semver,
    /// Python's PEP 440.
    Pep440,
    /// Runs of digits and letters: `4.5.16.1002-GA`, `V5.2.1`, `1.8.0rc1`. The default.
    Dotted,
    /// Digits with a trailing letter as patch: `1.1.1w`.
    Letter,
    /// Debian's epoch, upstream and revision.
    Debian,
    /// The first capture group of a regular expression, ordered as `Dotted`.
    Regex(Arc<str>),
}

/// A version as written, with the key that orders it.
#[derive(Debug, Clone)]
pub struct Version {
    text: Arc<str>,
}

/// A constraint: `"13.4.1"`, `"~> 13.4"`, `">= 3.3, < 4"`, `"!= 1.2"`, `"*"`, alternatives with `||`.
#[derive(Debug, Clone)]
pub struct VersionReq {
    text: Arc<str>,
}
