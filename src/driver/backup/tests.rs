//! `backup` with real folders: what is restored is the same, and what goes wrong leaves what was there.
#![expect(clippy::disallowed_methods, reason = "tests make and look at files")]

use std::fs::{self, File};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::time::{Duration, SystemTime};

use serde_json::json;

use super::*;
use crate::driver::testing::{applying, args};

pub(super) struct Place {
    dir: tempfile::TempDir,
    /// The folders of steps.
    steps: tempfile::TempDir,
    more: Vec<(String, String)>,
}

impl Place {
    /// A folder `data` with all that a backup must keep, and a repository that is not there yet.
    pub(super) fn new() -> Self {
        Self::with(&[])
    }

    /// The same, with these arguments in every call.
    pub(super) fn with(more: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        fs::create_dir_all(data.join("a/empty")).unwrap();
        fs::create_dir_all(data.join("logs")).unwrap();
        fs::write(data.join("a/one"), vec![1; 200_000]).unwrap();
        fs::write(data.join("a/none"), "").unwrap();
        fs::write(data.join("logs/log"), "log").unwrap();
        fs::write(data.join("é ü\n"), "name").unwrap();
        fs::write(data.join("n".repeat(200)), "long").unwrap();
        fs::write(data.join(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"\xff\xfe")), "raw").unwrap();
        fs::hard_link(data.join("a/one"), data.join("z-same")).unwrap();
        symlink("a/one", data.join("link")).unwrap();
        symlink("/nowhere/at/all", data.join("dangling")).unwrap();
        fs::set_permissions(data.join("a/none"), fs::Permissions::from_mode(0o4711)).unwrap();
        fs::set_permissions(data.join("a/empty"), fs::Permissions::from_mode(0o500)).unwrap();
        let then = SystemTime::UNIX_EPOCH + Duration::new(1_500_000_000, 123_456_789);
        File::options().append(true).open(data.join("a/one")).unwrap().set_modified(then).unwrap();
        fs::set_permissions(&data, fs::Permissions::from_mode(0o750)).unwrap();
        let steps = tempfile::tempdir().unwrap();
        Self { dir, steps, more: more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect() }
    }

    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(super) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub(super) fn repository(&self) -> PathBuf {
        self.dir.path().join("backups")
    }

    pub(super) async fn run(&self, more: serde_json::Value) -> Result<Value, Failure> {
        let dir = tempfile::tempdir_in(self.steps.path()).unwrap().keep();
        self.run_in(more, &applying(&dir)).await
    }

    pub(super) async fn run_in(&self, more: serde_json::Value, ctx: &Context) -> Result<Value, Failure> {
        let mut call = json!({"repository": self.repository(), "path": self.data()});
        let call_object = call.as_object_mut().unwrap();
        call_object.extend(self.more.iter().map(|(name, value)| (name.clone(), json!(value))));
        call_object.extend(more.as_object().unwrap().clone());
        Backup.run(&args(call), ctx).await
    }

    pub(super) async fn create(&self) -> String {
        id(&self.run(json!({"action": "create"})).await.unwrap())
    }

    /// What stands in the repository's folder, visible or not.
    fn kept(&self) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(self.repository()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| name != ".lock");
        names.sort();
        names
    }
}

pub(super) fn id(result: &Value) -> String {
    result.get("backup").unwrap().get("id").unwrap().as_str().unwrap().to_owned()
}

/// Everything about a tree that a backup keeps.
pub(super) fn fingerprint(root: &Path) -> Vec<String> {
    let nothing = walk::globs(&[]).unwrap();
    let describe = |found: walk::Found| {
        let metadata = &found.metadata;
        let content = if metadata.is_file() { fs::read(root.join(&found.path)).unwrap() } else { Vec::new() };
        let time = if metadata.is_symlink() { (0, 0) } else { (metadata.mtime(), metadata.mtime_nsec()) };
        let links = if metadata.is_file() { metadata.nlink() } else { 0 };
        format!(
            "{:?} {:o} {}:{} {time:?} {links} {:?} {:?}",
            found.path,
            metadata.mode(),
            metadata.uid(),
            metadata.gid(),
            found.target,
            content
        )
    };
    walk::walk(root, &nothing).unwrap().found.into_iter().map(describe).collect()
}

