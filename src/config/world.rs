//! Everything that an expression of the configuration may name, and what is known of it so far.
//!
//! A *node* is one declaration of one use of a module; a module that is repeated (`for_each`, `count`) has several *copies*, and a
//! node has a value for each. Values are filled in in the order of dependence, so that reading one never starts an evaluation:
//! no chain of references, however long, can exhaust the stack.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;

use super::module::ModuleUse;
use crate::lang::{Env, Expr, Object, Scope, Value};
use crate::model::name::InstanceAddr;
use crate::source::{Diagnostics, Span};

/// What a node is. The number is the place among the module's declarations of that kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// An input variable.
    Variable,
    /// A local value.
    Local,
    /// An output.
    Output,
    /// The expansion of a module block: which copies there are.
    Call,
    /// An instance block.
    Instance,
    /// A host.
    Host,
    /// An environment.
    Environment,
    /// A release.
    Release,
    /// A waiver.
    Waiver,
    /// An acknowledgement.
    Acknowledgement,
    /// What drift means.
    Drift,
    /// The backend.
    Backend,
}

/// One declaration.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    /// Index of the module use.
    pub(super) module: usize,
    /// What it is.
    pub(super) kind: Kind,
    /// Which of that kind in the module; for a [`Kind::Call`] the index of the child module use.
    pub(super) index: usize,
}

/// One copy of a repeated module; a module that is not repeated has one.
#[derive(Debug, Clone, Default)]
pub(super) struct Copy {
    /// `["eu", "inner[\"x\"]"]`.
    pub(super) path: Vec<String>,
    /// Which copy of the parent it belongs to.
    pub(super) parent: usize,
    /// What repeats it.
    pub(super) each: Each,
}

/// What `each` and `count` are.
#[derive(Debug, Clone, Default)]
pub(super) struct Each {
    /// `each.key` and `each.value`.
    pub(super) item: Option<(Arc<str>, Value)>,
    /// `count.index`.
    pub(super) index: Option<u32>,
}

/// The copies of a module block, within one copy of its parent.
#[derive(Debug, Clone)]
pub(super) enum Expansion {
    /// Not repeated.
    Single(usize),
    /// By `for_each` key.
    Keyed(BTreeMap<Arc<str>, usize>),
    /// By `count`.
    Indexed(Vec<usize>),
}

/// Addresses by key, sorted; without a key where the block is not repeated.
pub(super) type Addresses = Vec<(Option<Arc<str>>, InstanceAddr)>;

/// Names and values of one load.
pub(super) struct World {
    /// Module uses; the root is the first.
    pub(super) modules: Vec<ModuleUse>,
    /// Declarations.
    pub(super) nodes: Vec<Node>,
    /// First node of each module and kind.
    pub(super) first: HashMap<(usize, Kind), usize>,
    /// The call node of each module use; the root has none.
    pub(super) calls: Vec<Option<usize>>,
    /// Copies of each module.
    pub(super) copies: Vec<Vec<Copy>>,
    /// Value of each node for each copy; `None` where it could not be had.
    pub(super) values: Vec<Vec<Option<Value>>>,
    /// Addresses of the instances of each instance node for each copy, by key (`None`: not repeated).
    pub(super) addresses: HashMap<(usize, usize), Addresses>,
    /// Copies made by each call node for each copy of its module.
    pub(super) expansions: HashMap<(usize, usize), Expansion>,
    /// Objects of all outputs of a module block, once asked for.
    pub(super) gathered: RefCell<HashMap<(usize, usize), Value>>,
    /// Set when an evaluation met a name that cannot be had for a reason already told.
    pub(super) poisoned: Cell<bool>,
    /// What `timestamp()` answers.
    pub(super) now: Timestamp,
}

