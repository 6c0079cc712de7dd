//! From text to an estate: reads configuration, modules and providers, evaluates every expression, checks every name.
//!
//! [`load`] takes a folder and [`LoadOptions`] and gives an [`Estate`] and the [`Provider`]s that it uses, or every problem found,
//! with places in the [`SourceMap`]. Knows no plan, no state and no platform; it reads files, and runs nothing but `git fetch` for
//! module sources that are not on this machine.

mod acknowledgement;
mod assignment;
mod declare;
mod dependency;
mod digest;
mod drift;
mod environment;
mod evaluate;
mod fields;
mod files;
mod git;
mod host;
mod instance;
mod module;
mod past;
mod provider;
mod reference;
mod release;
mod repeat;
mod setting;
mod tool;
mod variable;
mod waiver;
mod world;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use jiff::Timestamp;

pub use git::without_credentials;
pub use module::Pin;
pub use past::Past;
pub use provider::{ProviderFiles, embedded, lint, provider_from_files};

use crate::lang::Env;
use crate::model::driver::DriverSchema;
use crate::model::estate::Estate;
use crate::model::name::ProviderName;
use crate::model::provider::Provider;
use crate::source::{Diagnostic, Diagnostics, SourceMap, Span};

use evaluate::Evaluation;
use files::{Folder, Record, Tree};
use module::{ModuleUse, Sources};
use world::World;

/// A value for a variable, from the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VarSource {
    /// `--var name=value`.
    Assign {
        /// Which variable.
        name: String,
        /// Its value, as text.
        value: String,
    },
    /// `--var-file path`, relative to the working directory.
    File(PathBuf),
}

/// What loading takes besides the folder.
pub struct LoadOptions<'a> {
    /// Values for variables, in the order of the command line: the later wins.
    pub vars: Vec<VarSource>,
    /// The environment; only `WINDLASS_VAR_…` is looked at.
    pub env: BTreeMap<String, String>,
    /// The working directory.
    pub cwd: PathBuf,
    /// The user's provider folders, each with providers as folders in it.
    pub provider_dirs: Vec<PathBuf>,
    /// The providers that the program carries: [`embedded`], mostly.
    pub embedded: &'a BTreeMap<ProviderName, ProviderFiles>,
    /// The drivers that providers may use.
    pub drivers: &'a [DriverSchema],
    /// What `timestamp()` answers.
    pub now: Timestamp,
    /// The version of Windlass, for `required_version`.
    pub tool_version: String,
    /// Whether module sources that were fetched before are fetched again.
    pub refresh_modules: bool,
}

/// What was loaded.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What is desired.
    pub estate: Estate,
    /// The providers that the configuration names.
    pub providers: BTreeMap<ProviderName, Arc<Provider>>,
    /// The commits that git sources meant.
    pub pins: Vec<Pin>,
    /// Providers that change apart from the configuration and the program (from git or a folder outside), and where they are.
    pub outside: BTreeMap<ProviderName, String>,
    /// What a person should look at.
    pub warnings: Diagnostics,
}

/// Loads the configuration in the folder `root` (relative to `options.cwd`). Texts that diagnostics point into are added to
/// `sources`, on failure too.
///
/// # Errors
/// Every problem found, in files, modules, providers and expressions.
pub fn load(root: &Path, options: &LoadOptions<'_>, sources: &mut SourceMap) -> Result<Loaded, Diagnostics> {
    let record = Record::default();
    let cache = options.cwd.join(files::normalize(root)).join(".windlass").join("modules");
    load_folder(root_folder(root, &options.cwd, &record), cache, options, sources)
}

/// Loads the configuration of the working directory as it was at another commit. Values of variables come from where they come from
/// now, but for files of values that git has.
///
/// # Errors
/// As [`load`].
pub fn load_past(past: &Past, options: &LoadOptions<'_>, sources: &mut SourceMap) -> Result<Loaded, Diagnostics> {
    let cache = options.cwd.join(".windlass").join("modules");
    load_folder(past.folder(&Record::default()), cache, options, sources)
}

fn load_folder(root: Folder, cache: PathBuf, options: &LoadOptions<'_>, sources: &mut SourceMap) -> Result<Loaded, Diagnostics> {
    let mut problems = Diagnostics::new();
    let record = root.record.clone();
    let mut opener = Sources {
        cwd: options.cwd.clone(),
        cache,
        refresh: options.refresh_modules,
        record: record.clone(),
        commits: HashMap::new(),
        pins: Vec::new(),
        outside: BTreeMap::new(),
    };
    let modules = module::load_tree(root.clone(), &mut opener, options.now, sources, &mut problems);
    let tool::Tool { providers: declared, policy } =
        tool::decode(&modules[0].text.declared.windlass, &root, options, &mut problems);
    let finder = provider::Finder { root: &root, declared, folders: &options.provider_dirs, embedded: options.embedded };
    let wanted = wanted_providers(&modules, finder.declared.keys());
    let providers = provider::load_all(&wanted, &finder, &mut opener, options.drivers, sources, &mut problems);
    let env = Env { files: &root, ..Env::pure(options.now) };
    let inputs = assignment::assign(&modules[0].text.variables, &root, options, &env, sources, &mut problems);
    let world = World::new(modules, options.now);
    let order = reference::order(&world, &mut problems);
    let mut evaluation = Evaluation {
        world,
        order: &order,
        providers: &providers,
        setting_orders: HashMap::new(),
        inputs,
        estate: Estate::default(),
    };
    evaluation.run(&mut problems);
    let Evaluation { inputs, mut estate, .. } = evaluation;
    estate.policy = policy;
    estate.digest = Some(digest::configuration_digest(&record.entries(&root.label), &opener.pins, &inputs));
    let (_, warnings) = once(problems).unless_errors(())?;
    Ok(Loaded { estate, providers, pins: opener.pins, outside: opener.outside, warnings })
}

