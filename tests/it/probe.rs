//! A step that looks on beside others, in the real program.

use rustix::process::Signal;

use crate::estate::{Estate, Ran, await_until, signal};

/// A service that is a file: it serves while the file is there. The probe looks every 20 ms.
const PROVIDER: &str = r#"
provider "shop" {
  version = "1.0.0"
}

setting "dir" {
  type = string
}

fact "version" {
  file {
    path = "${self.dir}/version"
  }
  value = result.exists ? trimspace(result.content) : null
}

route "install" {
  movement = "install"
  strategy = "go"
}

strategy "go" {
  step "watch" {
    file {
      action = "stat"
      path   = "${self.dir}/serving"
    }
    probe {
      during   = [step.swap, step.settle]
      pass     = result.exists
      interval = "20ms"
    }
    harmless = true
  }
  step "swap" {
    exec {
      shell     = "echo swap >> log; if [ -e outage ]; then sh outage; fi"
      directory = self.dir
    }
    undo {
      exec {
        shell     = "echo undo-swap >> log"
        directory = self.dir
      }
    }
    repeatable = true
  }
  step "settle" {
    exec {
      shell     = "echo settle >> log; while [ -e wait ]; do sleep 0.05; done"
      directory = self.dir
    }
    harmless   = true
    repeatable = true
  }
  step "finish" {
    after = [step.settle, step.watch]
    file {
      action  = "write"
      path    = "${self.dir}/version"
      content = "${to.text}"
    }
    undo {
      file {
        action = "restore"
        saved  = step.finish.result.saved
      }
    }
    repeatable = true
  }
}
"#;

/// An outage that lasts until the probe has seen it, and a while after it until the probe has seen its end: however busy the machine is.
const OUTAGE: &str = r#"seen() {
  tries=0
  until grep -q "\"failing_since\":$1" .windlass/runs/*/actions/*/probe.json; do
    tries=$((tries + 1))
    [ $tries -lt 3000 ] || exit 1
    sleep 0.02
  done
}
mv serving away
seen '"'
mv away serving
seen null
"#;

fn shop() -> Estate {
    let mut estate = Estate::empty();
    estate.write("providers/shop/provider.hcl", PROVIDER);
    estate.write(
        "main.hcl",
        "variable \"home\" {\n  type = string\n}\nenvironment \"test\" {}\ninstance \"shop\" \"one\" {\n  environment = \
         environment.test\n  version     = \"1.0.0\"\n  dir         = var.home\n}\n",
    );
    estate.set("home", &estate.root.display().to_string());
    estate.write("serving", "");
    estate
}

fn lines(estate: &Estate) -> Vec<String> {
    estate.read("log").lines().map(str::to_owned).collect()
}

#[test]
fn a_service_that_never_fails_passes_its_probe() {
    let estate = shop();
    estate.good(&["plan"]).says(&["watch", "beside others, every 20ms"]);
    estate.good(&["provider", "show", "shop"]).says(&["every 20ms during swap, settle"]);
    estate.apply().exit(0).says(&["done shop.one@1.0.0:watch"]);
    assert_eq!(estate.read("version"), "1.0.0");
}

#[test]
fn an_outage_in_the_middle_rolls_the_hop_back() {
    let estate = shop();
    estate.write("outage", OUTAGE);
    estate.apply().exit(4).says(&[
        "a look failed: `pass` does not hold: result.exists",
        "well again after",
        "failed shop.one@1.0.0:watch",
        "the longest outage was",
        "Failed, and rolled back",
    ]);
    assert!(!estate.path("version").exists());
    assert_eq!(lines(&estate), ["swap", "settle", "undo-swap"]);
}

#[test]
fn a_killed_run_goes_on_looking_and_owns_up_to_the_gap() {
    let estate = shop();
    estate.write("wait", "");
    let mut child = estate.spawn(&["apply", "--auto-approve"]);
    await_until("settle runs", || estate.path("log").exists() && estate.read("log").contains("settle"));
    signal(&child, Signal::KILL);
    let _ = child.wait();
    estate.remove("wait");
    estate.good(&["resume"]).says(&["done shop.one@1.0.0:watch", "Apply complete."]);
    let run = estate.path(".windlass/runs");
    let tally = std::fs::read_dir(run)
        .expect("there are runs")
        .flatten()
        .flat_map(|run| std::fs::read_dir(run.path().join("actions")).into_iter().flatten().flatten())
        .find_map(|action| std::fs::read_to_string(action.path().join("probe.json")).ok())
        .expect("the probe kept what it saw");
    assert!(tally.contains("\"interrupted\":true"), "{tally}");
}

#[test]
fn an_interrupt_ends_the_probe_with_what_runs() {
    let estate = shop();
    estate.write("wait", "");
    let child = estate.spawn(&["apply", "--auto-approve"]);
    await_until("settle runs", || estate.path("log").exists() && estate.read("log").contains("settle"));
    signal(&child, Signal::INT);
    estate.remove("wait");
    let ran = Ran::of(&["apply"], &child.wait_with_output().expect("it ends"));
    ran.exit(5).says(&["stopping", "Stopped on request"]);
    estate.good(&["resume"]).says(&["Apply complete."]);
    assert_eq!(estate.read("version"), "1.0.0");
}
