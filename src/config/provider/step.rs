//! `strategy "X" { step "Y" { … } }` of a provider.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use indexmap::IndexMap;

use super::bracket::{self, Brackets, brackets};
use super::call::{Holder, call};
use super::check::{DONE, PROGRESS, RULE, STEP, Scene, TOLERATE, Uses, acyclic, uses_of};
use super::fan_out::fan_out;
use super::group::Groups;
use super::poll::poll;
use super::probe::{probe, watched, with_beginnings};
use super::{Context, named};
use crate::config::fields::{Fields, Shape, check_shape, only_block, suggestion};
use crate::lang::{Attribute, Block, Body, Expr};
use crate::model::name::{StepName, StrategyName};
use crate::model::provider::{CallTemplate, Check, Retry, Step, Strategy, Undo};
use crate::source::{Diagnostic, Diagnostics, Span};

/// Attributes of a step.
const ATTRIBUTES: &[&str] = &[
    "title",
    "after",
    "when",
    "for_each",
    "on",
    "harmless",
    "irreversible",
    "repeatable",
    "timeout",
    "tolerate",
    "progress",
    "downtime",
    "privileged",
    "estimate",
    "opens",
    "closes",
    "note",
];

/// Blocks of a step that are not drivers.
const BLOCKS: &[&str] = &["check", "undo", "retry", "poll", "fan_out", "probe"];

/// Reads all strategies, and the step groups that they use.
pub(super) fn strategies(
    blocks: &[Block],
    groups: &[Block],
    context: &Context<'_>,
    problems: &mut Diagnostics,
) -> IndexMap<StrategyName, Strategy> {
    let mut strategies = IndexMap::new();
    let mut groups = Groups::new(groups, problems);
    let before = problems.len();
    for (name, block) in named(blocks, "strategy", problems) {
        let what = format!("strategy `{name}`");
        check_shape(&block.body, &Shape { what: &what, attributes: &["description"], blocks: &["step", "use"] }, problems);
        let header = block.header_span();
        let mut fields = Fields { body: &block.body, what: &what, header, evaluate: &context.constants, problems };
        let description = fields.text("description").unwrap_or_default();
        let name = StrategyName::new(&**name);
        let whole = problems.len();
        let steps = steps(&groups.steps(&block.body, problems), &what, context, problems);
        let strategy = Strategy { name, description, steps, span: Some(header) };
        if problems.len() == whole {
            bracket::check(&strategy, problems);
        }
        strategies.insert(strategy.name.clone(), strategy);
    }
    // What is wrong with a group is found in every strategy that uses it, and said once.
    problems.dedup_from(before);
    groups.warn_of_unused(problems);
    strategies
}

fn steps(blocks: &[Block], strategy: &str, context: &Context<'_>, problems: &mut Diagnostics) -> Vec<Step> {
    let named = named(blocks, "step", problems);
    let names: Vec<Arc<str>> = named.iter().map(|(name, _)| Arc::clone(name)).collect();
    let watched = watched(&named, &names, strategy, problems);
    let mut after: BTreeMap<Arc<str>, Uses> = BTreeMap::new();
    for (index, (name, block)) in named.iter().enumerate() {
        // A probe looks on beside others: whoever wants to wait for its end says so.
        let before = names.iter().take(index).rfind(|name| !watched.contains_key(*name)).map(|name| (Arc::clone(name), None));
        after.insert(Arc::clone(name), waits_for(name, block, before, &names, strategy, problems));
    }
    // In order, so that what runs before the steps that a step waits for is known.
    let mut earlier: BTreeMap<Arc<str>, BTreeSet<Arc<str>>> = BTreeMap::new();
    for name in acyclic("step", &with_beginnings(&after, &watched), problems) {
        let mut all = BTreeSet::new();
        for (used, _) in after.get(&name).into_iter().flatten() {
            all.insert(Arc::clone(used));
            all.extend(earlier.get(used).into_iter().flatten().cloned());
        }
        earlier.insert(name, all);
    }
    named
        .into_iter()
        .filter_map(|(name, block)| {
            let waits = after.get(name).into_iter().flatten().map(|(name, _)| StepName::new(&**name)).collect();
            let during = watched.get(name).into_iter().flatten().map(|(name, _)| StepName::new(&**name)).collect();
            step(name, block, (waits, during), (earlier.get(name)?, &names), context, problems)
        })
        .collect()
}

