//! The command line: what may be said, and what it means. Flags, variables and exit codes follow what Terraform users know.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

mod backup;
mod drift;
mod pages;
mod policy;
mod review;
mod run;

pub use backup::{
    BackupCommand, BackupListArgs, BackupPruneArgs, BackupRestoreArgs, BackupRunArgs, BackupScheduleArgs, BackupVerifyArgs,
    BackupWhich, ScheduleFormat,
};
pub use drift::{AtLeast, DriftAdoptArgs, DriftArgs, DriftCommand, DriftFormat};
pub use pages::{CompletionsArgs, ManArgs};
pub use policy::{ApproveArgs, PolicyCommand, PolicyEvalArgs, PolicyListArgs, PolicyShowArgs, PolicyTestArgs};
pub use review::{CommentArgs, CommitArgs, FindingsFormat, ForgeKind, ReviewArgs};
pub use run::{AbandonArgs, AbandonAs, ApplyArgs, ConfirmArgs, ResumeArgs, RollbackArgs, RunArgs, RunFormat, StopArgs};

/// Moves platform software from version to version, safely.
///
/// Declare in HCL which version of which product each environment runs; `windlass plan` shows how to get there, `windlass apply`
/// goes there and records it, `windlass drift` notices when something moved by itself.
#[derive(Debug, Parser)]
#[command(name = "windlass", version, arg_required_else_help = true, max_term_width = 110, disable_help_subcommand = true)]
pub struct Cli {
    /// What holds for every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What holds for every command.
#[derive(Debug, Args, Clone)]
pub struct Global {
    /// Works in this folder instead of the current one
    #[arg(long, global = true, value_name = "DIR", env = "WINDLASS_CHDIR")]
    pub chdir: Option<PathBuf>,
    /// When to use colours
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", env = "WINDLASS_COLOR")]
    pub color: When,
    /// Says more on stderr: once for information, twice for details
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
    /// Never asks; what would have been asked is refused
    #[arg(long = "no-input", global = true, env = "WINDLASS_NO_INPUT", value_parser = clap::builder::FalseyValueParser::new())]
    pub no_input: bool,
}

/// When to use something that only a terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// Where it is a terminal, and `NO_COLOR` is not set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Prepares a folder: fetches modules, checks providers, makes the state folder
    Init(InitArgs),
    /// Rewrites configuration files in the canonical layout
    Fmt(FmtArgs),
    /// Checks the configuration without looking at anything deployed
    Validate(ValidateArgs),
    /// Shows what apply would do, and why
    Plan(PlanArgs),
    /// Posts a plan, or a text, as the one comment on a pull request
    Comment(CommentArgs),
    /// Does what a plan says, and records it
    Apply(ApplyArgs),
    /// Says that a saved plan may be applied
    Approve(ApproveArgs),
    /// Goes on with a run that was killed, stopped or held
    Resume(ResumeArgs),
    /// Undoes a run
    Rollback(RollbackArgs),
    /// Asks a running apply to stop after what it is doing
    Stop(StopArgs),
    /// Ends a run by your word, without doing anything
    Abandon(AbandonArgs),
    /// Confirms a manual step that a run waits for, or a follow-up
    Confirm(ConfirmArgs),
    /// Compares what is declared, recorded and deployed
    Drift(DriftArgs),
    /// Shows a saved plan, or what is recorded of an instance
    Show(ShowArgs),
    /// Shows the fleet: products by environments, what is declared, recorded and deployed, and what waits
    Status(StatusArgs),
    /// Shows the runs that were
    History(HistoryArgs),
    /// Draws the graph of a plan
    Graph(GraphArgs),
    /// Makes, lists, verifies, restores and prunes backups
    #[command(subcommand)]
    Backup(BackupCommand),
    /// Looks at and repairs recorded state
    #[command(subcommand)]
    State(StateCommand),
    /// Takes an environment's state away from whoever holds it
    Unlock(UnlockArgs),
    /// Lists, documents, checks and makes providers
    #[command(subcommand)]
    Provider(ProviderCommand),
    /// Tests policies, and asks them about a plan
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Prints the value of outputs
    Output(OutputArgs),
    /// Evaluates an expression against the configuration
    Console(ConsoleArgs),
    /// Prints a completion script
    Completions(CompletionsArgs),
    /// Writes manual pages
    Man(ManArgs),
}

/// Where variable values come from.
#[derive(Debug, Args, Clone, Default)]
pub struct VariableArgs {
    /// Sets a variable of the root module; may be repeated
    #[arg(long = "var", value_name = "NAME=VALUE")]
    pub vars: Vec<String>,
    /// Reads variable values from a file; may be repeated
    #[arg(long = "var-file", value_name = "FILE")]
    pub var_files: Vec<PathBuf>,
}

