//! Sends a request and reads the answer, within bounds.
//!
//! Takes a [`Request`], gives a [`Reply`] or a failure with the chain of reasons. Follows redirects only to the same server, so that
//! credentials go nowhere else; proxies are never asked for addresses of this machine.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};

use super::json::from_json;
use super::request::{Request, shown};
use crate::driver::{Context, Failure, FailureKind, tls};
use crate::lang::Value;

/// How much of a body is kept as text.
const BODY_LIMIT: usize = 1024 * 1024;

/// How much of a body is read as JSON.
const JSON_LIMIT: usize = 16 * 1024 * 1024;

/// How many redirects are followed.
const REDIRECTS: usize = 10;

/// An answer, read.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
    pub(super) truncated: bool,
    pub(super) json: Option<serde_json::Value>,
}

/// A client for the requests of one call.
pub(super) fn client(request: &Request) -> Result<Client, Failure> {
    let origin = request.url.origin();
    let policy = Policy::custom(move |attempt| {
        if attempt.url().origin() != origin {
            attempt.stop()
        } else if attempt.previous().len() > REDIRECTS {
            attempt.error("too many redirects")
        } else {
            attempt.follow()
        }
    });
    let mut builder = Client::builder()
        .user_agent(concat!("windlass/", env!("CARGO_PKG_VERSION")))
        .redirect(policy)
        .referer(false)
        .connect_timeout(request.patience.min(Duration::from_secs(30)));
    if loopback(&request.url) {
        builder = builder.no_proxy();
    }
    // Even a plain URL: the builder would otherwise look up the system's certificates by itself.
    builder = builder.tls_backend_preconfigured(tls::config(&request.tls, &["h2", "http/1.1"])?);
    builder.build().map_err(|error| Failure::new(FailureKind::Invalid, format!("cannot set up HTTP: {}", chain(&error))))
}

fn loopback(url: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host.ends_with(".localhost")
        || address.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Sends it with the header of its session, and waits for the answer's head.
pub(super) async fn send(client: &Client, request: &Request, ctx: &Context) -> Result<Response, Failure> {
    let mut headers = request.headers.clone();
    headers.extend(request.login.as_ref().and_then(|login| login.header()));
    dispatch(client, request, headers, ctx).await
}

/// Sends it as it is.
pub(super) async fn send_plain(client: &Client, request: &Request, ctx: &Context) -> Result<Response, Failure> {
    dispatch(client, request, request.headers.clone(), ctx).await
}

async fn dispatch(client: &Client, request: &Request, headers: HeaderMap, ctx: &Context) -> Result<Response, Failure> {
    let mut sending = client.request(request.method.clone(), request.url.clone()).headers(headers);
    if let Some(body) = &request.body {
        sending = sending.body(body.clone());
    }
    sending.send().await.map_err(|error| {
        let failure = failure(&error, request, ctx);
        // Where the first server that is asked accepts no connection, nobody has read the request. One that redirects has.
        let is_first = error.url() == Some(&request.url);
        if error.is_connect() && is_first { failure.untouched() } else { failure }
    })
}

/// Reads the answer's body: JSON up to 16 MiB, the rest up to 1 MiB.
pub(super) async fn read(mut response: Response, request: &Request, ctx: &Context) -> Result<Reply, Failure> {
    let status = response.status().as_u16();
    let is_json = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).is_some_and(|kind| {
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        kind == "application/json" || kind.ends_with("+json")
    });
    let limit = if is_json { JSON_LIMIT } else { BODY_LIMIT };
    let mut headers: Vec<(String, String)> = Vec::new();
    for (name, value) in response.headers() {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        match headers.iter_mut().find(|(known, _)| known == name.as_str()) {
            Some((_, all)) if *name != SET_COOKIE => *all = format!("{all}, {value}"),
            Some((_, all)) => *all = format!("{all}\n{value}"),
            None => headers.push((name.to_string(), value)),
        }
    }
    let mut bytes = Vec::new();
    let mut more = false;
    while let Some(chunk) = response.chunk().await.map_err(|error| failure(&error, request, ctx))? {
        let room = limit - bytes.len();
        bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            more = true;
            break;
        }
    }
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    let json = (!more && (is_json || matches!(first, Some(b'{' | b'[')))).then(|| serde_json::from_slice(&bytes).ok()).flatten();
    let truncated = more || bytes.len() > BODY_LIMIT;
    bytes.truncate(BODY_LIMIT);
    let body = String::from_utf8_lossy(&bytes).into_owned();
    Ok(Reply { status, headers, body, truncated, json })
}

