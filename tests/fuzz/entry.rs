//! What the fuzz targets call, and what `tests/it/fuzz_finds.rs` replays: any bytes in, and no panic, no hang, no file outside of a
//! scratch folder, and a few properties that must hold of whatever is understood.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use windlass::apply::{bracket_times, inspect, journal};
use windlass::cli::open_plan;
use windlass::config::{LoadOptions, Loaded, ProviderFiles, load};
use windlass::driver::{Archive, Context, Driver as _, Local, Template, standard};
use windlass::lang::{Env, Expr, Value, Vars, fmt};
use windlass::lock::{Lock, decode, encode};
use windlass::model::driver::DriverSchema;
use windlass::model::estate::Environment;
use windlass::model::inventory::{Inventory, Observation, Observed};
use windlass::model::name::{Digest, EnvironmentName, Lineage, ProviderName};
use windlass::model::version::{Version, VersionReq as Requirement, VersionScheme};
use windlass::plan::{Plan, PlanInput, PlanOptions, Report, check, plan};
use windlass::policy::{Facts, Policies, PolicyText, document as policy_document};
use windlass::source::SourceMap;
use windlass::view::{Page, Palette, Previews, Way, graph_dot, graph_mermaid, plan_json, plan_markdown, plan_text, provider_text};

/// What takes an input of a target.
type Entry = fn(&[u8]);

/// Every target with what it calls. The names are those of the folders under `corpus/`.
pub const TARGETS: [(&str, Entry); 11] = [
    ("archive", archive),
    ("configuration", configuration),
    ("document", document),
    ("expression", expression),
    ("journal", run_journal),
    ("lockfile", lockfile),
    ("plan_json", raw_plan),
    ("plan_file", plan_file),
    ("policy", policy),
    ("provider", provider),
    ("version", version),
];

/// A configuration that uses the provider `app` in several ways.
const MAIN: &str = include_str!("fixed/main.hcl");
/// The provider `app`.
const PROVIDER: &str = include_str!("fixed/provider.hcl");

thread_local! {
    static SCRATCH: OnceCell<tempfile::TempDir> = const { OnceCell::new() };
    static SCHEMAS: Vec<DriverSchema> = standard().schemas().cloned().collect();
    static RUN: OnceCell<Digest> = const { OnceCell::new() };
    static JUDGED: OnceCell<(Plan, serde_json::Value)> = const { OnceCell::new() };
    static RUNTIME: tokio::runtime::Runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
}

/// A folder of this thread's own.
fn scratch() -> PathBuf {
    let memory = Path::new("/dev/shm");
    let place = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    SCRATCH.with(|cell| cell.get_or_init(|| tempfile::tempdir_in(place).expect("a folder")).path().to_owned())
}

fn now() -> jiff::Timestamp {
    "2026-01-02T03:04:05Z".parse().expect("a time")
}

/// Text for a configuration. What could fetch something from a network is left out.
fn text(data: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(data).ok()?;
    let reaches_out = |needle: &str| text.to_ascii_lowercase().contains(needle);
    (!["git", "://", "\\u"].into_iter().any(reaches_out)).then_some(text)
}

/// `main.hcl`: loaded, formatted, planned and shown.
pub fn configuration(data: &[u8]) {
    let Some(text) = text(data) else { return };
    layout(text);
    if let Ok(loaded) = loaded(text, PROVIDER) {
        plans(&loaded, None);
    }
}

/// `provider.hcl` of `app`: loaded, shown, and planned with.
pub fn provider(data: &[u8]) {
    let Some(text) = text(data) else { return };
    layout(text);
    if let Ok(loaded) = loaded(MAIN, text) {
        for provider in loaded.providers.values() {
            let _ = provider_text(provider, Palette::default());
        }
        plans(&loaded, None);
    }
}

/// Formatting twice changes nothing more, and what was a configuration still is one.
fn layout(text: &str) {
    if let Ok(once) = fmt::format(text) {
        assert_eq!(fmt::format(&once).ok().as_deref(), Some(&*once), "formatted twice");
    }
}

fn loaded(main: &str, provider: &str) -> Result<Loaded, windlass::source::Diagnostics> {
    let folder = scratch().join("configuration");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("main.hcl"), main).expect("a file");
    let files: ProviderFiles = BTreeMap::from([(Arc::from("provider.hcl"), Arc::from(provider.as_bytes()))]);
    let embedded = BTreeMap::from([(ProviderName::new("app"), files)]);
    SCHEMAS.with(|drivers| {
        let options = LoadOptions {
            vars: Vec::new(),
            env: BTreeMap::from([("WINDLASS_VAR_version".to_owned(), "2.0.0".to_owned())]),
            cwd: folder,
            provider_dirs: Vec::new(),
            embedded: &embedded,
            drivers,
            now: now(),
            refresh_modules: false,
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        load(Path::new("."), &options, &mut SourceMap::new())
    })
}

