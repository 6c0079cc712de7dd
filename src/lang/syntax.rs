//! The parser's errors in the user's words: where, why, what to write instead.
//!
//! The parser stops at its first error. To find more, a file is cut at the line ends between its items and each item is parsed by
//! itself; a block with an error is cut again inside.

use hcl_edit::parser::Error;
use hcl_edit::template::Template;

use super::guard::{self, MOST, Place};
use super::token::{Kind, Token, scan};
use crate::source::{Diagnostic, Diagnostics};

/// Explains why a file does not parse.
pub(super) fn explain_body(place: Place<'_>, tokens: &[Token], error: &Error) -> Diagnostics {
    let mut found = Vec::new();
    items(place, tokens, &mut found);
    if found.is_empty() {
        found.push((error.location().offset(), error.message().to_owned()));
    }
    found.truncate(MOST);
    found.into_iter().map(|(offset, message)| explain(place, tokens, offset, &message)).collect()
}

/// Explains why an expression does not parse.
pub(super) fn explain_expr(place: Place<'_>, tokens: &[Token], error: &Error) -> Diagnostics {
    explain(place, tokens, error.location().offset(), error.message()).into()
}

/// Parses text with templates in it, behind the same guard as a file.
pub(super) fn parse_template(place: Place<'_>) -> Result<Template, Diagnostics> {
    // Scanned as a heredoc, whose tokens are then shifted to where they stand.
    const WORD: &str = "a0b1c2d3e4f5a6b7c8d9";
    let opening = format!("<<{WORD}\n");
    let tokens: Vec<Token> = scan(&format!("{opening}{}\n{WORD}", place.text))
        .into_iter()
        .filter(|token| token.start >= opening.len() && token.kind != Kind::CloseHeredoc)
        .map(|token| Token { start: token.start - opening.len(), end: (token.end - opening.len()).min(place.text.len()), ..token })
        .collect();
    let problems = guard::check(place, &tokens, false);
    if problems.has_errors() {
        return Err(problems);
    }
    hcl_edit::parser::parse_template(place.text).map_err(|error| explain_expr(place, &tokens, &error))
}

/// Parses every item by itself and collects offsets and messages.
fn items(place: Place<'_>, tokens: &[Token], found: &mut Vec<(usize, String)>) {
    let mut depth = 0usize;
    let mut first = 0;
    for (index, token) in tokens.iter().enumerate() {
        match token.kind {
            Kind::OpenBrace | Kind::OpenBracket | Kind::OpenParen | Kind::OpenTemplate | Kind::OpenHeredoc => depth += 1,
            Kind::CloseBrace | Kind::CloseBracket | Kind::CloseParen | Kind::CloseTemplate | Kind::CloseHeredoc => {
                depth = depth.saturating_sub(1);
            }
            Kind::Newline if depth == 0 => {
                item(place, &tokens[first..index], found);
                first = index + 1;
            }
            _ => {}
        }
    }
    item(place, &tokens[first..], found);
}

fn item(place: Place<'_>, tokens: &[Token], found: &mut Vec<(usize, String)>) {
    let (Some(first), Some(last)) = (tokens.first(), tokens.last()) else {
        return;
    };
    if found.len() >= MOST {
        return;
    }
    let Err(error) = hcl_edit::parser::parse_body(&place.text[first.start..last.end]) else {
        return;
    };
    let before = found.len();
    // A block over several lines is cut again inside.
    let opening = tokens.iter().position(|token| matches!(token.kind, Kind::OpenBrace | Kind::Equal));
    if let Some(open) = opening.filter(|open| tokens[*open].kind == Kind::OpenBrace && last.kind == Kind::CloseBrace) {
        let inside = &tokens[open + 1..tokens.len() - 1];
        if inside.iter().find(|token| token.kind != Kind::Comment).is_some_and(|token| token.kind == Kind::Newline) {
            items(place, inside, found);
        }
    }
    if found.len() == before {
        found.push((first.start + error.location().offset(), error.message().to_owned()));
    }
}

/// One error in the user's words.
fn explain(place: Place<'_>, tokens: &[Token], offset: usize, message: &str) -> Diagnostic {
    let index = tokens.partition_point(|token| token.end <= offset);
    let token = tokens.get(index).copied();
    let before = index.checked_sub(1).and_then(|index| tokens.get(index)).copied();
    let found = describe(place, token);
    let (start, end) = token.map_or((place.text.len(), place.text.len()), |token| {
        let end = place.text[token.start..token.end].find('\n').map_or(token.end, |newline| token.start + newline.max(1));
        (token.start.max(offset.min(end)), end)
    });
    let diagnostic = if message.contains("nested levels") {
        guard::too_deep()
    } else if message.contains("chained binary operators") {
        Diagnostic::error("expression too long")
            .detail("it joins more than 128 operands with operators")
            .help("use `sum([…])`, `join(\"\", […])`, `alltrue([…])` or `anytrue([…])`")
    } else if message.contains("unique object key") {
        Diagnostic::error("duplicate key").detail("this key stands twice in one object").help("keep one of the two")
    } else if message.contains("unique attribute key") {
        Diagnostic::error("duplicate attribute").detail("this attribute is set twice in one block").help("keep one of the two")
    } else if message.contains("escape sequence") || message.contains("hex code") {
        Diagnostic::error("unknown escape")
            .detail("after a backslash only n, r, t, \", \\, uXXXX and UXXXXXXXX have a meaning")
            .help("write `\\\\` for a backslash")
    } else if in_template(tokens, index) && token.is_some_and(|token| matches!(token.kind, Kind::Colon | Kind::Stray)) {
        Diagnostic::error("syntax error")
            .detail(format!("{found} cannot stand in a template"))
            .help("if the text is meant for a shell, write `$${` instead of `${`")
    } else {
        let (detail, help) = other(place, tokens, index, before, token, &found, message);
        Diagnostic::error("syntax error").detail(detail).help(help)
    };
    place.label(diagnostic, start, end, "")
}

