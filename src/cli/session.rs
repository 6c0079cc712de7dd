//! What one invocation works with: the loaded configuration, the state, the drivers and machines.
#![expect(clippy::disallowed_methods, reason = "a door to the environment and the clock")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::args::{Global, ScopeArgs, VariableArgs};
use super::backend;
use super::machines::Machines;
use super::pins::Pins;
use super::problem::{file_problem, state_problem};
use super::terminal::Terminal;
use crate::config::{self, LoadOptions, ProviderFiles, VarSource, provider_from_files};
use crate::driver::{self, Drivers};
use crate::lock::Lock;
use crate::model::driver::DriverSchema;
use crate::model::estate::Estate;
use crate::model::name::{Digest, EnvironmentName, InstanceAddr, Lineage, ProviderName};
use crate::model::provider::Provider;
use crate::plan::{Plan, Spread};
use crate::source::{Diagnostic, Diagnostics, SourceMap, nearest};
use crate::state::{LocalStore, Store};

/// The version of this program.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Where everything is, before anything is loaded.
pub(super) struct Place {
    /// Where the words go.
    pub(super) terminal: Terminal,
    /// The configuration's folder.
    pub(super) root: PathBuf,
    /// `.windlass` in it: runs, kept providers, modules. Never in git.
    pub(super) hidden: PathBuf,
    /// Texts that diagnostics point into.
    pub(super) sources: SourceMap,
    /// What there is to call.
    pub(super) drivers: Drivers,
    /// The time of this invocation.
    pub(super) now: Timestamp,
    /// How much to say.
    pub(super) verbose: u8,
}

impl Place {
    /// Looks at where it is.
    pub(super) fn new(global: &Global, terminal: Terminal) -> Result<Self, Diagnostics> {
        let cwd = std::env::current_dir().map_err(|error| file_problem("folder cannot be used", Path::new("."), &error))?;
        let root = global.chdir.as_ref().map_or_else(|| cwd.clone(), |dir| cwd.join(dir));
        if !root.is_dir() {
            let missing = Diagnostic::error("folder cannot be used").detail(format!("{} is no folder", root.display()));
            return Err(missing.help("give another one with --chdir").into());
        }
        let hidden = root.join(".windlass");
        Ok(Self {
            terminal,
            hidden,
            root,
            sources: SourceMap::new(),
            drivers: driver::standard(),
            now: Timestamp::now(),
            verbose: global.verbose,
        })
    }

    /// The same place at another time, with nothing loaded.
    pub(super) fn again(&self) -> Self {
        Self {
            terminal: self.terminal,
            root: self.root.clone(),
            hidden: self.hidden.clone(),
            sources: SourceMap::new(),
            drivers: self.drivers.clone(),
            now: Timestamp::now(),
            verbose: self.verbose,
        }
    }

    /// The configuration's folder in the git repository that it is in, with a `/` at its end; empty where it is its root, or in none.
    pub(super) fn prefix(&self) -> String {
        let prefix = || {
            let repository = git2::Repository::discover(&self.root).ok()?;
            let workdir = repository.workdir()?.canonicalize().ok()?;
            Some(format!("{}/", self.root.canonicalize().ok()?.strip_prefix(workdir).ok()?.to_str()?))
        };
        prefix().filter(|prefix| prefix != "/").unwrap_or_default()
    }

    /// The drivers' tables, for checking providers.
    pub(super) fn schemas(&self) -> Vec<DriverSchema> {
        self.drivers.schemas().copied().collect()
    }

