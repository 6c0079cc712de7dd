//! What every store must do; each implementation's tests call [`suite`].

use std::time::Duration;

use jiff::Timestamp;

use super::{Holder, Lease, Outcome, RunRecord, StateError, Store};
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

/// What stores that other machines reach must do besides. `open`: another process's view of one and the same store, with this term.
pub(crate) async fn shared_suite(open: &dyn Fn(Option<Duration>) -> Box<dyn Store>) {
    a_paused_holder_is_fenced(open).await;
    clocks_of_machines_do_not_matter(open).await;
    a_journal_has_one_writer(&*open(None)).await;
    files_of_a_run_are_there_for_all(&*open(None)).await;
    what_is_kept_of_a_run_is_forgotten_as_a_whole(&*open(None)).await;
}

/// Takes the environment as soon as it can be had.
async fn insist(store: &dyn Store, environment: &EnvironmentName, holder: &Holder) -> Lease {
    for _ in 0..200 {
        match store.acquire(environment, holder).await {
            Ok(lease) => return lease,
            Err(StateError::Held { .. }) => tokio::time::sleep(Duration::from_millis(100)).await,
            Err(error) => panic!("{error}"),
        }
    }
    panic!("the lease never ended");
}

async fn a_paused_holder_is_fenced(open: &dyn Fn(Option<Duration>) -> Box<dyn Store>) {
    let paused = EnvironmentName::new("paused");
    let (store, other) = (open(Some(Duration::from_secs(1))), open(None));
    let sleeper = store.acquire(&paused, &holder("sleeper")).await.expect("free");
    let mut lock = Lock::fresh(paused.clone(), "lineage-1".into());
    lock.serial = 1;
    store.write(&lock, &sleeper).await.expect("the first write");
    let next = insist(&*other, &paused, &holder("next")).await;
    assert!(next.token > sleeper.token);
    lock.serial = 2;
    assert!(matches!(store.write(&lock, &sleeper).await, Err(StateError::Fenced(_))), "it wakes and writes");
    assert!(matches!(store.renew(&sleeper).await, Err(StateError::Fenced(_))), "it wakes and renews");
    let files = store.run_files().expect("shared");
    let run = RunId::new("20260101T000000Z-p");
    assert!(matches!(files.append(&run, 1, b"late", &sleeper).await, Err(StateError::Fenced(_))), "it wakes and journals");
    assert!(matches!(files.put_file(&run, "late", b"late", &sleeper).await, Err(StateError::Fenced(_))), "it wakes and keeps");
    other.write(&lock, &next).await.expect("the next one writes");
    assert!(
        matches!(store.acquire(&paused, &holder("third")).await, Err(StateError::Held { .. })),
        "the next one's term is its own"
    );
    store.release(&sleeper).await.expect("giving back what was lost is no error");
    assert_eq!(other.holder(&paused).await.expect("readable").map(|holder| holder.id), Some("next".to_owned()));
    other.release(&next).await.expect("given back");
}

async fn clocks_of_machines_do_not_matter(open: &dyn Fn(Option<Duration>) -> Box<dyn Store>) {
    let jumping = EnvironmentName::new("jumping");
    let mut behind = holder("behind");
    (behind.since, behind.heartbeat) = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
    let store = open(None);
    let lease = store.acquire(&jumping, &behind).await.expect("free");
    assert!(
        matches!(store.acquire(&jumping, &holder("next")).await, Err(StateError::Held { .. })),
        "its clock is behind, its lease is not"
    );
    let seen = store.holder(&jumping).await.expect("readable").expect("held");
    assert!(seen.heartbeat > Timestamp::UNIX_EPOCH, "the last sign of life is by the store's clock");
    store.release(&lease).await.expect("given back");
    let mut ahead = holder("ahead");
    ahead.heartbeat = "2200-01-01T00:00:00Z".parse().expect("a time");
    let short = open(Some(Duration::from_secs(1)));
    let lost = short.acquire(&jumping, &ahead).await.expect("free");
    let next = insist(&*store, &jumping, &holder("next")).await;
    assert!(next.token > lost.token, "its clock is ahead, and its term ended all the same");
    store.release(&next).await.expect("given back");
}

