//! What a block may hold, said as constant tables, and the check of a body against them.
//!
//! Takes a parsed body and a [`Schema`], reports everything that does not fit at once. It looks at names, labels and numbers only:
//! values are the business of whoever evaluates them.

use std::collections::HashMap;

use super::{Block, Body};
use crate::source::{Diagnostic, Diagnostics, Span, nearest};

/// What a body may hold.
#[derive(Debug, Clone, Copy, Default)]
pub struct Schema {
    /// The attributes.
    pub attributes: &'static [AttributeRule],
    /// The blocks.
    pub blocks: &'static [BlockRule],
    /// Whether attributes of other names are allowed too (settings that a provider defines).
    pub other_attributes: bool,
    /// Whether blocks of other types are allowed too.
    pub other_blocks: bool,
}

/// One attribute.
#[derive(Debug, Clone, Copy)]
pub struct AttributeRule {
    /// Its name.
    pub name: &'static str,
    /// Whether it must be set.
    pub required: bool,
}

/// One type of block.
#[derive(Debug, Clone, Copy)]
pub struct BlockRule {
    /// Its type.
    pub ident: &'static str,
    /// What each of its labels says, for errors: `["product", "name"]`.
    pub labels: &'static [&'static str],
    /// How many there must be at least.
    pub min: usize,
    /// How many there may be at most.
    pub max: usize,
    /// What is in it, where that is fixed: then it is checked as well.
    pub body: Option<&'static Schema>,
}

impl AttributeRule {
    /// An attribute that may be left out.
    #[must_use]
    pub const fn optional(name: &'static str) -> Self {
        Self { name, required: false }
    }

    /// An attribute that must be set.
    #[must_use]
    pub const fn required(name: &'static str) -> Self {
        Self { name, required: true }
    }
}

