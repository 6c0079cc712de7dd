//! The program is killed at named places in the middle of an upgrade; `resume` must find everything and finish.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Places where the program can be killed, and how many times each is tried.
const PLACES: [(&str, u32); 9] = [
    ("journal.created", 2),
    ("journal.written", 12),
    ("journal.synced", 12),
    ("apply.begin", 6),
    ("apply.called", 6),
    ("apply.recorded", 2),
    ("lock.before", 1),
    ("lock.written", 1),
    ("apply.finished", 1),
];

const MAIN: &str = r#"
variable "home" {}
variable "version" {}
environment "test" {}
instance "sample" "web" {
  environment = environment.test
  version     = var.version
  root        = "${var.home}/app"
  store       = "${var.home}/store"
}
"#;

struct Site {
    folder: PathBuf,
    _guard: tempfile::TempDir,
}

impl Site {
    fn new() -> Self {
        let guard = tempfile::tempdir().expect("a folder can be made");
        let folder = guard.path().canonicalize().expect("it is there");
        std::fs::write(folder.join("main.hcl"), MAIN).expect("a file can be written");
        std::fs::create_dir(folder.join("providers")).expect("a folder can be made");
        let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/providers/sample");
        std::os::unix::fs::symlink(sample, folder.join("providers/sample")).expect("a link can be made");
        for version in ["1.0.0", "1.1.0"] {
            let release = folder.join("store").join(version);
            std::fs::create_dir_all(&release).expect("a folder can be made");
            std::fs::write(release.join("VERSION"), version).expect("a file can be written");
        }
        Self { folder, _guard: guard }
    }

    fn windlass(&self, args: &[&str], version: &str, crash: Option<&str>) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_windlass"));
        command.args(args).current_dir(&self.folder).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("WINDLASS_VAR_home", &self.folder).env("WINDLASS_VAR_version", version);
        if let Some(crash) = crash {
            command.env("WINDLASS_CRASH_AT", crash);
        }
        command.output().expect("windlass can be run")
    }

    fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.folder.join(path)).unwrap_or_default()
    }
}

fn told(output: &Output) -> String {
    format!("{:?}\n{}{}", output.status, String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The action that is held for a person.
fn held(output: &Output) -> Option<String> {
    let told = String::from_utf8_lossy(&output.stderr).replace(['\n', '│'], " ");
    let (_, rest) = told.split_once("--retry")?;
    Some(rest.split('\'').nth(1)?.to_owned())
}

#[test]
fn an_upgrade_that_is_killed_anywhere_is_finished_by_resume() {
    let mut killed = 0;
    for (place, times) in PLACES {
        for time in 1..=times {
            let crash = format!("{place}:{time}");
            let site = Site::new();
            let installed = site.windlass(&["apply", "--auto-approve"], "1.0.0", None);
            assert!(installed.status.success(), "{crash}: {}", told(&installed));

            let crashed = site.windlass(&["apply", "--auto-approve"], "1.1.0", Some(&crash));
            if crashed.status.success() {
                // The run has fewer such moments.
                break;
            }
            assert_eq!(crashed.status.code(), None, "{crash}: it was to be killed: {}", told(&crashed));
            killed += 1;

            let mut resumed = site.windlass(&["resume"], "1.1.0", None);
            if let Some(held) = held(&resumed) {
                // Neither repeatable nor with a check: a person looks, and says that it may be done again.
                resumed = site.windlass(&["resume", "--retry", &held], "1.1.0", None);
            }
            if !resumed.status.success() {
                // It was killed before the run was there, or after all of it was recorded: there is nothing to resume.
                assert!(told(&resumed).contains("no run to resume"), "{crash}: {}", told(&resumed));
                resumed = site.windlass(&["apply", "--auto-approve"], "1.1.0", None);
            }
            assert!(resumed.status.success(), "{crash}: {}", told(&resumed));
            assert_eq!(site.read("app/current/VERSION"), "1.1.0", "{crash}: {}", told(&resumed));
            let lock = site.read("windlass.test.lock");
            assert!(lock.contains("  version = \"1.1.0\"\n"), "{crash}: {}\n{lock}", told(&resumed));
            assert_eq!(lock.matches("  hop {").count(), 2, "{crash}: one hop for each move:\n{}\n{lock}", told(&resumed));
            let planned = site.windlass(&["plan", "--detailed-exitcode"], "1.1.0", None);
            assert_eq!(planned.status.code(), Some(0), "{crash}: nothing is left to do: {}", told(&planned));
            let history = site.windlass(&["history"], "1.1.0", None);
            assert!(!String::from_utf8_lossy(&history.stdout).contains("running"), "{crash}: {}", told(&history));
        }
    }
    assert!(killed > 10, "the places are where this test looks for them: {killed}");
}
