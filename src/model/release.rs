//! A release: one version of a product that can be installed.

use crate::lang::Value;
use crate::source::Span;

use super::name::ProviderName;
use super::version::Version;

/// One entry of the catalogue, from a provider or from the configuration (which wins).
#[derive(Debug, Clone)]
pub struct Release {
    /// Whose.
    pub provider: ProviderName,
    /// Which.
    pub version: Version,
    /// Where the artifact is: a path or URL.
    pub artifact: Option<String>,
    /// The artifact's digest, hexadecimal.
    pub sha256: Option<String>,
    /// Channels that it is in; a constraint selects only from `stable` where a release names channels at all.
    pub channels: Vec<String>,
    /// Withdrawn by the vendor, with the reason: never selected, and warned about where it is asked for.
    pub withdrawn: Option<String>,
    /// Release notes: a link.
    pub notes: Option<String>,
    /// Anything else that the provider's steps use as `release.NAME`.
    pub attributes: Value,
    /// Where it is declared.
    pub span: Option<Span>,
}
