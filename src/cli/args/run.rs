//! The command line of runs: begun, gone on with, taken back, stopped, given up, confirmed.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{CommitArgs, ReviewArgs, ScopeArgs, VariableArgs};

/// How a run is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RunFormat {
    /// Bars on a terminal, lines elsewhere.
    Human,
    /// Events as JSON lines on stdout.
    Json,
}

/// How a run behaves.
#[derive(Debug, Args, Clone)]
pub struct RunArgs {
    /// Applies without asking
    #[arg(long)]
    pub auto_approve: bool,
    /// Actions at once in an environment; the configuration's `concurrency` where not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub parallelism: Option<u32>,
    /// How to show the run
    #[arg(long, default_value = "human")]
    pub format: RunFormat,
    /// Waits so long for another who holds the state: `90s`, `10m`
    #[arg(long, value_name = "DURATION")]
    pub lock_timeout: Option<String>,
}

/// `windlass apply`.
#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// A saved plan; without one, plans and asks
    pub plan: Option<PathBuf>,
    /// Which part of the estate.
    #[command(flatten)]
    pub scope: ScopeArgs,
    /// Where variable values come from.
    #[command(flatten)]
    pub variables: VariableArgs,
    /// Moves versions given as a constraint to the newest release
    #[arg(long)]
    pub upgrade: bool,
    /// What was approved, and what becomes of the lockfile.
    #[command(flatten)]
    pub review: ReviewArgs,
    /// Waits for closed gates that open by themselves, so long at most: `2h`; without a duration, as long as it takes
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub wait: Option<String>,
    /// How the run behaves.
    #[command(flatten)]
    pub run: RunArgs,
}

/// `windlass resume`.
#[derive(Debug, Args)]
pub struct ResumeArgs {
    /// Which run; the newest unfinished one where not given
    pub run_id: Option<String>,
    /// Does a held or failed action again; may be repeated
    #[arg(long, value_name = "ACTION")]
    pub retry: Vec<String>,
    /// Takes a held or failed action as done; may be repeated
    #[arg(long, value_name = "ACTION")]
    pub skip: Vec<String>,
    /// What becomes of the lockfile.
    #[command(flatten)]
    pub commit: CommitArgs,
    /// Where variable values come from.
    #[command(flatten)]
    pub variables: VariableArgs,
    /// How the run behaves.
    #[command(flatten)]
    pub run: RunArgs,
}

/// `windlass rollback`.
#[derive(Debug, Args)]
pub struct RollbackArgs {
    /// Which run; the newest where not given
    pub run_id: Option<String>,
    /// Only what it did in these environments; refused where what stays elsewhere was built upon it
    #[arg(long = "env", value_name = "ENVIRONMENT", value_delimiter = ',')]
    pub environments: Vec<String>,
    /// Goes no further back than to this version; `ADDRESS=VERSION` where the run moved several instances, may be repeated
    #[arg(long, value_name = "[ADDRESS=]VERSION")]
    pub to: Vec<String>,
    /// What becomes of the lockfile.
    #[command(flatten)]
    pub commit: CommitArgs,
    /// Where variable values come from.
    #[command(flatten)]
    pub variables: VariableArgs,
    /// How the run behaves.
    #[command(flatten)]
    pub run: RunArgs,
}

/// `windlass stop`.
#[derive(Debug, Args)]
pub struct StopArgs {
    /// Which run; the one that is running where not given
    pub run_id: Option<String>,
}

/// `windlass abandon`.
#[derive(Debug, Args)]
pub struct AbandonArgs {
    /// Which run; the newest unfinished one where not given
    pub run_id: Option<String>,
    /// What to record: `succeeded` takes every hop of the run as done, `failed` leaves the lockfile as it is
    #[arg(long = "as", value_name = "OUTCOME")]
    pub outcome: AbandonAs,
    /// Why; recorded in the history
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// What becomes of the lockfile.
    #[command(flatten)]
    pub commit: CommitArgs,
}

/// What an abandoned run is recorded as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AbandonAs {
    /// Every hop is taken as done.
    Succeeded,
    /// The lockfile stays as it is.
    Failed,
}

/// `windlass confirm`.
#[derive(Debug, Args)]
pub struct ConfirmArgs {
    /// The action (`dss.design@13.4.1:kerberos`) or the follow-up (`dss.design:retrain_models`)
    pub what: String,
    /// What was done; recorded
    #[arg(long, value_name = "TEXT")]
    pub note: Option<String>,
    /// Where variable values come from.
    #[command(flatten)]
    pub variables: VariableArgs,
}
