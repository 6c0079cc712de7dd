//! `setting "X" { … }` of a provider.

use std::collections::BTreeMap;
use std::sync::Arc;

use indexmap::IndexMap;

use super::check::{SETTING, Scene, Uses, acyclic, uses_of};
use super::{Context, named};
use crate::config::fields::{Fields, Shape, check_shape, no_labels};
use crate::config::instance::RESERVED;
use crate::lang::{Block, Type};
use crate::model::provider::{OnChange, Setting, Validation};
use crate::source::{Diagnostic, Diagnostics};

/// Reads all settings.
pub(super) fn settings(blocks: &[Block], context: &Context<'_>, problems: &mut Diagnostics) -> IndexMap<Arc<str>, Setting> {
    let mut settings: IndexMap<Arc<str>, Setting> = IndexMap::new();
    for (name, block) in named(blocks, "setting", problems) {
        if RESERVED.contains(&&**name) || matches!(&**name, "backup" | "requires" | "lifecycle") {
            problems.push(
                Diagnostic::error("reserved name")
                    .detail(format!("a setting cannot be called `{name}`: instances use the name otherwise"))
                    .help("choose another name")
                    .at(block.header_span()),
            );
            continue;
        }
        settings.insert(Arc::clone(name), setting(name, block, context, problems));
    }
    let uses: BTreeMap<Arc<str>, Uses> = settings
        .iter()
        .map(|(name, setting)| (Arc::clone(name), setting.default.as_ref().map(|expr| uses_of(expr, "self")).unwrap_or_default()))
        .collect();
    acyclic("self", &uses, problems);
    settings
}

fn setting(name: &str, block: &Block, context: &Context<'_>, problems: &mut Diagnostics) -> Setting {
    let what = format!("setting `{name}`");
    let shape = Shape {
        what: &what,
        attributes: &["type", "required", "default", "sensitive", "description", "on_change"],
        blocks: &["validation"],
    };
    check_shape(&block.body, &shape, problems);
    let mut fields = Fields { body: &block.body, what: &what, header: block.header_span(), evaluate: &context.constants, problems };
    let ty = fields.constraint("type").unwrap_or(Type::Any);
    let required = fields.flag("required");
    let sensitive = fields.flag("sensitive");
    let description = fields.text("description").unwrap_or_default();
    let on_change = fields
        .word(
            "on_change",
            &[
                ("reconfigure", OnChange::Reconfigure),
                ("ignore", OnChange::Ignore),
                ("with_version", OnChange::WithVersion),
                ("refuse", OnChange::Refuse),
            ],
        )
        .unwrap_or_default();
    let default = fields.expr("default");
    if required && default.is_some() {
        fields.wrong("default", "a required setting has no use for a default", "remove one of the two");
    }
    let scene = Scene::new(&what, SETTING);
    if let Some(default) = &default {
        context.known.check(default, scene, problems);
        if let Some(Err(reason)) = default.as_literal().map(|value| ty.convert(value)) {
            problems.push(
                Diagnostic::error("invalid default")
                    .detail(format!("{what}: {reason}"))
                    .help("correct the default or the type")
                    .at(default.span().unwrap_or(block.header_span())),
            );
        }
    }
    let mut validations = Vec::new();
    for inner in block.body.blocks.iter().filter(|inner| &*inner.ident == "validation") {
        no_labels(inner, problems);
        let what = format!("the validation of {what}");
        check_shape(&inner.body, &Shape { what: &what, attributes: &["condition", "message"], blocks: &[] }, problems);
        let mut fields =
            Fields { body: &inner.body, what: &what, header: inner.ident_span, evaluate: &context.constants, problems };
        if let (Some(condition), Some(message)) = (fields.required_expr("condition"), fields.required_expr("message")) {
            context.known.check(&condition, scene, problems);
            context.known.check(&message, scene, problems);
            validations.push(Validation { condition, message });
        }
    }
    Setting { ty, required, default, sensitive, description, validations, on_change, span: Some(block.header_span()) }
}
