//! What a person should read: a provider's notes over every version reached or crossed, and links to release notes.
//!
//! Takes the whole way from the version that is there to the one that will be, also over versions that are only passed.

use super::catalogue::Catalogue;
use super::change::NoteText;
use super::scope::HopScope;
use crate::model::provider::{Movement, Note};
use crate::model::version::{Version, VersionReq};

/// How many links to release notes are listed; the newest stay.
const MOST_LINKS: usize = 20;

/// Gathers the notes for a way. `scope` spans all of it, not one hop.
pub(crate) fn gather(
    scope: &HopScope<'_>,
    catalogue: &Catalogue<'_>,
    movement: Movement,
    from: Option<&Version>,
    to: Option<&Version>,
) -> Vec<NoteText> {
    let way = Way { catalogue, from, to };
    let mut notes: Vec<NoteText> = withdrawn(&way, movement).into_iter().collect();
    for note in &scope.subject.provider.notes {
        if asked(note, movement) && note.versions.as_ref().is_none_or(|versions| way.touches(versions)) {
            notes.extend(render(scope, note));
        }
    }
    if matches!(movement, Movement::Install | Movement::Upgrade) {
        notes.extend(links(&way));
    }
    notes
}

fn asked(note: &Note, movement: Movement) -> bool {
    if note.movements.is_empty() { movement == Movement::Upgrade } else { note.movements.contains(&movement) }
}

/// A note that cannot be rendered is shown as written: better too much than too little.
fn render(scope: &HopScope<'_>, note: &Note) -> Option<NoteText> {
    if let Some(Ok(false)) = note.when.as_ref().map(|when| scope.holds(when)) {
        return None;
    }
    let text = scope
        .text(&note.text)
        .unwrap_or_else(|why| format!("{} (as written, because it cannot be rendered: {why})", note.text.text()));
    Some(NoteText {
        name: note.name.clone(),
        text,
        url: note.url.clone(),
        follow_up: note.follow_up,
        acknowledge: note.acknowledge,
    })
}

/// The way that notes are gathered over.
struct Way<'w> {
    catalogue: &'w Catalogue<'w>,
    from: Option<&'w Version>,
    to: Option<&'w Version>,
}

impl Way<'_> {
    /// Whether a version that the constraint means is reached or crossed: a known release, one that the constraint names, or the
    /// end of the way. What the way starts from was reached earlier; on the way down it is what is left.
    fn touches(&self, versions: &VersionReq) -> bool {
        let end = self.to.or(self.from);
        if end.is_some_and(|end| versions.matches(end)) {
            return true;
        }
        let (Some(from), Some(to)) = (self.from, self.to) else { return false };
        let crossed =
            |version: &Version| if from <= to { from < version && version <= to } else { to <= version && version <= from };
        (from > to && versions.matches(from))
            || self.catalogue.between(from, to).any(|release| versions.matches(&release.version))
            || versions.named().any(crossed)
    }
}

fn withdrawn(way: &Way<'_>, movement: Movement) -> Option<NoteText> {
    let to = way.to.filter(|_| movement != Movement::Remove)?;
    let reason = way.catalogue.release(to)?.withdrawn.as_ref()?;
    let text = format!("{to} was withdrawn by the vendor: {reason}");
    Some(NoteText { name: "withdrawn".into(), text, url: None, follow_up: false, acknowledge: false })
}

/// Links to the release notes of every version reached or crossed, newest first.
fn links(way: &Way<'_>) -> Vec<NoteText> {
    let Some(to) = way.to else { return Vec::new() };
    let last = way.catalogue.release(to);
    let crossed = way.from.into_iter().flat_map(|from| way.catalogue.between(from, to).rev());
    let mut links: Vec<NoteText> = Vec::new();
    let mut more = 0;
    for release in last.into_iter().chain(crossed) {
        let Some(url) = &release.notes else { continue };
        if links.len() == MOST_LINKS {
            more += 1;
            continue;
        }
        let text = format!("Release notes of {}", release.version);
        links.push(NoteText { name: "release_notes".into(), text, url: Some(url.clone()), follow_up: false, acknowledge: false });
    }
    if let Some(oldest) = links.last_mut().filter(|_| more > 0) {
        oldest.text.push_str(&format!(" (and of {more} older versions crossed)"));
    }
    links
}

#[cfg(test)]
#[path = "note_tests.rs"]
mod tests;