/// What went wrong on the way, by kind.
pub(super) fn failure(error: &reqwest::Error, request: &Request, ctx: &Context) -> Failure {
    let reasons = ctx.redact.apply(&chain(error)).into_owned();
    let shown = request.shown();
    if error.is_timeout() {
        let what = if error.is_connect() { "did not accept the connection" } else { "did not answer" };
        return Failure::new(FailureKind::TimedOut, format!("{shown}: the server {what} in time"));
    }
    if error.is_builder() {
        return Failure::new(FailureKind::Invalid, format!("{shown}: {reasons}"));
    }
    if error.is_redirect() {
        return Failure::new(FailureKind::Failed, format!("{shown}: redirected more than {REDIRECTS} times"));
    }
    let failure = Failure::new(FailureKind::Unreachable, format!("{shown}: {reasons}"));
    let lower = reasons.to_ascii_lowercase();
    if lower.contains("connection refused") {
        failure.help("nothing listens there: is the service running, and is the port right?")
    } else if lower.contains("certificate") {
        failure.help("the server's certificate is not trusted: name the authority that signed it in `tls { ca_file = … }`")
    } else if error.is_dns() || lower.contains("dns error") {
        failure.help("the name cannot be resolved from this machine")
    } else {
        failure
    }
}

/// The reasons from the outermost to the root, without URLs and repetition.
fn chain(error: &reqwest::Error) -> String {
    let mut reasons: Vec<String> = Vec::new();
    let mut source = std::error::Error::source(error);
    while let Some(reason) = source {
        let text = reason.to_string();
        if !reasons.iter().any(|known| known.contains(&text)) {
            reasons.push(text);
        }
        source = reason.source();
    }
    if reasons.is_empty() { "the request failed".to_owned() } else { reasons.join(": ") }
}

/// The failure of an answer with a status that it should not have.
pub(super) fn refused(reply: &Reply, request: &Request, ctx: &Context) -> Failure {
    let mut message = format!("{} answered with status {}", request.shown(), reply.status);
    if let Some(phrase) = reqwest::StatusCode::from_u16(reply.status).ok().and_then(|status| status.canonical_reason()) {
        message = format!("{message} ({phrase})");
    }
    let location = reply.headers.iter().find(|(name, _)| name == "location");
    if (300..400).contains(&reply.status)
        && let Some(target) = location.and_then(|(_, location)| request.url.join(location).ok())
    {
        message = format!("{message} and leads to another server, `{}`, which is not followed", shown(&target));
    } else if let Some(line) = reply.body.lines().map(str::trim).find(|line| !line.is_empty()) {
        let line: String = line.chars().take(300).collect();
        message = format!("{message}: {line}");
    }
    let failure = Failure::new(FailureKind::Failed, ctx.redact.apply(&message)).detail(detail(reply, ctx));
    match reply.status {
        401 => failure.help("the credentials are missing or wrong"),
        403 => failure.help("the credentials do not allow this"),
        _ => failure,
    }
}

/// What `error.…` is.
pub(super) fn detail(reply: &Reply, ctx: &Context) -> Value {
    Value::object([
        ("status", i64::from(reply.status).into()),
        ("body", Value::string(ctx.redact.apply(&reply.body))),
        ("headers", headers(reply, ctx)),
        ("json", reply.json.as_ref().map_or(Value::Null, |json| from_json(json, ctx))),
    ])
}

/// Headers by name in lower case; cookies are secrets.
pub(super) fn headers(reply: &Reply, ctx: &Context) -> Value {
    Value::object(reply.headers.iter().map(|(name, value)| {
        let value = if name == "set-cookie" { "(sensitive)".into() } else { ctx.redact.apply(value) };
        (name, Value::string(value))
    }))
}
