//! `windlass output` and `windlass console`: values of the configuration.

use std::collections::BTreeMap;

use crate::cli::args::{ConsoleArgs, OutputArgs, TextOrJson};
use crate::cli::exit::Exit;
use crate::cli::session::{Place, on_a_deep_stack};
use crate::lang::{Env, Expr, Value, Vars, render};
use crate::model::estate::{Estate, Output};
use crate::source::{Diagnostic, Diagnostics, nearest};

/// Runs `output`.
pub(in crate::cli) fn output(args: &OutputArgs, place: &mut Place) -> Result<Exit, Diagnostics> {
    let Estate { outputs, .. } = place.load(&args.variables, false)?.estate;
    let terminal = place.terminal;
    if let Some(name) = &args.name {
        let Some(Output { value, .. }) = outputs.get(name.as_str()) else {
            let unknown = Diagnostic::error("unknown output").detail(format!("the root module has no output `{name}`"));
            let near = nearest(name, outputs.keys().map(|known| &**known)).map(|near| format!("did you mean `{near}`?"));
            return Err(unknown.help(near.unwrap_or_else(|| "`windlass output` lists all".to_owned())).into());
        };
        // Asked for by name, a sensitive value is printed: that is how a pipeline gets at it, as with Terraform.
        let plain = value.revealed();
        terminal.data(&match (&plain, args.format) {
            (Value::String(text), TextOrJson::Human) => format!("{text}\n"),
            (other, TextOrJson::Human) => format!("{}\n", render::text(other)),
            (other, TextOrJson::Json) => format!("{}\n", serde_json::json!(other)),
        });
        return Ok(Exit::Done);
    }
    match args.format {
        TextOrJson::Json => {
            let all: serde_json::Map<String, serde_json::Value> = outputs
                .iter()
                .map(|(name, output)| {
                    (name.to_string(), serde_json::json!({ "value": output.value, "description": output.description }))
                })
                .collect();
            terminal.data(&format!("{:#}\n", serde_json::Value::Object(all)));
        }
        TextOrJson::Human => {
            for (name, output) in &outputs {
                terminal.data(&format!("{name} = {}\n", render::pretty(&output.value)));
            }
        }
    }
    Ok(Exit::Done)
}

/// Runs `console`: one expression, or one a line from standard input.
pub(in crate::cli) fn console(args: &ConsoleArgs, place: &mut Place) -> Result<Exit, Diagnostics> {
    let loaded = place.load(&args.variables, false)?;
    let scope = scope(&loaded.estate);
    let now = place.now;
    let mut problems = Diagnostics::new();
    let lines: Vec<String> = match &args.expression {
        Some(expression) => vec![expression.clone()],
        None => std::io::stdin().lines().map_while(Result::ok).collect(),
    };
    for line in lines.iter().filter(|line| !line.trim().is_empty()) {
        let value = on_a_deep_stack(|| Expr::parse(line).and_then(|expr| expr.eval(&scope, &Env::pure(now))));
        if let Some(value) = problems.take(value) {
            place.terminal.data(&format!("{}\n", render::pretty(&value)));
        }
    }
    problems.unless_errors(Exit::Done).map(|(exit, _)| exit)
}

/// Instances of one declaration by their keys, as written between the brackets; empty for a single one.
type Keyed<'a> = Vec<(&'a str, Value)>;

/// What an expression at the console sees: instances of the root module as the configuration sees them, environments, outputs.
fn scope(estate: &Estate) -> Vars {
    let mut providers: BTreeMap<&str, BTreeMap<&str, Keyed<'_>>> = BTreeMap::new();
    for instance in estate.instances.values() {
        let Some(rest) = instance.addr.as_str().strip_prefix(instance.provider.as_str()).and_then(|rest| rest.strip_prefix('.'))
        else {
            // Of a module: not to be seen from the root.
            continue;
        };
        let (name, key) = rest.split_once('[').unwrap_or((rest, ""));
        let value = Value::object([
            ("address", Value::string(instance.addr.as_str())),
            ("name", Value::string(name)),
            ("provider", Value::string(instance.provider.as_str())),
            ("environment", Value::string(instance.environment.as_str())),
            ("host", instance.host.as_ref().map_or(Value::Null, |host| Value::string(host.as_str()))),
            ("version", Value::String(instance.version.clone())),
            ("settings", Value::Object(instance.settings.clone())),
        ]);
        providers.entry(instance.provider.as_str()).or_default().entry(name).or_default().push((key.trim_end_matches(']'), value));
    }
    let instances =
        Value::object(providers.into_iter().map(|(provider, names)| {
            (provider, Value::object(names.into_iter().map(|(name, instances)| (name, many(instances)))))
        }));
    let outputs = Value::object(estate.outputs.iter().map(|(name, output)| (name, output.value.clone())));
    let environments = Value::object(estate.environments.keys().map(|name| (name.as_str(), Value::string(name.as_str()))));
    Vars::new([("instance", instances), ("output", outputs), ("environment", environments)])
}

/// One instance as it is, those of `count` as a list, those of `for_each` by their keys.
fn many(mut instances: Keyed<'_>) -> Value {
    if let [("", _)] = instances.as_slice() {
        return instances.remove(0).1;
    }
    if instances.iter().all(|(key, _)| key.parse::<u64>().is_ok()) {
        instances.sort_by_key(|(key, _)| key.parse::<u64>().unwrap_or_default());
        return Value::List(instances.into_iter().map(|(_, value)| value).collect::<Vec<_>>().into());
    }
    let plain = |key: &str| serde_json::from_str::<String>(key).unwrap_or_else(|_| key.to_owned());
    Value::object(instances.into_iter().map(|(key, value)| (plain(key), value)))
}
