//! What a person says about a run that has not ended: `abandon` and `confirm`, said once, twice, too early, and from another process.

use crate::estate::{Estate, await_until};
use crate::rollback::{PROVIDER, at};

/// A tower whose second hop to 3.0.0 fails, held there.
fn half_way_up() -> (Estate, String) {
    let mut estate = Estate::tower();
    let halting = |text: &str| text.replace("\" {}\n", "\" {\n  on_failure = \"halt\"\n}\n");
    estate.write("main.hcl", halting(&estate.read("main.hcl")));
    estate.write("providers/tower/provider.hcl", PROVIDER.replace("[ -e broken ]", "[ -e broken ] && [ $2 = 3.0.0 ]"));
    estate.write("broken", "");
    estate.set("version", "3.0.0");
    estate.apply().exit(5);
    let run = newest(&estate)["id"].as_str().expect("a run").to_owned();
    (estate, run)
}

fn newest(estate: &Estate) -> serde_json::Value {
    estate.good(&["history", "--format", "json"]).json()["runs"][0].clone()
}

/// The versions that the lockfiles say, base and top.
fn recorded(estate: &Estate) -> (String, String) {
    let version = |environment: &str| {
        let text = estate.read(&format!("windlass.{environment}.lock"));
        let (_, instance) = text.split_once("instance \"tower.").unwrap_or_else(|| panic!("no instance:\n{text}"));
        let (_, rest) = instance.split_once("  version = \"").unwrap_or_else(|| panic!("no version:\n{text}"));
        rest.split('"').next().unwrap_or_default().to_owned()
    };
    (version("test"), version("production"))
}

#[test]
fn what_was_recorded_stays_when_a_run_is_abandoned_as_failed() {
    let (estate, run) = half_way_up();
    let stood = estate.stands();
    let refused = estate.run(&["abandon", &run, "--as", "failed", "--reason", "\t"]).exit(1);
    drop(refused.says(&["not abandoned without a reason"]));
    assert_eq!(newest(&estate)["outcome"], "held", "a refusal changed something");
    estate.good(&["abandon", &run, "--as", "failed", "--reason", "the stairs are gone"]);
    // One hop was through and is in the lockfile; the one that failed is not.
    assert_eq!(recorded(&estate), at("2.0.0", "1.0.0"));
    assert_eq!(estate.stands(), stood, "something was done");
    let record = newest(&estate);
    assert_eq!((&record["outcome"], &record["message"]), (&"abandoned".into(), &"abandoned: the stairs are gone".into()));
    for again in ["resume", "rollback"] {
        let ran = estate.run(&[again, &run]);
        assert_ne!(ran.code, Some(0), "{again} of an abandoned run");
    }
    estate.run(&["abandon", &run, "--as", "succeeded", "--reason", "after all"]).exit(3).says(&["the run was abandoned"]);
    assert_eq!(newest(&estate)["message"], "abandoned: the stairs are gone");
    // What is left is planned from where it stands.
    estate.remove("broken");
    estate.apply().exit(0);
    assert_eq!(recorded(&estate), at("3.0.0", "3.0.0"));
}

#[test]
fn everything_is_recorded_when_a_run_is_abandoned_as_succeeded() {
    let (estate, run) = half_way_up();
    estate.write("base.version", "3.0.0\n");
    estate.write("top.version", "3.0.0\n");
    estate.good(&["abandon", "--as", "succeeded", "--reason", "we carried it up by hand"]);
    assert_eq!(recorded(&estate), at("3.0.0", "3.0.0"));
    let record = newest(&estate);
    assert_eq!((&record["id"], &record["outcome"]), (&run.into(), &"abandoned".into()));
    assert!(record["message"].as_str().is_some_and(|message| message.contains("by hand")), "{record}");
    estate.run(&["plan", "--detailed-exitcode"]).exit(0);
}

#[test]
fn a_run_that_is_being_carried_out_is_not_abandoned_beside_it() {
    let estate = Estate::job();
    estate.write("job/wait", "");
    let mut child = estate.spawn(&["apply", "--auto-approve"]);
    estate.await_text("job/log", "slow");
    for word in ["failed", "succeeded"] {
        estate.run(&["abandon", "--as", word, "--reason", "impatience"]).exit(6).says(&["is held"]);
    }
    estate.remove("job/wait");
    assert!(child.wait().expect("it ends").success());
    assert_eq!(newest(&estate)["outcome"], "succeeded");
    // Nor is one that is through.
    estate.run(&["abandon", "--as", "failed", "--reason", "late"]).exit(1).says(&["no such run"]);
    assert_eq!(newest(&estate)["outcome"], "succeeded");
    assert!(estate.lockfile().contains("job.one"));
}

#[test]
fn a_confirmation_counts_once_and_only_for_what_waits() {
    let mut estate = Estate::job();
    estate.apply().exit(0);
    let action = "job.one@7.0.0:person";
    estate.run(&["confirm", action]).exit(1).says(&["nothing to confirm"]);
    estate.set("version", "7.0.0");
    estate.write("main.hcl", estate.read("main.hcl").replace("  dir ", "  strategy    = \"by_hand\"\n  dir "));
    estate.apply().exit(5).says(&["Turn the key."]);
    let run = newest(&estate)["id"].as_str().expect("a run").to_owned();
    // Gates and actions of other runs are nothing that a word confirms.
    for wrong in ["job.one@7.0.0:persona", "job.one@1.0.0:first", "job.one:person", "window", "", "job.one@7.0.0:person/../x"] {
        let refused = estate.run(&["confirm", wrong]);
        assert_eq!(refused.code, Some(1), "`{wrong}`: {}", refused.err);
    }
    assert_eq!(estate.read("job/version"), "1.0.0");
    // Two people at once: the later word stands, and nothing is done twice.
    let mut first = estate.spawn(&["confirm", action, "--note", "first"]);
    estate.good(&["confirm", action, "--note", "second"]);
    assert!(first.wait().expect("it ends").success());
    estate.good(&["resume", &run]);
    assert_eq!(estate.read("job/version"), "7.0.0");
    estate.run(&["confirm", action]).exit(1).says(&["nothing to confirm"]);
    await_until("the run is through", || newest(&estate)["outcome"] == "succeeded");
}
