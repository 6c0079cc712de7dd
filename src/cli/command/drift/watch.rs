//! `windlass drift --watch`: looks again and again, says what changed, and tells others.
//!
//! The configuration is loaded anew for each look; one that does not load is told, and the last good one is used. A look that fails
//! changes nothing that is known.
#![expect(clippy::disallowed_methods, reason = "a door to the clock and to the file that remembers")]

use std::fmt::Write as _;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;

use super::tell::{chance, tell};
use super::unwritable;
use crate::cli::args::{DriftArgs, DriftFormat};
use crate::cli::exit::Exit;
use crate::cli::problem::file_problem;
use crate::cli::session::Session;
use crate::cli::terminal::Terminal;
use crate::model::duration::parse_duration;
use crate::source::{Diagnostic, Diagnostics, Fault};
use crate::state::durable;
use crate::view::Palette;
use crate::watch::{Changes, Due, Finding, Memory, Metrics, jittered, serve};

/// How often to look where nobody says.
const INTERVAL: Duration = Duration::from_secs(3600);

/// The shortest interval on the command line.
const SHORTEST: Duration = Duration::from_secs(1);

/// Runs until SIGTERM or Ctrl-C. SIGHUP looks at once.
pub(super) async fn run(args: &DriftArgs, session: &mut Session) -> Result<Exit, Diagnostics> {
    let given = interval(args)?;
    let _alone = alone(&session.place.hidden)?;
    let file = session.place.hidden.join("drift.json");
    let mut watch = Watch { memory: remembered(&file, session.place.terminal)?, file, metrics: Metrics::default() };
    let mut signals = Signals::new()?;
    let terminal = session.place.terminal;
    let server = match args.metrics {
        Some(address) => Some(tokio::spawn(serve(listener(address, terminal).await?, watch.metrics.page()))),
        None => None,
    };
    let mut first = true;
    loop {
        tokio::select! {
            looked = watch.look(args, session, first) => first &= !looked,
            () = signals.stop.asked() => break,
        }
        let every = given.or(session.estate.drift.interval).unwrap_or(INTERVAL);
        let (due, began) = (Due::new(Timestamp::now(), jittered(every, chance())), Instant::now());
        let stopped = loop {
            let Some(nap) = due.sleep(Timestamp::now(), began.elapsed()) else { break false };
            tokio::select! {
                () = tokio::time::sleep(nap) => {}
                () = signals.stop.asked() => break true,
                _ = signals.again.recv() => break false,
            }
        };
        if stopped {
            break;
        }
    }
    if let Some(server) = server {
        server.abort();
    }
    terminal.say("Stopped watching.");
    Ok(Exit::Done)
}

/// What lasts from look to look.
struct Watch {
    memory: Memory,
    file: PathBuf,
    metrics: Metrics,
}

impl Watch {
    /// One look, and what follows from it. Says whether it came to something.
    async fn look(&mut self, args: &DriftArgs, session: &mut Session, first: bool) -> bool {
        let began = Instant::now();
        if !first {
            self.reload(args, session);
        }
        let terminal = session.place.terminal;
        let report = match session.drift(&args.scope, true).await {
            Ok(report) => report,
            Err(problems) => {
                terminal.problems(&problems, &session.place.sources);
                self.metrics.failed();
                self.metrics.publish();
                return false;
            }
        };
        let changes = self.memory.update(&report);
        self.metrics.looked(&report, self.memory.known(), Timestamp::now(), began.elapsed());
        self.metrics.publish();
        self.remember(terminal);
        if !changes.is_empty() {
            match args.format {
                DriftFormat::Json => say_json(&changes, report.at, terminal),
                DriftFormat::Human | DriftFormat::Markdown => terminal.data(&lines(&changes, report.at, terminal.out)),
            }
        }
        if first {
            let (seen, known) = (report.instances.len(), self.memory.known().len());
            terminal.say(&format!("Watching {}, {known} drifts are known.", crate::view::count(seen, "instance")));
        }
        tell(&session.estate.drift.webhooks, &mut self.memory, &self.metrics, terminal).await;
        self.metrics.publish();
        self.remember(terminal);
        true
    }

    /// Loads the configuration anew, or keeps the last good one.
    fn reload(&self, args: &DriftArgs, session: &mut Session) {
        let fresh = session.place.again();
        let now = fresh.now;
        let problems = match fresh.open(&args.variables) {
            Ok(mut fresh) => match fresh.environments(&args.scope).and_then(|_| fresh.check_targets(&args.scope)) {
                Ok(()) => {
                    // Connections are kept where they lead to the same hosts.
                    if fresh.estate.hosts == session.estate.hosts {
                        fresh.machines = std::sync::Arc::clone(&session.machines);
                    }
                    *session = fresh;
                    self.metrics.configuration(true);
                    return;
                }
                Err(problems) => (fresh.place, problems),
            },
            Err(failed) => *failed,
        };
        let (place, problems) = problems;
        place.terminal.problems(&problems, &place.sources);
        place.terminal.say("The configuration cannot be used; the last good one is.");
        session.place.now = now;
        self.metrics.configuration(false);
    }

