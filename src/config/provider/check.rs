//! Names in provider expressions: which roots may stand where, and whether what follows them exists.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Parsed;
use crate::config::fields::suggestion;
use crate::lang::{Expr, Reference};
use crate::source::{Diagnostic, Diagnostics, Span, nearest};

/// A default or validation of a setting: nothing is known of versions or facts yet.
pub(super) const SETTING: &[&str] = &["self", "instance", "host"];
/// A fact.
pub(super) const FACT: &[&str] = &["self", "instance", "host", "local", "fact"];
/// A fact's value.
pub(super) const FACT_VALUE: &[&str] = &["self", "instance", "host", "local", "fact", "result"];
/// A rule about a move, a preflight check, a note, a step before anything has run.
pub(super) const RULE: &[&str] = &["self", "instance", "host", "local", "fact", "from", "to", "release", "restore"];
/// A step's call.
pub(super) const STEP: &[&str] = &["self", "instance", "host", "local", "fact", "from", "to", "release", "restore", "step"];
/// Whether a step is done.
pub(super) const DONE: &[&str] =
    &["self", "instance", "host", "local", "fact", "from", "to", "release", "restore", "step", "result"];
/// How far a step is.
pub(super) const PROGRESS: &[&str] = &["line"];
/// Whether a failure counts as success.
pub(super) const TOLERATE: &[&str] =
    &["self", "instance", "host", "local", "fact", "from", "to", "release", "restore", "step", "error"];

/// What follows a root, where that is fixed.
const PARTS: &[(&str, &[&str])] = &[
    ("instance", &["address", "name", "provider", "environment", "promote_from", "key", "file_name"]),
    ("host", &["name", "address", "attributes"]),
    ("from", &["text", "major", "minor", "patch"]),
    ("to", &["text", "major", "minor", "patch"]),
    (
        "restore",
        &[
            "id",
            "location",
            "method",
            "version",
            "at",
            "path",
            "set",
            "excluded",
            "consistent",
            "verified",
            "parts",
            "to",
            "host",
            "elsewhere",
        ],
    ),
    ("each", &["key", "value"]),
];

/// Every root that there is anywhere.
const ALL: &[&str] =
    &["self", "instance", "host", "local", "fact", "from", "to", "release", "restore", "step", "result", "error", "each"];

/// Names that are used, each with the place.
pub(super) type Uses = Vec<(Arc<str>, Option<Span>)>;

/// Names of steps: those that have run by then, and all of the strategy.
pub(super) type Steps<'a> = (&'a BTreeSet<Arc<str>>, &'a [Arc<str>]);

/// The names of one provider.
pub(super) struct Known {
    settings: Vec<Arc<str>>,
    facts: Vec<Arc<str>>,
    locals: Vec<Arc<str>>,
    /// Roots that a local uses, over other locals too.
    local_roots: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
}

/// Where an expression stands.
#[derive(Clone, Copy)]
pub(super) struct Scene<'a> {
    /// In words: `` fact `running` ``.
    pub(super) what: &'a str,
    /// Roots that may be used.
    pub(super) roots: &'a [&'a str],
    /// Whether `each` may.
    pub(super) each: bool,
    /// Steps whose results may be used, and all steps of the strategy.
    pub(super) steps: Option<Steps<'a>>,
}

impl<'a> Scene<'a> {
    /// Without `each` and steps.
    pub(super) fn new(what: &'a str, roots: &'a [&'a str]) -> Self {
        Self { what, roots, each: false, steps: None }
    }

    /// The same place with other roots.
    pub(super) fn with(self, roots: &'a [&'a str]) -> Self {
        Self { roots, ..self }
    }
}

