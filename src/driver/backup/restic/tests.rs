//! The restic method with real folders: what tars promise holds here too, and what only increments can.
#![expect(clippy::disallowed_methods, reason = "tests make and look at files")]

use std::fs::{self, File};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;

use serde_json::json;

use super::super::tests::{Place, fingerprint, id};
use super::super::*;
use crate::driver::testing::{Heard, applying, args};

const RESTIC: [(&str, &str); 2] = [("method", "restic"), ("password", "correct horse")];

fn place() -> Place {
    Place::with(&RESTIC)
}

/// Content that does not compress.
fn noise(seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..250_000).flat_map(next).collect()
}

fn packs(place: &Place) -> Vec<PathBuf> {
    let nothing = walk::globs(&[]).unwrap();
    let data = place.repository().join("data");
    let found = walk::walk(&data, &nothing).unwrap().found;
    found.into_iter().filter(|found| found.metadata.is_file()).map(|found| data.join(found.path)).collect()
}

fn number(result: &Value, name: &str) -> u64 {
    use rust_decimal::prelude::ToPrimitive as _;
    match result.get("backup").unwrap().get(name) {
        Some(Value::Number(number)) => number.to_u64().unwrap(),
        other => panic!("{name} is {other:?}"),
    }
}

#[tokio::test]
async fn what_is_restored_is_the_same_in_everything() {
    let place = place();
    let sparse = File::create(place.data().join("sparse")).unwrap();
    sparse.set_len(9_000_000).unwrap();
    sparse.write_all_at(b"x", 5_000_000).unwrap();
    let before = fingerprint(&place.data());
    let result = place.run(json!({"action": "create", "labels": {"instance": "x"}})).await.unwrap();
    let backup = result.get("backup").unwrap();
    assert_eq!(backup.get("verified"), Some(&true.into()));
    assert_eq!(backup.get("consistent"), Some(&true.into()));
    assert_eq!(backup.get("method").unwrap().as_str(), Some("restic"));
    fs::remove_dir_all(place.data().join("a")).unwrap();
    fs::write(place.data().join("new"), "after the backup").unwrap();
    place.run(json!({"action": "restore", "id": id(&result)})).await.unwrap();
    assert_eq!(fingerprint(&place.data()), before);
    assert_eq!(fs::metadata(place.data()).unwrap().mode() & 0o7777, 0o750);
    assert!(fs::metadata(place.data().join("sparse")).unwrap().blocks() * 512 < 4_000_000, "the hole is a hole");
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 2, "nothing is left beside");
    fs::remove_dir_all(place.data()).unwrap();
    place.run(json!({"action": "restore", "id": "latest"})).await.unwrap();
    assert_eq!(fingerprint(&place.data()), before);
}

#[tokio::test]
async fn the_second_backup_stores_only_what_is_new_and_each_stands_alone() {
    let place = place();
    fs::write(place.data().join("noise"), noise(5)).unwrap();
    let first = place.run(json!({"action": "create"})).await.unwrap();
    let before = fingerprint(&place.data());
    fs::write(place.data().join("a/one"), "changed").unwrap();
    let second = place.run(json!({"action": "create"})).await.unwrap();
    let after = fingerprint(&place.data());
    assert!(number(&first, "size") > 1_000_000, "{first:?}");
    assert!(number(&second, "size") < 100_000, "{second:?}");
    place.run(json!({"action": "restore", "id": id(&first)})).await.unwrap();
    assert_eq!(fingerprint(&place.data()), before);
    place.run(json!({"action": "restore", "id": id(&second)})).await.unwrap();
    assert_eq!(fingerprint(&place.data()), after);
}

#[tokio::test]
async fn what_a_verified_backup_has_is_not_read_back_again_and_all_else_is() {
    let place = place();
    fs::write(place.data().join("noise"), noise(5)).unwrap();
    place.create().await;
    fs::write(place.data().join("a/one"), noise(6)).unwrap();
    place.run(json!({"action": "create", "verify": false})).await.unwrap();
    // What the unverified one has stored is damaged.
    let newest = packs(&place).into_iter().filter(|pack| fs::metadata(pack).unwrap().len() > 1_000_000);
    let newest = newest.max_by_key(|pack| fs::metadata(pack).unwrap().modified().unwrap()).unwrap();
    let mut bytes = fs::read(&newest).unwrap();
    bytes[100] ^= 1;
    fs::set_permissions(&newest, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&newest, bytes).unwrap();
    let error = place.run(json!({"action": "create"})).await.unwrap_err();
    assert!(error.message.contains("damaged"), "{error}");
}

