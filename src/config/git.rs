//! Module and provider sources in git: one commit, read with git2 straight from the repository, without a checkout.
//!
//! A local repository is read where it is. A remote one is fetched by the `git` command, one commit deep, into the module cache
//! (`.windlass/modules`), and then read the same way. Never runs anything from a repository.

#![expect(clippy::disallowed_methods, reason = "fetches module sources into the module cache with the git command")]

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use super::files::{LARGEST, normalize};
use crate::model::name::Digest;

/// A git source as written: `git::URL//SUB?ref=REV`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GitSource {
    /// A path, a `file://` URL or a remote URL.
    pub(super) url: String,
    /// The folder in the repository; empty for its root.
    pub(super) sub: String,
    /// Branch, tag or commit; `None`: the default branch.
    pub(super) rev: Option<String>,
}

impl GitSource {
    /// Reads what follows `git::`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (text, query) = text.split_once('?').unwrap_or((text, ""));
        let mut rev = None;
        for part in query.split('&').filter(|part| !part.is_empty()) {
            match part.split_once('=') {
                Some(("ref", value)) if !value.is_empty() && !value.starts_with('-') => rev = Some(value.to_owned()),
                Some(("ref", _)) => return Err("has an empty or impossible `ref`".to_owned()),
                _ => return Err(format!("has the unknown parameter `{part}`; only `ref` is known")),
            }
        }
        let scheme = text.find("://").map_or(0, |at| at + 3);
        let (url, sub) = match text[scheme..].find("//") {
            Some(at) => (&text[..scheme + at], &text[scheme + at + 2..]),
            None => (text, ""),
        };
        if url.is_empty() || url.starts_with('-') {
            return Err("names no repository".to_owned());
        }
        if Path::new(sub).components().any(|part| !matches!(part, std::path::Component::Normal(_))) {
            return Err(format!("has the folder `{sub}`, which leads out of the repository"));
        }
        Ok(Self { url: url.to_owned(), sub: sub.to_owned(), rev })
    }

    /// The local repository that it means, where it does.
    fn local(&self, base: &Path) -> Option<PathBuf> {
        if let Some(path) = self.url.strip_prefix("file://") {
            return Some(PathBuf::from(path));
        }
        let remote = self.url.contains("://") || is_scp_like(&self.url);
        (!remote).then(|| base.join(&self.url))
    }
}

/// `git@host:path`: a colon before any slash.
fn is_scp_like(url: &str) -> bool {
    url.find(':').is_some_and(|colon| url.find('/').is_none_or(|slash| colon < slash))
}

/// One commit of a repository.
pub(super) struct Commit {
    repository: git2::Repository,
    tree: git2::Oid,
    /// The commit's full id: what the source is pinned to.
    pub(super) id: String,
    /// `git::URL` for people, without credentials.
    pub(super) label: String,
    /// The files that it stands for, where it is an earlier state of the configuration itself: what is in it is called as if it were
    /// there.
    pub(super) workdir: Option<PathBuf>,
}

/// Opens the commit that a source names. `base` is where relative repository paths start, `cache` the module cache.
///
/// # Errors
/// What failed; a clause that follows the quoted source.
pub(super) fn open(source: &GitSource, base: &Path, cache: &Path, refresh: bool) -> Result<Commit, String> {
    let label = format!("git::{}", without_credentials(&source.url));
    if let Some(path) = source.local(base) {
        let repository =
            git2::Repository::open(&path).map_err(|error| format!("is no git repository that can be read: {}", error.message()))?;
        return resolve(repository, source.rev.as_deref().unwrap_or("HEAD"), label);
    }
    open_remote(source, label, cache, refresh)
}

/// Opens the commit of a repository that the `git` command must fetch.
pub(super) fn open_remote(source: &GitSource, label: String, cache: &Path, refresh: bool) -> Result<Commit, String> {
    let rev = source.rev.as_deref().unwrap_or("HEAD");
    let key = Digest::of(format!("{}\n{rev}", source.url).as_bytes());
    let folder = cache.join(key.short());
    if refresh || !folder.join("fetched").is_file() {
        fetch(&source.url, rev, &folder)?;
    }
    let repository = git2::Repository::open_bare(&folder).map_err(|error| {
        format!("is broken in the module cache ({}): {}; remove it there and try again", folder.display(), error.message())
    })?;
    resolve(repository, "refs/windlass/fetched", label)
}

fn resolve(repository: git2::Repository, rev: &str, label: String) -> Result<Commit, String> {
    let (id, tree) = {
        let object = repository.revparse_single(rev).or_else(|error| {
            // A branch that only the remote has.
            repository.revparse_single(&format!("origin/{rev}")).map_err(|_| error)
        });
        let commit = object
            .and_then(|object| object.peel_to_commit())
            .map_err(|error| format!("has no revision `{rev}`: {}", error.message()))?;
        (commit.id().to_string(), commit.tree_id())
    };
    Ok(Commit { repository, tree, id, label, workdir: None })
}

