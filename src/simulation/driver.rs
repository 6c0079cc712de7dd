//! The world's one driver and its machines: what a provider's step does to the truth.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::process::{Beginning, Deed, Told};
use super::scenario::{Act, LookAct};
use super::world::World;
use crate::apply::Hosts;
use crate::driver::host::{Attributes, Cause, Content, Ended, Entry, Finished, Host, Local, Recovered, Space, Stat, User};
use crate::driver::{Command, Context, Driver, Failure, FailureKind, Manual, Output};
use crate::lang::{Object, Value};
use crate::model::driver::{ArgSchema, DriverSchema};
use crate::model::name::HostName;

const fn arg(name: &'static str, ty: &'static str) -> ArgSchema {
    ArgSchema { name, ty, required: false, summary: "See the simulation." }
}

/// `do` a step, `undo` it, `look` whether it is done, or `wait` until something has been looked at `looks` times.
pub(super) static SCHEMA: DriverSchema = DriverSchema {
    name: "sim",
    summary: "Changes a simulated world.",
    args: &[
        arg("do", "string"),
        arg("undo", "string"),
        arg("look", "string"),
        arg("wait", "string"),
        arg("looks", "number"),
        arg("item", "string"),
        arg("revision", "number"),
        arg("instance", "string"),
        arg("from", "string"),
        arg("to", "string"),
        arg("takes", "number"),
        arg("supervised", "bool"),
    ],
    results: &[],
    observes: true,
};

/// The driver `sim`, as one process of Windlass has it.
pub(super) struct Sim {
    world: World,
    generation: u32,
    home: Home,
}

impl Sim {
    pub(super) fn new(world: &World, home: &Home) -> Self {
        Self { generation: world.look().generation, world: world.clone(), home: home.clone() }
    }
}

/// Where a machine has the folders of runs.
#[derive(Clone)]
pub(super) struct Home {
    pub folder: PathBuf,
    /// Whether other machines go on with runs: then what they need is written into those folders.
    pub is_shared: bool,
}

impl Home {
    /// Under which name a command is found again: on a host by all who know that, on this machine only from here.
    fn name(&self, dir: &Path, is_local: bool) -> PathBuf {
        if is_local { dir.to_owned() } else { dir.strip_prefix(&self.folder).unwrap_or(dir).to_owned() }
    }

    /// The command that was begun with a folder, as far as that is known here.
    fn known(&self, world: &World, dir: &Path, is_local: bool) -> Option<usize> {
        let is_named = is_local || !self.is_shared || dir.join(REMOTE).exists();
        let known = world.look().in_folder(&self.name(dir, is_local)).filter(|_| is_named);
        // How it ended may have been brought here.
        known.or_else(|| if self.is_shared { std::fs::read_to_string(dir.join(EXIT)).ok()?.parse().ok() } else { None })
    }

    fn write(&self, dir: &Path, name: &str, process: usize) {
        if self.is_shared {
            let _ = std::fs::write(dir.join(name), process.to_string());
        }
    }
}

/// Where a command is on a host, and how one ended, as the real ones call it.
const REMOTE: &str = "remote.json";
const EXIT: &str = "exit.json";

#[async_trait]
impl Driver for Sim {
    fn schema(&self) -> &'static DriverSchema {
        &SCHEMA
    }

    fn is_one_command(&self) -> bool {
        true
    }

    fn knows_untouched(&self) -> bool {
        true
    }

    async fn run(&self, args: &Object, ctx: &Context) -> Result<Value, Failure> {
        let text = |name: &str| args.get(name).and_then(Value::as_str).map(ToOwned::to_owned);
        let whole = |name: &str| args.get(name).and_then(|value| serde_json::to_value(value).ok()?.as_u64());
        let (instance, to) = (text("instance").unwrap_or_default(), text("to").unwrap_or_default());
        let of_item = |step: String| text("item").map_or(step.clone(), |item| format!("{step}#{item}"));
        self.world.only_alive(self.generation).await;
        if !self.world.look().is_current(self.generation) {
            return Err(Failure::new(FailureKind::Cancelled, "it woke up, and another has gone on"));
        }
        if self.world.look().is_away(ctx.host.name()) {
            return Err(Failure::new(FailureKind::Unreachable, "the host is away").untouched());
        }
        if let Some(step) = text("look") {
            let act = self.world.look().next_look();
            if let Some(act) = act {
                return self.look_badly(act, ctx).await;
            }
            let done = self.world.look().is_done(&instance, &of_item(step), &to);
            return Ok(Value::object([("done", Value::Bool(done))]));
        }
        if let Some(step) = text("wait") {
            return self.wait(&instance, &step, &to, whole("looks").unwrap_or(1), ctx).await;
        }
        let (step, undo) = match (text("do"), text("undo")) {
            (Some(step), _) => (step, false),
            (None, Some(step)) => (step, true),
            (None, None) => return Err(Failure::new(FailureKind::Invalid, "it says neither what to do nor what to undo")),
        };
        let takes = whole("takes").unwrap_or(1);
        let revision = whole("revision").unwrap_or_default();
        let supervised = args.get("supervised").and_then(Value::as_bool) == Some(true);
        let deed = Deed { instance, step: of_item(step), undo, from: text("from"), to, revision };
        self.act(deed, Duration::from_secs(takes), supervised, ctx).await
    }
}

