//! Sensitive texts, replaced in whatever is said.
//!
//! Takes the secrets, gives texts without them. One pass over a text however many secrets there are: a run over ten thousand
//! instances knows tens of thousands.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use aho_corasick::AhoCorasick;

/// What stands in a secret's place.
const MARK: &str = "(sensitive)";
/// Secrets of fewer characters cannot be hidden without destroying the output and are left.
const SHORTEST: usize = 4;
/// So few are looked for one after another: cheaper than making an automaton for a call or two.
const FEW: usize = 8;

/// Replaces sensitive texts by `(sensitive)`.
#[derive(Debug, Clone, Default)]
pub struct Redactor {
    /// Each holds more than twice as many as the next, so that adding one by one stays cheap.
    layers: Arc<[Arc<Layer>]>,
}

/// Secrets that are looked for together.
#[derive(Debug)]
struct Layer {
    secrets: Vec<String>,
    /// `None`: they are few.
    search: Option<AhoCorasick>,
}

impl Redactor {
    /// Hides these texts. Texts of fewer than four characters are left.
    #[must_use]
    pub fn new(secrets: impl IntoIterator<Item = String>) -> Self {
        Self::default().also(secrets)
    }

    /// Hides these texts too.
    #[must_use]
    pub fn also(&self, secrets: impl IntoIterator<Item = String>) -> Self {
        let mut new: Vec<String> = secrets.into_iter().filter(|secret| secret.chars().count() >= SHORTEST).collect();
        if new.is_empty() {
            return self.clone();
        }
        let mut layers = self.layers.to_vec();
        while let Some(smaller) = layers.pop_if(|last| last.secrets.len() <= 2 * new.len()) {
            new.extend(smaller.secrets.iter().cloned());
        }
        layers.push(Arc::new(Layer::new(new)));
        Self { layers: layers.into() }
    }

    /// The text without the secrets. Where they overlap, everything that belongs to one of them goes.
    #[must_use]
    pub fn apply<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut found = Vec::new();
        for layer in &*self.layers {
            layer.find(text, &mut found);
        }
        if found.is_empty() {
            return Cow::Borrowed(text);
        }
        found.sort_unstable_by_key(|range| (range.start, range.end));
        let mut shown = String::with_capacity(text.len());
        let mut end = 0;
        for range in found {
            if range.start >= end {
                shown.push_str(&text[end..range.start]);
                shown.push_str(MARK);
            }
            end = end.max(range.end);
        }
        shown.push_str(&text[end..]);
        Cow::Owned(shown)
    }
}

impl Layer {
    fn new(mut secrets: Vec<String>) -> Self {
        secrets.sort_unstable();
        secrets.dedup();
        // Making it fails only for more than two thousand million secrets; then they are looked for one after another.
        let search = if secrets.len() > FEW { AhoCorasick::new(&secrets).ok() } else { None };
        Self { secrets, search }
    }

    fn find(&self, text: &str, found: &mut Vec<Range<usize>>) {
        match &self.search {
            Some(search) => found.extend(search.find_overlapping_iter(text).map(|place| place.range())),
            None => self.secrets.iter().for_each(|secret| places(text, secret, found)),
        }
    }
}

/// Every place of a secret, also those that overlap.
fn places(text: &str, secret: &str, found: &mut Vec<Range<usize>>) {
    let mut begin = 0;
    let step = secret.chars().next().map_or(1, char::len_utf8);
    while let Some(at) = text.get(begin..).and_then(|rest| rest.find(secret)) {
        found.push(begin + at..begin + at + secret.len());
        begin += at + step;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn many(count: usize) -> impl Iterator<Item = String> {
        (0..count).map(|number| format!("secret-{number:05}"))
    }

    #[test]
    fn a_secret_inside_another_leaves_no_rest() {
        let redact = Redactor::new(["abcd".to_owned()]).also(["xabcdx".to_owned(), "abc".to_owned()]);
        assert_eq!(redact.apply("xabcdx abcd abc"), "(sensitive) (sensitive) abc");
    }

    #[test]
    fn secrets_that_overlap_leave_no_rest_however_many_there_are() {
        for more in [0, 100] {
            let redact = Redactor::new(["abcd", "bcdefg", "aaaa"].map(str::to_owned).into_iter().chain(many(more)));
            assert_eq!(redact.apply("<abcdefg>"), "<(sensitive)>");
            assert_eq!(redact.apply("<aaaaaa>"), "<(sensitive)>");
            assert_eq!(redact.apply("<abcdabcd>"), "<(sensitive)(sensitive)>");
        }
    }

    #[test]
    fn letters_of_several_bytes_are_cut_nowhere() {
        for more in [0, 100] {
            let redact = Redactor::new(["ééé€".to_owned()].into_iter().chain(many(more)));
            assert_eq!(redact.apply("éééé€é"), "é(sensitive)é");
        }
    }

    #[test]
    fn secrets_that_come_one_by_one_are_all_hidden() {
        let redact = many(1000).fold(Redactor::default(), |redact, secret| redact.also([secret]));
        assert!(redact.layers.len() < 12, "{} layers", redact.layers.len());
        assert!(many(1000).all(|secret| redact.apply(&secret) == MARK));
        assert_eq!(redact.apply("secret-0100"), "secret-0100");
    }

    #[test]
    fn nothing_to_hide_copies_nothing() {
        assert!(matches!(Redactor::default().apply("plain"), Cow::Borrowed("plain")));
        assert!(matches!(Redactor::new(many(20)).also(["x".to_owned()]).apply("plain"), Cow::Borrowed("plain")));
        assert_eq!(Redactor::new([String::new()]).apply("plain"), "plain");
    }
}
