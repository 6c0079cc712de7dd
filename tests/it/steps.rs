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
