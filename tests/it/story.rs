//! The life of an instance: installed, moved, configured, rolled back, taken over, removed; and what every command says of it.

use crate::estate::{Estate, SECRET};

#[test]
fn an_instance_is_installed_and_then_there_is_nothing_to_do() {
    let estate = Estate::sample();
    estate.good(&["init"]).says(&["provider sample 1.0.0", "Ready: 1 instance"]);
    estate.good(&["validate"]).says(&["The configuration is valid: 1 instance"]);
    estate.run(&["plan", "--detailed-exitcode"]).exit(2).says(&["sample.one install 1.0.0", "Plan: 1 to install; 5 actions"]);
    estate.good(&["plan"]);
    estate.run(&["apply"]).exit(3).says(&["nothing was applied", "there is nobody to ask", "--auto-approve"]);
    assert!(!estate.path("app").exists(), "it was applied without a yes");
    estate.apply().exit(0).says(&["begin sample.one@1.0.0:unpack", "Apply complete."]);
    assert_eq!(estate.read("app/current/VERSION"), "1.0.0");
    let lock = estate.lockfile();
    assert!(lock.contains("instance \"sample.one\"") && lock.contains("serial = 1\n"), "{lock}");

    estate.run(&["plan", "--detailed-exitcode"]).exit(0).says(&["No changes. Everything is as declared: 1 instance"]);
    estate.apply().exit(0).says(&["No changes."]);
    assert_eq!(estate.lockfile(), lock, "nothing to do, and the lockfile was written");
    estate.good(&["status"]).says(&["sample.one test 1.0.0 1.0.0 1.0.0 as declared"]);
    estate.run(&["drift", "--detailed-exitcode"]).exit(0).says(&["No drift. 1 instance"]);
    estate.good(&["history"]).says(&["apply succeeded", "sample.one test nothing → 1.0.0 succeeded"]);
}

#[test]
fn a_fresh_install_of_the_newest_release_passes_no_gate_meant_for_upgrades() {
    let mut estate = Estate::sample();
    estate.set("version", "2.0.0");
    estate.apply().exit(0).says(&["1 to install"]);
    assert_eq!(estate.read("app/current/VERSION"), "2.0.0");
}

/// An estate with 1.0.0 applied, which declares another version now.
fn moving_to(version: &str) -> Estate {
    let mut estate = Estate::sample();
    estate.apply().exit(0);
    estate.set("version", version);
    estate
}

#[test]
fn an_upgrade_goes_over_the_required_stop_and_back_by_lowering_the_version() {
    let mut estate = moving_to("2.0.0");
    let before = estate.tree("app");
    estate.good(&["plan"]).says(&[
        "sample.one upgrade 1.0.0 → 2.0.0",
        "1.0.0 → 1.1.0 → 2.0.0 in 2 hops",
        "1.1 writes the data that 2.0 reads.",
        "Release notes of 1.1.0",
        "follow-up: Version 2.0.0 reads tokens",
        "8 actions",
    ]);
    estate.apply().exit(0).says(&["record sample.one@1.1.0", "record sample.one@2.0.0"]);
    assert_eq!(estate.read("app/current/VERSION"), "2.0.0");
    assert!(estate.read("app/sample.conf").starts_with("version = 2.0.0\n"));
    estate.good(&["status"]).says(&["1 follow-up"]);
    estate.run(&["confirm", "sample.one:token"]).exit(1).says(&["did you mean `sample.one:tokens`"]);
    estate.good(&["confirm", "sample.one:tokens", "--note", "issued"]);
    estate.good(&["status"]).says(&["as declared"]).lacks("follow-ups");

    estate.set("version", "1.0.0");
    estate
        .good(&["plan"])
        .says(&["sample.one roll back 2.0.0 → 1.0.0", "the applied hops lead back to it: 2 are undone, newest first"]);
    estate.apply().exit(0);
    assert_eq!(estate.tree("app"), before, "the way back leads to where it began");
    estate.good(&["plan", "--detailed-exitcode"]);
    assert!(!estate.lockfile().contains("2.0.0\""), "{}", estate.lockfile());
}

