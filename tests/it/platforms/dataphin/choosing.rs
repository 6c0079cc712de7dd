//! Which way is taken and what must be so before anything is touched: rows A01 to A05.

use serde_json::json;

use super::world::{Dataphin, template, values};
use crate::estate::{Ran, await_until};

#[test]
fn a01_the_mode_follows_from_the_versions_and_the_plan_says_why() {
    for (from, to, mode, why) in [
        ("V5.0.3", "V5.2.0", "downtime", "the only way from a version before V5.1.1"),
        ("V5.1.1", "V5.2.0", "semi_downtime", "offered from V5.1.1 on, and recommended wherever zero-downtime is not possible"),
        ("V5.2.0", "V5.2.0.1", "zero_downtime", "the first three numbers of the versions are the same and the Manager offers it"),
        // Offered also where semi-downtime is not.
        ("V5.0.3", "V5.0.3.2", "zero_downtime", "the first three numbers of the versions are the same"),
    ] {
        let mut dataphin = Dataphin::of(from);
        dataphin.offers(to);
        let plan = dataphin.plan(to).exit(0).says(&[why]);
        assert!(plan.out.contains(mode), "{from} to {to}: not {mode}:\n{}", plan.out);
        // What else users can count on meanwhile stands in the plan, downtime or not.
        let told = plan.out.contains("StarRocks, MaxCompute, Databricks and OceanBase");
        assert_eq!(told, mode != "zero_downtime", "{from} to {to}:\n{}", plan.out);
    }
    // A person may ask for another one, where there is one.
    let mut dataphin = Dataphin::of("V5.2.0");
    dataphin.offers("V5.3.0");
    dataphin.set("strategy", "\"downtime\"");
    dataphin.plan("V5.3.0").exit(0).says(&["Force-stop running tasks"]);
    let mut dataphin = Dataphin::of("V5.0.3");
    dataphin.offers("V5.2.0");
    dataphin.set("strategy", "\"semi_downtime\"");
    let refused = dataphin.plan("V5.2.0");
    assert!(refused.code == Some(3) || refused.code == Some(1), "{}", refused.err);
}

#[test]
fn a02_another_upgrade_is_refused_waited_for_or_force_stopped_by_a_persons_word() {
    let mut dataphin = Dataphin::of("V5.2.0");
    dataphin.offers("V5.2.0.1");
    dataphin.faults(json!({"another_upgrade": {}}));
    dataphin.plan("V5.2.0.1").exit(3).says(&["by somebody else is Upgrading", "if_in_progress"]);
    dataphin.set("if_in_progress", "\"wait\"");
    dataphin.wants("V5.2.0.1");
    let child = dataphin.estate.spawn(&["apply", "--auto-approve"]);
    await_until("it waits for the other upgrade", || {
        let inside =
            |folder: std::path::PathBuf| std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let segments = inside(dataphin.estate.path(".windlass/runs")).flat_map(|run| inside(run.join("journal")));
        segments.filter_map(|path| std::fs::read_to_string(path).ok()).any(|text| text.contains("wait_for_other"))
    });
    dataphin.faults(json!({}));
    let applied = Ran::of(&["apply"], &child.wait_with_output().expect("it ends"));
    applied.exit(0).says(&["Wait for the other upgrade to end"]);
    assert_eq!(dataphin.state()["upgrades"]["1"]["operator"], "somebody else");
    assert_eq!(dataphin.upgrade()["status"], "Succeeded");

    let mut dataphin = Dataphin::of("V5.2.0");
    dataphin.offers("V5.2.0.1");
    dataphin.faults(json!({"another_upgrade": {"status": "Configuring"}}));
    dataphin.set("if_in_progress", "\"force_stop\"");
    dataphin.plan("V5.2.0.1").exit(3).says(&["by somebody else is Configuring"]);
    dataphin.set("force_stop_other", r#"{ outcome = "failed", by = "mei", reason = "rolled back by hand" }"#);
    dataphin.apply("V5.2.0.1").exit(3).says(&["force-stopped as failed"]);
    dataphin.add(
        r#"acknowledgement "dataphin.force_stop_other" {
  instance = instance.dataphin.main
  version  = "V5.2.0.1"
  by       = "mei"
  reason   = "rolled back by hand"
}"#,
    );
    dataphin.apply("V5.2.0.1").exit(0);
    let other = dataphin.state()["upgrades"]["1"].clone();
    assert_eq!(other["status"], "Failed");
    assert_eq!(other["outcome"]["by"], "mei");
    assert_eq!(other["outcome"]["declared"], "failed");
    assert_eq!(dataphin.upgrade()["status"], "Succeeded");
}

