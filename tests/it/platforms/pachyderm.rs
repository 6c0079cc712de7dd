//! Rows P01 to P09: Pachyderm on a simulated cluster, upgraded in place and by migration.

mod conformance;
pub(super) mod laboratory;

use laboratory::Laboratory;

#[test]
fn p01_versions_pods_and_the_deploy_command_are_observed() {
    let lab = Laboratory::with("1.8.6");
    let lock = lab.estate.lockfile();
    for seen in [
        r#"client_version = "1.8.6""#,
        r#"deploy_command = "pachctl deploy google pachyderm-data 10 --dynamic-etcd-nodes=1 --namespace default""#,
        r#"storage = {"BLOCK_CACHE_BYTES":"0G","STORAGE_BACKEND":"GOOGLE"}"#,
    ] {
        assert!(lock.contains(seen), "{seen} is not in\n{lock}");
    }
    lab.estate.good(&["status"]).says(&["pachyderm.main test 1.8.6 1.8.6 1.8.6 as declared"]);
    lab.estate.run(&["drift", "--detailed-exitcode"]).exit(0);
    let plan = lab.estate.run(&["plan", "--format", "json"]).json();
    let facts = serde_json::to_string(&plan["plan"]["inventory"]).expect("JSON");
    for seen in [r#""server_version""#, r#""pachd-"#, r#""restarts""#] {
        assert!(facts.contains(seen), "{seen} is not in\n{facts}");
    }
    // A pod that is not ready, and a pachctl that somebody replaced.
    lab.switch("etcd_stuck", "CrashLoopBackOff always");
    lab.kubectl(&["delete", "pod", "etcd-0"]);
    let link = lab.estate.path("pachyderm/current");
    std::fs::remove_file(&link).expect("it is there");
    std::os::unix::fs::symlink(lab.estate.path("elsewhere"), &link).expect("a link");
    lab.estate.run(&["drift", "--detailed-exitcode"]).exit(2).says(&["client_version", "unhealthy"]);
    lab.estate.run(&["plan", "--var", "version=1.9.7"]).exit(3).says(&["not every pod is ready", "etcd-0 is CrashLoopBackOff"]);
}

/// What the real `kubectl` makes of the cluster is what the simulated one makes of it: the same upgrade, with a stuck pod in the middle.
#[test]
fn the_real_kubectl_upgrades_it_as_well() {
    let real = ["/usr/bin/kubectl", "/usr/local/bin/kubectl"].into_iter().find(|path| std::path::Path::new(path).exists());
    let Some(real) = real else {
        eprintln!("skipped: there is no kubectl on this machine (tests/run installs it)");
        return;
    };
    let mut lab = Laboratory::with("1.8.6");
    let data = lab.data();
    let mut api = lab.api();
    lab.settings(&format!("{{ kubectl = \"{real}\" }}"));
    lab.estate.good(&["drift", "--detailed-exitcode"]);
    lab.switch("etcd_stuck", "CrashLoopBackOff 1");
    lab.forget_commands();
    let ran = lab.to("1.9.7").apply();
    api.kill().and_then(|()| api.wait()).expect("it is there");
    ran.exit(0).says(&["Apply complete"]);
    assert_eq!(lab.data(), data);
    assert_eq!(lab.commands().iter().filter(|command| *command == "kubectl delete pod etcd-0").count(), 1);
}

#[test]
fn p02_below_1_8_there_is_no_way_in_place() {
    let mut lab = Laboratory::with("1.7.11");
    lab.forget_commands();
    lab.to("1.8.6").plan().exit(3).says(&[
        "in_place_to_1_8",
        "1.8 cannot read what older versions have stored",
        "declare a new deployment",
    ]);
    lab.to("1.9.7").plan().exit(3).says(&["in_place_to_1_8"]);
    lab.apply().exit(3);
    assert_eq!(lab.commands(), [""; 0], "something was touched");
    // The same storage in another place is refused, too.
    lab.estate.set("place", "pachyderm-new");
    lab.to("1.8.6").plan().exit(3).says(&["the new deployment would use the bucket of the old one"]);
    lab.elsewhere().plan().exit(0).says(&["1.7.11 → 1.8.6 by route \"migrate\"", "extract", "restore"]);
}

