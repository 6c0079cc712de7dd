//! Nodes that are not there yet: installed new, cloned, or filled with exported projects; then moved to other ports, and removed.

use super::node::{KEY, NEW, Node, OLD, read_for};

/// A block for a clone, some way behind the old node's own.
fn range(node: &Node) -> (u16, u16) {
    (node.port, node.port + 60)
}

/// The declaration of a clone of the node in `data`, in `clone`.
fn clone_of_data(node: &Node, version: &str, lines: &str) {
    let (from, to) = range(node);
    let root = node.estate.root.display();
    let lines = format!("  clone_of = {{ data_dir = \"{root}/opt/data\", port_from = {from}, port_to = {to} }}\n{lines}");
    node.declare(version, &lines, "");
    let main = node
        .estate
        .read("main.hcl")
        .replace(&format!("  data_dir = \"{root}/opt/data\""), &format!("  data_dir = \"{root}/opt/clone\""));
    node.estate.write("main.hcl", main);
}

/// The base port that a data directory has.
fn port_of(node: &Node, name: &str) -> u16 {
    let ini = node.estate.read(&format!("opt/{name}/install.ini"));
    ini.lines().find_map(|line| line.strip_prefix("port = ")).expect("a port").parse().expect("a number")
}

/// What the scenarios of a node have done.
fn scenario_runs(node: &Node, name: &str) -> usize {
    node.estate.tree(&format!("opt/{name}/scenarios")).values().map(|log| log.lines().count()).sum()
}

#[test]
fn d04_a_clone_gets_ports_installid_and_prefix_of_its_own_and_its_scenarios_are_off() {
    let node = Node::bare();
    node.unpack(OLD);
    node.install("data", "design", node.port);
    node.dssadmin(&["install-monitoring-integration", "-graphiteServer", "graphite:2003", "-prefix", "dss.production"]);
    node.start("data");
    clone_of_data(&node, NEW, "");
    node.estate.good(&["plan"]).says(&[
        "dss.node install 13.4.1",
        "by clone",
        "Customer Success Manager",
        "Scenarios are off on the clone",
        "copy_first_pass",
        "stop_source",
        "start_source",
    ]);
    node.apply().exit(0).says(&["Apply complete."]);

    assert_eq!(node.serves().as_deref(), Some(OLD), "the old node does not serve any more");
    let port = port_of(&node, "clone");
    assert!(port >= node.port + 10, "{port} is in the block of the old node");
    assert_eq!(Node::serves_at(port).as_deref(), Some(NEW));
    let ini = node.estate.read("opt/clone/install.ini");
    let id = |text: &str| text.lines().find_map(|line| line.strip_prefix("installid = ")).expect("an id").to_owned();
    assert_ne!(id(&ini), id(&node.read("install.ini")));
    assert!(ini.contains("prefix = dss.production.dss.node") || ini.contains("prefix = dss.production.dss-node"), "{ini}");
    assert!(ini.contains("graphite_server = graphite:2003"), "{ini}");
    assert!(node.read("install.ini").contains("prefix = dss.production\n"), "the old node's prefix changed");

    for project in ["SALES", "CHURN"] {
        let scenario = format!("config/projects/{project}/scenarios/nightly.json");
        assert!(
            node.estate.read(&format!("opt/clone/{scenario}")).contains("\"active\": false"),
            "{project} is active on the clone"
        );
        assert!(node.read(&scenario).contains("\"active\": true"), "{project} was switched off on the old node");
    }
    assert_eq!(node.estate.read("opt/clone/config/windlass-scenarios-off.txt"), "CHURN.nightly\nSALES.nightly\n");
    let (old, new) = (scenario_runs(&node, "data"), scenario_runs(&node, "clone"));
    crate::estate::await_until("the old node's scenarios have run twice", || scenario_runs(&node, "data") > old + 1);
    assert_eq!(scenario_runs(&node, "clone"), new, "a scenario of the clone ran");
}

#[test]
fn d04_a_clone_of_an_older_version_is_refused() {
    let node = Node::bare();
    node.unpack(NEW);
    let installer = node.estate.path("opt").join(format!("dataiku-dss-{NEW}/installer.sh"));
    super::node::must(super::node::as_service(installer).arg("-d").arg(node.data("data")).args(["-p", &node.port.to_string()]));
    clone_of_data(&node, OLD, "");
    node.apply()
        .exit(3)
        .says(&["is of 13.4.1, which is newer than 12.6.4", "copying a data directory to an older version is not supported"]);
    assert!(!node.data("clone").exists());
}

#[test]
fn d04_a_data_directory_of_another_version_is_not_copied_over() {
    let node = Node::running();
    clone_of_data(&node, NEW, "");
    // It comes up between plan and apply.
    node.estate.run(&["plan", "--out", "saved.plan"]).exit(0);
    super::node::must(super::node::as_service("mkdir").arg(node.data("clone")));
    node.estate.write("opt/clone/dss-version.json", "{\"product_version\": \"11.0.0\"}");
    let ran = node.estate.run(&["apply", "saved.plan", "--auto-approve"]);
    assert_ne!(ran.code, Some(0));
    ran.says(&["plan is stale: dss.node had version nothing and has 11.0.0"]);
    assert_eq!(node.serves().as_deref(), Some(OLD));
}

