//! State in a bucket of an S3-compatible service, kept by conditional writes.
//!
//! Takes where the bucket is, and credentials from the environment. One object an environment is its head: it holds the lease
//! and names the newest lockfile. Times are the service's own. Everything is encrypted on the way, except to the loopback address.

mod files;
mod head;
mod objects;
mod probe;

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;

use self::head::{Pointer, nonce};
use self::objects::{Objects, Put};
use super::{Holder, LEASE_TERM, Lease, RunFiles, RunRecord, StateError, Store, lockfile};
use crate::lock::{Lock, encode};
use crate::model::name::{Digest, EnvironmentName};
use crate::tls::is_near;

/// Environment variables that hold credentials, or say where they are.
pub const CREDENTIALS: [&str; 9] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
];

/// Where the bucket is, and as whom.
#[derive(Clone)]
pub struct Settings {
    bucket: String,
    prefix: String,
    region: String,
    endpoint: Option<String>,
    ca_file: Option<String>,
    environment: BTreeMap<String, String>,
}

/// What a configuration and the environment say of the bucket.
#[derive(Clone, Default)]
pub struct Given {
    /// Its name.
    pub bucket: Option<String>,
    /// What keys begin with; `windlass` where not given.
    pub prefix: Option<String>,
    /// `us-east-1` where not given.
    pub region: Option<String>,
    /// A URL; that of Amazon's own service where not given.
    pub endpoint: Option<String>,
    /// Certificates (PEM) that are trusted beside the system's.
    pub ca_file: Option<String>,
    /// The variables of [`CREDENTIALS`] that are set.
    pub environment: BTreeMap<String, String>,
}

impl Settings {
    /// Puts together what was given.
    ///
    /// # Errors
    /// A sentence: what is missing or cannot be so.
    pub fn new(given: Given) -> Result<Self, String> {
        let Given { bucket, prefix, region, endpoint, ca_file, environment } = given;
        let bucket = bucket.filter(|bucket| !bucket.is_empty()).ok_or("`bucket` is missing")?;
        let prefix = prefix.unwrap_or_else(|| "windlass".to_owned()).trim_matches('/').to_owned();
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
        if prefix.is_empty() || prefix.contains("//") || !prefix.chars().all(is_plain) {
            return Err(format!("`{prefix}` cannot be a prefix: use letters, digits, `-`, `_`, `.` and `/`"));
        }
        match endpoint.as_deref().map(|endpoint| endpoint.split_once("://")) {
            None | Some(Some(("https", _))) => {}
            Some(Some(("http", rest))) if is_near(host_of(rest)) => {}
            Some(Some(("http", _))) => {
                return Err("`endpoint` must begin with `https://`: only the loopback address is reached without TLS".to_owned());
            }
            Some(_) => return Err("`endpoint` is not a URL like `https://s3.example.org`".to_owned()),
        }
        let is_set = |name: &str| environment.contains_key(name);
        if is_set("AWS_ACCESS_KEY_ID") != is_set("AWS_SECRET_ACCESS_KEY") {
            return Err("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY go together, and one of them is not set".to_owned());
        }
        let sources = [
            "AWS_ACCESS_KEY_ID",
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        ];
        if !sources.into_iter().any(is_set) {
            return Err("the environment holds no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY".to_owned());
        }
        Ok(Self { bucket, prefix, region: region.unwrap_or_else(|| "us-east-1".to_owned()), endpoint, ca_file, environment })
    }

    fn describe(&self) -> String {
        let Self { bucket, prefix, endpoint, .. } = self;
        let at = endpoint.as_ref().map(|endpoint| format!(" at {endpoint}")).unwrap_or_default();
        format!("S3 bucket `{bucket}`, prefix {prefix}{at}")
    }
}

/// The host in `host:port/…`.
fn host_of(rest: &str) -> &str {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => authority.split(':').next().unwrap_or(authority),
    }
}

/// State in a bucket.
pub struct S3Store {
    place: String,
    term: Duration,
    objects: Objects,
}

impl S3Store {
    /// A store; nothing is connected yet. `term`: how long a lease holds, in whole seconds; [`LEASE_TERM`] where not given.
    ///
    /// # Errors
    /// A sentence: what cannot be so.
    pub fn new(settings: &Settings, term: Option<Duration>) -> Result<Self, String> {
        let place = settings.describe();
        Ok(Self { objects: Objects::new(settings, place.clone())?, place, term: term.unwrap_or(LEASE_TERM) })
    }
}

fn run_key(name: &str) -> String {
    format!("runs/{name}")
}

