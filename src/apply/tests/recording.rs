//! What the lockfile says afterwards.

use std::sync::Arc;

use super::world::{Act, Making, Stage, step};
use crate::driver::FailureKind::Failed;
use crate::lang::Value;
use crate::lock::{AppliedHop, Lock, Locked};
use crate::model::name::{Digest, Lineage, RunId};
use crate::plan::{ActionUndo, Decision, Hop, NoteText, Plan};
use crate::state::Outcome;

fn backup() -> Value {
    let backup = Value::object([
        ("id", "b1".into()),
        ("location", "/backups/b1".into()),
        ("method", "tar".into()),
        ("size", 42u64.into()),
        ("verified", true.into()),
    ]);
    Value::object([("backup", backup), ("path", "/x".into()), ("noise", "n".into())])
}

/// An instance that is at version 1.
fn locked() -> Lock {
    let mut lock = Lock::fresh("test".into(), Lineage::new("l"));
    lock.serial = 3;
    let hop = AppliedHop {
        from: None,
        to: "1".into(),
        route: "direct".into(),
        strategy: "in_place".into(),
        provider: Digest::of(b"old"),
        run: RunId::new("r0"),
        at: jiff::Timestamp::UNIX_EPOCH,
        scope: Value::object::<&str>([]),
        irreversible: None,
    };
    let entry = Locked {
        provider: "fake".into(),
        version: "1".into(),
        host: None,
        settings: Value::object([("home", "/opt".into())]),
        settings_digest: Digest::of(b"old settings"),
        seals: std::collections::BTreeMap::new(),
        observed: Default::default(),
        depends_on: Vec::new(),
        hops: vec![hop],
        backups: Vec::new(),
        follow_ups: Vec::new(),
    };
    lock.instances.insert(crate::model::name::InstanceAddr::from_text("fake.db"), entry);
    lock
}

/// An upgrade from version 1 to 2, with a stage whose store has version 1.
fn upgrade(steps: &[super::world::S]) -> (Stage, Plan) {
    let stage = Stage::new();
    stage.store.locks.lock().unwrap().insert("test".into(), locked());
    let mut plan = Making::default().instance("db", "test", None, &[], steps).plan();
    plan.bases.get_mut("test").unwrap().serial = 3;
    plan.changes[0].decision = Decision::Upgrade;
    plan.changes[0].from = Some("1".into());
    plan.changes[0].hops[0].from = Some("1".into());
    (stage, plan)
}