#[test]
fn d04_there_must_be_a_free_block_of_ten_ports() {
    let node = Node::running();
    clone_of_data(&node, NEW, "");
    let (_, to) = range(&node);
    let main = node.estate.read("main.hcl").replace(&format!("port_to = {to}"), &format!("port_to = {}", node.port + 15));
    node.estate.write("main.hcl", main);
    node.estate.run(&["plan"]).says(&["blocked", "there is no free block of 10 ports"]);
}

#[test]
fn d04_a_clone_that_fails_is_taken_back_and_the_old_node_serves() {
    let node = Node::running();
    clone_of_data(&node, NEW, "");
    node.estate.write("opt/clone.switches/migration_fails", "");
    node.apply().exit(4).says(&["Migration failed", "rolled back"]);
    assert!(!node.estate.path("opt/clone/dss-version.json").exists());
    assert_eq!(node.serves().as_deref(), Some(OLD));
}

#[test]
fn d05_export_and_import_lists_what_is_lost_and_asks_for_a_waiver() {
    let node = Node::running();
    let root = node.estate.root.display().to_string();
    let lines = format!("  import_from = {{ data_dir = \"{root}/opt/data\" }}");
    let declare = |more: &str| {
        node.declare(NEW, &lines, more);
        let main = node.estate.read("main.hcl");
        let main = main.replace(&format!("  data_dir = \"{root}/opt/data\"\n"), &format!("  data_dir = \"{root}/opt/new\"\n"));
        node.estate.write("main.hcl", main.replace(&format!("port = {}", node.port), &format!("port = {}", node.port + 20)));
    };
    declare("");
    node.apply().exit(3).says(&[
        "export_import_loses",
        "files written from Jupyter notebooks, results of SQL notebooks and the whole state of the flow are lost",
    ]);
    assert!(!node.data("new").exists());
    declare("waiver \"export_import_loses\" {\n  instance = instance.dss.node\n  reason = \"only two small projects\"\n}");
    node.apply().exit(0).says(&["only two small projects", "follow-up: Only when everything was computed again"]);
    assert_eq!(Node::serves_at(node.port + 20).as_deref(), Some(NEW));
    assert_eq!(node.serves().as_deref(), Some(OLD));
    let projects = Node::ask_at(node.port + 20, "/projects/");
    assert!(projects.contains("SALES") && projects.contains("CHURN"), "{projects}");
    assert!(node.estate.path("opt/data/config/projects/SALES/flow_state/partitions.json").exists());
    assert!(!node.estate.path("opt/new/config/projects/SALES/flow_state/partitions.json").exists(), "an export does not hold it");
}

#[test]
fn x01_a_new_node_is_installed_reconfigured_and_removed_without_losing_data() {
    let node = Node::bare();
    node.declare(OLD, "  node_id = \"lab\"", "");
    node.apply().exit(0).says(&["dss.node install 12.6.4", "Apply complete."]);
    assert_eq!(node.serves().as_deref(), Some(OLD));
    assert!(node.read("install.ini").contains("nodeid = lab"));
    node.estate.run(&["plan", "--detailed-exitcode"]).exit(0).says(&["No changes."]);

    let moved = node.port + 20;
    let main = node.estate.read("main.hcl").replace(&format!("port = {}", node.port), &format!("port = {moved}"));
    node.estate.write("main.hcl", &main);
    node.estate.good(&["plan"]).says(&["reconfigure", "port", "▼  stop"]);
    node.apply().exit(0);
    assert_eq!((node.serves(), Node::serves_at(moved).as_deref()), (None, Some(OLD)));
    node.estate.run(&["plan", "--detailed-exitcode"]).exit(0).says(&["No changes."]);

    let at = main.find("instance \"dss\"").expect("the block");
    node.estate.write("main.hcl", main[..at].replace(&read_for(OLD), ""));
    node.apply().exit(0).says(&["dss.node remove"]);
    assert_eq!(Node::serves_at(moved), None);
    assert!(!node.data("data").exists());
    assert!(node.estate.path(&format!("opt/data.removed-{OLD}/config/public-apikeys.json")).exists(), "data was deleted");
}

#[test]
fn x06_a_reconfiguration_that_fails_goes_back_to_the_old_ports() {
    let node = Node::running();
    node.declare_backed_up(OLD, "", "");
    node.apply().exit(0);
    let moved = node.port + 20;
    let main = node.estate.read("main.hcl").replace(&format!("port = {}", node.port), &format!("port = {moved}"));
    node.estate.write("main.hcl", main);
    node.impatient();
    node.switch("never_healthy_on", &moved.to_string());
    node.apply().exit(4).says(&["rolled back"]);
    assert_eq!(node.serves().as_deref(), Some(OLD));
    assert!(!node.estate.lockfile().contains(KEY));
}

#[test]
fn x02_a_block_of_ports_that_is_taken_refuses_an_installation() {
    let node = Node::bare();
    let _taken = std::net::TcpListener::bind(("127.0.0.1", node.port + 4)).expect("it is free");
    node.declare(OLD, "", "");
    node.estate
        .run(&["plan"])
        .says(&["each node needs a block of 10 consecutive TCP ports", &format!("these are taken: {}", node.port + 4)]);
}