/// Fetches one commit, without history, into a bare repository.
fn fetch(url: &str, rev: &str, folder: &Path) -> Result<(), String> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| format!("cannot be kept in the module cache ({}): {error}", folder.display()))?;
    let git = |args: &[&str]| -> Result<(), String> {
        let output = Command::new("git")
            .arg("--git-dir")
            .arg(folder)
            .args(["-c", "http.lowSpeedLimit=1000", "-c", "http.lowSpeedTime=30", "-c", "core.hooksPath=/dev/null"])
            .args(args)
            .env("GIT_TERMINAL_PROMPT", "0")
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("cannot be fetched: the `git` command does not start: {error}"))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("cannot be fetched: {}", without_credentials(said.trim())))
    };
    git(&["init", "--quiet", "--bare"])?;
    git(&["fetch", "--quiet", "--no-tags", "--depth", "1", "--", url, &format!("+{rev}:refs/windlass/fetched")])?;
    std::fs::write(folder.join("fetched"), rev).map_err(|error| format!("cannot be kept in the module cache: {error}"))
}

/// Takes `user:password@` out of URLs in a text.
#[must_use]
pub fn without_credentials(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (head, tail) = rest.split_at(at + 3);
        clean.push_str(head);
        let end = tail.find(|c: char| c == '/' || c.is_whitespace() || c == '\'').unwrap_or(tail.len());
        let authority = &tail[..end];
        clean.push_str(authority.rsplit_once('@').map_or(authority, |(_, host)| host));
        rest = &tail[end..];
    }
    clean.push_str(rest);
    clean
}

impl Commit {
    /// An earlier state of the files in `workdir`.
    pub(super) fn in_place(repository: git2::Repository, commit: git2::Oid, workdir: PathBuf) -> Result<Self, String> {
        let tree = repository.find_commit(commit).map(|commit| commit.tree_id());
        let tree = tree.map_err(|error| format!("commit {commit} cannot be read: {}", error.message()))?;
        Ok(Self { repository, tree, id: commit.to_string(), label: String::new(), workdir: Some(workdir) })
    }

    fn entry(&self, path: &Path) -> Result<git2::Object<'_>, String> {
        let path = normalize(path);
        if path.is_absolute() || path.starts_with("..") {
            return Err("is outside the repository".to_owned());
        }
        let tree = self.repository.find_tree(self.tree).map_err(|error| format!("cannot be read: {}", error.message()))?;
        if path.as_os_str().is_empty() {
            return Ok(tree.into_object());
        }
        let entry = tree.get_path(&path).map_err(|_| format!("does not exist in commit {}", &self.id[..12]))?;
        entry.to_object(&self.repository).map_err(|error| format!("cannot be read: {}", error.message()))
    }

    /// The content of a file.
    pub(super) fn read(&self, path: &Path) -> Result<Arc<[u8]>, String> {
        let object = self.entry(path)?;
        let blob = object.as_blob().ok_or_else(|| "is a folder".to_owned())?;
        if blob.size() as u64 > LARGEST {
            return Err(format!("is larger than {} MiB", LARGEST >> 20));
        }
        Ok(blob.content().into())
    }

    /// Names of the files directly in a folder.
    pub(super) fn names(&self, path: &Path) -> Result<Vec<String>, String> {
        let object = self.entry(path)?;
        let tree = object.as_tree().ok_or_else(|| "is not a folder".to_owned())?;
        let files = tree.iter().filter(|entry| entry.kind() == Some(git2::ObjectType::Blob));
        files.map(|entry| entry.name().map(str::to_owned).map_err(|_| "holds a file whose name is not UTF-8".to_owned())).collect()
    }

    /// Every file below a folder, relative to it. Hidden ones are left out.
    pub(super) fn walk(&self, path: &Path) -> Result<Vec<String>, String> {
        let object = self.entry(path)?;
        let tree = object.as_tree().ok_or_else(|| "is not a folder".to_owned())?;
        let mut found = Vec::new();
        tree.walk(git2::TreeWalkMode::PreOrder, |prefix, entry| {
            let Ok(name) = entry.name() else { return git2::TreeWalkResult::Skip };
            if name.starts_with('.') {
                return git2::TreeWalkResult::Skip;
            }
            if entry.kind() == Some(git2::ObjectType::Blob) {
                found.push(format!("{prefix}{name}"));
            }
            git2::TreeWalkResult::Ok
        })
        .map_err(|error| format!("cannot be read: {}", error.message()))?;
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::{GitSource, is_scp_like, without_credentials};

    #[test]
    fn sources_are_taken_apart() {
        let source =
            |url: &str, sub: &str, rev: Option<&str>| GitSource { url: url.into(), sub: sub.into(), rev: rev.map(str::to_owned) };
        assert_eq!(
            GitSource::parse("https://example.org/m.git//a/b?ref=v1").unwrap(),
            source("https://example.org/m.git", "a/b", Some("v1"))
        );
        assert_eq!(GitSource::parse("file:///srv/m").unwrap(), source("file:///srv/m", "", None));
        assert_eq!(GitSource::parse("../m//eu?ref=main").unwrap(), source("../m", "eu", Some("main")));
        assert_eq!(GitSource::parse("git@example.org:team/m.git//x").unwrap(), source("git@example.org:team/m.git", "x", None));
    }

    #[test]
    fn impossible_sources_are_refused() {
        for text in
            ["", "?ref=main", "https://example.org/m//../x", "m?ref=", "m?ref=--upload-pack=x", "m?depth=1", "--upload-pack=x"]
        {
            assert!(GitSource::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn credentials_are_not_shown() {
        assert_eq!(
            without_credentials("fatal: 'https://me:secret@example.org/m' and ssh://x@h/y"),
            "fatal: 'https://example.org/m' and ssh://h/y"
        );
        assert!(is_scp_like("git@host:path") && !is_scp_like("../a:b") && !is_scp_like("plain"));
    }
}
