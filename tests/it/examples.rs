//! The examples, each run for real: real MLflow, PostgreSQL and etcd from PyPI and Debian, upgraded and rolled back.
//!
//! They need package registries and minutes, so they run where `WINDLASS_TEST_ALL` is set, as `tests/run` does.

use std::path::Path;
use std::process::Command;

/// So many lines of what an example printed explain a failure: the step that failed and what Windlass said of it.
const END: usize = 80;

/// Runs a program of an example with the binary under test in a folder of its own; the end of its output is the explanation of a failure.
pub(crate) fn rehearse(program: &str, folder: &str) {
    if std::env::var_os("WINDLASS_TEST_ALL").is_none() {
        eprintln!("skipped: set WINDLASS_TEST_ALL=1 (tests/run does) to run {program} on real software");
        return;
    }
    let scratch = tempfile::Builder::new().prefix("windlass-example-").tempdir().expect("a folder");
    let output = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(program))
        .env("WINDLASS", env!("CARGO_BIN_EXE_windlass"))
        .env(folder, scratch.path().join("scratch"))
        .env("NO_COLOR", "1")
        .output()
        .expect("the example can be run");
    let printed = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<&str> = printed.lines().collect();
    let end = &lines[lines.len().saturating_sub(END)..];
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} ended with {}\n{}\n{errors}", output.status, end.join("\n"));
}

#[test]
fn quickstart_upgrades_mlflow_and_rolls_it_back_with_its_data() {
    rehearse("quickstart/run", "WORK");
}

#[test]
fn postgresql_is_upgraded_under_mlflow_and_both_are_rolled_back_with_equal_rows() {
    rehearse("postgres-under-mlflow/check", "SCRATCH");
}

#[test]
fn etcd_rolls_through_three_nodes_while_a_probe_never_fails() {
    rehearse("etcd-rolling/check", "SCRATCH");
}

#[test]
fn production_waits_for_what_was_tested_first() {
    rehearse("multi-environment/check", "SCRATCH");
}

#[test]
fn pachyderm_is_migrated_to_1_8_and_upgraded_in_place_to_1_9() {
    rehearse("pachyderm-migration/check", "SCRATCH");
}

#[test]
fn dataphin_goes_through_downtime_and_semi_downtime_while_its_data_service_never_fails() {
    rehearse("dataphin-semi-downtime/check", "SCRATCH");
}

#[test]
fn five_dss_nodes_and_their_database_go_through_test_to_production_over_a_failure_in_the_middle() {
    rehearse("dss-estate/check", "SCRATCH");
}
