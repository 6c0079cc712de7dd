//! `http`: sends a request, waits for a state, or downloads a file.
//!
//! Requests go out from the machine that Windlass runs on, whatever the instance's host is. Certificates are always checked.

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::exec::seconds;
use super::{Args, Context, Driver, Failure, FailureKind};
use crate::lang::{Number, Object, Value};
use crate::model::driver::{ArgSchema, DriverSchema, ResultSchema};

mod client;
mod download;
mod json;
mod login;
mod multipart;
mod request;
#[cfg(test)]
mod server;
#[cfg(test)]
mod tests;
mod until;

use client::{Reply, client, detail, headers, read, refused, send};
pub(in crate::driver) use json::from_json;
use request::Request;
use until::Condition;

/// The driver.
#[derive(Debug, Clone, Copy)]
pub struct Http;

/// How long polling goes on where nothing is said.
const POLLING: Duration = Duration::from_secs(300);

/// The first pause between two polls; it doubles up to `interval`.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

const SCHEMA: DriverSchema = DriverSchema {
    name: "http",
    summary: "Sends an HTTP request from the machine that Windlass runs on, waits until a service says what it should, or downloads a file.",
    args: &[
        ArgSchema {
            name: "url",
            ty: "string",
            required: true,
            summary: "Where to, beginning with `http://` or `https://`, without user and password. Proxies are taken from the environment (HTTP_PROXY, HTTPS_PROXY, NO_PROXY), but not for addresses of this machine.",
        },
        ArgSchema { name: "method", ty: "string", required: false, summary: "The method; GET where not given." },
        ArgSchema { name: "headers", ty: "map(string)", required: false, summary: "Headers of the request." },
        ArgSchema { name: "query", ty: "map(string)", required: false, summary: "Parameters that are added to the URL." },
        ArgSchema {
            name: "body",
            ty: "string",
            required: false,
            summary: "What is sent, as it is. At most one of `body`, `json`, `form` and `multipart`.",
        },
        ArgSchema { name: "json", ty: "any", required: false, summary: "A value that is sent as JSON." },
        ArgSchema { name: "form", ty: "map(string)", required: false, summary: "Fields that are sent as a form." },
        ArgSchema {
            name: "multipart",
            ty: "object({ fields = map(string), files = map(any) })",
            required: false,
            summary: "Fields and files that are sent in parts (`multipart/form-data`). A file is an absolute path on the instance's host, or `{ path = \"…\", name = \"…\", type = \"…\" }` with the name and content type that the server is told; at most 512 MiB in all.",
        },
        ArgSchema {
            name: "basic",
            ty: "object({ user = string, password = string })",
            required: false,
            summary: "User and password of basic authentication; an API key often goes into `user`, with an empty password.",
        },
        ArgSchema { name: "bearer", ty: "string", required: false, summary: "Token of bearer authentication." },
        ArgSchema {
            name: "login",
            ty: "object({ url = string, method = string, headers = map(string), json = any, form = map(string), token = string, header = string, prefix = string })",
            required: false,
            summary: "Logs on first, for services that give out sessions: a request (POST where not given), in whose answer `token` is a JSON pointer to the token. It is sent as `prefix` (\"Bearer \" where not given) and token in `header` (Authorization). Without `token` the answer's cookies are the session. It lasts for one call; with `until`, it is logged on again where the answer is 401.",
        },
        ArgSchema {
            name: "expect",
            ty: "any",
            required: false,
            summary: "The statuses that are no failure, as a list of numbers, or \"any\"; 200 to 299 where not given. Redirects are followed (at most 10) on the same scheme, host and port only; one that leads elsewhere is an answer like any other.",
        },
        ArgSchema {
            name: "request_timeout",
            ty: "string",
            required: false,
            summary: "How long one request may take; `30s` where not given. For a download, how long nothing may come.",
        },
        ArgSchema {
            name: "timeout",
            ty: "string",
            required: false,
            summary: "How long all may take: with `until`, `5m` where not given; else only the step's own limit.",
        },
        ArgSchema {
            name: "tls",
            ty: "object({ ca_file = string, client_certificate = string, client_key = string })",
            required: false,
            summary: "PEM files of the machine that Windlass runs on: authorities that are trusted instead of the system's, and a certificate with its key to show to the server. Certificates are always checked.",
        },
        ArgSchema {
            name: "until",
            ty: "object({ status = any, json = map(any), contains = string, not_contains = string })",
            required: false,
            summary: "Repeats the request until an answer is so; all that is given must hold. `json` has one accepted value or a list of them for each JSON pointer. `status` is that of `expect` where not given. A service that cannot be reached, or answers otherwise, is asked again.",
        },
        ArgSchema {
            name: "fail_when",
            ty: "object({ status = any, json = map(any), contains = string, not_contains = string })",
            required: false,
            summary: "With `until`: an answer that is so ends the waiting as a failure.",
        },
        ArgSchema {
            name: "interval",
            ty: "string",
            required: false,
            summary: "With `until`: the longest pause between two requests, `2s` where not given. The first pause is 250 ms, each is twice the one before.",
        },
        ArgSchema {
            name: "extract",
            ty: "map(string)",
            required: false,
            summary: "JSON pointers by name (`{ id = \"/data/0/id\" }`): what is there is given as `extracted`; what is not there is a failure.",
        },
        ArgSchema {
            name: "sensitive",
            ty: "bool",
            required: false,
            summary: "Whether the answer is a secret (a login's token): `body`, `json` and `extracted` are then sensitive; false where not given.",
        },
        ArgSchema {
            name: "save_to",
            ty: "string",
            required: false,
            summary: "Downloads into this file of the instance's host: complete and checked, or not at all. A file that is there already with the digest `sha256` is not fetched again (on this machine).",
        },
        ArgSchema {
            name: "sha256",
            ty: "string",
            required: false,
            summary: "With `save_to`: the SHA-256 that the file must have.",
        },
        ArgSchema {
            name: "mode",
            ty: "string",
            required: false,
            summary: "With `save_to`: permissions of the file in octal; \"0644\" where not given.",
        },
        ArgSchema {
            name: "max_bytes",
            ty: "any",
            required: false,
            summary: "With `save_to`: what is longer is refused, a number or a text like `10GiB`; `64GiB` where not given.",
        },
    ],
    results: &[
        ResultSchema { name: "status", ty: "number", summary: "Status of the answer; null where a download was not needed." },
        ResultSchema {
            name: "headers",
            ty: "map(string)",
            summary: "Headers of the answer, names in lower case; several of one name are joined by `, `. Cookies are hidden.",
        },
        ResultSchema { name: "body", ty: "string", summary: "The body as UTF-8 text, its first MiB; null for a download." },
        ResultSchema { name: "truncated", ty: "bool", summary: "Whether the end of the body is missing." },
        ResultSchema {
            name: "json",
            ty: "any",
            summary: "The body as a value, where it is JSON (at most 16 MiB if it says so, else 1 MiB); else null.",
        },
        ResultSchema { name: "extracted", ty: "map(any)", summary: "What `extract` found." },
        ResultSchema { name: "requests", ty: "number", summary: "How many requests were sent." },
        ResultSchema { name: "path", ty: "string", summary: "The file of a download, else null." },
        ResultSchema { name: "bytes", ty: "number", summary: "Its size, else null." },
        ResultSchema { name: "sha256", ty: "string", summary: "Its SHA-256, else null." },
        ResultSchema { name: "duration", ty: "number", summary: "Seconds it took." },
    ],
    observes: true,
};

