//! Which old backups may go. Pure: `now` is passed in.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::civil::Date;
use jiff::{Timestamp, tz::TimeZone};

use super::entry::Entry;

/// What is kept; what fits any rule stays.
#[derive(Debug, Clone, Default)]
pub(super) struct Rules {
    /// So many of the newest.
    pub(super) last: Option<u64>,
    /// Those that are no older.
    pub(super) within: Option<Duration>,
    /// The newest of each of so many days.
    pub(super) daily: Option<u64>,
    /// The newest of each of so many weeks.
    pub(super) weekly: Option<u64>,
    /// The newest of each of so many months.
    pub(super) monthly: Option<u64>,
    /// These.
    pub(super) ids: Vec<String>,
}

impl Rules {
    /// Whether there is any rule; without one nothing is pruned.
    pub(super) fn says_something(&self) -> bool {
        let Self { last, within, daily, weekly, monthly, ids: _ } = self;
        last.is_some() || within.is_some() || daily.is_some() || weekly.is_some() || monthly.is_some()
    }
}

/// Backups that stay or go together: the parts of a set, or one alone.
struct Unit<'a> {
    entries: Vec<&'a Entry>,
    at: Timestamp,
}

impl Unit<'_> {
    fn is_good(&self) -> bool {
        self.entries.iter().all(|entry| entry.is_good())
    }

    fn is_verified(&self) -> bool {
        self.entries.iter().all(|entry| entry.verified.is_some())
    }
}

/// The parts of a set as one, newest first.
fn units(entries: &[Entry]) -> Vec<Unit<'_>> {
    let mut units: Vec<Unit<'_>> = Vec::new();
    for entry in entries {
        let name = entry.set.as_ref().map(|set| &set.name);
        let known = units.iter_mut().find(|unit| name.is_some() && unit.entries[0].set.as_ref().map(|set| &set.name) == name);
        match known {
            Some(unit) => {
                unit.at = unit.at.max(entry.at);
                unit.entries.push(entry);
            }
            None => units.push(Unit { entries: vec![entry], at: entry.at }),
        }
    }
    units.sort_by_key(|unit| std::cmp::Reverse(unit.at));
    units
}

/// The newest of each period, for so many periods.
fn newest(units: &[Unit<'_>], count: u64, period: impl Fn(Date) -> Date) -> BTreeSet<usize> {
    let mut seen = BTreeSet::new();
    let mut kept = BTreeSet::new();
    for (number, unit) in units.iter().enumerate() {
        let first = seen.insert(period(unit.at.to_zoned(TimeZone::UTC).date()));
        if first && seen.len() as u64 <= count {
            kept.insert(number);
        }
    }
    kept
}

fn monday(date: Date) -> Date {
    let back = i64::from(date.weekday().to_monday_zero_offset());
    date.checked_sub(jiff::Span::new().days(back)).unwrap_or(date)
}

/// The ids of those that may go, of entries with the oldest first. The newest good one is never among them, nor the newest verified
/// one where none is good.
pub(super) fn prunable(entries: &[Entry], rules: &Rules, now: Timestamp) -> Vec<String> {
    let units = units(entries);
    let best = units.iter().position(Unit::is_good).or_else(|| units.iter().position(Unit::is_verified));
    let mut kept: BTreeSet<usize> = best.into_iter().collect();
    kept.extend(newest(&units, rules.daily.unwrap_or(0), |date| date));
    kept.extend(newest(&units, rules.weekly.unwrap_or(0), monday));
    kept.extend(newest(&units, rules.monthly.unwrap_or(0), Date::first_of_month));
    for (number, unit) in units.iter().enumerate() {
        let age = now.duration_since(unit.at);
        let within = rules.within.is_some_and(|within| age.unsigned_abs() <= within || age.is_negative());
        let named = unit.entries.iter().any(|entry| rules.ids.contains(&entry.id));
        if within || named || rules.last.is_some_and(|last| (number as u64) < last) {
            kept.insert(number);
        }
    }
    let gone = units.iter().enumerate().rev().filter(|(number, _)| !kept.contains(number));
    gone.flat_map(|(_, unit)| unit.entries.iter().map(|entry| entry.id.clone())).collect()
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

    fn last(last: u64) -> Rules {
        Rules { last: Some(last), ..Rules::default() }
    }

    fn within(hours: u64) -> Rules {
        Rules { within: Some(Duration::from_secs(hours * 3600)), ..Rules::default() }
    }

    #[test]
    fn the_newest_verified_one_stays_whatever_the_rules_say() {
        let entries = [entry("a", 1, true), entry("b", 2, true), entry("c", 3, false), entry("d", 4, false)];
        let now = Timestamp::from_second(5 * 3600).unwrap();
        assert_eq!(prunable(&entries, &last(1), now), ["a", "c"]);
        assert_eq!(prunable(&entries, &within(2), now), ["a"]);
        assert_eq!(prunable(&entries, &last(9), now), [""; 0]);
        let named = Rules { ids: vec!["a".to_owned()], ..last(1) };
        assert_eq!(prunable(&entries, &named, now), ["c"]);
    }

    #[test]
    fn one_that_is_possibly_inconsistent_does_not_stand_for_a_good_one() {
        let mut first_pass = entry("b", 2, true);
        first_pass.consistent = false;
        let entries = [entry("a", 1, true), first_pass];
        assert_eq!(prunable(&entries, &last(0), Timestamp::from_second(9999).unwrap()), ["b"]);
        assert_eq!(prunable(&entries[1..], &last(0), Timestamp::from_second(9999).unwrap()), [""; 0], "better than nothing");
    }

    #[test]
    fn one_from_the_future_is_not_old() {
        let entries = [entry("a", 100, false), entry("b", 101, true)];
        let rules = Rules { within: Some(Duration::from_secs(1)), ..Rules::default() };
        assert_eq!(prunable(&entries, &rules, Timestamp::UNIX_EPOCH), [""; 0]);
    }

    #[test]
    fn of_each_day_week_and_month_the_newest_stays() {
        let entries: Vec<Entry> = (0..60).map(|day| entry(&format!("d{day:02}"), day * 24 + 12, true)).collect();
        let now = Timestamp::from_second(61 * 86400).unwrap();
        let rules = Rules { daily: Some(2), weekly: Some(2), monthly: Some(2), ..Rules::default() };
        let gone = prunable(&entries, &rules, now);
        let left: Vec<&str> =
            entries.iter().map(|entry| entry.id.as_str()).filter(|id| !gone.iter().any(|gone| gone == id)).collect();
        // The first of March 1970 is a Sunday: d59. February ends with d58, the week before with d52.
        assert_eq!(left, ["d52", "d58", "d59"]);
    }

    #[test]
    fn a_set_stays_or_goes_as_a_whole() {
        let part = |id: &str, hour, verified, set: &str| {
            let set = super::super::entry::SetPart { name: set.to_owned(), part: id.to_owned(), parts: Vec::new() };
            Entry { set: Some(set), ..entry(id, hour, verified) }
        };
        let entries = [part("a1", 1, true, "a"), part("a2", 2, true, "a"), part("b1", 3, true, "b"), part("b2", 4, false, "b")];
        let now = Timestamp::from_second(5 * 3600).unwrap();
        assert_eq!(prunable(&entries, &last(1), now), [""; 0], "the newer set is not verified as a whole");
        let verified = [entries[0].clone(), entries[1].clone(), entries[2].clone(), part("b2", 4, true, "b")];
        assert_eq!(prunable(&verified, &last(1), now), ["a1", "a2"]);
    }
}
