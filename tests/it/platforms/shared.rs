//! Rows X01 to X07: what all platforms share, proved on Pachyderm's simulator.

use std::collections::BTreeMap;

use rustix::process::Signal;
use serde_json::Value;

use super::pachyderm::laboratory::Laboratory;
use crate::estate::{Ran, await_until, signal};

/// The steps of a plan's actions by name, and for each those that it needs directly.
fn steps(plan: &Value) -> BTreeMap<String, (Vec<String>, bool)> {
    let actions = plan["plan"]["actions"].as_array().expect("actions");
    let name = |action: &Value| action["kind"]["step"]["step"].as_str().unwrap_or("(record)").to_owned();
    let needs = |action: &Value| -> Vec<String> {
        let indices = action["needs"].as_array().into_iter().flatten();
        indices.map(|index| name(&actions[usize::try_from(index.as_u64().expect("an index")).expect("it is small")])).collect()
    };
    actions.iter().map(|action| (name(action), (needs(action), action["downtime"].as_bool().unwrap_or(false)))).collect()
}

#[test]
fn x01_each_instance_has_its_version_and_environment_and_test_goes_before_production() {
    let mut lab = Laboratory::with("1.8.6");
    let main = lab.estate.read("main.hcl");
    let instance =
        main.split("instance \"pachyderm\" \"main\"").nth(1).and_then(|rest| rest.split("\n}\n").next()).expect("an instance");
    let production = instance
        .replace("environment.test", "environment.production")
        .replace("${var.home}/pachyderm", "${var.home}/production")
        .replace("= var.place", "= \"production\"")
        .replace("= var.deploy", "= [\"google\", \"pachyderm-data-new\", \"10\", \"--dynamic-etcd-nodes=1\"]")
        .replace("= var.version", "= var.live")
        .replace("var.ports[0]", "var.ports[1]")
        .replace("= var.ports[1]\n  connect", "= var.ports[0]\n  connect");
    let more = format!(
        "variable \"live\" {{\n  type    = string\n  default = \"1.8.6\"\n}}\nenvironment \"production\" {{\n  promote_from = environment.test\n}}\n\
         instance \"pachyderm\" \"live\"{production}\n}}\n"
    );
    lab.estate.write("main.hcl", main + &more);
    lab.estate.good(&["apply", "--auto-approve", "--env", "production"]);
    // Production first is refused, by the gate and by name.
    lab.estate.set("live", "1.9.7");
    lab.forget_commands();
    let refused = lab.estate.run(&["apply", "--auto-approve", "--env", "production"]).exit(3);
    refused.says(&["promotion", "production", "test"]);
    assert_eq!(lab.commands(), [""; 0], "something was touched");
    // In test it is applied and verified; then production may.
    lab.to("1.9.7");
    lab.estate.good(&["apply", "--auto-approve", "--env", "test"]);
    lab.estate.good(&["apply", "--auto-approve", "--env", "production"]);
    lab.estate.good(&["status"]).says(&["pachyderm.main test 1.9.7 1.9.7 1.9.7", "pachyderm.live production 1.9.7 1.9.7 1.9.7"]);
}

