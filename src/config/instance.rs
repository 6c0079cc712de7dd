//! `instance "PROVIDER" "NAME" { … }`: one deployed product, or several where it is repeated.
//!
//! What does not depend on the copy (unknown settings, missing ones, the order of defaults) is looked at once for a block; each copy
//! then costs its own expressions and nothing else.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use super::dependency::Dependencies;
use super::digest::settings_digest;
use super::evaluate::{At, Evaluation};
use super::fields::{Evaluate, Fields, Shape, no_labels, suggestion, unknown_block};
use super::host::localhost;
use super::repeat::{Repeat, expand};
use super::setting;
use super::world::{Kind, Place};
use crate::lang::{Attribute, Block, Body, Object, Value};
use crate::model::backup::BackupPolicy;
use crate::model::estate::{Estate, Instance, Requirement};
use crate::model::name::{EnvironmentName, HostName, InstanceAddr, InstanceKey, ProviderName, StrategyName};
use crate::model::provider::Provider;
use crate::model::version::{Version, VersionReq};
use crate::source::{Diagnostic, Diagnostics, Span, nearest};

/// Attributes that are not settings.
pub(super) const RESERVED: &[&str] = &["environment", "host", "version", "strategy", "depends_on", "for_each", "count"];

/// Blocks of an instance.
const BLOCKS: &[&str] = &["backup", "requires"];

/// Evaluates one instance block for one copy of its module: fills the estate, and gives what expressions see of it.
pub(super) fn evaluate(
    evaluation: &mut Evaluation<'_>,
    node: usize,
    module: usize,
    copy: usize,
    index: usize,
    problems: &mut Diagnostics,
) -> Option<Value> {
    let text = Rc::clone(&evaluation.world.modules[module].text);
    let (_, declared) = text.declared.instances.get_index(index)?;
    let body = &declared.block.body;
    let what = format!("instance `{}.{}`", declared.provider.0, declared.name);
    let provider = evaluation.providers.get(&*declared.provider.0).cloned();
    let mut found = Diagnostics::new();
    check_names(body, &what, provider.as_deref(), declared.block.header_span(), &mut found);
    let expanded = expand(&evaluation.world, body, module, copy, &mut found);
    let order = provider.as_ref().map(|provider| evaluation.setting_order(provider));
    let (Some(provider), Some((repeat, copies)), Some(order)) = (provider, expanded, order) else {
        problems.extend(found);
        return None;
    };
    let dependencies = Dependencies::of(evaluation, node, module, body, &mut found);
    let path = evaluation.world.copies[module][copy].path.clone();
    let block =
        BlockContext { what, body, header: declared.block.header_span(), provider: &provider, order: &order, name: &declared.name };
    let mut addresses = Vec::with_capacity(copies.len());
    let mut made: Vec<(Option<InstanceKey>, Instance, Value)> = Vec::with_capacity(copies.len());
    let mut complete = true;
    let mut told: HashSet<(String, Option<Span>)> = HashSet::new();
    for (key, each) in copies {
        let address = InstanceAddr::new(&path, &provider.name, &declared.name, key.as_ref());
        let at = At { world: &evaluation.world, place: Place { module, copy, each: &each } };
        let mut own = Diagnostics::new();
        match one(&block, &at, evaluation, &address, key.as_ref(), &mut own) {
            Some((mut instance, value)) => {
                instance.depends_on = dependencies.resolve(evaluation, &at, &address);
                addresses.push((key.as_ref().map(|key| Arc::from(key_text(key))), address));
                made.push((key, instance, value));
            }
            None => complete = false,
        }
        // Ten thousand copies with one mistake are one mistake.
        found.extend(
            own.into_iter()
                .filter(|problem| told.insert((problem.summary.clone(), problem.labels.first().map(|label| label.span)))),
        );
    }
    complete &= !found.has_errors();
    // Looked up by key.
    addresses.sort_unstable();
    problems.extend(found);
    evaluation.world.addresses.insert((node, copy), addresses);
    let value = match repeat {
        Repeat::Once => made.first().map(|(_, _, value)| value.clone()),
        Repeat::Count => Some(Value::list(made.iter().map(|(_, _, value)| value.clone()))),
        Repeat::Keys => {
            let object: Object =
                made.iter().filter_map(|(key, _, value)| Some((Arc::from(key_text(key.as_ref()?)), value.clone()))).collect();
            Some(Value::Object(Arc::new(object)))
        }
    };
    evaluation.estate.instances.extend(made.into_iter().map(|(_, instance, _)| (instance.addr.clone(), instance)));
    value.filter(|_| complete)
}

