//! Upgrades while users and tasks go on: rows A06 to A09 and A16.

use serde_json::json;

use super::world::Dataphin;
use crate::estate::{Ran, await_until};

#[test]
fn a06_maintenance_mode_is_entered_and_left_with_its_times_and_the_switches_come_back() {
    let mut dataphin = Dataphin::of("V5.2.0");
    dataphin.offers("V5.3.0");
    let before = dataphin.state()["switches"].clone();
    assert_eq!(before["production"], json!({"schedule": true, "execution": true}));
    // A service that never comes up holds it in maintenance mode.
    dataphin.faults(json!({"service_fails": {"names": ["studio"]}}));
    dataphin.apply("V5.3.0").exit(5).says(&["maintenance mode"]);
    let state = dataphin.state();
    assert_eq!(state["switches"]["production"], json!({"schedule": false, "execution": true}));
    // Running tasks go on.
    assert!(state["running_tasks"].as_array().is_some_and(|tasks| tasks.iter().any(|task| task["id"] == "daily_sales")));
    assert!(!state["maintenance"]["since"].is_null());
    dataphin.estate.good(&["status"]).says(&["STILL OPEN dataphin.main is in maintenance mode"]);
    // The engineers repair it and restart its process in the Manager.
    dataphin.faults(json!({}));
    dataphin.by_hand("POST", "/api/upgrades/1/applications/studio/restart", "{}");
    let held = "dataphin.main@V5.3.0:prove_applications";
    dataphin.estate.run(&["resume", "--retry", held]).exit(0);
    assert_eq!(dataphin.state()["switches"], before);
    assert!(dataphin.state()["maintenance"].is_null());
    let times = dataphin.upgrade()["times"].clone();
    for name in ["entered_maintenance", "task_submission_resumed", "exited_maintenance", "completed"] {
        assert!(times[name].is_string(), "{name} in {times}");
    }
}

#[test]
fn a06_where_tasks_are_still_dispatched_the_upgrade_stops_before_anything_is_replaced() {
    let mut dataphin = Dataphin::of("V5.2.0");
    dataphin.offers("V5.3.0");
    let before = dataphin.state()["switches"].clone();
    dataphin.faults(json!({"scheduling_stays_on": true}));
    dataphin.apply("V5.3.0").exit(4).says(&["prove_maintenance", "wanted: schedule off, execution on", "rolled back"]);
    let deeds = dataphin.deeds();
    assert!(deeds.iter().any(|deed| deed == "begin") && deeds.iter().any(|deed| deed == "stop"), "{deeds:?}");
    assert!(!deeds.iter().any(|deed| deed == "databases/backup" || deed == "applications"), "{deeds:?}");
    assert!(dataphin.state()["maintenance"].is_null());
    assert_eq!(dataphin.state()["switches"], before);
}

#[test]
fn x05_the_history_has_the_times_of_entering_and_leaving_maintenance_mode() {
    let mut dataphin = Dataphin::of("V5.2.0");
    dataphin.offers("V5.3.0");
    dataphin.apply("V5.3.0").exit(0).says(&["opened dataphin.main: maintenance mode", "closed dataphin.main: maintenance mode"]);
    let history = dataphin.estate.good(&["history", "--format", "json"]).json();
    let run = &history["runs"][0];
    let bracket = &run["brackets"][0];
    assert_eq!((&bracket["instance"], &bracket["name"]), (&json!("dataphin.main"), &json!("maintenance mode")));
    let time = |value: &serde_json::Value| {
        value.as_str().and_then(|at| at.parse::<jiff::Timestamp>().ok()).unwrap_or_else(|| panic!("no time: {run}"))
    };
    let (opened, closed) = (time(&bracket["opened"]), time(&bracket["closed"]));
    assert!(time(&run["began"]) <= opened && opened < closed && closed <= time(&run["ended"]), "{run}");
    // They are those that the Manager shows.
    let times = dataphin.upgrade()["times"].clone();
    assert!(times["entered_maintenance"].is_string() && times["exited_maintenance"].is_string(), "{times}");
    dataphin.estate.good(&["history"]).says(&["maintenance mode"]);
}

