//! Plans fit the schema that is published for them.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

const MAIN: &str = r#"
variable "home" {}
variable "version" {}
environment "test" {
  window {
    cron     = "0 22 * * FRI"
    duration = "6h"
  }
}
instance "sample" "web" {
  environment = environment.test
  version     = var.version
  root        = "${var.home}/app"
  store       = "${var.home}/store"
  token       = sensitive("hidden-token")
}
"#;

fn windlass(folder: &Path, args: &[&str]) -> String {
    let ran = Command::new(env!("CARGO_BIN_EXE_windlass"))
        .args(args)
        .current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("WINDLASS_VAR_home", folder)
        .output()
        .expect("windlass can be run");
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "windlass {args:?}: {said}");
    String::from_utf8(ran.stdout).expect("it prints UTF-8")
}

#[test]
fn printed_and_saved_plans_fit_the_published_schema() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let folder = folder.path().canonicalize().expect("it is there");
    std::fs::write(folder.join("main.hcl"), MAIN).expect("a file can be written");
    std::fs::create_dir(folder.join("providers")).expect("a folder can be made");
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/providers/sample");
    std::os::unix::fs::symlink(sample, folder.join("providers/sample")).expect("a link can be made");

    let published = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/plan.schema.json");
    let published: Value = serde_json::from_slice(&std::fs::read(published).expect("it is published")).expect("it is JSON");
    let schema = jsonschema::validator_for(&published).expect("it is a schema");
    let fits = |text: &str| -> Value {
        let plan: Value = serde_json::from_str(text).expect("a plan is JSON");
        let problems: Vec<String> = schema.iter_errors(&plan).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(problems.is_empty(), "{}", problems.join("\n"));
        plan
    };

    let mut plan = fits(&windlass(&folder, &["plan", "--var", "version=1.0.0", "--format", "json", "--out", "plan.json"]));
    let saved = std::fs::read_to_string(folder.join("plan.json")).expect("it was saved");
    fits(&saved);
    assert!(saved.contains("$sensitive") && !saved.contains("hidden-token"), "the plan has a secret in it, marked and not shown");

    plan["plan"]["changes"][0]["decision"] = "explode".into();
    assert!(!schema.is_valid(&plan), "the schema lets everything pass");
}
