//! The sort key of a version: bytes whose plain order is the order of the versions.
//!
//! Takes numbers as written (of any length) and words, gives bytes. Every piece is self-delimiting, so no piece is a prefix of a
//! different one of its kind and the first differing byte decides. Never parses: each scheme decides what goes in, and in which order.

/// What a scheme finds in the text of a version.
#[derive(Debug)]
pub(super) struct Facts {
    /// Orders the version among those of its scheme.
    pub(super) key: Box<[u8]>,
    /// The release numbers as written; `None` for one beyond 64 bits.
    pub(super) numbers: Box<[Option<u64>]>,
    /// The epoch, where the scheme has one.
    pub(super) epoch: u64,
    /// Comes before the release that it names.
    pub(super) prerelease: bool,
    /// Nothing but epoch and release numbers: what a wildcard can be put after.
    pub(super) plain: bool,
}

/// Which order a key belongs to: its first byte, so that versions of different schemes are never equal.
#[derive(Debug, Clone, Copy)]
#[repr(u8)]
pub(super) enum Family {
    Dotted = 1,
    Letter = 2,
    Semver = 3,
    Pep440 = 4,
    Debian = 5,
}

/// Writes a key, piece by piece.
#[derive(Debug)]
pub(super) struct Key(Vec<u8>);

impl Key {
    pub(super) fn new(family: Family) -> Self {
        Self(vec![family as u8])
    }

    /// A rank: lower comes first.
    pub(super) fn rank(&mut self, rank: u8) -> &mut Self {
        self.0.push(rank);
        self
    }

    /// A number of any size: how many digits it has, then the digits. A version's bounded length makes one byte enough.
    pub(super) fn number(&mut self, digits: &str) -> &mut Self {
        let digits = digits.trim_start_matches('0');
        self.0.push(u8::try_from(digits.len()).unwrap_or(u8::MAX));
        self.0.extend_from_slice(digits.as_bytes());
        self
    }

    /// ASCII text, then a byte lower than any in it.
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(0);
        self
    }

    pub(super) fn finish(self) -> Box<[u8]> {
        self.0.into_boxed_slice()
    }
}

/// Whether digits are zero (an absent number counts as zero).
pub(super) fn is_zero(digits: &str) -> bool {
    digits.bytes().all(|digit| digit == b'0')
}

/// The number that digits say, where it fits.
pub(super) fn value(digits: &str) -> Option<u64> {
    digits.parse().ok()
}

/// Splits off the longest run at the start whose bytes pass; cuts ASCII text only at character boundaries.
pub(super) fn run(text: &str, test: impl Fn(&u8) -> bool) -> (&str, &str) {
    let end = text.bytes().position(|byte| !test(&byte)).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

#[cfg(test)]
mod tests {
    use super::{Family, Key};

    fn key(digits: &str) -> Box<[u8]> {
        let mut key = Key::new(Family::Dotted);
        key.number(digits);
        key.finish()
    }

    #[test]
    fn numbers_order_by_value_whatever_their_length() {
        let ordered = ["0", "1", "9", "10", "99", "18446744073709551615", "18446744073709551616", "99999999999999999999999"];
        for (index, lower) in ordered.iter().enumerate() {
            for upper in &ordered[index + 1..] {
                assert!(key(lower) < key(upper), "{lower} {upper}");
            }
        }
        assert_eq!(key("007"), key("7"));
        assert_eq!(key("000"), key(""));
    }

    #[test]
    fn text_orders_before_what_continues_it() {
        let key = |text| {
            let mut key = Key::new(Family::Dotted);
            key.text(text).rank(0xff);
            key.finish()
        };
        assert!(key("a") < key("aa"));
        assert!(key("aa") < key("b"));
    }
}
