//! GitLab: notes of a merge request. Old ones are deleted, since notes cannot be hidden.
//!
//! After <https://docs.gitlab.com/api/notes/#merge-requests>.

use reqwest::{Method, Url};
use serde_json::json;

use super::address::Address;
use super::github::read;
use super::wire::Wire;
use super::{Existing, Forge, ForgeError};

/// Notes on a page, and pages at most.
const PAGE: usize = 100;
const PAGES: usize = 100;

pub(super) struct GitLab {
    address: Address,
}

impl GitLab {
    pub(super) fn new(address: Address) -> Result<Self, ForgeError> {
        let part = |part: &str| !part.is_empty() && part != "." && part != "..";
        if !address.repository.split('/').all(part) {
            let what = format!("`{}` is no project: a number, or a path like `group/project`", address.repository);
            return Err(ForgeError::new(what, "give it with --repo group/project"));
        }
        Ok(Self { address })
    }

    fn notes(&self, rest: &[&str]) -> Result<Url, ForgeError> {
        let number = self.address.number.to_string();
        self.address.at(&[&["projects", &self.address.repository, "merge_requests", &number, "notes"], rest].concat())
    }
}

#[async_trait::async_trait]
impl Forge for GitLab {
    async fn list(&self, wire: &Wire) -> Result<Vec<Existing>, ForgeError> {
        let mut all = Vec::new();
        for page in 1..=PAGES {
            let mut url = self.notes(&[])?;
            url.query_pairs_mut()
                .append_pair("sort", "asc")
                .append_pair("order_by", "created_at")
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

    async fn create(&self, wire: &Wire, body: &str) -> Result<Existing, ForgeError> {
        read(wire.send(Method::POST, self.notes(&[])?, Some(&json!({ "body": body }))).await?)
    }

    async fn update(&self, wire: &Wire, comment: &Existing, body: &str) -> Result<Existing, ForgeError> {
        let url = self.notes(&[&comment.id.to_string()])?;
        read(wire.send(Method::PUT, url, Some(&json!({ "body": body }))).await?)
    }

    async fn hide(&self, wire: &Wire, comment: &Existing) -> Result<(), ForgeError> {
        wire.send(Method::DELETE, self.notes(&[&comment.id.to_string()])?, None).await.map(|_| ())
    }
}
