//! `probe { during = […] }` of a step.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::Context;
use super::check::{DONE, Scene, Uses};
use super::poll::only_looks;
use super::step::listed;
use crate::config::fields::{Fields, Shape, check_shape, only_block};
use crate::lang::{Block, Body};
use crate::model::probe::Probe;
use crate::model::provider::CallTemplate;
use crate::source::{Diagnostic, Diagnostics};

/// From look to look where nothing is given.
const INTERVAL: Duration = Duration::from_secs(1);
/// The shortest way from look to look.
const SHORTEST: Duration = Duration::from_millis(10);
/// What a step that only looks on cannot have, besides its driver.
const NOT_BESIDE: [&str; 8] = ["poll", "fan_out", "check", "undo", "retry", "irreversible", "progress", "downtime"];

/// The steps that each probe of a strategy watches.
pub(super) fn watched(
    steps: &[(&Arc<str>, &Block)],
    names: &[Arc<str>],
    strategy: &str,
    problems: &mut Diagnostics,
) -> BTreeMap<Arc<str>, Uses> {
    let mut watched = BTreeMap::new();
    for (name, block) in steps {
        let Some(probe) = block.body.blocks.iter().find(|block| &*block.ident == "probe") else { continue };
        let during = match probe.body.attributes.get("during") {
            Some(attribute) => listed("during", attribute, name, names, strategy, problems),
            None => Uses::new(),
        };
        if during.is_empty() {
            problems.push(
                Diagnostic::error("probe of nothing")
                    .detail(format!("`probe` of step `{name}` does not say which steps it looks beside"))
                    .help("write `during = [step.NAME]` with the first and the last of them")
                    .at(probe.ident_span),
            );
        }
        watched.insert(Arc::clone(name), during);
    }
    watched
}

/// What waits for what, where a probe begins before what it watches and ends after it: a name of its own for each probe's beginning.
pub(super) fn with_beginnings(after: &BTreeMap<Arc<str>, Uses>, watched: &BTreeMap<Arc<str>, Uses>) -> BTreeMap<Arc<str>, Uses> {
    let beginning = |name: &str| -> Arc<str> { format!("{name} (beginning)").into() };
    let mut waits = after.clone();
    for (probe, during) in watched {
        let before = waits.insert(Arc::clone(probe), during.clone()).unwrap_or_default();
        waits.insert(beginning(probe), before);
    }
    for (probe, during) in watched {
        for (step, place) in during {
            // A probe that is watched by another must begin after it, too.
            let begins = if watched.contains_key(step) { beginning(step) } else { Arc::clone(step) };
            waits.entry(begins).or_default().push((beginning(probe), *place));
        }
    }
    waits
}

/// Reads the block, where there is one, for the call that it makes again and again.
pub(super) fn probe(
    body: &Body,
    owner: &str,
    call: Option<&CallTemplate>,
    scene: Scene<'_>,
    context: &Context<'_>,
    problems: &mut Diagnostics,
) -> Option<Arc<Probe>> {
    let block = only_block(body, "probe", owner, problems)?;
    let what = format!("`probe` of {owner}");
    let shape = Shape { what: &what, attributes: &["during", "pass", "interval", "allow"], blocks: &[] };
    check_shape(&block.body, &shape, problems);
    if let Some(pass) = block.body.attributes.get("pass") {
        context.known.check(&pass.expr, Scene { what: &what, ..scene }.with(DONE), problems);
    }
    only_looks(call, &format!("{owner} probes"), "probe with a driver that only looks", block.ident_span, context, problems);
    let blocks = body.blocks.iter().map(|block| (&block.ident, block.ident_span));
    let attributes = body.attributes.iter().map(|(name, attribute)| (name, attribute.name_span));
    for (name, span) in blocks.chain(attributes).filter(|(name, _)| NOT_BESIDE.contains(&&***name)) {
        problems.push(
            Diagnostic::error("not for a probe")
                .detail(format!("{owner} only looks on, and has `{name}`"))
                .help(format!("remove `{name}`, or do it in a step of its own; a probe is `harmless = true`"))
                .at(span),
        );
    }
    let mut fields = Fields { body: &block.body, what: &what, header: block.ident_span, evaluate: &context.constants, problems };
    Some(Arc::new(Probe {
        pass: fields.expr("pass"),
        interval: fields.duration("interval").unwrap_or(INTERVAL).max(SHORTEST),
        allow: fields.number("allow", 0..=u32::MAX).unwrap_or(0),
    }))
}
