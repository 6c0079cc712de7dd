//! Which old backups may go. Pure: `now` is passed in.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::civil::Date;
use jiff::{Timestamp, tz::TimeZone};

/// What is kept; what fits any rule stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Retention {
    /// So many of the newest.
    pub last: Option<u64>,
    /// Those that are no older.
    pub within: Option<Duration>,
    /// The newest of each of so many days.
    pub daily: Option<u64>,
    /// The newest of each of so many weeks.
    pub weekly: Option<u64>,
    /// The newest of each of so many months.
    pub monthly: Option<u64>,
}

impl Retention {
    /// Whether there is any rule; without one nothing is pruned.
    #[must_use]
    pub fn says_something(&self) -> bool {
        let Self { last, within, daily, weekly, monthly } = self;
        last.is_some() || within.is_some() || daily.is_some() || weekly.is_some() || monthly.is_some()
    }
}

/// A backup as these rules see it.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// When it was made.
    pub at: Timestamp,
    /// Whether it was read back and found right.
    pub verified: bool,
    /// Whether what it holds fits together.
    pub consistent: bool,
    /// The set that it stays or goes with.
    pub set: Option<String>,
    /// How many parts that set must have; 0: nobody said.
    pub parts: usize,
    /// Whether something needs it.
    pub needed: bool,
}

/// Backups that stay or go together: the parts of a set, or one alone.
struct Unit {
    members: Vec<usize>,
    at: Timestamp,
    verified: bool,
    good: bool,
    needed: bool,
}

/// The parts of a set as one, newest first.
fn units(candidates: &[Candidate]) -> Vec<Unit> {
    let mut units: Vec<Unit> = Vec::new();
    for (number, candidate) in candidates.iter().enumerate() {
        let same = |unit: &&mut Unit| candidate.set.is_some() && candidates[unit.members[0]].set == candidate.set;
        let good = candidate.verified && candidate.consistent;
        match units.iter_mut().find(same) {
            Some(unit) => {
                unit.at = unit.at.max(candidate.at);
                unit.verified &= candidate.verified;
                unit.good &= good;
                unit.needed |= candidate.needed;
                unit.members.push(number);
            }
            None => {
                let Candidate { at, verified, needed, .. } = *candidate;
                units.push(Unit { members: vec![number], at, verified, good, needed });
            }
        }
    }
    // A set of which parts are missing restores nothing.
    for unit in &mut units {
        unit.good &= unit.members.len() >= candidates[unit.members[0]].parts;
    }
    units.sort_by_key(|unit| std::cmp::Reverse(unit.at));
    units
}

/// The newest of each period, for so many periods.
fn newest(units: &[Unit], count: u64, period: impl Fn(Date) -> Date) -> BTreeSet<usize> {
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

/// The places of those that may go, oldest first. Never among them: what is needed; the newest good one; the newest verified one
/// where none is good. A set goes as a whole, and counts as one.
#[must_use]
pub fn prunable(candidates: &[Candidate], rules: &Retention, now: Timestamp) -> Vec<usize> {
    let units = units(candidates);
    let best = units.iter().position(|unit| unit.good).or_else(|| units.iter().position(|unit| unit.verified));
    let mut kept: BTreeSet<usize> = best.into_iter().collect();
    kept.extend(newest(&units, rules.daily.unwrap_or(0), |date| date));
    kept.extend(newest(&units, rules.weekly.unwrap_or(0), monday));
    kept.extend(newest(&units, rules.monthly.unwrap_or(0), Date::first_of_month));
    for (number, unit) in units.iter().enumerate() {
        let age = now.duration_since(unit.at);
        let within = rules.within.is_some_and(|within| age.unsigned_abs() <= within || age.is_negative());
        if within || unit.needed || rules.last.is_some_and(|last| (number as u64) < last) {
            kept.insert(number);
        }
    }
    let gone = units.iter().enumerate().rev().filter(|(number, _)| !kept.contains(number));
    gone.flat_map(|(_, unit)| unit.members.iter().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backup(hour: i64, verified: bool) -> Candidate {
        let at = Timestamp::from_second(hour * 3600).unwrap();
        Candidate { at, verified, consistent: true, set: None, parts: 0, needed: false }
    }

    fn last(last: u64) -> Retention {
        Retention { last: Some(last), ..Retention::default() }
    }

    fn hours(hours: i64) -> Timestamp {
        Timestamp::from_second(hours * 3600).unwrap()
    }

    #[test]
    fn the_newest_verified_one_stays_whatever_the_rules_say() {
        let all = [backup(1, true), backup(2, true), backup(3, false), backup(4, false)];
        assert_eq!(prunable(&all, &last(1), hours(5)), [0, 2]);
        let within = Retention { within: Some(Duration::from_secs(2 * 3600)), ..Retention::default() };
        assert_eq!(prunable(&all, &within, hours(5)), [0]);
        assert_eq!(prunable(&all, &last(9), hours(5)), [0; 0]);
        let needed = [Candidate { needed: true, ..backup(1, true) }, all[1].clone(), all[2].clone(), all[3].clone()];
        assert_eq!(prunable(&needed, &last(1), hours(5)), [2]);
    }

    #[test]
    fn one_that_is_possibly_inconsistent_does_not_stand_for_a_good_one() {
        let all = [backup(1, true), Candidate { consistent: false, ..backup(2, true) }];
        assert_eq!(prunable(&all, &last(0), hours(9)), [1]);
        assert_eq!(prunable(&all[1..], &last(0), hours(9)), [0; 0], "better than nothing");
    }

    #[test]
    fn one_from_the_future_is_not_old() {
        let rules = Retention { within: Some(Duration::from_secs(1)), ..Retention::default() };
        assert_eq!(prunable(&[backup(100, false), backup(101, true)], &rules, Timestamp::UNIX_EPOCH), [0; 0]);
    }

    #[test]
    fn of_each_day_week_and_month_the_newest_stays() {
        let all: Vec<Candidate> = (0..60).map(|day| backup(day * 24 + 12, true)).collect();
        let rules = Retention { daily: Some(2), weekly: Some(2), monthly: Some(2), ..Retention::default() };
        let gone = prunable(&all, &rules, hours(61 * 24));
        let left: Vec<usize> = (0..60).filter(|day| !gone.contains(day)).collect();
        // Day 59 is Sunday, the first of March 1970. February ends with day 58, the week before with day 52.
        assert_eq!(left, [52, 58, 59]);
    }

    #[test]
    fn a_set_stays_or_goes_as_a_whole_and_is_good_only_when_complete() {
        let part = |hour, verified, set: &str| Candidate { set: Some(set.to_owned()), parts: 2, ..backup(hour, verified) };
        let all = [part(1, true, "a"), part(2, true, "a"), part(3, true, "b"), part(4, false, "b")];
        assert_eq!(prunable(&all, &last(1), hours(5)), [0; 0], "the newer set is not verified as a whole");
        assert_eq!(prunable(&all[..3], &last(1), hours(5)), [0; 0], "a part of the newer set is missing");
        let verified = [all[0].clone(), all[1].clone(), all[2].clone(), part(4, true, "b")];
        assert_eq!(prunable(&verified, &last(1), hours(5)), [0, 1]);
    }
}