/// Loads providers by name alone, without a configuration's say: for instances that only a lockfile knows any more, and for looking
/// at providers. A name that holds a `/` or is `.` is the provider's folder.
///
/// # Errors
/// There is no such provider, or every problem in it.
pub fn load_providers(
    root: &Path,
    names: &[ProviderName],
    options: &LoadOptions<'_>,
    sources: &mut SourceMap,
) -> Result<(BTreeMap<ProviderName, Arc<Provider>>, Diagnostics), Diagnostics> {
    let mut problems = Diagnostics::new();
    let root = root_folder(root, &options.cwd, &Record::default());
    let mut opener = Sources {
        cwd: options.cwd.clone(),
        cache: options.cwd.join(&root.path).join(".windlass").join("modules"),
        refresh: false,
        record: root.record.clone(),
        commits: HashMap::new(),
        pins: Vec::new(),
        outside: BTreeMap::new(),
    };
    let mut wanted = BTreeMap::new();
    let mut providers = BTreeMap::new();
    for name in names {
        let path = Path::new(name.as_str());
        if !name.as_str().contains('/') && name.as_str() != "." {
            wanted.insert(name.clone(), None);
            continue;
        }
        let folder = root_folder(path, &options.cwd, &root.record);
        let label = folder.display_self();
        let named = options.cwd.join(path);
        let own = named.canonicalize().ok().and_then(|path| Some(path.file_name()?.to_str()?.to_owned()));
        let files = folder.content().map_err(|reason| {
            Diagnostic::error("provider cannot be read")
                .detail(format!("the folder `{label}` {reason}"))
                .help("give a provider's name, or its folder")
        });
        let (Some(files), Some(own)) = (problems.take(files), own) else { continue };
        let schemes = BTreeMap::new();
        let read = provider_from_files(&ProviderName::new(&own), files, &schemes, options.drivers, sources);
        if let Some((provider, warnings)) = problems.take(read) {
            problems.extend(warnings);
            providers.insert(name.clone(), Arc::new(provider));
        }
    }
    let finder =
        provider::Finder { root: &root, declared: BTreeMap::new(), folders: &options.provider_dirs, embedded: options.embedded };
    providers.extend(provider::load_all(&wanted, &finder, &mut opener, options.drivers, sources, &mut problems));
    problems.unless_errors(providers)
}

/// The providers within reach by name: beside the configuration, in the user's folders, in the program; and where each is.
#[must_use]
pub fn provider_names(root: &Path, options: &LoadOptions<'_>) -> BTreeMap<ProviderName, String> {
    let record = Record::default();
    let mut names: BTreeMap<ProviderName, String> =
        options.embedded.keys().map(|name| (name.clone(), "in this program".to_owned())).collect();
    let beside = root_folder(root, &options.cwd, &record).join("providers");
    let user = options.provider_dirs.iter().map(|dir| root_folder(dir, &options.cwd, &record));
    // Nearer ones hide those further away.
    for folder in user.collect::<Vec<_>>().into_iter().rev().chain([beside]) {
        let place = folder.display_self();
        names.extend(folder.folders().into_iter().map(|name| (ProviderName::new(&name), format!("{place}/{name}"))));
    }
    names
}

fn root_folder(root: &Path, cwd: &Path, record: &Record) -> Folder {
    let path = files::normalize(root);
    let label = path.display().to_string();
    Folder { tree: Tree::Disk { base: Rc::from(cwd) }, path, label, record: record.clone() }
}

/// Providers by name, each with a place that uses it.
fn wanted_providers<'a>(
    modules: &[ModuleUse],
    declared: impl Iterator<Item = &'a ProviderName>,
) -> BTreeMap<ProviderName, Option<Span>> {
    let mut wanted: BTreeMap<ProviderName, Option<Span>> = declared.map(|name| (name.clone(), None)).collect();
    for module in modules {
        let instances = module.text.declared.instances.values().map(|instance| &instance.provider);
        let releases = module.text.declared.releases.iter().filter_map(|release| release.labels.first());
        for (name, span) in instances.chain(releases) {
            if let Some(place) = wanted.get_mut(&**name) {
                place.get_or_insert(*span);
            } else {
                wanted.insert(ProviderName::new(&**name), Some(*span));
            }
        }
    }
    wanted
}

/// Each problem once: a module that is used twice is checked twice.
fn once(problems: Diagnostics) -> Diagnostics {
    let mut seen = HashSet::new();
    let key = |problem: &Diagnostic| {
        let places: Vec<Span> = problem.labels.iter().map(|label| label.span).collect();
        (problem.summary.clone(), problem.detail.clone(), places)
    };
    problems.into_iter().filter(|problem| seen.insert(key(problem))).collect()
}
