//! Text cut into tokens, without judging grammar.
//!
//! One scanner serves three readers: the guard in front of the parser (depth, size, unclosed brackets), the explanations of syntax
//! errors, and the formatter. It takes any text, never fails, never recurses, and every byte that is not white space is in a token.

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Ident,
    Number,
    /// The `"` that opens a string, and the one that closes it.
    OpenQuote,
    CloseQuote,
    /// Literal text of a string or heredoc.
    Text,
    /// `${` or `%{` with an optional `~`, and the `}` that ends it.
    OpenTemplate,
    CloseTemplate,
    /// `<<EOT` or `<<-EOT` with its line end, and the closing word with the blanks in front.
    OpenHeredoc,
    CloseHeredoc,
    /// A comment, without the line end.
    Comment,
    Newline,
    OpenBrace,
    CloseBrace,
    OpenBracket,
    CloseBracket,
    OpenParen,
    CloseParen,
    Comma,
    Dot,
    Ellipsis,
    Colon,
    DoubleColon,
    Question,
    Arrow,
    Equal,
    Minus,
    Bang,
    /// Any other operator: `==`, `&&`, `+`, ….
    Operator,
    /// A character that has no meaning in the language.
    Stray,
    /// A string that its line does not close, from its quote on.
    Unclosed,
}

/// A token and its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Token {
    /// The token's text.
    pub(super) fn text<'a>(&self, source: &'a str) -> &'a str {
        source.get(self.start..self.end).unwrap_or("")
    }
}

/// How the scanner reads on: as code, or as the inside of a string or heredoc.
enum Mode {
    /// Code; open braces since the mode began, and whether a `}` beyond them ends a template.
    Code { braces: usize, template: bool },
    /// Inside quotes, which opened at this byte.
    Quote,
    /// Inside a heredoc that this word closes.
    Heredoc { word: (usize, usize) },
}

/// Cuts a text into tokens.
pub(super) fn scan(text: &str) -> Vec<Token> {
    let mut scanner = Scanner { text, bytes: text.as_bytes(), at: 0, tokens: Vec::new(), modes: Vec::new() };
    scanner.modes.push(Mode::Code { braces: 0, template: false });
    while scanner.at < scanner.bytes.len() {
        match scanner.modes.last() {
            Some(Mode::Quote) => scanner.quoted(),
            Some(&Mode::Heredoc { word }) => scanner.heredoc(word),
            _ => scanner.code(),
        }
    }
    scanner.tokens
}

struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    tokens: Vec<Token>,
    modes: Vec<Mode>,
}

