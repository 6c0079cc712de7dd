//! GitHub: issue comments by REST, hidden by GraphQL (`minimizeComment`), which REST cannot.
//!
//! After <https://docs.github.com/en/rest/issues/comments> and <https://docs.github.com/en/graphql/reference/mutations#minimizecomment>.

use reqwest::{Method, Url};
use serde_json::{Value, json};

use super::address::Address;
use super::wire::Wire;
use super::{Existing, Forge, ForgeError};

/// Comments on a page, and pages at most.
const PAGE: usize = 100;
const PAGES: usize = 100;

pub(super) struct GitHub {
    address: Address,
    owner: String,
    name: String,
}

impl GitHub {
    pub(super) fn new(address: Address) -> Result<Self, ForgeError> {
        let (owner, name) = address.owner_and_name()?;
        Ok(Self { address, owner, name })
    }

    fn issues(&self, rest: &[&str]) -> Result<Url, ForgeError> {
        self.address.at(&[&["repos", &self.owner, &self.name, "issues"], rest].concat())
    }

    /// GraphQL is beside REST: `/api/graphql` for `/api/v3`, `/graphql` for the root.
    fn graphql(&self) -> Url {
        let mut url = self.address.api.clone();
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{}/graphql", path.strip_suffix("/v3").unwrap_or(&path)));
        url
    }
}

#[async_trait::async_trait]
impl Forge for GitHub {
    async fn list(&self, wire: &Wire) -> Result<Vec<Existing>, ForgeError> {
        let mut all = Vec::new();
        for page in 1..=PAGES {
            let mut url = self.issues(&[&self.address.number.to_string(), "comments"])?;
            url.query_pairs_mut().append_pair("per_page", &PAGE.to_string()).append_pair("page", &page.to_string());
            let found: Vec<Existing> = read(wire.send(Method::GET, url, None).await?)?;
            let last = found.len() < PAGE;
            all.extend(found);
            if last {
                break;
            }
        }
        Ok(all)
    }

    async fn create(&self, wire: &Wire, body: &str) -> Result<Existing, ForgeError> {
        let url = self.issues(&[&self.address.number.to_string(), "comments"])?;
        read(wire.send(Method::POST, url, Some(&json!({ "body": body }))).await?)
    }

    async fn update(&self, wire: &Wire, comment: &Existing, body: &str) -> Result<Existing, ForgeError> {
        let url = self.issues(&["comments", &comment.id.to_string()])?;
        read(wire.send(Method::PATCH, url, Some(&json!({ "body": body }))).await?)
    }

    async fn hide(&self, wire: &Wire, comment: &Existing) -> Result<(), ForgeError> {
        const MUTATION: &str = "mutation($id: ID!) { minimizeComment(input: { subjectId: $id, classifier: OUTDATED }) { minimizedComment { isMinimized } } }";
        let query = json!({ "query": MUTATION, "variables": { "id": comment.node_id } });
        let answer = wire.send(Method::POST, self.graphql(), Some(&query)).await?;
        // GraphQL says 200 and means no.
        if let Some(problem) = answer.get("errors").and_then(|errors| errors.get(0)) {
            let why = problem.get("message").and_then(Value::as_str).unwrap_or("it does not say why");
            return Err(ForgeError::new(
                format!("GitHub does not hide it: {why}"),
                "give the token the right to write to pull requests",
            ));
        }
        // Its mark goes, so that it is not found and hidden again each time.
        let body = comment.body.replacen("<!-- windlass:", "<!-- windlass-old:", 1);
        self.update(wire, comment, &body).await.map(|_| ())
    }
}

/// Reads an answer.
pub(super) fn read<T: serde::de::DeserializeOwned>(answer: Value) -> Result<T, ForgeError> {
    serde_json::from_value(answer)
        .map_err(|error| ForgeError::new(format!("the answer is not what the API promises: {error}"), "correct --forge and --api"))
}
