//! Tests of `catalogue`, from values.

use super::{Bound, Catalogue, Resolved};
use crate::plan::sample::{provider, provider_of, release, req, version};

fn chosen(found: Result<Resolved, Vec<String>>) -> String {
    found.unwrap().version.text().to_owned()
}

#[test]
fn releases_are_sorted_and_the_configuration_wins_version_by_version() {
    let product = provider_of("dss", &["13.10.0", "13.4.1", "13.4.0"]);
    let mut own = release("dss", "V13.4.1");
    own.artifact = Some("own".to_owned());
    let estate = [own, release("other", "99"), release("dss", "14.0")];
    let catalogue = Catalogue::new(&product, &estate);
    let texts: Vec<&str> = catalogue.releases().map(|release| release.version.text()).collect();
    assert_eq!(texts, ["13.4.0", "V13.4.1", "13.10.0", "14.0"]);
    assert_eq!(catalogue.release(&version("13.4.1")).unwrap().artifact.as_deref(), Some("own"));
    let between: Vec<&str> = catalogue.between(&version("14.0"), &version("13.4")).map(|release| release.version.text()).collect();
    assert_eq!(between, ["V13.4.1", "13.10.0"]);
}

#[test]
fn an_exact_version_means_itself_known_or_not() {
    let product = provider_of("dss", &["13.4.1", "13.4.2"]);
    let catalogue = Catalogue::new(&product, &[]);
    let known = catalogue.resolve("13.4.1", Some(&version("13.4.2")), &[], false).unwrap();
    assert_eq!((known.version.text(), known.warnings.len()), ("13.4.1", 0));
    let slip = catalogue.resolve("13.4.11", None, &[], false).unwrap();
    assert_eq!(slip.version.text(), "13.4.11");
    assert!(slip.warnings[0].ends_with("did you mean 13.4.1?"), "{:?}", slip.warnings);
    let empty = provider("new");
    assert!(Catalogue::new(&empty, &[]).resolve("= 1.0", None, &[], false).unwrap().warnings.is_empty());
}

#[test]
fn a_constraint_chooses_the_newest_release_that_may_be_chosen() {
    let mut product = provider_of("dss", &["13.4.1", "13.4.2", "13.5.0", "13.6.0-rc1", "13.7.0", "14.0"]);
    product.releases[2].withdrawn = Some("data loss".to_owned());
    product.releases[4].channels = vec!["edge".to_owned()];
    let catalogue = Catalogue::new(&product, &[]);
    let resolve = |wanted: &str| catalogue.resolve(wanted, None, &[], false);
    assert_eq!(chosen(resolve("~> 13.4")), "13.4.2");
    assert_eq!(chosen(resolve("*")), "14.0");
    let why = resolve("~> 13.5.0").unwrap_err();
    assert_eq!(why, ["no release of dss fits `~> 13.5.0`", "13.5.0 fits but was withdrawn by the vendor: data loss"]);
    assert_eq!(chosen(resolve(">= 13.6-alpha1, < 13.7")), "13.6.0-rc1");
    assert!(resolve("> 13.5.0, < 13.7").unwrap_err()[1].contains("13.6.0-rc1 fits but is a prerelease"));
    assert!(resolve("13.7.x").unwrap_err()[1].contains("edge only"));
    assert!(resolve("> 20").unwrap_err()[1].contains("6 releases, from 13.4.1 to 14.0"));
    assert!(resolve("not a version!").unwrap_err()[0].contains(';'));
    assert!(resolve("").is_err());
}

#[test]
fn a_constraint_stays_where_it_was_until_an_upgrade_is_asked_for() {
    let product = provider_of("dss", &["13.4.1", "13.4.2"]);
    let catalogue = Catalogue::new(&product, &[]);
    let (was, gone) = (version("13.4.1"), version("12.0"));
    assert_eq!(chosen(catalogue.resolve("~> 13.4", Some(&was), &[], false)), "13.4.1");
    assert_eq!(chosen(catalogue.resolve("~> 13.4", Some(&was), &[], true)), "13.4.2");
    assert_eq!(chosen(catalogue.resolve("~> 13.4", Some(&gone), &[], false)), "13.4.2");
    let unlisted = version("13.4.0");
    assert_eq!(chosen(catalogue.resolve("~> 13.4", Some(&unlisted), &[], false)), "13.4.0");
}

#[test]
fn bounds_of_others_restrict_a_constraint_and_are_named() {
    let product = provider_of("postgresql", &["15.1", "16.2", "18.4"]);
    let catalogue = Catalogue::new(&product, &[]);
    let (range, new, impossible) = (req(">= 16, < 17"), version("15.1"), req("> 20"));
    let bound = Bound { version: &range, because: "mlflow.main 2.22.5 needs it".to_owned() };
    assert_eq!(chosen(catalogue.resolve("*", Some(&new), std::slice::from_ref(&bound), false)), "16.2");
    let never = Bound { version: &impossible, because: "etcd.a 3.5 needs it newer".to_owned() };
    let why = catalogue.resolve(">= 16", None, &[bound, never], false).unwrap_err();
    assert_eq!(why[0], "no release of postgresql fits `>= 16` (mlflow.main 2.22.5 needs it; etcd.a 3.5 needs it newer)");
    assert!(why.contains(&"18.4 fits but mlflow.main 2.22.5 needs it".to_owned()), "{why:?}");
}

#[test]
fn a_withdrawn_version_that_is_asked_for_is_warned_about() {
    let mut product = provider_of("dss", &["13.4.1"]);
    product.releases[0].withdrawn = Some("data loss".to_owned());
    let catalogue = Catalogue::new(&product, &[]);
    for wanted in ["13.4.1", "~> 13.4"] {
        let found = catalogue.resolve(wanted, Some(&version("13.4.1")), &[], false).unwrap();
        assert_eq!(found.warnings, ["13.4.1 was withdrawn by the vendor: data loss"], "{wanted}");
    }
}
