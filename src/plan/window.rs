//! When an environment's window is open: a cron expression with a duration, in a time zone.
//!
//! Pure: the time zone rules are those built into the program, the same on every machine.

use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::TimeZoneDatabase;
use jiff::{SignedDuration, Timestamp, Zoned};

use crate::model::estate::Window;

/// How a set of windows stands at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Opening {
    /// One is open, until then.
    Until(Timestamp),
    /// All are closed; the next opens then, where one ever does.
    From(Option<Timestamp>),
}

/// How the windows of an environment stand; at least one is given.
///
/// # Errors
/// What is wrong with each window that cannot be read.
pub(crate) fn opening(windows: &[Window], now: Timestamp) -> Result<Opening, Vec<String>> {
    let mut problems = Vec::new();
    let mut until: Option<Timestamp> = None;
    let mut from: Option<Timestamp> = None;
    for window in windows {
        match around(window, now) {
            Ok((open_until, next)) => {
                until = until.max(open_until);
                from = match (from, next) {
                    (Some(one), Some(other)) => Some(one.min(other)),
                    (one, other) => one.or(other),
                };
            }
            Err(problem) => problems.push(problem),
        }
    }
    match until {
        Some(until) => Ok(Opening::Until(until)),
        None if problems.is_empty() => Ok(Opening::From(from)),
        None => Err(problems),
    }
}

/// Until when a window is open, if it is; and when it opens next, if ever.
fn around(window: &Window, now: Timestamp) -> Result<(Option<Timestamp>, Option<Timestamp>), String> {
    let Window { cron, duration, timezone, .. } = window;
    let zone = TimeZoneDatabase::bundled()
        .get(timezone)
        .map_err(|_| format!("`{timezone}` is no IANA time zone, such as `Europe/Paris`"))?;
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    let pattern = parser.parse(cron).map_err(|error| format!("`{cron}` is no cron expression of five fields: {error}"))?;
    let here: Zoned = now.to_zoned(zone);
    // A window that never opens (30 February) is an error of the search, not of the pattern.
    let last = pattern.find_previous_occurrence(&here, true).ok().map(|opened| opened.timestamp());
    let next = pattern.find_next_occurrence(&here, false).ok().map(|opens| opens.timestamp());
    let open_for = SignedDuration::try_from(*duration).unwrap_or(SignedDuration::MAX);
    let until = last.map(|opened| opened.saturating_add(open_for).unwrap_or(Timestamp::MAX)).filter(|until| now < *until);
    Ok((until, next))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Opening, opening};
    use crate::model::estate::Window;

    fn window(cron: &str, hours: u64, timezone: &str) -> Window {
        Window { cron: cron.to_owned(), duration: Duration::from_secs(hours * 3600), timezone: timezone.to_owned(), span: None }
    }

    fn at(windows: &[Window], now: &str) -> Opening {
        opening(windows, now.parse().unwrap()).unwrap()
    }

    fn until(text: &str) -> Opening {
        Opening::Until(text.parse().unwrap())
    }

    fn from(text: &str) -> Opening {
        Opening::From(Some(text.parse().unwrap()))
    }

    #[test]
    fn a_window_is_open_from_its_minute_for_its_duration_in_its_zone() {
        let friday = [window("0 22 * * FRI", 6, "Europe/Paris")];
        assert_eq!(at(&friday, "2026-11-20T20:59:59Z"), from("2026-11-20T21:00:00Z"));
        assert_eq!(at(&friday, "2026-11-20T21:00:00Z"), until("2026-11-21T03:00:00Z"));
        assert_eq!(at(&friday, "2026-11-21T02:59:59Z"), until("2026-11-21T03:00:00Z"));
        assert_eq!(at(&friday, "2026-11-21T03:00:00Z"), from("2026-11-27T21:00:00Z"));
    }

    #[test]
    fn summer_time_moves_the_opening() {
        let daily = [window("0 22 * * *", 1, "Europe/Paris")];
        assert_eq!(at(&daily, "2026-03-28T23:00:00Z"), from("2026-03-29T20:00:00Z"));
        assert_eq!(at(&daily, "2026-10-24T22:00:00Z"), from("2026-10-25T21:00:00Z"));
    }

    #[test]
    fn an_opening_in_the_hour_that_summer_time_skips_is_not_lost_for_good() {
        let skipped = [window("30 2 * * *", 1, "Europe/Paris")];
        assert!(matches!(at(&skipped, "2026-03-28T12:00:00Z"), Opening::From(Some(_))));
        assert!(matches!(at(&skipped, "2026-03-29T12:00:00Z"), Opening::From(Some(_))));
    }

    #[test]
    fn of_several_windows_the_one_open_longest_and_the_one_opening_first_count() {
        let both = [window("0 22 * * *", 2, "UTC"), window("0 23 * * *", 4, "UTC")];
        assert_eq!(at(&both, "2026-06-01T23:30:00Z"), until("2026-06-02T03:00:00Z"));
        assert_eq!(at(&both, "2026-06-01T12:00:00Z"), from("2026-06-01T22:00:00Z"));
    }

    #[test]
    fn a_window_longer_than_its_period_never_closes() {
        assert_eq!(at(&[window("0 0 * * *", 48, "UTC")], "2026-06-01T12:00:00Z"), until("2026-06-03T00:00:00Z"));
    }

    #[test]
    fn a_window_that_never_opens_is_closed_without_an_end() {
        assert_eq!(at(&[window("0 0 30 2 *", 1, "UTC")], "2026-06-01T12:00:00Z"), Opening::From(None));
    }

    #[test]
    fn an_endless_duration_does_not_overflow() {
        let mut endless = window("0 0 * * *", 1, "UTC");
        endless.duration = Duration::MAX;
        assert!(matches!(at(&[endless], "2026-06-01T12:00:00Z"), Opening::Until(_)));
    }

    #[test]
    fn a_wrong_zone_or_pattern_is_named() {
        let wrong =
            [window("0 22 * * *", 1, "Europe/Atlantis"), window("every friday", 1, "UTC"), window("0 0 22 * * *", 1, "UTC")];
        let problems = opening(&wrong, "2026-06-01T12:00:00Z".parse().unwrap()).unwrap_err();
        assert_eq!(problems.len(), 3);
        assert!(problems[0].contains("Europe/Atlantis") && problems[1].contains("every friday") && problems[2].contains("0 0 22"));
    }
}
