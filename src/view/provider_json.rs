//! A provider as one JSON document for programs. Expressions are their source texts, durations are seconds.

use std::time::Duration;

use serde_json::{Value, json};

use crate::lang::Expr;
use crate::model::fan_out::FanOut;
use crate::model::name::StepName;
use crate::model::poll::Poll;
use crate::model::probe::Probe;
use crate::model::provider::{CallTemplate, Movement, OnChange, Provider, Retry, Setting, Step, Strategy, Undo};
use crate::model::release::Release;
use crate::model::version::VersionReq;

use super::provider::movement_word;

/// Everything that a provider says; defaults of sensitive settings are left out.
#[must_use]
pub fn provider_json(provider: &Provider) -> Value {
    let Provider { name, title, description, version, digest, scheme, files, .. } = provider;
    json!({
        "name": name,
        "title": title,
        "description": description,
        "version": version,
        "digest": digest,
        "version_scheme": scheme,
        "settings": provider.settings.iter().map(|(name, setting)| self::setting(name, setting)).collect::<Vec<_>>(),
        "facts": provider.facts.iter().map(|(name, fact)| json!({
            "name": &**name,
            "description": fact.description,
            "driver": fact.call.as_ref().map(|call| call.driver.as_str()),
            "value": text(fact.value.as_ref()),
            "when": text(fact.when.as_ref()),
            "drift": fact.drift,
            "sensitive": fact.sensitive,
            "timeout": fact.timeout.as_secs_f64(),
        })).collect::<Vec<_>>(),
        "releases": provider.releases.iter().map(release).collect::<Vec<_>>(),
        "routes": provider.routes.iter().map(|route| json!({
            "name": &*route.name,
            "movement": movement_word(route.movement),
            "from": req(route.from.as_ref()),
            "to": req(route.to.as_ref()),
            "when": text(route.when.as_ref()),
            "strategy": route.strategy,
            "downtime": seconds(route.downtime),
            "risk": route.risk,
            "note": route.note,
        })).collect::<Vec<_>>(),
        "required_stops": provider.required_stops.iter().map(|stop| json!({
            "version": stop.version.text(), "reason": stop.reason,
        })).collect::<Vec<_>>(),
        "blocked": provider.blocked.iter().map(|blocked| json!({
            "name": &*blocked.name, "from": req(blocked.from.as_ref()), "to": req(blocked.to.as_ref()),
            "when": text(blocked.when.as_ref()), "reason": blocked.reason, "url": blocked.url,
        })).collect::<Vec<_>>(),
        "risks": provider.risks.iter().map(|risk| json!({
            "name": &*risk.name, "from": req(risk.from.as_ref()), "to": req(risk.to.as_ref()),
            "rule": risk.rule.text(), "message": risk.message, "url": risk.url,
        })).collect::<Vec<_>>(),
        "preflights": provider.preflights.iter().map(|preflight| json!({
            "name": &*preflight.name, "movements": movements(&preflight.movements), "when": text(preflight.when.as_ref()),
            "pass": preflight.pass.text(), "message": preflight.message.text(), "remedy": text(preflight.remedy.as_ref()),
            "severity": if preflight.warn_only { "warn" } else { "fail" }, "waivable": preflight.waivable,
        })).collect::<Vec<_>>(),
        "requires": provider.requires.iter().map(|requirement| json!({
            "provider": requirement.provider, "when": req(requirement.when.as_ref()), "version": requirement.version.text(),
            "reason": requirement.reason,
        })).collect::<Vec<_>>(),
        "notes": provider.notes.iter().map(|note| json!({
            "name": &*note.name, "versions": req(note.versions.as_ref()), "movements": movements(&note.movements),
            "when": text(note.when.as_ref()), "text": note.text.text(), "url": note.url, "follow_up": note.follow_up,
            "acknowledge": note.acknowledge,
        })).collect::<Vec<_>>(),
        "strategies": provider.strategies.values().map(strategy).collect::<Vec<_>>(),
        "files": files.keys().map(|path| &**path).collect::<Vec<_>>(),
    })
}

fn text(expr: Option<&Expr>) -> Option<&str> {
    expr.map(Expr::text)
}

fn req(req: Option<&VersionReq>) -> Option<&str> {
    req.map(VersionReq::text)
}

fn seconds(duration: Option<Duration>) -> Option<f64> {
    duration.map(|duration| duration.as_secs_f64())
}

fn movements(movements: &[Movement]) -> Vec<&'static str> {
    movements.iter().map(|movement| movement_word(*movement)).collect()
}

