//! Policies from text to rulings, and the starter policies with their tests.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Policies, PolicyText, TrialEnd, starter, starters};
use crate::model::estate::Waiver;
use crate::model::name::{Digest, InstanceAddr};
use crate::plan::{Effect, Plan, Ruling};

fn text(text: &str) -> PolicyText {
    PolicyText { path: "p.rego".to_owned(), text: text.to_owned() }
}

fn read(source: &str) -> Policies {
    Policies::new(&[text(source)]).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn refused(source: &str) -> String {
    let problems = Policies::new(&[text(source)]).unwrap_err();
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn now() -> Timestamp {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

fn plan() -> Plan {
    Plan {
        format: 1,
        tool_version: String::new(),
        created: now(),
        bases: BTreeMap::new(),
        configuration: Digest::of(b""),
        providers: BTreeMap::new(),
        revised: Vec::new(),
        changes: Vec::new(),
        actions: Vec::new(),
        gates: Vec::new(),
        inventory: crate::model::inventory::Inventory::default(),
    }
}

fn waiver(name: &str, owner: Option<&str>, until: Option<&str>) -> Waiver {
    Waiver {
        name: name.into(),
        instance: None,
        environment: None,
        reason: "moving out".to_owned(),
        owner: owner.map(str::to_owned),
        until: until.map(|until| until.parse().unwrap()),
        span: None,
    }
}

fn judged(source: &str, input: &Value, waivers: &[Waiver]) -> Vec<Ruling> {
    read(source).judge(input, &plan(), waivers, now()).unwrap()
}

const NAMED: &str = r#"package a.b
deny contains {"id": "x", "msg": "no", "instance": "db.main", "environment": "production", "help": "do"}
"#;

#[test]
fn objections_are_read_denials_first_and_each_once() {
    let source = "package a.b\nwarn contains \"take care\"\ndeny contains \"no\"\ndeny contains {\"msg\": \"no\", \"id\": \"b\"}\n\
                  deny contains {\"id\": \"z\", \"msg\": sprintf(\"not %s\", [input.what])} if input.what\n";
    let said = judged(source, &json!({ "what": "this" }), &[]);
    let shown: Vec<_> = said.iter().map(|of| (of.effect, of.id.as_str(), of.message.as_str())).collect();
    assert_eq!(shown, [(Effect::Deny, "b", "no"), (Effect::Deny, "z", "not this"), (Effect::Warn, "b", "take care")]);
    assert!(said[0].denies() && !said[2].denies());
    assert_eq!(judged(source, &json!({}), &[]).len(), 2);
}

#[test]
fn a_waiver_holds_a_policy_off_until_it_expires() {
    let said = judged(NAMED, &json!({}), &[waiver("x", Some("ada"), Some("2026-11-20T12:00:01Z"))]);
    assert!(!said[0].denies());
    assert_eq!(said[0].waived.as_ref().unwrap().owner.as_deref(), Some("ada"));
    let said = judged(NAMED, &json!({}), &[waiver("x", Some("ada"), Some("2026-11-20T12:00:00Z"))]);
    assert!(said[0].denies());
    assert_eq!(said[0].message, "no (its waiver expired at 2026-11-20T12:00:00Z)");
    assert!(judged(NAMED, &json!({}), &[waiver("y", None, None)])[0].denies());
}

#[test]
fn a_waiver_of_one_does_not_except_another_or_all() {
    let of = |instance: Option<&str>, environment: Option<&str>| {
        let instance = instance.map(InstanceAddr::from_text);
        [Waiver { instance, environment: environment.map(Into::into), ..waiver("x", None, None) }]
    };
    assert!(!judged(NAMED, &json!({}), &of(Some("db.main"), Some("production")))[0].denies());
    assert!(judged(NAMED, &json!({}), &of(Some("db.other"), None))[0].denies());
    assert!(judged(NAMED, &json!({}), &of(None, Some("test")))[0].denies());
    let all = "package a\ndeny contains {\"id\": \"x\", \"msg\": \"no\"}\n";
    assert!(judged(all, &json!({}), &of(Some("db.main"), None))[0].denies());
    assert!(!judged(all, &json!({}), &of(None, None))[0].denies());
}

#[test]
fn a_policy_may_ask_for_an_owner() {
    let source = "package a\ndeny contains {\"id\": \"x\", \"msg\": \"no\", \"owner_required\": true}\n";
    let said = judged(source, &json!({}), &[waiver("x", None, None)]);
    assert!(said[0].denies());
    assert_eq!(said[0].message, "no (its waiver names no owner)");
    assert!(!judged(source, &json!({}), &[waiver("x", None, None), waiver("x", Some("ada"), None)])[0].denies());
}

#[test]
fn what_cannot_be_evaluated_or_is_no_objection_stops_everything() {
    for (source, why) in [
        ("package a\ndeny := true\n", "it gives true or false, not a set of objections"),
        ("package a\ndeny contains 7\n", "an objection is a number"),
        ("package a\ndeny contains {\"id\": \"x\"}\n", "missing field `msg`"),
        ("package a\ndeny contains {\"msg\": \"x\", \"sevrity\": 1}\n", "unknown field `sevrity`"),
        ("package a\ndeny contains to_number(input.text)\n", "could not parse"),
    ] {
        let problems = read(source).judge(&json!({ "text": "a" }), &plan(), &[], now()).unwrap_err();
        let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert!(said[0].starts_with("policy cannot be evaluated: p.rego, rule `deny`") && said[0].contains(why), "{said:?}");
    }
}

#[test]
fn an_endless_rule_ends() {
    let source = "package a\ndeny contains \"x\" if {\n  some a in numbers.range(1, 3000)\n  some b in numbers.range(1, 3000)\n  some c in numbers.range(1, 3000)\n  a + b + c == 0\n}\n";
    let mut policies = read(source);
    policies.limit(std::time::Duration::from_millis(50));
    let problems = policies.judge(&json!({}), &plan(), &[], now()).unwrap_err();
    assert!(problems.iter().next().unwrap().to_string().contains("time limit"), "{problems:?}");
}

#[test]
fn what_cannot_be_read_is_told_with_its_place() {
    assert!(refused("package a\ndeny contains {\n").contains("p.rego:"), "{}", refused("package a\ndeny contains {\n"));
    assert!(refused(&format!("package a\nx := {}1{}\n", "[".repeat(30), "]".repeat(30))).contains("p.rego:2: more than 8"));
    assert!(refused("package a\ndeny contains x if x := undefined_thing.b\n").contains("undefined_thing"));
    assert!(refused(&"# long\n".repeat(40_000)).contains("bytes"));
}

#[test]
fn rules_are_found_in_every_package() {
    let policies = read("package a[\"b.c\"].d\ndeny contains \"no\"\ndeny_nothing := 1\nfunction_deny(x) := x\n");
    let rules: Vec<String> = policies.rules().into_iter().map(|(_, path)| path).collect();
    assert_eq!(rules, ["data.a[\"b.c\"].d.deny"]);
    assert_eq!(policies.judge(&json!({}), &plan(), &[], now()).unwrap()[0].id, "d");
}

#[test]
fn tests_pass_where_they_are_true_and_only_there() {
    let trials =
        read("package a\ntest_good if 1 == 1\ntest_bad if 1 == 2\ntest_odd := 7\ntest_broken if to_number(\"x\") == 1\n").test();
    let ends: Vec<(&str, bool)> = trials.iter().map(|trial| (trial.rule.as_str(), trial.end == TrialEnd::Passed)).collect();
    let expected =
        [("data.a.test_bad", false), ("data.a.test_broken", false), ("data.a.test_good", true), ("data.a.test_odd", false)];
    assert_eq!(ends, expected);
    assert!(matches!(trials[1].end, TrialEnd::Broken(_)));
}

#[test]
fn the_starter_policies_pass_their_tests() {
    assert_eq!(starters(), ["backups_required", "no_friday", "no_skipped_notes", "tested_first", "two_people", "window_respected"]);
    for name in starters() {
        let texts = starter(name).unwrap();
        assert_eq!(texts.len(), 2, "{name} has rules and tests");
        let trials = Policies::new(&texts).unwrap_or_else(|problems| panic!("{name}: {problems:?}")).test();
        assert!(trials.len() >= 3, "{name}");
        for trial in trials {
            assert_eq!(trial.end, TrialEnd::Passed, "{}", trial.rule);
        }
    }
}
