//! Tests of `requirement`, from values.

use std::collections::BTreeMap;

use super::Requirements;
use crate::model::estate::{Estate, Instance, Requirement};
use crate::model::name::{InstanceAddr, ProviderName};
use crate::model::provider::{Provider, ProviderRequirement};
use crate::model::version::Version;
use crate::plan::catalogue::Catalogue;
use crate::plan::sample::{instance, provider_of, req, version};

fn addr(text: &str) -> InstanceAddr {
    InstanceAddr::from_text(text)
}

fn needs(on: &str, version: &str) -> Requirement {
    Requirement { instance: addr(on), version: version.into(), reason: "JSON columns".to_owned(), span: None }
}

fn estate(instances: Vec<Instance>) -> Estate {
    Estate { instances: instances.into_iter().map(|instance| (instance.addr.clone(), instance)).collect(), ..Estate::default() }
}

fn providers() -> Vec<Provider> {
    let mut mlflow = provider_of("mlflow", &["2.14.3", "2.22.5"]);
    mlflow.requires = vec![ProviderRequirement {
        provider: "postgresql".into(),
        when: Some(req(">= 2.20")),
        version: req(">= 16"),
        reason: "the schema uses it".to_owned(),
        span: None,
    }];
    vec![mlflow, provider_of("postgresql", &["15.1", "16.2", "18.4"])]
}

fn catalogues(providers: &[Provider]) -> BTreeMap<ProviderName, Catalogue<'_>> {
    providers.iter().map(|provider| (provider.name.clone(), Catalogue::new(provider, &[]))).collect()
}

/// Solves and shows: `address version` or `address: reasons`.
fn solved(instances: Vec<Instance>, current: &[(&str, &str)]) -> Vec<String> {
    let (estate, providers) = (estate(instances), providers());
    let catalogues = catalogues(&providers);
    let (requirements, problems) = Requirements::collect(&estate, &catalogues);
    assert!(problems.is_empty(), "{problems:?}");
    let current = |of: &InstanceAddr| current.iter().find(|(name, _)| *name == of.as_str()).map(|(_, text)| version(text));
    let settled = requirements.solve(&estate, &catalogues, current, false);
    let shown = |(addr, found): (&InstanceAddr, &Result<super::Resolved, Vec<String>>)| match found {
        Ok(resolved) => format!("{addr} {}", resolved.version),
        Err(why) => format!("{addr}: {}", why.join("; ")),
    };
    settled.iter().map(shown).collect()
}

fn mlflow(version: &str) -> Instance {
    Instance { depends_on: vec![addr("postgresql.db")], ..instance("mlflow", "main", version) }
}

#[test]
fn a_range_on_the_dependency_is_solved() {
    assert_eq!(
        solved(vec![mlflow("2.22.5"), instance("postgresql", "db", "< 18")], &[]),
        ["mlflow.main 2.22.5", "postgresql.db 16.2"]
    );
    let pinned = [("postgresql.db", "15.1")];
    assert_eq!(solved(vec![mlflow("2.22.5"), instance("postgresql", "db", "*")], &pinned)[1], "postgresql.db 18.4");
    assert_eq!(solved(vec![mlflow("2.14.3"), instance("postgresql", "db", "*")], &pinned)[1], "postgresql.db 15.1");
}

#[test]
fn a_range_on_the_dependent_skips_what_the_dependency_cannot_give() {
    assert_eq!(
        solved(vec![mlflow("~> 2.0"), instance("postgresql", "db", "15.1")], &[]),
        ["mlflow.main 2.14.3", "postgresql.db 15.1"]
    );
}

#[test]
fn a_version_that_is_there_will_do_even_where_the_catalogue_does_not_know_it() {
    let shown = solved(vec![mlflow("~> 2.0"), instance("postgresql", "db", ">= 17, < 18")], &[("postgresql.db", "17.3")]);
    assert_eq!(shown, ["mlflow.main 2.22.5", "postgresql.db 17.3"]);
}

