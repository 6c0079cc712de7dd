//! `windlass drift …`: what may be said.

use clap::{Args, Subcommand, ValueEnum};

use super::{PageArgs, PlanArgs, ScopeArgs, VariableArgs};
use crate::model::drift::Severity;

/// `windlass drift`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct DriftArgs {
    /// What to do with drift, instead of looking for it.
    #[command(subcommand)]
    pub command: Option<DriftCommand>,
    /// Which part of the estate.
    #[command(flatten)]
    pub scope: ScopeArgs,
    /// Where variable values come from.
    #[command(flatten)]
    pub variables: VariableArgs,
    /// Exit code 2 where there is drift
    #[arg(long)]
    pub detailed_exitcode: bool,
    /// Exit code 2 only for drift of this severity or worse
    #[arg(long, value_name = "SEVERITY", default_value = "info", requires = "detailed_exitcode")]
    pub fail_on: AtLeast,
    /// How to print what was found
    #[arg(long, default_value = "human")]
    pub format: DriftFormat,
    /// How long it may be.
    #[command(flatten)]
    pub page: PageArgs,
    /// Looks again and again, until it is told to stop
    #[arg(long)]
    pub watch: bool,
    /// How often to look, about: `10m`, `1h`; the configuration's `interval`, or an hour, where not given
    #[arg(long, value_name = "DURATION", requires = "watch")]
    pub interval: Option<String>,
    /// Answers Prometheus at this address: `127.0.0.1:9464`
    #[arg(long, value_name = "ADDRESS", requires = "watch")]
    pub metrics: Option<std::net::SocketAddr>,
}

/// What to do with drift.
#[derive(Debug, Subcommand)]
pub enum DriftCommand {
    /// Records what is there, without touching it
    Adopt(DriftAdoptArgs),
    /// Plans to bring back what drifted, configuration too
    Plan(Box<PlanArgs>),
}

/// `windlass drift adopt`.
#[derive(Debug, Args)]
pub struct DriftAdoptArgs {
    /// The instance's address
    pub address: String,
    /// Why what is there is right; kept in the history
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Where variable values come from.
    #[command(flatten)]
    pub variables: VariableArgs,
}

/// How drift is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DriftFormat {
    /// Text.
    Human,
    /// One JSON document; with `--watch`, one line for each look that changed something.
    Json,
    /// Markdown for an issue or a chat, never longer than `--limit`.
    Markdown,
}

/// A severity on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AtLeast {
    /// All drift.
    Info,
    /// What is to be seen to.
    Warning,
    /// What is to be seen to now.
    Critical,
}

impl AtLeast {
    /// The severity.
    #[must_use]
    pub fn severity(self) -> Severity {
        match self {
            Self::Info => Severity::Info,
            Self::Warning => Severity::Warning,
            Self::Critical => Severity::Critical,
        }
    }
}

impl DriftArgs {
    /// Where variable values come from.
    #[must_use]
    pub fn variables(&self) -> &VariableArgs {
        match &self.command {
            Some(DriftCommand::Adopt(args)) => &args.variables,
            Some(DriftCommand::Plan(args)) => &args.variables,
            None => &self.variables,
        }
    }
}
