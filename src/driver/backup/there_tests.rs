//! `backup` on another machine: a real sshd on this one, so that Windlass here can read what was made there.
#![expect(clippy::disallowed_methods, reason = "tests make and look at files")]

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use serde_json::json;

use super::tests::{Place as Here, fingerprint, id};
use super::*;
use crate::driver::testing::args;
use crate::driver::testing::sshd::Server;

/// A folder as the tests of this machine have it, reached over SSH.
struct There {
    _server: Server,
    ctx: Context,
    here: Here,
}

impl There {
    async fn start() -> Option<Self> {
        let server = Server::start().await?;
        Some(Self { ctx: server.ctx(), _server: server, here: Here::new() })
    }

    async fn run(&self, call: serde_json::Value) -> Result<Value, Failure> {
        let steps = self.here.path().join("steps");
        fs::create_dir_all(&steps).unwrap();
        let dir = tempfile::tempdir_in(&steps).unwrap().keep();
        let mut all = json!({"repository": self.here.repository()});
        all.as_object_mut().unwrap().extend(call.as_object().unwrap().clone());
        Backup.run(&args(all), &Context { dir: Some(dir), ..self.ctx.clone() }).await
    }

    async fn create(&self, more: serde_json::Value) -> Result<Value, Failure> {
        let mut call = json!({"action": "create", "path": self.here.data()});
        call.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.run(call).await
    }
}

/// Tars that are made here have whole seconds; their manifest, which standard tools do not read, has the rest.
fn whole_seconds(fingerprint: &[String]) -> Vec<String> {
    let cut = |line: &String| {
        let (head, rest) = line.split_once(" (").expect("a time");
        let (seconds, rest) = rest.split_once(", ").expect("nanoseconds");
        format!("{head} {seconds} {}", rest.split_once(')').expect("its end").1)
    };
    fingerprint.iter().map(cut).collect()
}

