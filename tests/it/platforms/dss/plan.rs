//! What is seen and decided before anything is touched: facts, notes, refusals.

use std::os::unix::fs::PermissionsExt as _;

use super::node::{KEY, NEW, Node, OLD, must, read_for, simulator};

#[test]
fn d01_observes_version_state_node_type_install_id_port_and_integrations() {
    let node = Node::running();
    node.dssadmin(&["install-R-integration"]);
    node.dssadmin(&["install-graphics-export"]);
    node.declare_backed_up(NEW, "", "");
    node.estate.good(&["status"]).says(&["dss.node test 13.4.1 - 12.6.4"]);
    node.apply().exit(0);
    let ini = node.read("install.ini");
    let install_id = ini.lines().find_map(|line| line.strip_prefix("installid = ")).expect("an id").to_owned();
    let lock = node.estate.lockfile();
    for wanted in [
        format!("install_id = \"{install_id}\""),
        format!("port = {}", node.port),
        "node_type = \"design\"".to_owned(),
        format!("opt/dataiku-dss-{NEW}\""),
        "{\"containers\":false,\"graphics_export\":true,\"hadoop\":false,\"impersonation\":false,\"r\":true,\"spark\":false}"
            .to_owned(),
    ] {
        assert!(lock.contains(&wanted), "{wanted} is not in\n{lock}");
    }
    assert!(!lock.contains(KEY), "the key is kept:\n{lock}");
    node.stop("data");
    node.estate.good(&["status"]).says(&["dss.node test 13.4.1 13.4.1 13.4.1 unhealthy"]);
}

#[test]
fn d01_drift_tells_that_somebody_moved_the_ports_and_added_an_integration() {
    let node = Node::running();
    node.declare_backed_up(NEW, "", "");
    node.apply().exit(0);
    node.estate.run(&["drift", "--detailed-exitcode"]).exit(0).says(&["No drift."]);
    let ini = node.read("install.ini").replace(&format!("port = {}", node.port), &format!("port = {}", node.port + 3));
    std::fs::write(node.data("data").join("install.ini"), ini).expect("it can be written");
    node.dssadmin(&["install-R-integration"]);
    node.estate.run(&["drift", "--detailed-exitcode"]).exit(2).says(&["dss.node", "port", "integrations"]);
}

#[test]
fn d02_attention_points_between_both_versions_stand_in_the_plan() {
    let node = Node::running();
    node.declare_backed_up(NEW, "", "");
    node.estate.good(&["plan"]).says(&[
        "Major upgrade from 12.6.4 to 13.4.1: read all release notes in between",
        "https://doc.dataiku.com/dss/latest/release_notes/index.html",
        "From DSS 13 on Java 8 is not supported any more",
        "rolling back restores the backup under the old software",
    ]);
    // Nothing is touched before somebody says that they were read.
    let main = node.estate.read("main.hcl").replace(&read_for(NEW), "");
    node.estate.write("main.hcl", main);
    node.apply()
        .exit(3)
        .says(&["note dss.release_notes must be acknowledged for 13.4.1", "acknowledgement \"dss.release_notes\""])
        .lacks("begin dss.node");
    assert_eq!(node.serves().as_deref(), Some(OLD));
}

#[test]
fn d03_a_plan_without_backup_and_without_waiver_is_refused() {
    let node = Node::running();
    node.declare(NEW, "", "");
    node.apply().exit(3).says(&["dss.node blocked", "without a `backup` block nothing leads back", "no_backup"]);
    assert_eq!(node.serves().as_deref(), Some(OLD));
    let waiver = "waiver \"no_backup\" {\n  instance = instance.dss.node\n  reason = \"a sandbox\"\n}";
    node.declare(NEW, "", waiver);
    node.estate.good(&["plan"]).says(&["in_place_without_backup", "no way back but a restore", "a sandbox", "nothing leads back"]);
}

#[test]
fn d03_leaving_data_out_of_the_backup_needs_a_waiver() {
    let node = Node::running();
    let root = node.estate.root.display();
    let backup = |sets: &str| format!("  backup {{\n    repository = \"{root}/backups\"\n    exclude = {sets}\n  }}");
    node.declare(NEW, &backup("[\"temporary\", \"logs\", \"other\"]"), "");
    node.estate.good(&["plan"]).says(&["back_up"]);
    node.declare(NEW, &backup("[\"data\"]"), "");
    node.estate.run(&["plan"]).says(&["dss.node blocked", "backup_without_data", "datasets and models must be built again"]);
}

