//! Tests of `gate`, from values.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{Gate, GateKind, gates};
use crate::lang::Value;
use crate::lock::{AppliedHop, Lock, Locked};
use crate::model::estate::{Acknowledgement, Environment, Estate, Waiver, Window};
use crate::model::inventory::Inventory;
use crate::model::name::{Digest, EnvironmentName, InstanceAddr, Lineage};
use crate::plan::change::{Change, Decision, Hop, NoteText};
use crate::plan::input::{PlanInput, PlanOptions};
use crate::plan::sample::{environment, instance, now, provider, waiver};

fn change(name: &str, decision: Decision, to: &str) -> Change {
    let hop = Hop {
        from: None,
        to: Some(to.into()),
        route: "any".into(),
        strategy: "in_place".into(),
        provider_digest: Digest::of(b"p"),
        reverts: None,
        scope: Value::Null,
        actions: Vec::new(),
        point_of_no_return: None,
        keep: Vec::new(),
        downtime: None,
        downtime_spread: None,
        risk: 0,
    };
    Change {
        instance: InstanceAddr::from_text(format!("p.{name}")),
        provider: "p".into(),
        environment: "production".into(),
        host: None,
        decision,
        from: None,
        to: Some(to.into()),
        why: Vec::new(),
        hops: if matches!(decision, Decision::Adopt | Decision::Forget) { Vec::new() } else { vec![hop] },
        settings: Vec::new(),
        recorded: Value::Null,
        settings_digest: Digest::of(b""),
        seals: std::collections::BTreeMap::new(),
        accepted: Vec::new(),
        notes: Vec::new(),
        preflights: Vec::new(),
    }
}

/// An instance in test with these hops: version, when.
fn locked(version: &str, hops: &[(&str, &str)]) -> Locked {
    let hop = |(to, at): &(&str, &str)| AppliedHop {
        from: None,
        to: (*to).into(),
        route: "any".into(),
        strategy: "in_place".into(),
        provider: Digest::of(b"p"),
        run: "r".into(),
        at: at.parse().unwrap(),
        scope: Value::Null,
        irreversible: None,
    };
    Locked {
        provider: "p".into(),
        version: version.into(),
        host: None,
        settings: Value::Null,
        settings_digest: Digest::of(b""),
        seals: std::collections::BTreeMap::new(),
        observed: BTreeMap::new(),
        depends_on: Vec::new(),
        hops: hops.iter().map(hop).collect(),
        backups: Vec::new(),
        follow_ups: Vec::new(),
    }
}

/// An instance that test declares.
fn in_test(addr: &str, version: &str) -> crate::model::estate::Instance {
    let name = addr.strip_prefix("p.").unwrap_or(addr);
    crate::model::estate::Instance { environment: "test".into(), ..instance("p", name, version) }
}

struct World {
    /// Declared in test: address and version.
    declared: Vec<(&'static str, &'static str)>,
    production: Environment,
    in_test: Vec<(&'static str, Locked)>,
    waivers: Vec<Waiver>,
    acknowledgements: Vec<Acknowledgement>,
}

impl World {
    fn new() -> Self {
        let production = Environment {
            promote_from: Some("test".into()),
            soak: Some(Duration::from_secs(72 * 3600)),
            ..environment("production")
        };
        Self { declared: Vec::new(), production, in_test: Vec::new(), waivers: Vec::new(), acknowledgements: Vec::new() }
    }

    fn gates(&self, changes: &[Change]) -> Vec<Gate> {
        let name = |name: &str| EnvironmentName::new(name);
        let estate = Estate {
            environments: [(name("production"), self.production.clone()), (name("test"), environment("test"))].into(),
            waivers: self.waivers.clone(),
            acknowledgements: self.acknowledgements.clone(),
            instances: self
                .declared
                .iter()
                .map(|(name, version)| (InstanceAddr::from_text(name), in_test(name, version)))
                .collect(),
            ..Estate::default()
        };
        let mut lock = Lock::fresh(name("test"), Lineage::new("l"));
        lock.instances = self.in_test.iter().map(|(name, locked)| (InstanceAddr::from_text(name), locked.clone())).collect();
        let product = Arc::new(provider("p"));
        gates(
            &PlanInput {
                estate: &estate,
                providers: &[(product.name.clone(), Arc::clone(&product))].into(),
                applied_providers: &BTreeMap::new(),
                inventory: &Inventory::default(),
                locks: &[(name("test"), lock)].into(),
                durations: &BTreeMap::new(),
                now: now(),
                options: &PlanOptions::default(),
            },
            changes,
        )
    }