#[async_trait]
impl Driver for Http {
    fn schema(&self) -> &'static DriverSchema {
        &SCHEMA
    }

    fn knows_untouched(&self) -> bool {
        true
    }

    async fn run(&self, args: &Object, ctx: &Context) -> Result<Value, Failure> {
        let args = Args::new("http", args);
        let mut request = Request::of(&args)?;
        let ctx = Context { redact: ctx.redact.also(request.secrets.iter().cloned()), ..ctx.clone() };
        let call = Call::of(&args, &request)?;
        request.gather(&ctx).await?;
        let limit = [call.timeout, ctx.timeout].into_iter().flatten().min();
        let started = Instant::now();
        let last_seen = std::sync::Mutex::new(String::new());
        let running = call.run(&request, &ctx, &last_seen);
        let expired = async {
            match limit {
                Some(limit) => tokio::time::sleep(limit).await,
                None => std::future::pending().await,
            }
        };
        let mut result = tokio::select! {
            result = running => result?,
            () = ctx.cancel.cancelled() => {
                return Err(Failure::new(FailureKind::Cancelled, format!("{}: told to stop", request.shown())));
            }
            () = expired => return Err(late(&request, limit.unwrap_or_default(), &last_seen)),
        };
        result.insert("duration".into(), seconds(started.elapsed()));
        Ok(Value::Object(result.into()))
    }
}

