//! Debian's versions: `[EPOCH:]UPSTREAM[-REVISION]`, in the order of dpkg (deb-version(7)).
//!
//! Texts and numbers alternate. Texts compare letter by letter with `~` before the end, letters before other characters; numbers
//! by value. Takes what policy allows, refuses the rest; case matters, as with dpkg.

use super::error::Problem;
use super::key::{Facts, Family, Key, run, value};

const TILDE: u8 = 0x01;
/// The end of a text; also the end of a part, because no text but the first is empty.
const TEXT_END: u8 = 0x02;
/// Put on characters that are not letters, so that they come after letters.
const OTHER: u8 = 0x80;

/// Reads a Debian version.
pub(super) fn read(text: &str) -> Result<Facts, Problem> {
    let (epoch, rest) = text.split_once(':').unwrap_or(("0", text));
    if epoch.is_empty() || epoch.len() > 9 || !epoch.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong(format!("has `{}` as its epoch", epoch.escape_debug())));
    }
    let (upstream, revision) = rest.rsplit_once('-').map_or((rest, None), |(upstream, revision)| (upstream, Some(revision)));
    if !upstream.starts_with(|first: char| first.is_ascii_digit()) {
        return Err(wrong("does not start with a number"));
    }
    check(upstream, ".+~-:")?;
    if let Some(revision) = revision {
        if revision.is_empty() {
            return Err(wrong("has an empty revision"));
        }
        check(revision, ".+~")?;
    }
    let mut key = Key::new(Family::Debian);
    key.number(epoch);
    write_part(&mut key, upstream);
    write_part(&mut key, revision.unwrap_or_default());

    let mut numbers = Vec::new();
    let mut left = upstream;
    loop {
        let (digits, behind) = run(left, u8::is_ascii_digit);
        numbers.push(value(digits));
        left = behind;
        match behind.strip_prefix('.') {
            Some(next) if next.starts_with(|first: char| first.is_ascii_digit()) => left = next,
            _ => break,
        }
    }
    Ok(Facts {
        key: key.finish(),
        numbers: numbers.into(),
        epoch: value(epoch).unwrap_or_default(),
        prerelease: upstream.contains('~'),
        plain: left.is_empty() && revision.is_none(),
    })
}

fn check(part: &str, also: &str) -> Result<(), Problem> {
    match part.chars().find(|character| !character.is_ascii_alphanumeric() && !also.contains(*character)) {
        Some(wrong_one) => Err(wrong(format!("has `{}`, which no Debian version has", wrong_one.escape_debug()))),
        None => Ok(()),
    }
}

fn write_part(key: &mut Key, part: &str) {
    let mut rest = part;
    loop {
        let (text, behind) = run(rest, |byte| !byte.is_ascii_digit());
        for byte in text.bytes() {
            key.rank(match byte {
                b'~' => TILDE,
                letter if letter.is_ascii_alphabetic() => letter,
                other => other | OTHER,
            });
        }
        let (digits, behind) = run(behind, u8::is_ascii_digit);
        key.rank(TEXT_END).number(digits);
        rest = behind;
        if rest.is_empty() {
            break;
        }
    }
    key.rank(TEXT_END);
}

fn wrong(problem: impl Into<String>) -> Problem {
    let help = "a Debian version looks like `1:2.3~rc1-4`; for other versions the provider says another `version_scheme`";
    Problem::new(problem, help)
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use proptest::prelude::*;

    use crate::model::version::properties::{ascending, equal};
    use crate::model::version::{Version, VersionScheme};

    const DEBIAN: VersionScheme = VersionScheme::Debian;

    #[test]
    fn the_order_is_that_of_dpkg() {
        ascending(
            &DEBIAN,
            &["2.3-9", "1:2.3~rc1-4", "1:2.3-1~bpo11+1", "1:2.3-1", "1:2.3-1+b1", "1:2.3-1.1", "1:2.3-2", "1:2.3.1-1"],
        );
        ascending(&DEBIAN, &["1~~", "1~~a", "1~", "1", "1-1", "1a", "1+", "1.", "1.1", "10"]);
        ascending(&DEBIAN, &["15.18-0+deb12u1", "15.18-0+deb12u2", "16.2-1.pgdg120+1", "16.2-1.pgdg120+2", "18.4-1"]);
        equal(&DEBIAN, &["1.0", "0:1.0", "1.0-0", "1.00", "01.0"]);
        equal(&DEBIAN, &["1a", "1a0"]);
    }

    #[test]
    fn only_an_upstream_tilde_makes_a_prerelease() {
        assert!(Version::parse("1:2.3~rc1-4", &DEBIAN).unwrap().is_prerelease());
        assert!(!Version::parse("1:2.3-4~bpo1", &DEBIAN).unwrap().is_prerelease());
    }

    #[test]
    fn what_policy_refuses_is_refused() {
        for text in [":1", "a:1", "1:", "1-", "v1.0", "a1", "1_0", "1.0-a_b", "1.é", "12345678901:1", "1 2", "1:-1"] {
            assert!(Version::parse(text, &DEBIAN).is_err(), "{text}");
        }
    }

    /// dpkg's `verrevcmp`, transcribed from its description in deb-version(7): the oracle.
    fn oracle(left: &str, right: &str) -> Ordering {
        let rank = |byte: Option<&u8>| match byte {
            None => 0,
            Some(byte) if byte.is_ascii_digit() => 0,
            Some(b'~') => -1,
            Some(byte) if byte.is_ascii_alphabetic() => i32::from(*byte),
            Some(byte) => i32::from(*byte) + 256,
        };
        let (left, right) = (left.as_bytes(), right.as_bytes());
        let (mut i, mut j) = (0, 0);
        while i < left.len() || j < right.len() {
            while left.get(i).is_some_and(|byte| !byte.is_ascii_digit()) || right.get(j).is_some_and(|byte| !byte.is_ascii_digit())
            {
                let order = rank(left.get(i)).cmp(&rank(right.get(j)));
                if order != Ordering::Equal {
                    return order;
                }
                (i, j) = (i + 1, j + 1);
            }
            let number = |bytes: &[u8], at: &mut usize| {
                let mut number = 0u128;
                while let Some(digit) = bytes.get(*at).filter(|byte| byte.is_ascii_digit()) {
                    number = number * 10 + u128::from(digit - b'0');
                    *at += 1;
                }
                number
            };
            let order = number(left, &mut i).cmp(&number(right, &mut j));
            if order != Ordering::Equal {
                return order;
            }
        }
        Ordering::Equal
    }

    proptest! {
        #[test]
        fn versions_compare_as_dpkg_compares_them(
            left in "[01][0-2a.+~A]{0,8}", right in "[01][0-2a.+~A]{0,8}",
            left_revision in "[0-1a.+~]{1,5}", right_revision in "[0-1a.+~]{1,5}",
        ) {
            let expected = oracle(&left, &right).then_with(|| oracle(&left_revision, &right_revision));
            let left = Version::parse(&format!("{left}-{left_revision}"), &DEBIAN).unwrap();
            let right = Version::parse(&format!("{right}-{right_revision}"), &DEBIAN).unwrap();
            prop_assert_eq!(left.cmp(&right), expected);
        }
    }
}
