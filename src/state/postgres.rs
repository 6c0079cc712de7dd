//! State in PostgreSQL: every write checks the fencing token in its own transaction, and leases expire by the server's clock.
//!
//! Takes where the server is and as whom; makes its tables on first use. Connections are encrypted and the server's certificate is
//! checked, except on a socket or the loopback address. Holds no connection between commands.

mod connect;
mod files;
mod lease;
mod schema;

use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::OnceCell;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Client, Config};

use self::connect::{Connections, Problem};
use super::{Holder, LEASE_TERM, Lease, RunFiles, RunRecord, StateError, Store, lockfile};
use crate::lock::{Lock, encode};
use crate::model::name::{Digest, EnvironmentName, Lineage};
use crate::tls::{Tls, is_near};

/// Where the server is, and as whom.
#[derive(Clone)]
pub struct Settings {
    host: String,
    port: u16,
    user: String,
    password: Option<String>,
    database: String,
    schema: String,
    tls: Tls,
    is_encrypted: bool,
}

/// What a configuration and the environment say of the server; all of it may be left out.
#[derive(Clone, Default)]
pub struct Given {
    /// `postgres://user@host:port/database`.
    pub url: Option<String>,
    /// Name, address or folder of a socket.
    pub host: Option<String>,
    /// 5432 where not given.
    pub port: Option<u16>,
    /// The role.
    pub user: Option<String>,
    /// Its password.
    pub password: Option<String>,
    /// As the user, where not given.
    pub database: Option<String>,
    /// `windlass` where not given.
    pub schema: Option<String>,
    /// Certificates that are trusted, and who Windlass says it is.
    pub tls: Tls,
}

impl Settings {
    /// Puts together what was given; what is given by itself wins over the URL.
    ///
    /// # Errors
    /// A sentence: what is missing or cannot be so.
    pub fn new(given: Given) -> Result<Self, String> {
        let Given { url, host, port, user, password, database, schema, tls } = given;
        let config = match url {
            None => Config::new(),
            // The parser's words may repeat the text, and with it a password.
            Some(url) => {
                url.parse::<Config>().map_err(|_| "`url` is not a URL like `postgres://user@host:5432/database`".to_owned())?
            }
        };
        if config.get_password().is_some() {
            return Err("`url` holds a password: a configuration is no place for it, set PGPASSWORD in the environment".to_owned());
        }
        if config.get_hosts().len() > 1 {
            return Err("`url` names several hosts: give one".to_owned());
        }
        let of_url = config.get_hosts().first().map(|host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(dir) => dir.to_string_lossy().into_owned(),
        });
        let host = host.or(of_url).ok_or("`host` or `url` is missing: where is the server?")?;
        let user = user.or_else(|| config.get_user().map(str::to_owned)).ok_or("`user` is missing: as whom, or set PGUSER")?;
        let schema = schema.unwrap_or_else(|| "windlass".to_owned());
        let mut letters = schema.chars();
        let is_name = letters.next().is_some_and(|first| first.is_ascii_lowercase() || first == '_')
            && letters.all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_');
        if !is_name || schema.len() > 63 {
            return Err(format!("`{schema}` is no name for a schema: use a-z, 0-9 and _"));
        }
        let is_near = is_near(&host);
        if !is_near && config.get_ssl_mode() == SslMode::Disable {
            return Err("TLS can be turned off only on a socket or the loopback address".to_owned());
        }
        Ok(Self {
            // Where a certificate to check against is named, it is meant.
            is_encrypted: !is_near || tls.ca_file.is_some() || config.get_ssl_mode() == SslMode::Require,
            port: port.or(config.get_ports().first().copied()).unwrap_or(5432),
            database: database.or_else(|| config.get_dbname().map(str::to_owned)).unwrap_or_else(|| user.clone()),
            host,
            user,
            password,
            schema,
            tls,
        })
    }

    fn describe(&self) -> String {
        let Self { host, port, database, schema, .. } = self;
        format!("PostgreSQL `{database}` at {host}:{port}, schema {schema}")
    }
}

/// State in PostgreSQL.
pub struct PostgresStore {
    place: String,
    /// Quoted, with its dot.
    schema: String,
    term: Duration,
    connections: Connections,
    ready: OnceCell<()>,
}

impl PostgresStore {
    /// A store; nothing is connected yet. `term`: how long a lease holds; [`LEASE_TERM`] where not given.
    #[must_use]
    pub fn new(settings: Settings, term: Option<Duration>) -> Self {
        Self {
            place: settings.describe(),
            schema: format!("\"{}\"", settings.schema),
            term: term.unwrap_or(LEASE_TERM),
            connections: Connections::new(settings),
            ready: OnceCell::new(),
        }
    }

