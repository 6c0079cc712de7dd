//! Walks the nodes in order and makes the estate of them.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;

use super::declare::check_output;
use super::fields::Evaluate;
use super::reference::{Order, backends};
use super::repeat::{Repeat, expand};
use super::world::{Copy, Expansion, Kind, Node, ONCE, Place, World};
use super::{acknowledgement, drift, environment, host, instance, release, waiver};
use crate::lang::{Expr, Value};
use crate::model::estate::{Backend, Estate, Output};
use crate::model::name::{InstanceKey, ProviderName};
use crate::model::provider::Provider;
use crate::source::{Diagnostic, Diagnostics};

/// What evaluation works with and fills.
pub(super) struct Evaluation<'a> {
    /// Names and values.
    pub(super) world: World,
    /// The order to go in.
    pub(super) order: &'a Order,
    /// Providers that the configuration names, as far as they could be loaded.
    pub(super) providers: &'a BTreeMap<ProviderName, Arc<Provider>>,
    /// In which order settings of a provider are computed, once known.
    pub(super) setting_orders: HashMap<ProviderName, Rc<[usize]>>,
    /// Values of the root module's variables.
    pub(super) inputs: BTreeMap<Arc<str>, Value>,
    /// What is made.
    pub(super) estate: Estate,
}

/// Evaluates as seen from a place.
pub(super) struct At<'a> {
    /// Names and values.
    pub(super) world: &'a World,
    /// The place.
    pub(super) place: Place<'a>,
}

impl Evaluate for At<'_> {
    fn value(&self, expr: &Expr, problems: &mut Diagnostics) -> Option<Value> {
        self.world.eval(expr, self.place, problems)
    }
}