fn setting(name: &str, setting: &Setting) -> Value {
    let Setting { ty, required, default, sensitive, description, validations, on_change, span: _ } = setting;
    let validations = validations.iter().map(|rule| json!({ "condition": rule.condition.text(), "message": rule.message.text() }));
    json!({
        "name": name,
        "type": ty.to_string(),
        "required": required,
        "default": text(default.as_ref().filter(|_| !sensitive)),
        "sensitive": sensitive,
        "description": description,
        "on_change": match on_change {
            OnChange::Reconfigure => "reconfigure",
            OnChange::Ignore => "ignore",
            OnChange::WithVersion => "with_version",
            OnChange::Refuse => "refuse",
        },
        "validations": validations.collect::<Vec<_>>(),
    })
}

fn release(release: &Release) -> Value {
    let Release { provider: _, version, artifact, sha256, channels, withdrawn, notes, attributes, span: _ } = release;
    json!({
        "version": version.text(), "artifact": artifact, "sha256": sha256, "channels": channels, "withdrawn": withdrawn, "notes": notes,
        "attributes": attributes,
    })
}

fn strategy(strategy: &Strategy) -> Value {
    let steps: Vec<Value> = strategy.in_order().into_iter().map(step).collect();
    json!({ "name": strategy.name, "description": strategy.description, "steps": steps })
}

fn step(step: &Step) -> Value {
    let Step { name, title, after, when, for_each, call, check, undo, repeatable, retry, timeout, tolerate, .. } = step;
    json!({
        "name": name,
        "title": title,
        "after": after,
        "when": text(when.as_ref()),
        "for_each": text(for_each.as_ref()),
        "call": self::call(call),
        "check": check.as_ref().map(|check| json!({ "call": self::call(&check.call), "done": text(check.done.as_ref()) })),
        "undo": self::undo(undo),
        "repeatable": repeatable,
        "retry": self::retry(*retry),
        "timeout": seconds(*timeout),
        "tolerate": tolerate.iter().map(Expr::text).collect::<Vec<_>>(),
        "poll": step.poll.as_deref().map(self::poll),
        "probe": step.probe.as_deref().map(|probe| self::probe(probe, &step.during)),
        "fan_out": step.fan_out.as_deref().map(self::fan_out),
        "opens": step.opens.as_deref(),
        "closes": step.closes.as_deref(),
        "downtime": step.downtime,
        "privileged": step.privileged,
        "estimate": seconds(step.estimate),
        "note": step.note,
    })
}

fn undo(undo: &Undo) -> Value {
    match undo {
        Undo::Harmless => json!({ "kind": "harmless" }),
        Undo::Irreversible => json!({ "kind": "irreversible" }),
        Undo::Call { call, restores_data, downtime, retry, timeout, poll, fan_out, opens, closes } => json!({
            "kind": "call", "call": self::call(call), "restores_data": restores_data, "downtime": downtime,
            "retry": self::retry(*retry), "timeout": seconds(*timeout), "poll": poll.as_deref().map(self::poll),
            "fan_out": fan_out.as_deref().map(self::fan_out), "opens": opens.as_deref(), "closes": closes.as_deref(),
        }),
    }
}

fn call(CallTemplate { driver, args, on, span: _ }: &CallTemplate) -> Value {
    let args: serde_json::Map<String, Value> =
        args.iter().map(|(name, expr)| (name.to_string(), Value::from(expr.text()))).collect();
    json!({ "driver": driver, "args": args, "on": on.as_ref().map(Expr::text) })
}

fn probe(Probe { pass, interval, allow }: &Probe, during: &[StepName]) -> Value {
    json!({ "during": during, "pass": pass.as_ref().map(Expr::text), "interval": interval.as_secs_f64(), "allow": allow })
}

fn poll(Poll { until, fail, message, progress, interval }: &Poll) -> Value {
    json!({
        "until": until.text(), "fail": text(fail.as_ref()), "message": text(message.as_ref()), "progress": text(progress.as_ref()),
        "interval": interval.as_secs_f64(),
    })
}

fn fan_out(FanOut { items, key, at_once, tolerate_failures }: &FanOut) -> Value {
    json!({
        "items": items.text(), "key": text(key.as_ref()), "at_once": at_once, "tolerate_failures": tolerate_failures,
    })
}

fn retry(Retry { attempts, backoff }: Retry) -> Value {
    json!({ "attempts": attempts, "backoff": backoff.as_secs_f64() })
}
