//! The command line of what a review and a pipeline need: approvals, comments, the lockfile in git, findings for forges.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::PageArgs;

/// How findings are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FindingsFormat {
    /// Text.
    Human,
    /// One JSON document.
    Json,
    /// JUnit XML: a test report, one case for each finding.
    Junit,
    /// SARIF 2.1.0: findings in place, for code scanning.
    Sarif,
}

/// What was approved, and what becomes of the lockfile.
#[derive(Debug, Args, Clone, Default)]
pub struct ReviewArgs {
    /// The approved plan. Applied is only what adds nothing to it; nobody is asked then
    #[arg(long, value_name = "FILE")]
    pub against: Option<PathBuf>,
    /// The digest that was approved: that of the plan, or of the one given by `--against`
    #[arg(long, value_name = "DIGEST")]
    pub approved: Option<String>,
    /// What becomes of the lockfile.
    #[command(flatten)]
    pub commit: CommitArgs,
}

/// What becomes of the lockfile after a run.
#[derive(Debug, Args, Clone, Default)]
pub struct CommitArgs {
    /// Commits the lockfiles after the run, also where it failed, and nothing else
    #[arg(long)]
    pub commit: bool,
    /// Pushes that commit with the `git` command
    #[arg(long, requires = "commit")]
    pub push: bool,
    /// The branch to commit to; needed where none is checked out
    #[arg(long, value_name = "BRANCH", requires = "commit", env = "WINDLASS_BRANCH")]
    pub branch: Option<String>,
    /// Where to push
    #[arg(long, value_name = "REMOTE", requires = "push", default_value = "origin")]
    pub remote: String,
}

/// A forge whose API is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ForgeKind {
    /// GitHub, also Enterprise Server.
    Github,
    /// GitLab.
    Gitlab,
    /// Gitea and Forgejo.
    Gitea,
}

/// `windlass comment`.
#[derive(Debug, Args)]
pub struct CommentArgs {
    /// A saved plan to show
    #[arg(long, value_name = "FILE", required_unless_present = "body", conflicts_with = "body")]
    pub plan: Option<PathBuf>,
    /// A Markdown file to post as it is; `-` for standard input
    #[arg(long, value_name = "FILE")]
    pub body: Option<PathBuf>,
    /// Which forge; found out from the pipeline's variables where not given
    #[arg(long, value_name = "FORGE")]
    pub forge: Option<ForgeKind>,
    /// The repository: `owner/name`, or a GitLab project's path or number
    #[arg(long, value_name = "REPOSITORY")]
    pub repo: Option<String>,
    /// The number of the pull or merge request
    #[arg(long, value_name = "N")]
    pub number: Option<u64>,
    /// The address of the API: `https://forge.example.org/api/v1`
    #[arg(long, value_name = "URL")]
    pub api: Option<String>,
    /// Certificates (PEM) to trust instead of the system's
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<String>,
    /// Tells comments of several plans on one pull request apart
    #[arg(long, value_name = "NAME", default_value = "plan")]
    pub key: String,
    /// Writes a new comment and hides the ones before, instead of changing the one that is there
    #[arg(long)]
    pub fresh: bool,
    /// How long it may be.
    #[command(flatten)]
    pub page: PageArgs,
}
