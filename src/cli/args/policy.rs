//! The command line of `windlass policy`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{FindingsFormat, VariableArgs};

/// `windlass approve`.
#[derive(Debug, Args)]
pub struct ApproveArgs {
    /// The saved plan
    pub plan: PathBuf,
    /// Why it may be applied
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Who approves; the user of the login, or `WINDLASS_USER`, where not given
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
    /// Writes into the file PLAN.approvals beside the plan, instead of the state store
    #[arg(long)]
    pub beside: bool,
    /// Where variable values come from.
    #[command(flatten)]
    pub variables: VariableArgs,
}

/// `windlass policy …`.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Runs the tests of policies: rules whose names begin with `test_`
    Test(PolicyTestArgs),
    /// Asks the policies about a saved plan
    Eval(PolicyEvalArgs),
    /// Lists the policies that hold, and those that the program carries
    List(PolicyListArgs),
    /// Prints a policy that the program carries, to be copied
    Show(PolicyShowArgs),
}

/// `windlass policy test`.
#[derive(Debug, Args)]
pub struct PolicyTestArgs {
    /// A folder with policies; those of the configuration where not given
    pub dir: Option<PathBuf>,
    /// How to print what came out
    #[arg(long, default_value = "human")]
    pub format: FindingsFormat,
    /// Where variable values come from.
    #[command(flatten)]
    pub variables: VariableArgs,
}

/// `windlass policy eval`.
#[derive(Debug, Args)]
pub struct PolicyEvalArgs {
    /// The saved plan
    #[arg(long, value_name = "FILE")]
    pub plan: PathBuf,
    /// Prints the document that policies see, instead of what they say
    #[arg(long)]
    pub input: bool,
    /// How to print what they say
    #[arg(long, default_value = "human")]
    pub format: FindingsFormat,
    /// Where variable values come from.
    #[command(flatten)]
    pub variables: VariableArgs,
}

/// `windlass policy list`.
#[derive(Debug, Args)]
pub struct PolicyListArgs {
    /// Where variable values come from.
    #[command(flatten)]
    pub variables: VariableArgs,
}

/// `windlass policy show`.
#[derive(Debug, Args)]
pub struct PolicyShowArgs {
    /// Its name
    pub name: String,
    /// Prints its tests
    #[arg(long)]
    pub tests: bool,
}