impl Scanner<'_> {
    fn push(&mut self, kind: Kind, len: usize) {
        let end = (self.at + len).min(self.bytes.len());
        self.tokens.push(Token { kind, start: self.at, end });
        self.at = end;
    }

    fn starts(&self, prefix: &str) -> bool {
        self.bytes[self.at..].starts_with(prefix.as_bytes())
    }

    fn code(&mut self) {
        let byte = self.bytes[self.at];
        let next = self.bytes.get(self.at + 1).copied().unwrap_or(0);
        match byte {
            b' ' | b'\t' => self.at += 1,
            b'\r' if next == b'\n' => self.push(Kind::Newline, 2),
            b'\n' => self.push(Kind::Newline, 1),
            b'#' => self.line_comment(),
            b'/' if next == b'/' => self.line_comment(),
            b'/' if next == b'*' => {
                let len = self.text[self.at + 2..].find("*/").map_or(self.bytes.len() - self.at, |end| end + 4);
                self.push(Kind::Comment, len);
            }
            b'"' => {
                self.push(Kind::OpenQuote, 1);
                self.modes.push(Mode::Quote);
            }
            b'<' if next == b'<' => self.open_heredoc(),
            b'{' => {
                self.push(Kind::OpenBrace, 1);
                if let Some(Mode::Code { braces, .. }) = self.modes.last_mut() {
                    *braces += 1;
                }
            }
            b'}' => self.close_brace(),
            b'[' => self.push(Kind::OpenBracket, 1),
            b']' => self.push(Kind::CloseBracket, 1),
            b'(' => self.push(Kind::OpenParen, 1),
            b')' => self.push(Kind::CloseParen, 1),
            b',' => self.push(Kind::Comma, 1),
            b'.' if self.starts("...") => self.push(Kind::Ellipsis, 3),
            b'.' => self.push(Kind::Dot, 1),
            b':' if next == b':' => self.push(Kind::DoubleColon, 2),
            b':' => self.push(Kind::Colon, 1),
            b'?' => self.push(Kind::Question, 1),
            b'=' if next == b'>' => self.push(Kind::Arrow, 2),
            b'=' | b'!' | b'<' | b'>' if next == b'=' => self.push(Kind::Operator, 2),
            b'=' => self.push(Kind::Equal, 1),
            b'!' => self.push(Kind::Bang, 1),
            b'-' => self.push(Kind::Minus, 1),
            b'&' if next == b'&' => self.push(Kind::Operator, 2),
            b'|' if next == b'|' => self.push(Kind::Operator, 2),
            b'<' | b'>' | b'+' | b'*' | b'/' | b'%' => self.push(Kind::Operator, 1),
            b'~' if self.template_ends_after_tilde() => {
                self.push(Kind::CloseTemplate, 2);
                self.modes.pop();
            }
            b'0'..=b'9' => self.number(),
            _ => self.word(),
        }
    }

    fn line_comment(&mut self) {
        let rest = &self.text[self.at..];
        let len = rest.find('\n').unwrap_or(rest.len());
        let len = if rest[..len].ends_with('\r') { len - 1 } else { len };
        self.push(Kind::Comment, len);
    }

    fn template_ends_after_tilde(&self) -> bool {
        self.starts("~}") && matches!(self.modes.last(), Some(Mode::Code { braces: 0, template: true }))
    }

    fn close_brace(&mut self) {
        match self.modes.last_mut() {
            Some(Mode::Code { braces: 0, template: true }) => {
                self.push(Kind::CloseTemplate, 1);
                self.modes.pop();
            }
            Some(Mode::Code { braces, .. }) => {
                *braces = braces.saturating_sub(1);
                self.push(Kind::CloseBrace, 1);
            }
            _ => self.push(Kind::CloseBrace, 1),
        }
    }

    fn number(&mut self) {
        let bytes = &self.bytes[self.at..];
        let digits = |from: usize| bytes[from.min(bytes.len())..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let mut len = digits(0);
        if bytes.get(len) == Some(&b'.') && digits(len + 1) > 0 {
            len += 1 + digits(len + 1);
        }
        if matches!(bytes.get(len), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(len + 1), Some(b'+' | b'-')));
            if digits(len + 1 + sign) > 0 {
                len += 1 + sign + digits(len + 1 + sign);
            }
        }
        self.push(Kind::Number, len);
    }

    fn word(&mut self) {
        let len = word_len(&self.text[self.at..]);
        if len > 0 {
            self.push(Kind::Ident, len);
        } else {
            let len = self.text[self.at..].chars().next().map_or(1, char::len_utf8);
            self.push(Kind::Stray, len);
        }
    }

    fn open_heredoc(&mut self) {
        let dash = usize::from(self.bytes.get(self.at + 2) == Some(&b'-'));
        let word_start = self.at + 2 + dash;
        let word = word_len(&self.text[word_start..]);
        let line_end = match &self.bytes[word_start + word..] {
            [b'\n', ..] => 1,
            [b'\r', b'\n', ..] => 2,
            _ => 0,
        };
        if word == 0 || line_end == 0 {
            self.push(Kind::Operator, 1);
            return;
        }
        self.push(Kind::OpenHeredoc, 2 + dash + word + line_end);
        self.modes.push(Mode::Heredoc { word: (word_start, word_start + word) });
        self.close_heredoc((word_start, word_start + word));
    }

    /// Closes the heredoc where the line that begins here says so.
    fn close_heredoc(&mut self, word: (usize, usize)) -> bool {
        let line = &self.text[self.at..];
        let blanks = line.len() - line.trim_start_matches([' ', '\t']).len();
        let closing = &self.text[word.0..word.1];
        if line[blanks..].starts_with(closing) && word_len(&line[blanks..]) == closing.len() {
            self.push(Kind::CloseHeredoc, blanks + closing.len());
            self.modes.pop();
            return true;
        }
        false
    }

    fn heredoc(&mut self, word: (usize, usize)) {
        let start = self.at;
        while self.at < self.bytes.len() {
            if self.starts("$${") || self.starts("%%{") {
                self.at += 3;
            } else if self.starts("${") || self.starts("%{") {
                self.flush(start);
                self.open_template();
                return;
            } else if self.bytes[self.at] == b'\n' {
                self.at += 1;
                self.flush(start);
                self.close_heredoc(word);
                return;
            } else {
                self.at += 1;
            }
        }
        self.flush(start);
    }

    fn quoted(&mut self) {
        let start = self.at;
        while self.at < self.bytes.len() {
            let byte = self.bytes[self.at];
            if self.starts("$${") || self.starts("%%{") {
                self.at += 3;
            } else if self.starts("${") || self.starts("%{") {
                self.flush(start);
                self.open_template();
                return;
            } else if byte == b'"' {
                self.flush(start);
                self.push(Kind::CloseQuote, 1);
                self.modes.pop();
                return;
            } else if byte == b'\n' {
                break;
            } else if byte == b'\\' && !matches!(self.bytes.get(self.at + 1), None | Some(b'\n')) {
                self.at += 1 + self.text[self.at + 1..].chars().next().map_or(1, char::len_utf8);
            } else {
                self.at += 1;
            }
        }
        // The quote is taken back: what it was meant to hold is unknown.
        self.tokens.push(Token { kind: Kind::Unclosed, start, end: self.at });
        self.modes.pop();
    }

    fn open_template(&mut self) {
        let tilde = usize::from(self.bytes.get(self.at + 2) == Some(&b'~'));
        self.push(Kind::OpenTemplate, 2 + tilde);
        self.modes.push(Mode::Code { braces: 0, template: true });
    }

    fn flush(&mut self, start: usize) {
        if self.at > start {
            self.tokens.push(Token { kind: Kind::Text, start, end: self.at });
        }
    }
}