#[test]
fn a03_a_configuration_that_is_not_complete_is_refused_with_everything_that_is_missing() {
    let mut dataphin = Dataphin::of("V5.0.3");
    dataphin.offers("V5.2.0");
    dataphin.estate.write("files/V5.2.0-values.yaml", values(&["domain", "storage_class"]));
    // The Manager does not have the version yet: found out while applying, before maintenance mode.
    dataphin.plan("V5.2.0").exit(0).says(&["can be checked only once the Manager has the version"]);
    dataphin.estate.apply().exit(4).says(&["product.dataphin.domain is missing", "product.dataphin.storage_class is missing"]);
    assert!(!dataphin.deeds().iter().any(|deed| deed == "begin"), "{:?}", dataphin.deeds());
    assert!(dataphin.state()["maintenance"].is_null());
    // Now it has been imported, and the plan knows.
    assert!(dataphin.state()["versions"]["V5.2.0"].is_object());
    dataphin.plan("V5.2.0").exit(3).says(&["product.dataphin.domain", "product.dataphin.storage_class"]);
    // A version's own configuration is validated, imported, and overwritten only where that is asked for.
    dataphin.estate.write("files/V5.2.0-values.yaml", values(&[]));
    dataphin.estate.write("files/V5.2.0.yaml", "version: V5.3.0\nproduct:\n");
    dataphin.set("overwrite_version_configuration", "true");
    dataphin.plan("V5.2.0").exit(3).says(&["not 'V5.2.0'", "`product.dataphin` is missing", "`required` is missing"]);
    dataphin.estate.write("files/V5.2.0.yaml", format!("{}# corrected\n", template("V5.2.0")));
    dataphin.apply("V5.2.0").exit(0);
    let kept = dataphin.state()["versions"]["V5.2.0"]["template"].as_str().map(str::to_owned);
    assert!(kept.is_some_and(|template| template.contains("# corrected")));
}

#[test]
fn a04_a_non_standard_configuration_must_fit_the_version_and_differences_are_told() {
    let mut dataphin = Dataphin::of("V5.2.0");
    let (to, member) = ("V5.2.0.1", "product/dataphin/template.yaml");
    let template = template(to);
    dataphin.by_hand("PUT", &format!("/api/versions/{to}/configuration"), &template);
    // Only what the template has may be in it.
    let running = values(&["scheduler", "slots"]);
    let overlay = "product:\n  dataphin:\n    oltp:\n      memory: 8Gi\n";
    let entry = |file: std::path::PathBuf, more: &str| {
        format!("{{ kind = \"non-standard\", configuration_file = {:?}{more} }}", file.display().to_string())
    };

    // The template is that of another version.
    let other = dataphin.zip("other.zip", &[(member, "version: V9\n"), ("values.yaml", &running)]);
    dataphin.configure(to, &entry(other.clone(), ""));
    dataphin.plan(to).exit(3).says(&["not compatible with the selected version", "template_confirmed_by"]);
    dataphin.configure(to, &entry(other, ", template_confirmed_by = \"mei of the O&M team\""));
    dataphin.plan(to).exit(0);

    // An overlay that does not fit, and values that are not complete.
    let strange = "product:\n  dataphin:\n    colour: red\n";
    let short = values(&["scheduler", "slots", "domain"]);
    let strange = dataphin.zip("strange.zip", &[(member, &template), ("overlays/x.yaml", strange), ("values.yaml", &short)]);
    dataphin.configure(to, &entry(strange, ""));
    dataphin.plan(to).exit(3).says(&["overlays/x.yaml: product.dataphin.colour", "product.dataphin.domain is missing"]);

    // No other kind of file is one.
    dataphin.configure(to, &entry("/files/changed.yaml".into(), ""));
    dataphin.plan(to).exit(1).says(&["a `non-standard` one is ZIP"]);

    // Values that differ from the running ones are told, and used.
    let changed = running.replace("replicas: 2", "replicas: 3");
    let changed = dataphin.zip("changed.zip", &[(member, &template), ("overlays/oltp.yaml", overlay), ("values.yaml", &changed)]);
    dataphin.configure(to, &entry(changed, ""));
    dataphin.apply(to).exit(0).says(&["product.dataphin.oltp.replicas is 2, will be 3"]);
    assert_eq!(dataphin.state()["values"]["product.dataphin.oltp.replicas"], "3");
    // Somebody else changes them: drift.
    let was = dataphin.estate.good(&["drift", "--detailed-exitcode"]);
    drop(was);
}

#[test]
fn a05_users_are_told_when_it_ends_and_whom_to_ask_and_the_risk_is_declared_by_name() {
    let mut dataphin = Dataphin::of("V5.2.0");
    dataphin.offers("V5.3.0");
    dataphin.apply("V5.3.0").exit(0);
    let announced = dataphin.upgrade()["announcement"].clone();
    assert_eq!(
        announced,
        json!({"estimated_completion": "2026-12-01 06:30", "email": "ops@example.org", "phone": "+33 1 23 45 67"})
    );
    let text = dataphin.estate.read("work/V5.2.0-to-V5.3.0/announcement.md");
    for part in ["V5.3.0", "2026-12-01 06:30", "ops@example.org", "+33 1 23 45 67"] {
        assert!(text.contains(part), "{part} in {text}");
    }

    let mut dataphin = Dataphin::of("V5.2.0");
    dataphin.offers("V5.3.0");
    dataphin.wants("V5.3.0");
    let main = dataphin.estate.read("main.hcl");
    let undeclared = main.split("acknowledgement").next().expect("a beginning").to_owned();
    dataphin.estate.write("main.hcl", undeclared);
    dataphin.estate.apply().exit(3).says(&["Risk declaration", "risk_declaration"]);
    dataphin.estate.write("main.hcl", main.replace("2026-12-01 06:30", "tomorrow"));
    dataphin.estate.run(&["plan"]).exit(1).says(&["YYYY-MM-DD hh:mm"]);
    dataphin.estate.write("main.hcl", main.replace("2026-12-01 06:30", "2025-12-01 06:30"));
    dataphin.estate.run(&["plan"]).exit(0).says(&["the announced end of maintenance mode, 2025-12-01 06:30, is past"]);
    assert!(dataphin.deeds().is_empty(), "{:?}", dataphin.deeds());
}
