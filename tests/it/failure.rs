//! What goes wrong in the middle of a run, and every way out of it.

use std::collections::BTreeMap;
use std::path::Path;

use rustix::process::Signal;

use crate::estate::{Estate, Ran, await_until, signal};

/// A run that waits in `slow`.
fn waiting(estate: &Estate) -> std::process::Child {
    estate.write("job/wait", "");
    let child = estate.spawn(&["apply", "--auto-approve"]);
    estate.await_text("job/log", "slow");
    child
}

fn ended(child: std::process::Child) -> Ran {
    Ran::of(&["apply"], &child.wait_with_output().expect("it ends"))
}

fn newest_run(estate: &Estate) -> serde_json::Value {
    estate.good(&["history", "--format", "json"]).json()["runs"][0].clone()
}

#[test]
fn a_failure_in_the_middle_undoes_what_was_done_in_reverse_order() {
    let estate = Estate::job();
    estate.write("job/broken", "");
    estate.apply().exit(4).says(&[
        "failed job.one@1.0.0:fragile",
        "it is broken",
        "undoing job.one@1.0.0:fragile failed",
        "skipped job.one@1.0.0:finish",
        "Failed, and rolled back: everything is as it was before.",
    ]);
    assert_eq!(estate.log(), ["first", "slow", "slow-end", "fragile", "undo-fragile", "undo-slow", "undo-first"]);
    assert!(!estate.path("job/version").exists() && !estate.lockfile().contains("job.one"));
    assert_eq!(newest_run(&estate)["outcome"], "rolled_back");
    estate.remove("job/broken");
    estate.apply().exit(0);
    assert!(estate.lockfile().contains("job.one"));
}

#[test]
fn a_failed_upgrade_leaves_the_product_as_it_was() {
    let mut estate = Estate::sample();
    estate.apply().exit(0);
    let (before, lock) = (estate.tree("app"), estate.lockfile());
    // The second hop's release is empty: its last step fails when everything else is done.
    estate.remove("store/2.0.0/VERSION");
    estate.write("store/2.0.0/other", "");
    estate.set("version", "2.0.0");
    estate.apply().exit(4).says(&["failed sample.one@2.0.0:verify", "Failed, and rolled back"]);
    assert_eq!(estate.tree("app"), before);
    let settled = |lock: &str| lock.lines().filter(|line| !line.starts_with("serial = ")).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(settled(&estate.lockfile()), settled(&lock));
    estate.good(&["drift", "--detailed-exitcode"]);
}

#[test]
fn on_failure_halt_leaves_everything_for_a_person_and_resume_goes_on() {
    let mut estate = Estate::job();
    estate.set("on_failure", "halt");
    estate.write("job/broken", "");
    estate.apply().exit(5).says(&["failed job.one@1.0.0:fragile", "windlass resume", "windlass rollback"]);
    assert_eq!(estate.log(), ["first", "slow", "slow-end", "fragile"]);
    assert_eq!(newest_run(&estate)["outcome"], "held");
    // A new apply must not begin beside an unfinished run without a word about it.
    estate.remove("job/broken");
    // The command may not be run twice unasked: a person says that it had no effect.
    estate.run(&["resume"]).exit(5).says(&["held job.one@1.0.0:fragile", "--retry 'job.one@1.0.0:fragile'"]);
    assert_eq!(estate.log(), ["first", "slow", "slow-end", "fragile"]);
    estate.run(&["resume", "--retry", "job.one@1.0.0:fragle"]).exit(1).says(&["job.one@1.0.0:fragle"]);
    estate.good(&["resume", "--retry", "job.one@1.0.0:fragile"]).says(&["goes on", "Apply complete."]);
    assert_eq!(estate.log(), ["first", "slow", "slow-end", "fragile", "fragile"]);
    assert_eq!(estate.read("job/version"), "1.0.0");
    assert_eq!(newest_run(&estate)["outcome"], "succeeded");
    estate.run(&["resume"]).exit(1).says(&["no such run", "there is no run to resume"]);
    estate.run(&["plan", "--detailed-exitcode"]).exit(0);
}

