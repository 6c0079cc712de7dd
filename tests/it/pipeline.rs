//! The pipeline of `examples/pipelines` from end to end, against a bare git repository and a stand-in for a forge: branch, plan,
//! comment, merge, apply, lockfile commit and push, drift. And what the other examples say, read as their forges read it.

use std::path::Path;
use std::process::Command;

use crate::estate::{Estate, Ran};
use crate::forge::{Forge, TOKEN};

const MAIN: &str = r#"environment "test" {}

instance "sample" "one" {
  environment = environment.test
  version     = "1.0.0"
  root        = "${env.HOME}/app"
  store       = "${env.HOME}/store"
  token       = "of-no-worth"
}
"#;

/// The runner's machine, with a clone of the repository, and a developer's clone.
struct World {
    runner: Estate,
    forge: Forge,
}

impl World {
    fn new() -> Self {
        let mut runner = Estate::empty();
        runner.furnish();
        let main = MAIN.replace("${env.HOME}", &runner.root.display().to_string());
        runner.write("main.hcl", main);
        runner.write(".gitignore", "/.windlass/\n/app/\n/store/\n/forge/\n/origin.git/\n/developer/\n");
        for role in ["AUTHOR", "COMMITTER"] {
            runner.env(&format!("GIT_{role}_NAME"), "pipeline");
            runner.env(&format!("GIT_{role}_EMAIL"), "pipeline@example.org");
        }
        runner.env("WINDLASS", env!("CARGO_BIN_EXE_windlass"));
        let forge = Forge::start("gitea", &runner.path("forge"), &[]);
        let world = Self { runner, forge };
        world.git("", &["init", "--quiet", "--bare", "--initial-branch=main", "origin.git"]);
        world.git("", &["init", "--quiet", "--initial-branch=main", "."]);
        world.git("", &["remote", "add", "origin", "origin.git"]);
        world.push("", "begin", "main");
        world.git("", &["branch", "--quiet", "--set-upstream-to=origin/main"]);
        world.git("", &["clone", "--quiet", "origin.git", "developer"]);
        world
    }

