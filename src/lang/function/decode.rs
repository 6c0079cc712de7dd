//! Values from JSON, YAML and CSV text.
//!
//! Not through `Value`'s own `Deserialize`: that one reads the marks of plans (`{"$unknown": true}`), which a user's document must
//! not be able to set.

use std::fmt;

use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::{Answer, convert, limit};
use crate::lang::{Number, Object, Value};

/// Reads JSON. Numbers beyond 64 bits and fractions come through doubles: what a double holds is what counts.
pub(super) fn json(text: &str) -> Answer {
    serde_json::from_str(text).map(|Plain(value)| value).map_err(|error| format!("this is no JSON: {error}"))
}

/// Reads one YAML document. Aliases are limited, and only `true` and `false` are bools.
pub(super) fn yaml(text: &str) -> Answer {
    // Only a comment or nothing at all: null, as YAML says.
    let options = serde_saphyr::options! { with_snippet: false, strict_booleans: true };
    serde_saphyr::from_str_with_options(text, options).map(|Plain(value)| value).map_err(|error| {
        let reason = error.to_string();
        format!("this is no YAML: {}", reason.lines().next().unwrap_or_default())
    })
}

/// Reads CSV with a header line: an object of texts for every further line.
pub(super) fn csv(text: &str) -> Answer {
    let wrong = |error: csv::Error| format!("this is no CSV: {error}");
    let mut reader = csv::ReaderBuilder::new().from_reader(text.as_bytes());
    let header = reader.headers().map_err(wrong)?.clone();
    for (index, name) in header.iter().enumerate() {
        if header.iter().take(index).any(|other| other == name) {
            return Err(format!("column {name:?} stands twice in the header"));
        }
    }
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(wrong)?;
        limit::push(&mut rows, Value::object(header.iter().zip(record.iter().map(Value::from))))?;
    }
    Ok(Value::list(rows))
}

/// A value as other programs write it.
struct Plain(Value);

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PlainVisitor).map(Plain)
    }
}

struct PlainVisitor;

fn number<E: de::Error>(text: &str) -> Result<Value, E> {
    convert::parse_number(text).map(Value::Number).ok_or_else(|| E::custom(format!("the number {text} has more than 28 digits")))
}

impl<'de> Visitor<'de> for PlainVisitor {
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

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E: de::Error>(self, truth: bool) -> Result<Value, E> {
        Ok(truth.into())
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i128<E: de::Error>(self, value: i128) -> Result<Value, E> {
        number(&value.to_string())
    }

    fn visit_u128<E: de::Error>(self, value: u128) -> Result<Value, E> {
        number(&value.to_string())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        if !value.is_finite() {
            return Err(E::custom("infinity and not-a-number are no numbers here"));
        }
        // Through the shortest text, so that 0.1 stays 0.1.
        let text = value.to_string();
        Number::from_str_exact(&text).map(Value::Number).or_else(|_| number(&format!("{value:e}")))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(Plain(item)) = seq.next_element()? {
            limit::push(&mut items, item).map_err(de::Error::custom)?;
        }
        Ok(Value::list(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut attributes = Object::new();
        while let Some((Plain(name), Plain(value))) = map.next_entry()? {
            let text = match &name {
                Value::Null => Some("null".into()),
                name => convert::text_of(name),
            };
            let name = text.ok_or_else(|| de::Error::custom(format!("a name must be a text, not a {}", name.kind())))?;
            attributes.insert(name, value);
        }
        Ok(Value::Object(attributes.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lang::function::tests::number;

    #[test]
    fn a_document_cannot_forge_the_marks_of_plans() {
        let object = Value::object([("$unknown", Value::from(true))]);
        assert_eq!(json(r#"{"$unknown": true}"#), Ok(object.clone()));
        assert_eq!(yaml("$unknown: true"), Ok(object));
        assert_eq!(json(r#"{"$sensitive": true}"#), Ok(Value::object([("$sensitive", Value::from(true))])));
    }

    #[test]
    fn numbers_are_what_was_written() {
        assert_eq!(
            json("[0.1, 1e3, 18446744073709551615, -5]"),
            Ok(Value::list(["0.1", "1000", "18446744073709551615", "-5"].map(number)))
        );
        assert!(json("1e300").unwrap_err().contains("28 digits"));
        assert!(yaml(".inf").unwrap_err().contains("non-finite"));
    }

    #[test]
    fn errors_are_one_line() {
        for text in ["{", "[1,]", "nope"] {
            assert!(json(text).unwrap_err().starts_with("this is no JSON: "));
        }
        for text in ["a: [", "a: b: c", "- a\nb", "\"", "--- 1\n--- 2", "*x"] {
            let error = yaml(text).unwrap_err();
            assert!(error.starts_with("this is no YAML: ") && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn deep_documents_and_multiplying_aliases_are_refused() {
        assert!(json(&"[".repeat(100_000)).is_err());
        assert!(yaml(&"[".repeat(100_000)).is_err());
        let mut laughs = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
        for level in 1..12 {
            let previous = format!("*a{},", level - 1).repeat(10);
            laughs.push_str(&format!("a{level}: &a{level} [{previous}]\n"));
        }
        assert!(yaml(&laughs).is_err());
    }

    #[test]
    fn yaml_keeps_words_as_texts() {
        let wanted = Value::object([
            ("a", "yes".into()),
            ("b", true.into()),
            ("c", Value::Null),
            ("8", "2024-01-01".into()),
            ("d", number("8")),
        ]);
        assert_eq!(yaml("a: yes\nb: true\nc: ~\n8: 2024-01-01\nd: 8"), Ok(wanted));
        assert_eq!(yaml(""), Ok(Value::Null));
    }

    #[test]
    fn csv_gives_an_object_a_line() {
        let wanted = Value::list([Value::object([("a", "1".into()), ("b", "x,y".into())])]);
        assert_eq!(csv("a,b\n1,\"x,y\"\n"), Ok(wanted));
        assert_eq!(csv(""), Ok(Value::list([])));
        assert!(csv("a,a\n1,2").unwrap_err().contains("twice"));
        assert!(csv("a,b\n1").unwrap_err().starts_with("this is no CSV"));
    }
}
