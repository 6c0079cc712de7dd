//! `fact "X" { … }` of a provider.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;

use super::call::{Holder, call};
use super::check::{FACT, FACT_VALUE, Scene, Uses, acyclic, uses_of};
use super::step::check_attributes;
use super::{Context, named};
use crate::config::fields::Fields;
use crate::lang::Block;
use crate::model::provider::Fact;
use crate::source::{Diagnostic, Diagnostics, Span};

/// Attributes of a fact.
const ATTRIBUTES: &[&str] = &["value", "when", "for_each", "on", "drift", "sensitive", "timeout", "description"];

/// How long a fact may take that does not say.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Reads all facts; `version` must be among them.
pub(super) fn facts(blocks: &[Block], context: &Context<'_>, header: Span, problems: &mut Diagnostics) -> IndexMap<Arc<str>, Fact> {
    let named = named(blocks, "fact", problems);
    let facts: IndexMap<Arc<str>, Fact> =
        named.into_iter().map(|(name, block)| (Arc::clone(name), fact(name, block, context, problems))).collect();
    if !blocks.iter().any(|block| block.labels.first().is_some_and(|(name, _)| &**name == "version")) {
        problems.push(
            Diagnostic::error("missing fact")
                .detail("a provider must say how the installed version is found out")
                .help("add `fact \"version\" { … }`; its value is null where nothing is installed")
                .at(header),
        );
    }
    let uses: BTreeMap<Arc<str>, Uses> = facts
        .iter()
        .map(|(name, fact)| {
            let exprs = fact.exprs();
            (Arc::clone(name), exprs.flat_map(|expr| uses_of(expr, "fact")).collect())
        })
        .collect();
    acyclic("fact", &uses, problems);
    facts
}

fn fact(name: &str, block: &Block, context: &Context<'_>, problems: &mut Diagnostics) -> Fact {
    let what = format!("fact `{name}`");
    check_attributes(&block.body, &what, ATTRIBUTES, context, problems);
    let each = block.body.attributes.contains_key("for_each");
    let plain = Scene::new(&what, FACT);
    let scene = Scene { each, ..plain };
    let holder = Holder { what: &what, others: &[], fact: true, header: block.header_span() };
    let call = call(&block.body, holder, scene, context, problems);
    let mut fields = Fields { body: &block.body, what: &what, header: block.header_span(), evaluate: &context.constants, problems };
    let fact = Fact {
        value: fields.expr("value"),
        when: fields.expr("when"),
        for_each: fields.expr("for_each"),
        drift: fields.flag("drift"),
        sensitive: fields.flag("sensitive"),
        timeout: fields.duration("timeout").unwrap_or(TIMEOUT),
        description: fields.text("description").unwrap_or_default(),
        span: Some(block.header_span()),
        call,
    };
    if fact.value.is_none() && block.body.blocks.is_empty() {
        problems.push(
            Diagnostic::error("empty fact")
                .detail(format!("{what} has neither a driver nor a value"))
                .help("add a driver block, or `value = …` over other facts")
                .at(block.header_span()),
        );
    }
    for expr in fact.when.iter().chain(&fact.for_each) {
        context.known.check(expr, plain, problems);
    }
    if block.body.attributes.contains_key("on") && block.body.blocks.is_empty() {
        problems.push(
            Diagnostic::error("nothing to ask there")
                .detail(format!("{what} says `on` and has no driver that would be called there"))
                .help("add a driver block, or remove `on`")
                .at(block.header_span()),
        );
    }
    if each && name == "version" {
        problems.push(
            Diagnostic::error("one version for each item")
                .detail("fact `version` is the one version of an instance, and `for_each` makes a map of it")
                .help("ask each with a fact of its own, and say in `version` what they come to")
                .at(block.header_span()),
        );
    }
    if let Some(value) = &fact.value {
        // A driver that could not be read has a result all the same.
        let roots = if block.body.blocks.is_empty() { FACT } else { FACT_VALUE };
        context.known.check(value, scene.with(roots), problems);
    }
    fact
}
