//! The dotted and the letter scheme: runs of digits and letters, as most vendors write versions.
//!
//! * Numbers behind dots are the release: `13.4.1`. Trailing zeros do not count: `5.0` is `5.0.0`.
//! * Words ordered before the release: `dev`, `SNAPSHOT` and `nightly`, `ea`, `alpha`, `beta`, `milestone`, `rc` (also `cr`, `pre`,
//!   `preview`), in this order; `m` with a number (`2.0-M1`), and `a`, `b`, `c` with a number directly behind the release (`1.8.0b2`).
//! * Words that say nothing: `GA`, `FINAL`, `RELEASE`, `LTS`, `stable`.
//! * Every other word is a patch, after the release and in the order of the alphabet: `8u392`, `2.1-hf1`, `1.0-SP2`.
//! * A number behind `-`, `_`, `+` or a space is a revision: after its release and its patches, before the next release number
//!   (`1.0 < 1.0-hf1 < 1.0-2 < 1.0.1`). Behind `~` it comes before the release.
//! * What stands before the first number is dropped (`v1.2`, `KAP 2.5`, `jdk-17.0.9`), unless it is one of the words that come before.
//!
//! Case never matters. The letter scheme differs in one thing: one or two letters directly behind the release are a patch that is
//! ordered by length first (`1.1.1 < 1.1.1a < 1.1.1z < 1.1.1za`), also where the dotted scheme would read `a1` as `alpha1`.

use super::error::Problem;
use super::key::{Facts, Family, Key, is_zero, run, value};

/// What one or two letters directly behind the release mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Letters {
    /// What they mean anywhere: the dotted scheme.
    Words,
    /// A patch: the letter scheme.
    Patches,
}

const TILDE: u8 = 0x10;
const DEV: u8 = 0x11;
const SNAPSHOT: u8 = 0x12;
const EARLY_ACCESS: u8 = 0x13;
const ALPHA: u8 = 0x14;
const BETA: u8 = 0x15;
const MILESTONE: u8 = 0x16;
const CANDIDATE: u8 = 0x17;
/// The end of the text: lower is before the release, higher after it.
const END: u8 = 0x20;
const WORD: u8 = 0x30;
const REVISION: u8 = 0x38;
const NUMBER: u8 = 0x40;

