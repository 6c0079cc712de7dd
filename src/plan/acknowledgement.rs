//! The gate of notes that somebody must have read.
//!
//! Takes a change with its notes and the declared acknowledgements, gives a gate for each note that asks for one.

use super::change::{Change, NoteText};
use super::gate::{Gate, GateKind};
use super::input::PlanInput;
use crate::model::estate::Acknowledgement;
use crate::model::version::{Version, VersionScheme};

/// The gates of a change's notes, in the notes' order.
pub(super) fn acknowledgements(input: &PlanInput<'_>, change: &Change) -> Vec<Gate> {
    change.notes.iter().filter(|note| note.acknowledge).map(|note| gate(input, change, note)).collect()
}

fn gate(input: &PlanInput<'_>, change: &Change, note: &NoteText) -> Gate {
    // A removal moves to nothing: then the version that goes is meant.
    let version = change.to.as_deref().or(change.from.as_deref()).unwrap_or_default();
    let scheme = input.providers.get(&change.provider).map_or(&VersionScheme::Dotted, |provider| &provider.scheme);
    let same = |text: &str| match (Version::parse(text, scheme), Version::parse(version, scheme)) {
        (Ok(one), Ok(other)) => one == other,
        _ => text == version,
    };
    let mine = |given: &&Acknowledgement| {
        given.provider == change.provider
            && given.note == note.name
            && given.instance.as_ref().is_none_or(|instance| *instance == change.instance)
    };
    let given: Vec<&Acknowledgement> = input.estate.acknowledgements.iter().filter(mine).collect();
    let (provider, name) = (&change.provider, &note.name);
    let (open, message) = match given.iter().find(|given| same(&given.version)) {
        Some(Acknowledgement { by, reason, .. }) => (true, format!("note {provider}.{name} was acknowledged by {by}: {reason}")),
        None => {
            let url = note.url.as_ref().map(|url| format!(" ({url})")).unwrap_or_default();
            let others: Vec<&str> = given.iter().map(|given| &*given.version).collect();
            let others = if others.is_empty() { String::new() } else { format!("; it was for {}", others.join(", ")) };
            (false, format!("note {provider}.{name} must be acknowledged for {version}{others}: {}{url}", note.text.trim()))
        }
    };
    let paste = (!open).then(|| paste(change, note, version));
    Gate { paste, ..Gate::new(&change.environment, Some(change.instance.clone()), GateKind::Acknowledgement, open, message) }
}

/// The block to be written, with the person's part left empty: it is refused as it is.
fn paste(change: &Change, note: &NoteText, version: &str) -> String {
    let address = change.instance.as_str();
    let instance = match address.starts_with("module.") {
        // The root module cannot refer to an instance of another.
        true => serde_json::Value::from(address).to_string(),
        false => format!("instance.{address}"),
    };
    format!(
        "acknowledgement \"{}.{}\" {{\n  instance = {instance}\n  version  = {}\n  by       = \"\"\n  reason   = \"\"\n}}",
        change.provider,
        note.name,
        serde_json::Value::from(version)
    )
}