#[test]
fn x02_preflight_comes_before_anything_and_every_refusal_names_instance_reason_and_remedy() {
    let mut lab = Laboratory::with("1.8.6");
    lab.switch("etcd_stuck", "CrashLoopBackOff always");
    lab.kubectl(&["delete", "pod", "etcd-0"]);
    lab.estate.set("deploy", r#"["google", "pachyderm-data", "99", "--dynamic-etcd-nodes=1"]"#);
    lab.settings("{ extract = false, no_copies = true }").to("1.9.7");
    lab.forget_commands();
    // All at once, not the first.
    let whole = [
        "pachyderm.main",
        "not every pod is ready: ",
        "etcd-0 is CrashLoopBackOff",
        "an upgrade begins with a cluster that works",
        "the deploy command changed",
        "put `deploy` back as it was recorded",
        "nothing backs up the state before the upgrade",
        "set `extract = true`",
    ];
    lab.plan().exit(3).says(&whole);
    lab.apply().exit(3).says(&whole).lacks("begin pachyderm.main@");
    assert_eq!(lab.commands(), [""; 0], "something was touched");
}

#[test]
fn x03_steps_are_a_graph_and_what_needs_no_downtime_happens_outside_it() {
    let mut lab = Laboratory::with("1.8.6");
    lab.to("1.9.7");
    let plan = lab.estate.good(&["plan", "--format", "json"]).json();
    let steps = steps(&plan);
    let needs = |step: &str| steps[step].0.clone();
    // Both copies only wait for the end of the old version, not for each other.
    assert_eq!(needs("copy_rest_of_bucket"), ["prove_down"]);
    assert_eq!(needs("snapshot"), ["prove_down"]);
    let down: Vec<&String> = steps.iter().filter(|(_, (_, downtime))| *downtime).map(|(step, _)| step).collect();
    for outside in ["verify_kit", "unpack", "prove_pachctl", "copy_bucket", "extract", "prove_pods", "resume_pipelines"] {
        assert!(
            steps.contains_key(outside) && !down.iter().any(|step| *step == outside),
            "{outside} is within the downtime: {down:?}"
        );
    }
    for inside in ["undeploy", "snapshot", "deploy", "wait_for_pods"] {
        assert!(down.iter().any(|step| *step == inside), "{inside} is outside the downtime: {down:?}");
    }
    // And so it is done: both begin before either of them ends.
    let said = lab.apply().exit(0);
    let text = said.out + &said.err;
    let place = |what: &str| text.find(what).unwrap_or_else(|| panic!("no {what} in\n{text}"));
    let begun = place("begin   pachyderm.main@1.9.7:copy_rest_of_bucket").max(place("begin   pachyderm.main@1.9.7:snapshot"));
    let ended = place("done    pachyderm.main@1.9.7:copy_rest_of_bucket").min(place("done    pachyderm.main@1.9.7:snapshot"));
    assert!(begun < ended, "{text}");
}

#[test]
fn x04_before_the_point_of_no_return_a_failure_rolls_back_and_behind_it_a_restore_is_offered() {
    let mut lab = Laboratory::with("1.8.6");
    let data = lab.data();
    lab.settings("{ no_copies = true, ready_timeout = \"5s\" }").to("1.9.7");
    let plan = lab.plan().exit(0);
    plan.says(&["deploy_for_good", "no way back but a restore"]);
    lab.switch("undeploy_fails", "1");
    lab.apply().exit(4).says(&["failed pachyderm.main@1.9.7:undeploy", "rolled back"]);
    assert_eq!(lab.data(), data);
    lab.switch("etcd_stuck", "Pending always");
    let halted = lab.apply().exit(5);
    let lock = lab.estate.lockfile();
    let backup =
        lock.lines().rev().find_map(|line| line.trim().strip_prefix("id = ")).expect("a backup").trim_matches('"').to_owned();
    halted.says(&["failed pachyderm.main@1.9.7:wait_for_pods", "restore the backup", &backup, "of version 1.8.6"]);
}

#[test]
fn x05_progress_logs_and_downtime_are_told_and_kept() {
    let mut lab = Laboratory::with("1.8.6");
    lab.switch("pace", "0.2");
    lab.to("1.9.7");
    let ran = lab.estate.good(&["apply", "--auto-approve", "--format", "json"]);
    let events: Vec<Value> = ran.out.lines().map(|line| serde_json::from_str(line).expect("an event")).collect();
    let of = |kind: &str, action: &str| {
        let wanted = |event: &&Value| {
            event["event"] == kind && (action.is_empty() || event["action"] == format!("pachyderm.main@1.9.7:{action}"))
        };
        events.iter().find(wanted).unwrap_or_else(|| panic!("no {kind} of {action} in\n{}", ran.out)).clone()
    };
    let progress = of("action_progress", "wait_for_pods");
    assert_eq!((progress["total"].as_u64(), progress["unit"].as_str()), (Some(3), Some("pods")));
    of("action_output", "undeploy");
    assert!(of("action_ended", "deploy")["at"].is_string());
    // From the beginning of `undeploy` to the end of `verify_versions`, to the second.
    let time = |event: &Value| event["at"].as_str().and_then(|at| at.parse::<jiff::Timestamp>().ok()).expect("a time");
    let from = time(&of("action_began", "undeploy"));
    let until = time(&of("action_ended", "verify_versions"));
    let down = of("run_ended", "")["downtime"]["secs"].as_i64().expect("a downtime");
    assert!((until.duration_since(from).as_secs() - down).abs() <= 1, "{down} s of {from} to {until}");
    let history = lab.estate.good(&["history", "--format", "json"]).json();
    let kept = history["runs"][0]["downtime_seconds"].as_f64().expect("it is kept");
    #[expect(clippy::cast_precision_loss, reason = "seconds of a test")]
    let told = down as f64;
    assert!((kept - told).abs() <= 1.0);
    // The log of each action is kept with the run.
    let run = history["runs"][0]["id"].as_str().expect("an id").to_owned();
    let log = lab.estate.read(&format!(".windlass/runs/{run}/actions/pachyderm.main%401.9.7%3Aundeploy/1/output.log"));
    assert!(log.contains("deployment \"pachd\" deleted"), "{log}");
}

/// An upgrade that was killed while it waited for a pod that is stuck.
fn killed() -> Laboratory {
    let mut lab = Laboratory::with("1.8.6");
    lab.settings("{ stuck_after = \"10m\" }").to("1.9.7");
    lab.switch("etcd_stuck", "Pending 1");
    let child = lab.estate.spawn(&["apply", "--auto-approve", "--format", "json"]);
    await_until("the pod is stuck", || {
        lab.estate.read("lab/commands.log").matches("\"pachctl\", \"deploy\"").count() == 2
            && lab.kubectl(&["get", "pods"]).contains("etcd-0")
    });
    signal(&child, Signal::KILL);
    Ran::of(&["apply"], &child.wait_with_output().expect("it ends")).says(&["action_began"]);
    lab
}

#[test]
fn x06_an_interrupted_run_is_resumed() {
    let lab = killed();
    lab.kubectl(&["delete", "pod", "etcd-0"]);
    lab.estate.good(&["resume"]).says(&["goes on", "Apply complete"]);
    assert_eq!(lab.pachctl(&["version"]).matches("1.9.7").count(), 2);
    assert_eq!(lab.commands().iter().filter(|command| *command == "pachctl undeploy").count(), 1, "nothing is done twice");
    lab.estate.good(&["drift", "--detailed-exitcode"]);
}

#[test]
fn x06_an_interrupted_run_is_rolled_back() {
    let lab = killed();
    lab.estate.good(&["rollback", "--auto-approve"]);
    assert_eq!(lab.pachctl(&["version"]).matches("1.8.6").count(), 2);
    assert!(lab.estate.lockfile().contains("version = \"1.8.6\""));
}

#[test]
fn x06_an_interrupted_run_is_declared_finished_by_hand() {
    let lab = killed();
    // A person does the rest of it.
    lab.kubectl(&["delete", "pod", "etcd-0"]);
    lab.kubectl(&["wait", "pod", "--selector=suite=pachyderm", "--for=condition=Ready", "--timeout=20s"]);
    lab.estate.good(&["abandon", "--as", "succeeded", "--reason", "the node was replaced by hand"]);
    lab.estate.good(&["status"]).says(&["pachyderm.main test 1.9.7 1.9.7"]);
    lab.estate.run(&["resume"]).exit(1).says(&["no such run"]);
    lab.estate.good(&["history", "--format", "json"]).says(&["the node was replaced by hand"]);
}

#[test]
fn x07_history_says_who_upgraded_what_from_where_to_where_when_and_how_it_ended() {
    let mut lab = Laboratory::with("1.8.6");
    lab.switch("extract_fails", "1");
    lab.to("1.9.7").apply().exit(4);
    lab.apply().exit(0);
    let history = lab.estate.good(&["history", "--format", "json"]).json();
    let runs = history["runs"].as_array().expect("runs");
    let told: Vec<(&str, &str, &str)> = runs
        .iter()
        .map(|run| {
            let text = |value: &'static str| run["moves"][0][value].as_str().unwrap_or("nothing");
            assert!(run["who"].as_str().is_some_and(|who| who.starts_with("tester@")), "{run}");
            assert!(run["began"].as_str() < run["ended"].as_str(), "{run}");
            assert_eq!(text("instance"), "pachyderm.main");
            (text("from"), text("to"), run["outcome"].as_str().expect("an outcome"))
        })
        .collect();
    assert_eq!(told, [("1.8.6", "1.9.7", "succeeded"), ("1.8.6", "1.9.7", "rolled_back"), ("nothing", "1.8.6", "succeeded")]);
    lab.estate.good(&["history"]).says(&["pachyderm.main test 1.8.6 → 1.9.7 succeeded"]);
}
