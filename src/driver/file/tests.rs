//! `file` on real file systems.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use serde_json::json;

use super::*;
use crate::driver::testing::{applying, args, hiding, observing};

struct World {
    dir: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join("host").join(name).to_str().unwrap().to_owned()
    }

    /// A step's call with a folder of its own.
    async fn step(&self, step: &str, json: serde_json::Value) -> Result<Value, Failure> {
        fs::create_dir_all(self.dir.path().join("host")).unwrap();
        let ctx = Context { key: step.to_owned(), ..applying(&self.dir.path().join("run").join(step)) };
        File.run(&args(json), &ctx).await
    }

    async fn undo(&self, step: &Value) -> Result<Value, Failure> {
        let saved = step.get("saved").unwrap().as_str().expect("nothing was saved").to_owned();
        self.step("undo", json!({"action": "restore", "saved": saved})).await
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.dir.path().join("host"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

#[tokio::test]
async fn what_was_written_over_is_put_back_with_mode() {
    let world = World::new();
    let path = world.path("conf");
    fs::create_dir_all(world.path("")).unwrap();
    fs::write(&path, b"old \xff bytes").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let did = world.step("w", json!({"action": "write", "path": path, "content": "new", "mode": "0644"})).await.unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "new");
    // The same attempt again, as after a crash, does not take "new" for what was there before.
    world.step("w", json!({"action": "write", "path": path, "content": "new", "mode": "0644"})).await.unwrap();
    world.undo(&did).await.unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"old \xff bytes");
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
    world.undo(&did).await.unwrap();
}

#[tokio::test]
async fn what_was_not_there_is_not_there_again() {
    let world = World::new();
    let path = world.path("conf");
    let did = world.step("w", json!({"action": "write", "path": path, "content": "new"})).await.unwrap();
    world.undo(&did).await.unwrap();
    assert_eq!(world.names(), Vec::<String>::new());
}

#[tokio::test]
async fn writing_through_a_link_keeps_what_it_leads_to() {
    let world = World::new();
    let (real, link) = (world.path("real"), world.path("link"));
    fs::create_dir_all(world.path("")).unwrap();
    fs::write(&real, "old").unwrap();
    std::os::unix::fs::symlink("real", &link).unwrap();
    let did = world.step("w", json!({"action": "write", "path": link, "content": "new"})).await.unwrap();
    assert_eq!(fs::read_to_string(&real).unwrap(), "new");
    world.undo(&did).await.unwrap();
    assert_eq!(fs::read_to_string(&real).unwrap(), "old");
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
}

#[tokio::test]
async fn a_link_is_turned_and_turned_back() {
    let world = World::new();
    let path = world.path("current");
    fs::create_dir_all(world.path("")).unwrap();
    std::os::unix::fs::symlink("v1", &path).unwrap();
    let did = world.step("l", json!({"action": "symlink", "path": path, "target": "v2"})).await.unwrap();
    assert_eq!(fs::read_link(&path).unwrap().to_str(), Some("v2"));
    world.undo(&did).await.unwrap();
    assert_eq!(fs::read_link(&path).unwrap().to_str(), Some("v1"));
}

#[tokio::test]
async fn a_directory_removed_with_keep_comes_back_whole() {
    let world = World::new();
    let path = world.path("lib");
    fs::create_dir_all(world.path("lib/deep")).unwrap();
    fs::write(world.path("lib/deep/a.jar"), "x").unwrap();
    let remove = json!({"action": "remove", "path": path, "recursive": true, "keep": true});
    let did = world.step("r", remove.clone()).await.unwrap();
    assert!(!Path::new(&path).exists());
    world.step("r", remove).await.unwrap();
    // Something else came in its place meanwhile.
    fs::create_dir(&path).unwrap();
    world.undo(&did).await.unwrap();
    assert_eq!(fs::read_to_string(world.path("lib/deep/a.jar")).unwrap(), "x");
    assert_eq!(world.names(), ["lib"]);
    world.undo(&did).await.unwrap();
    assert_eq!(world.names(), ["lib"]);
}