    fn remember(&self, terminal: Terminal) {
        if let Err(error) = durable::replace(&self.file, &self.memory.encode(), 0o600) {
            terminal.say(&format!("what is known could not be written to {}: {error}", self.file.display()));
        }
    }
}

fn interval(args: &DriftArgs) -> Result<Option<Duration>, Diagnostics> {
    let Some(text) = &args.interval else { return Ok(None) };
    let read = parse_duration(text).and_then(|interval| match interval < SHORTEST {
        true => Err("is shorter than a second".to_owned()),
        false => Ok(interval),
    });
    read.map(Some).map_err(|why| {
        let problem = Diagnostic::error("duration cannot be read").detail(format!("`--interval {text}` {why}"));
        problem.help("write it like `10m` or `1h`").into()
    })
}

/// Two that watch with one memory would each tell what the other told.
fn alone(hidden: &Path) -> Result<File, Diagnostics> {
    let path = hidden.join("drift.lock");
    let problem = |error: &std::io::Error| file_problem("file cannot be written", &path, error);
    std::fs::create_dir_all(hidden).map_err(|error| problem(&error))?;
    let file = File::create(&path).map_err(|error| problem(&error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::Error(error)) => Err(problem(&error).into()),
        Err(std::fs::TryLockError::WouldBlock) => Err(Diagnostic::error("somebody watches already")
            .fault(Fault::Locked)
            .detail(format!("another process holds {}", path.display()))
            .help("stop that one first, or watch from another working copy")
            .into()),
    }
}

/// What was known when the last watch ended. A file that cannot be used is put aside: the worst that follows is to be told twice.
fn remembered(file: &Path, terminal: Terminal) -> Result<Memory, Diagnostics> {
    let content = durable::read(file).map_err(|error| file_problem("file cannot be read", file, &error))?;
    let Some(content) = content else { return Ok(Memory::default()) };
    Ok(Memory::decode(&content).unwrap_or_else(|why| {
        let aside = file.with_extension("json.bad");
        let _ = std::fs::rename(file, &aside);
        terminal.say(&format!("{} cannot be used ({why}); it is kept as {}", file.display(), aside.display()));
        Memory::default()
    }))
}

async fn listener(address: std::net::SocketAddr, terminal: Terminal) -> Result<TcpListener, Diagnostics> {
    let bound = TcpListener::bind(address).await.and_then(|listener| Ok((listener.local_addr()?, listener)));
    let (address, listener) = bound.map_err(|error| {
        let problem = Diagnostic::error("metrics cannot be served").fault(Fault::Platform);
        problem.detail(format!("{address}: {error}")).help("give another address with `--metrics`")
    })?;
    terminal.say(&format!("Metrics are at http://{address}/metrics"));
    Ok(listener)
}

/// What a person or a service manager says.
struct Signals {
    stop: Stop,
    /// Look at once.
    again: Signal,
}

impl Signals {
    fn new() -> Result<Self, Diagnostics> {
        let listen =
            |kind| signal(kind).map_err(|error| file_problem("signals cannot be listened to", Path::new("signal"), &error));
        Ok(Self {
            stop: Stop { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? },
            again: listen(SignalKind::hangup())?,
        })
    }
}

/// That it is to stop.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

fn lines(changes: &Changes, at: Timestamp, palette: Palette) -> String {
    let mut text = String::new();
    let at = palette.faint(&at.strftime("%Y-%m-%d %H:%M:%SZ").to_string());
    let mut line = |sign: &str, finding: &Finding, what: &str| {
        let Finding { instance, environment, class, severity, message, .. } = finding;
        let words = format!("{} {}", severity.word(), class.word());
        let _ = writeln!(text, "{at} {sign} {} ({environment}) {words}: {message}{what}", palette.strong(instance.as_str()));
    };
    changes.appeared.iter().for_each(|finding| line("+", finding, ""));
    changes.changed.iter().for_each(|changed| line("~", &changed.now, ""));
    changes.gone.iter().for_each(|finding| line("-", finding, " (no longer)"));
    text
}

fn say_json(changes: &Changes, at: Timestamp, terminal: Terminal) {
    let document = serde_json::json!({ "at": at, "appeared": changes.appeared, "changed": changes.changed, "gone": changes.gone });
    match serde_json::to_string(&document) {
        Ok(line) => terminal.data(&(line + "\n")),
        Err(error) => terminal.say(&unwritable(&error).to_string()),
    }
}
