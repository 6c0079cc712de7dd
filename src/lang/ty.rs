//! Type constraints, as variables and settings declare them, and conversion to them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Value;

/// A type constraint: `string`, `list(number)`, `object({ name = string, port = optional(number, 80) })`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Type {
    /// Anything.
    Any,
    /// `true` or `false`.
    Bool,
    /// A number.
    Number,
    /// Text.
    String,
    /// Values of one type in order.
    List(Box<Type>),
    /// Values of one type, sorted, each once.
    Set(Box<Type>),
    /// Values of one type by name.
    Map(Box<Type>),
    /// Values of these types in order.
    Tuple(Vec<Type>),
    /// These attributes; others are dropped, as Terraform does.
    Object(BTreeMap<Arc<str>, Field>),
}

/// One attribute of an object type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// Its type.
    pub ty: Type,
    /// Whether it may be left out.
    pub optional: bool,
    /// What it is where it is left out.
    pub default: Value,
}
