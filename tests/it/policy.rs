//! Policies and gates as a team meets them: a plan is denied, a waiver lets it pass, others approve, apply asks again.

use crate::estate::Estate;

const PROVIDER: &str = r#"provider "idle" {
  version = "1.0.0"
  title   = "Idle"
}
fact "version" {
  value = null
}
route "install" {
  movement = "install"
  strategy = "install"
  risk     = 40
}
strategy "install" {
  step "first" {
    wait {
      duration = "0s"
    }
    harmless = true
    estimate = "2m"
  }
  step "second" {
    exec {
      command   = ["sh", "-c", "echo done >> log"]
      directory = "HOME"
    }
    irreversible = true
  }
}
"#;

/// One instance in production; `environment` and `rest` are more configuration.
fn estate(environment: &str, rest: &str) -> Estate {
    let estate = Estate::empty();
    estate.write("providers/idle/provider.hcl", PROVIDER.replace("HOME", &estate.root.display().to_string()));
    configure(&estate, environment, rest);
    estate
}

fn configure(estate: &Estate, environment: &str, rest: &str) {
    estate.write(
        "main.hcl",
        format!(
            "environment \"production\" {{\n{environment}\n}}\ninstance \"idle\" \"i\" {{\n  environment = environment.production\n  \
             version     = \"1.0.0\"\n}}\n{rest}\n"
        ),
    );
}

/// What was said, without the breaks that a narrow terminal makes.
fn said(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().filter(|word| *word != "│").collect();
    words.join(" ")
}

const POLICY: &str = r#"package team.rules

deny contains {"id": "no_idle", "msg": sprintf("%s is idle", [change.instance]), "help": "let it work", "instance": change.instance} if {
	some change in input.plan.changes
	change.provider == "idle"
}

warn contains sprintf("asked by %s", [input.command])
"#;

#[test]
fn a_plan_that_a_policy_denies_is_shown_and_refused_until_a_waiver_stands() {
    let estate = estate("", "");
    estate.write("policies/rules.rego", POLICY);
    let ran = estate.run(&["plan", "--out", "p.plan"]).exit(3);
    assert!(ran.out.contains("✗ policy no_idle denied: idle.i is idle\n    → let it work"), "{}", ran.out);
    assert!(ran.out.contains("! policy rules warning: asked by plan"), "{}", ran.out);
    let text = estate.run(&["plan", "--format", "markdown"]).exit(3).out;
    assert!(text.contains("- policy <code>no&#95;idle</code> **denied**: idle.i is idle\n"), "{text}");
    let json: serde_json::Value = serde_json::from_str(&estate.run(&["plan", "--format", "json"]).exit(3).out).unwrap();
    assert_eq!(json["report"]["rulings"][0]["effect"], "deny");
    assert_eq!(json["report"]["rulings"][0]["environment"], "production");

    for args in [&["apply", "--auto-approve"][..], &["apply", "p.plan"]] {
        let ran = estate.run(args).exit(3);
        assert!(ran.err.contains("policy denies it") && said(&ran.err).contains("waiver \"no_idle\""), "{}", ran.err);
    }
    assert_eq!(estate.read("log"), "");

    // A waiver that ended does not count any more; one that stands does, and is shown.
    configure(&estate, "", "waiver \"no_idle\" {\n  reason = \"for now\"\n  owner  = \"ada\"\n  until  = \"2020-01-01\"\n}");
    assert!(estate.run(&["plan"]).exit(3).out.contains("(its waiver expired at 2020-01-01T00:00:00Z)"));
    configure(&estate, "", "waiver \"no_idle\" {\n  reason = \"for now\"\n  owner  = \"ada\"\n}");
    let out = estate.good(&["plan"]).out;
    assert!(out.contains("! policy no_idle waived: idle.i is idle\n    waived: for now, owner ada\n"), "{out}");
    assert!(estate.apply().exit(0).out.contains("asked by apply"));
    assert_eq!(estate.read("log"), "done\n");
}

