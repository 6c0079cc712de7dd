//! What refers to what: every reference checked, cycles named, and an order in which everything can be evaluated.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use super::declare::expressions;
use super::fields::suggestion;
use super::world::{Kind, Node, ROOTS, World, declaration_span, instance_index};
use crate::lang::{Expr, Reference};
use crate::source::{Diagnostic, Diagnostics, Span, nearest};

/// Instances that something refers to, directly or through other names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Target {
    /// The instance node.
    pub(super) node: usize,
    /// Only the one with this key; `None`: all of the block.
    pub(super) key: Option<Arc<str>>,
}

/// How to evaluate a world.
pub(super) struct Order {
    /// Nodes, each after those that it refers to.
    pub(super) nodes: Vec<usize>,
    /// Nodes that cannot be evaluated: they are part of a cycle.
    pub(super) cyclic: BTreeSet<usize>,
    /// What each node refers to, over all that stands between (instances end the search).
    pub(super) targets: Vec<Rc<[Target]>>,
}

/// Which repetition names an expression may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Allowed {
    each: bool,
    count: bool,
}

/// An edge: where it leads, and where that is written.
type Edge = (usize, Option<Span>);

/// Checks every reference and finds the order.
pub(super) fn order(world: &World, problems: &mut Diagnostics) -> Order {
    let mut edges: Vec<Vec<Edge>> = Vec::with_capacity(world.nodes.len());
    let mut direct: Vec<Vec<Target>> = Vec::with_capacity(world.nodes.len());
    for index in 0..world.nodes.len() {
        let mut checker = Checker { world, edges: Vec::new(), targets: Vec::new(), problems };
        checker.node(world.nodes[index]);
        edges.push(checker.edges);
        direct.push(checker.targets);
    }
    let (nodes, cyclic) = sort(world, &edges, problems);
    let mut targets: Vec<Rc<[Target]>> = vec![Rc::from([]); world.nodes.len()];
    for node in &nodes {
        let through = edges[*node].iter().map(|(to, _)| *to).filter(|to| world.nodes[*to].kind != Kind::Instance && to != node);
        let mut inherited: Vec<Rc<[Target]>> =
            through.map(|to| Rc::clone(&targets[to])).filter(|targets| !targets.is_empty()).collect();
        inherited.dedup_by(|a, b| Rc::ptr_eq(a, b));
        targets[*node] = match (direct[*node].is_empty(), inherited.as_slice()) {
            (true, []) => Rc::from([]),
            (true, [only]) => Rc::clone(only),
            _ => {
                let all: BTreeSet<Target> =
                    direct[*node].iter().cloned().chain(inherited.iter().flat_map(|targets| targets.iter().cloned())).collect();
                all.into_iter().collect()
            }
        };
    }
    Order { nodes, cyclic, targets }
}

struct Checker<'a> {
    world: &'a World,
    edges: Vec<Edge>,
    targets: Vec<Target>,
    problems: &'a mut Diagnostics,
}

