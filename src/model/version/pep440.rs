//! Python's PEP 440: epoch, release, pre-, post- and development releases, local versions.
//!
//! Takes every spelling that the PEP's normalisation takes (`1.0-RC.1`, `v1.0`, `1.0-1` for a post-release) and gives the order of
//! the PEP (as packaging's `Version` has it).

use super::error::Problem;
use super::key::{Facts, Family, Key, is_zero, run, value};

const RELEASE_END: u8 = 0x01;
const RELEASE_NUMBER: u8 = 0x02;

/// Reads a PEP 440 version.
pub(super) fn read(text: &str) -> Result<Facts, Problem> {
    let lower = text.to_ascii_lowercase();
    let bare = lower.strip_prefix('v').unwrap_or(&lower);
    let (epoch, rest) = bare.split_once('!').unwrap_or(("0", bare));
    if epoch.is_empty() || !epoch.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong(format!("has `{}` as its epoch", epoch.escape_debug())));
    }
    let epoch = value(epoch).ok_or_else(|| wrong("has an epoch beyond 64 bits"))?;

    let (release, mut rest) = release(rest)?;
    let pre = marker(&mut rest, &[("alpha", 1), ("a", 1), ("beta", 2), ("b", 2), ("preview", 3), ("pre", 3), ("rc", 3), ("c", 3)]);
    let post = match implicit_post(&mut rest) {
        Some(number) => Some((0, number)),
        None => marker(&mut rest, &[("post", 0), ("rev", 0), ("r", 0)]),
    };
    let dev = marker(&mut rest, &[("dev", 0)]);
    let local = rest.strip_prefix('+');
    if local.is_none() && !rest.is_empty() {
        return Err(wrong(format!("has `{}` behind its release", rest.escape_debug())));
    }

    let mut key = Key::new(Family::Pep440);
    key.number(&epoch.to_string());
    let significant = release.iter().rposition(|digits| !is_zero(digits)).map_or(0, |last| last + 1);
    for digits in &release[..significant] {
        key.rank(RELEASE_NUMBER).number(digits);
    }
    key.rank(RELEASE_END);
    // A development release of the release itself comes before its alphas; one of a pre- or post-release does not.
    match pre {
        Some((rank, number)) => key.rank(rank).number(number),
        None if post.is_none() && dev.is_some() => key.rank(0),
        None => key.rank(4),
    };
    match post {
        Some((_, number)) => key.rank(1).number(number),
        None => key.rank(0),
    };
    match dev {
        Some((_, number)) => key.rank(0).number(number),
        None => key.rank(1),
    };
    write_local(&mut key, local)?;

    Ok(Facts {
        key: key.finish(),
        numbers: release.iter().map(|digits| value(digits)).collect(),
        epoch,
        prerelease: pre.is_some() || dev.is_some(),
        plain: rest.is_empty() && pre.is_none() && post.is_none() && dev.is_none(),
    })
}

fn release(text: &str) -> Result<(Vec<&str>, &str), Problem> {
    let (first, mut rest) = run(text, u8::is_ascii_digit);
    if first.is_empty() {
        return Err(wrong("does not start with a number"));
    }
    let mut numbers = vec![first];
    while let Some(behind) = rest.strip_prefix('.') {
        let (digits, after) = run(behind, u8::is_ascii_digit);
        if digits.is_empty() {
            break;
        }
        numbers.push(digits);
        rest = after;
    }
    Ok((numbers, rest))
}

/// Takes a marker such as `.rc-1` off the front: its rank and its number, empty for zero.
fn marker<'t>(rest: &mut &'t str, names: &[(&str, u8)]) -> Option<(u8, &'t str)> {
    let bare = rest.strip_prefix(['.', '-', '_']).unwrap_or(rest);
    let (word, behind) = run(bare, u8::is_ascii_alphabetic);
    let (_, rank) = names.iter().find(|(name, _)| *name == word)?;
    // The separator belongs to the marker only where a number follows: `1.0a.dev1` is a development release of `1.0a0`.
    let (digits, after) = run(behind.strip_prefix(['.', '-', '_']).unwrap_or(behind), u8::is_ascii_digit);
    *rest = if digits.is_empty() { behind } else { after };
    Some((*rank, digits))
}

