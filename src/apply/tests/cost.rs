//! What the engine itself costs. Prints and asserts nothing about time: `cargo nextest run --run-ignored all --no-capture cost`.

use std::time::Instant;

use super::world::{Making, Stage, step};
use crate::apply::journal::{Entry, Segment, Writer};
use crate::state::Outcome;

#[expect(clippy::print_stderr, reason = "a measurement is for people")]
async fn measure(count: usize) {
    let stage = Stage::new();
    let mut making = Making::default();
    for number in 0..count / 10 {
        let steps: Vec<_> = (0..9).map(|step_number| step(&format!("s{step_number}"))).collect();
        making = making.instance(&format!("i{number}"), "test", None, &[], &steps);
    }
    let plan = making.plan();
    let began = Instant::now();
    let finished = stage.apply(&plan).await;
    let took = began.elapsed();
    assert_eq!(finished.record.outcome, Outcome::Succeeded);
    assert_eq!(plan.actions.len(), count);
    eprintln!("{count} actions, ten in parallel, durable: {took:?}, {:?} each", took / count as u32);
}

#[tokio::test]
#[ignore = "a measurement"]
async fn a_thousand_actions() {
    measure(1000).await;
}

#[tokio::test]
#[ignore = "a measurement"]
async fn ten_thousand_actions() {
    measure(10_000).await;
}

#[tokio::test]
#[ignore = "a measurement"]
#[expect(clippy::print_stderr, reason = "a measurement is for people")]
async fn the_journal_alone() {
    let dir = tempfile::tempdir().unwrap();
    let writer = Writer::start(Segment::create(dir.path()).unwrap(), 0);
    let entry = Entry::RunEnded { at: jiff::Timestamp::UNIX_EPOCH, outcome: Outcome::Held, message: Some("x".repeat(200)) };
    let mut durable = writer.durable();
    for batch in [1, 10, 100] {
        let began = Instant::now();
        for _ in 0..500 {
            let mut last = 0;
            for _ in 0..batch {
                last = writer.append(&entry);
            }
            durable.wait_for(|durable| durable.through >= last).await.unwrap();
        }
        eprintln!("batches of {batch}: {:?} each batch", began.elapsed() / 500);
    }
}
