//! Tests of `note`, from values.

use super::gather;
use crate::model::provider::{Movement, Note, Provider};
use crate::plan::change::NoteText;
use crate::plan::sample::{catalogue, expr, provider_of, release, req, subject, version};

fn note(name: &str, versions: &str) -> Note {
    Note {
        name: name.into(),
        versions: Some(req(versions)),
        movements: Vec::new(),
        when: None,
        text: expr("\"read about ${to.text}\""),
        url: None,
        follow_up: false,
        acknowledge: false,
        span: None,
    }
}

fn product(notes: Vec<Note>) -> Provider {
    Provider { notes, ..provider_of("p", &["1.0", "1.1", "1.2", "2.0"]) }
}

fn way(product: &Provider, movement: Movement, from: &str, to: &str) -> Vec<NoteText> {
    let catalogue = catalogue(product);
    let parse = |text: &str| (!text.is_empty()).then(|| version(text));
    let (from, to) = (parse(from), parse(to));
    let subject = subject(product, None);
    let scope = subject.hop(&catalogue, from.as_ref(), to.as_ref());
    gather(&scope, &catalogue, movement, from.as_ref(), to.as_ref())
}

fn names(notes: &[NoteText]) -> Vec<&str> {
    notes.iter().map(|note| &*note.name).collect()
}

#[test]
fn notes_of_versions_that_are_only_passed_are_gathered() {
    let product = product(vec![
        note("start", "1.0"),
        note("passed", "1.1"),
        note("unlisted", "1.5"),
        note("end", "2.0"),
        note("beyond", "> 2"),
    ]);
    let notes = way(&product, Movement::Upgrade, "1.0", "2.0");
    assert_eq!(names(&notes), ["passed", "unlisted", "end"]);
    assert_eq!(notes[0].text, "read about 2.0");
}

#[test]
fn the_end_counts_even_where_the_catalogue_does_not_know_it() {
    let notes = way(&product(vec![note("new", ">= 3"), note("all", "*")]), Movement::Upgrade, "2.0", "3.1");
    assert_eq!(names(&notes), ["new", "all"]);
}

#[test]
fn notes_are_for_upgrades_unless_they_say_otherwise() {
    let both = Note { movements: vec![Movement::Install, Movement::Downgrade], ..note("both", "1.1") };
    let product = product(vec![note("up", "1.1"), both]);
    assert_eq!(names(&way(&product, Movement::Install, "", "1.1")), ["both"]);
    assert!(way(&product, Movement::Install, "", "2.0").is_empty());
    assert_eq!(names(&way(&product, Movement::Downgrade, "1.1", "1.0")), ["both"]);
    assert!(way(&product, Movement::Reconfigure, "1.1", "1.1").is_empty());
}

#[test]
fn a_note_whose_condition_or_text_fails_is_shown_all_the_same() {
    let off = Note { when: Some(expr("to.major > 5")), ..note("off", "*") };
    let doubtful = Note { when: Some(expr("nothing.known")), follow_up: true, ..note("doubtful", "*") };
    let broken = Note { text: expr("fact.gone"), ..note("broken", "*") };
    let notes = way(&product(vec![off, doubtful, broken]), Movement::Upgrade, "1.0", "1.1");
    assert_eq!(names(&notes), ["doubtful", "broken"]);
    assert!(notes[0].follow_up && notes[1].text.starts_with("fact.gone (as written"), "{notes:?}");
}

#[test]
fn release_notes_are_linked_newest_first_and_a_withdrawn_target_is_said() {
    let mut product = product(Vec::new());
    for release in &mut product.releases {
        release.notes = Some(format!("https://example.org/{}", release.version));
    }
    product.releases[3].withdrawn = Some("it loses data".to_owned());
    let notes = way(&product, Movement::Upgrade, "1.0", "2.0");
    assert_eq!(notes[0].text, "2.0 was withdrawn by the vendor: it loses data");
    let links: Vec<&str> = notes.iter().filter_map(|note| note.url.as_deref()).collect();
    assert_eq!(links, ["https://example.org/2.0", "https://example.org/1.2", "https://example.org/1.1"]);
}

#[test]
fn hundreds_of_links_are_cut() {
    let mut product = product(Vec::new());
    product.releases = (0..300).map(|patch| release("p", &format!("1.0.{patch}"))).collect();
    for release in &mut product.releases {
        release.notes = Some("https://example.org".to_owned());
    }
    let notes = way(&product, Movement::Upgrade, "1.0.0", "1.0.299");
    assert_eq!(notes.len(), 20);
    assert_eq!(notes[19].text, "Release notes of 1.0.280 (and of 279 older versions crossed)");
}
