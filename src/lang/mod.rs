//! The expression language: values, types, expressions and the functions they call.
//!
//! Takes text (through hcl-edit's parser, behind caps on size and depth) and gives [`Body`] trees whose expressions are compiled
//! once and evaluated many times against a [`Scope`]. Pure: what reaches the file system or the clock comes in through [`Env`].

mod access;
mod ast;
mod body;
mod call;
mod compile;
mod conversion;
pub(crate) mod convert;
mod env;
mod eval;
mod expr;
mod flow;
pub mod fmt;
pub mod function;
mod guard;
mod json;
mod operator;
pub mod render;
pub mod schema;
mod scope;
#[cfg(test)]
mod semantics;
mod syntax;
mod template;
mod token;
mod ty;
mod value;

pub use body::{Attribute, Block, Body, parse_body, parse_expr};
pub use env::{Env, Files, NoFiles};
pub use expr::{Expr, Reference};
pub use schema::{AttributeRule, BlockRule, Schema};
pub use scope::{Layered, Scope, Vars};
pub use ty::{Field, Type};
pub use value::{Number, Object, Value};