    fn upgrade(&self) -> Vec<Gate> {
        self.gates(&[change("main", Decision::Upgrade, "2.0")])
    }
}

fn open(gates: &[Gate]) -> Vec<(GateKind, bool)> {
    gates.iter().map(|gate| (gate.kind, gate.open)).collect()
}

#[test]
fn a_version_must_be_in_the_other_environment_first() {
    let mut world = World::new();
    let gates = world.upgrade();
    assert_eq!(open(&gates), [(GateKind::Promotion, false), (GateKind::Soak, false)]);
    assert_eq!(gates[0].message, "p 2.0 must be applied in test first, where no instance of p is recorded");
    assert_eq!(gates[0].instance, Some(InstanceAddr::from_text("p.main")));
    world.in_test = vec![("p.old", locked("1.9", &[]))];
    assert!(world.upgrade()[0].message.ends_with("where p.old is at 1.9"));
    world.in_test.push(("q.other", Locked { provider: "q".into(), ..locked("2.0", &[]) }));
    assert!(!world.upgrade()[0].open);
}

#[test]
fn a_rollout_that_was_not_finished_is_no_evidence() {
    let mut world = World::new();
    let since = [("2.0", "2026-01-01T00:00:00Z")];
    world.in_test = vec![("p.a", locked("2.0", &since)), ("p.b", locked("1.0", &[])), ("p.c", locked("1.0", &[]))];
    // `p.b` and `p.c` stay behind on purpose.
    world.declared = vec![("p.a", "2.0"), ("p.b", "1.0"), ("p.c", "~> 1.0")];
    assert_eq!(open(&world.upgrade()), [(GateKind::Promotion, true), (GateKind::Soak, true)]);
    for declared in ["2.0", "3.0", ">= 1.0"] {
        world.declared[1].1 = declared;
        let gates = world.upgrade();
        assert_eq!(open(&gates), [(GateKind::Promotion, false), (GateKind::Soak, false)], "{declared}");
        assert_eq!(gates[0].message, "p 2.0 must be applied everywhere in test first, where it is declared and p.b is at 1.0");
    }
}

#[test]
fn it_must_have_been_there_long_enough_and_the_gate_says_until_when() {
    let mut world = World::new();
    world.in_test = vec![("p.a", locked("2.0", &[("1.0", "2026-01-01T00:00:00Z"), ("2.0", "2026-05-31T12:00:00Z")]))];
    let gates = world.upgrade();
    assert_eq!(open(&gates), [(GateKind::Promotion, true), (GateKind::Soak, false)]);
    assert_eq!(gates[1].opens, Some("2026-06-03T12:00:00Z".parse().unwrap()));
    assert!(gates[1].message.contains("must be for 72h, until 2026-06-03T12:00:00Z"), "{}", gates[1].message);
    world.in_test.push(("p.b", locked("2.0", &[("2.0", "2026-05-29T12:00:00Z")])));
    assert_eq!(open(&world.upgrade()), [(GateKind::Promotion, true), (GateKind::Soak, true)]);
}

#[test]
fn time_counts_from_when_the_version_was_reached_for_the_last_time() {
    let mut world = World::new();
    let back_and_forth = [("2.0", "2026-01-01T00:00:00Z"), ("1.0", "2026-02-01T00:00:00Z"), ("2.0", "2026-06-01T00:00:00Z")];
    world.in_test = vec![("p.a", locked("2.0", &back_and_forth))];
    assert!(!world.upgrade()[1].open);
    let onward = [("2.0", "2026-01-01T00:00:00Z"), ("2.1", "2026-06-01T00:00:00Z")];
    world.in_test = vec![("p.a", locked("2.1", &onward))];
    assert!(world.upgrade()[1].open);
    world.in_test = vec![("p.adopted", locked("2.0", &[]))];
    assert!(world.upgrade()[1].open);
}

#[test]
fn only_installs_and_upgrades_wait_for_promotion() {
    let world = World::new();
    for decision in [Decision::Rollback, Decision::Reconfigure, Decision::Adopt, Decision::Remove, Decision::Forget] {
        assert!(world.gates(&[change("main", decision, "1.0")]).is_empty(), "{decision:?}");
    }
    assert_eq!(world.gates(&[change("main", Decision::Install, "1.0")]).len(), 2);
}

#[test]
fn waivers_open_gates_by_name_and_instance() {
    let mut world = World::new();
    let of_main = Waiver { instance: Some(InstanceAddr::from_text("p.main")), ..waiver("promotion") };
    world.waivers = vec![of_main, Waiver { until: Some(now()), ..waiver("soak") }];
    let gates = world.gates(&[change("main", Decision::Upgrade, "2.0"), change("other", Decision::Upgrade, "2.0")]);
    let opened: Vec<bool> = gates.iter().map(|gate| gate.open).collect();
    assert_eq!(opened, [true, false, false, false]);
    assert_eq!(gates[0].waived.as_deref(), Some("promotion is fine"));
    assert!(gates[1].message.contains("expired"), "{}", gates[1].message);
}

#[test]
fn the_window_is_one_gate_for_the_environment() {
    let mut world = World::new();
    let window = Window {
        cron: "0 22 * * FRI".to_owned(),
        duration: Duration::from_secs(6 * 3600),
        timezone: "Europe/Paris".to_owned(),
        span: None,
    };
    world.production = Environment { windows: vec![window], ..environment("production") };
    let changes = [change("a", Decision::Rollback, "1"), change("b", Decision::Reconfigure, "1")];
    let gates = world.gates(&changes);
    assert_eq!((gates.len(), gates[0].kind, gates[0].open, gates[0].instance.clone()), (1, GateKind::Window, false, None));
    assert_eq!(gates[0].opens, Some("2026-06-05T20:00:00Z".parse().unwrap()));
    assert!(world.gates(&[change("a", Decision::Adopt, "1")]).is_empty());
    world.waivers = vec![Waiver { instance: Some(InstanceAddr::from_text("p.a")), ..waiver("window") }];
    assert!(!world.gates(&changes)[0].open);
    assert!(world.gates(&changes[..1])[0].open);
    world.waivers = vec![waiver("window")];
    assert!(world.gates(&changes)[0].open);
}

#[test]
fn a_window_that_cannot_be_read_is_closed_and_an_environment_that_is_gone_has_no_gates() {
    let mut world = World::new();
    let window = Window { cron: "soon".to_owned(), duration: Duration::from_secs(60), timezone: "UTC".to_owned(), span: None };
    world.production = Environment { windows: vec![window], ..environment("production") };
    let gates = world.gates(&[change("a", Decision::Remove, "1")]);
    assert!(!gates[0].open && gates[0].message.contains("`soon`"), "{gates:?}");
    let elsewhere = Change { environment: "gone".into(), ..change("a", Decision::Remove, "1") };
    assert!(world.gates(&[elsewhere]).is_empty());
}

#[test]
fn a_note_that_must_be_read_holds_the_move_until_it_is_acknowledged_for_that_version() {
    let mut world = World { production: environment("production"), ..World::new() };
    let note = |name: &str, acknowledge| NoteText {
        name: name.into(),
        text: format!("{name}: look"),
        url: None,
        follow_up: false,
        acknowledge,
    };
    let notes = vec![note("reindex", true), note("plain", false)];
    let gates = |world: &World| world.gates(&[Change { notes: notes.clone(), ..change("main", Decision::Upgrade, "2.0") }]);
    let held = gates(&world);
    assert_eq!(open(&held), [(GateKind::Acknowledgement, false)]);
    assert_eq!(held[0].message, "note p.reindex must be acknowledged for 2.0: reindex: look");
    let paste = "acknowledgement \"p.reindex\" {\n  instance = instance.p.main\n  version  = \"2.0\"\n  by       = \"\"\n  reason   = \"\"\n}";
    assert_eq!(held[0].paste.as_deref(), Some(paste));
    let given = |version: &str, instance: Option<&str>| Acknowledgement {
        provider: "p".into(),
        note: "reindex".into(),
        instance: instance.map(InstanceAddr::from_text),
        version: version.to_owned(),
        by: "jane".to_owned(),
        reason: "done".to_owned(),
        span: None,
    };
    world.acknowledgements = vec![given("1.9", None), given("2.0", Some("p.other"))];
    assert!(gates(&world)[0].message.contains("for 2.0; it was for 1.9:"));
    // No waiver takes a person's word away.
    world.waivers = vec![waiver("acknowledgement"), waiver("reindex")];
    assert!(!gates(&world)[0].open);
    world.acknowledgements.push(given("2.0.0", None));
    let passed = gates(&world);
    assert!(passed[0].open && passed[0].paste.is_none());
    assert_eq!(passed[0].message, "note p.reindex was acknowledged by jane: done");
}
