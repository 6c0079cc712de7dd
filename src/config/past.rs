//! The configuration as it was at another commit of the repository that it lies in, without a checkout.
//!
//! [`Past::find`] takes the configuration's folder and a revision; [`load_past`](super::load_past) loads it as it was. What git does
//! not have (ignored files, folders outside the repository) is as it is now. Changes nothing.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::files::{Folder, Record, Tree};
use super::git::Commit;
use crate::source::{Diagnostic, Fault};

/// A commit of the repository in which a configuration lies.
pub struct Past {
    /// The revision as it was asked for.
    pub revision: String,
    /// The full id of the commit that is read: where the checked-out commit and the revision parted.
    pub commit: String,
    commit_tree: Rc<Commit>,
    /// The configuration's folder in the repository.
    prefix: PathBuf,
}

impl Past {
    /// Finds the commit at which the checked-out one parted from `revision`, so that what others did on a branch meanwhile does not
    /// count; the revision itself where the history at hand is too short to tell.
    ///
    /// # Errors
    /// The folder is in no git repository, or there is no such revision.
    pub fn find(folder: &Path, revision: &str) -> Result<Self, Diagnostic> {
        let trouble = |why: String| {
            Diagnostic::error("base cannot be read")
                .detail(why)
                .fault(Fault::User)
                .help("give a branch, tag or commit of the repository that the configuration is in; a pipeline must fetch it first")
        };
        let repository = git2::Repository::discover(folder)
            .map_err(|error| trouble(format!("{} is in no git repository: {}", folder.display(), error.message())))?;
        let workdir = repository.workdir().map(Path::to_path_buf).and_then(|dir| dir.canonicalize().ok());
        let workdir = workdir.ok_or_else(|| trouble(format!("{} is a repository without files", folder.display())))?;
        let here = folder.canonicalize().map_err(|error| trouble(format!("{}: {error}", folder.display())))?;
        let prefix = here.strip_prefix(&workdir).map(Path::to_path_buf).unwrap_or_default();
        let commit_tree = {
            let commit = find(&repository, revision)
                .map_err(|error| trouble(format!("there is no revision `{revision}`: {}", error.message())))?;
            let parted = repository
                .head()
                .and_then(|head| head.peel_to_commit())
                .and_then(|head| repository.merge_base(head.id(), commit.id()))
                .and_then(|id| repository.find_commit(id));
            parted.unwrap_or(commit).id()
        };
        let commit = Commit::in_place(repository, commit_tree, workdir).map_err(trouble)?;
        Ok(Self { revision: revision.to_owned(), commit: commit.id.clone(), commit_tree: Rc::new(commit), prefix })
    }

    /// The configuration's folder at that commit.
    pub(super) fn folder(&self, record: &Record) -> Folder {
        let tree = Tree::Git(Rc::clone(&self.commit_tree));
        Folder { tree, path: self.prefix.clone(), label: String::new(), record: record.clone() }
    }

    /// Whether there was a configuration at all.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.folder(&Record::default()).names().is_ok_and(|names| names.iter().any(|name| name.ends_with(".hcl")))
    }
}

/// A revision here, or a branch that only the remote has.
fn find<'r>(repository: &'r git2::Repository, revision: &str) -> Result<git2::Commit<'r>, git2::Error> {
    let object = repository
        .revparse_single(revision)
        .or_else(|error| repository.revparse_single(&format!("origin/{revision}")).map_err(|_| error))?;
    object.peel_to_commit()
}