#[test]
fn a_saved_plan_is_applied_as_it_is() {
    let estate = moving_to("1.1.0");
    estate.good(&["plan", "--out", "up.plan"]).says(&["Saved the plan to up.plan", "windlass apply up.plan"]);
    let shown = estate.good(&["show", "up.plan"]);
    // Diffs are made by looking, and a saved plan is shown without looking; all else is the same.
    let planned = estate.good(&["plan"]).out;
    let mut lines = planned.lines();
    assert!(shown.out.lines().all(|line| lines.any(|there| there == line)), "{}\nwas shown, and now\n{planned}", shown.out);
    estate.good(&["show", "up.plan", "--format", "json"]).json();
    estate.good(&["apply", "up.plan"]).says(&["Apply complete."]);
    assert_eq!(estate.read("app/current/VERSION"), "1.1.0");
    estate.run(&["apply", "up.plan"]).exit(3).says(&["plan is stale", "serial 1 and has 2"]);
}

#[test]
fn a_stale_plan_is_refused_with_what_moved() {
    let mut estate = moving_to("1.1.0");
    estate.good(&["plan", "--out", "up.plan"]);
    let before = estate.tree("app");
    let refused = |estate: &Estate, what: &str| {
        estate.run(&["apply", "up.plan"]).exit(3).says(&["plan is stale", what, "make a new plan"]).lacks("begin");
    };
    // The configuration.
    estate.set("greeting", "changed");
    refused(&estate, "the configuration (files, modules or variable values) is not what it was");
    estate.set("greeting", "hello");
    let main = estate.read("main.hcl");
    estate.write("main.hcl", main.clone() + "output \"new\" {\n  value = 1\n}\n");
    refused(&estate, "the configuration");
    estate.write("main.hcl", &main);
    // The provider.
    let document = estate.read("providers/sample/sample.conf.j2");
    estate.write("providers/sample/sample.conf.j2", document.clone() + "# more\n");
    refused(&estate, "provider sample was");
    estate.write("providers/sample/sample.conf.j2", &document);
    // The version that is deployed.
    estate.remove("app/current");
    refused(&estate, "sample.one had version 1.0.0 and has nothing");
    std::os::unix::fs::symlink(estate.path("app/releases/1.0.0"), estate.path("app/current")).expect("a link");
    assert_eq!(estate.tree("app"), before);
    // The lockfile.
    let lock = estate.lockfile();
    estate.write("windlass.test.lock", lock.replace("serial = 1\n", "serial = 7\n"));
    refused(&estate, "the lockfile of test had serial 1 and has 7");
    let lineage = lock.lines().find_map(|line| line.strip_prefix("lineage = ")).expect("a lineage").trim_matches('"');
    estate.write("windlass.test.lock", lock.replace(lineage, "00000000-0000-4000-8000-000000000000"));
    refused(&estate, "the lockfile of test is another one");
    estate.write("windlass.test.lock", &lock);
    // As it was, it is applied.
    estate.good(&["apply", "up.plan"]);
}

