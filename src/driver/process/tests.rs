//! Services that are really started.

use serde_json::json;

use super::*;
use crate::driver::testing::{applying, args, detail, hiding};

struct World {
    dir: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    fn ctx(&self) -> Context {
        applying(&self.dir.path().join("run"))
    }

    async fn run(&self, action: &str, more: serde_json::Value) -> Result<Value, Failure> {
        let mut all = json!({"action": action, "pid_file": self.path("pid"), "log_file": self.path("log"), "stop_timeout": "5s"});
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Process.run(&args(all), &self.ctx()).await
    }

    async fn stop(&self) -> Value {
        self.run("stop", json!({})).await.unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // A failed test leaves no service behind. Group 1 would mean every process of the machine: never that.
        let Ok(text) = std::fs::read(self.dir.path().join("pid")) else { return };
        let Ok(record) = serde_json::from_slice::<Record>(&text) else { return };
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", record.pid)).unwrap_or_default();
        let ours = record.pid > 1 && identity::state_and_start(&stat).is_some_and(|(_, start)| start == record.start);
        if ours && let Some(pid) = rustix::process::Pid::from_raw(record.pid) {
            let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
        }
    }
}

fn flag(value: &Value, name: &str) -> bool {
    value.get(name).unwrap().as_bool().unwrap()
}

#[tokio::test]
async fn a_service_is_started_once_seen_and_stopped_with_its_children() {
    let world = World::new();
    let service = json!({"shell": format!("sleep 300 & echo $! > {}; wait", world.path("child"))});
    let started = world.run("start", service.clone()).await.unwrap();
    assert!(flag(&started, "running") && flag(&started, "changed"), "{started:?}");
    let again = world.run("start", service.clone()).await.unwrap();
    assert!(!flag(&again, "changed"));
    assert_eq!(again.get("pid"), started.get("pid"));
    let (object, ctx) = (args(json!({"action": "status", "pid_file": world.path("pid")})), Context { dir: None, ..world.ctx() });
    assert!(flag(&Process.run(&object, &ctx).await.unwrap(), "running"));
    let other = world.run("start", json!({"command": ["sleep", "5"]})).await.unwrap_err();
    assert!(other.message.contains("another command"), "{other}");
    let stopped = world.stop().await;
    assert!(!flag(&stopped, "running") && flag(&stopped, "changed") && !flag(&stopped, "killed"));
    let child = std::fs::read_to_string(world.path("child")).unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.trim()));
    assert!(stat.is_err() || stat.unwrap().contains(") Z "));
    assert!(!flag(&world.stop().await, "changed"));
}

#[tokio::test]
async fn a_restart_is_another_process() {
    let world = World::new();
    let service = json!({"command": ["sleep", "300"]});
    let first = world.run("start", service.clone()).await.unwrap();
    let second = world.run("restart", service).await.unwrap();
    assert_ne!(first.get("pid"), second.get("pid"));
    world.stop().await;
}

#[tokio::test]
async fn a_service_deaf_to_the_signal_is_killed() {
    let world = World::new();
    world.run("start", json!({"shell": "trap '' TERM; while :; do sleep 1; done"})).await.unwrap();
    let stopped = world.run("stop", json!({"stop_timeout": "300ms"})).await.unwrap();
    assert!(flag(&stopped, "killed"));
}

#[tokio::test]
async fn a_service_that_ends_at_once_is_a_failure_with_its_last_words() {
    let world = World::new();
    let error = world.run("start", json!({"shell": "echo 'no licence' >&2; exit 1"})).await.unwrap_err();
    assert!(error.message.contains("no licence"), "{error}");
    assert_eq!(detail(&error, "log").as_str(), Some("no licence"));
    let error = world.run("start", json!({"command": ["no-such-program"]})).await.unwrap_err();
    assert!(error.message.contains("no-such-program"), "{error}");
}

