//! Reads a block: which names it may hold, and its values as Rust types, with every problem told at its place.

use std::time::Duration;

use crate::lang::{Attribute, Block, Body, Env, Expr, Type, Value, Vars};
use crate::model::duration::parse_duration;
use crate::source::{Diagnostic, Diagnostics, Span, nearest};

/// Computes what an attribute says. `None`: it cannot be had, and why is told already.
pub(super) trait Evaluate {
    /// The value of an expression.
    fn value(&self, expr: &Expr, problems: &mut Diagnostics) -> Option<Value>;
}

/// Knows no names: for what must be a constant.
pub(super) struct Constants<'a>(pub(super) &'a Env<'a>);

impl Evaluate for Constants<'_> {
    fn value(&self, expr: &Expr, problems: &mut Diagnostics) -> Option<Value> {
        if let Some(reference) = expr.references().first() {
            let mut diagnostic = Diagnostic::error("not a constant")
                .detail(format!("`{}` cannot be used here: this must be known before anything is evaluated", reference.root))
                .help("write the value itself");
            if let Some(span) = reference.span.or(expr.span()) {
                diagnostic = diagnostic.at(span);
            }
            problems.push(diagnostic);
            return None;
        }
        problems.take(expr.eval(&Vars::default(), self.0))
    }
}

/// Names that a block may hold.
pub(super) struct Shape<'a> {
    /// What it is called: `` environment `test` ``.
    pub(super) what: &'a str,
    /// Attributes.
    pub(super) attributes: &'a [&'a str],
    /// Blocks.
    pub(super) blocks: &'a [&'a str],
}

/// Reports names that do not belong, with the nearest that does.
pub(super) fn check_shape(body: &Body, shape: &Shape<'_>, problems: &mut Diagnostics) {
    for (name, attribute) in &body.attributes {
        if !shape.attributes.contains(&&**name) {
            problems.push(unknown_attribute(name, attribute.name_span, shape));
        }
    }
    for block in &body.blocks {
        if !shape.blocks.contains(&&*block.ident) {
            problems.push(unknown_block(block, shape));
        }
    }
}

fn unknown_attribute(name: &str, span: Span, shape: &Shape<'_>) -> Diagnostic {
    let diagnostic = Diagnostic::error("unknown attribute").detail(format!("{} has no attribute `{name}`", shape.what)).at(span);
    if shape.blocks.contains(&name) {
        return diagnostic.help(format!("`{name}` is a block: write `{name} {{ … }}` without `=`"));
    }
    diagnostic.help(suggestion(name, shape.attributes))
}

/// A block that does not belong.
pub(super) fn unknown_block(block: &Block, shape: &Shape<'_>) -> Diagnostic {
    let name = &*block.ident;
    let diagnostic =
        Diagnostic::error("unknown block").detail(format!("{} has no block `{name}`", shape.what)).at(block.ident_span);
    if shape.attributes.contains(&name) {
        return diagnostic.help(format!("`{name}` is an attribute: write `{name} = …`"));
    }
    diagnostic.help(suggestion(name, shape.blocks))
}

/// "Did you mean", or the names that there are.
pub(super) fn suggestion(name: &str, known: &[&str]) -> String {
    match nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => "remove it".to_owned(),
        None => {
            let listed: Vec<String> = known.iter().take(12).map(|known| format!("`{known}`")).collect();
            let more = if known.len() > listed.len() { ", …" } else { "" };
            format!("there are: {}{more}", listed.join(", "))
        }
    }
}

/// Reads attributes of one body.
pub(super) struct Fields<'a> {
    /// What is read.
    pub(super) body: &'a Body,
    /// What it is called: `` environment `test` ``.
    pub(super) what: &'a str,
    /// The block's header: where a missing attribute is missed.
    pub(super) header: Span,
    /// Computes values.
    pub(super) evaluate: &'a dyn Evaluate,
    /// Where problems go.
    pub(super) problems: &'a mut Diagnostics,
}

impl<'a> Fields<'a> {
    /// Whether the attribute is written.
    pub(super) fn has(&self, name: &str) -> bool {
        self.body.attributes.contains_key(name)
    }

    /// The attribute's expression, not evaluated.
    pub(super) fn expr(&self, name: &str) -> Option<Expr> {
        self.body.attributes.get(name).map(|attribute| attribute.expr.clone())
    }

    /// The attribute's expression; a problem where it is missing.
    pub(super) fn required_expr(&mut self, name: &str) -> Option<Expr> {
        let expr = self.expr(name);
        if expr.is_none() {
            self.missing(name);
        }
        expr
    }