/// The steps that a step waits for; where it does not say, the one declared before it.
fn waits_for(
    name: &str,
    block: &Block,
    before: Option<(Arc<str>, Option<Span>)>,
    names: &[Arc<str>],
    strategy: &str,
    problems: &mut Diagnostics,
) -> Uses {
    let Some(attribute) = block.body.attributes.get("after") else { return before.into_iter().collect() };
    listed("after", attribute, name, names, strategy, problems)
}

/// A list of steps, as `after` and `during` have it.
pub(super) fn listed(
    which: &str,
    attribute: &Attribute,
    name: &str,
    names: &[Arc<str>],
    strategy: &str,
    problems: &mut Diagnostics,
) -> Uses {
    let span = attribute.expr.span().unwrap_or(attribute.name_span);
    let references = attribute.expr.references();
    let plain = attribute.expr.text().chars().all(|c| !matches!(c, '"' | '(' | '{' | '?'));
    if !attribute.expr.text().trim_start().starts_with('[')
        || !plain
        || references.iter().any(|reference| &*reference.root != "step")
    {
        problems.push(
            Diagnostic::error("invalid list of steps")
                .detail(format!("`{which}` of step `{name}` is not a list of steps"))
                .help(match which {
                    "after" => "write `after = [step.NAME]`, or `after = []` for a step that may start at once",
                    _ => "write `during = [step.NAME]`",
                })
                .at(span),
        );
        return Uses::new();
    }
    let mut waits = uses_of(&attribute.expr, "step");
    waits.retain(|(used, place)| {
        let known = names.contains(used);
        if !known {
            let listed: Vec<&str> = names.iter().map(|name| &**name).collect();
            problems.push(
                Diagnostic::error("unknown step")
                    .detail(format!("`{which}` of step `{name}` names step `{used}`, which {strategy} does not have"))
                    .help(suggestion(used, &listed))
                    .at(place.unwrap_or(span)),
            );
        }
        known
    });
    waits
}

fn step(
    name: &str,
    block: &Block,
    (after, during): (Vec<StepName>, Vec<StepName>),
    (earlier, names): (&BTreeSet<Arc<str>>, &[Arc<str>]),
    context: &Context<'_>,
    problems: &mut Diagnostics,
) -> Option<Step> {
    let what = format!("step `{name}`");
    let header = block.header_span();
    check_attributes(&block.body, &what, ATTRIBUTES, context, problems);
    let planned = Scene { what: &what, roots: RULE, each: false, steps: None };
    let each = block.body.attributes.contains_key("for_each");
    let steps = Some((earlier, names));
    let fan_out = fan_out(&block.body, &what, Scene { what: &what, roots: STEP, each: false, steps }, context, problems);
    let running = Scene { what: &what, roots: STEP, each: each || fan_out.is_some(), steps };
    let holder = Holder { what: &what, others: BLOCKS, fact: false, header };
    let call = call(&block.body, holder, running, context, problems);
    let mut with_own = earlier.clone();
    with_own.insert(Arc::from(name));
    let mut fields = Fields { body: &block.body, what: &what, header, evaluate: &context.constants, problems };
    let own = brackets(&mut fields);
    let undo = undo(block, &own, &what, Scene { steps: Some((&with_own, names)), each, ..running }, context, problems);
    let check = check(block, &what, running, context, problems);
    let poll = poll(&block.body, &what, call.as_ref(), running, context, problems);
    let probe = probe(&block.body, &what, call.as_ref(), running, context, problems);
    let mut fields = Fields { body: &block.body, what: &what, header, evaluate: &context.constants, problems };
    let when = fields.expr("when");
    let for_each = fields.expr("for_each");
    for expr in when.iter().chain(&for_each) {
        context.known.check(expr, planned, fields.problems);
    }
    let progress = fields.expr("progress");
    if let Some(expr) = &progress {
        context.known.check(expr, Scene { what: &what, roots: PROGRESS, each: false, steps: None }, fields.problems);
    }
    let retry = retry(&mut fields);
    if let (Some(on), Some(Undo::Call { call: CallTemplate { on: None, .. }, .. })) =
        (call.as_ref().and_then(|call| call.on.as_ref()), &undo)
        && fan_out.is_some()
        && on.references().iter().any(|reference| &*reference.root == "each")
    {
        let detail = format!("{what} is done on the host of each item, and its `undo` says not where");
        let help = "add `on` to the `undo`: its `each` is another";
        fields.problems.push(Diagnostic::error("undo without a place").detail(detail).help(help).at(header));
    }
    let (undo, check) = where_the_step_is(call.as_ref().and_then(|call| call.on.as_ref()), undo, check);
    let step = Step {
        name: StepName::new(name),
        title: fields.text("title").unwrap_or_else(|| sentence(name)),
        after,
        when,
        for_each,
        call: call?,
        check,
        undo: undo?,
        // What may be called again and again may be called once more.
        repeatable: fields.flag("repeatable") || poll.is_some() || probe.is_some(),
        retry,
        timeout: fields.duration("timeout"),
        tolerate: Vec::new(),
        poll,
        probe,
        during,
        fan_out,
        opens: own.0,
        closes: own.1,
        progress,
        downtime: fields.flag("downtime"),
        privileged: fields.flag("privileged"),
        estimate: fields.duration("estimate"),
        note: fields.text("note"),
        span: Some(header),
    };
    let tolerate = tolerate(&block.body, running.with(TOLERATE), context, problems);
    Some(Step { tolerate, ..step })
}

