//! Upgrades with downtime: rows A10 to A13.

use serde_json::json;

use super::world::Dataphin;

#[test]
fn a10_downtime_stops_tasks_shuts_down_backs_up_upgrades_reruns_and_updates() {
    let mut dataphin = Dataphin::of("V5.0.3");
    dataphin.offers("V5.2.0");
    // One task cannot be stopped at the first try.
    dataphin.faults(
        json!({"task_unstoppable": {"names": ["daily_sales"], "times": 1}, "rerun_fails": {"names": ["daily_sales"], "times": 1}}),
    );
    dataphin.apply("V5.2.0").exit(0);
    let order = [
        "begin",
        "running-tasks/stop",
        "shutdown",
        "databases/backup",
        "applications",
        "stopped-tasks/run",
        "data-updates/run",
        "complete",
    ];
    let at: Vec<usize> = order.iter().map(|deed| dataphin.when(deed)).collect();
    assert!(at.windows(2).all(|pair| pair[0] < pair[1]), "{order:?} at {at:?} in {:#?}", dataphin.deeds());
    let upgrade = dataphin.upgrade();
    let stopped = upgrade["operations"]["stopped_tasks"].as_array().cloned().expect("tasks were stopped");
    let mut names: Vec<&str> = stopped.iter().filter_map(|task| task["id"].as_str()).collect();
    names.sort_unstable();
    // The query cannot be run again, so it was waited for.
    assert_eq!(names, ["backfill_orders", "daily_sales"]);
    assert!(stopped.iter().all(|task| task["rerun"] == "Successful"), "{stopped:?}");
    assert!(upgrade["times"]["shutdown"].is_string() && upgrade["times"]["exited_maintenance"].is_string());
    let databases = upgrade["operations"]["databases"].as_object().cloned().expect("they were backed up");
    assert!(databases.values().all(|one| one["state"] == "Backup complete"));
    assert_eq!(dataphin.state()["version"], "V5.2.0");
    assert_eq!(dataphin.state()["switches"]["production"], json!({"schedule": true, "execution": true}));
}

