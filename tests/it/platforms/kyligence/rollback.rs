//! What goes wrong on the way, and that everything is as it was afterwards.

use super::world::World;

#[test]
fn k11_a_migration_that_fails_half_way_is_taken_back_home_metadata_and_cube_data() {
    let mut world = World::with_nodes("3.4.1", &["3.5.2"], &["a", "b"], "");
    let before = (world.state(), world.estate.tree("w/a/kyligence/conf"));
    world.want("3.5.2");
    world.on("migration_fails", "");
    let ran = world.estate.apply().exit(4).says(&[
        "(4 of",
        "are converted)",
        "upgrade.sh ended with status 1; its log is in",
        "rolled back: everything is as it was",
    ]);
    let order = ["upgrade", "guard_metadata", "guard_cubes", "stop", "prove_served"];
    let places: Vec<_> = order.iter().map(|step| ran.err.find(&format!("undone  kyligence.ke@3.5.2:{step}"))).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "home, metadata, cube data, start: {places:?}\n{}", ran.err);
    assert_eq!((world.state(), world.estate.tree("w/a/kyligence/conf")), before);
    assert_eq!((world.version("a"), world.version("b"), world.count()), ("3.4.1".into(), "3.4.1".into(), "10000".into()));
    let kept = world.estate.tree("w/a/kyligence-backups/kyligence.ke/3.4.1-to-3.5.2/first");
    assert!(kept.values().any(|file| file.contains("record cannot be converted")), "the log of the failure is kept");
    // Again, without the failure.
    world.off("migration_fails");
    world.estate.apply().exit(0);
    assert_eq!((world.version("b"), world.count()), ("3.5.2".into(), "10100".into()));
}

#[test]
fn k11_a_verified_upgrade_is_rolled_back_later_with_its_cube_data() {
    let mut world = World::of("3.4.1", &["3.5.2"]);
    let before = world.state();
    world.want("3.5.2");
    world.estate.apply().exit(0);
    assert_ne!(world.state(), before);
    world.want("3.4.1");
    world.estate.good(&["plan"]).says(&["roll back 3.5.2 → 3.4.1", "puts data back: what was written since is lost"]);
    world.estate.apply().exit(0);
    assert_eq!((world.version("a"), world.count()), ("3.4.1".into(), "10000".into()));
    assert_eq!(world.state(), before);
}

#[test]
fn k05_k11_a_snapshot_in_hdfs_in_the_place_of_a_copy_leads_back_and_is_deleted_in_the_end() {
    let mut world = World::with_nodes("3.4.1", &["3.5.2"], &["a"], "  cube_backup = \"snapshot\"\n");
    let before = world.state();
    world.want("3.5.2");
    world.estate.apply().exit(4).says(&["not a snapshottable directory", "hdfs dfsadmin -allowSnapshot /kylin"]);
    assert_eq!(world.state(), before, "it was found before the stop");
    world.hdfs(&["dfsadmin", "-allowSnapshot", "/kylin"]);
    world.estate.apply().exit(0).lacks("begin   kyligence.ke@3.5.2:copy_cubes");
    assert_eq!(world.count(), "10100");
    let kept = "w/hdfs/kylin/.snapshot/windlass-kyligence.ke-3.4.1-to-3.5.2";
    assert_eq!(world.estate.tree(kept), before.1, "the snapshot is the data of before");
    assert!(!world.estate.path("w/hdfs/kylin_temp").exists(), "it was copied as well");
    world.estate.run(&["rollback", "--auto-approve"]).exit(0);
    assert_eq!((world.version("a"), world.count()), ("3.4.1".into(), "10000".into()));
    // Again, and then nobody needs it any more.
    world.estate.apply().exit(0);
    world.declare("  cube_backup = \"snapshot\"\n  delete_backups = true\n");
    world.estate.apply().exit(0).says(&["done    kyligence.ke@3.5.2:delete_all_backups"]);
    assert!(!world.estate.path(kept).exists(), "the snapshot is left");
}

#[test]
fn k04_a_process_that_survives_the_stop_is_named_and_nothing_is_replaced() {
    let mut world = World::with_nodes("3.4.1", &["3.4.5"], &["a"], "  stop_timeout = 1\n");
    let before = world.state();
    world.want("3.4.5");
    world.on("survives_stop", "");
    world.estate.apply().exit(4).says(&["still running after 1 s", "org.apache.catalina.startup.Bootstrap", "rolled back"]);
    assert_eq!((world.version("a"), world.state() == before), ("3.4.1".into(), true));
    assert_eq!(world.count(), "10000", "it serves as before");
}

#[test]
fn k05_a_backup_that_fails_stops_the_upgrade_before_the_software_is_touched() {
    let mut world = World::of("3.4.1", &["3.5.2"]);
    let before = world.state();
    world.want("3.5.2");
    world.on("metadata_backup_fails", "");
    world
        .estate
        .apply()
        .exit(4)
        .says(&["export_metadata", "Connection is not available", "rolled back"])
        .lacks("begin kyligence.ke@3.5.2:upgrade");
    assert_eq!((world.version("a"), world.count()), ("3.4.1".into(), "10000".into()));
    world.off("metadata_backup_fails");
    // The copy in HDFS fails while the service still runs: no downtime at all.
    world.on("distcp_fails", "");
    world.estate.apply().exit(4).says(&["copy_cubes_first", "the copy job failed", "Downtime 0.0 s"]);
    assert_eq!(world.state(), before);
}

#[test]
fn k06_a_package_with_a_wrong_checksum_is_refused_before_the_stop() {
    let mut world = World::of("3.4.1", &["3.4.5"]);
    world.want("3.4.5");
    let kit = world.estate.path("kits/Kyligence-Enterprise-3.4.5.tar.gz");
    let mut bytes = std::fs::read(&kit).expect("the kit is there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&kit, bytes).expect("it can be written");
    world.estate.apply().exit(4).says(&["verify_kit", "SHA-256", "Downtime 0.0 s"]);
    assert_eq!((world.version("a"), world.count()), ("3.4.1".into(), "10000".into()));
}

/// A node that is to be upgraded, with a start that is not waited for long.
fn moving() -> World {
    let mut world = World::with_nodes("3.4.1", &["3.4.5"], &["a"], "  start_timeout = \"4s\"\n");
    world.want("3.4.5");
    world
}

#[test]
fn k09_a_new_version_whose_page_does_not_show_up_is_taken_back() {
    let world = moving();
    world.on("ui_unreachable", "version=3.4.5");
    world.estate.apply().exit(4).says(&["wait_for_page", "rolled back"]);
    assert_eq!((world.version("a"), world.count()), ("3.4.1".into(), "10000".into()));
}

#[test]
fn k09_a_new_version_that_builds_no_segment_is_taken_back() {
    let world = moving();
    world.on("segment_build_fails", "version=3.4.5");
    world.estate.apply().exit(4).says(&["await_segment", "is ERROR", "rolled back"]);
    assert_eq!((world.version("a"), world.count()), ("3.4.1".into(), "10000".into()));
}

#[test]
fn k09_connections_that_drop_are_no_failure_of_the_new_version() {
    let world = moving();
    world.on("drop_connections", "version=3.4.5 2");
    world.estate.apply().exit(0);
    assert_eq!((world.version("a"), world.count()), ("3.4.5".into(), "10100".into()));
}