#[test]
fn a07_the_history_shows_every_upgrade_and_a_saved_configuration_is_continued() {
    let mut dataphin = Dataphin::of("V5.2.0");
    dataphin.offers("V5.2.0.1");
    // Saved by the same user before, by hand: continued, not made anew.
    dataphin.by_hand("PUT", "/api/versions/V5.2.0.1/configuration", &super::world::template("V5.2.0.1"));
    dataphin.by_hand("POST", "/api/upgrades", r#"{"target": "V5.2.0.1"}"#);
    assert_eq!(dataphin.upgrade()["status"], "Configuring");
    dataphin.apply("V5.2.0.1").exit(0);
    let state = dataphin.state();
    assert_eq!(state["order"], json!(["1"]));
    let upgrade = dataphin.upgrade();
    assert_eq!((&upgrade["status"], &upgrade["from"], &upgrade["to"]), (&json!("Succeeded"), &json!("V5.2.0"), &json!("V5.2.0.1")));
    // And Windlass has its own history of it.
    let history = dataphin.estate.good(&["history", "--format", "json"]).json();
    assert_eq!(history["runs"][0]["outcome"], "succeeded");
    dataphin.estate.good(&["drift", "--detailed-exitcode"]);
}

#[test]
fn a08_a_backup_that_fails_is_made_again_alone_and_holds_up_no_semi_downtime_upgrade() {
    let mut dataphin = Dataphin::of("V5.2.0");
    dataphin.offers("V5.3.0");
    dataphin.faults(json!({"backup_fails": {"names": ["dataphin_scheduler"], "times": 1}}));
    dataphin.apply("V5.3.0").exit(0);
    let databases = dataphin.upgrade()["operations"]["databases"].clone();
    assert_eq!(databases["dataphin_meta"]["state"], "Backup complete");
    assert_eq!(databases["dataphin_scheduler"]["state"], "Backup complete");
    assert_eq!(databases["dataphin_scheduler"]["log"].as_array().map(Vec::len), Some(1));
    let started = dataphin.deeds().iter().filter(|deed| deed.ends_with("databases/backup")).count();
    assert_eq!(started, 2, "all, then the one that failed: {:?}", dataphin.deeds());

    // One that never ends: the upgrade is finalised all the same.
    let mut dataphin = Dataphin::of("V5.2.0");
    dataphin.offers("V5.3.0");
    dataphin.faults(json!({"backup_stuck": {"names": ["dataphin_meta"]}}));
    dataphin.wants("V5.3.0");
    let child = dataphin.estate.spawn(&["apply", "--auto-approve"]);
    await_until("the upgrade is finalised", || {
        dataphin.state()["order"] == json!(["1"]) && dataphin.upgrade()["status"] == "Succeeded"
    });
    assert_eq!(dataphin.upgrade()["operations"]["databases"]["dataphin_meta"]["state"], "Backing up");
    dataphin.faults(json!({}));
    Ran::of(&["apply"], &child.wait_with_output().expect("it ends")).exit(0);
}

#[test]
fn a08_rds_is_backed_up_by_a_person_and_skipping_needs_a_waiver() {
    let mut dataphin = Dataphin::with("V5.2.0", &["--database-service", "rds"]);
    dataphin.offers("V5.3.0");
    dataphin.plan("V5.3.0").exit(3).says(&["`database` is self_managed, but the Manager has"]);
    dataphin.set("database", "\"rds\"");
    dataphin.apply("V5.3.0").exit(3).says(&["RDS instances"]);
    dataphin.add(&declared("rds_backup"));
    dataphin.apply("V5.3.0").exit(5).says(&["RDS console"]);
    dataphin.estate.good(&["confirm", "dataphin.main@V5.3.0:rds_backup", "--note", "backup 4711"]);
    dataphin.estate.run(&["resume"]).exit(0);
    assert_eq!(dataphin.upgrade()["operations"]["backup_skipped"], true);

    let mut dataphin = Dataphin::of("V5.2.0");
    dataphin.offers("V5.3.0");
    dataphin.set("skip_backup", "true");
    dataphin.plan("V5.3.0").exit(3).says(&["no_backup"]);
    dataphin.add("waiver \"no_backup\" {\n  reason = \"a laboratory\"\n}");
    dataphin.apply("V5.3.0").exit(0);
    assert!(!dataphin.deeds().iter().any(|deed| deed == "databases/backup"));
}

#[test]
fn a08_a_database_that_the_manager_cannot_back_up_is_handed_to_a_person() {
    let mut dataphin = Dataphin::with("V5.2.0", &["--database-service", "other"]);
    dataphin.offers("V5.3.0");
    dataphin.plan("V5.3.0").exit(3).says(&["`database` is self_managed, but the Manager has dataphin_meta (other)"]);
    dataphin.set("database", "\"other\"");
    dataphin.apply("V5.3.0").exit(3).says(&["by their own means"]);
    dataphin.add(&declared("other_backup"));
    dataphin.apply("V5.3.0").exit(5).says(&["as their vendor says"]);
    assert!(!dataphin.deeds().iter().any(|deed| deed == "applications"), "{:?}", dataphin.deeds());
    dataphin.estate.good(&["confirm", "dataphin.main@V5.3.0:other_backup", "--note", "snapshot 12"]);
    dataphin.estate.run(&["resume"]).exit(0);
    assert_eq!(dataphin.upgrade()["operations"]["backup_skipped"], true);
}

#[test]
fn a09_semi_downtime_goes_from_backup_to_data_update_with_users_back_before_it() {
    let mut dataphin = Dataphin::of("V5.2.0");
    dataphin.offers("V5.3.0");
    dataphin.apply("V5.3.0").exit(0);
    let order = [
        "begin",
        "databases/backup",
        "databases/next",
        "pre-upgrade",
        "pre-upgrade/next",
        "applications",
        "exit-maintenance",
        "data-updates/run",
        "complete",
    ];
    let at: Vec<usize> = order.iter().map(|deed| dataphin.when(deed)).collect();
    assert!(at.windows(2).all(|pair| pair[0] < pair[1]), "{order:?} at {at:?} in {:#?}", dataphin.deeds());
    let state = dataphin.state();
    assert_eq!(state["version"], "V5.3.0");
    assert!(state["services"].as_object().is_some_and(|all| all.values().all(|one| one["version"] == "V5.3.0")));
    // Nobody stopped a task.
    assert!(!dataphin.deeds().iter().any(|deed| deed.starts_with("running-tasks") || deed == "shutdown"));
    dataphin.plan("V5.3.0").exit(0).says(&["o changes"]);
}

#[test]
fn a09_a_manager_that_drops_connections_and_restarts_loses_nothing() {
    let mut dataphin = Dataphin::of("V5.2.0");
    dataphin.offers("V5.3.0");
    dataphin.faults(json!({
        "drop_connections": {"path": "POST .*/(begin|pre-upgrade)$", "times": 1},
        "drop_answers": {"path": "POST .*(/api/upgrades|/applications)$", "times": 2},
        "service_fails": {"names": ["studio"]},
    }));
    dataphin.apply("V5.3.0").exit(5);
    assert_eq!(dataphin.state()["order"], json!(["1"]), "a lost answer made no second record");
    dataphin.restart_manager();
    assert_eq!(dataphin.upgrade()["status"], "Upgrading");
    assert!(!dataphin.state()["maintenance"].is_null(), "a restart does not end maintenance mode");
    // Sessions are gone, the upgrade is not: repaired, it goes on where it was.
    dataphin.faults(json!({}));
    dataphin.by_hand("POST", "/api/upgrades/1/applications/studio/restart", "{}");
    dataphin.estate.run(&["resume", "--retry", "dataphin.main@V5.3.0:prove_applications"]).exit(0);
    assert_eq!((&dataphin.state()["version"], &dataphin.upgrade()["status"]), (&json!("V5.3.0"), &json!("Succeeded")));
    assert!(dataphin.state()["maintenance"].is_null());
}

#[test]
fn a16_the_data_service_is_asked_all_the_time_and_one_failure_is_told() {
    let mut dataphin = Dataphin::of("V5.2.0");
    dataphin.offers("V5.3.0");
    dataphin.apply("V5.3.0").exit(0).says(&["Prove that the data service stays available"]);

    let mut dataphin = Dataphin::of("V5.2.0");
    dataphin.offers("V5.3.0");
    dataphin.faults(json!({"data_service_interrupted": {"seconds": 3}}));
    let failed = dataphin.apply("V5.3.0");
    assert_eq!(failed.code, Some(5), "{}\n{}", failed.out, failed.err);
    failed.says(&["probe"]);
    assert_eq!(dataphin.state()["version"], "V5.3.0");
}

/// An acknowledgement of a note for the upgrade to V5.3.0.
fn declared(note: &str) -> String {
    format!(
        "acknowledgement \"dataphin.{note}\" {{\n  instance = instance.dataphin.main\n  version  = \"V5.3.0\"\n  by       = \"lin\"\n  reason   \
         = \"agreed\"\n}}"
    )
}
