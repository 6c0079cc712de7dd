//! The releases of one provider in order, and which of them a wanted version means.
//!
//! Takes what the provider and the configuration declare (the configuration wins, version by version) and gives versions with
//! reasons. Never looks at routes: a version chosen here may still be out of reach.

use super::object::{release_object, version_object};
use super::scope::{HopScope, Subject};
use super::stop::Stops;
use crate::lang::Value;
use crate::model::provider::Provider;
use crate::model::release::Release;
use crate::model::version::{Version, VersionReq};

/// Releases of one provider, in ascending order, one for each version. Made once for a provider.
pub(crate) struct Catalogue<'a> {
    provider: &'a Provider,
    entries: Vec<Entry<'a>>,
    stops: Stops<'a>,
}

struct Entry<'a> {
    release: &'a Release,
    /// What expressions see, shared by every hop.
    as_version: Value,
    as_release: Value,
}

/// A constraint that another instance puts on a version.
#[derive(Debug, Clone)]
pub(crate) struct Bound<'a> {
    /// What will do.
    pub(crate) version: &'a VersionReq,
    /// Who asks for it and why: `mlflow.main 2.22.5 needs >= 16 (JSON columns)`.
    pub(crate) because: String,
}

/// A version that was settled on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resolved {
    /// The version.
    pub(crate) version: Version,
    /// Why this one; nothing to say where it was asked for by name.
    pub(crate) why: Option<String>,
    /// What a person should look at.
    pub(crate) warnings: Vec<String>,
}

