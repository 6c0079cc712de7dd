//! Finished runs that are taken back: all of them, in one environment, to a version in between, and by the provider that was there.

use crate::estate::Estate;

/// A product whose every move writes a line; `top` stands upon `base`, in another environment.
const MAIN: &str = r#"variable "home" {
  type = string
}
variable "version" {
  type = string
}
environment "test" {}
environment "production" {}
instance "tower" "base" {
  environment = environment.test
  version     = var.version
  dir         = var.home
  name        = "base"
}
instance "tower" "top" {
  environment = environment.production
  version     = var.version
  dir         = var.home
  name        = "top"
  depends_on  = [instance.tower.base]
}
"#;

pub(crate) const PROVIDER: &str = r#"provider "tower" {
  version = "1.0.0"
  title   = "Tower"
}
setting "dir" {
  type     = string
  required = true
}
setting "name" {
  type     = string
  required = true
}
fact "version" {
  file {
    path     = "${self.dir}/${self.name}.version"
    required = false
  }
  value = result.exists ? trimspace(result.content) : null
}
release "1.0.0" {}
release "2.0.0" {}
release "3.0.0" {}
route "install" {
  movement = "install"
  strategy = "move"
}
route "one" {
  from     = "1.0.0"
  to       = "2.0.0"
  strategy = "move"
}
route "two" {
  from     = "2.0.0"
  to       = "3.0.0"
  strategy = "move"
}
strategy "move" {
  step "go" {
    exec {
      command   = ["sh", "-c", "if [ -e broken ]; then exit 3; fi; echo \"$1 to $2\" >> log; echo \"$2\" > $1.version", "sh", self.name, to.text]
      directory = self.dir
    }
    undo {
      exec {
        command   = ["sh", "-c", "echo \"$1 back from $2\" >> log; echo \"$3\" > $1.version", "sh", self.name, to.text, try(from.text, "")]
        directory = self.dir
      }
    }
  }
}
"#;

impl Estate {
    /// With [`MAIN`], at 1.0.0.
    pub(crate) fn tower() -> Self {
        let mut estate = Self::with(MAIN);
        estate.write("providers/tower/provider.hcl", PROVIDER);
        estate.set("home", &estate.root.display().to_string());
        estate.set("version", "1.0.0");
        estate.apply().exit(0);
        estate
    }

    /// Applies version 3.0.0, which is two hops for each; forgets what was logged.
    fn climb(&mut self) -> String {
        self.set("version", "3.0.0");
        self.apply().exit(0);
        self.remove("log");
        self.good(&["history", "--format", "json"]).json()["runs"][0]["id"].as_str().expect("a run").to_owned()
    }

    pub(crate) fn stands(&self) -> (String, String) {
        (self.read("base.version").trim().to_owned(), self.read("top.version").trim().to_owned())
    }

    fn steps(&self) -> Vec<String> {
        self.read("log").lines().map(str::to_owned).collect()
    }
}

pub(crate) fn at(base: &str, top: &str) -> (String, String) {
    (base.to_owned(), top.to_owned())
}

#[test]
fn a_finished_run_goes_back_whole_dependents_first() {
    let mut estate = Estate::tower();
    let run = estate.climb();
    estate
        .good(&["rollback", &run, "--auto-approve"])
        .says(&["tower.base (test): 3.0.0 → 1.0.0", "tower.top (production): 3.0.0 → 1.0.0"]);
    assert_eq!(estate.stands(), at("1.0.0", "1.0.0"));
    assert_eq!(estate.steps(), ["top back from 3.0.0", "top back from 2.0.0", "base back from 3.0.0", "base back from 2.0.0"]);
    estate.good(&["drift", "--detailed-exitcode"]);
}

#[test]
fn a_finished_run_goes_back_to_a_version_in_between_and_later_the_rest() {
    let mut estate = Estate::tower();
    let run = estate.climb();
    let first = ["rollback", &run, "--auto-approve", "--to", "tower.base=2.0.0", "--to", "tower.top=2.0.0"];
    estate.good(&first).says(&["tower.base (test): 3.0.0 → 2.0.0"]);
    assert_eq!(estate.stands(), at("2.0.0", "2.0.0"));
    assert_eq!(estate.steps(), ["top back from 3.0.0", "base back from 3.0.0"]);
    estate.good(&["drift", "--detailed-exitcode"]);
    // What it says now is what is there.
    let moved = estate.good(&["history", "--format", "json"]).json()["runs"][0]["moves"].clone();
    assert_eq!((&moved[0]["to"], &moved[0]["outcome"]), (&"2.0.0".into(), &"succeeded".into()), "{moved}");
    estate.set("version", "2.0.0");
    estate.run(&["plan", "--detailed-exitcode"]).exit(0);
    // And from there all the way.
    estate.good(&["rollback", &run, "--auto-approve"]);
    assert_eq!(estate.stands(), at("1.0.0", "1.0.0"));
    assert_eq!(estate.steps()[2..], ["top back from 2.0.0", "base back from 2.0.0"]);
}

