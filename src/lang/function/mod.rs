//! The function library. One file a family; [`FUNCTIONS`] is the table that evaluation, documentation and suggestions read.
//!
//! A function sees plain values only: the evaluator takes sensitive marks off the arguments and puts them on the result, answers
//! *unknown* by itself where an argument holds something unknown, and converts arguments to the declared kinds (`"3"` to a number).
//! The lazy ones (`try`, `can`) and the ones about marks (`sensitive`, `nonsensitive`, `issensitive`) live in the evaluator.

mod version;

use super::{Env, Value};

/// What kind of value a parameter takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Anything, null included.
    Any,
    /// Converted to bool.
    Bool,
    /// Converted to a number.
    Number,
    /// Converted to text.
    String,
    /// A list.
    List,
    /// An object (map).
    Object,
}

/// A parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Param {
    /// Its name, for documentation and errors.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
}

/// Shorthand for tables.
#[must_use]
pub const fn param(name: &'static str, kind: Kind) -> Param {
    Param { name, kind }
}

/// A function of the language.
pub struct Function {
    /// Its name.
    pub name: &'static str,
    /// Parameters that must be given.
    pub params: &'static [Param],
    /// Takes any number of further arguments of this kind.
    pub rest: Option<Param>,
    /// How many of `params`, counted from the end, may be left out.
    pub optional: usize,
    /// The family, for the reference: `string`, `collection`, `numeric`, `encoding`, `filesystem`, `hash`, `time`, `type`, `version`.
    pub family: &'static str,
    /// One sentence for the reference.
    pub summary: &'static str,
    /// An expression that shows it, and what it gives: both are run as a test. `("upper(\"a\")", "\"A\"")`.
    pub example: (&'static str, &'static str),
    /// Does the work. The error is a clause for a diagnostic: `argument "list" is empty`.
    pub run: fn(&Env<'_>, &[Value]) -> Result<Value, String>,
}

/// Every function, sorted by name.
pub static FUNCTIONS: &[&Function] =
    &[&version::VERSION[0], &version::VERSION[1], &version::VERSION[2], &version::VERSION[3], &version::VERSION[4]];

/// Finds a function.
#[must_use]
pub fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.binary_search_by(|function| function.name.cmp(name)).ok().map(|index| FUNCTIONS[index])
}