impl<'a> Catalogue<'a> {
    /// The catalogue of a provider, with the configuration's releases (those of other providers are passed over).
    pub(crate) fn new(provider: &'a Provider, estate: &'a [Release]) -> Self {
        let own = estate.iter().filter(|release| release.provider == provider.name);
        // The sort is stable and the last of equals stays: the provider's stand first, so the configuration's win.
        let mut releases: Vec<&Release> = provider.releases.iter().chain(own).collect();
        releases.sort_by(|left, right| left.version.cmp(&right.version));
        releases.dedup_by(|later, kept| {
            let same = later.version == kept.version;
            if same {
                *kept = later;
            }
            same
        });
        let stops = Stops::new(provider, &releases);
        let entry = |release: &'a Release| Entry {
            release,
            as_version: version_object(&release.version),
            as_release: release_object(release),
        };
        Self { provider, entries: releases.into_iter().map(entry).collect(), stops }
    }

    /// Whose it is.
    pub(crate) fn provider(&self) -> &'a Provider {
        self.provider
    }

    /// Versions that may not be passed without a stop.
    pub(crate) fn stops(&self) -> &Stops<'a> {
        &self.stops
    }

    /// Every release, oldest first.
    pub(crate) fn releases(&self) -> impl DoubleEndedIterator<Item = &'a Release> + '_ {
        self.entries.iter().map(|entry| entry.release)
    }

    /// The release of a version, where it is known.
    pub(crate) fn release(&self, version: &Version) -> Option<&'a Release> {
        self.entry(version).map(|entry| entry.release)
    }

    /// Releases strictly between two versions, oldest first; the order of the two does not matter.
    pub(crate) fn between(&self, one: &Version, other: &Version) -> impl DoubleEndedIterator<Item = &'a Release> + '_ {
        let (low, high) = if one <= other { (one, other) } else { (other, one) };
        let start = self.entries.partition_point(|entry| entry.release.version <= *low);
        let end = self.entries.partition_point(|entry| entry.release.version < *high);
        self.entries.get(start..end).unwrap_or_default().iter().map(|entry| entry.release)
    }

    /// A version as expressions see it, written as the catalogue writes it only where it is written the same.
    pub(crate) fn version_value(&self, version: &Version) -> Value {
        match self.entry(version) {
            Some(entry) if entry.release.version.text() == version.text() => entry.as_version.clone(),
            _ => version_object(version),
        }
    }

    /// A version's release as expressions see it; null where it is not known.
    pub(crate) fn release_value(&self, version: &Version) -> Value {
        self.entry(version).map_or(Value::Null, |entry| entry.as_release.clone())
    }

    fn entry(&self, version: &Version) -> Option<&Entry<'a>> {
        let at = self.entries.binary_search_by(|entry| entry.release.version.cmp(version)).ok()?;
        self.entries.get(at)
    }

    /// The version that `wanted` means.
    ///
    /// An exact version means itself, known or not. A constraint means the version that is there or was recorded (`current`) while
    /// that fits and no `upgrade` is asked for, else the newest release that fits it and every bound.
    ///
    /// # Errors
    /// `wanted` is no constraint, or nothing fits: every reason.
    pub(crate) fn resolve(
        &self,
        wanted: &str,
        current: Option<&Version>,
        bounds: &[Bound<'_>],
        upgrade: bool,
    ) -> Result<Resolved, Vec<String>> {
        let wanted = VersionReq::parse(wanted, &self.provider.scheme).map_err(|error| vec![format!("{error}; {}", error.help)])?;
        if let Some(exact) = wanted.is_exact() {
            return Ok(Resolved { version: exact.clone(), why: None, warnings: self.warnings(exact) });
        }
        let free = |version: &Version| bounds.iter().all(|bound| bound.version.matches(version));
        if let Some(current) = current.filter(|current| !upgrade && wanted.matches(current) && free(current)) {
            let why = format!("`{wanted}` stays at {current}, which it was before and which still fits");
            return Ok(Resolved { version: current.clone(), why: Some(why), warnings: self.warnings(current) });
        }
        let chosen = self.candidates(&wanted).find(|version| free(version));
        match chosen {
            Some(version) => {
                let why = format!("{version} is the newest release that fits `{wanted}`{}", also(bounds));
                Ok(Resolved { version: version.clone(), why: Some(why), warnings: Vec::new() })
            }
            None => Err(self.nothing_fits(&wanted, bounds)),
        }
    }

    /// Releases that a constraint may choose, newest first.
    pub(crate) fn candidates<'s>(&'s self, wanted: &'s VersionReq) -> impl Iterator<Item = &'a Version> + 's {
        self.releases()
            .rev()
            .filter(|release| wanted.selects(&release.version) && selectable(release).is_ok())
            .map(|release| &release.version)
    }

    /// What a person should know about a version that was not chosen but asked for.
    fn warnings(&self, version: &Version) -> Vec<String> {
        match self.release(version) {
            Some(Release { withdrawn: Some(reason), .. }) => vec![format!("{version} was withdrawn by the vendor: {reason}")],
            Some(_) => Vec::new(),
            None if self.entries.is_empty() => Vec::new(),
            None => {
                let near = crate::source::nearest(version.text(), self.releases().map(|release| release.version.text()));
                let hint = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
                let name = &self.provider.name;
                vec![format!("no release of {name} {version} is declared, so its artifact and checksum are not known{hint}")]
            }
        }
    }

    fn nothing_fits(&self, wanted: &VersionReq, bounds: &[Bound<'_>]) -> Vec<String> {
        let name = &self.provider.name;
        let mut reasons = vec![format!("no release of {name} fits `{wanted}`{}", also(bounds))];
        let fitting: Vec<&Release> = self.releases().rev().filter(|release| wanted.matches(&release.version)).collect();
        for release in fitting.iter().take(5) {
            let version = &release.version;
            match selectable(release) {
                Err(reason) => reasons.push(format!("{version} fits but {reason}")),
                Ok(()) if !wanted.selects(version) => {
                    reasons.push(format!("{version} fits but is a prerelease; name it in full to ask for it"));
                }
                Ok(()) => {
                    let against = bounds.iter().filter(|bound| !bound.version.matches(version));
                    reasons.extend(against.map(|bound| format!("{version} fits but {}", bound.because)));
                }
            }
        }
        if fitting.is_empty() {
            reasons.push(match (self.entries.first(), self.entries.last()) {
                (Some(oldest), Some(newest)) if self.entries.len() > 1 => format!(
                    "the catalogue has {} releases, from {} to {}; declare a `release \"{name}\"` that fits, or name the version in full",
                    self.entries.len(),
                    oldest.release.version,
                    newest.release.version
                ),
                (Some(only), _) => format!(
                    "the catalogue has {} only; declare a `release \"{name}\"` that fits, or name the version in full",
                    only.release.version
                ),
                _ => format!("the catalogue is empty; declare a `release \"{name}\"`, or name the version in full"),
            });
        }
        reasons
    }
}

/// Whether a constraint may choose a release; else why not.
pub(crate) fn selectable(release: &Release) -> Result<(), String> {
    if let Some(reason) = &release.withdrawn {
        return Err(format!("was withdrawn by the vendor: {reason}"));
    }
    if !release.channels.is_empty() && !release.channels.iter().any(|channel| channel == "stable") {
        return Err(format!("is in {} only, not in the channel `stable`", release.channels.join(", ")));
    }
    Ok(())
}

fn also(bounds: &[Bound<'_>]) -> String {
    if bounds.is_empty() {
        return String::new();
    }
    let clauses: Vec<&str> = bounds.iter().map(|bound| &*bound.because).collect();
    format!(" ({})", clauses.join("; "))
}

#[cfg(test)]
#[path = "catalogue_tests.rs"]
mod tests;

impl<'a> Subject<'a> {
    /// The instance on the way from a version (`None`: nothing is there) to another (`None`: nothing will be).
    pub(crate) fn hop<'s>(&'s self, catalogue: &Catalogue<'_>, from: Option<&Version>, to: Option<&Version>) -> HopScope<'s> {
        HopScope::new(
            self,
            from.map_or(Value::Null, |version| catalogue.version_value(version)),
            to.map_or(Value::Null, |version| catalogue.version_value(version)),
            to.map_or(Value::Null, |version| catalogue.release_value(version)),
        )
    }
}
