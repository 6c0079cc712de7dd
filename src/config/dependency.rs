//! Which instances an instance depends on: what `depends_on` names, and what its expressions refer to.
//!
//! A reference with an index (`instance.db.main[each.key]`) means one instance, so that ten thousand instances that each refer to
//! one of ten thousand others have ten thousand dependencies. Where the index cannot be told, all of the block are meant.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use super::evaluate::{At, Evaluation};
use super::reference::Target;
use super::world::{Kind, World, instance_index};
use crate::lang::{Body, Expr, Value};
use crate::model::name::InstanceAddr;
use crate::source::{Diagnostic, Diagnostics};

/// What a block depends on, before its copies are told apart.
pub(super) struct Dependencies {
    node: usize,
    targets: Rc<[Target]>,
    /// Whole modules.
    modules: Vec<usize>,
    /// Instance nodes that are always indexed, by the index expressions.
    indexed: BTreeMap<usize, Vec<Expr>>,
}

impl Dependencies {
    /// Finds what a block depends on.
    pub(super) fn of(evaluation: &Evaluation<'_>, node: usize, module: usize, body: &Body, problems: &mut Diagnostics) -> Self {
        let world = &evaluation.world;
        let declared = &world.modules[module].text.declared;
        let targets = Rc::clone(&evaluation.order.targets[node]);
        let mut modules = Vec::new();
        if let Some(attribute) = body.attributes.get("depends_on") {
            let references = attribute.expr.references();
            let span = attribute.expr.span().unwrap_or(attribute.name_span);
            let wrong = |detail: String| {
                Diagnostic::error("invalid depends_on")
                    .detail(detail)
                    .help("write references: `depends_on = [instance.PROVIDER.NAME, module.NAME]`")
            };
            if !attribute.expr.text().trim_start().starts_with('[') {
                problems.push(wrong("it is not a list of references".to_owned()).at(span));
            } else if references.is_empty()
                && attribute.expr.text().chars().any(|c| !matches!(c, '[' | ']' | ',') && !c.is_whitespace())
            {
                problems.push(wrong("it holds something else than references".to_owned()).at(span));
            }
            for reference in references {
                match &*reference.root {
                    "instance" | "each" | "count" => {}
                    "module" => {
                        let child = reference.path.first().and_then(|name| world.modules[module].children.get(name));
                        modules.extend(child.map(|child| world.instances_within(*child)).unwrap_or_default());
                    }
                    other => problems
                        .push(wrong(format!("`{other}` is neither an instance nor a module")).at(reference.span.unwrap_or(span))),
                }
            }
        }
        let mut exprs = Vec::new();
        super::declare::expressions(body, &mut exprs);
        let mut indexed: BTreeMap<usize, Option<Vec<Expr>>> = BTreeMap::new();
        for expr in exprs {
            if expr.as_literal().is_some() {
                continue;
            }
            for reference in expr.references().iter().filter(|reference| &*reference.root == "instance") {
                let [provider, name, key @ ..] = reference.path.as_slice() else { continue };
                let Some(index) = instance_index(declared, provider, name) else { continue };
                let entry = indexed.entry(world.node(module, Kind::Instance, index)).or_insert_with(|| Some(Vec::new()));
                if !key.is_empty() {
                    continue;
                }
                match (indices(expr.text(), &format!("instance.{provider}.{name}")), &mut *entry) {
                    (Some(found), Some(all)) => all.extend(found),
                    (None, _) => *entry = None,
                    (Some(_), None) => {}
                }
            }
        }
        let indexed =
            indexed.into_iter().filter_map(|(node, indices)| Some((node, indices?))).filter(|(_, indices)| !indices.is_empty());
        Self { node, targets, modules, indexed: indexed.collect() }
    }

    /// The addresses, for one copy.
    pub(super) fn resolve(&self, evaluation: &Evaluation<'_>, at: &At<'_>, own: &InstanceAddr) -> Vec<InstanceAddr> {
        if self.targets.is_empty() && self.modules.is_empty() {
            return Vec::new();
        }
        let world = &evaluation.world;
        let mut found = BTreeSet::new();
        for target in self.targets.iter() {
            let keys = match (&target.key, self.indexed.get(&target.node)) {
                (None, Some(indices)) => keys(world, at, indices),
                (key, _) => key.clone().map(|key| BTreeSet::from([key])),
            };
            add(world, at, target.node, keys.as_ref(), &mut found);
        }
        for node in self.modules.iter().filter(|node| **node != self.node) {
            add(world, at, *node, None, &mut found);
        }
        found.remove(own);
        found.into_iter().collect()
    }
}