#[tokio::test]
async fn a_pid_that_another_process_has_now_is_never_signalled() {
    let world = World::new();
    let mut bystander = std::process::Command::new("sleep").arg("300").spawn().unwrap();
    world.run("start", json!({"command": ["sleep", "300"]})).await.unwrap();
    let mut record: Record = serde_json::from_slice(&std::fs::read(world.path("pid")).unwrap()).unwrap();
    world.stop().await;
    // Same boot, same pid, another start: the pid was given to somebody else.
    record.pid = bystander.id() as i32;
    record.start += 1_000_000;
    std::fs::write(world.path("pid"), serde_json::to_vec(&record).unwrap()).unwrap();
    assert!(!flag(&world.stop().await, "changed"));
    // Another boot.
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", bystander.id())).unwrap();
    record.start = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(19).unwrap().parse().unwrap();
    record.boot = "another".to_owned();
    std::fs::write(world.path("pid"), serde_json::to_vec(&record).unwrap()).unwrap();
    assert!(!flag(&world.stop().await, "changed"));
    assert!(bystander.try_wait().unwrap().is_none(), "the bystander was killed");
    bystander.kill().unwrap();
    bystander.wait().unwrap();
}

#[tokio::test]
async fn children_of_a_service_that_died_are_stopped_too() {
    let world = World::new();
    world.run("start", json!({"shell": "sleep 300 & wait"})).await.unwrap();
    let record: Record = serde_json::from_slice(&std::fs::read(world.path("pid")).unwrap()).unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_raw(record.pid).unwrap(), rustix::process::Signal::KILL).unwrap();
    let ctx = world.ctx();
    for _ in 0..200 {
        if matches!(life(&ctx, &world.path("pid")).await.unwrap(), Life::Orphans(_)) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(world.run("start", json!({"command": ["sleep", "1"]})).await.unwrap_err().message.contains("still run"));
    assert!(flag(&world.stop().await, "changed"));
    assert_eq!(life(&ctx, &world.path("pid")).await.unwrap(), Life::Gone);
}

