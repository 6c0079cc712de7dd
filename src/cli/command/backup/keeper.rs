//! One repository of an instance, asked by way of the driver `backup`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

use super::account::{no_run, policy};
use crate::apply::Hosts as _;
use crate::cli::session::Session;
use crate::cli::terminal::Terminal;
use crate::driver::{Context, Driver, Failure, FailureKind, Host, Redactor, Sink};
use crate::lang::{Object, Value};
use crate::lock::{BackupRef, BackupSet};
use crate::model::name::InstanceAddr;

/// A repository.
pub(super) struct Keeper {
    driver: Arc<dyn Driver>,
    host: Arc<dyn Host>,
    /// What every call is given.
    base: Object,
    redact: Redactor,
    terminal: Terminal,
    verbose: bool,
}

impl Keeper {
    /// Whether the driver keeps backups of this method.
    pub(super) fn knows(method: &str) -> bool {
        matches!(method, "tar" | "restic" | "snapshot")
    }

    /// The repository in a place, with the password that the configuration gives for it.
    pub(super) fn of(session: &Session, addr: &InstanceAddr, location: &str, method: Option<&str>) -> Result<Self, Failure> {
        let driver = session.place.drivers.get("backup").cloned();
        let driver = driver.ok_or_else(|| Failure::new(FailureKind::Invalid, "there is no driver `backup`"))?;
        let policy = policy(session, addr);
        let mut base = Object::new();
        base.insert("repository".into(), Value::string(location));
        if let Some(method) = method.filter(|method| Self::knows(method)) {
            base.insert("method".into(), Value::string(method));
        }
        let mut secrets = Vec::new();
        if let Some(password) = &policy.password {
            secrets = Value::Sensitive(Arc::new(password.revealed())).secrets();
            base.insert("password".into(), password.revealed());
        } else if let Some(file) = &policy.password_file {
            base.insert("password_file".into(), Value::string(file));
        }
        Ok(Self {
            driver,
            host: host(session, addr)?,
            base,
            redact: Redactor::new(secrets),
            terminal: session.place.terminal,
            verbose: session.place.verbose > 0,
        })
    }

    async fn call<const N: usize>(&self, action: &str, more: [(&str, Value); N]) -> Result<Value, Failure> {
        let mut args = self.base.clone();
        args.insert("action".into(), Value::string(action));
        args.extend(more.into_iter().map(|(name, value)| (Arc::from(name), value)));
        let sink: Arc<dyn Sink> = Arc::new(Teller { terminal: self.terminal, verbose: self.verbose });
        let ctx = Context { redact: self.redact.clone(), sink, ..Context::observing("backup", Arc::clone(&self.host)) };
        self.driver.run(&args, &ctx).await
    }

    /// What is in it.
    pub(super) async fn list(&self) -> Result<Vec<Value>, Failure> {
        let result = self.call("list", []).await?;
        Ok(result.get("backups").and_then(Value::as_list).unwrap_or_default().to_vec())
    }

    /// Reads one back.
    pub(super) async fn verify(&self, id: &str) -> Result<(), Failure> {
        self.call("verify", [("id", Value::string(id))]).await.map(drop)
    }

    /// Removes one.
    pub(super) async fn remove(&self, id: &str) -> Result<(), Failure> {
        self.call("remove", [("id", Value::string(id))]).await.map(drop)
    }

    /// Whether the file of a backup that another driver made (a database dump) is there, and as long as it was.
    pub(super) async fn file(session: &Session, addr: &InstanceAddr, backup: &BackupRef) -> Result<bool, Failure> {
        let stat = host(session, addr)?.stat(Path::new(&backup.location), true).await?;
        Ok(stat.is_some_and(|stat| backup.size.is_none_or(|size| size == stat.size)))
    }

    /// Removes that file.
    pub(super) async fn remove_file(session: &Session, addr: &InstanceAddr, backup: &BackupRef) -> Result<(), Failure> {
        host(session, addr)?.remove(Path::new(&backup.location), false).await
    }
}

fn host(session: &Session, addr: &InstanceAddr) -> Result<Arc<dyn Host>, Failure> {
    session.machines.host(session.estate.instances.get(addr).and_then(|instance| instance.host.as_ref()))
}

/// Passes on what the driver says.
struct Teller {
    terminal: Terminal,
    verbose: bool,
}

impl Sink for Teller {
    fn line(&self, line: &str) {
        if self.verbose {
            self.terminal.say(line);
        }
    }

    fn progress(&self, _done: u64, _total: Option<u64>, _unit: &str) {}
}

/// A backup as a repository lists it, and its labels. The version is that of its label, or else of the instance.
pub(super) fn listed(value: &Value, location: &str, version: &str) -> Option<(BackupRef, BTreeMap<String, String>)> {
    let text = |name: &str| value.get(name).and_then(Value::as_str).map(ToOwned::to_owned);
    let texts = |value: Option<&Value>| -> Vec<String> {
        value.and_then(Value::as_list).unwrap_or_default().iter().filter_map(Value::as_str).map(ToOwned::to_owned).collect()
    };
    let labels = value.get("labels").and_then(Value::as_object);
    let labels: BTreeMap<String, String> = labels
        .into_iter()
        .flat_map(|labels| labels.iter())
        .filter_map(|(name, value)| Some((name.to_string(), value.as_str()?.to_owned())))
        .collect();
    let sets = value.get("excluded").and_then(Value::as_object);
    let named: Vec<String> = sets.into_iter().flat_map(|sets| sets.values()).flat_map(|patterns| texts(Some(patterns))).collect();
    let mut excluded: Vec<String> = sets.into_iter().flat_map(|sets| sets.keys()).map(ToString::to_string).collect();
    excluded.extend(texts(value.get("exclude")).into_iter().filter(|pattern| !named.contains(pattern)));
    let set = value.get("set").filter(|set| !set.is_null()).and_then(|set| {
        let text = |name: &str| set.get(name).and_then(Value::as_str).map(ToOwned::to_owned);
        Some(BackupSet { name: text("name")?, part: text("part")?, parts: texts(set.get("parts")) })
    });
    let backup = BackupRef {
        id: text("id")?,
        location: location.to_owned(),
        method: text("method").unwrap_or_default(),
        version: labels.get("version").map_or(version, String::as_str).into(),
        at: text("at")?.parse::<Timestamp>().ok()?,
        run: no_run(),
        size: match value.get("size") {
            Some(Value::Number(size)) => u64::try_from(*size).ok(),
            _ => None,
        },
        verified: value.get("verified").and_then(Value::as_bool).unwrap_or(false),
        path: text("path"),
        consistent: value.get("consistent").and_then(Value::as_bool).unwrap_or(true),
        set,
        excluded,
    };
    Some((backup, labels))
}
