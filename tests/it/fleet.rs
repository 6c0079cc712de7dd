//! Many instances: planned, applied and recorded, all of them.

use crate::estate::Estate;

const PROVIDER: &str = r#"provider "idle" {
  version = "1.0.0"
  title   = "Idle"
}
setting "size" {
  type    = number
  default = 1
}
fact "version" {
  value = null
}
route "install" {
  movement = "install"
  strategy = "install"
}
strategy "install" {
  step "first" {
    wait {
      duration = "0s"
    }
    harmless = true
  }
  step "second" {
    wait {
      duration = "0s"
    }
    harmless = true
  }
}
"#;

#[test]
fn two_thousand_instances_in_ten_environments_are_applied_and_recorded() {
    const ENVIRONMENTS: usize = 10;
    const EACH: usize = 200;
    let estate = Estate::empty();
    estate.write("providers/idle/provider.hcl", PROVIDER);
    let main: String = (0..ENVIRONMENTS)
        .map(|n| {
            format!(
                "environment \"e{n}\" {{}}\ninstance \"idle\" \"e{n}\" {{\n  for_each    = toset([for i in range({EACH}) : \"k${{i}}\"])\n  \
                 environment = environment.e{n}\n  version     = \"1.0.0\"\n  size        = length(each.key)\n}}\n"
            )
        })
        .collect();
    estate.write("main.hcl", main);
    estate.good(&["validate"]).says(&["2000 instances of 1 product in 10 environments"]);
    estate.good(&["plan", "--out", "all.plan"]).says(&["2000 to install; 4000 actions"]);
    estate.good(&["plan", "--env", "e3"]).says(&["200 to install; 400 actions"]);
    estate.good(&["apply", "all.plan"]).says(&["Apply complete."]);
    for n in 0..ENVIRONMENTS {
        let lock = estate.read(&format!("windlass.e{n}.lock"));
        assert_eq!(lock.matches("\ninstance \"idle.").count(), EACH, "environment e{n}");
        let names: Vec<String> =
            lock.lines().filter(|line| line.starts_with("instance ")).map(|line| line.replace('\\', "")).collect();
        assert!(names.is_sorted(), "a change of one instance is one small hunk only where they are sorted: {names:?}");
        assert!(lock.ends_with("# end\n"));
    }
    assert_eq!(estate.good(&["state", "list"]).out.lines().count(), ENVIRONMENTS * EACH);
    estate.run(&["plan", "--refresh=false", "--detailed-exitcode"]).exit(0).says(&["2000 instances checked"]);
    let runs = estate.good(&["history", "--format", "json"]).json();
    assert_eq!(runs["runs"].as_array().map(Vec::len), Some(1));
    assert_eq!(runs["runs"][0]["moves"].as_array().map(Vec::len), Some(2000));
}