#[test]
fn a_run_is_rolled_back_by_its_name() {
    let mut estate = moving_to("1.1.0");
    let before = (estate.tree("app"), estate.read("app/current/VERSION"));
    estate.apply().exit(0);
    let runs = estate.good(&["history", "--format", "json"]).json();
    let run = runs["runs"][0]["id"].as_str().expect("a run").to_owned();
    let first = runs["runs"][1]["id"].as_str().expect("a run").to_owned();
    estate.run(&["rollback", &run]).exit(3).says(&["nothing was rolled back", "--auto-approve"]);
    estate
        .run(&["rollback", &run, "--env", "production", "--auto-approve"])
        .exit(3)
        .says(&["environment is not in the run", "in: test"]);
    estate
        .run(&["rollback", &(run.clone() + "0"), "--auto-approve"])
        .exit(1)
        .says(&["unknown run", &format!("did you mean `{run}`")]);
    estate.run(&["rollback", &first, "--auto-approve"]).exit(3).says(&["run is not the newest", &run]);
    estate
        .good(&["rollback", &run, "--auto-approve"])
        .says(&["Rolling back run", "1.1.0 → 1.0.0", "Rolled back on request"])
        .lacks("Failed");
    assert_eq!((estate.tree("app"), estate.read("app/current/VERSION")), before);
    estate.good(&["history"]).says(&["rolled back"]);
    estate.good(&["status"]).says(&["1.1.0 1.0.0 1.0.0 pending"]);
    estate.set("version", "1.0.0");
    estate.run(&["plan", "--detailed-exitcode"]).exit(0);
}

#[test]
fn an_older_run_is_not_rolled_back_under_a_newer_one() {
    let mut estate = moving_to("1.1.0");
    estate.apply().exit(0);
    let runs = estate.good(&["history", "--format", "json"]).json();
    let older = runs["runs"][0]["id"].as_str().expect("a run").to_owned();
    estate.set("greeting", "newer");
    estate.apply().exit(0);
    let before = (estate.tree("app"), estate.lockfile());
    estate.run(&["rollback", &older, "--auto-approve"]).exit(3).says(&["run is not the newest", "roll back", "first"]);
    assert_eq!((estate.tree("app"), estate.lockfile()), before, "something was undone");
    // Newest first, it goes.
    estate.good(&["rollback", "--auto-approve"]);
    estate.good(&["rollback", &older, "--auto-approve"]);
    assert_eq!(estate.read("app/current/VERSION"), "1.0.0");
}

#[test]
fn a_changed_setting_is_a_reconfiguration() {
    let mut estate = Estate::sample();
    estate.apply().exit(0);
    estate.set("greeting", "good morning");
    estate.run(&["plan", "--detailed-exitcode"]).exit(2).says(&[
        "sample.one reconfigure 1.0.0",
        "greeting: \"hello\" → \"good morning\"",
        "1 to reconfigure; 1 action; downtime none",
    ]);
    estate.apply().exit(0);
    assert!(estate.read("app/sample.conf").contains("greeting = good morning\n"));
    estate.run(&["plan", "--detailed-exitcode"]).exit(0);
    // A setting that may not change.
    estate.write("main.hcl", estate.read("main.hcl").replace("/app\"", "/elsewhere\""));
    estate.run(&["plan"]).exit(3).says(&["blocked", "root"]);
}

#[test]
fn what_is_deployed_and_not_recorded_is_adopted() {
    let estate = Estate::sample();
    estate.apply().exit(0);
    let before = estate.tree("app");
    estate.remove("windlass.test.lock");
    estate.run(&["drift", "--detailed-exitcode"]).exit(2).says(&["unmanaged: 1.0.0 is there, declared but not recorded"]);
    estate.run(&["plan", "--detailed-exitcode"]).exit(2).says(&[
        "sample.one adopt 1.0.0",
        "taken into care",
        "1 to adopt; 0 actions",
    ]);
    estate.apply().exit(0);
    assert_eq!(estate.tree("app"), before, "adopting touches nothing");
    estate.good(&["state", "list"]).says(&["sample.one 1.0.0"]);
    estate.run(&["plan", "--detailed-exitcode"]).exit(0);
}

