//! What `for_each` goes over: the items of a list or map, each with its name.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::lang::Value;

/// The items of a list or map by name. A list of texts is a set, whose texts are the names; the items of other lists are named by
/// their place. Null has none.
///
/// # Errors
/// It is neither, or has a name twice; a clause that follows what it is.
pub fn items(value: &Value) -> Result<Vec<(Arc<str>, Value)>, String> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Object(attributes) => Ok(attributes.iter().map(|(key, value)| (Arc::clone(key), value.clone())).collect()),
        Value::List(values) => {
            let mut seen = BTreeSet::new();
            let mut items = Vec::with_capacity(values.len());
            for (place, value) in values.iter().enumerate() {
                let key = value.as_str().map_or_else(|| Arc::from(place.to_string()), Arc::from);
                if !seen.insert(Arc::clone(&key)) {
                    return Err(format!("has `{key}` twice; use `distinct`"));
                }
                items.push((key, value.clone()));
            }
            Ok(items)
        }
        other => Err(format!("must be a list or a map, and is {}", other.kind())),
    }
}

/// `each` of an item.
#[must_use]
pub fn each(key: &Arc<str>, value: &Value) -> Value {
    Value::object([("key", Value::String(Arc::clone(key))), ("value", value.clone())])
}