impl World {
    /// A world in which nothing is evaluated yet.
    pub(super) fn new(modules: Vec<ModuleUse>, now: Timestamp) -> Self {
        let mut nodes = Vec::new();
        let mut first = HashMap::new();
        let mut calls = vec![None; modules.len()];
        for (module, used) in modules.iter().enumerate() {
            let declared = &used.text.declared;
            let backends = declared.windlass.iter().flat_map(|block| &block.body.blocks).filter(|block| &*block.ident == "backend");
            // Hosts first: instances may name them by text, which is no reference that could put them in order.
            for (kind, count) in [
                (Kind::Host, declared.hosts.len()),
                (Kind::Variable, declared.variables.len()),
                (Kind::Local, declared.locals.len()),
                (Kind::Output, declared.outputs.len()),
                (Kind::Instance, declared.instances.len()),
                (Kind::Environment, declared.environments.len()),
                (Kind::Release, declared.releases.len()),
                (Kind::Waiver, declared.waivers.len()),
                (Kind::Acknowledgement, declared.acknowledgements.len()),
                (Kind::Drift, declared.drift.len()),
                (Kind::Backend, backends.count()),
            ] {
                first.insert((module, kind), nodes.len());
                nodes.extend((0..count).map(|index| Node { module, kind, index }));
            }
            first.insert((module, Kind::Call), nodes.len());
            for child in used.children.values() {
                calls[*child] = Some(nodes.len());
                nodes.push(Node { module, kind: Kind::Call, index: *child });
            }
        }
        let mut copies = vec![Vec::new(); modules.len()];
        if let Some(root) = copies.first_mut() {
            root.push(Copy::default());
        }
        Self {
            values: vec![Vec::new(); nodes.len()],
            addresses: HashMap::new(),
            expansions: HashMap::new(),
            gathered: RefCell::default(),
            poisoned: Cell::new(false),
            modules,
            nodes,
            first,
            calls,
            copies,
            now,
        }
    }

    /// The node of a declaration.
    pub(super) fn node(&self, module: usize, kind: Kind, index: usize) -> usize {
        self.first.get(&(module, kind)).copied().unwrap_or(0) + index
    }

    /// The call node of a child module.
    pub(super) fn call_node(&self, module: usize, name: &str) -> Option<usize> {
        self.calls[*self.modules[module].children.get(name)?]
    }

    /// Every instance node of a module and of those in it.
    pub(super) fn instances_within(&self, module: usize) -> Vec<usize> {
        let mut found = Vec::new();
        let mut open = vec![module];
        while let Some(module) = open.pop() {
            let count = self.modules[module].text.declared.instances.len();
            found.extend((0..count).map(|index| self.node(module, Kind::Instance, index)));
            open.extend(self.modules[module].children.values());
        }
        found
    }

    /// What a node is called in messages: `local.a`, `module.eu.local.a`.
    pub(super) fn name(&self, node: usize) -> String {
        let Node { module, kind, index } = self.nodes[node];
        let declared = &self.modules[module].text.declared;
        let key = |found: Option<&Arc<str>>| found.map_or_else(String::new, ToString::to_string);
        let own = match kind {
            Kind::Variable => format!("var.{}", key(declared.variables.get_index(index).map(|(name, _)| name))),
            Kind::Local => format!("local.{}", key(declared.locals.get_index(index).map(|(name, _)| name))),
            Kind::Output => format!("output.{}", key(declared.outputs.get_index(index).map(|(name, _)| name))),
            Kind::Call => format!("module.{}", self.modules[index].name),
            Kind::Instance => declared
                .instances
                .get_index(index)
                .map_or_else(String::new, |((provider, name), _)| format!("instance.{provider}.{name}")),
            Kind::Host => format!("host.{}", key(declared.hosts.get_index(index).map(|(name, _)| name))),
            Kind::Environment => format!("environment.{}", key(declared.environments.get_index(index).map(|(name, _)| name))),
            Kind::Release => "release".to_owned(),
            Kind::Waiver => "waiver".to_owned(),
            Kind::Acknowledgement => "acknowledgement".to_owned(),
            Kind::Drift => "drift".to_owned(),
            Kind::Backend => "backend".to_owned(),
        };
        format!("{}{own}", self.prefix(module))
    }

    /// `module.eu.` for what stands in it; empty for the root.
    pub(super) fn prefix(&self, module: usize) -> String {
        let used = &self.modules[module];
        used.parent.map_or_else(String::new, |parent| format!("{}module.{}.", self.prefix(parent), used.name))
    }

