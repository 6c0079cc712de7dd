//! `windlass resume`, `rollback`, `stop`, `confirm`: what a person says about a run.
#![expect(clippy::disallowed_methods, reason = "a door to the folders of runs")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::apply::{self, ActionState, Back, Control, Landing, ResumeOptions, RunArgs as Given};
use crate::cli::args::{CommitArgs, ConfirmArgs, ResumeArgs, RollbackArgs, RunArgs, ScopeArgs, StopArgs};
use crate::cli::command::apply::{commit_after, with_commit};
use crate::cli::exit::Exit;
use crate::cli::hold::{Hold, who};
use crate::cli::ledger::Ledger;
use crate::cli::problem::{file_problem, state_problem};
use crate::cli::running::{Ears, STOP_FILE, environments_of, finished, patience, run_dir, stop_wish};
use crate::cli::session::{Session, on_a_deep_stack};
use crate::driver::Confirmation;
use crate::model::name::{ActionId, EnvironmentName, InstanceAddr, RunId};
use crate::plan::{Plan, PlanInput, PlanOptions, Retreat, objections};
use crate::source::{Diagnostic, Diagnostics, Fault, nearest};
use crate::state::local::host_name;
use crate::state::{Move, Outcome, RunRecord};

/// Runs `resume`.
pub(in crate::cli) async fn resume(args: &ResumeArgs, session: &mut Session) -> Result<Exit, Diagnostics> {
    let record = find(session, args.run_id.as_deref(), "resume", is_unfinished).await?;
    if !is_unfinished(&record) {
        return Err(has_ended(&record).into());
    }
    let ids = |texts: &[String]| texts.iter().map(ActionId::from_text).collect();
    let options = ResumeOptions { retry: ids(&args.retry), skip: ids(&args.skip) };
    go_on(session, &record.id, "resume", (&args.run, &args.commit), async |_, given| apply::resume(options, given).await).await
}

/// Runs `rollback`.
pub(in crate::cli) async fn rollback(args: &RollbackArgs, session: &mut Session) -> Result<Exit, Diagnostics> {
    let record = find(session, args.run_id.as_deref(), "rollback", |record| record.outcome != Outcome::RolledBack).await?;
    check_newest(&record, &args.environments, session).await?;
    let terminal = session.place.terminal;
    let dir = bring(session, &record.id).await?;
    let back = Back { environments: args.environments.iter().map(EnvironmentName::new).collect(), to: wishes(&record, &args.to)? };
    let way = apply::foresee_back(&dir, &back)?;
    terminal.say(&format!("Rolling back run {} ({}):", record.id, record.began.strftime("%Y-%m-%d %H:%M:%SZ")));
    if back.is_limited() {
        check_landings(session, &way.landings).await?;
    }
    for Landing { instance, environment, now, then, .. } in &way.landings {
        let name = |version: &Option<std::sync::Arc<str>>| version.as_deref().unwrap_or("nothing").to_owned();
        terminal.say(&format!("  {instance} ({environment}): {} → {}", name(now), name(then)));
    }
    if !args.run.auto_approve
        && terminal.confirm("Undo it? Data that was written since may be lost where an undo restores a backup.") != Some(true)
    {
        return Err(Diagnostic::error("nothing was rolled back")
            .fault(Fault::Refused)
            .detail("nobody said yes")
            .help("answer `yes`, or give `--auto-approve`")
            .into());
    }
    let exit =
        go_on(session, &record.id, "rollback", (&args.run, &args.commit), async |_, given| apply::rollback(&back, given).await)
            .await?;
    // What was asked for was done.
    Ok(if exit == Exit::RolledBack { Exit::Done } else { exit })
}

