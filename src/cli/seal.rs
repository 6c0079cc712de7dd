//! Keyed digests of sensitive settings: a rotated secret is noticed, and a lockfile that holds one tells nothing to who lacks the key.
//!
//! HMAC-SHA256 under a random key. The key is in the state store, or with local state in `.windlass/seal.key`, readable by its owner
//! alone; it is in no lockfile and no plan.
#![expect(clippy::disallowed_methods, reason = "a door to randomness")]

use std::sync::Arc;

use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};

use super::session::Session;
use crate::lang::Value;
use crate::model::name::Digest;
use crate::state::durable;

/// The file of the key where state is local.
const FILE: &str = "seal.key";
/// Bytes of a key.
const LENGTH: usize = 32;

impl Session {
    /// Seals the sensitive settings of every instance. Without a key that can be read or made nothing is sealed: then a rotated secret is
    /// not noticed, and everything else goes on.
    pub(super) async fn seal(&mut self) {
        let sensitive = |instance: &crate::model::estate::Instance| instance.settings.values().any(Value::has_sensitive);
        if !self.estate.instances.values().any(sensitive) {
            return;
        }
        let key = match self.seal_key().await {
            Ok(key) => key,
            Err(why) => {
                tracing::warn!("rotated secrets are not noticed: the key of their digests is not to be had: {why}");
                return;
            }
        };
        for instance in self.estate.instances.values_mut() {
            let settings = instance.settings.iter().filter(|(_, value)| value.has_sensitive());
            let (addr, key) = (instance.addr.as_str(), &key);
            let sealed = settings.filter_map(|(name, value)| Some((Arc::clone(name), Arc::from(seal(key, addr, name, value)?))));
            instance.seals = sealed.collect();
        }
    }

    async fn seal_key(&self) -> Result<[u8; LENGTH], String> {
        if self.estate.backend.kind == "local" {
            let path = self.place.hidden.join(FILE);
            let said = |error: std::io::Error| format!("{}: {error}", path.display());
            if let Some(kept) = durable::read(&path).map_err(said)? {
                return kept.try_into().map_err(|_| format!("{} is no key", path.display()));
            }
            let key = new_key();
            durable::replace(&path, &key, 0o600).map_err(said)?;
            return Ok(key);
        }
        let place = Digest::of(b"windlass key of seals");
        if self.store.kept(&place).await.map_err(|error| error.to_string())?.is_none() {
            self.store.keep(&place, &new_key()).await.map_err(|error| error.to_string())?;
        }
        // Of two who made one at once, one was first.
        let kept = self.store.kept(&place).await.map_err(|error| error.to_string())?;
        kept.and_then(|kept| kept.try_into().ok()).ok_or_else(|| format!("{} holds no key", self.store.describe()))
    }
}

fn new_key() -> [u8; LENGTH] {
    let mut hash = Sha256::new();
    for _ in 0..4 {
        hash.update(uuid::Uuid::new_v4().as_bytes());
    }
    hash.finalize().into()
}

/// The digest of a setting, behind a name of the key.
fn seal(key: &[u8; LENGTH], addr: &str, name: &str, value: &Value) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    let mut text = Vec::new();
    for part in [addr, name] {
        put(&mut text, b'n', part.as_bytes());
    }
    open(&mut text, value);
    mac.update(&text);
    let named = hex(&Sha256::digest(key));
    Some(format!("{}:{}", named.get(..8)?, hex(&mac.finalize().into_bytes())))
}

/// A value as bytes that no other value has, with what is sensitive in it.
fn open(text: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => put(text, b'0', b""),
        Value::Unknown => put(text, b'u', b""),
        Value::Bool(value) => put(text, b'b', &[u8::from(*value)]),
        Value::Number(number) => put(text, b'd', number.normalize().to_string().as_bytes()),
        Value::String(string) => put(text, b's', string.as_bytes()),
        Value::List(items) => {
            put(text, b'l', &(items.len() as u64).to_le_bytes());
            items.iter().for_each(|item| open(text, item));
        }
        Value::Object(fields) => {
            put(text, b'o', &(fields.len() as u64).to_le_bytes());
            for (name, value) in fields.iter() {
                put(text, b'n', name.as_bytes());
                open(text, value);
            }
        }
        Value::Sensitive(inner) => open(text, inner),
    }
}

fn put(text: &mut Vec<u8>, kind: u8, bytes: &[u8]) {
    text.push(kind);
    text.extend((bytes.len() as u64).to_le_bytes());
    text.extend(bytes);
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::{new_key, seal};
    use crate::lang::Value;

    #[test]
    fn a_seal_tells_values_apart_and_says_nothing_without_its_key() {
        let key = new_key();
        let of = |value: &Value| seal(&key, "app.main", "password", value).unwrap();
        let secret = Value::from("hunter22").sensitive();
        assert_eq!(of(&secret), of(&Value::from("hunter22").sensitive()));
        assert_ne!(of(&secret), of(&Value::from("hunter23").sensitive()));
        assert!(!of(&secret).contains("hunter22"));
        // The same secret elsewhere has another seal, so that nobody sees that it is the same.
        assert_ne!(of(&secret), seal(&key, "app.other", "password", &secret).unwrap());
        assert_ne!(of(&secret), seal(&key, "app.main", "token", &secret).unwrap());
        let other = seal(&new_key(), "app.main", "password", &secret).unwrap();
        assert_ne!(of(&secret).split(':').next(), other.split(':').next());
        let list = |items: &[&str]| Value::list(items.iter().map(|item| Value::from(*item))).sensitive();
        assert_ne!(of(&list(&["a", "b"])), of(&list(&["ab"])));
    }
}
