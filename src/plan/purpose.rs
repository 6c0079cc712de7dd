//! What a plan is made for: to bring instances to what is declared, to back them up, or to restore one.
//!
//! A backup and a restore are moves like others, by routes of the provider (`movement = "backup"`, `"restore"`), so that they are
//! journaled, resumed and recorded as upgrades are.

use crate::lang::Value;
use crate::lock::BackupRef;
use crate::model::name::HostName;

/// What a plan is made for.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Purpose {
    /// Instances become what is declared.
    #[default]
    Declared,
    /// The targets, and nothing else, are backed up.
    Backup,
    /// The target, and nothing else, is restored.
    Restore(Box<Restored>),
}

/// What is restored, and where.
#[derive(Debug, Clone, PartialEq)]
pub struct Restored {
    /// The backup, or all parts of the set; at least one.
    pub backups: Vec<BackupRef>,
    /// Another place than the instance's own.
    pub to: Option<String>,
    /// Another declared host than the instance's own.
    pub host: Option<HostName>,
    /// Whether it is another instance's, or goes to another place or host, or was made of another version: then what binds the data
    /// to machine, place and version has to be made anew.
    pub elsewhere: bool,
}

impl Purpose {
    /// Whether it is only to be what is declared.
    #[must_use]
    pub fn is_declared(&self) -> bool {
        matches!(self, Self::Declared)
    }

    /// What `restore` is in expressions: null, unless something is restored.
    #[must_use]
    pub fn value(&self) -> Value {
        match self {
            Self::Restore(restored) => restored.value(),
            Self::Declared | Self::Backup => Value::Null,
        }
    }
}

impl Restored {
    fn value(&self) -> Value {
        let Self { backups, to, host, elsewhere } = self;
        let mut value = backups.first().map(backup_object).and_then(|value| value.as_object().cloned()).unwrap_or_default();
        let parts = backups.iter().map(|backup| {
            let part = backup.set.as_ref().map_or_else(|| "backup".to_owned(), |set| set.part.clone());
            (part, backup_object(backup))
        });
        value.insert("parts".into(), Value::object(parts));
        value.insert("to".into(), to.as_ref().map_or(Value::Null, Value::string));
        value.insert("host".into(), host.as_ref().map_or(Value::Null, |host| Value::string(host.as_str())));
        value.insert("elsewhere".into(), (*elsewhere).into());
        Value::Object(value.into())
    }
}

/// A recorded backup as expressions see it.
fn backup_object(backup: &BackupRef) -> Value {
    let BackupRef { id, location, method, version, at, path, set, excluded, consistent, verified, run: _, size: _ } = backup;
    Value::object([
        ("id", Value::string(id)),
        ("location", Value::string(location)),
        ("method", Value::string(method)),
        ("version", Value::string(version)),
        ("at", Value::string(at.to_string())),
        ("path", path.as_ref().map_or(Value::Null, Value::string)),
        ("set", set.as_ref().map_or(Value::Null, |set| Value::string(&set.name))),
        ("excluded", Value::list(excluded.iter().map(Value::string))),
        ("consistent", (*consistent).into()),
        ("verified", (*verified).into()),
    ])
}
