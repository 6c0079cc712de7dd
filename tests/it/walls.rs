//! The second wall of the architecture: which module may import which, as `docs/explanation/architecture.md` says.
//!
//! Reads the text of `src/`. What stands in tests and in comments does not count.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Module, and what it may import besides itself. A name with `::` allows only that part of a module.
const MAY: &[(&str, &[&str])] = &[
    ("source", &[]),
    // Functions over versions order them as products do.
    ("lang", &["source", "model::version"]),
    // `model::scope` sees an instance as the lockfile has it.
    ("model", &["source", "lang", "lock"]),
    ("lock", &["lang", "model"]),
    ("config", &["source", "lang", "model"]),
    // Drivers and state stores are clients of servers alike.
    ("tls", &[]),
    ("driver", &["lang", "model", "tls"]),
    ("forge", &["tls"]),
    ("observe", &["lang", "model", "driver", "lock"]),
    ("plan", &["source", "lang", "model", "lock"]),
    ("policy", &["source", "lang", "model", "lock", "plan"]),
    ("state", &["lang", "model", "lock", "tls"]),
    ("apply", &["source", "lang", "model", "lock", "plan", "driver", "state"]),
    // History entries are shown, the store is not touched.
    (
        "view",
        &[
            "source",
            "lang",
            "model",
            "lock",
            "plan",
            "policy::Trial",
            "policy::TrialEnd",
            "apply::event",
            "apply::progress",
            "state::BracketTime",
            "state::Holder",
            "state::OpenBracket",
            "state::Outcome",
            "state::RunRecord",
            "state::Move",
        ],
    ),
    ("watch", &["lang", "model", "plan", "tls"]),
    (
        "cli",
        &[
            "source", "lang", "model", "config", "lock", "driver", "forge", "observe", "plan", "policy", "state", "tls", "apply",
            "view", "watch",
        ],
    ),
];

/// What only doors to the outside may use, by module that must not be one.
const PURE: &[(&str, &[&str])] = &[
    ("source", &["std::fs", "tokio::", "std::net", "std::process"]),
    ("lang", &["std::fs", "tokio::", "std::net", "std::process"]),
    ("model", &["std::fs", "tokio::", "std::net", "std::process"]),
    ("lock", &["std::fs", "tokio::", "std::net", "std::process"]),
    ("plan", &["std::fs", "tokio::", "std::net", "std::process"]),
    ("policy", &["std::fs", "tokio::", "std::net", "std::process"]),
    ("view", &["std::fs", "tokio::", "std::net", "std::process"]),
];

struct Source {
    path: PathBuf,
    module: String,
    text: String,
}