#[tokio::test]
async fn what_is_restored_is_the_same_in_everything() {
    let place = Place::new();
    let before = fingerprint(&place.data());
    let result = place.run(json!({"action": "create", "labels": {"instance": "x"}})).await.unwrap();
    let backup = result.get("backup").unwrap();
    assert_eq!(backup.get("verified"), Some(&true.into()));
    assert_eq!(backup.get("method").unwrap().as_str(), Some("tar"));
    assert_eq!(backup.get("location").unwrap().as_str(), place.repository().to_str());
    fs::remove_dir_all(place.data().join("a")).unwrap();
    fs::write(place.data().join("new"), "after the backup").unwrap();
    place.run(json!({"action": "restore", "id": id(&result)})).await.unwrap();
    assert_eq!(fingerprint(&place.data()), before);
    assert_eq!(fs::metadata(place.data()).unwrap().mode() & 0o7777, 0o750);
    assert_eq!(fs::read_dir(place.dir.path()).unwrap().count(), 2, "nothing is left beside");
    // Where nothing is, too.
    fs::remove_dir_all(place.data()).unwrap();
    place.run(json!({"action": "restore", "id": "latest"})).await.unwrap();
    assert_eq!(fingerprint(&place.data()), before);
}

#[tokio::test]
async fn standard_tools_read_a_backup() {
    let place = Place::new();
    let id = place.create().await;
    let out = place.dir.path().join("out");
    fs::create_dir(&out).unwrap();
    let data = place.repository().join(&id).join("data.tar.zst");
    let status = std::process::Command::new("sh")
        .args(["-c", "if command -v zstd >/dev/null; then zstd -dc \"$1\" | tar -C \"$2\" -xpf -; else exit 99; fi", "sh"])
        .args([&data, &out])
        .status()
        .unwrap();
    if status.code() == Some(99) {
        return;
    }
    assert!(status.success());
    assert_eq!(fs::read(out.join("z-same")).unwrap(), vec![1; 200_000]);
    assert_eq!(fs::read_to_string(out.join("é ü\n")).unwrap(), "name");
}

#[tokio::test]
async fn what_is_left_out_survives_a_restore() {
    let place = Place::new();
    place.run(json!({"action": "create", "exclude": ["logs", "**/*.tmp"]})).await.unwrap();
    fs::write(place.data().join("logs/log"), "newer").unwrap();
    fs::write(place.data().join("a/x.tmp"), "tmp").unwrap();
    fs::write(place.data().join("a/one"), "changed").unwrap();
    let result = place.run(json!({"action": "restore", "id": "latest"})).await.unwrap();
    assert_eq!(result.get("carried"), Some(&2i64.into()));
    assert_eq!(fs::read_to_string(place.data().join("logs/log")).unwrap(), "newer");
    assert_eq!(fs::read_to_string(place.data().join("a/x.tmp")).unwrap(), "tmp");
    assert_eq!(fs::read(place.data().join("a/one")).unwrap(), vec![1; 200_000]);
}

#[tokio::test]
async fn the_content_before_can_be_kept() {
    let place = Place::new();
    let id = place.create().await;
    fs::write(place.data().join("mine"), "1").unwrap();
    for count in 1..=2 {
        let result = place.run(json!({"action": "restore", "id": id, "keep_previous": true})).await.unwrap();
        let previous = result.get("previous").unwrap().as_list().unwrap()[0].as_str().unwrap().to_owned();
        assert_eq!(Path::new(&previous).join("mine").exists(), count == 1, "{previous}");
    }
    let first = place.dir.path().join(format!("data.before-restore-{id}"));
    assert!(first.join("mine").exists() && !place.data().join("mine").exists());
}

#[tokio::test]
async fn holes_stay_holes() {
    let place = Place::new();
    let file = File::create(place.data().join("sparse")).unwrap();
    file.set_len(200 << 20).unwrap();
    file.write_all_at(b"middle", 100 << 20).unwrap();
    drop(file);
    place.create().await;
    fs::remove_file(place.data().join("sparse")).unwrap();
    place.run(json!({"action": "restore", "id": "latest"})).await.unwrap();
    let metadata = fs::metadata(place.data().join("sparse")).unwrap();
    assert_eq!(metadata.len(), 200 << 20);
    assert!(metadata.blocks() * 512 < 10 << 20, "{} blocks", metadata.blocks());
    let mut middle = [0; 6];
    File::open(place.data().join("sparse")).unwrap().read_exact_at(&mut middle, 100 << 20).unwrap();
    assert_eq!(&middle, b"middle");
}