#[tokio::test]
async fn a_first_pass_while_it_runs_is_never_taken_for_a_good_one() {
    let place = place();
    let first = place.run(json!({"action": "create", "running": true})).await.unwrap();
    assert_eq!(first.get("backup").unwrap().get("consistent"), Some(&false.into()), "whatever was seen");
    let error = place.run(json!({"action": "restore", "id": "latest"})).await.unwrap_err();
    assert!(error.message.contains("no verified and consistent backup"), "{error}");
    let second = place.run(json!({"action": "create"})).await.unwrap();
    assert_eq!(second.get("backup").unwrap().get("consistent"), Some(&true.into()));
    let restored = place.run(json!({"action": "restore", "id": "latest"})).await.unwrap();
    assert_eq!(id(&restored), id(&second));
}

#[tokio::test]
async fn a_file_that_changes_within_the_clocks_tick_is_read_again() {
    let place = place();
    let path = place.data().join("a/one");
    let stamp = fs::metadata(&path).unwrap().modified().unwrap();
    place.run(json!({"action": "create"})).await.unwrap();
    // The same length and time: only the change time differs, and it may not differ either when all happens at once.
    fs::write(&path, vec![2; 200_000]).unwrap();
    File::options().append(true).open(&path).unwrap().set_modified(stamp).unwrap();
    place.run(json!({"action": "create"})).await.unwrap();
    fs::write(&path, "x").unwrap();
    place.run(json!({"action": "restore", "id": "latest"})).await.unwrap();
    assert!(fs::read(&path).unwrap() == vec![2; 200_000]);
}

#[tokio::test]
async fn a_damaged_pack_is_found_out_and_restores_nothing() {
    let place = place();
    let id = place.create().await;
    let before = fingerprint(&place.data());
    for pack in packs(&place) {
        let whole = fs::read(&pack).unwrap();
        fs::set_permissions(&pack, fs::Permissions::from_mode(0o600)).unwrap();
        let mut flipped = whole.clone();
        flipped[40] ^= 1;
        for wrong in [&flipped, &whole[..whole.len() / 2].to_vec(), &Vec::new()] {
            fs::write(&pack, wrong).unwrap();
            for action in ["verify", "restore"] {
                let error = place.run(json!({"action": action, "id": id})).await.unwrap_err();
                assert!(error.message.contains("damaged"), "{action}: {error}");
            }
            assert_eq!(fingerprint(&place.data()), before);
            assert_eq!(fs::read_dir(place.path()).unwrap().count(), 2);
        }
        fs::write(&pack, &whole).unwrap();
    }
    place.run(json!({"action": "verify", "id": id})).await.unwrap();
}

#[tokio::test]
async fn an_increment_on_a_damaged_backup_does_not_pass_for_verified() {
    let place = place();
    place.create().await;
    for pack in packs(&place) {
        fs::remove_file(pack).unwrap();
    }
    let error = place.run(json!({"action": "create"})).await.unwrap_err();
    assert!(error.message.contains("damaged"), "{error}");
}

#[tokio::test]
async fn what_cannot_be_read_fails_the_backup_and_leaves_the_last_one() {
    let place = place();
    place.create().await;
    let snapshots = || fs::read_dir(place.repository().join("snapshots")).unwrap().count();
    assert_eq!(snapshots(), 1);
    // A pipe that took the place of a file, as seen by the reader; and a repository that was told to stop.
    let ctx = applying(place.path());
    ctx.cancel.cancel();
    let error = place.run_in(json!({"action": "create"}), &ctx).await.unwrap_err();
    assert_eq!(error.kind, FailureKind::Cancelled);
    assert_eq!(snapshots(), 1);
    place.run(json!({"action": "verify", "id": "latest"})).await.unwrap();
}

#[tokio::test]
async fn what_was_killed_is_no_backup_and_its_snapshot_goes() {
    let place = place();
    let first = place.create().await;
    let second = place.create().await;
    // As after a kill between the snapshot and the entry: the mark is there, the entry is not.
    let ledger = place.repository().join("windlass");
    fs::rename(ledger.join(format!("{second}.json")), ledger.join(format!("{second}.partial"))).unwrap();
    let listed = place.run(json!({"action": "list"})).await.unwrap();
    assert_eq!(listed.get("backups").unwrap().as_list().unwrap().len(), 1);
    let third = place.create().await;
    assert_eq!(fs::read_dir(place.repository().join("snapshots")).unwrap().count(), 2);
    assert!(!ledger.join(format!("{second}.partial")).exists());
    for id in [first, third] {
        place.run(json!({"action": "verify", "id": id})).await.unwrap();
    }
}

