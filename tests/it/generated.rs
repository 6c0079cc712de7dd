//! The generated pages of `docs/` say what the program says. `WINDLASS_BLESS=1` rewrites them.

use std::path::Path;

use clap::CommandFactory as _;
use windlass::cli::args::Cli;
use windlass::lang::function::FUNCTIONS;
use windlass::view::reference;

/// Compares a page with what is rendered, or rewrites it.
pub(crate) fn page(name: &str, rendered: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference").join(name);
    if std::env::var_os("WINDLASS_BLESS").is_some() {
        std::fs::write(&path, rendered).expect("the page can be written");
        return;
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    if there == rendered {
        return;
    }
    let line = there.lines().zip(rendered.lines()).take_while(|(there, rendered)| there == rendered).count();
    panic!(
        "{} does not say what the program says, from line {}:\n  page:    {}\n  program: {}\nrun the tests with WINDLASS_BLESS=1 and look at the difference",
        path.display(),
        line + 1,
        there.lines().nth(line).unwrap_or("(ends)"),
        rendered.lines().nth(line).unwrap_or("(ends)"),
    );
}

#[test]
fn the_page_of_functions_is_that_of_the_table() {
    page("functions.md", &reference::functions_markdown(FUNCTIONS));
}

#[test]
fn the_page_of_drivers_is_that_of_their_schemas() {
    page("drivers.md", &reference::drivers_markdown(windlass::driver::standard().schemas()));
}

#[test]
fn the_page_of_commands_is_that_of_their_help() {
    page("commands.md", &reference::commands_markdown(&Cli::command()));
}

#[test]
fn the_schema_of_plans_is_that_of_their_types() {
    page("plan.schema.json", &windlass::view::plan_schema().expect("a schema is JSON"));
}