#[tokio::test]
async fn a_directory_is_not_removed_by_mistake() {
    let world = World::new();
    fs::create_dir_all(world.path("lib/deep")).unwrap();
    assert!(world.step("a", json!({"action": "remove", "path": world.path("lib")})).await.unwrap_err().help.is_some());
    for (index, near) in ["/", "/usr", "//usr/", "/usr/lib/../..", "/./usr"].iter().enumerate() {
        let error =
            world.step(&format!("n{index}"), json!({"action": "remove", "path": near, "recursive": true})).await.unwrap_err();
        assert_eq!(error.kind, FailureKind::Invalid, "{near}");
    }
}

#[tokio::test]
async fn a_tree_is_copied_whole_or_not_at_all() {
    let world = World::new();
    fs::create_dir_all(world.path("from/deep")).unwrap();
    fs::write(world.path("from/deep/f"), "x").unwrap();
    fs::set_permissions(world.path("from/deep/f"), fs::Permissions::from_mode(0o751)).unwrap();
    world.step("c", json!({"action": "copy", "source": world.path("from"), "path": world.path("to")})).await.unwrap();
    assert_eq!(fs::metadata(world.path("to/deep/f")).unwrap().mode() & 0o7777, 0o751);
    let again =
        world.step("c2", json!({"action": "copy", "source": world.path("from"), "path": world.path("to")})).await.unwrap_err();
    assert!(again.message.contains("is there already"), "{again}");
    let into =
        world.step("c3", json!({"action": "copy", "source": world.path("from"), "path": world.path("from/in")})).await.unwrap_err();
    assert_eq!(into.kind, FailureKind::Invalid);
    assert_eq!(world.names(), ["from", "to"]);
}

#[tokio::test]
async fn a_move_is_repeatable_and_reversible() {
    let world = World::new();
    fs::create_dir_all(world.path("")).unwrap();
    fs::write(world.path("a"), "a").unwrap();
    fs::write(world.path("b"), "b").unwrap();
    let order = json!({"action": "move", "source": world.path("a"), "path": world.path("b")});
    let did = world.step("m", order.clone()).await.unwrap();
    assert_eq!(world.step("m", order).await.unwrap().get("changed"), Some(&false.into()));
    assert_eq!(fs::read_to_string(world.path("b")).unwrap(), "a");
    world.undo(&did).await.unwrap();
    assert_eq!(fs::read_to_string(world.path("b")).unwrap(), "b");
}

#[tokio::test]
async fn reading_gives_content_digest_and_parsed_forms() {
    let world = World::new();
    fs::create_dir_all(world.path("")).unwrap();
    fs::write(world.path("v.json"), "{\"product_version\": \"13.4.1\"}\n").unwrap();
    let read = |json| async move { File.run(&args(json), &observing()).await };
    let result = read(json!({"path": world.path("v.json"), "parse": "json"})).await.unwrap();
    assert_eq!(result.get("json").unwrap().get("product_version").unwrap().as_str(), Some("13.4.1"));
    assert_eq!(result.get("sha256").unwrap().as_str().map(str::len), Some(64));
    let absent = read(json!({"path": world.path("gone"), "parse": "json"})).await.unwrap();
    assert_eq!(
        (absent.get("exists"), absent.get("content"), absent.get("json")),
        (Some(&false.into()), Some(&Value::Null), Some(&Value::Null))
    );
    assert!(read(json!({"path": world.path("gone"), "required": true})).await.unwrap_err().message.contains("does not exist"));
    assert!(read(json!({"path": world.path("")})).await.unwrap_err().message.contains("no file, but directory"));
    fs::write(world.path("bin"), b"\xff\x00").unwrap();
    assert_eq!(read(json!({"path": world.path("bin")})).await.unwrap().get("content"), Some(&Value::Null));
    assert!(read(json!({"path": world.path("bin"), "parse": "lines"})).await.is_err());
    fs::write(world.path("big"), vec![b'x'; 2 << 20]).unwrap();
    let big = read(json!({"path": world.path("big")})).await.unwrap();
    assert_eq!((big.get("truncated"), big.get("sha256")), (Some(&true.into()), Some(&Value::Null)));
    assert!(read(json!({"path": world.path("big"), "limit": "1TiB"})).await.is_err());
}