#[test]
fn d06_a_running_job_refuses_the_upgrade_and_is_named() {
    let node = Node::running();
    node.switch("job_running", "Build_orders");
    node.declare_backed_up(NEW, "", "");
    node.apply().exit(3).says(&["1 job(s) are running: SALES.Build_orders", "wait until they have ended"]);
    assert_eq!(node.serves().as_deref(), Some(OLD), "it was touched");
    assert!(!node.estate.path("opt").join(format!("dataiku-dss-{NEW}")).exists(), "something was unpacked");
}

#[test]
fn d06_without_a_key_nobody_knows_whether_jobs_run() {
    let node = Node::running();
    node.declare_backed_up(NEW, "", "");
    let main = node.estate.read("main.hcl").replace(&format!("  api_key = \"{KEY}\"\n"), "");
    node.estate.write("main.hcl", &main);
    node.estate.run(&["plan"]).says(&["blocked", "without `api_key` nobody can tell whether a job is running"]);
    node.estate.write("main.hcl", format!("{main}\nwaiver \"jobs_visible\" {{\n  reason = \"a person looked\"\n}}\n"));
    node.apply().exit(0).says(&["follow-up: Rebuild all code environments"]);
    assert_eq!(node.serves().as_deref(), Some(NEW));
}

#[test]
fn d07_missing_system_dependencies_are_found_in_preflight_with_the_command_that_installs_them() {
    let node = Node::with_kits(&["--needs", "simulated-nginx-module"]);
    node.unpack(OLD);
    node.install("data", "design", node.port);
    node.start("data");
    node.declare_backed_up(NEW, "", "");
    node.apply().exit(3).says(&[
        "system dependencies of 13.4.1 are missing on the host",
        "simulated-nginx-module not found",
        "sudo -i",
        "scripts/install/install-deps.sh\" -without-java",
    ]);
    assert_eq!(node.serves().as_deref(), Some(OLD), "it was touched");

    // As the remedy says: unpacked, and the dependencies installed.
    node.unpack(NEW);
    let system = node.estate.path("simulated-system");
    std::fs::create_dir(&system).expect("a folder");
    std::fs::set_permissions(&system, std::fs::Permissions::from_mode(0o755)).expect("its mode");
    let path = format!("{}:{}", system.display(), std::env::var("PATH").expect("a path"));
    std::fs::write(system.join("simulated-nginx-module"), "#!/bin/sh\n").expect("a file");
    std::fs::set_permissions(system.join("simulated-nginx-module"), std::fs::Permissions::from_mode(0o755)).expect("its mode");
    let output = node.estate.command(&["apply", "--auto-approve"]).env("PATH", path).output().expect("it can be run");
    crate::estate::Ran::of(&["apply"], &output).exit(0).says(&["Apply complete."]);
    assert_eq!(node.serves().as_deref(), Some(NEW));
}

#[test]
fn d12_macos_is_refused_with_the_vendors_advice() {
    let node = Node::running();
    node.declare_backed_up(NEW, "", "");
    let path = format!("{}:{}", simulator().join("darwin").display(), std::env::var("PATH").expect("a path"));
    let output = node.estate.command(&["apply", "--auto-approve"]).env("PATH", path).output().expect("it can be run");
    crate::estate::Ran::of(&["apply"], &output).exit(3).says(&[
        "dss.node blocked",
        "installing the new application directly over the existing one",
        "make a backup of the data directory first",
        "https://www.dataiku.com/product/get-started/mac/",
    ]);
    assert_eq!(node.serves().as_deref(), Some(OLD));
    must(std::process::Command::new(simulator().join("darwin/uname")).arg("-s"));
}

#[test]
fn x02_another_node_type_than_declared_is_refused() {
    let node = Node::running();
    node.declare_backed_up(NEW, "  node_type = \"automation\"", "");
    node.estate.run(&["plan"]).says(&["dss.node blocked", "the data directory is of another node type than declared"]);
}
