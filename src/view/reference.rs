//! The generated parts of the reference, as Markdown: functions, drivers, commands.
//!
//! Takes the tables that evaluation and the checks of providers read, so that the reference cannot say anything else than the
//! program does. `tests/it/generated.rs` compares the files in `docs/` with what is rendered here.

use std::fmt::Write as _;

use crate::lang::function::{Function, Kind};
use crate::model::driver::{ArgSchema, DriverSchema};

/// The functions that the evaluator itself knows, because they look at how a value is had and not only at the value: name,
/// signature, one sentence, example.
const SPECIAL: [(&str, &str, &str, &str); 5] = [
    (
        "can",
        "can(expression)",
        "Tells whether an expression can be evaluated without an error.",
        "can(tonumber(\"x\"))            # false",
    ),
    (
        "issensitive",
        "issensitive(value)",
        "Tells whether a value is sensitive or holds something that is.",
        "issensitive(sensitive(\"x\"))    # true",
    ),
    (
        "nonsensitive",
        "nonsensitive(value)",
        "Takes the mark off a sensitive value. Whoever writes it answers for the value being no secret.",
        "nonsensitive(sensitive(\"x\"))   # \"x\"",
    ),
    (
        "sensitive",
        "sensitive(value)",
        "Marks a value: no plan, lockfile, journal, log, report or error shows it.",
        "sensitive(\"x\")                # a marked \"x\"",
    ),
    (
        "try",
        "try(expression, alternative…)",
        "Gives the first of its arguments that can be evaluated without an error.",
        "try(tonumber(\"x\"), 5)         # 5",
    ),
];

/// Families in the order of the reference, with their titles.
const FAMILIES: [(&str, &str); 9] = [
    ("string", "Strings"),
    ("collection", "Collections"),
    ("numeric", "Numbers"),
    ("encoding", "Encoding"),
    ("filesystem", "Files"),
    ("hash", "Digests"),
    ("time", "Time"),
    ("type", "Types"),
    ("version", "Versions"),
];

/// The reference of the function library.
#[must_use]
pub fn functions_markdown(functions: &[&Function]) -> String {
    let mut text = String::from(
        "# Functions\n\n\
         Generated from the program's own table; every example is run as a test.\n\n\
         Arguments are converted to the kind that a parameter takes (`\"3\"` to a number) where that loses nothing. Where an argument \
         is sensitive, the result is. Where an argument is not known yet, neither is the result. The time is that of planning and \
         the same in the whole plan. Files are read relative to the module's folder and only in the configuration, not in the \
         expressions that a plan carries to apply.\n\n\
         Parameters in brackets may be left out; `…` takes any number.\n",
    );
    text.push_str("\n## Errors and secrets\n\nThese five decide themselves what of their arguments is evaluated.\n");
    for (name, signature, summary, example) in SPECIAL {
        let _ = write!(text, "\n### {name}\n\n`{signature}`\n\n{summary}\n\n```hcl\n{example}\n```\n");
    }
    for family in families(functions) {
        let title = FAMILIES.iter().find(|(name, _)| *name == family).map_or(family, |(_, title)| title);
        let _ = write!(text, "\n## {title}\n");
        for function in functions.iter().filter(|function| function.family == family) {
            let (example, gives) = function.example;
            let _ = write!(text, "\n### {}\n\n`{}`\n\n{}\n", function.name, signature(function), function.summary);
            let _ = write!(text, "\n```hcl\n{example}\n# {}\n```\n", gives.replace('\n', "\n# "));
        }
    }
    text
}

/// The known families in the reference's order, then any other.
fn families<'a>(functions: &[&'a Function]) -> Vec<&'a str> {
    let mut families: Vec<&str> = Vec::new();
    for function in functions {
        if !families.contains(&function.family) {
            families.push(function.family);
        }
    }
    let place = |family: &str| FAMILIES.iter().position(|(name, _)| *name == family).unwrap_or(FAMILIES.len());
    families.sort_by_key(|family| place(family));
    families
}

/// `substr(string, offset, [length])`.
fn signature(function: &Function) -> String {
    let required = function.params.len() - function.optional.min(function.params.len());
    let mut parts: Vec<String> = Vec::new();
    for (index, param) in function.params.iter().enumerate() {
        let shown = format!("{}: {}", param.name, kind(param.kind));
        parts.push(if index < required { shown } else { format!("[{shown}]") });
    }
    parts.extend(function.rest.map(|rest| format!("{}: {} …", rest.name, kind(rest.kind))));
    format!("{}({})", function.name, parts.join(", "))
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Any => "any",
        Kind::Bool => "bool",
        Kind::Number => "number",
        Kind::String => "string",
        Kind::List => "list",
        Kind::Object => "object",
    }
}