fn entry(stage: &Stage) -> Locked {
    stage.store.locks.lock().unwrap()["test"].instances["fake.db"].clone()
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_is_recorded_with_hop_backup_kept_results_and_follow_ups() {
    let (stage, mut plan) = upgrade(&[step("backup"), step("go")]);
    stage.script("db.backup", [Act::Works(backup())]);
    plan.changes[0].hops[0].keep = vec![("backup".into(), vec!["path".into()]), ("go".into(), vec![])];
    plan.changes[0].notes = vec![NoteText {
        name: "retrain".into(),
        text: "Retrain the models".into(),
        url: None,
        follow_up: true,
        acknowledge: false,
    }];
    let finished = stage.apply(&plan).await;
    assert_eq!(finished.record.outcome, Outcome::Succeeded, "{:?}", finished.problems);
    let entry = entry(&stage);
    assert_eq!((&*entry.version, entry.hops.len(), entry.settings_digest.clone()), ("2", 2, Digest::of(b"settings")));
    let hop = entry.hops.last().unwrap();
    assert_eq!((hop.from.as_deref(), &*hop.to, hop.run.as_str()), (Some("1"), "2", "r1"));
    let kept = hop.scope.get("step").unwrap().get("backup").unwrap().get("result").unwrap();
    assert_eq!(kept, &Value::object([("path", "/x".into())]), "only what is asked for is kept");
    let backup = &entry.backups[0];
    assert_eq!((&*backup.id, &*backup.version, backup.size, backup.verified), ("b1", "1", Some(42), true));
    assert_eq!(&*entry.follow_ups[0].name, "retrain");
    let lock = stage.store.locks.lock().unwrap()["test"].clone();
    assert_eq!((lock.serial, &lock.providers["fake"].digest), (4, &Digest::of(b"fake")));
}

#[tokio::test(start_paused = true)]
async fn a_rolled_back_upgrade_leaves_the_entry_as_it_was_and_the_backup_on_top() {
    let mut keep = step("backup");
    keep.undo = super::world::U::Harmless;
    let (stage, plan) = upgrade(&[keep, step("go")]);
    stage.script("db.backup", [Act::Works(backup())]);
    stage.script("db.go", [Act::Fails(Failed)]);
    let finished = stage.apply(&plan).await;
    assert_eq!(finished.record.outcome, Outcome::RolledBack, "{:?}", finished.problems);
    let mut entry = entry(&stage);
    assert_eq!(entry.backups.len(), 1, "a backup that was made is there, whatever came of the upgrade");
    entry.backups.clear();
    assert_eq!(entry, locked().instances["fake.db"]);
}

#[tokio::test(start_paused = true)]
async fn a_rolled_back_record_restores_the_entry_exactly() {
    let (stage, plan) = upgrade(&[step("go")]);
    stage.apply(&plan).await;
    assert_eq!(&*entry(&stage).version, "2");
    let finished = stage.roll_back(&plan).await.unwrap();
    assert_eq!(finished.record.outcome, Outcome::RolledBack);
    let lock = stage.store.locks.lock().unwrap()["test"].clone();
    assert_eq!(lock.instances, locked().instances);
    assert_eq!((lock.providers.len(), lock.serial), (0, 5), "the pin goes too");
}

#[tokio::test(start_paused = true)]
async fn undoing_an_applied_hop_takes_it_off_the_stack() {
    let (stage, mut plan) = upgrade(&[step("go")]);
    plan.changes[0].decision = Decision::Rollback;
    plan.changes[0].to = None;
    plan.changes[0].hops[0] = Hop { reverts: Some(RunId::new("r0")), to: None, ..plan.changes[0].hops[0].clone() };
    let finished = stage.apply(&plan).await;
    assert_eq!(finished.record.outcome, Outcome::Succeeded);
    assert!(stage.recorded("test").is_empty(), "before its first hop there was nothing");
}

#[tokio::test(start_paused = true)]
async fn a_hop_that_cannot_be_undone_says_so_and_hides_those_beneath() {
    let mut never = step("migrate");
    never.undo = super::world::U::Never;
    let (stage, plan) = upgrade(&[never]);
    stage.apply(&plan).await;
    let entry = entry(&stage);
    assert_eq!((entry.hops.len(), entry.hops[0].irreversible.as_deref()), (1, Some("migrate")));
}

#[tokio::test(start_paused = true)]
async fn adoption_and_forgetting_touch_nothing() {
    for (decision, expected) in [(Decision::Adopt, 1), (Decision::Forget, 0)] {
        for with_action in [true, false] {
            let (stage, mut plan) = upgrade(&[]);
            plan.changes[0].decision = decision;
            plan.changes[0].hops.clear();
            if decision == Decision::Forget {
                plan.changes[0].to = None;
            }
            if !with_action {
                plan.actions.clear();
            }
            let finished = stage.apply(&plan).await;
            assert_eq!(finished.record.outcome, Outcome::Succeeded, "{:?}", finished.problems);
            assert_eq!((stage.recorded("test").len(), stage.calls().len()), (expected, 0));
            if decision == Decision::Adopt {
                assert_eq!((&*entry(&stage).version, entry(&stage).hops.len()), ("2", 1));
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_removal_deletes_the_entry() {
    let (stage, mut plan) = upgrade(&[step("go")]);
    plan.changes[0].decision = Decision::Remove;
    plan.changes[0].to = None;
    plan.changes[0].hops[0].to = None;
    stage.apply(&plan).await;
    assert!(stage.recorded("test").is_empty());
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_hops_are_not_ten_thousand_writes() {
    let stage = Stage::new();
    let mut making = Making::default();
    for number in 0..1000 {
        making = making.instance(&format!("i{number}"), "test", None, &[], &[]);
    }
    let mut plan = making.plan();
    plan.actions.iter_mut().for_each(|action| action.undo = ActionUndo::Harmless);
    let finished = stage.apply(&plan).await;
    assert_eq!(finished.record.outcome, Outcome::Succeeded);
    assert_eq!((stage.recorded("test").len(), *stage.store.writes.lock().unwrap()), (1000, 1));
}

#[tokio::test(start_paused = true)]
async fn facts_observed_after_the_hop_are_recorded() {
    struct Eyes;
    #[async_trait::async_trait]
    impl crate::apply::Observer for Eyes {
        async fn observe(
            &self,
            instance: &crate::model::name::InstanceAddr,
            version: Option<&str>,
        ) -> std::collections::BTreeMap<Arc<str>, Value> {
            [("seen".into(), format!("{instance} at {}", version.unwrap_or("nothing")).into())].into()
        }

        async fn healthy(&self, _: &crate::model::name::InstanceAddr) -> Result<(), String> {
            Ok(())
        }
    }
    let (stage, plan) = upgrade(&[step("go")]);
    let mut args = stage.args(&plan);
    args.observer = Some(Arc::new(Eyes));
    let finished = crate::apply::execute(Arc::new(plan), args).await.unwrap();
    assert_eq!(finished.record.outcome, Outcome::Succeeded);
    assert_eq!(entry(&stage).observed["seen"], "fake.db at 2".into());
}
