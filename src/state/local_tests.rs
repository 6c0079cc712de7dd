//! The local store: the contract, and what is special about files.

use std::fs;

use super::contract::{holder, suite};
use super::{LocalStore, StateError, Store};
use crate::lock::Lock;
use crate::model::name::EnvironmentName;

fn store() -> (tempfile::TempDir, LocalStore) {
    let dir = tempfile::tempdir().expect("a folder");
    let store = LocalStore::new(dir.path(), dir.path().join(".windlass/state"));
    (dir, store)
}

#[tokio::test]
async fn the_local_store_keeps_the_contract() {
    let (_dir, store) = store();
    suite(&store).await;
}

#[tokio::test]
async fn a_holder_whose_process_is_gone_holds_nothing() {
    let (_dir, store) = store();
    let test = EnvironmentName::new("test");
    let mut child = std::process::Command::new("true").spawn().expect("true runs");
    let mut dead = holder("dead");
    dead.pid = child.id();
    child.wait().expect("it ends");
    let lost = store.acquire(&test, &dead).await.expect("free");
    let next = store.acquire(&test, &holder("next")).await.expect("the dead do not hold");
    assert!(next.token > lost.token);
}

#[tokio::test]
async fn a_holder_elsewhere_is_believed_until_its_term_is_over() {
    let (_dir, store) = store();
    let test = EnvironmentName::new("test");
    let mut away = holder("away");
    away.who = "somebody@another-machine".to_owned();
    store.acquire(&test, &away).await.expect("free");
    assert!(matches!(store.acquire(&test, &holder("next")).await, Err(StateError::Held { .. })));
    let held = store.holder(&test).await.expect("readable").expect("held");
    store.break_lease(&test, &held).await.expect("broken");
    away.heartbeat = jiff::Timestamp::UNIX_EPOCH;
    store.acquire(&test, &away).await.expect("free");
    store.acquire(&test, &holder("next")).await.expect("its term is over");
}

#[tokio::test]
async fn a_corrupt_lockfile_is_refused_and_left_alone() {
    let (dir, store) = store();
    let test = EnvironmentName::new("test");
    let path = store.lockfile(&test);
    for (content, what) in [(&b"rubbish\n"[..], "cut off"), (b"\xff\xfe", "UTF-8"), (b"", "cut off")] {
        fs::write(&path, content).expect("written");
        let error = store.read(&test).await.expect_err("corrupt");
        assert!(matches!(&error, StateError::Corrupt { why, .. } if why.contains(what)), "{error}");
        let lease = store.acquire(&test, &holder("writer")).await.expect("free");
        let mut lock = Lock::fresh(test.clone(), "lineage".into());
        lock.serial = 1;
        assert!(store.write(&lock, &lease).await.is_err(), "a corrupt lockfile is never overwritten");
        assert_eq!(fs::read(&path).expect("still there"), content);
        store.release(&lease).await.expect("given back");
    }
    drop(dir);
}

#[tokio::test]
async fn a_lockfile_of_another_environment_is_refused() {
    let (_dir, store) = store();
    let (test, production) = (EnvironmentName::new("test"), EnvironmentName::new("production"));
    let lease = store.acquire(&test, &holder("writer")).await.expect("free");
    let mut lock = Lock::fresh(test.clone(), "lineage".into());
    lock.serial = 1;
    store.write(&lock, &lease).await.expect("written");
    fs::copy(store.lockfile(&test), store.lockfile(&production)).expect("copied");
    assert!(matches!(store.read(&production).await, Err(StateError::Corrupt { .. })));
}

#[tokio::test]
async fn two_processes_that_race_for_a_lease_have_one_winner() {
    let (_dir, store) = store();
    let test = EnvironmentName::new("test");
    for round in 0..20 {
        let tries: Vec<_> = (0..8)
            .map(|runner| {
                let (store, test) = (store.clone(), test.clone());
                std::thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
                    runtime.block_on(store.acquire(&test, &holder(&format!("{round}-{runner}")))).ok()
                })
            })
            .collect();
        let won: Vec<_> = tries.into_iter().filter_map(|thread| thread.join().expect("no panic")).collect();
        assert_eq!(won.len(), 1);
        store.release(&won[0]).await.expect("given back");
    }
}
