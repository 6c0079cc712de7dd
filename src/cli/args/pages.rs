//! The command line of what is printed for shells and readers.

use std::path::PathBuf;

use clap::Args;

/// `windlass completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// For which shell
    pub shell: clap_complete::Shell,
}

/// `windlass man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Writes every page into this folder; prints the main page where not given
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}
