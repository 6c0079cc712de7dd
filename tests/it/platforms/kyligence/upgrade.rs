//! Upgrades that go well, and what they leave.

use super::world::World;

#[test]
fn k01_a_minor_upgrade_keeps_cube_data_alone_and_a_main_one_copies_it() {
    let mut world = World::of("3.4.1", &["3.4.5", "3.5.2"]);
    world.want("3.4.5");
    world.estate.good(&["plan"]).says(&["by minor (route minor"]).lacks("copy_cubes").lacks("Configure Spark and Tomcat");
    // Main is decided by the first two components alone, and says what it means.
    world.want("3.5.2");
    world.estate.good(&["plan"]).says(&[
        "by main (route main",
        "copy_cubes_first",
        "copy_cubes",
        "This is an upgrade of the main version: metadata is upgraded and existing cube data may be.",
        "the cube data copied to /kylin_temp/kyligence.ke/3.4.1-to-3.5.2 in HDFS",
    ]);
    // Another product line is not this page's.
    world.append("release \"kyligence\" \"4.0.1\" {\n  artifact = \"/nowhere\"\n}\n");
    world.want("4.0.1");
    world.refused().says(&["beyond_3", "Kyligence Enterprise 4 is another product line"]);
    // Without a copy of the cube data only on somebody's word.
    world.declare("  back_up_cubes = false\n");
    world.want("3.5.2");
    world.refused().says(&["no_cube_backup", "nothing leads back from cube data that was converted"]);
}

#[test]
fn k04_k05_k06_k09_a_minor_upgrade_of_one_node_in_place_with_its_log_kept() {
    let mut world = World::of("3.4.1", &["3.4.5"]);
    assert_eq!(world.count(), "10000");
    world.want("3.4.5");
    let ran = world.estate.apply().exit(0);
    let order = [
        "unpack",
        "wait_for_jobs",
        "stop",
        "prove_stopped",
        "export_metadata",
        "back_up_metadata",
        "upgrade",
        "start",
        "log_in",
        "await_segment",
        "query",
    ];
    let places: Vec<_> = order.iter().map(|step| ran.err.find(&format!("begin   kyligence.ke@3.4.5:{step}"))).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?}\n{}", ran.err);
    // In place: the same home, the same configuration, nothing beside it.
    assert_eq!(world.version("a"), "3.4.5");
    assert!(world.estate.read("w/a/kyligence/conf/kylin.properties").contains("kylin.env.hdfs-working-dir=/kylin"));
    assert!(!world.estate.path("w/a/kyligence.new-3.4.5").exists() && !world.estate.path("w/a/kyligence.backup.tar.gz").exists());
    // Kept: metadata, the old home, the upgrade's log.
    let keep = "w/a/kyligence-backups/kyligence.ke/3.4.1-to-3.4.5";
    let kept = world.estate.tree(keep);
    assert!(kept.contains_key("metadata/project/learn_kylin.json") && kept.contains_key("first/home.tar.gz"), "{:?}", kept.keys());
    let log = kept.keys().find(|name| name.starts_with("first/upgrade-")).expect("the log is kept");
    assert!(world.estate.read(&format!("{keep}/{log}")).contains("Upgrade finished successfully"));
    assert!(world.estate.lockfile().contains("repository"), "the backup is recorded");
    // Verified: a segment more, which counts.
    assert_eq!(world.count(), "10100");
    let cubes = world.ask("/cubes");
    assert_eq!(cubes["cubes"][0]["segments"][1]["name"], "20130101000000_20130102000000");
    world.estate.run(&["plan", "--detailed-exitcode"]).exit(0);
    world.estate.run(&["drift", "--detailed-exitcode"]).exit(0);
}

#[test]
fn k05_k06_k08_a_main_upgrade_of_two_nodes_copies_the_cubes_and_leaves_follow_ups() {
    let mut world = World::with_nodes("3.4.1", &["3.5.2"], &["a", "b"], "");
    world.want("3.5.2");
    let cubes = world.estate.tree("w/hdfs/kylin");
    world.estate.good(&["plan"]).says(&[
        "follow-up: Configure Spark and Tomcat of 3.5.2: the upgrade script does not upgrade them for a main version. Taken over: tomcat/conf/server.xml.",
        "follow-up: If Kerberos is used: configure it for the new Spark",
        "follow-up: Check the cluster: shared sessions of Tomcat, load balancing",
        "follow-up: Verify that what uses Kyligence Enterprise works: JDBC clients, clients of the REST API, BI tools.",
        "follow-up: Backups stay:",
    ]);
    world.estate.apply().exit(0).says(&["upgrade_others[\"b\"]", "prove_stopped[\"b\"]", "log_in[\"b\"]"]);
    assert_eq!((world.version("a"), world.version("b")), ("3.5.2".into(), "3.5.2".into()));
    assert_eq!(world.estate.tree("w/hdfs/kylin_temp/kyligence.ke/3.4.1-to-3.5.2"), cubes, "the copy is the data of before");
    assert!(world.estate.tree("w/hdfs/kylin").values().all(|file| file == "a folder" || file.contains("format=3.5\n")));
    assert_eq!(world.count(), "10100");
    // The port was carried over; the new version's own file is beside it.
    assert!(world.estate.read("w/b/kyligence/tomcat/conf/server.xml").contains(&world.ports[1].to_string()));
    assert!(world.estate.read("w/b/kyligence/tomcat/conf/server.xml.of-3.5.2").contains("7070"));
    world.estate.good(&["status"]).says(&["5 follow-ups"]);
    world.estate.good(&["confirm", "kyligence.ke:spark_and_tomcat", "--note", "done"]);
    world.estate.good(&["status"]).says(&["4 follow-ups"]);
}

