//! How large a result may grow. Values are shared, so that a short expression can describe a text or a list that no machine holds:
//! whatever multiplies its input goes through here and stops with an error in place of memory.

use std::fmt;
use std::io;

use super::super::Value;
use super::Answer;

/// The longest text that a function gives, in bytes.
pub(super) const TEXT: usize = 16 << 20;

/// The longest list that a function gives, in items.
pub(super) const ITEMS: usize = 1_000_000;

/// Why a text is refused.
pub(super) fn text_error() -> String {
    format!("the result would be longer than {} MiB", TEXT >> 20)
}

/// Why a list is refused.
pub(super) fn items_error() -> String {
    format!("the result would have more than {ITEMS} items")
}

/// A text as an answer.
pub(super) fn text(text: String) -> Answer {
    if text.len() > TEXT { Err(text_error()) } else { Ok(text.into()) }
}

/// A list as an answer; stops collecting at the limit.
pub(super) fn list(items: impl IntoIterator<Item = Value>) -> Answer {
    let mut collected = Vec::new();
    for item in items {
        push(&mut collected, item)?;
    }
    Ok(Value::list(collected))
}

/// Adds an item to a list that grows.
pub(super) fn push(items: &mut Vec<Value>, item: Value) -> Result<(), String> {
    if items.len() >= ITEMS {
        return Err(items_error());
    }
    items.push(item);
    Ok(())
}

/// How many values a walk through a value may still visit: one that shares its parts is larger than it looks.
#[derive(Debug)]
pub(super) struct Visits(usize);

impl Default for Visits {
    fn default() -> Self {
        Self(ITEMS)
    }
}

impl Visits {
    /// Counts one value.
    pub(super) fn count(&mut self) -> Result<(), String> {
        self.0 = self.0.checked_sub(1).ok_or_else(|| format!("the value has more than {ITEMS} parts"))?;
        Ok(())
    }
}

/// A text that grows to the limit and no further.
#[derive(Debug, Default)]
pub(super) struct Text(String);

impl Text {
    /// Adds a piece.
    pub(super) fn push(&mut self, piece: &str) -> Result<(), String> {
        if piece.len() > TEXT - self.0.len() {
            return Err(text_error());
        }
        self.0.push_str(piece);
        Ok(())
    }

    /// Adds a character a number of times.
    pub(super) fn fill(&mut self, fill: char, times: usize) -> Result<(), String> {
        if times.saturating_mul(fill.len_utf8()) > TEXT - self.0.len() {
            return Err(text_error());
        }
        self.0.extend(std::iter::repeat_n(fill, times));
        Ok(())
    }

    /// The text as an answer.
    pub(super) fn answer(self) -> Answer {
        Ok(self.0.into())
    }

    /// The text itself.
    pub(super) fn into_string(self) -> String {
        self.0
    }
}

impl fmt::Write for Text {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        self.push(piece).map_err(|_| fmt::Error)
    }
}

/// Bytes that grow to the limit and no further.
#[derive(Debug, Default)]
pub(super) struct Bytes(pub(super) Vec<u8>);

impl io::Write for Bytes {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        if piece.len() > TEXT - self.0.len() {
            return Err(io::Error::other(text_error()));
        }
        self.0.extend_from_slice(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_grows_to_the_limit_and_no_further() {
        let mut text = Text::default();
        text.fill('x', TEXT).unwrap();
        assert_eq!(text.push("y").unwrap_err(), "the result would be longer than 16 MiB");
        assert!(text.push("").is_ok());
        assert!(Text::default().fill('é', usize::MAX).is_err());
    }

    #[test]
    fn an_endless_list_is_refused() {
        assert_eq!(list(std::iter::repeat(Value::Null)).unwrap_err(), "the result would have more than 1000000 items");
    }
}
