//! Parsed configuration text: attributes and blocks, with places, expressions compiled.

use indexmap::IndexMap;
use std::sync::Arc;

use hcl_edit::Span as _;
use hcl_edit::structure::{BlockLabel, Structure};

use super::Expr;
use super::ast::{At, Source};
use super::compile::Compiler;
use super::guard::{self, Place};
use super::syntax;
use super::token::scan;
use crate::source::{Diagnostic, Diagnostics, SourceId, SourceMap, Span};

/// The mark that some editors put in front of UTF-8.
const BYTE_ORDER_MARK: &str = "\u{feff}";

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

impl Body {
    /// What an attribute is set to.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&Expr> {
        self.attributes.get(name).map(|attribute| &attribute.expr)
    }

    /// The blocks of a type, in the order written.
    pub fn blocks<'a>(&'a self, ident: &'a str) -> impl Iterator<Item = &'a Block> {
        self.blocks.iter().filter(move |block| &*block.ident == ident)
    }

    /// The first block of a type.
    #[must_use]
    pub fn block(&self, ident: &str) -> Option<&Block> {
        self.blocks.iter().find(|block| &*block.ident == ident)
    }
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
    let (tree, base) = syntax_tree(sources, source)?;
    let text = sources.shared(source);
    let kept = Arc::new(Source::new(Arc::clone(&text), Some(source)));
    let mut builder = Builder { compiler: Compiler::new(&kept, base), kept: &kept, source };
    let body = builder.body(&tree, At { start: 0, end: u32::try_from(text.len()).unwrap_or(u32::MAX) });
    let problems = builder.compiler.problems;
    problems.unless_errors(body).map(|(body, _)| body)
}

/// The parser's tree of a file, and where in the text it begins.
pub(super) fn syntax_tree(sources: &SourceMap, source: SourceId) -> Result<(hcl_edit::structure::Body, usize), Diagnostics> {
    let text = sources.text(source);
    let base = if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
    let place = Place { text: &text[base..], source: Some(source), base };
    guard::size(place)?;
    let tokens = scan(place.text);
    let problems = guard::check(place, &tokens, true);
    if problems.has_errors() {
        return Err(problems);
    }
    let tree = hcl_edit::parser::parse_body(place.text).map_err(|error| syntax::explain_body(place, &tokens, &error))?;
    Ok((tree, base))
}

/// Parses the text of one expression.
///
/// # Errors
/// As [`parse_body`].
pub fn parse_expr(sources: &SourceMap, source: SourceId) -> Result<Expr, Diagnostics> {
    expression(sources.shared(source), Some(source))
}

/// Parses one expression; blanks and line ends around it do not count.
pub(super) fn expression(text: Arc<str>, id: Option<SourceId>) -> Result<Expr, Diagnostics> {
    let inner = text.trim_start_matches(BYTE_ORDER_MARK).trim();
    let base = text.len() - text.trim_start_matches(BYTE_ORDER_MARK).trim_start().len();
    let place = Place { text: inner, source: id, base };
    guard::size(place)?;
    if inner.is_empty() {
        return Err(place.label(Diagnostic::error("missing value").detail("there is no expression"), 0, 0, "").into());
    }
    let tokens = scan(inner);
    let problems = guard::check(place, &tokens, false);
    if problems.has_errors() {
        return Err(problems);
    }
    let tree = hcl_edit::parser::parse_expr(inner).map_err(|error| syntax::explain_expr(place, &tokens, &error))?;
    let source = Arc::new(Source::new(Arc::clone(&text), id));
    let mut compiler = Compiler::new(&source, base);
    let whole = compiler.at(0..inner.len());
    let root = compiler.expression(&tree, whole);
    let problems = compiler.problems;
    problems.unless_errors(()).map(|_| Expr::new(root, Arc::clone(&source)).written_at(whole))
}

/// Parses a text with templates in it.
pub(super) fn template(text: Arc<str>) -> Result<Expr, Diagnostics> {
    let place = Place { text: &text, source: None, base: 0 };
    guard::size(place)?;
    // The guard sees the text as the inside of a heredoc, whose closing word nothing can contain.
    let tree = syntax::parse_template(place)?;
    let source = Arc::new(Source::new(Arc::clone(&text), None));
    let mut compiler = Compiler::new(&source, 0);
    compiler.rendered = true;
    let whole = compiler.at(0..text.len());
    let kind = compiler.bare(&tree, whole);
    let problems = compiler.problems;
    problems.unless_errors(()).map(|_| Expr::new(super::ast::Node { at: whole, kind }, Arc::clone(&source)))
}

struct Builder<'a> {
    compiler: Compiler<'a>,
    kept: &'a Arc<Source>,
    source: SourceId,
}

impl Builder<'_> {
    fn span(&self, at: At) -> Span {
        Span { source: self.source, start: at.start, end: at.end }
    }

    fn body(&mut self, tree: &hcl_edit::structure::Body, at: At) -> Body {
        let at = self.compiler.place(tree, at);
        let mut body = Body { span: Some(self.span(at)), ..Body::default() };
        for structure in tree {
            match structure {
                Structure::Attribute(attribute) => {
                    let name_at = self.compiler.place(&attribute.key, at);
                    let value_at = self.compiler.place(&attribute.value, name_at);
                    let root = self.compiler.expression(&attribute.value, value_at);
                    let expr = Expr::new(root, Arc::clone(self.kept)).written_at(value_at);
                    let name = Arc::from(attribute.key.value().as_str());
                    body.attributes.insert(name, Attribute { name_span: self.span(name_at), expr });
                }
                Structure::Block(block) => {
                    let ident_at = self.compiler.place(&block.ident, at);
                    let labels = block.labels.iter().map(|label| {
                        let range = match label {
                            BlockLabel::Ident(name) => name.span(),
                            BlockLabel::String(text) => text.span(),
                        };
                        let at = range.map_or(ident_at, |range| self.compiler.at(range));
                        (Arc::from(label.as_str()), self.span(at))
                    });
                    let labels = labels.collect();
                    let whole = structure.span().map_or(ident_at, |range| self.compiler.at(range));
                    let inner = self.body(&block.body, whole);
                    let ident = Arc::from(block.ident.value().as_str());
                    body.blocks.push(Block { ident, ident_span: self.span(ident_at), labels, body: inner });
                }
            }
        }
        self.no_name_is_both(&body);
        body
    }

    fn no_name_is_both(&mut self, body: &Body) {
        for block in &body.blocks {
            if let Some(attribute) = body.attributes.get(&block.ident) {
                self.compiler.problems.push(
                    Diagnostic::error("attribute and block of one name")
                        .detail(format!("`{}` is set as an attribute and written as a block", block.ident))
                        .help("keep one of the two")
                        .label(block.ident_span, "the block")
                        .label(attribute.name_span, "the attribute"),
                );
            }
        }
    }
}
