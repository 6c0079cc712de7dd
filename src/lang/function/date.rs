//! Moments with the offset they were written in, lengths of time as Go writes them, and Terraform's language for dates.

use jiff::civil::Weekday;
use jiff::fmt::temporal::Pieces;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};
use rust_decimal::prelude::ToPrimitive;

use crate::lang::Number;

/// A moment, and the offset from UTC in which a person wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    /// When.
    pub(super) instant: Timestamp,
    offset: Offset,
}

const MONTHS: [&str; 12] =
    ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];

impl Moment {
    /// The moment in UTC.
    pub(super) fn utc(instant: Timestamp) -> Self {
        Self { instant, offset: Offset::UTC }
    }

    /// Reads RFC 3339: `2026-01-31T12:00:00Z`, `2026-01-31T12:00:00.5+01:00`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let refused = || format!("{text:?} is no time in RFC 3339, such as \"2026-01-31T12:00:00Z\"");
        // The library reads more forms than the standard has; the fixed places tell them apart.
        let places = [(4, b"-"), (7, b"-"), (10, b"T"), (13, b":"), (16, b":")];
        let bytes = text.as_bytes();
        let shaped =
            places.iter().all(|(at, wanted)| bytes.get(*at).is_some_and(|byte| wanted.contains(&byte.to_ascii_uppercase())));
        if !shaped || text.contains('[') {
            return Err(refused());
        }
        let pieces = Pieces::parse(text).map_err(|_| refused())?;
        let offset = pieces.to_numeric_offset().ok_or_else(refused)?;
        let time = pieces.time().ok_or_else(refused)?;
        let instant = offset.to_timestamp(pieces.date().to_datetime(time)).map_err(|_| refused())?;
        Ok(Self { instant, offset })
    }

    /// The moment that much later, with the same offset.
    pub(super) fn after(self, duration: SignedDuration) -> Result<Self, String> {
        let beyond = || "the result is beyond the years 0000 to 9999".to_owned();
        let later = Self { instant: self.instant.checked_add(duration).map_err(|_| beyond())?, ..self };
        if (0..=9999).contains(&later.offset.to_datetime(later.instant).year()) { Ok(later) } else { Err(beyond()) }
    }

    /// RFC 3339 to the second.
    pub(super) fn text(self) -> String {
        let at = self.offset.to_datetime(self.instant);
        let (date, time) = (at.date(), at.time());
        let offset = self.offset(":", "Z");
        format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}{offset}",
            date.year(),
            date.month(),
            date.day(),
            time.hour(),
            time.minute(),
            time.second()
        )
    }

    fn offset(self, separator: &str, utc: &str) -> String {
        let seconds = self.offset.seconds();
        if seconds == 0 {
            return utc.into();
        }
        let minutes = seconds.unsigned_abs() / 60;
        format!("{}{:02}{separator}{:02}", if seconds < 0 { '-' } else { '+' }, minutes / 60, minutes % 60)
    }

    /// Writes the moment by a format: runs of a letter stand for parts of it, `'quoted'` text for itself.
    pub(super) fn format(self, format: &str) -> Result<String, String> {
        let mut text = String::new();
        let mut letters = format.chars().peekable();
        while let Some(letter) = letters.next() {
            if letter == '\'' {
                loop {
                    match letters.next() {
                        Some('\'') if letters.next_if_eq(&'\'').is_some() => text.push('\''),
                        Some('\'') => break,
                        Some(quoted) => text.push(quoted),
                        None => return Err("a quote in the format is not closed".into()),
                    }
                }
            } else if letter.is_ascii_alphabetic() {
                let mut length = 1;
                while letters.next_if_eq(&letter).is_some() {
                    length += 1;
                }
                text.push_str(&self.part(letter, length)?);
            } else {
                text.push(letter);
            }
        }
        Ok(text)
    }

    fn part(self, letter: char, length: usize) -> Result<String, String> {
        let at = self.offset.to_datetime(self.instant);
        let month = MONTHS.get(usize::try_from(at.month() - 1).unwrap_or(0)).copied().unwrap_or_default();
        let day = match at.weekday() {
            Weekday::Monday => "Monday",
            Weekday::Tuesday => "Tuesday",
            Weekday::Wednesday => "Wednesday",
            Weekday::Thursday => "Thursday",
            Weekday::Friday => "Friday",
            Weekday::Saturday => "Saturday",
            Weekday::Sunday => "Sunday",
        };
        let twelve = if at.hour() % 12 == 0 { 12 } else { at.hour() % 12 };
        Ok(match (letter, length) {
            ('Y', 4) => format!("{:04}", at.year()),
            ('Y', 2) => format!("{:02}", at.year().rem_euclid(100)),
            ('M', 4) => month.into(),
            ('M', 3) => month[..3].into(),
            ('M', 2) => format!("{:02}", at.month()),
            ('M', 1) => at.month().to_string(),
            ('D', 2) => format!("{:02}", at.day()),
            ('D', 1) => at.day().to_string(),
            ('E', 4) => day.into(),
            ('E', 3) => day[..3].into(),
            ('h', 2) => format!("{:02}", at.hour()),
            ('h', 1) => at.hour().to_string(),
            ('H', 2) => format!("{twelve:02}"),
            ('H', 1) => twelve.to_string(),
            ('A', 2) => if at.hour() < 12 { "AM" } else { "PM" }.into(),
            ('a', 2) => if at.hour() < 12 { "am" } else { "pm" }.into(),
            ('m', 2) => format!("{:02}", at.minute()),
            ('m', 1) => at.minute().to_string(),
            ('s', 2) => format!("{:02}", at.second()),
            ('s', 1) => at.second().to_string(),
            ('Z', 5) => self.offset(":", "+00:00"),
            ('Z', 4) => self.offset("", "+0000"),
            ('Z', 3) => self.offset("", "UTC"),
            ('Z', 1) => self.offset(":", "Z"),
            (letter, length) => {
                let run: String = std::iter::repeat_n(letter, length.min(20)).collect();
                return Err(format!("the format has no {run:?}; text that stands for itself goes into single quotes"));
            }
        })
    }
}

