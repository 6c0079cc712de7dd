//! Comments of one pull request: where a forge keeps them, and how they are read, written, changed and taken out of sight.
//!
//! The forges differ in addresses and methods, and in one thing more: GitHub hides a comment by GraphQL, the others delete it.
//! After <https://docs.github.com/en/rest/issues/comments>, <https://docs.gitlab.com/api/notes/#merge-requests>, and the Swagger
//! description that every Gitea and Forgejo serves at `/swagger.v1.json` (`issueGetComments` and its neighbours).

use reqwest::{Method, Url};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::address::Address;
use super::wire::Wire;
use super::{Existing, ForgeError, Kind, github};

/// Comments on a page, and pages at most.
const PAGE: usize = 100;
const PAGES: usize = 100;

/// The comments of a pull request.
pub(super) struct Comments {
    /// All of them; a new one is sent there.
    all: Url,
    /// One of them is below, by its number.
    each: Url,
    /// How one is changed.
    change: Method,
    /// What to ask for besides the page; nothing where the list has no pages.
    paged: Option<&'static [(&'static str, &'static str)]>,
    /// Where GraphQL hides one; nothing where it is deleted.
    graphql: Option<Url>,
}

impl Comments {
    /// Those of the pull request at an address.
    pub(super) fn new(kind: Kind, address: &Address) -> Result<Self, ForgeError> {
        let number = address.number.to_string();
        let (all, each) = match kind {
            Kind::GitHub | Kind::Gitea => {
                let (owner, name) = address.owner_and_name()?;
                let issues = ["repos", &owner, &name, "issues"];
                (address.at(&[&issues[..], &[&number, "comments"]].concat())?, address.at(&[&issues[..], &["comments"]].concat())?)
            }
            Kind::GitLab => {
                let notes = address.at(&["projects", address.project()?, "merge_requests", &number, "notes"])?;
                (notes.clone(), notes)
            }
        };
        Ok(Self {
            all,
            each,
            change: if kind == Kind::GitLab { Method::PUT } else { Method::PATCH },
            paged: match kind {
                Kind::GitHub => Some(&[]),
                Kind::GitLab => Some(&[("sort", "asc"), ("order_by", "created_at")]),
                Kind::Gitea => None,
            },
            graphql: (kind == Kind::GitHub).then(|| github::graphql(&address.api)),
        })
    }

    /// All comments, oldest first.
    pub(super) async fn list(&self, wire: &Wire) -> Result<Vec<Existing>, ForgeError> {
        let Some(paged) = self.paged else { return read(wire.send(Method::GET, self.all.clone(), None).await?) };
        let mut all = Vec::new();
        for page in 1..=PAGES {
            let mut url = self.all.clone();
            url.query_pairs_mut()
                .extend_pairs(paged)
                .append_pair("per_page", &PAGE.to_string())
                .append_pair("page", &page.to_string());
            let found: Vec<Existing> = read(wire.send(Method::GET, url, None).await?)?;
            let last = found.len() < PAGE;
            all.extend(found);
            if last {
                break;
            }
        }
        Ok(all)
    }

    /// Writes one.
    pub(super) async fn create(&self, wire: &Wire, body: &str) -> Result<Existing, ForgeError> {
        read(wire.send(Method::POST, self.all.clone(), Some(&json!({ "body": body }))).await?)
    }

    /// Changes one.
    pub(super) async fn update(&self, wire: &Wire, comment: &Existing, body: &str) -> Result<Existing, ForgeError> {
        read(wire.send(self.change.clone(), self.one(comment), Some(&json!({ "body": body }))).await?)
    }

    /// Takes an old one out of sight.
    pub(super) async fn hide(&self, wire: &Wire, comment: &Existing) -> Result<(), ForgeError> {
        let Some(graphql) = &self.graphql else {
            return wire.send(Method::DELETE, self.one(comment), None).await.map(|_| ());
        };
        github::minimize(wire, graphql.clone(), comment).await?;
        // Its mark goes, so that it is not found and hidden again each time.
        let body = comment.body.replacen("<!-- windlass:", "<!-- windlass-old:", 1);
        self.update(wire, comment, &body).await.map(|_| ())
    }

    fn one(&self, comment: &Existing) -> Url {
        let mut url = self.each.clone();
        url.set_path(&format!("{}/{}", url.path(), comment.id));
        url
    }
}

fn read<T: DeserializeOwned>(answer: Value) -> Result<T, ForgeError> {
    serde_json::from_value(answer)
        .map_err(|error| ForgeError::new(format!("the answer is not what the API promises: {error}"), "correct --forge and --api"))
}
