//! Objects of the bucket: reading, writing under a condition, listing; the errors of the service in our words.
//!
//! A conditional write whose answer is lost may have happened. So what is written under a condition carries a nonce, and is read
//! again where the answer leaves that open.

use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path;
use object_store::{
    BackoffConfig, Certificate, ClientOptions, Error, ObjectStore as _, ObjectStoreExt as _, PutMode, PutOptions, PutPayload,
    RetryConfig, UpdateVersion,
};

use super::Settings;
use crate::state::StateError;

/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// No new try after so long: a call that hangs must not cost a lease.
const RETRY_TIMEOUT: Duration = Duration::from_secs(12);
/// Requests at once when many objects are read.
const AT_ONCE: usize = 16;

/// The objects below a prefix.
pub(super) struct Objects {
    client: AmazonS3,
    prefix: String,
    place: String,
}

/// An object as it was read.
pub(super) struct Found {
    pub(super) bytes: Vec<u8>,
    /// When it was written, by the service's clock.
    pub(super) modified: Timestamp,
    /// What a conditional write names.
    pub(super) version: UpdateVersion,
}

/// What became of a conditional write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Put {
    Done,
    /// Something else is there.
    Refused,
}

impl Objects {
    pub(super) fn new(settings: &Settings, place: String) -> Result<Self, String> {
        let Settings { bucket, prefix, region, endpoint, ca_file, environment } = settings;
        let mut options = ClientOptions::new().with_timeout(REQUEST_TIMEOUT).with_connect_timeout(Duration::from_secs(5));
        if let Some(path) = ca_file {
            let pem = read_file(path)?;
            let certificates =
                Certificate::from_pem_bundle(&pem).map_err(|_| format!("there is no certificate in PEM form in `{path}`"))?;
            for certificate in certificates {
                options = options.with_root_certificate(certificate);
            }
        }
        let retry = RetryConfig {
            backoff: BackoffConfig { max_backoff: Duration::from_secs(3), ..BackoffConfig::default() },
            max_retries: 4,
            retry_timeout: RETRY_TIMEOUT,
        };
        let mut builder = AmazonS3Builder::new()
            .with_client_options(options)
            .with_retry(retry)
            .with_bucket_name(bucket)
            .with_region(region)
            .with_allow_http(endpoint.as_deref().is_some_and(|endpoint| endpoint.starts_with("http://")));
        if let Some(endpoint) = endpoint {
            builder = builder.with_endpoint(endpoint.trim_end_matches('/'));
        }
        for (name, value) in environment {
            let key: AmazonS3ConfigKey = name.to_ascii_lowercase().parse().map_err(|error: Error| error.to_string())?;
            builder = builder.with_config(key, value);
        }
        let client = builder.build().map_err(|error| sentence(&error))?;
        Ok(Self { client, prefix: prefix.clone(), place })
    }

    fn path(&self, key: &str) -> Path {
        Path::from(format!("{}/{key}", self.prefix))
    }

    fn away(&self, action: &'static str, error: &Error) -> StateError {
        StateError::Unreachable { place: self.place.clone(), action, why: sentence(error) }
    }