#[test]
fn one_instance_stays_where_the_others_go_back() {
    let mut estate = Estate::tower();
    let run = estate.climb();
    estate.run(&["rollback", &run, "--auto-approve", "--to", "tower.top=2.0.0"]).exit(3).says(&["run cannot be taken back so far"]);
    estate.run(&["rollback", &run, "--auto-approve", "--to", "2.0.0"]).exit(1).says(&["instance is not named", "ADDRESS=VERSION"]);
    estate.run(&["rollback", &run, "--auto-approve", "--to", "tower.top=9.0.0"]).exit(3).says(&["1.0.0, 2.0.0, 3.0.0"]);
    assert!(estate.steps().is_empty(), "nothing was undone");
    estate.good(&["rollback", &run, "--auto-approve", "--to", "tower.base=2.0.0"]);
    assert_eq!(estate.stands(), at("2.0.0", "1.0.0"));
}

#[test]
fn versions_in_between_that_no_plan_would_come_to_are_refused_all_at_once() {
    let mut estate = Estate::tower();
    let rules = r#"
requires "tower" {
  when    = ">= 3.0.0"
  version = ">= 2.0.0"
  reason  = "its stairs"
}
blocked "no_way_down" {
  from   = "2.0.0"
  to     = "1.0.0"
  reason = "the cellar is flooded"
}
"#;
    estate.write("providers/tower/provider.hcl", format!("{PROVIDER}{rules}"));
    let run = estate.climb();
    estate
        .run(&["rollback", &run, "--auto-approve", "--to", "tower.base=1.0.0", "--to", "tower.top=3.0.0"])
        .exit(3)
        .says(&["tower.top 3.0.0 needs tower.base to be `>= 2.0.0` (its stairs), and it is 1.0.0", "the cellar is flooded"])
        .says(&["2.0.0 to 1.0.0", "nothing was undone"]);
    assert!(estate.steps().is_empty(), "something was undone");
    estate.good(&["rollback", &run, "--auto-approve", "--to", "tower.base=2.0.0", "--to", "tower.top=3.0.0"]);
    assert_eq!(estate.stands(), at("2.0.0", "3.0.0"));
    // As a whole it goes back to what was there before, whatever is said of that.
    estate.good(&["rollback", &run, "--auto-approve"]);
    assert_eq!(estate.stands(), at("1.0.0", "1.0.0"));
}

#[test]
fn one_environment_goes_back_where_nothing_stands_upon_it() {
    let mut estate = Estate::tower();
    let run = estate.climb();
    estate
        .run(&["rollback", &run, "--auto-approve", "--env", "test"])
        .exit(3)
        .says(&["`tower.top` (production), which would stay"]);
    estate.good(&["rollback", &run, "--auto-approve", "--env", "production"]);
    assert_eq!(estate.stands(), at("3.0.0", "1.0.0"));
    estate.good(&["drift", "--detailed-exitcode"]);
    estate.good(&["rollback", &run, "--auto-approve"]);
    assert_eq!(estate.stands(), at("1.0.0", "1.0.0"));
}

#[test]
fn undo_is_that_of_the_provider_that_the_hop_was_applied_with() {
    let mut estate = Estate::tower();
    let run = estate.climb();
    estate.write("providers/tower/provider.hcl", PROVIDER.replace("back from", "wrongly back from"));
    estate.good(&["rollback", &run, "--auto-approve", "--to", "tower.base=2.0.0", "--to", "tower.top=2.0.0"]);
    assert_eq!(estate.steps(), ["top back from 3.0.0", "base back from 3.0.0"]);
    // And so it is where a lower version is planned.
    estate.set("version", "1.0.0");
    estate.apply().exit(0);
    assert_eq!(estate.stands(), at("1.0.0", "1.0.0"));
    assert!(!estate.read("log").contains("wrongly"), "{}", estate.read("log"));
}

#[test]
fn a_run_that_is_not_done_goes_on_and_back_with_the_provider_that_it_was_planned_with() {
    let mut estate = Estate::with(&MAIN.replace("environment \"test\" {}", "environment \"test\" {\n  on_failure = \"halt\"\n}"));
    estate.write("providers/tower/provider.hcl", PROVIDER);
    estate.set("home", &estate.root.display().to_string());
    estate.set("version", "1.0.0");
    estate.write("broken", "");
    estate.apply().exit(5);
    let changed = PROVIDER.replace("back from", "wrongly back from").replace(" to $2", " wrongly to $2");
    estate.write("providers/tower/provider.hcl", changed);
    estate.remove("broken");
    estate.good(&["resume", "--retry", "tower.base@1.0.0:go"]);
    assert_eq!(estate.steps(), ["base to 1.0.0", "top to 1.0.0"]);
    estate.good(&["rollback", "--auto-approve"]);
    assert!(!estate.read("log").contains("wrongly"), "{}", estate.read("log"));
}
