//! The upgrade in place: what it does, what it leaves, and the way back from each failure.

use super::node::{KEY, NEW, Node, OLD};

#[test]
fn d07_the_kit_is_verified_and_unpacked_before_the_stop_and_the_migration_question_is_answered() {
    let node = Node::running();
    let projects = node.estate.tree("opt/data/config/projects").keys().cloned().collect::<Vec<_>>();
    node.declare_backed_up(NEW, "", "");
    let plan = node.estate.good(&["plan"]).says(&["▼  stop", "▼  back_up", "▼  upgrade"]);
    for early in ["verify_kit", "unpack_kit", "check_dependencies", "prove_served"] {
        let line = plan.out.lines().find(|line| line.contains(early)).unwrap_or_else(|| panic!("no {early} in\n{}", plan.out));
        assert!(!line.contains('▼'), "{early} costs downtime");
    }
    node.apply().exit(0).says(&["Apply complete."]);
    assert_eq!(node.serves().as_deref(), Some(NEW));
    assert!(node.read("run/install.log").contains("Continue? (Y/[N])"), "the installer did not ask");
    assert_eq!(node.estate.tree("opt/data/config/projects").keys().cloned().collect::<Vec<_>>(), projects);
    assert!(node.estate.path(&format!("opt/dataiku-dss-{OLD}/installer.sh")).exists(), "the old software is gone");
    node.estate.run(&["plan", "--detailed-exitcode"]).exit(0).says(&["No changes."]);
    node.estate.run(&["drift", "--detailed-exitcode"]).exit(0);
    node.estate.good(&["history"]).says(&["dss.node test 12.6.4 → 13.4.1 succeeded"]);
    assert!(!node.estate.lockfile().contains(KEY), "the key is in the lockfile");
}

#[test]
fn d07_a_kit_with_a_wrong_checksum_is_refused_while_the_old_version_serves() {
    let node = Node::with_kits(&["--damaged"]);
    node.unpack(OLD);
    node.install("data", "design", node.port);
    node.start("data");
    node.declare_backed_up(NEW, "", "waiver \"dependencies\" {\n  reason = \"the kit cannot be read\"\n}");
    let ran = node.apply();
    assert_ne!(ran.code, Some(0));
    ran.says(&["13.4.1"]).lacks("begin dss.node@13.4.1:stop");
    assert_eq!(node.serves().as_deref(), Some(OLD));
}

#[test]
fn d03_rolling_back_restores_the_backup_under_the_old_software() {
    let node = Node::running();
    let before = node.estate.tree("opt/data/config");
    node.declare_backed_up(NEW, "", "");
    node.estate.good(&["plan"]).says(&["way back: backup (puts data back)"]);
    node.apply().exit(0);
    assert_ne!(node.estate.tree("opt/data/config"), before, "nothing was migrated");
    node.estate
        .run(&["rollback", "--auto-approve"])
        .exit(0)
        .says(&["undo dss.node@13.4.1:upgrade", "everything is as it was before"]);
    assert_eq!(node.serves().as_deref(), Some(OLD));
    assert_eq!(node.estate.tree("opt/data/config"), before);
}

#[test]
fn d03_lowering_the_version_later_restores_the_backup_too() {
    let node = Node::running();
    node.declare_backed_up(OLD, "", "");
    node.apply().exit(0);
    node.declare_backed_up(NEW, "", "");
    node.apply().exit(0);
    node.declare_backed_up(OLD, "", "");
    node.estate.good(&["plan"]).says(&["puts data back: what was written since is lost"]);
    node.apply().exit(0);
    assert_eq!(node.serves().as_deref(), Some(OLD));
}

#[test]
fn d03_a_migration_that_fails_half_way_is_undone_by_the_restore() {
    let node = Node::running();
    let before = node.estate.tree("opt/data/config");
    node.switch("migration_fails", "");
    node.declare_backed_up(NEW, "", "");
    node.apply().exit(4).says(&["Migration failed", "Failed, and rolled back: everything is as it was before"]);
    assert_eq!(node.serves().as_deref(), Some(OLD));
    assert_eq!(node.estate.tree("opt/data/config"), before);
    node.switch_off("migration_fails");
    node.apply().exit(0);
    assert_eq!(node.serves().as_deref(), Some(NEW));
}

