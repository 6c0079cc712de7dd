//! What a plan shows of the documents that it would change, by the real program on the sample product; and that its JSON is what the
//! published schema says.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

const TOKEN: &str = "tok-hunter22-\"quoted\"";

/// A folder with a configuration of one sample product, its store of releases, and nothing applied.
struct World {
    dir: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let world = Self { dir: tempfile::tempdir().expect("a folder can be made") };
        for version in ["1.0.0", "1.1.0", "2.0.0"] {
            let release = world.path("product/store").join(version);
            std::fs::create_dir_all(&release).expect("a folder can be made");
            std::fs::write(release.join("VERSION"), version).expect("a file can be written");
        }
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn declare(&self, version: &str, greeting: &str, token: &str) {
        let root = self.path("product");
        let text = format!(
            r#"
windlass {{
}}

variable "token" {{
  type      = string
  sensitive = true
  default   = {token}
}}

environment "lab" {{
}}

instance "sample" "one" {{
  environment = "lab"
  version     = "{version}"
  root        = "{root}"
  greeting    = "{greeting}"
  token       = var.token
}}
"#,
            token = json!(token),
            root = root.display(),
        );
        std::fs::write(self.path("main.hcl"), text).expect("a file can be written");
    }

    fn run(&self, args: &[&str]) -> Output {
        let providers = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/providers");
        Command::new(env!("CARGO_BIN_EXE_windlass"))
            .args(args)
            .current_dir(self.dir.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path("home"))
            .env("WINDLASS_PROVIDERS", providers)
            .output()
            .expect("the program can be run")
    }

    /// What it prints; it must have ended well, and never have shown the secret.
    fn say(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{args:?}: {}\n{out}{err}", output.status);
        for text in [&out, &err] {
            assert!(!text.contains("hunter22"), "{args:?} shows a secret:\n{text}");
        }
        out.into_owned()
    }

    fn applied(version: &str, greeting: &str) -> Self {
        let world = Self::new();
        world.declare(version, greeting, TOKEN);
        world.say(&["apply", "--auto-approve"]);
        let written = std::fs::read_to_string(world.path("product/sample.conf")).expect("it was written");
        assert!(written.contains(TOKEN), "the secret is where it belongs: {written}");
        world
    }
}

#[test]
fn a_changed_setting_shows_the_document_that_it_changes_and_no_secret() {
    let world = World::applied("1.0.0", "good morning");
    world.declare("1.0.0", "good night", TOKEN);
    let text = world.say(&["plan", "--color", "never"]);
    let conf = world.path("product/sample.conf");
    for line in [format!("--- {}", conf.display()), "-greeting = good morning".to_owned(), "+greeting = good night".to_owned()] {
        assert!(text.lines().any(|shown| shown.trim_start() == line), "no line `{line}`:\n{text}");
    }
    assert!(text.contains(" token = (sensitive)"), "{text}");
    let step = text.find("Write the configuration").expect("the step is there");
    assert!(step < text.find("-greeting").expect("the difference is there"), "the difference stands under its step:\n{text}");

    // The way of apply shows the same before it asks.
    let output = world.run(&["apply", "--color", "never", "--no-input"]);
    let out = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success() && out.contains("+greeting = good night") && !out.contains("hunter22"), "{out}");

    // Who trusts the lockfile looks at no document, and a saved plan holds none.
    assert!(!world.say(&["plan", "--refresh=false"]).contains("+greeting"));
    world.say(&["plan", "--out", "saved.plan"]);
    assert!(!world.say(&["show", "saved.plan"]).contains("+greeting"));
}

