//! Connections to the server: made when they are needed, kept for the next call, checked before they are used again.
#![expect(clippy::disallowed_methods, reason = "a door to the clock: how long a connection was idle")]

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config, NoTls};

use super::Settings;
use crate::state::StateError;
use crate::tls;

/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long one call may take. Shorter than a third of a lease's term, so that a call that hangs costs no lease.
const CALL_TIMEOUT: Duration = Duration::from_secs(15);
/// A connection that was idle for so long is asked whether it still is one.
const IDLE: Duration = Duration::from_secs(2);
/// So many idle connections are kept.
const KEPT: usize = 3;

/// An open connection; it is closed when this is dropped.
struct Session {
    client: Client,
    driving: tokio::task::JoinHandle<()>,
    used: Instant,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driving.abort();
    }
}

/// The connections of one store.
pub(super) struct Connections {
    settings: Settings,
    idle: Mutex<Vec<Session>>,
}

impl Connections {
    pub(super) fn new(settings: Settings) -> Self {
        Self { settings, idle: Mutex::default() }
    }

    /// Does something with a connection, in time. The connection is kept only where that went well: after an error nobody knows
    /// what it would answer next.
    pub(super) async fn with<T>(
        &self,
        action: &'static str,
        work: impl AsyncFnOnce(&mut Client) -> Result<T, Problem>,
    ) -> Result<T, StateError> {
        let place = self.settings.describe();
        let away = |why: String| StateError::Unreachable { place: place.clone(), action, why };
        let doing = async {
            let mut session = self.session().await.map_err(&away)?;
            let done = work(&mut session.client).await;
            if !matches!(done, Err(Problem::Sql(_))) {
                session.used = Instant::now();
                let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
                if idle.len() < KEPT {
                    idle.push(session);
                }
            }
            done.map_err(|problem| match problem {
                Problem::State(error) => error,
                Problem::Sql(error) => away(sentence(&error)),
            })
        };
        match tokio::time::timeout(CALL_TIMEOUT, doing).await {
            Ok(done) => done,
            Err(_) => Err(away(format!("it did not answer within {} s", CALL_TIMEOUT.as_secs()))),
        }
    }

    /// An idle connection that is alive, or a new one.
    async fn session(&self) -> Result<Session, String> {
        loop {
            let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let Some(session) = kept else { return self.connect().await };
            if session.client.is_closed() {
                continue;
            }
            if session.used.elapsed() < IDLE {
                return Ok(session);
            }
            let asked = tokio::time::timeout(Duration::from_secs(3), session.client.simple_query("")).await;
            if matches!(asked, Ok(Ok(_))) {
                return Ok(session);
            }
        }
    }

    async fn connect(&self) -> Result<Session, String> {
        let Settings { host, port, user, password, database, tls, is_encrypted, .. } = &self.settings;
        let mut config = Config::new();
        config.host(host).port(*port).user(user).dbname(database).application_name("windlass").connect_timeout(CONNECT_TIMEOUT);
        config.options("-c statement_timeout=12s -c lock_timeout=10s -c idle_in_transaction_session_timeout=30s");
        config.keepalives_idle(Duration::from_secs(20));
        if let Some(password) = password {
            config.password(password);
        }
        let used = Instant::now();
        if *is_encrypted {
            let rustls = tls::client_config(tls, &["postgresql"]).map_err(|error| match &error {
                tls::TlsError::NoAuthority => format!("{error}: {}", tls::TlsError::NO_AUTHORITY_HELP),
                _ => sentence(&error),
            })?;
            let connector = tokio_postgres_rustls::MakeRustlsConnect::new(rustls);
            let made = config.ssl_mode(SslMode::Require).connect(connector).await;
            let (client, connection) = made.map_err(|error| sentence(&error))?;
            Ok(Session { client, driving: tokio::spawn(async move { drop(connection.await) }), used })
        } else {
            let made = config.ssl_mode(SslMode::Disable).connect(NoTls).await;
            let (client, connection) = made.map_err(|error| sentence(&error))?;
            Ok(Session { client, driving: tokio::spawn(async move { drop(connection.await) }), used })
        }
    }
}

/// Why a call did not do what it should.
pub(super) enum Problem {
    /// The server or the connection.
    Sql(tokio_postgres::Error),
    /// What is there forbids it.
    State(StateError),
}

impl From<tokio_postgres::Error> for Problem {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StateError> for Problem {
    fn from(error: StateError) -> Self {
        Self::State(error)
    }
}

/// What the server said, or an error with its causes, in one sentence.
fn sentence(error: &(dyn std::error::Error + 'static)) -> String {
    if let Some(said) = error.downcast_ref::<tokio_postgres::Error>().and_then(tokio_postgres::Error::as_db_error) {
        let hint = said.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
        return format!("{}{hint}", said.message());
    }
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let words = next.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = next.source();
    }
    if text.contains("certificate") && !text.contains("ca_file") {
        text.push_str("; name the authority that signed the server's certificate in `ca_file`");
    }
    text
}
