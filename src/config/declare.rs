//! What one module declares, by name, before anything is evaluated.
//!
//! Takes the parsed files of a folder; finds unknown blocks, wrong labels and names that are declared twice.

use std::sync::Arc;

use indexmap::IndexMap;

use super::fields::{Shape, check_name, check_shape, labels, no_labels, suggestion};
use crate::lang::{Attribute, Block, Body, Expr};
use crate::source::{Diagnostic, Diagnostics, Span};

/// Types of blocks at the top of a file.
pub(super) const BLOCKS: &[&str] = &[
    "windlass",
    "variable",
    "locals",
    "output",
    "module",
    "environment",
    "host",
    "release",
    "instance",
    "waiver",
    "acknowledgement",
    "drift",
];

/// Blocks that only the root module may declare.
const ROOT_ONLY: &[&str] = &["windlass", "environment", "host", "waiver", "acknowledgement", "drift"];

/// An instance block.
#[derive(Debug)]
pub(super) struct InstanceBlock {
    /// The provider's name, and where it stands.
    pub(super) provider: (Arc<str>, Span),
    /// The instance's name.
    pub(super) name: Arc<str>,
    /// The block.
    pub(super) block: Block,
}

/// Everything that one module declares.
#[derive(Debug, Default)]
pub(super) struct Declarations {
    /// `variable` blocks.
    pub(super) variables: IndexMap<Arc<str>, Block>,
    /// Attributes of `locals` blocks.
    pub(super) locals: IndexMap<Arc<str>, Attribute>,
    /// `output` blocks.
    pub(super) outputs: IndexMap<Arc<str>, Block>,
    /// `module` blocks.
    pub(super) modules: IndexMap<Arc<str>, Block>,
    /// `environment` blocks.
    pub(super) environments: IndexMap<Arc<str>, Block>,
    /// `host` blocks.
    pub(super) hosts: IndexMap<Arc<str>, Block>,
    /// `instance` blocks.
    pub(super) instances: IndexMap<(Arc<str>, Arc<str>), InstanceBlock>,
    /// `release` blocks.
    pub(super) releases: Vec<Block>,
    /// `waiver` blocks.
    pub(super) waivers: Vec<Block>,
    /// `acknowledgement` blocks.
    pub(super) acknowledgements: Vec<Block>,
    /// `drift` blocks; more than one is a problem.
    pub(super) drift: Vec<Block>,
    /// The `windlass` blocks.
    pub(super) windlass: Vec<Block>,
}

/// Sorts the blocks of a module's files by what they declare.
pub(super) fn declare(bodies: Vec<Body>, is_root: bool, problems: &mut Diagnostics) -> Declarations {
    let mut declared = Declarations::default();
    for body in bodies {
        for (name, attribute) in &body.attributes {
            problems.push(
                Diagnostic::error("attribute outside a block")
                    .detail(format!("`{name}` stands at the top of the file, where only blocks may"))
                    .help(if BLOCKS.contains(&&**name) {
                        format!("`{name}` is a block: write `{name} … {{ … }}`")
                    } else {
                        "put values that are used elsewhere in a `locals { … }` block".to_owned()
                    })
                    .at(attribute.name_span),
            );
        }
        for block in body.blocks {
            if !is_root && ROOT_ONLY.contains(&&*block.ident) {
                problems.push(
                    Diagnostic::error("block not allowed in a module")
                        .detail(format!("`{}` may stand only in the root module", block.ident))
                        .help("declare it in the root module; pass what the module needs of it through a variable")
                        .at(block.header_span()),
                );
                continue;
            }
            declared.add(block, problems);
        }
    }
    declared
}