#[test]
fn resume_repeats_a_failed_step_that_may_be_repeated() {
    let mut estate = Estate::job();
    let provider = estate.read("providers/job/provider.hcl");
    estate.write(
        "providers/job/provider.hcl",
        provider.replacen("  step \"fragile\" {\n", "  step \"fragile\" {\n    repeatable = true\n", 1),
    );
    estate.set("on_failure", "halt");
    estate.write("job/broken", "");
    estate.apply().exit(5);
    estate.run(&["resume"]).exit(5).says(&["failed job.one@1.0.0:fragile", "it is broken"]);
    estate.remove("job/broken");
    estate.good(&["resume"]).says(&["Apply complete."]);
    assert_eq!(estate.log(), ["first", "slow", "slow-end", "fragile", "fragile", "fragile"]);
}

#[test]
fn a_halted_run_is_rolled_back_by_hand() {
    let mut estate = Estate::job();
    estate.set("on_failure", "halt");
    estate.write("job/broken", "");
    estate.apply().exit(5);
    estate.run(&["rollback", "--auto-approve"]).exit(0).says(&["undone job.one@1.0.0:first"]);
    assert_eq!(estate.log(), ["first", "slow", "slow-end", "fragile", "undo-fragile", "undo-slow", "undo-first"]);
    assert_eq!(newest_run(&estate)["outcome"], "rolled_back");
}

#[test]
fn a_halted_run_is_abandoned_by_a_word_and_a_reason() {
    for (word, recorded) in [("failed", false), ("succeeded", true)] {
        let mut estate = Estate::job();
        estate.set("on_failure", "halt");
        estate.write("job/broken", "");
        estate.apply().exit(5);
        let log = estate.log();
        estate.run(&["abandon", "--as", word, "--reason", " "]).exit(1).says(&["not abandoned without a reason"]);
        estate.run(&["abandon", "--as", word]).exit(1).says(&["--reason"]);
        estate.good(&["abandon", "--as", word, "--reason", "done by hand"]);
        assert_eq!(estate.log(), log, "something was done");
        assert_eq!(estate.lockfile().contains("job.one"), recorded, "abandoned as {word}");
        let run = newest_run(&estate);
        assert_eq!(run["outcome"], "abandoned");
        assert!(run["message"].as_str().is_some_and(|message| message.contains("done by hand")), "{run}");
        estate.run(&["resume"]).exit(1).says(&["no such run"]);
    }
}

#[test]
fn a_run_whose_folder_is_lost_is_abandoned_and_stands_in_nobody_s_way() {
    let lose: [fn(&Path); 3] = [
        |run| std::fs::remove_dir_all(run).expect("it is there"),
        |run| std::fs::remove_dir_all(run.join("journal")).expect("it is there"),
        |run| std::fs::write(run.join("plan.json"), "x").expect("it is there"),
    ];
    for lose in lose {
        let mut estate = Estate::job();
        estate.set("on_failure", "halt");
        estate.write("job/broken", "");
        estate.apply().exit(5);
        let id = newest_run(&estate)["id"].as_str().expect("a run has an id").to_owned();
        lose(&estate.path(&format!(".windlass/runs/{id}")));
        estate.run(&["resume"]).exit(1).says(&["windlass abandon --as failed"]);
        estate.apply().exit(3).says(&[&id]);
        estate.run(&["abandon", "--as", "failed", "--reason", ""]).exit(1).says(&["not abandoned without a reason"]);
        estate.run(&["abandon", "--as", "succeeded", "--reason", "lost"]).exit(3).says(&["nothing tells what the run has done"]);
        assert_eq!(newest_run(&estate)["outcome"], "held", "a refusal changed something");
        estate.good(&["abandon", "--as", "failed", "--reason", "the disk died"]).says(&[&id, "windlass drift"]);
        let run = newest_run(&estate);
        assert_eq!((&run["outcome"], &run["message"]), (&"abandoned".into(), &"the disk died".into()));
        estate.run(&["resume", &id]).exit(3).says(&["has ended", "abandoned"]);
        estate.remove("job/broken");
        estate.apply().exit(0);
        assert!(estate.lockfile().contains("job.one"));
    }
}

