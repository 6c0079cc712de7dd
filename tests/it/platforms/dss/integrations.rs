//! What is replayed before the start, each only where the node has it.

use std::process::Command;

use super::node::{NEW, Node, is_root, must};

#[test]
fn d08_a_node_without_integrations_gets_none() {
    let node = Node::running();
    node.declare_backed_up(NEW, "", "");
    node.estate.good(&["plan"]).lacks("install_r").lacks("install_spark").lacks("build_base_image").lacks("install_impersonation");
}

#[test]
fn d08_integrations_that_are_there_are_replayed_with_the_new_version_before_the_start() {
    let node = Node::running();
    let archives = [
        format!("dataiku-dss-hadoop-standalone-libs-generic-hadoop3-{NEW}.tar.gz"),
        format!("dataiku-dss-spark-standalone-{NEW}-3.5.3-generic-hadoop3.tar.gz"),
    ];
    for name in &archives {
        node.estate.write(&format!("kits/{name}"), "");
    }
    let kits = node.estate.path("kits");
    for args in [
        &["install-R-integration"][..],
        &["install-graphics-export"],
        &["install-hadoop-integration", "-standaloneArchive", kits.join(&archives[0]).to_str().expect("a path")],
        &["install-spark-integration", "-standaloneArchive", kits.join(&archives[1]).to_str().expect("a path")],
        &["build-base-image", "--type", "container-exec"],
    ] {
        node.dssadmin(args);
    }
    let settings = node.data("data").join("config/general-settings.json");
    std::fs::write(&settings, r#"{"containerSettings": {"executionConfigs": [{"name": "k8s"}]}}"#).expect("it can be written");
    node.declare_backed_up(NEW, "", "");
    let ran = node.apply().exit(0);
    let at =
        |step: &str| ran.err.find(&format!("begin   dss.node@{NEW}:{step}")).unwrap_or_else(|| panic!("no {step} in\n{}", ran.err));
    let steps = ["install_r", "install_graphics_export", "install_hadoop", "install_spark", "build_base_image", "start"];
    for step in steps {
        assert!(at(step) > at("upgrade") && at(step) <= at("start"), "{step} is not between upgrade and start");
    }
    let replayed = node.read("install-support/integrations.json");
    for name in ["r", "graphics_export", "hadoop", "spark"] {
        assert!(replayed.contains(&format!("\"{name}\": \"{NEW}\"")), "{name} was not replayed: {replayed}");
    }
    assert!(node.read("config/base-images.json").contains(&format!("\"builtWith\": \"{NEW}\"")));
}

#[test]
fn d08_standalone_archives_that_are_missing_are_named_in_preflight() {
    let node = Node::running();
    node.declare_backed_up(NEW, "  integrations = { spark = true }", "");
    node.estate.run(&["plan"]).says(&[
        "blocked",
        "does not hold their archives of 13.4.1",
        "dataiku-dss-spark-standalone-13.4.1-*.tar.gz",
    ]);
}

#[test]
fn d08_an_integration_that_fails_is_rolled_back() {
    let node = Node::running();
    node.dssadmin(&["install-R-integration"]);
    node.switch("integration_fails", "install-R-integration");
    node.declare_backed_up(NEW, "", "");
    node.apply().exit(4).says(&["install-R-integration failed", "Failed, and rolled back"]);
    assert_eq!(node.serves().as_deref(), Some("12.6.4"));
}

#[test]
fn d08_user_isolation_is_secured_again_as_root_and_on_the_way_back_too() {
    if !is_root() {
        eprintln!("skipped: install-impersonation needs root");
        return;
    }
    let node = Node::running();
    node.stop("data");
    let security = node.estate.path("security");
    let secure = ["install-impersonation", "-securityDir", security.to_str().expect("a path"), "nobody"];
    must(Command::new(node.data("data").join("bin/dssadmin")).args(secure));
    node.start("data");
    let options = format!("  options = {{ install-impersonation = [\"-securityDir\", \"{}\"] }}", security.display());
    node.declare_backed_up(NEW, &options, "");
    node.estate.good(&["plan"]).says(&["install_impersonation", "(as root)"]);
    node.apply().exit(0);
    assert!(node.read("install-support/integrations.json").contains(&format!("\"impersonation\": \"{NEW}\"")));
    std::fs::remove_file(security.join("execwrapper.sh")).expect("it was made");
    node.estate.run(&["rollback", "--auto-approve"]).exit(0);
    assert!(security.join("execwrapper.sh").exists(), "the old software was not secured again");
    assert_eq!(node.serves().as_deref(), Some("12.6.4"));
}