impl Sim {
    /// A look that is not answered.
    async fn look_badly(&self, act: LookAct, ctx: &Context) -> Result<Value, Failure> {
        match act {
            LookAct::Fails => Err(Failure::new(FailureKind::Failed, "it failed")),
            LookAct::Unreachable => Err(Failure::new(FailureKind::Unreachable, "the service is away")),
            LookAct::Hangs => Err(hang(ctx).await),
            LookAct::Kills => die(&self.world, false).await,
        }
    }

    /// One look of a poll, which faults can hit, too.
    async fn wait(&self, instance: &str, step: &str, to: &str, looks: u64, ctx: &Context) -> Result<Value, Failure> {
        let act = self.world.look().next_call();
        match act {
            Some(Act::Unreachable) => return Err(Failure::new(FailureKind::Unreachable, "the host is away")),
            Some(Act::Fails | Act::FailsAfter | Act::Untouched) => return Err(Failure::new(FailureKind::Failed, "it failed")),
            Some(Act::Panics) => panic!("a driver's defect"),
            Some(Act::KillsBefore | Act::KillsAfter) => return die(&self.world, false).await,
            Some(Act::Hangs) => return Err(hang(ctx).await),
            None => {}
        }
        let done = self.world.look().looked(instance, step, to) >= looks;
        Ok(Value::object([("done", Value::Bool(done))]))
    }

    async fn act(&self, deed: Deed, takes: Duration, supervised: bool, ctx: &Context) -> Result<Value, Failure> {
        let folder = ctx.dir.clone();
        if let Some(folder) = &folder {
            let _ = std::fs::create_dir_all(folder);
        }
        let is_local = ctx.host.is_local();
        let known = folder.as_ref().and_then(|folder| self.home.known(&self.world, folder, is_local)).filter(|_| supervised);
        let is_current = self.world.look().is_current(self.generation);
        let act = if known.is_some() || !is_current { None } else { self.world.look().next_call() };
        match act {
            Some(Act::Unreachable) => return Err(Failure::new(FailureKind::Unreachable, "the service is away")),
            Some(Act::Untouched) => return Err(Failure::new(FailureKind::Failed, "there is no such program").untouched()),
            _ => {}
        }
        if folder.as_ref().is_some_and(|folder| self.world.look().is_forbidden(folder)) {
            return Err(Failure::new(FailureKind::NotBegun, "it is not to be begun any more").untouched());
        }
        let process = known.unwrap_or_else(|| {
            let name = folder.as_ref().map(|folder| self.home.name(folder, is_local));
            let call = Beginning { deed, takes, folder: name.as_ref(), supervised, generation: self.generation };
            self.world.look().start(&ctx.key, call)
        });
        if let Some(folder) = folder.as_ref().filter(|_| supervised && !is_local) {
            self.home.write(folder, REMOTE, process);
        }
        let _own = GivenUp(&self.world, process);
        match act {
            Some(Act::Panics) => {
                self.world.look().end(process, false);
                self.world.look().tell(process, Told::Failed);
                panic!("a driver's defect");
            }
            Some(Act::KillsBefore) => return die(&self.world, false).await,
            Some(Act::Hangs) => {
                let failure = hang(ctx).await;
                let told = if failure.kind == FailureKind::Cancelled { Told::Cancelled } else { Told::Failed };
                self.world.look().end(process, false);
                self.world.look().tell(process, told);
                return Err(failure);
            }
            _ => {}
        }
        let ends = self.world.look().ends(process);
        tokio::select! {
            () = tokio::time::sleep_until(ends) => {}
            () = self.cut_off(ctx.host.name()), if supervised => {
                self.world.look().leave_alone(process);
                return Err(Failure::new(FailureKind::Unreachable, "the connection broke"));
            }
            () = ctx.cancel.cancelled() => {
                let mut world = self.world.look();
                if world.is_running(process) {
                    world.end(process, false);
                    world.tell(process, Told::Cancelled);
                    return Err(Failure::new(FailureKind::Cancelled, "cancelled"));
                }
            }
        }
        let works = !matches!(act, Some(Act::Fails));
        self.world.look().end(process, works);
        if let Some(folder) = folder.as_ref().filter(|_| supervised) {
            self.home.write(folder, EXIT, process);
        }
        if act == Some(Act::KillsAfter) {
            return die(&self.world, true).await;
        }
        let mut world = self.world.look();
        if act == Some(Act::FailsAfter) || !world.has_effect(process) {
            world.tell(process, Told::Failed);
            return Err(Failure::new(FailureKind::Failed, "it failed"));
        }
        world.tell(process, Told::Succeeded);
        Ok(Value::object([("done", Value::Bool(true))]))
    }

