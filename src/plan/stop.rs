//! Versions that may not be passed without a stop.
//!
//! A `required_stop` means a group of versions, and each alternative (`||`) of its constraint a group of its own. A hop passes a
//! group where it neither starts nor ends in it and a version of the group lies strictly between: a known release, or a version
//! that the constraint names, so that a stop counts even where the catalogue has no release for it.

use crate::model::provider::{Provider, RequiredStop};
use crate::model::release::Release;
use crate::model::version::{Version, VersionReq};

/// The stops of a provider, prepared for many questions.
pub(crate) struct Stops<'a> {
    groups: Vec<Group<'a>>,
}

struct Group<'a> {
    stop: &'a RequiredStop,
    versions: VersionReq,
    /// Versions known to be in the group, ascending.
    known: Vec<Version>,
}

impl<'a> Stops<'a> {
    /// Prepares the stops of a provider whose catalogue has these releases.
    pub(super) fn new(provider: &'a Provider, releases: &[&'a Release]) -> Self {
        let mut groups = Vec::new();
        for stop in &provider.required_stops {
            for versions in stop.version.alternatives() {
                let fitting = releases.iter().map(|release| &release.version).filter(|version| versions.matches(version));
                let mut known: Vec<Version> = fitting.chain(versions.named()).cloned().collect();
                known.sort();
                known.dedup();
                groups.push(Group { stop, versions, known });
            }
        }
        Self { groups }
    }

    /// The stops that a hop would pass, in either direction.
    pub(crate) fn passed<'s>(&'s self, from: &'s Version, to: &'s Version) -> impl Iterator<Item = &'a RequiredStop> + 's {
        let (low, high) = if from <= to { (from, to) } else { (to, from) };
        let passed = move |group: &&Group<'a>| {
            let first = group.known.partition_point(|version| version <= low);
            let between = group.known.get(first).is_some_and(|version| version < high);
            between && !group.versions.matches(from) && !group.versions.matches(to)
        };
        self.groups.iter().filter(passed).map(|group| group.stop)
    }

    /// Constraints of the groups.
    pub(super) fn constraints(&self) -> impl Iterator<Item = &VersionReq> {
        self.groups.iter().map(|group| &group.versions)
    }
}
