//! What an expression is worth.

use std::collections::BTreeMap;
use std::sync::Arc;

/// An exact decimal number of at most 28 digits; arithmetic on it is checked, never wrapped.
pub type Number = rust_decimal::Decimal;

/// Attributes by name, in the order of their names (the order that `for` visits).
pub type Object = BTreeMap<Arc<str>, Value>;

/// A value of the language. Cheap to clone: compound values are shared.
///
/// *Unknown* is what becomes known only while a plan is applied. *Sensitive* marks what no output may show: the mark spreads
/// to everything computed from the value, and serialising refuses to look inside (see `Serialize`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Value {
    /// Nothing was said.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An exact decimal.
    Number(Number),
    /// Text.
    String(Arc<str>),
    /// Values in order (also what Terraform calls tuple; a set is a sorted list without repetition).
    List(Arc<Vec<Value>>),
    /// Values by name (map or object).
    Object(Arc<Object>),
    /// Known only after apply.
    Unknown,
    /// A value that no output may show. Never nested directly in another mark.
    Sensitive(Arc<Value>),
}

impl Value {
    /// Text.
    #[must_use]
    pub fn string(text: impl AsRef<str>) -> Self {
        Self::String(Arc::from(text.as_ref()))
    }

    /// A list.
    #[must_use]
    pub fn list(items: impl IntoIterator<Item = Self>) -> Self {
        Self::List(Arc::new(items.into_iter().collect()))
    }

    /// An object.
    #[must_use]
    pub fn object<K: AsRef<str>>(attributes: impl IntoIterator<Item = (K, Self)>) -> Self {
        Self::Object(Arc::new(attributes.into_iter().map(|(name, value)| (Arc::from(name.as_ref()), value)).collect()))
    }

    /// Marks a value as sensitive; marking twice changes nothing.
    #[must_use]
    pub fn sensitive(self) -> Self {
        match self {
            Self::Sensitive(_) => self,
            plain => Self::Sensitive(Arc::new(plain)),
        }
    }

    /// The value without its outer mark, and whether it had one.
    #[must_use]
    pub fn unmark(&self) -> (&Self, bool) {
        match self {
            Self::Sensitive(inner) => (inner, true),
            plain => (plain, false),
        }
    }

    /// The text, where it is a string and not sensitive.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The truth, where it is a bool and not sensitive.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The items, where it is a list and not sensitive.
    #[must_use]
    pub fn as_list(&self) -> Option<&[Self]> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }

    /// The attributes, where it is an object and not sensitive.
    #[must_use]
    pub fn as_object(&self) -> Option<&Object> {
        match self {
            Self::Object(attributes) => Some(attributes),
            _ => None,
        }
    }

    /// An attribute of an object.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.as_object().and_then(|attributes| attributes.get(name))
    }

    /// Whether it is null (a sensitive null is null).
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self.unmark().0, Self::Null)
    }

    /// Whether something unknown is in it, however deep.
    #[must_use]
    pub fn has_unknown(&self) -> bool {
        self.any(&|value| matches!(value, Self::Unknown))
    }

    /// Whether something sensitive is in it, however deep.
    #[must_use]
    pub fn has_sensitive(&self) -> bool {
        self.any(&|value| matches!(value, Self::Sensitive(_)))
    }

    fn any(&self, test: &dyn Fn(&Self) -> bool) -> bool {
        test(self)
            || match self {
                Self::List(items) => items.iter().any(|item| item.any(test)),
                Self::Object(attributes) => attributes.values().any(|value| value.any(test)),
                Self::Sensitive(inner) => inner.any(test),
                _ => false,
            }
    }

    /// The value with every mark taken off, however deep: for the process that needs it, never for output.
    #[must_use]
    pub fn revealed(&self) -> Self {
        match self {
            Self::Sensitive(inner) => inner.revealed(),
            Self::List(items) if self.has_sensitive() => Self::list(items.iter().map(Self::revealed)),
            Self::Object(attributes) if self.has_sensitive() => {
                Self::object(attributes.iter().map(|(name, value)| (name, value.revealed())))
            }
            plain => plain.clone(),
        }
    }

    /// Every text and number that is marked sensitive, however deep: what must be hidden in output.
    #[must_use]
    pub fn secrets(&self) -> Vec<String> {
        fn collect(value: &Value, marked: bool, secrets: &mut Vec<String>) {
            match value {
                Value::String(text) if marked => secrets.push(text.to_string()),
                Value::Number(number) if marked => secrets.push(number.to_string()),
                Value::Sensitive(inner) => collect(inner, true, secrets),
                Value::List(items) => items.iter().for_each(|item| collect(item, marked, secrets)),
                Value::Object(attributes) => attributes.values().for_each(|value| collect(value, marked, secrets)),
                _ => {}
            }
        }
        let mut secrets = Vec::new();
        collect(self, false, &mut secrets);
        secrets
    }

    /// What people call its type: `string`, `list`, `object`, ….
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::Number(_) => "number",
            Self::String(_) => "string",
            Self::List(_) => "list",
            Self::Object(_) => "object",
            Self::Unknown => "unknown",
            Self::Sensitive(inner) => inner.kind(),
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Number(value.into())
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Number(value.into())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::string(text)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text.into())
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}
