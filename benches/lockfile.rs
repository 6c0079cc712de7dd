//! Which syntax the lockfile has, by measuring: `cargo bench --bench lockfile [INSTANCES]`.
//!
//! The same ten thousand instances as JSON, TOML, HCL and in the lockfile's own strict HCL: time to write and to read, size, and what
//! git shows of one instance's upgrade. Every reader must come to the same lockfile; times are printed and never asserted.
#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a table of times, for people")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use similar::TextDiff;
use windlass::lang::Value;
use windlass::lock::{self, AppliedHop, BackupRef, Lock, Locked, ProviderPin};
use windlass::model::name::{Digest, EnvironmentName, InstanceAddr, Lineage, ProviderName, RunId, StrategyName};

/// Tries of each measurement; the best counts.
const TRIES: usize = 5;

/// A syntax: its name, its writer and its reader.
struct Syntax {
    name: &'static str,
    /// Gives what writes the text; whatever comes before the writing is not measured.
    writer: fn(&Lock) -> Writer<'_>,
    /// Gives what it read as a lockfile, where the syntax has types for it.
    read: fn(&str) -> Option<Lock>,
}

type Writer<'a> = Box<dyn Fn() -> String + 'a>;

const SYNTAXES: [Syntax; 4] = [
    Syntax { name: "JSON, indented", writer: |lock| Box::new(|| json(lock)), read: |text| serde_json::from_str(text).ok() },
    Syntax {
        name: "TOML",
        writer: |lock| Box::new(|| toml::to_string_pretty(lock).unwrap_or_default()),
        read: |text| toml::from_str(text).ok(),
    },
    // Parsing alone: nothing is made of the tree, and it is slower already.
    Syntax { name: "HCL (hcl-edit, tree only)", writer: hcl, read: |text| hcl_edit::parser::parse_body(text).map(|_| None).ok()? },
    Syntax {
        name: "one thing a line (chosen)",
        writer: |lock| Box::new(|| lock::encode(lock)),
        read: |text| lock::decode(text).ok(),
    },
];

fn main() {
    let count = std::env::args().skip(1).find_map(|arg| arg.parse().ok()).unwrap_or(10_000);
    let before = sample(count);
    let mut after = before.clone();
    upgrade(&mut after, count / 2);
    println!("{count} instances, one of them upgraded; best of {TRIES}\n");
    println!("| syntax                    |    write |     read |    size | hunks | lines in the diff | lines in context |");
    println!("| ------------------------- | -------: | -------: | ------: | ----: | ----------------: | ---------------: |");
    for Syntax { name, writer, read } in SYNTAXES {
        let (text, writing) = best(writer(&before));
        let (found, reading) = best(|| read(&text));
        assert!(found.is_none_or(|found| found == before), "{name} does not come back as it was");
        let Shown { hunks, changed, context } = shown(&text, &writer(&after)());
        println!(
            "| {name:<25} | {:>5.0} ms | {:>5.0} ms | {:>4.1} MB | {hunks:>5} | {changed:>17} | {context:>16} |",
            writing.as_secs_f64() * 1e3,
            reading.as_secs_f64() * 1e3,
            text.len() as f64 / 1e6,
        );
    }
}

fn best<T>(work: impl Fn() -> T) -> (T, Duration) {
    let once = || {
        let began = Instant::now();
        let made = work();
        (made, began.elapsed())
    };
    let mut found = once();
    for _ in 1..TRIES {
        let next = once();
        if next.1 < found.1 {
            found = next;
        }
    }
    found
}

fn json(lock: &Lock) -> String {
    serde_json::to_string_pretty(lock).unwrap_or_default() + "\n"
}

/// The same text as the chosen one, printed from a syntax tree.
fn hcl(lock: &Lock) -> Writer<'_> {
    let tree = hcl_edit::parser::parse_body(&lock::encode(lock));
    Box::new(move || tree.as_ref().map(ToString::to_string).unwrap_or_default())
}

/// What git shows.
struct Shown {
    hunks: usize,
    changed: usize,
    context: usize,
}

fn shown(before: &str, after: &str) -> Shown {
    let diff = TextDiff::configure().diff_lines(before, after);
    let text = diff.unified_diff().context_radius(3).to_string();
    let hunks = text.lines().filter(|line| line.starts_with("@@")).count();
    let changed = text.lines().filter(|line| line.starts_with(['+', '-'])).count();
    Shown { hunks, changed, context: text.lines().count() - hunks - changed }
}

/// What an apply changes of one instance.
fn upgrade(lock: &mut Lock, number: usize) {
    lock.serial += 1;
    if let Some(locked) = lock.instances.get_mut(&address(number)) {
        let from = std::mem::replace(&mut locked.version, "2.22.5".into());
        let hop = hop(Some(from), "2.22.5", "20260202T020202Z-0002");
        locked.hops.push(hop);
    }
}

fn address(number: usize) -> InstanceAddr {
    InstanceAddr::from_text(format!("mlflow.tracking_{number:05}"))
}

fn sample(count: usize) -> Lock {
    let environment = EnvironmentName::new("production");
    let mut lock = Lock::fresh(environment, Lineage::new("6a9c1d6e-0000-4000-8000-000000000000"));
    lock.serial = 41;
    lock.providers = BTreeMap::from([(
        ProviderName::new("mlflow"),
        ProviderPin { version: "1.0.0".to_owned(), digest: Digest::of(b"provider") },
    )]);
    lock.instances = (0..count).map(|number| (address(number), locked(number))).collect();
    lock
}

fn locked(number: usize) -> Locked {
    let text = |text: String| Value::from(text);
    let settings = Value::object([
        ("data_dir", text(format!("/srv/mlflow/{number:05}"))),
        ("port", Value::from(5000 + number as u64)),
        ("workers", Value::from(4u64)),
        ("extra", Value::list(["psycopg2-binary", "boto3"].map(Value::from))),
    ]);
    let run = "20260101T010101Z-0001";
    Locked {
        provider: ProviderName::new("mlflow"),
        version: "2.14.3".into(),
        host: None,
        settings_digest: Digest::of(number.to_string().as_bytes()),
        settings,
        seals: BTreeMap::new(),
        observed: BTreeMap::from([(Arc::from("config"), text(Digest::of(b"config").as_str().to_owned()))]),
        depends_on: Vec::new(),
        hops: vec![hop(Some("2.9.2".into()), "2.14.3", run)],
        backups: vec![BackupRef {
            id: format!("b{number:05}"),
            location: format!("/backup/mlflow/{number:05}"),
            method: "tar".to_owned(),
            version: "2.9.2".into(),
            at: jiff::Timestamp::UNIX_EPOCH,
            run: RunId::new(run),
            size: Some(108_000_000),
            verified: true,
            path: Some("/srv/mlflow".to_owned()),
            consistent: true,
            set: None,
            excluded: Vec::new(),
        }],
        follow_ups: Vec::new(),
    }
}

fn hop(from: Option<Arc<str>>, to: &str, run: &str) -> AppliedHop {
    let own = Value::object([("data_dir", Value::from("/srv/mlflow")), ("version", Value::from(to))]);
    AppliedHop {
        from,
        to: to.into(),
        route: "upgrade".into(),
        strategy: StrategyName::new("in_place"),
        provider: Digest::of(b"provider"),
        run: RunId::new(run),
        at: jiff::Timestamp::UNIX_EPOCH,
        scope: Value::object([("self", own)]),
        irreversible: None,
    }
}
