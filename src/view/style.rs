//! Colours, and how amounts are written.

use std::time::Duration;

use owo_colors::{OwoColorize, Style};

/// Whether and how to colour. Decided once by the caller, from the terminal, `NO_COLOR` and `--color`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Palette {
    /// Whether colours are used at all.
    pub colour: bool,
}

impl Palette {
    fn paint(self, text: &str, style: Style) -> String {
        if self.colour { text.style(style).to_string() } else { text.to_owned() }
    }

    /// For what matters most.
    #[must_use]
    pub fn strong(self, text: &str) -> String {
        self.paint(text, Style::new().bold())
    }

    /// For what matters least.
    #[must_use]
    pub fn faint(self, text: &str) -> String {
        self.paint(text, Style::new().dimmed())
    }

    /// For what is well, and for what is added.
    #[must_use]
    pub fn good(self, text: &str) -> String {
        self.paint(text, Style::new().green())
    }

    /// For what needs attention.
    #[must_use]
    pub fn warn(self, text: &str) -> String {
        self.paint(text, Style::new().yellow())
    }

    /// For what is wrong, and for what is taken away.
    #[must_use]
    pub fn bad(self, text: &str) -> String {
        self.paint(text, Style::new().red())
    }

    /// For names of versions and the like.
    #[must_use]
    pub fn mark(self, text: &str) -> String {
        self.paint(text, Style::new().cyan())
    }
}

/// A duration for people: `0.4 s`, `12 s`, `3 min 5 s`, `2 h 10 min`, `3 d 4 h`.
#[must_use]
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..=9 => format!("{:.1} s", duration.as_secs_f64()),
        10..=59 => format!("{seconds} s"),
        60..=3599 => two(seconds / 60, "min", seconds % 60, "s"),
        3600..=86_399 => two(seconds / 3600, "h", seconds % 3600 / 60, "min"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3600, "h"),
    }
}

fn two(large: u64, large_unit: &str, small: u64, small_unit: &str) -> String {
    if small == 0 { format!("{large} {large_unit}") } else { format!("{large} {large_unit} {small} {small_unit}") }
}

/// A number of things: `1 action`, `2 actions`. Only for words whose plural ends in an s.
#[must_use]
pub fn count(number: usize, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}

/// An amount of bytes for people, in powers of 1024: `17 B`, `3.4 KiB`, `1.2 GiB`.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "one digit after the point is shown")]
pub fn bytes(amount: u64) -> String {
    let mut scaled = amount as f64;
    for unit in ["B", "KiB", "MiB", "GiB", "TiB"] {
        if scaled < 1024.0 {
            return if unit == "B" { format!("{amount} B") } else { format!("{scaled:.1} {unit}") };
        }
        scaled /= 1024.0;
    }
    format!("{scaled:.1} PiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_with_two_units_at_most() {
        assert_eq!(duration(Duration::from_millis(420)), "0.4 s");
        assert_eq!(duration(Duration::from_secs(59)), "59 s");
        assert_eq!(duration(Duration::from_secs(185)), "3 min 5 s");
        assert_eq!(duration(Duration::from_secs(7800)), "2 h 10 min");
        assert_eq!(duration(Duration::from_secs(86_400 * 3)), "3 d");
    }

    #[test]
    fn amounts_are_written_with_one_digit() {
        assert_eq!(bytes(17), "17 B");
        assert_eq!(bytes(3500), "3.4 KiB");
        assert_eq!(bytes(u64::MAX), "16384.0 PiB");
    }

    #[test]
    fn without_colour_text_is_left_alone() {
        assert_eq!(Palette { colour: false }.bad("x"), "x");
        assert!(Palette { colour: true }.bad("x").contains('\u{1b}'));
    }
}
