//! A provider documented as text for a terminal: what may be set, what is observed, which ways lead where, what is refused.

use std::fmt::Write as _;
use std::sync::Arc;

use crate::lang::Expr;
use crate::model::name::ProviderName;
use crate::model::provider::{
    Blocked, CallTemplate, Fact, Movement, Note, OnChange, Preflight, Provider, ProviderRequirement, RequiredStop, Risk, Route,
    Setting,
};
use crate::model::release::Release;
use crate::model::version::VersionReq;

use super::strategy::strategy_text;
use super::{Palette, Table, duration};

/// One line a provider: name, version, digest, title, where it was found. `None`: it cannot be loaded.
#[must_use]
pub fn providers_text(rows: &[(ProviderName, String, Option<Arc<Provider>>)], palette: Palette) -> String {
    if rows.is_empty() {
        return "No provider is within reach: `windlass provider new NAME` makes one.\n".to_owned();
    }
    let mut table = Table::new();
    table.row(["NAME", "VERSION", "DIGEST", "TITLE", "WHERE"].map(|title| palette.faint(title)));
    for (name, place, provider) in rows {
        let name = palette.strong(name.as_str());
        match provider {
            Some(provider) => {
                let Provider { version, digest, title, .. } = &**provider;
                table.row([name, palette.mark(version), digest.short().to_owned(), line(title), place.clone()]);
            }
            None => table.row([name, palette.bad("cannot be loaded"), "-".to_owned(), "-".to_owned(), place.clone()]),
        }
    }
    table.render("")
}

/// Everything that a provider says.
#[must_use]
pub fn provider_text(provider: &Provider, palette: Palette) -> String {
    let Provider { name, title, description, version, digest, scheme, .. } = provider;
    let head = format!("({title}, digest {}, versions ordered as {scheme})", digest.short());
    let mut text = format!("{} {}  {}\n", palette.strong(name.as_str()), palette.mark(version), palette.faint(&head));
    for paragraph in description.trim().lines() {
        let _ = writeln!(text, "{}", format!("  {paragraph}").trim_end());
    }
    section(&mut text, palette, "Settings", settings(provider, palette));
    section(&mut text, palette, "Facts", facts(provider, palette));
    section(&mut text, palette, "Releases", releases(provider, palette));
    section(&mut text, palette, "Routes", routes(provider, palette));
    section(&mut text, palette, "Required stops", required_stops(provider));
    section(&mut text, palette, "Blocked moves", blocked(provider, palette));
    section(&mut text, palette, "Risks", risks(provider, palette));
    section(&mut text, palette, "Preflight checks", preflights(provider, palette));
    section(&mut text, palette, "Requires", requires(provider, palette));
    section(&mut text, palette, "Notes", notes(provider, palette));
    for strategy in provider.strategies.values() {
        text.push('\n');
        text.push_str(&strategy_text(strategy, palette));
    }
    text
}

fn section(text: &mut String, palette: Palette, title: &str, content: String) {
    if !content.is_empty() {
        let _ = write!(text, "\n{}\n{content}", palette.strong(title));
    }
}

/// A text of several lines on one.
pub(super) fn line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// An expression as it is written, on one line; a plain text without its quotes.
fn written(expr: &Expr) -> String {
    match expr.as_literal().and_then(|value| value.as_str()) {
        Some(text) => line(text),
        None => line(expr.text()),
    }
}

fn settings(provider: &Provider, palette: Palette) -> String {
    let mut table = Table::new();
    for (name, setting) in &provider.settings {
        let Setting { ty, required, default, sensitive, description, on_change, .. } = setting;
        let value = match (required, default) {
            (true, _) => palette.warn("required"),
            (false, Some(_)) if *sensitive => "= (sensitive)".to_owned(),
            (false, Some(default)) => format!("= {}", line(default.text())),
            (false, None) => "optional".to_owned(),
        };
        let mut marks = vec![match on_change {
            OnChange::Reconfigure => "reconfigure",
            OnChange::Ignore => "ignore",
            OnChange::WithVersion => "with_version",
            OnChange::Refuse => "refuse",
        }];
        if *sensitive {
            marks.push("sensitive");
        }
        table.row([palette.mark(name), ty.to_string(), value, marks.join(", "), line(description)]);
    }
    if table.is_empty() {
        return String::new();
    }
    let mut titled = Table::new();
    titled.row(["NAME", "TYPE", "VALUE", "ON CHANGE", "WHAT IT MEANS"].map(|title| palette.faint(title)));
    titled.append(table);
    titled.render("  ")
}