    /// Evaluates an expression as seen from a copy of a module. `None`: it cannot be had, and why is told.
    pub(super) fn eval(&self, expr: &Expr, place: Place<'_>, problems: &mut Diagnostics) -> Option<Value> {
        if let Some(value) = expr.as_literal() {
            return Some(value.clone());
        }
        let folder = &self.modules[place.module].folder;
        let env = Env { files: folder, ..Env::pure(self.now) };
        self.poisoned.set(false);
        match expr.eval(&Names { world: self, place }, &env) {
            Ok(value) => Some(value),
            Err(_) if self.poisoned.get() => None,
            Err(found) => {
                problems.extend(found);
                None
            }
        }
    }

    fn poison(&self) -> Result<(Value, usize), String> {
        self.poisoned.set(true);
        Err("it has a problem that is reported elsewhere".to_owned())
    }

    fn stored(&self, node: usize, copy: usize, used: usize) -> Result<(Value, usize), String> {
        match self.values[node].get(copy) {
            Some(Some(value)) => Ok((value.clone(), used)),
            _ => self.poison(),
        }
    }

    /// All outputs of one copy of a module, as an object.
    fn outputs(&self, module: usize, copy: usize) -> Option<Value> {
        let outputs = &self.modules[module].text.declared.outputs;
        let mut object = Object::new();
        for (index, name) in outputs.keys().enumerate() {
            let value = self.values[self.node(module, Kind::Output, index)].get(copy).cloned().flatten()?;
            object.insert(Arc::clone(name), value);
        }
        Some(Value::Object(Arc::new(object)))
    }

    fn module_value(&self, here: Place<'_>, path: &[&str]) -> Result<(Value, usize), String> {
        let Some(node) = path.first().and_then(|name| self.call_node(here.module, name)) else { return self.poison() };
        let child = self.nodes[node].index;
        let Some(expansion) = self.expansions.get(&(node, here.copy)) else { return self.poison() };
        let outputs = &self.modules[child].text.declared.outputs;
        let single = match expansion {
            Expansion::Single(copy) => Some((*copy, 1)),
            Expansion::Keyed(keys) => match path.get(1) {
                Some(key) => match keys.get(*key) {
                    Some(copy) => Some((*copy, 2)),
                    None => return Err(format!("the module has no `{key}`")),
                },
                None => None,
            },
            Expansion::Indexed(_) => None,
        };
        if let Some((copy, used)) = single {
            if let Some(index) = path.get(used).and_then(|name| outputs.get_index_of(*name)) {
                return self.stored(self.node(child, Kind::Output, index), copy, used + 1);
            }
            return self.outputs(child, copy).map_or_else(|| self.poison(), |value| Ok((value, used)));
        }
        if let Some(value) = self.gathered.borrow().get(&(node, here.copy)) {
            return Ok((value.clone(), 1));
        }
        let value = match expansion {
            Expansion::Keyed(keys) => keys
                .iter()
                .map(|(key, copy)| self.outputs(child, *copy).map(|value| (Arc::clone(key), value)))
                .collect::<Option<Object>>()
                .map(|object| Value::Object(Arc::new(object))),
            Expansion::Indexed(copies) => {
                copies.iter().map(|copy| self.outputs(child, *copy)).collect::<Option<Vec<_>>>().map(Value::list)
            }
            Expansion::Single(_) => None,
        };
        let Some(value) = value else { return self.poison() };
        self.gathered.borrow_mut().insert((node, here.copy), value.clone());
        Ok((value, 1))
    }
}

/// Where an expression is evaluated.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    /// The module.
    pub(super) module: usize,
    /// Which copy of it.
    pub(super) copy: usize,
    /// What `each` and `count` are.
    pub(super) each: &'a Each,
}

/// Nothing is repeated.
pub(super) const ONCE: &Each = &Each { item: None, index: None };

/// The names as seen from one place.
struct Names<'a> {
    world: &'a World,
    place: Place<'a>,
}

