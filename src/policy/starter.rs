//! The policies that the program carries, to be switched on by name or copied.

use include_dir::{Dir, include_dir};

use super::engine::PolicyText;

static FILES: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/policies/starter");

/// The names of the starter policies.
#[must_use]
pub fn starters() -> Vec<&'static str> {
    let mut names: Vec<&str> = FILES
        .files()
        .filter_map(|file| file.path().to_str()?.strip_suffix(".rego"))
        .filter(|name| !name.ends_with("_test"))
        .collect();
    names.sort_unstable();
    names
}

/// A starter policy: its rules, then its tests.
#[must_use]
pub fn starter(name: &str) -> Option<Vec<PolicyText>> {
    if !starters().contains(&name) {
        return None;
    }
    let read = |path: String| {
        let text = FILES.get_file(&path)?.contents_utf8()?.to_owned();
        Some(PolicyText { path: format!("starter/{path}"), text })
    };
    Some([format!("{name}.rego"), format!("{name}_test.rego")].into_iter().filter_map(read).collect())
}