impl BlockRule {
    /// A block that may stand once.
    #[must_use]
    pub const fn optional(ident: &'static str, labels: &'static [&'static str]) -> Self {
        Self { ident, labels, min: 0, max: 1, body: None }
    }

    /// A block that must stand once.
    #[must_use]
    pub const fn required(ident: &'static str, labels: &'static [&'static str]) -> Self {
        Self { min: 1, ..Self::optional(ident, labels) }
    }

    /// A block that may stand any number of times.
    #[must_use]
    pub const fn repeated(ident: &'static str, labels: &'static [&'static str]) -> Self {
        Self { max: usize::MAX, ..Self::optional(ident, labels) }
    }

    /// The same with what is in it.
    #[must_use]
    pub const fn holding(self, body: &'static Schema) -> Self {
        Self { body: Some(body), ..self }
    }
}

impl Schema {
    /// A body that holds these.
    #[must_use]
    pub const fn new(attributes: &'static [AttributeRule], blocks: &'static [BlockRule]) -> Self {
        Self { attributes, blocks, other_attributes: false, other_blocks: false }
    }

    /// The same, with attributes of any other name.
    #[must_use]
    pub const fn with_other_attributes(self) -> Self {
        Self { other_attributes: true, ..self }
    }

    /// The same, with blocks of any other type.
    #[must_use]
    pub const fn with_other_blocks(self) -> Self {
        Self { other_blocks: true, ..self }
    }

    fn block(&self, ident: &str) -> Option<&'static BlockRule> {
        self.blocks.iter().find(|rule| rule.ident == ident)
    }
}

/// Checks a body. `what` names it in errors (`the instance`); `header` is where what is missing is reported, mostly
/// [`Block::header_span`]; for a file it may be none.
pub fn check(body: &Body, schema: &Schema, what: &str, header: Option<Span>, problems: &mut Diagnostics) {
    for (name, attribute) in &body.attributes {
        if schema.attributes.iter().any(|rule| rule.name == &**name) {
            continue;
        }
        if let Some(rule) = schema.block(name) {
            problems.push(
                Diagnostic::error("block written as an attribute")
                    .detail(format!("in {what}, `{name}` is a block"))
                    .help(format!("write `{} {{ … }}` without `=`", usage(rule)))
                    .at(attribute.name_span),
            );
        } else if !schema.other_attributes {
            unknown("attribute", name, what, schema, attribute.name_span, problems);
        }
    }
    let mut first: HashMap<&str, (usize, Span)> = HashMap::new();
    for block in &body.blocks {
        let Some(rule) = schema.block(&block.ident) else {
            no_such_block(block, schema, what, problems);
            continue;
        };
        labels(block, rule, problems);
        let (count, place) = first.entry(rule.ident).or_insert((0, block.ident_span));
        *count += 1;
        if *count == rule.max.saturating_add(1) {
            let most = if rule.max == 1 { "once".to_owned() } else { format!("{} times", rule.max) };
            problems.push(
                Diagnostic::error("block repeated")
                    .detail(format!("in {what}, a block `{}` may stand {most}", rule.ident))
                    .help("keep one of them, or join them")
                    .label(block.ident_span, "one too many")
                    .label(*place, "the first"),
            );
        }
        if let Some(inner) = rule.body {
            check(&block.body, inner, &format!("the block `{}`", rule.ident), Some(block.header_span()), problems);
        }
    }
    missing(body, schema, what, header, &first, problems);
}

fn no_such_block(block: &Block, schema: &Schema, what: &str, problems: &mut Diagnostics) {
    if schema.attributes.iter().any(|rule| rule.name == &*block.ident) {
        problems.push(
            Diagnostic::error("attribute written as a block")
                .detail(format!("in {what}, `{}` is an attribute", block.ident))
                .help(format!("write `{} = …`", block.ident))
                .at(block.ident_span),
        );
    } else if !schema.other_blocks {
        unknown("block", &block.ident, what, schema, block.ident_span, problems);
    }
}

fn missing(
    body: &Body,
    schema: &Schema,
    what: &str,
    header: Option<Span>,
    found: &HashMap<&str, (usize, Span)>,
    problems: &mut Diagnostics,
) {
    let mut report = |summary: &str, detail: String, help: String| {
        let diagnostic = Diagnostic::error(summary).detail(detail).help(help);
        problems.push(match header.or(body.span) {
            Some(span) => diagnostic.at(span),
            None => diagnostic,
        });
    };
    for rule in schema.attributes.iter().filter(|rule| rule.required) {
        // An attribute that was written as a block has been reported already.
        if !body.attributes.contains_key(rule.name) && body.block(rule.name).is_none() {
            report("missing attribute", format!("{what} has no `{}`", rule.name), format!("add `{} = …`", rule.name));
        }
    }
    for rule in schema.blocks.iter().filter(|rule| rule.min > 0) {
        let count = found.get(rule.ident).map_or(0, |(count, _)| *count);
        if count < rule.min && !body.attributes.contains_key(rule.ident) {
            let detail = if rule.min == 1 {
                format!("{what} has no block `{}`", rule.ident)
            } else {
                format!("{what} has {count} of at least {} blocks `{}`", rule.min, rule.ident)
            };
            report("missing block", detail, format!("add `{} {{ … }}`", usage(rule)));
        }
    }
}

fn labels(block: &Block, rule: &BlockRule, problems: &mut Diagnostics) {
    let (given, wanted) = (block.labels.len(), rule.labels.len());
    if given == wanted {
        return;
    }
    let number = match wanted {
        0 => "no label".to_owned(),
        1 => format!("one label, its {}", rule.labels[0]),
        _ => format!("{wanted} labels, its {}", rule.labels.join(" and its ")),
    };
    let place = block.labels.get(wanted).map_or_else(|| block.header_span(), |(_, span)| *span);
    problems.push(
        Diagnostic::error("wrong number of labels")
            .detail(format!("a block `{}` has {number}; this one has {given}", block.ident))
            .help(format!("write `{} {{`", usage(rule)))
            .at(place),
    );
}

fn usage(rule: &BlockRule) -> String {
    let mut text = rule.ident.to_owned();
    for label in rule.labels {
        text.push_str(&format!(" \"{}\"", label.to_uppercase()));
    }
    text
}

fn unknown(kind: &str, name: &str, what: &str, schema: &Schema, at: Span, problems: &mut Diagnostics) {
    let attributes = || schema.attributes.iter().map(|rule| rule.name);
    let blocks = || schema.blocks.iter().map(|rule| rule.ident);
    let listed = |names: Vec<&str>| names.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let help = match nearest(name, attributes().chain(blocks())) {
        Some(near) if blocks().any(|block| block == near) => format!("did you mean the block `{near} {{ … }}`?"),
        Some(near) => format!("did you mean `{near} = …`?"),
        None => match (kind, schema.attributes.is_empty(), schema.blocks.is_empty()) {
            (_, true, true) => "nothing can stand here".to_owned(),
            ("attribute", true, _) => format!("it has only the blocks {}", listed(blocks().collect())),
            ("attribute", ..) => format!("its attributes are {}", listed(attributes().collect())),
            (_, _, true) => format!("it has only the attributes {}", listed(attributes().collect())),
            _ => format!("its blocks are {}", listed(blocks().collect())),
        },
    };
    let summary = format!("unknown {kind}");
    problems.push(Diagnostic::error(summary).detail(format!("{what} has no {kind} `{name}`")).help(help).at(at));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lang::parse_body;
    use crate::source::SourceMap;

    const WINDOW: Schema = Schema::new(&[AttributeRule::required("cron"), AttributeRule::optional("duration")], &[]);
    const INSTANCE: Schema = Schema::new(
        &[AttributeRule::required("version"), AttributeRule::optional("host")],
        &[
            BlockRule::optional("window", &[]).holding(&WINDOW),
            BlockRule::repeated("step", &["name"]),
            BlockRule::required("ssh", &[]),
        ],
    );

    fn found(text: &str, schema: &Schema) -> Vec<String> {
        let mut sources = SourceMap::new();
        let id = sources.add("f.hcl", text);
        let body = parse_body(&sources, id).unwrap();
        let mut problems = Diagnostics::new();
        check(&body, schema, "the instance", None, &mut problems);
        let place = |problem: &Diagnostic| sources.line_column(problem.labels[0].span);
        problems
            .iter()
            .map(|problem| format!("{} {problem} -- {}", place(problem).0, problem.help.as_deref().unwrap_or("")))
            .collect()
    }

    #[test]
    fn what_fits_is_not_reported() {
        let text = "version = 1\nwindow {\n  cron = \"x\"\n}\nstep \"a\" {}\nstep \"b\" {}\nssh {}\n";
        assert_eq!(found(text, &INSTANCE), Vec::<String>::new());
    }

    #[test]
    fn everything_that_does_not_fit_is_reported_at_once() {
        let text = "verison = 1\nwindow = 1\nhost {}\nstep {}\nstep \"a\" \"b\" {}\nssh {}\nssh {}\nssh {}\nbanana {}\n";
        let problems = found(text, &INSTANCE).join("\n");
        for expected in [
            "1 unknown attribute: the instance has no attribute `verison` -- did you mean `version = …`?",
            "2 block written as an attribute: in the instance, `window` is a block",
            "3 attribute written as a block: in the instance, `host` is an attribute",
            "4 wrong number of labels: a block `step` has one label, its name; this one has 0 -- write `step \"NAME\" {`",
            "5 wrong number of labels",
            "7 block repeated: in the instance, a block `ssh` may stand once",
            "9 unknown block: the instance has no block `banana` -- its blocks are `window`, `step`, `ssh`",
            "1 missing attribute: the instance has no `version`",
        ] {
            assert!(problems.contains(expected), "{expected} is not in\n{problems}");
        }
        assert_eq!(problems.lines().count(), 8, "{problems}");
    }

    #[test]
    fn inner_blocks_are_checked_and_blame_their_header() {
        let problems = found("version = 1\nssh {}\nwindow {\n  x = 1\n}\n", &INSTANCE);
        assert!(problems[0].starts_with("4 unknown attribute: the block `window` has no attribute `x`"), "{problems:?}");
        assert!(problems[1].starts_with("3 missing attribute: the block `window` has no `cron`"), "{problems:?}");
    }

    #[test]
    fn an_open_schema_lets_other_names_through() {
        const OPEN: Schema = Schema::new(&[], &[]).with_other_attributes().with_other_blocks();
        assert!(found("a = 1\nb {}\n", &OPEN).is_empty());
    }
}
