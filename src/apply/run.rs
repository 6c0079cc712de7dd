//! The ways into the engine: apply a plan, resume a run, roll one back, abandon one, look at one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

use super::ahead::check_there;
use super::back::{Back, check_backups, foresee_back};
use super::clock::Clock;
use super::control::Control;
use super::dispatch::Dispatcher;
use super::given;
use super::graph::{Graph, by_name};
use super::journal::{Entry, Medium};
use super::open::Opening;
use super::progress::Progress;
use super::voice::Listener;
use super::{folder, shared};
use crate::driver::Drivers;
pub use crate::driver::host::Hosts;
use crate::lang::{Object, Value};
use crate::lock::Lock;
use crate::model::estate::OnFailure;
use crate::model::name::{ActionId, Digest, EnvironmentName, HostName, InstanceAddr, RunId};
use crate::model::provider::Provider;
use crate::plan::{Decision, Plan};
use crate::source::{Diagnostic, Diagnostics, Fault};
use crate::state::{Lease, RunRecord, Store};

/// What a run is given.
pub struct RunArgs {
    /// Which run.
    pub run: RunId,
    /// Its folder.
    pub dir: PathBuf,
    /// `user@host`, for the history.
    pub who: String,
    /// The drivers that there are.
    pub drivers: Drivers,
    /// Where lockfiles and history go.
    pub store: Arc<dyn Store>,
    /// The right to write, for every environment of the plan. Renewed while the run lasts; given back by the caller.
    pub leases: BTreeMap<EnvironmentName, Lease>,
    /// The lockfiles as they are in the store now, for every environment of the plan.
    pub locks: BTreeMap<EnvironmentName, Lock>,
    /// What the configuration knows of instances and no plan may hold.
    pub instances: BTreeMap<InstanceAddr, InstanceInput>,
    /// Every provider that hops of the plan name.
    pub providers: BTreeMap<Digest, Arc<Provider>>,
    /// The machines.
    pub hosts: Arc<dyn Hosts>,
    /// How each environment wants to be treated; one that is not here has the defaults.
    pub environments: BTreeMap<EnvironmentName, Rules>,
    /// Actions at once on a host; a host that is not here has ten.
    pub host_limits: BTreeMap<HostName, u32>,
    /// Looks at an instance after a hop; `None`: nothing is observed.
    pub observer: Option<Arc<dyn Observer>>,
    /// Where the journal goes, for disks that fail; `None`: to a new segment in the run's folder.
    pub journal: Option<Box<dyn Medium>>,
    /// Stops the run.
    pub control: Control,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Takes what the run has to say.
    pub events: Listener,
}

/// What the configuration knows of an instance and no plan may hold.
#[derive(Debug, Clone, Default)]
pub struct InstanceInput {
    /// The settings, sensitive ones marked, with their content. Put in where the plan has only a mark.
    pub settings: Object,
    /// What it depends on; recorded, so that a removal goes in the reverse order.
    pub depends_on: Vec<InstanceAddr>,
}

/// How an environment wants to be treated.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// Actions at once; at least one.
    pub concurrency: u32,
    /// What a failure before the point of no return leads to.
    pub on_failure: OnFailure,
}

impl Default for Rules {
    fn default() -> Self {
        Self { concurrency: 10, on_failure: OnFailure::default() }
    }
}

/// Looks at an instance.
#[async_trait]
pub trait Observer: Send + Sync {
    /// The facts that count for drift, after the instance has come to `version` (`None`: it is gone). What cannot be seen is left out.
    async fn observe(&self, instance: &InstanceAddr, version: Option<&str>) -> BTreeMap<Arc<str>, Value>;

    /// Whether the instance is healthy, as far as its provider says. One of which it says nothing passes.
    ///
    /// # Errors
    /// Why it is not, or why that could not be seen.
    async fn healthy(&self, instance: &InstanceAddr) -> Result<(), Unwell>;
}

/// Why an instance does not count as healthy, as the end of a sentence that begins with its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unwell {
    /// It is not healthy, or does not say.
    Sick(String),
    /// Its machine cannot be reached: nobody knows.
    Away(String),
}