    /// The folders in which a user keeps providers.
    pub(super) fn provider_dirs(&self) -> Vec<PathBuf> {
        let data = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from);
        let data = data.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".local/share")));
        let given = std::env::var_os("WINDLASS_PROVIDERS");
        let given = given.iter().flat_map(std::env::split_paths);
        given.chain(data.map(|data| data.join("windlass/providers"))).collect()
    }

    /// The state for commands that only look: that of the configuration, or the local one where it does not load.
    pub(super) fn store_to_look_at(&mut self) -> Result<Arc<dyn Store>, Diagnostics> {
        match self.load(&VariableArgs::default(), false) {
            Ok(loaded) => Ok(backend::store(&loaded.estate, self)?),
            Err(_) => {
                self.terminal.say("The configuration does not load; this is what the local state says:");
                Ok(Arc::new(LocalStore::new(&self.root, self.hidden.join("state"))))
            }
        }
    }

    /// Loads the configuration. Warnings are printed; on failure every problem is in the answer.
    pub(super) fn load(&mut self, variables: &VariableArgs, refresh_modules: bool) -> Result<config::Loaded, Diagnostics> {
        let vars = assignments(variables)?;
        let loaded = self.with_options(vars, refresh_modules, config::load)?;
        tracing::info!(instances = loaded.estate.instances.len(), providers = loaded.providers.len(), "configuration loaded");
        self.terminal.problems(&loaded.warnings, &self.sources);
        // Fetching again is asking for what is new.
        if !refresh_modules {
            Pins::read(&self.root)?.check(&Pins::of(&loaded), &self.hidden)?;
        }
        Ok(loaded)
    }

    /// Loads the configuration as it was at another commit. The inner problems are those of that configuration.
    pub(super) fn load_past(
        &mut self,
        variables: &VariableArgs,
        past: &config::Past,
    ) -> Result<Result<config::Loaded, Diagnostics>, Diagnostics> {
        let vars = assignments(variables)?;
        let commit = past.commit.clone();
        let root = self.root.clone();
        // Opened again on the stack that reads it: what git hands out stays on its thread.
        Ok(self.with_options(vars, false, move |_, options, sources| {
            let past = config::Past::find(&root, &commit)?;
            config::load_past(&past, options, sources)
        }))
    }

    /// Loads providers by name or folder, apart from the configuration.
    pub(super) fn providers(&mut self, names: &[ProviderName]) -> Result<BTreeMap<ProviderName, Arc<Provider>>, Diagnostics> {
        let work =
            |root: &Path, options: &LoadOptions<'_>, sources: &mut SourceMap| config::load_providers(root, names, options, sources);
        let (providers, warnings) = self.with_options(Vec::new(), false, work)?;
        self.terminal.problems(&warnings, &self.sources);
        Ok(providers)
    }

    /// The providers within reach, and where each is.
    pub(super) fn provider_names(&mut self) -> BTreeMap<ProviderName, String> {
        self.with_options(Vec::new(), false, |root, options, _| config::provider_names(root, options))
    }

    fn with_options<T: Send>(
        &mut self,
        vars: Vec<VarSource>,
        refresh_modules: bool,
        work: impl FnOnce(&Path, &LoadOptions<'_>, &mut SourceMap) -> T + Send,
    ) -> T {
        let embedded = config::embedded();
        let drivers = self.schemas();
        let options = LoadOptions {
            vars,
            env: std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
            cwd: self.root.clone(),
            provider_dirs: self.provider_dirs(),
            embedded: &embedded,
            drivers: &drivers,
            now: self.now,
            tool_version: VERSION.to_owned(),
            refresh_modules,
        };
        let sources = &mut self.sources;
        on_a_deep_stack(|| work(Path::new("."), &options, sources))
    }

    /// Loads the configuration and opens its state.
    pub(super) fn open(mut self, variables: &VariableArgs) -> Result<Session, Box<(Self, Diagnostics)>> {
        let loaded = match self.load(variables, false) {
            Ok(loaded) => loaded,
            Err(problems) => return Err(Box::new((self, problems))),
        };
        let opened = backend::check_left_behind(&loaded.estate, &self).and_then(|()| backend::store(&loaded.estate, &self));
        let store = match opened {
            Ok(store) => store,
            Err(problem) => return Err(Box::new((self, problem.into()))),
        };
        let machines = Machines::new(&loaded.estate.hosts, &self.root);
        let pins = Pins::of(&loaded);
        let config::Loaded { estate, providers, .. } = loaded;
        Ok(Session { place: self, estate, providers, store, machines: Arc::new(machines), bring_back: BTreeMap::new(), pins })
    }
}

