//! Secrets in places where others can read them, and texts in shell scripts that are not quoted.

use super::call::{Site, sites};
use super::placed;
use super::reach::{Reached, reached};
use crate::lang::{Expr, Type, Value};
use crate::model::provider::Provider;
use crate::source::{Diagnostic, Diagnostics};

/// Arguments that others see: driver, argument, who sees it.
const SEEN: &[(&str, &str, &str)] = &[
    ("exec", "command", "every user of the host sees it in the process list"),
    ("exec", "shell", "every user of the host sees it in the process list"),
    ("process", "command", "every user of the host sees it in the process list"),
    ("process", "shell", "every user of the host sees it in the process list"),
    ("wait", "command", "every user of the host sees it in the process list"),
    ("http", "url", "servers and proxies on the way write it to their logs"),
    ("http", "query", "servers and proxies on the way write it to their logs"),
];

/// Functions after which a text is harmless in a shell.
const QUOTING: &[&str] = &["shquote", "base64encode", "urlencode"];

/// What a path selects that is never more than a number or a file name.
const HARMLESS: &[(&str, &str)] = &[
    ("from", "major"),
    ("from", "minor"),
    ("from", "patch"),
    ("to", "major"),
    ("to", "minor"),
    ("to", "patch"),
    ("instance", "file_name"),
];

/// Checks every call.
pub(super) fn check(provider: &Provider, problems: &mut Diagnostics) {
    for site in sites(provider) {
        seen(provider, &site, problems);
        readable(provider, &site, problems);
        unquoted(provider, &site, problems);
    }
}

/// The secrets that get into a value.
fn secrets(provider: &Provider, expr: &Expr) -> Vec<Reached> {
    let mut found = reached(provider, expr, &[]);
    found.retain(|reached| {
        let table = &reached.reference;
        match (&*table.root, table.path.first()) {
            ("self", Some(name)) => provider.settings.get(name).is_some_and(|setting| setting.sensitive),
            // All settings at once.
            ("self", None) => provider.settings.values().any(|setting| setting.sensitive),
            ("fact", Some(name)) => provider.facts.get(name).is_some_and(|fact| fact.sensitive),
            _ => false,
        }
    });
    found
}

fn seen(provider: &Provider, Site { what, call }: &Site<'_>, problems: &mut Diagnostics) {
    for (driver, argument, who) in SEEN {
        let Some(expr) = call.args.get(*argument).filter(|_| call.driver.as_str() == *driver) else { continue };
        for secret in secrets(provider, expr) {
            let help = if *driver == "http" {
                "send it as `bearer`, `basic` or in `headers`"
            } else {
                "pass it through `secrets` (environment variables) or `stdin`"
            };
            let problem = Diagnostic::error("secret in the open")
                .detail(format!("{what} writes the secret `{}` into `{argument}` of `{driver}`: {who}", secret.text()))
                .help(help);
            problems.push(placed(problem, &[secret.span, expr.span(), call.span]));
        }
    }
}

/// A secret in a file that gets the usual mode, 0644.
fn readable(provider: &Provider, Site { what, call }: &Site<'_>, problems: &mut Diagnostics) {
    let argument = match call.driver.as_str() {
        "file" => "content",
        "template" => "values",
        _ => return,
    };
    let closed = call.args.get("mode").is_some_and(|mode| match mode.as_literal().and_then(Value::as_str) {
        Some(mode) => mode.ends_with('0'),
        // Made by an expression: somebody thought about it.
        None => true,
    });
    let Some(expr) = call.args.get(argument).filter(|_| !closed) else { return };
    if let Some(secret) = secrets(provider, expr).into_iter().next() {
        let problem = Diagnostic::warning("secret in a file that all may read")
            .detail(format!("{what} writes the secret `{}` into a file that every user of the host may read", secret.text()))
            .help("give the file a mode that ends in 0: `mode = \"0600\"`");
        problems.push(placed(problem, &[secret.span, expr.span(), call.span]));
    }
}

fn unquoted(provider: &Provider, Site { what, call }: &Site<'_>, problems: &mut Diagnostics) {
    let Some(expr) = call.args.get("shell") else { return };
    let dangerous: Vec<Reached> =
        reached(provider, expr, QUOTING).into_iter().filter(|reached| !harmless(provider, reached)).collect();
    let Some(first) = dangerous.first() else { return };
    let names: Vec<String> = dangerous.iter().map(|reached| format!("`{}`", reached.text())).collect();
    let problem = Diagnostic::warning("unquoted text in a shell script")
        .detail(format!(
            "{what} pastes {} into `shell`: a blank, a `$` or a `;` in it becomes part of the script",
            names.join(", ")
        ))
        .help("pass it through `environment` and write \"$NAME\" in the script, or use `command`, which needs no quoting");
    problems.push(placed(problem, &[first.span, expr.span(), call.span]));
}

fn harmless(provider: &Provider, reached: &Reached) -> bool {
    let (root, Some(name)) = (&*reached.reference.root, reached.reference.path.first()) else { return false };
    match root {
        "self" => provider.settings.get(name).is_some_and(|setting| matches!(setting.ty, Type::Number | Type::Bool)),
        _ => HARMLESS.contains(&(root, &**name)),
    }
}
