//! Versions, releases, instances and hosts as the objects that a provider's expressions see.
//!
//! Takes nouns of the model, gives values; decides nothing.

use std::sync::Arc;

use crate::lang::Value;
use crate::model::estate::Host;
use crate::model::name::{EnvironmentName, InstanceAddr, ProviderName};
use crate::model::release::Release;
use crate::model::version::Version;

/// A version for expressions: `text`, and the first three numbers (0 where not written, null where beyond 64 bits).
pub(crate) fn version_object(version: &Version) -> Value {
    let number = |index: usize| match version.component(index) {
        Some(number) => number.into(),
        None if index < version.component_count() => Value::Null,
        None => Value::from(0_u64),
    };
    Value::object([
        ("text", Value::String(version.shared_text())),
        ("major", number(0)),
        ("minor", number(1)),
        ("patch", number(2)),
    ])
}

/// A release for expressions: what is declared, and its free attributes.
pub(crate) fn release_object(release: &Release) -> Value {
    let mut object = release.attributes.as_object().cloned().unwrap_or_default();
    object.insert("version".into(), Value::String(release.version.shared_text()));
    object.insert("artifact".into(), release.artifact.clone().into());
    object.insert("sha256".into(), release.sha256.clone().into());
    object.insert("notes".into(), release.notes.clone().into());
    Value::Object(Arc::new(object))
}

/// An instance for expressions.
pub(crate) fn instance_object(
    addr: &InstanceAddr,
    provider: &ProviderName,
    environment: &EnvironmentName,
    promote_from: Option<&EnvironmentName>,
) -> Value {
    let (name, key) = name_and_key(addr.as_str(), provider.as_str());
    Value::object([
        ("address", Value::string(addr.as_str())),
        ("name", Value::string(name)),
        ("provider", Value::string(provider.as_str())),
        ("environment", Value::string(environment.as_str())),
        ("promote_from", promote_from.map_or(Value::Null, |from| Value::string(from.as_str()))),
        ("key", key),
        ("file_name", Value::String(addr.file_name().into())),
    ])
}

/// Takes `module.eu["x"].dss.design["a"]` apart, as [`InstanceAddr::new`] put it together.
fn name_and_key<'t>(addr: &'t str, provider: &str) -> (&'t str, Value) {
    let mut rest = addr;
    while let Some(module) = rest.strip_prefix("module.") {
        let after = &module[module.find(['.', '[']).unwrap_or(module.len())..];
        rest = after[bracket(after)..].trim_start_matches('.');
    }
    let rest = rest.strip_prefix(provider).and_then(|rest| rest.strip_prefix('.')).unwrap_or(rest);
    let (name, bracketed) = rest.split_at(rest.find('[').unwrap_or(rest.len()));
    let inner = bracketed.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let key = match inner.map(serde_json::from_str::<Value>) {
        Some(Ok(key)) => key,
        Some(Err(_)) => Value::string(inner.unwrap_or_default()),
        None => Value::Null,
    };
    (name, key)
}

/// The length of the `[…]` at the start of a text; 0 where there is none. A string in it may hold anything.
fn bracket(text: &str) -> usize {
    if !text.starts_with('[') {
        return 0;
    }
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b']' if !quoted => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// A host for expressions; `localhost` where there is none.
pub(crate) fn host_object(host: Option<&Host>) -> Value {
    let Some(host) = host else {
        return Value::object([
            ("name", Value::string("localhost")),
            ("address", Value::string("localhost")),
            ("attributes", Value::Object(Arc::default())),
        ]);
    };
    let address = host.ssh.as_ref().map_or("localhost", |ssh| ssh.address.as_str());
    Value::object([
        ("name", Value::string(host.name.as_str())),
        ("address", Value::string(address)),
        ("attributes", host.attributes.clone()),
    ])
}

#[cfg(test)]
mod tests {
    use super::{instance_object, name_and_key, version_object};
    use crate::lang::Value;
    use crate::model::name::{InstanceAddr, InstanceKey, ProviderName};
    use crate::model::version::{Version, VersionScheme};

    #[test]
    fn a_version_has_zero_where_nothing_was_written_and_null_where_a_number_is_too_big() {
        let object = |text| version_object(&Version::parse(text, &VersionScheme::Dotted).unwrap());
        assert_eq!(object("16.2").get("minor"), Some(&Value::from(2_u64)));
        assert_eq!(object("16.2").get("patch"), Some(&Value::from(0_u64)));
        assert_eq!(object("99999999999999999999.2").get("major"), Some(&Value::Null));
        assert_eq!(object("V5.2.1").get("text"), Some(&Value::string("V5.2.1")));
    }

    #[test]
    fn every_address_is_taken_apart_as_it_was_put_together() {
        let provider = ProviderName::new("dss");
        let odd = "a].dss.x[\"\\";
        for module in [vec![], vec!["eu".to_owned()], vec![format!("eu[{}]", serde_json::Value::from(odd)), "x[3]".to_owned()]] {
            for (key, value) in [
                (None, Value::Null),
                (Some(InstanceKey::Index(7)), Value::from(7_u64)),
                (Some(InstanceKey::Key(odd.into())), Value::string(odd)),
            ] {
                let addr = InstanceAddr::new(&module, &provider, "design", key.as_ref());
                assert_eq!(name_and_key(addr.as_str(), "dss"), ("design", value.clone()), "{addr}");
                assert_eq!(instance_object(&addr, &provider, &"test".into(), None).get("key"), Some(&value));
            }
        }
    }

    #[test]
    fn rubbish_for_an_address_does_not_panic() {
        for text in ["", "module.", "module.a[", "module.a[\"", "dss.", "dss.x[", "dss.x]", "module.é[\"\\", "module.module.module"]
        {
            let _ = name_and_key(text, "dss");
        }
    }
}
