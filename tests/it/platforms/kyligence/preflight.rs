//! What is looked at before anything is touched.

use super::world::World;

#[test]
fn k03_a_plan_is_refused_for_jobs_java_and_room_and_names_node_reason_and_remedy() {
    let mut world = World::of("3.4.1", &["3.5.2"]);
    world.want("3.5.2");
    world.estate.good(&["plan"]);
    let before = world.state();

    // JDK 7, on the one node.
    world.estate.write("w/a/jdk/version", "1.7.0_80\n");
    world.refused().says(&[
        "kyligence.ke blocked",
        "check `java` fails: JDK 8 (64 bit) or above is required on every node; first has:",
        "1.7.0_80",
        "install JDK 8",
    ]);
    world.append("waiver \"java\" {\n  instance = instance.kyligence.ke\n  reason   = \"Set up as in the page about JDK 7.\"\n}\n");
    world.estate.good(&["plan"]).says(&["Set up as in the page about JDK 7."]);
    world.estate.write("w/a/jdk/version", "11.0.2\n");
    world.estate.good(&["plan"]);

    // HDFS without room for a second copy of the working directory.
    world.simulator(&["cube-data", &world.path("w"), "3000000"]);
    world.on("hdfs_capacity", "5000000");
    world.refused().says(&[
        "check `hdfs_space` fails",
        "a copy of /kylin needs 300",
        "make room in HDFS, keep it by `cube_backup = \"snapshot\"`, or set `back_up_cubes = false`",
    ]);
    world.off("hdfs_capacity");

    // A job that has stopped never finishes by itself.
    let job = world.simulator(&["job", &world.path("w"), "STOPPED"]);
    world.refused().says(&[
        "check `stuck_jobs` fails",
        "BUILD CUBE - kylin_sales_cube - nightly (STOPPED)",
        "resume or discard them",
    ]);
    world.simulator(&["job-status", &world.path("w"), job.trim(), "DISCARDED"]);
    world.estate.good(&["plan"]);

    // The working directory is that of conf/kylin.properties.
    let properties = world.estate.read("w/a/kyligence/conf/kylin.properties");
    world.estate.write("w/a/kyligence/conf/kylin.properties", properties.replace("working-dir=/kylin", "working-dir=/elsewhere"));
    world.refused().says(&["check `hdfs_space` fails", "could not be seen"]);
    world.estate.write("w/a/kyligence/conf/kylin.properties", properties);

    assert_eq!(world.state().1.len(), before.1.len() + 4, "only cube data was added by this test");
    assert_eq!(world.version("a"), "3.4.1");
}

#[test]
fn k03_jobs_are_waited_for_refused_or_discarded_as_declared() {
    let mut world = World::of("3.4.1", &["3.4.5"]);
    let folder = world.path("w");
    world.want("3.4.5");
    world.simulator(&["job", &folder, "RUNNING"]);
    world.declare("  jobs = \"refuse\"\n");
    world.refused().says(&[
        "check `unfinished_jobs` fails: 1 job(s) are neither finished nor discarded",
        "nightly (RUNNING)",
        "set `jobs` to",
    ]);
    // Discarded: the endless one and one that has failed.
    world.simulator(&["job", &folder, "ERROR"]);
    world.declare("  jobs = \"discard\"\n");
    world.estate.good(&["plan"]).says(&["follow-up: These jobs are discarded; launch them again:", "nightly"]);
    world.estate.apply().exit(0).says(&["discard_jobs", "Apply complete."]);
    let jobs = world.ask("/jobs?timeFilter=4&pageSize=10");
    let states: Vec<&str> = jobs["jobs"].as_array().expect("jobs").iter().filter_map(|job| job["job_status"].as_str()).collect();
    assert_eq!((states.iter().filter(|state| **state == "DISCARDED").count(), states.len()), (2, 3), "{states:?}");
    assert_eq!(world.version("a"), "3.4.5");
}

#[test]
fn k03_a_job_that_ends_is_waited_for_and_one_that_fails_meanwhile_ends_the_run_before_the_stop() {
    let mut world = World::of("3.4.1", &["3.4.5"]);
    let folder = world.path("w");
    world.want("3.4.5");
    let job = world.simulator(&["job", &folder, "RUNNING"]);
    let mut child = world.estate.spawn(&["apply", "--auto-approve"]);
    let log = || world.estate.good(&["history"]).out;
    crate::estate::await_until("the run waits", || {
        log().contains("running") || world.estate.path("w/a/kyligence.new-3.4.5/VERSION").exists()
    });
    world.simulator(&["job-status", &folder, job.trim(), "ERROR"]);
    assert_eq!(child.wait().expect("it ends").code(), Some(4), "it failed and went back");
    assert!(!world.node("a", "stop").is_empty(), "it was not stopped by the run");
    world.node("a", "start");
    world.answers();
    assert!(!world.estate.path("w/a/kyligence.new-3.4.5").exists(), "what was unpacked was removed again");
    world.simulator(&["job-status", &folder, job.trim(), "DISCARDED"]);
    world.simulator(&["job", &folder, "RUNNING", "2"]);
    world.estate.apply().exit(0).says(&["wait_for_jobs", "Apply complete."]);
    assert_eq!(world.version("a"), "3.4.5");
}

#[test]
fn k09_no_garbage_cleanup_is_scheduled_while_an_upgrade_is_not_verified() {
    let mut world = World::of("3.4.1", &["3.4.5"]);
    world.want("3.4.5");
    world.estate.good(&["plan"]).says(&["note: Run no garbage cleanup before the upgrade is verified."]);
    world.estate.write("w/crontab", "# metastore.sh clean\n0 3 * * * /opt/kyligence/bin/metastore.sh clean --delete true\n");
    world.refused().says(&[
        "check `garbage_cleanup` fails",
        "0 3 * * * /opt/kyligence/bin/metastore.sh clean",
        "take it out of the crontab",
    ]);
}

#[test]
fn k03_a_service_that_does_not_answer_is_not_upgraded() {
    let mut world = World::of("3.4.1", &["3.4.5"]);
    world.want("3.4.5");
    world.node("a", "stop");
    world.refused().says(&["check `running` fails", "no process of", "kylin.sh start"]);
    world.on("ui_unreachable", "");
    world.node("a", "start");
    world.refused().says(&["check `running` fails", "a login at http://127.0.0.1:", "status none"]);
}
