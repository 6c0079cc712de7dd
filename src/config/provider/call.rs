//! A driver block: `exec { command = […] }`.

use std::fmt::Write as _;
use std::sync::Arc;

use indexmap::IndexMap;

use super::Context;
use super::check::Scene;
use crate::config::fields::{no_labels, suggestion};
use crate::lang::{Block, Body, Expr, Value};
use crate::model::driver::DriverSchema;
use crate::model::name::DriverName;
use crate::model::provider::CallTemplate;
use crate::source::{Diagnostic, Diagnostics, Span};

/// What a call is part of.
#[derive(Clone, Copy)]
pub(super) struct Holder<'a> {
    /// In words: `` step `backup` ``.
    pub(super) what: &'a str,
    /// Blocks that are not drivers.
    pub(super) others: &'a [&'a str],
    /// Whether the driver must only look; then it may be left out, too.
    pub(super) fact: bool,
    /// Where a missing driver is missed.
    pub(super) header: Span,
}

/// Finds the one driver block of a body.
pub(super) fn call(
    body: &Body,
    holder: Holder<'_>,
    scene: Scene<'_>,
    context: &Context<'_>,
    problems: &mut Diagnostics,
) -> Option<CallTemplate> {
    let mut found: Option<(&Block, &DriverSchema)> = None;
    let mut misspelled = false;
    for block in body.blocks.iter().filter(|block| !holder.others.contains(&&*block.ident)) {
        let Some(schema) = context.drivers.iter().find(|schema| schema.name == &*block.ident) else {
            misspelled = true;
            let known: Vec<&str> = context.drivers.iter().map(|schema| schema.name).chain(holder.others.iter().copied()).collect();
            problems.push(
                Diagnostic::error("unknown driver")
                    .detail(format!("{} uses `{}`, which is neither a driver nor a block known here", holder.what, block.ident))
                    .help(suggestion(&block.ident, &known))
                    .at(block.ident_span),
            );
            continue;
        };
        if let Some((first, _)) = found {
            problems.push(
                Diagnostic::error("two drivers")
                    .detail(format!("{} uses both `{}` and `{}`", holder.what, first.ident, block.ident))
                    .help("use one driver; put the other in a step or fact of its own")
                    .label(block.ident_span, "again here")
                    .label(first.ident_span, "first here"),
            );
            continue;
        }
        found = Some((block, schema));
    }
    let Some((block, schema)) = found else {
        if !misspelled && !holder.fact {
            let names: Vec<&str> = context.drivers.iter().map(|schema| schema.name).collect();
            problems.push(
                Diagnostic::error("missing driver")
                    .detail(format!("{} says not what is done", holder.what))
                    .help(format!("add a driver block; {}", suggestion("", &names)))
                    .at(holder.header),
            );
        }
        return None;
    };
    no_labels(block, problems);
    if holder.fact && !schema.observes {
        let looking: Vec<&str> = context.drivers.iter().filter(|schema| schema.observes).map(|schema| schema.name).collect();
        problems.push(
            Diagnostic::error("driver changes things")
                .detail(format!("{} uses `{}`, which does more than look", holder.what, schema.name))
                .help(format!("use a driver that only looks; {}", suggestion("", &looking)))
                .at(block.ident_span),
        );
    }
    let args = arguments(block, schema, scene, context, problems);
    let on = body.attributes.get("on").map(|attribute| attribute.expr.clone());
    if let Some(on) = &on {
        context.known.check(on, scene, problems);
    }
    Some(CallTemplate { driver: DriverName::new(&*block.ident), args, on, span: Some(block.ident_span) })
}

