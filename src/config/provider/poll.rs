//! `poll { until = … }` of a step or an undo.

use std::sync::Arc;
use std::time::Duration;

use super::Context;
use super::check::{DONE, Scene};
use crate::config::fields::{Fields, Shape, check_shape, only_block};
use crate::lang::Body;
use crate::model::poll::Poll;
use crate::model::provider::CallTemplate;
use crate::source::{Diagnostic, Diagnostics, Span};

/// The pause between looks where none is given.
const INTERVAL: Duration = Duration::from_secs(5);
/// The shortest pause between looks.
const SHORTEST: Duration = Duration::from_millis(10);

/// Reads the block, where there is one, for the call that it makes again and again.
pub(super) fn poll(
    body: &Body,
    owner: &str,
    call: Option<&CallTemplate>,
    scene: Scene<'_>,
    context: &Context<'_>,
    problems: &mut Diagnostics,
) -> Option<Arc<Poll>> {
    let block = only_block(body, "poll", owner, problems)?;
    let what = format!("`poll` of {owner}");
    let shape = Shape { what: &what, attributes: &["until", "fail", "message", "progress", "interval"], blocks: &[] };
    check_shape(&block.body, &shape, problems);
    for attribute in block.body.attributes.iter().filter(|(name, _)| &***name != "interval").map(|(_, attribute)| attribute) {
        context.known.check(&attribute.expr, Scene { what: &what, ..scene }.with(DONE), problems);
    }
    let help = "begin the work in a step of its own, and poll with a driver that only looks";
    only_looks(call, &format!("{owner} polls"), help, block.ident_span, context, problems);
    if let Some(progress) = body.attributes.get("progress") {
        problems.push(
            Diagnostic::error("two kinds of progress")
                .detail(format!("{owner} reads `progress` from lines of output, and a call that is polled shows none"))
                .help("write `progress` in the `poll` block, over `result`")
                .at(progress.name_span),
        );
    }
    let mut fields = Fields { body: &block.body, what: &what, header: block.ident_span, evaluate: &context.constants, problems };
    Some(Arc::new(Poll {
        interval: fields.duration("interval").unwrap_or(INTERVAL).max(SHORTEST),
        fail: fields.expr("fail"),
        message: fields.expr("message"),
        progress: fields.expr("progress"),
        until: fields.required_expr("until")?,
    }))
}

/// Says so where a call that is made again and again does more than look.
pub(super) fn only_looks(
    call: Option<&CallTemplate>,
    does: &str,
    help: &'static str,
    span: Span,
    context: &Context<'_>,
    problems: &mut Diagnostics,
) {
    let driver = call.and_then(|call| context.drivers.iter().find(|schema| schema.name == call.driver.as_str()));
    if let Some(schema) = driver.filter(|schema| !schema.observes) {
        let detail = format!("{does} with `{}`, which does more than look", schema.name);
        problems.push(Diagnostic::error("driver changes things").detail(detail).help(help).at(span));
    }
}