#[test]
fn a_saved_plan_is_asked_about_again_with_the_policies_of_the_day() {
    let estate = estate("", "");
    estate.good(&["plan", "--out", "p.plan"]);
    estate.write("policies/rules.rego", POLICY);
    let ran = estate.run(&["apply", "p.plan"]).exit(3);
    assert!(ran.err.contains("no_idle for idle.i: idle.i is idle"), "{}", ran.err);
    let ran = estate.run(&["policy", "eval", "--plan", "p.plan"]).exit(3);
    assert!(ran.out.contains("✗ policy no_idle denied"), "{}", ran.out);
    let document = estate.good(&["policy", "eval", "--plan", "p.plan", "--input"]).out;
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    assert_eq!(document["plan"]["changes"][0]["instance"], "idle.i");
    assert_eq!(document["environments"]["production"]["windows"], serde_json::json!([]));
    assert!(document["user"].as_str().unwrap().starts_with("tester@"));
}

#[test]
fn a_policy_that_cannot_be_read_or_evaluated_stops_everything() {
    let estate = estate("", "");
    estate.write("policies/rules.rego", "package a\ndeny contains {\n");
    let ran = estate.run(&["plan"]).exit(1);
    assert!(ran.err.contains("policy cannot be read") && ran.err.contains("policies/rules.rego"), "{}", ran.err);
    estate.write("policies/rules.rego", format!("package a\nx := {}1{}\n", "[".repeat(40), "]".repeat(40)));
    assert!(estate.run(&["apply", "--auto-approve"]).exit(1).err.contains("square brackets"));
    estate.write("policies/rules.rego", "package a\ndeny := 1\n");
    assert!(estate.run(&["apply", "--auto-approve"]).exit(1).err.contains("policy cannot be evaluated"));
    assert_eq!(estate.read("log"), "");
}

#[test]
fn starter_policies_are_switched_on_by_name_and_given_settings() {
    let on = "windlass {\n  policy {\n    starter  = [\"backups_required\", \"two_people\"]\n    settings = { production = [\"production\"] }\n  }\n}";
    let estate = estate("", on);
    let ran = estate.run(&["plan"]).exit(3);
    assert!(ran.out.contains("policy two_people denied: idle.i goes past a point of no return"), "{}", ran.out);
    configure(&estate, "", &on.replace("[\"production\"]", "[\"live\"]"));
    estate.good(&["plan"]);
    configure(&estate, "", &on.replace("two_people", "two_peple"));
    assert!(estate.run(&["plan"]).exit(1).err.contains("did you mean `two_people`?"));
    assert!(estate.good(&["policy", "show", "no_friday"]).out.contains("package windlass.no_friday"));
    configure(&estate, "", on);
    let list = estate.good(&["policy", "list"]).out;
    assert!(list.contains("data.windlass.two_people.deny") && list.contains("off: no_friday"), "{list}");
    assert!(estate.good(&["policy", "test"]).out.contains("tests passed."));
}

#[test]
fn tests_of_policies_are_run_and_counted() {
    let estate = Estate::empty();
    estate.write("rules/a.rego", "package a\ndeny contains \"no\" if input.bad\n");
    estate.write(
        "rules/deep/a_test.rego",
        "package a_test\nimport data.a\ntest_bad if count(a.deny) == 1 with input as {\"bad\": true}\n",
    );
    assert_eq!(estate.good(&["policy", "test", "rules"]).out, "✓ 1 test passed.\n");
    estate.write("rules/b_test.rego", "package b_test\ntest_wrong if 1 == 2\n");
    let ran = estate.run(&["policy", "test", "rules"]).exit(1);
    assert!(
        ran.out.contains("✗ b_test.test_wrong (rules/b_test.rego)") && ran.out.contains("1 test failed, 1 passed."),
        "{}",
        ran.out
    );
    let json: serde_json::Value =
        serde_json::from_str(&estate.run(&["policy", "test", "rules", "--format", "json"]).exit(1).out).unwrap();
    assert_eq!(json["tests"].as_array().unwrap().len(), 2);
    assert!(estate.run(&["policy", "test", "nowhere"]).exit(1).err.contains("is no folder"));
}

