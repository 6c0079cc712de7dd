//! What a probe has seen so far, in a file of its own: a process that dies takes none of it along.
#![expect(clippy::disallowed_methods, reason = "a door to the folders of actions")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::clock::between;
use crate::lang::Value;
use crate::model::name::ActionId;

/// What was seen.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Tally {
    pub looks: u64,
    pub failures: u64,
    pub longest_outage: Duration,
    pub first_failure: Option<Timestamp>,
    pub last_failure: Option<Timestamp>,
    /// What the last failure was; redacted.
    pub message: Option<String>,
    /// There was a time in which nobody looked.
    pub interrupted: bool,
    /// Since when every look has failed.
    pub failing_since: Option<Timestamp>,
    /// Its action has ended.
    ended: bool,
}

/// What a look changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// As it was before.
    Same,
    /// The first look that failed.
    Down,
    /// The first that is well again, after so long.
    Up(Duration),
}

impl Tally {
    /// Takes in a look that began and ended then; `failure`: why it failed, redacted.
    pub(super) fn look(&mut self, began: Timestamp, ended: Timestamp, failure: Option<String>) -> Turn {
        self.looks += 1;
        match (failure, self.failing_since) {
            (Some(message), since) => {
                self.failures += 1;
                self.first_failure.get_or_insert(began);
                self.last_failure = Some(began);
                self.message = Some(message);
                let since = *self.failing_since.get_or_insert(since.unwrap_or(began));
                self.longest_outage = self.longest_outage.max(between(since, ended));
                if since == began { Turn::Down } else { Turn::Same }
            }
            (None, Some(since)) => {
                self.failing_since = None;
                let lasted = between(since, began);
                self.longest_outage = self.longest_outage.max(lasted);
                Turn::Up(lasted)
            }
            (None, None) => Turn::Same,
        }
    }

    /// The probe ends now: an outage that lasts counts until here.
    pub(super) fn end(&mut self, now: Timestamp) {
        if let Some(since) = self.failing_since {
            self.longest_outage = self.longest_outage.max(between(since, now));
        }
        self.ended = true;
    }

    /// `result` of the step.
    pub(super) fn result(&self) -> Value {
        let text = |at: Option<Timestamp>| at.map(|at| at.to_string());
        Value::object([
            ("looks", self.looks.into()),
            ("failures", self.failures.into()),
            ("longest_outage", Value::Number(seconds(self.longest_outage))),
            ("first_failure", text(self.first_failure).into()),
            ("last_failure", text(self.last_failure).into()),
            ("interrupted", self.interrupted.into()),
        ])
    }

    /// What an earlier process, or an earlier try of this one, has seen. One that had ended counts only where its end was lost.
    pub(super) fn load(path: &Path, end_was_lost: bool) -> Option<Self> {
        let found: Self = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
        (end_was_lost || !found.ended).then_some(Self { interrupted: true, ended: false, ..found })
    }

    /// Keeps it. Not made durable with every look: a machine that dies loses the last of them.
    pub(super) fn save(&self, path: &Path) -> std::io::Result<()> {
        if let Some(above) = path.parent() {
            super::journal::make_folder(above)?;
        }
        let new = path.with_extension("new");
        std::fs::write(&new, serde_json::to_vec(self)?)?;
        std::fs::rename(&new, path)
    }
}

/// Seconds with three places.
pub(super) fn seconds(duration: Duration) -> Decimal {
    let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    Decimal::new(millis, 3).normalize()
}

/// Where the tally of an action of the run in `dir` is kept.
pub(super) fn tally_file(dir: &Path, action: &ActionId) -> PathBuf {
    dir.join("actions").join(action.file_name()).join("probe.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).unwrap()
    }

    #[test]
    fn an_outage_lasts_from_the_first_failed_look_to_the_next_good_one() {
        let mut tally = Tally::default();
        let no = || Some("no".to_owned());
        assert_eq!(tally.look(at(0), at(0), None), Turn::Same);
        assert_eq!(tally.look(at(1), at(2), no()), Turn::Down);
        assert_eq!(tally.look(at(2), at(3), no()), Turn::Same);
        assert_eq!(tally.look(at(5), at(5), None), Turn::Up(Duration::from_secs(4)));
        assert_eq!(tally.look(at(6), at(8), no()), Turn::Down);
        tally.end(at(9));
        assert_eq!((tally.looks, tally.failures, tally.longest_outage), (5, 3, Duration::from_secs(4)));
        assert_eq!((tally.first_failure, tally.last_failure), (Some(at(1)), Some(at(6))));
        tally.end(at(20));
        assert_eq!(tally.longest_outage, Duration::from_secs(14));
    }

    #[test]
    fn what_was_seen_outlives_a_process_and_is_forgotten_at_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/probe.json");
        let mut tally = Tally::default();
        tally.look(at(1), at(1), Some("no".to_owned()));
        tally.save(&path).unwrap();
        let found = Tally::load(&path, false).unwrap();
        assert!(found.interrupted && found.failures == 1 && found.failing_since == Some(at(1)));
        tally.end(at(2));
        tally.save(&path).unwrap();
        assert_eq!(Tally::load(&path, false), None);
        assert!(Tally::load(&path, true).is_some_and(|found| found.failures == 1));
    }

    #[test]
    fn seconds_have_no_more_places_than_needed() {
        assert_eq!(seconds(Duration::from_millis(2100)).to_string(), "2.1");
        assert_eq!(seconds(Duration::ZERO).to_string(), "0");
    }
}
