//! The command line of `windlass backup`.

use clap::{Args, Subcommand, ValueEnum};

use super::{RunArgs, ScopeArgs, TextOrJson, VariableArgs};

/// `windlass backup …`.
#[derive(Debug, Subcommand)]
pub enum BackupCommand {
    /// Backs instances up, then prunes what is too old
    Run(BackupRunArgs),
    /// Lists backups: the recorded ones and those in the repositories
    List(BackupListArgs),
    /// Reads backups back: the newest of each instance, or those named
    Verify(BackupVerifyArgs),
    /// Restores an instance from a backup or a matched set
    Restore(BackupRestoreArgs),
    /// Removes old backups, never the last good one
    Prune(BackupPruneArgs),
    /// Prints the declared schedules as systemd units or cron lines
    Schedule(BackupScheduleArgs),
}

/// Whose backups.
#[derive(Debug, Args, Clone, Default)]
pub struct BackupWhich {
    /// Addresses of instances (or their beginnings); all where none is given
    pub instances: Vec<String>,
    /// Only this environment; may be repeated
    #[arg(long = "env", value_name = "ENVIRONMENT", env = "WINDLASS_ENV", value_delimiter = ',')]
    pub environments: Vec<String>,
    /// Where variable values come from.
    #[command(flatten)]
    pub variables: VariableArgs,
}

impl BackupWhich {
    /// As the other commands have it.
    #[must_use]
    pub fn scope(&self) -> ScopeArgs {
        ScopeArgs { environments: self.environments.clone(), targets: Vec::new() }
    }
}

/// `windlass backup run`.
#[derive(Debug, Args)]
pub struct BackupRunArgs {
    /// Addresses of instances (or their beginnings); where none is given, all that have a `backup` block
    pub instances: Vec<String>,
    /// Only this environment; may be repeated
    #[arg(long = "env", value_name = "ENVIRONMENT", env = "WINDLASS_ENV", value_delimiter = ',')]
    pub environments: Vec<String>,
    /// Shows the plan before it is carried out
    #[arg(long)]
    pub show: bool,
    /// Where variable values come from.
    #[command(flatten)]
    pub variables: VariableArgs,
    /// How the run behaves.
    #[command(flatten)]
    pub run: RunArgs,
}

/// `windlass backup list`.
#[derive(Debug, Args)]
pub struct BackupListArgs {
    /// Whose.
    #[command(flatten)]
    pub which: BackupWhich,
    /// How to print it
    #[arg(long, default_value = "human")]
    pub format: TextOrJson,
}

/// `windlass backup verify`.
#[derive(Debug, Args)]
pub struct BackupVerifyArgs {
    /// Whose.
    #[command(flatten)]
    pub which: BackupWhich,
    /// Only the backup of this id; may be repeated
    #[arg(long = "id", value_name = "ID")]
    pub ids: Vec<String>,
    /// All backups, not only the newest
    #[arg(long, conflicts_with = "ids")]
    pub all: bool,
}

/// `windlass backup restore`.
#[derive(Debug, Args)]
pub struct BackupRestoreArgs {
    /// The instance that is restored
    pub instance: String,
    /// Which backup; the newest verified and consistent one where not given. Of a matched set, all parts
    #[arg(long, value_name = "ID")]
    pub id: Option<String>,
    /// Which matched set
    #[arg(long, value_name = "NAME", conflicts_with = "id")]
    pub set: Option<String>,
    /// A backup of this other instance
    #[arg(long, value_name = "ADDRESS")]
    pub from: Option<String>,
    /// To this place instead of the instance's own
    #[arg(long, value_name = "PATH")]
    pub to: Option<String>,
    /// On this declared host instead of the instance's own
    #[arg(long, value_name = "HOST")]
    pub host: Option<String>,
    /// Also where the backup was never verified or is possibly inconsistent
    #[arg(long)]
    pub doubtful: bool,
    /// Where variable values come from.
    #[command(flatten)]
    pub variables: VariableArgs,
    /// How the run behaves.
    #[command(flatten)]
    pub run: RunArgs,
}

/// `windlass backup prune`.
#[derive(Debug, Args)]
pub struct BackupPruneArgs {
    /// Whose.
    #[command(flatten)]
    pub which: BackupWhich,
    /// So many of the newest stay; without any rule, those that the instance declares hold
    #[arg(long, value_name = "N")]
    pub keep_last: Option<u64>,
    /// Those that are no older stay: `30d`
    #[arg(long, value_name = "DURATION")]
    pub keep_within: Option<String>,
    /// The newest of each of so many days stays
    #[arg(long, value_name = "N")]
    pub keep_daily: Option<u64>,
    /// The newest of each of so many weeks stays
    #[arg(long, value_name = "N")]
    pub keep_weekly: Option<u64>,
    /// The newest of each of so many months stays
    #[arg(long, value_name = "N")]
    pub keep_monthly: Option<u64>,
    /// Also what undoing a recorded hop may need
    #[arg(long)]
    pub include_needed: bool,
    /// Only says what would go
    #[arg(long)]
    pub dry_run: bool,
}

/// How a schedule is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ScheduleFormat {
    /// A service and a timer for each instance.
    Systemd,
    /// Lines for a crontab.
    Cron,
}

/// `windlass backup schedule`.
#[derive(Debug, Args)]
pub struct BackupScheduleArgs {
    /// Whose.
    #[command(flatten)]
    pub which: BackupWhich,
    /// For what
    #[arg(long, default_value = "systemd")]
    pub format: ScheduleFormat,
}
