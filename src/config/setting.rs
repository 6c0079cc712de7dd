//! Settings of an instance: given values converted and marked, defaults of the provider filled in, conditions checked.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use jiff::Timestamp;

use super::evaluate::Evaluation;
use super::fields::Evaluate;
use super::variable::said;
use crate::lang::{Body, Env, Expr, Object, Scope, Value};
use crate::model::provider::{Provider, Setting};
use crate::source::{Diagnostic, Diagnostics, Span};

/// What provider expressions see besides `self`.
pub(super) struct Surroundings {
    /// `instance`.
    pub(super) instance: Value,
    /// `host`.
    pub(super) host: Value,
    /// `self.backup`.
    pub(super) backup: Value,
    /// What `timestamp()` answers.
    pub(super) now: Timestamp,
}

/// `self`, `instance` and `host`.
struct Own<'a> {
    settings: &'a Object,
    around: &'a Surroundings,
    /// Set when a setting was asked for that could not be had; why is told already.
    poisoned: Cell<bool>,
}

impl<'a> Own<'a> {
    fn new(settings: &'a Object, around: &'a Surroundings) -> Self {
        Self { settings, around, poisoned: Cell::new(false) }
    }

    /// The value of an expression of the provider.
    fn eval(&self, expr: &Expr, env: &Env<'_>, problems: &mut Diagnostics) -> Option<Value> {
        match expr.eval(self, env) {
            Ok(value) => Some(value),
            Err(_) if self.poisoned.get() => None,
            Err(found) => {
                problems.extend(found);
                None
            }
        }
    }
}

impl Scope for Own<'_> {
    fn resolve(&self, root: &str, path: &[&str]) -> Option<Result<(Value, usize), String>> {
        match root {
            "self" => Some(match path.first() {
                Some(&"backup") => Ok((self.around.backup.clone(), 1)),
                Some(name) => match self.settings.get(*name) {
                    Some(value) => Ok((value.clone(), 1)),
                    // The provider was checked: the setting is there, and its value is what is wrong.
                    None => {
                        self.poisoned.set(true);
                        Err("it has a problem that is reported elsewhere".to_owned())
                    }
                },
                None => Ok((Value::Object(Arc::new(self.settings.clone())), 0)),
            }),
            "instance" => Some(Ok((self.around.instance.clone(), 0))),
            "host" => Some(Ok((self.around.host.clone(), 0))),
            _ => None,
        }
    }

    fn names(&self) -> Vec<String> {
        ["self", "instance", "host"].map(str::to_owned).to_vec()
    }
}

impl Evaluation<'_> {
    /// The order in which a provider's settings are computed.
    pub(super) fn setting_order(&mut self, provider: &Provider) -> Rc<[usize]> {
        let known = self.setting_orders.entry(provider.name.clone());
        Rc::clone(known.or_insert_with(|| order(provider).into()))
    }
}

/// Settings such that a default comes after what it uses. The provider was checked for cycles when it was loaded.
fn order(provider: &Provider) -> Vec<usize> {
    let uses: BTreeMap<usize, Vec<usize>> = provider
        .settings
        .values()
        .enumerate()
        .map(|(index, setting)| {
            let references = setting.default.as_ref().map(crate::lang::Expr::references).unwrap_or_default();
            let used = references.iter().filter(|reference| &*reference.root == "self");
            (index, used.filter_map(|reference| provider.settings.get_index_of(reference.path.first()?)).collect())
        })
        .collect();
    let mut sorted = Vec::with_capacity(uses.len());
    let mut seen = vec![false; uses.len()];
    for start in 0..uses.len() {
        let mut path = vec![(start, 0)];
        while let Some((index, next)) = path.last_mut() {
            if *next == 0 && seen[*index] {
                path.pop();
                continue;
            }
            seen[*index] = true;
            match uses[index].get(*next) {
                Some(used) => {
                    *next += 1;
                    if !seen[*used] {
                        path.push((*used, 0));
                    }
                }
                None => {
                    sorted.push(*index);
                    path.pop();
                }
            }
        }
    }
    sorted
}

/// Computes all settings of one instance. `None`: some cannot be had, and why is told.
pub(super) fn evaluate(
    provider: &Provider,
    order: &[usize],
    body: &Body,
    header: Span,
    evaluate: &dyn Evaluate,
    around: &Surroundings,
    problems: &mut Diagnostics,
) -> Option<Object> {
    let env = Env::pure(around.now);
    let mut settings = Object::new();
    let mut complete = true;
    for index in order {
        let Some((name, setting)) = provider.settings.get_index(*index) else { continue };
        let given = body.attributes.get(name);
        let mut value = Value::Null;
        if let Some(attribute) = given {
            match evaluate.value(&attribute.expr, problems) {
                Some(found) => value = found,
                None => {
                    complete = false;
                    continue;
                }
            }
        }
        // What a secret is written as must not be quoted.
        let place = given.and_then(|attribute| attribute.expr.span()).filter(|_| !setting.sensitive).unwrap_or(header);
        let mut origin = place;
        if value.is_null()
            && let Some(default) = &setting.default
        {
            origin = setting.span.or(default.span()).unwrap_or(place);
            match Own::new(&settings, around).eval(default, &env, problems) {
                Some(found) => value = found,
                None => {
                    complete = false;
                    continue;
                }
            }
        }
        if value.is_null() && setting.required {
            // A setting that is not written at all was told for the block.
            if given.is_some() || setting.default.is_some() {
                problems.push(
                    Diagnostic::error("missing setting")
                        .detail(format!("the setting `{name}` of provider `{}` is null, and it is required", provider.name))
                        .help("give it a value")
                        .at(place),
                );
            }
            complete = false;
            continue;
        }
        let value = if setting.sensitive && !value.is_null() { value.sensitive() } else { value };
        match setting.ty.convert(&value) {
            Ok(value) => {
                settings.insert(Arc::clone(name), value);
            }
            Err(reason) => {
                complete = false;
                problems.push(
                    Diagnostic::error("invalid setting")
                        .detail(format!("`{name}` of provider `{}`: {reason}", provider.name))
                        .help(help(setting))
                        .at(origin),
                );
            }
        }
    }
    if !complete {
        return None;
    }
    for (name, setting) in &provider.settings {
        if settings.get(name).is_none_or(Value::is_null) {
            continue;
        }
        let attribute = body.attributes.get(name);
        let place = attribute.and_then(|attribute| attribute.expr.span()).filter(|_| !setting.sensitive).unwrap_or(header);
        complete &= validate(name, setting, &settings, around, place, &env, problems);
    }
    complete.then_some(settings)
}

fn help(setting: &Setting) -> String {
    if setting.description.is_empty() { "give a value of the declared type".to_owned() } else { setting.description.clone() }
}

fn validate(
    name: &str,
    setting: &Setting,
    settings: &Object,
    around: &Surroundings,
    place: Span,
    env: &Env<'_>,
    problems: &mut Diagnostics,
) -> bool {
    let scope = Own::new(settings, around);
    for validation in &setting.validations {
        let Some(outcome) = scope.eval(&validation.condition, env, problems) else { return false };
        if matches!(outcome.unmark().0, Value::Bool(true) | Value::Unknown) {
            continue;
        }
        let message = scope.eval(&validation.message, env, problems).map_or_else(String::new, |message| said(&message));
        problems.push(
            Diagnostic::error("invalid setting")
                .detail(format!("`{name}`: {message}"))
                .help(help(setting))
                .label(place, "given here"),
        );
        return false;
    }
    true
}