/// How many bytes of a text's start are an identifier.
pub(super) fn word_len(text: &str) -> usize {
    let mut chars = text.char_indices();
    match chars.next() {
        Some((_, first)) if starts_word(first) => {}
        _ => return 0,
    }
    chars.find(|(_, c)| !(starts_word(*c) || c.is_numeric() || *c == '-')).map_or(text.len(), |(at, _)| at)
}

fn starts_word(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<Kind> {
        scan(text).into_iter().map(|token| token.kind).collect()
    }

    #[test]
    fn a_string_with_a_template_is_cut_into_its_parts() {
        use Kind::{CloseQuote, CloseTemplate, Dot, Equal, Ident, OpenQuote, OpenTemplate, Text};
        assert_eq!(
            kinds(r#"a = "x${b.c}$${y}""#),
            [Ident, Equal, OpenQuote, Text, OpenTemplate, Ident, Dot, Ident, CloseTemplate, Text, CloseQuote]
        );
    }

    #[test]
    fn a_heredoc_ends_at_its_word_only() {
        use Kind::{CloseHeredoc, Equal, Ident, Newline, OpenHeredoc, Text};
        assert_eq!(
            kinds("a = <<-EOT\n  EOTX\n x\n  EOT\nb = c"),
            [Ident, Equal, OpenHeredoc, Text, Text, CloseHeredoc, Newline, Ident, Equal, Ident]
        );
        assert_eq!(kinds("a = <<E\nE\n"), [Ident, Equal, OpenHeredoc, CloseHeredoc, Newline]);
    }

    #[test]
    fn a_string_that_its_line_does_not_close_ends_there() {
        assert_eq!(kinds("a = \"x\nb = 1").iter().filter(|kind| **kind == Kind::Unclosed).count(), 1);
        assert_eq!(kinds("a = \"x\nb = 1").last(), Some(&Kind::Number));
    }
}
