//! What one `http` call asks for: decoded once, sent as often as polling needs.
//!
//! Takes arguments, gives a [`Request`]; never shows a header, a body or a query, which may hold secrets.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};

use super::login::Login;
use super::multipart::Multipart;
use crate::driver::tls::{self, Tls};
use crate::driver::{Args, Context, Failure};
use crate::lang::Value;

/// How long one request may take where nothing is said.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// A request, complete.
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Vec<u8>>,
    /// What the body is made of, where it has parts.
    multipart: Option<Multipart>,
    pub(super) tls: Tls,
    pub(super) expect: Statuses,
    /// How long one request may take.
    pub(super) patience: Duration,
    /// Secrets that it carries.
    pub(super) secrets: Vec<String>,
    /// How to log on before.
    pub(super) login: Option<Box<Login>>,
}

impl Request {
    /// Reads the arguments.
    pub(super) fn of(args: &Args<'_>) -> Result<Self, Failure> {
        let mut request = Self::bare(args, "GET")?;
        request.login = Login::of(args)?;
        let carried = request.login.as_ref().map(|login| login.secrets().collect::<Vec<_>>());
        request.secrets.extend(carried.unwrap_or_default());
        Ok(request)
    }

    /// Reads the arguments of `login`.
    pub(super) fn of_login(args: &Args<'_>) -> Result<Self, Failure> {
        Self::bare(args, "POST")
    }

    fn bare(args: &Args<'_>, usual: &str) -> Result<Self, Failure> {
        let method = args.text("method")?.unwrap_or_else(|| usual.to_owned());
        let method = method.parse::<Method>().map_err(|_| args.invalid("`method` is not a method of HTTP"))?;
        let url = url(args)?;
        let mut headers = HeaderMap::new();
        for (name, value) in args.map("headers")? {
            let wrong = |what: &str| args.invalid(format_args!("`headers.{}` {what}", name.escape_debug()));
            let header: HeaderName = name.parse().map_err(|_| wrong("is not the name of a header"))?;
            let mut value = HeaderValue::from_str(&value).map_err(|_| wrong("holds what a header cannot carry"))?;
            value.set_sensitive(true);
            headers.insert(header, value);
        }
        let mut secrets = authorization(args, &mut headers)?;
        secrets.extend(headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).map(str::to_owned));
        let body = body(args, &mut headers)?;
        if body.is_some() && method == Method::GET {
            return Err(args.invalid("a GET request carries no body: set `method`"));
        }
        Ok(Self {
            method,
            url,
            headers,
            body,
            multipart: Multipart::of(args)?,
            tls: tls::of(args)?,
            expect: Statuses::of(args, "expect")?.unwrap_or(Statuses::Success),
            patience: args.duration("request_timeout")?.unwrap_or(REQUEST_TIMEOUT),
            secrets,
            login: None,
        })
    }

    /// Makes the body of parts, where it has such: reads the files that go along.
    pub(super) async fn gather(&mut self, ctx: &Context) -> Result<(), Failure> {
        let Some(multipart) = &self.multipart else { return Ok(()) };
        let (body, kind) = multipart.body(ctx).await?;
        let kind = HeaderValue::from_str(&kind)
            .map_err(|_| Failure::new(crate::driver::FailureKind::Invalid, "http: the parts make no body"))?;
        self.body = Some(body);
        self.headers.insert(CONTENT_TYPE, kind);
        Ok(())
    }

    /// `GET http://host:1/path`, without what may be secret.
    pub(super) fn shown(&self) -> String {
        format!("{} {}", self.method, shown(&self.url))
    }
}

/// A URL without its query.
pub(super) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}

