//! Values as JSON and back: in plans, lockfiles, journals and events.
//!
//! What may not be written is written as a one-key object that no HCL name can collide with:
//! `{"$unknown": true}` and `{"$sensitive": true}`. A sensitive value read back is a sensitive *unknown*: its content is gone.

use std::fmt;

use rust_decimal::prelude::ToPrimitive;
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Number, Object, Value};

const UNKNOWN: &str = "$unknown";
const SENSITIVE: &str = "$sensitive";

impl schemars::JsonSchema for Value {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Value".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let about = "Any JSON value. `{\"$sensitive\": true}` stands for a sensitive one, `{\"$unknown\": true}` for one that is known only while applying.";
        schemars::json_schema!({ "description": about })
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(number) => serialize_number(number, serializer),
            Self::String(text) => serializer.serialize_str(text),
            Self::List(items) => {
                let mut seq = serializer.serialize_seq(Some(items.len()))?;
                for item in items.iter() {
                    seq.serialize_element(item)?;
                }
                seq.end()
            }
            Self::Object(attributes) => {
                let mut map = serializer.serialize_map(Some(attributes.len()))?;
                for (name, value) in attributes.iter() {
                    map.serialize_entry(&**name, value)?;
                }
                map.end()
            }
            Self::Unknown => mark(UNKNOWN, serializer),
            Self::Sensitive(_) => mark(SENSITIVE, serializer),
        }
    }
}

fn mark<S: Serializer>(name: &str, serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(1))?;
    map.serialize_entry(name, &true)?;
    map.end()
}

/// Whole numbers that fit are JSON integers, others are doubles: JSON has no decimals.
fn serialize_number<S: Serializer>(number: &Number, serializer: S) -> Result<S::Ok, S::Error> {
    let whole = number.normalize();
    if whole.scale() == 0 {
        if let Some(integer) = whole.to_i64() {
            return serializer.serialize_i64(integer);
        }
        if let Some(integer) = whole.to_u64() {
            return serializer.serialize_u64(integer);
        }
    }
    serializer.serialize_f64(whole.to_f64().unwrap_or(f64::NAN))
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        // Through the shortest text, so that 0.1 stays 0.1.
        let text = value.to_string();
        let number = text.parse().or_else(|_| Number::from_scientific(&format!("{value:e}")));
        number.map(Value::Number).map_err(|_| E::custom(format!("the number {value} has too many digits")))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::string(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::with_capacity(seq.size_hint().unwrap_or(0).min(4096));
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::list(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut attributes = Object::new();
        while let Some((name, value)) = map.next_entry::<String, Value>()? {
            attributes.insert(name.into(), value);
        }
        if attributes.len() == 1 {
            if attributes.contains_key(UNKNOWN) {
                return Ok(Value::Unknown);
            }
            if attributes.contains_key(SENSITIVE) {
                return Ok(Value::Unknown.sensitive());
            }
        }
        Ok(Value::Object(attributes.into()))
    }
}
