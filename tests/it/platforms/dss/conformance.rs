//! The vendor's own client, `dataiku-api-client` from PyPI, talks to the simulator.

use std::path::Path;
use std::process::Command;

use super::node::{KEY, Node, OLD, must};

/// A virtual environment with the client, made once. `six` is imported by the client and not named among what it needs.
fn client() -> Option<std::path::PathBuf> {
    if std::env::var_os("WINDLASS_TEST_ALL").is_none() {
        eprintln!("skipped: set WINDLASS_TEST_ALL=1 (tests/run does) to install dataiku-api-client from PyPI");
        return None;
    }
    let venv = Path::new(env!("CARGO_TARGET_TMPDIR")).join("dataiku-api-client-15.2.0");
    if !venv.join("ready").exists() {
        let _ = std::fs::remove_dir_all(&venv);
        must(Command::new("python3").args(["-m", "venv"]).arg(&venv));
        must(Command::new(venv.join("bin/pip")).args([
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "dataiku-api-client==15.2.0",
            "six",
        ]));
        std::fs::write(venv.join("ready"), "").expect("it can be written");
    }
    Some(venv.join("bin/python"))
}

const TALK: &str = r#"
import sys, dataikuapi
from dataikuapi.utils import DataikuException
url, key, version = sys.argv[1:]
client = dataikuapi.DSSClient(url, key)
info = client.get_instance_info()
assert info.node_type == "DESIGN" and info.node_id, info.raw
assert client.list_project_keys() == ["CHURN", "SALES"], client.list_project_keys()
assert client.list_running_jobs() == [] and client.list_futures() == []
project = client.get_project("SALES")
assert [item.id for item in project.list_scenarios()] == ["byhand", "nightly"]
scenario = project.get_scenario("nightly")
settings = scenario.get_settings()
assert settings.active
settings.active = False
settings.save()
assert not scenario.get_settings().active and scenario.get_status().get_raw()["active"] is False
names = {(each["envLang"], each["envName"]) for each in client.list_code_envs()}
assert names == {("PYTHON", "python"), ("PYTHON", "forecasting")}, names
env = client.get_code_env("PYTHON", "python")
assert env.update_packages(force_rebuild_env=True)["messages"]["success"]
future = env.update_packages(wait=False)
assert future.wait_for_result()["messages"]["success"]
assert env.update_images()["messages"]["success"]
assert not client.perform_instance_sanity_check().has_error
assert client.get_sanity_check_codes()
job = project.new_job()
job.with_output("model0", object_type="SAVED_MODEL")
done = job.start_and_wait()
assert done.get_status()["baseStatus"]["state"] == "DONE"
assert [each["id"] for each in project.list_saved_models()] == ["model0"]
service = project.get_api_service("score0")
assert [each["id"] for each in service.list_packages()] == ["v1"]
service.create_package("v2")
service.publish_package("v2")
assert sorted(each["id"] for each in service.list_packages()) == ["v1", "v2"]
deployer = client.get_apideployer()
assert deployer.list_deployments() == []
general = client.get_general_settings()
general.save()
try:
    general.push_container_exec_base_images()
    raise SystemExit("images that nobody built were pushed")
except Exception as error:
    assert "build-base-image" in str(error), error
archive = project.get_export_stream().read()
assert archive[:2] == b"PK"
import io
refused = client.prepare_project_import(io.BytesIO(archive)).execute()
assert not refused["success"], "a project that is there was imported again"
try:
    dataikuapi.DSSClient(url, "wrong").get_instance_info()
    raise SystemExit("a wrong key was let in")
except DataikuException as error:
    assert "Invalid or missing API key" in str(error), error
"#;

#[test]
fn the_vendors_client_understands_the_simulator() {
    let Some(python) = client() else { return };
    let node = Node::running();
    must(Command::new(python).args(["-c", TALK, &format!("http://127.0.0.1:{}", node.port), KEY, OLD]));
}
