//! Telling webhooks what they were not told yet.
#![expect(clippy::disallowed_methods, reason = "a door to the environment, to the clock and to randomness")]

use std::collections::BTreeSet;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::cli::terminal::Terminal;
use crate::model::drift::{Address, Webhook};
use crate::watch::{Changes, Memory, Message, Metrics, Receiver};

/// Tells every webhook. One that cannot be told is told with the next look; the others do not wait for it.
pub(super) async fn tell(webhooks: &[Webhook], memory: &mut Memory, metrics: &Metrics, terminal: Terminal) {
    memory.keep_webhooks(&webhooks.iter().map(|webhook| &*webhook.name).collect::<BTreeSet<_>>());
    let telling = webhooks.iter().filter_map(|webhook| {
        let changes = memory.untold(&webhook.name, webhook.severity);
        (!changes.is_empty()).then(|| one(webhook, changes, memory.known().len()))
    });
    let told = futures_util::future::join_all(telling).await;
    for (webhook, result) in told {
        metrics.delivered(&webhook.name, result.is_ok());
        match result {
            Ok(()) => memory.tell(&webhook.name, webhook.severity),
            Err(why) => terminal.say(&format!("webhook `{}` was not told, and will be with the next look: {why}", webhook.name)),
        }
    }
}

async fn one(webhook: &Webhook, changes: Changes, standing: usize) -> (&Webhook, Result<(), String>) {
    let sent = async {
        let message = message(webhook, &changes, standing)?;
        let receiver = Receiver::new(&address(&webhook.url)?, &variable(&webhook.secret_env)?)?;
        receiver.deliver(&message, &Timestamp::now, &chance).await.map(|_| ()).map_err(|error| error.to_string())
    };
    (webhook, sent.await)
}

/// The message; the same changes for the same webhook have the same id, so that one that arrives twice is known again.
fn message(webhook: &Webhook, changes: &Changes, standing: usize) -> Result<Message, String> {
    let content = serde_json::to_vec(changes).map_err(|error| error.to_string())?;
    let id = Sha256::new().chain_update(webhook.name.as_bytes()).chain_update(b"\n").chain_update(&content).finalize();
    let id = id.iter().take(16).map(|byte| format!("{byte:02x}")).collect::<String>();
    let body = serde_json::json!({
        "format": 1,
        "id": id,
        "webhook": webhook.name,
        "appeared": changes.appeared,
        "changed": changes.changed,
        "gone": changes.gone,
        "standing": standing,
    });
    Ok(Message { id, body: serde_json::to_vec(&body).map_err(|error| error.to_string())? })
}

fn address(url: &Address) -> Result<String, String> {
    match url {
        Address::Url(url) => Ok(url.clone()),
        Address::Variable(name) => {
            let url = variable(name)?;
            match Address::is_safe(&url) {
                true => Ok(url),
                false => Err(format!("the address in ${name} does not begin with https://, and is not on this machine")),
            }
        }
    }
}

fn variable(name: &str) -> Result<String, String> {
    std::env::var(name).ok().filter(|value| !value.is_empty()).ok_or_else(|| format!("the environment variable {name} is not set"))
}

/// A number between 0 and 1.
pub(super) fn chance() -> f64 {
    let random = uuid::Uuid::new_v4().as_u128() as u32;
    f64::from(random) / f64::from(u32::MAX)
}