fn kept_key(digest: &Digest) -> String {
    format!("kept/{}", digest.as_str().replace(':', "-"))
}

#[async_trait]
impl Store for S3Store {
    fn describe(&self) -> String {
        self.place.clone()
    }

    fn term(&self) -> Duration {
        self.term
    }

    async fn prepare(&self) -> Result<(), StateError> {
        self.probe().await
    }

    fn run_files(&self) -> Option<&dyn RunFiles> {
        Some(self)
    }

    async fn read(&self, environment: &EnvironmentName) -> Result<Option<Lock>, StateError> {
        let mut missing: Option<Pointer> = None;
        loop {
            let Some(pointer) = self.head(environment).await?.head.lockfile else { return Ok(None) };
            let place = format!("`{}` in {}", pointer.object, self.place);
            if let Some(found) = self.objects.get(&pointer.object).await? {
                return lockfile::read(&place, environment, found.bytes).map(Some);
            }
            // A newer one was written in between, and the old one removed.
            if missing.as_ref() == Some(&pointer) {
                return Err(StateError::Corrupt { place, why: "it is gone".to_owned() });
            }
            missing = Some(pointer);
        }
    }

    async fn write(&self, lock: &Lock, lease: &Lease) -> Result<(), StateError> {
        let check = |seen: &head::Seen| {
            seen.fenced(lease)?;
            let there = seen.head.lockfile.as_ref();
            lockfile::follows(there.map(|there| (there.serial, there.lineage.clone())), lock)
        };
        check(&self.head(&lock.environment).await?)?;
        let object = format!("lockfiles/{}/{:012}-{}", lock.environment, lock.serial, nonce());
        self.objects.put(&object, encode(lock).into_bytes()).await?;
        let pointer = Pointer { serial: lock.serial, lineage: lock.lineage.clone(), object };
        let mut before = None;
        let edit = |seen: &head::Seen| {
            check(seen)?;
            before = seen.head.lockfile.clone();
            Ok(Some(seen.head.with_lockfile(&pointer)))
        };
        self.change(&lock.environment, edit).await?;
        if let Some(before) = before {
            // Where it cannot be removed it is only litter.
            let _ = self.objects.remove(&before.object).await;
        }
        Ok(())
    }

    async fn acquire(&self, environment: &EnvironmentName, holder: &Holder) -> Result<Lease, StateError> {
        self.acquire_lease(environment, holder).await
    }

    async fn renew(&self, lease: &Lease) -> Result<(), StateError> {
        self.renew_lease(lease).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), StateError> {
        self.release_lease(lease).await
    }

    async fn holder(&self, environment: &EnvironmentName) -> Result<Option<Holder>, StateError> {
        self.lease_holder(environment).await
    }

    async fn break_lease(&self, environment: &EnvironmentName, holder: &Holder) -> Result<(), StateError> {
        self.break_lease_of(environment, holder).await
    }

    async fn keep(&self, digest: &Digest, content: &[u8]) -> Result<(), StateError> {
        self.objects.put(&kept_key(digest), content.to_vec()).await
    }

    async fn kept(&self, digest: &Digest) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.objects.get(&kept_key(digest)).await?.map(|found| found.bytes))
    }

    async fn put_run(&self, run: &RunRecord) -> Result<(), StateError> {
        let key = run_key(&format!("{}.json", run.id));
        let text = serde_json::to_vec_pretty(run).unwrap_or_default();
        loop {
            let there = self.objects.get(&key).await?;
            if let Some(known) = there.as_ref().and_then(|there| serde_json::from_slice::<RunRecord>(&there.bytes).ok()) {
                run.replaces(&known)?;
            }
            // Where another writes it in between, that one's entry is looked at.
            if self.objects.put_if(&key, text.clone(), there.as_ref().map(|there| &there.version)).await? == Put::Done {
                return Ok(());
            }
        }
    }

    async fn runs(&self, limit: usize) -> Result<Vec<RunRecord>, StateError> {
        // Ids sort by the time they began.
        let mut names = self.objects.list("runs").await?;
        names.retain(|name| name.ends_with(".json"));
        let keys: Vec<String> = names.iter().rev().take(limit).map(|name| run_key(name)).collect();
        let contents = self.objects.get_all(keys.clone()).await?;
        let record = |(key, content): (&String, Vec<u8>)| {
            let place = format!("`{key}` in {}", self.place);
            serde_json::from_slice(&content).map_err(|error| StateError::Corrupt { place, why: error.to_string() })
        };
        keys.iter().zip(contents).map(record).collect()
    }
}
