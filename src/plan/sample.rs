//! Small providers, instances and environments for tests. Made from values; nothing is read.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use jiff::Timestamp;

use super::catalogue::Catalogue;
use super::scope::Subject;
use crate::lang::{Env, Expr, Value};
use crate::model::estate::{Environment, Instance, OnFailure, Rollout, Waiver};
use crate::model::inventory::{Observation, Observed};
use crate::model::name::{Digest, InstanceAddr};
use crate::model::provider::{Blocked, Fact, Movement, Preflight, Provider, RequiredStop, Risk, Route, Strategy};
use crate::model::release::Release;
use crate::model::version::{Version, VersionReq, VersionScheme};

pub(super) fn version(text: &str) -> Version {
    Version::parse(text, &VersionScheme::Dotted).unwrap()
}

pub(super) fn req(text: &str) -> VersionReq {
    VersionReq::parse(text, &VersionScheme::Dotted).unwrap()
}

pub(super) fn expr(text: &str) -> Expr {
    Expr::parse(text).unwrap()
}

pub(super) fn now() -> Timestamp {
    "2026-06-01T12:00:00Z".parse().unwrap()
}

pub(super) fn minutes(count: u64) -> Duration {
    Duration::from_secs(count * 60)
}

/// A provider with the strategies `in_place` and `clone`, without steps, and nothing else.
pub(super) fn provider(name: &str) -> Provider {
    let strategy = |name: &str| {
        let strategy = Strategy { name: name.into(), description: String::new(), steps: Vec::new(), span: None };
        (strategy.name.clone(), strategy)
    };
    Provider {
        name: name.into(),
        title: name.to_owned(),
        description: String::new(),
        version: "1.0.0".to_owned(),
        digest: Digest::of(name.as_bytes()),
        scheme: VersionScheme::Dotted,
        settings: IndexMap::new(),
        locals: IndexMap::new(),
        facts: IndexMap::new(),
        releases: Vec::new(),
        routes: Vec::new(),
        required_stops: Vec::new(),
        blocked: Vec::new(),
        risks: Vec::new(),
        preflights: Vec::new(),
        requires: Vec::new(),
        notes: Vec::new(),
        strategies: IndexMap::from_iter([strategy("in_place"), strategy("clone")]),
        files: BTreeMap::new(),
    }
}

/// A provider that knows these versions.
pub(super) fn provider_of(name: &str, versions: &[&str]) -> Provider {
    Provider { releases: versions.iter().map(|version| release(name, version)).collect(), ..provider(name) }
}

pub(super) fn release(provider: &str, text: &str) -> Release {
    Release {
        provider: provider.into(),
        version: version(text),
        artifact: None,
        sha256: None,
        channels: Vec::new(),
        withdrawn: None,
        notes: None,
        attributes: Value::Object(Arc::default()),
        span: None,
    }
}

/// An upgrade by `in_place` between any versions.
pub(super) fn route(name: &str) -> Route {
    Route {
        name: name.into(),
        movement: Movement::Upgrade,
        from: None,
        to: None,
        when: None,
        strategy: "in_place".into(),
        downtime: Some(Duration::ZERO),
        risk: 0,
        note: None,
        span: None,
    }
}

pub(super) fn stop(versions: &str) -> RequiredStop {
    RequiredStop { version: req(versions), reason: "the metadata is migrated there".to_owned(), span: None }
}

pub(super) fn blocked(name: &str) -> Blocked {
    Blocked { name: name.into(), from: None, to: None, when: None, reason: "it loses data".to_owned(), url: None, span: None }
}

pub(super) fn risk(name: &str, rule: &str) -> Risk {
    let message = "queries may fail".to_owned();
    let url = Some("https://example.org/risk".to_owned());
    Risk { name: name.into(), from: None, to: None, rule: expr(rule), message, url, span: None }
}

pub(super) fn preflight(name: &str, pass: &str) -> Preflight {
    Preflight {
        name: name.into(),
        movements: Vec::new(),
        when: None,
        pass: expr(pass),
        message: expr("\"not for ${to.text}\""),
        remedy: Some(expr("\"wait\"")),
        warn_only: false,
        waivable: true,
        span: None,
    }
}

pub(super) fn fact() -> Fact {
    Fact {
        call: None,
        value: None,
        when: None,
        for_each: None,
        drift: false,
        sensitive: false,
        timeout: minutes(1),
        description: String::new(),
        span: None,
    }
}

pub(super) fn observed(facts: &[(&str, Result<Value, &str>)]) -> Observation {
    let observed = |(name, seen): &(&str, Result<Value, &str>)| {
        let observed = match seen {
            Ok(value) => Observed::Value(value.clone()),
            Err(why) => Observed::Unseen((*why).to_owned()),
        };
        (Arc::from(*name), observed)
    };
    Observation { at: now(), facts: facts.iter().map(observed).collect() }
}

/// The instance `PROVIDER.NAME` in `production`.
pub(super) fn instance(provider: &str, name: &str, version: &str) -> Instance {
    Instance {
        addr: InstanceAddr::from_text(format!("{provider}.{name}")),
        provider: provider.into(),
        environment: "production".into(),
        promote_from: None,
        host: None,
        version: version.into(),
        version_span: None,
        strategy: None,
        settings: Arc::default(),
        settings_digest: Digest::of(b""),
        seals: std::collections::BTreeMap::new(),
        backup: Value::Null,
        depends_on: Vec::new(),
        requires: Vec::new(),
        span: None,
    }
}

/// The subject of `PROVIDER.main`.
pub(super) fn subject<'a>(provider: &'a Provider, observation: Option<&'a Observation>) -> Subject<'a> {
    Subject::declared(provider, &instance(provider.name.as_str(), "main", "1"), None, observation, Env::pure(now()))
}

pub(super) fn catalogue(provider: &Provider) -> Catalogue<'_> {
    Catalogue::new(provider, &[])
}

pub(super) fn waiver(name: &str) -> Waiver {
    let reason = format!("{name} is fine");
    Waiver { name: name.into(), instance: None, environment: None, reason, owner: None, until: None, span: None }
}

pub(super) fn environment(name: &str) -> Environment {
    Environment {
        name: name.into(),
        promote_from: None,
        soak: None,
        approval: None,
        max_risk: None,
        windows: Vec::new(),
        rollout: Rollout::default(),
        on_failure: OnFailure::Rollback,
        concurrency: 10,
        span: None,
    }
}
