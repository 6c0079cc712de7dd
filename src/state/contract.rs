//! What every store must do; each implementation's tests call [`suite`].

use jiff::Timestamp;

use super::{Holder, Outcome, RunRecord, StateError, Store};
use crate::lock::Lock;
use crate::model::name::{Digest, EnvironmentName, RunId};

pub(crate) fn holder(id: &str) -> Holder {
    Holder {
        id: id.to_owned(),
        who: format!("somebody@{}", super::local::host_name()),
        pid: std::process::id(),
        operation: "apply".to_owned(),
        run: None,
        since: Timestamp::now(),
        heartbeat: Timestamp::now(),
    }
}

pub(crate) async fn suite(store: &dyn Store) {
    let test = EnvironmentName::new("test");
    assert_eq!(store.read(&test).await.expect("readable"), None, "nothing was written yet");
    writes_follow_each_other(store, &test).await;
    one_writer(store, &test).await;
    a_broken_lease_is_fenced(store, &test).await;
    other_environments_are_free(store).await;
    content_is_kept(store).await;
    history_is_newest_first(store).await;
}

async fn writes_follow_each_other(store: &dyn Store, test: &EnvironmentName) {
    let lease = store.acquire(test, &holder("writer")).await.expect("free");
    let mut lock = Lock::fresh(test.clone(), "lineage-1".into());
    lock.serial = 1;
    store.write(&lock, &lease).await.expect("the first write");
    assert_eq!(store.read(test).await.expect("readable").as_ref(), Some(&lock));
    assert!(matches!(store.write(&lock, &lease).await, Err(StateError::Moved { .. })), "the same serial twice");
    lock.serial = 3;
    assert!(matches!(store.write(&lock, &lease).await, Err(StateError::Moved { .. })), "a serial left out");
    let mut other = Lock::fresh(test.clone(), "lineage-2".into());
    other.serial = 2;
    assert!(matches!(store.write(&other, &lease).await, Err(StateError::Lineage { .. })), "another lineage");
    lock.serial = 2;
    store.write(&lock, &lease).await.expect("the second write");
    store.release(&lease).await.expect("given back");
    lock.serial = 3;
    assert!(matches!(store.write(&lock, &lease).await, Err(StateError::Fenced(_))), "a lease that was given back");
}

async fn one_writer(store: &dyn Store, test: &EnvironmentName) {
    let first = store.acquire(test, &holder("first")).await.expect("free");
    match store.acquire(test, &holder("second")).await {
        Err(StateError::Held { holder, .. }) => assert_eq!(holder.id, "first"),
        other => panic!("two holders at once: {other:?}"),
    }
    store.renew(&first).await.expect("still ours");
    assert_eq!(store.holder(test).await.expect("readable").map(|holder| holder.id), Some("first".to_owned()));
    store.release(&first).await.expect("given back");
    assert_eq!(store.holder(test).await.expect("readable"), None);
    let second = store.acquire(test, &holder("second")).await.expect("free again");
    assert!(second.token > first.token, "tokens grow");
    store.release(&second).await.expect("given back");
}

async fn a_broken_lease_is_fenced(store: &dyn Store, test: &EnvironmentName) {
    let lost = store.acquire(test, &holder("sleeper")).await.expect("free");
    assert!(store.break_lease(test, &holder("somebody-else")).await.is_err(), "only the holder that was shown may be broken");
    store.break_lease(test, &lost.holder).await.expect("broken");
    let mut lock = store.read(test).await.expect("readable").expect("written before");
    lock.serial += 1;
    assert!(matches!(store.write(&lock, &lost).await, Err(StateError::Fenced(_))), "the sleeper wakes and writes");
    assert!(matches!(store.renew(&lost).await, Err(StateError::Fenced(_))), "the sleeper wakes and renews");
    let next = store.acquire(test, &holder("next")).await.expect("free");
    store.release(&lost).await.expect("giving back what was lost is no error");
    store.write(&lock, &next).await.expect("the next one writes");
    store.release(&next).await.expect("given back");
}

async fn other_environments_are_free(store: &dyn Store) {
    let one = store.acquire(&"test".into(), &holder("one")).await.expect("free");
    let other = store.acquire(&"production".into(), &holder("other")).await.expect("another environment");
    store.release(&one).await.expect("given back");
    store.release(&other).await.expect("given back");
}

async fn content_is_kept(store: &dyn Store) {
    let digest = Digest::of(b"content");
    assert_eq!(store.kept(&digest).await.expect("readable"), None);
    store.keep(&digest, b"content").await.expect("kept");
    store.keep(&digest, b"content").await.expect("kept twice is one");
    assert_eq!(store.kept(&digest).await.expect("readable").as_deref(), Some(b"content".as_slice()));
}

async fn history_is_newest_first(store: &dyn Store) {
    let record = |id: &str| RunRecord {
        id: RunId::new(id),
        operation: "apply".to_owned(),
        who: "somebody@somewhere".to_owned(),
        began: Timestamp::UNIX_EPOCH,
        ended: None,
        outcome: Outcome::Running,
        message: None,
        moves: Vec::new(),
        plan: Digest::of(b""),
        downtime_seconds: 0,
        durations: std::collections::BTreeMap::new(),
    };
    for id in ["20260101T000000Z-a", "20260103T000000Z-c", "20260102T000000Z-b"] {
        store.put_run(&record(id)).await.expect("written");
    }
    let mut ended = record("20260103T000000Z-c");
    ended.outcome = Outcome::Succeeded;
    store.put_run(&ended).await.expect("replaced");
    let runs = store.runs(2).await.expect("readable");
    assert_eq!(runs.iter().map(|run| run.id.as_str()).collect::<Vec<_>>(), ["20260103T000000Z-c", "20260102T000000Z-b"]);
    assert_eq!(runs[0].outcome, Outcome::Succeeded);
}
