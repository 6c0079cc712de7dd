//! A text with a limit: pieces in the order in which they are read, each with what it matters. What does not fit is left out whole, the
//! least important first, and counted.

use std::collections::BTreeMap;

/// How much a piece matters; a lower one is left out before a higher one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weight {
    /// Nice to have: differences of documents.
    Detail,
    /// The steps of a hop.
    Steps,
    /// One line on each change.
    Change,
    /// Notes and follow-ups.
    Note,
    /// What a reviewer must know before anything else.
    Must,
}

/// A part of a text that stands or is left out as a whole.
#[derive(Debug, Clone)]
struct Piece {
    weight: Weight,
    /// What it is, for the count of what was left out: `list of steps`.
    kind: &'static str,
    text: String,
}

/// A text in the making.
#[derive(Debug, Clone, Default)]
pub(super) struct Pieces {
    pieces: Vec<Piece>,
}

impl Pieces {
    /// Adds a piece at the end.
    pub(super) fn push(&mut self, weight: Weight, kind: &'static str, text: impl Into<String>) {
        self.pieces.push(Piece { weight, kind, text: text.into() });
    }

    /// The text, at most `limit` bytes long. `closing` makes the last lines of what was left out, by kind.
    pub(super) fn fit(self, limit: usize, closing: impl Fn(&BTreeMap<&'static str, usize>) -> String) -> String {
        let mut kept = vec![true; self.pieces.len()];
        let mut length: usize = self.pieces.iter().map(|piece| piece.text.len()).sum();
        let mut left_out: BTreeMap<&'static str, usize> = BTreeMap::new();
        let mut order: Vec<usize> = (0..self.pieces.len()).collect();
        // The least important first; among equals the last first.
        order.sort_by_key(|at| (self.pieces[*at].weight, std::cmp::Reverse(*at)));
        let mut order = order.into_iter();
        let mut end = String::new();
        while length + end.len() > limit {
            let Some(at) = order.next() else { break };
            kept[at] = false;
            length -= self.pieces[at].text.len();
            *left_out.entry(self.pieces[at].kind).or_default() += 1;
            end = closing(&left_out);
        }
        let mut text = String::with_capacity(length + end.len());
        text.extend(self.pieces.iter().zip(kept).filter(|(_, kept)| *kept).map(|(piece, _)| piece.text.as_str()));
        text.push_str(&end);
        if text.len() > limit {
            // Not even the closing lines fit.
            let cut = (0..=limit).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            text.truncate(cut);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(left_out: &BTreeMap<&'static str, usize>) -> String {
        left_out.iter().map(|(kind, count)| format!("[{count} {kind}]")).collect()
    }

    #[test]
    fn what_fits_stands_in_order() {
        let mut pieces = Pieces::default();
        pieces.push(Weight::Detail, "detail", "a");
        pieces.push(Weight::Must, "head", "b");
        assert_eq!(pieces.fit(2, said), "ab");
    }

    #[test]
    fn the_least_important_is_left_out_first_and_counted() {
        let mut pieces = Pieces::default();
        pieces.push(Weight::Must, "head", "head ");
        pieces.push(Weight::Detail, "detail", "x".repeat(50));
        pieces.push(Weight::Steps, "steps", "steps ");
        pieces.push(Weight::Detail, "detail", "y".repeat(50));
        assert_eq!(pieces.clone().fit(200, said).len(), 111);
        assert_eq!(pieces.clone().fit(80, said), format!("head {}steps [1 detail]", "x".repeat(50)));
        assert_eq!(pieces.fit(40, said), "head steps [2 detail]");
    }

    #[test]
    fn no_limit_is_exceeded() {
        for limit in 0..80 {
            let mut pieces = Pieces::default();
            for number in 0..10 {
                pieces.push(if number % 2 == 0 { Weight::Must } else { Weight::Note }, "part", format!("é{number} "));
            }
            assert!(pieces.fit(limit, said).len() <= limit);
        }
    }
}
