//! The fleet on one page, in a real browser: Chromium without a screen, where `WINDLASS_TEST_ALL` is set, as `tests/run` does.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::estate::SECRET;
use crate::rollout::fleet;

/// What Chromium makes of a page, as it is after loading; `None`: it is not asked for.
fn rendered(page: &Path, dark: bool) -> Option<String> {
    if std::env::var_os("WINDLASS_TEST_ALL").is_none() {
        eprintln!("skipped: set WINDLASS_TEST_ALL=1 (tests/run does) to look at the page in Chromium");
        return None;
    }
    let profile = tempfile::tempdir().expect("a folder");
    let mut browser = Command::new("chromium");
    browser.args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]);
    browser.arg(format!("--user-data-dir={}", profile.path().display()));
    if dark {
        browser.arg("--blink-settings=preferredColorScheme=0");
    }
    // What the policy forbids is said on the console.
    browser.args(["--enable-logging=stderr", "--dump-dom"]).arg(format!("file://{}", page.display()));
    let output = browser.stdin(Stdio::null()).output().expect("Chromium can be started");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!said.contains("CONSOLE"), "the page has something to complain about:\n{said}");
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn the_page_shows_the_matrix_what_waits_and_every_instance() {
    let mut estate = fleet();
    estate.set("on_failure", "halt");
    estate.good(&["apply", "--env", "test", "--auto-approve"]);
    estate.good(&["apply", "--env", "production", "--auto-approve"]);
    estate.set("release", "2.0.0");
    estate.write("srv/t3/sick", "");
    let page = estate.good(&["status", "--format", "html"]).out;
    assert!(!page.contains(SECRET));
    // As it is written, without a browser.
    for part in [
        "<th scope=\"col\">test</th><th scope=\"col\">production</th>",
        "<a href=\"#service.production\" aria-label=\"service in production\">",
        "9 at 1.0.0 → 2.0.0",
        "it is not healthy",
        "service 2.0.0 must be applied in test first",
    ] {
        assert!(page.contains(part), "{part} is not in\n{page}");
    }
    estate.write("fleet.html", &page);
    for dark in [false, true] {
        let Some(seen) = rendered(&estate.path("fleet.html"), dark) else { return };
        assert!(seen.contains("12 instances of 1 product in 2 environments"), "{seen}");
        assert_eq!(seen.matches("<details id=").count(), 2, "{seen}");
        assert_eq!(seen.matches("<tr><th scope=\"row\"><code>").count(), 12);
        assert!(seen.contains("<html lang=\"en\">") && seen.contains("Content-Security-Policy"));
    }
}
