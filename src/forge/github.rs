//! GitHub's GraphQL, which can hide a comment (`minimizeComment`); REST cannot.
//!
//! After <https://docs.github.com/en/graphql/reference/mutations#minimizecomment>.

use reqwest::{Method, Url};
use serde_json::{Value, json};

use super::wire::Wire;
use super::{Existing, ForgeError};

const MINIMIZE: &str =
    "mutation($id: ID!) { minimizeComment(input: { subjectId: $id, classifier: OUTDATED }) { minimizedComment { isMinimized } } }";

/// GraphQL is beside REST: `/api/graphql` for `/api/v3`, `/graphql` for the root.
pub(super) fn graphql(api: &Url) -> Url {
    let mut url = api.clone();
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&format!("{}/graphql", path.strip_suffix("/v3").unwrap_or(&path)));
    url
}

/// Hides a comment as outdated.
pub(super) async fn minimize(wire: &Wire, graphql: Url, comment: &Existing) -> Result<(), ForgeError> {
    let query = json!({ "query": MINIMIZE, "variables": { "id": comment.node_id } });
    let answer = wire.send(Method::POST, graphql, Some(&query)).await?;
    // GraphQL says 200 and means no.
    let Some(problem) = answer.get("errors").and_then(|errors| errors.get(0)) else { return Ok(()) };
    let why = problem.get("message").and_then(Value::as_str).unwrap_or("it does not say why");
    Err(ForgeError::new(format!("GitHub does not hide it: {why}"), "give the token the right to write to pull requests"))
}
