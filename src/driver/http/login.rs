//! Logging on before a request: a service that gives out sessions wants a token or cookies which it gave before.
//!
//! Takes the argument `login`, sends one request and gives the header that the others then carry. A session is never kept beyond one
//! call, nor shown.

use std::sync::Mutex;

use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};

use super::client::{client, read, refused, send_plain};
use super::request::Request;
use super::until::check_pointer;
use crate::driver::{Args, Context, Failure, FailureKind};

/// How to log on, and the session that there is.
pub(super) struct Login {
    request: Request,
    /// Where the token is in the answer; the answer's cookies are the session where it is not given.
    token: Option<String>,
    header: HeaderName,
    prefix: String,
    session: Mutex<Option<HeaderValue>>,
}

impl Login {
    /// Reads `login`.
    pub(super) fn of(args: &Args<'_>) -> Result<Option<Box<Self>>, Failure> {
        let Some(given) = args.object("login")? else { return Ok(None) };
        let token = given.text("token")?;
        if let Some(pointer) = &token {
            check_pointer(args, pointer)?;
        }
        let header = match given.text("header")? {
            Some(name) => name.parse().map_err(|_| args.invalid("`login.header` is not the name of a header"))?,
            None if token.is_some() => AUTHORIZATION,
            None => reqwest::header::COOKIE,
        };
        let prefix = if header == AUTHORIZATION { "Bearer " } else { "" };
        Ok(Some(Box::new(Self {
            request: Request::of_login(&given)?,
            token,
            header,
            prefix: given.text("prefix")?.unwrap_or_else(|| prefix.to_owned()),
            session: Mutex::new(None),
        })))
    }

    /// The header of the session, if there is one.
    pub(super) fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        let session = self.session.lock().ok()?.clone()?;
        Some((self.header.clone(), session))
    }

    /// The session is over.
    pub(super) fn forget(&self) {
        if let Ok(mut session) = self.session.lock() {
            *session = None;
        }
    }

    /// The secrets that logging on needs.
    pub(super) fn secrets(&self) -> impl Iterator<Item = String> + '_ {
        self.request.secrets.iter().cloned()
    }

    /// Logs on where that was not done yet; what the session is made of is hidden from then on.
    pub(super) async fn log_on(&self, ctx: &mut Context) -> Result<(), Failure> {
        if self.header().is_some() {
            return Ok(());
        }
        let request = &self.request;
        let reply = read(send_plain(&client(request)?, request, ctx).await?, request, ctx).await?;
        if !request.expect.allow(reply.status) {
            return Err(refused(&reply, request, ctx).help("it could not be logged on: see `login`"));
        }
        let nothing = |what: &str| Failure::new(FailureKind::Failed, format!("{}: the answer has no {what}", request.shown()));
        let secret = match &self.token {
            Some(pointer) => {
                let found = reply.json.as_ref().and_then(|json| json.pointer(pointer)).and_then(serde_json::Value::as_str);
                found.ok_or_else(|| nothing(&format!("text at `{pointer}`, where the token is to be")))?.to_owned()
            }
            None => cookies(&reply.headers).ok_or_else(|| nothing("cookies, and `login.token` is not given"))?,
        };
        let mut value = HeaderValue::from_str(&format!("{}{secret}", self.prefix))
            .map_err(|_| Failure::new(FailureKind::Failed, format!("{}: the token fits into no header", request.shown())))?;
        value.set_sensitive(true);
        ctx.redact = ctx.redact.also([secret]);
        if let Ok(mut session) = self.session.lock() {
            *session = Some(value);
        }
        Ok(())
    }
}

/// What the answer's cookies are sent back as.
fn cookies(headers: &[(String, String)]) -> Option<String> {
    let (_, all) = headers.iter().find(|(name, _)| name == "set-cookie")?;
    let pairs: Vec<&str> = all.lines().filter_map(|cookie| cookie.split(';').next()).map(str::trim).collect();
    Some(pairs.join("; "))
}
