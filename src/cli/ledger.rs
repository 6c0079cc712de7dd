//! The lockfiles in git: committed after a run, with its name and what it moved, and nothing else; pushed where that is asked for.
//!
//! Commits are made by git2 on top of the branch as it is at that moment; what others pushed meanwhile stays, and a lockfile that
//! others have changed is never written over. Fetching and pushing are the `git` command's, with its credentials. Looks before the
//! run whether all of that will be possible, since a run cannot be taken back for a missing name.

#![expect(clippy::disallowed_methods, reason = "a door: reads lockfiles and runs the git command")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use git2::build::TreeUpdateBuilder;
use git2::{ErrorCode, FileMode, Oid, Repository, Signature, Tree};

use super::args::CommitArgs;
use super::backend;
use super::pins::Pins;
use super::session::Session;
use crate::model::name::EnvironmentName;
use crate::source::{Diagnostic, Fault};
use crate::state::RunRecord;
use crate::view::commit_message;

/// How often to begin anew when others push at the same time.
const ATTEMPTS: usize = 8;

/// Where lockfiles are committed.
pub(super) struct Ledger {
    repository: Repository,
    workdir: PathBuf,
    branch: String,
    /// Whether the branch is checked out; else no branch is.
    attached: bool,
    /// Where to push, if that is asked for.
    remote: Option<String>,
    author: Signature<'static>,
    /// The lockfiles, from the repository's root, and what the checked-out commit has of each.
    files: BTreeMap<PathBuf, Option<Oid>>,
}

/// What became of the lockfiles.
pub(super) struct Committed {
    /// The commit; `None`: they are there already.
    pub(super) commit: Option<Oid>,
    /// What a person should know, as sentences.
    pub(super) remarks: Vec<String>,
}

impl Ledger {
    /// Looks whether lockfiles can be committed after a run of these environments. `None`: nobody asked for it.
    pub(super) fn open(args: &CommitArgs, session: &Session, environments: &[EnvironmentName]) -> Result<Option<Self>, Diagnostic> {
        if !args.commit {
            return Ok(None);
        }
        if session.estate.backend.kind != "local" {
            let what = format!("state is kept in the backend `{}`, so there is no lockfile to commit", session.estate.backend.kind);
            return Err(refused(what, "leave out `--commit`"));
        }
        let store = backend::local(&session.estate, &session.place);
        let mut lockfiles: Vec<PathBuf> = environments.iter().map(|environment| store.lockfile(environment)).collect();
        // An apply may be the first to accept a source.
        lockfiles.push(session.place.root.join(Pins::FILE));
        let ledger = Self::new(args, &session.place.root, &lockfiles)?;
        if ledger.remote.is_some() {
            let tip = ledger.fetch()?;
            ledger.check_untouched(tip, &BTreeMap::new())?;
        }
        Ok(Some(ledger))
    }

    fn new(args: &CommitArgs, root: &Path, lockfiles: &[PathBuf]) -> Result<Self, Diagnostic> {
        let nowhere = |why: String| refused(why, "run in a clone of the configuration's repository, or leave out `--commit`");
        let repository = Repository::discover(root)
            .map_err(|error| nowhere(format!("{} is in no git repository: {}", root.display(), error.message())))?;
        let workdir = repository.workdir().and_then(|dir| dir.canonicalize().ok());
        let workdir = workdir.ok_or_else(|| nowhere("the repository has no files".to_owned()))?;
        if repository.state() != git2::RepositoryState::Clean {
            return Err(refused("a merge or rebase is under way in the repository".to_owned(), "end it first"));
        }
        let (branch, attached) = branch(&repository, args.branch.as_deref())?;
        let author = author(&repository)?;
        let mut files = BTreeMap::new();
        {
            let head = repository.head().ok().and_then(|head| head.peel_to_tree().ok());
            for lockfile in lockfiles {
                let folder = lockfile.parent().and_then(|folder| folder.canonicalize().ok());
                let path = folder.zip(lockfile.file_name()).map(|(folder, name)| folder.join(name));
                let path = path.and_then(|path| path.strip_prefix(&workdir).map(Path::to_path_buf).ok());
                let path = path.ok_or_else(|| nowhere(format!("{} is outside the repository", lockfile.display())))?;
                if repository.is_path_ignored(&path).unwrap_or(false) {
                    return Err(refused(
                        format!("git ignores {}", path.display()),
                        "take it out of .gitignore: the lockfile belongs into git",
                    ));
                }
                let blob = blob(head.as_ref(), &path);
                files.insert(path, blob);
            }
        }
        let remote = args.push.then(|| args.remote.clone());
        Ok(Self { repository, workdir, branch, attached, remote, author, files })
    }