async fn a_journal_has_one_writer(store: &dyn Store) {
    let files = store.run_files().expect("shared");
    let (run, logged) = (RunId::new("20260101T000000Z-j"), EnvironmentName::new("logged"));
    let lease = store.acquire(&logged, &holder("writer")).await.expect("free");
    assert_eq!(files.journal(&run).await.expect("readable"), Vec::<Vec<u8>>::new());
    assert!(files.append(&run, 2, b"two", &lease).await.is_err(), "a chunk was left out");
    for (number, chunk) in [(1, b"one".as_slice()), (2, b"two"), (2, b"two"), (3, b"")] {
        files.append(&run, number, chunk, &lease).await.unwrap_or_else(|error| panic!("chunk {number}: {error}"));
    }
    assert!(matches!(files.append(&run, 2, b"other", &lease).await, Err(StateError::Moved { .. })), "a number is given once");
    assert_eq!(files.journal(&run).await.expect("readable"), [b"one".to_vec(), b"two".to_vec(), b"".to_vec()]);
    store.release(&lease).await.expect("given back");
    assert!(matches!(files.append(&run, 4, b"four", &lease).await, Err(StateError::Fenced(_))), "a lease that was given back");
}

async fn files_of_a_run_are_there_for_all(store: &dyn Store) {
    let files = store.run_files().expect("shared");
    let (run, other, kept) = (RunId::new("20260101T000000Z-f"), RunId::new("20260101T000000Z-f2"), EnvironmentName::new("kept"));
    let name = "actions/p.a@1.0:step [\"x\"] é/1/kept/content";
    let first = store.acquire(&kept, &holder("first")).await.expect("free");
    assert_eq!(files.file(&run, name).await.expect("readable"), None);
    files.put_file(&run, name, b"old", &first).await.expect("kept");
    files.put_file(&run, name, b"new", &first).await.expect("replaced");
    files.put_file(&run, "plan.json", &[0, 159, 146, 150], &first).await.expect("any bytes");
    assert_eq!(files.file(&run, name).await.expect("readable").as_deref(), Some(b"new".as_slice()));
    assert_eq!(files.file_names(&run).await.expect("readable"), [name, "plan.json"]);
    assert_eq!(files.file_names(&other).await.expect("readable"), Vec::<String>::new(), "another run's files are its own");
    store.release(&first).await.expect("given back");
    let second = store.acquire(&kept, &holder("second")).await.expect("free");
    files.put_file(&run, name, b"newer", &second).await.expect("replaced");
    assert!(matches!(files.put_file(&run, name, b"late", &first).await, Err(StateError::Fenced(_))));
    assert_eq!(files.file(&run, name).await.expect("readable").as_deref(), Some(b"newer".as_slice()));
    assert_eq!(files.file_names(&run).await.expect("readable"), [name, "plan.json"], "each name once");
    store.release(&second).await.expect("given back");
}

async fn what_is_kept_of_a_run_is_forgotten_as_a_whole(store: &dyn Store) {
    let files = store.run_files().expect("shared");
    // One's name begins with the other's.
    let (run, other, old) = (RunId::new("20260101T000000Z-g"), RunId::new("20260101T000000Z-g2"), EnvironmentName::new("old"));
    let lease = store.acquire(&old, &holder("keeper")).await.expect("free");
    assert_eq!(files.weight(&run).await.expect("readable"), 0);
    for run in [&run, &other] {
        for (number, chunk) in [(1, b"one".as_slice()), (2, b"two")] {
            files.append(run, number, chunk, &lease).await.expect("appended");
        }
        files.put_file(run, "plan.json", b"four", &lease).await.expect("kept");
        assert_eq!(files.weight(run).await.expect("readable"), 10);
    }
    store.release(&lease).await.expect("given back");
    assert!(matches!(files.forget(&run, &lease).await, Err(StateError::Fenced(_))), "a lease that was given back");
    assert_eq!(files.weight(&run).await.expect("readable"), 10);
    let lease = store.acquire(&old, &holder("pruner")).await.expect("free");
    for _ in 0..2 {
        files.forget(&run, &lease).await.expect("forgotten, and once more");
    }
    assert_eq!((files.weight(&run).await.expect("readable"), files.weight(&other).await.expect("readable")), (0, 10));
    assert_eq!(files.file_names(&run).await.expect("readable"), Vec::<String>::new());
    assert_eq!(files.journal(&run).await.expect("readable"), Vec::<Vec<u8>>::new());
    store.release(&lease).await.expect("given back");
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
        brackets: Vec::new(),
        downtime_seconds: 0,
        durations: std::collections::BTreeMap::new(),
        token: 3,
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
    // A holder that was paused, and whose run another has gone on with, does not write over what that one wrote.
    let paused = RunRecord { token: 2, outcome: Outcome::Held, ..ended.clone() };
    assert!(matches!(store.put_run(&paused).await, Err(StateError::Fenced(_))), "an earlier holder wrote the history");
    assert_eq!(store.runs(1).await.expect("readable")[0].outcome, Outcome::Succeeded);
    store.put_run(&RunRecord { token: 4, ..ended }).await.expect("a later holder may");
}