/// Everything loaded and opened.
pub(super) struct Session {
    /// Where everything is.
    pub(super) place: Place,
    /// What is desired.
    pub(super) estate: Estate,
    /// Providers as they are now.
    pub(super) providers: BTreeMap<ProviderName, Arc<Provider>>,
    /// Applied state.
    pub(super) store: Arc<dyn Store>,
    /// The hosts.
    pub(super) machines: Arc<Machines>,
    /// Drifted facts of configuration that plans are to bring back.
    pub(super) bring_back: BTreeMap<InstanceAddr, BTreeSet<Arc<str>>>,
    /// The content of sources from outside.
    pub(super) pins: Pins,
}

impl Session {
    /// The environments asked for; all where none was. An unknown one is a problem.
    pub(super) fn environments(&self, scope: &ScopeArgs) -> Result<Vec<EnvironmentName>, Diagnostics> {
        let known = || self.estate.environments.keys().map(EnvironmentName::as_str);
        let mut problems = Diagnostics::new();
        let asked: BTreeSet<EnvironmentName> = scope.environments.iter().map(|name| EnvironmentName::new(name.trim())).collect();
        for name in &asked {
            if !self.estate.environments.contains_key(name) {
                let unknown =
                    Diagnostic::error("unknown environment").detail(format!("the configuration declares no environment `{name}`"));
                let near = nearest(name.as_str(), known()).map(|near| format!("did you mean `{near}`?"));
                let all = || format!("declared are: {}", known().collect::<Vec<_>>().join(", "));
                problems.push(unknown.help(near.unwrap_or_else(all)));
            }
        }
        if problems.has_errors() {
            return Err(problems);
        }
        Ok(if asked.is_empty() { self.estate.environments.keys().cloned().collect() } else { asked.into_iter().collect() })
    }

    /// The lockfiles of these environments; a fresh one where nothing was applied yet.
    pub(super) async fn locks(&self, environments: &[EnvironmentName]) -> Result<BTreeMap<EnvironmentName, Lock>, Diagnostics> {
        let mut locks = BTreeMap::new();
        let mut problems = Diagnostics::new();
        for environment in environments {
            match self.store.read(environment).await {
                Ok(lock) => {
                    let fresh = || Lock::fresh(environment.clone(), Lineage::new(uuid::Uuid::new_v4().to_string()));
                    locks.insert(environment.clone(), lock.unwrap_or_else(fresh));
                }
                Err(error) => problems.push(state_problem(&error)),
            }
        }
        if problems.has_errors() { Err(problems) } else { Ok(locks) }
    }

    /// Providers that recorded hops were applied with and those of a plan, as far as they are known, and the current ones.
    pub(super) async fn applied_providers(
        &mut self,
        locks: &BTreeMap<EnvironmentName, Lock>,
        plan: Option<&Plan>,
    ) -> Result<BTreeMap<Digest, Arc<Provider>>, Diagnostics> {
        let mut known: BTreeMap<Digest, Arc<Provider>> =
            self.providers.values().map(|provider| (provider.digest.clone(), Arc::clone(provider))).collect();
        let recorded = locks.values().flat_map(|lock| lock.instances.values());
        let recorded = recorded.flat_map(|locked| locked.hops.iter().map(|hop| (locked.provider.clone(), hop.provider.clone())));
        // A run goes on and back with what it was planned with, whatever the provider is by now.
        let planned = plan.into_iter().flat_map(|plan| &plan.changes);
        let planned =
            planned.flat_map(|change| change.hops.iter().map(|hop| (change.provider.clone(), hop.provider_digest.clone())));
        // What they were is shown where they are others now.
        let pinned = locks.values().flat_map(|lock| lock.providers.iter().map(|(name, pin)| (name.clone(), pin.digest.clone())));
        let wanted: BTreeSet<(ProviderName, Digest)> =
            recorded.chain(planned).chain(pinned).filter(|(_, digest)| !known.contains_key(digest)).collect();
        let schemes = self.providers.iter().map(|(name, provider)| (name.clone(), provider.scheme.clone())).collect();
        let drivers = self.place.schemas();
        for (name, digest) in wanted {
            let kept = self.store.kept(&digest).await.map_err(|error| state_problem(&error))?;
            // One that was not kept here is missing from the table: the planner says what cannot be undone without it.
            let Some(files) = kept.as_deref().and_then(decode_provider) else { continue };
            let sources = &mut self.place.sources;
            let (provider, _) = on_a_deep_stack(|| provider_from_files(&name, files, &schemes, &drivers, sources))?;
            if provider.digest == digest {
                known.insert(digest, Arc::new(provider));
            }
        }
        Ok(known)
    }