impl Source {
    /// Lines of code with their numbers: no comments, nothing from `#[cfg(test)] mod tests {` on.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines: Vec<&str> = self.text.lines().collect();
        let opens = |from: usize| {
            let declared = lines.iter().skip(from + 1).find(|line| !line.starts_with('#'));
            lines[from] == "#[cfg(test)]" && declared.is_some_and(|line| line.contains("mod ") && line.ends_with('{'))
        };
        let end = (0..lines.len()).find(|from| opens(*from)).unwrap_or(lines.len());
        lines
            .into_iter()
            .take(end)
            .enumerate()
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
            .map(|(index, line)| (index + 1, line))
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut open = vec![root.clone()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).expect("src can be read") {
            let path = entry.expect("src can be read").path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("sources are UTF-8");
                let path = path.strip_prefix(&root).expect("below src").to_owned();
                let module =
                    path.components().next().and_then(|part| Path::new(part.as_os_str()).file_stem()?.to_str().map(str::to_owned));
                found.push(Source { module: module.unwrap_or_default(), path, text });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(found.len() > 50, "the sources are where this test looks for them");
    found
}

/// Sources that are compiled into the program.
fn program() -> Vec<Source> {
    let sources = sources();
    let tests: Vec<PathBuf> = sources.iter().flat_map(test_modules).collect();
    let is_test = |path: &Path| tests.iter().any(|test| path == test.with_extension("rs") || path.starts_with(test));
    sources.into_iter().filter(|source| !is_test(&source.path)).collect()
}

/// The modules that a file declares for tests only: paths without extension, of a file or a folder.
fn test_modules(source: &Source) -> Vec<PathBuf> {
    let stem = source.path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let beside = source.path.parent().unwrap_or(Path::new("")).to_owned();
    let below = if matches!(stem, "mod" | "lib" | "main") { beside.clone() } else { beside.join(stem) };
    let (mut found, mut for_tests, mut given) = (Vec::new(), false, None);
    for line in source.text.lines().map(str::trim) {
        if line == "#[cfg(test)]" {
            for_tests = true;
        } else if let Some(path) = line.strip_prefix("#[path = \"").and_then(|rest| rest.strip_suffix("\"]")) {
            given = Some(beside.join(path).with_extension(""));
        } else if !line.starts_with('#') {
            let name = line.strip_suffix(';').and_then(|line| line.split("mod ").nth(1));
            if let (true, Some(name)) = (for_tests, name) {
                found.push(given.take().unwrap_or_else(|| below.join(name)));
            }
            (for_tests, given) = (false, None);
        }
    }
    found
}

/// Every path behind `crate::` in a line, with `{…}` resolved one level deep.
fn imports(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    for rest in line.split("crate::").skip(1) {
        let path: String = rest.chars().take_while(|c| c.is_alphanumeric() || matches!(c, '_' | ':')).collect();
        match rest.strip_prefix(&path).and_then(|rest| rest.strip_prefix('{')) {
            Some(list) => {
                let inner = list.split('}').next().unwrap_or(list);
                found.extend(inner.split(',').map(|part| format!("{path}{}", part.trim())));
            }
            None => found.push(path),
        }
    }
    found
}

/// `use` statements that go over several lines, joined; others as they are.
fn statements(source: &Source) -> Vec<(usize, String)> {
    let mut joined: Vec<(usize, String)> = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (number, line) in source.code() {
        if let Some((_, text)) = &mut open {
            text.push_str(line.trim());
        } else if line.trim_start().starts_with("use ") || line.trim_start().starts_with("pub use ") {
            open = Some((number, line.trim().to_owned()));
        } else {
            joined.push((number, line.to_owned()));
        }
        if open.as_ref().is_some_and(|(_, text)| text.ends_with(';')) {
            joined.extend(open.take());
        }
    }
    joined.extend(open);
    joined
}

#[test]
fn modules_import_only_what_the_table_allows() {
    let table: BTreeMap<&str, &[&str]> = MAY.iter().copied().collect();
    let modules: BTreeSet<&str> = table.keys().copied().collect();
    let mut wrong = Vec::new();
    for source in program().iter() {
        let Some(may) = table.get(&*source.module) else {
            let known = matches!(&*source.module, "lib" | "main");
            assert!(known, "src/{} is a module that the table of architecture.md does not know", source.path.display());
            continue;
        };
        for (number, statement) in statements(source) {
            for import in imports(&statement) {
                let first = import.split("::").next().unwrap_or_default();
                let allowed = first == source.module
                    || !modules.contains(first)
                    || may.iter().any(|allowed| {
                        import == *allowed || import.strip_prefix(allowed).is_some_and(|rest| rest.starts_with("::"))
                    });
                if !allowed {
                    wrong.push(format!("src/{}:{number}: `{}` may not import `{import}`", source.path.display(), source.module));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} imports cross a wall:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn pure_modules_touch_no_file_no_process_and_no_runtime() {
    let mut wrong = Vec::new();
    for source in program().iter() {
        let Some((_, never)) = PURE.iter().find(|(module, _)| *module == source.module) else { continue };
        for (number, statement) in statements(source) {
            wrong.extend(
                never
                    .iter()
                    .filter(|name| statement.contains(*name))
                    .map(|name| format!("src/{}:{number}: {name}", source.path.display())),
            );
        }
    }
    assert!(wrong.is_empty(), "pure modules reach outside:\n{}", wrong.join("\n"));
}

#[test]
fn nothing_is_imported_by_glob_outside_tests() {
    let mut wrong = Vec::new();
    for source in program().iter() {
        for (number, statement) in statements(source) {
            let import = statement.trim_start();
            if (import.starts_with("use ") || import.starts_with("pub use ")) && import.contains("::*") {
                wrong.push(format!("src/{}:{number}: {import}", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "glob imports:\n{}", wrong.join("\n"));
}

#[test]
fn every_file_says_at_its_top_what_it_is() {
    let wrong: Vec<String> = sources()
        .iter()
        .filter(|source| !source.text.starts_with("//! "))
        .map(|source| source.path.display().to_string())
        .collect();
    assert!(wrong.is_empty(), "files that do not open with `//!`:\n{}", wrong.join("\n"));
}

#[test]
fn no_file_is_a_drawer_for_everything() {
    let drawers = ["util", "utils", "helper", "helpers", "common", "manager", "misc"];
    let wrong: Vec<String> = sources()
        .iter()
        .filter(|source| {
            let parts = source.path.iter().filter_map(|part| Path::new(part).file_stem()?.to_str().map(str::to_owned));
            parts.into_iter().any(|part| drawers.contains(&&*part))
        })
        .map(|source| source.path.display().to_string())
        .collect();
    assert!(wrong.is_empty(), "name the noun that the file defines: {}", wrong.join(", "));
}

#[test]
fn modules_for_tests_are_found_as_declared() {
    let text = "#[cfg(test)]\nmod fixture;\nmod real;\n#[cfg(test)]\n#[path = \"gate_tests.rs\"]\nmod tests;\n".to_owned();
    let modules = |path: &str| test_modules(&Source { path: path.into(), module: "plan".into(), text: text.clone() });
    assert_eq!(modules("plan/mod.rs"), [PathBuf::from("plan/fixture"), PathBuf::from("plan/gate_tests")]);
    assert_eq!(modules("plan/gate.rs"), [PathBuf::from("plan/gate/fixture"), PathBuf::from("plan/gate_tests")]);
}

#[test]
fn imports_are_read_as_written() {
    assert_eq!(imports("use crate::plan::{Plan, Report};"), ["plan::Plan", "plan::Report"]);
    assert_eq!(imports("fn x() -> crate::lang::Value { crate::state::read() }"), ["lang::Value", "state::read"]);
    assert_eq!(imports("use crate::{lang, model};"), ["lang", "model"]);
}