fn facts(provider: &Provider, palette: Palette) -> String {
    let mut table = Table::new();
    for (name, fact) in &provider.facts {
        let Fact { call, when, drift, sensitive, description, .. } = fact;
        let driver = call.as_ref().map_or("computed", |CallTemplate { driver, .. }| driver.as_str());
        let marks =
            [drift.then_some("drift"), sensitive.then_some("sensitive")].into_iter().flatten().collect::<Vec<_>>().join(", ");
        let when = when.as_ref().map(|when| format!(" (where {})", line(when.text()))).unwrap_or_default();
        table.row([palette.mark(name), driver.to_owned(), marks, format!("{}{when}", line(description))]);
    }
    table.render("  ")
}

fn releases(provider: &Provider, palette: Palette) -> String {
    let mut table = Table::new();
    for release in &provider.releases {
        let Release { version, artifact, sha256, channels, withdrawn, notes, .. } = release;
        let checked = match (artifact, sha256) {
            (Some(artifact), Some(_)) => format!("{artifact} (with checksum)"),
            (Some(artifact), None) => format!("{artifact} {}", palette.warn("(no checksum)")),
            (None, _) => String::new(),
        };
        let remark = match withdrawn {
            Some(reason) => palette.bad(&format!("withdrawn: {}", line(reason))),
            None => notes.clone().unwrap_or_default(),
        };
        table.row([palette.mark(version.text()), channels.join(", "), checked, remark]);
    }
    table.render("  ")
}

/// The word for a movement, as a provider writes it.
pub(super) fn movement_word(movement: Movement) -> &'static str {
    match movement {
        Movement::Install => "install",
        Movement::Upgrade => "upgrade",
        Movement::Downgrade => "downgrade",
        Movement::Reconfigure => "reconfigure",
        Movement::Remove => "remove",
        Movement::Backup => "backup",
        Movement::Restore => "restore",
    }
}

fn span_of(from: Option<&VersionReq>, to: Option<&VersionReq>) -> String {
    let any = |req: Option<&VersionReq>| req.map_or_else(|| "any".to_owned(), ToString::to_string);
    format!("{} → {}", any(from), any(to))
}

fn routes(provider: &Provider, palette: Palette) -> String {
    let mut table = Table::new();
    for route in &provider.routes {
        let Route { name, movement, from, to, when, strategy, downtime, risk, note, span: _ } = route;
        let way = match movement {
            Movement::Install => format!("→ {}", to.as_ref().map_or_else(|| "any".to_owned(), ToString::to_string)),
            Movement::Remove => format!("{} →", from.as_ref().map_or_else(|| "any".to_owned(), ToString::to_string)),
            Movement::Reconfigure | Movement::Backup | Movement::Restore if from.is_none() && to.is_none() => "any".to_owned(),
            _ => span_of(from.as_ref(), to.as_ref()),
        };
        let mut remarks = Vec::new();
        remarks.extend(downtime.map(|downtime| format!("downtime {}", duration(downtime))));
        remarks.extend((*risk > 0).then(|| format!("risk {risk}")));
        remarks.extend(when.as_ref().map(|when| format!("where {}", line(when.text()))));
        remarks.extend(note.as_deref().map(line));
        table.row([palette.mark(name), movement_word(*movement).to_owned(), way, format!("by {strategy}"), remarks.join("; ")]);
    }
    table.render("  ")
}