/// The reference of the drivers.
#[must_use]
pub fn drivers_markdown<'a>(drivers: impl IntoIterator<Item = &'a DriverSchema>) -> String {
    let mut text = String::from(
        "# Drivers\n\n\
         Generated from the tables that providers are checked against; `windlass provider drivers NAME` says the same of one.\n\n\
         A driver is what a step, a check, an undo or a fact calls. Its block's name is the driver, the block's attributes are the \
         arguments. What it gives is `result` in `fact.value` and `check.done`, and `step.NAME.result` for later steps. A driver \
         that only looks may be used by facts.\n",
    );
    for driver in drivers {
        let _ = write!(text, "\n{}", driver_markdown(driver));
    }
    text
}

/// One driver's part of the reference.
#[must_use]
pub fn driver_markdown(driver: &DriverSchema) -> String {
    let mut text = format!("## {}\n\n{}\n\n", driver.name, driver.summary);
    let may = if driver.observes { "May be used by facts, checks and steps." } else { "Acts: for steps and undos, not for facts." };
    let _ = writeln!(text, "{may}");
    if !driver.args.is_empty() {
        text.push_str("\n| argument | type | | |\n|---|---|---|---|\n");
        for ArgSchema { name, ty, required, summary } in driver.args {
            let needed = if *required { "required" } else { "" };
            let _ = writeln!(text, "| `{name}` | `{}` | {needed} | {} |", cell(ty), cell(summary));
        }
    }
    if !driver.results.is_empty() {
        text.push_str("\n| result | type | |\n|---|---|---|\n");
        for result in driver.results {
            let _ = writeln!(text, "| `{}` | `{}` | {} |", result.name, cell(result.ty), cell(result.summary));
        }
    }
    text
}

/// A text that cannot end its cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// The reference of the commands, from their own help texts.
#[must_use]
pub fn commands_markdown(program: &clap::Command) -> String {
    let mut text = String::from(
        "# Commands\n\n\
         Generated from the program's own help. Data goes to stdout, everything else to stderr. \
         [Exit codes](exit-codes.md) and [environment variables](environment.md) have pages of their own.\n",
    );
    // Wide, so that the text does not depend on who renders it; without colours; built, so that global options are shown.
    let mut program = program.clone().term_width(100).color(clap::ColorChoice::Never).disable_version_flag(true);
    program.build();
    let name = program.get_name().to_owned();
    help(&mut program, &name, 2, &mut text);
    text
}

fn help(command: &mut clap::Command, path: &str, level: usize, text: &mut String) {
    // Whoever renders it may have set some of them.
    *command = std::mem::take(command).mut_args(|arg| arg.hide_env_values(true));
    let shown = command.render_long_help().to_string();
    let lines: Vec<&str> = shown.lines().map(str::trim_end).collect();
    let _ = write!(text, "\n{} {path}\n\n```text\n{}\n```\n", "#".repeat(level), lines.join("\n").trim());
    for inner in command.get_subcommands_mut() {
        let path = format!("{path} {}", inner.get_name());
        help(inner, &path, (level + 1).min(4), text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lang::function::FUNCTIONS;

    #[test]
    fn every_function_is_in_the_reference_with_its_example() {
        let text = functions_markdown(FUNCTIONS);
        for function in FUNCTIONS {
            assert!(text.contains(&format!("\n### {}\n", function.name)), "{}", function.name);
            assert!(text.contains(function.example.0), "{}", function.name);
        }
    }

    #[test]
    fn the_special_functions_are_those_that_the_table_lacks() {
        let env = crate::lang::Env::pure(jiff::Timestamp::UNIX_EPOCH);
        for (name, _, _, example) in SPECIAL {
            assert!(FUNCTIONS.iter().all(|function| function.name != name), "{name} is in the table");
            let expr = crate::lang::Expr::parse(example.split('#').next().unwrap_or(example).trim()).unwrap();
            assert!(expr.eval(&crate::lang::Vars::default(), &env).is_ok(), "{example}");
        }
    }

    #[test]
    fn a_bar_in_a_summary_does_not_end_its_cell() {
        const SCHEMA: DriverSchema = DriverSchema {
            name: "x",
            summary: "Does.",
            args: &[ArgSchema { name: "mode", ty: "string", required: true, summary: "a|b" }],
            results: &[],
            observes: false,
        };
        assert!(driver_markdown(&SCHEMA).contains("| `mode` | `string` | required | a\\|b |"));
    }
}