#[test]
fn p02_a_migration_moves_the_data_to_a_new_deployment_and_back() {
    let mut lab = Laboratory::with("1.7.11");
    let data = lab.data();
    let lock = lab.estate.lockfile();
    lab.elsewhere().to("1.8.6").apply().exit(0).says(&["Apply complete"]);
    assert_eq!(lab.data(), data);
    assert!(lab.pachctl(&["version"]).matches("1.8.6").count() == 2, "both versions");
    assert!(lab.kubectl(&["get", "pods", "-n", "pachyderm-new"]).contains("pachd-"));
    assert!(lab.kubectl(&["get", "pods", "-n", "default"]).contains("pachd-"), "the old deployment stays");
    lab.estate.good(&["status"]).says(&["2 follow-ups"]);
    lab.estate.good(&["drift", "--detailed-exitcode"]);
    lab.estate.run(&["plan", "--detailed-exitcode"]).exit(0);
    // From 1.8 on, in place: in the new place.
    lab.to("1.9.7").apply().exit(0).says(&["begin pachyderm.main@1.9.7:undeploy"]);
    assert_eq!(lab.data(), data);
    // And all the way back, to the old deployment.
    lab.estate.set("place", "default");
    lab.estate.set("deploy", r#"["google", "pachyderm-data", "10", "--dynamic-etcd-nodes=1"]"#);
    lab.to("1.7.11").apply().exit(0).says(&["the applied hops lead back to it: 2 are undone"]);
    assert_eq!(lab.data(), data);
    assert!(lab.kubectl(&["get", "all", "-n", "pachyderm-new"]).starts_with("No resources found"));
    let observed =
        |lock: &str| lock.lines().skip_while(|line| !line.contains("observed {")).take(6).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(observed(&lab.estate.lockfile()), observed(&lock));
}

#[test]
fn p02_a_migration_that_loses_something_is_not_switched_to() {
    let mut lab = Laboratory::with("1.7.11");
    let data = lab.data();
    lab.switch("restore_loses", "1");
    lab.elsewhere().to("1.8.6").apply().exit(4).says(&[
        "failed pachyderm.main@1.8.6:compare",
        "repository images",
        "is not there in the new one",
        "rolled back",
    ]);
    assert_eq!(lab.data(), data, "the old deployment serves as before, with its pipelines running");
    assert!(lab.kubectl(&["get", "all", "-n", "pachyderm-new"]).starts_with("No resources found"));
    // The second attempt finds nothing in its way.
    lab.apply().exit(0);
    assert_eq!(lab.data(), data);
}

#[test]
fn p02_a_person_says_that_nobody_loads_data_before_a_migration_extracts() {
    let mut lab = Laboratory::with("1.7.11");
    lab.settings("{ loading_stopped = false }").elsewhere().to("1.8.6");
    lab.apply().exit(5).says(&["Stop everything that loads data"]);
    assert!(!lab.estate.path("pachyderm/backups").exists(), "it was extracted before");
    lab.estate.good(&["confirm", "pachyderm.main@1.8.6:stop_loading", "--note", "the loader is off"]);
    lab.estate.good(&["resume"]).says(&["Apply complete"]);
}

#[test]
fn p03_bucket_volume_and_extract_are_evidence_in_the_lockfile() {
    let mut lab = Laboratory::with("1.8.6");
    lab.forget_commands();
    lab.to("1.9.7").apply().exit(0);
    let lock = lab.estate.lockfile();
    for evidence in [
        "method = \"pachctl extract\"",
        "method = \"bucket copy\"",
        "location = \"gs://pachyderm-backup\"",
        "method = \"volume snapshot\"",
        "verified = true",
    ] {
        assert!(lock.contains(evidence), "{evidence} is not in\n{lock}");
    }
    assert_eq!(lock.matches("\n  backup {").count(), 3);
    let commands = lab.commands();
    let place = |what: &str| {
        commands.iter().position(|command| command.contains(what)).unwrap_or_else(|| panic!("no {what} in {commands:?}"))
    };
    assert!(place("gsutil") < place("undeploy"), "the first pass needs no downtime");
    assert!(place("undeploy") < place("disks snapshot") && place("disks snapshot") < place("pachctl deploy"));
    assert!(place("disks snapshot") < place("snapshots describe"), "the snapshot is looked at");
    assert_eq!(commands.iter().filter(|command| command.starts_with("gsutil")).count(), 2);
}

#[test]
fn p03_without_a_backup_nothing_is_upgraded_unless_somebody_answers_for_it() {
    let mut lab = Laboratory::with("1.8.6");
    lab.settings("{ extract = false, no_copies = true }").to("1.9.7");
    lab.plan().exit(3).says(&["nothing backs up the state before the upgrade"]);
    let main = lab.estate.read("main.hcl");
    lab.estate.write(
        "main.hcl",
        main + "waiver \"backup\" {\n  instance = instance.pachyderm.main\n  reason   = \"A demonstration.\"\n}\n",
    );
    lab.plan().exit(0).says(&["A demonstration."]);
}

#[test]
fn p03_a_backup_that_fails_stops_the_upgrade_before_anything_is_lost() {
    let mut lab = Laboratory::with("1.8.6");
    let data = lab.data();
    lab.switch("extract_fails", "1");
    lab.forget_commands();
    lab.to("1.9.7").apply().exit(4).says(&["failed pachyderm.main@1.9.7:extract", "transport is closing"]);
    assert!(!lab.commands().iter().any(|command| command.contains("undeploy")), "no downtime: {:?}", lab.commands());
    assert!(!lab.estate.lockfile().contains("pachctl extract"), "half an extract is no evidence");
    assert_eq!(lab.data(), data, "pipelines run again");
    // While it is down.
    lab.switch("snapshot_fails", "1");
    lab.apply().exit(4).says(&["failed pachyderm.main@1.9.7:snapshot", "Quota 'SNAPSHOTS' exceeded", "rolled back"]);
    assert_eq!(lab.data(), data);
    assert!(lab.pachctl(&["version"]).matches("1.8.6").count() == 2);
}

#[test]
fn p04_the_deploy_command_is_recorded_and_used_again_to_the_letter() {
    let mut lab = Laboratory::with("1.8.6");
    let record: serde_json::Value = serde_json::from_str(&lab.estate.read("pachyderm/deployment.json")).expect("JSON");
    assert_eq!(record["deploy"], serde_json::json!(["google", "pachyderm-data", "10", "--dynamic-etcd-nodes=1"]));
    let first = lab.commands();
    let deploys =
        |commands: Vec<String>| commands.into_iter().filter(|command| command.starts_with("pachctl deploy")).collect::<Vec<_>>();
    lab.forget_commands();
    lab.to("1.9.7").apply().exit(0);
    assert_eq!(deploys(lab.commands()), deploys(first));
    let volumes = std::fs::read_dir(lab.estate.path("lab/volumes")).expect("volumes").count();
    assert_eq!(volumes, 1, "the same storage");
}

#[test]
fn p04_another_deploy_command_is_refused_and_a_changed_record_is_drift() {
    let mut lab = Laboratory::with("1.8.6");
    let other = r#"["google", "pachyderm-data", "20", "--dynamic-etcd-nodes=1"]"#;
    lab.estate.set("deploy", other);
    lab.plan().exit(3).says(&["setting `deploy` cannot change", "while the version stays"]);
    lab.to("1.9.7").plan().exit(3).says(&[
        "same_deploy_command",
        "pachctl deploy google pachyderm-data 10",
        "pachctl deploy google pachyderm-data 20",
    ]);
    lab.estate.set("deploy", r#"["google", "pachyderm-data", "10", "--dynamic-etcd-nodes=1"]"#);
    lab.to("1.8.6").plan().exit(0).says(&["No changes"]);
    // Somebody edits the record, and somebody the deployment.
    let record = lab.estate.read("pachyderm/deployment.json");
    lab.estate.write("pachyderm/deployment.json", record.replace("\"10\"", "\"30\""));
    lab.estate.run(&["drift", "--detailed-exitcode"]).exit(2).says(&["deploy_command", "pachctl deploy google pachyderm-data 30"]);
    lab.estate.write("pachyderm/deployment.json", record);
    let cluster = lab.estate.read("lab/cluster-simulated.json");
    lab.estate.write("lab/cluster-simulated.json", cluster.replace("\"GOOGLE\"", "\"MINIO\""));
    lab.estate.run(&["drift", "--detailed-exitcode"]).exit(2).says(&["storage", "MINIO"]);
    lab.to("1.9.7").plan().exit(3).says(&[
        "same_storage",
        "the running deployment stores to MINIO",
        "pachctl deploy google pachyderm-data 10",
    ]);
}

#[test]
fn p05_the_steps_are_those_of_the_page_in_its_order() {
    let mut lab = Laboratory::with("1.8.6");
    let data = lab.data();
    lab.to("1.9.7");
    let ran = lab.apply().exit(0);
    let steps =
        ["extract", "undeploy", "prove_down", "switch", "check_client", "deploy", "wait_for_pods", "forward", "verify_versions"];
    let places: Vec<usize> = steps
        .iter()
        .map(|step| {
            format!("{}{}", ran.out, ran.err)
                .find(&format!("begin   pachyderm.main@1.9.7:{step}\n"))
                .unwrap_or_else(|| panic!("no {step}:\n{}", ran.err))
        })
        .collect();
    assert!(places.is_sorted(), "{places:?}");
    assert_eq!(lab.data(), data);
    let version = lab.pachctl(&["version"]);
    assert_eq!(version.matches("1.9.7").count(), 2, "{version}");
    lab.estate.run(&["plan", "--detailed-exitcode"]).exit(0);
    lab.estate.good(&["drift", "--detailed-exitcode"]);
}

#[test]
fn p05_a_server_of_another_version_is_noticed_and_the_old_one_comes_back() {
    let mut lab = Laboratory::with("1.9.7");
    let data = lab.data();
    lab.switch("wrong_version", "1.9.7");
    lab.to("1.9.8").apply().exit(4).says(&[
        "failed pachyderm.main@1.9.8:verify_versions",
        "pachctl is 1.9.8 and pachd is 1.9.7",
        "rolled back",
    ]);
    assert_eq!(lab.data(), data);
    lab.switch("wrong_version", "off");
    lab.apply().exit(0);
    assert_eq!(lab.data(), data);
}

#[test]
fn p05_a_migration_of_metadata_that_fails_is_rolled_back_with_the_volumes() {
    let mut lab = Laboratory::with("1.8.6");
    let data = lab.data();
    lab.switch("migration_fails", "always");
    lab.settings("{ ready_timeout = \"2s\" }");
    lab.to("1.9.7").apply().exit(4).says(&[
        "failed pachyderm.main@1.9.7:wait_for_pods",
        "migration from 1.8 to 1.9.7 failed",
        "rolled back",
    ]);
    assert!(lab.commands().iter().any(|command| command.contains("--source-snapshot")), "{:?}", lab.commands());
    assert_eq!(lab.data(), data);
}

#[test]
fn p06_already_exists_on_redeploy_is_benign_and_other_errors_are_not() {
    let mut lab = Laboratory::with("1.8.6");
    lab.switch("already_exists", "1");
    lab.to("1.9.7").apply().exit(0).says(&["Apply complete"]);
    lab.switch("deploy_fails", "1");
    lab.to("1.9.8").apply().exit(4).says(&["failed pachyderm.main@1.9.8:deploy", "InternalError", "rolled back"]);
    assert_eq!(lab.pachctl(&["version"]).matches("1.9.7").count(), 2);
}

#[test]
fn p07_a_stuck_pod_is_deleted_until_it_comes_up() {
    for state in ["Pending 2", "CrashLoopBackOff 2"] {
        let mut lab = Laboratory::with("1.8.6");
        lab.switch("etcd_stuck", state);
        lab.forget_commands();
        lab.to("1.9.7").apply().exit(0);
        assert_eq!(lab.commands().iter().filter(|command| *command == "kubectl delete pod etcd-0").count(), 2, "{state}");
    }
}

#[test]
fn p07_a_pod_that_stays_stuck_is_reported_after_a_bounded_number_of_deletions() {
    let mut lab = Laboratory::with("1.8.6");
    lab.switch("etcd_stuck", "Pending always");
    lab.estate.set("on_failure", "halt");
    lab.forget_commands();
    lab.to("1.9.7").apply().exit(5).says(&[
        "etcd-0 is Pending, Unschedulable",
        "volume node affinity conflict",
        "pods were deleted 3 times, which is the limit",
        "drain or delete that node",
    ]);
    assert_eq!(lab.commands().iter().filter(|command| *command == "kubectl delete pod etcd-0").count(), 3);
    // A person repairs the node; the run goes on where it was.
    lab.switch("etcd_stuck", "off");
    lab.kubectl(&["delete", "pod", "etcd-0"]);
    lab.estate.good(&["resume"]).says(&["Apply complete"]);
    assert_eq!(lab.pachctl(&["version"]).matches("1.9.7").count(), 2);
}

#[test]
fn p08_the_connection_is_made_anew_by_forwarding_or_by_address() {
    let mut lab = Laboratory::with("1.8.6");
    // The forwarding dies with the old pod; and the first attempt to forward again fails.
    lab.switch("port_forward_dead", "1");
    lab.to("1.9.7").apply().exit(0);
    assert_eq!(lab.pachctl(&["version"]).matches("1.9.7").count(), 2);
    // By the address of a node, which is asked for again.
    let mut node = lab.node();
    lab.settings("{ connect = \"address\" }");
    lab.apply().exit(0).says(&["reconfigure"]);
    let port = lab.estate.read("lab/switches/node_port");
    assert!(lab.estate.read("pachyderm/connect.sh").contains(&format!("ADDRESS='127.0.0.1:{port}'")));
    lab.to("1.9.8").apply().exit(0);
    assert_eq!(lab.pachctl(&["version"]).matches("1.9.8").count(), 2);
    node.kill().and_then(|()| node.wait()).expect("it is there");
}

#[test]
fn p08_a_forwarding_that_never_comes_up_fails_the_run_and_is_named() {
    let mut lab = Laboratory::with("1.8.6");
    lab.to("1.9.7");
    lab.estate.set("on_failure", "halt");
    lab.switch("port_forward_dead", "always");
    lab.apply().exit(5).says(&["failed pachyderm.main@1.9.7:connect_old", "error dialing backend"]);
    lab.switch("port_forward_dead", "off");
    lab.estate.good(&["resume"]);
}

#[test]
fn p09_migrations_of_metadata_are_announced_in_the_plan() {
    let mut lab = Laboratory::with("1.8.6");
    lab.to("1.9.7").plan().exit(0).says(&[
        "1.9.7 may change how metadata",
        "migrated by itself",
        "A rollback restores etcd's volumes",
        "migrations.html",
    ]);
    lab.settings("{ no_copies = true }");
    lab.plan().exit(0).says(&["Without `volume_snapshot` and `volume_restore` there is no rollback", "no way back but a restore"]);
    lab.settings("{}").apply().exit(0);
    lab.to("1.9.8").plan().exit(0).lacks("may change how metadata");
}