/// What undoes a step and what asks about it look where the step acts, where they do not say otherwise.
fn where_the_step_is(on: Option<&Expr>, mut undo: Option<Undo>, mut check: Option<Check>) -> (Option<Undo>, Option<Check>) {
    let calls = [
        match &mut undo {
            Some(Undo::Call { call, .. }) => Some(call),
            _ => None,
        },
        check.as_mut().map(|check| &mut check.call),
    ];
    for call in calls.into_iter().flatten().filter(|call| call.on.is_none()) {
        call.on = on.cloned();
    }
    (undo, check)
}

/// `stop_service` as a title: `Stop service`.
fn sentence(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(letters).map(|c| if matches!(c, '_' | '-') { ' ' } else { c }).collect()
}

/// `tolerate = [expr, …]`: the items as expressions of their own.
fn tolerate(body: &Body, scene: Scene<'_>, context: &Context<'_>, problems: &mut Diagnostics) -> Vec<Expr> {
    let Some(attribute) = body.attributes.get("tolerate") else { return Vec::new() };
    context.known.check(&attribute.expr, scene, problems);
    let text = attribute.expr.text().trim();
    if !text.starts_with('[') || text.starts_with("[for ") {
        problems.push(
            Diagnostic::error("invalid tolerate")
                .detail("`tolerate` is not a list of conditions")
                .help("write `tolerate = [error.exit_code == 3]`")
                .at(attribute.expr.span().unwrap_or(attribute.name_span)),
        );
        return Vec::new();
    }
    let mut items = Vec::new();
    let mut open = String::new();
    // A comma inside brackets or quotes leaves something that does not parse: then the next piece belongs to it, too.
    for piece in text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or_default().split_inclusive(',') {
        open.push_str(piece);
        let item = open.trim().trim_end_matches(',');
        if item.trim().is_empty() {
            open.clear();
        } else if let Ok(expr) = Expr::parse(item.trim()) {
            items.push(expr);
            open.clear();
        }
    }
    if !open.trim().is_empty() {
        problems.push(
            Diagnostic::error("invalid tolerate")
                .detail(format!("`{}` cannot be told apart as a condition", open.trim()))
                .help("write plain conditions, separated by commas, without comments between them")
                .at(attribute.expr.span().unwrap_or(attribute.name_span)),
        );
    }
    items
}

fn retry(fields: &mut Fields<'_>) -> Retry {
    let Some(block) = fields.block("retry") else { return Retry::default() };
    let what = format!("`retry` of {}", fields.what);
    check_shape(&block.body, &Shape { what: &what, attributes: &["attempts", "backoff"], blocks: &[] }, fields.problems);
    let mut fields = fields.nested(block, &what);
    let usual = Retry::default();
    Retry {
        attempts: fields.number("attempts", 1..=1000).unwrap_or(usual.attempts),
        backoff: fields.duration("backoff").unwrap_or(usual.backoff),
    }
}