#[tokio::test]
async fn files_of_a_database_go_together_and_leave_the_rest_alone() {
    let place = Place::new();
    let data = place.data();
    fs::write(data.join("x.db"), "db").unwrap();
    fs::write(data.join("x.db-wal"), "wal").unwrap();
    place.run(json!({"action": "create", "files": ["x.db"]})).await.unwrap();
    fs::write(data.join("x.db"), "newer").unwrap();
    fs::remove_file(data.join("x.db-wal")).unwrap();
    fs::write(data.join("x.db-shm"), "belongs to the newer one").unwrap();
    fs::write(data.join("other"), "other").unwrap();
    place.run(json!({"action": "restore", "id": "latest"})).await.unwrap();
    assert_eq!(fs::read_to_string(data.join("x.db")).unwrap(), "db");
    assert_eq!(fs::read_to_string(data.join("x.db-wal")).unwrap(), "wal");
    assert!(!data.join("x.db-shm").exists(), "a stale file would damage the database");
    assert_eq!(fs::read_to_string(data.join("other")).unwrap(), "other");
    assert!(data.join("a/one").exists());
    let left: Vec<_> = fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains("restore")), "{left:?}");
}

#[tokio::test]
async fn a_single_file_is_backed_up_and_restored() {
    let place = Place::new();
    let path = place.data().join("a/one");
    place.run(json!({"action": "create", "path": path})).await.unwrap();
    fs::write(&path, "changed").unwrap();
    place.run(json!({"action": "restore", "path": path, "id": "latest"})).await.unwrap();
    assert_eq!(fs::read(&path).unwrap(), vec![1; 200_000]);
}