    /// Commits what the run has recorded. `None`: no run, lockfiles of earlier ones.
    ///
    /// # Errors
    /// Somebody else has changed a lockfile on the branch, or git refuses. The lockfiles on the disk are good all the same.
    pub(super) fn commit(&self, record: Option<&RunRecord>) -> Result<Committed, Diagnostic> {
        let message = commit_message(record);
        let ours = self.ours()?;
        if self.remote.is_some() { self.publish(&message, &ours) } else { self.commit_here(&message, &ours) }
    }

    /// The lockfiles on the disk that are not what the checked-out commit has, as blobs.
    fn ours(&self) -> Result<BTreeMap<PathBuf, Oid>, Diagnostic> {
        let mut ours = BTreeMap::new();
        for (path, before) in &self.files {
            let full = self.workdir.join(path);
            match std::fs::read(&full) {
                Ok(content) => {
                    let blob = self.repository.blob(&content).map_err(|error| trouble(&error))?;
                    if Some(blob) != *before {
                        ours.insert(path.clone(), blob);
                    }
                }
                // Nothing was ever recorded there.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(super::problem::file_problem("lockfile cannot be read", &full, &error)),
            }
        }
        Ok(ours)
    }

    fn commit_here(&self, message: &str, ours: &BTreeMap<PathBuf, Oid>) -> Result<Committed, Diagnostic> {
        for _ in 0..ATTEMPTS {
            let head = self.repository.head().ok().and_then(|head| head.target());
            if let Some(head) = head {
                self.check_untouched(head, ours)?;
            }
            let Some(commit) = self.write(head, message, ours)? else { return Ok(Committed { commit: None, remarks: Vec::new() }) };
            if self.advance(head, commit)? {
                return Ok(Committed { commit: Some(commit), remarks: self.stage(ours) });
            }
        }
        Err(refused(format!("the branch `{}` moves all the time", self.branch), "commit the lockfile by hand"))
    }

    /// Commits on top of what the remote has, and pushes; begins anew where somebody else was faster.
    fn publish(&self, message: &str, ours: &BTreeMap<PathBuf, Oid>) -> Result<Committed, Diagnostic> {
        let mut last = None;
        let mut said = String::new();
        for _ in 0..ATTEMPTS {
            let tip = self.fetch()?;
            if last == Some(tip) {
                break;
            }
            last = Some(tip);
            self.check_untouched(tip, ours)?;
            let Some(commit) = self.write(Some(tip), message, ours)? else {
                return Ok(Committed { commit: None, remarks: Vec::new() });
            };
            let target = format!("{commit}:refs/heads/{}", self.branch);
            match self.git(&["push", "--quiet", "--", self.remote.as_deref().unwrap_or("origin"), &target]) {
                Ok(()) => return Ok(Committed { commit: Some(commit), remarks: self.follow(commit, ours) }),
                Err(why) => said = why,
            }
        }
        Err(Diagnostic::error("lockfile cannot be pushed")
            .fault(Fault::Platform)
            .detail(said)
            .help("the run is done and the lockfile on this machine is good: let the pipeline push to the branch, then run `windlass apply --commit --push` again"))
    }

