//! Plans to draw, for tests.

use std::collections::BTreeMap;

use crate::lang::Value;
use crate::model::call::Call;
use crate::model::inventory::Inventory;
use crate::model::name::{ActionId, Digest, InstanceAddr};
use crate::model::provider::Retry;
use crate::plan::{Action, ActionKind, ActionUndo, Change, Decision, FORMAT, Hop, Plan};

/// One instance, one hop, and an action for each list of what it needs.
pub(in crate::view) fn plan(needs: &[Vec<u32>]) -> Plan {
    let instance = InstanceAddr::from_text("app.main");
    let hop = Hop {
        from: Some("1.0".into()),
        to: Some("2.0".into()),
        route: "direct".into(),
        strategy: "in_place".into(),
        provider_digest: Digest::of(b"p"),
        reverts: None,
        scope: Value::Null,
        actions: (0..).take(needs.len()).collect(),
        point_of_no_return: None,
        keep: Vec::new(),
        downtime: None,
        downtime_spread: None,
        risk: 0,
    };
    let action = |(number, needs): (usize, &Vec<u32>)| Action {
        id: ActionId::new(&instance, "2.0", &format!("step{number}"), None),
        change: 0,
        hop: 0,
        kind: ActionKind::Step {
            step: format!("step{number}").as_str().into(),
            call: Call { driver: "exec".into(), args: indexmap::IndexMap::new(), on: None },
        },
        needs: needs.clone(),
        title: format!("Step {number}").into(),
        each: None,
        check: None,
        undo: ActionUndo::Harmless,
        repeatable: true,
        downtime: false,
        privileged: false,
        retry: Retry::default(),
        timeout: None,
        tolerate: Vec::new(),
        poll: None,
        probe: None,
        during: Vec::new(),
        fan_out: None,
        opens: None,
        closes: None,
        progress: None,
        estimate: None,
        spread: None,
    };
    Plan {
        format: FORMAT,
        tool_version: "0".to_owned(),
        created: "2026-01-01T00:00:00Z".parse().unwrap(),
        bases: BTreeMap::new(),
        configuration: Digest::of(b"c"),
        providers: BTreeMap::new(),
        revised: Vec::new(),
        changes: vec![Change {
            instance: instance.clone(),
            provider: "app".into(),
            environment: "test".into(),
            host: None,
            decision: Decision::Upgrade,
            from: Some("1.0".into()),
            to: Some("2.0".into()),
            why: Vec::new(),
            hops: vec![hop],
            settings: Vec::new(),
            recorded: Value::Null,
            settings_digest: Digest::of(b"s"),
            accepted: Vec::new(),
            seals: std::collections::BTreeMap::new(),
            notes: Vec::new(),
            preflights: Vec::new(),
        }],
        actions: needs.iter().enumerate().map(action).collect(),
        gates: Vec::new(),
        inventory: Inventory::default(),
    }
}