/// What the index expressions give. `None`: one of them cannot be told.
fn keys(world: &World, at: &At<'_>, indices: &[Expr]) -> Option<BTreeSet<Arc<str>>> {
    indices
        .iter()
        .map(|index| match world.eval(index, at.place, &mut Diagnostics::new())?.unmark().0 {
            Value::String(key) => Some(Arc::clone(key)),
            Value::Number(number) => Some(Arc::from(number.normalize().to_string())),
            _ => None,
        })
        .collect()
}

/// Adds the instances of a node, in the copies of its module that `at` can mean.
fn add(world: &World, at: &At<'_>, node: usize, keys: Option<&BTreeSet<Arc<str>>>, found: &mut BTreeSet<InstanceAddr>) {
    let module = world.nodes[node].module;
    let all;
    let copies: &[usize] = if module == at.place.module {
        &[at.place.copy]
    } else {
        all = (0..world.copies[module].len())
            .filter(|copy| compatible(world, (module, *copy), (at.place.module, at.place.copy)))
            .collect::<Vec<_>>();
        &all
    };
    for copy in copies {
        let Some(addresses) = world.addresses.get(&(node, *copy)) else { continue };
        match keys {
            Some(keys) if keys.len() < addresses.len() => {
                for key in keys {
                    let position = addresses.binary_search_by(|(known, _)| known.as_deref().cmp(&Some(&**key)));
                    found.extend(position.ok().map(|position| addresses[position].1.clone()));
                }
            }
            Some(keys) => {
                let fitting = addresses.iter().filter(|(known, _)| known.as_ref().is_none_or(|known| keys.contains(known)));
                found.extend(fitting.map(|(_, address)| address.clone()));
            }
            None => found.extend(addresses.iter().map(|(_, address)| address.clone())),
        }
    }
}

/// Whether two copies belong to the same copy of every module that both are in.
fn compatible(world: &World, left: (usize, usize), right: (usize, usize)) -> bool {
    let chain = |(mut module, mut copy): (usize, usize)| {
        let mut chain = BTreeMap::from([(module, copy)]);
        while let Some(parent) = world.modules[module].parent {
            copy = world.copies[module][copy].parent;
            module = parent;
            chain.insert(module, copy);
        }
        chain
    };
    let right = chain(right);
    chain(left).iter().all(|(module, copy)| right.get(module).is_none_or(|other| other == copy))
}

/// The index expressions behind every use of a name in an expression's text. `None`: one use has no index that can be told.
fn indices(text: &str, name: &str) -> Option<Vec<Expr>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(name) {
        let before = rest[..at].chars().next_back();
        let after = &rest[at + name.len()..];
        let inside_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
        rest = after;
        if before.is_some_and(|c| inside_word(c) || c == '.') || after.chars().next().is_some_and(inside_word) {
            continue;
        }
        let inner = after.strip_prefix('[')?;
        let mut depth = 0_u32;
        let end = inner.char_indices().find_map(|(at, c)| match c {
            '[' | '(' | '{' => {
                depth += 1;
                None
            }
            ']' if depth == 0 => Some(at),
            ']' | ')' | '}' => {
                depth = depth.saturating_sub(1);
                None
            }
            _ => None,
        })?;
        let index = &inner[..end];
        if index.trim() == "*" {
            return None;
        }
        found.push(Expr::parse(index).ok()?);
    }
    (!found.is_empty()).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::indices;

    #[test]
    fn an_index_is_found_where_every_use_has_one() {
        let found = |text: &str| {
            indices(text, "instance.db.main").map(|found| found.iter().map(|expr| expr.text().to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(found("instance.db.main[each.key].address"), Some(vec!["each.key".to_owned()]));
        assert_eq!(
            found("\"${instance.db.main[each.key].address}:${instance.db.main[local.map[\"a\"]].version}\""),
            Some(vec!["each.key".to_owned(), "local.map[\"a\"]".to_owned()])
        );
        assert_eq!(found("instance.db.main"), None);
        assert_eq!(found("[for k, v in instance.db.main : instance.db.main[k]]"), None);
        assert_eq!(found("instance.db.main[*].address"), None);
        assert_eq!(found("instance.db.main_2[each.key]"), None);
    }
}