    /// Nobody else may have changed what this run has changed: on the branch, each such lockfile is as it was, or as it is to be.
    /// Before a run (nothing of ours yet), every lockfile is.
    fn check_untouched(&self, commit: Oid, ours: &BTreeMap<PathBuf, Oid>) -> Result<(), Diagnostic> {
        let tree = self.repository.find_commit(commit).and_then(|commit| commit.tree()).map_err(|error| trouble(&error))?;
        let touched = self.files.iter().find(|(path, before)| {
            let there = blob(Some(&tree), path);
            let counts = if ours.is_empty() { !path.ends_with(Pins::FILE) } else { ours.contains_key(*path) };
            counts && there != **before && there != ours.get(*path).copied()
        });
        let Some((path, _)) = touched else { return Ok(()) };
        let detail = format!("{} is another one in {} of `{}`", path.display(), &commit.to_string()[..12], self.branch);
        let help = if ours.is_empty() {
            "somebody applied meanwhile and nothing was applied here: pull, plan again, and have that reviewed"
        } else {
            "the run is done and the lockfile on this machine says so, but somebody else recorded another state: compare both with what is deployed (`windlass drift`) and commit the right one by hand"
        };
        Err(Diagnostic::error("lockfile was changed by others").fault(Fault::Refused).detail(detail).help(help))
    }

    /// A commit with our lockfiles, on no branch yet; `None` where the parent has them.
    fn write(&self, parent: Option<Oid>, message: &str, ours: &BTreeMap<PathBuf, Oid>) -> Result<Option<Oid>, Diagnostic> {
        let write = || -> Result<Option<Oid>, git2::Error> {
            let parent = parent.map(|id| self.repository.find_commit(id)).transpose()?;
            let tree = match &parent {
                Some(parent) => parent.tree()?,
                None => self.repository.find_tree(self.repository.treebuilder(None)?.write()?)?,
            };
            let mut update = TreeUpdateBuilder::new();
            for (path, blob) in ours {
                update.upsert(path, *blob, FileMode::Blob);
            }
            let updated = update.create_updated(&self.repository, &tree)?;
            if updated == tree.id() {
                return Ok(None);
            }
            let tree = self.repository.find_tree(updated)?;
            let parents: Vec<&git2::Commit<'_>> = parent.iter().collect();
            self.repository.commit(None, &self.author, &self.author, message, &tree, &parents).map(Some)
        };
        write().map_err(|error| trouble(&error))
    }

    /// Moves the branch, unless somebody else has moved it: false then.
    fn advance(&self, from: Option<Oid>, to: Oid) -> Result<bool, Diagnostic> {
        if !self.attached {
            return self.repository.set_head_detached(to).map(|()| true).map_err(|error| trouble(&error));
        }
        let name = format!("refs/heads/{}", self.branch);
        let moved = match from {
            Some(from) => self.repository.reference_matching(&name, to, true, from, "windlass: lockfiles"),
            None => self.repository.reference(&name, to, false, "windlass: lockfiles"),
        };
        match moved {
            Ok(_) => Ok(true),
            Err(error) if matches!(error.code(), ErrorCode::Modified | ErrorCode::Exists | ErrorCode::Locked) => Ok(false),
            Err(error) => Err(trouble(&error)),
        }
    }

    /// Lets the index know what was committed, so that the lockfiles do not look changed.
    fn stage(&self, ours: &BTreeMap<PathBuf, Oid>) -> Vec<String> {
        let stage = || -> Result<(), git2::Error> {
            let mut index = self.repository.index()?;
            // Another process, like the git command, may have written it.
            index.read(true)?;
            for path in ours.keys() {
                index.add_path(path)?;
            }
            index.write()
        };
        stage().err().map(|error| format!("the index does not know of the commit: {}", error.message())).into_iter().collect()
    }

    /// Brings the checkout to what was pushed, where it is behind it; elsewhere it stays as it is.
    fn follow(&self, commit: Oid, ours: &BTreeMap<PathBuf, Oid>) -> Vec<String> {
        let Some(head) = self.repository.head().ok().and_then(|head| head.target()) else { return Vec::new() };
        let behind = self.repository.graph_descendant_of(commit, head).unwrap_or(false);
        let mut remarks = self.stage(ours);
        let brought = behind
            && self.git(&["read-tree", "-m", "-u", &head.to_string(), &commit.to_string()]).is_ok()
            && self.advance(Some(head), commit).unwrap_or(false);
        if !brought {
            remarks.push(format!("the checkout stays at {}; `git pull` brings it to what was pushed", &head.to_string()[..12]));
        }
        remarks
    }

