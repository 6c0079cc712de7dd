//! Digests: of the configuration as it was loaded, of a provider's files, of an instance's settings. None depends on a secret.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::module::Pin;
use crate::lang::{Object, Value};
use crate::model::name::{Digest, HostName};

/// Digest over what was read (by name), the commits that sources meant, and the values of variables that are not sensitive.
pub(super) fn configuration_digest(read: &BTreeMap<String, Digest>, pins: &[Pin], variables: &BTreeMap<Arc<str>, Value>) -> Digest {
    let mut text = String::from("windlass configuration 1\n");
    for (name, digest) in read {
        line(&mut text, &["read", name, digest.as_str()]);
    }
    let mut pins: Vec<&Pin> = pins.iter().collect();
    pins.sort_unstable();
    for pin in pins {
        line(&mut text, &["pin", &pin.what, &pin.source, &pin.commit]);
    }
    for (name, value) in variables.iter().filter(|(_, value)| !matches!(value, Value::Sensitive(_))) {
        // Sensitive parts inside serialise as marks without content.
        line(&mut text, &["var", name, &json(value)]);
    }
    Digest::of(text.as_bytes())
}

/// Digest over the files of a folder: their paths and their content.
pub(super) fn files_digest(files: &BTreeMap<Arc<str>, Arc<[u8]>>) -> Digest {
    let mut text = String::from("windlass provider 1\n");
    for (path, content) in files {
        line(&mut text, &["file", path, Digest::of(content).as_str()]);
    }
    Digest::of(text.as_bytes())
}

/// Digest over settings and host; sensitive values count only as being there.
pub(super) fn settings_digest(host: Option<&HostName>, settings: &Object) -> Digest {
    let mut text = String::from("windlass settings 1\n");
    line(&mut text, &["host", host.map_or("", HostName::as_str)]);
    for (name, value) in settings {
        line(&mut text, &["setting", name, &json(value)]);
    }
    Digest::of(text.as_bytes())
}

/// One line whose parts cannot run into each other.
fn line(text: &mut String, parts: &[&str]) {
    for part in parts {
        text.push_str(&part.len().to_string());
        text.push(':');
        text.push_str(part);
    }
    text.push('\n');
}

fn json(value: &Value) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{files_digest, settings_digest};
    use crate::lang::{Object, Value};
    use std::collections::BTreeMap;
    use std::sync::Arc;

    #[test]
    fn a_secret_does_not_change_the_digest_and_its_presence_does() {
        let settings = |password: Value| Object::from([("password".into(), password), ("port".into(), 1_i64.into())]);
        let one = settings_digest(None, &settings(Value::string("a").sensitive()));
        assert_eq!(one, settings_digest(None, &settings(Value::string("b").sensitive())));
        assert_ne!(one, settings_digest(None, &settings(Value::Null)));
        assert_ne!(one, settings_digest(Some(&"h".into()), &settings(Value::string("a").sensitive())));
    }

    #[test]
    fn content_that_moves_between_files_changes_the_digest() {
        let files = |pairs: &[(&str, &str)]| -> BTreeMap<Arc<str>, Arc<[u8]>> {
            pairs.iter().map(|(path, content)| (Arc::from(*path), Arc::from(content.as_bytes()))).collect()
        };
        assert_ne!(files_digest(&files(&[("a", "b"), ("c", "")])), files_digest(&files(&[("a", ""), ("c", "b")])));
        assert_ne!(files_digest(&files(&[("a", "b")])), files_digest(&files(&[("ab", "")])));
    }
}