/// `1.0-1` is `1.0.post1`.
fn implicit_post<'t>(rest: &mut &'t str) -> Option<&'t str> {
    let (digits, after) = run(rest.strip_prefix('-')?, u8::is_ascii_digit);
    if digits.is_empty() {
        return None;
    }
    *rest = after;
    Some(digits)
}

fn write_local(key: &mut Key, local: Option<&str>) -> Result<(), Problem> {
    let Some(local) = local else {
        key.rank(0);
        return Ok(());
    };
    for segment in local.split(['.', '-', '_']) {
        if segment.is_empty() || !segment.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(wrong(format!("has `{}` in its local part", segment.escape_debug())));
        }
        if segment.bytes().all(|byte| byte.is_ascii_digit()) {
            key.rank(3).number(segment);
        } else {
            key.rank(2).text(segment);
        }
    }
    key.rank(1);
    Ok(())
}

fn wrong(problem: impl Into<String>) -> Problem {
    let help =
        "a PEP 440 version looks like `1!2.3rc1.post2.dev3+local`; for other versions the provider says another `version_scheme`";
    Problem::new(problem, help)
}

#[cfg(test)]
mod tests {
    use crate::model::version::properties::{ascending, equal};
    use crate::model::version::{Version, VersionScheme};

    const PEP440: VersionScheme = VersionScheme::Pep440;

    #[test]
    fn the_order_is_that_of_the_pep() {
        ascending(
            &PEP440,
            &[
                "1.0.dev456",
                "1.0a1",
                "1.0a2.dev456",
                "1.0a12.dev456",
                "1.0a12",
                "1.0b1.dev456",
                "1.0b2",
                "1.0b2.post345.dev456",
                "1.0b2.post345",
                "1.0rc1.dev456",
                "1.0rc1",
                "1.0",
                "1.0+abc.5",
                "1.0+abc.7",
                "1.0+5",
                "1.0.post456.dev34",
                "1.0.post456",
                "1.0.15",
                "1.1.dev1",
                "1.1",
                "2.22.5",
                "1!0.1",
                "2!0",
            ],
        );
        ascending(&PEP440, &["1.0+abc", "1.0+abc.1", "1.0+abd", "1.0+9", "1.0+10", "1.0+10.a"]);
        ascending(&PEP440, &["0.dev1", "0a0", "0", "0.0.1", "99999999999999999999", "100000000000000000000"]);
    }

    #[test]
    fn spellings_that_the_pep_normalises_are_equal() {
        equal(&PEP440, &["1.0rc1", "v1.0-RC.1", "1.0.0_c1", "1rc01", "0!1.0preview1", "1.0pre1"]);
        equal(&PEP440, &["1.0.post1", "1.0-1", "1.0-r1", "1.0_rev.1"]);
        equal(&PEP440, &["1.0a", "1.0alpha0"]);
        equal(&PEP440, &["1.0a.dev1", "1.0a0.dev1"]);
        equal(&PEP440, &["1.0+Ubuntu-1", "1.0+ubuntu.01"]);
        equal(&PEP440, &["1.0", "1", "1.0.0.0"]);
    }

    #[test]
    fn what_the_pep_refuses_is_refused() {
        for text in [
            "1.0-SNAPSHOT",
            "1.0.RELEASE",
            "8u392",
            "!1",
            "a!1",
            "1!",
            "1..0",
            "1.",
            "1.0+",
            "1.0+a..b",
            "1.0+é",
            "1.0rc1rc2",
            "rc1",
            "1.0-",
        ] {
            assert!(Version::parse(text, &PEP440).is_err(), "{text}");
        }
        let error = Version::parse("99999999999999999999!1", &PEP440).unwrap_err();
        assert_eq!(error.problem, "has an epoch beyond 64 bits");
    }

    #[test]
    fn post_and_local_versions_are_no_prereleases() {
        let early = |text| Version::parse(text, &PEP440).unwrap().is_prerelease();
        assert!(early("1.0rc1") && early("1.0.dev1") && early("1.0.post1.dev2") && early("1.0a1.post2"));
        assert!(!early("1.0.post1") && !early("1.0+rc1") && !early("1!1.0"));
    }
}
