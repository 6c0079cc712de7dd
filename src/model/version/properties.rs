//! What holds for the versions of every scheme, and the checks that the schemes' own tests share.

use std::cmp::Ordering;
use std::hash::{BuildHasher, RandomState};

use proptest::prelude::*;

use super::{Version, VersionScheme};

/// Every text comes before those behind it.
#[track_caller]
pub(super) fn ascending(scheme: &VersionScheme, texts: &[&str]) {
    let versions: Vec<Version> = texts.iter().map(|text| parse(text, scheme)).collect();
    for (index, lower) in versions.iter().enumerate() {
        for upper in &versions[index + 1..] {
            assert!(lower < upper, "{lower} < {upper} under {scheme}");
            assert!(upper > lower && lower != upper);
        }
    }
}

/// All texts are the same version.
#[track_caller]
pub(super) fn equal(scheme: &VersionScheme, texts: &[&str]) {
    for left in texts {
        for right in texts {
            assert_eq!(parse(left, scheme).cmp(&parse(right, scheme)), Ordering::Equal, "{left} {right} under {scheme}");
        }
    }
}

#[track_caller]
fn parse(text: &str, scheme: &VersionScheme) -> Version {
    Version::parse(text, scheme).unwrap_or_else(|error| panic!("{error} under {scheme}"))
}

/// The release numbers, padded with zeros to a fixed count.
fn numbers(version: &Version) -> Vec<Option<u64>> {
    (0..8).map(|index| if index < version.component_count() { version.component(index) } else { Some(0) }).collect()
}

/// One of each scheme.
pub(super) fn schemes() -> Vec<VersionScheme> {
    ["semver", "pep440", "dotted", "letter", "debian", "regex:^KAP (.*)$"].iter().map(|text| text.parse().unwrap()).collect()
}

/// A scheme with a text that is likely a version under it.
fn likely() -> impl Strategy<Value = (VersionScheme, [String; 3])> {
    let of = |scheme: &str, pattern: &str| {
        let scheme: VersionScheme = scheme.parse().unwrap();
        let text = proptest::string::string_regex(pattern).unwrap().boxed();
        (Just(scheme), [text.clone(), text.clone(), text]).boxed()
    };
    let loose = "[vV]?[0-2]{1,2}(\\.[0-2]){0,3}([-._ +~]?(rc|alpha|SNAPSHOT|GA|u|hf|a|b|m)?[0-2]?){0,3}";
    prop_oneof![
        of("semver", "v?[0-2](\\.[0-2]){0,2}(-[01a]{1,2}(\\.[1a-]){0,2})?(\\+[0a])?"),
        of("pep440", "([01]!)?[0-2](\\.[0-2]){0,2}((a|b|rc)[0-2]?)?(\\.post[0-2]|-[0-2])?(\\.dev[01])?(\\+[a1](\\.[a01]){0,2})?"),
        of("dotted", loose),
        of("letter", "[0-2](\\.[0-2]){0,2}[abz]{0,2}(-(pre|beta)[01])?"),
        of("debian", "([01]:)?[0-2][0-2a.+~-]{0,5}(-[01a~]{1,3})?"),
        of("regex:^KAP (.*)$", &format!("KAP {loose}")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_order_is_total_and_agrees_with_equality_and_hash((scheme, texts) in likely()) {
        let versions: Vec<Version> = texts.iter().filter_map(|text| Version::parse(text, &scheme).ok()).collect();
        let hasher = RandomState::new();
        for a in &versions {
            prop_assert_eq!(a.cmp(a), Ordering::Equal);
            for b in &versions {
                prop_assert_eq!(a.cmp(b), b.cmp(a).reverse());
                prop_assert_eq!(a == b, a.cmp(b) == Ordering::Equal);
                prop_assert!(a != b || hasher.hash_one(a) == hasher.hash_one(b));
                prop_assert!(a != b || a.is_prerelease() == b.is_prerelease(), "{} {}", a, b);
                if scheme != VersionScheme::Debian || a == b {
                    // What makes `~> 1.2` and `1.2.x` ranges: release numbers never fall while versions rise.
                    assert!(a > b || a.facts().epoch != b.facts().epoch || numbers(a) <= numbers(b), "{a} {b}");
                }
                for c in &versions {
                    prop_assert!(!(a <= b && b <= c) || a <= c, "{} {} {}", a, b, c);
                }
            }
        }
    }

    #[test]
    fn a_printed_version_reads_as_itself((scheme, texts) in likely()) {
        for version in texts.iter().filter_map(|text| Version::parse(text, &scheme).ok()) {
            let again = Version::parse(&version.to_string(), &scheme).unwrap();
            prop_assert_eq!(again.text(), version.text());
            prop_assert_eq!(again, version);
        }
    }

    #[test]
    fn no_text_makes_a_scheme_panic(text in "\\PC{0,60}|[0-9a-zA-Z.+~:! _-]{0,40}|[0-9]{0,140}|.{0,10}") {
        for scheme in schemes() {
            match Version::parse(&text, &scheme) {
                Ok(version) => prop_assert_eq!(version.text(), text.trim()),
                Err(error) => prop_assert!(text.get(error.range.clone()).is_some(), "{:?} {:?}", text, error),
            }
        }
        let _ = text.parse::<VersionScheme>();
        let _ = format!("regex:{text}").parse::<VersionScheme>();
    }

    #[test]
    fn a_larger_number_is_a_later_version(
        digits in "[1-9][0-9]{0,30}", more in "[0-9]", head in "[0-9]{1,3}", tail in "(\\.[0-9]{1,2}){0,1}",
    ) {
        for scheme in ["semver", "pep440", "dotted", "letter", "debian"] {
            let scheme: VersionScheme = scheme.parse().unwrap();
            let head = head.trim_start_matches('0').to_owned() + "1";
            let at = |number: &str| Version::parse(&format!("{head}.{number}"), &scheme).unwrap();
            prop_assert!(at(&digits) < at(&format!("{digits}{more}")), "{} {}", digits, more);
            if let (Ok(short), Ok(long)) = (Version::parse(&head, &scheme), Version::parse(&format!("{head}.1{tail}"), &scheme)) {
                prop_assert!(short < long);
            }
        }
    }

    #[test]
    fn a_word_before_the_release_and_a_word_after_it_keep_their_sides(
        release in "[0-9]{1,3}(\\.[0-9]{1,2}){0,3}", number in 0u32..20, word in "(hf|sp|patch|fix|zz)",
    ) {
        for scheme in [VersionScheme::Dotted, VersionScheme::Letter] {
            let version = |text: String| Version::parse(&text, &scheme).unwrap();
            let released = version(release.clone());
            for early in ["dev", "SNAPSHOT", "ea", "alpha", "beta", "milestone", "rc", "preview"] {
                assert!(version(format!("{release}-{early}{number}")) < released);
                assert!(version(format!("{release}.{early}.{number}")).is_prerelease());
            }
            let patched = version(format!("{release}-{word}{number}"));
            assert!(released < patched);
            assert!(patched < version(format!("{release}-1")));
            assert!(patched < version(format!("{release}.0.0.1")));
            assert_eq!(version(format!("V{release}.0.0-GA")), released);
        }
    }
}