impl Checker<'_> {
    fn node(&mut self, node: Node) {
        let Node { module, kind, index } = node;
        let world = self.world;
        let declared = &world.modules[module].text.declared;
        let nothing = Allowed { each: false, count: false };
        if kind != Kind::Call
            && let Some(parent) = world.modules[module].parent
            && let Some(call) = world.call_node(parent, &world.modules[module].name)
        {
            self.edges.push((call, None));
        }
        let mut found: Vec<&Expr> = Vec::new();
        match kind {
            Kind::Variable => {
                let Some((name, _)) = declared.variables.get_index(index) else { return };
                let Some(parent) = world.modules[module].parent else { return };
                let Some(call) = world.modules[parent].text.declared.modules.get(&world.modules[module].name) else { return };
                if let Some(attribute) = call.body.attributes.get(name) {
                    let allowed = allowed(&call.body);
                    self.expression(&attribute.expr, parent, allowed);
                }
                return;
            }
            Kind::Call => {
                let Some(block) = declared.modules.get(&world.modules[index].name) else { return };
                for name in ["for_each", "count"] {
                    found.extend(block.body.attributes.get(name).map(|attribute| &attribute.expr));
                }
            }
            Kind::Local => found.extend(declared.locals.get_index(index).map(|(_, attribute)| &attribute.expr)),
            Kind::Output => declared.outputs.get_index(index).iter().for_each(|(_, block)| expressions(&block.body, &mut found)),
            Kind::Host => declared.hosts.get_index(index).iter().for_each(|(_, block)| expressions(&block.body, &mut found)),
            Kind::Environment => {
                declared.environments.get_index(index).iter().for_each(|(_, block)| expressions(&block.body, &mut found));
            }
            Kind::Release => declared.releases.get(index).iter().for_each(|block| expressions(&block.body, &mut found)),
            Kind::Acknowledgement => {
                declared.acknowledgements.get(index).iter().for_each(|block| expressions(&block.body, &mut found));
            }
            Kind::Drift => declared.drift.get(index).iter().for_each(|block| expressions(&block.body, &mut found)),
            Kind::Waiver => declared.waivers.get(index).iter().for_each(|block| expressions(&block.body, &mut found)),
            Kind::Backend => {
                if let Some(block) = backends(declared).nth(index) {
                    expressions(&block.body, &mut found);
                }
            }
            Kind::Instance => {
                let Some((_, instance)) = declared.instances.get_index(index) else { return };
                let body = &instance.block.body;
                let repeated = allowed(body);
                for (name, attribute) in &body.attributes {
                    let allowed = if matches!(&**name, "for_each" | "count") { nothing } else { repeated };
                    self.expression(&attribute.expr, module, allowed);
                }
                if let Some(attribute) = body.attributes.get("depends_on") {
                    self.whole_modules(&attribute.expr, module);
                }
                body.blocks.iter().for_each(|block| expressions(&block.body, &mut found));
                for expr in found {
                    self.expression(expr, module, repeated);
                }
                return;
            }
        }
        for expr in found {
            self.expression(expr, module, nothing);
        }
    }

    fn expression(&mut self, expr: &Expr, module: usize, allowed: Allowed) {
        if expr.as_literal().is_some() {
            return;
        }
        for reference in expr.references() {
            if let Err(problem) = self.reference(&reference, module, allowed) {
                let span = reference.span.or(expr.span());
                self.problems.push(match span {
                    Some(span) => problem.at(span),
                    None => problem,
                });
            }
        }
    }

    /// `depends_on = [module.x]` means every instance in it.
    fn whole_modules(&mut self, expr: &Expr, module: usize) {
        for reference in expr.references().iter().filter(|reference| &*reference.root == "module") {
            let child = reference.path.first().and_then(|name| self.world.modules[module].children.get(name));
            for node in child.map(|child| self.world.instances_within(*child)).unwrap_or_default() {
                self.edges.push((node, reference.span));
            }
        }
    }

    fn edge(&mut self, module: usize, kind: Kind, index: usize, span: Option<Span>) {
        self.edges.push((self.world.node(module, kind, index), span));
    }

    /// Follows one reference.
    fn reference(&mut self, reference: &Reference, module: usize, allowed: Allowed) -> Result<(), Diagnostic> {
        let world = self.world;
        let text = &world.modules[module].text;
        let span = reference.span;
        let root = &*reference.root;
        let Some((_, form)) = ROOTS.iter().find(|(known, _)| *known == root) else { return Err(unknown_root(root)) };
        let Some(name) = reference.path.first() else {
            return Err(Diagnostic::error("incomplete reference")
                .detail(format!("`{root}` by itself is not a value"))
                .help(format!("write `{form}`")));
        };
        match root {
            "var" => match text.declared.variables.get_index_of(name) {
                Some(index) => self.edge(module, Kind::Variable, index, span),
                None => return unknown("variable", name, text.complete, text.declared.variables.keys()),
            },
            "local" => match text.declared.locals.get_index_of(name) {
                Some(index) => self.edge(module, Kind::Local, index, span),
                None => return unknown("local", name, text.complete, text.declared.locals.keys()),
            },
            "host" => {
                let root = &world.modules[0].text;
                match root.declared.hosts.get_index_of(name) {
                    Some(index) => self.edge(0, Kind::Host, index, span),
                    None => return unknown("host", name, root.complete, root.declared.hosts.keys()),
                }
            }
            "environment" => {
                let root = &world.modules[0].text;
                if !root.declared.environments.contains_key(name) {
                    return unknown("environment", name, root.complete, root.declared.environments.keys());
                }
            }
            "instance" => return self.instance(reference, module, name),
            "module" => return self.module(reference, module, name),
            "each" => {
                if !allowed.each {
                    return Err(Diagnostic::error("reference not allowed here")
                        .detail("`each` is known only inside a block with `for_each`")
                        .help("add `for_each`, or write the value"));
                }
                return one_of(root, name, &["key", "value"]);
            }
            "count" => {
                if !allowed.count {
                    return Err(Diagnostic::error("reference not allowed here")
                        .detail("`count` is known only inside a block with `count`")
                        .help("add `count`, or write the value"));
                }
                return one_of(root, name, &["index"]);
            }
            _ => return one_of(root, name, &["module", "root"]),
        }
        Ok(())
    }

    fn instance(&mut self, reference: &Reference, module: usize, provider: &Arc<str>) -> Result<(), Diagnostic> {
        let text = &self.world.modules[module].text;
        let Some(name) = reference.path.get(1) else {
            return Err(Diagnostic::error("incomplete reference")
                .detail(format!("`instance.{provider}` by itself is not a value"))
                .help(format!("write `instance.{provider}.NAME`")));
        };
        let Some(index) = instance_index(&text.declared, provider, name) else {
            let wanted = format!("{provider}.{name}");
            let known: Vec<Arc<str>> =
                text.declared.instances.keys().map(|(provider, name)| Arc::from(format!("{provider}.{name}"))).collect();
            return unknown("instance", &wanted, text.complete, known.iter());
        };
        let node = self.world.node(module, Kind::Instance, index);
        let repeated = text
            .declared
            .instances
            .get_index(index)
            .is_some_and(|(_, instance)| instance.block.body.attributes.contains_key("for_each"));
        let key = reference.path.get(2).filter(|_| repeated).cloned();
        self.edges.push((node, reference.span));
        self.targets.push(Target { node, key });
        Ok(())
    }

    fn module(&mut self, reference: &Reference, module: usize, name: &Arc<str>) -> Result<(), Diagnostic> {
        let world = self.world;
        let text = &world.modules[module].text;
        let Some(call) = world.call_node(module, name) else {
            // A module that is declared and could not be opened was reported.
            let silent = !text.complete || text.declared.modules.contains_key(name);
            return unknown("module", name, !silent, text.declared.modules.keys());
        };
        let child = world.nodes[call].index;
        let body = text.declared.modules.get(name).map(|block| &block.body);
        let keyed = body.is_some_and(|body| body.attributes.contains_key("for_each"));
        let counted = body.is_some_and(|body| body.attributes.contains_key("count"));
        let outputs = &world.modules[child].text.declared.outputs;
        self.edges.push((call, reference.span));
        let output = if counted { None } else { reference.path.get(1 + usize::from(keyed)) };
        match output {
            Some(output) => match outputs.get_index_of(output) {
                Some(index) => self.edge(child, Kind::Output, index, reference.span),
                None => {
                    let complete = world.modules[child].text.complete;
                    return unknown(&format!("output of module `{name}`"), output, complete, outputs.keys());
                }
            },
            None => {
                for index in 0..outputs.len() {
                    self.edge(child, Kind::Output, index, reference.span);
                }
            }
        }
        Ok(())
    }
}