#[test]
fn recorded_state_is_listed_shown_moved_removed_and_imported() {
    let estate = Estate::sample();
    estate.good(&["state", "list"]);
    estate.apply().exit(0);
    assert_eq!(estate.good(&["state", "list"]).out, "sample.one 1.0.0\n");
    estate
        .good(&["state", "show", "sample.one"])
        .says(&["sample.one 1.0.0", "port = 8080", "nothing → 1.0.0 by install"])
        .lacks(SECRET);
    let shown = estate.good(&["show", "sample.one", "--format", "json"]).json();
    assert_eq!(shown["recorded"]["version"], "1.0.0");
    estate.run(&["state", "show", "sample.on"]).exit(1).says(&["nothing recorded", "did you mean `sample.one`?"]);

    let before = estate.tree("app");
    estate.good(&["state", "mv", "sample.one", "sample.two"]).says(&["sample.one is recorded as sample.two"]);
    assert_eq!(estate.good(&["state", "list"]).out, "sample.two 1.0.0\n");
    estate.run(&["state", "mv", "sample.one", "sample.three"]).exit(1).says(&["nothing recorded"]);
    estate.good(&["state", "mv", "sample.two", "sample.one"]);
    estate.run(&["state", "mv", "sample.one", "sample.one"]).exit(1).says(&["address is taken"]);
    estate.run(&["state", "import", "sample.one"]).exit(3).says(&["nothing to import"]);
    estate.good(&["state", "rm", "sample.one"]).says(&["what is deployed was not touched"]);
    assert_eq!(estate.good(&["state", "list"]).out, "");
    estate.good(&["state", "import", "sample.one"]).says(&["sample.one is recorded with version 1.0.0"]);
    assert_eq!(estate.good(&["state", "list"]).out, "sample.one 1.0.0\n");
    assert_eq!(estate.tree("app"), before, "looking at state touches nothing");
    estate.run(&["plan", "--detailed-exitcode"]).exit(0);
}

#[test]
fn a_recorded_instance_is_not_moved_to_something_that_is_no_address() {
    let estate = Estate::sample();
    estate.apply().exit(0);
    let lock = estate.lockfile();
    for nonsense in
        ["", "one", "sample", "sample.", ".one", "sample.two words", "sample.\"", "sample.a\nb", "sample.one[", "nope.one"]
    {
        let ran = estate.run(&["state", "mv", "sample.one", nonsense]).sober();
        assert_eq!(ran.code, Some(1), "`state mv` to {nonsense:?}: {}", ran.err);
        assert_eq!(estate.lockfile(), lock);
    }
}

#[test]
fn an_instance_that_is_declared_no_more_is_removed() {
    let estate = Estate::sample();
    estate.apply().exit(0);
    let main = estate.read("main.hcl");
    estate.write("main.hcl", main.split("instance ").next().expect("the beginning"));
    estate.run(&["plan", "--detailed-exitcode"]).exit(2).says(&["sample.one remove 1.0.0", "1 to remove; 3 actions"]);
    estate.apply().exit(0);
    assert!(
        !estate.path("app/current").exists() && !estate.path("app/releases").exists() && !estate.path("app/sample.conf").exists()
    );
    assert!(!estate.lockfile().contains("sample.one"));
    estate.run(&["plan", "--detailed-exitcode"]).exit(0);
}

#[test]
fn a_blocked_way_back_is_refused_with_its_reason() {
    let mut estate = Estate::sample();
    let provider = estate.read("providers/sample/provider.hcl");
    // Every way down, also over 2.0.0.
    estate.write("providers/sample/provider.hcl", provider.replace("to     = \"< 2.0.0\"", "to     = \"*\""));
    estate.set("version", "2.1.0-rc1");
    estate.apply().exit(0);
    estate.set("version", "1.1.0");
    estate.run(&["plan"]).exit(3).says(&["sample.one blocked", "The preview rewrites data that older versions cannot read."]);
    estate.apply().exit(3).says(&["plan is blocked"]);
    assert_eq!(estate.read("app/current/VERSION"), "2.1.0-rc1");
}

