//! What is recorded of one instance, as text.

use std::fmt::Write as _;

use crate::lang::{Value, render};
use crate::lock::{AppliedHop, BackupRef, FollowUp, Locked};
use crate::model::name::{EnvironmentName, InstanceAddr};

use super::{Palette, bytes};

/// Everything recorded of an instance.
#[must_use]
pub fn locked_text(addr: &InstanceAddr, environment: &EnvironmentName, locked: &Locked, palette: Palette) -> String {
    let Locked { provider, version, host, settings, settings_digest: _, seals: _, observed, depends_on, hops, backups, follow_ups } =
        locked;
    let mut text = format!(
        "{} {}  {}\n",
        palette.strong(addr.as_str()),
        palette.mark(version),
        palette.faint(&format!("({provider}, {environment})"))
    );
    if let Some(host) = host {
        let _ = writeln!(text, "  on host {host}");
    }
    for addr in depends_on {
        let _ = writeln!(text, "  depends on {addr}");
    }
    section(&mut text, palette, "settings", settings.as_object().into_iter().flatten().map(|(name, value)| (&**name, value)));
    section(&mut text, palette, "observed after the last hop", observed.iter().map(|(name, value)| (&**name, value)));
    list(&mut text, palette, "hops", hops.iter().map(hop_line));
    list(&mut text, palette, "backups", backups.iter().map(backup_line));
    list(
        &mut text,
        palette,
        "follow-ups",
        follow_ups.iter().map(|FollowUp { name, text, version, .. }| format!("{name} (since {version}): {text}")),
    );
    text
}

fn section<'a>(text: &mut String, palette: Palette, title: &str, values: impl Iterator<Item = (&'a str, &'a Value)>) {
    list(text, palette, title, values.map(|(name, value)| format!("{name} = {}", render::text(value))));
}

fn list(text: &mut String, palette: Palette, title: &str, lines: impl Iterator<Item = String>) {
    for (index, line) in lines.enumerate() {
        if index == 0 {
            let _ = writeln!(text, "  {}", palette.faint(title));
        }
        let _ = writeln!(text, "    {line}");
    }
}

fn hop_line(hop: &AppliedHop) -> String {
    let AppliedHop { from, to, strategy, run, at, irreversible, .. } = hop;
    let back = irreversible.as_ref().map(|step| format!("; no way back ({step})")).unwrap_or_default();
    format!("{} → {to} by {strategy}, run {run}, {}{back}", from.as_deref().unwrap_or("nothing"), at.strftime("%Y-%m-%d %H:%M:%SZ"))
}

fn backup_line(backup: &BackupRef) -> String {
    let BackupRef { id, location, method, version, at, size, verified, .. } = backup;
    let size = size.map(|size| format!(", {}", bytes(size))).unwrap_or_default();
    let verified = if *verified { "verified" } else { "not verified" };
    format!("{id} of {version} ({method}{size}, {verified}) from {} in {location}", at.strftime("%Y-%m-%d %H:%M:%SZ"))
}