#[tokio::test]
async fn what_is_backed_up_there_is_restored_there_the_same_and_is_read_by_windlass_there() {
    let Some(there) = There::start().await else { return };
    let before = fingerprint(&there.here.data());
    let made = there.create(json!({"labels": {"of": "test"}})).await.unwrap();
    let backup = made.get("backup").unwrap();
    assert_eq!((backup.get("verified"), backup.get("consistent")), (Some(&true.into()), Some(&true.into())));
    // Windlass on that machine takes it for one of its own: every byte is compared with the manifest.
    there.here.run(json!({"action": "verify", "id": id(&made)})).await.unwrap();
    there.run(json!({"action": "verify", "id": id(&made)})).await.unwrap();
    fs::write(there.here.data().join("a/one"), "spoilt").unwrap();
    fs::remove_file(there.here.data().join("link")).unwrap();
    fs::write(there.here.data().join("new"), "").unwrap();
    let restored = there.run(json!({"action": "restore", "path": there.here.data(), "id": "latest"})).await.unwrap();
    assert_eq!(id(&restored), id(&made));
    assert_eq!(fingerprint(&there.here.data()), before);
    assert_eq!(fs::metadata(there.here.data()).unwrap().permissions().mode() & 0o7777, 0o750);
    let (one, same) =
        (fs::metadata(there.here.data().join("a/one")).unwrap(), fs::metadata(there.here.data().join("z-same")).unwrap());
    assert_eq!((one.ino(), one.mtime(), one.mtime_nsec()), (same.ino(), 1_500_000_000, 123_456_789));
    // And the other way round.
    let local = there.here.run(json!({"action": "create", "path": there.here.data()})).await.unwrap();
    there.run(json!({"action": "restore", "path": there.here.path().join("elsewhere"), "id": id(&local)})).await.unwrap();
    assert_eq!(whole_seconds(&fingerprint(&there.here.path().join("elsewhere"))), whole_seconds(&before));
    let all = there.run(json!({"action": "list"})).await.unwrap();
    assert_eq!(all.get("backups").unwrap().as_list().unwrap().len(), 2);
    let some = there.run(json!({"action": "list", "labels": {"of": "test"}, "path": there.here.data()})).await.unwrap();
    assert_eq!(some.get("backups").unwrap().as_list().unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_left_out_is_taken_over_and_the_content_before_can_stay() {
    let Some(there) = There::start().await else { return };
    there.create(json!({"exclude": ["logs"]})).await.unwrap();
    fs::write(there.here.data().join("logs/log"), "more").unwrap();
    fs::write(there.here.data().join("a/none"), "spoilt").unwrap();
    let call = json!({"action": "restore", "path": there.here.data(), "id": "latest", "keep_previous": true});
    let restored = there.run(call).await.unwrap();
    assert_eq!(restored.get("carried"), Some(&whole(1)));
    assert_eq!(fs::read_to_string(there.here.data().join("logs/log")).unwrap(), "more");
    assert_eq!(fs::read_to_string(there.here.data().join("a/none")).unwrap(), "");
    let previous = restored.get("previous").unwrap().as_list().unwrap()[0].as_str().unwrap().to_owned();
    assert_eq!(fs::read_to_string(Path::new(&previous).join("a/none")).unwrap(), "spoilt");
}

#[tokio::test]
async fn single_files_are_restored_and_all_others_stay() {
    let Some(there) = There::start().await else { return };
    fs::write(there.here.data().join("a/one-wal"), "wal").unwrap();
    there.create(json!({"files": ["a/one"]})).await.unwrap();
    fs::write(there.here.data().join("a/one"), "spoilt").unwrap();
    fs::write(there.here.data().join("a/one-journal"), "of another content").unwrap();
    fs::write(there.here.data().join("new"), "stays").unwrap();
    there.run(json!({"action": "restore", "path": there.here.data(), "id": "latest"})).await.unwrap();
    assert_eq!(fs::read(there.here.data().join("a/one")).unwrap(), vec![1; 200_000]);
    assert_eq!(fs::read_to_string(there.here.data().join("a/one-wal")).unwrap(), "wal");
    assert!(!there.here.data().join("a/one-journal").exists());
    assert_eq!(fs::read_to_string(there.here.data().join("new")).unwrap(), "stays");
}

#[tokio::test]
async fn a_damaged_backup_is_found_and_not_restored_and_old_ones_go() {
    let Some(there) = There::start().await else { return };
    let first = id(&there.create(json!({})).await.unwrap());
    let second = id(&there.create(json!({})).await.unwrap());
    let data = there.here.repository().join(&second).join("data.tar.zst");
    let mut bytes = fs::read(&data).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&data, bytes).unwrap();
    let before = fingerprint(&there.here.data());
    for action in ["verify", "restore"] {
        let call = json!({"action": action, "path": there.here.data(), "id": second});
        let failure = there.run(call).await.unwrap_err();
        assert!(failure.message.contains("is damaged"), "{failure}");
    }
    assert_eq!(fingerprint(&there.here.data()), before);
    let latest = there.run(json!({"action": "restore", "path": there.here.data(), "id": "latest"})).await.unwrap();
    assert_eq!(id(&latest), first, "the damaged one was taken");
    // The last good one stays, however old.
    let pruned = there.run(json!({"action": "prune", "path": there.here.data(), "keep_last": 1})).await.unwrap();
    let left = pruned.get("backups").unwrap().as_list().unwrap();
    assert!(left.iter().any(|backup| backup.get("id").unwrap().as_str() == Some(&first)), "{left:?}");
    there.run(json!({"action": "remove", "id": first})).await.unwrap();
    assert!(!there.here.repository().join(&first).exists());
}

#[tokio::test]
async fn a_source_that_is_not_there_or_holds_the_repository_is_refused() {
    let Some(there) = There::start().await else { return };
    let none = there.create(json!({"path": there.here.path().join("none")})).await.unwrap_err();
    assert!(none.message.contains("does not exist"), "{none}");
    let inside = there.create(json!({"repository": there.here.data().join("backups")})).await.unwrap_err();
    assert!(inside.message.contains("lies inside"), "{inside}");
    let restic = there.create(json!({"method": "restic", "password": "p"})).await.unwrap_err();
    assert!(restic.message.contains("can only be \"tar\""), "{restic}");
}

#[tokio::test]
async fn a_restore_is_known_to_be_impossible_before_it_is_tried() {
    let Some(there) = There::start().await else { return };
    let made = there.create(json!({})).await.unwrap();
    let call = |id: &str| json!({"repository": there.here.repository(), "action": "restore", "path": there.here.data(), "id": id});
    let look = async |ctx: &Context, id: &str| Backup.look_ahead(&args(call(id)), ctx).await;
    let here = crate::driver::testing::observing();
    let folder = there.here.repository().join(id(&made));
    for ctx in [&there.ctx, &here] {
        look(ctx, &id(&made)).await.unwrap();
        look(ctx, "latest").await.unwrap();
        assert!(look(ctx, "no-such").await.unwrap_err().message.contains("there is no backup `no-such`"));
        for (file, why) in [("data.tar.zst", "its data"), ("manifest.jsonl", "its manifest")] {
            let content = fs::read(folder.join(file)).unwrap();
            fs::write(folder.join(file), &content[1..]).unwrap();
            let failure = look(ctx, &id(&made)).await.unwrap_err();
            assert!(failure.message.contains(why), "{failure}");
            fs::remove_file(folder.join(file)).unwrap();
            let failure = look(ctx, &id(&made)).await.unwrap_err();
            assert!(failure.message.contains(&format!("{why} is not there")), "{failure}");
            fs::write(folder.join(file), content).unwrap();
        }
    }
}
