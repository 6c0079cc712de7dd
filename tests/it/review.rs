//! A plan as a reviewer sees it: Markdown within what a forge allows.

use crate::estate::Estate;

const PROVIDER: &str = r#"provider "idle" {
  version = "1.0.0"
  title   = "Idle | <b>product</b>"
}
fact "version" {
  value = null
}
route "install" {
  movement = "install"
  strategy = "install"
}
note "read" {
  movements = ["install"]
  text      = "Tell @everyone | about `this` <script>alert(1)</script>"
  follow_up = true
}
strategy "install" {
  step "first" {
    title = "Wait a | little"
    wait {
      duration = "0s"
    }
    harmless = true
    downtime = true
    estimate = "2m"
  }
  step "second" {
    wait {
      duration = "0s"
    }
    irreversible = true
  }
}
"#;

fn estate(instances: usize) -> Estate {
    let estate = Estate::empty();
    estate.write("providers/idle/provider.hcl", PROVIDER);
    estate.write(
        "main.hcl",
        format!(
            "environment \"test\" {{}}\ninstance \"idle\" \"i\" {{\n  for_each    = toset([for i in range({instances}) : \"k${{i}}\"])\n  \
             environment = environment.test\n  version     = \"1.0.0\"\n}}\n"
        ),
    );
    estate
}

#[test]
fn a_reviewer_sees_first_what_matters_and_nothing_from_outside_is_markup() {
    let text = estate(2).good(&["plan", "--format", "markdown"]).out;
    assert!(text.starts_with("### Windlass: 2 to install\n"), "{text}");
    let place = |what: &str| text.find(what).unwrap_or_else(|| panic!("`{what}` is not in {text}"));
    let order = ["| risk |", "**point of no return**", "follow-up for", "| instance |", "<details><summary>", "</details>"];
    assert!(order.map(place).is_sorted(), "{text}");
    assert!(text.contains("| none stated | about 4 min | about 2 min | 2 | 0 | 0 | 4 |"), "{text}");
    for outside in ["<script>", "@everyone", "Wait a | little", "`this`"] {
        assert!(!text.contains(outside), "`{outside}` is not escaped: {text}");
    }
    assert!(!text.contains("Left out"));
}

#[test]
fn a_plan_that_is_too_long_is_cut_at_sensible_places_and_says_what_is_missing() {
    let estate = estate(300);
    estate.good(&["plan", "--out", "all.plan"]);
    for (limit, bytes) in [("bitbucket", 32_768), ("github", 65_536), ("azure", 150_000), ("4000", 4000)] {
        let args = ["show", "all.plan", "--format", "markdown", "--limit", limit, "--link", "https://ci.example.org/7"];
        let text = estate.good(&args).out;
        assert!(text.len() <= bytes, "{limit}: {}", text.len());
        assert_eq!(text.matches("<details>").count(), text.matches("</details>").count(), "{limit}");
        let left = text.lines().rev().find(|line| line.starts_with("_Left out")).unwrap_or_else(|| panic!("{limit}: {text}"));
        assert!(left.contains("[everything is here](https://ci.example.org/7)"), "{left}");
        let number = |kind: &str| -> usize {
            let before = left.split(kind).next().filter(|before| before.len() < left.len());
            before.and_then(|before| before.trim_end().rsplit(' ').next()?.parse().ok()).unwrap_or(0)
        };
        assert_eq!(text.matches("<details>").count() + number("step list"), 300, "{limit}: {left}");
        assert_eq!(
            text.matches("**point of no return**").count() + number("points of no return").max(number("point of no return")),
            300
        );
    }
    let whole = estate.good(&["show", "all.plan", "--format", "markdown", "--limit", "gitlab"]).out;
    assert_eq!(whole.matches("<details>").count(), 300);
    estate.run(&["plan", "--format", "markdown", "--limit", "12"]).exit(1);
}

#[test]
fn times_come_from_earlier_runs_and_where_there_were_none_it_is_said() {
    let estate = estate(1);
    let before = estate.good(&["plan"]).out;
    assert!(before.contains("downtime about 2 min (never measured)") && !before.contains("in 1 run"), "{before}");
    let before = estate.good(&["plan", "--format", "markdown"]).out;
    assert!(before.contains("Times: no step was measured in an earlier run; 1 step only estimated by the provider"), "{before}");
    estate.apply().exit(0);
    let main = estate.read("main.hcl").replace("range(1)", "range(2)");
    estate.write("main.hcl", main);
    let after = estate.good(&["plan"]).out;
    assert!(after.contains("(measured in 1 run)") && !after.contains("never measured"), "{after}");
    let after = estate.good(&["plan", "--format", "markdown"]).out;
    assert!(after.contains("Times: 4 steps measured in earlier runs."), "{after}");
    let after: serde_json::Value = serde_json::from_str(&estate.good(&["plan", "--format", "json"]).out).expect("JSON");
    let spread = after["plan"]["actions"].as_array().and_then(|actions| actions.first()).map(|action| &action["spread"]);
    assert_eq!(spread.map(|spread| &spread["runs"]), Some(&1.into()), "{after:#}");
    assert_eq!(after["plan"]["changes"][0]["hops"][0]["downtime_spread"]["runs"], 1, "{after:#}");
}