/// Two environments with two instances each.
fn fleet() -> Estate {
    let mut estate = Estate::with(
        r#"variable "home" {
  type = string
}
environment "test" {}
environment "live" {}
instance "sample" "test" {
  for_each    = toset(["a", "b"])
  environment = environment.test
  version     = "1.0.0"
  root        = "${var.home}/test-${each.key}"
  store       = "${var.home}/store"
}
instance "sample" "live" {
  count       = 2
  environment = environment.live
  version     = "1.0.0"
  root        = "${var.home}/live-${count.index}"
  store       = "${var.home}/store"
  depends_on  = [instance.sample.test]
}
output "roots" {
  value = [for one in instance.sample.test : one.settings.root]
}
output "token" {
  value     = "hidden-output-value"
  sensitive = true
}
"#,
    );
    estate.set("home", &estate.root.display().to_string());
    estate
}

#[test]
fn targets_and_environments_choose_a_part() {
    let estate = fleet();
    estate.good(&["plan", "--env", "test"]).says(&["2 to install"]).lacks("sample.live");
    estate.good(&["plan", "--target", "sample.test[\"a\"]"]).says(&["1 to install"]).lacks("sample.test[\"b\"]");
    estate.good(&["plan", "--target", "sample.live[1]"]).says(&["3 to install", "sample.test[\"b\"]"]).lacks("sample.live[0]");
    estate.run(&["plan", "--target", "sample.live[7]"]).exit(1).says(&["unknown target"]);
    estate.run(&["plan", "--target", "sample.live"]).exit(0).says(&["4 to install"]);
    estate.good(&["apply", "--auto-approve", "--env", "test"]);
    assert!(estate.path("windlass.test.lock").exists() && !estate.path("windlass.live.lock").exists());
    estate.good(&["plan"]).says(&["2 to install"]);
    estate.apply().exit(0);
    estate.run(&["plan", "--detailed-exitcode"]).exit(0).says(&["4 instances checked"]);
    estate.good(&["status", "--env", "live"]).says(&["sample.live[0]", "sample.live[1]"]).lacks("sample.test");
    estate.good(&["state", "list", "--target", "sample.live"]).says(&["sample.live[0] 1.0.0"]).lacks("sample.test");
}

#[test]
fn without_refresh_the_lockfile_is_trusted() {
    let mut estate = Estate::sample();
    estate.good(&["plan", "--refresh=false"]).says(&["1 to install"]);
    estate.apply().exit(0);
    estate.remove("app/current");
    estate.run(&["plan", "--refresh=false", "--detailed-exitcode"]).exit(0).says(&["No changes."]);
    estate.run(&["plan", "--detailed-exitcode"]).exit(2);
    estate.set("version", "1.1.0");
    estate.good(&["plan", "--refresh=false"]).says(&["upgrade 1.0.0 → 1.1.0"]);
    estate.good(&["status", "--refresh=false"]).says(&["1.1.0 1.0.0 - pending"]);
}

#[test]
fn every_class_of_drift_is_told_apart() {
    let estate = Estate::sample();
    estate.apply().exit(0);
    let drift = |estate: &Estate| estate.run(&["drift", "--detailed-exitcode"]);
    drift(&estate).exit(0).says(&["No drift."]);
    let class = |estate: &Estate| {
        let states = estate.good(&["drift", "--format", "json"]).json();
        states["instances"][0]["drift"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|drift| drift["class"].as_str().unwrap_or("").to_owned())
            .collect::<Vec<_>>()
    };
    // Configuration changed by hand.
    let conf = estate.read("app/sample.conf");
    estate.write("app/sample.conf", conf.clone() + "by hand\n");
    drift(&estate).exit(2).says(&["configuration: config was", "1 drifted"]);
    assert_eq!(class(&estate), ["configuration"]);
    estate.write("app/sample.conf", &conf);
    // Version changed by hand.
    estate.write("app/releases/1.1.0/VERSION", "1.1.0");
    estate.remove("app/current");
    std::os::unix::fs::symlink(estate.path("app/releases/1.1.0"), estate.path("app/current")).expect("a link");
    drift(&estate).exit(2).says(&["version: 1.0.0 is recorded, 1.1.0 is there"]);
    assert_eq!(class(&estate), ["version"]);
    estate.run(&["plan"]).exit(0).says(&["roll back 1.1.0 → 1.0.0", "changed behind Windlass's back"]);
    // Gone.
    estate.remove("app/current");
    drift(&estate).exit(2).says(&["missing: 1.0.0 is recorded, and nothing is there"]);
    assert_eq!(class(&estate), ["missing"]);
    estate.good(&["drift"]).says(&["1 drifted"]);
    estate.good(&["status"]).says(&["missing"]);
    // What is in the way of an installation is somebody's: it is neither taken nor removed.
    estate.apply().exit(4).says(&["failed sample.one@1.0.0:unpack", "is there already"]);
    assert_eq!(estate.read("app/releases/1.0.0/VERSION"), "1.0.0", "the undo removed what the action had not made");
    std::fs::remove_dir_all(estate.path("app/releases/1.0.0")).expect("it can be removed");
    estate.apply().exit(0);
    drift(&estate).exit(0);
    // Unhealthy.
    estate.remove("app/sample.conf");
    assert!(class(&estate).contains(&"unhealthy".to_owned()), "{:?}", class(&estate));
    // A pending change is no drift.
    estate.write("app/sample.conf", &conf);
    let mut estate = estate;
    estate.set("version", "1.1.0");
    drift(&estate).exit(0).says(&["1 differs from the declaration"]);
}