#[test]
fn x04_without_backup_a_failed_migration_halts_for_a_person() {
    let node = Node::running();
    node.switch("migration_fails", "");
    node.declare(NEW, "", "waiver \"no_backup\" {\n  reason = \"a sandbox\"\n}");
    let ran = node.apply();
    assert_ne!(ran.code, Some(0));
    ran.says(&["Migration failed"]).lacks("everything is as it was before");
    assert!(!node.runs("data"), "a half-migrated node was started");
}

#[test]
fn d06_the_whole_data_directory_is_backed_up_while_the_node_is_stopped() {
    let node = Node::running();
    node.declare_backed_up(NEW, "", "");
    node.apply().exit(0);
    let lock = node.estate.lockfile();
    assert!(lock.contains("backup") && lock.contains("verified"), "{lock}");
    let found: Vec<_> = node.estate.tree("backups").into_keys().collect();
    assert!(found.iter().any(|path| path.ends_with("data.tar.zst")), "{found:?}");
}

#[test]
fn d06_with_restic_a_first_pass_is_made_while_the_node_serves_and_its_backup_leads_back() {
    let node = Node::running();
    let before = node.estate.tree("opt/data/config");
    let root = node.estate.root.display();
    let backup = format!(
        "  backup_password = \"correct horse\"\n  backup {{\n    repository = \"{root}/restic\"\n    method = \"restic\"\n    exclude = [\"temporary\"]\n  }}"
    );
    node.declare(NEW, &backup, "");
    let plan = node.estate.good(&["plan"]);
    let line = plan.out.lines().find(|line| line.contains("first_pass")).expect("a first pass");
    assert!(!line.contains('▼'), "the first pass costs downtime: {line}");
    node.apply().exit(0);
    assert_eq!(node.serves().as_deref(), Some(NEW));
    node.estate.run(&["rollback", "--auto-approve"]).exit(0);
    assert_eq!(node.serves().as_deref(), Some(OLD));
    assert_eq!(node.estate.tree("opt/data/config"), before);
}

#[test]
fn d09_the_run_ends_only_when_the_new_version_answers() {
    let node = Node::running();
    node.switch("slow_start", "1.5");
    node.switch("start_waits", "0.1");
    node.declare_backed_up(NEW, "", "");
    node.apply().exit(0).says(&["done dss.node@13.4.1:verify"]);
    assert_eq!(node.serves().as_deref(), Some(NEW));
}

#[test]
fn d09_a_node_that_never_becomes_healthy_is_rolled_back() {
    let node = Node::running();
    node.declare_backed_up(NEW, "", "");
    node.impatient();
    node.switch("never_healthy_in", NEW);
    node.apply().exit(4).says(&["dss.node@13.4.1:verify", "Failed, and rolled back"]);
    assert_eq!(node.serves().as_deref(), Some(OLD));
}

#[test]
fn d09_dropped_connections_are_asked_again() {
    let node = Node::running();
    node.declare_backed_up(NEW, "", "waiver \"healthy_before\" {\n  reason = \"a bad network\"\n}");
    node.switch("drop_connections", "3");
    node.apply().exit(0);
    node.switch_off("drop_connections");
    assert_eq!(node.serves().as_deref(), Some(NEW));
}

#[test]
fn x06_a_node_that_does_not_stop_is_left_serving() {
    let node = Node::running();
    node.declare_backed_up(NEW, "", "");
    node.switch("stop_hangs", "1");
    let ran = node.apply();
    node.switch_off("stop_hangs");
    assert_ne!(ran.code, Some(0));
    ran.says(&["DSS supervisor did not stop"]).lacks("begin dss.node@13.4.1:upgrade");
    assert_eq!(node.serves().as_deref(), Some(OLD));
}