#[tokio::test]
async fn the_digest_of_a_big_file_is_computed_where_it_lies() {
    let world = World::new();
    fs::create_dir_all(world.path("")).unwrap();
    fs::write(world.path("odd\\name"), "abc").unwrap();
    let result =
        File.run(&args(json!({"action": "stat", "path": world.path("odd\\name"), "digest": true})), &observing()).await.unwrap();
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(result.get("sha256").unwrap().as_str(), Some(abc));
}

#[tokio::test]
async fn names_are_listed_by_pattern() {
    let world = World::new();
    fs::create_dir_all(world.path("")).unwrap();
    for name in ["b.jar", "a.jar", "c.txt"] {
        fs::write(world.path(name), "").unwrap();
    }
    let result = File.run(&args(json!({"action": "list", "path": world.path(""), "glob": "*.jar"})), &observing()).await.unwrap();
    let names: Vec<_> = result
        .get("entries")
        .unwrap()
        .as_list()
        .unwrap()
        .iter()
        .map(|entry| entry.get("name").unwrap().as_str().unwrap())
        .collect();
    assert_eq!(names, ["a.jar", "b.jar"]);
    assert!(File.run(&args(json!({"action": "list", "path": "/", "glob": "[a"})), &observing()).await.is_err());
}

#[tokio::test]
async fn a_fact_changes_nothing() {
    let world = World::new();
    let order = args(json!({"action": "write", "path": world.path("x"), "content": ""}));
    assert_eq!(File.run(&order, &observing()).await.unwrap_err().kind, FailureKind::Invalid);
    assert!(!Path::new(&world.path("x")).exists());
}

#[tokio::test]
async fn a_preview_is_a_diff_without_secrets() {
    let world = World::new();
    fs::create_dir_all(world.path("")).unwrap();
    let path = world.path("conf");
    let preview = |content: &'static str| {
        let order = args(json!({"action": "write", "path": path, "content": content}));
        async move { File.preview(&order, &hiding(observing(), "hunter22")).await.unwrap() }
    };
    assert!(preview("a\n").await[0].text.starts_with("--- /dev/null\n+++ "));
    fs::write(&path, "a\nkey=hunter22\n").unwrap();
    assert_eq!(preview("a\nkey=hunter22\n").await, []);
    let text = &preview("b\nkey=hunter22\n").await[0].text.clone();
    assert!(text.contains("-a\n+b\n key=(sensitive)\n"), "{text}");
    fs::write(&path, b"\x00\xff").unwrap();
    assert_eq!(preview("b\n").await[0].text, "binary or long: 2 bytes -> 2 bytes\n");
}

#[tokio::test]
#[expect(clippy::print_stderr, reason = "a test that is skipped says why")]
async fn a_full_disk_leaves_the_old_content() {
    let world = World::new();
    let mount = world.path("disk");
    fs::create_dir_all(&mount).unwrap();
    let mounted = rustix::process::geteuid().is_root()
        && std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=64k", "tmpfs", &mount])
            .status()
            .is_ok_and(|status| status.success());
    if !mounted {
        eprintln!("skipped: a small file system cannot be mounted here");
        return;
    }
    let path = format!("{mount}/conf");
    fs::write(&path, "old").unwrap();
    let full = world.step("w", json!({"action": "write", "path": path, "content": "x".repeat(200_000)})).await;
    let (content, names) = (fs::read_to_string(&path).unwrap(), fs::read_dir(&mount).unwrap().count());
    let _ = std::process::Command::new("mount").args(["-o", "remount,ro", &mount]).status();
    let read_only = world.step("ro", json!({"action": "write", "path": path, "content": "new"})).await;
    std::process::Command::new("umount").arg(&mount).status().unwrap();
    let full = full.unwrap_err();
    assert!(full.message.ends_with("no space left on its file system") && full.help.is_some(), "{full}");
    assert_eq!((content.as_str(), names), ("old", 1));
    assert!(read_only.unwrap_err().message.contains("read-only"));
}

