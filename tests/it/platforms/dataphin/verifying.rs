//! Whether an upgrade went well: row A15.

use serde_json::json;

use super::world::Dataphin;

#[test]
fn a15_instances_that_fail_after_the_upgrade_are_run_again_before_it_is_finalised() {
    let mut dataphin = Dataphin::of("V5.2.0");
    dataphin.offers("V5.3.0");
    dataphin.faults(json!({"failing_today": {"names": ["daily_sales"], "times": 1}}));
    dataphin.apply("V5.3.0").exit(0);
    assert!(dataphin.when("verification/failed/rerun") < dataphin.when("complete"));
    let upgrade = dataphin.upgrade();
    assert_eq!(upgrade["status"], "Succeeded");
    assert!(upgrade["times"]["completed"].is_string());
}

#[test]
fn a15_an_upgrade_is_not_finalised_while_instances_fail_or_are_missing() {
    let mut dataphin = Dataphin::of("V5.2.0");
    dataphin.offers("V5.3.0");
    dataphin.faults(
        json!({"failing_today": {"names": ["daily_sales"], "incurable": true, "times": 1}, "instances_missing": {"count": 40}}),
    );
    dataphin.apply("V5.3.0").exit(5).says(&["40 instances were generated last, the 7-day average is 100"]);
    assert_eq!(dataphin.upgrade()["status"], "Upgrading");
    dataphin.estate.run(&["resume", "--skip", "dataphin.main@V5.3.0:verify_generated"]).exit(5).says(&["daily_sales (t_1)"]);
    assert!(dataphin.estate.read("work/V5.2.0-to-V5.3.0/t_1-log.json").contains("column"));
    assert_eq!(dataphin.upgrade()["status"], "Upgrading");
    // Who looked at it says that it is the task itself.
    dataphin.estate.run(&["resume", "--skip", "dataphin.main@V5.3.0:prove_instances"]).exit(0);
    assert_eq!(dataphin.upgrade()["status"], "Succeeded");
    // None generated ever: there is nothing to compare.
    let mut dataphin = Dataphin::of("V5.2.0");
    dataphin.offers("V5.2.0.1");
    dataphin.faults(json!({"none_generated": true}));
    dataphin.apply("V5.2.0.1").exit(0);
}