/// Plans with nothing there, with an old version there, and with a lockfile; the checker must have no objection.
fn plans(loaded: &Loaded, lock: Option<Lock>) -> Vec<(Plan, Report)> {
    let applied = loaded.providers.values().map(|provider| (provider.digest.clone(), Arc::clone(provider))).collect();
    let mut locks: BTreeMap<EnvironmentName, Lock> = loaded
        .estate
        .environments
        .keys()
        .map(|name| (name.clone(), Lock::fresh(name.clone(), Lineage::new(format!("of {name}")))))
        .collect();
    let recorded = lock.iter().flat_map(|lock| lock.instances.keys().cloned()).collect::<Vec<_>>();
    if let Some(lock) = lock {
        locks.insert(lock.environment.clone(), lock);
    }
    let options = PlanOptions::default();
    let mut made = Vec::new();
    for version in [Value::Null, Value::string("1.0.0")] {
        let facts = BTreeMap::from([
            (Arc::from("version"), Observed::Value(version)),
            (Arc::from("healthy"), Observed::Value(Value::Bool(true))),
            (Arc::from("jobs"), Observed::Unseen("it does not answer".to_owned())),
        ]);
        let seen = |addr: &windlass::model::name::InstanceAddr| (addr.clone(), Observation { at: now(), facts: facts.clone() });
        let inventory = Inventory { instances: loaded.estate.instances.keys().chain(&recorded).map(seen).collect() };
        let input = PlanInput {
            estate: &loaded.estate,
            providers: &loaded.providers,
            applied_providers: &applied,
            inventory: &inventory,
            locks: &locks,
            durations: &BTreeMap::new(),
            now: now(),
            options: &options,
        };
        let (plan, report) = plan(&input);
        let objections = check(&plan, &report, &input);
        assert!(objections.is_empty(), "the checker objects: {objections:?}");
        let bytes = plan.bytes().expect("a plan is JSON");
        let again: Plan = serde_json::from_slice(&bytes).expect("a plan can be read");
        assert_eq!(again.bytes().expect("a plan is JSON"), bytes, "a plan read and written is the same");
        show(&plan, &report);
        made.push((plan, report));
    }
    made
}

/// Every way of looking at a plan.
fn show(plan: &Plan, report: &Report) {
    let previews = Previews::default();
    let _ = plan_text(plan, report, &previews, Palette { colour: true });
    let page = plan_markdown(plan, report, &previews, Page { limit: 4000, link: None });
    assert!(page.len() <= 4000, "a comment of {} bytes", page.len());
    let _ = plan_json(plan, report, &previews);
    for way in [Way::Forward, Way::Back] {
        let _ = (graph_dot(plan, way), graph_mermaid(plan, way));
    }
}

/// A lockfile: read, written, and planned with.
pub fn lockfile(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(lock) = decode(text) else { return };
    let written = encode(&lock);
    let again = decode(&written).expect("what was written can be read");
    assert_eq!(encode(&again), written, "a lockfile read and written is the same");
    let mut loaded = loaded(MAIN, PROVIDER).expect("the fixed configuration is right");
    let name = lock.environment.clone();
    loaded.estate.environments.entry(name.clone()).or_insert_with(|| Environment {
        name,
        promote_from: None,
        soak: None,
        windows: Vec::new(),
        rollout: windlass::model::estate::Rollout::default(),
        on_failure: windlass::model::estate::OnFailure::default(),
        concurrency: 10,
        approval: None,
        max_risk: None,
        span: None,
    });
    plans(&loaded, Some(lock));
}

/// The content of a saved plan, seal and all.
pub fn plan_file(data: &[u8]) {
    if let Ok((plan, report)) = open_plan(data, "a.plan") {
        show(&plan, &report);
    }
}