fn url(args: &Args<'_>) -> Result<Url, Failure> {
    // The parser's reason is safe to show, the text is not.
    let mut url: Url =
        args.needed_text("url")?.parse().map_err(|error| args.invalid(format_args!("`url` is not a URL: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(args.invalid("`url` must begin with `http://` or `https://`"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(args.invalid("`url` holds a user or password").help("write them as `basic = { user = …, password = … }`"));
    }
    let query = args.map("query")?;
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    Ok(url)
}

/// Sets the header of `basic` or `bearer` and gives the secrets in them.
fn authorization(args: &Args<'_>, headers: &mut HeaderMap) -> Result<Vec<String>, Failure> {
    let (text, secrets) = match (args.object("basic")?, args.text("bearer")?) {
        (Some(_), Some(_)) => return Err(args.invalid("only one of `basic`, `bearer` can be given")),
        (None, None) => return Ok(Vec::new()),
        (Some(basic), None) => {
            use base64::Engine as _;
            let (user, password) = (basic.text("user")?.unwrap_or_default(), basic.text("password")?.unwrap_or_default());
            if user.contains(':') {
                return Err(args.invalid("`basic.user` cannot hold a colon"));
            }
            let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
            // An API key is often given as the user, with no password.
            let secret = if password.is_empty() { user } else { password };
            (format!("Basic {encoded}"), vec![secret, encoded])
        }
        (None, Some(token)) => (format!("Bearer {token}"), vec![token]),
    };
    if headers.contains_key(AUTHORIZATION) {
        return Err(args.invalid("`headers.Authorization` cannot be given together with `basic` or `bearer`"));
    }
    let mut value = HeaderValue::from_str(&text).map_err(|_| args.invalid("`bearer` holds what a header cannot carry"))?;
    value.set_sensitive(true);
    headers.insert(AUTHORIZATION, value);
    Ok(secrets)
}

fn body(args: &Args<'_>, headers: &mut HeaderMap) -> Result<Option<Vec<u8>>, Failure> {
    let given = ["body", "json", "form", "multipart"].iter().filter(|name| args.value(name).is_some()).count();
    if given == 0 {
        return Ok(None);
    }
    let (bytes, kind) = match args.exactly_one(&["body", "json", "form", "multipart"])? {
        // Its files are read when it is sent.
        "multipart" => return Ok(Some(Vec::new())),
        "json" => {
            let value = args.value("json").map(Value::revealed).unwrap_or_default();
            let bytes = serde_json::to_vec(&value).map_err(|error| args.invalid(format_args!("`json` cannot be sent: {error}")))?;
            (bytes, Some("application/json"))
        }
        "form" => {
            let mut form = reqwest::Url::parse("http://form").map_err(|error| args.invalid(error))?;
            form.query_pairs_mut().extend_pairs(args.map("form")?);
            (form.query().unwrap_or_default().as_bytes().to_vec(), Some("application/x-www-form-urlencoded"))
        }
        _ => (args.text("body")?.unwrap_or_default().into_bytes(), None),
    };
    if let Some(kind) = kind
        && !headers.contains_key(CONTENT_TYPE)
    {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    Ok(Some(bytes))
}

/// Which statuses are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Statuses {
    /// 200 to 299.
    Success,
    /// Every one.
    Any,
    /// These.
    These(Vec<u16>),
}

impl Statuses {
    /// Reads a list of statuses, one status, or "any".
    pub(super) fn of(args: &Args<'_>, name: &str) -> Result<Option<Self>, Failure> {
        let wrong = || args.invalid(format_args!("`{name}` must be \"any\" or a list of statuses (100 to 599)"));
        let status = |value: &Value| match value {
            Value::Number(number) => number.to_string().parse().ok().filter(|status| (100..600).contains(status)).ok_or_else(wrong),
            _ => Err(wrong()),
        };
        match args.value(name) {
            None => Ok(None),
            Some(Value::String(text)) if &**text == "any" => Ok(Some(Self::Any)),
            Some(Value::List(items)) if !items.is_empty() => {
                Ok(Some(Self::These(items.iter().map(status).collect::<Result<_, _>>()?)))
            }
            Some(one) => Ok(Some(Self::These(vec![status(one)?]))),
        }
    }

    /// Whether this one is meant.
    pub(super) fn allow(&self, status: u16) -> bool {
        match self {
            Self::Success => (200..300).contains(&status),
            Self::Any => true,
            Self::These(statuses) => statuses.contains(&status),
        }
    }
}
