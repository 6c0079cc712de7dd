//! Durations as people write them: `90s`, `30m`, `72h`, `1d`, `1h30m`; and back.

use std::fmt;
use std::time::Duration;

/// Units, longest first, with their length in milliseconds. `ms` is looked up before `m` and `s`.
const UNITS: [(&str, u64); 6] = [("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// The longest duration that is accepted: ten years. Longer ones are slips of the hand, and overflow dates.
const LONGEST: u64 = 3_660 * 86_400_000;

/// Reads a duration: whole numbers, each with a unit, longest unit first.
///
/// # Errors
/// What is wrong with it; a clause that follows the quoted text.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    const HOW: &str = "write numbers with units (w, d, h, m, s, ms), such as `90s`, `30m`, `72h` or `1h30m`";
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(format!("is empty: {HOW}"));
    }
    let mut total: u64 = 0;
    let mut shortest = u64::MAX;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, tail) = rest.split_at(digits);
        let letters = tail.len() - tail.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
        let (unit, tail) = tail.split_at(letters);
        if number.is_empty() {
            return Err(format!("is not a duration: {HOW}"));
        }
        let Some((_, length)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(if unit.is_empty() {
                format!("has the number {number} without a unit: {HOW}")
            } else {
                format!("has the unknown unit `{unit}`: {HOW}")
            });
        };
        if *length >= shortest {
            return Err("has its units out of order or twice: write the longest first, such as `1h30m`".to_owned());
        }
        shortest = *length;
        total = number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(*length))
            .and_then(|part| total.checked_add(part))
            .filter(|total| *total <= LONGEST)
            .ok_or_else(|| "is longer than ten years".to_owned())?;
        rest = tail;
    }
    Ok(Duration::from_millis(total))
}

/// Shows a duration the way [`parse_duration`] reads it: `1d2h`, `1h30m`, `90ms`, `0s`. Anything below a millisecond is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Human(pub Duration);

impl fmt::Display for Human {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        let mut rest = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        let mut text = String::new();
        for (unit, length) in UNITS.iter().skip(1) {
            if rest >= *length {
                let _ = write!(text, "{}{unit}", rest / length);
                rest %= length;
            }
        }
        f.pad(if text.is_empty() { "0s" } else { &text })
    }
}

#[cfg(test)]
mod tests {
    use super::{Human, parse_duration};

    #[test]
    fn durations_are_read_and_shown_alike() {
        for (text, millis, shown) in [
            ("90s", 90_000, "1m30s"),
            ("30m", 1_800_000, "30m"),
            ("72h", 259_200_000, "3d"),
            ("1d", 86_400_000, "1d"),
            ("1h30m", 5_400_000, "1h30m"),
            ("250ms", 250, "250ms"),
            (" 2w ", 1_209_600_000, "14d"),
            ("0s", 0, "0s"),
        ] {
            let duration = parse_duration(text).unwrap();
            assert_eq!(duration.as_millis(), millis, "{text}");
            assert_eq!(Human(duration).to_string(), shown);
            assert_eq!(parse_duration(shown).unwrap(), duration);
        }
    }

    #[test]
    fn rubbish_is_refused_with_the_reason() {
        for (text, reason) in [
            ("", "is empty"),
            ("5", "without a unit"),
            ("h", "is not a duration"),
            ("-5m", "is not a duration"),
            ("1.5h", "without a unit"),
            ("5 m", "without a unit"),
            ("5y", "unknown unit `y`"),
            ("5M", "unknown unit `M`"),
            ("30m1h", "out of order"),
            ("1h1h", "out of order"),
            ("99999999999999999999h", "longer than ten years"),
            ("4000d", "longer than ten years"),
            ("5m é", "is not a duration"),
        ] {
            let error = parse_duration(text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
