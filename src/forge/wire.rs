//! Requests to a forge, sent politely: certificates checked, no redirects, bounded patience with limits and bad days.
//!
//! Waits as `Retry-After` or the rate limit's headers say, else longer each time; never longer in all than [`Patience`] allows.

use std::time::{Duration, SystemTime};

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, StatusCode, Url};
use serde_json::Value;

use super::{ForgeError, Kind, Target};
use crate::tls::{Tls, client_config, is_near};

/// How long to put up with a forge.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Requests of one kind at most.
    pub attempts: u32,
    /// The first wait; each later one is twice as long.
    pub first: Duration,
    /// All waits together.
    pub most: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { attempts: 6, first: Duration::from_secs(1), most: Duration::from_secs(300) }
    }
}

/// The largest answer that is read, in bytes.
const LARGEST: usize = 32 << 20;

/// How much of a refusal is repeated.
const SHOWN: usize = 300;

/// A connection to one forge.
pub(super) struct Wire {
    client: Client,
    headers: HeaderMap,
    token: String,
    title: &'static str,
    patience: Patience,
}

impl Wire {
    /// Prepares it; connects to nothing yet.
    pub(super) fn new(target: &Target, patience: Patience) -> Result<Self, ForgeError> {
        let trouble = |what: String| ForgeError::new(what, "correct --ca-file, or install the system's certificates");
        let tls = Tls { ca_file: target.ca_file.clone(), identity: None };
        let tls = client_config(&tls, &["h2", "http/1.1"]).map_err(|error| trouble(error.to_string()))?;
        let mut builder = Client::builder()
            .user_agent(concat!("windlass/", env!("CARGO_PKG_VERSION")))
            // A token must not follow a redirect.
            .redirect(Policy::none())
            .referer(false)
            .connect_timeout(Duration::from_secs(20))
            .timeout(Duration::from_secs(60))
            .tls_backend_preconfigured(tls);
        let host = Url::parse(&target.api).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
        if is_near(host.trim_start_matches('[').trim_end_matches(']')) {
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|error| trouble(format!("HTTP cannot be set up: {error}")))?;
        let (name, value) = match target.kind {
            Kind::GitHub => (AUTHORIZATION, format!("Bearer {}", target.token)),
            Kind::GitLab => (HeaderName::from_static("private-token"), target.token.clone()),
            Kind::Gitea => (AUTHORIZATION, format!("token {}", target.token)),
        };
        let mut value = HeaderValue::from_str(&value)
            .map_err(|_| ForgeError::new("the token holds signs that no token has", "set the variable to the token alone"))?;
        value.set_sensitive(true);
        let mut headers = HeaderMap::from_iter([(name, value)]);
        if target.kind == Kind::GitHub {
            headers.insert("accept", HeaderValue::from_static("application/vnd.github+json"));
            headers.insert("x-github-api-version", HeaderValue::from_static("2022-11-28"));
        }
        Ok(Self { client, headers, token: target.token.clone(), title: target.kind.title(), patience })
    }

    /// Waits between two attempts of something larger.
    pub(super) async fn breathe(&self, attempt: usize) {
        let wait = self.patience.first.saturating_mul(u32::try_from(attempt).unwrap_or(1));
        tokio::time::sleep(wait).await;
    }

    /// Sends a request and reads the answer's JSON; null where it has none.
    ///
    /// # Errors
    /// The last refusal, once patience is over. One that may have been done all the same is not repeated unless `method` can be.
    pub(super) async fn send(&self, method: Method, url: Url, body: Option<&Value>) -> Result<Value, ForgeError> {
        // A comment that is written twice is there twice.
        let repeatable = method != Method::POST;
        let mut waited = Duration::ZERO;
        let mut attempt = 1;
        loop {
            let problem = match self.once(method.clone(), url.clone(), body).await {
                Ok(value) => return Ok(value),
                Err(problem) => problem,
            };
            let Problem { mut error, wait, again } = problem;
            if matches!(again, Again::No) || attempt >= self.patience.attempts {
                return Err(error);
            }
            if matches!(again, Again::IfHarmless) && !repeatable {
                error.unsure = true;
                return Err(error);
            }
            let own = self.patience.first.saturating_mul(1 << (attempt - 1).min(10));
            let wait = wait.unwrap_or(own);
            if waited + wait > self.patience.most {
                error.what = format!("{}; it asks to wait for {} s, which is too long", error.what, wait.as_secs());
                return Err(error);
            }
            tracing::warn!(seconds = wait.as_secs_f32(), "{}; trying again", error.what);
            tokio::time::sleep(wait).await;
            waited += wait;
            attempt += 1;
        }
    }

