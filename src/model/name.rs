//! Names and identifiers, each a type of its own.

use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes the text as it is; who reads it from people checks it first.
            #[must_use]
            pub fn new(text: impl AsRef<str>) -> Self {
                Self(Arc::from(text.as_ref()))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::new(text)
            }
        }
    )*};
}

names! {
    /// An environment: `production`.
    EnvironmentName;
    /// A provider, which is also the first part of every instance's address: `dss`.
    ProviderName;
    /// A host: `dss01`.
    HostName;
    /// A strategy of a provider: `in_place`.
    StrategyName;
    /// A step of a strategy: `backup`.
    StepName;
    /// A driver: `exec`.
    DriverName;
    /// One apply. Sorts by the time it began: `20261121T024531.417Z-7f3a`.
    RunId;
    /// Names a history of a lockfile, made once when the lockfile is: a UUID. A lockfile of another lineage never replaces it.
    Lineage;
    /// Names content: `sha256:` and 64 hexadecimal digits.
    Digest;
}

/// What expressions call the machine that Windlass runs on, where no host of that name is declared.
pub const LOCALHOST: &str = "localhost";

impl Digest {
    /// The digest of bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        let mut text = String::with_capacity(71);
        text.push_str("sha256:");
        for byte in sha2::Sha256::digest(bytes) {
            use fmt::Write as _;
            let _ = write!(text, "{byte:02x}");
        }
        Self::new(text)
    }

    /// The first twelve hexadecimal digits, for people.
    #[must_use]
    pub fn short(&self) -> &str {
        let hex = self.0.strip_prefix("sha256:").unwrap_or(&self.0);
        hex.get(..12).unwrap_or(hex)
    }
}

/// Names one deployed product in the whole configuration: `dss.design`, `etcd.node["a"]`, `module.eu.dss.design`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct InstanceAddr(Arc<str>);

impl InstanceAddr {
    /// The address of an instance: module path from the root (`["eu"]`, keys included as written: `["eu[\"x\"]"]`), provider, name, key.
    #[must_use]
    pub fn new(module: &[String], provider: &ProviderName, name: &str, key: Option<&InstanceKey>) -> Self {
        use fmt::Write as _;
        let mut text = String::new();
        for part in module {
            let _ = write!(text, "module.{part}.");
        }
        let _ = write!(text, "{provider}.{name}");
        if let Some(key) = key {
            let _ = write!(text, "{key}");
        }
        Self(text.into())
    }

    /// Takes the text of an address that was written by [`InstanceAddr::new`] or by a person.
    #[must_use]
    pub fn from_text(text: impl AsRef<str>) -> Self {
        Self(Arc::from(text.as_ref()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Takes an address that a person wrote, if it has the form of one: `PROVIDER.NAME`, behind `module.NAME.` any number of times,
    /// each name with `["KEY"]` or `[NUMBER]` where it is one of many.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut rest = text;
        while let Some(inner) = rest.strip_prefix("module.") {
            rest = after_key(after_name(inner)?)?.strip_prefix('.')?;
        }
        let rest = after_name(rest)?.strip_prefix('.')?;
        after_key(after_name(rest)?)?.is_empty().then(|| Self::from_text(text))
    }

    /// Whether `target` (as in `--target`) means this instance: its whole address, or a leading part that ends at a dot or a bracket.
    #[must_use]
    pub fn is_within(&self, target: &str) -> bool {
        self.0.strip_prefix(target).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    }

    /// The address as a file name: letters, digits, `.`, `-`, `_`; every other byte as `%XX`.
    #[must_use]
    pub fn file_name(&self) -> String {
        file_name(&self.0)
    }
}

impl fmt::Display for InstanceAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl std::borrow::Borrow<str> for InstanceAddr {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// What tells instances of one block apart: a `for_each` key or a `count` index.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum InstanceKey {
    /// From `count`.
    Index(u32),
    /// From `for_each`.
    Key(Arc<str>),
}

impl fmt::Display for InstanceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index(index) => write!(f, "[{index}]"),
            Self::Key(key) => write!(f, "[{}]", serde_json::Value::from(&**key)),
        }
    }
}

/// Names one action of a plan: `dss.design@13.4.1:backup`, with a key where the step was fanned out: `…:stop["job-7"]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct ActionId(Arc<str>);

impl ActionId {
    /// The action for a step, on the way to version `to`.
    #[must_use]
    pub fn new(instance: &InstanceAddr, to: &str, step: &str, key: Option<&str>) -> Self {
        let text = match key {
            Some(key) => format!("{instance}@{to}:{step}[{}]", serde_json::Value::from(key)),
            None => format!("{instance}@{to}:{step}"),
        };
        Self(text.into())
    }

    /// Takes an id that was printed.
    #[must_use]
    pub fn from_text(text: impl AsRef<str>) -> Self {
        Self(Arc::from(text.as_ref()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id as a file name, as [`InstanceAddr::file_name`].
    #[must_use]
    pub fn file_name(&self) -> String {
        file_name(&self.0)
    }
}

impl fmt::Display for ActionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What is behind the identifier that a text begins with.
fn after_name(text: &str) -> Option<&str> {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))).unwrap_or(text.len());
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_').then(|| &text[end..])
}

/// What is behind the key that a text begins with, if it begins with one.
fn after_key(text: &str) -> Option<&str> {
    let Some(inner) = text.strip_prefix('[') else { return Some(text) };
    let Some(quoted) = inner.strip_prefix('"') else {
        let end = inner.find(']')?;
        return (end > 0 && inner[..end].bytes().all(|byte| byte.is_ascii_digit())).then(|| &inner[end + 1..]);
    };
    let mut escaped = false;
    for (index, c) in quoted.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return quoted[index + 1..].strip_prefix(']'),
            c if c.is_control() => return None,
            _ => {}
        }
    }
    None
}

/// Encodes a name so that it is one path component on every file system; long ones are cut and told apart by a digest.
pub(crate) fn file_name(text: &str) -> String {
    use fmt::Write as _;
    let mut name = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') || (byte == b'.' && !name.is_empty()) {
            name.push(char::from(byte));
        } else {
            let _ = write!(name, "%{byte:02X}");
        }
    }
    if name.len() > 180 {
        name.truncate(160);
        let _ = write!(name, "-{}", Digest::of(text.as_bytes()).short());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::InstanceAddr;

    #[test]
    fn what_has_the_form_of_an_address_is_taken_and_nothing_else() {
        for good in
            ["a.b", "a.b[0]", "a.b[\"x y\"]", "a.b[\"q\\\"]\"]", "module.m.a.b", "module.m[\"k\"].module.n[1].a-c.b_d[\"é\"]"]
        {
            assert_eq!(InstanceAddr::parse(good).map(|addr| addr.to_string()).as_deref(), Some(good));
        }
        for bad in [
            "",
            "a",
            "a.",
            ".b",
            "a.b.c",
            "a.b ",
            "a b.c",
            "a.b[",
            "a.b[]",
            "a.b[x]",
            "a.b[\"x]",
            "a.b[\"\n\"]",
            "module.m",
            "module.a.b",
            "1.b",
        ] {
            assert!(InstanceAddr::parse(bad).is_none(), "{bad:?} was taken");
        }
    }
}
