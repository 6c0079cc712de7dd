//! `acknowledgement "PROVIDER.NOTE" { … }`: that somebody has read a note of a provider for a move.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::fields::{Evaluate, Fields, Shape, check_shape, suggestion};
use super::instance::address;
use crate::lang::Block;
use crate::model::estate::{Acknowledgement, Estate};
use crate::model::name::ProviderName;
use crate::model::provider::Provider;
use crate::source::{Diagnostic, Diagnostics, nearest};

/// Reads an acknowledgement.
pub(super) fn decode(block: &Block, evaluate: &dyn Evaluate, problems: &mut Diagnostics) -> Option<Acknowledgement> {
    let (label, span) = block.labels.first()?;
    let what = format!("acknowledgement `{label}`");
    let shape = Shape { what: &what, attributes: &["instance", "version", "by", "reason"], blocks: &[] };
    check_shape(&block.body, &shape, problems);
    let before = problems.len();
    let name = label.split_once('.').filter(|(provider, note)| !provider.is_empty() && !note.is_empty());
    if name.is_none() {
        problems.push(
            Diagnostic::error("acknowledgement of nothing")
                .detail(format!("`{label}` names no note"))
                .help("write `acknowledgement \"PROVIDER.NOTE\" { … }`")
                .at(*span),
        );
    }
    let mut fields = Fields { body: &block.body, what: &what, header: block.header_span(), evaluate, problems };
    let instance = if fields.has("instance") { address(&mut fields, "instance") } else { None };
    let (version, by, reason) = (fields.required_text("version"), fields.required_text("by"), fields.required_text("reason"));
    // One that says less than was meant would let pass more than was meant.
    if problems.len() > before {
        return None;
    }
    let (provider, note) = name?;
    let span = Some(block.header_span());
    let (provider, note) = (ProviderName::new(provider), Arc::from(note));
    Some(Acknowledgement { provider, note, instance, version: version?, by: by?, reason: reason?, span })
}

/// What an acknowledgement names must be there, and must ask for one.
pub(super) fn check(estate: &Estate, providers: &BTreeMap<ProviderName, Arc<Provider>>, problems: &mut Diagnostics) {
    for Acknowledgement { provider, note, instance, span, .. } in &estate.acknowledgements {
        let mut missing = |detail: String, help: String| {
            let diagnostic = Diagnostic::error("acknowledgement of nothing").detail(detail).help(help);
            problems.push(match span {
                Some(span) => diagnostic.at(*span),
                None => diagnostic,
            });
        };
        match providers.get(provider) {
            None => {
                let known: Vec<&str> = providers.keys().map(ProviderName::as_str).collect();
                missing(format!("no instance is of the provider `{provider}`"), suggestion(provider.as_str(), &known));
            }
            Some(content) => match content.notes.iter().find(|known| known.name == *note) {
                None => {
                    let known: Vec<&str> = content.notes.iter().filter(|note| note.acknowledge).map(|note| &*note.name).collect();
                    missing(format!("provider `{provider}` has no note `{note}`"), suggestion(note, &known));
                }
                Some(known) if !known.acknowledge => {
                    missing(format!("note `{note}` of provider `{provider}` need not be acknowledged"), "remove it".to_owned());
                }
                Some(_) => {}
            },
        }
        if let Some(instance) = instance.as_ref().filter(|instance| !estate.instances.contains_key(*instance)) {
            let near = nearest(instance.as_str(), estate.instances.keys().take(2_000).map(|address| address.as_str()));
            let help =
                near.map_or_else(|| "remove it, or correct the instance".to_owned(), |near| format!("did you mean `{near}`?"));
            missing(format!("there is no instance `{instance}`"), help);
        }
    }
}