    async fn once(&self, method: Method, url: Url, body: Option<&Value>) -> Result<Value, Problem> {
        let shown = format!("{method} {url}");
        let mut request = self.client.request(method, url).headers(self.headers.clone());
        if let Some(body) = body {
            request = request.json(body);
        }
        let failed = |error: &reqwest::Error| {
            let what = self.without_token(&format!("{} does not answer: {shown}: {}", self.title, chain(error)));
            let again = if error.is_connect() { Again::Yes } else { Again::IfHarmless };
            let help = "see to the network, the address and its certificate, and run the command again";
            Problem { error: ForgeError::new(what, help), wait: None, again }
        };
        let mut response = request.send().await.map_err(|error| failed(&error))?;
        let status = response.status();
        let wait = wait_of(response.headers(), now());
        let limited = is_limited(status, response.headers());
        let mut content = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| failed(&error))? {
            content.extend_from_slice(&chunk);
            if content.len() > LARGEST {
                let error = ForgeError::new(format!("{shown}: the answer is larger than {} MiB", LARGEST >> 20), "correct --api");
                return Err(Problem { error, wait: None, again: Again::No });
            }
        }
        if status.is_success() {
            if content.iter().all(u8::is_ascii_whitespace) {
                return Ok(Value::Null);
            }
            return serde_json::from_slice(&content).map_err(|_| Problem {
                error: ForgeError::new(
                    format!("{shown}: the answer is no JSON; is that the API of a {}?", self.title),
                    "correct --api",
                ),
                wait: None,
                again: Again::No,
            });
        }
        let said = self.without_token(&message(&content));
        let mut error = ForgeError::new(format!("{} refuses: {shown}: {status}: {said}", self.title), help(status));
        error.status = Some(status.as_u16());
        let again = match status.as_u16() {
            _ if limited => Again::Yes,
            503 => Again::Yes,
            500 | 502 | 504 => Again::IfHarmless,
            _ => Again::No,
        };
        Err(Problem { error, wait, again })
    }

    fn without_token(&self, text: &str) -> String {
        if self.token.is_empty() { text.to_owned() } else { text.replace(&self.token, "(token)") }
    }
}

/// A refusal.
struct Problem {
    error: ForgeError,
    wait: Option<Duration>,
    again: Again,
}

/// Whether a refused request may be sent again.
enum Again {
    No,
    /// Where doing it twice is doing it once.
    IfHarmless,
    /// It was not done.
    Yes,
}

/// A limit was reached: 429, or GitHub's 403 with a header that says so.
fn is_limited(status: StatusCode, headers: &HeaderMap) -> bool {
    let used_up = headers.get("x-ratelimit-remaining").is_some_and(|left| left == "0");
    status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::FORBIDDEN && (headers.contains_key(RETRY_AFTER) || used_up)
}

/// How long the forge asks to wait: `Retry-After` in seconds or as a date, else until the limit is reset.
fn wait_of(headers: &HeaderMap, now: Duration) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    if let Some(asked) = text("retry-after") {
        if let Ok(seconds) = asked.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let date = jiff::fmt::rfc2822::parse(asked).ok()?;
        let until = u64::try_from(date.timestamp().as_second()).ok()?;
        return Some(Duration::from_secs(until).saturating_sub(now));
    }
    let used_up = ["x-ratelimit-remaining", "ratelimit-remaining"].into_iter().any(|name| text(name) == Some("0"));
    let reset: u64 = ["x-ratelimit-reset", "ratelimit-reset"].into_iter().find_map(text)?.parse().ok()?;
    used_up.then(|| Duration::from_secs(reset).saturating_sub(now) + Duration::from_secs(1))
}

#[expect(clippy::disallowed_methods, reason = "a door to the clock: limits are given as times of day")]
fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

fn help(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "the token is not valid: give the pipeline one, see the guide on pipelines",
        403 => "the token may not do that: it needs to write comments on pull requests",
        404 => "correct --repo and --number; a token that may not see the repository is answered so, too",
        301 | 302 | 307 | 308 => "the repository or the API has moved: give its new name or address",
        413 | 422 => "the forge does not take that text; is it too long? see --limit",
        _ => "run the command again later; posting again is harmless",
    }
}

/// What the forge says of its refusal.
fn message(content: &[u8]) -> String {
    let text = match serde_json::from_slice::<Value>(content) {
        Ok(value) => match ["message", "error"].into_iter().find_map(|name| value.get(name)) {
            Some(Value::String(message)) => message.clone(),
            Some(other) => other.to_string(),
            None => value.to_string(),
        },
        Err(_) => String::from_utf8_lossy(content).into_owned(),
    };
    let plain: String = text.chars().map(|sign| if sign.is_control() { ' ' } else { sign }).take(SHOWN).collect();
    if plain.trim().is_empty() { "it does not say why".to_owned() } else { plain }
}

fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_forge_is_given_the_time_that_it_asks_for() {
        let now = Duration::from_secs(1_000_000);
        let wait = |pairs: &[(&'static str, &'static str)]| wait_of(&headers(pairs), now).map(|wait| wait.as_secs());
        assert_eq!(wait(&[("retry-after", "7")]), Some(7));
        assert_eq!(wait(&[("retry-after", "Mon, 12 Jan 1970 13:46:50 GMT")]), Some(10));
        assert_eq!(wait(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1000030")]), Some(31));
        assert_eq!(wait(&[("ratelimit-remaining", "0"), ("ratelimit-reset", "1000030")]), Some(31));
        assert_eq!(wait(&[("x-ratelimit-remaining", "9"), ("x-ratelimit-reset", "1000030")]), None);
        assert_eq!(wait(&[]), None);
    }

    #[test]
    fn a_limit_is_told_from_a_refusal() {
        assert!(is_limited(StatusCode::TOO_MANY_REQUESTS, &headers(&[])));
        assert!(is_limited(StatusCode::FORBIDDEN, &headers(&[("x-ratelimit-remaining", "0")])));
        assert!(is_limited(StatusCode::FORBIDDEN, &headers(&[("retry-after", "1")])));
        assert!(!is_limited(StatusCode::FORBIDDEN, &headers(&[("x-ratelimit-remaining", "3")])));
    }

    #[test]
    fn a_refusal_is_one_short_line() {
        assert_eq!(message(br#"{"message":"Bad\ncredentials"}"#), "Bad credentials");
        assert_eq!(message(b" "), "it does not say why");
        assert!(message(&[b'x'; 5000]).len() <= SHOWN);
    }
}