#[derive(Debug)]
enum Token<'t> {
    Number(&'t str),
    Revision(&'t str),
    Tilde(&'t str),
    Early(u8),
    Patch(String),
    Word(String),
}

/// What stood before: decides what a number is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    Start,
    Number,
    Qualifier,
    Dropped,
}

/// Reads a version of the dotted or letter scheme.
pub(super) fn read(text: &str, letters: Letters) -> Result<Facts, Problem> {
    check_characters(text)?;
    if !text.bytes().any(|byte| byte.is_ascii_digit()) {
        return Err(Problem::new(
            "has no number",
            "name a version, such as `1.2.3`; tags like `latest` move and cannot be planned",
        ));
    }
    let tokens = tokens(text, letters)?;
    let is_number = |token: &Token<'_>| matches!(token, Token::Number(_));
    let numbers =
        tokens.iter().map_while(|token| if let Token::Number(digits) = token { Some(value(digits)) } else { None }).collect();
    let prerelease = tokens.iter().any(|token| matches!(token, Token::Early(_) | Token::Tilde(_)));
    let plain = tokens.iter().all(is_number);
    let family = if letters == Letters::Patches { Family::Letter } else { Family::Dotted };
    Ok(Facts { key: encode(family, tokens), numbers, epoch: 0, prerelease, plain })
}

fn check_characters(text: &str) -> Result<(), Problem> {
    let Some(wrong) = text.chars().find(|character| !character.is_ascii_alphanumeric() && !is_separator(*character)) else {
        return Ok(());
    };
    let help = match wrong {
        ':' => "an epoch belongs to the scheme `debian`",
        '!' => "an epoch belongs to the scheme `pep440`",
        '*' => "a wildcard belongs in a constraint; write the version in full",
        '<' | '>' | '=' | ',' | '|' => "a constraint cannot stand here; write one version",
        _ => "write letters, digits and `.-_+~`, or let the provider pick the version out with `regex:` and a pattern",
    };
    Err(Problem::new(format!("has `{}`, which no version has", wrong.escape_debug()), help))
}

fn is_separator(character: char) -> bool {
    matches!(character, '.' | '-' | '_' | '+' | '~' | ' ')
}

fn tokens(text: &str, letters: Letters) -> Result<Vec<Token<'_>>, Problem> {
    let mut tokens = Vec::new();
    let mut before = Before::Start;
    let mut rest = text;
    while !rest.is_empty() {
        let (gap, behind) = run(rest, |byte| is_separator(char::from(*byte)));
        let separator = gap.trim();
        if before != Before::Start && (separator.len() > 1 || behind.is_empty()) {
            let place = if behind.is_empty() { "at its end" } else { "with nothing between" };
            return Err(Problem::new(
                format!("has `{separator}` {place}"),
                "write each part once, with one separator between: `1.2.3-rc1`",
            ));
        }
        let (digits, after) = run(behind, u8::is_ascii_digit);
        if !digits.is_empty() {
            tokens.push(number(digits, before, separator));
            (before, rest) = (Before::Number, after);
            continue;
        }
        let (word, after) = run(behind, u8::is_ascii_alphabetic);
        let numbered = after.starts_with(|next: char| next.is_ascii_digit());
        let in_release = !tokens.is_empty() && tokens.iter().all(|token| matches!(token, Token::Number(_)));
        let lower = word.to_ascii_lowercase();
        rest = after;
        if letters == Letters::Patches && in_release && gap.is_empty() && lower.len() <= 2 && lower != "rc" {
            tokens.push(Token::Patch(lower));
            before = Before::Qualifier;
        } else if let Some(rank) = early(&lower, numbered, in_release) {
            tokens.push(Token::Early(rank));
            before = Before::Qualifier;
        } else if before == Before::Start {
            // A prefix: `v`, `release-`, the product's name.
        } else if matches!(lower.as_str(), "ga" | "final" | "release" | "stable" | "lts") {
            before = Before::Dropped;
        } else {
            tokens.push(Token::Word(spelling(lower, numbered)));
            before = Before::Qualifier;
        }
    }
    Ok(tokens)
}

fn number<'t>(digits: &'t str, before: Before, separator: &str) -> Token<'t> {
    match (before, separator) {
        (Before::Start | Before::Qualifier, _) | (Before::Number, ".") => Token::Number(digits),
        (_, "~") => Token::Tilde(digits),
        _ => Token::Revision(digits),
    }
}

/// The rank of a word that comes before the release.
fn early(word: &str, numbered: bool, in_release: bool) -> Option<u8> {
    Some(match word {
        "dev" | "devel" => DEV,
        "snapshot" | "nightly" => SNAPSHOT,
        "ea" => EARLY_ACCESS,
        "alpha" => ALPHA,
        "beta" => BETA,
        "milestone" => MILESTONE,
        "rc" | "cr" | "pre" | "preview" => CANDIDATE,
        "a" if numbered && in_release => ALPHA,
        "b" if numbered && in_release => BETA,
        "m" if numbered && in_release => MILESTONE,
        "c" if numbered && in_release => CANDIDATE,
        _ => return None,
    })
}

/// One spelling for words that mean the same: `8u392` is `8 update 392`.
fn spelling(word: String, numbered: bool) -> String {
    match word.as_str() {
        "u" if numbered => "update".to_owned(),
        "p" | "pl" if numbered => "patch".to_owned(),
        _ => word,
    }
}

