//! Several nodes of one estate, by the module `dss-estate`.

use std::path::Path;

use super::node::{KEY, NEW, Node, OLD, is_root};

const KINDS: [&str; 4] = ["deployer", "automation", "api", "design"];

/// Four nodes of the old version that run, and their declaration at a version.
fn estate() -> Node {
    let node = Node::bare();
    node.unpack(OLD);
    for (kind, port) in KINDS.iter().zip((node.port..).step_by(10)) {
        node.install(kind, kind, port);
        node.start(kind);
    }
    let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("modules");
    std::os::unix::fs::symlink(modules, node.estate.path("modules")).expect("a link can be made");
    node
}

fn declare(node: &Node, version: &str) {
    node.declare(version, "", "");
    let main = node.estate.read("main.hcl");
    let releases = &main[..main.find("instance \"dss\"").expect("the block")];
    let root = node.estate.root.display();
    let nodes: String = KINDS
        .iter()
        .zip((node.port..).step_by(10))
        .map(|(kind, port)| format!("    {kind} = {{ type = \"{kind}\", data_dir = \"{root}/opt/{kind}\", port = {port} }}\n"))
        .collect();
    let keys: String = KINDS.iter().map(|kind| format!("{kind} = \"{KEY}\", ")).collect();
    let run_as = if is_root() { "run_as = \"nobody\"" } else { "" };
    node.estate.write(
        "main.hcl",
        format!(
            "{releases}\nmodule \"lab\" {{\n  source = \"./modules/dss-estate\"\n  environment = environment.test\n  release = \"{version}\"\n  nodes = {{\n{nodes}  }}\n  \
             install_root = \"{root}/opt\"\n  kits_dir = \"{root}/kits\"\n  api_keys = {{ {keys} }}\n  backups = {{ repository = \"{root}/backups\" }}\n  start_timeout = \"5s\"\n  {run_as}\n}}\n"
        ),
    );
}

fn versions(node: &Node) -> Vec<Option<String>> {
    (node.port..).step_by(10).take(KINDS.len()).map(Node::serves_at).collect()
}

/// Where the run says that a node began to stop, and that it ended.
fn span(log: &str, kind: &str) -> (usize, usize) {
    let at = |what: &str| log.find(what).unwrap_or_else(|| panic!("`{what}` is not in\n{log}"));
    let name = format!("module.lab.dss.{kind}[\"{kind}\"]@{NEW}");
    (at(&format!("begin   {name}:stop")), at(&format!("record  {name}:(record)")))
}

#[test]
fn d11_nodes_of_one_estate_are_upgraded_in_the_declared_order() {
    let node = estate();
    declare(&node, NEW);
    let ran = node.apply().exit(0);
    assert_eq!(versions(&node), vec![Some(NEW.to_owned()); 4]);
    let spans: Vec<_> = KINDS.iter().map(|kind| span(&ran.err, kind)).collect();
    let [deployer, automation, api, design] = spans[..] else { panic!("four nodes") };
    assert!(deployer.1 < automation.0 && deployer.1 < api.0, "a node began before its deployer had ended\n{}", ran.err);
    assert!(automation.1 < design.0 && api.1 < design.0, "design began before those that it gives to had ended\n{}", ran.err);
}

#[test]
fn d11_a_failure_in_the_middle_leaves_later_nodes_alone_and_takes_earlier_ones_back() {
    let node = estate();
    declare(&node, NEW);
    node.estate.write("opt/automation.switches/migration_fails", "");
    node.apply().exit(4).says(&["Migration failed"]).lacks("begin module.lab.dss.design[\"design\"]@13.4.1:stop");
    assert_eq!(versions(&node), vec![Some(OLD.to_owned()); 4]);
    node.estate.remove("opt/automation.switches/migration_fails");
    node.apply().exit(0);
    assert_eq!(versions(&node), vec![Some(NEW.to_owned()); 4]);
}
