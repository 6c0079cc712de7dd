//! Sends a message to a webhook: signed, tried again where that may help, never to another place than was said.

use std::time::Duration;

use hmac::{Hmac, Mac as _};
use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, StatusCode};
use sha2::Sha256;

use super::pace::backoff;
use crate::tls::{Tls, client_config};

/// Tries for one look; what is not delivered then is tried with the next look.
const TRIES: u32 = 5;

/// How long one try may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who is told.
pub struct Receiver {
    client: Client,
    url: String,
    secret: String,
}

/// What is told.
#[derive(Debug, Clone)]
pub struct Message {
    /// Names it: the same message again has the same id.
    pub id: String,
    /// JSON.
    pub body: Vec<u8>,
}

/// Why a message was not delivered. Never holds the address, which may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why} (after {tries} tries)")]
pub struct Undelivered {
    /// What the last try came to.
    pub why: String,
    /// How many there were.
    pub tries: u32,
}

/// The signature of a message: HMAC-SHA256 over the time as it is sent, a dot, and the body; in hexadecimal digits.
#[must_use]
pub fn signature(secret: &str, time: &str, body: &[u8]) -> String {
    use std::fmt::Write as _;
    // A key of any length will do.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return String::new() };
    mac.update(time.as_bytes());
    mac.update(b".");
    mac.update(body);
    mac.finalize().into_bytes().iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

impl Receiver {
    /// A receiver at an address, which was checked to be a safe one.
    ///
    /// # Errors
    /// Why there can be no connection.
    pub fn new(url: &str, secret: &str) -> Result<Self, String> {
        let tls = client_config(&Tls::default(), &["http/1.1"]).map_err(|error| error.to_string())?;
        let parsed = reqwest::Url::parse(url).map_err(|error| format!("its address cannot be read: {error}"))?;
        let mut builder = Client::builder()
            .user_agent(concat!("windlass/", env!("CARGO_PKG_VERSION")))
            // Where it leads was not said by anybody who may.
            .redirect(reqwest::redirect::Policy::none())
            .timeout(PATIENCE)
            .tls_backend_preconfigured(tls);
        if parsed.host_str().is_some_and(crate::tls::is_near) {
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|error| format!("cannot set up HTTP: {}", error.without_url()))?;
        Ok(Self { client, url: url.to_owned(), secret: secret.to_owned() })
    }

    /// Sends a message until it is taken. `clock` and `chance` (0 to 1) are asked for each try.
    ///
    /// # Errors
    /// It was not taken.
    pub async fn deliver(
        &self,
        message: &Message,
        clock: &(dyn Fn() -> Timestamp + Sync),
        chance: &(dyn Fn() -> f64 + Sync),
    ) -> Result<u32, Undelivered> {
        let mut tries = 0;
        loop {
            tries += 1;
            let (why, again, asked) = match self.send(message, clock()).await {
                Ok(()) => return Ok(tries),
                Err(refused) => refused,
            };
            if !again || tries == TRIES {
                return Err(Undelivered { why, tries });
            }
            tokio::time::sleep(backoff(tries, asked, chance())).await;
        }
    }

    /// One try; on failure why, whether another may help, and the pause that was asked for.
    async fn send(&self, message: &Message, now: Timestamp) -> Result<(), (String, bool, Option<Duration>)> {
        let time = now.as_second().to_string();
        let signed = format!("sha256={}", signature(&self.secret, &time, &message.body));
        let request = self
            .client
            .post(&self.url)
            .header(CONTENT_TYPE, "application/json")
            .header("X-Windlass-Event", "drift")
            .header("X-Windlass-Delivery", &message.id)
            .header("X-Windlass-Timestamp", &time)
            .header("X-Windlass-Signature", signed)
            .body(message.body.clone());
        let response = request.send().await.map_err(|error| (reasons(&error.without_url()), true, None))?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let asked = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let busy = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS];
        let again = status.is_server_error() || busy.contains(&status);
        Err((format!("it answered {status}"), again, asked.map(Duration::from_secs)))
    }
}

fn reasons(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_what_others_compute() {
        // printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac geheim
        let expected = "c2f0a59f12d0bcd3933234d85083c03b99e970604203fd059a320436bb602adf";
        assert_eq!(signature("geheim", "1700000000", br#"{"a":1}"#), expected);
        assert_ne!(signature("geheim", "1700000001", br#"{"a":1}"#), expected);
    }
}