/// What a person says when a run is resumed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResumeOptions {
    /// Do these again: failed or held actions, or their undo where that is what is held.
    pub retry: Vec<ActionId>,
    /// Take these as done: failed, held or waiting actions, or their undo where that is what is held.
    pub skip: Vec<ActionId>,
}

/// How a run ended.
#[derive(Debug)]
pub struct Finished {
    /// Its entry in the history.
    pub record: RunRecord,
    /// The lockfiles as they are now.
    pub locks: BTreeMap<EnvironmentName, Lock>,
    /// What a person must know or do, where it did not succeed.
    pub problems: Diagnostics,
}

/// Applies a plan.
///
/// # Errors
/// Nothing was begun: the plan or the lockfiles do not fit, the folder cannot be made, the state cannot be written.
pub async fn execute(plan: Arc<Plan>, args: RunArgs) -> Result<Finished, Diagnostics> {
    let graph = Graph::new(&plan)?;
    given::check_held(&plan, &args)?;
    given::check_base(&plan, &args)?;
    let digest = folder::create(&args.dir, &plan, &args.locks)?;
    shared::publish(&args.dir, &args.run, &*args.store, args.leases.values().next()).await?;
    let progress = Progress::new(&plan);
    let base = args.locks.clone();
    let back = Back::default();
    let opening = Opening { operation: operation(&plan), last: 0, digest, base, words: Vec::new(), back, next: 1, elsewhere: None };
    Dispatcher::open(plan, graph, progress, args, opening).await?.run().await
}

/// Goes on with a run that was stopped, held or killed.
///
/// # Errors
/// Nothing was begun: the folder cannot be read, the run was abandoned, an action is not in it, the state has moved.
pub async fn resume(options: ResumeOptions, args: RunArgs) -> Result<Finished, Diagnostics> {
    let (plan, graph, progress, mut opening) = reopen(&args, "resume").await?;
    opening.words = given::words(&plan, &progress, options)?;
    Dispatcher::open(plan, graph, progress, args, opening).await?.run().await
}

/// Undoes what a run has done, as far back as `back` says and nothing is past its point of no return.
///
/// # Errors
/// As [`resume`]; it cannot be taken back so far and no further; a backup that the way back needs is gone.
pub async fn rollback(back: &Back, args: RunArgs) -> Result<Finished, Diagnostics> {
    let (plan, graph, progress, mut opening) = reopen(&args, "rollback").await?;
    let way = foresee_back(&args.dir, back)?;
    check_backups(&plan, &graph, &progress, &way, &args.locks)?;
    check_there(&plan, &graph, &progress, &way, &args).await?;
    opening.back = back.clone();
    Dispatcher::open(plan, graph, progress, args, opening).await?.run().await
}

/// What a run is declared to be by a person who ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AbandonedAs {
    /// Everything was done by hand: every hop is taken into the lockfiles.
    Succeeded,
    /// What was recorded stays recorded, the rest never was.
    Failed,
}

/// Ends a run by a person's word. What it has recorded is delivered to the lockfiles; nothing is done or undone.
///
/// # Errors
/// No reason is given; something was undone and the run is to be taken as done; or as [`resume`].
pub async fn abandon(reason: &str, how: AbandonedAs, args: RunArgs) -> Result<Finished, Diagnostics> {
    check_reason(reason)?;
    let Reopened { plan, graph, mut progress, mut opening, moved } = read(&args, "abandon").await?;
    match (how, moved) {
        (AbandonedAs::Succeeded, Ok(())) => opening.words = given::all_done(&plan, &progress)?,
        (AbandonedAs::Failed, Ok(())) => {}
        (AbandonedAs::Succeeded, Err(problems)) => return Err(problems),
        (AbandonedAs::Failed, Err(_)) => {
            // What others have recorded since stays; nothing of this run is delivered any more.
            let brackets = std::mem::take(&mut progress.brackets);
            progress = Progress::new(&plan);
            // What it has left open is open all the same.
            progress.brackets = brackets;
            opening.base.clone_from(&args.locks);
        }
    }
    Dispatcher::open(plan, graph, progress, args, opening).await?.abandon(reason).await
}

