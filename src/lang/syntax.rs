//! The parser's errors in the user's words: where, why, what to write instead.
//!
//! The parser stops at its first error. To find more, a file is cut at the line ends between its items and each item is parsed by
//! itself; a block with an error is cut again inside.

use hcl_edit::parser::Error;
use hcl_edit::template::Template;

use super::guard::{self, MOST, Place};
use super::token::{Kind, Token, scan};
use crate::source::{Diagnostic, Diagnostics};

/// How many blocks deep errors are searched.
const MAX_LEVELS: usize = 6;

/// Explains why a file does not parse.
pub(super) fn explain_body(place: Place<'_>, tokens: &[Token], error: &Error) -> Diagnostics {
    let mut found = Vec::new();
    items(place, tokens, 0, &mut found);
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
fn items(place: Place<'_>, tokens: &[Token], level: usize, found: &mut Vec<(usize, String)>) {
    let mut depth = 0usize;
    let mut first = 0;
    for (index, token) in tokens.iter().enumerate() {
        match token.kind {
            Kind::OpenBrace | Kind::OpenBracket | Kind::OpenParen | Kind::OpenTemplate | Kind::OpenHeredoc => depth += 1,
            Kind::CloseBrace | Kind::CloseBracket | Kind::CloseParen | Kind::CloseTemplate | Kind::CloseHeredoc => {
                depth = depth.saturating_sub(1);
            }
            Kind::Newline if depth == 0 => {
                item(place, &tokens[first..index], level, found);
                first = index + 1;
            }
            _ => {}
        }
    }
    item(place, &tokens[first..], level, found);
}

fn item(place: Place<'_>, tokens: &[Token], level: usize, found: &mut Vec<(usize, String)>) {
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
    // A block over several lines is cut again inside; each level costs as much as the whole.
    let opening =
        tokens.iter().filter(|_| level < MAX_LEVELS).position(|token| matches!(token.kind, Kind::OpenBrace | Kind::Equal));
    if let Some(open) = opening.filter(|open| tokens[*open].kind == Kind::OpenBrace && last.kind == Kind::CloseBrace) {
        let inside = &tokens[open + 1..tokens.len() - 1];
        if inside.iter().find(|token| token.kind != Kind::Comment).is_some_and(|token| token.kind == Kind::Newline) {
            items(place, inside, level + 1, found);
        }
    }
    if found.len() > before {
        return;
    }
    let offset = error.location().offset();
    // Where the parser gave the whole attribute up, the value alone says more.
    if offset == 0 && tokens.get(1).is_some_and(|token| token.kind == Kind::Equal) {
        found.push(value(place, tokens));
    } else {
        found.push((first.start + offset, error.message().to_owned()));
    }
}

/// What is wrong with the value of `name = value`.
fn value(place: Place<'_>, tokens: &[Token]) -> (usize, String) {
    let Some(first) = tokens.get(2) else {
        return (tokens[1].end, MISSING.to_owned());
    };
    let last = tokens[tokens.len() - 1];
    let offset = match hcl_edit::parser::parse_expr(&place.text[first.start..last.end]) {
        Err(error) if error.location().offset() > 0 => {
            return (first.start + error.location().offset(), error.message().to_owned());
        }
        _ => first.start,
    };
    if matches!(last.kind, Kind::Operator | Kind::Minus | Kind::Bang | Kind::Question | Kind::Colon) {
        return (last.end, MISSING.to_owned());
    }
    match tokens.iter().find(|token| token.kind == Kind::OpenTemplate && token.text(place.text).starts_with('%')) {
        Some(directive) => (directive.start, DIRECTIVE.to_owned()),
        None => (offset, MISSING.to_owned()),
    }
}

/// Stand for the parser's message where it has none of its own.
const MISSING: &str = "invalid expression";
const DIRECTIVE: &str = "invalid directive";

/// One error in the user's words.
fn explain(place: Place<'_>, tokens: &[Token], offset: usize, message: &str) -> Diagnostic {
    let index = tokens.partition_point(|token| token.end <= offset);
    let token = tokens.get(index).copied();
    let found = describe(place, token);
    let offset = if message.contains("escape sequence") || message.contains("hex code") {
        place.text[..offset].rfind('\\').unwrap_or(offset)
    } else {
        offset
    };
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
    } else if within(tokens, index) == Within::Template
        && token.is_some_and(|token| matches!(token.kind, Kind::Colon | Kind::Stray))
    {
        Diagnostic::error("syntax error")
            .detail(format!("{found} cannot stand in a template"))
            .help("if the text is meant for a shell, write `$${` instead of `${`")
    } else {
        let (detail, help) = other(place, tokens, index, &found, message);
        Diagnostic::error("syntax error").detail(detail).help(help)
    };
    place.label(diagnostic, start, end, "")
}

