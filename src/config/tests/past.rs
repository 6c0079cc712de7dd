//! The configuration as it was at another commit.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Case, DRIVERS};
use crate::config::{LoadOptions, Loaded, Past, VarSource, load, load_past};
use crate::source::SourceMap;

const MAIN: &str = r#"
environment "test" {}
variable "root" { type = string }
module "site" {
  source      = "../modules/site"
  environment = environment.test
  root        = var.root
}
output "text" { value = file("note.txt") }
"#;

const SITE: &str = r#"
variable "environment" { type = string }
variable "root" { type = string }
instance "sample" "db" {
  environment = var.environment
  version     = "1.0.0"
  root        = var.root
  greeting    = path.module
}
"#;

/// A repository with the configuration in `estate`, a module and a provider beside it.
fn repository() -> Case {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/providers/sample");
    let case = Case::new(&[
        ("estate/main.hcl", MAIN),
        ("estate/note.txt", "old"),
        ("estate/site.vars.hcl", "root = \"/srv/old\"\n"),
        ("modules/site/main.hcl", SITE),
    ]);
    for entry in std::fs::read_dir(sample).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("estate/providers/sample/{}", path.file_name().unwrap().to_str().unwrap());
        case.write(&name, &std::fs::read_to_string(path).unwrap());
    }
    git2::Repository::init(case.dir.path()).unwrap();
    commit(&case);
    case
}

fn commit(case: &Case) {
    let repository = git2::Repository::open(case.dir.path()).unwrap();
    let mut index = repository.index().unwrap();
    index.add_all(["*"], git2::IndexAddOption::DEFAULT, None).unwrap();
    index.write().unwrap();
    let tree = repository.find_tree(index.write_tree().unwrap()).unwrap();
    let author = git2::Signature::now("Test", "test@example.org").unwrap();
    let parent = repository.head().ok().and_then(|head| head.peel_to_commit().ok());
    let parents: Vec<&git2::Commit<'_>> = parent.iter().collect();
    repository.commit(Some("HEAD"), &author, &author, "a commit", &tree, &parents).unwrap();
}

/// Loads it as it is, or as it was.
fn loaded(case: &Case, revision: Option<&str>) -> Loaded {
    let embedded = BTreeMap::new();
    let cwd = case.dir.path().join("estate");
    let options = LoadOptions {
        vars: vec![VarSource::File("site.vars.hcl".into())],
        env: BTreeMap::new(),
        cwd: cwd.clone(),
        provider_dirs: Vec::new(),
        embedded: &embedded,
        drivers: DRIVERS,
        now: "2026-11-21T00:00:00Z".parse().unwrap(),
        tool_version: "0.1.0".to_owned(),
        refresh_modules: false,
    };
    let mut sources = SourceMap::new();
    let loaded = match revision {
        None => load(Path::new("."), &options, &mut sources),
        Some(revision) => load_past(&Past::find(&cwd, revision).unwrap(), &options, &mut sources),
    };
    loaded.unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn text(loaded: &Loaded) -> (String, String, String) {
    let instance = loaded.estate.instances.values().next().unwrap();
    let setting = |name: &str| instance.settings[name].as_str().unwrap().to_owned();
    (loaded.estate.outputs["text"].value.as_str().unwrap().to_owned(), setting("root"), setting("greeting"))
}

#[test]
fn what_was_committed_is_read_as_if_it_were_there() {
    let case = repository();
    let (now, then) = (loaded(&case, None), loaded(&case, Some("HEAD")));
    assert_eq!(text(&now), text(&then));
    assert_eq!(now.estate.digest, then.estate.digest);
    assert_eq!(now.providers["sample"].digest, then.providers["sample"].digest);
}

#[test]
fn files_modules_providers_and_values_are_those_of_the_commit() {
    let case = repository();
    let before = loaded(&case, None);
    case.write("estate/note.txt", "new");
    case.write("estate/site.vars.hcl", "root = \"/srv/new\"\n");
    case.write("modules/site/main.hcl", &SITE.replace("1.0.0", "1.1.0"));
    case.write("estate/providers/sample/README.md", "more\n");
    let (now, then) = (loaded(&case, None), loaded(&case, Some("HEAD")));
    assert_eq!((text(&now).0, text(&now).1), ("new".to_owned(), "/srv/new".to_owned()));
    assert_eq!(text(&then), text(&before));
    assert_eq!(then.estate.digest, before.estate.digest);
    let version = |loaded: &Loaded| loaded.estate.instances.values().next().unwrap().version.to_string();
    assert_eq!((version(&now).as_str(), version(&then).as_str()), ("1.1.0", "1.0.0"));
    assert_eq!(then.providers["sample"].digest, before.providers["sample"].digest);
    assert_ne!(now.providers["sample"].digest, before.providers["sample"].digest);
}

#[test]
fn the_commit_is_the_one_at_which_both_parted() {
    let case = repository();
    let repository = git2::Repository::open(case.dir.path()).unwrap();
    let begin = repository.head().unwrap().peel_to_commit().unwrap();
    repository.branch("other", &begin, false).unwrap();
    case.write("estate/note.txt", "main goes on");
    commit(&case);
    let main = repository.head().unwrap().shorthand().unwrap().to_owned();
    repository.set_head("refs/heads/other").unwrap();
    let past = Past::find(&case.dir.path().join("estate"), &main).unwrap();
    assert_eq!((past.commit, past.revision), (begin.id().to_string(), main));
    let problem = Past::find(&case.dir.path().join("estate"), "nowhere").err().unwrap();
    assert!(problem.detail.contains("no revision `nowhere`"), "{problem}");
    let empty = Case::new(&[]);
    assert!(Past::find(empty.dir.path(), "HEAD").err().unwrap().detail.contains("in no git repository"));
}
