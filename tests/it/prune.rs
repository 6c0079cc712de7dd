//! Folders of runs are removed once nothing goes back by them, and never before.

use crate::estate::Estate;

fn folders(estate: &Estate) -> Vec<String> {
    let entries = std::fs::read_dir(estate.path(".windlass/runs")).expect("there are runs");
    let mut names: Vec<String> = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// Everything that ended is old enough.
fn prune(estate: &Estate) {
    // A run that ends in this very millisecond is not older than it.
    std::thread::sleep(std::time::Duration::from_millis(20));
    estate.good(&["state", "prune", "--older-than", "1ms"]);
}

#[test]
fn what_a_recorded_hop_goes_back_by_stays_and_goes_when_the_hop_does() {
    let mut estate = Estate::sample();
    estate.apply().exit(0);
    estate.set("version", "2.0.0");
    estate.apply().exit(0);
    let both = folders(&estate);
    assert_eq!(both.len(), 2);
    prune(&estate);
    assert_eq!(folders(&estate), both, "both hops can be undone");
    estate.set("version", "1.0.0");
    estate.apply().exit(0);
    assert_eq!(estate.read("app/current/VERSION").trim(), "1.0.0");
    let dry = estate.good(&["state", "prune", "--dry-run", "--older-than", "1ms"]);
    assert!(dry.out.contains(&both[1]) && !dry.out.contains(&both[0]), "{}", dry.out);
    assert_eq!(folders(&estate).len(), 3, "a dry run removes nothing");
    prune(&estate);
    assert_eq!(folders(&estate), both[..1], "the first still goes back to nothing");
    // And it does.
    estate.good(&["rollback", &both[0], "--auto-approve"]);
    assert!(!estate.path("app/current").exists());
    prune(&estate);
    assert!(folders(&estate).is_empty());
    let runs = estate.good(&["history", "--format", "json"]).json();
    assert_eq!(runs["runs"].as_array().map(Vec::len), Some(3), "the history stays");
}

#[test]
fn a_run_that_is_not_through_stays_however_old_it_is() {
    let mut estate = Estate::job();
    estate.set("on_failure", "halt");
    estate.write("job/broken", "");
    estate.apply().exit(5);
    prune(&estate);
    assert_eq!(folders(&estate).len(), 1);
    estate.good(&["rollback", "--auto-approve"]);
    estate.good(&["state", "prune"]).says(&["0 run folders"]);
    assert_eq!(folders(&estate).len(), 1, "it is not thirty days old");
    prune(&estate);
    assert!(folders(&estate).is_empty());
    estate.run(&["state", "prune", "--older-than", "soon"]).exit(1).says(&["duration cannot be read", "30d"]);
}

#[test]
fn a_moved_working_copy_finds_what_its_steps_have_kept() {
    let mut estate = Estate::sample();
    estate.apply().exit(0);
    estate.set("version", "2.0.0");
    estate.apply().exit(0);
    let conf = estate.read("app/sample.conf");
    estate.set("greeting", "another");
    estate.apply().exit(0);
    assert_ne!(estate.read("app/sample.conf"), conf);
    // The folder of runs is where it was; all the same the state is moved as a whole, and what lay there is gone.
    let run = folders(&estate).last().cloned().expect("a run");
    let copy = Estate::empty();
    for name in ["main.hcl", "windlass.test.lock", ".windlass", "providers"] {
        let output = std::process::Command::new("cp").arg("-a").arg(estate.path(name)).arg(copy.path("")).output().expect("cp");
        assert!(output.status.success(), "{name}");
    }
    std::fs::remove_dir_all(estate.path(".windlass")).expect("it is there");
    let mut command = copy.command(&["rollback", &run, "--auto-approve"]);
    estate.furnish_command(&mut command);
    let output = command.current_dir(copy.path("")).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(estate.read("app/sample.conf"), conf);
}