    /// An object; `None`: there is none.
    pub(super) async fn get(&self, key: &str) -> Result<Option<Found>, StateError> {
        let result = match self.client.get(&self.path(key)).await {
            Ok(result) => result,
            Err(Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(self.away("read", &error)),
        };
        let version = UpdateVersion { e_tag: result.meta.e_tag.clone(), version: result.meta.version.clone() };
        let modified = timestamp(&result.meta);
        let bytes = result.bytes().await.map_err(|error| self.away("read", &error))?.to_vec();
        Ok(Some(Found { bytes, modified, version }))
    }

    /// Several objects, in the order of their keys. One that is gone meanwhile is an error.
    pub(super) async fn get_all(&self, keys: Vec<String>) -> Result<Vec<Vec<u8>>, StateError> {
        let reading = keys.into_iter().map(async |key| match self.get(&key).await {
            Ok(Some(found)) => Ok(found.bytes),
            Ok(None) => Err(StateError::Corrupt { place: format!("`{key}` in {}", self.place), why: "it is gone".to_owned() }),
            Err(error) => Err(error),
        });
        futures_util::stream::iter(reading).buffered(AT_ONCE).try_collect().await
    }

    /// Writes whatever was there before.
    pub(super) async fn put(&self, key: &str, bytes: Vec<u8>) -> Result<(), StateError> {
        let put = self.client.put(&self.path(key), PutPayload::from(bytes)).await;
        put.map(drop).map_err(|error| self.away("written", &error))
    }

    /// Writes where nothing is there (`None`), or where it still has that version. An error leaves open whether it was written.
    pub(super) async fn put_if(&self, key: &str, bytes: Vec<u8>, there: Option<&UpdateVersion>) -> Result<Put, StateError> {
        let mode = there.map_or(PutMode::Create, |version| PutMode::Update(version.clone()));
        let options = PutOptions { mode, ..PutOptions::default() };
        match self.client.put_opts(&self.path(key), PutPayload::from(bytes), options).await {
            Ok(_) => Ok(Put::Done),
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. } | Error::NotFound { .. }) => Ok(Put::Refused),
            Err(error) => Err(self.away("written", &error)),
        }
    }

    /// Removes an object; what is not there is fine.
    pub(super) async fn remove(&self, key: &str) -> Result<(), StateError> {
        match self.client.delete(&self.path(key)).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.away("written", &error)),
        }
    }

    /// Removes several objects.
    pub(super) async fn remove_all(&self, keys: Vec<String>) -> Result<(), StateError> {
        let removing = keys.into_iter().map(async |key| self.remove(&key).await);
        futures_util::stream::iter(removing).buffer_unordered(AT_ONCE).try_collect().await
    }

    /// How many bytes lie below a folder.
    pub(super) async fn weight(&self, folder: &str) -> Result<u64, StateError> {
        let prefix = self.path(folder);
        let sizes = self.client.list(Some(&prefix)).map_ok(|meta| meta.size);
        sizes.try_fold(0, async |sum, size| Ok(sum + size)).await.map_err(|error| self.away("read", &error))
    }

    /// The keys below a folder, sorted, without the folder's name.
    pub(super) async fn list(&self, folder: &str) -> Result<Vec<String>, StateError> {
        let prefix = self.path(folder);
        let listed = self.client.list(Some(&prefix)).map_ok(|meta| meta.location.to_string());
        let keys: Vec<String> = listed.try_collect().await.map_err(|error| self.away("read", &error))?;
        let start = format!("{prefix}/");
        let mut names: Vec<String> = keys.iter().filter_map(|key| key.strip_prefix(&start)).map(str::to_owned).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// The time by the service's clock, at least: that of an object written just now.
    pub(super) async fn now(&self, nonce: &str) -> Result<Timestamp, StateError> {
        let key = format!("clock/{nonce}");
        self.put(&key, Vec::new()).await?;
        let meta = self.client.head(&self.path(&key)).await;
        let removed = self.remove(&key).await;
        let now = timestamp(&meta.map_err(|error| self.away("read", &error))?);
        removed.map(|()| now)
    }
}

#[expect(clippy::disallowed_methods, reason = "a door: reads a certificate")]
fn read_file(path: &str) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("`{path}` cannot be read: {error}"))
}

fn timestamp(meta: &object_store::ObjectMeta) -> Timestamp {
    Timestamp::from_second(meta.last_modified.timestamp()).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// What the service said, in one sentence: its answers are XML.
fn sentence(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        let words = next.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = next.source();
    }
    let within = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        Some(rest.split_once(&format!("</{name}>"))?.0.to_owned())
    };
    match (within("Code"), within("Message")) {
        (Some(code), Some(message)) => format!("{message} ({code})"),
        _ => text.replace('\n', " "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_in_xml_becomes_a_sentence() {
        let xml = "status 403: <?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>";
        let error = Error::Generic { store: "S3", source: xml.into() };
        assert_eq!(sentence(&error), "Access Denied (AccessDenied)");
        let error = Error::Generic { store: "S3", source: "no\nroute".into() };
        assert_eq!(sentence(&error), "Generic S3 error: no route");
    }
}
