//! What the documentation shows is what the program does: its command lines are run, its links lead somewhere.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")
}

fn pages() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut open = vec![docs()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).expect("docs can be read") {
            let path = entry.expect("docs can be read").path();
            if path.is_dir() && path.file_name().is_some_and(|name| name != "book") {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                let text = std::fs::read_to_string(&path).expect("pages are UTF-8");
                found.push((path, text));
            }
        }
    }
    assert!(found.len() > 20, "the pages are where this test looks for them");
    found
}

/// The text without fenced blocks and code spans: brackets in them are no links.
fn prose(text: &str) -> String {
    let mut fenced = false;
    let mut prose = String::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            continue;
        }
        if !fenced {
            prose.extend(line.split('`').step_by(2));
        }
        prose.push('\n');
    }
    prose
}

/// Targets of `[text](target)`.
fn links(text: &str) -> Vec<String> {
    text.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0.to_owned())).collect()
}

/// The anchor that mdBook gives a heading.
fn anchor(heading: &str) -> String {
    let plain = heading.trim_start_matches('#').trim().replace('`', "").to_lowercase();
    plain.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_')).map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn every_link_leads_to_a_page_and_a_heading() {
    let mut wrong = Vec::new();
    for (path, text) in pages() {
        for link in links(&prose(&text)).iter().filter(|link| !link.contains("://")) {
            let (file, fragment) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { path.clone() } else { path.parent().expect("a folder").join(file) };
            let Ok(there) = std::fs::read_to_string(&target) else {
                wrong.push(format!("{}: {link}", path.display()));
                continue;
            };
            let known = there.lines().any(|line| line.starts_with('#') && anchor(line) == fragment);
            if !fragment.is_empty() && !known {
                wrong.push(format!("{}: {link}: no such heading", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "links that lead nowhere:\n{}", wrong.join("\n"));
}

#[test]
fn every_page_is_in_the_table_of_contents() {
    let summary = std::fs::read_to_string(docs().join("SUMMARY.md")).expect("there is a table of contents");
    let listed: BTreeSet<PathBuf> = links(&summary).iter().map(|link| docs().join(link)).collect();
    let pages: BTreeSet<PathBuf> = pages().into_iter().map(|(path, _)| path).filter(|path| !path.ends_with("SUMMARY.md")).collect();
    let missing: Vec<_> = pages.difference(&listed).collect();
    assert!(missing.is_empty(), "not in SUMMARY.md: {missing:?}");
}

#[test]
fn examples_in_hcl_are_in_the_canonical_layout() {
    let mut wrong = Vec::new();
    for (path, text) in pages().into_iter().filter(|(path, _)| !path.ends_with("functions.md")) {
        let mut lines = text.lines().enumerate();
        while let Some((start, line)) = lines.next() {
            let Some(info) = line.strip_prefix("```").filter(|info| !info.is_empty()) else { continue };
            let block: Vec<&str> = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```").collect();
            if info != "hcl" && !info.starts_with("hcl ") {
                continue;
            }
            let block = block.join("\n") + "\n";
            match windlass::lang::fmt::format(&block) {
                Ok(formatted) if formatted == block => {}
                Ok(formatted) => wrong.push(format!("{}:{}: should be\n{formatted}", path.display(), start + 1)),
                Err(problems) => wrong.push(format!("{}:{}: {problems:?}", path.display(), start + 1)),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_dependency_has_its_line() {
    let manifest = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).expect("there is a manifest");
    let page = std::fs::read_to_string(docs().join("dependencies.md")).expect("there is a page");
    let mut section = "";
    let mut wrong = Vec::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            section = line;
        } else if let Some((name, _)) = line.split_once(" = ")
            && matches!(section, "[dependencies]" | "[dev-dependencies]")
            && !page.contains(&format!("| `{name}` |"))
        {
            wrong.push(name.to_owned());
        }
    }
    assert!(wrong.is_empty(), "dependencies.md says nothing of {wrong:?}");
    let named = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let gone: Vec<&str> = named.filter(|name| !manifest.lines().any(|line| line.starts_with(&format!("{name} = ")))).collect();
    assert!(gone.is_empty(), "dependencies.md names what Cargo.toml does not: {gone:?}");
}

/// What a page tells the reader to run of the tests: which of the two binaries, and the filters.
fn told_to_run(text: &str) -> Vec<(&str, Vec<&str>)> {
    let spans = text.split('`').skip(1).step_by(2);
    let commands = spans.filter_map(|span| span.split_once("cargo nextest run ").map(|(_, rest)| rest));
    commands
        .filter_map(|rest| {
            let (binary, filters) =
                rest.strip_prefix("--lib").map(|rest| ("lib", rest)).or_else(|| Some(("it", rest.strip_prefix("--test it")?)))?;
            Some((binary, filters.split_whitespace().take_while(|word| !word.starts_with('-')).collect()))
        })
        .collect()
}

/// Whether a module of the library, or a test in it, has a path that begins so.
fn is_in_library(filter: &str) -> bool {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let parts: Vec<&str> = filter.split("::").filter(|part| !part.is_empty()).collect();
    let Some((last, above)) = parts.split_last() else { return false };
    let folder = above.iter().fold(source, |path, part| path.join(part));
    let is_file = folder.join(format!("{last}.rs")).is_file() || folder.join(last).join("mod.rs").is_file();
    let holders = [folder.with_extension("rs"), folder.join("mod.rs")];
    let is_named = |text: String| text.contains(&format!("mod {last} ")) || text.contains(&format!("fn {last}"));
    is_file || holders.iter().filter_map(|path| std::fs::read_to_string(path).ok()).any(is_named)
}

#[test]
fn what_a_page_says_a_promise_is_tested_by_is_there() {
    let program = std::env::current_exe().expect("this test is a program");
    let listed = std::process::Command::new(program).args(["--list", "--format", "terse"]).output().expect("it lists its tests");
    let listed = String::from_utf8(listed.stdout).expect("names are UTF-8");
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (path, text) in pages() {
        for (binary, filters) in told_to_run(&text) {
            for filter in filters {
                seen += 1;
                if !(if binary == "lib" { is_in_library(filter) } else { listed.contains(filter) }) {
                    wrong.push(format!("{}: no test of --{binary} is called `{filter}`", path.display()));
                }
            }
        }
    }
    assert!(seen > 20, "the pages tell what to run: {seen}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_deliberate_break_can_be_made_in_the_sources_as_they_are() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mutants");
    let ran = std::process::Command::new("python3").arg(script).arg("--check").output().expect("python3 is there");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}

#[test]
fn the_first_steps_are_as_the_tutorial_shows_them() {
    crate::console::run(&docs().join("tutorial/first-steps.md"));
}

#[test]
fn the_first_provider_is_as_the_tutorial_shows_it() {
    crate::console::run(&docs().join("tutorial/first-provider.md"));
}
