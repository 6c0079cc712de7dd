//! From `argv` to an exit code.

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use super::args::{Cli, Command, CompletionsArgs, ManArgs, PolicyCommand};
use super::command;
use super::exit::Exit;
use super::problem::file_problem;
use super::session::{Place, Session};
use super::terminal::Terminal;
use crate::source::Diagnostics;
use crate::state::durable;

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    // The supervisor is this very program under another name; it must stay single-threaded until it has its own session.
    let mut args = std::env::args_os();
    if args.nth(1).is_some_and(|arg| arg == crate::driver::host::SUPERVISE) {
        return crate::driver::supervise_main(args);
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers; mistakes on the command line are errors like all others.
            let code = if error.use_stderr() { Exit::Error } else { Exit::Done };
            let _ = error.print();
            return code.into();
        }
    };
    let terminal = Terminal::new(&cli.global);
    log_to_stderr(cli.global.verbose);
    let exit = match Place::new(&cli.global, terminal) {
        Ok(place) => run(cli.command, place),
        Err(problems) => Err((None, problems)),
    };
    match exit {
        Ok(Exit::Done | Exit::Changes) if terminal.has_lost_data() => Exit::Error.into(),
        Ok(exit) => exit.into(),
        Err((place, problems)) => {
            let sources = place.map(|place| place.sources).unwrap_or_default();
            terminal.problems(&problems, &sources);
            Exit::of_problems(&problems).into()
        }
    }
}

/// Problems, with the texts that they point into.
type Failed = (Option<Box<Place>>, Diagnostics);

fn run(command: Command, place: Place) -> Result<Exit, Failed> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            let problem = file_problem("program cannot start", std::path::Path::new("tokio"), &error);
            return Err((None, problem.into()));
        }
    };
    let result = runtime.block_on(dispatch(command, place));
    // Nothing that still waits for a machine that does not answer keeps the program from ending.
    runtime.shutdown_background();
    result
}

async fn dispatch(command: Command, mut place: Place) -> Result<Exit, Failed> {
    let result = match &command {
        Command::Completions(args) => completions(args, &place),
        Command::Man(args) => man(args, &place),
        Command::Fmt(args) => command::fmt::run(args, &place.root.clone(), place.terminal, &mut place.sources),
        Command::Init(args) => command::init::run(args, &mut place).await,
        Command::Validate(args) => command::validate::run(args, &mut place),
        Command::Output(args) => command::console::output(args, &mut place),
        Command::Console(args) => command::console::console(args, &mut place),
        Command::History(args) => command::history::run(args, &mut place).await,
        Command::Show(args) => command::show::run(args, &mut place).await,
        Command::Provider(args) => command::provider::run(args, &mut place),
        Command::Comment(args) => command::comment::run(args, &mut place).await,
        Command::Policy(args) if !matches!(args, PolicyCommand::Eval(_)) => command::policy::run(args, &mut place),
        _ => return with_session(&command, place).await,
    };
    result.map_err(|problems| (Some(Box::new(place)), problems))
}

/// Commands that need the configuration and its state.
async fn with_session(command: &Command, place: Place) -> Result<Exit, Failed> {
    let none = super::args::VariableArgs::default();
    let variables = match command {
        Command::Plan(args) => &args.variables,
        Command::Apply(args) => &args.variables,
        Command::Approve(args) => &args.variables,
        Command::Resume(args) => &args.variables,
        Command::Rollback(args) => &args.variables,
        Command::Confirm(args) => &args.variables,
        Command::Drift(args) => args.variables(),
        Command::Status(args) => &args.variables,
        Command::Graph(args) => &args.variables,
        Command::Policy(PolicyCommand::Eval(args)) => &args.variables,
        _ => command::state::variables(command).or_else(|| command::backup::variables(command)).unwrap_or(&none),
    };
    // A saved plan is drawn without a configuration.
    if let Command::Graph(args) = command
        && let Some(path) = &args.plan
    {
        return command::graph::saved(path, args, &place).map_err(|problems| (Some(Box::new(place)), problems));
    }
    let mut session: Session = place.open(variables).map_err(|failed| (Some(Box::new(failed.0)), failed.1))?;
    session.seal().await;
    let result = match command {
        Command::Plan(args) => command::plan::run(args, &mut session).await,
        Command::Apply(args) => command::apply::run(args, &mut session).await,
        Command::Approve(args) => command::approve::run(args, &session).await,
        Command::Resume(args) => command::run::resume(args, &mut session).await,
        Command::Rollback(args) => command::run::rollback(args, &mut session).await,
        Command::Stop(args) => command::run::stop(args, &session).await,
        Command::Abandon(args) => command::abandon::abandon(args, &mut session).await,
        Command::Confirm(args) => command::run::confirm(args, &mut session).await,
        Command::Drift(args) => command::drift::run(args, &mut session).await,
        Command::Status(args) => command::status::run(args, &mut session).await,
        Command::Graph(args) => command::graph::run(args, &mut session).await,
        Command::Policy(PolicyCommand::Eval(args)) => command::policy::eval(args, &session).await,
        Command::State(args) => command::state::run(args, &mut session).await,
        Command::Backup(args) => command::backup::run(args, &mut session).await,
        Command::Unlock(args) => command::state::unlock(args, &mut session).await,
        // The others were done without a session.
        _ => Ok(Exit::Error),
    };
    result.map_err(|problems| (Some(Box::new(session.place)), problems))
}

fn completions(args: &CompletionsArgs, place: &Place) -> Result<Exit, Diagnostics> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "windlass", &mut script);
    place.terminal.data(&String::from_utf8_lossy(&script));
    Ok(Exit::Done)
}

fn man(args: &ManArgs, place: &Place) -> Result<Exit, Diagnostics> {
    let render = |command: clap::Command| {
        let mut page = Vec::new();
        let rendered = clap_mangen::Man::new(command).render(&mut page);
        rendered.map(|()| page)
    };
    let cli = Cli::command();
    let Some(dir) = &args.dir else {
        let page = render(cli).map_err(|error| file_problem("page cannot be made", std::path::Path::new("windlass.1"), &error))?;
        place.terminal.data(&String::from_utf8_lossy(&page));
        return Ok(Exit::Done);
    };
    let dir = place.root.join(dir);
    let mut pages = vec![("windlass".to_owned(), cli.clone())];
    pages.extend(cli.get_subcommands().map(|command| (format!("windlass-{}", command.get_name()), command.clone())));
    for (name, command) in pages {
        let path = dir.join(format!("{name}.1"));
        let page = render(command.name(name)).map_err(|error| file_problem("page cannot be made", &path, &error))?;
        durable::replace(&path, &page, 0o644).map_err(|error| file_problem("page cannot be written", &path, &error))?;
        place.terminal.say(&path.display().to_string());
    }
    Ok(Exit::Done)
}

/// What stages have to say to those who debug, on stderr: warnings always, more with `-v`, or as `WINDLASS_LOG` says.
fn log_to_stderr(verbose: u8) {
    let level = match verbose {
        0 => "warn",
        1 => "windlass=info,warn",
        _ => "windlass=debug,info",
    };
    let filter =
        tracing_subscriber::EnvFilter::try_from_env("WINDLASS_LOG").unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level));
    let _ =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false).without_time().try_init();
}
