//! What follows the start of a new major version: code environments, models, packages of API nodes.

use super::node::{KEY, NEW, Node, OLD, as_service, must};

const API: &str = "  retrain_models = [\"SALES.model0\"]\n  api_services = { \"SALES.score0\" = { deployment = \"scoring\" } }";

/// A node with a deployment of the service `score0`, which serves the package `v1`.
fn deployed() -> Node {
    let node = Node::running();
    let write = |path: &str, text: &str| {
        let path = node.data("data").join(path);
        must(as_service("mkdir").arg("-p").arg(path.parent().expect("a folder")));
        std::fs::write(path, text).expect("it can be written");
    };
    write(
        "config/deployments/scoring.json",
        r#"{"id": "scoring", "publishedServiceId": "score0", "deployed": "v1", "generationsMapping": {"mode": "SINGLE_GENERATION", "generation": "v1"}}"#,
    );
    write("config/published/score0/v1.json", &format!(r#"{{"id": "v1", "builtWith": "{OLD}", "staleModels": []}}"#));
    node
}

#[test]
fn d10_code_envs_models_and_packages_are_made_anew_after_a_major_upgrade() {
    let node = deployed();
    node.declare_backed_up(NEW, API, "");
    let plan = node.estate.good(&["plan"]).says(&["follow-up: Code environments, models, API packages are made anew"]);
    for step in ["rebuild_code_envs", "await_models", "redeploy"] {
        let line =
            plan.out.lines().find(|line| line.contains(&format!(" {step} "))).unwrap_or_else(|| panic!("no {step}\n{}", plan.out));
        assert!(!line.contains('▼'), "{step} is counted as downtime");
    }
    node.apply().exit(0);
    for name in ["python", "forecasting"] {
        let environment = node.read(&format!("acode-envs/python/{name}/desc.json"));
        assert!(environment.contains(&format!("\"builtWith\": \"{NEW}\"")), "{name} was not rebuilt: {environment}");
    }
    let (retrained, other) =
        (node.read("config/projects/SALES/saved_models/model0.json"), node.read("config/projects/CHURN/saved_models/model1.json"));
    assert!(retrained.contains(&format!("\"trainedWith\": \"{NEW}\"")), "{retrained}");
    assert!(other.contains(&format!("\"trainedWith\": \"{OLD}\"")), "a model that nobody listed was retrained: {other}");
    assert!(node.ask("/projects/SALES/apiservices/score0/packages").contains(&format!("\"dss-{NEW}\"")));
    assert!(node.ask("/api-deployer/deployments/scoring").contains(&format!("\"deployed\": \"dss-{NEW}\"")));
    assert!(node.ask("/api-deployer/deployments/scoring/status").contains("\"health\": \"HEALTHY\""));
    node.estate.good(&["status"]).says(&["follow-up"]);
    node.estate.good(&["confirm", "dss.node:rework", "--note", "looked at the log"]);
    assert!(!node.estate.lockfile().contains(KEY));
}

#[test]
fn d10_a_minor_upgrade_rebuilds_nothing_unless_the_release_asks_for_it() {
    let node = Node::running();
    let minor = "12.7.0";
    must(std::process::Command::new(super::node::simulator().join("make-kits")).arg(node.estate.path("kits")).arg(minor));
    let waiver = "waiver \"unverified_kit\" {\n  reason = \"a test\"\n}";
    node.declare_backed_up(minor, "", &format!("release \"dss\" \"{minor}\" {{}}\n{waiver}"));
    node.estate.good(&["plan"]).lacks("rebuild_code_envs").lacks("Major upgrade");
    let release =
        format!("release \"dss\" \"{minor}\" {{\n  rebuild_code_envs = true\n  attention = [\"pandas is 2 now\"]\n}}\n{waiver}");
    node.declare_backed_up(minor, "", &release);
    node.estate.good(&["plan"]).says(&["rebuild_code_envs", "Attention points of 12.7.0: pandas is 2 now"]);
    node.apply().exit(0);
    assert!(node.read("acode-envs/python/python/desc.json").contains(&format!("\"builtWith\": \"{minor}\"")));
}

#[test]
fn d10_a_code_env_that_cannot_be_rebuilt_is_named_and_the_upgrade_stays() {
    let node = Node::running();
    node.switch("code_env_fails", "forecasting");
    node.declare_backed_up(NEW, "", "");
    node.apply().exit(0).says(&["PYTHON.forecasting", "no matching distribution"]);
    assert_eq!(node.serves().as_deref(), Some(NEW));
    assert!(node.read("acode-envs/python/python/desc.json").contains(&format!("\"builtWith\": \"{NEW}\"")));
    assert!(node.read("acode-envs/python/forecasting/desc.json").contains(&format!("\"builtWith\": \"{OLD}\"")));
    node.estate.good(&["status"]).says(&["follow-up"]);
}

#[test]
fn d06_running_jobs_are_aborted_or_waited_for_where_that_is_declared() {
    let node = Node::running();
    node.switch("job_running", "Build_orders");
    node.declare_backed_up(NEW, "  running_jobs = \"abort\"", "");
    node.apply().exit(0).says(&["done dss.node@13.4.1:abort_jobs"]);
    assert_eq!(node.serves().as_deref(), Some(NEW));
    assert!(!node.ask("/jobs/running/").contains("Build_orders"));
}
