//! Semantic Versioning 2.0, as <https://semver.org> defines its grammar and precedence.
//!
//! More is let pass than the standard has: a leading `v`, as Git tags have it, and absent minor and patch numbers, which count as
//! zero. Build metadata does not order, so versions that differ in nothing else are equal.

use super::error::Problem;
use super::key::{Facts, Family, Key, value};

const IDENTIFIERS_END: u8 = 0x01;
const NUMERIC: u8 = 0x02;
const ALPHANUMERIC: u8 = 0x03;
const PRERELEASE: u8 = 0x01;
const RELEASE: u8 = 0x02;

/// Reads a semantic version.
pub(super) fn read(text: &str) -> Result<Facts, Problem> {
    let bare = text.strip_prefix(['v', 'V']).unwrap_or(text);
    let (rest, build) = bare.split_once('+').map_or((bare, None), |(rest, build)| (rest, Some(build)));
    let (release, prerelease) = rest.split_once('-').map_or((rest, None), |(release, prerelease)| (release, Some(prerelease)));

    let parts: Vec<&str> = release.split('.').collect();
    if parts.len() > 3 {
        return Err(wrong("has more than three numbers"));
    }
    let mut key = Key::new(Family::Semver);
    for part in &parts {
        if part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong(format!("has `{part}` where a number belongs")));
        }
        no_leading_zero(part)?;
    }
    for index in 0..3 {
        key.number(parts.get(index).copied().unwrap_or_default());
    }
    match prerelease {
        None => {
            key.rank(RELEASE);
        }
        Some(identifiers) => {
            key.rank(PRERELEASE);
            for identifier in identifiers.split('.') {
                check_identifier(identifier)?;
                if identifier.bytes().all(|byte| byte.is_ascii_digit()) {
                    no_leading_zero(identifier)?;
                    key.rank(NUMERIC).number(identifier);
                } else {
                    key.rank(ALPHANUMERIC).text(identifier);
                }
            }
            key.rank(IDENTIFIERS_END);
        }
    }
    if let Some(build) = build {
        build.split('.').try_for_each(check_identifier)?;
    }
    Ok(Facts {
        key: key.finish(),
        numbers: parts.iter().map(|part| value(part)).collect(),
        epoch: 0,
        prerelease: prerelease.is_some(),
        plain: prerelease.is_none() && build.is_none(),
    })
}

fn no_leading_zero(digits: &str) -> Result<(), Problem> {
    if digits.len() > 1 && digits.starts_with('0') {
        Err(wrong(format!("has `{digits}`, which starts with a zero")))
    } else {
        Ok(())
    }
}

fn check_identifier(identifier: &str) -> Result<(), Problem> {
    if !identifier.is_empty() && identifier.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Ok(());
    }
    Err(wrong(format!("has `{}` as an identifier behind `-` or `+`", identifier.escape_debug())))
}

fn wrong(problem: impl Into<String>) -> Problem {
    let help = "a semantic version looks like `1.2.3-rc.1+build.5`; for other versions the provider says another `version_scheme`";
    Problem::new(problem, help)
}

#[cfg(test)]
mod tests {
    use crate::model::version::properties::{ascending, equal};
    use crate::model::version::{Version, VersionScheme};

    const SEMVER: VersionScheme = VersionScheme::Semver;

    #[test]
    fn precedence_is_that_of_the_standard() {
        ascending(
            &SEMVER,
            &["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1"],
        );
        ascending(&SEMVER, &["1.0.0-rc.1", "1.0.0", "2.0.0", "2.1.0", "2.1.1", "2.10.0"]);
        ascending(&SEMVER, &["1.0.0--", "1.0.0-A", "1.0.0-a", "1.0.0-a-b", "1.0.0-a0", "1.0.0-aa"]);
        ascending(&SEMVER, &["3.5.0-rc.1", "3.5.0", "99999999999999999999.0.0", "100000000000000000000.0.0"]);
        equal(&SEMVER, &["1.2.0", "v1.2", "1.2.0+build.5", "1.2.0+001"]);
    }

    #[test]
    fn what_the_standard_refuses_is_refused() {
        for text in [
            "1.2.3.4",
            "01.2.3",
            "1.02.3",
            "1.2.3-01",
            "1.2.3-",
            "1.2.3-a..b",
            "1.2.3+",
            "1.2.3-é",
            "1.2.x",
            "a",
            "v",
            "-1",
            "1.2.3-a_b",
        ] {
            let error = Version::parse(text, &SEMVER).unwrap_err();
            assert!(error.help.contains("`1.2.3-rc.1+build.5`"), "{text}");
        }
        assert!(Version::parse("1.2.3-0a", &SEMVER).is_ok());
        assert!(Version::parse("1.2.3-0", &SEMVER).unwrap().is_prerelease());
    }
}