impl Known {
    /// Collects the names of a provider, and checks its locals.
    pub(super) fn of(parsed: &Parsed, problems: &mut Diagnostics) -> Self {
        let labels = |kind: &str| -> Vec<Arc<str>> {
            parsed.of(kind).iter().filter_map(|block| block.labels.first().map(|(name, _)| Arc::clone(name))).collect()
        };
        let mut known = Self {
            settings: labels("setting"),
            facts: labels("fact"),
            locals: parsed.locals.keys().cloned().collect(),
            local_roots: BTreeMap::new(),
        };
        let uses: BTreeMap<Arc<str>, Uses> =
            parsed.locals.iter().map(|(name, (expr, _))| (Arc::clone(name), uses_of(expr, "local"))).collect();
        for name in acyclic("local", &uses, problems) {
            let Some((expr, _)) = parsed.locals.get(&name) else { continue };
            let mut roots: BTreeSet<Arc<str>> = expr.references().into_iter().map(|reference| reference.root).collect();
            for (used, _) in uses.get(&name).into_iter().flatten() {
                roots.extend(known.local_roots.get(used).into_iter().flatten().cloned());
            }
            known.local_roots.insert(name, roots);
        }
        for (name, (expr, _)) in &parsed.locals {
            known.check(expr, Scene::new(&format!("local `{name}`"), RULE), problems);
        }
        known
    }

    /// Checks the names that an expression uses.
    pub(super) fn check(&self, expr: &Expr, scene: Scene<'_>, problems: &mut Diagnostics) {
        if expr.as_literal().is_some() {
            return;
        }
        for reference in expr.references() {
            if let Err(problem) = self.reference(&reference, scene) {
                problems.push(match reference.span.or(expr.span()) {
                    Some(span) => problem.at(span),
                    None => problem,
                });
            }
        }
    }

    fn reference(&self, reference: &Reference, scene: Scene<'_>) -> Result<(), Diagnostic> {
        let root = &*reference.root;
        let allowed = scene.roots.contains(&root) || (root == "each" && scene.each);
        if !allowed {
            return Err(not_allowed(root, scene));
        }
        let known: Vec<&str> = match root {
            "self" => self.settings.iter().map(|name| &**name).chain(["backup"]).collect(),
            "fact" => self.facts.iter().map(|name| &**name).collect(),
            "local" => self.locals.iter().map(|name| &**name).collect(),
            "step" => return step(reference, scene),
            _ => match PARTS.iter().find(|(known, _)| *known == root) {
                Some((_, parts)) => parts.to_vec(),
                None => return Ok(()),
            },
        };
        let Some(name) = reference.path.first() else {
            // A whole object is a value; `local` and `fact` stand for too much to be one.
            return match root {
                "local" | "fact" => Err(Diagnostic::error("incomplete reference")
                    .detail(format!("`{root}` by itself is not a value"))
                    .help(format!("write `{root}.NAME`"))),
                _ => Ok(()),
            };
        };
        if !known.contains(&&**name) {
            let what = match root {
                "self" => "setting",
                "fact" => "fact",
                "local" => "local",
                _ => "name",
            };
            return Err(Diagnostic::error(format!("unknown {what}"))
                .detail(format!("{} uses `{root}.{name}`, which is not there", scene.what))
                .help(suggestion(name, &known)));
        }
        if root == "local" {
            let roots = self.local_roots.get(name).into_iter().flatten();
            if let Some(hidden) = roots.into_iter().find(|root| ALL.contains(&&***root) && !scene.roots.contains(&&***root)) {
                return Err(Diagnostic::error("reference not allowed here")
                    .detail(format!("{} uses `local.{name}`, which uses `{hidden}`; that is not known here", scene.what))
                    .help(format!("here one can use {}", listed(scene))));
            }
        }
        Ok(())
    }
}

fn listed(scene: Scene<'_>) -> String {
    let roots: Vec<String> =
        scene.roots.iter().copied().chain(scene.each.then_some("each")).map(|root| format!("`{root}`")).collect();
    roots.join(", ")
}

