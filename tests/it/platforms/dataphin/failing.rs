//! Services that do not come up: row A14.

use serde_json::json;

use super::world::Dataphin;

#[test]
fn a14_a_service_that_fails_is_looked_into_and_restarted() {
    let mut dataphin = Dataphin::of("V5.2.0");
    dataphin.offers("V5.3.0");
    dataphin.faults(json!({"service_fails": {"names": ["scheduler"], "times": 1}}));
    dataphin.apply("V5.3.0").exit(0);
    let folder = "work/V5.2.0-to-V5.3.0";
    assert!(dataphin.estate.read(&format!("{folder}/scheduler-threads.json")).contains("java.lang.Thread.State"));
    assert!(dataphin.estate.read(&format!("{folder}/scheduler-log.json")).contains("IllegalStateException"));
    assert!(dataphin.when("applications/scheduler/thread-dump") < dataphin.when("applications/scheduler/restart"));
    assert!(dataphin.estate.read(&format!("{folder}/upgrade-log.json")).contains("upgrading"));

    // One that does not come up after that either: the engineers are called, and it says with what.
    let mut dataphin = Dataphin::of("V5.2.0");
    dataphin.offers("V5.3.0");
    dataphin.faults(json!({"service_fails": {"names": ["scheduler"]}}));
    dataphin.apply("V5.3.0").exit(5).says(&["scheduler (Failed)", "Maintenance mode cannot be left", "O&M engineers"]);
    assert_eq!(dataphin.upgrade()["status"], "Upgrading");
}