fn late(request: &Request, limit: Duration, last_seen: &std::sync::Mutex<String>) -> Failure {
    let seen = last_seen.lock().map(|seen| seen.clone()).unwrap_or_default();
    let seen = if seen.is_empty() { String::new() } else { format!("; last seen: {seen}") };
    let what = if seen.is_empty() { "did not answer" } else { "did not come to the state that is waited for" };
    Failure::new(FailureKind::TimedOut, format!("{}: {what} within {limit:?}{seen}", request.shown()))
}

/// What one call does with its request.
struct Call {
    until: Option<Condition>,
    fail_when: Option<Condition>,
    interval: Duration,
    timeout: Option<Duration>,
    extract: std::collections::BTreeMap<String, String>,
    sensitive: bool,
    download: std::sync::Mutex<Option<download::Target>>,
}

impl Call {
    fn of(args: &Args<'_>, request: &Request) -> Result<Self, Failure> {
        let until = Condition::of(args, "until")?;
        let fail_when = Condition::of(args, "fail_when")?;
        let download = download::Target::of(args)?;
        let extract = args.map("extract")?;
        for pointer in extract.values() {
            until::check_pointer(args, pointer)?;
        }
        if until.is_none() && (fail_when.is_some() || args.value("interval").is_some()) {
            return Err(args.invalid("`fail_when` and `interval` need `until`"));
        }
        if download.is_some() && (until.is_some() || !extract.is_empty()) {
            return Err(args.invalid("`save_to` cannot be given together with `until` or `extract`"));
        }
        let given = args.duration("timeout")?;
        let timeout = match (&until, &download) {
            (Some(_), _) => Some(given.unwrap_or(POLLING)),
            (None, Some(_)) => given,
            (None, None) => Some(given.unwrap_or(request.patience)),
        };
        Ok(Self {
            until,
            fail_when,
            interval: args.duration("interval")?.unwrap_or(Duration::from_secs(2)).max(Duration::from_millis(1)),
            timeout,
            extract,
            sensitive: args.flag("sensitive")?,
            download: std::sync::Mutex::new(download),
        })
    }

    async fn run(&self, request: &Request, ctx: &Context, last_seen: &std::sync::Mutex<String>) -> Result<Object, Failure> {
        let mut ctx = ctx.clone();
        if let (Some(login), None) = (&request.login, &self.until) {
            login.log_on(&mut ctx).await?;
        }
        let target = self.download.lock().map(|mut target| target.take()).unwrap_or_default();
        if let Some(target) = target {
            if ctx.dir.is_none() {
                return Err(Failure::new(
                    FailureKind::Invalid,
                    "http: `save_to` changes something, and a fact or check only looks",
                ));
            }
            return download::download(request, target, &ctx).await.map(|saved| saved_result(&saved));
        }
        let (reply, requests) = match &self.until {
            None => (self.once(request, &ctx).await?, 1),
            Some(until) => self.poll(until, request, &mut ctx, last_seen).await?,
        };
        self.result(&reply, requests, request, &ctx)
    }

    async fn once(&self, request: &Request, ctx: &Context) -> Result<Reply, Failure> {
        let client = client(request)?;
        let reply = read(send(&client, request, ctx).await?, request, ctx).await?;
        if request.expect.allow(reply.status) { Ok(reply) } else { Err(self.quiet(refused(&reply, request, ctx))) }
    }

    /// Nothing of a secret answer is told.
    fn quiet(&self, failure: Failure) -> Failure {
        if !self.sensitive {
            return failure;
        }
        let message = failure.message.split(": ").take(1).collect::<String>();
        let status = failure.detail.get("status").cloned().unwrap_or_default();
        Failure { message, detail: Value::object([("status", status)]), ..failure }
    }