/// Where only a part goes back, or only a part of the way, what comes of it must be what a plan could come to.
async fn check_landings(session: &mut Session, landings: &[Landing]) -> Result<(), Diagnostics> {
    let environments: Vec<EnvironmentName> = session.estate.environments.keys().cloned().collect();
    let locks = session.locks(&environments).await?;
    let moves = |addr: &InstanceAddr| landings.iter().any(|landing| landing.instance == *addr);
    let inventory = session.inventory_of(&locks, true, &moves).await;
    let input = PlanInput {
        estate: &session.estate,
        providers: &session.providers,
        applied_providers: &BTreeMap::new(),
        inventory: &inventory,
        locks: &locks,
        durations: &BTreeMap::new(),
        now: session.place.now,
        options: &PlanOptions::default(),
    };
    let retreat = |landing: &Landing| {
        let stations = std::iter::once(&landing.now).chain(&landing.between).chain([&landing.then]).cloned().collect();
        Retreat { instance: landing.instance.clone(), stations }
    };
    let retreats: Vec<Retreat> = landings.iter().map(retreat).collect();
    let found = on_a_deep_stack(|| objections(&input, &retreats));
    let problem = |(instance, reason): (InstanceAddr, String)| {
        Diagnostic::error("rollback leads to what could not be planned")
            .fault(Fault::Refused)
            .detail(format!("`{instance}`: {reason}"))
            .help("nothing was undone: choose versions that fit each other, or roll the whole run back")
    };
    let problems: Diagnostics = found.into_iter().map(problem).collect();
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// What a later run has moved stands on what this one did: to undo this one under it would leave neither's state.
async fn check_newest(record: &RunRecord, environments: &[String], session: &Session) -> Result<(), Diagnostics> {
    let is_meant = |moved: &Move| environments.is_empty() || environments.iter().any(|name| name == moved.environment.as_str());
    let runs = session.store.runs(1000).await.map_err(|error| state_problem(&error))?;
    let later = runs.iter().filter(|run| run.id.as_str() > record.id.as_str());
    let mut later = later.flat_map(|run| run.moves.iter().map(move |step| (run, step)));
    let ours = |step: &Move| record.moves.iter().any(|moved| moved.instance == step.instance && is_meant(moved));
    let environments: BTreeSet<_> = record.moves.iter().map(|moved| moved.environment.clone()).collect();
    let locks = session.locks(&environments.into_iter().collect::<Vec<_>>()).await?;
    // What a later run moved and took back again, or another after it, is not in the way.
    let is_on_top = |run: &RunRecord, step: &Move| {
        let entry = locks.get(&step.environment).and_then(|lock| lock.instances.get(&step.instance));
        !is_unfinished(run) && entry.and_then(|entry| entry.hops.last()).is_some_and(|hop| hop.run == record.id)
    };
    let over = later.find(|(run, step)| step.outcome != Outcome::RolledBack && ours(step) && !is_on_top(run, step));
    let Some((run, step)) = over else { return Ok(()) };
    Err(Diagnostic::error("run is not the newest")
        .fault(Fault::Refused)
        .detail(format!("run {} moved {} after run {}", run.id, step.instance, record.id))
        .help(format!("roll back {} first; or lower the version and apply, which undoes all hops in order", run.id))
        .into())
}

/// What `--to` says: `ADDRESS=VERSION`, or a version alone where the run has moved one instance.
fn wishes(record: &RunRecord, texts: &[String]) -> Result<BTreeMap<InstanceAddr, std::sync::Arc<str>>, Diagnostics> {
    let mut wishes = BTreeMap::new();
    let mut problems = Diagnostics::new();
    for text in texts {
        let (instance, version) = match (text.split_once('='), &*record.moves) {
            (Some((instance, version)), _) => (InstanceAddr::from_text(instance.trim()), version.trim()),
            (None, [moved]) => (moved.instance.clone(), text.trim()),
            (None, moved) => {
                let detail = format!("run {} moved {} instances, and `--to {text}` does not say which", record.id, moved.len());
                let help = "write `--to ADDRESS=VERSION`, once for each instance that stays in between";
                problems.push(Diagnostic::error("instance is not named").detail(detail).help(help));
                continue;
            }
        };
        if wishes.insert(instance.clone(), version.into()).is_some_and(|other: std::sync::Arc<str>| &*other != version) {
            problems.push(
                Diagnostic::error("contradiction")
                    .detail(format!("`{instance}` is to stay at two versions"))
                    .help("give one `--to` for each instance"),
            );
        }
    }
    problems.unless_errors(wishes).map(|(wishes, _)| wishes)
}

/// Runs `stop`: tells the process that applies.
pub(in crate::cli) async fn stop(args: &StopArgs, session: &Session) -> Result<Exit, Diagnostics> {
    let mut told = false;
    for environment in session.estate.environments.keys() {
        let Some(holder) = session.store.holder(environment).await.map_err(|error| state_problem(&error))? else { continue };
        let asked = args.run_id.as_ref().is_none_or(|run| holder.run.as_ref().is_some_and(|held| held.as_str() == run));
        let Some(run) = holder.run.clone().filter(|_| asked) else { continue };
        if is_here(&holder.who) {
            let path = run_dir(session, &run).join(STOP_FILE);
            crate::state::durable::replace(&path, b"", 0o600).map_err(|error| file_problem("run cannot be told", &path, &error))?;
        } else if session.store.run_files().is_some() {
            session.store.keep(&stop_wish(&holder), b"stop").await.map_err(|error| state_problem(&error))?;
        } else {
            return Err(out_of_reach(&holder.who, &run).into());
        }
        session.place.terminal.say(&format!("Run {run} was asked to stop: it finishes what it is doing and begins nothing new."));
        told = true;
    }
    if told {
        return Ok(Exit::Done);
    }
    Err(Diagnostic::error("nothing to stop")
        .detail("no run holds an environment of this configuration")
        .help("`windlass history` shows the runs")
        .into())
}

/// Whether a holder is on this machine, so that a file in the run's folder reaches it.
fn is_here(who: &str) -> bool {
    who.rsplit_once('@').map_or(who, |(_, machine)| machine) == host_name()
}

/// State is local, and the run is not.
fn out_of_reach(who: &str, run: &RunId) -> Diagnostic {
    Diagnostic::error("run is on another machine")
        .fault(Fault::Refused)
        .detail(format!("run {run} is carried out by {who}"))
        .help("run `windlass stop` there, or send its process SIGTERM")
}

/// Runs `confirm`: a manual action of a run, or a follow-up.
pub(in crate::cli) async fn confirm(args: &ConfirmArgs, session: &mut Session) -> Result<Exit, Diagnostics> {
    let terminal = session.place.terminal;
    for record in session.store.runs(100).await.map_err(|error| state_problem(&error))?.into_iter().filter(is_unfinished) {
        let dir = run_dir(session, &record.id);
        apply::fetch(&dir, &record.id, &*session.store).await?;
        let Ok((plan, progress)) = apply::inspect(&dir) else { continue };
        let Some(index) = plan.actions.iter().position(|action| action.id.as_str() == args.what) else { continue };
        let number = u32::try_from(index).unwrap_or(u32::MAX);
        let state = progress.state(number);
        if !matches!(state, ActionState::Held | ActionState::Running | ActionState::Undoing) {
            return Err(Diagnostic::error("nothing to confirm")
                .detail(format!("{} of run {} does not wait for anybody", args.what, record.id))
                .help("`windlass history` shows the runs")
                .into());
        }
        let Some(folder) = apply::last_folder(&dir, &plan.actions[index].id, state) else { continue };
        let confirmation = Confirmation { by: who(), at: session.place.now, note: args.note.clone() };
        confirmation.write(&folder).map_err(|failure| {
            Diagnostic::error("confirmation cannot be written")
                .fault(Fault::Platform)
                .detail(failure.message)
                .help("make room, or see to the permissions of `.windlass/runs`; nothing was confirmed")
        })?;
        share(session, &record.id, &plan, &folder).await?;
        terminal.say(&format!("Confirmed {}. Go on with: windlass resume {}", args.what, record.id));
        return Ok(Exit::Done);
    }
    if let Some(exit) = confirm_closed(args, session).await? {
        return Ok(exit);
    }
    confirm_follow_up(args, session).await
}

/// Lets other machines see a confirmation. Where the run is carried out at this moment, it is seen by who goes on from here.
async fn share(session: &Session, run: &RunId, plan: &Plan, folder: &Path) -> Result<(), Diagnostics> {
    let Some(files) = session.store.run_files() else { return Ok(()) };
    let environments = environments_of(plan);
    let hold = match Hold::take(session, &environments, "confirm", Some(run), None).await {
        Ok(hold) => hold,
        Err(problems) if problems.iter().any(|problem| problem.fault == Fault::Locked) => {
            session.place.terminal.say("The run is being carried out: the confirmation is on this machine only, resume it here.");
            return Ok(());
        }
        Err(problems) => return Err(problems),
    };
    let path = folder.join(Confirmation::FILE);
    let name = path.strip_prefix(run_dir(session, run)).ok().and_then(|name| name.to_str()).map(str::to_owned);
    let shared = match (fs::read(&path), name, hold.leases.values().next()) {
        (Ok(content), Some(name), Some(lease)) => files.put_file(run, &name, &content, lease).await,
        _ => Ok(()),
    };
    hold.give_back(session).await;
    Ok(shared.map_err(|error| state_problem(&error))?)
}

/// `ADDRESS:BRACKET` that an ended run has left open, and a person has closed.
async fn confirm_closed(args: &ConfirmArgs, session: &Session) -> Result<Option<Exit>, Diagnostics> {
    let left = session.open_brackets().await?;
    let Some(left) = left.into_iter().find(|left| format!("{}:{}", left.bracket.instance, left.bracket.name) == args.what) else {
        return Ok(None);
    };
    let runs = session.store.runs(1000).await.map_err(|error| state_problem(&error))?;
    let Some(mut record) = runs.into_iter().find(|record| record.id == left.run) else { return Ok(None) };
    if is_unfinished(&record) {
        return Err(Diagnostic::error("run goes on")
            .fault(Fault::Refused)
            .detail(format!("run {} has opened {} and is not through", left.run, args.what))
            .help(format!("`windlass resume {0}` or `windlass rollback {0}` closes it; or abandon the run first", left.run))
            .into());
    }
    for bracket in record.brackets.iter_mut().filter(|bracket| bracket.closed.is_none()) {
        if bracket.instance == left.bracket.instance && bracket.name == left.bracket.name {
            bracket.closed = Some(session.place.now);
        }
    }
    session.store.put_run(&record).await.map_err(|error| state_problem(&error))?;
    session.place.terminal.say(&format!("{} is closed.", args.what));
    Ok(Some(Exit::Done))
}

/// `ADDRESS:NAME` of a recorded follow-up.
async fn confirm_follow_up(args: &ConfirmArgs, session: &mut Session) -> Result<Exit, Diagnostics> {
    let locks = session.locks(&session.environments(&ScopeArgs::default())?).await?;
    let owed: Vec<_> = locks
        .iter()
        .flat_map(|(environment, lock)| lock.instances.iter().map(move |(addr, locked)| (environment, addr, locked)))
        .flat_map(|(environment, addr, locked)| {
            locked.follow_ups.iter().map(move |owed| (environment.clone(), addr.clone(), owed.name.clone()))
        })
        .collect();
    let name = |(_, addr, name): &(_, InstanceAddr, std::sync::Arc<str>)| format!("{addr}:{name}");
    let Some((environment, addr, follow_up)) = owed.iter().find(|owed| name(owed) == args.what).cloned() else {
        let known: Vec<String> = owed.iter().map(name).collect();
        let unknown = Diagnostic::error("nothing to confirm")
            .detail(format!("no unfinished run has an action `{0}`, and no lockfile a follow-up `{0}`", args.what));
        let near = nearest(&args.what, known.iter().map(String::as_str)).map(|near| format!("did you mean `{near}`?"));
        return Err(unknown.help(near.unwrap_or_else(|| "`windlass status` shows what is owed".to_owned())).into());
    };
    super::state::change(session, &environment, "confirm", |lock| {
        if let Some(locked) = lock.instances.get_mut(&addr) {
            locked.follow_ups.retain(|owed| owed.name != follow_up);
        }
    })
    .await?;
    session.place.terminal.say(&format!("{} is done.", args.what));
    Ok(Exit::Done)
}

pub(in crate::cli) fn is_unfinished(record: &RunRecord) -> bool {
    matches!(record.outcome, Outcome::Running | Outcome::Held | Outcome::Stopped)
}

/// There is nothing left of a run to go on with.
pub(in crate::cli) fn has_ended(record: &RunRecord) -> Diagnostic {
    Diagnostic::error("the run has ended")
        .fault(Fault::Refused)
        .detail(format!("run {} is {}", record.id, record.outcome.word()))
        .help("`windlass history` shows it; `windlass rollback` takes a finished run back")
}

/// The run that is meant: by id, or the newest that fits.
pub(in crate::cli) async fn find(
    session: &Session,
    id: Option<&str>,
    what: &str,
    fits: impl Fn(&RunRecord) -> bool,
) -> Result<RunRecord, Diagnostics> {
    let runs = session.store.runs(1000).await.map_err(|error| state_problem(&error))?;
    if let Some(id) = id {
        return runs.iter().find(|record| record.id.as_str() == id).cloned().ok_or_else(|| {
            let unknown = Diagnostic::error("unknown run").detail(format!("there is no run `{id}`"));
            let near = nearest(id, runs.iter().map(|record| record.id.as_str())).map(|near| format!("did you mean `{near}`?"));
            unknown.help(near.unwrap_or_else(|| "`windlass history` lists the runs".to_owned())).into()
        });
    }
    runs.into_iter().find(|record| fits(record)).ok_or_else(|| {
        Diagnostic::error("no such run")
            .detail(format!("there is no run to {what}"))
            .help("`windlass history` lists the runs")
            .into()
    })
}

/// Opens a run again, under the plan that it has.
pub(in crate::cli) async fn go_on(
    session: &mut Session,
    run: &RunId,
    operation: &str,
    (flags, commit): (&RunArgs, &CommitArgs),
    work: impl AsyncFnOnce(&Plan, Given) -> Result<apply::Finished, Diagnostics>,
) -> Result<Exit, Diagnostics> {
    let dir = bring(session, run).await?;
    // A wish to stop was for the process that is gone.
    let _ = fs::remove_file(dir.join(STOP_FILE));
    let (plan, _) = apply::inspect(&dir)?;
    let environments = environments_of(&plan);
    let ledger = Ledger::open(commit, session, &environments)?;
    let hold = Hold::take(session, &environments, operation, Some(run), patience(flags)?).await?;
    let result = async {
        let mut locks = session.locks(&environments).await?;
        for (environment, lock) in &mut locks {
            if let Some(base) = plan.bases.get(environment)
                && lock.serial == 0
            {
                lock.lineage = base.lineage.clone();
            }
        }
        let control = Control::new();
        let ears = Ears::open(&control, run, session, &hold);
        let given = session.run_args(run, &plan, &hold, locks, flags, &control).await?;
        let result = work(&plan, given).await;
        drop(ears);
        result
    }
    .await;
    // While nobody else can write the lockfile.
    let committed = commit_after(ledger.as_ref(), session, run).await;
    hold.give_back(session).await;
    with_commit(result.map(|end| finished(session, &end)), committed, session)
}

/// The folder of a run, brought here where the store has it and this machine has not.
async fn bring(session: &Session, run: &RunId) -> Result<PathBuf, Diagnostics> {
    let dir = run_dir(session, run);
    apply::fetch(&dir, run, &*session.store).await?;
    if dir.is_dir() {
        return Ok(dir);
    }
    Err(Diagnostic::error("run is not here")
        .detail(format!("the folder of run {run} is not on this machine"))
        .help("go on where it was begun, or copy `.windlass/runs` from there; where it is lost, look at what the run did by hand, and `windlass abandon --as failed` it")
        .into())
}