    /// Ends when the host is away.
    async fn cut_off(&self, host: &str) {
        while !self.world.look().is_away(host) {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
}

/// A call that is given up is over, unless its command goes on by itself.
struct GivenUp<'a>(&'a World, usize);

impl Drop for GivenUp<'_> {
    fn drop(&mut self) {
        let mut world = self.0.look();
        if !world.is_supervised(self.1) {
            world.end(self.1, false);
        }
    }
}

/// Windlass dies in this call.
async fn die(world: &World, done: bool) -> Result<Value, Failure> {
    world.kill(done);
    std::future::pending().await
}

/// The driver `manual`, the real one, as one process of Windlass has it: the world takes note of what a person is asked for.
pub(super) struct Asks {
    world: World,
    generation: u32,
}

impl Asks {
    pub(super) fn new(world: &World) -> Self {
        Self { generation: world.look().generation, world: world.clone() }
    }
}

#[async_trait]
impl Driver for Asks {
    fn schema(&self) -> &'static DriverSchema {
        Manual.schema()
    }

    fn asks_a_person(&self) -> bool {
        Manual.asks_a_person()
    }

    async fn run(&self, args: &Object, ctx: &Context) -> Result<Value, Failure> {
        self.world.only_alive(self.generation).await;
        if !self.world.look().is_current(self.generation) {
            return Err(Failure::new(FailureKind::Cancelled, "it woke up, and another has gone on"));
        }
        let act = self.world.look().next_call();
        match act {
            Some(Act::Panics) => panic!("a driver's defect"),
            Some(Act::KillsBefore) => return die(&self.world, false).await,
            Some(Act::Fails | Act::FailsAfter) => return Err(Failure::new(FailureKind::Failed, "no place for the answer")),
            Some(Act::Unreachable | Act::Untouched | Act::Hangs | Act::KillsAfter) | None => {}
        }
        let asked = args.get("instructions").and_then(Value::as_str).unwrap_or_default();
        let [what, step, revision, instance, to] = asked.split(' ').collect::<Vec<_>>()[..] else {
            return Err(Failure::new(FailureKind::Invalid, format!("nobody understands {asked:?}")));
        };
        let (instance, step, to) = (instance.to_owned(), step.to_owned(), to.to_owned());
        let deed = Deed { instance, step, undo: what == "undo", from: None, to, revision: revision.parse().unwrap_or_default() };
        self.world.look().judge_asked(&ctx.key, deed);
        let answer = Manual.run(args, ctx).await;
        if act == Some(Act::KillsAfter) { die(&self.world, false).await } else { answer }
    }
}

