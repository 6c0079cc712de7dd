//! Forges: one comment on a pull request, kept up to date through the API of GitHub, GitLab, or Gitea and Forgejo.
//!
//! [`post`] takes where and what, and changes or writes the comment that bears Windlass's mark; older ones are hidden (GitHub) or
//! deleted. [`Surroundings`] finds out from a pipeline's variables where that is. A token is sent and never shown.

mod address;
mod comments;
mod github;
mod surroundings;
mod wire;

pub use surroundings::{Found, Surroundings, TOKEN};
pub use wire::Patience;

use serde::Deserialize;

use address::Address;
use comments::Comments;
use wire::Wire;

/// A forge whose API is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// GitHub, also Enterprise Server.
    GitHub,
    /// GitLab.
    GitLab,
    /// Gitea and Forgejo.
    Gitea,
}

impl Kind {
    /// What people call it.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::GitHub => "GitHub",
            Self::GitLab => "GitLab",
            Self::Gitea => "Gitea",
        }
    }
}

/// A pull request on a forge.
pub struct Target {
    /// Which forge.
    pub kind: Kind,
    /// The address of its API: `https://api.github.com`.
    pub api: String,
    /// `owner/name`; for GitLab the project's path or number.
    pub repository: String,
    /// The number of the pull or merge request.
    pub number: u64,
    /// Who we are.
    pub token: String,
    /// Certificates (PEM) to trust instead of the system's.
    pub ca_file: Option<String>,
}

/// What is to be said.
#[derive(Debug, Clone, Copy)]
pub struct Comment<'a> {
    /// Tells comments of several plans apart.
    pub key: &'a str,
    /// Markdown.
    pub body: &'a str,
    /// Whether to write a new comment and hide the ones before, instead of changing the newest.
    pub fresh: bool,
}

/// What was done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Posted {
    /// Whether a comment was there and was changed.
    pub updated: bool,
    /// Whether it said the same already.
    pub unchanged: bool,
    /// How many older ones were hidden or deleted.
    pub hidden: usize,
    /// Where people see it, where the forge says so.
    pub url: Option<String>,
    /// What did not work and does no harm, as sentences.
    pub remarks: Vec<String>,
}

/// Why a comment could not be posted.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct ForgeError {
    /// What went wrong. Holds no token.
    pub what: String,
    /// What to do.
    pub help: String,
    /// The answer's status, where there was an answer.
    pub status: Option<u16>,
    /// Whether it may have been done all the same.
    pub unsure: bool,
}

impl ForgeError {
    fn new(what: impl Into<String>, help: impl Into<String>) -> Self {
        Self { what: what.into(), help: help.into(), status: None, unsure: false }
    }
}

/// A comment that is there.
#[derive(Debug, Clone, Deserialize)]
struct Existing {
    id: u64,
    /// GitHub's name of it in GraphQL.
    #[serde(default)]
    node_id: String,
    #[serde(default)]
    body: String,
    #[serde(default)]
    html_url: Option<String>,
}

/// The first line of a comment of ours.
fn mark(key: &str) -> String {
    // Nothing in it can end the HTML comment.
    let key: String =
        key.chars().map(|sign| if sign.is_alphanumeric() || sign == '.' || sign == '_' { sign } else { '-' }).collect();
    format!("<!-- windlass:{key} -->")
}

/// Posts a comment, or brings the one that is there up to date. Doing it again changes nothing.
///
/// # Errors
/// The address is no safe one, or the forge refuses or does not answer for longer than is patient.
pub async fn post(target: Target, comment: Comment<'_>, patience: Patience) -> Result<Posted, ForgeError> {
    let address = Address::new(&target.api, &target.repository, target.number)?;
    let comments = Comments::new(target.kind, &address)?;
    let wire = Wire::new(&target, patience)?;
    let mark = mark(comment.key);
    let body = format!("{mark}\n{}", comment.body.trim_end());
    // An attempt of which nobody knows whether it was heard is looked up before the next.
    const ATTEMPTS: usize = 3;
    let mut attempt = 1;
    loop {
        match attempt_post(&comments, &wire, &mark, &body, comment.fresh && attempt == 1).await {
            Err(error) if error.unsure && attempt < ATTEMPTS => {
                wire.breathe(attempt).await;
                attempt += 1;
            }
            result => return result,
        }
    }
}

async fn attempt_post(comments: &Comments, wire: &Wire, mark: &str, body: &str, fresh: bool) -> Result<Posted, ForgeError> {
    let mut ours = comments.list(wire).await?;
    ours.retain(|comment| comment.body.trim_start().starts_with(mark));
    ours.sort_by_key(|comment| comment.id);
    let mut posted = Posted::default();
    let same = |comment: &Existing| comment.body.replace("\r\n", "\n").trim_end() == body;
    let current = if fresh { None } else { ours.pop() };
    let kept = match current {
        Some(comment) if same(&comment) => {
            posted.unchanged = true;
            comment
        }
        Some(comment) => match comments.update(wire, &comment, body).await {
            Ok(updated) => {
                posted.updated = true;
                updated
            }
            // Somebody else's, or just deleted: ours is another one.
            Err(error) if matches!(error.status, Some(403 | 404)) => {
                posted.remarks.push(format!("the comment that was there cannot be changed ({error}); a new one was written"));
                comments.create(wire, body).await?
            }
            Err(error) => return Err(error),
        },
        None => comments.create(wire, body).await?,
    };
    for old in &ours {
        match comments.hide(wire, old).await {
            Ok(()) => posted.hidden += 1,
            Err(error) => posted.remarks.push(format!("an older comment could not be hidden: {error}")),
        }
    }
    posted.url = kept.html_url;
    Ok(posted)
}

#[cfg(test)]
mod tests {
    use super::mark;

    #[test]
    fn nothing_in_a_key_ends_the_mark() {
        assert_eq!(mark("plan"), "<!-- windlass:plan -->");
        assert_eq!(mark("a --> b"), "<!-- windlass:a-----b -->");
    }
}