fn check(block: &Block, owner: &str, scene: Scene<'_>, context: &Context<'_>, problems: &mut Diagnostics) -> Option<Check> {
    let inner = only_block(&block.body, "check", owner, problems)?;
    let what = format!("`check` of {owner}");
    check_attributes(&inner.body, &what, &["done", "on"], context, problems);
    let scene = Scene { what: &what, ..scene };
    let holder = Holder { what: &what, others: &[], fact: false, header: inner.ident_span };
    let call = call(&inner.body, holder, scene, context, problems);
    let done = inner.body.attributes.get("done").map(|attribute| attribute.expr.clone());
    if let Some(done) = &done {
        context.known.check(done, scene.with(DONE), problems);
    }
    Some(Check { call: call?, done })
}

/// Exactly one of `undo { … }`, `harmless = true` and `irreversible = true`.
fn undo(
    block: &Block,
    brackets: &Brackets,
    owner: &str,
    scene: Scene<'_>,
    context: &Context<'_>,
    problems: &mut Diagnostics,
) -> Option<Undo> {
    let header = block.header_span();
    let mut fields = Fields { body: &block.body, what: owner, header, evaluate: &context.constants, problems };
    let harmless = fields.flag("harmless");
    let irreversible = fields.flag("irreversible");
    let inner = only_block(&block.body, "undo", owner, problems);
    match (inner, harmless, irreversible) {
        (None, true, false) => return Some(Undo::Harmless),
        (None, false, true) => return Some(Undo::Irreversible),
        (Some(_), false, false) => {}
        (None, false, false) => {
            problems.push(
                Diagnostic::error("missing undo")
                    .detail(format!("{owner} says not how it is undone"))
                    .help("add `undo { … }`; or `harmless = true` where nothing needs to be undone, or `irreversible = true` where nothing can be")
                    .at(header),
            );
            return None;
        }
        _ => {
            problems.push(
                Diagnostic::error("contradicting undo")
                    .detail(format!("{owner} says more than one of `undo`, `harmless` and `irreversible`"))
                    .help("keep the one that is true")
                    .at(header),
            );
            return None;
        }
    }
    let inner = inner?;
    let what = format!("`undo` of {owner}");
    check_attributes(&inner.body, &what, &["restores_data", "downtime", "timeout", "on", "opens", "closes"], context, problems);
    let holder = Holder { what: &what, others: &["retry", "poll", "fan_out"], fact: false, header: inner.ident_span };
    let fan_out = fan_out(&inner.body, &what, Scene { what: &what, each: false, ..scene }, context, problems);
    let scene = Scene { what: &what, each: scene.each || fan_out.is_some(), ..scene };
    let call = call(&inner.body, holder, scene, context, problems);
    let poll = poll(&inner.body, &what, call.as_ref(), scene, context, problems);
    let mut fields = Fields { body: &inner.body, what: &what, header: inner.ident_span, evaluate: &context.constants, problems };
    let (opens, closes) = bracket::of_undo(bracket::brackets(&mut fields), brackets);
    Some(Undo::Call {
        opens,
        closes,
        restores_data: fields.flag("restores_data"),
        downtime: fields.flag("downtime"),
        retry: retry(&mut fields),
        timeout: fields.duration("timeout"),
        poll,
        fan_out,
        call: call?,
    })
}

/// Reports attributes that do not belong. Blocks are checked with the drivers; an attribute named as a driver is a block.
pub(super) fn check_attributes(body: &Body, what: &str, attributes: &[&str], context: &Context<'_>, problems: &mut Diagnostics) {
    let mut blocks: Vec<&str> = context.drivers.iter().map(|schema| schema.name).collect();
    blocks.extend_from_slice(BLOCKS);
    let plain = Body { attributes: body.attributes.clone(), ..Body::default() };
    check_shape(&plain, &Shape { what, attributes, blocks: &blocks }, problems);
}