/// Reads a length of time: `1h30m`, `-1.5h`, `10d` (of 24 hours), `250ms`.
pub(super) fn duration(text: &str) -> Result<SignedDuration, String> {
    let refused = || format!("{text:?} is no length of time, such as \"1h30m\", \"10d\" or \"-90s\"");
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(SignedDuration::ZERO);
    }
    if rest.is_empty() {
        return Err(refused());
    }
    let mut total = Number::ZERO;
    while !rest.is_empty() {
        let (amount, after) = rest.split_at(rest.find(|one: char| !(one.is_ascii_digit() || one == '.')).ok_or_else(refused)?);
        let (unit, after) = after.split_at(after.find(|one: char| one.is_ascii_digit() || one == '.').unwrap_or(after.len()));
        let nanoseconds: i64 = match unit {
            "d" => 86_400_000_000_000,
            "h" => 3_600_000_000_000,
            "m" => 60_000_000_000,
            "s" => 1_000_000_000,
            "ms" => 1_000_000,
            "us" | "µs" | "μs" => 1_000,
            "ns" => 1,
            _ => return Err(refused()),
        };
        let amount = Number::from_str_exact(amount).map_err(|_| refused())?;
        let part = amount.checked_mul(nanoseconds.into());
        total = part.and_then(|part| total.checked_add(part)).ok_or_else(refused)?;
        rest = after;
    }
    let nanoseconds = total.trunc().to_i128().ok_or_else(refused)?;
    let nanoseconds = if negative { -nanoseconds } else { nanoseconds };
    let seconds = i64::try_from(nanoseconds / 1_000_000_000).map_err(|_| refused())?;
    let rest = i32::try_from(nanoseconds % 1_000_000_000).map_err(|_| refused())?;
    Ok(SignedDuration::new(seconds, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lengths_of_time_are_read_as_go_does_and_days_too() {
        for (text, seconds) in [
            ("1h30m", 5400),
            ("10d", 864_000),
            ("-1.5h", -5400),
            ("+90s", 90),
            ("0", 0),
            ("72h", 259_200),
            (".5m", 30),
            ("1500ms", 1),
        ] {
            assert_eq!(duration(text).unwrap().as_secs(), seconds, "{text}");
        }
        assert_eq!(duration("1µs2ns").unwrap().as_nanos(), 1002);
        for text in ["", "-", "5", "h", "1w", "1h ", "1..5h", ".h", "1h-1m", "99999999999999999999999999d", "9999999999999999d"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn only_rfc_3339_is_a_time() {
        assert_eq!(Moment::parse("2026-01-31T12:00:00.5+01:00").unwrap().text(), "2026-01-31T12:00:00+01:00");
        assert_eq!(Moment::parse("2026-01-31t12:00:00z").unwrap().text(), "2026-01-31T12:00:00Z");
        for text in [
            "",
            "2026-01-31",
            "2026-01-31T12:00:00",
            "2026-01-31 12:00:00Z",
            "20260131T120000Z",
            "2026-02-30T12:00:00Z",
            "2026-01-31T12:00:00Z[UTC]",
            "-002026-01-31T12:00:00Z",
        ] {
            assert!(Moment::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_sum_keeps_the_offset_and_stays_within_four_digits() {
        let moment = Moment::parse("2026-12-31T23:30:00-05:30").unwrap();
        assert_eq!(moment.after(duration("1h").unwrap()).unwrap().text(), "2027-01-01T00:30:00-05:30");
        assert!(Moment::parse("0000-01-01T00:00:00Z").unwrap().after(duration("-1s").unwrap()).is_err());
        assert!(Moment::parse("9999-01-01T00:00:00Z").unwrap().after(duration("3650d").unwrap()).is_err());
    }

    #[test]
    fn every_part_of_a_date_is_written() {
        let moment = Moment::parse("2018-01-02T23:12:01-08:00").unwrap();
        for (format, wanted) in [
            ("DD MMM YYYY hh:mm ZZZ", "02 Jan 2018 23:12 -0800"),
            ("EEEE, DD-MMM-YY hh:mm:ss ZZZ", "Tuesday, 02-Jan-18 23:12:01 -0800"),
            ("EEE, DD MMM YYYY hh:mm:ss ZZZZ", "Tue, 02 Jan 2018 23:12:01 -0800"),
            ("MMMM M D H:m:s AA aa h", "January 1 2 11:12:1 PM pm 23"),
            ("YYYY'T'hh'it''s'Z", "2018T23it's-08:00"),
            ("HH ZZZZZ", "11 -08:00"),
            ("'' é", " é"),
        ] {
            assert_eq!(moment.format(format).as_deref(), Ok(wanted), "{format}");
        }
        let utc = Moment::parse("2018-01-02T00:12:01Z").unwrap();
        assert_eq!(utc.format("Z ZZZ ZZZZ ZZZZZ HH AA").as_deref(), Ok("Z UTC +0000 +00:00 12 AM"));
        assert!(utc.format("YYY").unwrap_err().contains("\"YYY\""));
        assert!(utc.format("'open").unwrap_err().contains("not closed"));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[-+0-9.hmsdµn]{0,20}", format in "[YMDEhHAamsZ' -]{0,12}", time in "[0-9TZ:+.-]{0,30}") {
            let _ = Moment::parse(&time);
            let moment = Moment::utc(Timestamp::MAX);
            let _ = moment.format(&format);
            if let Ok(length) = duration(&text) {
                let _ = moment.after(length);
            }
        }
    }
}