fn arguments(
    block: &Block,
    schema: &DriverSchema,
    scene: Scene<'_>,
    context: &Context<'_>,
    problems: &mut Diagnostics,
) -> IndexMap<Arc<str>, Expr> {
    let known: Vec<&str> = schema.args.iter().map(|arg| arg.name).collect();
    let mut args: IndexMap<Arc<str>, Expr> = IndexMap::new();
    let unknown = |name: &str, span: Span| {
        Diagnostic::error("unknown argument")
            .detail(format!("the driver `{}` has no argument `{name}`", schema.name))
            .help(suggestion(name, &known))
            .at(span)
    };
    for (name, attribute) in &block.body.attributes {
        if !known.contains(&&**name) {
            problems.push(unknown(name, attribute.name_span));
            continue;
        }
        context.known.check(&attribute.expr, scene, problems);
        if schema.name == "template" && &**name == "source" {
            check_document(&attribute.expr, attribute.name_span, context, problems);
        }
        args.insert(Arc::clone(name), attribute.expr.clone());
    }
    for inner in &block.body.blocks {
        if !known.contains(&&*inner.ident) {
            problems.push(unknown(&inner.ident, inner.ident_span));
            continue;
        }
        if args.contains_key(&inner.ident) {
            problems.push(twice(&inner.ident, schema.name, inner.ident_span));
            continue;
        }
        check_object(&inner.body, scene, context, problems);
        args.extend(problems.take(object(inner)).map(|expr| (Arc::clone(&inner.ident), expr)));
    }
    for arg in schema.args.iter().filter(|arg| arg.required && !args.contains_key(arg.name)) {
        if block.body.blocks.iter().any(|inner| &*inner.ident == arg.name) {
            continue;
        }
        problems.push(
            Diagnostic::error("missing argument")
                .detail(format!("the driver `{}` needs `{}`", schema.name, arg.name))
                .help(arg.summary)
                .at(block.ident_span),
        );
    }
    args
}

fn twice(name: &str, within: &str, span: Span) -> Diagnostic {
    Diagnostic::error("duplicate argument")
        .detail(format!("`{name}` is given twice to `{within}`"))
        .help("keep one of the two, or write a list")
        .at(span)
}

/// A template that is named must be among the provider's files.
fn check_document(expr: &Expr, span: Span, context: &Context<'_>, problems: &mut Diagnostics) {
    let Some(name) = expr.as_literal().and_then(Value::as_str) else { return };
    if context.files.contains_key(name) {
        return;
    }
    let documents: Vec<&str> = context.files.keys().map(|path| &**path).filter(|path| !path.ends_with(".hcl")).collect();
    let help =
        if documents.is_empty() { "put it beside the provider's `*.hcl` files".to_owned() } else { suggestion(name, &documents) };
    problems.push(
        Diagnostic::error("document not found")
            .detail(format!("the provider has no file `{name}`"))
            .help(help)
            .at(expr.span().unwrap_or(span)),
    );
}

/// Checks the expressions of a nested block where they are written, for their places.
fn check_object(body: &Body, scene: Scene<'_>, context: &Context<'_>, problems: &mut Diagnostics) {
    for attribute in body.attributes.values() {
        context.known.check(&attribute.expr, scene, problems);
    }
    for block in &body.blocks {
        check_object(&block.body, scene, context, problems);
    }
}

/// A nested block as the object that it means.
fn object(block: &Block) -> Result<Expr, Diagnostics> {
    let mut problems = Diagnostics::new();
    let mut text = String::new();
    write_object(block, &mut text, &mut problems);
    if problems.has_errors() {
        return Err(problems);
    }
    Expr::parse(&text)
}

fn write_object(block: &Block, text: &mut String, problems: &mut Diagnostics) {
    no_labels(block, problems);
    // Items end with their line, as attributes do: the same text means the same.
    text.push_str("{\n");
    for (name, attribute) in &block.body.attributes {
        let _ = writeln!(text, "{name} = {}", attribute.expr.text());
    }
    let mut seen: Vec<&str> = block.body.attributes.keys().map(|name| &**name).collect();
    for inner in &block.body.blocks {
        if seen.contains(&&*inner.ident) {
            problems.push(twice(&inner.ident, &block.ident, inner.ident_span));
            continue;
        }
        seen.push(&inner.ident);
        let _ = write!(text, "{} = ", inner.ident);
        write_object(inner, text, problems);
        text.push('\n');
    }
    text.push('}');
}