#[test]
fn a_graph_is_drawn_for_graphviz_and_for_mermaid() {
    let estate = moving_to("2.0.0");
    estate.good(&["plan", "--out", "up.plan"]);
    for arguments in [&["graph"][..], &["graph", "up.plan"], &["graph", "--rollback"]] {
        let dot = estate.good(arguments).out;
        assert!(dot.starts_with("digraph windlass {\n") && dot.ends_with("}\n"), "{dot}");
        assert_eq!(dot.matches('{').count(), dot.matches('}').count(), "{dot}");
        let (nodes, edges): (Vec<&str>, Vec<&str>) =
            dot.lines().map(str::trim).filter(|line| line.starts_with('a')).partition(|line| line.contains('['));
        assert!(nodes.len() >= 6, "{dot}");
        let names: Vec<&str> = nodes.iter().filter_map(|node| node.split(' ').next()).collect();
        for edge in edges {
            let (from, to) = edge.trim_end_matches(';').split_once(" -> ").unwrap_or_else(|| panic!("no edge: {edge}"));
            assert!(names.contains(&from) && names.contains(&to), "{edge} leads to nothing");
        }
        let mermaid = estate.good(&[arguments, &["--format", "mermaid"]].concat()).out;
        let lines: Vec<&str> = mermaid.lines().map(str::trim).collect();
        assert_eq!(lines[0], "flowchart LR");
        let open = lines.iter().filter(|line| line.starts_with("subgraph ")).count();
        assert_eq!(open, lines.iter().filter(|line| **line == "end").count(), "{mermaid}");
        for edge in lines.iter().filter_map(|line| line.split_once(" --> ")) {
            for end in [edge.0, edge.1] {
                assert!(lines.iter().any(|line| line.starts_with(&format!("{end}[\""))), "{edge:?} leads to nothing:\n{mermaid}");
            }
        }
        for line in lines.iter().filter(|line| line.contains("[\"")) {
            assert_eq!(line.matches('"').count(), 2, "a label that Mermaid cannot read: {line}");
        }
    }
}

#[test]
fn outputs_and_expressions_are_printed() {
    let estate = fleet();
    let roots = estate.good(&["output", "roots", "--format", "json"]).json();
    assert_eq!(roots.as_array().map(Vec::len), Some(2), "{roots}");
    estate.good(&["output"]).says(&["roots = ", "/test-a"]).lacks("hidden-output-value");
    estate.good(&["output", "--format", "json"]).lacks("hidden-output-value").json();
    assert_eq!(estate.good(&["output", "token"]).out, "hidden-output-value\n");
    estate.run(&["output", "root"]).exit(1).says(&["unknown output", "did you mean `roots`?"]);
    assert_eq!(estate.good(&["console", "1 + 2 * 3"]).out, "7\n");
    estate.good(&["console", "instance.sample.test[\"a\"].settings.root"]).says(&["/test-a"]);
    estate.good(&["console", "instance.sample.live[1].settings.root"]).says(&["/live-1"]);
    assert_eq!(estate.good(&["console", "length(instance.sample.live)"]).out, "2\n");
    estate.run(&["console", "1 +"]).exit(1).says(&["syntax error"]);
}

