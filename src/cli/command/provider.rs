//! `windlass provider`: the providers within reach, what they say, what is wrong with them; and the drivers that they call.

use std::sync::Arc;

use super::provider_new;
use crate::cli::args::{ProviderCommand, TextOrJson};
use crate::cli::exit::Exit;
use crate::cli::session::Place;
use crate::config::lint;
use crate::model::driver::DriverSchema;
use crate::model::name::ProviderName;
use crate::model::provider::Provider;
use crate::source::{Diagnostic, Diagnostics, nearest};
use crate::view::{driver_text, drivers_json, drivers_text, provider_json, provider_text, providers_text};

/// Runs a command of the family.
pub(in crate::cli) fn run(command: &ProviderCommand, place: &mut Place) -> Result<Exit, Diagnostics> {
    let terminal = place.terminal;
    match command {
        ProviderCommand::List => return list(place),
        ProviderCommand::Show { name, format } => {
            let provider = load(name, place)?;
            terminal.data(&match format {
                TextOrJson::Human => provider_text(&provider, terminal.out),
                TextOrJson::Json => format!("{:#}\n", provider_json(&provider)),
            });
        }
        ProviderCommand::Check { name } => return check(name, place),
        ProviderCommand::New { name } => {
            for path in provider_new::run(name, &place.root)? {
                terminal.data(&format!("{}\n", path.display()));
            }
            terminal.say(&format!("Fit it to the product; `windlass provider check {name}` looks for mistakes and dangers."));
        }
        ProviderCommand::Drivers { name, format } => {
            let schemas = place.schemas();
            let chosen = match name {
                Some(name) => vec![driver(name, &schemas)?],
                None => schemas,
            };
            terminal.data(&match (format, name, chosen.first()) {
                (TextOrJson::Json, ..) => format!("{:#}\n", drivers_json(&chosen)),
                (TextOrJson::Human, Some(_), Some(schema)) => driver_text(schema, terminal.out),
                (TextOrJson::Human, ..) => drivers_text(&chosen, terminal.out),
            });
        }
    }
    Ok(Exit::Done)
}

/// One line each. Those that cannot be loaded are listed all the same, and what is wrong with them is said.
fn list(place: &mut Place) -> Result<Exit, Diagnostics> {
    let mut problems = Diagnostics::new();
    let mut rows = Vec::new();
    for (name, found) in place.provider_names() {
        // One by one: what is wrong with one is no reason not to list the others.
        let loaded = place.providers(std::slice::from_ref(&name));
        let provider = problems.take(loaded).and_then(|mut loaded| loaded.remove(&name));
        rows.push((name, found, provider));
    }
    place.terminal.data(&providers_text(&rows, place.terminal.out));
    problems.unless_errors(Exit::Done).map(|(exit, _)| exit)
}

fn load(name: &str, place: &mut Place) -> Result<Arc<Provider>, Diagnostics> {
    let name = ProviderName::new(name);
    let mut loaded = place.providers(std::slice::from_ref(&name))?;
    let missing = || {
        Diagnostic::error("provider not found")
            .detail(format!("`{name}` was not loaded"))
            .help("`windlass provider list` lists all")
    };
    loaded.remove(&name).ok_or_else(|| missing().into())
}

/// Exit code 1 for errors alone: whether a warning matters, a person decides.
fn check(name: &str, place: &mut Place) -> Result<Exit, Diagnostics> {
    let provider = load(name, place)?;
    let (_, warnings) = lint(&provider).unless_errors(())?;
    place.terminal.problems(&warnings, &place.sources);
    let found = match warnings.len() {
        0 => "nothing to complain of".to_owned(),
        1 => "1 warning".to_owned(),
        many => format!("{many} warnings"),
    };
    place.terminal.data(&format!("{} {}: {found}.\n", provider.name, provider.version));
    Ok(Exit::Done)
}

fn driver(name: &str, schemas: &[DriverSchema]) -> Result<DriverSchema, Diagnostic> {
    schemas.iter().find(|schema| schema.name == name).copied().ok_or_else(|| {
        let near = nearest(name, schemas.iter().map(|schema| schema.name)).map(|near| format!("did you mean `{near}`?"));
        Diagnostic::error("unknown driver")
            .detail(format!("there is no driver `{name}`"))
            .help(near.unwrap_or_else(|| "`windlass provider drivers` lists all".to_owned()))
    })
}
