//! What a provider refuses or warns of: blocked moves, risks, preflight checks.

use std::sync::Arc;

use super::catalogue::{movements, requirement, rule};
use super::{Context, named};
use crate::config::fields::{Fields, Shape, check_shape};
use crate::lang::Block;
use crate::model::provider::{Blocked, Preflight, Risk};
use crate::source::Diagnostics;

/// Reads all blocked moves.
pub(super) fn blocked(blocks: &[Block], context: &Context<'_>, problems: &mut Diagnostics) -> Vec<Blocked> {
    let mut found = Vec::new();
    for (name, block) in named(blocks, "blocked", problems) {
        let what = format!("blocked move `{name}`");
        check_shape(
            &block.body,
            &Shape { what: &what, attributes: &["from", "to", "when", "reason", "url"], blocks: &[] },
            problems,
        );
        let header = block.header_span();
        let mut fields = Fields { body: &block.body, what: &what, header, evaluate: &context.constants, problems };
        found.push(Blocked {
            name: Arc::clone(name),
            from: requirement(&mut fields, "from", context.scheme),
            to: requirement(&mut fields, "to", context.scheme),
            when: rule(&mut fields, "when", context),
            reason: fields.required_text("reason").unwrap_or_default(),
            url: fields.text("url"),
            span: Some(header),
        });
    }
    found
}

/// Reads all risks.
pub(super) fn risks(blocks: &[Block], context: &Context<'_>, problems: &mut Diagnostics) -> Vec<Risk> {
    let mut found = Vec::new();
    for (name, block) in named(blocks, "risk", problems) {
        let what = format!("risk `{name}`");
        check_shape(
            &block.body,
            &Shape { what: &what, attributes: &["from", "to", "rule", "message", "url"], blocks: &[] },
            problems,
        );
        let header = block.header_span();
        let mut fields = Fields { body: &block.body, what: &what, header, evaluate: &context.constants, problems };
        fields.required_expr("rule");
        let message = fields.required_text("message").unwrap_or_default();
        let Some(condition) = rule(&mut fields, "rule", context) else { continue };
        found.push(Risk {
            name: Arc::clone(name),
            from: requirement(&mut fields, "from", context.scheme),
            to: requirement(&mut fields, "to", context.scheme),
            rule: condition,
            message,
            url: fields.text("url"),
            span: Some(header),
        });
    }
    found
}

/// Reads all preflight checks.
pub(super) fn preflights(blocks: &[Block], context: &Context<'_>, problems: &mut Diagnostics) -> Vec<Preflight> {
    let mut found = Vec::new();
    for (name, block) in named(blocks, "preflight", problems) {
        let what = format!("preflight `{name}`");
        let shape = Shape {
            what: &what,
            attributes: &["movements", "when", "pass", "message", "remedy", "severity", "waivable"],
            blocks: &[],
        };
        check_shape(&block.body, &shape, problems);
        let header = block.header_span();
        let mut fields = Fields { body: &block.body, what: &what, header, evaluate: &context.constants, problems };
        fields.required_expr("pass");
        fields.required_expr("message");
        let (pass, message) = (rule(&mut fields, "pass", context), rule(&mut fields, "message", context));
        let preflight = (
            movements(&mut fields),
            rule(&mut fields, "when", context),
            rule(&mut fields, "remedy", context),
            fields.word("severity", &[("fail", false), ("warn", true)]).unwrap_or(false),
            fields.flag("waivable"),
        );
        let (Some(pass), Some(message)) = (pass, message) else { continue };
        let (movements, when, remedy, warn_only, waivable) = preflight;
        found.push(Preflight {
            name: Arc::clone(name),
            movements,
            when,
            pass,
            message,
            remedy,
            warn_only,
            waivable,
            span: Some(header),
        });
    }
    found
}
