//! From the `backend` block and the environment to a state store.
#![expect(
    clippy::disallowed_methods,
    reason = "a door to the environment, where credentials are, and to the configuration's folder"
)]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::session::Place;
use crate::lang::Value;
use crate::model::duration::parse_duration;
use crate::model::estate::{Backend, Estate};
use crate::source::{Diagnostic, Fault};
use crate::state::{LocalStore, PostgresStore, S3Store, Store, postgres, s3};
use crate::tls::Tls;

/// The store that the configuration names; nothing is connected yet.
pub(super) fn store(estate: &Estate, place: &Place) -> Result<Arc<dyn Store>, Diagnostic> {
    let backend = &estate.backend;
    let settings = Settings { backend, place };
    let made = match backend.kind.as_str() {
        "local" => Ok(Arc::new(local(estate, place)) as Arc<dyn Store>),
        "postgres" => settings.postgres().map(|store| Arc::new(store) as Arc<dyn Store>),
        "s3" => settings.s3().map(|store| Arc::new(store) as Arc<dyn Store>),
        other => Err(format!("there is no backend `{other}`")),
    };
    made.map_err(|why| {
        let problem = Diagnostic::error("backend cannot be used").detail(format!("backend `{}`: {why}", backend.kind));
        let problem = problem.help("see to the block or the environment; the page on configuration lists what each backend takes");
        backend.span.into_iter().fold(problem, Diagnostic::at)
    })
}

/// The local store that the configuration names, or the one in its place.
pub(super) fn local(estate: &Estate, place: &Place) -> LocalStore {
    let path = estate.backend.settings.get("path").and_then(Value::as_str).filter(|_| estate.backend.kind == "local");
    let lockfiles = path.map_or_else(|| place.root.clone(), |path| place.root.join(path));
    LocalStore::new(lockfiles, place.hidden.join("state"))
}

/// Lockfiles beside the configuration are not looked at by a shared backend: what they say would be forgotten.
pub(super) fn check_left_behind(estate: &Estate, place: &Place) -> Result<(), Diagnostic> {
    if estate.backend.kind == "local" {
        return Ok(());
    }
    let Some(left) = lockfiles_in(&place.root).into_iter().next() else { return Ok(()) };
    let name = left.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let problem = Diagnostic::error("state was left behind")
        .fault(Fault::Refused)
        .detail(format!("the backend is `{}`, and {name} lies beside the configuration", estate.backend.kind))
        .help("`windlass init --migrate-state` brings it to the backend; if it is there already, remove the file");
    Err(estate.backend.span.into_iter().fold(problem, Diagnostic::at))
}

/// The lockfiles in a folder, sorted.
pub(super) fn lockfiles_in(folder: &std::path::Path) -> Vec<PathBuf> {
    let is_lockfile = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.strip_prefix("windlass.").and_then(|rest| rest.strip_suffix(".lock")).is_some_and(|name| !name.is_empty())
    };
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_lockfile).collect();
    found.sort();
    found
}

struct Settings<'a> {
    backend: &'a Backend,
    place: &'a Place,
}

impl Settings<'_> {
    fn text(&self, name: &str) -> Result<Option<String>, String> {
        match self.backend.settings.get(name).map(|value| value.revealed()) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match value.as_str() {
                Some(text) => Ok(Some(text.to_owned())),
                None => Err(format!("`{name}` must be a text that is known here")),
            },
        }
    }

    /// A file, relative to the configuration's folder.
    fn file(&self, name: &str) -> Result<Option<String>, String> {
        Ok(self.text(name)?.map(|path| self.place.root.join(path).display().to_string()))
    }

    fn postgres(&self) -> Result<PostgresStore, String> {
        let port = match self.backend.settings.get("port").map(|value| value.revealed()) {
            None | Some(Value::Null) => None,
            Some(Value::Number(port)) => {
                Some(u16::try_from(port).ok().filter(|port| *port != 0).ok_or("`port` must be 1 to 65535")?)
            }
            Some(_) => return Err("`port` must be a number".to_owned()),
        };
        let identity = match (self.file("client_certificate")?.or(env("PGSSLCERT")), self.file("client_key")?.or(env("PGSSLKEY"))) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => return Err("`client_certificate` and `client_key` go together".to_owned()),
        };
        let given = postgres::Given {
            url: self.text("url")?,
            host: self.text("host")?,
            port,
            user: self.text("user")?.or_else(|| self.user_where_none()),
            password: env("PGPASSWORD"),
            database: self.text("database")?,
            schema: self.text("schema")?,
            tls: Tls { ca_file: self.file("ca_file")?, identity },
        };
        Ok(PostgresStore::new(postgres::Settings::new(given)?, term()?))
    }

    /// The environment's user, where the URL names none: what is written in the configuration wins.
    fn user_where_none(&self) -> Option<String> {
        let url = self.text("url").ok().flatten().unwrap_or_default();
        let authority = url.split_once("://").map_or("", |(_, rest)| rest.split('/').next().unwrap_or_default());
        if authority.contains('@') || url.contains("user=") { None } else { env("PGUSER") }
    }

    fn s3(&self) -> Result<S3Store, String> {
        let given = s3::Given {
            bucket: self.text("bucket")?,
            prefix: self.text("prefix")?,
            region: self.text("region")?.or_else(|| env("AWS_REGION")).or_else(|| env("AWS_DEFAULT_REGION")),
            endpoint: self.text("endpoint")?,
            ca_file: self.file("ca_file")?,
            environment: s3::CREDENTIALS.iter().filter_map(|name| Some(((*name).to_owned(), env(name)?))).collect(),
        };
        S3Store::new(&s3::Settings::new(given)?, term()?)
    }
}

/// A variable of the environment that is set to something.
fn env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// How long leases hold, where a test asks for something else.
fn term() -> Result<Option<Duration>, String> {
    let Some(text) = env("WINDLASS_LEASE_TERM") else { return Ok(None) };
    parse_duration(&text).map(Some).map_err(|why| format!("WINDLASS_LEASE_TERM: {why}"))
}
