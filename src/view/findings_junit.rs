//! Findings as JUnit XML: a test report of one suite.
//!
//! Every finding is a case. An error fails it; warnings and notes pass and say so in their output, since JUnit knows nothing between.

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::findings::{Finding, Level};

/// The report of a suite. `checked`: names of what was checked and found good, each a case that passes.
#[must_use]
pub fn findings_junit(suite: &str, findings: &[Finding], checked: &[String]) -> String {
    let mut cases = TestSuite::new(suite);
    for name in checked {
        let mut case = TestCase::new(name.as_str(), TestCaseStatus::success());
        case.set_classname(suite);
        cases.add_test_case(case);
    }
    for finding in findings {
        cases.add_test_case(case(suite, finding));
    }
    let mut report = Report::new("windlass");
    report.add_test_suite(cases);
    // Written into memory, which cannot fail.
    report.to_string().unwrap_or_default()
}

fn case(suite: &str, finding: &Finding) -> TestCase {
    let place = finding.places.first();
    let (file, name) = match place {
        Some(place) => (place.file.as_str(), format!("{} ({}:{}:{})", finding.title, place.file, place.begin.0, place.begin.1)),
        None => (suite, finding.title.clone()),
    };
    let help = finding.help.iter().map(|help| format!("\n{help}"));
    let text = finding.message.clone() + &help.collect::<String>();
    let status = match finding.level {
        Level::Error => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_type(finding.rule.as_str()).set_message(finding.message.as_str()).set_description(text.as_str());
            status
        }
        Level::Warning | Level::Note => TestCaseStatus::success(),
    };
    let mut case = TestCase::new(name, status);
    case.set_classname(file);
    if let Some(place) = place {
        case.extra.insert("file".into(), place.file.as_str().into());
        case.extra.insert("line".into(), place.begin.0.to_string().into());
    }
    if finding.level != Level::Error {
        case.set_system_out(format!("{}: {text}", finding.level.as_str()));
    }
    case
}
