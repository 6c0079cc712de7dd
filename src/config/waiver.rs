//! `waiver "NAME" { … }`: a declared, reasoned, dated exception.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::fields::{Evaluate, Fields, Shape, check_shape, suggestion};
use super::instance::address;
use crate::lang::Block;
use crate::model::estate::{Estate, Waiver};
use crate::model::name::EnvironmentName;
use crate::source::{Diagnostic, Diagnostics, nearest};

/// Reads a waiver.
pub(super) fn decode(block: &Block, evaluate: &dyn Evaluate, problems: &mut Diagnostics) -> Option<Waiver> {
    let (name, _) = block.labels.first()?;
    let what = format!("waiver `{name}`");
    let shape = Shape { what: &what, attributes: &["instance", "environment", "reason", "owner", "until"], blocks: &[] };
    check_shape(&block.body, &shape, problems);
    let before = problems.len();
    let mut fields = Fields { body: &block.body, what: &what, header: block.header_span(), evaluate, problems };
    let instance = if fields.has("instance") { address(&mut fields, "instance") } else { None };
    let environment = fields.text("environment").map(EnvironmentName::new);
    let reason = fields.required_text("reason");
    let owner = fields.text("owner");
    let until = fields.text("until").and_then(|text| {
        let found = moment(&text);
        if found.is_none() {
            fields.wrong(
                "until",
                format!("`{text}` is no date"),
                "write a day such as \"2027-01-31\", or a time such as \"2027-01-31T18:00:00Z\"",
            );
        }
        found
    });
    // A waiver that says less than was meant would except more than was meant.
    if problems.len() > before {
        return None;
    }
    Some(Waiver { name: Arc::clone(name), instance, environment, reason: reason?, owner, until, span: Some(block.header_span()) })
}

/// A day is its beginning in UTC.
pub(super) fn moment(text: &str) -> Option<Timestamp> {
    if let Ok(date) = text.parse::<Date>()
        && text.len() <= 10
    {
        return date.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    }
    text.parse().ok()
}

/// What a waiver names must be there.
pub(super) fn check(estate: &Estate, problems: &mut Diagnostics) {
    for waiver in &estate.waivers {
        let mut missing = |detail: String, help: String| {
            let diagnostic = Diagnostic::error("waiver for nothing").detail(detail).help(help);
            problems.push(match waiver.span {
                Some(span) => diagnostic.at(span),
                None => diagnostic,
            });
        };
        if let Some(instance) = waiver.instance.as_ref().filter(|instance| !estate.instances.contains_key(*instance)) {
            let near = nearest(instance.as_str(), estate.instances.keys().take(2_000).map(|address| address.as_str()));
            let help = near
                .map_or_else(|| "remove the waiver, or correct the instance".to_owned(), |near| format!("did you mean `{near}`?"));
            missing(format!("there is no instance `{instance}`"), help);
        }
        if let Some(environment) = waiver.environment.as_ref().filter(|name| !estate.environments.contains_key(*name)) {
            let known: Vec<&str> = estate.environments.keys().map(EnvironmentName::as_str).collect();
            missing(format!("there is no environment `{environment}`"), suggestion(environment.as_str(), &known));
        }
    }
}