fn key_text(key: &InstanceKey) -> String {
    match key {
        InstanceKey::Index(index) => index.to_string(),
        InstanceKey::Key(key) => key.to_string(),
    }
}

/// What all copies of a block share.
struct BlockContext<'a> {
    what: String,
    body: &'a Body,
    header: Span,
    provider: &'a Arc<Provider>,
    order: &'a [usize],
    name: &'a str,
}

/// Names that are neither reserved nor settings, and required settings that are missing.
fn check_names(body: &Body, what: &str, provider: Option<&Provider>, header: Span, problems: &mut Diagnostics) {
    for name in ["environment", "version"] {
        if !body.attributes.contains_key(name) {
            problems.push(
                Diagnostic::error("missing attribute")
                    .detail(format!("{what} needs `{name}`"))
                    .help(format!("add `{name} = …`"))
                    .at(header),
            );
        }
    }
    for block in &body.blocks {
        if !BLOCKS.contains(&&*block.ident) {
            let known = provider.is_some_and(|provider| provider.settings.contains_key(&block.ident));
            let settings: Vec<&str> = if known { vec![&*block.ident] } else { RESERVED.to_vec() };
            problems.push(unknown_block(block, &Shape { what, attributes: &settings, blocks: BLOCKS }));
        }
    }
    let Some(provider) = provider else { return };
    for (name, attribute) in &body.attributes {
        if RESERVED.contains(&&**name) || provider.settings.contains_key(name) {
            continue;
        }
        problems.push(unknown_setting(name, attribute, what, provider));
    }
    for (name, setting) in &provider.settings {
        if setting.required && setting.default.is_none() && !body.attributes.contains_key(name) {
            let meaning = if setting.description.is_empty() { String::new() } else { format!(": {}", setting.description) };
            problems.push(
                Diagnostic::error("missing setting")
                    .detail(format!("{what} needs the setting `{name}` of provider `{}`{meaning}", provider.name))
                    .help(format!("add `{name} = …`"))
                    .at(header),
            );
        }
    }
}

fn unknown_setting(name: &str, attribute: &Attribute, what: &str, provider: &Provider) -> Diagnostic {
    let settings = provider.settings.keys().map(|setting| &**setting);
    let help = match nearest(name, settings.clone().chain(RESERVED.iter().copied())) {
        Some(near) => format!("did you mean `{near}`?"),
        None if BLOCKS.contains(&name) => format!("`{name}` is a block: write `{name} {{ … }}` without `=`"),
        None => suggestion(name, &settings.collect::<Vec<_>>()),
    };
    Diagnostic::error("unknown setting")
        .detail(format!("provider `{}` has no setting `{name}`, which {what} uses", provider.name))
        .help(help)
        .at(attribute.name_span)
}