#[tokio::test]
async fn what_was_kept_and_damaged_is_not_put_back() {
    let world = World::new();
    fs::create_dir_all(world.path("")).unwrap();
    fs::write(world.path("f"), "old").unwrap();
    let did = world.step("w", json!({"action": "write", "path": world.path("f"), "content": "new"})).await.unwrap();
    let saved = did.get("saved").unwrap().as_str().unwrap();
    fs::write(Path::new(saved).join("content"), "olx").unwrap();
    assert!(world.undo(&did).await.unwrap_err().message.contains("damaged"));
    fs::remove_dir_all(saved).unwrap();
    assert!(world.undo(&did).await.unwrap_err().help.is_some());
    assert_eq!(fs::read_to_string(world.path("f")).unwrap(), "new");
}

/// What is known of a call in `run/STEP/TRY` by one who looks later.
async fn recall(world: &World, step: &str, number: u32, json: serde_json::Value) -> Recalled {
    let folder = |number: u32| world.dir.path().join("run").join(step).join(number.to_string());
    let earlier = (1..number).map(folder).collect();
    File.recall(&args(json), &Context { key: step.to_owned(), earlier, ..applying(&folder(number)) }).await.unwrap()
}

#[tokio::test]
async fn what_leads_back_is_known_without_the_end_of_the_call() {
    let world = World::new();
    fs::create_dir_all(world.path("")).unwrap();
    fs::write(world.path("a"), "old").unwrap();
    let write = json!({"action": "write", "path": world.path("a"), "content": "new"});
    assert_eq!(recall(&world, "none", 1, write.clone()).await, Recalled::Untouched);
    let did = world.step("w/1", write.clone()).await.unwrap();
    let Recalled::Partly(known) = recall(&world, "w", 2, write.clone()).await else { panic!("nothing is known") };
    assert_eq!(known.get("saved"), did.get("saved"));
    world.undo(&known).await.unwrap();
    assert_eq!(fs::read_to_string(world.path("a")).unwrap(), "old");
    // A step that keeps nothing says nothing.
    let careless = json!({"action": "write", "path": world.path("a"), "content": "new", "keep": false});
    assert_eq!(recall(&world, "careless", 1, careless).await, Recalled::Unknown);
    let gone = json!({"action": "remove", "path": world.path("a"), "recursive": true});
    assert_eq!(recall(&world, "gone", 1, gone).await, Recalled::Unknown);
}

#[tokio::test]
async fn a_process_that_wakes_after_it_was_given_up_changes_nothing() {
    let world = World::new();
    let write = json!({"action": "write", "path": world.path("a"), "content": "new"});
    assert_eq!(recall(&world, "w", 1, write.clone()).await, Recalled::Untouched);
    assert_eq!(world.step("w/1", write).await.unwrap_err().kind, FailureKind::Cancelled);
    assert_eq!(world.names(), Vec::<String>::new());
}

#[tokio::test]
async fn a_later_try_saves_what_was_there_before_the_first() {
    let world = World::new();
    fs::create_dir_all(world.path("from")).unwrap();
    fs::create_dir_all(world.path("to")).unwrap();
    fs::write(world.path("to/old"), "").unwrap();
    fs::write(world.path("a"), "old").unwrap();
    for call in [
        json!({"action": "write", "path": world.path("a"), "content": "new"}),
        json!({"action": "copy", "source": world.path("from"), "path": world.path("to"), "keep": true}),
        json!({"action": "copy", "source": world.path("from"), "path": world.path("beside"), "keep": true}),
    ] {
        let folder = |number: u32| world.dir.path().join("run").join(call.to_string().len().to_string()).join(number.to_string());
        let first = File.run(&args(call.clone()), &applying(&folder(1))).await.unwrap();
        let again = Context { earlier: vec![folder(1)], ..applying(&folder(2)) };
        let second = File.run(&args(call.clone()), &again).await.unwrap();
        assert_eq!(second.get("saved"), first.get("saved"), "{call}");
        world.undo(&second).await.unwrap();
    }
    assert_eq!(fs::read_to_string(world.path("a")).unwrap(), "old");
    assert_eq!(fs::read_dir(world.path("to")).unwrap().count(), 1);
    assert_eq!(world.names(), ["a", "from", "to"]);
}