/// The errors that have no better words of their own.
fn other(
    place: Place<'_>,
    tokens: &[Token],
    index: usize,
    before: Option<Token>,
    token: Option<Token>,
    found: &str,
    message: &str,
) -> (String, String) {
    let kind = token.map(|token| token.kind);
    let before_kind = before.map(|before| before.kind);
    let line_start = before_kind.is_none_or(|before| matches!(before, Kind::Newline | Kind::OpenBrace));
    let one_line = one_line_block(tokens, index);
    if one_line && matches!(kind, Some(Kind::Ident | Kind::Comma | Kind::OpenBrace)) || message.contains("block body") {
        return (
            format!("a block on one line holds one attribute at most; {found} follows"),
            "open the block with `{` at the end of the line, and give every attribute and block a line of its own".to_owned(),
        );
    }
    if message.contains("invalid expression") || before_kind == Some(Kind::Equal) {
        let help = match kind {
            Some(Kind::Newline) | None => "write a value after the sign; to go on in the next line, use parentheses",
            Some(Kind::Comma) => "remove one comma, or write the value that is missing",
            Some(Kind::Equal) => "write `==` to compare",
            _ => "write a value: a string in double quotes, a number, a list `[…]`, an object `{…}` or a name",
        };
        return (format!("a value is missing: {found} stands in its place"), help.to_owned());
    }
    if line_start && kind != Some(Kind::Ident) {
        let help = match kind {
            Some(Kind::OpenQuote) => {
                "names of attributes and blocks stand without quotes; keys in quotes belong in an object `{…}`"
            }
            Some(Kind::OpenBrace) => "a block begins with its type, as in `instance \"dss\" \"main\" {`",
            _ => "write `name = value` or `type \"label\" { … }`",
        };
        return (format!("{found} cannot begin a line"), help.to_owned());
    }
    if message.contains("structure") || (line_start && kind == Some(Kind::Ident)) {
        let name = token.filter(|token| token.kind == Kind::Ident).or(before).map_or("", |name| name.text(place.text));
        let help = if kind == Some(Kind::Colon) || next_is(tokens, index, Kind::Colon) {
            "attributes are written with `=`"
        } else {
            "write `name = value` for an attribute, `name { … }` for a block"
        };
        return (format!("`=` or a block is missing after `{name}`"), help.to_owned());
    }
    let help = match kind {
        Some(Kind::Comma) => "remove the comma: attributes of a block are separated by line ends",
        Some(Kind::Equal) => "write `==` to compare; every attribute stands on a line of its own",
        Some(Kind::OpenBrace) => "a block has no `=`, an object has: `name = {`",
        Some(Kind::Ident | Kind::Number | Kind::OpenQuote) => {
            "a comma, an operator or a line end is missing before it; text stands in double quotes"
        }
        Some(Kind::Newline) => "the expression does not end here; use parentheses to go on in the next line",
        _ => "compare with the examples of the reference",
    };
    let after = before.map_or(String::new(), |before| format!(" after {}", describe(place, Some(before))));
    (format!("{found} cannot stand{after}"), help.to_owned())
}

fn next_is(tokens: &[Token], index: usize, kind: Kind) -> bool {
    tokens.get(index + 1).is_some_and(|token| token.kind == kind)
}

/// Whether a token stands in `${…}`.
fn in_template(tokens: &[Token], index: usize) -> bool {
    innermost(tokens, index).is_some_and(|open| tokens[open].kind == Kind::OpenTemplate)
}

/// Whether a token stands in a block that was opened on its own line and has gone on there.
fn one_line_block(tokens: &[Token], index: usize) -> bool {
    innermost(tokens, index).is_some_and(|open| {
        let inside = &tokens[open + 1..index];
        tokens[open].kind == Kind::OpenBrace
            && !inside.iter().any(|token| token.kind == Kind::Newline)
            && !inside.is_empty()
            && open > 0
            && matches!(tokens[open - 1].kind, Kind::Ident | Kind::CloseQuote)
    })
}

/// The innermost bracket that is open before a token.
fn innermost(tokens: &[Token], index: usize) -> Option<usize> {
    let mut depth = 0usize;
    for (at, token) in tokens[..index.min(tokens.len())].iter().enumerate().rev() {
        match token.kind {
            Kind::CloseBrace | Kind::CloseBracket | Kind::CloseParen | Kind::CloseTemplate | Kind::CloseHeredoc => depth += 1,
            Kind::OpenBrace | Kind::OpenBracket | Kind::OpenParen | Kind::OpenTemplate | Kind::OpenHeredoc => {
                if depth == 0 {
                    return Some(at);
                }
                depth -= 1;
            }
            _ => {}
        }
    }
    None
}

/// A token in words.
fn describe(place: Place<'_>, token: Option<Token>) -> String {
    let Some(token) = token else {
        return "the end".to_owned();
    };
    match token.kind {
        Kind::Newline => "the line's end".to_owned(),
        Kind::Comment => "a comment".to_owned(),
        Kind::OpenQuote | Kind::CloseQuote | Kind::Text => "a string".to_owned(),
        Kind::OpenHeredoc | Kind::CloseHeredoc => "a heredoc".to_owned(),
        _ => format!("`{}`", token.text(place.text).chars().take(40).collect::<String>()),
    }
}
