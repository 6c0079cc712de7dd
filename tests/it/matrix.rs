//! The matrix of the requirements: every row, what answers it, and the tests that bear its id. A row that nothing answers or no test
//! proves fails here.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::CommandFactory as _;
use hcl::{Block, Body};
use windlass::cli::args::Cli;

use crate::generated::page;

struct Row {
    id: String,
    title: String,
    by: Vec<String>,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn body(path: &Path) -> Body {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    hcl::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn text(block: &Block, name: &str) -> String {
    let attribute = block.body.attributes().find(|attribute| attribute.key() == name);
    match attribute.map(hcl::Attribute::expr) {
        Some(hcl::Expression::String(text)) => text.clone(),
        other => panic!("`{name}` is no text: {other:?}"),
    }
}

fn label(block: &Block) -> String {
    block.labels.first().map(|label| label.as_str().to_owned()).unwrap_or_default()
}

fn rows() -> Vec<Row> {
    let body = body(&root().join("testdata/requirements.hcl"));
    let row = |block: &Block| {
        let by = block.body.attributes().find(|attribute| attribute.key() == "by").map(hcl::Attribute::expr);
        let Some(hcl::Expression::Array(by)) = by else { panic!("row {} says not what answers it", label(block)) };
        let texts = by.iter().map(|item| match item {
            hcl::Expression::String(text) => text.clone(),
            other => panic!("{other:?} is no text"),
        });
        Row { id: label(block), title: text(block, "title"), by: texts.collect() }
    };
    body.blocks().map(row).collect()
}

/// Everything that a provider declares, as the matrix names it: `fact.version`, `in_place.stop`.
fn declared(provider: &str) -> BTreeSet<String> {
    let folder = root().join("providers").join(provider);
    let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let bodies: Vec<Body> = files
        .map(|entry| entry.expect("it can be listed").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "hcl"))
        .map(|path| body(&path))
        .collect();
    let blocks = || bodies.iter().flat_map(Body::blocks);
    let steps =
        |block: &Block| -> Vec<String> { block.body.blocks().filter(|inner| inner.identifier() == "step").map(label).collect() };
    let groups: BTreeMap<String, Vec<String>> =
        blocks().filter(|block| block.identifier() == "step_group").map(|block| (label(block), steps(block))).collect();
    let mut names = BTreeSet::new();
    for block in blocks() {
        match block.identifier() {
            "strategy" => {
                let used = block.body.blocks().filter(|inner| inner.identifier() == "use").map(label);
                let used = used.flat_map(|group| groups.get(&group).cloned().unwrap_or_default());
                names.extend(steps(block).into_iter().chain(used).map(|step| format!("{}.{step}", label(block))));
            }
            kind => {
                names.insert(format!("{kind}.{}", label(block)));
            }
        }
    }
    names
}

/// Whether something that is named as an answer is there.
fn is_there(by: &str, providers: &mut BTreeMap<String, BTreeSet<String>>) -> bool {
    let Some((kind, name)) = by.split_once(": ") else { return false };
    match kind {
        "driver" => windlass::driver::standard().get(name).is_some(),
        "command" => {
            let mut command = Cli::command();
            name.split(' ').all(|word| command.find_subcommand(word).cloned().map(|found| command = found).is_some())
        }
        "configuration" => {
            let page = std::fs::read_to_string(root().join("docs/reference/configuration.md")).expect("there is a page");
            page.contains(&format!("| `{name}` |"))
        }
        provider => providers.entry(provider.to_owned()).or_insert_with(|| declared(provider)).contains(name),
    }
}

/// The tests that bear a row's id, by id: `d07_the_kit_is_verified` bears `D07`.
fn tests() -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut open = vec![root().join("tests/it")];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).expect("it can be listed") {
            let path = entry.expect("it can be listed").path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let lines: Vec<&str> = text.lines().map(str::trim).collect();
            for (number, line) in lines.iter().enumerate().filter(|(number, _)| *number > 0) {
                let Some(name) = line.strip_prefix("fn ").and_then(|rest| rest.split('(').next()) else { continue };
                if !lines[..number].iter().rev().take_while(|line| line.starts_with('#')).any(|line| *line == "#[test]") {
                    continue;
                }
                for word in name.split('_').take_while(|word| is_id(word)) {
                    found.entry(word.to_uppercase()).or_default().insert(name.to_owned());
                }
            }
        }
    }
    found
}

fn is_id(word: &str) -> bool {
    let mut signs = word.chars();
    signs.next().is_some_and(|first| "dbpkax".contains(first)) && word.len() == 3 && signs.all(|sign| sign.is_ascii_digit())
}

#[test]
fn every_row_is_answered_and_proved() {
    let (rows, tests, mut providers) = (rows(), tests(), BTreeMap::new());
    let mut missing = Vec::new();
    let mut text = String::from(
        "# Matrix\n\nWhat the four platforms need from an upgrade, what answers it, and the tests that prove it. Generated from \
         `testdata/requirements.hcl`,\nthe providers and the tests; a row that nothing answers or no test proves fails there.\n\n\
         | row | what | answered by | proved by |\n|---|---|---|---|\n",
    );
    for Row { id, title, by } in &rows {
        missing.extend(by.iter().filter(|by| !is_there(by, &mut providers)).map(|by| format!("{id}: there is no `{by}`")));
        let proofs = tests.get(id).cloned().unwrap_or_default();
        if proofs.is_empty() {
            missing.push(format!("{id}: no test bears its id"));
        }
        let list = |texts: Vec<String>| texts.iter().map(|text| format!("`{text}`")).collect::<Vec<_>>().join(", ");
        let _ = writeln!(text, "| {id} | {title} | {} | {} |", list(by.clone()), list(proofs.into_iter().collect()));
    }
    let known: BTreeSet<&String> = rows.iter().map(|row| &row.id).collect();
    missing
        .extend(tests.keys().filter(|id| !known.contains(id)).map(|id| format!("{id}: tests bear it, and there is no such row")));
    assert_eq!(known.len(), 66, "a row was lost");
    assert!(missing.is_empty(), "{missing:#?}");
    page("matrix.md", &text);
}
