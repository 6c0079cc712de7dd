//! Lockfiles in git, with others who work on the same branch.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Committed, Ledger};
use crate::cli::args::CommitArgs;
use crate::source::Diagnostic;

/// A bare repository and clones of it.
struct Place {
    folder: tempfile::TempDir,
}

fn git(at: &Path, args: &[&str]) -> String {
    let output = Command::new("git").arg("-C").arg(at).args(args).output().unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

impl Place {
    fn new() -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        git(place.folder.path(), &["init", "--quiet", "--bare", "--initial-branch=main", "origin.git"]);
        let first = place.clone("first");
        write(&first, "estate/main.hcl", "one\n");
        write(&first, "estate/windlass.test.lock", "serial 1\n");
        push(&first, "begin");
        place
    }

    fn clone(&self, name: &str) -> PathBuf {
        git(self.folder.path(), &["clone", "--quiet", "origin.git", name]);
        let path = self.folder.path().join(name);
        for (key, value) in [("user.name", "Tester"), ("user.email", "tester@example.org"), ("commit.gpgsign", "false")] {
            git(&path, &["config", key, value]);
        }
        path
    }

    fn of_origin(&self, args: &[&str]) -> String {
        git(&self.folder.path().join("origin.git"), args)
    }
}

fn write(clone: &Path, path: &str, content: &str) {
    let path = clone.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

fn push(clone: &Path, message: &str) {
    git(clone, &["add", "--all"]);
    git(clone, &["commit", "--quiet", "-m", message]);
    git(clone, &["push", "--quiet", "origin", "HEAD:main"]);
}

fn open(clone: &Path, push: bool) -> Result<Ledger, Diagnostic> {
    let args = CommitArgs { commit: true, push, branch: None, remote: "origin".to_owned() };
    Ledger::new(&args, &clone.join("estate"), &[clone.join("estate/windlass.test.lock")])
}

fn commit(ledger: &Ledger) -> Committed {
    ledger.commit(None).unwrap_or_else(|problem| panic!("{problem}"))
}

#[test]
fn only_the_lockfile_is_committed_and_what_is_staged_stays_staged() {
    let place = Place::new();
    let clone = place.clone("ours");
    write(&clone, "estate/other.txt", "staged\n");
    git(&clone, &["add", "--all"]);
    write(&clone, "estate/main.hcl", "changed\n");
    let ledger = open(&clone, false).unwrap_or_else(|problem| panic!("{problem}"));
    write(&clone, "estate/windlass.test.lock", "serial 2\n");
    let committed = commit(&ledger);
    assert_eq!(committed.commit.unwrap().to_string(), git(&clone, &["rev-parse", "main"]));
    assert_eq!(
        git(&clone, &["show", "--name-only", "--format=%an <%ae>", "HEAD"]),
        "Tester <tester@example.org>\n\nestate/windlass.test.lock"
    );
    assert_eq!(git(&clone, &["status", "--porcelain"]), "M estate/main.hcl\nA  estate/other.txt");
    assert!(commit(&ledger).commit.is_none(), "it is there already");
}

#[test]
fn what_others_pushed_meanwhile_stays_and_comes_here() {
    let place = Place::new();
    let (ours, theirs) = (place.clone("ours"), place.clone("theirs"));
    let ledger = open(&ours, true).unwrap_or_else(|problem| panic!("{problem}"));
    write(&theirs, "estate/main.hcl", "two\n");
    push(&theirs, "theirs");
    write(&ours, "estate/windlass.test.lock", "serial 2\n");
    let committed = commit(&ledger);
    assert_eq!(committed.remarks, Vec::<String>::new());
    assert_eq!(place.of_origin(&["log", "--format=%s", "main"]).lines().nth(1), Some("theirs"));
    assert_eq!(place.of_origin(&["show", "main:estate/windlass.test.lock"]), "serial 2");
    assert_eq!(git(&ours, &["rev-parse", "main"]), committed.commit.unwrap().to_string());
    assert_eq!(std::fs::read_to_string(ours.join("estate/main.hcl")).unwrap(), "two\n");
    assert_eq!(git(&ours, &["status", "--porcelain"]), "");
}

#[test]
fn files_that_are_being_worked_on_are_left_alone() {
    let place = Place::new();
    let (ours, theirs) = (place.clone("ours"), place.clone("theirs"));
    let ledger = open(&ours, true).unwrap_or_else(|problem| panic!("{problem}"));
    write(&theirs, "estate/main.hcl", "two\n");
    push(&theirs, "theirs");
    write(&ours, "estate/main.hcl", "mine, not committed\n");
    write(&ours, "estate/windlass.test.lock", "serial 2\n");
    let committed = commit(&ledger);
    assert!(committed.remarks.iter().any(|remark| remark.contains("`git pull`")), "{:?}", committed.remarks);
    assert_eq!(std::fs::read_to_string(ours.join("estate/main.hcl")).unwrap(), "mine, not committed\n");
    assert_eq!(place.of_origin(&["show", "main:estate/main.hcl"]), "two");
}

#[test]
fn a_lockfile_that_others_changed_is_never_written_over() {
    let place = Place::new();
    let (ours, theirs) = (place.clone("ours"), place.clone("theirs"));
    let ledger = open(&ours, true).unwrap_or_else(|problem| panic!("{problem}"));
    write(&theirs, "estate/windlass.test.lock", "serial 2, theirs\n");
    push(&theirs, "theirs");
    write(&ours, "estate/windlass.test.lock", "serial 2, ours\n");
    let problem = ledger.commit(None).err().expect("it is refused");
    assert_eq!(problem.summary, "lockfile was changed by others");
    assert_eq!(place.of_origin(&["show", "main:estate/windlass.test.lock"]), "serial 2, theirs");
    // Without a push, the branch here is asked.
    let ledger = open(&ours, false).unwrap_or_else(|problem| panic!("{problem}"));
    git(&ours, &["commit", "--quiet", "-am", "by hand"]);
    write(&ours, "estate/windlass.test.lock", "serial 3\n");
    assert_eq!(ledger.commit(None).err().map(|problem| problem.summary), Some("lockfile was changed by others".to_owned()));
}

#[test]
fn a_checkout_without_a_branch_needs_its_name() {
    let place = Place::new();
    let clone = place.clone("ours");
    git(&clone, &["checkout", "--quiet", "--detach"]);
    assert!(open(&clone, true).err().unwrap().detail.contains("no branch is checked out"));
    let args = CommitArgs { commit: true, push: true, branch: Some("main".to_owned()), remote: "origin".to_owned() };
    let ledger = Ledger::new(&args, &clone.join("estate"), &[clone.join("estate/windlass.test.lock")]);
    write(&clone, "estate/windlass.test.lock", "serial 2\n");
    let committed = commit(&ledger.unwrap_or_else(|problem| panic!("{problem}")));
    assert_eq!(place.of_origin(&["rev-parse", "main"]), committed.commit.unwrap().to_string());
    assert_eq!(git(&clone, &["rev-parse", "HEAD"]), committed.commit.unwrap().to_string());
}

#[test]
fn an_ignored_lockfile_is_refused_before_anything_runs() {
    let place = Place::new();
    let clone = place.clone("ours");
    write(&clone, ".gitignore", "*.prod.lock\n");
    let args = CommitArgs { commit: true, ..CommitArgs::default() };
    let problem = Ledger::new(&args, &clone.join("estate"), &[clone.join("estate/windlass.prod.lock")]).err().unwrap();
    assert!(problem.detail.contains("git ignores estate/windlass.prod.lock"), "{problem}");
}