/// Which part of the estate.
#[derive(Debug, Args, Clone, Default)]
pub struct ScopeArgs {
    /// Only this environment; may be repeated
    #[arg(long = "env", value_name = "ENVIRONMENT", env = "WINDLASS_ENV", value_delimiter = ',')]
    pub environments: Vec<String>,
    /// Only this instance (or all whose address begins so) and what it depends on; may be repeated
    #[arg(long = "target", value_name = "ADDRESS")]
    pub targets: Vec<String>,
}

/// `windlass init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// Fetches modules and providers again, moving to the newest that the configuration allows
    #[arg(long)]
    pub upgrade: bool,
    /// `false` does not look at where state is kept
    #[arg(long, default_value_t = true, action = ArgAction::Set, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub backend: bool,
    /// Copies lockfiles, kept providers and history from this folder to the backend that the configuration names
    #[arg(long)]
    pub migrate_state: bool,
    /// The folder of the local lockfiles, where it is not the configuration's own
    #[arg(long, value_name = "DIR", requires = "migrate_state")]
    pub lockfiles: Option<PathBuf>,
    /// Copies without asking
    #[arg(long, requires = "migrate_state")]
    pub auto_approve: bool,
    /// Where variable values come from.
    #[command(flatten)]
    pub variables: VariableArgs,
}

/// `windlass fmt`.
#[derive(Debug, Args)]
pub struct FmtArgs {
    /// Files or folders; `-` for standard input; the current folder where none is given
    pub paths: Vec<PathBuf>,
    /// Writes nothing; exit code 3 where a file is not in the canonical layout
    #[arg(long)]
    pub check: bool,
    /// Shows the differences
    #[arg(long)]
    pub diff: bool,
    /// Goes into folders below
    #[arg(long)]
    pub recursive: bool,
}

/// `windlass validate`.
#[derive(Debug, Args)]
pub struct ValidateArgs {
    /// How to print what was found
    #[arg(long, default_value = "human")]
    pub format: FindingsFormat,
    /// Where variable values come from.
    #[command(flatten)]
    pub variables: VariableArgs,
}

/// Text for people, or JSON for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TextOrJson {
    /// Text.
    Human,
    /// One JSON document.
    Json,
}

/// How a plan is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PlanFormat {
    /// Text.
    Human,
    /// One JSON document, described by the published schema.
    Json,
    /// Markdown for a comment on a pull request, never longer than `--limit`.
    Markdown,
    /// One page for a browser, with the graph, the timeline and every command; it loads nothing.
    Html,
}

/// How long a comment may be, and where the whole plan is.
#[derive(Debug, Args, Clone)]
pub struct PageArgs {
    /// Markdown: bytes at most; `github`, `gitlab`, `azure` and `bitbucket` are what these forges allow
    #[arg(long, value_name = "BYTES", default_value = "github", value_parser = page_limit)]
    pub limit: usize,
    /// Markdown: an address where the whole plan is, named where something was left out
    #[arg(long, value_name = "URL")]
    pub link: Option<String>,
}

/// The longest comment that a forge takes, as its documentation says: GitHub 65,536 characters, GitLab 1,000,000, Azure DevOps
/// 150,000, Bitbucket 32,768. Counted in bytes here, which are never fewer.
fn page_limit(text: &str) -> Result<usize, String> {
    match text {
        "github" => Ok(65_536),
        "gitlab" => Ok(1_000_000),
        "azure" => Ok(150_000),
        "bitbucket" => Ok(32_768),
        other => other
            .parse()
            .ok()
            .filter(|limit| *limit >= 1000)
            .ok_or_else(|| "a number of bytes, 1000 or more; or github, gitlab, azure or bitbucket".to_owned()),
    }
}

/// `windlass plan`.
#[derive(Debug, Args, Clone)]
pub struct PlanArgs {
    /// Which part of the estate.
    #[command(flatten)]
    pub scope: ScopeArgs,
    /// Where variable values come from.
    #[command(flatten)]
    pub variables: VariableArgs,
    /// Saves the plan, for `windlass apply FILE`
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// `false` trusts the lockfile and does not look at what is deployed
    #[arg(long, default_value_t = true, action = ArgAction::Set, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub refresh: bool,
    /// Moves versions given as a constraint to the newest release, instead of what the lockfile pins
    #[arg(long)]
    pub upgrade: bool,
    /// Shows only what the configuration alters since it parted from this branch, tag or commit, and how much was pending before
    #[arg(long, value_name = "REVISION")]
    pub base: Option<String>,
    /// Compares with an approved plan; exit code 3 where something is added to it
    #[arg(long, value_name = "FILE")]
    pub against: Option<PathBuf>,
    /// Exit code 2 where there are changes
    #[arg(long)]
    pub detailed_exitcode: bool,
    /// How to print the plan
    #[arg(long, default_value = "human")]
    pub format: PlanFormat,
    /// How long it may be.
    #[command(flatten)]
    pub page: PageArgs,
}

