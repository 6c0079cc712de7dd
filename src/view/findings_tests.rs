//! Findings and their documents.

use crate::source::{Diagnostic, Diagnostics, SourceMap, Span};
use crate::view::findings::{Level, findings};
use crate::view::{findings_junit, findings_sarif};

fn sample() -> Vec<super::Finding> {
    let mut sources = SourceMap::new();
    let main = sources.add("main file.hcl", "a = 1\n  é = \"<b>\"\n");
    let embedded = sources.add("<embedded>/mlflow/provider.hcl", "x\n");
    let span = Span { source: main, start: 8, end: 10 };
    let mut problems = Diagnostics::new();
    problems.push(Diagnostic::error("unknown setting").detail("no `é` & <b>").help("remove it").label(span, "here").at(span));
    problems.push(Diagnostic::warning("old word").detail("say it anew").at(Span { source: embedded, start: 0, end: 1 }));
    findings(&problems, &sources, "estates/eu/")
}

#[test]
fn diagnostics_become_findings_with_places_from_the_repositorys_root() {
    let findings = sample();
    let first = &findings[0];
    assert_eq!((first.rule.as_str(), first.level), ("unknown-setting", Level::Error));
    assert_eq!(
        (first.places[0].file.as_str(), first.places[0].begin, first.places[0].end),
        ("estates/eu/main file.hcl", (2, 3), (2, 4))
    );
    assert!(findings[1].places.is_empty() && findings[1].message == "say it anew (<embedded>/mlflow/provider.hcl:1:1)");
    let mut moved = first.clone();
    moved.places[0].begin = (9, 9);
    assert_eq!(moved.fingerprint(), first.fingerprint());
}

#[test]
fn what_policies_say_is_as_bad_as_its_effect_and_less_where_it_is_waived() {
    use crate::plan::{Effect, Ruling, Waived};
    let ruling = |effect: Effect, waived: bool| Ruling {
        effect,
        id: "friday".into(),
        message: "not on a Friday".into(),
        help: None,
        instance: Some(crate::model::name::InstanceAddr::from_text("app.main")),
        environment: None,
        waived: waived.then(|| Waived { reason: "urgent".into(), owner: None, until: None }),
    };
    let rulings = [ruling(Effect::Deny, false), ruling(Effect::Warn, false), ruling(Effect::Deny, true)];
    let found = crate::view::findings::ruling_findings(&rulings);
    assert_eq!(found.iter().map(|finding| finding.level).collect::<Vec<_>>(), [Level::Error, Level::Warning, Level::Note]);
    assert_eq!(found[2].message, "app.main: not on a Friday (waived: urgent)");
}

#[test]
fn sarif_has_a_rule_and_a_place_for_every_result() {
    let document: serde_json::Value = serde_json::from_str(&findings_sarif(&sample(), "1.2.3")).unwrap();
    assert_eq!(document["version"], "2.1.0");
    let run = &document["runs"][0];
    let results = run["results"].as_array().unwrap();
    for result in results {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(run["tool"]["driver"]["rules"][index]["id"], result["ruleId"]);
        assert!(result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].is_string());
    }
    let place = &results[0]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "estates/eu/main%20file.hcl");
    assert_eq!(place["region"]["startLine"], 2);
    assert_eq!(results[0]["message"]["text"], "no `é` & <b>\nremove it");
    assert_eq!(results[0]["relatedLocations"].as_array().map(Vec::len), Some(1));
}

#[test]
fn junit_fails_for_errors_only_and_is_escaped() {
    let text = findings_junit("validate", &sample(), &["the configuration loads".to_owned()]);
    assert!(text.contains(r#"tests="3" skipped="0" failures="1" errors="0""#), "{text}");
    assert!(text.contains("no `é` &amp; &lt;b&gt;") && !text.contains("<b>"), "{text}");
    assert!(text.contains(r#"file="estates/eu/main file.hcl""#) && text.contains("warning: say it anew"), "{text}");
}
