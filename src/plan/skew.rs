//! Versions that instances need of each other: settled on before anything is decided, and asked again of what came out.
//!
//! Takes the estate's requirements, gives versions and blocks changes that would break one. `requirement` knows the rules; this file
//! knows the candidates.

use std::collections::BTreeMap;

use crate::model::name::{InstanceAddr, ProviderName};
use crate::model::version::Version;

use super::candidate::{Candidate, Course};
use super::catalogue::{Catalogue, Resolved};
use super::decide::Current;
use super::input::PlanInput;
use super::instantiate::Obstacle;
use super::order::Direction;
use super::requirement::Requirements;

/// The rules of an estate.
pub(super) struct Skew<'a> {
    input: PlanInput<'a>,
    catalogues: &'a BTreeMap<ProviderName, Catalogue<'a>>,
    requirements: Requirements,
    problems: BTreeMap<InstanceAddr, Vec<String>>,
}

impl<'a> Skew<'a> {
    /// Collects the rules.
    pub(super) fn collect(input: &PlanInput<'a>, catalogues: &'a BTreeMap<ProviderName, Catalogue<'a>>) -> Self {
        let (requirements, problems) = Requirements::collect(input.estate, catalogues);
        Self { input: *input, catalogues, requirements, problems }
    }

    /// The version that every declared instance should have.
    pub(super) fn settle(&self, candidates: &[Candidate<'_>]) -> BTreeMap<InstanceAddr, Result<Resolved, Vec<String>>> {
        let now: BTreeMap<&InstanceAddr, Version> =
            candidates.iter().filter_map(|candidate| Some((candidate.addr, self.now(candidate)?))).collect();
        let Self { input, catalogues, requirements, .. } = self;
        requirements.solve(input.estate, catalogues, |addr| now.get(addr).cloned(), input.options.upgrade)
    }

    /// Blocks every change that needs what it will not get, or takes away what another needs. Says how many.
    pub(super) fn enforce(&self, candidates: &mut [Candidate<'_>]) -> usize {
        if self.requirements.is_empty() && self.problems.is_empty() {
            return 0;
        }
        let versions = self.versions(candidates, Self::afterwards);
        let version_of = |addr: &InstanceAddr| versions.get(addr).cloned();
        let mut count = 0;
        for candidate in candidates.iter_mut() {
            let mut reasons = match &candidate.course {
                Course::Change(_) | Course::Nothing(_) => self.problems.get(candidate.addr).cloned().unwrap_or_default(),
                _ => continue,
            };
            let direction = match &candidate.course {
                Course::Change(draft) => draft.direction,
                _ => Direction::Up,
            };
            if let (Course::Change(_), Some(version)) = (&candidate.course, versions.get(candidate.addr)) {
                reasons.extend(self.requirements.check(candidate.addr, version, version_of));
            }
            if !reasons.is_empty() {
                let span = candidate.span();
                let obstacles = reasons.into_iter().map(|text| Obstacle { text, span }).collect();
                candidate.course = Course::Blocked(obstacles, direction);
                count += 1;
            }
        }
        count
    }

    /// Says where instances do not fit together although nothing is done about it, and where they will not for a while.
    pub(super) fn warn(&self, candidates: &mut [Candidate<'_>]) {
        if self.requirements.is_empty() {
            return;
        }
        let after = self.versions(candidates, Self::afterwards);
        let before = self.versions(candidates, |skew, candidate| skew.now(candidate));
        for candidate in candidates.iter_mut() {
            let Some(version) = after.get(candidate.addr) else { continue };
            match &mut candidate.course {
                Course::Nothing(_) => {
                    candidate.warnings = self.requirements.unmet(candidate.addr, version, |addr| after.get(addr).cloned());
                }
                Course::Change(draft) => {
                    let meanwhile = self.requirements.broken(candidate.addr, version, |addr| before.get(addr).cloned());
                    draft
                        .change
                        .why
                        .extend(meanwhile.into_iter().map(|reason| format!("until the other has changed too: {reason}")));
                }
                _ => {}
            }
        }
    }

    fn versions<'c>(
        &self,
        candidates: &[Candidate<'c>],
        version: impl Fn(&Self, &Candidate<'c>) -> Option<Version>,
    ) -> BTreeMap<&'c InstanceAddr, Version> {
        candidates.iter().filter_map(|candidate| Some((candidate.addr, version(self, candidate)?))).collect()
    }

    /// The version that is there, or the recorded one where nothing can be seen.
    fn now(&self, candidate: &Candidate<'_>) -> Option<Version> {
        let scheme = &self.catalogues.get(candidate.provider)?.provider().scheme;
        match &candidate.now {
            Current::Known(now) => now.clone(),
            Current::Unseen(_) => candidate.locked().and_then(|locked| Version::parse(&locked.version, scheme).ok()),
        }
    }

    /// The version that will be there.
    fn afterwards(&self, candidate: &Candidate<'_>) -> Option<Version> {
        match &candidate.course {
            Course::Change(draft) => {
                let scheme = &self.catalogues.get(candidate.provider)?.provider().scheme;
                draft.change.to.as_deref().and_then(|to| Version::parse(to, scheme).ok())
            }
            _ => self.now(candidate),
        }
    }
}