#[tokio::test]
async fn prune_frees_the_space_of_what_it_removes() {
    let place = place();
    for seed in [1, 77, 999] {
        fs::write(place.data().join("noise"), noise(seed)).unwrap();
        place.create().await;
    }
    let bytes = || packs(&place).iter().map(|pack| fs::metadata(pack).unwrap().len()).sum::<u64>();
    let before = bytes();
    let result = place.run(json!({"action": "prune", "keep_last": 1})).await.unwrap();
    assert_eq!(result.get("removed").unwrap().as_list().unwrap().len(), 2);
    assert!(bytes() * 2 < before, "{before} bytes were {} afterwards", bytes());
    place.run(json!({"action": "verify", "id": "latest"})).await.unwrap();
    place.run(json!({"action": "restore", "id": "latest"})).await.unwrap();
    assert!(fs::read(place.data().join("noise")).unwrap() == noise(999));
}

#[tokio::test]
async fn what_restic_has_locked_is_not_pruned() {
    let place = place();
    place.create().await;
    fs::write(place.data().join("x"), vec![7; 100_000]).unwrap();
    place.create().await;
    fs::write(place.repository().join("locks/somebody"), "").unwrap();
    let before = packs(&place);
    place.run(json!({"action": "prune", "keep_last": 1})).await.unwrap();
    assert_eq!(packs(&place), before);
}

#[tokio::test]
async fn a_password_file_is_made_once_and_for_its_owner_only() {
    let key = tempfile::tempdir().unwrap();
    let path = key.path().join("keys/backup");
    let place = Place::with(&[("method", "restic"), ("password_file", path.to_str().unwrap())]);
    let heard = std::sync::Arc::new(Heard::default());
    let ctx = Context { sink: heard.clone(), ..applying(place.path()) };
    place.run_in(json!({"action": "create"}), &ctx).await.unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
    assert!(heard.lines.lock().unwrap().iter().any(|line| line.contains("keep a copy elsewhere")));
    let made = fs::read_to_string(&path).unwrap();
    assert!(made.trim().len() >= 40);
    assert!(!heard.lines.lock().unwrap().iter().any(|line| line.contains(made.trim())));
    place.create().await;
    assert_eq!(fs::read_to_string(&path).unwrap(), made);
    // A lost key is never replaced by one that does not open.
    fs::remove_file(&path).unwrap();
    let error = place.run(json!({"action": "create"})).await.unwrap_err();
    assert!(error.message.contains("password"), "{error}");
    assert!(!path.exists());
}

#[tokio::test]
async fn a_wrong_password_opens_nothing_and_is_not_shown() {
    let place = place();
    let id = place.create().await;
    let wrong = json!({"action": "verify", "id": id, "password": "battery staple"});
    let error = place.run(wrong).await.unwrap_err();
    assert_eq!(error.kind, FailureKind::Invalid);
    assert!(error.message.contains("does not open") && !error.message.contains("battery"), "{error}");
    let calls = [json!({"action": "create", "password": null}), json!({"action": "create", "password_file": "/x"})];
    for call in calls {
        assert_eq!(place.run(call).await.unwrap_err().kind, FailureKind::Invalid);
    }
    // The list needs none.
    let call = args(json!({"action": "list", "repository": place.repository()}));
    let listed = Backup.run(&call, &applying(place.path())).await.unwrap();
    assert_eq!(listed.get("backups").unwrap().as_list().unwrap().len(), 1);
}

#[tokio::test]
async fn single_files_and_exclusions_work_as_with_tars() {
    let place = place();
    let sets = json!({"logs": ["logs"], "links": ["link", "dangling"]});
    let result = place.run(json!({"action": "create", "exclude": ["**/none"], "exclude_sets": sets})).await.unwrap();
    let excluded = result.get("backup").unwrap().get("excluded").unwrap();
    assert_eq!(excluded.get("logs").unwrap().as_list().unwrap(), [Value::string("logs")]);
    assert_eq!(result.get("backup").unwrap().get("exclude").unwrap().as_list().unwrap().len(), 4);
    fs::write(place.data().join("logs/log"), "later").unwrap();
    let heard = std::sync::Arc::new(Heard::default());
    let ctx = Context { sink: heard.clone(), ..applying(place.path()) };
    let restored = place.run_in(json!({"action": "restore", "id": "latest"}), &ctx).await.unwrap();
    assert_eq!(fs::read_to_string(place.data().join("logs/log")).unwrap(), "later", "it is carried over");
    assert!(heard.lines.lock().unwrap().iter().any(|line| line.contains("does not hold") && line.contains("logs")));
    assert_ne!(restored.get("carried"), Some(&Value::Null));
    let path = place.data().join("a/one");
    place.run(json!({"action": "create", "path": path})).await.unwrap();
    fs::write(&path, "changed").unwrap();
    place.run(json!({"action": "restore", "path": path, "id": "latest"})).await.unwrap();
    assert_eq!(fs::read(&path).unwrap(), vec![1; 200_000]);
}