fn not_allowed(root: &str, scene: Scene<'_>) -> Diagnostic {
    if ALL.contains(&root) {
        let help = match root {
            "each" => "add `for_each` to the step".to_owned(),
            _ => format!("here one can use {}", listed(scene)),
        };
        return Diagnostic::error("reference not allowed here")
            .detail(format!("{} uses `{root}`, which is not known here", scene.what))
            .help(help);
    }
    Diagnostic::error("unknown name").detail(format!("{} uses `{root}`, which is not there", scene.what)).help(
        match nearest(root, scene.roots.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("if text is meant, write \"{root}\" in quotes; here one can use {}", listed(scene)),
        },
    )
}

/// `step.NAME.result`: of a step that has run by then.
fn step(reference: &Reference, scene: Scene<'_>) -> Result<(), Diagnostic> {
    let Some((earlier, all)) = scene.steps else { return Err(not_allowed("step", scene)) };
    let Some(name) = reference.path.first() else {
        return Err(Diagnostic::error("incomplete reference")
            .detail("`step` by itself is not a value")
            .help("write `step.NAME.result`"));
    };
    let names: Vec<&str> = all.iter().map(|name| &**name).collect();
    if !names.contains(&&**name) {
        return Err(Diagnostic::error("unknown step")
            .detail(format!("{} uses step `{name}`, which the strategy does not have", scene.what))
            .help(suggestion(name, &names)));
    }
    if !earlier.contains(name) {
        return Err(Diagnostic::error("step has not run yet")
            .detail(format!("{} uses the result of step `{name}`, which does not run before it", scene.what))
            .help(format!("add `step.{name}` to its `after`")));
    }
    match reference.path.get(1) {
        Some(part) if &**part != "result" => Err(Diagnostic::error("unknown name")
            .detail(format!("a step has no `{part}`"))
            .help(format!("write `step.{name}.result`"))),
        _ => Ok(()),
    }
}

/// Names below a root that an expression uses.
pub(super) fn uses_of(expr: &Expr, root: &str) -> Uses {
    let references = expr.references().into_iter().filter(|reference| &*reference.root == root);
    references.filter_map(|reference| Some((Arc::clone(reference.path.first()?), reference.span))).collect()
}

/// Orders names so that each comes after what it uses. A cycle is reported by its names, and then left out.
pub(super) fn acyclic(root: &str, uses: &BTreeMap<Arc<str>, Uses>, problems: &mut Diagnostics) -> Vec<Arc<str>> {
    let mut order: Vec<Arc<str>> = Vec::with_capacity(uses.len());
    let mut done: BTreeSet<&str> = BTreeSet::new();
    for start in uses.keys() {
        let mut path: Vec<(&Arc<str>, usize)> = Vec::new();
        if !done.contains(&**start) {
            path.push((start, 0));
        }
        while let Some((name, next)) = path.last_mut() {
            let name = *name;
            let Some((used, _)) = uses.get(name).and_then(|uses| uses.get(*next)) else {
                done.insert(name);
                order.push(Arc::clone(name));
                path.pop();
                continue;
            };
            *next += 1;
            let Some((used, _)) = uses.get_key_value(used) else { continue };
            if done.contains(&**used) {
                continue;
            }
            match path.iter().position(|(open, _)| *open == used) {
                Some(begin) => problems.push(cycle(root, &path[begin..], uses)),
                None => path.push((used, 0)),
            }
        }
    }
    order
}

fn cycle(root: &str, cycle: &[(&Arc<str>, usize)], uses: &BTreeMap<Arc<str>, Uses>) -> Diagnostic {
    let names: Vec<String> = cycle.iter().chain(cycle.first()).map(|(name, _)| format!("`{root}.{name}`")).collect();
    let mut diagnostic = Diagnostic::error("dependency cycle")
        .detail(names.join(" -> "))
        .help("break the cycle: one of these must get along without the next");
    for (name, next) in cycle {
        if let Some((_, Some(span))) = uses.get(*name).and_then(|uses| uses.get(next.saturating_sub(1))) {
            diagnostic = diagnostic.label(*span, format!("`{root}.{name}` refers to the next here"));
        }
    }
    diagnostic
}
