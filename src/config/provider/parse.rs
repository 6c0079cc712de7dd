//! A provider's files, parsed and sorted by type of block. What the blocks mean is `decode`'s business.

use std::collections::BTreeMap;
use std::sync::Arc;

use indexmap::IndexMap;

use super::ProviderFiles;
use crate::config::declare::duplicate;
use crate::config::fields::{Constants, Fields, labels, no_labels, suggestion};
use crate::lang::{Block, Body, Env, Expr, parse_body};
use crate::model::name::ProviderName;
use crate::model::version::VersionScheme;
use crate::source::{Diagnostic, Diagnostics, SourceMap, Span};

/// Types of blocks at the top of a provider's file.
const BLOCKS: &[&str] = &[
    "provider",
    "setting",
    "locals",
    "fact",
    "release",
    "route",
    "required_stop",
    "blocked",
    "risk",
    "preflight",
    "requires",
    "note",
    "step_group",
    "strategy",
];

/// A provider whose files are parsed and whose version scheme is known.
pub(in crate::config) struct Parsed {
    /// Its name.
    pub(super) name: ProviderName,
    /// All its files.
    pub(super) files: ProviderFiles,
    /// The `provider` block.
    pub(super) header: Option<Block>,
    /// Attributes of `locals` blocks, and where their names stand.
    pub(super) locals: IndexMap<Arc<str>, (Expr, Span)>,
    /// How its product orders versions.
    pub(in crate::config) scheme: VersionScheme,
    /// Whether a file could not be read: then names may be missing for that reason alone.
    pub(super) broken: bool,
    blocks: BTreeMap<&'static str, Vec<Block>>,
}

/// Parses a provider's files. `None`: so broken that looking further would only confuse, and why is told.
pub(in crate::config) fn parse(
    name: &ProviderName,
    files: ProviderFiles,
    label: &str,
    sources: &mut SourceMap,
    problems: &mut Diagnostics,
) -> Option<Parsed> {
    let before = problems.len();
    let mut bodies = Vec::new();
    for (path, content) in files.iter().filter(|(path, _)| path.ends_with(".hcl") && !path.contains('/')) {
        let Ok(text) = std::str::from_utf8(content) else {
            problems.push(
                Diagnostic::error("file is not UTF-8")
                    .detail(format!("`{label}/{path}` has bytes that are no UTF-8 text"))
                    .help("save the file as UTF-8"),
            );
            continue;
        };
        let source = sources.add(format!("{label}/{path}"), text);
        bodies.extend(problems.take(parse_body(sources, source)));
    }
    if problems.len() > before {
        return None;
    }
    let mut parsed = Parsed {
        name: name.clone(),
        files,
        header: None,
        locals: IndexMap::new(),
        scheme: VersionScheme::default(),
        broken: false,
        blocks: BTreeMap::new(),
    };
    for body in bodies {
        parsed.sort(body, problems);
    }
    let Some(header) = &parsed.header else {
        problems.push(
            Diagnostic::error("not a provider")
                .detail(format!("`{label}` declares no `provider \"{name}\" {{ … }}`"))
                .help(format!("add `provider \"{name}\" {{ … }}` with version and title to one of its `*.hcl` files")),
        );
        return None;
    };
    parsed.scheme = scheme(header, problems).unwrap_or_default();
    parsed.broken = problems.len() > before;
    Some(parsed)
}

fn scheme(header: &Block, problems: &mut Diagnostics) -> Option<VersionScheme> {
    let env = Env::pure(jiff::Timestamp::UNIX_EPOCH);
    let constants = Constants(&env);
    let mut fields =
        Fields { body: &header.body, what: "the provider", header: header.header_span(), evaluate: &constants, problems };
    let text = fields.text("version_scheme")?;
    let span = fields.span("version_scheme");
    problems.take(text.parse::<VersionScheme>().map_err(|error| error.diagnostic("invalid version scheme", span)))
}

impl Parsed {
    /// Blocks of one type.
    pub(super) fn of(&self, kind: &str) -> &[Block] {
        self.blocks.get(kind).map_or(&[], Vec::as_slice)
    }

    fn sort(&mut self, body: Body, problems: &mut Diagnostics) {
        for (name, attribute) in &body.attributes {
            problems.push(
                Diagnostic::error("attribute outside a block")
                    .detail(format!("`{name}` stands at the top of the file, where only blocks may"))
                    .help("put values that are used elsewhere in a `locals { … }` block")
                    .at(attribute.name_span),
            );
        }
        for block in body.blocks {
            let Some(kind) = BLOCKS.iter().find(|kind| **kind == &*block.ident) else {
                problems.push(
                    Diagnostic::error("unknown block")
                        .detail(format!("a provider has no block `{}`", block.ident))
                        .help(suggestion(&block.ident, BLOCKS))
                        .at(block.ident_span),
                );
                continue;
            };
            match *kind {
                "locals" => self.add_locals(block, problems),
                "provider" => self.add_header(block, problems),
                kind => self.blocks.entry(kind).or_default().push(block),
            }
        }
    }

    fn add_locals(&mut self, block: Block, problems: &mut Diagnostics) {
        no_labels(&block, problems);
        for inner in &block.body.blocks {
            problems.push(
                Diagnostic::error("unknown block")
                    .detail(format!("`locals` holds names, and `{}` is a block", inner.ident))
                    .help(format!("write `{} = {{ … }}`", inner.ident))
                    .at(inner.ident_span),
            );
        }
        for (name, attribute) in block.body.attributes {
            if let Some((_, first)) = self.locals.get(&name) {
                problems.push(duplicate("local", &name, attribute.name_span, *first));
                continue;
            }
            self.locals.insert(name, (attribute.expr, attribute.name_span));
        }
    }

    fn add_header(&mut self, block: Block, problems: &mut Diagnostics) {
        let Some([(label, span)]) = labels(&block, ["NAME"], problems) else { return };
        if **label != *self.name.as_str() {
            problems.push(
                Diagnostic::error("wrong provider name")
                    .detail(format!("the folder is loaded as `{}`, and its provider is named `{label}`", self.name))
                    .help("give folder and provider the same name")
                    .at(*span),
            );
        }
        if let Some(first) = &self.header {
            problems.push(duplicate("provider", label, block.header_span(), first.header_span()));
            return;
        }
        self.header = Some(block);
    }
}
