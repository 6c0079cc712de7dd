//! Tests of `preflight`, from values.

use super::evaluate;
use crate::model::estate::Waiver;
use crate::model::provider::{Movement, Preflight};
use crate::plan::change::{PreflightOutcome, PreflightResult};
use crate::plan::sample::{catalogue, expr, fact, now, observed, preflight, provider, subject, version, waiver};
use crate::plan::waiver::Waivers;

fn run(checks: Vec<Preflight>, waivers: &[Waiver]) -> Vec<PreflightResult> {
    let mut product = provider("p");
    product.facts.insert("space".into(), fact());
    product.preflights = checks;
    let seen = observed(&[("space", Err("no route to host"))]);
    let subject = subject(&product, Some(&seen));
    let scope = subject.hop(&catalogue(&product), Some(&version("1")), Some(&version("2")));
    evaluate(&scope, Movement::Upgrade, 3, &Waivers::new(waivers, now()))
}

#[test]
fn a_check_passes_or_fails_with_its_message_and_remedy() {
    let results = run(vec![preflight("good", "to.major == 2"), preflight("bad", "to.major == 3")], &[]);
    assert_eq!((results[0].outcome.clone(), &*results[0].message, results[0].remedy.clone()), (PreflightOutcome::Pass, "", None));
    assert_eq!(results[1].outcome, PreflightOutcome::Fail);
    assert_eq!((&*results[1].message, results[1].remedy.as_deref(), results[1].hop), ("not for 2", Some("wait"), 3));
}

#[test]
fn a_check_that_cannot_be_made_fails_and_says_why() {
    let asked = Preflight { when: Some(expr("fact.space > 1")), ..preflight("asked", "true") };
    for check in [preflight("made", "fact.space > 1"), asked, preflight("text", "\"yes\""), preflight("later", "step.a.result")] {
        let name = check.name.clone();
        let results = run(vec![check], &[]);
        assert_eq!(results[0].outcome, PreflightOutcome::Fail, "{name}");
        assert!(results[0].message.contains("cannot be"), "{}", results[0].message);
    }
    assert!(run(vec![preflight("made", "fact.space > 1")], &[])[0].message.contains("no route to host"));
}

#[test]
fn checks_of_other_movements_and_conditions_are_not_made() {
    let other = Preflight { movements: vec![Movement::Install], ..preflight("other", "false") };
    let not_now = Preflight { when: Some(expr("to.major > 5")), ..preflight("not_now", "false") };
    assert!(run(vec![other, not_now], &[]).is_empty());
}

#[test]
fn a_warning_never_fails() {
    let results = run(vec![Preflight { warn_only: true, ..preflight("space", "fact.space > 1") }], &[]);
    assert_eq!(results[0].outcome, PreflightOutcome::Warn);
    assert!(results[0].message.contains("no route to host"));
}

#[test]
fn a_waiver_lets_pass_what_may_be_waived_until_its_date() {
    let bad = || preflight("backup", "false");
    let waived = run(vec![bad()], &[waiver("backup")]);
    assert_eq!(waived[0].outcome, PreflightOutcome::Waived { reason: "backup is fine".to_owned() });
    assert_eq!(waived[0].message, "not for 2");
    let hard = run(vec![Preflight { waivable: false, ..bad() }], &[waiver("backup")]);
    assert_eq!((hard[0].outcome.clone(), &*hard[0].message), (PreflightOutcome::Fail, "not for 2 (`backup` cannot be waived)"));
    let over = Waiver { until: Some(now()), ..waiver("backup") };
    let expired = run(vec![bad()], &[over]);
    assert_eq!(expired[0].outcome, PreflightOutcome::Fail);
    assert!(expired[0].message.contains("expired at 2026-06-01T12:00:00Z"), "{}", expired[0].message);
    let unneeded = run(vec![preflight("backup", "true")], &[waiver("backup")]);
    assert_eq!(unneeded[0].outcome, PreflightOutcome::Pass);
}

#[test]
fn a_message_that_cannot_be_rendered_does_not_hide_the_failure() {
    let results =
        run(vec![Preflight { message: expr("fact.space"), remedy: Some(expr("fact.space")), ..preflight("a", "1 > 2") }], &[]);
    assert_eq!(results[0].outcome, PreflightOutcome::Fail);
    assert!(results[0].message.starts_with("`1 > 2` does not hold"), "{}", results[0].message);
    assert_eq!(results[0].remedy, None);
}
