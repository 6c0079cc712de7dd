//! What SECURITY.md promises, tried on the real program and read from the sources.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::estate::Estate;

/// Every file and folder below a path, with its mode.
fn modes(root: &Path) -> BTreeMap<PathBuf, u32> {
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).expect("it can be listed").flatten() {
            let metadata = std::fs::symlink_metadata(entry.path()).expect("it is there");
            if metadata.is_dir() {
                open.push(entry.path());
            }
            if !metadata.is_symlink() {
                found.insert(entry.path(), metadata.permissions().mode() & 0o7777);
            }
        }
    }
    found
}

fn under_no_umask(estate: &Estate, args: &str) {
    let mut command = std::process::Command::new("/bin/sh");
    command.args(["-c", &format!("umask 000; exec \"$0\" {args}"), env!("CARGO_BIN_EXE_windlass")]);
    estate.furnish_command(&mut command);
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{args}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn with_no_umask_at_all_others_can_write_nothing_and_read_no_log() {
    let mut estate = Estate::sample();
    let before = modes(&estate.path(""));
    for args in ["init", "plan --out a.plan", "apply a.plan"] {
        under_no_umask(&estate, args);
    }
    estate.set("version", "2.0.0");
    under_no_umask(&estate, "apply --auto-approve");
    under_no_umask(&estate, "rollback --auto-approve");
    let ours = |path: &Path| path.starts_with(estate.path(".windlass"));
    let product = estate.path("app");
    let made: Vec<_> =
        modes(&estate.path("")).into_iter().filter(|(path, _)| !before.contains_key(path) && !path.starts_with(&product)).collect();
    assert!(made.len() > 20, "there is little to look at: {made:?}");
    for (path, mode) in &made {
        assert_eq!(mode & 0o022, 0, "others may write {} ({mode:o})", path.display());
        let is_private = ["journal", "actions", "plan.json", "base.json", "a.plan"]
            .iter()
            .any(|name| path.components().any(|part| part.as_os_str() == *name));
        assert!(!is_private || mode & 0o077 == 0, "others may read {} ({mode:o})", path.display());
    }
    let hidden = modes(&estate.path(""))[&estate.path(".windlass")];
    assert_eq!(hidden, 0o700, "{hidden:o}");
    assert!(made.iter().any(|(path, _)| ours(path)));
}

#[test]
fn every_flipped_byte_of_a_saved_plan_is_noticed() {
    let estate = Estate::sample();
    estate.good(&["plan", "--out", "a.plan"]);
    let whole = std::fs::read(estate.path("a.plan")).expect("it was saved");
    // Every region of the file, in steps that share no factor with what repeats in it.
    let step = (whole.len() / 60).max(1) | 1;
    let mut tried = 0;
    for at in (0..whole.len()).step_by(step).chain([whole.len() - 1]) {
        for flip in [0x01, 0x20] {
            let mut torn = whole.clone();
            torn[at] ^= flip;
            estate.write("b.plan", &torn);
            let ran = estate.run(&["show", "b.plan"]).sober();
            assert_ne!(ran.code, Some(0), "byte {at} of {} flipped by {flip:#x} is not noticed", whole.len());
            tried += 1;
        }
    }
    assert!(tried > 100, "only {tried} were tried");
    // What is added or cut is noticed as well as what is changed, in the report that a reviewer reads, too.
    let text = String::from_utf8(whole).expect("it is text");
    let report = text.find("\"report\":").expect("it has a report");
    for torn in [
        format!("{text} "),
        text[..text.len() - 1].to_owned(),
        text.replacen("{\"windlass_plan\"", "{\"more\":1,\"windlass_plan\"", 1),
        format!("{}{}", &text[..report], text[report..].replacen("sample.one", "sample.two", 1)),
    ] {
        assert_ne!(torn, text);
        estate.write("b.plan", torn);
        let ran = estate.run(&["apply", "b.plan"]).sober();
        assert_ne!(ran.code, Some(0), "{}", ran.err);
        assert!(!estate.path("app").exists(), "it was applied");
    }
    estate.good(&["apply", "a.plan"]);
}

#[test]
fn no_source_turns_the_checking_of_certificates_off_or_starts_a_shell_by_itself() {
    let mut open = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut seen = 0;
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).expect("sources").flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            seen += 1;
            for word in [
                "danger_accept",
                "dangerous()",
                "ServerCertVerifier for",
                "SslVerifyMode",
                "set_verify(",
                "insecure-skip-tls-verify",
                "StrictHostKeyChecking=no",
            ] {
                assert!(!text.contains(word), "{} has `{word}`", path.display());
            }
        }
    }
    assert!(seen > 300, "only {seen} sources were read");
}

#[test]
fn what_a_value_holds_never_becomes_code_of_a_shell() {
    let mut estate = Estate::sample();
    let evil = "$(touch hacked) `touch hacked`; touch hacked & | > hacked ' \" \\ * ${HOME} \n touch hacked";
    estate.set("greeting", evil);
    estate.apply().exit(0);
    estate.set("version", "2.0.0");
    estate.apply().exit(0);
    let hacked: Vec<_> = modes(&estate.path("")).into_keys().filter(|path| path.ends_with("hacked")).collect();
    assert!(hacked.is_empty(), "{hacked:?}");
}