    /// How long steps took in the last runs.
    pub(super) async fn durations(&self) -> Result<BTreeMap<String, Spread>, Diagnostics> {
        const RUNS: usize = 20;
        let runs = self.store.runs(RUNS).await.map_err(|error| state_problem(&error))?;
        let mut taken: BTreeMap<String, Vec<Duration>> = BTreeMap::new();
        for (step, seconds) in runs.into_iter().flat_map(|run| run.durations) {
            if let Ok(time) = Duration::try_from_secs_f64(seconds) {
                taken.entry(step).or_default().push(time);
            }
        }
        Ok(taken.into_iter().filter_map(|(step, times)| Some((step, Spread::of(&times)?))).collect())
    }
}

/// What `--var` and `--var-file` say: files first, as Terraform does not; the later of one kind wins, and `--var` wins over files.
fn assignments(variables: &VariableArgs) -> Result<Vec<VarSource>, Diagnostics> {
    let mut vars: Vec<VarSource> = variables.var_files.iter().cloned().map(VarSource::File).collect();
    let mut problems = Diagnostics::new();
    for assignment in &variables.vars {
        match assignment.split_once('=') {
            Some((name, value)) => vars.push(VarSource::Assign { name: name.trim().to_owned(), value: value.to_owned() }),
            None => problems.push(
                Diagnostic::error("variable cannot be set")
                    .detail(format!("`--var {assignment}` has no `=`"))
                    .help("write `--var NAME=VALUE`"),
            ),
        }
    }
    problems.unless_errors(vars).map(|(vars, _)| vars)
}

/// A provider's files as the state keeps them: paths to base64, sorted.
pub(super) fn encode_provider(files: &ProviderFiles) -> Vec<u8> {
    use base64::Engine as _;
    let encoded: BTreeMap<&str, String> =
        files.iter().map(|(path, bytes)| (&**path, base64::engine::general_purpose::STANDARD.encode(bytes))).collect();
    serde_json::to_vec_pretty(&encoded).unwrap_or_default()
}

pub(super) fn decode_provider(content: &[u8]) -> Option<ProviderFiles> {
    use base64::Engine as _;
    let encoded: BTreeMap<String, String> = serde_json::from_slice(content).ok()?;
    encoded
        .into_iter()
        .map(|(path, text)| Some((Arc::from(path), Arc::from(base64::engine::general_purpose::STANDARD.decode(text).ok()?))))
        .collect()
}

/// Expressions may nest sixty levels deep, which the main thread's stack need not hold.
pub(super) fn on_a_deep_stack<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    const STACK: usize = 64 << 20;
    std::thread::scope(|scope| {
        let handle = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work);
        match handle.map(std::thread::ScopedJoinHandle::join) {
            Ok(Ok(answer)) => answer,
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            Err(error) => std::panic::resume_unwind(Box::new(format!("no thread could be started: {error}"))),
        }
    })
}
