//! The policies of a configuration: finds and reads them, and asks them about a plan.
#![expect(clippy::disallowed_methods, reason = "a door to the files of policies, and to the git repository that they are in")]

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::hold::who;
use super::problem::file_problem;
use super::session::{Place, Session, on_a_deep_stack};
use crate::model::estate::PolicyRules;
use crate::model::name::EnvironmentName;
use crate::plan::{Plan, Report, Ruling};
use crate::policy::{Author, Facts, LARGEST, MOST, Policies, PolicyText, document, starter, starters};
use crate::source::{Diagnostic, Diagnostics, Fault, nearest};

/// The folder that is looked into where the configuration names none.
const FOLDER: &str = "policies";
/// Folders in folders, at most.
const DEEPEST: usize = 8;

impl Place {
    /// The policies that hold for this configuration, with their tests or without.
    pub(super) fn policy_texts(&self, rules: &PolicyRules, tests: bool) -> Result<Vec<PolicyText>, Diagnostics> {
        let mut problems = Diagnostics::new();
        let mut texts = Vec::new();
        for name in &rules.starter {
            match starter(name) {
                Some(found) => texts.extend(found),
                None => {
                    let unknown = Diagnostic::error("unknown policy").detail(format!("there is no starter policy `{name}`"));
                    let help = nearest(name, starters()).map(|near| format!("did you mean `{near}`?"));
                    let unknown = unknown.help(help.unwrap_or_else(|| format!("there are: {}", starters().join(", "))));
                    problems.push(rules.span.into_iter().fold(unknown, Diagnostic::at));
                }
            }
        }
        let folder = self.root.join(rules.path.as_deref().unwrap_or(FOLDER));
        if rules.path.is_some() && !folder.is_dir() {
            let missing = Diagnostic::error("policies cannot be read")
                .detail(format!("{} is no folder", folder.display()))
                .help("correct `path` of the `policy` block, or make the folder");
            problems.push(rules.span.into_iter().fold(missing, Diagnostic::at));
        }
        if let Some(found) = problems.take(read_folder(&folder, &self.root)) {
            texts.extend(found);
        }
        texts.retain(|text| tests || !text.path.ends_with("_test.rego"));
        problems.unless_errors(texts).map(|(texts, _)| texts)
    }
}

/// Every `*.rego` in a folder and those below, by path. A folder that is not there has none. `root`: what paths are told from.
pub(super) fn read_folder(folder: &Path, root: &Path) -> Result<Vec<PolicyText>, Diagnostics> {
    let mut found: Vec<PathBuf> = Vec::new();
    let mut open = vec![(folder.to_owned(), 0)];
    while let Some((folder, depth)) = open.pop() {
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && depth == 0 => return Ok(Vec::new()),
            Err(error) => return Err(file_problem("policies cannot be read", &folder, &error).into()),
        };
        for entry in entries {
            let path = entry.map_err(|error| file_problem("policies cannot be read", &folder, &error))?.path();
            if path.is_dir() && !path.is_symlink() && depth < DEEPEST {
                open.push((path, depth + 1));
            } else if path.extension().is_some_and(|extension| extension == "rego") && path.is_file() {
                found.push(path);
            }
        }
        if found.len() > MOST {
            return Err(Diagnostic::error("too many policies")
                .detail(format!("{} holds more than {MOST} policies", folder.display()))
                .help("put several rules into one file")
                .into());
        }
    }
    found.sort();
    let mut problems = Diagnostics::new();
    let mut texts = Vec::new();
    for path in found {
        let shown = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        match read(&path) {
            Ok(text) => texts.push(PolicyText { path: shown, text }),
            Err(error) => problems.push(file_problem("policy cannot be read", &path, &error)),
        }
    }
    problems.unless_errors(texts).map(|(texts, _)| texts)
}

/// A little more than is allowed is read, so that too much is seen as such.
fn read(path: &Path) -> std::io::Result<String> {
    use std::io::Read as _;
    let mut text = String::new();
    std::fs::File::open(path)?.take(LARGEST as u64 + 1).read_to_string(&mut text)?;
    Ok(text)
}

impl Session {
    /// What the policies say to a plan, at `now`.
    pub(super) async fn rulings(
        &self,
        plan: &Plan,
        report: &Report,
        command: &str,
        now: Timestamp,
    ) -> Result<Vec<Ruling>, Diagnostics> {
        let texts = self.place.policy_texts(&self.estate.policy, false)?;
        if texts.is_empty() || plan.changes.is_empty() {
            return Ok(Vec::new());
        }
        let document = self.policy_document(plan, report, command, now).await?;
        on_a_deep_stack(|| Policies::new(&texts)?.judge(&document, plan, &self.estate.waivers, now))
    }

    /// What policies see.
    pub(super) async fn policy_document(
        &self,
        plan: &Plan,
        report: &Report,
        command: &str,
        now: Timestamp,
    ) -> Result<serde_json::Value, Diagnostics> {
        let all: Vec<EnvironmentName> = self.estate.environments.keys().cloned().collect();
        let locks = self.locks(&all).await?;
        let author = author(&self.place.root);
        let user = who();
        let facts = Facts { estate: &self.estate, locks: &locks, now, command, user: &user, author: author.as_ref() };
        document(plan, report, &facts).map_err(|error| {
            Diagnostic::error("plan cannot be shown to policies").fault(Fault::Bug).detail(error.to_string()).into()
        })
    }
}

/// Who wrote the last commit of the repository that a folder is in, if it is in one.
fn author(root: &Path) -> Option<Author> {
    let repository = git2::Repository::discover(root).ok()?;
    let commit = repository.head().ok()?.peel_to_commit().ok()?;
    let author = commit.author();
    Some(Author {
        name: String::from_utf8_lossy(author.name_bytes()).into_owned(),
        email: String::from_utf8_lossy(author.email_bytes()).into_owned(),
        commit: commit.id().to_string(),
    })
}