    /// The tip of the branch on the remote, brought here.
    fn fetch(&self) -> Result<Oid, Diagnostic> {
        let remote = self.remote.as_deref().unwrap_or("origin");
        let kept = format!("refs/windlass/{}", self.branch);
        let spec = format!("+refs/heads/{}:{kept}", self.branch);
        self.git(&["fetch", "--quiet", "--no-tags", "--", remote, &spec]).map_err(|why| {
            Diagnostic::error("branch cannot be fetched")
                .fault(Fault::Platform)
                .detail(format!("`{}` of {remote}: {why}", self.branch))
                .help("let the pipeline read the repository, and name the branch with `--branch`")
        })?;
        self.repository.refname_to_id(&kept).map_err(|error| trouble(&error))
    }

    /// The git command, with the user's credentials and without questions. Answers what it said where it failed.
    fn git(&self, args: &[&str]) -> Result<(), String> {
        let output = Command::new("git")
            .arg("-C")
            .arg(&self.workdir)
            .args(["-c", "http.lowSpeedLimit=1000", "-c", "http.lowSpeedTime=60"])
            .args(args)
            .env("GIT_TERMINAL_PROMPT", "0")
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("the `git` command does not start: {error}"))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let said = crate::config::without_credentials(said.trim());
        Err(if said.is_empty() { format!("`git {}` failed", args.first().copied().unwrap_or_default()) } else { said })
    }
}

/// The branch to commit to, and whether it is checked out.
fn branch(repository: &Repository, wanted: Option<&str>) -> Result<(String, bool), Diagnostic> {
    let head = repository.find_reference("HEAD").ok().and_then(|head| head.symbolic_target().ok().flatten().map(str::to_owned));
    let here = head.as_deref().and_then(|name| name.strip_prefix("refs/heads/"));
    match (here, wanted) {
        (Some(here), Some(wanted)) if here != wanted => {
            Err(refused(format!("checked out is `{here}`, not `{wanted}`"), "check that branch out, or leave out `--branch`"))
        }
        (Some(here), _) => Ok((here.to_owned(), true)),
        (None, Some(wanted)) if git2::Reference::is_valid_name(&format!("refs/heads/{wanted}")) => Ok((wanted.to_owned(), false)),
        (None, Some(wanted)) => Err(refused(format!("`{wanted}` is no branch's name"), "correct `--branch`")),
        (None, None) => Err(refused("no branch is checked out".to_owned(), "name the branch with `--branch`")),
    }
}

/// Who commits: `GIT_AUTHOR_NAME` and `GIT_AUTHOR_EMAIL`, else git's configuration.
fn author(repository: &Repository) -> Result<Signature<'static>, Diagnostic> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    let made = match (variable("GIT_AUTHOR_NAME"), variable("GIT_AUTHOR_EMAIL")) {
        (Some(name), Some(email)) => Signature::now(&name, &email),
        _ => repository.signature(),
    };
    made.map_err(|error| {
        refused(
            format!("nobody to commit as: {}", error.message()),
            "set GIT_AUTHOR_NAME and GIT_AUTHOR_EMAIL, or user.name and user.email in git's configuration",
        )
    })
}

fn blob(tree: Option<&Tree<'_>>, path: &Path) -> Option<Oid> {
    tree?.get_path(path).ok().map(|entry| entry.id())
}

fn refused(detail: String, help: &str) -> Diagnostic {
    Diagnostic::error("lockfile cannot be committed").fault(Fault::Refused).detail(detail).help(help)
}

fn trouble(error: &git2::Error) -> Diagnostic {
    Diagnostic::error("lockfile cannot be committed")
        .fault(Fault::Platform)
        .detail(error.message().to_owned())
        .help("the lockfile on the disk is good: commit it by hand")
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