/// A plan without a seal, as somebody could seal it: looking at it must not fail.
pub fn raw_plan(data: &[u8]) {
    let Ok(plan) = serde_json::from_slice::<Plan>(data) else { return };
    let Ok(seal) = plan.digest() else { return };
    let Ok(plan) = serde_json::to_string(&plan) else { return };
    let file = format!(r#"{{"windlass_plan":{},"seal":"{seal}","plan":{plan}}}"#, windlass::plan::FORMAT);
    plan_file(file.as_bytes());
}

/// The text of a policy: read, its tests run, and asked about the plan of the fixed configuration; two askings say the same.
pub fn policy(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // What grows without an end within the ten seconds that a rule may take, and what is not the same twice.
    if ["range", "walk", "now_ns", "rand", "uuid", "http"].into_iter().any(|word| text.contains(word)) {
        return;
    }
    let texts = [PolicyText { path: "p.rego".to_owned(), text: text.to_owned() }];
    let Ok(policies) = Policies::new(&texts) else { return };
    let _ = policies.test();
    let (plan, document) = JUDGED.with(|cell| cell.get_or_init(judged).clone());
    let once = policies.judge(&document, &plan, &[], now());
    let again = policies.judge(&document, &plan, &[], now());
    assert_eq!(once.ok(), again.ok(), "the same plan, judged twice");
}

/// The plan of the fixed configuration, with what policies see of it.
fn judged() -> (Plan, serde_json::Value) {
    let loaded = loaded(MAIN, PROVIDER).expect("the fixed configuration is right");
    let (plan, report) = plans(&loaded, None).remove(0);
    let locks = BTreeMap::new();
    let facts = Facts { estate: &loaded.estate, locks: &locks, now: now(), command: "plan", user: "fuzz@here", author: None };
    let document = policy_document(&plan, &report, &facts).expect("a plan is JSON");
    (plan, document)
}

/// A run's journal: raw, or (where it begins with `{`) entries as JSON, one a line, which are framed here as the writer frames them.
pub fn run_journal(data: &[u8]) {
    let run = scratch().join("run");
    let digest = RUN.with(|cell| cell.get_or_init(|| begin_run(&run)).clone());
    let mut bytes = data.to_vec();
    if data.first() == Some(&b'{') {
        let Ok(text) = std::str::from_utf8(data) else { return };
        bytes = framed(&text.replace("PLAN", digest.as_str()));
    }
    std::fs::write(run.join("journal/000001.log"), bytes).expect("a file");
    let _ = journal::read(&run.join("journal"));
    if let Ok((plan, progress)) = inspect(&run) {
        let _ = bracket_times(&plan, &progress);
    }
}

/// A run's folder with the plan of the fixed configuration.
fn begin_run(run: &Path) -> Digest {
    std::fs::create_dir_all(run.join("journal")).expect("a folder");
    let loaded = loaded(MAIN, PROVIDER).expect("the fixed configuration is right");
    let (plan, _) = plans(&loaded, None).remove(0);
    assert!(!plan.actions.is_empty(), "the fixed configuration has something to do");
    std::fs::write(run.join("plan.json"), plan.bytes().expect("a plan is JSON")).expect("a file");
    std::fs::write(run.join("base.json"), "{}").expect("a file");
    plan.digest().expect("a plan is JSON")
}

fn framed(text: &str) -> Vec<u8> {
    let mut out = String::new();
    for (index, line) in text.lines().enumerate() {
        let payload = format!("{0} {0} {line}", index + 1);
        let mut crc = flate2::Crc::new();
        crc.update(payload.as_bytes());
        let _ = writeln!(out, "{:08} {:08x} {payload}", payload.len(), crc.sum());
    }
    out.into_bytes()
}

/// Versions and requirements, one a line, under every scheme: a total order, and requirements that agree with themselves.
pub fn version(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    let named = ["semver", "pep440", "dotted", "letter", "debian"].into_iter().map(ToOwned::to_owned);
    let schemes = named.chain([format!("regex:{first}")]).filter_map(|name| name.parse::<VersionScheme>().ok());
    for scheme in schemes {
        let versions: Vec<Version> = text.lines().take(8).filter_map(|line| Version::parse(line, &scheme).ok()).collect();
        for one in &versions {
            assert_eq!(Version::parse(one.text(), &scheme).ok().as_ref(), Some(one), "read again");
            for other in &versions {
                assert_eq!(one.cmp(other), other.cmp(one).reverse(), "{one} and {other}");
                for third in versions.iter().filter(|third| one <= other && other <= third) {
                    assert!(one <= third, "{one}, {other}, {third}");
                }
            }
        }
        for requirement in rest.lines().take(4).filter_map(|line| Requirement::parse(line, &scheme).ok()) {
            let again = Requirement::parse(requirement.text(), &scheme).expect("a requirement can be read again");
            for version in &versions {
                assert_eq!(requirement.matches(version), again.matches(version), "{}", requirement.text());
                let any = requirement.alternatives().any(|one| one.matches(version));
                assert_eq!(any, requirement.matches(version), "{} and {version}", requirement.text());
            }
        }
    }
}

/// An expression, evaluated.
pub fn expression(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let list = Value::list(vec![Value::from(1_u64), Value::string("two"), Value::Null]);
    let scope = Vars::new([
        ("self", Value::object([("name", Value::string("app")), ("list", list.clone()), ("flag", Value::Bool(true))])),
        ("local", Value::object([("map", Value::object([("a", Value::string("b")), ("c", list)]))])),
        ("each", Value::object([("key", Value::string("k")), ("value", Value::from(7_u64))])),
    ]);
    let env = Env { budget: 200_000, ..Env::pure(now()) };
    for expr in [Expr::parse(text), Expr::template(text)].into_iter().flatten() {
        let once = expr.eval(&scope, &env);
        let _ = expr.references();
        let again = expr.eval(&scope, &env);
        assert_eq!(once.is_ok(), again.is_ok(), "the same expression, twice");
    }
}

/// A provider's document, rendered by the driver `template`.
pub fn document(data: &[u8]) {
    let folder = scratch();
    let mut ctx = Context::observing("fuzz", Arc::new(Local::new([])));
    ctx.files = Arc::new(BTreeMap::from([
        (Arc::from("document.j2"), Arc::from(data)),
        (Arc::from("other.j2"), Arc::from(&b"{% block body %}{{ name }}{% endblock %}"[..])),
    ]));
    let list = Value::list(vec![Value::from(1_u64), Value::string("two")]);
    let values = Value::object([("name", Value::string("app")), ("port", Value::from(8080_u64)), ("nodes", list)]);
    let path = Value::string(folder.join("document").to_string_lossy());
    let args = Value::object([("source", Value::string("document.j2")), ("path", path), ("values", values)]);
    let args = args.as_object().expect("an object");
    RUNTIME.with(|runtime| runtime.block_on(Template.preview(args, &ctx)));
    assert!(!folder.join("document").exists(), "looking writes nothing");
}

/// An archive from outside: nothing stands outside of the folder that it is unpacked to, and nothing is larger than allowed.
pub fn archive(data: &[u8]) {
    const LARGEST: u64 = 1 << 20;
    let folder = scratch().join("archive");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(folder.join("around")).expect("a folder");
    let path = folder.join("a.archive");
    std::fs::write(&path, data).expect("a file");
    let text = |path: &Path| Value::string(path.to_string_lossy());
    let around = folder.join("around");
    let call = |more: &[(&str, Value)], dir: Option<PathBuf>| {
        let mut ctx = Context::observing("fuzz", Arc::new(Local::new([])));
        ctx.dir = dir;
        ctx.timeout = Some(Duration::from_secs(20));
        let args = Value::object(more.iter().cloned().chain([("path", text(&path))]));
        let args = args.as_object().expect("an object").clone();
        RUNTIME.with(|runtime| runtime.block_on(Archive.run(&args, &ctx)))
    };
    let word = |word: &str| ("action", Value::string(word));
    let _ = call(&[word("list")], None);
    let _ = call(&[word("digest"), ("members", Value::list(vec![Value::string("**")]))], None);
    let _ = call(&[word("read"), ("member", Value::string("VERSION"))], None);
    let limits = [("max_bytes", Value::from(LARGEST)), ("max_entries", Value::from(200_u64)), ("replace", Value::Bool(true))];
    let unpack = [word("unpack"), ("to", text(&around.join("to")))];
    let unpacked = call(&[&unpack[..], &limits[..]].concat(), Some(folder.join("kept")));
    let beside: Vec<String> = names(&around).into_iter().filter(|name| name != "to").collect();
    assert!(beside.is_empty(), "beside the folder: {beside:?} ({unpacked:?})");
    let outside: Vec<String> =
        names(&folder).into_iter().filter(|name| !["a.archive", "around", "kept"].contains(&&**name)).collect();
    assert!(outside.is_empty(), "outside of the folder: {outside:?} ({unpacked:?})");
    assert!(unpacked.is_ok() || !around.join("to").exists(), "refused, and something stands: {unpacked:?}");
    assert!(size(&around, &mut BTreeSet::new()) <= LARGEST, "larger than allowed: {unpacked:?}");
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// What is in a folder, files of several names once.
fn size(path: &Path, seen: &mut BTreeSet<u64>) -> u64 {
    let Ok(metadata) = std::fs::symlink_metadata(path) else { return 0 };
    if metadata.is_dir() {
        return names(path).iter().map(|name| size(&path.join(name), seen)).sum();
    }
    if seen.insert(metadata.ino()) { metadata.len() } else { 0 }
}
