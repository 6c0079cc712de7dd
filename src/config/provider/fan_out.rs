//! `fan_out { items = … }` of a step or an undo.

use std::sync::Arc;

use super::Context;
use super::check::Scene;
use crate::config::fields::{Fields, Shape, check_shape, only_block};
use crate::lang::Body;
use crate::model::fan_out::FanOut;
use crate::source::{Diagnostic, Diagnostics};

/// How many items are seen to at once where that is not given.
const AT_ONCE: u32 = 4;
/// The most that may be.
const MOST: u32 = 64;

/// Reads the block, where there is one.
pub(super) fn fan_out(
    body: &Body,
    owner: &str,
    scene: Scene<'_>,
    context: &Context<'_>,
    problems: &mut Diagnostics,
) -> Option<Arc<FanOut>> {
    let block = only_block(body, "fan_out", owner, problems)?;
    let what = format!("`fan_out` of {owner}");
    let shape = Shape { what: &what, attributes: &["items", "key", "at_once", "tolerate_failures"], blocks: &[] };
    check_shape(&block.body, &shape, problems);
    for (name, each) in [("items", false), ("key", true)] {
        if let Some(attribute) = block.body.attributes.get(name) {
            context.known.check(&attribute.expr, Scene { what: &what, each, ..scene }, problems);
        }
    }
    if let Some(for_each) = body.attributes.get("for_each") {
        problems.push(
            Diagnostic::error("two kinds of items")
                .detail(format!("{owner} has both `for_each` and `fan_out`, and `each` can be of one only"))
                .help("use `for_each` for what is known when planning, `fan_out` for what becomes known while applying")
                .label(block.ident_span, "becomes known while applying")
                .label(for_each.name_span, "known when planning"),
        );
    }
    if let Some(manual) = body.blocks.iter().find(|block| &*block.ident == "manual") {
        problems.push(
            Diagnostic::error("a person for each item")
                .detail(format!("{owner} would wait for a person once for each item"))
                .help("ask once, in a step without `fan_out`")
                .at(manual.ident_span),
        );
    }
    let mut fields = Fields { body: &block.body, what: &what, header: block.ident_span, evaluate: &context.constants, problems };
    Some(Arc::new(FanOut {
        at_once: fields.number("at_once", 1..=MOST).unwrap_or(AT_ONCE),
        tolerate_failures: fields.flag("tolerate_failures"),
        key: fields.expr("key"),
        items: fields.required_expr("items")?,
    }))
}
