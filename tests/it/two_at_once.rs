//! Two of the program at once where that is hard: a holder that was paused past its term beside local state, a wire that swallows
//! everything, and what is pruned from a store that machines share.

use std::time::{Duration, SystemTime};

use rustix::process::Signal;

use crate::estate::{Estate, SAMPLE, signal};
use crate::stores::{Server, elsewhere, ended};

/// As if the holder had given no sign of life for an hour.
fn age_lease(estate: &Estate) {
    let path = ".windlass/state/test.lease";
    let mut lease: serde_json::Value = serde_json::from_str(&estate.read(path)).expect("a lease");
    lease["holder"]["heartbeat"] = "2020-01-01T00:00:00Z".into();
    estate.write(path, lease.to_string());
    let file = std::fs::File::options().write(true).open(estate.path(path)).expect("it is there");
    file.set_modified(SystemTime::now() - Duration::from_secs(3600)).expect("its time can be set");
}

#[test]
fn beside_local_state_a_holder_that_was_paused_past_its_term_writes_nothing_when_it_wakes() {
    let estate = Estate::job();
    estate.write("job/wait", "");
    let paused = estate.spawn(&["apply", "--auto-approve"]);
    estate.await_text("job/log", "slow");
    estate.run(&["resume"]).exit(6).says(&["state is locked"]);
    signal(&paused, Signal::STOP);
    // While its time is not over, that it does not move means nothing.
    estate.run(&["resume"]).exit(6).says(&["state is locked"]);
    age_lease(&estate);
    estate.remove("job/wait");
    estate.await_text("job/log", "slow-end");
    estate.good(&["resume"]).says(&["Apply complete."]);
    let (log, lock) = (estate.log(), estate.lockfile());
    assert_eq!(log, ["first", "slow", "slow-end", "fragile"]);
    signal(&paused, Signal::CONT);
    ended(paused, &["apply"]).exit(5);
    assert_eq!((estate.log(), estate.lockfile()), (log, lock), "it went on with what another had done");
    estate.good(&["plan", "--detailed-exitcode"]).says(&["No changes."]);
    estate.good(&["history"]).says(&["apply succeeded"]).lacks("held");
    // The journal of the run is whole: it can be gone back by.
    estate.good(&["rollback", "--auto-approve"]);
    assert_eq!(estate.log()[4..], ["undo-fragile", "undo-slow", "undo-first"]);
}

#[test]
fn a_wire_that_swallows_everything_is_noticed_and_resume_delivers() {
    for server in Server::each() {
        let (estate, wire, applying) = server.waits_by_wire(&[("WINDLASS_LEASE_TERM", "3s")]);
        wire.swallow();
        estate.remove("job/wait");
        ended(applying, &["apply"]).exit(5).says(&["no longer held", "windlass resume"]);
        assert!(!estate.log().contains(&"fragile".to_owned()), "the next action began, and the store does not know of it");
        wire.mend();
        estate.good(&["resume", "--lock-timeout", "1m"]);
        assert_eq!(estate.log(), ["first", "slow", "slow-end", "fragile"]);
        estate.good(&["plan", "--detailed-exitcode"]).says(&["No changes."]);
    }
}

#[test]
fn what_nothing_goes_back_by_is_pruned_from_the_store_and_the_rest_stays() {
    for server in Server::each() {
        let mut estate = Estate::sample();
        server.keep_state(&mut estate);
        for version in ["1.0.0", "2.0.0"] {
            estate.set("version", version);
            estate.apply().exit(0);
        }
        let prune = |estate: &Estate, more: &[&str]| {
            std::thread::sleep(Duration::from_millis(20));
            estate.good(&[&["state", "prune", "--older-than", "1ms"], more].concat())
        };
        prune(&estate, &[]).says(&["0 run folders removed", "0 runs removed from"]);
        // Back to the first: the second hop is undone, and nobody goes back by its run.
        estate.set("version", "1.0.0");
        estate.apply().exit(0);
        let runs = estate.good(&["history", "--format", "json"]).json();
        let id = |number: usize| runs["runs"][number]["id"].as_str().expect("an id").to_owned();
        let (last, second, first) = (id(0), id(1), id(2));
        let mut other = elsewhere(&estate, SAMPLE, &server);
        other.set("version", "1.0.0");
        let dry = prune(&other, &["--dry-run"]).says(&["0 run folders would be removed", "2 runs would be removed from"]);
        assert!(dry.out.contains(&second) && dry.out.contains(&last) && !dry.out.contains(&first), "{}", dry.out);
        prune(&estate, &[]).says(&["2 run folders removed", "2 runs removed from"]);
        prune(&other, &[]).says(&["0 runs removed from"]);
        let history = estate.good(&["history", "--format", "json"]).json();
        assert_eq!(history["runs"].as_array().map(Vec::len), Some(3), "the history stays");
        estate.run(&["rollback", &second, "--auto-approve"]).lacks("panicked");
        assert_eq!(estate.read("app/current/VERSION"), "1.0.0");
        // What is still gone back by is there for a machine that has none of it.
        other.good(&["rollback", &first, "--auto-approve"]);
        assert!(!estate.path("app/current").exists());
        prune(&other, &[]).says(&["1 run removed from"]);
    }
}
