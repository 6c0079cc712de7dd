//! The compiled form of an expression: what the evaluator walks.
//!
//! Made by [`compile`](super::compile), immutable afterwards. Names that a `for` binds are numbered, constants are values, functions
//! are looked up: nothing is searched for a second time.

use std::sync::{Arc, OnceLock};

use super::Value;
use super::function::Function;
use crate::source::{SourceId, Span};

/// The text that an expression was compiled from.
#[derive(Debug)]
pub(super) struct Source {
    /// The whole text; for a constant made by the program, rendered when somebody asks.
    pub(super) text: OnceLock<Arc<str>>,
    /// The file, where it stands in one.
    pub(super) id: Option<SourceId>,
}

impl Source {
    pub(super) fn new(text: Arc<str>, id: Option<SourceId>) -> Self {
        Self { text: OnceLock::from(text), id }
    }

    /// The place of a range of bytes, where the text is a file's.
    pub(super) fn span(&self, at: At) -> Option<Span> {
        self.id.map(|source| Span { source, start: at.start, end: at.end })
    }

    /// The text of a range.
    pub(super) fn slice(&self, at: At) -> &str {
        self.text.get().and_then(|text| text.get(at.start as usize..at.end as usize)).unwrap_or("")
    }
}

/// A range of bytes in the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct At {
    pub(super) start: u32,
    pub(super) end: u32,
}

/// A part of an expression, and where it is written.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) at: At,
    pub(super) kind: Kind,
}

/// What a part of an expression does.
#[derive(Debug)]
pub(super) enum Kind {
    Const(Value),
    /// Text put together from parts.
    Template(Box<[Part]>),
    List(Box<[Node]>),
    Object(Box<[(Node, Node)]>),
    /// A root and what is selected from it.
    Access(Box<Access>),
    Conditional(Box<[Node; 3]>),
    And(Box<[Node; 2]>),
    Or(Box<[Node; 2]>),
    Binary(Binary, Box<[Node; 2]>),
    Not(Box<Node>),
    Negate(Box<Node>),
    Call(Box<Call>),
    For(Box<For>),
}

/// Strict operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Binary {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

/// A root and its selectors.
#[derive(Debug)]
pub(super) struct Access {
    pub(super) root: Root,
    pub(super) steps: Box<[Step]>,
}

/// What a selection starts from.
#[derive(Debug)]
pub(super) enum Root {
    /// A name of the scope, and its place.
    Name(Arc<str>, At),
    /// A variable of a `for`, by its number.
    Local(usize),
    Node(Node),
}

/// One selector.
#[derive(Debug)]
pub(super) enum Step {
    Attribute(Arc<str>, At),
    Index(Node),
    /// Applies the selectors to every item.
    Splat(Box<[Step]>, At),
}

impl Step {
    /// The literal name that it selects.
    pub(super) fn name(&self) -> Option<&Arc<str>> {
        match self {
            Self::Attribute(name, _) | Self::Index(Node { kind: Kind::Const(Value::String(name)), .. }) => Some(name),
            _ => None,
        }
    }

    pub(super) fn at(&self) -> At {
        match self {
            Self::Attribute(_, at) | Self::Splat(_, at) => *at,
            Self::Index(node) => node.at,
        }
    }
}

/// A function call.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) callee: Callee,
    pub(super) name: Arc<str>,
    pub(super) arguments: Box<[Node]>,
    /// Whether the last argument is a list of arguments (`...`).
    pub(super) expand: bool,
}

/// What a call calls.
#[derive(Clone, Copy)]
pub(super) enum Callee {
    Table(&'static Function),
    Try,
    Can,
    Sensitive,
    Nonsensitive,
    Issensitive,
    /// `list(…)`, `object(…)`, …: part of a type constraint, not a function.
    Type,
}

impl std::fmt::Debug for Callee {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Callee")
    }
}

/// `[for key, value in collection : result if condition]`, and with a key `{… : key => result}`.
#[derive(Debug)]
pub(super) struct For {
    pub(super) collection: Node,
    /// Whether keys are bound too, in front of the values.
    pub(super) binds_key: bool,
    pub(super) key: Option<Node>,
    pub(super) result: Node,
    pub(super) condition: Option<Node>,
    /// `...`: results of one key are gathered in a list.
    pub(super) group: bool,
}

/// A part of a template.
#[derive(Debug)]
pub(super) enum Part {
    Text(Arc<str>),
    Value(Node),
    If { condition: Node, then: Box<[Part]>, otherwise: Box<[Part]> },
    For { collection: Node, binds_key: bool, body: Box<[Part]> },
}