#[tokio::test]
async fn a_foreign_pid_file_is_refused() {
    // Only `status`: were it not refused, stopping group 1 would end every process of the machine.
    let world = World::new();
    std::fs::write(world.path("pid"), "4711\n").unwrap();
    assert!(world.run("status", json!({})).await.unwrap_err().message.contains("not a pid file of Windlass"));
    for pid in [1, 0, -1, -4711] {
        std::fs::write(world.path("pid"), format!(r#"{{"pid":{pid},"start":1,"boot":"b","command":"c","since":1}}"#)).unwrap();
        assert!(world.run("status", json!({})).await.unwrap_err().message.contains("which no service can be"), "{pid}");
    }
}

#[tokio::test]
async fn ready_means_that_the_port_accepts() {
    let world = World::new();
    let closed = { std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string() };
    let service = json!({"command": ["sleep", "300"], "ready": {"tcp": closed, "timeout": "300ms", "after": "0s"}});
    let error = world.run("start", service).await.unwrap_err();
    assert_eq!(error.kind, FailureKind::TimedOut);
    world.stop().await;
    let open = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let service = json!({"command": ["sleep", "300"], "ready": {"tcp": open.local_addr().unwrap().to_string()}});
    assert!(flag(&world.run("start", service).await.unwrap(), "running"));
    world.stop().await;
}

#[tokio::test]
async fn secrets_of_a_service_are_hidden_in_its_last_words() {
    let world = World::new();
    let object = args(json!({"action": "start", "pid_file": world.path("pid"), "log_file": world.path("log"),
        "shell": "echo $TOKEN and $OTHER; exit 1", "secrets": {"TOKEN": "t0ps3cret"}, "environment": {"OTHER": "0thers3cret"}}));
    let error = Process.run(&object, &hiding(world.ctx(), "0thers3cret")).await.unwrap_err();
    assert!(error.message.contains("(sensitive) and (sensitive)"), "{error}");
}

#[tokio::test]
async fn a_fact_cannot_stop_a_service() {
    let world = World::new();
    let object = args(json!({"action": "stop", "pid_file": world.path("pid")}));
    assert_eq!(Process.run(&object, &Context { dir: None, ..world.ctx() }).await.unwrap_err().kind, FailureKind::Invalid);
}

async fn failing(world: &World, action: &str, more: serde_json::Value) -> Failure {
    world.run(action, more).await.unwrap_err()
}

#[tokio::test]
async fn a_service_that_was_never_started_or_signalled_is_untouched_and_one_that_was_is_not() {
    let world = World::new();
    let sleeps = json!({"command": ["sleep", "300"]});
    std::fs::write(world.path("file"), "").unwrap();
    for more in [
        json!({"command": ["no-such-program"]}),
        json!({"command": ["/nowhere/program"]}),
        json!({"command": ["sleep", "300"], "directory": "/nowhere"}),
        json!({"command": ["sleep", "300"], "log_file": "/nowhere/log"}),
        json!({"command": ["sleep", "300"], "pid_file": "/nowhere/pid"}),
        // Nothing can even be looked at there.
        json!({"command": ["sleep", "300"], "pid_file": world.path("file/pid")}),
    ] {
        for action in ["start", "restart"] {
            let failure = failing(&world, action, more.clone()).await;
            assert!(failure.untouched, "{action} {more}: {failure:?}");
        }
    }
    // It was begun.
    assert!(!failing(&world, "start", json!({"shell": "exit 96"})).await.untouched);
    let closed = { std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string() };
    let unready = json!({"command": ["sleep", "300"], "ready": {"tcp": closed, "timeout": "100ms", "after": "0s"}});
    assert!(!failing(&world, "start", unready.clone()).await.untouched);
    assert!(!failing(&world, "start", unready).await.untouched, "an earlier try has started it");
    // It runs, and stays as it is.
    let other = json!({"command": ["sleep", "301"]});
    assert!(failing(&world, "start", other).await.untouched);
    // It was stopped first.
    assert!(!failing(&world, "restart", json!({"command": ["no-such-program"]})).await.untouched);
    assert!(!flag(&world.run("status", json!({})).await.unwrap(), "running"));
    world.run("start", sleeps).await.unwrap();
    world.stop().await;
}

#[tokio::test]
async fn a_call_that_was_killed_before_it_did_anything_is_known_to_be_untouched() {
    let world = World::new();
    let ctx = |name: &str| applying(&world.dir.path().join(name));
    let call = |action: &str| {
        args(json!({"action": action, "pid_file": world.path("pid"), "log_file": world.path("log"),
        "command": ["sleep", "300"]}))
    };
    assert_eq!(Process.recall(&call("start"), &ctx("start")).await.unwrap(), Recalled::Untouched);
    // One that was paused and wakes does nothing any more.
    let woken = Process.run(&call("start"), &ctx("start")).await.unwrap_err();
    assert!(woken.untouched && woken.message.contains("taken the run over"), "{woken:?}");
    assert!(!flag(&world.run("status", json!({})).await.unwrap(), "running"));
    Process.run(&call("start"), &ctx("again")).await.unwrap();
    assert_eq!(Process.recall(&call("start"), &ctx("again")).await.unwrap(), Recalled::Unknown);
    assert_eq!(Process.recall(&call("stop"), &ctx("stop")).await.unwrap(), Recalled::Untouched);
    assert!(Process.run(&call("stop"), &ctx("stop")).await.unwrap_err().untouched);
    assert!(flag(&world.run("status", json!({})).await.unwrap(), "running"));
    world.stop().await;
    let same = Context { earlier: vec![world.dir.path().join("again")], ..ctx("later") };
    assert_eq!(Process.recall(&call("start"), &same).await.unwrap(), Recalled::Unknown);
}
