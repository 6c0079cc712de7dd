//! `kubernetes`: looks at a cluster and acts on it through the command `kubectl` on the instance's host.
//!
//! The cluster and the rights are those of a kubeconfig; nothing here can turn the checking of certificates off. What `kubectl` prints
//! as JSON is read, never its tables.

use std::time::Duration;

use async_trait::async_trait;

use super::exec::seconds;
use super::http::from_json;
use super::intent::{self, Declared, Intent};
use super::{Args, Context, Driver, Failure, FailureKind, Recalled};
use crate::lang::{Object, Value};
use crate::model::driver::DriverSchema;

mod client;
mod note;
mod pod;
mod ready;
mod schema;
#[cfg(test)]
mod tests;

use client::Client;
use schema::SCHEMA;

/// The driver.
#[derive(Debug, Clone, Copy)]
pub struct Kubernetes;

/// Those for facts and checks come first, then others that change nothing by themselves.
const ACTIONS: [&str; 7] = ["pods", "get", "wait", "rollout_status", "wait_ready", "delete", "apply"];
const LOOKS: usize = 2;
const CHANGES_NOTHING: usize = 4;

#[async_trait]
impl Driver for Kubernetes {
    fn schema(&self) -> &'static DriverSchema {
        &SCHEMA
    }

    fn knows_untouched(&self) -> bool {
        true
    }

    async fn run(&self, args: &Object, ctx: &Context) -> Result<Value, Failure> {
        let args = Args::new("kubernetes", args);
        let ctx = &Context { redact: ctx.redact.also(args.map("secrets")?.into_values()), ..ctx.clone() };
        let action = args.word("action", &ACTIONS)?.unwrap_or("pods");
        if ctx.dir.is_none() && !ACTIONS[..LOOKS].contains(&action) {
            return Err(
                args.invalid(format_args!("`{action}` is not for facts and checks, which only look: use \"pods\" or \"get\""))
            );
        }
        let client = Client::of(&args, ctx)?;
        let work = async {
            match action {
                "pods" => pods(&args, &client).await,
                "get" => get(&args, &client).await,
                "wait_ready" => ready::wait_ready(&args, &client).await,
                "wait" => wait(&args, &client).await,
                "rollout_status" => rollout(&args, &client).await,
                "delete" => delete(&args, &client).await,
                _ => apply(&args, &client).await,
            }
        };
        let done = tokio::select! {
            result = work => result,
            () = ctx.cancel.cancelled() => Err(Failure::new(FailureKind::Cancelled, "told to stop; the cluster goes on with what it was asked for")),
        };
        done.map_err(|failure| if changes_nothing(action) { failure.untouched() } else { failure })
    }

    async fn recall(&self, args: &Object, ctx: &Context) -> Result<Recalled, Failure> {
        let args = Args::new("kubernetes", args);
        let action = args.word("action", &ACTIONS)?.unwrap_or("pods");
        if changes_nothing(action) || action == "wait_ready" && args.value("remedy_delete").is_none() {
            return Ok(Recalled::Untouched);
        }
        Ok(match intent::declared(ctx)? {
            Declared::Nothing => Recalled::Untouched,
            Declared::Something(_) | Declared::Unclear => Recalled::Unknown,
        })
    }
}

/// Whether an action only asks the cluster.
fn changes_nothing(action: &str) -> bool {
    ACTIONS[..CHANGES_NOTHING].contains(&action)
}

/// Before the cluster is asked to change something: whether it answers at all, and knows who asks. Where it does not, it was asked for
/// nothing else; what `kubectl` says of a change that failed never proves as much, because it may have sent it more than once.
async fn reached(client: &Client<'_>) -> Result<(), Failure> {
    let Err(failure) = client.run(&["version".to_owned(), "--output=json".to_owned()], Vec::new()).await else { return Ok(()) };
    let lower = failure.message.to_lowercase();
    let is_stranger = lower.contains("unauthorized") || lower.contains("must be logged in");
    // Who may not ask for the version may be allowed to change something all the same.
    if failure.kind == FailureKind::Failed && !failure.untouched && !is_stranger { Ok(()) } else { Err(failure.untouched()) }
}

