//! What documents a plan would change: asks the drivers that can say, before anything is done.
//!
//! Takes a plan and looks at the machines; changes nothing. Where several actions of a plan change the same document, the last of
//! them shows the difference between what is there now and what will be. What cannot be said in time is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::{BoxFuture, FutureExt as _};

use super::running::input;
use super::session::Session;
use crate::apply::{Hosts as _, arguments_now};
use crate::driver::{Context, Diff};
use crate::model::call::Call;
use crate::model::name::{ActionId, HostName};
use crate::model::provider::Provider;
use crate::plan::{Action, ActionKind, Change, Plan};
use crate::view::Previews;

/// Larger plans are not previewed: nobody reads so many differences.
const MOST_ACTIONS: usize = 400;
/// How long one driver may look.
const PATIENCE: Duration = Duration::from_secs(5);
/// Drivers that look at once.
const LOOKS: usize = 16;
/// In place of a line that might hold what once was secret.
const WITHHELD: &str = "(not shown: it may hold a secret)";

/// What the documents of this plan's steps would change, by action.
pub(super) async fn previews(session: &Session, plan: &Plan) -> Previews {
    if plan.actions.len() > MOST_ACTIONS {
        return Previews::new();
    }
    // A machine that kept one driver waiting is not asked again.
    let silent: Mutex<BTreeSet<Option<HostName>>> = Mutex::default();
    let mut looks: Vec<BoxFuture<'_, Option<Vec<Diff>>>> = Vec::with_capacity(plan.actions.len());
    for action in &plan.actions {
        looks.push(look(session, plan, action, &silent).boxed());
    }
    let found: Vec<Option<Vec<Diff>>> = futures_util::stream::iter(looks).buffered(LOOKS).collect().await;
    last_of_each(plan, found)
}

/// Of several differences of one document, the last.
fn last_of_each(plan: &Plan, found: Vec<Option<Vec<Diff>>>) -> Previews {
    let mut last: BTreeMap<(Option<HostName>, String), (&ActionId, Diff)> = BTreeMap::new();
    for (action, diffs) in plan.actions.iter().zip(found) {
        let own = plan.changes.get(action.change as usize).and_then(|change| change.host.clone());
        let host = action.kind.call().and_then(Call::known_host).or(own);
        for diff in diffs.into_iter().flatten() {
            last.insert((host.clone(), diff.path.clone()), (&action.id, diff));
        }
    }
    let mut previews = Previews::new();
    for (action, diff) in last.into_values().filter(|(_, diff)| !diff.text.is_empty()) {
        previews.entry(action.clone()).or_default().push(diff);
    }
    previews
}

async fn look(session: &Session, plan: &Plan, action: &Action, silent: &Mutex<BTreeSet<Option<HostName>>>) -> Option<Vec<Diff>> {
    let ActionKind::Step { call, .. } = &action.kind else { return None };
    let driver = session.place.drivers.get(call.driver.as_str())?;
    let change = plan.changes.get(action.change as usize)?;
    let hop = change.hops.get(action.hop as usize)?;
    let provider = session.providers.get(&change.provider).filter(|provider| provider.digest == hop.provider_digest)?;
    let input = session.estate.instances.get(&change.instance).map(input).unwrap_or_default();
    let foreseen = arguments_now(plan, action, &input)?;
    if call.on.is_some() && call.known_host().is_none() {
        return None;
    }
    let place = call.known_host().or_else(|| change.host.clone());
    if silent.lock().unwrap_or_else(PoisonError::into_inner).contains(&place) {
        return None;
    }
    let mut context = Context::observing(format!("{}-preview", action.id.file_name()), session.machines.host(place.as_ref()).ok()?);
    context.files = Arc::new(provider.files.clone());
    context.timeout = Some(PATIENCE);
    context.redact = foreseen.redact.clone();
    let Ok(diffs) = tokio::time::timeout(PATIENCE, driver.preview(&foreseen.args, &context)).await else {
        context.cancel.cancel();
        silent.lock().unwrap_or_else(PoisonError::into_inner).insert(place);
        return None;
    };
    let mut diffs = diffs?;
    let careful = knows_secrets(provider, change);
    let strict = loses_secrets(change);
    for diff in &mut diffs {
        diff.path = foreseen.redact.apply(&diff.path).into_owned();
        diff.text = foreseen.redact.apply(&diff.text).into_owned();
        if careful {
            diff.text = without_past_secrets(&diff.text, strict);
        }
    }
    Some(diffs)
}

