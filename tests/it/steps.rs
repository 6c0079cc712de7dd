//! What a provider can say of its steps, in the real program: groups, polling, items, brackets.

use std::fmt::Write as _;

use crate::estate::Estate;

/// A product of one folder, whose strategy `go` has these steps; it installs, upgrades and reconfigures by it.
fn product(steps: &str) -> Estate {
    let mut estate = Estate::empty();
    estate.write(
        "main.hcl",
        "variable \"home\" {\n  type = string\n}\nvariable \"version\" {\n  type    = string\n  default = \"1.0.0\"\n}\n\
         environment \"test\" {}\ninstance \"thing\" \"one\" {\n  environment = environment.test\n  version     = var.version\n  \
         dir         = var.home\n}\n",
    );
    let mut text = "provider \"thing\" {\n  version = \"1.0.0\"\n}\nsetting \"dir\" {\n  type = string\n}\nfact \"version\" {\n  \
                    file {\n    path     = \"${self.dir}/version\"\n    required = false\n  }\n  value = result.exists ? \
                    trimspace(result.content) : null\n}\nroute \"install\" {\n  movement = \"install\"\n  strategy = \"go\"\n}\n\
                    route \"upgrade\" {\n  strategy = \"go\"\n}\n"
        .to_owned();
    let _ = write!(
        text,
        "step_group \"finish\" {{\n  step \"finish\" {{\n    file {{\n      action  = \"write\"\n      path    = \
         \"${{self.dir}}/version\"\n      content = to.text\n    }}\n    undo {{\n      file {{\n        action = \"restore\"\n        \
         saved  = step.finish.result.saved\n      }}\n    }}\n    repeatable = true\n  }}\n}}\nstrategy \"go\" {{\n{steps}  use \
         \"finish\" {{}}\n}}\n"
    );
    estate.write("providers/thing/provider.hcl", text);
    estate.set("home", &estate.root.display().to_string());
    estate
}

/// Waits until the number in a file has grown to three, which each look makes grow.
const WAIT: &str = r#"
  step "wait" {
    exec {
      command   = ["sh", "-c", "echo look >> looks; n=$(wc -l < looks); [ -e broken ] && s=ERROR || s=RUNNING; [ $n -ge 3 ] && s=READY; echo {\\\"n\\\": $n, \\\"state\\\": \\\"$s\\\"}"]
      directory = self.dir
      parse     = "json"
    }
    poll {
      until    = result.json.state == "READY"
      fail     = result.json.state == "ERROR"
      message  = "the job is ${result.json.state} after ${result.json.n} looks"
      progress = result.json.n * 25
      interval = "20ms"
    }
    timeout  = "1m"
    harmless = true
  }
"#;

#[test]
fn a_step_polls_until_it_is_so_and_groups_stand_in_their_place() {
    let estate = product(WAIT);
    estate.good(&["plan"]).says(&["wait", "finish", "again and again until"]);
    let ran = estate.good(&["apply", "--auto-approve", "--format", "json"]);
    let events: Vec<serde_json::Value> = ran
        .out
        .lines()
        .filter(|line| line.starts_with("{\"at\""))
        .map(|line| serde_json::from_str(line).expect("an event"))
        .collect();
    let percents: Vec<u64> =
        events.iter().filter(|event| event["event"] == "action_progress").filter_map(|event| event["done"].as_u64()).collect();
    assert_eq!(percents, [25, 50, 75], "{}", ran.out);
    assert_eq!(estate.read("version"), "1.0.0");
    assert_eq!(estate.read("looks").lines().count(), 3);
    estate.good(&["provider", "show", "thing"]).says(&["again and again until result.json.state == \"READY\""]);
}

#[test]
fn a_polled_step_that_fails_says_why_and_is_rolled_back() {
    let estate = product(WAIT);
    estate.write("broken", "");
    estate.apply().exit(4).says(&["failed thing.one@1.0.0:wait", "the job is ERROR after 1 looks"]);
    assert!(!estate.path("version").exists());
}