impl Declarations {
    fn add(&mut self, block: Block, problems: &mut Diagnostics) {
        match &*block.ident {
            "variable" => named(&mut self.variables, block, problems),
            "output" => named(&mut self.outputs, block, problems),
            "module" => named(&mut self.modules, block, problems),
            "environment" => named(&mut self.environments, block, problems),
            "host" => named(&mut self.hosts, block, problems),
            "locals" => self.add_locals(block, problems),
            "instance" => self.add_instance(block, problems),
            "release" => {
                if labels(&block, ["PROVIDER", "VERSION"], problems).is_some() {
                    self.releases.push(block);
                }
            }
            "waiver" => {
                if labels(&block, ["NAME"], problems).is_some() {
                    self.waivers.push(block);
                }
            }
            "acknowledgement" => {
                if labels(&block, ["PROVIDER.NOTE"], problems).is_some() {
                    self.acknowledgements.push(block);
                }
            }
            "drift" => {
                no_labels(&block, problems);
                match self.drift.first() {
                    Some(first) => problems.push(
                        Diagnostic::error("declared twice")
                            .detail("there is more than one `drift` block")
                            .help("put everything in one of them")
                            .label(block.ident_span, "again here")
                            .label(first.ident_span, "first here"),
                    ),
                    None => self.drift.push(block),
                }
            }
            "windlass" => {
                no_labels(&block, problems);
                self.windlass.push(block);
            }
            other => problems.push(
                Diagnostic::error("unknown block")
                    .detail(format!("there is no block `{other}`"))
                    .help(suggestion(other, BLOCKS))
                    .at(block.ident_span),
            ),
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
            if let Some(first) = self.locals.get(&name) {
                problems.push(duplicate("local", &name, attribute.name_span, first.name_span));
            } else {
                self.locals.insert(name, attribute);
            }
        }
    }

    fn add_instance(&mut self, block: Block, problems: &mut Diagnostics) {
        let Some([provider, name]) = labels(&block, ["PROVIDER", "NAME"], problems) else { return };
        let good = check_name(&provider.0, provider.1, "a provider", problems);
        if !check_name(&name.0, name.1, "an instance", problems) || !good {
            return;
        }
        let (provider, name) = (provider.clone(), Arc::clone(&name.0));
        let key = (Arc::clone(&provider.0), Arc::clone(&name));
        if let Some(first) = self.instances.get(&key) {
            let shown = format!("{}.{name}", provider.0);
            problems.push(duplicate("instance", &shown, block.header_span(), first.block.header_span()));
            return;
        }
        self.instances.insert(key, InstanceBlock { provider, name, block });
    }
}

fn named(table: &mut IndexMap<Arc<str>, Block>, block: Block, problems: &mut Diagnostics) {
    let Some([(name, span)]) = labels(&block, ["NAME"], problems) else { return };
    if !check_name(name, *span, &format!("`{}`", block.ident), problems) {
        return;
    }
    if let Some(first) = table.get(name) {
        problems.push(duplicate(&block.ident, name, block.header_span(), first.header_span()));
        return;
    }
    table.insert(Arc::clone(name), block);
}

/// Something that is declared twice.
pub(super) fn duplicate(what: &str, name: &str, again: Span, first: Span) -> Diagnostic {
    Diagnostic::error("declared twice")
        .detail(format!("{what} `{name}` is declared twice"))
        .help("rename or remove one of the two")
        .label(again, "again here")
        .label(first, "first here")
}

/// Every expression in a body, nested blocks included.
pub(super) fn expressions<'a>(body: &'a Body, found: &mut Vec<&'a Expr>) {
    found.extend(body.attributes.values().map(|attribute| &attribute.expr));
    for block in &body.blocks {
        expressions(&block.body, found);
    }
}

/// An output block's shape.
pub(super) fn check_output(name: &str, block: &Block, problems: &mut Diagnostics) {
    let what = format!("output `{name}`");
    check_shape(&block.body, &Shape { what: &what, attributes: &["value", "sensitive", "description"], blocks: &[] }, problems);
    if !block.body.attributes.contains_key("value") {
        problems.push(
            Diagnostic::error("missing attribute")
                .detail(format!("{what} needs `value`"))
                .help("add `value = …`")
                .at(block.header_span()),
        );
    }
}
