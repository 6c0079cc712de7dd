//! Gitea and Forgejo: comments of an issue or pull request. Old ones are deleted, since comments cannot be hidden.
//!
//! After the Swagger description that every instance serves at `/swagger.v1.json`: `issueGetComments`, `issueCreateComment`,
//! `issueEditComment`, `issueDeleteComment`.

use reqwest::{Method, Url};
use serde_json::json;

use super::address::Address;
use super::github::read;
use super::wire::Wire;
use super::{Existing, Forge, ForgeError};

pub(super) struct Gitea {
    address: Address,
    owner: String,
    name: String,
}

impl Gitea {
    pub(super) fn new(address: Address) -> Result<Self, ForgeError> {
        let (owner, name) = address.owner_and_name()?;
        Ok(Self { address, owner, name })
    }

    fn issues(&self, rest: &[&str]) -> Result<Url, ForgeError> {
        self.address.at(&[&["repos", &self.owner, &self.name, "issues"], rest].concat())
    }
}

#[async_trait::async_trait]
impl Forge for Gitea {
    async fn list(&self, wire: &Wire) -> Result<Vec<Existing>, ForgeError> {
        // All of them in one answer: this list has no pages.
        read(wire.send(Method::GET, self.issues(&[&self.address.number.to_string(), "comments"])?, None).await?)
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
        wire.send(Method::DELETE, self.issues(&["comments", &comment.id.to_string()])?, None).await.map(|_| ())
    }
}
