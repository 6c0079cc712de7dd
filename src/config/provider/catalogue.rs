//! What a provider says of versions: routes, required stops, notes, and what it requires of other providers.

use std::collections::BTreeMap;
use std::sync::Arc;

use indexmap::IndexMap;

use super::check::{RULE, Scene};
use super::{Context, named};
use crate::config::fields::{Fields, Shape, check_shape, labels, suggestion};
use crate::lang::{Block, Expr};
use crate::model::name::{ProviderName, StrategyName};
use crate::model::provider::{Movement, Note, ProviderRequirement, RequiredStop, Route, Strategy};
use crate::model::version::{VersionReq, VersionScheme};
use crate::source::Diagnostics;

/// Movements by name.
pub(super) const MOVEMENTS: &[(&str, Movement)] = &[
    ("install", Movement::Install),
    ("upgrade", Movement::Upgrade),
    ("downgrade", Movement::Downgrade),
    ("reconfigure", Movement::Reconfigure),
    ("remove", Movement::Remove),
    ("backup", Movement::Backup),
    ("restore", Movement::Restore),
];

/// A constraint on versions.
pub(super) fn requirement(fields: &mut Fields<'_>, name: &str, scheme: &VersionScheme) -> Option<VersionReq> {
    let text = fields.text(name)?;
    let span = fields.span(name);
    fields.problems.take(VersionReq::parse(&text, scheme).map_err(|error| error.diagnostic("invalid version constraint", span)))
}

/// A list of movements.
pub(super) fn movements(fields: &mut Fields<'_>) -> Vec<Movement> {
    let known: Vec<&str> = MOVEMENTS.iter().map(|(name, _)| *name).collect();
    let mut found = Vec::new();
    for text in fields.texts("movements") {
        match MOVEMENTS.iter().find(|(name, _)| *name == text) {
            Some((_, movement)) => found.push(*movement),
            None => fields.wrong("movements", format!("`{text}` is no movement"), suggestion(&text, &known)),
        }
    }
    found
}

/// An expression whose names are checked.
pub(super) fn rule(fields: &mut Fields<'_>, name: &str, context: &Context<'_>) -> Option<Expr> {
    let expr = fields.expr(name)?;
    context.known.check(&expr, Scene::new(fields.what, RULE), fields.problems);
    Some(expr)
}

/// Reads all routes.
pub(super) fn routes(
    blocks: &[Block],
    strategies: &IndexMap<StrategyName, Strategy>,
    context: &Context<'_>,
    problems: &mut Diagnostics,
) -> Vec<Route> {
    let mut routes = Vec::new();
    for (name, block) in named(blocks, "route", problems) {
        let what = format!("route `{name}`");
        let shape = Shape {
            what: &what,
            attributes: &["movement", "from", "to", "when", "strategy", "downtime", "risk", "note"],
            blocks: &[],
        };
        check_shape(&block.body, &shape, problems);
        let header = block.header_span();
        let mut fields = Fields { body: &block.body, what: &what, header, evaluate: &context.constants, problems };
        let strategy = fields.required_text("strategy");
        if let Some(strategy) = strategy.as_deref().filter(|strategy| !strategies.contains_key(*strategy)) {
            let known: Vec<&str> = strategies.keys().map(StrategyName::as_str).collect();
            fields.wrong("strategy", format!("there is no strategy `{strategy}`"), suggestion(strategy, &known));
        }
        let movement = fields.word("movement", MOVEMENTS).unwrap_or(Movement::Upgrade);
        let (from, to) = (requirement(&mut fields, "from", context.scheme), requirement(&mut fields, "to", context.scheme));
        let unused = match movement {
            Movement::Install => from.as_ref().map(|_| "from"),
            Movement::Remove => to.as_ref().map(|_| "to"),
            _ => None,
        };
        if let Some(unused) = unused {
            fields.wrong(unused, "an install has no version before it, and a removal none after it", "remove it");
        }
        routes.push(Route {
            name: Arc::clone(name),
            movement,
            from,
            to,
            when: rule(&mut fields, "when", context),
            strategy: StrategyName::new(strategy.unwrap_or_default()),
            downtime: fields.duration("downtime"),
            risk: fields.number("risk", 0..=100).unwrap_or(0),
            note: fields.text("note"),
            span: Some(header),
        });
    }
    routes
}

/// Reads all required stops.
pub(super) fn required_stops(blocks: &[Block], context: &Context<'_>, problems: &mut Diagnostics) -> Vec<RequiredStop> {
    let mut stops = Vec::new();
    for block in blocks {
        let Some([(text, span)]) = labels(block, ["CONSTRAINT"], problems) else { continue };
        let what = format!("required stop `{text}`");
        check_shape(&block.body, &Shape { what: &what, attributes: &["reason"], blocks: &[] }, problems);
        let header = block.header_span();
        let mut fields = Fields { body: &block.body, what: &what, header, evaluate: &context.constants, problems };
        let reason = fields.required_text("reason").unwrap_or_default();
        let parsed = VersionReq::parse(text, context.scheme).map_err(|error| error.diagnostic("invalid version constraint", *span));
        if let Some(version) = problems.take(parsed) {
            stops.push(RequiredStop { version, reason, span: Some(header) });
        }
    }
    stops
}

/// Reads what is required of other providers' instances.
pub(super) fn requires(
    blocks: &[Block],
    context: &Context<'_>,
    schemes: &BTreeMap<ProviderName, VersionScheme>,
    problems: &mut Diagnostics,
) -> Vec<ProviderRequirement> {
    let mut requirements = Vec::new();
    for block in blocks {
        let Some([(other, _)]) = labels(block, ["PROVIDER"], problems) else { continue };
        let what = format!("requirement of `{other}`");
        check_shape(&block.body, &Shape { what: &what, attributes: &["when", "version", "reason"], blocks: &[] }, problems);
        let header = block.header_span();
        let mut fields = Fields { body: &block.body, what: &what, header, evaluate: &context.constants, problems };
        let when = requirement(&mut fields, "when", context.scheme);
        fields.required_text("version");
        // Where the other provider is not in use, the constraint is never asked, and any scheme will do to read it.
        let scheme = schemes.get(&**other).cloned().unwrap_or_default();
        let version = if fields.has("version") { requirement(&mut fields, "version", &scheme) } else { None };
        let reason = fields.text("reason").unwrap_or_default();
        requirements.extend(version.map(|version| ProviderRequirement {
            provider: ProviderName::new(&**other),
            when,
            version,
            reason,
            span: Some(header),
        }));
    }
    requirements
}

/// Reads all notes.
pub(super) fn notes(blocks: &[Block], context: &Context<'_>, problems: &mut Diagnostics) -> Vec<Note> {
    let mut notes = Vec::new();
    for (name, block) in named(blocks, "note", problems) {
        let what = format!("note `{name}`");
        let shape = Shape {
            what: &what,
            attributes: &["versions", "movements", "when", "text", "url", "follow_up", "acknowledge"],
            blocks: &[],
        };
        check_shape(&block.body, &shape, problems);
        let header = block.header_span();
        let mut fields = Fields { body: &block.body, what: &what, header, evaluate: &context.constants, problems };
        fields.required_expr("text");
        let Some(text) = rule(&mut fields, "text", context) else { continue };
        notes.push(Note {
            name: Arc::clone(name),
            versions: requirement(&mut fields, "versions", context.scheme),
            movements: movements(&mut fields),
            when: rule(&mut fields, "when", context),
            text,
            url: fields.text("url"),
            follow_up: fields.flag("follow_up"),
            acknowledge: fields.flag("acknowledge"),
            span: Some(header),
        });
    }
    notes
}