/// Every `backend` block of the module.
pub(super) fn backends(declared: &super::declare::Declarations) -> impl Iterator<Item = &crate::lang::Block> {
    declared.windlass.iter().flat_map(|block| &block.body.blocks).filter(|block| &*block.ident == "backend")
}

fn allowed(body: &crate::lang::Body) -> Allowed {
    Allowed { each: body.attributes.contains_key("for_each"), count: body.attributes.contains_key("count") }
}

fn unknown_root(root: &str) -> Diagnostic {
    let names: Vec<&str> = ROOTS.iter().map(|(root, _)| *root).collect();
    let help = match nearest(root, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("if text is meant, write \"{root}\" in quotes; {}", suggestion(root, &names)),
    };
    Diagnostic::error("unknown name").detail(format!("there is no `{root}` here")).help(help)
}

fn one_of(root: &str, name: &str, known: &[&str]) -> Result<(), Diagnostic> {
    if known.contains(&name) {
        return Ok(());
    }
    Err(Diagnostic::error("unknown name").detail(format!("there is no `{root}.{name}`")).help(suggestion(name, known)))
}

fn unknown<'a>(what: &str, name: &str, complete: bool, known: impl Iterator<Item = &'a Arc<str>>) -> Result<(), Diagnostic> {
    if !complete {
        return Ok(());
    }
    let known: Vec<&str> = known.map(|name| &**name).collect();
    let (kind, owner) = what.split_once(" of ").map_or((what, None), |(kind, owner)| (kind, Some(owner)));
    let detail = match owner {
        Some(owner) => format!("{owner} has no {kind} `{name}`"),
        None => format!("there is no {kind} `{name}`"),
    };
    Err(Diagnostic::error(format!("unknown {kind}")).detail(detail).help(if known.is_empty() {
        format!("no {kind} is declared here")
    } else {
        suggestion(name, &known)
    }))
}