impl Scope for Names<'_> {
    fn resolve(&self, root: &str, path: &[&str]) -> Option<Result<(Value, usize), String>> {
        let Self { world, place } = self;
        let declared = &world.modules[place.module].text.declared;
        let first = path.first().copied().unwrap_or_default();
        Some(match root {
            "var" => match declared.variables.get_index_of(first) {
                Some(index) => world.stored(world.node(place.module, Kind::Variable, index), place.copy, 1),
                None => world.poison(),
            },
            "local" => match declared.locals.get_index_of(first) {
                Some(index) => world.stored(world.node(place.module, Kind::Local, index), place.copy, 1),
                None => world.poison(),
            },
            "instance" => match path.get(1).and_then(|name| instance_index(declared, first, name)) {
                Some(index) => world.stored(world.node(place.module, Kind::Instance, index), place.copy, 2),
                None => world.poison(),
            },
            "module" => world.module_value(*place, path),
            // Environments and hosts belong to the root module and are seen from everywhere.
            "host" => match world.modules[0].text.declared.hosts.get_index_of(first) {
                Some(index) => world.stored(world.node(0, Kind::Host, index), 0, 1),
                None => world.poison(),
            },
            "environment" => match world.modules[0].text.declared.environments.get_key_value(first) {
                Some((name, _)) => Ok((Value::String(Arc::clone(name)), 1)),
                None => world.poison(),
            },
            "each" => match (&place.each.item, first) {
                (Some((key, _)), "key") => Ok((Value::String(Arc::clone(key)), 1)),
                (Some((_, value)), "value") => Ok((value.clone(), 1)),
                _ => world.poison(),
            },
            "count" => match (place.each.index, first) {
                (Some(index), "index") => Ok((u64::from(index).into(), 1)),
                _ => world.poison(),
            },
            "path" => match first {
                "module" => Ok((world.modules[place.module].folder.display_self().into(), 1)),
                "root" => Ok((world.modules[0].folder.display_self().into(), 1)),
                _ => world.poison(),
            },
            // Told when the references were checked.
            _ => world.poison(),
        })
    }

    fn names(&self) -> Vec<String> {
        ROOTS.iter().map(|(root, _)| (*root).to_owned()).collect()
    }
}

/// The names that expressions of the configuration begin with, and how each goes on.
pub(super) const ROOTS: &[(&str, &str)] = &[
    ("var", "var.NAME"),
    ("local", "local.NAME"),
    ("instance", "instance.PROVIDER.NAME"),
    ("module", "module.NAME.OUTPUT"),
    ("environment", "environment.NAME"),
    ("host", "host.NAME"),
    ("each", "each.key"),
    ("count", "count.index"),
    ("path", "path.module"),
];

/// Finds an instance block.
pub(super) fn instance_index(declared: &super::declare::Declarations, provider: &str, name: &str) -> Option<usize> {
    declared.instances.get_index_of(&(Arc::from(provider), Arc::from(name)))
}

/// The place of a declaration.
pub(super) fn declaration_span(world: &World, node: usize) -> Option<Span> {
    let Node { module, kind, index } = world.nodes[node];
    let declared = &world.modules[module].text.declared;
    let header = |found: Option<(&Arc<str>, &crate::lang::Block)>| found.map(|(_, block)| block.header_span());
    match kind {
        Kind::Variable => header(declared.variables.get_index(index)),
        Kind::Local => declared.locals.get_index(index).map(|(_, attribute)| attribute.name_span),
        Kind::Output => header(declared.outputs.get_index(index)),
        Kind::Call => {
            let parent = &world.modules[module].text.declared;
            parent.modules.get(&world.modules[index].name).map(crate::lang::Block::header_span)
        }
        Kind::Instance => declared.instances.get_index(index).map(|(_, instance)| instance.block.header_span()),
        Kind::Host => header(declared.hosts.get_index(index)),
        Kind::Environment => header(declared.environments.get_index(index)),
        Kind::Release => declared.releases.get(index).map(crate::lang::Block::header_span),
        Kind::Waiver => declared.waivers.get(index).map(crate::lang::Block::header_span),
        Kind::Acknowledgement => declared.acknowledgements.get(index).map(crate::lang::Block::header_span),
        Kind::Drift => declared.drift.get(index).map(crate::lang::Block::header_span),
        Kind::Backend => None,
    }
}