/// The errors that have no better words of their own: what is wrong, what to write.
fn other(place: Place<'_>, tokens: &[Token], index: usize, found: &str, message: &str) -> (String, String) {
    let text = |index: usize| tokens.get(index).map_or("", |token| token.text(place.text));
    let kind = tokens.get(index).map(|token| token.kind);
    let last = index.checked_sub(1).and_then(|index| tokens.get(index)).copied();
    let last_kind = last.map(|last| last.kind);
    let within = within(tokens, index);
    let line_start = last_kind.is_none_or(|last| matches!(last, Kind::Newline | Kind::OpenBrace | Kind::Comment));
    let line =
        tokens[..index].iter().rposition(|token| matches!(token.kind, Kind::Newline | Kind::OpenBrace)).map_or(0, |at| at + 1);
    let header = within == Within::Body
        && tokens[line..index]
            .iter()
            .all(|token| matches!(token.kind, Kind::Ident | Kind::OpenQuote | Kind::Text | Kind::CloseQuote));
    let say = |detail: String, help: &str| (detail, help.to_owned());

    let after_directive = last.is_some_and(|last| last.kind == Kind::OpenTemplate && last.text(place.text).starts_with('%'));
    if message == DIRECTIVE || after_directive || (kind == Some(Kind::OpenTemplate) && text(index).starts_with('%')) {
        return say(
            "this directive is not complete or not known".to_owned(),
            "the directives are `%{ if … }` … `%{ else }` … `%{ endif }` and `%{ for … in … }` … `%{ endfor }`; write `%%{` for the plain text",
        );
    }
    let one_line =
        one_line_block(tokens, index) && matches!(kind, Some(Kind::Ident | Kind::Comma | Kind::OpenBrace | Kind::OpenQuote));
    if one_line || message.contains("block body") {
        return say(
            format!("a block on one line holds one attribute at most; {found} follows"),
            "open the block with `{` at the end of the line, and give every attribute and block a line of its own",
        );
    }
    if message.contains("object value assignment") {
        let key = tokens[..index]
            .iter()
            .rfind(|token| !matches!(token.kind, Kind::Newline | Kind::OpenBrace))
            .map_or("", |token| token.text(place.text));
        let help =
            if kind == Some(Kind::OpenBrace) { "in an object write `name = {`" } else { "write `name = value` for every key" };
        return say(format!("the key `{key}` has no value"), help);
    }
    match (tokens.get(index.wrapping_sub(1)).map_or("", |token| token.text(place.text)), text(index)) {
        ("for", _) if within != Within::Body || kind == Some(Kind::Ident) => {
            let help = "write `[for x in list : x]` for a list, `{ for k, v in map : k => v }` for an object";
            return say(format!("{found} cannot stand here"), help);
        }
        ("if", _) => return say(format!("{found} cannot stand after `if`"), "write `condition ? value : other`"),
        _ => {}
    }
    if matches!(kind, Some(Kind::Operator | Kind::Minus | Kind::Bang | Kind::Dot | Kind::Question))
        && !line_start
        && tokens.get(index + 1).is_none_or(|next| matches!(next.kind, Kind::Newline | Kind::Comment))
    {
        return say(
            format!("something is missing after {found}"),
            "complete the expression; to go on in the next line, use parentheses",
        );
    }
    if message.contains("invalid expression") || last_kind == Some(Kind::Equal) {
        let help = match kind {
            Some(Kind::Newline) | None => "write a value after the sign; to go on in the next line, use parentheses",
            Some(Kind::Comma) => "remove one comma, or write the value that is missing",
            Some(Kind::Equal) => "write `==` to compare",
            _ => "write a value: a string in double quotes, a number, a list `[…]`, an object `{…}` or a name",
        };
        return say(format!("a value is missing: {found} stands in its place"), help);
    }
    if within == Within::Body && line_start && kind != Some(Kind::Ident) {
        let help = match kind {
            Some(Kind::OpenQuote) => {
                "names of attributes and blocks stand without quotes; keys in quotes belong in an object `{…}`"
            }
            Some(Kind::OpenBrace) => "a block begins with its type, as in `instance \"dss\" \"main\" {`",
            _ => "write `name = value` or `type \"label\" { … }`",
        };
        return say(format!("{found} cannot begin a line"), help);
    }
    if header && !line_start {
        let name = text(line);
        return match kind {
            Some(Kind::Equal) => {
                say(format!("`{name}` and another name stand before `=`"), "a name has no blanks: join the words with `_`")
            }
            Some(Kind::Colon) => say(format!("`=` is missing after `{name}`"), "attributes are written with `=`"),
            Some(Kind::OpenTemplate) | Some(Kind::OpenQuote | Kind::Text) => {
                say("a label is plain text".to_owned(), "labels cannot be computed; use `for_each` to make several blocks of one")
            }
            _ => say(
                format!("`=` or `{{` is missing after `{}`", text(index.wrapping_sub(1))),
                "write `name = value` for an attribute, `type \"label\" { … }` for a block",
            ),
        };
    }
    if header {
        let help = "write `name = value` for an attribute, `name { … }` for a block";
        return say(format!("`=` or a block is missing after `{}`", text(index)), help);
    }
    if message.contains("`:`") && within != Within::Template {
        return say(format!("`:` is missing before {found}"), "a conditional is written `condition ? value : other`");
    }
    if message.contains("`in`") {
        return say(format!("`in` is missing before {found}"), "write `for x in list` or `for k, v in map`");
    }
    let help = match (kind, within) {
        (Some(Kind::Comma), Within::Body) => "remove the comma: attributes of a block are separated by line ends",
        (Some(Kind::Equal), Within::Body) => "write `==` to compare; every attribute stands on a line of its own",
        (Some(Kind::OpenBrace), _) => "a block has no `=`, an object has: `name = {`",
        (_, Within::List) => "items are separated by commas",
        (_, Within::Object) => "entries are separated by commas or line ends",
        (Some(Kind::Ident | Kind::Number | Kind::OpenQuote), _) => {
            "an operator or a line end is missing before it; text stands in double quotes"
        }
        (Some(Kind::Newline), _) => "the expression does not end here; use parentheses to go on in the next line",
        _ => "remove it, or complete the expression before it",
    };
    let after = last.map_or(String::new(), |last| format!(" after {}", describe(place, Some(last))));
    say(format!("{found} cannot stand{after}"), help)
}

