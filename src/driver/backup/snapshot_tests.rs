//! Snapshots by configured commands: a copy stands for a snapshot, a link for its mount.
#![expect(clippy::disallowed_methods, reason = "tests make and look at files")]

use std::fs;
use std::path::Path;

use serde_json::{Value as Json, json};

use super::tests::{Place, fingerprint, id};
use super::*;

/// Commands that copy. `fails`: which of them fails, after it has said so in `log`.
fn copying(dir: &Path, fails: &str) -> Json {
    let step = |name: &str, script: &str| {
        let end = if name == fails { "exit 3" } else { "exit 0" };
        json!([
            "sh",
            "-c",
            format!("echo {name} >> '{}/log'; {script}; {end}", dir.display()),
            "sh",
            "{name}",
            "{path}",
            "{reference}"
        ])
    };
    let area = dir.join("area");
    fs::create_dir_all(&area).unwrap();
    let area = area.display();
    json!({
        "create": step("create", &format!("cp -a \"$2\" '{area}'/\"$1\"; echo noise; echo \"snap-$1\"")),
        "mount": step("mount", &format!("ln -s '{area}'/\"$1\" '{area}'/mounted-\"$1\"")),
        "path": format!("{area}/mounted-{{name}}"),
        "unmount": step("unmount", &format!("rm -f '{area}'/mounted-\"$1\"")),
        "delete": step("delete", &format!("test \"$3\" = \"snap-$1\" && chmod -R u+w '{area}'/\"$1\" && rm -rf '{area}'/\"$1\"")),
    })
}

fn log(dir: &Path) -> String {
    fs::read_to_string(dir.join("log")).unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn left(dir: &Path) -> usize {
    fs::read_dir(dir.join("area")).unwrap().count()
}

#[tokio::test]
async fn a_snapshot_is_backed_up_as_the_folder_that_it_is_of() {
    for more in [&[("method", "restic"), ("password", "x")][..], &[("method", "tar")]] {
        let place = Place::with(more);
        let before = fingerprint(&place.data());
        let work = tempfile::tempdir().unwrap();
        let result = place.run(json!({"action": "create", "snapshot": copying(work.path(), "")})).await.unwrap();
        let backup = result.get("backup").unwrap();
        assert_eq!(backup.get("path").unwrap().as_str(), place.data().canonicalize().unwrap().to_str());
        assert_eq!(backup.get("consistent"), Some(&true.into()));
        assert_eq!(backup.get("verified"), Some(&true.into()));
        assert_eq!(log(work.path()), "create mount unmount delete");
        assert_eq!(left(work.path()), 0);
        fs::remove_dir_all(place.data().join("a")).unwrap();
        place.run(json!({"action": "restore", "id": "latest"})).await.unwrap();
        assert_eq!(fingerprint(&place.data()), before);
    }
}

#[tokio::test]
async fn a_snapshot_that_is_not_of_one_moment_is_possibly_inconsistent() {
    let place = Place::new();
    let work = tempfile::tempdir().unwrap();
    let mut snapshot = copying(work.path(), "");
    snapshot["atomic"] = json!(false);
    let result = place.run(json!({"action": "create", "snapshot": snapshot})).await.unwrap();
    assert_eq!(result.get("backup").unwrap().get("consistent"), Some(&false.into()));
}

#[tokio::test]
async fn what_was_made_is_cleared_away_whichever_command_fails() {
    for (fails, ran, words) in [
        ("create", "create", "snapshot.create"),
        ("mount", "create mount unmount delete", "snapshot.mount"),
        ("unmount", "create mount unmount delete", "the backup is made, but"),
        ("delete", "create mount unmount delete", "was not cleared away"),
    ] {
        let place = Place::new();
        let work = tempfile::tempdir().unwrap();
        let error = place.run(json!({"action": "create", "snapshot": copying(work.path(), fails)})).await.unwrap_err();
        assert!(error.message.contains(words), "{fails}: {error}");
        assert_eq!(log(work.path()), ran);
        let marks = fs::read_dir(place.repository())
            .unwrap()
            .filter(|item| item.as_ref().unwrap().file_name().to_string_lossy().ends_with(".open-snapshot"));
        assert_eq!(marks.count(), usize::from(["unmount", "delete"].contains(&fails)), "{fails}");
        if fails != "create" && fails != "mount" {
            // The next backup tries to clear it away again.
            place.run(json!({"action": "create", "snapshot": copying(work.path(), "")})).await.unwrap();
            assert!(log(work.path()).starts_with(&format!("{ran} unmount delete create")), "{}", log(work.path()));
        }
    }
}

#[tokio::test]
async fn a_source_that_is_not_where_it_is_said_to_be_clears_the_snapshot_too() {
    let place = Place::new();
    let work = tempfile::tempdir().unwrap();
    let mut snapshot = copying(work.path(), "");
    snapshot["path"] = json!("/no/such/place");
    let error = place.run(json!({"action": "create", "snapshot": snapshot})).await.unwrap_err();
    assert!(error.message.contains("/no/such/place"), "{error}");
    assert_eq!(log(work.path()), "create mount unmount delete");
    assert_eq!(left(work.path()), 0);
}

#[tokio::test]
async fn a_snapshot_that_is_kept_is_a_backup_with_its_own_reference() {
    let place = Place::with(&[("method", "snapshot")]);
    let work = tempfile::tempdir().unwrap();
    let mut snapshot = copying(work.path(), "");
    snapshot["verify"] = json!(["test", "-d", format!("{}/area/{{name}}", work.path().display())]);
    let mut ids = Vec::new();
    for _ in 0..2 {
        let result = place.run(json!({"action": "create", "snapshot": snapshot})).await.unwrap();
        let backup = result.get("backup").unwrap();
        assert_eq!(backup.get("reference").unwrap().as_str(), Some(format!("snap-{}", id(&result)).as_str()));
        assert_eq!(backup.get("verified"), Some(&true.into()));
        ids.push(id(&result));
    }
    assert_eq!(log(work.path()), "create create");
    let listed = place.run(json!({"action": "list"})).await.unwrap();
    assert_eq!(listed.get("backups").unwrap().as_list().unwrap().len(), 2);
    let error = place.run(json!({"action": "restore", "id": ids[0]})).await.unwrap_err();
    assert!(error.help.unwrap().contains("with the tool that made it"));
    fs::remove_dir_all(work.path().join("area").join(&ids[0])).unwrap();
    assert!(place.run(json!({"action": "verify", "id": ids[0]})).await.is_err());
    fs::create_dir(work.path().join("area").join(&ids[0])).unwrap();
    place.run(json!({"action": "prune", "keep_last": 1})).await.unwrap();
    assert_eq!(left(work.path()), 1, "the older one is deleted by its command");
}

#[tokio::test]
async fn senseless_snapshots_are_refused() {
    let place = Place::new();
    for wrong in [json!({}), json!({"mount": ["x"]}), json!({"create": ["true"], "creat": ["x"]}), json!({"create": ["true"]})] {
        let error = place.run(json!({"action": "create", "snapshot": wrong})).await.unwrap_err();
        assert_eq!(error.kind, FailureKind::Invalid, "{wrong}");
    }
    let kept = Place::with(&[("method", "snapshot")]);
    assert_eq!(kept.run(json!({"action": "create"})).await.unwrap_err().kind, FailureKind::Invalid);
}