    async fn poll(
        &self,
        until: &Condition,
        request: &Request,
        ctx: &mut Context,
        last_seen: &std::sync::Mutex<String>,
    ) -> Result<(Reply, u64), Failure> {
        let client = client(request)?;
        let mut pause = FIRST_PAUSE.min(self.interval);
        let mut requests = 0;
        loop {
            requests += 1;
            let asking = async {
                if let Some(login) = &request.login {
                    login.log_on(ctx).await?;
                }
                read(send(&client, request, ctx).await?, request, ctx).await
            };
            let state = match tokio::time::timeout(request.patience, asking).await {
                Err(_) => "no answer".to_owned(),
                Ok(Err(failure)) if failure.kind == FailureKind::Invalid => return Err(failure),
                Ok(Err(failure)) => failure.message,
                Ok(Ok(reply)) => {
                    // A session ends; the next one is begun before the next look.
                    if let (Some(login), 401) = (&request.login, reply.status) {
                        login.forget();
                    }
                    let state = until.state(&reply, ctx);
                    if self.fail_when.as_ref().is_some_and(|fail| fail.holds(&reply, None, ctx)) {
                        let seen = self.fail_when.as_ref().map_or(state, |fail| fail.state(&reply, ctx));
                        let message = format!("{} came to a state that means failure: {seen}", request.shown());
                        return Err(self.quiet(Failure::new(FailureKind::Failed, message).detail(detail(&reply, ctx))));
                    }
                    if until.holds(&reply, Some(&request.expect), ctx) {
                        return Ok((reply, requests));
                    }
                    state
                }
            };
            if let Ok(mut seen) = last_seen.lock()
                && *seen != state
            {
                if !self.sensitive {
                    ctx.sink.line(&state);
                }
                *seen = state;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(self.interval);
        }
    }

    fn result(&self, reply: &Reply, requests: u64, request: &Request, ctx: &Context) -> Result<Object, Failure> {
        let mut extracted = Object::new();
        for (name, pointer) in &self.extract {
            let found = reply.json.as_ref().and_then(|json| json.pointer(pointer));
            let Some(found) = found else {
                let why = if reply.json.is_some() { format!("has nothing at `{pointer}`") } else { "is not JSON".to_owned() };
                let message = format!("{}: the answer {why}, where `{name}` is to be", request.shown());
                return Err(self.quiet(Failure::new(FailureKind::Failed, message).detail(detail(reply, ctx))));
            };
            extracted.insert(name.as_str().into(), from_json(found, ctx));
        }
        let hide = |value: Value| if self.sensitive { value.sensitive() } else { value };
        Ok([
            ("status", i64::from(reply.status).into()),
            ("headers", headers(reply, ctx)),
            ("body", hide(Value::string(ctx.redact.apply(&reply.body)))),
            ("truncated", reply.truncated.into()),
            ("json", hide(reply.json.as_ref().map_or(Value::Null, |json| from_json(json, ctx)))),
            ("extracted", hide(Value::Object(extracted.into()))),
            ("requests", whole(requests)),
            ("path", Value::Null),
            ("bytes", Value::Null),
            ("sha256", Value::Null),
        ]
        .into_iter()
        .map(|(name, value)| (name.into(), value))
        .collect())
    }
}

fn saved_result(saved: &download::Saved) -> Object {
    let status = saved.status.map_or(Value::Null, |status| i64::from(status).into());
    [
        ("status", status),
        ("headers", Value::object::<&str>([])),
        ("body", Value::Null),
        ("truncated", false.into()),
        ("json", Value::Null),
        ("extracted", Value::object::<&str>([])),
        ("requests", whole(u64::from(saved.status.is_some()))),
        ("path", Value::string(saved.path.to_string_lossy())),
        ("bytes", whole(saved.bytes)),
        ("sha256", Value::string(&saved.sha256)),
    ]
    .into_iter()
    .map(|(name, value)| (name.into(), value))
    .collect()
}

/// A count as a value.
pub(super) fn whole(count: u64) -> Value {
    Value::Number(Number::from(count))
}

/// JSON as a value, with nothing hidden.
pub(super) fn plain_json(json: &serde_json::Value) -> Value {
    json::plain(json, &super::Redactor::default())
}