fn encode(family: Family, tokens: Vec<Token<'_>>) -> Box<[u8]> {
    let mut kept: Vec<Token<'_>> = Vec::with_capacity(tokens.len());
    for token in tokens {
        match token {
            Token::Number(_) | Token::Tilde(_) => {}
            Token::Revision(_) => drop_zeros(&mut kept, false),
            Token::Early(_) | Token::Patch(_) | Token::Word(_) => drop_zeros(&mut kept, true),
        }
        kept.push(token);
    }
    drop_zeros(&mut kept, true);
    let mut key = Key::new(family);
    for token in &kept {
        match token {
            Token::Number(digits) => key.rank(NUMBER).number(digits),
            Token::Revision(digits) => key.rank(REVISION).number(digits),
            Token::Tilde(digits) => key.rank(TILDE).number(digits),
            Token::Early(rank) => key.rank(*rank),
            Token::Patch(patch) => key.rank(WORD).rank(u8::from(patch.len() > 1)).text(patch),
            Token::Word(word) => key.rank(WORD).rank(2).text(word),
        };
    }
    key.rank(END);
    key.finish()
}

fn drop_zeros(tokens: &mut Vec<Token<'_>>, revisions: bool) {
    while tokens
        .pop_if(|last| match last {
            Token::Number(digits) => is_zero(digits),
            Token::Revision(digits) => revisions && is_zero(digits),
            _ => false,
        })
        .is_some()
    {}
}

#[cfg(test)]
mod tests {
    use crate::model::version::properties::{ascending, equal};
    use crate::model::version::{Version, VersionScheme};

    const DOTTED: VersionScheme = VersionScheme::Dotted;

    #[test]
    fn versions_of_real_products_are_in_order() {
        ascending(&DOTTED, &["11.0.3", "12.6.7", "13.4.1", "13.10.0"]);
        ascending(&DOTTED, &["2.5.4.9", "2.5.4.10", "2.5.4.1003", "3.0.1.2074", "3.3.0", "3.3.1", "3.4.5.2118", "4.5.16.1002-GA"]);
        ascending(&DOTTED, &["KAP 2.5.4.1003", "3.0.1.2074", "Kyligence-Enterprise-3.3.0"]);
        ascending(&DOTTED, &["1.7.11", "1.8.0-alpha3", "1.8.0-beta1", "1.8.0rc1", "1.8.0rc2", "1.8.0", "1.8.6", "1.9.0"]);
        ascending(&DOTTED, &["V5.0", "v5.0.1", "V5.1.1", "V5.2"]);
        ascending(&DOTTED, &["3.4.23", "3.5.0-rc.1", "3.5.0-rc.10", "3.5.0", "v3.5.1"]);
        ascending(&DOTTED, &["16.2", "18.4", "18.10"]);
        ascending(&DOTTED, &["2.14.3", "2.22.5"]);
        ascending(
            &DOTTED,
            &["1.8.0_45", "1.8.0_392", "8u45", "jdk8u392", "8u392-b08", "jdk-11.0.21", "17-ea+5", "17", "17.0.9", "17.0.9+9"],
        );
        ascending(&DOTTED, &["18.04 LTS", "20.04", "20.04.3 LTS", "20.10"]);
        ascending(&DOTTED, &["2012", "2012R2", "2016"]);
        ascending(
            &DOTTED,
            &["1.0-dev", "1.0-SNAPSHOT", "1.0-alpha1", "1.0.Beta2", "1.0-M1", "1.0-CR1", "1.0", "1.0-SP1", "1.0-1", "1.0.1"],
        );
        ascending(&DOTTED, &["1.1.1~1", "1.1.1a1", "1.1.1b1", "1.1.1", "1.1.1a", "1.1.1w", "1.1.2"]);
        ascending(&DOTTED, &["1.0-beta-SNAPSHOT", "1.0-beta", "1.0-beta.1", "1.0-beta1-2", "1.0-beta1.0.1", "1.0-beta2"]);
    }