fn required_stops(provider: &Provider) -> String {
    let mut table = Table::new();
    for RequiredStop { version, reason, span: _ } in &provider.required_stops {
        table.row([version.to_string(), line(reason)]);
    }
    table.render("  ")
}

/// `head`, and below it what else is to be said.
fn entry(text: &mut String, head: &str, remarks: impl IntoIterator<Item = String>) {
    let _ = writeln!(text, "  {head}");
    for remark in remarks {
        let _ = writeln!(text, "      {remark}");
    }
}

fn page(url: Option<&String>) -> Option<String> {
    url.map(|url| format!("see {url}"))
}

fn blocked(provider: &Provider, palette: Palette) -> String {
    let mut text = String::new();
    for Blocked { name, from, to, when, reason, url, span: _ } in &provider.blocked {
        let head = format!("{} {}", palette.bad(name), span_of(from.as_ref(), to.as_ref()));
        let when = when.as_ref().map(|when| format!("where {}", line(when.text())));
        entry(&mut text, &head, when.into_iter().chain([line(reason)]).chain(page(url.as_ref())));
    }
    text
}

fn risks(provider: &Provider, palette: Palette) -> String {
    let mut text = String::new();
    for Risk { name, from, to, rule, message, url, span: _ } in &provider.risks {
        let head = format!("{} {}", palette.warn(name), span_of(from.as_ref(), to.as_ref()));
        entry(&mut text, &head, [format!("where {}", line(rule.text())), line(message)].into_iter().chain(page(url.as_ref())));
    }
    text
}

fn movements_text(movements: &[Movement], none: &str) -> String {
    if movements.is_empty() {
        return none.to_owned();
    }
    movements.iter().map(|movement| movement_word(*movement)).collect::<Vec<_>>().join(", ")
}

fn preflights(provider: &Provider, palette: Palette) -> String {
    let mut text = String::new();
    for Preflight { name, movements, when, pass, message, remedy, warn_only, waivable, span: _ } in &provider.preflights {
        let kind = match (warn_only, waivable) {
            (true, _) => "warns",
            (false, true) => "refuses; may be waived",
            (false, false) => "refuses",
        };
        let head = format!(
            "{} {}",
            palette.mark(name),
            palette.faint(&format!("({}; {kind})", movements_text(movements, "every movement")))
        );
        let when = when.as_ref().map(|when| format!("where {}", line(when.text())));
        let remedy = remedy.as_ref().map(|remedy| format!("remedy: {}", written(remedy)));
        let body = [format!("needs {}", line(pass.text())), format!("else: {}", written(message))];
        entry(&mut text, &head, when.into_iter().chain(body).chain(remedy));
    }
    text
}

fn requires(provider: &Provider, palette: Palette) -> String {
    let mut table = Table::new();
    for ProviderRequirement { provider, when, version, reason, span: _ } in &provider.requires {
        let when = when.as_ref().map_or_else(|| "every version".to_owned(), ToString::to_string);
        table.row([when, format!("needs {} {version}", palette.mark(provider.as_str())), line(reason)]);
    }
    table.render("  ")
}

fn notes(provider: &Provider, palette: Palette) -> String {
    let mut text = String::new();
    for Note { name, versions, movements, when, text: says, url, follow_up, acknowledge, span: _ } in &provider.notes {
        let versions = versions.as_ref().map_or_else(|| "every version".to_owned(), ToString::to_string);
        let follow_up = match (acknowledge, follow_up) {
            (true, true) => "; to be acknowledged before and confirmed afterwards",
            (true, false) => "; to be acknowledged before",
            (false, true) => "; to be confirmed afterwards",
            (false, false) => "",
        };
        let head = format!(
            "{} {versions} {}",
            palette.mark(name),
            palette.faint(&format!("({}{follow_up})", movements_text(movements, "upgrade")))
        );
        let when = when.as_ref().map(|when| format!("where {}", line(when.text())));
        entry(&mut text, &head, when.into_iter().chain([written(says)]).chain(page(url.as_ref())));
    }
    text
}
