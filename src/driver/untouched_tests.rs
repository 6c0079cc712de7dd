//! What a driver says of a call that failed: whether there is anything to undo.

use std::path::Path;

use serde_json::{Value as Json, json};

use super::testing::{applying, args};
use super::{Failure, Recalled, standard};

async fn fails(driver: &str, call: Json, dir: &Path) -> Failure {
    let drivers = standard();
    let driver = drivers.get(driver).expect("it is there");
    assert!(driver.knows_untouched(), "{}", driver.schema().name);
    driver.run(&args(call), &applying(&dir.join("run"))).await.expect_err("it was to fail")
}

#[tokio::test]
async fn a_call_that_failed_before_it_changed_anything_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    std::fs::write(path("file"), "content").unwrap();
    std::fs::create_dir_all(path("full/of")).unwrap();
    let below = path("file/below");
    let closed = "postgres://nobody@127.0.0.1:1/none";
    for (driver, call) in [
        ("file", json!({"action": "write", "path": below, "content": "x"})),
        ("file", json!({"action": "copy", "source": path("absent"), "path": path("to")})),
        ("file", json!({"action": "copy", "source": path("file"), "path": below})),
        ("file", json!({"action": "move", "source": path("absent"), "path": path("to")})),
        ("file", json!({"action": "directory", "path": below})),
        ("file", json!({"action": "directory", "path": path("file")})),
        ("file", json!({"action": "symlink", "target": "x", "path": below})),
        ("file", json!({"action": "remove", "path": path("full")})),
        ("archive", json!({"action": "unpack", "path": path("file"), "to": path("to")})),
        ("archive", json!({"action": "unpack", "path": path("absent"), "to": path("to")})),
        ("archive", json!({"action": "unpack", "path": path("file"), "sha256": "0".repeat(64), "to": path("to")})),
        ("archive", json!({"action": "pack", "path": path("absent"), "to": path("a.tar.gz")})),
        ("archive", json!({"action": "pack", "path": path("full"), "to": path("absent/a.tar.gz")})),
        ("backup", json!({"action": "create", "repository": path("absent"), "path": path("none")})),
        ("backup", json!({"action": "list", "repository": path("file")})),
        ("kubernetes", json!({"action": "apply", "manifest": "a: b", "kubectl": path("absent")})),
        ("process", json!({"action": "start", "pid_file": path("pid"), "log_file": path("log"), "command": ["no-such-program"]})),
        ("backup", json!({"action": "restore", "repository": path("absent"), "path": path("to")})),
        ("postgres", json!({"action": "execute", "url": closed, "sql": "DROP TABLE t"})),
        ("postgres", json!({"action": "restore", "url": closed, "path": path("absent")})),
        ("http", json!({"url": "http://127.0.0.1:1/", "save_to": path("to")})),
    ] {
        let failure = fails(driver, call.clone(), dir.path()).await;
        assert!(failure.untouched || failure.kind == super::FailureKind::Invalid, "{driver} {call}: {failure:?}");
        assert!(!dir.path().join("to").exists(), "{driver} {call}");
        // Killed there, it is known, too.
        if ["archive", "backup", "postgres"].contains(&driver) {
            let drivers = standard();
            let (call, ctx) = (args(call.clone()), applying(&dir.path().join("run")));
            let recalled = drivers.get(driver).expect("it is there").recall(&call, &ctx).await.unwrap();
            assert_eq!(recalled, Recalled::Untouched, "{driver} {call:?}");
        }
        std::fs::remove_dir_all(dir.path().join("run")).ok();
    }
}

#[tokio::test]
async fn a_call_that_may_have_changed_something_does_not_say_that_it_has_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    std::fs::create_dir_all(path("from")).unwrap();
    let call = json!({"action": "remove", "repository": path("repository"), "id": "latest"});
    assert!(!fails("backup", call, dir.path()).await.untouched);
    // What was there lies aside by the time that the new one cannot come from another file system.
    let Ok(other) = tempfile::tempdir_in("/dev/shm") else { return };
    std::fs::create_dir_all(path("to")).unwrap();
    let call = json!({"action": "move", "source": other.path().display().to_string(), "path": path("to"), "keep": true});
    let failure = fails("file", call, dir.path()).await;
    assert!(!failure.untouched && failure.message.contains("different file systems"), "{failure:?}");
}
