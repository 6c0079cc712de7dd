//! `windlass provider new`: the folder of a new provider, complete and documented, to be fitted to the product. It stands whole, or not
//! at all.
#![expect(clippy::disallowed_methods, reason = "a door: puts the folder of a provider in its place")]

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::cli::problem::file_problem;
use crate::source::{Diagnostic, Diagnostics};
use crate::state::durable;

/// The files, with `@NAME@` and `@TITLE@` in the places of the name.
const FILES: [(&str, &str); 2] =
    [("provider.hcl", include_str!("provider_new/provider.hcl")), ("README.md", include_str!("provider_new/README.md"))];

/// Writes `providers/NAME` below `root` and gives the paths of its files, relative to `root`. Refused where the folder is there.
pub(super) fn run(name: &str, root: &Path) -> Result<Vec<PathBuf>, Diagnostics> {
    if !is_name(name) {
        let shown: String = name.chars().take(60).flat_map(char::escape_debug).collect();
        return Err(Diagnostic::error("invalid name")
            .detail(format!("`{shown}` cannot be the name of a provider"))
            .help("names begin with a letter, go on with letters, digits, `_` and `-`, and have at most 128 of them")
            .into());
    }
    let folder = Path::new("providers").join(name);
    // A link that leads nowhere is there, too.
    match fs::symlink_metadata(root.join(&folder)) {
        Ok(_) => {
            return Err(Diagnostic::error("provider is there already")
                .detail(format!("`{}` exists; nothing was written", folder.display()))
                .help("choose another name, or move the folder away")
                .into());
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(file_problem("folder cannot be used", &folder, &error).into()),
    }
    let staging = root.join("providers").join(format!(".{name}.windlass-new"));
    let placed = fill(&staging, name).and_then(|()| fs::rename(&staging, root.join(&folder)));
    placed.map_err(|error| {
        // What failed matters: the next one clears away what is left.
        let _ = fs::remove_dir_all(&staging);
        file_problem("folder cannot be written", &folder, &error)
    })?;
    Ok(FILES.map(|(file, _)| folder.join(file)).into())
}

/// Writes all files into a folder that is nobody's yet.
fn fill(staging: &Path, name: &str) -> io::Result<()> {
    match fs::remove_dir_all(staging) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    for (file, _) in FILES {
        durable::replace(&staging.join(file), content(file, name).unwrap_or_default().as_bytes(), 0o644)?;
    }
    Ok(())
}

/// A file of the new provider; `None`: there is none of that name.
fn content(file: &str, name: &str) -> Option<String> {
    let (_, text) = FILES.iter().find(|(known, _)| *known == file)?;
    Some(text.replace("@NAME@", name).replace("@TITLE@", &title(name)))
}

fn is_name(name: &str) -> bool {
    let mut letters = name.chars();
    letters.next().is_some_and(|c| c.is_ascii_alphabetic())
        && letters.all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
        && name.len() <= 128
}

/// `data_science-studio` as a title: `Data science studio`.
fn title(name: &str) -> String {
    let mut letters = name.chars().map(|c| if matches!(c, '_' | '-') { ' ' } else { c });
    let first = letters.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "looks at what was written")]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::*;
    use crate::config::{lint, provider_from_files};
    use crate::driver;
    use crate::model::name::ProviderName;
    use crate::model::provider::Movement;
    use crate::source::SourceMap;

    #[test]
    fn what_it_writes_loads_without_a_complaint() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["acme", "Data-Science_studio2", &"x".repeat(128)] {
            let written = run(name, dir.path()).unwrap();
            let files = written
                .iter()
                .map(|path| {
                    let file = path.file_name().unwrap().to_str().unwrap();
                    (Arc::from(file), Arc::from(std::fs::read(dir.path().join(path)).unwrap()))
                })
                .collect();
            let schemas: Vec<_> = driver::standard().schemas().copied().collect();
            let loaded = provider_from_files(&ProviderName::new(name), files, &BTreeMap::new(), &schemas, &mut SourceMap::new());
            let (provider, warnings) = loaded.unwrap_or_else(|problems| panic!("{name}: {problems:#?}"));
            let found: Vec<String> = warnings.iter().chain(lint(&provider).iter()).map(ToString::to_string).collect();
            assert_eq!(found, Vec::<String>::new());
            for movement in [Movement::Install, Movement::Upgrade, Movement::Reconfigure, Movement::Remove] {
                assert!(provider.routes.iter().any(|route| route.movement == movement), "{movement:?}");
            }
        }
    }

    #[test]
    fn what_it_writes_is_in_the_canonical_layout() {
        let text = content("provider.hcl", "acme").unwrap();
        assert_eq!(crate::lang::fmt::format(&text).unwrap(), text);
        assert!(!text.contains('@') && !content("README.md", "acme").unwrap().contains('@'));
    }

    #[test]
    fn a_folder_that_is_there_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        run("acme", dir.path()).unwrap();
        std::fs::write(dir.path().join("providers/acme/provider.hcl"), "mine").unwrap();
        let problems = run("acme", dir.path()).unwrap_err();
        assert!(problems.iter().next().unwrap().detail.contains("providers/acme"));
        assert_eq!(std::fs::read_to_string(dir.path().join("providers/acme/provider.hcl")).unwrap(), "mine");
        std::os::unix::fs::symlink("nowhere", dir.path().join("providers/linked")).unwrap();
        assert!(run("linked", dir.path()).is_err());
    }

    #[test]
    fn a_name_that_leads_out_of_the_folder_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["", "..", "../x", "a/b", "a.b", "1a", "_a", "a b", "ä", "a\n", &"x".repeat(129)] {
            assert!(run(name, dir.path()).is_err(), "{name:?}");
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