/// A result: what this action gives, and null for the rest.
fn result<const N: usize>(given: [(&'static str, Value); N]) -> Value {
    let all = SCHEMA.results.iter().map(|result| (result.name, Value::Null));
    Value::object(all.chain(given))
}

async fn pods(args: &Args<'_>, client: &Client<'_>) -> Result<Value, Failure> {
    let pods = client.pods(args.text("selector")?.as_deref()).await?;
    let ready = !pods.is_empty() && pods.iter().all(|pod| pod.done || pod.ready);
    Ok(result([
        ("count", (pods.len() as u64).into()),
        ("ready", ready.into()),
        ("pods", Value::list(pods.iter().map(|pod| pod.value(client.ctx())))),
    ]))
}

/// The things that are meant: `kind` with `name` or `selector`.
fn meant(args: &Args<'_>) -> Result<Vec<String>, Failure> {
    let kind = client::word(args, "kind")?.ok_or_else(|| args.invalid("`kind` is missing"))?;
    Ok(match (client::word(args, "name")?, args.text("selector")?) {
        (Some(_), Some(_)) => return Err(args.invalid("only one of `name` and `selector` can be given")),
        (Some(name), None) => vec![format!("{kind}/{name}")],
        (None, Some(selector)) => vec![kind, format!("--selector={selector}")],
        (None, None) => vec![kind],
    })
}

/// The same where all of a kind in the namespace may not be meant by mistake.
fn named(args: &Args<'_>) -> Result<Vec<String>, Failure> {
    args.exactly_one(&["name", "selector"])?;
    meant(args)
}

async fn get(args: &Args<'_>, client: &Client<'_>) -> Result<Value, Failure> {
    let one = args.value("name").is_some();
    let mut words = vec!["get".to_owned()];
    words.extend(meant(args)?);
    words.extend(["--ignore-not-found", "--output=json"].map(str::to_owned));
    let mut found = client.json(&words).await?;
    for item in found.iter_mut().flat_map(things) {
        hide_secret(item);
    }
    let items: Vec<Value> = match found.as_ref().and_then(|found| found.get("items")).and_then(serde_json::Value::as_array) {
        Some(items) if !one => items.iter().map(|item| from_json(item, client.ctx())).collect(),
        _ => found.iter().map(|item| from_json(item, client.ctx())).collect(),
    };
    Ok(result([
        ("exists", (!items.is_empty()).into()),
        ("count", (items.len() as u64).into()),
        ("object", items.first().filter(|_| one).cloned().unwrap_or(Value::Null)),
        ("items", Value::list(items)),
    ]))
}

/// The objects of an answer: one, or those of a list.
fn things(found: &mut serde_json::Value) -> Vec<&mut serde_json::Value> {
    match found.get("items").is_some_and(serde_json::Value::is_array) {
        true => {
            found.get_mut("items").and_then(serde_json::Value::as_array_mut).map_or(Vec::new(), |items| items.iter_mut().collect())
        }
        false => vec![found],
    }
}

/// Results are kept in the journal, so what a Secret holds is left out: only the names stay.
fn hide_secret(item: &mut serde_json::Value) {
    if item.get("kind").and_then(serde_json::Value::as_str) != Some("Secret") {
        return;
    }
    for part in ["/data", "/stringData", "/metadata/annotations"] {
        let fields = item.pointer_mut(part).and_then(serde_json::Value::as_object_mut);
        fields.into_iter().flatten().for_each(|(_, value)| *value = serde_json::Value::Null);
    }
}

/// How long `kubectl` itself waits.
fn patience(args: &Args<'_>, ctx: &Context) -> Result<Duration, Failure> {
    Ok(args.duration("timeout")?.or(ctx.timeout).unwrap_or(Duration::from_secs(600)))
}

async fn wait(args: &Args<'_>, client: &Client<'_>) -> Result<Value, Failure> {
    let condition = args.needed_text("for")?;
    if condition != "delete" && !condition.starts_with("condition=") && !condition.starts_with("jsonpath=") {
        return Err(args.invalid("`for` must be \"delete\", \"condition=NAME\" or \"jsonpath=…\""));
    }
    let mut words = vec!["wait".to_owned()];
    words.extend(named(args)?);
    words.push(format!("--for={condition}"));
    match follow(args, client, words).await {
        // Older versions of `kubectl` take it for an error where there is nothing left to wait for.
        Err(failure) if condition == "delete" && failure.message.contains("no matching resources found") => {
            Ok(result([("waited", 0u64.into())]))
        }
        other => other,
    }
}

async fn rollout(args: &Args<'_>, client: &Client<'_>) -> Result<Value, Failure> {
    if args.value("name").is_none() {
        return Err(args.invalid("`name` is missing: one rollout is followed"));
    }
    let mut words = vec!["rollout".to_owned(), "status".to_owned()];
    words.extend(meant(args)?);
    follow(args, client, words).await
}

/// A command of `kubectl` that waits by itself.
async fn follow(args: &Args<'_>, client: &Client<'_>, mut words: Vec<String>) -> Result<Value, Failure> {
    let patience = patience(args, client.ctx())?;
    words.push(format!("--timeout={}s", patience.as_secs().max(1)));
    let start = tokio::time::Instant::now();
    client.run_long(&words, patience).await?;
    Ok(result([("waited", seconds(start.elapsed()))]))
}

async fn delete(args: &Args<'_>, client: &Client<'_>) -> Result<Value, Failure> {
    let mut words = vec!["delete".to_owned()];
    words.extend(named(args)?);
    let patience = patience(args, client.ctx())?;
    words.extend(["--ignore-not-found", "--wait=true", "--output=name"].map(str::to_owned));
    words.push(format!("--timeout={}s", patience.as_secs().max(1)));
    reached(client).await?;
    Intent::of(client.ctx())?.declare(&Value::Null)?;
    let said = client.run_long(&words, patience).await?;
    Ok(result([("deleted", Value::list(said.lines().filter(|line| !line.is_empty()).map(Value::string)))]))
}

async fn apply(args: &Args<'_>, client: &Client<'_>) -> Result<Value, Failure> {
    let manifest = match args.value("manifest") {
        None => return Err(args.invalid("`manifest` is missing")),
        Some(Value::String(text)) => text.to_string(),
        Some(other) => serde_json::to_string(&other.revealed())
            .map_err(|error| args.invalid(format_args!("`manifest` cannot be written as JSON: {error}")))?,
    };
    let mut words: Vec<String> =
        ["apply", "--server-side", "--field-manager=windlass", "--filename=-", "--output=name"].map(str::to_owned).to_vec();
    if args.flag("force_conflicts")? {
        words.push("--force-conflicts".to_owned());
    }
    reached(client).await?;
    Intent::of(client.ctx())?.declare(&Value::Null)?;
    let said = client.run(&words, manifest.into_bytes()).await?;
    Ok(result([("applied", Value::list(said.lines().filter(|line| !line.is_empty()).map(Value::string)))]))
}