/// `windlass show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// A saved plan's path, or an instance's address
    pub what: String,
    /// How to print it; an instance has no Markdown
    #[arg(long, default_value = "human")]
    pub format: PlanFormat,
    /// How long it may be.
    #[command(flatten)]
    pub page: PageArgs,
}

/// `windlass status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Which part of the estate.
    #[command(flatten)]
    pub scope: ScopeArgs,
    /// Where variable values come from.
    #[command(flatten)]
    pub variables: VariableArgs,
    /// `false` does not look at what is deployed
    #[arg(long, default_value_t = true, action = ArgAction::Set, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub refresh: bool,
    /// How to print it
    #[arg(long, default_value = "human")]
    pub format: StatusFormat,
}

/// How the fleet is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StatusFormat {
    /// Text.
    Human,
    /// One JSON document.
    Json,
    /// One HTML page that needs no network.
    Html,
}

/// `windlass history`.
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// At most so many runs
    #[arg(long, default_value_t = 20, value_name = "N")]
    pub limit: usize,
    /// How to print it
    #[arg(long, default_value = "human")]
    pub format: TextOrJson,
}

/// How a graph is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum GraphFormat {
    /// Graphviz.
    Dot,
    /// Mermaid, as forges draw it in Markdown.
    Mermaid,
}

/// `windlass graph`.
#[derive(Debug, Args)]
pub struct GraphArgs {
    /// A saved plan; without one, plans
    pub plan: Option<PathBuf>,
    /// Which part of the estate.
    #[command(flatten)]
    pub scope: ScopeArgs,
    /// Where variable values come from.
    #[command(flatten)]
    pub variables: VariableArgs,
    /// How to write it
    #[arg(long, default_value = "dot")]
    pub format: GraphFormat,
    /// Draws the way back instead
    #[arg(long)]
    pub rollback: bool,
}

/// `windlass state …`.
#[derive(Debug, Subcommand)]
pub enum StateCommand {
    /// Lists recorded instances
    List(ScopeArgs),
    /// Shows what is recorded of an instance
    Show {
        /// Its address.
        address: String,
        /// How to print it
        #[arg(long, default_value = "human")]
        format: TextOrJson,
    },
    /// Gives a recorded instance another address
    Mv {
        /// Its address now.
        from: String,
        /// Its address from now on.
        to: String,
    },
    /// Forgets a recorded instance, without touching it
    Rm {
        /// Its address.
        address: String,
    },
    /// Removes what is kept of ended runs that no recorded hop goes back by; what an undo or a resumption needs stays
    Prune {
        /// Only runs that ended longer ago than this
        #[arg(long, value_name = "DURATION", default_value = "30d")]
        older_than: String,
        /// Says what would be removed, and removes nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Records an instance that is deployed already, without touching it
    Import {
        /// Its address, as declared.
        address: String,
        /// Where variable values come from.
        #[command(flatten)]
        variables: VariableArgs,
    },
}

/// `windlass unlock`.
#[derive(Debug, Args)]
pub struct UnlockArgs {
    /// Which environment
    pub environment: String,
    /// Breaks the lock without asking
    #[arg(long)]
    pub force: bool,
}

/// `windlass provider …`.
#[derive(Debug, Subcommand)]
pub enum ProviderCommand {
    /// Lists the providers within reach
    List,
    /// Documents a provider: settings, facts, releases, routes, strategies
    Show {
        /// Its name or folder.
        name: String,
        /// How to print it
        #[arg(long, default_value = "human")]
        format: TextOrJson,
    },
    /// Looks for mistakes and dangers in a provider
    Check {
        /// Its name or folder.
        name: String,
    },
    /// Makes the folder of a new provider
    New {
        /// Its name; the folder is `providers/NAME`.
        name: String,
    },
    /// Documents the drivers that providers call
    Drivers {
        /// One driver; all where not given
        name: Option<String>,
        /// How to print it
        #[arg(long, default_value = "human")]
        format: TextOrJson,
    },
}

/// `windlass output`.
#[derive(Debug, Args)]
pub struct OutputArgs {
    /// One output, printed raw; all where not given
    pub name: Option<String>,
    /// How to print it
    #[arg(long, default_value = "human")]
    pub format: TextOrJson,
    /// Where variable values come from.
    #[command(flatten)]
    pub variables: VariableArgs,
}

/// `windlass console`.
#[derive(Debug, Args)]
pub struct ConsoleArgs {
    /// The expression; lines of standard input where not given
    pub expression: Option<String>,
    /// Where variable values come from.
    #[command(flatten)]
    pub variables: VariableArgs,
}
