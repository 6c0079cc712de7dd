//! Findings as SARIF 2.1.0, which forges show in place.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::findings::{Finding, Place};

/// The document. `version`: of Windlass.
#[must_use]
pub fn findings_sarif(findings: &[Finding], version: &str) -> String {
    let mut rules: BTreeMap<&str, &Finding> = BTreeMap::new();
    for finding in findings {
        rules.entry(&finding.rule).or_insert(finding);
    }
    let described: Vec<Value> = rules
        .values()
        .map(|finding| {
            json!({
                "id": finding.rule,
                "name": finding.rule,
                "shortDescription": { "text": finding.title },
                "defaultConfiguration": { "level": finding.level.as_str() },
            })
        })
        .collect();
    let results: Vec<Value> = findings
        .iter()
        .map(|finding| {
            let index = rules.keys().position(|rule| *rule == finding.rule).unwrap_or_default();
            result(finding, index)
        })
        .collect();
    let document = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "Windlass", "semanticVersion": version, "rules": described } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    format!("{document:#}\n")
}

fn result(finding: &Finding, index: usize) -> Value {
    let help = finding.help.iter().map(|help| format!("\n{help}"));
    let text = finding.message.clone() + &help.collect::<String>();
    // Forges refuse a result without a place; what is in no file is of the folder.
    let nowhere = || json!({ "physicalLocation": { "artifactLocation": { "uri": "." } } });
    let mut result = json!({
        "ruleId": finding.rule,
        "ruleIndex": index,
        "level": finding.level.as_str(),
        "message": { "text": text },
        "locations": [finding.places.first().map_or_else(nowhere, location)],
        "partialFingerprints": { "windlass/v1": finding.fingerprint().as_str().trim_start_matches("sha256:") },
    });
    if finding.places.len() > 1 {
        result["relatedLocations"] = finding.places.iter().skip(1).map(location).collect();
    }
    result
}

fn location(place: &Place) -> Value {
    let mut location = json!({
        "physicalLocation": {
            "artifactLocation": { "uri": uri(&place.file) },
            "region": {
                "startLine": place.begin.0, "startColumn": place.begin.1,
                "endLine": place.end.0, "endColumn": place.end.1,
            },
        },
    });
    if !place.text.is_empty() {
        location["message"] = json!({ "text": place.text });
    }
    location
}

/// A path as a relative reference, or as a `file:` address where it is absolute.
fn uri(path: &str) -> String {
    let mut text = if path.starts_with('/') { "file://".to_owned() } else { String::new() };
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => text.push(char::from(byte)),
            other => text.push_str(&format!("%{other:02X}")),
        }
    }
    text
}
