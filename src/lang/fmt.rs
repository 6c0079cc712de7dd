//! The canonical layout of configuration text, as `terraform fmt` has it.
//!
//! Takes a text that parses, gives it back with two blanks a level, `=` of neighbouring attributes aligned, and one blank between
//! tokens where one belongs. Works on tokens and lines: comments, strings, heredocs and line breaks stay byte for byte as they are,
//! and formatting twice changes nothing more.

use super::body;
use super::token::{Kind, Token, scan};
use crate::source::{Diagnostics, SourceMap};

/// Formats a file's text.
///
/// # Errors
/// The syntax errors of a text that does not parse: it is not touched.
pub fn format(text: &str) -> Result<String, Diagnostics> {
    let mut sources = SourceMap::new();
    let id = sources.add("<input>", text);
    body::syntax_tree(&sources, id)?;
    Ok(layout(text.strip_prefix('\u{feff}').unwrap_or(text)))
}

/// A token with the blanks that go before it.
#[derive(Clone, Copy)]
struct Cell<'a> {
    kind: Kind,
    text: &'a str,
    before: usize,
}

impl Cell<'_> {
    /// How much deeper the text behind the token is.
    fn change(&self) -> i32 {
        match self.kind {
            Kind::OpenBrace | Kind::OpenBracket | Kind::OpenParen | Kind::OpenTemplate => 1,
            Kind::CloseBrace | Kind::CloseBracket | Kind::CloseParen | Kind::CloseTemplate => -1,
            _ => 0,
        }
    }

    /// The width of its last line.
    fn width(&self) -> usize {
        self.before + self.text.rsplit('\n').next().unwrap_or(self.text).chars().count()
    }
}

/// A line: what stands before the `=`, from the `=` on, and the comment at its end.
#[derive(Default)]
struct Line<'a> {
    lead: Vec<Cell<'a>>,
    assign: Vec<Cell<'a>>,
    comment: Option<Cell<'a>>,
}

fn layout(text: &str) -> String {
    let mut lines = split(text);
    indent(&mut lines);
    for line in &mut lines {
        space(&mut line.lead, false);
        space(&mut line.assign, true);
    }
    align_assignments(&mut lines);
    align_comments(&mut lines);
    write(&lines)
}

/// Cuts the tokens into lines. A heredoc or a multi-line template belongs to the line that it begins on, whole.
fn split(text: &str) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    let mut lead: Vec<Cell<'_>> = Vec::new();
    // Strings and heredocs are one token each: nothing in them is laid out.
    let mut whole: Option<usize> = None;
    let mut depth = 0usize;
    for token in scan(text) {
        let Token { kind, start, end } = token;
        match kind {
            Kind::OpenQuote | Kind::OpenHeredoc => {
                whole.get_or_insert(start);
                depth += 1;
            }
            Kind::CloseQuote | Kind::CloseHeredoc => {
                depth = depth.saturating_sub(1);
                if let (0, Some(start)) = (depth, whole) {
                    whole = None;
                    let kind = if kind == Kind::CloseHeredoc { Kind::CloseHeredoc } else { Kind::Text };
                    lead.push(Cell { kind, text: &text[start..end], before: 0 });
                }
            }
            _ if whole.is_some() => {}
            Kind::Newline => lines.push(cells(std::mem::take(&mut lead))),
            _ => lead.push(Cell { kind, text: &text[start..end], before: 0 }),
        }
    }
    if let Some(start) = whole {
        lead.push(Cell { kind: Kind::Text, text: &text[start..], before: 0 });
    }
    if !lead.is_empty() {
        lines.push(cells(lead));
    }
    lines
}