/// Whether documents of this instance may hold secrets, or may have held some.
fn knows_secrets(provider: &Provider, change: &Change) -> bool {
    provider.settings.values().any(|setting| setting.sensitive)
        || provider.facts.values().any(|fact| fact.sensitive)
        || change.recorded.has_sensitive()
        || change.settings.iter().any(|setting| setting.before.has_sensitive() || setting.after.has_sensitive())
        || change.hops.iter().any(|hop| hop.scope.has_sensitive())
}

/// Whether what is there may hold secrets in places where nothing secret will be: a sensitive setting is taken away, or nobody knows
/// what the documents that are there were made of.
fn loses_secrets(change: &Change) -> bool {
    change.from.is_none() || change.settings.iter().any(|setting| setting.before.has_sensitive() && !setting.after.has_sensitive())
}

/// A unified diff without what might once have been secret. What will be there is known, and its secrets are hidden; of what is
/// there, a secret that was replaced since, or whose instance is declared no more, is known to nobody. A line that goes away is shown
/// only where a line that comes sets the same name to something that is not secret; `strict`: never.
fn without_past_secrets(diff: &str, strict: bool) -> String {
    let lines: Vec<&str> = diff.lines().collect();
    let head = if diff.starts_with("--- ") { 2 } else { 0 };
    let body = lines.get(head..).unwrap_or_default();
    let hides = |line: &str| line.contains("(sensitive)");
    let names = |wanted: &dyn Fn(&str) -> bool| -> BTreeSet<&str> {
        body.iter().filter(|line| wanted(line)).filter_map(|line| name_of(line.get(1..)?)).collect()
    };
    let secret = names(&|line| hides(line));
    let public = names(&|line| !strict && line.starts_with('+') && !hides(line));
    let mut text = String::with_capacity(diff.len());
    for (number, line) in lines.iter().enumerate() {
        let goes = number >= head && line.strip_prefix('-').is_some_and(|rest| !rest.trim().is_empty());
        let shown = !goes || line.get(1..).and_then(name_of).is_some_and(|name| public.contains(name) && !secret.contains(name));
        if shown {
            text.push_str(line);
        } else {
            text.push('-');
            text.push_str(WITHHELD);
        }
        text.push('\n');
    }
    text
}

/// What a line of a configuration sets: `port` in `port = 8080`, `"port"` in `"port": 8080,`.
fn name_of(line: &str) -> Option<&str> {
    line.split_once(['=', ':']).map(|(name, _)| name.trim()).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_was_replaced_is_not_shown() {
        let diff = "--- /etc/x\n+++ /etc/x\n@@ -1,3 +1,3 @@\n-greeting = one\n-token = hunter22\n+greeting = two\n+token = (sensitive)\n port = 1\n";
        let text = without_past_secrets(diff, false);
        assert!(!text.contains("hunter22"), "{text}");
        assert!(text.contains("-greeting = one\n") && text.contains("+greeting = two\n") && text.contains(" port = 1\n"), "{text}");
        assert!(!without_past_secrets(diff, true).contains("greeting = one"));
        assert!(text.starts_with("--- /etc/x\n+++ /etc/x\n@@ -1,3 +1,3 @@\n"), "{text}");
    }

    #[test]
    fn lines_that_only_go_away_are_not_shown() {
        for diff in [
            "--- /etc/x\n+++ /dev/null\n@@ -1,2 +0,0 @@\n-greeting = one\n-token = hunter22\n",
            "--- /etc/x\n+++ /etc/x\n@@ -1,2 +1 @@\n greeting = one\n-token = hunter22\n",
            "--- /etc/x\n+++ /etc/x\n@@ -1,2 +1 @@\n-hunter22\n+other\n",
            "--- /etc/x\n+++ /etc/x\n@@ -1,2 +1,2 @@\n-Environment=TOKEN=hunter22\n+Environment=TOKEN=(sensitive)\n+Environment=A=b\n",
        ] {
            let text = without_past_secrets(diff, false);
            assert!(!text.contains("hunter22") && text.contains(WITHHELD), "{text}");
        }
    }

    #[test]
    fn what_is_no_difference_stays() {
        let sentence = "only sensitive content, or whether there is a file, changes\n";
        assert_eq!(without_past_secrets(sentence, true), sentence);
        assert_eq!(without_past_secrets("", true), "");
    }
}