/// Hangs until its time is over, or Windlass gives up.
async fn hang(ctx: &Context) -> Failure {
    let overdue = tokio::time::sleep(ctx.timeout.unwrap_or(Duration::from_secs(3600)));
    tokio::select! {
        () = ctx.cancel.cancelled() => Failure::new(FailureKind::Cancelled, "cancelled"),
        () = overdue => Failure::new(FailureKind::TimedOut, "it hung"),
    }
}

/// Machines of the world: they know what became of commands, and whether they can be reached.
pub(super) struct Machines(pub World, pub Home);

impl Hosts for Machines {
    fn host(&self, name: Option<&HostName>) -> Result<Arc<dyn Host>, Failure> {
        Ok(Arc::new(Machine(self.0.clone(), Local::new([]), name.map(ToString::to_string), self.1.clone())))
    }
}

/// A machine; one without a name is this one.
struct Machine(World, Local, Option<String>, Home);

impl Machine {
    fn reach(&self) -> Result<(), Failure> {
        match self.0.look().is_away(self.name()) {
            true => Err(Failure::new(FailureKind::Unreachable, "the host is away")),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl Host for Machine {
    fn name(&self) -> &str {
        self.2.as_deref().unwrap_or("here")
    }

    fn is_local(&self) -> bool {
        self.2.is_none()
    }

    /// Only of this machine that can be certain.
    async fn forbid(&self, dir: &Path) -> Result<bool, Failure> {
        if !self.is_local() {
            return Ok(false);
        }
        let _ = std::fs::create_dir_all(dir);
        Ok(self.0.look().forbid(dir.to_owned()))
    }

    async fn run(&self, command: &Command, ctx: &Context) -> Result<Output, Failure> {
        self.1.run(command, ctx).await
    }

    async fn supervise(&self, command: &Command, dir: &Path, ctx: &Context) -> Result<Output, Failure> {
        self.1.supervise(command, dir, ctx).await
    }

    async fn recover(&self, dir: &Path) -> Result<Recovered, Failure> {
        self.reach()?;
        let known = self.3.known(&self.0, dir, self.is_local());
        let world = self.0.look();
        Ok(match known {
            None => Recovered::NotBegun,
            Some(process) if !world.is_supervised(process) => Recovered::Lost,
            Some(process) if world.is_running(process) => Recovered::Running,
            Some(_) => Recovered::Finished(Finished {
                ended: Some(Ended::Code(0)),
                error: None,
                started: world.now(),
                finished: world.now(),
                cause: Cause::default(),
                is_cramped: false,
            }),
        })
    }

    /// Asked only to see whether it can be reached; a real look would take real time, and no seed would be the same twice.
    async fn stat(&self, _path: &Path, _follow: bool) -> Result<Option<Stat>, Failure> {
        self.reach()?;
        Ok(None)
    }

    async fn read(&self, path: &Path, limit: u64) -> Result<Option<Content>, Failure> {
        self.1.read(path, limit).await
    }

    async fn write(&self, path: &Path, bytes: &[u8], attributes: &Attributes) -> Result<(), Failure> {
        self.1.write(path, bytes, attributes).await
    }

    async fn upload(&self, from: &Path, to: &Path, attributes: &Attributes) -> Result<(), Failure> {
        self.1.upload(from, to, attributes).await
    }

    async fn list(&self, path: &Path) -> Result<Vec<Entry>, Failure> {
        self.1.list(path).await
    }

    async fn make_dir(&self, path: &Path, attributes: &Attributes) -> Result<(), Failure> {
        self.1.make_dir(path, attributes).await
    }

    async fn remove(&self, path: &Path, recursive: bool) -> Result<(), Failure> {
        self.1.remove(path, recursive).await
    }

    async fn symlink(&self, target: &Path, path: &Path) -> Result<(), Failure> {
        self.1.symlink(target, path).await
    }

    async fn rename(&self, from: &Path, to: &Path) -> Result<(), Failure> {
        self.1.rename(from, to).await
    }

    async fn space(&self, path: &Path) -> Result<Space, Failure> {
        self.1.space(path).await
    }

    async fn user(&self, name: &str) -> Result<Option<User>, Failure> {
        self.1.user(name).await
    }

    async fn accepts(&self, address: &str, patience: Duration) -> Result<bool, Failure> {
        self.1.accepts(address, patience).await
    }

    async fn uid(&self) -> Result<u32, Failure> {
        self.1.uid().await
    }
}
