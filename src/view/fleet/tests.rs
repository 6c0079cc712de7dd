//! Tests of the fleet's views, from values.

use std::sync::Arc;

use super::*;
use crate::model::name::InstanceAddr;
use crate::plan::{Drift, DriftClass, Sight};
use crate::state::{BracketTime, Outcome};

fn state(addr: &str, environment: &str, recorded: &str, declared: &str) -> InstanceState {
    InstanceState {
        instance: InstanceAddr::from_text(addr),
        provider: addr.split('.').next().unwrap().into(),
        environment: environment.into(),
        host: None,
        declared: Some(declared.into()),
        recorded: Some(recorded.into()),
        observed: Sight::Version(recorded.into()),
        pending: recorded != declared,
        drift: Vec::new(),
        ignored: Vec::new(),
        follow_ups: Vec::new(),
    }
}

fn gate(instance: &str, message: &str) -> Gate {
    Gate {
        environment: "production".into(),
        instance: Some(InstanceAddr::from_text(instance)),
        kind: GateKind::Promotion,
        open: false,
        message: message.to_owned(),
        opens: None,
        closes: None,
        paste: None,
        waived: None,
    }
}

fn environments() -> [EnvironmentName; 2] {
    ["test".into(), "production".into()]
}

fn fleet<'a>(environments: &'a [EnvironmentName], states: &'a [InstanceState]) -> Fleet<'a> {
    Fleet {
        environments,
        states,
        gates: &[],
        blocked: &[],
        brackets: &[],
        runs: &[],
        holders: &[],
        now: "2026-11-21T09:00:00Z".parse().unwrap(),
    }
}

fn text(fleet: &Fleet<'_>) -> String {
    let text = fleet_text(fleet, false, Palette::default());
    text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ") + "\n").collect()
}

#[test]
fn the_matrix_has_products_by_environments_in_the_order_of_promotion() {
    let mut sick = state("web.c", "production", "1.0", "2.0");
    sick.drift.push(Drift::new(DriftClass::Unhealthy, "it is not healthy"));
    let states =
        [state("db.a", "test", "16", "16"), state("web.a", "test", "2.0", "2.0"), state("web.b", "production", "2.0", "2.0"), sick];
    let environments = environments();
    let text = text(&fleet(&environments, &states));
    assert!(
        text.starts_with("PRODUCT test production\ndb 1 at 16 -\nweb 1 at 2.0 1 at 1.0 → 2.0, 1 at 2.0 (1 drifted)\n\n"),
        "{text}"
    );
    assert!(text.contains("web.c production 2.0 1.0 1.0 unhealthy, pending"), "{text}");
}

#[test]
fn what_waits_is_said_once_for_all_that_wait_for_it() {
    let states: Vec<InstanceState> = (0..9).map(|n| state(&format!("web.n{n}"), "production", "1.0", "2.0")).collect();
    let gates: Vec<Gate> = (0..9).map(|n| gate(&format!("web.n{n}"), "test first")).collect();
    let environments = environments();
    let fleet = Fleet { gates: &gates, ..fleet(&environments, &states) };
    let text = text(&fleet);
    let line = "WAITS web.n0, web.n1, web.n2 and 6 more in production waits for the gate promotion: test first";
    assert_eq!(text.matches("test first").count(), 1, "{text}");
    assert!(text.contains(line) && text.contains("9 at 1.0 → 2.0 (9 waiting)"), "{text}");
    assert_eq!(fleet_json(&fleet)["gates"][0]["instances"].as_array().map(Vec::len), Some(9));
}