#[test]
fn completions_and_manual_pages_are_made() {
    let estate = Estate::empty();
    for (shell, word) in [("bash", "complete"), ("zsh", "#compdef windlass"), ("fish", "complete -c windlass")] {
        estate.good(&["completions", shell]).says(&[word]);
    }
    estate.good(&["man"]).says(&[".TH windlass 1"]);
    std::fs::create_dir(estate.path("man")).expect("a folder");
    estate.good(&["man", "--dir", "man"]);
    assert!(estate.read("man/windlass-apply.1").contains(".TH windlass-apply 1"));
    estate.good(&["--version"]).says(&["windlass 0."]);
    estate.good(&["--help"]).says(&["plan", "apply", "drift"]);
}

#[test]
fn formatting_is_checked_and_changes_nothing_but_layout() {
    let estate = Estate::sample();
    estate.good(&["fmt", "--check", "--recursive"]);
    let tidy = estate.read("main.hcl");
    let comment = "# kept\n";
    estate.write("main.hcl", format!("{comment}{}", tidy.replace("  ", "      ").replace(" = ", "=")));
    let untidy = estate.read("main.hcl");
    estate.run(&["fmt", "--check", "--diff"]).exit(3).says(&["main.hcl", "(after)"]);
    assert_eq!(estate.read("main.hcl"), untidy, "a check writes nothing");
    estate.good(&["fmt"]);
    assert_eq!(estate.read("main.hcl"), format!("{comment}{tidy}"));
    estate.good(&["fmt", "--check"]);
}

#[test]
fn validation_is_told_to_programs() {
    let estate = Estate::sample();
    let valid = estate.good(&["validate", "--format", "json"]).json();
    assert_eq!(valid, serde_json::json!({ "valid": true, "diagnostics": [] }));
    estate.write("more.hcl", "output \"a\" {\n  value = local.nope\n}\n");
    let wrong = estate.run(&["validate", "--format", "json"]).exit(1).json();
    assert_eq!(wrong["valid"], false);
    assert_eq!(wrong["diagnostics"][0]["labels"][0]["file"], "more.hcl");
    assert_eq!(wrong["diagnostics"][0]["labels"][0]["line"], 2);
}

#[test]
fn a_reader_that_goes_away_ends_nothing() {
    let estate = Estate::sample();
    for redirected in ["2>&1 | true", "2>/dev/full", ">/dev/full 2>&1"] {
        let _ = std::fs::remove_dir_all(estate.path("app"));
        estate.remove("windlass.test.lock");
        for format in ["human", "json"] {
            let program = env!("CARGO_BIN_EXE_windlass");
            let mut shell = std::process::Command::new("bash");
            shell.args(["-c", &format!("{program} apply --auto-approve --format {format} {redirected}; :")]);
            estate.furnish_command(&mut shell);
            assert!(shell.status().expect("bash can be run").success());
            assert_eq!(estate.read("app/current/VERSION"), "1.0.0", "{redirected}, {format}: the run was not finished");
            assert!(estate.lockfile().contains("sample.one"), "{redirected}, {format}: nothing was recorded");
        }
    }
    // An answer that could not be written is not a good one.
    let mut shell = std::process::Command::new("bash");
    shell.args(["-c", &format!("{} state list >/dev/full", env!("CARGO_BIN_EXE_windlass"))]);
    estate.furnish_command(&mut shell);
    assert_eq!(shell.output().expect("bash can be run").status.code(), Some(1));
}
