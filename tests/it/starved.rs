//! Too few file handles: `windlass apply` of many instances at once, which can open no more files somewhere in the middle. Nothing may be
//! undone that never began, and nothing may run beside its undo or twice.

use std::collections::BTreeMap;
use std::process::Command;

use crate::estate::{Estate, Ran};

/// Instances that begin at once.
const COUNT: usize = 40;

const MAIN: &str = r#"variable "home" {}
environment "test" {}
instance "many" "of" {
  count       = 40
  environment = environment.test
  version     = "1.0.0"
  dir         = "${var.home}/many/${count.index}"
}
"#;

const PROVIDER: &str = r#"provider "many" {
  version        = "1.0.0"
  version_scheme = "semver"
}
setting "dir" {
  type = string
}
fact "version" {
  file {
    path     = "${self.dir}/version"
    required = false
  }
  value = result.exists ? trimspace(result.content) : null
}
route "install" {
  movement = "install"
  strategy = "move"
}
strategy "move" {
  step "one" {
    exec {
      command = ["sh", "-c", "cd ${self.dir}; echo one >> log; sleep 0.1; echo one end >> log"]
    }
    undo {
      exec {
        command = ["sh", "-c", "cd ${self.dir}; echo undo-one >> log; sleep 0.1; echo undo-one end >> log"]
        directory = self.dir
      }
    }
  }
  step "two" {
    exec {
      command = ["sh", "-c", "cd ${self.dir}; echo two >> log; echo ${to.text} > version; sleep 0.1; echo two end >> log"]
    }
    undo {
      exec {
        command = ["sh", "-c", "cd ${self.dir}; echo undo-two >> log; rm version; sleep 0.1; echo undo-two end >> log"]
        directory = self.dir
      }
    }
  }
}
"#;

/// What an instance's commands may have left: each step to its end, and then back again.
const TRACES: [&str; 4] = [
    "",
    "one, one end, two, two end",
    "one, one end, undo-one, undo-one end",
    "one, one end, two, two end, undo-two, undo-two end, undo-one, undo-one end",
];

/// Runs the program with room for so many open files.
fn with_handles(estate: &Estate, handles: u32, args: &[&str]) -> Ran {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit -n {handles}; exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_windlass")]).args(args);
    estate.furnish_command(&mut command);
    Ran::of(args, &command.output().expect("sh can be run")).sober()
}

/// What every instance's commands have left, by how many instances.
fn traces(estate: &Estate) -> BTreeMap<String, u32> {
    let mut traces = BTreeMap::new();
    for number in 0..COUNT {
        let lines = estate.read(&format!("many/{number}/log")).lines().collect::<Vec<_>>().join(", ");
        *traces.entry(lines).or_default() += 1;
    }
    traces
}

#[test]
fn with_too_few_file_handles_nothing_is_undone_that_never_began_and_nothing_runs_twice() {
    let mut outcomes = BTreeMap::new();
    for handles in [14, 15, 16, 17, 18, 20, 22, 24, 28, 36] {
        let mut estate = Estate::with(MAIN);
        estate.write("providers/many/provider.hcl", PROVIDER);
        estate.set("home", &estate.root.display().to_string());
        (0..COUNT).for_each(|number| estate.write(&format!("many/{number}/log"), ""));
        let parallelism = COUNT.to_string();
        let mut ran = with_handles(&estate, handles, &["apply", "--auto-approve", "--parallelism", &parallelism]);
        let mut told = ran.err.clone();
        // Once there is room again, the run goes on to its end by itself, or there was none.
        for _ in 0..3 {
            if matches!(ran.code, Some(0 | 1 | 4)) {
                break;
            }
            ran = estate.run(&["resume"]).sober();
            told = format!("{told}\n$ windlass resume\n{}", ran.err);
        }
        assert!(matches!(ran.code, Some(0 | 1 | 4)), "{handles} handles, {:?}:{told}", ran.code);
        let traces = traces(&estate);
        for trace in traces.keys() {
            assert!(TRACES.contains(&trace.as_str()), "{handles} handles: {trace}\n{traces:#?}{told}");
        }
        *outcomes.entry(ran.code).or_insert(0) += 1;
    }
    assert!(outcomes.contains_key(&Some(4)), "no run came to a bad end: {outcomes:?}");
}