    fn missing(&mut self, name: &str) {
        self.problems.push(
            Diagnostic::error("missing attribute")
                .detail(format!("{} needs `{name}`", self.what))
                .help(format!("add `{name} = …`"))
                .at(self.header),
        );
    }

    /// The attribute's value; `None` where it is left out, null, or wrong (then that is told).
    pub(super) fn value(&mut self, name: &str) -> Option<Value> {
        let attribute = self.body.attributes.get(name)?;
        let value = self.evaluate.value(&attribute.expr, self.problems)?;
        (!value.is_null()).then_some(value)
    }

    fn typed<T>(&mut self, name: &str, wanted: &str, read: impl FnOnce(&Value) -> Option<T>) -> Option<T> {
        let value = self.value(name)?;
        let attribute = self.body.attributes.get(name)?;
        let read = read(&value);
        if read.is_none() {
            self.problems.push(wrong_type(name, attribute, &value, wanted));
        }
        read
    }

    /// Text.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        self.typed(name, "a string", |value| value.as_str().map(str::to_owned))
    }

    /// Text that must be given and not be empty.
    pub(super) fn required_text(&mut self, name: &str) -> Option<String> {
        let Some(attribute) = self.body.attributes.get(name) else {
            self.missing(name);
            return None;
        };
        let text = self.text(name)?;
        if text.trim().is_empty() {
            self.problems.push(
                Diagnostic::error("empty text")
                    .detail(format!("`{name}` of {} may not be empty", self.what))
                    .help("say it in a few words")
                    .at(attribute.expr.span().unwrap_or(attribute.name_span)),
            );
            return None;
        }
        Some(text)
    }

    /// One of several words.
    pub(super) fn word<T: Copy>(&mut self, name: &str, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(name)?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.wrong(name, format!("`{text}` is none of {}", quoted(&known)), suggestion(&text, &known));
        }
        found
    }

    /// `true` or `false`; `false` where it is left out.
    pub(super) fn flag(&mut self, name: &str) -> bool {
        self.maybe_flag(name).unwrap_or(false)
    }

    /// `true` or `false`.
    pub(super) fn maybe_flag(&mut self, name: &str) -> Option<bool> {
        self.typed(name, "true or false", Value::as_bool)
    }

    /// A whole number in a range.
    pub(super) fn number(&mut self, name: &str, range: std::ops::RangeInclusive<u32>) -> Option<u32> {
        let value = self.value(name)?;
        let attribute = self.body.attributes.get(name)?;
        let number = match &value {
            Value::Number(number) if number.fract().is_zero() => {
                u32::try_from(*number).ok().filter(|number| range.contains(number))
            }
            Value::Number(_) => None,
            other => {
                self.problems.push(wrong_type(name, attribute, other, "a number"));
                return None;
            }
        };
        if number.is_none() {
            let detail = format!("it must be a whole number from {} to {}", range.start(), range.end());
            self.wrong(name, detail, "correct the number".to_owned());
        }
        number
    }

    /// A duration.
    pub(super) fn duration(&mut self, name: &str) -> Option<Duration> {
        let text = self.typed(name, "a duration such as \"30m\"", |value| value.as_str().map(str::to_owned))?;
        match parse_duration(&text) {
            Ok(duration) => Some(duration),
            Err(reason) => {
                self.wrong(name, format!("`{text}` {reason}"), "correct the duration".to_owned());
                None
            }
        }
    }

    /// A list of texts; empty where it is left out.
    pub(super) fn texts(&mut self, name: &str) -> Vec<String> {
        self.typed(name, "a list of strings", |value| {
            value.as_list()?.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
        })
        .unwrap_or_default()
    }

    /// A type constraint, where one is written.
    pub(super) fn constraint(&mut self, name: &str) -> Option<Type> {
        let attribute = self.body.attributes.get(name)?;
        self.problems.take(Type::parse(&attribute.expr))
    }

    /// Says what is wrong with an attribute that is there.
    pub(super) fn wrong(&mut self, name: &str, detail: impl Into<String>, help: impl Into<String>) {
        let span = self.span(name);
        self.problems.push(
            Diagnostic::error("invalid value").detail(format!("`{name}` of {}: {}", self.what, detail.into())).help(help).at(span),
        );
    }

    /// Where an attribute's value stands; the header where it is left out.
    pub(super) fn span(&self, name: &str) -> Span {
        self.body.attributes.get(name).map_or(self.header, |attribute| attribute.expr.span().unwrap_or(attribute.name_span))
    }

    /// The one block of that type, where it is written; a second one is a problem.
    pub(super) fn block(&mut self, name: &str) -> Option<&'a Block> {
        only_block(self.body, name, self.what, self.problems)
    }

    /// Reads a nested body with the same evaluator.
    pub(super) fn nested<'b>(&'b mut self, block: &'b Block, what: &'b str) -> Fields<'b> {
        Fields { body: &block.body, what, header: block.ident_span, evaluate: self.evaluate, problems: self.problems }
    }
}