#[test]
fn a_secret_that_was_replaced_or_is_declared_no_more_is_not_shown() {
    let world = World::applied("1.0.0", "good morning");
    world.declare("1.0.0", "good night", "quite-another-1");
    let text = world.say(&["plan"]);
    assert!(text.contains("-greeting = good morning") && text.contains("+token = (sensitive)"), "{text}");
    assert!(!text.contains("quite-another-1"), "{text}");

    world.declare("1.0.0", "good night", "abc");
    let text = world.say(&["plan"]);
    assert!(!text.contains("= abc"), "a secret that is too short to be hidden is not shown:\n{text}");

    std::fs::write(world.path("main.hcl"), "windlass {\n}\n\nenvironment \"lab\" {\n}\n").expect("a file can be written");
    let text = world.say(&["plan"]);
    assert!(text.contains("Remove the configuration") && text.contains("+++ /dev/null"), "{text}");
    assert!(!text.contains("-port = 8080"), "nobody knows what of it is secret:\n{text}");
}

#[test]
fn a_way_of_several_hops_shows_a_document_once_as_it_will_be() {
    let world = World::applied("1.0.0", "good morning");
    world.declare("2.0.0", "good morning", TOKEN);
    let text = world.say(&["plan"]);
    assert!(text.contains("-version = 1.0.0") && text.contains("+version = 2.0.0"), "{text}");
    assert!(!text.contains("+version = 1.1.0"), "{text}");
}

/// The schema with nothing allowed that it does not name: so that an attribute that it forgets is found.
fn closed(schema: &mut Value) {
    match schema {
        Value::Object(attributes) => {
            if attributes.contains_key("properties") && !attributes.contains_key("additionalProperties") {
                attributes.insert("additionalProperties".to_owned(), json!(false));
            }
            attributes.values_mut().for_each(closed);
        }
        Value::Array(items) => items.iter_mut().for_each(closed),
        _ => {}
    }
}

fn published_schema() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/plan.schema.json");
    let text = std::fs::read_to_string(path).expect("the schema is published");
    serde_json::from_str(&text).expect("the schema is JSON")
}

#[test]
fn real_plans_are_what_the_published_schema_says() {
    let mut schema = published_schema();
    assert!(jsonschema::meta::is_valid(&schema), "it is no schema");
    closed(&mut schema);
    let validator = jsonschema::validator_for(&schema).expect("the schema can be used");
    let check = |world: &World, what: &str, args: &[&str]| -> Value {
        let document: Value = serde_json::from_str(&world.say(args)).expect("the plan is JSON");
        let wrong: Vec<String> =
            validator.iter_errors(&document).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(wrong.is_empty(), "{what}: {}", wrong.join("\n"));
        document
    };
    let world = World::new();
    world.declare("1.0.0", "good morning", TOKEN);
    check(&world, "an install", &["plan", "--format", "json"]);
    world.say(&["apply", "--auto-approve"]);
    check(&world, "nothing to do", &["plan", "--format", "json"]);

    world.declare("2.0.0", "good night", TOKEN);
    let document = check(&world, "an upgrade", &["plan", "--format", "json"]);
    let diffs: Vec<&str> = document["previews"]
        .as_object()
        .expect("previews by action")
        .values()
        .flat_map(|diffs| diffs.as_array().expect("differences"))
        .filter_map(|diff| diff["text"].as_str())
        .collect();
    assert!(diffs.len() == 1 && diffs[0].contains("+greeting = good night"), "{diffs:?}");
    let ids: Vec<&Value> = document["plan"]["actions"].as_array().expect("actions").iter().map(|action| &action["id"]).collect();
    assert!(document["previews"].as_object().expect("previews").keys().all(|id| ids.contains(&&json!(id))));

    world.say(&["plan", "--out", "saved.plan"]);
    check(&world, "a saved plan", &["show", "saved.plan", "--format", "json"]);
    std::fs::write(world.path("main.hcl"), "windlass {\n}\n\nenvironment \"lab\" {\n}\n").expect("a file can be written");
    check(&world, "a removal", &["plan", "--format", "json"]);

    let mut broken = document;
    broken["plan"]["changes"][0]["decision"] = json!("explode");
    assert!(!validator.is_valid(&broken), "a decision that there is none of is refused");
}
