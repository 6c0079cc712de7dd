//! The function library. One file a family; [`FUNCTIONS`] is the table that evaluation, documentation and suggestions read.
//!
//! A function sees plain values only: the evaluator takes sensitive marks off the arguments and puts them on the result, answers
//! *unknown* by itself where an argument holds something unknown, and converts arguments to the declared kinds (`"3"` to a number).
//! A function's error may quote its arguments, so that the evaluator says only *that* it failed where an argument is sensitive.
//! The lazy ones (`try`, `can`) and the ones about marks (`sensitive`, `nonsensitive`, `issensitive`) live in the evaluator.

mod args;
mod collection;
mod convert;
mod date;
mod decode;
mod digest;
mod encode;
mod encoding;
#[cfg(test)]
mod example_tests;
mod filesystem;
mod format;
mod format_number;
mod limit;
mod numeric;
mod pattern;
mod sequence;
mod set;
mod string;
mod table;
mod template;
#[cfg(test)]
pub(crate) mod tests;
mod time;
mod types;
mod version;
mod withheld;

pub(crate) use string::shell_quoted;
pub use table::FUNCTIONS;
pub use template::render;
pub use withheld::withheld;

use super::{Env, Value};

/// What a function answers: a value, or a clause for a diagnostic.
pub type Answer = Result<Value, String>;

/// The code of a function.
pub type Run = fn(&Env<'_>, &[Value]) -> Answer;

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
#[derive(Debug)]
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
    pub run: Run,
}

impl Function {
    /// A function whose parameters are all required; the families' tables are made of these.
    const fn new(
        family: &'static str,
        name: &'static str,
        params: &'static [Param],
        summary: &'static str,
        example: (&'static str, &'static str),
        run: Run,
    ) -> Self {
        Self { name, params, rest: None, optional: 0, family, summary, example, run }
    }

    /// The same, with its last `count` parameters optional.
    const fn optional(self, count: usize) -> Self {
        Self { optional: count, ..self }
    }

    /// The same, taking any number of further arguments.
    const fn rest(self, rest: Param) -> Self {
        Self { rest: Some(rest), ..self }
    }
}

/// Finds a function.
#[must_use]
pub fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.binary_search_by(|function| function.name.cmp(name)).ok().map(|index| FUNCTIONS[index])
}