#[test]
fn an_approval_of_another_lets_a_plan_pass_and_ones_own_does_not() {
    let mut estate = estate("  approval {\n    required = 1\n    from     = [\"ada\", \"ben\"]\n  }", "");
    estate.env("WINDLASS_USER", "ada");
    let out = estate.good(&["plan", "--out", "p.plan"]).out;
    assert!(out.contains("production waits for an approval of ada, ben, and there is none"), "{out}");
    assert!(estate.run(&["apply", "p.plan"]).exit(3).err.contains("windlass approve"));
    estate.good(&["approve", "p.plan", "--reason", "I made it"]);
    let err = estate.run(&["apply", "p.plan"]).exit(3).err;
    assert!(said(&err).contains("there is only that of who applies: ada (I made it)"), "{err}");
    assert!(estate.run(&["approve", "p.plan", "--reason", "hm", "--by", "mallory"]).exit(3).err.contains("may not approve"));
    assert!(estate.run(&["approve", "p.plan", "--reason", " ", "--by", "ben"]).exit(1).err.contains("a reason"));
    let err = estate.good(&["approve", "p.plan", "--reason", "read it", "--by", "ben"]).err;
    assert!(err.contains("ben approves"), "{err}");
    // A plan made again does the same, and is approved still.
    let out = estate.good(&["plan", "--out", "again.plan"]).out;
    assert!(out.contains("✓ production was approved by ada (I made it), ben (read it)"), "{out}");
    estate.write("policies/look.rego", "package look\nwarn contains \"look twice\"\n");
    assert_eq!(estate.good(&["apply", "again.plan"]).err.matches("look twice").count(), 1);
    assert_eq!(estate.read("log"), "done\n");
}

#[test]
fn an_approval_may_lie_beside_the_plan() {
    let estate = estate("  approval {}", "");
    estate.good(&["plan", "--out", "p.plan"]);
    estate.good(&["approve", "p.plan", "--reason", "read it", "--by", "ben", "--beside"]);
    assert!(estate.read("p.plan.approvals").contains("\"by\":\"ben\""));
    estate.good(&["apply", "p.plan"]);
}

#[test]
fn a_closed_window_refuses_also_a_plan_that_was_saved_while_it_was_open() {
    // Open all day: the plan sees it open.
    let open = "  window {\n    cron     = \"0 0 * * *\"\n    duration = \"24h\"\n  }";
    let estate = estate(open, "");
    let out = estate.good(&["plan", "--out", "p.plan"]).out;
    assert!(out.contains("✓ the window of production is open until"), "{out}");
    // It says that it was open; what counts is now. 29 February is years away.
    let closed = open.replace("0 0 * * *", "0 0 29 2 *").replace("24h", "1m");
    configure(&estate, &closed, "");
    let out = estate.good(&["plan", "--out", "q.plan"]).out;
    assert!(out.contains("is closed and opens at 20"), "{out}");
    assert!(estate.run(&["apply", "q.plan"]).exit(3).err.contains("gate is closed"));
    let ran = estate.run(&["apply", "--auto-approve", "--wait=1s"]).exit(3);
    assert!(ran.err.contains("Waiting (Ctrl-C ends it):\n  the window of production is closed and opens at"), "{}", ran.err);
    assert!(ran.err.contains("gate is closed"), "{}", ran.err);
    assert_eq!(estate.read("log"), "");
}

#[test]
fn who_waits_goes_on_when_the_gate_opens() {
    let estate = estate("  approval {}", "");
    estate.good(&["plan", "--out", "p.plan"]);
    let waiting = estate.spawn(&["apply", "p.plan", "--wait=1m"]);
    estate.good(&["approve", "p.plan", "--reason", "read it", "--by", "ben"]);
    let ended = waiting.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stderr));
    assert_eq!(estate.read("log"), "done\n");
}

#[test]
fn what_only_a_person_can_open_is_not_waited_for() {
    let estate = estate("  max_risk = 39", "");
    let ran = estate.run(&["apply", "--auto-approve", "--wait"]).exit(3);
    assert!(said(&ran.err).contains("has risk 40, and production takes up to 39 without a waiver \"risk\""), "{}", ran.err);
    assert!(!ran.err.contains("Waiting"), "{}", ran.err);
    configure(&estate, "  max_risk = 40", "");
    estate.apply().exit(0);
}

#[test]
fn a_rotated_secret_is_noticed_and_shows_nowhere() {
    let mut estate = Estate::sample();
    estate.apply().exit(0);
    assert!(estate.good(&["plan"]).out.contains("No changes"));
    let key = estate.path(".windlass/seal.key");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&key).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    estate.set("token", "another-token-of-the-tests");
    let ran = estate.run(&["plan", "--out", "p.plan"]);
    assert!(ran.out.contains("token: (sensitive) → (sensitive)"), "{}", ran.out);
    assert!(!ran.out.contains("No changes"), "{}", ran.out);
    for text in [ran.out, estate.read("p.plan"), estate.read("windlass.test.lock")] {
        assert!(!text.contains("another-token") && !text.contains(crate::estate::SECRET), "{text}");
    }
}
