//! Which old backups may go. Pure: `now` is passed in.

use std::time::Duration;

use jiff::Timestamp;

use super::entry::Entry;

/// What is kept; what fits either rule stays.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Rules {
    /// So many of the newest.
    pub(super) last: Option<u64>,
    /// Those that are no older.
    pub(super) within: Option<Duration>,
}

/// The ids of those that may go, of entries with the oldest first. The newest verified one is never among them.
pub(super) fn prunable(entries: &[Entry], rules: Rules, now: Timestamp) -> Vec<String> {
    let newest_verified = entries.iter().rev().find(|entry| entry.verified.is_some()).map(|entry| &entry.id);
    entries
        .iter()
        .rev()
        .enumerate()
        .filter(|(newer, entry)| {
            let last = rules.last.is_some_and(|last| (*newer as u64) < last);
            let age = now.duration_since(entry.at);
            let within = rules.within.is_some_and(|within| age.unsigned_abs() <= within || age.is_negative());
            !last && !within && Some(&entry.id) != newest_verified
        })
        .map(|(_, entry)| entry.id.clone())
        .rev()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: &str, hour: i64, verified: bool) -> Entry {
        let at = Timestamp::from_second(hour * 3600).unwrap();
        serde_json::from_value(serde_json::json!({
            "layout": 1, "id": id, "method": "tar", "path": "/x", "files": null, "exclude": [], "labels": {}, "at": at,
            "entries": 0, "bytes": 0, "size": 0, "data_sha256": "", "manifest_sha256": "", "consistent": true, "changed": [],
            "skipped": [], "mode": 493, "owner": [0, 0], "verified": verified.then_some(at),
        }))
        .unwrap()
    }

    #[test]
    fn the_newest_verified_one_stays_whatever_the_rules_say() {
        let entries = [entry("a", 1, true), entry("b", 2, true), entry("c", 3, false), entry("d", 4, false)];
        let now = Timestamp::from_second(5 * 3600).unwrap();
        let rules = Rules { last: Some(1), within: None };
        assert_eq!(prunable(&entries, rules, now), ["a", "c"]);
        assert_eq!(prunable(&entries, Rules { last: None, within: Some(Duration::from_secs(2 * 3600)) }, now), ["a"]);
        assert_eq!(prunable(&entries, Rules { last: Some(9), within: None }, now), [""; 0]);
    }

    #[test]
    fn one_from_the_future_is_not_old() {
        let entries = [entry("a", 100, false), entry("b", 101, true)];
        let rules = Rules { last: None, within: Some(Duration::from_secs(1)) };
        assert_eq!(prunable(&entries, rules, Timestamp::UNIX_EPOCH), [""; 0]);
    }
}