/// Evaluates one copy.
fn one(
    block: &BlockContext<'_>,
    at: &At<'_>,
    evaluation: &Evaluation<'_>,
    address: &InstanceAddr,
    key: Option<&InstanceKey>,
    problems: &mut Diagnostics,
) -> Option<(Instance, Value)> {
    let BlockContext { what, body, header, provider, order, name } = block;
    let root = &evaluation.world.modules[0].text.declared;
    let mut fields = Fields { body, what, header: *header, evaluate: at, problems };
    let environment = fields.text("environment");
    if let Some(environment) = environment.as_deref().filter(|environment| !root.environments.contains_key(*environment)) {
        let known: Vec<&str> = root.environments.keys().map(|name| &**name).collect();
        fields.wrong("environment", format!("there is no environment `{environment}`"), suggestion(environment, &known));
    }
    let found_host = host(&mut fields, evaluation);
    let placed = found_host.is_some();
    let (host, host_value) = found_host.unwrap_or_else(|| (None, localhost()));
    let version = version(&mut fields, provider);
    let strategy = fields.text("strategy");
    if let Some(strategy) = strategy.as_deref().filter(|strategy| !provider.strategies.contains_key(*strategy)) {
        let known: Vec<&str> = provider.strategies.keys().map(StrategyName::as_str).collect();
        fields.wrong(
            "strategy",
            format!("provider `{}` has no strategy `{strategy}`", provider.name),
            suggestion(strategy, &known),
        );
    }
    let backup = match fields.block("backup") {
        Some(inner) => Value::Object(Arc::new(plain_object(&inner.body, at, fields.problems))),
        None => Value::Null,
    };
    if let Some(block) = body.blocks.iter().find(|inner| &*inner.ident == "backup") {
        for problem in BackupPolicy::read(&backup).1 {
            let help = "the standard keys are in the reference of the configuration; all others are the provider's";
            fields.problems.push(Diagnostic::error("invalid backup").detail(problem).help(help).at(block.ident_span));
        }
    }
    let mut requires = Vec::new();
    for inner in body.blocks.iter().filter(|inner| &*inner.ident == "requires") {
        requires.extend(requirement(inner, what, at, fields.problems));
    }
    let known_environment = environment.is_some();
    let environment = environment.unwrap_or_default();
    let about = Value::object([
        ("address", Value::string(address.as_str())),
        ("name", Value::string(name)),
        ("provider", Value::string(provider.name.as_str())),
        ("environment", Value::string(&environment)),
        ("key", key.map_or(Value::Null, |key| Value::string(key_text(key)))),
        ("file_name", Value::string(address.file_name())),
    ]);
    let surroundings =
        setting::Surroundings { instance: about, host: host_value.clone(), backup: backup.clone(), now: evaluation.world.now };
    let settings = setting::evaluate(provider, order, body, *header, at, &surroundings, problems)?;
    if !placed || !known_environment {
        return None;
    }
    let settings = Arc::new(settings);
    let version = version?;
    let value = Value::object([
        ("address", Value::string(address.as_str())),
        ("name", Value::string(name)),
        ("provider", Value::string(provider.name.as_str())),
        ("environment", Value::string(&environment)),
        ("key", key.map_or(Value::Null, |key| Value::string(key_text(key)))),
        ("version", Value::String(Arc::clone(&version))),
        ("host", host_value),
        ("settings", Value::Object(Arc::clone(&settings))),
    ]);
    let instance = Instance {
        addr: address.clone(),
        provider: provider.name.clone(),
        environment: EnvironmentName::new(&environment),
        // Known once every environment is.
        promote_from: None,
        settings_digest: settings_digest(host.as_ref(), &settings),
        seals: std::collections::BTreeMap::new(),
        host,
        version,
        version_span: body.attributes.get("version").and_then(|attribute| attribute.expr.span()),
        strategy: strategy.as_deref().map(StrategyName::new),
        settings,
        backup,
        depends_on: Vec::new(),
        requires,
        span: Some(*header),
    };
    Some((instance, value))
}

/// The host that an instance is on, and what expressions see of it. `None`: wrong, and told.
fn host(fields: &mut Fields<'_>, evaluation: &Evaluation<'_>) -> Option<(Option<HostName>, Value)> {
    if !fields.has("host") {
        return Some((None, localhost()));
    }
    let before = fields.problems.len();
    let Some(value) = fields.value("host") else {
        // Null means this machine; what could not be evaluated was told or is poisoned.
        let literal_null = fields.problems.len() == before && !evaluation.world.poisoned.get();
        return literal_null.then(|| (None, localhost()));
    };
    let name = match &value {
        Value::String(name) => Some(Arc::clone(name)),
        Value::Object(object) => object.get("name").and_then(Value::as_str).map(Arc::from),
        _ => None,
    };
    let Some(name) = name else {
        fields.wrong("host", format!("it is a host, not {}", value.kind()), "write `host = host.NAME`");
        return None;
    };
    let hosts = &evaluation.world.modules[0].text.declared.hosts;
    let Some(index) = hosts.get_index_of(&*name) else {
        let known: Vec<&str> = hosts.keys().map(|name| &**name).collect();
        fields.wrong("host", format!("there is no host `{name}`"), suggestion(&name, &known));
        return None;
    };
    let value = evaluation.world.values[evaluation.world.node(0, Kind::Host, index)].first().cloned().flatten()?;
    Some((Some(HostName::new(&*name)), value))
}

