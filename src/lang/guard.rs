//! Looks at a text before the parser does.
//!
//! Refuses what would cost the parser too much (size, depth, objects of very many keys) and finds what it would report badly or at
//! the wrong place: unclosed strings and brackets, characters from other languages, repeated attributes. Linear, never recurses.

use std::collections::HashMap;

use super::token::{Kind, Token};
use crate::source::{Diagnostic, Diagnostics, SourceId, Span};

/// The largest text that is read.
const MAX_BYTES: usize = 4 * 1024 * 1024;
/// The deepest nesting of blocks, brackets and templates; the parser itself stops at 64.
const MAX_DEPTH: usize = 60;
/// The most keys that one object may have as written; the parser's cost grows with their square.
const MAX_KEYS: u64 = 10_000;
/// The most that the squares of all objects' sizes may add up to in one text.
const MAX_SQUARES: u64 = 400_000_000;

/// The most problems that one text reports.
pub(super) const MOST: usize = 50;

/// Makes diagnostics for one text, with places where it is a file's.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) text: &'a str,
    pub(super) source: Option<SourceId>,
    /// Where the text begins in the file.
    pub(super) base: usize,
}

impl Place<'_> {
    /// Labels a diagnostic, or quotes the text where there is no file.
    pub(super) fn label(&self, diagnostic: Diagnostic, start: usize, end: usize, remark: &str) -> Diagnostic {
        match self.source {
            Some(source) => diagnostic.label(Span::new(source, start + self.base..end + self.base), remark),
            None if diagnostic.detail.contains(", in `") => diagnostic,
            None => {
                let quoted: String = self.text.chars().take(200).collect();
                let detail = format!("{}, in `{quoted}`", diagnostic.detail);
                diagnostic.detail(detail)
            }
        }
    }
}

/// Refuses a text that is too large to be looked at.
pub(super) fn size(place: Place<'_>) -> Result<(), Diagnostic> {
    let len = place.text.len();
    if len <= MAX_BYTES {
        return Ok(());
    }
    let diagnostic = Diagnostic::error("file too large")
        .detail(format!("it has {len} bytes; at most {MAX_BYTES} are read"))
        .help("split it into several files, or keep data in JSON, YAML or CSV and read it with `file(…)`");
    Err(match place.source {
        Some(source) => diagnostic.at(Span::new(source, place.base..place.base)),
        None => diagnostic,
    })
}

/// An open bracket.
struct Open {
    token: Token,
    /// Names of attributes, where this is a block's body (or the file itself).
    body: Option<HashMap<String, Token>>,
    /// Whether an `=` stood on this line of the body: a brace after it opens an object, before it a block.
    assigned: bool,
    /// Signs that make a key, where it is an object.
    keys: u64,
}

struct Guard<'a> {
    place: Place<'a>,
    problems: Diagnostics,
    open: Vec<Open>,
    squares: u64,
    too_deep: bool,
    /// Where the last character without meaning stood.
    stray_line: Option<usize>,
}

/// Looks at the tokens. `file`: whether the text is a body of attributes and blocks, not an expression.
pub(super) fn check(place: Place<'_>, tokens: &[Token], file: bool) -> Diagnostics {
    let outermost = Token { kind: Kind::Newline, start: 0, end: 0 };
    let mut guard = Guard { place, problems: Diagnostics::new(), open: Vec::new(), squares: 0, too_deep: false, stray_line: None };
    guard.enter(outermost, file);
    for (index, token) in tokens.iter().enumerate() {
        if guard.problems.len() >= MOST {
            break;
        }
        match token.kind {
            Kind::OpenBrace => {
                let block = guard.body().is_some_and(|open| !open.assigned);
                guard.enter(*token, block);
            }
            Kind::OpenBracket | Kind::OpenParen | Kind::OpenTemplate | Kind::OpenHeredoc => guard.enter(*token, false),
            Kind::CloseBrace | Kind::CloseBracket | Kind::CloseParen | Kind::CloseTemplate | Kind::CloseHeredoc => {
                guard.leave(*token)
            }
            Kind::Newline => {
                if let Some(body) = guard.body() {
                    body.assigned = false;
                }
            }
            Kind::Equal if guard.body().is_some() => guard.attribute(&tokens[..index]),
            Kind::Equal | Kind::Colon => guard.key(1),
            Kind::Question => guard.key(-1),
            Kind::Stray => guard.stray(*token, tokens.get(index + 1)),
            Kind::Unclosed => guard.unclosed(*token),
            Kind::Comment => guard.comment(*token),
            _ => {}
        }
    }
    guard.end();
    guard.problems
}