    #[test]
    fn spellings_of_one_version_are_equal() {
        equal(&DOTTED, &["5", "5.0", "V5.0", "v5.0.0", "release-5.0", "5.0-GA", "5.0.0.RELEASE", "5.0.Final", "5 LTS", "05.00"]);
        equal(&DOTTED, &["1.8.0rc1", "1.8-RC.1", "1.8.0_rc_1", "1.8 rc 1", "1.8.0-cr1", "1.8.0rc01", "1.8~rc1"]);
        equal(&DOTTED, &["8u392", "8 Update 392", "8-u392"]);
        equal(&DOTTED, &["1.0-rc", "1.0rc0"]);
        equal(&DOTTED, &["0", "0.0", "v0"]);
        equal(&DOTTED, &["1-2", "1.0-2", "1.0.0_2", "1.0-2.0", "1+2"]);
        equal(&DOTTED, &["KAP 2.5.4.1003", "2.5.4.1003"]);
    }

    #[test]
    fn a_release_number_and_a_revision_are_not_the_same() {
        ascending(&DOTTED, &["1.0", "1.0-1", "1.0.0.1", "1.0.1"]);
        ascending(&DOTTED, &["1-0-1", "1-1", "1.0-2"]);
        ascending(&DOTTED, &["4.5-GA", "4.5-GA.2", "4.5-GA3"]);
    }

    #[test]
    fn prereleases_are_recognised() {
        for text in ["1.8.0rc1", "1.0-SNAPSHOT", "2.0.0-M1", "17-ea+5", "1.0~5", "1.0.dev3", "1.0b2", "snapshot-2024"] {
            assert!(Version::parse(text, &DOTTED).unwrap().is_prerelease(), "{text}");
        }
        for text in ["1.8.0", "4.5.16.1002-GA", "8u392-b08", "1.1.1a", "20.04.3 LTS", "1.0-1", "b1234", "1.0-preflight"] {
            assert!(!Version::parse(text, &DOTTED).unwrap().is_prerelease(), "{text}");
        }
    }

    #[test]
    fn letters_behind_the_release_are_patches_in_the_letter_scheme() {
        let letter = VersionScheme::Letter;
        ascending(
            &letter,
            &["1.1.0l", "1.1.1-pre1", "1.1.1rc2", "1.1.1", "1.1.1a", "1.1.1w", "1.1.1z", "1.1.1za", "1.1.1zb", "1.1.2"],
        );
        ascending(&letter, &["1.0.2-beta3", "1.0.2", "1.0.2b", "1.9.5p1", "1.9.5p2", "1.9.5p10"]);
        ascending(&letter, &["2021a", "2021e", "2022", "2022a", "9999aa", "9999ab"]);
        equal(&letter, &["1.1.1w", "v1.1.1W", "1.1.1w-GA"]);
        assert!(!Version::parse("1.1.1a2", &letter).unwrap().is_prerelease());
    }

    #[test]
    fn huge_numbers_neither_overflow_nor_collapse() {
        ascending(
            &DOTTED,
            &["18446744073709551615", "18446744073709551616", "18446744073709551617", "99999999999999999999999999.1"],
        );
    }

    #[test]
    fn what_is_no_version_is_refused_with_a_remedy() {
        for (text, problem, help) in [
            ("latest", "has no number", "tags like `latest`"),
            ("1..2", "has `..` with nothing between", "one separator"),
            ("1.2.", "has `.` at its end", "one separator"),
            ("1.2 -", "has `-` at its end", "one separator"),
            ("1:2.3", "has `:`", "`debian`"),
            ("1!2.3", "has `!`", "`pep440`"),
            ("1.*", "has `*`", "constraint"),
            (">= 1.2", "has `>`", "one version"),
            ("16.2 (Debian)", "has `(`", "`regex:`"),
            ("1.2/../3", "has `/`", "`regex:`"),
            ("1.é", "has `é`", "`regex:`"),
        ] {
            let error = Version::parse(text, &DOTTED).unwrap_err();
            assert!(error.problem.starts_with(problem), "{text}: {error}");
            assert!(error.help.contains(help), "{text}: {}", error.help);
        }
    }
}
