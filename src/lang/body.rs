//! Parsed configuration text: attributes and blocks, with places, expressions compiled.

use indexmap::IndexMap;
use std::sync::Arc;

use super::Expr;
use crate::source::{Diagnostics, SourceId, SourceMap, Span};

/// The content of a file or of a block.
#[derive(Debug, Clone, Default)]
pub struct Body {
    /// `name = expression`, in the order written; a name stands once.
    pub attributes: IndexMap<Arc<str>, Attribute>,
    /// Blocks, in the order written.
    pub blocks: Vec<Block>,
    /// Everything between the braces, where it was written.
    pub span: Option<Span>,
}

/// `name = expression`.
#[derive(Debug, Clone)]
pub struct Attribute {
    /// The name's place.
    pub name_span: Span,
    /// What it is set to.
    pub expr: Expr,
}

/// `ident "label" "label" { … }`.
#[derive(Debug, Clone)]
pub struct Block {
    /// The block's type, and its place.
    pub ident: Arc<str>,
    /// Where the type stands.
    pub ident_span: Span,
    /// Labels with their places.
    pub labels: Vec<(Arc<str>, Span)>,
    /// What is between the braces.
    pub body: Body,
}

impl Block {
    /// The place of the header: type and labels.
    #[must_use]
    pub fn header_span(&self) -> Span {
        self.labels.last().map_or(self.ident_span, |(_, last)| self.ident_span.to(*last))
    }
}

/// Parses a file's text.
///
/// # Errors
/// Every syntax error, with a place and a remedy; also texts that are too large or too deep.
pub fn parse_body(sources: &SourceMap, source: SourceId) -> Result<Body, Diagnostics> {
    let _ = (sources, source);
    todo!()
}

/// Parses the text of one expression.
///
/// # Errors
/// As [`parse_body`].
pub fn parse_expr(sources: &SourceMap, source: SourceId) -> Result<Expr, Diagnostics> {
    let _ = (sources, source);
    todo!()
}