/// Topological order by depth-first search with a list instead of recursion; cycles are reported and left out.
fn sort(world: &World, edges: &[Vec<Edge>], problems: &mut Diagnostics) -> (Vec<usize>, BTreeSet<usize>) {
    #[derive(Clone, Copy, PartialEq)]
    enum State {
        New,
        Open,
        Done,
    }
    let mut state = vec![State::New; edges.len()];
    let mut sorted = Vec::with_capacity(edges.len());
    let mut cyclic = BTreeSet::new();
    for start in 0..edges.len() {
        if state[start] != State::New {
            continue;
        }
        state[start] = State::Open;
        // The path from the start: node, and which of its edges comes next.
        let mut path: Vec<(usize, usize)> = vec![(start, 0)];
        while let Some((node, next)) = path.last_mut() {
            let node = *node;
            let Some((to, _)) = edges[node].get(*next) else {
                state[node] = State::Done;
                sorted.push(node);
                path.pop();
                continue;
            };
            *next += 1;
            match state[*to] {
                State::Done => {}
                State::New => {
                    state[*to] = State::Open;
                    path.push((*to, 0));
                }
                State::Open => {
                    let begin = path.iter().position(|(open, _)| open == to).unwrap_or(0);
                    let cycle: Vec<(usize, Option<Span>)> = path[begin..]
                        .iter()
                        .map(|(node, next)| (*node, edges[*node].get(next - 1).and_then(|(_, span)| *span)))
                        .collect();
                    if !cycle.iter().any(|(node, _)| cyclic.contains(node)) {
                        problems.push(report_cycle(world, &cycle));
                    }
                    cyclic.extend(cycle.into_iter().map(|(node, _)| node));
                }
            }
        }
    }
    (sorted, cyclic)
}

/// How many places of a cycle are shown.
const SHOWN: usize = 8;

fn report_cycle(world: &World, cycle: &[(usize, Option<Span>)]) -> Diagnostic {
    let mut names: Vec<String> = cycle.iter().take(SHOWN).map(|(node, _)| format!("`{}`", world.name(*node))).collect();
    if cycle.len() > SHOWN {
        names.push(format!("… ({} more)", cycle.len() - SHOWN));
    }
    names.extend(cycle.first().map(|(node, _)| format!("`{}`", world.name(*node))));
    let mut diagnostic = Diagnostic::error("dependency cycle")
        .detail(names.join(" -> "))
        .help("break the cycle: one of these must get along without the next");
    for (node, span) in cycle.iter().take(SHOWN) {
        if let Some(span) = span.or_else(|| declaration_span(world, *node)) {
            diagnostic = diagnostic.label(span, format!("`{}` refers to the next here", world.name(*node)));
        }
    }
    diagnostic
}