/// Refuses a reason that says nothing.
///
/// # Errors
/// It is empty.
pub fn check_reason(reason: &str) -> Result<(), Diagnostic> {
    if reason.trim().is_empty() {
        return Err(Diagnostic::error("a run is not abandoned without a reason").help("say why: `--reason \"…\"`"));
    }
    Ok(())
}

/// How far the run in a folder is, for those who only look. May be asked while it runs.
///
/// # Errors
/// The folder cannot be read.
pub fn inspect(dir: &Path) -> Result<(Plan, Progress), Diagnostics> {
    let (plan, _, progress) = read_progress(dir)?;
    Ok((plan, progress))
}

/// How far the run in a folder is, with its graph.
pub(super) fn read_progress(dir: &Path) -> Result<(Plan, Graph, Progress), Diagnostics> {
    let folder = folder::load(dir)?;
    let graph = Graph::new(&folder.plan)?;
    let progress = replay(&folder.plan, &graph, folder.journal.entries)?;
    Ok((folder.plan, graph, progress))
}

/// A run as its folder has it.
struct Reopened {
    plan: Arc<Plan>,
    graph: Graph,
    progress: Progress,
    opening: Opening,
    /// Whether others have changed what it changes.
    moved: Result<(), Diagnostics>,
}

/// What a run is called in the history.
pub(super) fn operation(plan: &Plan) -> &'static str {
    match plan.changes.first().map(|change| change.decision) {
        Some(Decision::Backup) => "backup",
        Some(Decision::Restore) => "restore",
        _ => "apply",
    }
}

async fn reopen(args: &RunArgs, operation: &'static str) -> Result<(Arc<Plan>, Graph, Progress, Opening), Diagnostics> {
    let Reopened { plan, graph, progress, opening, moved } = read(args, operation).await?;
    moved?;
    Ok((plan, graph, progress, opening))
}

async fn read(args: &RunArgs, operation: &'static str) -> Result<Reopened, Diagnostics> {
    let next = shared::take_up(&args.dir, &args.run, &*args.store, args.leases.values().next()).await?;
    let folder::Folder { plan, digest, base, journal } = folder::load(&args.dir)?;
    let graph = Graph::new(&plan)?;
    given::check_held(&plan, args)?;
    let moved = given::check_moved(&plan, &base, args);
    let last = journal.last;
    let elsewhere = another_machine(&journal.entries, machine_of(&args.who)).map(str::to_owned);
    let progress = replay(&plan, &graph, journal.entries)?;
    given::check_open(&args.run, &progress)?;
    let back = Back::default();
    let opening = Opening { operation, last, digest, base, words: Vec::new(), back, next, elsewhere };
    Ok(Reopened { plan: Arc::new(plan), graph, progress, opening, moved })
}

/// The last other machine that had the run, whoever had it in between: what it has begun may still run there, or be held since.
fn another_machine<'a>(entries: &'a [Entry], this: &str) -> Option<&'a str> {
    entries.iter().rev().find_map(|entry| match entry {
        Entry::Opened { who, .. } => Some(machine_of(who)).filter(|machine| *machine != this),
        _ => None,
    })
}

/// The machine in `user@host`.
fn machine_of(who: &str) -> &str {
    who.rsplit_once('@').map_or(who, |(_, machine)| machine)
}

fn replay(plan: &Plan, graph: &Graph, entries: Vec<Entry>) -> Result<Progress, Diagnostic> {
    let mut progress = Progress::new(plan);
    let index = by_name(plan);
    for (number, entry) in entries.into_iter().enumerate() {
        progress.replay(plan, graph, &index, entry).map_err(|why| {
            Diagnostic::error("the journal does not fit the plan").fault(Fault::Bug).detail(format!("entry {}: {why}", number + 1))
        })?;
    }
    Ok(progress)
}