/// Takes a line's comment and assignment apart.
fn cells(mut lead: Vec<Cell<'_>>) -> Line<'_> {
    let comment = if lead.len() > 1 { lead.pop_if(|cell| cell.kind == Kind::Comment) } else { None };
    let equal = lead.iter().skip(1).position(|cell| cell.kind == Kind::Equal).map(|at| at + 1);
    let assign = match equal {
        // A value that goes on in the next line is not aligned: it stands for itself.
        Some(at) if lead[at..].iter().map(Cell::change).sum::<i32>() == 0 => lead.split_off(at),
        _ => Vec::new(),
    };
    Line { lead, assign, comment }
}

fn indent(lines: &mut [Line<'_>]) {
    let mut levels: Vec<i32> = Vec::new();
    for line in lines.iter_mut() {
        let net: i32 = line.lead.iter().chain(&line.assign).map(Cell::change).sum();
        let mut closed = -net;
        while closed > 0 {
            match levels.last_mut() {
                Some(open) if closed < *open => {
                    *open -= closed;
                    closed = 0;
                }
                Some(open) => {
                    closed -= *open;
                    levels.pop();
                }
                None => closed = 0,
            }
        }
        if let Some(first) = line.lead.first_mut() {
            first.before = 2 * levels.len();
        }
        if net > 0 {
            levels.push(net);
        }
    }
}

fn space(cells: &mut [Cell<'_>], assign: bool) {
    if let (true, Some(first)) = (assign, cells.first_mut()) {
        first.before = 1;
    }
    for at in 1..cells.len() {
        let before = at.checked_sub(2).map(|at| cells[at]);
        cells[at].before = usize::from(spaced(before, cells[at - 1], cells[at]));
    }
}

/// Whether a blank belongs between two tokens.
fn spaced(before: Option<Cell<'_>>, left: Cell<'_>, right: Cell<'_>) -> bool {
    let keyword = |cell: Cell<'_>| cell.kind == Kind::Ident && matches!(cell.text, "in" | "for" | "if");
    match (left.kind, right.kind) {
        (Kind::Dot | Kind::DoubleColon, _) | (_, Kind::Dot | Kind::DoubleColon) => false,
        (_, Kind::Comma | Kind::Ellipsis) => false,
        (Kind::Comma | Kind::Comment, _) | (_, Kind::Comment) => true,
        (Kind::OpenBrace, Kind::CloseBrace) => false,
        (Kind::Ident, Kind::OpenParen) => keyword(left),
        (Kind::Ident, Kind::OpenBracket) if keyword(left) => true,
        (Kind::Ident | Kind::Number, Kind::OpenBracket) => false,
        (_, Kind::OpenBracket) if left.change() < 0 => false,
        (Kind::Minus, _) => subtracts(before),
        (Kind::Bang, _) => false,
        (Kind::OpenBrace, _) | (_, Kind::CloseBrace) => true,
        _ if left.change() > 0 || right.change() < 0 => false,
        // `x[*].y`
        (Kind::Operator, Kind::CloseBracket) => false,
        _ => true,
    }
}

/// Whether a minus stands between two operands, and not before one.
fn subtracts(before: Option<Cell<'_>>) -> bool {
    before.is_some_and(|before| {
        matches!(
            before.kind,
            Kind::Ident | Kind::Number | Kind::Text | Kind::CloseQuote | Kind::CloseBrace | Kind::CloseBracket | Kind::CloseParen
        ) && !(before.kind == Kind::Ident && matches!(before.text, "in" | "if"))
    })
}

fn lead_width(line: &Line<'_>) -> usize {
    line.lead.iter().map(Cell::width).sum()
}

/// Aligns the `=` of lines that follow each other.
fn align_assignments(lines: &mut [Line<'_>]) {
    for group in lines.chunk_by_mut(|left, right| left.assign.is_empty() == right.assign.is_empty()) {
        let width = group.iter().map(lead_width).max().unwrap_or(0);
        for line in group {
            let spaces = width - lead_width(line) + 1;
            if let Some(equal) = line.assign.first_mut() {
                equal.before = spaces;
            }
        }
    }
}

/// Aligns the comments at the ends of lines that follow each other.
fn align_comments(lines: &mut [Line<'_>]) {
    let width = |line: &Line<'_>| lead_width(line) + line.assign.iter().map(Cell::width).sum::<usize>();
    for group in lines.chunk_by_mut(|left, right| left.comment.is_some() == right.comment.is_some()) {
        let widest = group.iter().map(width).max().unwrap_or(0);
        for line in group {
            let spaces = widest - width(line) + 1;
            if let Some(comment) = &mut line.comment {
                comment.before = spaces;
            }
        }
    }
}

fn write(lines: &[Line<'_>]) -> String {
    let mut out = String::new();
    for line in lines {
        for cell in line.lead.iter().chain(&line.assign).chain(&line.comment) {
            out.extend(std::iter::repeat_n(' ', cell.before));
            out.push_str(cell.text);
        }
        while out.ends_with([' ', '\t']) {
            out.pop();
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What the text means: its tokens, without layout.
    fn meaning(text: &str) -> Vec<(Kind, String)> {
        scan(text).into_iter().map(|token| (token.kind, token.text(text).trim_end_matches('\r').to_owned())).collect()
    }

    #[track_caller]
    fn becomes(text: &str, expected: &str) {
        assert_eq!(format(text).unwrap(), expected);
        assert_eq!(format(expected).unwrap(), expected, "formatting twice");
    }

    #[test]
    fn a_file_is_laid_out_as_terraform_does() {
        becomes(
            "\n\nresource   \"a\"  \"b\"   {\na=1\n   bcd   =   2 # comment\n e = \"x\"   // longer\n  f = [\n1,\n    2 ,\n   ]\n\n\n  \
             g = { a=1,b = 2 }\n  hh={\n   x=1\n      yyy =   2\n   }\n}\n",
            "\n\nresource \"a\" \"b\" {\n  a   = 1\n  bcd = 2   # comment\n  e   = \"x\" // longer\n  f = [\n    1,\n    2,\n  ]\n\n\n  \
             g = { a = 1, b = 2 }\n  hh = {\n    x   = 1\n    yyy = 2\n  }\n}\n",
        );
        becomes(
            "q = unknown({\n  a=1\n bb=[1,\n  2]\n})\nr = (\n1+2\n)\nobj = [{\na = 1\n}, {\nb = 2\n}]\n",
            "q = unknown({\n  a = 1\n  bb = [1,\n  2]\n})\nr = (\n  1 + 2\n)\nobj = [{\n  a = 1\n  }, {\n  b = 2\n}]\n",
        );
    }

    #[test]
    fn blanks_stand_where_terraform_puts_them() {
        becomes("j = !  a&&b ? - 1 : c   -d\n", "j = !a && b ? -1 : c - d\n");
        becomes("kk = a[ 0 ].b [*] . c\n", "kk = a[0].b[*].c\n");
        becomes("l = [for x in  y:x if  x>1]\n", "l = [for x in y : x if x > 1]\n");
        becomes("m = {for k,v in  y:k=>v...}\n", "m = { for k, v in y : k => v... }\n");
        becomes("i = try( 1,2 ,[3] ) + -1 - 2*3\n", "i = try(1, 2, [3]) + -1 - 2 * 3\n");
        becomes("v = [-1, - 2]\nw = a - -1\nt = x.*.y\n", "v = [-1, -2]\nw = a - -1\nt = x.*.y\n");
        becomes("empty {   }\none { a=1 }\nlist = [ ]\nobject={  }", "empty {}\none { a = 1 }\nlist   = []\nobject = {}\n");
    }

    #[test]
    fn heredocs_strings_and_comments_are_not_touched() {
        becomes(
            "a {\nx = <<-EOT\n      keep   this  \n    ${try( 1 )}\n  EOT\n  yy = \"a  ${ b }\"\n/* block\n  x */\n # c  \n}\n",
            "a {\n  x  = <<-EOT\n      keep   this  \n    ${try( 1 )}\n  EOT\n  yy = \"a  ${ b }\"\n  /* block\n  x */\n  # c\n}\n",
        );
    }

    #[test]
    fn a_text_that_does_not_parse_is_left_alone() {
        assert!(format("a = ").is_err());
        assert_eq!(format("").unwrap(), "");
        assert_eq!(format("\u{feff}a=1\r\nb=2").unwrap(), "a = 1\nb = 2\n");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn formatting_keeps_the_meaning_and_is_idempotent(lines in prop::collection::vec((prop::sample::select(vec![
            "= 1", "=\"x\"", "= [1,\n2 ,\n3]", "= { a=1\nb = 2 }", "= {\na=1\n\nbbb = 2 # c\n}", "= <<-E\n  x\n ${1}\n  E", "= <<E\nE",
            "{\nx=1\nyyy=2 // c\n}", "{ }", "{ a=1 }", "\"l\"   b {\n}", "= [for x in y:x]", "= - 1 -1", "= (\n1+\n2)", "= sensitive([{\na = 1\n}, {\n}])",
            "= x[0] . y /* c */", "= \"a ${ x }\" # c", "= !a ? -b : c",
        ]), 0usize..3), 0..12)) {
            let mut text = String::new();
            for (index, (line, blank)) in lines.iter().enumerate() {
                text.push_str(&format!("{}{}{} {line}\n{}", " ".repeat(*blank), "n".repeat(blank + 1), index, "\n".repeat(*blank)));
            }
            let once = format(&text).unwrap();
            prop_assert_eq!(meaning(&once), meaning(&text));
            prop_assert_eq!(format(&once).unwrap(), once);
        }
    }
}