#[test]
fn k08_a_run_waits_for_the_configuration_before_the_first_start_where_that_is_declared() {
    let mut world = World::with_nodes("3.4.1", &["3.5.2"], &["a"], "  pause_before_start = true\n");
    world.want("3.5.2");
    world.estate.apply().exit(5).says(&[
        "Configure Spark, Tomcat, Kerberos and the cluster",
        "\"Integrate with Kerberos\"",
        "windlass confirm",
    ]);
    assert_eq!(world.version("a"), "3.5.2");
    world.estate.write("w/a/kyligence/spark/conf/spark-defaults.conf", "spark.yarn.keytab /etc/kylin.keytab\n");
    world.estate.good(&["confirm", "kyligence.ke@3.5.2:configure_by_hand", "--note", "keytab set"]);
    world.estate.good(&["resume"]).says(&["Apply complete."]);
    assert_eq!(world.count(), "10100");
    assert!(world.estate.read("w/a/kyligence/spark/conf/spark-defaults.conf").contains("keytab"));
}

#[test]
fn k09_clients_are_run_and_one_that_fails_takes_the_upgrade_back() {
    let mut world = World::of("3.4.1", &["3.4.5"]);
    let client = world.path("client");
    let settings = format!("  clients = [[\"{client}\", \"jdbc\"]]\n");
    world
        .estate
        .write("client", "#!/bin/sh\necho \"$1 $KE_URL $KE_USER ${#KE_PASSWORD}\" >> \"$0.log\"\ntest ! -e \"$0.broken\"\n");
    std::fs::set_permissions(&client, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("it is there");
    world.declare(&settings);
    world.want("3.4.5");
    world.estate.write("client.broken", "");
    world.estate.apply().exit(4).says(&["clients[\"1 client\"]", "rolled back"]);
    assert_eq!(
        (world.version("a"), world.count()),
        ("3.4.1".into(), "10000".into()),
        "metadata is as it was: the segment of the verification is gone"
    );
    world.estate.remove("client.broken");
    world.estate.apply().exit(0);
    assert_eq!(
        world.estate.read("client.log").lines().last(),
        Some(format!("jdbc http://127.0.0.1:{} ADMIN 5", world.ports[0]).as_str())
    );
}

#[test]
fn k10_backups_are_deleted_once_verified_and_not_before() {
    let mut world = World::with_nodes("3.4.1", &["3.5.2"], &["a"], "  delete_backups = true\n");
    let (keep, copy) = ("w/a/kyligence-backups/kyligence.ke/3.4.1-to-3.5.2", "w/hdfs/kylin_temp/kyligence.ke/3.4.1-to-3.5.2");
    world.want("3.5.2");
    world.estate.good(&["plan"]).says(&["delete_backups", "no way back"]);
    world.on("query_fails", "version=3.5.2");
    world.estate.apply().exit(4).says(&["No realization found for OLAPContext"]);
    assert_eq!(world.version("a"), "3.4.1");
    assert!(
        world.estate.path(keep).join("metadata").exists() && world.estate.path(copy).exists(),
        "nothing was verified, and the backups are gone"
    );
    world.off("query_fails");
    world.estate.apply().exit(0).says(&["done    kyligence.ke@3.5.2:delete_backups"]);
    assert!(
        !world.estate.path(keep).exists() && !world.estate.path(copy).exists(),
        "they were verified, and the backups are there"
    );
}

#[test]
fn k10_backups_that_were_kept_are_deleted_after_verifying_again() {
    let mut world = World::of("3.4.1", &["3.4.5"]);
    world.want("3.4.5");
    world.estate.apply().exit(0);
    let keep = world.estate.path("w/a/kyligence-backups/kyligence.ke");
    world.declare("  delete_backups = true\n");
    world.on("segment_build_fails", "");
    world.estate.apply().says(&["the job BUILD CUBE", "is ERROR"]);
    assert!(keep.exists());
    world.off("segment_build_fails");
    world.estate.run(&["abandon", "--as", "failed", "--reason", "repaired"]).sober();
    world.estate.apply().exit(0).says(&["delete_all_backups"]);
    assert!(!keep.exists());
    world.estate.run(&["plan", "--detailed-exitcode"]).exit(0);
}