/// The version or constraint, as written.
fn version(fields: &mut Fields<'_>, provider: &Provider) -> Option<Arc<str>> {
    if let Some(Value::Number(_)) = fields.value("version") {
        fields.wrong("version", "versions are texts: 1.10 and 1.1 would be the same number", "put it in quotes");
        return None;
    }
    let text = fields.required_text("version")?;
    let text = text.trim();
    if Version::parse(text, &provider.scheme).is_err()
        && let Err(error) = VersionReq::parse(text, &provider.scheme)
    {
        let span = fields.span("version");
        fields.problems.push(error.diagnostic("invalid version", span));
        return None;
    }
    Some(Arc::from(text))
}

fn requirement(block: &Block, owner: &str, evaluate: &dyn Evaluate, problems: &mut Diagnostics) -> Option<Requirement> {
    no_labels(block, problems);
    let what = format!("`requires` of {owner}");
    super::fields::check_shape(
        &block.body,
        &Shape { what: &what, attributes: &["instance", "version", "reason"], blocks: &[] },
        problems,
    );
    let mut fields = Fields { body: &block.body, what: &what, header: block.ident_span, evaluate, problems };
    if fields.expr("instance").is_none() {
        fields.required_expr("instance");
    }
    let instance = address(&mut fields, "instance");
    let version = fields.required_text("version");
    let reason = fields.text("reason").unwrap_or_default();
    Some(Requirement { instance: instance?, version: Arc::from(version?), reason, span: Some(block.ident_span) })
}

/// The address of the instance that an attribute names, by reference or as text.
pub(super) fn address(fields: &mut Fields<'_>, name: &str) -> Option<InstanceAddr> {
    let value = fields.value(name)?;
    match &value {
        Value::String(text) => return Some(InstanceAddr::from_text(text.strip_prefix("instance.").unwrap_or(text))),
        Value::Object(object) => match object.get("address") {
            Some(Value::String(text)) => return Some(InstanceAddr::from_text(text)),
            _ => {
                fields.wrong(name, "it names a repeated block, not one instance", "add the key: `instance.PROVIDER.NAME[\"key\"]`")
            }
        },
        other => fields.wrong(name, format!("it is an instance, not {}", other.kind()), "write `instance.PROVIDER.NAME`"),
    }
    None
}

/// A block with free attributes as an object.
pub(super) fn plain_object(body: &Body, evaluate: &dyn Evaluate, problems: &mut Diagnostics) -> Object {
    let mut object = Object::new();
    for (name, attribute) in &body.attributes {
        if let Some(value) = evaluate.value(&attribute.expr, problems) {
            object.insert(Arc::clone(name), value);
        }
    }
    for block in &body.blocks {
        if let Some(value) = plain_value(block, evaluate, problems) {
            object.insert(Arc::clone(&block.ident), value);
        }
    }
    object
}

/// A nested block with free attributes as an object.
pub(super) fn plain_value(block: &Block, evaluate: &dyn Evaluate, problems: &mut Diagnostics) -> Option<Value> {
    no_labels(block, problems);
    Some(Value::Object(Arc::new(plain_object(&block.body, evaluate, problems))))
}

/// Requirements must name instances that are there, and versions that their providers can read.
pub(super) fn check_requirements(estate: &Estate, providers: &BTreeMap<ProviderName, Arc<Provider>>, problems: &mut Diagnostics) {
    let mut told = BTreeSet::new();
    for instance in estate.instances.values() {
        for requirement in &instance.requires {
            let problem = match estate.instances.get(&requirement.instance) {
                None => Diagnostic::error("unknown instance")
                    .detail(format!("`{}` requires `{}`, which is not there", instance.addr, requirement.instance))
                    .help("name an instance of the configuration: `instance = instance.PROVIDER.NAME`"),
                Some(other) => {
                    let Some(provider) = providers.get(&other.provider) else { continue };
                    let Err(error) = VersionReq::parse(&requirement.version, &provider.scheme) else { continue };
                    Diagnostic::error("invalid version")
                        .detail(format!("`{}` requires of `{}`: {error}", instance.addr, other.addr))
                        .help(error.help)
                }
            };
            if told.insert(requirement.span) {
                problems.push(match requirement.span {
                    Some(span) => problem.at(span),
                    None => problem,
                });
            }
        }
    }
}