/// Lists names, and makes a file for each; `wait` makes it wait at `gamma`, `broken-NAME` makes that item fail.
const ITEMS: &str = r#"
  step "list" {
    exec {
      command   = ["cat", "names.json"]
      directory = self.dir
      parse     = "json"
    }
    harmless   = true
    repeatable = true
  }
  step "make" {
    exec {
      command   = ["sh", "-c", "echo make $1 >> log; while [ -e wait ] && [ $1 = gamma ]; do sleep 0.02; done; if [ -e broken-$1 ]; then echo no $1 >&2; exit 3; fi; touch made-$1", "sh", each.value.name]
      directory = self.dir
    }
    fan_out {
      items   = step.list.result.json
      key     = each.value.name
      at_once = 1
    }
    check {
      file {
        action   = "stat"
        path     = "${self.dir}/made-${each.key}"
        required = false
      }
      done = result.exists
    }
    undo {
      file {
        action = "remove"
        path   = "${self.dir}/made-${each.key}"
      }
      fan_out {
        items = step.make.result.items
      }
    }
    timeout = "1m"
  }
  step "count" {
    file {
      action  = "write"
      path    = "${self.dir}/count"
      content = "${step.make.result.total} ${join(" ", keys(step.make.result.items))}"
    }
    undo {
      file {
        action = "restore"
        saved  = step.count.result.saved
      }
    }
    repeatable = true
  }
"#;