impl Evaluation<'_> {
    /// Evaluates everything.
    pub(super) fn run(&mut self, problems: &mut Diagnostics) {
        for node in &self.order.nodes {
            let Node { module, kind, index } = self.world.nodes[*node];
            for copy in 0..self.world.copies[module].len() {
                let value =
                    if self.order.cyclic.contains(node) { None } else { self.node(*node, kind, module, copy, index, problems) };
                self.world.values[*node].push(value);
            }
        }
        self.finish(problems);
    }

    fn node(
        &mut self,
        node: usize,
        kind: Kind,
        module: usize,
        copy: usize,
        index: usize,
        problems: &mut Diagnostics,
    ) -> Option<Value> {
        let place = Place { module, copy, each: ONCE };
        let text = Rc::clone(&self.world.modules[module].text);
        let declared = &text.declared;
        let at = At { world: &self.world, place };
        match kind {
            Kind::Variable => self.variable(module, copy, index, problems),
            Kind::Local => {
                let (_, attribute) = declared.locals.get_index(index)?;
                at.value(&attribute.expr, problems)
            }
            Kind::Output => {
                let (name, block) = declared.outputs.get_index(index)?;
                check_output(name, block, problems);
                let (value, output) = output(name, block, &at, module == 0, problems)?;
                if module == 0 {
                    self.estate.outputs.insert(Arc::clone(name), output);
                }
                Some(value)
            }
            Kind::Call => {
                self.call(node, module, copy, index, problems);
                None
            }
            Kind::Instance => instance::evaluate(self, node, module, copy, index, problems),
            Kind::Host => {
                let (name, block) = declared.hosts.get_index(index)?;
                let (host, value) = host::decode(name, block, &at, problems);
                self.estate.hosts.insert(host.name.clone(), host);
                Some(value)
            }
            Kind::Environment => {
                let (name, block) = declared.environments.get_index(index)?;
                let environment = environment::decode(name, block, &at, &declared.environments, problems);
                self.estate.environments.insert(environment.name.clone(), environment);
                None
            }
            Kind::Release => {
                let block = declared.releases.get(index)?;
                self.estate.releases.extend(release::decode(block, &at, self.providers, problems));
                None
            }
            Kind::Waiver => {
                let block = declared.waivers.get(index)?;
                self.estate.waivers.extend(waiver::decode(block, &at, problems));
                None
            }
            Kind::Acknowledgement => {
                let block = declared.acknowledgements.get(index)?;
                self.estate.acknowledgements.extend(acknowledgement::decode(block, &at, problems));
                None
            }
            Kind::Drift => {
                let block = declared.drift.get(index)?;
                self.estate.drift = drift::decode(block, &at, problems);
                None
            }
            Kind::Backend => {
                let block = backends(declared).nth(index)?;
                let kind = block.labels.first()?.0.to_string();
                let settings = super::instance::plain_object(&block.body, &at, problems);
                self.estate.backend = Backend { kind, settings, span: Some(block.header_span()) };
                None
            }
        }
    }

    fn variable(&self, module: usize, copy: usize, index: usize, problems: &mut Diagnostics) -> Option<Value> {
        let used = &self.world.modules[module];
        let (name, variable) = used.text.variables.get_index(index)?;
        let Some(parent) = used.parent else { return self.inputs.get(name).cloned() };
        let call = self.world.modules[parent].text.declared.modules.get(&used.name)?;
        let Some(attribute) = call.body.attributes.get(name) else { return variable.default.clone() };
        let copy = &self.world.copies[module][copy];
        let place = Place { module: parent, copy: copy.parent, each: &copy.each };
        let value = self.world.eval(&attribute.expr, place, problems)?;
        let span = attribute.expr.span().unwrap_or(attribute.name_span);
        let value = match variable.fit(value) {
            Ok(value) => value,
            Err(reason) => {
                problems.push(
                    Diagnostic::error("invalid value for variable")
                        .detail(format!("input `{name}` of module `{}`: {reason}", used.name))
                        .help("give a value of the declared type")
                        .label(if variable.sensitive { call.header_span() } else { span }, "given here")
                        .label(variable.span, "declared here"),
                );
                return None;
            }
        };
        let env = crate::lang::Env { files: &used.folder, ..crate::lang::Env::pure(self.world.now) };
        variable.validate(&value, Some(span), &env, problems);
        Some(value)
    }

    /// Finds out which copies of a module there are.
    fn call(&mut self, node: usize, module: usize, copy: usize, child: usize, problems: &mut Diagnostics) {
        let used = &self.world.modules[child];
        let text = Rc::clone(&self.world.modules[module].text);
        let Some(block) = text.declared.modules.get(&used.name) else { return };
        let Some((repeat, copies)) = expand(&self.world, &block.body, module, copy, problems) else { return };
        let name = Arc::clone(&used.name);
        let path = self.world.copies[module][copy].path.clone();
        let first = self.world.copies[child].len();
        let expansion = match repeat {
            Repeat::Once => Expansion::Single(first),
            Repeat::Keys => Expansion::Keyed(
                copies
                    .iter()
                    .zip(first..)
                    .filter_map(|((_, each), at)| each.item.as_ref().map(|(key, _)| (Arc::clone(key), at)))
                    .collect(),
            ),
            Repeat::Count => Expansion::Indexed((first..first + copies.len()).collect()),
        };
        self.world.copies[child].extend(copies.into_iter().map(|(key, each)| {
            let part = key.map_or_else(|| name.to_string(), |key: InstanceKey| format!("{name}{key}"));
            Copy { path: path.iter().cloned().chain([part]).collect(), parent: copy, each }
        }));
        self.world.expansions.insert((node, copy), expansion);
    }

    /// What can be checked only when everything is there.
    fn finish(&mut self, problems: &mut Diagnostics) {
        environment::check_promotion(&self.estate.environments, problems);
        for instance in self.estate.instances.values_mut() {
            let environment = self.estate.environments.get(&instance.environment);
            instance.promote_from = environment.and_then(|environment| environment.promote_from.clone());
        }
        release::check_duplicates(&self.estate.releases, problems);
        instance::check_requirements(&self.estate, self.providers, problems);
        waiver::check(&self.estate, problems);
        drift::check(&self.estate, problems);
        acknowledgement::check(&self.estate, self.providers, problems);
    }
}

/// Reads an `output` block.
fn output(
    name: &str,
    block: &crate::lang::Block,
    at: &At<'_>,
    is_root: bool,
    problems: &mut Diagnostics,
) -> Option<(Value, Output)> {
    let what = format!("output `{name}`");
    let mut fields = super::fields::Fields { body: &block.body, what: &what, header: block.header_span(), evaluate: at, problems };
    let sensitive = fields.flag("sensitive");
    let description = fields.text("description").unwrap_or_default();
    let attribute = block.body.attributes.get("value")?;
    let value = at.value(&attribute.expr, problems)?;
    if is_root && !sensitive && value.has_sensitive() {
        problems.push(
            Diagnostic::error("sensitive output")
                .detail(format!("{what} is derived from something sensitive and would show it"))
                .help("add `sensitive = true`")
                .at(block.header_span()),
        );
        return None;
    }
    let value = if sensitive { value.sensitive() } else { value };
    Some((value.clone(), Output { value, description }))
}