#[tokio::test]
async fn a_folder_with_something_else_is_not_made_a_repository() {
    let place = place();
    fs::create_dir(place.repository()).unwrap();
    fs::write(place.repository().join("letters.txt"), "dear").unwrap();
    let error = place.run(json!({"action": "create"})).await.unwrap_err();
    assert!(error.message.contains("letters.txt"), "{error}");
    assert_eq!(fs::read_dir(place.repository()).unwrap().count(), 1);
}

/// Runs Debian's restic on the repository.
fn restic(place: &Place, args: &[&str]) -> std::process::Output {
    let mut command = std::process::Command::new("restic");
    command.arg("-r").arg(place.repository()).args(args).env("RESTIC_PASSWORD", RESTIC[1].1);
    command.env("HOME", place.path().join("home")).output().expect("restic is installed (tests/run does so)")
}

#[tokio::test]
async fn restic_itself_checks_lists_and_restores() {
    if std::env::var_os("WINDLASS_TEST_ALL").is_none() {
        return;
    }
    let place = place();
    fs::write(place.data().join("noise"), noise(3)).unwrap();
    place.create().await;
    fs::write(place.data().join("a/new"), "new").unwrap();
    let second = place.run(json!({"action": "create", "labels": {"instance": "x"}})).await.unwrap();
    let before = fingerprint(&place.data());
    let checked = restic(&place, &["check", "--read-data"]);
    assert!(checked.status.success(), "{checked:?}");
    let listed = restic(&place, &["snapshots", "--tag", "instance=x", "--json"]);
    let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
    assert!(listed[0]["tags"].as_array().unwrap().contains(&json!(format!("windlass:{}", id(&second)))));
    let out = place.path().join("out");
    let tag = format!("windlass:{}", id(&second));
    let restored = restic(&place, &["restore", "latest", "--tag", &tag, "--target", out.to_str().unwrap()]);
    assert!(restored.status.success(), "{restored:?}");
    let data = out.join(place.data().canonicalize().unwrap().strip_prefix("/").unwrap());
    assert_eq!(fingerprint(&data), before);
    // And what restic prunes leaves ours whole.
    let pruned = restic(&place, &["prune"]);
    assert!(pruned.status.success(), "{pruned:?}");
    place.run(json!({"action": "verify", "id": "latest"})).await.unwrap();
    place.create().await;
    let checked = restic(&place, &["check", "--read-data"]);
    assert!(checked.status.success(), "{checked:?}");
}

/// Not a test: says how long a backup of many small files takes. `WINDLASS_MEASURE_DIR` names the folder.
#[tokio::test]
#[ignore = "a measurement"]
#[expect(clippy::print_stdout, reason = "it is there to print")]
async fn measure_a_folder() {
    let Some(folder) = std::env::var_os("WINDLASS_MEASURE_DIR").map(PathBuf::from) else { return };
    let dir = tempfile::tempdir_in(folder.parent().unwrap()).unwrap();
    let base = json!({"repository": dir.path().join("repository"), "path": folder, "method": "restic", "password": "x"});
    let to = dir.path().join("restored");
    let restore = json!({"action": "restore", "path": to});
    for (name, more) in [
        ("first pass", json!({"action": "create", "running": true})),
        ("second pass", json!({"action": "create"})),
        ("third pass, not verified", json!({"action": "create", "verify": false})),
        ("list", json!({"action": "list"})),
        ("verify", json!({"action": "verify", "id": "latest"})),
        ("restore", restore),
    ] {
        let mut call = base.clone();
        call.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        if name == "restore" {
            let listed = Backup.run(&args(base_list(&base)), &applying(dir.path())).await.unwrap();
            let id = listed.get("backups").unwrap().as_list().unwrap()[1].get("id").unwrap().as_str().unwrap().to_owned();
            call["id"] = json!(id);
        }
        let begun = std::time::Instant::now();
        let done = Backup.run(&args(call), &applying(dir.path())).await;
        println!("{name}: {:.2} s {:?}", begun.elapsed().as_secs_f64(), done.err().map(|error| error.message));
    }
}

fn base_list(base: &serde_json::Value) -> serde_json::Value {
    json!({"action": "list", "repository": base["repository"]})
}