fn items() -> Estate {
    let estate = product(ITEMS);
    estate.write("names.json", r#"[{"name": "alpha"}, {"name": "beta"}, {"name": "gamma"}, {"name": "delta/4"}]"#);
    estate.write("made-delta/keep", "");
    estate
}

fn made(estate: &Estate, name: &str) -> usize {
    estate.read("log").lines().filter(|line| *line == format!("make {name}")).count()
}

#[test]
fn a_step_is_carried_out_for_each_item_that_a_step_before_it_found() {
    let mut estate = items();
    estate.good(&["plan"]).says(&["each of step.list.result.json, 1 at once"]);
    let ran = estate.good(&["apply", "--auto-approve", "--format", "json"]);
    ran.says(&[r#""event":"item_ended","#, r#""item":"delta/4""#, r#""done":4,"total":4,"unit":"items""#]);
    assert_eq!(estate.read("count"), "4 alpha beta delta/4 gamma");
    assert!(estate.path("made-alpha").exists() && estate.path("made-delta/4").exists());
    // A later rollback goes through what was recorded.
    estate.set("version", "2.0.0");
    estate.apply().exit(0);
    let record = estate.good(&["history", "--format", "json"]).json()["runs"][0]["id"].as_str().expect("an id").to_owned();
    estate.good(&["rollback", &record, "--auto-approve"]);
    assert!(!estate.path("made-alpha").exists() && !estate.path("made-delta/4").exists());
    estate.set("version", "1.0.0");
}

#[test]
fn an_upgrade_is_taken_back_later_item_by_item_from_what_the_lockfile_kept() {
    let mut estate = items();
    estate.apply().exit(0);
    estate.set("version", "2.0.0");
    estate.apply().exit(0);
    assert!(estate.lockfile().contains("gamma"));
    estate.set("version", "1.0.0");
    estate.good(&["plan"]).says(&["roll back", "make"]);
    estate.apply().exit(0);
    assert!(!estate.path("made-alpha").exists());
    assert_eq!(estate.read("version"), "1.0.0");
}

#[test]
fn failed_items_are_listed_and_the_others_are_undone() {
    let estate = items();
    estate.write("broken-alpha", "");
    estate.write("broken-gamma", "");
    estate.apply().exit(4).says(&["2 of 4 items failed: alpha; gamma", "| alpha: ", "| gamma: ", "no gamma"]);
    assert_eq!(made(&estate, "delta/4"), 1);
    assert!(!estate.path("made-beta").exists() && !estate.path("made-delta/4").exists());
}

#[test]
fn a_run_killed_between_items_goes_on_with_the_one_that_had_begun() {
    let estate = items();
    estate.write("wait", "");
    let mut child = estate.spawn(&["apply", "--auto-approve"]);
    estate.await_text("log", "make gamma");
    child.kill().expect("it can be killed");
    child.wait().expect("it ends");
    estate.remove("wait");
    estate.good(&["resume"]).says(&["Apply complete."]);
    assert_eq!(["alpha", "beta", "gamma", "delta/4"].map(|name| made(&estate, name)), [1, 1, 1, 1]);
    assert_eq!(estate.read("count"), "4 alpha beta delta/4 gamma");
}

/// A maintenance mode around work that fails where there is a file `broken`.
const MODE: &str = r#"
  step "enter" {
    exec {
      command   = ["touch", "mode"]
      directory = self.dir
    }
    undo {
      exec {
        command   = ["rm", "-f", "mode"]
        directory = self.dir
      }
    }
    opens      = "maintenance mode"
    repeatable = true
  }
  step "work" {
    exec {
      command   = ["sh", "-c", "test ! -e broken"]
      directory = self.dir
    }
    harmless   = true
    repeatable = true
  }
  step "leave" {
    exec {
      command   = ["rm", "mode"]
      directory = self.dir
    }
    undo {
      exec {
        command   = ["touch", "mode"]
        directory = self.dir
      }
    }
    closes     = "maintenance mode"
    repeatable = true
  }
"#;

#[test]
fn what_a_run_leaves_open_is_told_until_it_is_closed() {
    let estate = product(MODE);
    let main = estate.read("main.hcl").replace("environment \"test\" {}", "environment \"test\" {\n  on_failure = \"halt\"\n}");
    estate.write("main.hcl", main);
    estate.good(&["plan"]).says(&["opens maintenance mode", "closes maintenance mode"]);
    estate.write("broken", "");
    let open = ["STILL OPEN thing.one is in maintenance mode since", "something was left open", "windlass resume"];
    estate.apply().exit(5).says(&["opened thing.one: maintenance mode"]).says(&open);
    estate.good(&["status"]).says(&["STILL OPEN thing.one is in maintenance mode since", "(held)"]);
    estate.good(&["history"]).says(&["maintenance mode", "left open"]);
    estate.run(&["confirm", "thing.one:maintenance mode"]).exit(3).says(&["run goes on"]);
    estate.run(&["resume"]).exit(5).says(&open);
    estate.run(&["abandon", "--reason", "enough", "--as", "failed"]).says(&["STILL OPEN", "close it by hand"]);
    let status = estate.good(&["status", "--format", "json"]).json();
    assert_eq!(status["brackets"][0]["bracket"]["name"], "maintenance mode");
    estate.good(&["confirm", "thing.one:maintenance mode"]).says(&["is closed"]);
    estate.good(&["status"]).lacks("STILL OPEN");
}

#[test]
fn a_bracket_that_is_closed_again_is_in_the_history_with_its_time() {
    let estate = product(MODE);
    estate.apply().exit(0).says(&["opened thing.one: maintenance mode", "closed thing.one: maintenance mode"]).lacks("STILL OPEN");
    let run = &estate.good(&["history", "--format", "json"]).json()["runs"][0];
    assert_eq!(run["brackets"][0]["name"], "maintenance mode");
    assert!(run["brackets"][0]["closed"].is_string());
    estate.good(&["status"]).lacks("STILL OPEN");
}

#[test]
fn a_move_is_held_until_its_note_is_acknowledged_in_the_configuration() {
    let mut estate = product("");
    let provider = estate.read("providers/thing/provider.hcl");
    let note =
        "note \"read_me\" {\n  versions    = \">= 2\"\n  text        = \"Empty the queues first.\"\n  acknowledge = true\n}\n";
    estate.write("providers/thing/provider.hcl", provider + note);
    estate.apply().exit(0);
    estate.set("version", "2.0.0");
    let block = "acknowledgement \"thing.read_me\" { instance = instance.thing.one version = \"2.0.0\" by = \"\" reason = \"\" }";
    estate.good(&["plan"]).says(&["note thing.read_me must be acknowledged for 2.0.0: Empty the queues first.", block]);
    estate.apply().exit(3).says(&["gate is closed", block]);
    // As it is it says nothing.
    let written = "acknowledgement \"thing.read_me\" {\n  instance = instance.thing.one\n  version  = \"2.0.0\"\n  by       = \"\"\n  reason   = \"\"\n}\n";
    estate.write("ack.hcl", written);
    estate.apply().exit(1).says(&["`by` of acknowledgement `thing.read_me` may not be empty"]);
    estate.write("ack.hcl", written.replacen("\"\"", "\"jane\"", 1).replacen("\"\"", "\"emptied\"", 1));
    estate.good(&["plan"]).says(&["note thing.read_me was acknowledged by jane: emptied"]);
    estate.apply().exit(0);
    estate.good(&["provider", "show", "thing"]).says(&["to be acknowledged before"]);
    // What it names must be there.
    for (from, to, told) in [
        ("read_me", "red_me", "provider `thing` has no note `red_me`"),
        ("thing.read_me", "read_me", "`read_me` names no note"),
        ("\"thing.read", "\"thin.read", "no instance is of the provider `thin`"),
        ("instance.thing.one", "\"thing.two\"", "there is no instance `thing.two`"),
    ] {
        let good = written.replace("\"\"", "\"x\"");
        estate.write("ack.hcl", good.replace(from, to));
        estate.run(&["plan"]).exit(1).says(&["acknowledgement of nothing", told]);
    }
}