/// What a token stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Within {
    Body,
    Object,
    /// Brackets or parentheses.
    List,
    Template,
}

fn within(tokens: &[Token], index: usize) -> Within {
    let Some(open) = innermost(tokens, index) else {
        return Within::Body;
    };
    match tokens[open].kind {
        Kind::OpenBrace if open > 0 && matches!(tokens[open - 1].kind, Kind::Ident | Kind::CloseQuote) => Within::Body,
        Kind::OpenBrace => Within::Object,
        Kind::OpenTemplate => Within::Template,
        _ => Within::List,
    }
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

#[cfg(test)]
mod tests {
    use crate::lang::parse_body;
    use crate::source::SourceMap;
    use proptest::prelude::*;

    /// Every problem as `line:column summary: detail -- help`.
    fn problems(text: &str) -> Vec<String> {
        let mut sources = SourceMap::new();
        let id = sources.add("f.hcl", text);
        let Err(problems) = parse_body(&sources, id) else {
            return Vec::new();
        };
        problems
            .iter()
            .map(|problem| {
                let (line, column) = problem.labels.first().map_or((0, 0), |label| sources.line_column(label.span));
                format!("{line}:{column} {problem} -- {}", problem.help.as_deref().unwrap_or(""))
            })
            .collect()
    }

    #[track_caller]
    fn reports(text: &str, expected: &[&str]) {
        let found = problems(text);
        assert_eq!(found.len(), expected.len(), "{:.200}: {found:#?}", text);
        for (found, expected) in found.iter().zip(expected) {
            let (place, words) = expected.split_once(' ').unwrap();
            let text: String = text.chars().take(200).collect();
            assert!(
                (found.starts_with(&format!("{place} ")) || (place.ends_with(':') && found.starts_with(place)))
                    && found.contains(words),
                "{text}: {found} is not {expected}"
            );
        }
    }

    #[test]
    fn a_missing_value_is_reported_behind_its_sign() {
        reports("a = \nb = 1", &["1:5 a value is missing"]);
        reports("a =", &["1:4 a value is missing"]);
        reports("a = -", &["1:6 a value is missing"]);
        reports("a = 1 +\n", &["1:7 something is missing after `+`"]);
        reports("a = [1,, 2]", &["1:8 remove one comma"]);
        reports("a = x ? 1", &["1:9 `:` is missing"]);
        reports("a = {\n x = 1\n y\n z = 2\n}", &["4:2 the key `y` has no value"]);
        reports("a = {\n b {\n c = 1\n}\n}", &["2:5 the key `b` has no value"]);
    }

    #[test]
    fn all_errors_of_a_file_are_reported_also_inside_blocks() {
        reports(
            "instance \"a\" {\n  x = \n  y = 1 2\n  z = 3\n  in {\n    q =\n  }\n}\nb = *\n",
            &["2:7 a value is missing", "3:9 `2` cannot stand after `1`", "6:8 a value is missing", "9:5 something is missing"],
        );
    }

    #[test]
    fn an_unterminated_string_is_reported_at_its_line() {
        reports("a = \"abc\nb = 1", &["1:5 string is not closed"]);
        reports("a = \"abc\" def\"\nb = 1", &["1:14 a quote inside a string"]);
        reports("a = \"x${b\nc = 1", &["1:7 bracket is not closed"]);
        reports("s = <<EOT\n echo\n", &["1:5 no line consists of `EOT` alone"]);
        reports("a = /* never", &["1:5 comment is not closed"]);
        reports("a = 1 /*/ */\n", &[]);
        reports("a = foo([1, { b = 2", &["1:13 write the missing `}])`"]);
    }

    #[test]
    fn signs_of_other_languages_are_explained() {
        reports("a = 'x'", &["1:5 double quotes"]);
        reports("a = \u{201c}x\u{201d}", &["1:5 straight double quotes"]);
        reports("a = 1;", &["1:6 end the line"]);
        reports("a = b & c", &["1:7 `&&`"]);
        reports("a: 1", &["1:2 attributes are written with `=`"]);
        reports("a = 1,", &["1:6 remove the comma"]);
        reports("\"a\" = 1", &["1:1 without quotes"]);
        reports("a b = 1", &["1:5 a name has no blanks"]);
        reports("a = \"\\d+\"", &["1:6 unknown escape"]);
        reports("a = for x in y", &["1:9 `[for x in list : x]`"]);
        reports("a = [for x of y : x]", &["1:12 `in` is missing"]);
        reports("a = if x", &["1:8 condition ? value : other"]);
        reports("a = \"100%{x}\"", &["1:9 `%%{`"]);
        reports("a = \"%{ if x }b\"", &["1:6 %{ else }"]);
        reports("a \"${x}\" {\n}\n", &["1:3 a label is plain text"]);
    }

    #[test]
    fn shell_variables_in_heredocs_get_the_escape() {
        reports("s = <<EOT\n echo ${VAR:-x}\nEOT\n", &["2:12 write `$${` instead of `${`"]);
        reports("s = \"${VAR:-x}\"\n", &["1:11 write `$${` instead of `${`"]);
    }

    #[test]
    fn brackets_that_do_not_match_are_reported_where_they_stand() {
        reports("instance \"a\" {\n  x = 1\n", &["1:14 bracket is not closed"]);
        reports("a {\n}}\n", &["2:2 closes nothing"]);
        reports("a = [1, (2]\n", &["1:11 `(` is closed by `]`"]);
    }

    #[test]
    fn a_block_on_one_line_says_what_it_may_hold() {
        reports("window { cron = \"x\"  duration = \"6h\" }", &["1:22 a block on one line holds one attribute"]);
        reports("fact \"v\" { file { path = 1 } }", &["1:17 a block on one line holds one attribute"]);
        reports("ok { a = 1 }\nempty {}\n", &[]);
    }

    #[test]
    fn names_that_stand_twice_are_all_reported() {
        reports("a = 1\na = 2\nb {\n  c = 1\n  c = { x = 1, x = 2 }\n}\n", &["2:1 duplicate attribute", "5:3 duplicate attribute"]);
        reports("c = { x = 1, \"x\" = 2 }", &["1:14 duplicate key"]);
        reports("c = { x = 1, x = 2 }", &["1:14 duplicate key"]);
        reports("a = 1\na \"x\" {\n}\n", &["2:1 attribute and block of one name"]);
        reports("a = { b = { c = 1 } }\nd {\n  b = 1\n}\ne {\n  b = 1\n}\n", &[]);
    }

    #[test]
    fn a_byte_order_mark_and_windows_line_ends_are_read() {
        let mut sources = SourceMap::new();
        let id = sources.add("f.hcl", "\u{feff}a = 1\r\nb \"c\" {\r\n  d = [\r\n    1,\r\n  ]\r\n}\r\n");
        let body = parse_body(&sources, id).unwrap();
        assert_eq!(sources.slice(body.attributes["a"].name_span), "a");
        assert_eq!(body.attributes["a"].expr.text(), "1");
        assert_eq!(sources.slice(body.blocks[0].header_span()), "b \"c\"");
        reports("\u{feff}a = \r\n", &["1:6 a value is missing"]);
    }

    #[test]
    fn what_is_too_large_or_too_deep_is_refused_at_once() {
        reports(&format!("a = {}", "[".repeat(100_000)), &["1: nested too deeply"]);
        reports(&"a {\n".repeat(100_000), &["61: nested too deeply"]);
        reports(&format!("a = {}1", "-".repeat(100_000)), &["1: nested too deeply"]);
        reports(&format!("a = {}1", "(".repeat(100_000)), &["1: nested too deeply"]);
        reports(&format!("a = {}", "\"${".repeat(100_000)), &["1: nested too deeply"]);
        reports(&format!("a = {}", "x ? 1 : ".repeat(100_000)), &["1: nested too deeply"]);
        reports(&format!("a = 1{}", " + 1".repeat(100_000)), &["1: expression too long"]);
        reports(&format!("a = b{}", "[*]".repeat(100_000)), &["1: nested too deeply"]);
        let keys: String = (0..100_000).map(|n| format!("k{n} = 1\n")).collect();
        reports(&format!("a = {{\n{keys}}}"), &["1: object too large"]);
        reports(&format!("# {}", "x".repeat(5 << 20)), &["1: file too large"]);
        let many: String = (0..20_000).map(|n| format!("k{n} = 1\n")).collect();
        reports(&many, &[]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn rubbish_never_panics_and_every_label_fits_the_text(
            parts in prop::collection::vec(prop::sample::select(vec![
                "a", "b1", " ", "\n", "\r\n", "=", "==", "{", "}", "[", "]", "(", ")", "\"", "${", "%{", "~}", "}", "<<E\n", "<<-E\n", "\nE\n",
                "for", "in", "if", "else", "endif", "endfor", ":", "?", ",", ".", "...", "*", "[*]", ".*", "1", "1.5e3", "-", "!", "&&", "||", "'",
                "#", "//", "/*", "*/", "\\", "\\u00", "$${", "é", "\u{feff}", "null", "true", "=>", "::", "f(", "\u{0}", "😀",
            ]), 0..40),
        ) {
            let text = parts.concat();
            let mut sources = SourceMap::new();
            let id = sources.add("f.hcl", text.as_str());
            match parse_body(&sources, id) {
                Ok(body) => {
                    for attribute in body.attributes.values() {
                        prop_assert!(super::super::Expr::parse(attribute.expr.text()).is_ok(), "{:?}", attribute.expr);
                    }
                }
                Err(problems) => {
                    prop_assert!(problems.has_errors());
                    for label in problems.iter().flat_map(|problem| &problem.labels) {
                        let range = label.span.start as usize..label.span.end as usize;
                        prop_assert!(text.get(range).is_some());
                    }
                }
            }
            let _ = super::super::Expr::parse(&text);
            let _ = super::super::Expr::template(&text);
        }

        #[test]
        fn random_nesting_never_overflows_a_small_stack(parts in prop::collection::vec(
            (prop::sample::select(vec!["[", "(", "{a=", "\"${", "-", "!", "f(", "x[", "[for x in y : ", "a[*]", "[*]", ".*", "1+", "a?b:", "%{if a}", "<<E\n${"]), 1..400usize), 1..6,
        )) {
            let mut text = "a = ".to_owned();
            for (part, count) in parts {
                text.push_str(&part.repeat(count));
            }
            let run = move || { problems(&text); };
            std::thread::Builder::new().stack_size(2 << 20).spawn(run).unwrap().join().unwrap();
        }
    }
}