    /// Does something with a connection to a server whose tables are ready.
    async fn with<T>(
        &self,
        action: &'static str,
        work: impl AsyncFnOnce(&mut Client) -> Result<T, Problem>,
    ) -> Result<T, StateError> {
        let making = || self.connections.with(action, async |client| schema::ensure(client, &self.schema, &self.place).await);
        self.ready.get_or_try_init(making).await?;
        self.connections.with(action, work).await
    }

    fn corrupt(&self, what: &str, error: &dyn std::fmt::Display) -> StateError {
        StateError::Corrupt { place: format!("{what} in {}", self.place), why: error.to_string() }
    }
}

/// As PostgreSQL counts.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

#[async_trait]
impl Store for PostgresStore {
    fn describe(&self) -> String {
        self.place.clone()
    }

    fn term(&self) -> Duration {
        self.term
    }

    async fn prepare(&self) -> Result<(), StateError> {
        self.with("read", async |_| Ok(())).await
    }

    fn run_files(&self) -> Option<&dyn RunFiles> {
        Some(self)
    }

    async fn read(&self, environment: &EnvironmentName) -> Result<Option<Lock>, StateError> {
        let sql = format!("SELECT content FROM {}.lockfile WHERE environment = $1", self.schema);
        let row = self.with("read", async |client| Ok(client.query_opt(&sql, &[&environment.as_str()]).await?)).await?;
        let place = format!("the lockfile of `{environment}` in {}", self.place);
        row.map(|row| lockfile::read(&place, environment, row.get(0))).transpose()
    }

    async fn write(&self, lock: &Lock, lease: &Lease) -> Result<(), StateError> {
        let schema = &self.schema;
        let content = encode(lock).into_bytes();
        self.with("written", async |client| {
            let transaction = client.transaction().await?;
            lease::fenced(&transaction, schema, lease).await?;
            let environment = lock.environment.as_str();
            let there = format!("SELECT serial, lineage FROM {schema}.lockfile WHERE environment = $1 FOR UPDATE");
            let there = transaction.query_opt(&there, &[&environment]).await?;
            let there = there.map(|row| (unsigned(row.get(0)), Lineage::new(row.get::<_, String>(1))));
            lockfile::follows(there, lock)?;
            let sql = format!(
                "INSERT INTO {schema}.lockfile (environment, serial, lineage, content) VALUES ($1, $2, $3, $4)
                 ON CONFLICT (environment) DO UPDATE SET serial = $2, lineage = $3, content = $4"
            );
            let (serial, lineage) = (signed(lock.serial), lock.lineage.as_str());
            transaction.execute(&sql, &[&environment, &serial, &lineage, &content]).await?;
            Ok(transaction.commit().await?)
        })
        .await
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
        let sql = format!("INSERT INTO {}.kept (digest, content) VALUES ($1, $2) ON CONFLICT DO NOTHING", self.schema);
        self.with("written", async |client| Ok(client.execute(&sql, &[&digest.as_str(), &content]).await?)).await.map(drop)
    }

    async fn kept(&self, digest: &Digest) -> Result<Option<Vec<u8>>, StateError> {
        let sql = format!("SELECT content FROM {}.kept WHERE digest = $1", self.schema);
        let row = self.with("read", async |client| Ok(client.query_opt(&sql, &[&digest.as_str()]).await?)).await?;
        Ok(row.map(|row| row.get(0)))
    }

    async fn put_run(&self, run: &RunRecord) -> Result<(), StateError> {
        let record = serde_json::to_string(run).map_err(|error| self.corrupt(&format!("run {}", run.id), &error))?;
        // In one statement: an entry that a later holder wrote is not replaced.
        let sql = format!(
            "INSERT INTO {0}.run AS there (id, record) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET record = $2 \
             WHERE COALESCE((there.record::json->>'token')::bigint, 0) <= $3",
            self.schema
        );
        let given = (run.id.as_str(), signed(run.token));
        let written = self.with("written", async |client| Ok(client.execute(&sql, &[&given.0, &record, &given.1]).await?)).await?;
        if written == 0 {
            let environment = run.moves.first().map(|moved| moved.environment.clone());
            return Err(StateError::Fenced(environment.unwrap_or_else(|| EnvironmentName::new(""))));
        }
        Ok(())
    }

    async fn runs(&self, limit: usize) -> Result<Vec<RunRecord>, StateError> {
        let sql = format!("SELECT id, record FROM {}.run ORDER BY id DESC LIMIT $1", self.schema);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = self.with("read", async |client| Ok(client.query(&sql, &[&limit]).await?)).await?;
        let record = |row: tokio_postgres::Row| {
            let (id, record): (String, String) = (row.get(0), row.get(1));
            serde_json::from_str(&record).map_err(|error| self.corrupt(&format!("run {id}"), &error))
        };
        rows.into_iter().map(record).collect()
    }
}
