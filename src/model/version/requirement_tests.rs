//! What constraints take, refuse and choose.

use proptest::prelude::*;

use super::VersionReq;
use crate::model::version::{Version, VersionScheme};

const DOTTED: VersionScheme = VersionScheme::Dotted;

fn req(text: &str) -> VersionReq {
    VersionReq::parse(text, &DOTTED).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn version(text: &str) -> Version {
    Version::parse(text, &DOTTED).unwrap()
}

#[track_caller]
fn check(constraint: &str, scheme: &VersionScheme, fits: &[&str], not: &[&str]) {
    let req = VersionReq::parse(constraint, scheme).unwrap_or_else(|error| panic!("{constraint}: {error}"));
    for text in fits {
        assert!(req.matches(&Version::parse(text, scheme).unwrap()), "{constraint} must fit {text}");
    }
    for text in not {
        assert!(!req.matches(&Version::parse(text, scheme).unwrap()), "{constraint} must not fit {text}");
    }
}

#[test]
fn comparisons_go_by_the_order_of_the_scheme() {
    check("13.4.1", &DOTTED, &["13.4.1", "V13.4.1.0", "13.4.1-GA"], &["13.4.10", "13.4", "13.4.1-1"]);
    check("= 1.2", &DOTTED, &["1.2.0"], &["1.2.1"]);
    check("==1.2", &DOTTED, &["1.2.0"], &["1.2.1"]);
    check("!= 1.2", &DOTTED, &["1.2.1", "1.2rc1"], &["1.2.0"]);
    check(">= 3.3, < 4", &DOTTED, &["3.3", "3.9.9", "3.3.0-1", "4.0-rc1"], &["3.2.9", "3.3rc1", "4", "4.0.0"]);
    check("> 3.3", &DOTTED, &["3.3.0.1"], &["3.3", "3.3.0"]);
    check("<= 3.3", &DOTTED, &["3.3.0", "3"], &["3.3.1"]);
    check("< 2 || >= 3, != 3.1 || 2.5.x", &DOTTED, &["1", "3", "3.2", "2.5.7"], &["2", "3.1", "2.6"]);
    check("*", &DOTTED, &["0", "1.0rc1"], &[]);
    check("= *", &DOTTED, &["0"], &[]);
}

#[test]
fn the_pessimistic_operator_lets_the_last_number_grow() {
    check("~> 13.4", &DOTTED, &["13.4", "13.4.1", "13.10.0", "13.999"], &["13.3.9", "14", "14.0-rc1", "13.4-rc1"]);
    check("~> 13.4.1", &DOTTED, &["13.4.1", "13.4.99", "13.4.1-hf2"], &["13.4.0", "13.5", "13.5.0-rc1", "14.4.1"]);
    check("~> 1.0", &DOTTED, &["1", "1.0", "1.9"], &["2", "0.9"]);
    check("~>1.8.0-beta1", &DOTTED, &["1.8.0-beta1", "1.8.0rc1", "1.8", "1.8.6"], &["1.8.0-alpha1", "1.9"]);
    check("~> 1!2.3", &VersionScheme::Pep440, &["1!2.4"], &["2!2.4", "2.4"]);
    check("~> 1:2.3", &VersionScheme::Debian, &["1:2.4-1"], &["2:2.4-1", "2.4-1", "1:3.0-1"]);
    check("~> 1.1.1a", &VersionScheme::Letter, &["1.1.1w"], &["1.1.1", "1.2"]);
    check("~> v3.4", &VersionScheme::Semver, &["3.5.0"], &["4.0.0", "4.0.0-rc.1"]);
}

#[test]
fn a_wildcard_fits_what_begins_with_its_numbers() {
    for wildcard in ["1.8.x", "1.8.X", "1.8.*", "v1.8.x.x", "= 1.8.*"] {
        check(wildcard, &DOTTED, &["1.8", "1.8.0", "1.8.6", "1.8.6.1-GA", "1.8.0rc1"], &["1.80", "1.9", "1.7.11", "2.8.1"]);
    }
    check("!= 1.8.x", &DOTTED, &["1.9"], &["1.8.1"]);
    check("1.x", &VersionScheme::Semver, &["1.9.0"], &["2.0.0"]);
    check("1:2.x", &VersionScheme::Debian, &["1:2.3~rc1-4"], &["2.3-4"]);
    check("1.0.x", &DOTTED, &["1"], &["1.1"]);
}

#[test]
fn a_number_beyond_64_bits_is_not_taken_for_an_absent_one() {
    check("1.0.x", &DOTTED, &[], &["1.99999999999999999999"]);
    check("~> 1.0.0", &DOTTED, &[], &["1.99999999999999999999.0"]);
    for text in ["99999999999999999999.x", "~> 99999999999999999999.1"] {
        assert_eq!(VersionReq::parse(text, &DOTTED).unwrap_err().problem, "has a number beyond 64 bits");
    }
    check("> 99999999999999999999", &DOTTED, &["99999999999999999999.1"], &["1"]);
}

#[test]
fn a_prerelease_is_chosen_only_where_it_is_asked_for() {
    let selects = |constraint: &str, text: &str| req(constraint).selects(&version(text));
    assert!(selects(">= 1.8", "1.9.0") && !selects(">= 1.8", "1.9.0-rc1") && req(">= 1.8").matches(&version("1.9.0-rc1")));
    assert!(!selects("*", "1.0-SNAPSHOT") && !selects("1.8.x", "1.8.1rc1") && !selects("< 14", "14.0-rc1"));
    assert!(selects("1.8.0rc1", "1.8.0-rc.1"));
    assert!(selects(">= 1.8.0-beta1", "1.8rc1") && selects(">= 1.8.0-beta1", "1.9") && !selects(">= 1.8.0-beta1", "1.9.0rc1"));
    assert!(selects(">= 1.8.0-beta1, < 2", "1.8.0rc1"));
    assert!(!selects("!= 1.8.0rc1", "1.8.0rc2"));
    assert!(!selects(">= 1.9 || = 1.8.0rc1", "1.9.1rc1") && selects(">= 1.9 || = 1.8.0rc1", "1.8.0rc1"));
    assert!(!selects(">= 1.8.0-rc1", "1.7"));
}

#[test]
fn only_one_plain_version_is_exact() {
    assert_eq!(req("13.4.1").is_exact().map(Version::text), Some("13.4.1"));
    assert_eq!(req("= V5.0").is_exact().map(Version::text), Some("V5.0"));
    for text in ["~> 13.4", "13.4.x", "*", ">= 1", "1 || 2", "1, 1", "!= 1"] {
        assert!(req(text).is_exact().is_none(), "{text}");
    }
}

#[test]
fn a_constraint_prints_as_written() {
    for text in ["13.4.1", ">=3.3,<4", "~> 13.4 || 20.04.3 LTS"] {
        assert_eq!(req(&format!(" {text}\n")).to_string(), text);
        assert_eq!(req(text), req(&req(text).to_string()));
    }
    assert_eq!(serde_json::to_string(&req("~> 1.2")).unwrap(), "\"~> 1.2\"");
}

#[test]
fn under_a_pattern_both_the_name_and_what_it_captures_can_be_compared() {
    let scheme: VersionScheme = "regex:^KAP (.*)$".parse().unwrap();
    check(">= 2.5, < KAP 3", &scheme, &["KAP 2.5", "KAP 2.5.4.1003"], &["KAP 3.0.1", "KAP 2.4"]);
    check("KAP 2.x", &scheme, &["KAP 2.5"], &["KAP 3"]);
    check("~> 2.5", &scheme, &["KAP 2.6"], &["KAP 3"]);
    assert!(VersionReq::parse(">= latest", &scheme).unwrap_err().problem.contains("does not match the pattern"));
}

#[test]
fn what_is_no_constraint_is_refused_at_its_place_with_a_remedy() {
    for (text, token, place, help) in [
        ("", "", 0..0, "`*` for any"),
        (">= 3.3, => 4", "=>", 8..10, "write `>= 4`"),
        ("=< 4", "=<", 0..2, "write `<= 4`"),
        ("<> 4", "<>", 0..2, "write `!= 4`"),
        ("^1.2", "^", 0..1, "write `~> 1.2`"),
        ("~1.2", "~", 0..1, "write `~> 1.2`"),
        ("~= 1.2", "~=", 0..2, "write `~> 1.2`"),
        ("<<1", "<<", 0..2, "write one of"),
        (">= 3.3 < 4", "< 4", 7..10, "joined by `,`"),
        (">= 3.3 ~> 4", "~> 4", 7..11, "joined by `,`"),
        (">= 3.3 != 4", "!= 4", 7..11, "joined by `,`"),
        ("1 | 2", "| 2", 2..5, "joined by `||`"),
        ("1.2 - 1.5", "1.2 - 1.5", 0..9, "write `>= 1.2, <= 1.5`"),
        (">=", ">=", 0..2, "`>= 1.2`"),
        ("~>", "~>", 2..4, "`~> 1.2`"),
        ("1.0,", "1.0,", 0..4, "both sides"),
        ("|| 1.0", "|| 1.0", 0..6, "both sides"),
        ("~> 13", "13", 3..5, "`~> 13.0`"),
        ("~> 1.x", "1.x", 3..6, "`1.x` alone"),
        ("> 1.x", "> 1.x", 0..5, "`> 1`"),
        ("> *", "> *", 0..3, "`> 1.2`"),
        ("!= *", "!= *", 0..4, "`!= 1.2`"),
        ("1.x.3", "1.x.3", 0..5, "`1.8.x`"),
        ("1.0rc1.x", "1.0rc1.x", 0..8, "release numbers only"),
        (">= 1, latest", "latest", 6..12, "tags like"),
        ("1.*-GA", "1.*-GA", 0..6, "wildcard"),
    ] {
        let error = VersionReq::parse(text, &DOTTED).unwrap_err();
        assert_eq!((error.token.as_str(), error.range.clone()), (token, place), "{text}: {error}");
        assert!(error.help.contains(help), "{text}: {}", error.help);
    }
    assert!(VersionReq::parse(&"1,".repeat(400), &DOTTED).unwrap_err().problem.contains("more than 64"));
    assert!(VersionReq::parse(&" ".repeat(1025), &DOTTED).is_err());
    assert!(VersionReq::parse(&"1".repeat(1025), &DOTTED).unwrap_err().problem.contains("longer than 1024"));
}

proptest! {
    #[test]
    fn no_text_makes_it_panic_and_every_error_points_into_the_text(text in "\\PC{0,40}|[0-9x.*<>=!~^|, v-]{0,30}") {
        for scheme in crate::model::version::properties::schemes() {
            match VersionReq::parse(&text, &scheme) {
                Ok(req) => prop_assert_eq!(VersionReq::parse(&req.to_string(), &scheme).unwrap(), req),
                Err(error) => prop_assert!(text.get(error.range.clone()).is_some(), "{:?} {:?}", text, error),
            }
        }
    }

    #[test]
    fn comparisons_agree_with_the_order(left in "[0-2]{1,2}(\\.[0-2]){0,2}(rc[12]|-[12])?", right in "[0-2]{1,2}(\\.[0-2]){0,2}(rc[12]|-[12])?") {
        let subject = version(&left);
        let holds = |sign: &str| req(&format!("{sign} {right}")).matches(&subject);
        let bound = version(&right);
        prop_assert_eq!(holds(">"), subject > bound);
        prop_assert_eq!(holds("<="), subject <= bound);
        prop_assert_eq!(holds("<"), !holds(">="));
        prop_assert_eq!(holds("="), !holds("!="));
        let either = req(&format!("< {right} || >= {right}"));
        prop_assert!(either.matches(&subject));
        prop_assert!(!subject.is_prerelease() || !req("> 0.0").selects(&subject));
    }

    #[test]
    fn the_pessimistic_operator_is_the_range_it_stands_for(major in 0u64..4, minor in 0u64..4, text in "[0-4]\\.[0-4](\\.[0-4])?") {
        let subject = version(&text);
        prop_assert_eq!(
            req(&format!("~> {major}.{minor}")).matches(&subject),
            req(&format!(">= {major}.{minor}, < {}", major + 1)).matches(&subject)
        );
        prop_assert_eq!(
            req(&format!("~> {major}.{minor}.2")).matches(&subject),
            req(&format!(">= {major}.{minor}.2, < {major}.{}", minor + 1)).matches(&subject)
        );
    }
}

#[test]
fn the_versions_that_a_constraint_names_and_allows_are_its_landmarks() {
    let named = |text: &str| {
        let req = VersionReq::parse(text, &VersionScheme::Dotted).unwrap();
        req.named().map(|version| version.text().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(named("~> 3.4"), ["3.4"]);
    assert_eq!(named(">= 3.4, < 3.5"), ["3.4"]);
    assert_eq!(named("> 3.4"), [""; 0]);
    assert_eq!(named("1.8.x || 2.0"), ["1.8", "2.0"]);
    let alternatives: Vec<VersionReq> =
        VersionReq::parse("1.0 || >= 2, < 3", &VersionScheme::Dotted).unwrap().alternatives().collect();
    let version = |text| Version::parse(text, &VersionScheme::Dotted).unwrap();
    assert!(alternatives[0].matches(&version("1.0")) && !alternatives[0].matches(&version("2.1")));
    assert!(alternatives[1].matches(&version("2.1")) && !alternatives[1].matches(&version("1.0")));
}
