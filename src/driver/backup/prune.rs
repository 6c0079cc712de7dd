//! Which old backups of a repository may go, by the rules that hold everywhere.

use jiff::Timestamp;

use super::entry::Entry;
use crate::model::retention::{Candidate, Retention, prunable as places};

/// The ids of those that may go, of entries with the oldest first. `needed`: these stay. That parts of a set lie in other
/// repositories is nobody's fault here: the parts that are seen stay or go together.
pub(super) fn prunable(entries: &[Entry], rules: &Retention, needed: &[String], now: Timestamp) -> Vec<String> {
    let candidate = |entry: &Entry| Candidate {
        at: entry.at,
        verified: entry.verified.is_some(),
        consistent: entry.consistent,
        set: entry.set.as_ref().map(|set| set.name.clone()),
        parts: 0,
        needed: needed.contains(&entry.id),
    };
    let candidates: Vec<Candidate> = entries.iter().map(candidate).collect();
    places(&candidates, rules, now).into_iter().map(|place| entries[place].id.clone()).collect()
}