#[test]
fn a11_data_updates_run_again_where_they_fail_and_failed_messages_are_waived_by_name() {
    let mut dataphin = Dataphin::of("V5.0.3");
    dataphin.offers("V5.2.0");
    dataphin.set("skip_data_updates", "[\"metadata_acquisition\"]");
    dataphin.plan("V5.2.0").exit(3).says(&["metadata_acquisition", "cannot be skipped"]);
    dataphin.set("skip_data_updates", "[\"usage_statistics\", \"lineage\"]");
    dataphin.faults(json!({"data_update_fails": {"names": ["metadata_acquisition"], "times": 1}, "messages_fail": {"count": 3}}));
    dataphin.apply("V5.2.0").exit(5).says(&["3 of 40 of asset_refresh", "ignore_failed_messages"]);
    let tasks = dataphin.upgrade()["operations"]["data_update"].clone();
    assert_eq!(tasks["metadata_acquisition"]["state"], "Successful");
    assert_eq!(tasks["lineage"]["state"], "Not started");
    assert!(dataphin.estate.path("work/V5.0.3-to-V5.2.0/metadata_acquisition-log.json").exists());
    // Maintenance mode is not left before somebody has looked at the messages.
    assert!(!dataphin.state()["maintenance"].is_null());
    dataphin.by_hand(
        "POST",
        "/api/upgrades/1/data-updates/ignore-messages",
        r#"{"ids": ["asset_refresh"], "by": "mei", "reason": "gone tables"}"#,
    );
    dataphin.estate.run(&["resume", "--retry", "dataphin.main@V5.2.0:prove_messages"]).exit(0);
    assert!(dataphin.state()["maintenance"].is_null());

    // Declared before: by name.
    let mut dataphin = Dataphin::of("V5.2.0");
    dataphin.offers("V5.3.0");
    dataphin.faults(json!({"messages_fail": {"count": 2}}));
    dataphin.set("ignore_failed_messages", r#"{ asset_refresh = { by = "mei", reason = "tables that are gone" } }"#);
    dataphin.apply("V5.3.0").exit(0);
    let ignored = dataphin.upgrade()["operations"]["data_update"]["asset_refresh"]["ignored"].clone();
    assert_eq!((&ignored["by"], &ignored["failed"]), (&json!("mei"), &json!(2)));
}

#[test]
fn a12_before_the_shutdown_an_upgrade_is_stopped_gracefully_and_stopped_tasks_run_again() {
    let mut dataphin = Dataphin::of("V5.0.3");
    dataphin.offers("V5.2.0");
    let before = dataphin.state()["switches"].clone();
    dataphin.faults(json!({"task_unstoppable": {"names": ["daily_sales"]}}));
    dataphin.apply("V5.2.0").exit(4).says(&["daily_sales", "rolled back"]);
    let state = dataphin.state();
    assert!(state["maintenance"].is_null());
    assert_eq!(state["switches"], before);
    assert_eq!(state["version"], "V5.0.3");
    let upgrade = dataphin.upgrade();
    assert_eq!((&upgrade["status"], &upgrade["outcome"]["how"]), (&json!("Failed"), &json!("stopped")));
    assert_eq!(upgrade["operations"]["stopped_tasks"][0]["rerun"], "Successful");
    assert!(!dataphin.deeds().iter().any(|deed| deed == "shutdown"));

    // Or a person reruns them: the Manager lists which.
    let mut dataphin = Dataphin::of("V5.0.3");
    dataphin.offers("V5.2.0");
    dataphin.set("rerun_on_stop", "false");
    dataphin.faults(json!({"task_unstoppable": {"names": ["daily_sales"]}}));
    dataphin.apply("V5.2.0").exit(4);
    assert_eq!(dataphin.upgrade()["outcome"]["rerun_by_hand"], json!(["backfill_orders"]));
}

#[test]
fn a13_past_the_point_of_no_return_a_person_declares_the_outcome_of_a_forced_stop() {
    let mut dataphin = Dataphin::of("V5.0.3");
    dataphin.offers("V5.2.0");
    dataphin.faults(json!({"service_fails": {"names": ["scheduler"]}}));
    dataphin.apply("V5.2.0").exit(5).says(&["scheduler"]);
    // Neither rollback nor a graceful stop is possible any more.
    assert_eq!(dataphin.upgrade()["status"], "Upgrading");
    dataphin.estate.run(&["abandon", "--as", "failed"]).sober();
    dataphin.estate.good(&["abandon", "--as", "failed", "--reason", "the metadata store is broken"]);
    dataphin.estate.good(&["status"]).says(&["STILL OPEN dataphin.main is in maintenance mode"]);
    // Somebody brings the old version back by hand.
    dataphin.faults(json!({"repaired_by_hand": {"version": "V5.0.3", "times": 1}}));
    crate::estate::await_until("it is repaired", || dataphin.state()["services"]["scheduler"]["state"] == "Running");
    dataphin.offers("V5.0.3");
    dataphin.apply("V5.0.3").exit(0);
    dataphin.set("force_stop", r#"{ upgrade = "7", outcome = "failed", by = "mei", reason = "rolled back by hand" }"#);
    dataphin.plan("V5.0.3").exit(3).says(&["`force_stop` names upgrade 7"]);
    dataphin.set("force_stop", r#"{ upgrade = "1", outcome = "failed", by = "mei", reason = "rolled back by hand" }"#);
    dataphin.apply("V5.0.3").exit(0);
    let upgrade = dataphin.upgrade();
    assert_eq!(upgrade["status"], "Failed");
    assert_eq!(
        upgrade["outcome"],
        json!({"how": "force stopped", "declared": "failed", "by": "mei", "reason": "rolled back by hand"})
    );
    assert!(upgrade["times"]["force_stopped"].is_string() && dataphin.state()["maintenance"].is_null());
    dataphin.estate.good(&["confirm", "dataphin.main:maintenance mode", "--note", "force-stopped"]);
    dataphin.estate.good(&["status"]).lacks("STILL OPEN");
    // And the next one may begin.
    dataphin.faults(json!({}));
    dataphin.unset("force_stop");
    dataphin.apply("V5.2.0").exit(0);
    assert_eq!(dataphin.upgrade()["status"], "Succeeded");
}
