//! The plan as JSON: as its published schema says, and the same bytes for the same inputs.

use crate::estate::Estate;

fn estate() -> Estate {
    let mut estate = Estate::sample();
    estate.apply().exit(0);
    estate.set("version", "2.0.0");
    estate.set("greeting", "changed");
    estate.write(
        "more.hcl",
        "instance \"sample\" \"more\" {\n  count = 3\n  environment = environment.test\n  version = \"1.0.0\"\n  \
         root = \"${var.home}/more-${count.index}\"\n  store = \"${var.home}/store\"\n  depends_on = [instance.sample.one]\n}\n",
    );
    estate
}

#[test]
fn every_kind_of_plan_is_as_the_schema_says() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/plan.schema.json");
    let schema = serde_json::from_slice(&std::fs::read(path).expect("the schema is published")).expect("it is JSON");
    let validator = jsonschema::validator_for(&schema).expect("it is a schema");
    let mut estate = estate();
    let check = |estate: &Estate, code: i32, what: &str| {
        let plan = estate.run(&["plan", "--format", "json"]).exit(code).json();
        let wrong: Vec<String> = validator.iter_errors(&plan).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(wrong.is_empty(), "{what}:\n{}", wrong.join("\n"));
        plan
    };
    let plan = check(&estate, 0, "an upgrade over two hops, and installations");
    assert_eq!(plan["plan"]["changes"].as_array().map(Vec::len), Some(4));
    estate.apply().exit(0);
    check(&estate, 0, "nothing to do");
    estate.set("version", "1.0.0");
    check(&estate, 0, "a way back");
    estate.set("version", ">= 9.0");
    check(&estate, 3, "blocked");
    estate.set("version", "2.0.0");
    estate.remove("more.hcl");
    check(&estate, 0, "removals");
    estate.remove("windlass.test.lock");
    check(&estate, 0, "an adoption");
    assert!(!validator.is_valid(&serde_json::json!({ "plan": {} })), "the schema takes anything");
}

/// Takes out what tells the time.
fn timeless(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(fields) => {
            fields.retain(|name, _| !matches!(name.as_str(), "created" | "at"));
            fields.values_mut().for_each(timeless);
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(timeless),
        _ => {}
    }
}

#[test]
fn the_same_inputs_give_the_same_bytes() {
    let estate = estate();
    let plan = || {
        let mut plan = estate.good(&["plan", "--format", "json"]).json();
        let created = plan["plan"]["created"].clone();
        timeless(&mut plan);
        assert!(created.is_string(), "nothing tells when it was made");
        plan.to_string()
    };
    let first = plan();
    for _ in 0..3 {
        assert_eq!(plan(), first);
    }
}

#[test]
fn with_format_json_a_command_writes_json_and_nothing_else() {
    let mut estate = Estate::sample();
    let whole = |estate: &Estate, code: i32, args: &[&str]| {
        let ran = estate.run(args).exit(code);
        let read = serde_json::from_str::<serde_json::Value>(&ran.out);
        assert!(read.is_ok(), "{args:?} wrote something else:\n{}", ran.out);
    };
    let lines = |estate: &Estate, args: &[&str]| {
        let ran = estate.run(args).exit(0);
        let kinds: Vec<String> = (ran.out.lines())
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|error| panic!("{args:?}: {error}: {line}")))
            .map(|event| event["event"].as_str().expect("a kind").to_owned())
            .collect();
        assert_eq!(kinds.first().map(String::as_str), Some("run_began"), "{args:?}");
        assert_eq!(kinds.last().map(String::as_str), Some("run_ended"), "{args:?}");
        ran
    };
    whole(&estate, 0, &["plan", "--format", "json"]);
    // The plan is told to whoever looks on.
    let ran = lines(&estate, &["apply", "--auto-approve", "--format", "json"]);
    assert!(ran.err.contains("sample.one"), "{}", ran.err);
    estate.set("version", "2.0.0");
    lines(&estate, &["apply", "--auto-approve", "--format", "json"]);
    lines(&estate, &["rollback", "--auto-approve", "--format", "json"]);
    estate.good(&["plan", "--out", "saved.plan"]);
    for args in [
        &["show", "saved.plan", "--format", "json"][..],
        &["show", "sample.one", "--format", "json"],
        &["state", "show", "sample.one", "--format", "json"],
        &["status", "--format", "json"],
        &["drift", "--format", "json"],
        &["history", "--format", "json"],
        &["validate", "--format", "json"],
        &["output", "--format", "json"],
        &["backup", "list", "--format", "json"],
        &["provider", "show", "sample", "--format", "json"],
        &["provider", "drivers", "--format", "json"],
    ] {
        whole(&estate, 0, args);
    }
    // Nothing to do is no event; a refusal is talk.
    estate.set("version", "1.0.0");
    assert_eq!(estate.run(&["apply", "--auto-approve", "--format", "json"]).exit(0).out, "");
    estate.write("more.hcl", "rubbish = {");
    whole(&estate, 1, &["validate", "--format", "json"]);
    assert_eq!(estate.run(&["plan", "--format", "json"]).exit(1).out, "");
}