#[test]
fn open_brackets_runs_and_what_people_owe_are_named() {
    let mut owes = state("web.a", "test", "2.0", "2.0");
    owes.follow_ups.push("retrain".into());
    let states = [owes];
    let run = RunRecord {
        id: "r7".into(),
        token: 1,
        operation: "apply".to_owned(),
        who: "me@here".to_owned(),
        began: "2026-11-20T09:00:00Z".parse().unwrap(),
        ended: None,
        outcome: Outcome::Held,
        message: Some("it <failed>".to_owned()),
        moves: vec![crate::state::Move {
            instance: InstanceAddr::from_text("web.a"),
            environment: "test".into(),
            from: None,
            to: Some("2.0".into()),
            outcome: Outcome::Held,
        }],
        plan: crate::model::name::Digest::of(b"p"),
        brackets: Vec::new(),
        downtime_seconds: 0,
        durations: std::collections::BTreeMap::new(),
    };
    let left = OpenBracket {
        run: "r7".into(),
        outcome: Outcome::Held,
        bracket: BracketTime {
            instance: InstanceAddr::from_text("web.a"),
            name: "maintenance mode".to_owned(),
            opened: run.began,
            closed: None,
        },
    };
    let environments = environments();
    let (runs, brackets) = ([run], [left]);
    let fleet = Fleet { runs: &runs, brackets: &brackets, ..fleet(&environments, &states) };
    let text = text(&fleet);
    for part in [
        "OWED web.a: retrain",
        "STILL OPEN web.a is in maintenance mode",
        "RUN r7 (apply of test, me@here) is held → `windlass resume r7`",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    let page = fleet_html(&fleet).unwrap();
    assert!(page.contains("windlass resume r7") && page.contains("maintenance mode") && page.contains("retrain"));
    assert!(page.contains("it &lt;failed&gt;") && !page.contains("it <failed>"), "everything from outside is escaped");
}

#[test]
fn of_thousands_only_those_that_need_somebody_are_named() {
    let mut states: Vec<InstanceState> = (0..5000).map(|n| state(&format!("web.n{n:04}"), "production", "2.0", "2.0")).collect();
    states[77] = state("web.n0077", "production", "1.0", "2.0");
    let environments = environments();
    let fleet = fleet(&environments, &states);
    let text = text(&fleet);
    assert!(text.contains("4999 at 2.0, 1 at 1.0 → 2.0") && text.contains("web.n0077 production"), "{text}");
    assert!(text.contains("4999 other instances as declared.") && text.lines().count() < 12, "{text}");
    assert_eq!(fleet_text(&fleet, true, Palette::default()).matches("web.n").count(), 5000, "all where all are asked for");
    let page = fleet_html(&fleet).unwrap();
    assert_eq!(page.matches("<tr><th scope=\"row\"><code>").count(), 1);
    assert!(page.contains("4999 as declared at 2.0") && page.contains("web.n4999"));
}

#[test]
fn the_page_asks_the_network_for_nothing() {
    let states = [state("web.a", "test", "2.0", "2.0")];
    let environments = environments();
    let page = fleet_html(&fleet(&environments, &states)).unwrap();
    assert!(page.contains("default-src &#x27;none&#x27;; style-src &#x27;sha256-"), "{page}");
    for word in ["http://", "https://", "src=", "@import", "url(", "<script", "<link"] {
        assert!(!page.contains(word), "{word} is in the page");
    }
    assert!(page.contains("1 instance of 1 product in 2 environments: all as declared"));
}

#[test]
fn nothing_at_all_is_said_too() {
    let environments = environments();
    assert_eq!(text(&fleet(&environments, &[])), "No instance is declared or recorded.\n");
    assert!(fleet_html(&fleet(&environments, &[])).unwrap().contains("No instance is declared or recorded."));
}

#[test]
fn an_unseen_instance_is_wrong_and_says_why() {
    let mut away = state("web.a", "test", "2.0", "2.0");
    away.observed = Sight::Unseen("no route".to_owned());
    away.drift.push(Drift::new(DriftClass::Unreachable, "its version could not be seen: no route"));
    let states = [away];
    let environments = environments();
    let fleet = fleet(&environments, &states);
    assert!(text(&fleet).contains("1 at 2.0 (1 not seen)"));
    assert!(fleet_html(&fleet).unwrap().contains("✖ wrong"));
}

#[test]
fn a_constraint_that_is_met_is_no_change() {
    let mut met = state("web.a", "test", "2.3", "~> 2.0");
    met.pending = false;
    let arc: Arc<str> = "~> 2.0".into();
    assert_eq!(met.declared, Some(arc));
    assert_eq!(super::cell::what(&met), "2.3");
}