#[test]
fn an_interrupt_finishes_what_runs_and_resume_does_the_rest() {
    for what in [Signal::INT, Signal::TERM] {
        let estate = Estate::job();
        let child = waiting(&estate);
        signal(&child, what);
        // What runs is finished: it is given the time.
        std::thread::sleep(std::time::Duration::from_millis(300));
        estate.remove("job/wait");
        ended(child).exit(5).says(&["stopping", "done job.one@1.0.0:slow", "Stopped on request"]);
        assert_eq!(estate.log(), ["first", "slow", "slow-end"]);
        assert_eq!(newest_run(&estate)["outcome"], "stopped");
        estate.good(&["resume"]).says(&["Apply complete."]);
        assert_eq!(estate.log(), ["first", "slow", "slow-end", "fragile"], "nothing is done twice");
        assert!(estate.lockfile().contains("job.one"));
    }
}

#[test]
fn a_second_interrupt_terminates() {
    let estate = Estate::job();
    let child = waiting(&estate);
    signal(&child, Signal::INT);
    std::thread::sleep(std::time::Duration::from_millis(300));
    signal(&child, Signal::INT);
    let ran = ended(child).exit(5);
    assert_eq!(estate.log(), ["first", "slow"], "{}", ran.err);
    // What was terminated is dead, and the state is free for the next.
    estate.remove("job/wait");
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert_eq!(estate.log(), ["first", "slow"], "the command outlived its termination");
    estate.good(&["rollback", "--auto-approve"]);
    assert_eq!(estate.log(), ["first", "slow", "undo-slow", "undo-first"]);
    estate.apply().exit(0);
}

#[test]
fn stop_is_an_interrupt_from_elsewhere() {
    let estate = Estate::job();
    estate.run(&["stop"]).exit(1).says(&["nothing to stop"]);
    let child = waiting(&estate);
    estate.good(&["stop"]).says(&["was asked to stop"]);
    std::thread::sleep(std::time::Duration::from_millis(700));
    estate.remove("job/wait");
    ended(child).exit(5).says(&["Stopped on request"]);
    estate.good(&["resume"]);
    assert_eq!(estate.log(), ["first", "slow", "slow-end", "fragile"]);
}

#[test]
fn a_second_apply_is_told_who_holds_the_state() {
    let estate = Estate::job();
    let child = waiting(&estate);
    let run = newest_run(&estate)["id"].as_str().expect("a run").to_owned();
    for command in
        [&["apply", "--auto-approve"][..], &["apply", "--auto-approve", "--lock-timeout", "1s"], &["state", "rm", "job.one"]]
    {
        // Nothing is recorded yet, so `state rm` has nothing to remove.
        let ran = estate.run(command).sober();
        if command[0] == "apply" {
            ran.exit(6).says(&["state is locked", "held by tester@", "(apply)", &run, "--lock-timeout"]);
        }
    }
    estate.run(&["resume"]).exit(6).says(&["state is locked"]);
    estate.run(&["rollback", "--auto-approve"]).exit(6);
    // Those who only look are not held up.
    estate.good(&["plan"]).says(&["1 to install"]);
    estate.good(&["status"]).says(&["test is held by tester@"]);
    estate.run(&["apply", "--lock-timeout", "soon"]).exit(1).says(&["duration cannot be read", "90s"]);
    // One that waits gets its turn.
    let patient = estate.spawn(&["apply", "--auto-approve", "--lock-timeout", "60s"]);
    estate.remove("job/wait");
    ended(child).exit(0);
    let second = ended(patient).sober();
    assert!(matches!(second.code, Some(0 | 1 | 3)), "{:?} {}", second.code, second.err);
    assert_eq!(estate.log(), ["first", "slow", "slow-end", "fragile"], "it was applied twice: {}", second.err);
}

#[test]
fn a_lock_is_broken_only_by_a_word() {
    let estate = Estate::job();
    estate.good(&["unlock", "test"]).says(&["Nobody holds the state of test."]);
    let mut child = waiting(&estate);
    estate.run(&["unlock", "test"]).exit(3).says(&["test is held by tester@", "lock was not broken", "--force"]);
    estate.run(&["unlock", "tset"]).exit(1).says(&["unknown environment", "did you mean `test`"]);
    estate.good(&["unlock", "test", "--force"]).says(&["The state of test is free."]);
    // The one that lost it cannot record what it does.
    estate.remove("job/wait");
    let output = {
        await_until("the run ends", || child.try_wait().is_ok_and(|ended| ended.is_some()) || estate.log().len() >= 4);
        child.wait_with_output().expect("it ends")
    };
    let ran = Ran::of(&["apply"], &output).sober();
    assert_ne!(ran.code, Some(0), "it recorded without holding the state:\n{}", ran.err);
    assert!(!estate.lockfile().contains("job.one"));
    estate.good(&["resume"]);
    assert_eq!(estate.log(), ["first", "slow", "slow-end", "fragile"]);
    assert!(estate.lockfile().contains("job.one"));
}

