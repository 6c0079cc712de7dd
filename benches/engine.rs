//! What the engine's own share of an action is: `cargo bench --bench engine`.
//!
//! The journal alone, by how many actions write into it at once (group commit), and a lockfile's way to the store. Prints and
//! asserts nothing about time.
#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a table for people, with files of its own")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use windlass::apply::journal::{Entry, Segment, Writer};
use windlass::lang::Value;
use windlass::lock::{Lock, Locked};
use windlass::model::name::{Digest, EnvironmentName, InstanceAddr, Lineage, ProviderName};
use windlass::state::{Holder, LocalStore, Outcome, Store};

/// Entries that each writer writes.
const ENTRIES: usize = 500;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder =
        tempfile::Builder::new().prefix("windlass-bench-").tempdir_in(std::env::var_os("BENCH_DIR").unwrap_or("/tmp".into()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    println!("| journal, durable        | wait for one entry | cost of an entry |");
    println!("| ----------------------- | -----------------: | ---------------: |");
    for writers in [1, 10, 100] {
        let took = runtime.block_on(journal(&folder.path().join(writers.to_string()), writers))?;
        let (wait, share) = (took / ENTRIES as u32, took / (ENTRIES * writers) as u32);
        println!("| {writers:>3} actions at once     | {:>15.1} µs | {:>13.1} µs |", micros(wait), micros(share));
    }
    println!();
    println!("| lockfile, durable       |              write |     for each one |");
    println!("| ----------------------- | -----------------: | ---------------: |");
    for count in [10, 1_000, 10_000] {
        let took = runtime.block_on(lockfile(&folder.path().join(format!("lock-{count}")), count))?;
        println!(
            "| {count:>6} instances        | {:>15.1} ms | {:>13.1} µs |",
            micros(took) / 1e3,
            micros(took) / f64::from(count)
        );
    }
    Ok(())
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// So many tasks write an entry, wait until it is durable, and write the next.
async fn journal(folder: &Path, writers: usize) -> Result<Duration, Box<dyn std::error::Error>> {
    let writer = Arc::new(Writer::start(Segment::create(folder)?, 0));
    let began = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..writers {
        let writer = Arc::clone(&writer);
        tasks.spawn(async move {
            let entry = Entry::RunEnded { at: jiff::Timestamp::UNIX_EPOCH, outcome: Outcome::Held, message: Some("x".repeat(120)) };
            let mut durable = writer.durable();
            for _ in 0..ENTRIES {
                let sequence = writer.append(&entry);
                let _ = durable.wait_for(|durable| durable.through >= sequence || durable.failure.is_some()).await;
            }
        });
    }
    while tasks.join_next().await.is_some() {}
    Ok(began.elapsed())
}

/// The best of five writes, each with the fence and the look at what is there.
async fn lockfile(folder: &Path, count: u32) -> Result<Duration, Box<dyn std::error::Error>> {
    let store = LocalStore::new(folder, folder.join("state"));
    std::fs::create_dir_all(folder)?;
    let environment = EnvironmentName::new("bench");
    let now = jiff::Timestamp::now();
    let holder = Holder {
        id: "bench".to_owned(),
        who: "bench@bench".to_owned(),
        pid: std::process::id(),
        operation: "apply".to_owned(),
        run: None,
        since: now,
        heartbeat: now,
    };
    let lease = store.acquire(&environment, &holder).await?;
    let mut lock = Lock::fresh(environment, Lineage::new("bench"));
    lock.instances = (0..count).map(|number| (InstanceAddr::from_text(format!("p.i{number}")), locked(number))).collect();
    let mut best = Duration::MAX;
    for _ in 0..5 {
        lock.serial += 1;
        let began = Instant::now();
        store.write(&lock, &lease).await?;
        best = best.min(began.elapsed());
    }
    Ok(best)
}

fn locked(number: u32) -> Locked {
    Locked {
        provider: ProviderName::new("p"),
        version: "1.0.0".into(),
        host: None,
        settings: Value::object([("port", Value::from(u64::from(number))), ("root", Value::from(format!("/srv/{number}")))]),
        settings_digest: Digest::of(&number.to_le_bytes()),
        seals: BTreeMap::new(),
        observed: BTreeMap::new(),
        depends_on: Vec::new(),
        hops: Vec::new(),
        backups: Vec::new(),
        follow_ups: Vec::new(),
    }
}
