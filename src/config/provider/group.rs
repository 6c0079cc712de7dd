//! `step_group "X" { step … }` of a provider, and `use "X" {}` in a strategy.
//!
//! Takes the groups and a strategy's body, gives the strategy's `step` blocks with those of the groups standing where they are used.
//! What a step means is the business of `step`: it never learns where a step was written. What a `use` says of its steps is written into
//! those that do not say it themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::named;
use crate::config::fields::{Shape, check_shape, labels, suggestion};
use crate::lang::{Block, Body};
use crate::source::{Diagnostic, Diagnostics};

/// What a `use` can say of all steps of its group.
const USE: [&str; 1] = ["downtime"];

/// The step groups of a provider, and which of them are used.
pub(super) struct Groups<'a> {
    by_name: BTreeMap<&'a Arc<str>, &'a Block>,
    used: BTreeSet<&'a Arc<str>>,
}

impl<'a> Groups<'a> {
    /// Reads the groups' outlines.
    pub(super) fn new(blocks: &'a [Block], problems: &mut Diagnostics) -> Self {
        let mut by_name = BTreeMap::new();
        for (name, block) in named(blocks, "step_group", problems) {
            let what = format!("step group `{name}`");
            check_shape(&block.body, &Shape { what: &what, attributes: &[], blocks: &["step"] }, problems);
            by_name.insert(name, block);
        }
        Self { by_name, used: BTreeSet::new() }
    }

    /// The `step` blocks of a strategy in order, those of groups in the place of their `use`.
    pub(super) fn steps(&mut self, body: &Body, problems: &mut Diagnostics) -> Vec<Block> {
        let mut steps = Vec::new();
        for block in &body.blocks {
            match &*block.ident {
                "step" => steps.push(block.clone()),
                "use" => {
                    let group = self.group(block, problems).into_iter().flatten();
                    steps.extend(group.map(|step| with_defaults(step.clone(), &block.body)));
                }
                _ => {}
            }
        }
        steps
    }

    fn group(&mut self, block: &Block, problems: &mut Diagnostics) -> Option<impl Iterator<Item = &'a Block> + use<'a>> {
        check_shape(&block.body, &Shape { what: "`use`", attributes: &USE, blocks: &[] }, problems);
        let [(name, span)] = labels(block, ["GROUP"], problems)?;
        let Some((name, group)) = self.by_name.get_key_value(name).map(|(name, group)| (*name, *group)) else {
            let known: Vec<&str> = self.by_name.keys().map(|name| &***name).collect();
            let help = match known.is_empty() {
                true => format!("add `step_group \"{name}\" {{ … }}` to the provider"),
                false => suggestion(name, &known),
            };
            problems.push(
                Diagnostic::error("unknown step group")
                    .detail(format!("the provider has no step group `{name}`"))
                    .help(help)
                    .at(*span),
            );
            return None;
        };
        self.used.insert(name);
        Some(group.body.blocks.iter().filter(|block| &*block.ident == "step"))
    }

    /// Warns of groups that no strategy uses: their steps were never looked at.
    pub(super) fn warn_of_unused(&self, problems: &mut Diagnostics) {
        for (name, block) in self.by_name.iter().filter(|(name, _)| !self.used.contains(**name)) {
            problems.push(
                Diagnostic::warning("unused step group")
                    .detail(format!("no strategy uses step group `{name}`, so its steps are not checked"))
                    .help(format!("write `use \"{name}\" {{}}` in a strategy, or remove the group"))
                    .at(block.header_span()),
            );
        }
    }
}

/// A step with what the `use` of its group says, where it does not say it itself. A probe runs beside others and has no downtime.
fn with_defaults(mut step: Block, said: &Body) -> Block {
    if step.body.blocks.iter().all(|block| &*block.ident != "probe") {
        for (name, attribute) in said.attributes.iter().filter(|(name, _)| USE.contains(&&***name)) {
            step.body.attributes.entry(Arc::clone(name)).or_insert_with(|| attribute.clone());
        }
    }
    step
}
