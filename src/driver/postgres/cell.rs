//! Values of PostgreSQL's binary form as values of the language.
//!
//! Takes the bytes of a cell, gives `None` for what it does not know. Formats: PostgreSQL's `src/backend/utils/adt/*.c`, the `…send`
//! functions.

use jiff::civil::date;
use jiff::{SignedDuration, Timestamp};
use tokio_postgres::types::{FromSql, Kind, Type};

use crate::lang::{Number, Value};

/// The bytes of a cell of any type.
pub(super) struct Raw<'a>(Option<&'a [u8]>);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(Some(raw)))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(None))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// The value of a cell; `None` where its type or its bytes are not known.
pub(super) fn value(ty: &Type, cell: Raw<'_>) -> Option<Value> {
    match cell.0 {
        None => Some(Value::Null),
        Some(bytes) => plain(ty, bytes),
    }
}

fn plain(ty: &Type, bytes: &[u8]) -> Option<Value> {
    match ty.kind() {
        Kind::Array(item) => return array(item, bytes),
        Kind::Domain(inner) => return plain(inner, bytes),
        Kind::Enum(_) => return text(bytes),
        _ => {}
    }
    Some(match *ty {
        Type::BOOL => Value::Bool(*bytes.first()? != 0),
        Type::INT2 => i64::from(i16::from_be_bytes(bytes.try_into().ok()?)).into(),
        Type::INT4 => i64::from(i32::from_be_bytes(bytes.try_into().ok()?)).into(),
        Type::INT8 => i64::from_be_bytes(bytes.try_into().ok()?).into(),
        Type::OID | Type::XID | Type::CID => i64::from(u32::from_be_bytes(bytes.try_into().ok()?)).into(),
        Type::FLOAT4 => float(f32::from_be_bytes(bytes.try_into().ok()?).to_string()),
        Type::FLOAT8 => float(f64::from_be_bytes(bytes.try_into().ok()?).to_string()),
        Type::NUMERIC => float(numeric(bytes)?),
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN | Type::CHAR | Type::XML => text(bytes)?,
        Type::JSON => json(bytes)?,
        // One byte of version comes first.
        Type::JSONB => json(bytes.strip_prefix(&[1])?)?,
        Type::UUID => Value::string(uuid::Uuid::from_slice(bytes).ok()?.to_string()),
        Type::BYTEA => Value::string(crate::driver::transfer::hex(bytes)),
        Type::TIMESTAMPTZ => Value::string(instant(bytes)?.to_string()),
        Type::TIMESTAMP => Value::string(instant(bytes)?.to_zoned(jiff::tz::TimeZone::UTC).datetime().to_string()),
        Type::DATE => {
            let days = i64::from(i32::from_be_bytes(bytes.try_into().ok()?));
            Value::string(date(2000, 1, 1).checked_add(SignedDuration::from_hours(days.checked_mul(24)?)).ok()?.to_string())
        }
        // `void`, what functions without a result give.
        Type::VOID => Value::Null,
        _ => return None,
    })
}

fn text(bytes: &[u8]) -> Option<Value> {
    std::str::from_utf8(bytes).ok().map(Value::string)
}

fn json(bytes: &[u8]) -> Option<Value> {
    serde_json::from_slice(bytes).ok().map(|json| crate::driver::http::plain_json(&json))
}

/// A number that is too long or none (`NaN`) stays a text.
fn float(text: String) -> Value {
    let exact = text.parse::<Number>().or_else(|_| Number::from_scientific(&text));
    exact.map_or_else(|_| Value::string(&text), |number| Value::Number(number.normalize()))
}

/// Microseconds since the year 2000. Infinity has no instant.
fn instant(bytes: &[u8]) -> Option<Timestamp> {
    let micros = i64::from_be_bytes(bytes.try_into().ok()?);
    Timestamp::from_microsecond(micros.checked_add(946_684_800_000_000)?).ok()
}

/// Digits to the base of ten thousand, a weight, a sign and a scale.
fn numeric(bytes: &[u8]) -> Option<String> {
    let short = |at: usize| Some(i16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let (count, weight, sign, scale) = (usize::try_from(short(0)?).ok()?, short(2)?, short(4)?.cast_unsigned(), short(6)?);
    let sign = match sign {
        0x0000 => "",
        0x4000 => "-",
        0xC000 => return Some("NaN".to_owned()),
        0xD000 => return Some("Infinity".to_owned()),
        0xF000 => return Some("-Infinity".to_owned()),
        _ => return None,
    };
    let digit = |position: i32| -> Option<i16> {
        let at = i32::from(weight) - position;
        match usize::try_from(at) {
            Ok(at) if at < count => short(8 + at * 2),
            _ => Some(0),
        }
    };
    let mut text = sign.to_owned();
    for position in (0..=i32::from(weight).max(0)).rev() {
        text.push_str(&format!("{:04}", digit(position)?));
    }
    let scale = usize::try_from(scale).ok()?;
    if scale > 0 {
        let mut fraction = String::new();
        for position in 1..=i32::try_from(scale.div_ceil(4)).ok()? {
            fraction.push_str(&format!("{:04}", digit(-position)?));
        }
        text.push('.');
        text.push_str(&fraction[..scale]);
    }
    Some(text)
}

/// An array of one dimension; deeper ones are not known.
fn array(item: &Type, bytes: &[u8]) -> Option<Value> {
    let int = |at: usize| Some(i32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    match int(0)? {
        0 => return Some(Value::list([])),
        1 => {}
        _ => return None,
    }
    let count = usize::try_from(int(12)?).ok()?;
    let mut at = 20;
    let mut items = Vec::new();
    for _ in 0..count {
        let length = int(at)?;
        at += 4;
        match usize::try_from(length) {
            Err(_) => items.push(Value::Null),
            Ok(length) => {
                items.push(plain(item, bytes.get(at..at + length)?)?);
                at += length;
            }
        }
    }
    Some(Value::list(items))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rubbish_is_not_known_and_breaks_nothing() {
        let types = [
            Type::BOOL,
            Type::INT2,
            Type::INT8,
            Type::NUMERIC,
            Type::JSONB,
            Type::UUID,
            Type::TIMESTAMPTZ,
            Type::DATE,
            Type::INT4_ARRAY,
        ];
        for ty in types {
            for length in 0..40 {
                for byte in [0x00, 0x7f, 0x80, 0xff] {
                    let _ = plain(&ty, &vec![byte; length]);
                }
            }
        }
        assert_eq!(plain(&Type::INT4, &[0, 0]), None);
        assert_eq!(plain(&Type::POINT, &[0; 16]), None);
    }
}