#[tokio::test]
async fn a_source_that_changes_meanwhile_is_told() {
    let place = Place::new();
    for number in 0..40 {
        fs::write(place.data().join(format!("big{number}")), vec![number; 1_000_000]).unwrap();
    }
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (path, stopped) = (place.data().join("growing"), stop.clone());
    fs::write(&path, "0").unwrap();
    let writer = std::thread::spawn(move || {
        use std::io::Write as _;
        let mut file = File::options().append(true).open(path).unwrap();
        while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
            file.write_all(b"more").unwrap();
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    let refused = place.run(json!({"action": "create"})).await;
    let allowed = place.run(json!({"action": "create", "allow_inconsistent": true})).await;
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    writer.join().unwrap();
    let error = refused.unwrap_err();
    assert!(error.message.contains("`growing`"), "{error}");
    let allowed = allowed.unwrap();
    assert_eq!(allowed.get("backup").unwrap().get("consistent"), Some(&false.into()));
    assert_eq!(allowed.get("backup").unwrap().get("verified"), Some(&true.into()));
    assert_eq!(place.kept().len(), 1, "the refused one is gone");
}

#[tokio::test]
async fn a_damaged_backup_is_found_out_and_restores_nothing() {
    for name in ["data.tar.zst", "manifest.jsonl"] {
        let place = Place::new();
        let id = place.create().await;
        let before = fingerprint(&place.data());
        let path = place.repository().join(&id).join(name);
        let whole = fs::read(&path).unwrap();
        let mut flipped = whole.clone();
        let middle = flipped.len() / 2;
        flipped[middle] ^= 1;
        for wrong in [&flipped, &whole[..whole.len() - 1].to_vec(), &Vec::new()] {
            fs::write(&path, wrong).unwrap();
            for action in ["verify", "restore"] {
                let error = place.run(json!({"action": action, "id": id})).await.unwrap_err();
                assert!(error.message.contains("damaged"), "{name} {action}: {error}");
            }
            assert_eq!(fingerprint(&place.data()), before);
            assert_eq!(fs::read_dir(place.dir.path()).unwrap().count(), 2);
        }
        fs::write(&path, &whole).unwrap();
        place.run(json!({"action": "verify", "id": id})).await.unwrap();
    }
}

#[tokio::test]
async fn what_was_interrupted_is_no_backup_and_is_cleared() {
    let place = Place::new();
    let repository = place.repository();
    fs::create_dir_all(repository.join(".20200101T000000Z-aaaaaaaa.partial")).unwrap();
    fs::create_dir_all(repository.join("somebodys")).unwrap();
    let listed = place.run(json!({"action": "list"})).await.unwrap();
    assert_eq!(listed.get("backups").unwrap().as_list().unwrap().len(), 0);
    // While another one writes, nobody knows whose it is.
    let other = File::create(repository.join(".lock")).unwrap();
    other.lock_shared().unwrap();
    let first = place.create().await;
    assert_eq!(place.kept(), [".20200101T000000Z-aaaaaaaa.partial", &first, "somebodys"]);
    drop(other);
    let second = place.create().await;
    // Of one second: by their names, either may stand first.
    let mut both = [first, second];
    both.sort();
    assert_eq!(place.kept(), [both.as_slice(), &["somebodys".to_owned()]].concat());
}

#[tokio::test]
async fn a_backup_that_is_cancelled_leaves_nothing() {
    let place = Place::new();
    let ctx = applying(place.dir.path());
    ctx.cancel.cancel();
    let call = json!({"action": "create", "repository": place.repository(), "path": place.data()});
    let error = Backup.run(&args(call), &ctx).await.unwrap_err();
    assert_eq!(error.kind, FailureKind::Cancelled);
    assert!(!place.repository().exists());
}

#[tokio::test]
async fn old_backups_go_and_those_of_others_stay() {
    let place = Place::new();
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(id(&place.run(json!({"action": "create", "labels": {"instance": "x"}})).await.unwrap()));
    }
    let other = id(&place.run(json!({"action": "create", "labels": {"instance": "y"}})).await.unwrap());
    let result = place.run(json!({"action": "prune", "keep_last": 1, "labels": {"instance": "x"}})).await.unwrap();
    assert_eq!(result.get("removed").unwrap().as_list().unwrap().len(), 2);
    let mut left = vec![ids[2].clone(), other];
    left.sort();
    assert_eq!(place.kept(), left);
    place.run(json!({"action": "prune", "keep_last": 0, "labels": {"instance": "x"}})).await.unwrap();
    assert_eq!(place.kept(), left, "the newest verified one stays");
    place.run(json!({"action": "remove", "id": ids[2]})).await.unwrap();
    assert_eq!(place.kept().len(), 1);
}

#[tokio::test]
async fn sockets_are_told_and_not_kept() {
    let place = Place::new();
    let _socket = std::os::unix::net::UnixListener::bind(place.data().join("sock")).unwrap();
    let result = place.run(json!({"action": "create"})).await.unwrap();
    assert_eq!(result.get("skipped").unwrap().as_list().unwrap(), [Value::string("sock")]);
}

#[tokio::test]
async fn senseless_calls_are_refused() {
    let place = Place::new();
    let inside = place.data().join("backups");
    for wrong in [
        json!({}),
        json!({"action": "x"}),
        json!({"action": "create", "method": "restic"}),
        json!({"action": "create", "method": "zip"}),
        json!({"action": "create", "set": {"parts": ["a"]}}),
        json!({"action": "create", "set": {"part": "b", "parts": ["a"]}}),
        json!({"action": "create", "repository": inside}),
        json!({"action": "create", "compression": 20}),
        json!({"action": "create", "files": ["../x"]}),
        json!({"action": "create", "files": ["a"], "exclude": ["b"]}),
        json!({"action": "create", "exclude": ["["]}),
        json!({"action": "restore"}),
        json!({"action": "prune"}),
        json!({"action": "remove", "id": "latest"}),
        json!({"action": "remove", "id": "../data"}),
    ] {
        assert_eq!(place.run(wrong.clone()).await.unwrap_err().kind, FailureKind::Invalid, "{wrong}");
    }
    for wrong in [
        json!({"action": "restore", "id": "absent"}),
        json!({"action": "restore", "id": "latest"}),
        json!({"action": "create", "path": "/no/such/folder"}),
        json!({"action": "create", "files": ["absent"]}),
    ] {
        assert_eq!(place.run(wrong.clone()).await.unwrap_err().kind, FailureKind::Failed, "{wrong}");
    }
    // Inside is fine where it is left out.
    place.run(json!({"action": "create", "repository": inside, "exclude": ["backups"]})).await.unwrap();
}
