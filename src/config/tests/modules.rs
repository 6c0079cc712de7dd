//! Modules by path and from git.

use std::path::Path;

use super::{Case, problems};
use crate::lang::Value;

const CHILD: &str = r#"
variable "environment" { type = string }
variable "root" {}
variable "port" {
  type    = number
  default = 1
}
instance "sample" "db" {
  environment = var.environment
  version     = "1.0.0"
  root        = var.root
  port        = var.port
}
output "address" { value = instance.sample.db.address }
output "host" { value = instance.sample.db.host.address }
"#;

/// Commits files to a new repository and gives the commit's id.
fn repository(path: &Path, files: &[(&str, &str)]) -> String {
    let repository = git2::Repository::init(path).unwrap();
    commit(&repository, path, files)
}

fn commit(repository: &git2::Repository, path: &Path, files: &[(&str, &str)]) -> String {
    let mut index = repository.index().unwrap();
    for (name, content) in files {
        let file = path.join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, content).unwrap();
        index.add_path(Path::new(name)).unwrap();
    }
    index.write().unwrap();
    let tree = repository.find_tree(index.write_tree().unwrap()).unwrap();
    let author = git2::Signature::now("Test", "test@example.org").unwrap();
    let parent = repository.head().ok().and_then(|head| head.peel_to_commit().ok());
    let parents: Vec<&git2::Commit<'_>> = parent.iter().collect();
    repository.commit(Some("HEAD"), &author, &author, "a commit", &tree, &parents).unwrap().to_string()
}

#[test]
fn inputs_go_in_and_outputs_come_out_through_two_levels() {
    let mut case = Case::new(&[
        (
            "main.hcl",
            r#"
            environment "test" {}
            host "h" {
              ssh { address = "h.example.org" }
            }
            module "eu" {
              source = "./modules/region"
              for_each = { de = "/srv/de", fr = "/srv/fr" }
              root   = each.value
            }
            instance "sample" "front" {
              environment = environment.test
              version     = "1.0.0"
              root        = "/srv/front"
              greeting    = module.eu["fr"].address
              depends_on  = [module.eu]
            }
            output "all" { value = { for k, m in module.eu : k => m.address } }
            "#,
        ),
        (
            "modules/region/main.hcl",
            "variable \"root\" {}\nmodule \"inner\" {\n  source = \"../db\"\n  environment = environment.test\n  root = var.root\n}\noutput \"address\" { value = module.inner.address }\n",
        ),
        ("modules/db/main.hcl", CHILD),
    ]);
    let estate = case.loaded().estate;
    let addresses: Vec<&str> = estate.instances.keys().map(|address| address.as_str()).collect();
    assert_eq!(addresses, ["module.eu[\"de\"].module.inner.sample.db", "module.eu[\"fr\"].module.inner.sample.db", "sample.front"]);
    assert_eq!(estate.instances["sample.front"].depends_on.len(), 2);
    assert_eq!(estate.instances["sample.front"].settings["greeting"], addresses[1].into());
    assert_eq!(estate.instances[addresses[0]].settings["root"], "/srv/de".into());
    let all = &estate.outputs["all"].value;
    assert_eq!(all, &Value::object([("de", addresses[0].into()), ("fr", addresses[1].into())]));
}

#[test]
fn a_git_module_is_read_at_its_revision() {
    let mut case = Case::new(&[]);
    let path = case.dir.path().join("repo");
    let files = [
        (
            "db/main.hcl",
            "variable \"environment\" {}\nlocals { text = file(\"text.txt\") }\noutput \"text\" { value = \"${local.text} ${module.other.name}\" }\nmodule \"other\" { source = \"../other\" }\n",
        ),
        ("db/text.txt", "first"),
        ("other/main.hcl", "output \"name\" { value = \"other\" }\n"),
    ];
    let first = repository(&path, &files);
    let git = git2::Repository::open(&path).unwrap();
    git.tag_lightweight("v1", &git.revparse_single("HEAD").unwrap(), false).unwrap();
    commit(&git, &path, &[("db/text.txt", "second")]);
    case.write(
        "main.hcl",
        "environment \"test\" {}\nmodule \"old\" {\n  source = \"git::./repo//db?ref=v1\"\n  environment = environment.test\n}\nmodule \"new\" {\n  source = \"git::file://REPO//db\"\n  environment = environment.test\n}\noutput \"both\" { value = [module.old.text, module.new.text] }\n"
            .replace("REPO", path.to_str().unwrap())
            .as_str(),
    );
    let loaded = case.loaded();
    assert_eq!(loaded.estate.outputs["both"].value, Value::list(["first other".into(), "second other".into()]));
    let pin = loaded.pins.iter().find(|pin| pin.what == "module.old").unwrap();
    assert_eq!(pin.commit, first);
    assert_eq!(pin.source, "git::./repo");
    assert!(!case.dir.path().join(".windlass").exists());
}