#[test]
fn a_manual_step_waits_until_it_is_confirmed() {
    let mut estate = Estate::job();
    estate.apply().exit(0);
    estate.set("version", "7.0.0");
    estate.write("main.hcl", estate.read("main.hcl").replace("  dir ", "  strategy    = \"by_hand\"\n  dir "));
    estate.apply().exit(5).says(&["Turn the key."]);
    let action = "job.one@7.0.0:person";
    estate.run(&["resume"]).exit(5).says(&["Turn the key."]);
    estate.run(&["confirm", "job.one@7.0.0:persn"]).exit(1).says(&["nothing to confirm"]);
    estate.run(&["confirm", "job.one@7.0.0:finish"]).exit(1).says(&["does not wait for anybody"]);
    estate.good(&["confirm", action, "--note", "turned"]).says(&["windlass resume"]);
    estate.good(&["resume"]).says(&["Apply complete."]);
    assert_eq!(estate.read("job/version"), "7.0.0");
}

#[test]
fn what_was_confirmed_counts_where_windlass_was_killed_while_it_asked() {
    let mut estate = Estate::job();
    estate.apply().exit(0);
    estate.set("version", "7.0.0");
    estate.write("main.hcl", estate.read("main.hcl").replace("  dir ", "  strategy    = \"by_hand\"\n  dir "));
    estate.env("WINDLASS_CRASH_AT", "apply.called:1");
    assert_eq!(estate.apply().code, None, "it was to be killed");
    estate.env("WINDLASS_CRASH_AT", "");
    // Who did not hear that it waits is asked again.
    estate.run(&["resume"]).exit(5).says(&["an action waits for a person", "Turn the key."]);
    estate.good(&["confirm", "job.one@7.0.0:person"]);
    estate.env("WINDLASS_CRASH_AT", "apply.called:1");
    assert_eq!(estate.run(&["resume"]).code, None, "it was to be killed when it had the answer");
    estate.env("WINDLASS_CRASH_AT", "");
    estate.good(&["resume"]).says(&["Apply complete."]);
    assert_eq!(estate.read("job/version"), "7.0.0");
}

#[test]
fn killed_at_any_moment_a_run_is_finished_by_resume_and_nothing_runs_twice() {
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut moments = BTreeMap::new();
    for round in 0..20 {
        let estate = Estate::job();
        let mut child = estate.spawn(&["apply", "--auto-approve"]);
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        // Half of them at any time, half of them where something is known to have begun.
        if round % 2 == 0 {
            std::thread::sleep(std::time::Duration::from_millis(seed % 250));
        } else {
            let lines = usize::try_from(seed % 4).expect("small") + 1;
            await_until("it has come so far", || {
                estate.log().len() >= lines || child.try_wait().is_ok_and(|ended| ended.is_some())
            });
        }
        let _ = child.kill();
        let _ = child.wait();
        let before = estate.log().len();
        let is_begun = estate.good(&["history", "--format", "json"]).json()["runs"].as_array().is_some_and(|runs| !runs.is_empty());
        let is_done = is_begun && newest_run(&estate)["outcome"] == "succeeded";
        // Where it was killed between the journal and the command, the folder of the command proves that it was not begun.
        let ran = match (is_begun, is_done) {
            (true, false) => estate.run(&["resume"]),
            _ => estate.apply(),
        };
        assert_eq!(ran.code, Some(0), "round {round}, killed after {before} lines:\n{}\n{}", ran.out, ran.err);
        assert_eq!(
            estate.log(),
            ["first", "slow", "slow-end", "fragile"],
            "round {round}, killed after {before} lines:\n{}",
            ran.err
        );
        assert_eq!(estate.read("job/version"), "1.0.0");
        assert!(estate.lockfile().contains("instance \"job.one\""));
        estate.run(&["plan", "--detailed-exitcode"]).exit(0);
        *moments.entry((is_begun, is_done, before)).or_insert(0) += 1;
    }
    assert!(moments.len() > 2, "always killed at the same moment: {moments:?}");
}