impl Guard<'_> {
    fn report(&mut self, diagnostic: Diagnostic, token: Token, remark: &str) {
        let diagnostic = self.place.label(diagnostic, token.start, token.end, remark);
        self.problems.push(diagnostic);
    }

    /// The innermost bracket, where it is a block's body.
    fn body(&mut self) -> Option<&mut Open> {
        self.open.last_mut().filter(|open| open.body.is_some())
    }

    fn enter(&mut self, token: Token, body: bool) {
        self.open.push(Open { token, body: body.then(HashMap::new), assigned: false, keys: 0 });
        if self.open.len() > MAX_DEPTH + 1 && !self.too_deep {
            self.too_deep = true;
            self.report(too_deep(), token, "too deep from here on");
        }
    }

    fn leave(&mut self, token: Token) {
        let matching = match token.kind {
            Kind::CloseBrace => Kind::OpenBrace,
            Kind::CloseBracket => Kind::OpenBracket,
            Kind::CloseParen => Kind::OpenParen,
            Kind::CloseTemplate => Kind::OpenTemplate,
            _ => Kind::OpenHeredoc,
        };
        let sign = token.text(self.place.text).trim();
        match self.open.last() {
            Some(open) if open.token.kind == matching => {
                let keys = open.keys;
                let start = open.token;
                self.open.pop();
                self.count(keys, start);
            }
            Some(open) if self.open.iter().skip(1).any(|open| open.token.kind == matching) => {
                let (start, opening) = (open.token, open.token.text(self.place.text).trim());
                let diagnostic = Diagnostic::error("brackets do not match")
                    .detail(format!("`{opening}` is closed by `{sign}`"))
                    .help(format!("close `{opening}` with `{}` first", closing(start.kind)));
                let diagnostic = self.place.label(diagnostic, token.start, token.end, "closed here");
                let diagnostic = self.place.label(diagnostic, start.start, start.end, "opened here");
                self.problems.push(diagnostic);
                // The brackets in between are given up, where the right one is open further out.
                if let Some(outer) = self.open.iter().rposition(|open| open.token.kind == matching && open.token.end > 0) {
                    self.open.truncate(outer);
                }
            }
            _ => {
                let diagnostic = Diagnostic::error("unexpected closing bracket")
                    .detail(format!("`{sign}` closes nothing"))
                    .help("remove it, or write the opening bracket that is missing before");
                self.report(diagnostic, token, "");
            }
        }
    }

    /// Refuses objects whose size the parser could not cope with.
    fn count(&mut self, keys: u64, open: Token) {
        self.squares = self.squares.saturating_add(keys.saturating_mul(keys));
        if keys > MAX_KEYS || (self.squares > MAX_SQUARES && keys > 100) {
            self.squares = 0;
            let detail = if keys > MAX_KEYS {
                format!("this object has about {keys} keys as written; at most {MAX_KEYS} are read")
            } else {
                "the objects of this file have too many keys in all".to_owned()
            };
            let diagnostic = Diagnostic::error("object too large")
                .detail(detail)
                .help("compute it with a `for` expression, or keep the data in a JSON, YAML or CSV file and decode it");
            self.report(diagnostic, open, "");
        }
    }

    fn key(&mut self, count: i64) {
        if let Some(open) = self.open.last_mut()
            && open.token.kind == Kind::OpenBrace
        {
            open.keys = open.keys.saturating_add_signed(count);
        }
    }

    /// An `=` in a body: notes the name before it.
    fn attribute(&mut self, before: &[Token]) {
        if self.body().is_some_and(|body| std::mem::replace(&mut body.assigned, true)) {
            return;
        }
        let Some(name) = before.last().filter(|token| token.kind == Kind::Ident).copied() else {
            return;
        };
        // `a b = 1` is another error, for the parser to report.
        if before.len() > 1 && !matches!(before[before.len() - 2].kind, Kind::Newline | Kind::OpenBrace | Kind::Comment) {
            return;
        }
        let text = name.text(self.place.text).to_owned();
        let Some(names) = self.body().and_then(|open| open.body.as_mut()) else {
            return;
        };
        if let Some(first) = names.get(&text).copied() {
            let diagnostic = Diagnostic::error("duplicate attribute")
                .detail(format!("`{text}` is set twice in one block"))
                .help("keep one of the two");
            let diagnostic = self.place.label(diagnostic, name.start, name.end, "again here");
            let diagnostic = self.place.label(diagnostic, first.start, first.end, "first here");
            self.problems.push(diagnostic);
        } else {
            names.insert(text, name);
        }
    }

    fn stray(&mut self, token: Token, next: Option<&Token>) {
        let text = token.text(self.place.text);
        // One report for a line: the other characters are mostly of the same kind.
        if next.is_some_and(|next| next.kind == Kind::Stray && next.start == token.end) {
            return;
        }
        if self.stray_line.is_some_and(|line| !self.place.text[line..token.start].contains('\n')) {
            return;
        }
        self.stray_line = Some(token.start);
        let help = match text {
            "'" | "`" => "strings stand in double quotes: \"…\"",
            "“" | "”" | "„" | "«" | "»" | "‘" | "’" => "write straight double quotes: \"…\"",
            ";" => "end the line instead: every attribute stands on a line of its own",
            "&" => "write `&&` for `and`",
            "|" => "write `||` for `or`",
            "$" => "a template `${…}` stands inside a string; outside write the name alone",
            "\\" => "lines are not continued with `\\`; put the expression in parentheses to break it",
            "\u{feff}" => "remove the byte order mark; save the file as plain UTF-8",
            "\u{a0}" | "\u{200b}" | "\u{2009}" | "\u{202f}" => "write an ordinary blank; this one only looks like it",
            _ => "remove it, or put the text in double quotes",
        };
        let visible = text.chars().all(|c| !c.is_control() && !c.is_whitespace() && !matches!(c, '\u{feff}' | '\u{200b}'));
        let shown = if visible { text.to_owned() } else { text.escape_unicode().to_string() };
        let diagnostic = Diagnostic::error("unexpected character").detail(format!("`{shown}` has no meaning here")).help(help);
        self.report(diagnostic, token, "");
    }

    fn comment(&mut self, token: Token) {
        let text = token.text(self.place.text);
        if text.starts_with("/*") && (text.len() < 4 || !text.ends_with("*/")) {
            let diagnostic = Diagnostic::error("comment is not closed")
                .detail("the text ends before `*/`")
                .help("write `*/` where the comment ends, or `#` for a comment of one line");
            let end = token.start + 2;
            self.report(diagnostic, Token { end, ..token }, "opened here");
        }
    }

    fn unclosed(&mut self, token: Token) {
        // The place is that of the opening quote where the text of the string is whole.
        let line = &self.place.text[..token.end];
        let line = &line[line.rfind('\n').map_or(0, |at| at + 1)..];
        let start = token.start - usize::from(self.place.text[..token.start].ends_with('"'));
        let help = if line.matches('"').count() > 1 {
            "close it with `\"`; a quote inside a string is written `\\\"`"
        } else {
            "close it with `\"` on the same line; for text of several lines use a heredoc: <<-EOT … EOT"
        };
        let diagnostic = Diagnostic::error("string is not closed").detail("the line ends inside a string").help(help);
        self.report(diagnostic, Token { start, ..token }, "the string begins here");
    }

    fn end(&mut self) {
        if self.problems.has_errors() {
            return;
        }
        // One report, at the innermost: what is around it is open because of it.
        let missing: String = self.open.iter().skip(1).rev().map(|open| closing(open.token.kind)).collect();
        let Some(open) = self.open.last().map(|open| open.token).filter(|_| self.open.len() > 1) else {
            return;
        };
        let text = open.text(self.place.text).trim().to_owned();
        let diagnostic = if open.kind == Kind::OpenHeredoc {
            let word = text.trim_start_matches(['<', '-']).to_owned();
            Diagnostic::error("heredoc is not closed")
                .detail(format!("no line consists of `{word}` alone"))
                .help(format!("end the text with a line that holds only {word}"))
        } else {
            Diagnostic::error("bracket is not closed")
                .detail(format!("the text ends before `{text}` is closed"))
                .help(format!("write the missing `{missing}`"))
        };
        self.report(diagnostic, open, "opened here");
    }
}

/// The refusal of deep nesting.
pub(super) fn too_deep() -> Diagnostic {
    Diagnostic::error("nested too deeply")
        .detail(format!("at most {MAX_DEPTH} levels of blocks, brackets and templates are read"))
        .help("give the inner parts names with `locals`")
}

fn closing(open: Kind) -> &'static str {
    match open {
        Kind::OpenBracket => "]",
        Kind::OpenParen => ")",
        Kind::OpenHeredoc => "",
        _ => "}",
    }
}
