//! Backups as a table and as JSON.

use jiff::Timestamp;
use serde_json::json;

use super::{Palette, Table, bytes, duration};
use crate::lock::BackupRef;
use crate::model::name::InstanceAddr;

/// A backup of an instance, and where it is known from.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// Whose.
    pub instance: InstanceAddr,
    /// What is known of it.
    pub backup: BackupRef,
    /// Where it is known from.
    pub whereabouts: Whereabouts,
    /// Whether undoing a recorded hop may need it.
    pub needed: bool,
}

/// Where a backup is known from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whereabouts {
    /// It is recorded, and it is there.
    Both,
    /// It is recorded, and it is not there.
    Missing,
    /// It is there, and not recorded.
    Repository,
    /// It is recorded; whether it is there could not be seen.
    Unseen,
    /// It is recorded, and somebody else keeps it.
    Elsewhere,
}

impl Whereabouts {
    /// In a word or two.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Both => "there",
            Self::Missing => "missing",
            Self::Repository => "not recorded",
            Self::Unseen => "not seen",
            Self::Elsewhere => "handed over",
        }
    }
}

/// One line a backup.
#[must_use]
pub fn backups_text(backups: &[Kept], now: Timestamp, palette: Palette) -> String {
    if backups.is_empty() {
        return "There are no backups.\n".to_owned();
    }
    let mut table = Table::new();
    let titles = ["INSTANCE", "BACKUP", "AGE", "VERSION", "METHOD", "SIZE", "STATE", "SET", "WITHOUT", "IS"];
    table.row(titles.map(|title| palette.faint(title)));
    for kept in backups {
        let BackupRef { id, version, at, method, size, set, excluded, .. } = &kept.backup;
        let age = now.duration_since(*at);
        let age =
            if age.is_negative() { "-".to_owned() } else { duration(std::time::Duration::from_secs(age.unsigned_abs().as_secs())) };
        let is = match kept.whereabouts {
            Whereabouts::Both => palette.good("there"),
            Whereabouts::Missing => palette.bad("missing"),
            other => palette.warn(other.words()),
        };
        table.row([
            palette.strong(kept.instance.as_str()),
            id.clone(),
            age,
            version.to_string(),
            method.clone(),
            size.map_or_else(|| "-".to_owned(), bytes),
            state(kept, palette),
            set.as_ref().map_or_else(|| "-".to_owned(), |set| format!("{} of {}", set.part, set.name)),
            if excluded.is_empty() { "-".to_owned() } else { excluded.join(", ") },
            is,
        ]);
    }
    table.render("")
}

fn state(kept: &Kept, palette: Palette) -> String {
    let backup = &kept.backup;
    let mut words = vec![if backup.verified { palette.good("verified") } else { palette.warn("not verified") }];
    if !backup.consistent {
        words.push(palette.bad("possibly inconsistent"));
    }
    if kept.needed {
        words.push("for a rollback".to_owned());
    }
    words.join(", ")
}

/// All of it, for programs.
#[must_use]
pub fn backups_json(backups: &[Kept]) -> String {
    let backups: Vec<serde_json::Value> = backups
        .iter()
        .map(|kept| {
            let BackupRef { id, location, method, version, at, run, size, verified, path, consistent, set, excluded } = &kept.backup;
            json!({
                "instance": kept.instance, "id": id, "location": location, "method": method, "version": version, "at": at.to_string(),
                "run": run, "size": size, "verified": verified, "path": path, "consistent": consistent, "set": set,
                "excluded": excluded, "is": kept.whereabouts.words(), "needed": kept.needed,
            })
        })
        .collect();
    format!("{:#}\n", json!({ "backups": backups }))
}