    /// Git in the runner's clone, or in a folder below it.
    #[track_caller]
    fn git(&self, folder: &str, args: &[&str]) -> String {
        let mut command = Command::new("git");
        command.args(args);
        self.runner.furnish_command(&mut command);
        command.current_dir(self.runner.path(folder));
        let output = command.output().expect("git can be run");
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn push(&self, folder: &str, message: &str, branch: &str) {
        self.git(folder, &["add", "--all"]);
        self.git(folder, &["commit", "--quiet", "-m", message]);
        self.git(folder, &["push", "--quiet", "origin", &format!("HEAD:{branch}")]);
    }

    /// The developer changes the configuration on a branch.
    fn change(&self, branch: &str, from: &str, to: &str) {
        self.git("developer", &["fetch", "--quiet", "origin"]);
        self.git("developer", &["checkout", "--quiet", "-B", branch, "origin/main"]);
        let main = self.runner.read("developer/main.hcl");
        assert!(main.contains(from), "{main}");
        self.runner.write("developer/main.hcl", main.replace(from, to));
        self.push("developer", &format!("Change to {to}"), branch);
    }

    fn merge(&self, branch: &str) {
        self.git("developer", &["fetch", "--quiet", "origin"]);
        self.git("developer", &["checkout", "--quiet", "-B", "main", "origin/main"]);
        self.git("developer", &["merge", "--quiet", "--no-ff", "-m", "Merge", &format!("origin/{branch}")]);
        self.git("developer", &["push", "--quiet", "origin", "main"]);
    }

    /// Runs the pipeline of the example.
    fn pipeline(&self, what: &str, variables: &[(&str, &str)]) -> Ran {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/pipelines/pipeline");
        let mut command = Command::new("sh");
        command.arg(program).arg(what);
        self.runner.furnish_command(&mut command);
        command.envs(variables.iter().copied());
        let ran = Ran::of(&["pipeline", what], &command.output().expect("sh can be run")).sober();
        assert!(!ran.out.contains(TOKEN) && !ran.err.contains(TOKEN), "the token is shown:\n{}\n{}", ran.out, ran.err);
        ran
    }

    /// The pipeline of a pull request from a branch.
    fn review(&self, branch: &str) -> Ran {
        self.git("", &["fetch", "--quiet", "origin"]);
        self.git("", &["checkout", "--quiet", "--detach", &format!("origin/{branch}")]);
        self.pipeline(
            "plan",
            &[
                ("WINDLASS_FORGE_TOKEN", TOKEN),
                ("GITEA_ACTIONS", "true"),
                ("GITHUB_API_URL", &self.forge.api),
                ("GITHUB_REPOSITORY", "team/estate"),
                ("GITHUB_REF", "refs/pull/3/head"),
            ],
        )
    }

    /// The pipeline of the main branch.
    fn apply(&self) -> Ran {
        self.git("", &["fetch", "--quiet", "origin"]);
        self.git("", &["checkout", "--quiet", "main"]);
        self.git("", &["merge", "--quiet", "--ff-only", "origin/main"]);
        self.pipeline("apply", &[])
    }

    fn comment(&self) -> String {
        let comments = self.forge.comments();
        assert_eq!(comments.len(), 1, "{comments:?}");
        comments[0]["body"].as_str().expect("a text").to_owned()
    }
}

#[test]
fn a_version_goes_from_a_branch_over_review_and_merge_to_the_platform_and_the_lockfile_back_to_git() {
    let world = World::new();
    let origin = |args: &[&str]| world.git("origin.git", args);

    // The first installation is a pull request like all others.
    world.runner.good(&["apply", "--auto-approve", "--commit", "--push"]).says(&["Committed the lockfiles as"]);
    assert_eq!(origin(&["log", "-1", "--format=%s", "main"]), "windlass: sample.one 1.0.0 in test");
    assert_eq!(world.git("", &["status", "--porcelain"]), "");

    world.change("up", "1.0.0", "1.1.0");
    world.review("up").exit(0);
    let comment = world.comment();
    for text in [
        "<!-- windlass:plan -->\n### Windlass: 1 to upgrade",
        "**This change:** alters 1 instance",
        "**Pending before this change:** 0",
    ] {
        assert!(comment.contains(text), "`{text}` is not in:\n{comment}");
    }
    // Run again, it is the same comment.
    world.review("up").exit(0);
    world.comment();

    // Meanwhile others merge what has nothing to do with it.
    world.git("developer", &["checkout", "--quiet", "-B", "notes", "origin/main"]);
    world.runner.write("developer/NOTES.md", "notes\n");
    world.push("developer", "notes", "notes");
    world.merge("notes");
    world.merge("up");
    world.apply().exit(0).says(&["Apply complete.", "Committed the lockfiles as"]);
    assert_eq!(world.runner.read("app/current/VERSION"), "1.1.0");
    let message = origin(&["log", "-1", "--format=%an: %B", "main"]);
    assert!(message.starts_with("pipeline: windlass: sample.one 1.0.0 → 1.1.0 in test\n\nRun "), "{message}");
    assert!(message.contains("[skip ci]") && message.contains("\nWindlass-Run: "), "{message}");
    assert_eq!(origin(&["show", "--name-only", "--format=", "main"]), "windlass.test.lock");
    assert!(origin(&["show", "main:windlass.test.lock"]).contains("\"1.1.0\""));
    assert_eq!(world.git("", &["status", "--porcelain", "--branch"]), "## main...origin/main");

    // Again, there is nothing to do and nothing to commit.
    let tip = origin(&["rev-parse", "main"]);
    world.apply().exit(0);
    assert_eq!(origin(&["rev-parse", "main"]), tip);

    world.pipeline("drift", &[]).exit(0).says(&["No drift."]);
    world.runner.remove("app/current");
    world.pipeline("drift", &[]).exit(2);
    world.forge.is_content();
}

#[test]
fn a_run_that_halted_is_ended_by_a_person_and_the_lockfile_follows() {
    let world = World::new();
    let main =
        world.runner.read("main.hcl").replace("environment \"test\" {}", "environment \"test\" {\n  on_failure = \"halt\"\n}");
    world.runner.write("main.hcl", main);
    world.push("", "halt", "main");
    world.runner.good(&["apply", "--auto-approve", "--commit", "--push"]);
    let lock = || world.git("origin.git", &["show", "main:windlass.test.lock"]);
    let subject = || world.git("origin.git", &["log", "-1", "--format=%s", "main"]);
    world.change("up", "1.0.0", "1.1.0");
    world.review("up").exit(0);
    world.merge("up");
    // The release is not there: the run halts.
    let release = world.runner.read("store/1.1.0/VERSION");
    std::fs::remove_dir_all(world.runner.path("store/1.1.0")).expect("it is there");
    world.apply().exit(5);
    assert!(!lock().contains("version  = \"1.1.0\""), "{}", lock());
    // Neither another apply nor anything else goes on by itself.
    world.apply().exit(3).says(&["run is not finished"]);
    world.runner.write("store/1.1.0/VERSION", release);
    world.runner.good(&["resume", "--commit", "--push"]).says(&["Committed the lockfiles as"]);
    assert_eq!(subject(), "windlass: sample.one 1.0.0 → 1.1.0 in test");
    assert!(lock().contains("\"1.1.0\""), "{}", lock());
    assert_eq!(world.git("", &["status", "--porcelain", "--branch"]), "## main...origin/main");
    // Back again, at once.
    world.runner.good(&["rollback", "--auto-approve", "--commit", "--push"]).says(&["Committed the lockfiles as"]);
    assert_eq!(world.runner.read("app/current/VERSION"), "1.0.0");
    assert!(subject().starts_with("windlass: "), "{}", subject());
    assert!(!lock().contains("\"1.1.0\""), "{}", lock());
    world.runner.run(&["resume", "--push"]).exit(1).says(&["--commit"]);
}

#[test]
fn what_was_not_approved_is_not_applied() {
    let world = World::new();
    world.runner.good(&["apply", "--auto-approve", "--commit", "--push"]);
    world.change("up", "1.0.0", "1.1.0");
    world.review("up").exit(0);
    world.merge("up");
    // Somebody merges another change without a review.
    world.change("sly", "1.1.0", "2.0.0");
    world.merge("sly");
    let tip = world.git("origin.git", &["rev-parse", "main"]);
    world
        .apply()
        .exit(3)
        .says(&["plan is not approved", "it was to upgrade from 1.0.0 to 1.1.0, and now to upgrade from 1.0.0 to 2.0.0"]);
    assert_eq!(world.runner.read("app/current/VERSION"), "1.0.0");
    assert_eq!(world.git("origin.git", &["rev-parse", "main"]), tip);
    // A new review covers it.
    world.runner.run(&["plan", "--against", ".windlass/approved.plan", "--out", "new.plan"]).exit(3).says(&["This plan adds"]);
    world.runner.remove(".windlass/approved.plan");
    std::fs::rename(world.runner.path("new.plan"), world.runner.path(".windlass/approved.plan")).expect("it is there");
    world.pipeline("apply", &[]).exit(0);
    assert_eq!(world.runner.read("app/current/VERSION"), "2.0.0");
}

#[test]
fn a_pull_request_shows_what_it_alters_apart_from_what_was_pending() {
    let world = World::new();
    world.runner.good(&["apply", "--auto-approve", "--commit", "--push"]);
    // Merged, not yet applied.
    world.change("up", "1.0.0", "1.1.0");
    world.merge("up");
    world.change("notes", "environment \"test\"", "# A remark\nenvironment \"test\"");
    world.review("notes").exit(0);
    let comment = world.comment();
    assert!(comment.contains("### Windlass: nothing changes because of this"), "{comment}");
    assert!(comment.contains("**Pending before this change:** 1") && comment.contains("upgrade 1.0.0 → 1.1.0"), "{comment}");
    // The same for people and for programs; what others merged after the branch was made does not count.
    world
        .runner
        .run(&["plan", "--base", "origin/main", "--detailed-exitcode"])
        .exit(0)
        .says(&["Pending before this change: 1"])
        .lacks("Plan:");
    let json = world.runner.good(&["plan", "--base", "origin/main", "--format", "json"]).json();
    assert_eq!(json["compared"]["delta"]["pending"][0]["instance"], "sample.one");
    assert_eq!(json["plan"]["changes"].as_array().map(Vec::len), Some(1));

    world.change("other", "1.1.0", "2.0.0");
    world.review("other").exit(0);
    assert!(world.comment().contains("changes otherwise than before"), "{}", world.comment());
    // A base that does not load is said, and hides nothing.
    world.change("broken", "version     = \"1.1.0\"", "version     = nothing.there");
    world.merge("broken");
    world.change("mended", "nothing.there", "\"1.1.0\"");
    world.review("mended").exit(0);
    assert!(world.comment().contains("nothing could be planned there"), "{}", world.comment());
    world.runner.run(&["plan", "--base", "no-such-branch"]).exit(1).says(&["base cannot be read", "no-such-branch"]);
}

#[test]
fn an_approval_names_a_plan_by_its_digest() {
    let mut estate = Estate::sample();
    let said = estate.good(&["plan", "--out", "one.plan"]).err;
    let digest = said.split_whitespace().find(|word| word.starts_with("sha256:")).expect("a digest").to_owned();
    estate.run(&["apply", "one.plan", "--approved", &"0".repeat(64)]).exit(3).says(&["plan is not approved"]);
    estate.run(&["apply", "one.plan", "--approved", "sha256:12"]).exit(1).says(&["not a digest"]);
    estate.run(&["apply", "--approved", &digest]).exit(1).says(&["approval without its plan"]);
    estate.run(&["apply", "--against", "one.plan", "--approved", &"0".repeat(64)]).exit(3).says(&["plan is not approved"]);
    assert!(!estate.path("app").exists());
    // A plan that repeats the approved one later is covered, too, and nobody is asked.
    estate.good(&["apply", "--against", "one.plan", "--approved", &digest]);
    assert_eq!(estate.read("app/current/VERSION"), "1.0.0");
    estate.set("version", "1.1.0");
    estate.run(&["apply", "--against", "one.plan"]).exit(3).says(&["it was to install"]);
    estate.good(&["plan", "--out", "two.plan"]);
    estate.good(&["apply", "two.plan"]);
}

#[test]
fn findings_of_validate_are_readable_by_forges() {
    let estate = Estate::sample();
    estate.write("main.hcl", estate.read("main.hcl").replace("store       =", "stoore      ="));
    let sarif = estate.run(&["validate", "--format", "sarif"]).exit(1).json();
    let results = sarif["runs"][0]["results"].as_array().expect("results");
    let place = &results[0]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "main.hcl");
    assert!(place["region"]["startLine"].as_u64().is_some_and(|line| line > 1), "{place}");
    let junit = estate.run(&["validate", "--format", "junit"]).exit(1).out;
    assert!(junit.contains("<failure") && junit.contains("stoore"), "{junit}");
    let fine = Estate::sample();
    let junit = fine.good(&["validate", "--format", "junit"]).out;
    assert!(junit.contains(r#"tests="1" skipped="0" failures="0""#), "{junit}");
    assert_eq!(fine.good(&["validate", "--format", "sarif"]).json()["runs"][0]["results"], serde_json::json!([]));
}

/// Every `windlass` command in the examples is one that the program knows.
#[test]
fn the_examples_of_other_forges_call_commands_that_there_are() {
    use clap::Parser as _;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut seen = 0;
    for name in [
        "examples/pipelines/pipeline",
        "examples/pipelines/github/windlass.yml",
        "examples/pipelines/gitlab/gitlab-ci.yml",
        "examples/pipelines/pre-commit/pre-commit-config.yaml",
        "examples/pipelines/pre-commit/hook",
        ".pre-commit-hooks.yaml",
    ] {
        let text = std::fs::read_to_string(folder.join(name)).expect("the example is there");
        if name.ends_with("ml") {
            let value: serde_json::Value = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(value.is_object() || value.is_array(), "{name}");
        }
        for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
            let line = line
                .trim()
                .trim_start_matches("- ")
                .trim_start_matches("run: ")
                .trim_start_matches("entry: ")
                .trim_start_matches("exec ");
            let line = line.replace("\"$windlass\"", "windlass");
            let Some(command) = line.strip_prefix("windlass ") else { continue };
            let command = command.split(['>', '|', ';']).next().unwrap_or_default();
            // Variables stand for one word each; what is optional is left out.
            let words: Vec<&str> = command.split_whitespace().take_while(|word| !word.starts_with("${")).collect();
            let words = words.iter().map(|word| word.trim_matches('"'));
            let parsed = windlass::cli::args::Cli::try_parse_from(std::iter::once("windlass").chain(words));
            assert!(parsed.is_ok(), "{name}: `{line}`: {}", parsed.err().map(|error| error.to_string()).unwrap_or_default());
            seen += 1;
        }
    }
    assert!(seen >= 15, "only {seen} commands were found");
}