#[test]
fn a_remote_repository_is_fetched_once_into_the_cache() {
    let case = Case::new(&[]);
    let path = case.dir.path().join("repo");
    repository(&path, &[("main.hcl", "output \"x\" { value = 1 }\n")]);
    // The git command reads a local folder as a remote when the address says so.
    let cache = case.dir.path().join("cache");
    let source = super::super::git::GitSource { url: format!("file://{}", path.display()), sub: String::new(), rev: None };
    let fetched = super::super::git::open_remote(&source, "git::x".into(), &cache, false).unwrap();
    assert_eq!(fetched.names(Path::new("")).unwrap(), ["main.hcl"]);
    std::fs::remove_dir_all(&path).unwrap();
    let again = super::super::git::open_remote(&source, "git::x".into(), &cache, false).unwrap();
    assert_eq!(again.id, fetched.id);
    let refreshed = super::super::git::open_remote(&source, "git::x".into(), &cache, true);
    assert!(refreshed.err().unwrap().starts_with("cannot be fetched"));
}

#[test]
fn missing_modules_are_told_with_the_reason() {
    let text = r#"
module "a" { source = "./nowhere" }
module "b" { source = "git::./nowhere?ref=x" }
module "c" { source = "registry/x" }
module "d" { source = var.x }
module "e" {}
output "x" { value = module.a.anything }
"#;
    insta::assert_snapshot!(problems(text).replace(env!("CARGO_MANIFEST_DIR"), "REPO"), @r#"
[main.hcl:2:23] module not found: the source `./nowhere` of module `a` is missing: `nowhere` does not exist (correct the source: a folder (`./modules/x`) or a repository (`git::URL//FOLDER?ref=REVISION`))
[main.hcl:3:23] module not found: the source `git::./nowhere?ref=x` of module `b` is no git repository that can be read: failed to resolve path 'DIR/./nowhere': No such file or directory (correct the source: a folder (`./modules/x`) or a repository (`git::URL//FOLDER?ref=REVISION`))
[main.hcl:4:23] module not found: the source `registry/x` of module `c` is no source: it begins with `./`, `../` or `/` for a folder, or with `git::` for a repository (correct the source: a folder (`./modules/x`) or a repository (`git::URL//FOLDER?ref=REVISION`))
[main.hcl:5:23] not a constant: `var` cannot be used here: this must be known before anything is evaluated (write the value itself)
[main.hcl:6:1] missing attribute: module `e` needs `source` (add `source = …`)
"#);
}

#[test]
fn inputs_that_are_unknown_or_missing_and_unknown_outputs_are_told() {
    let mut case = Case::new(&[
        (
            "main.hcl",
            "environment \"test\" {}\nmodule \"m\" {\n  source = \"./m\"\n  environment = environment.test\n  prot = 1\n}\noutput \"x\" { value = module.m.adress }\n",
        ),
        ("m/main.hcl", CHILD),
    ]);
    insta::assert_snapshot!(case.problems().replace(env!("CARGO_MANIFEST_DIR"), "REPO"), @r#"
[main.hcl:5:3] unknown input: module `m` declares no variable `prot` (did you mean `port`?)
[main.hcl:2:1 m/main.hcl:3:1] missing input: module `m` needs a value for its variable `root` (add `root = …`)
[main.hcl:7:22] unknown output: module `m` has no output `adress` (did you mean `address`?)
"#);
}

#[test]
fn a_module_that_contains_itself_is_refused() {
    let mut case = Case::new(&[
        ("main.hcl", "module \"m\" { source = \"./m\" }\n"),
        ("m/main.hcl", "module \"again\" { source = \"../m\" }\n"),
    ]);
    let told = case.problems();
    assert!(told.contains("[m/main.hcl:1:27] module contains itself"), "{told}");
}

#[test]
fn environments_belong_to_the_root() {
    let mut case = Case::new(&[
        ("main.hcl", "module \"m\" { source = \"./m\" }\n"),
        ("m/main.hcl", "environment \"x\" {}\nvariable \"v\" { default = 1 }\n"),
    ]);
    assert!(case.problems().contains("[m/main.hcl:1:1] block not allowed in a module"));
}

#[test]
fn a_cycle_through_a_module_is_named() {
    let mut case = Case::new(&[
        ("main.hcl", "module \"m\" {\n  source = \"./m\"\n  v = module.m.o\n}\n"),
        ("m/main.hcl", "variable \"v\" {}\noutput \"o\" { value = var.v }\n"),
    ]);
    let told = case.problems();
    assert!(told.contains("dependency cycle: `module.m.var.v` -> `module.m.output.o` -> `module.m.var.v`"), "{told}");
}
