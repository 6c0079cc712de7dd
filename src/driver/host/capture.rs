//! What a command prints, bounded: its end is kept, its lines are handed on one by one.
//!
//! Takes bytes as they come (any bytes, in any portions), gives text. Never holds more than its limit.

/// The end of an output stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Captured {
    /// The last bytes.
    pub bytes: Vec<u8>,
    /// How many there were in all.
    pub total: u64,
}

impl Captured {
    /// Whether the beginning is missing.
    #[must_use]
    pub fn truncated(&self) -> bool {
        self.total > self.bytes.len() as u64
    }

    /// As text; bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// The last lines that are not blank.
    #[must_use]
    pub fn last_lines(&self, count: usize) -> String {
        let text = self.text();
        let mut lines: Vec<&str> = text.lines().rev().map(str::trim_end).filter(|line| !line.is_empty()).take(count).collect();
        lines.reverse();
        lines.join("\n")
    }
}

/// Keeps the end of a stream.
#[derive(Debug)]
pub(crate) struct Tail {
    bytes: Vec<u8>,
    limit: usize,
    total: u64,
}

impl Tail {
    pub(crate) fn new(limit: usize) -> Self {
        Self { bytes: Vec::new(), limit, total: 0 }
    }

    pub(crate) fn push(&mut self, chunk: &[u8]) {
        self.total += chunk.len() as u64;
        let chunk = &chunk[chunk.len().saturating_sub(self.limit)..];
        self.bytes.extend_from_slice(chunk);
        // Twice the limit before cutting, so that cutting costs little on average.
        if self.bytes.len() > self.limit.saturating_mul(2) {
            self.bytes.drain(..self.bytes.len() - self.limit);
        }
    }

    pub(crate) fn finish(mut self) -> Captured {
        self.bytes.drain(..self.bytes.len().saturating_sub(self.limit));
        if self.total > self.bytes.len() as u64 {
            // Not in the middle of a character.
            let start = self.bytes.iter().take(3).take_while(|byte| (**byte & 0xC0) == 0x80).count();
            self.bytes.drain(..start);
        }
        Captured { bytes: self.bytes, total: self.total }
    }
}

/// Cuts a stream into lines; one longer than [`Lines::LONGEST`] is handed on in pieces.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    partial: Vec<u8>,
}

impl Lines {
    pub(crate) const LONGEST: usize = 16 * 1024;

    pub(crate) fn push(&mut self, chunk: &[u8], mut take: impl FnMut(&str)) {
        for piece in chunk.split_inclusive(|byte| *byte == b'\n') {
            let mut piece = piece;
            while self.partial.len() + piece.len() > Self::LONGEST {
                let (now, later) = piece.split_at(Self::LONGEST.saturating_sub(self.partial.len()));
                self.partial.extend_from_slice(now);
                self.flush(&mut take);
                piece = later;
            }
            self.partial.extend_from_slice(piece);
            if self.partial.ends_with(b"\n") {
                self.flush(&mut take);
            }
        }
    }

    pub(crate) fn flush(&mut self, mut take: impl FnMut(&str)) {
        if !self.partial.is_empty() {
            let text = String::from_utf8_lossy(&self.partial);
            // A progress bar redraws itself with carriage returns: only its last state is a line.
            let line = text.trim_end_matches(['\n', '\r']);
            take(line.rsplit('\r').next().unwrap_or(line));
            self.partial.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(chunks: &[&[u8]]) -> Vec<String> {
        let mut lines = Lines::default();
        let mut got = Vec::new();
        for chunk in chunks {
            lines.push(chunk, |line| got.push(line.to_owned()));
        }
        lines.flush(|line| got.push(line.to_owned()));
        got
    }

    #[test]
    fn lines_are_put_together_from_any_portions() {
        assert_eq!(lines(&[b"a", b"b\nc", b"\n", b"\nlast"]), ["ab", "c", "", "last"]);
    }

    #[test]
    fn a_character_cut_in_two_is_whole_again() {
        assert_eq!(lines(&["é".as_bytes().split_at(1).0, "é".as_bytes().split_at(1).1, b"\n"]), ["é"]);
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_replaced() {
        assert_eq!(lines(&[b"a\xff\n"]), ["a\u{fffd}"]);
    }

    #[test]
    fn a_progress_bar_is_its_last_state() {
        assert_eq!(lines(&[b"1%\r50%\r100%\r\n"]), ["100%"]);
    }

    #[test]
    fn an_endless_line_is_handed_on_in_pieces() {
        let long = vec![b'x'; Lines::LONGEST * 2 + 5];
        let got = lines(&[&long]);
        assert_eq!(got.iter().map(String::len).sum::<usize>(), long.len());
        assert!(got.iter().all(|line| line.len() <= Lines::LONGEST));
    }

    #[test]
    fn only_the_end_is_kept() {
        let mut tail = Tail::new(4);
        for chunk in [&b"abc"[..], b"defghijklmnop", b"q", b"r"] {
            tail.push(chunk);
        }
        let captured = tail.finish();
        assert_eq!((captured.bytes.as_slice(), captured.total, captured.truncated()), (&b"opqr"[..], 18, true));
    }

    #[test]
    fn the_end_does_not_begin_inside_a_character() {
        let mut tail = Tail::new(3);
        tail.push("aéé".as_bytes());
        assert_eq!(tail.finish().text(), "é");
    }

    #[test]
    fn what_fits_is_whole() {
        let mut tail = Tail::new(4);
        tail.push(b"\x80abc");
        let captured = tail.finish();
        assert_eq!((captured.bytes.len(), captured.truncated()), (4, false));
    }
}