/// The one block of that type, where it is written; a second one is a problem.
pub(super) fn only_block<'a>(body: &'a Body, name: &str, what: &str, problems: &mut Diagnostics) -> Option<&'a Block> {
    let mut blocks = body.blocks.iter().filter(|block| &*block.ident == name);
    let first = blocks.next()?;
    for again in blocks {
        problems.push(
            Diagnostic::error("duplicate block")
                .detail(format!("{what} has `{name}` twice"))
                .help("keep one of the two")
                .label(again.ident_span, "again here")
                .label(first.ident_span, "first here"),
        );
    }
    no_labels(first, problems);
    Some(first)
}

/// An attribute of a wrong type. Never quotes the value.
fn wrong_type(name: &str, attribute: &Attribute, value: &Value, wanted: &str) -> Diagnostic {
    let span = attribute.expr.span().unwrap_or(attribute.name_span);
    if value.has_sensitive() {
        return Diagnostic::error("sensitive value")
            .detail(format!("`{name}` may not be sensitive: plans and reports show it"))
            .help("use a value that is not derived from something sensitive")
            .at(attribute.name_span);
    }
    if value.has_unknown() {
        return Diagnostic::error("value not known yet")
            .detail(format!("`{name}` must be known before anything is applied"))
            .help("use a value that is written in the configuration")
            .at(span);
    }
    let found = match value {
        Value::List(_) if wanted.starts_with("a list") => "a list of something else".to_owned(),
        other => format!("{} {}", article(other.kind()), other.kind()),
    };
    Diagnostic::error("wrong type")
        .detail(format!("`{name}` must be {wanted}, not {found}"))
        .help(format!("write {wanted}"))
        .at(span)
}

fn article(word: &str) -> &'static str {
    if word.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}

/// `` `a`, `b` ``.
pub(super) fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// Refuses labels on a block that takes none.
pub(super) fn no_labels(block: &Block, problems: &mut Diagnostics) {
    if let Some((label, span)) = block.labels.first() {
        problems.push(
            Diagnostic::error("too many labels")
                .detail(format!("`{}` takes no name, and has `{label}`", block.ident))
                .help("remove the label")
                .at(*span),
        );
    }
}

/// The labels of a block that takes exactly so many; a problem where there are others.
pub(super) fn labels<'a, const N: usize>(
    block: &'a Block,
    names: [&str; N],
    problems: &mut Diagnostics,
) -> Option<[&'a (std::sync::Arc<str>, Span); N]> {
    let found: Vec<_> = block.labels.iter().collect();
    if let Ok(found) = <[_; N]>::try_from(found) {
        return Some(found);
    }
    let (summary, span) = match block.labels.get(N) {
        Some((_, span)) => ("too many labels", *span),
        None => ("missing label", block.header_span()),
    };
    let form = names.iter().map(|name| format!(" \"{name}\"")).collect::<String>();
    problems.push(
        Diagnostic::error(summary)
            .detail(format!("`{}` takes {N} label{}, not {}", block.ident, if N == 1 { "" } else { "s" }, block.labels.len()))
            .help(format!("write `{}{form} {{ … }}`", block.ident))
            .at(span),
    );
    None
}

/// Whether a name may stand in addresses, references and file names; a problem where not.
pub(super) fn check_name(name: &str, span: Span, what: &str, problems: &mut Diagnostics) -> bool {
    let mut letters = name.chars();
    let good = letters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && letters.all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
        && name.len() <= 128;
    if !good {
        let shown: String = name.chars().take(60).flat_map(char::escape_debug).collect();
        problems.push(
            Diagnostic::error("invalid name")
                .detail(format!("`{shown}` cannot be the name of {what}"))
                .help("names begin with a letter or `_`, go on with letters, digits, `_` and `-`, and have at most 128 of them")
                .at(span),
        );
    }
    good
}