#[test]
fn an_impossible_range_names_who_needs_what() {
    let shown = solved(vec![mlflow("2.22.5"), instance("postgresql", "db", "< 16")], &[]);
    assert!(shown[1].contains("mlflow.main 2.22.5 needs postgresql.db to be `>= 16` (the schema uses it)"), "{shown:?}");
}

#[test]
fn rules_in_a_circle_are_settled_all_the_same() {
    let one = Instance { requires: vec![needs("postgresql.db", ">= 16")], ..instance("mlflow", "main", "2.14.3") };
    let other = Instance {
        requires: vec![needs("mlflow.main", ">= 2"), needs("postgresql.db", "*")],
        ..instance("postgresql", "db", "< 18")
    };
    assert_eq!(solved(vec![one, other], &[]), ["mlflow.main 2.14.3", "postgresql.db 16.2"]);
}

#[test]
fn a_provider_rule_is_about_instances_that_are_depended_on() {
    let alone = instance("mlflow", "main", "2.22.5");
    assert_eq!(solved(vec![alone, instance("postgresql", "db", "15.1")], &[]), ["mlflow.main 2.22.5", "postgresql.db 15.1"]);
}

#[test]
fn what_does_not_fit_is_said_from_both_sides_and_for_the_versions_of_the_moment() {
    let (estate, providers) = (estate(vec![mlflow("2.22.5"), instance("postgresql", "db", "16.2")]), providers());
    let (requirements, _) = Requirements::collect(&estate, &catalogues(&providers));
    let at = |text: &'static str| move |_: &InstanceAddr| Some(version(text));
    let (app, db) = (addr("mlflow.main"), addr("postgresql.db"));
    let clause = "mlflow.main 2.22.5 needs postgresql.db to be `>= 16` (the schema uses it)";
    assert_eq!(requirements.check(&app, &version("2.22.5"), at("15.1")), [format!("{clause}, and it is 15.1")]);
    assert_eq!(requirements.check(&db, &version("15.1"), at("2.22.5")), [format!("{clause}, and it is 15.1")]);
    assert!(requirements.check(&app, &version("2.14.3"), at("15.1")).is_empty());
    assert!(requirements.check(&db, &version("15.1"), at("2.14.3")).is_empty());
    let nowhere = |_: &InstanceAddr| None::<Version>;
    assert_eq!(requirements.unmet(&app, &version("2.22.5"), nowhere), [format!("{clause}, and it is not installed")]);
    assert!(requirements.broken(&db, &version("15.1"), nowhere).is_empty());
}

#[test]
fn a_rule_about_nobody_or_with_rubbish_is_a_problem_of_its_instance() {
    let wrong = Instance {
        requires: vec![needs("postgresql.gone", ">= 1"), needs("postgresql.db", ">=>")],
        ..instance("mlflow", "main", "2.14.3")
    };
    let (estate, providers) = (estate(vec![wrong, instance("postgresql", "db", "16.2")]), providers());
    let (_, problems) = Requirements::collect(&estate, &catalogues(&providers));
    let problems = &problems[&addr("mlflow.main")];
    assert_eq!(problems[0], "requires postgresql.gone, which is not declared");
    assert!(problems[1].starts_with("requires postgresql.db: "), "{problems:?}");
}

#[test]
fn ten_thousand_instances_are_settled_without_looking_at_each_pair() {
    let many = (0..10_000).map(|at| Instance {
        addr: addr(&format!("mlflow.m{at}")),
        depends_on: vec![addr("postgresql.db")],
        ..instance("mlflow", "m", "2.14.3")
    });
    let shown = solved(many.chain([instance("postgresql", "db", "*")]).collect(), &[]);
    assert_eq!((shown.len(), shown.last().map(String::as_str)), (10_001, Some("postgresql.db 18.4")));
}
