//! Quoted strings and heredocs: white space that `~` strips, indentation that `<<-` removes, directives.
//!
//! Both act on the sequence of pieces as written, across directives, so a template is first laid out flat, then stripped, then
//! rebuilt as a tree. Heredoc text is taken from the source: the parser's own removal of indentation differs from Terraform's.

use std::collections::VecDeque;
use std::sync::Arc;

use hcl_edit::template::{Directive, Element, HeredocTemplate, StringTemplate, Strip, Template};

use super::Value;
use super::ast::{At, Kind, Part};
use super::compile::Compiler;

/// A piece of a template laid out flat.
enum Piece {
    /// Text; in a heredoc at most one line of it.
    Text(String),
    /// An interpolation or a directive's tag, and the sides that it strips.
    Tag { left: bool, right: bool },
}

impl Compiler<'_> {
    pub(super) fn quoted(&mut self, template: &StringTemplate, at: At) -> Kind {
        self.template(template, at, false, false)
    }

    pub(super) fn heredoc(&mut self, heredoc: &HeredocTemplate, at: At) -> Kind {
        let dedent = self.source.slice(at).starts_with("<<-");
        self.template(&heredoc.template, at, true, dedent)
    }

    /// A template that stands on its own, as a file's content does.
    pub(super) fn bare(&mut self, template: &Template, at: At) -> Kind {
        self.template(template, at, true, false)
    }

    fn template(&mut self, template: &Template, at: At, lines: bool, dedent: bool) -> Kind {
        let mut pieces = Vec::new();
        self.flatten(template, lines, &mut pieces);
        strip(&mut pieces);
        if dedent {
            remove_indentation(&mut pieces);
        }
        let mut texts = pieces
            .into_iter()
            .filter_map(|piece| match piece {
                Piece::Text(text) => Some(text),
                Piece::Tag { .. } => None,
            })
            .collect();
        let mut parts = self.parts(template, at, lines, &mut texts);
        // `"${x}"` is x itself, whatever its type.
        if parts.len() == 1 {
            match parts.pop() {
                Some(Part::Value(node)) if !lines => return node.kind,
                Some(Part::Text(text)) => return Kind::Const(Value::String(text)),
                Some(part) => parts.push(part),
                None => {}
            }
        }
        if parts.is_empty() {
            return Kind::Const(Value::string(""));
        }
        Kind::Template(parts.into())
    }

    fn flatten(&self, template: &Template, lines: bool, pieces: &mut Vec<Piece>) {
        let tag = |pieces: &mut Vec<Piece>, strip: Strip| {
            pieces.push(Piece::Tag { left: strip.strip_start(), right: strip.strip_end() });
        };
        for element in template {
            match element {
                Element::Literal(_) => pieces.extend(self.texts(element, lines).into_iter().map(Piece::Text)),
                Element::Interpolation(interpolation) => tag(pieces, interpolation.strip),
                Element::Directive(directive) => match &**directive {
                    Directive::If(directive) => {
                        tag(pieces, directive.if_expr.strip);
                        self.flatten(&directive.if_expr.template, lines, pieces);
                        if let Some(otherwise) = &directive.else_expr {
                            tag(pieces, otherwise.strip);
                            self.flatten(&otherwise.template, lines, pieces);
                        }
                        tag(pieces, directive.endif_expr.strip);
                    }
                    Directive::For(directive) => {
                        tag(pieces, directive.for_expr.strip);
                        self.flatten(&directive.for_expr.template, lines, pieces);
                        tag(pieces, directive.endfor_expr.strip);
                    }
                },
            }
        }
    }

    /// The text of a literal; by line in a heredoc.
    fn texts(&self, element: &Element, lines: bool) -> Vec<String> {
        let Element::Literal(literal) = element else {
            return Vec::new();
        };
        if !lines {
            return vec![literal.value().clone()];
        }
        let raw = hcl_edit::Span::span(literal).map(|range| self.source.slice(self.at(range)));
        let text = raw.map_or_else(|| literal.value().clone(), |raw| raw.replace("$${", "${").replace("%%{", "%{"));
        text.split_inclusive('\n').map(str::to_owned).collect()
    }

    fn parts(&mut self, template: &Template, at: At, lines: bool, texts: &mut VecDeque<String>) -> Vec<Part> {
        let mut parts = Vec::new();
        for element in template {
            match element {
                Element::Literal(_) => {
                    let count = self.texts(element, lines).len();
                    let text: String = texts.drain(..count.min(texts.len())).collect();
                    if !text.is_empty() {
                        parts.push(Part::Text(Arc::from(text)));
                    }
                }
                Element::Interpolation(interpolation) => {
                    let node = self.expression(&interpolation.expr, at);
                    parts.push(Part::Value(node));
                }
                Element::Directive(directive) => match &**directive {
                    Directive::If(directive) => {
                        let condition = self.expression(&directive.if_expr.cond_expr, at);
                        let then = self.parts(&directive.if_expr.template, at, lines, texts).into();
                        let otherwise = directive.else_expr.as_ref();
                        let otherwise =
                            otherwise.map_or_else(Vec::new, |other| self.parts(&other.template, at, lines, texts)).into();
                        parts.push(Part::If { condition, then, otherwise });
                    }
                    Directive::For(directive) => {
                        let each = &directive.for_expr;
                        let collection = self.expression(&each.collection_expr, at);
                        let outer = self.bound.len();
                        if let Some(key) = &each.key_var {
                            self.bound.push(Arc::from(key.value().as_str()));
                        }
                        self.bound.push(Arc::from(each.value_var.value().as_str()));
                        let body = self.parts(&each.template, at, lines, texts).into();
                        self.bound.truncate(outer);
                        parts.push(Part::For { collection, binds_key: each.key_var.is_some(), body });
                    }
                },
            }
        }
        parts
    }
}

/// Removes the white space that `~` asks to remove, from the piece next to it only.
fn strip(pieces: &mut [Piece]) {
    for index in 0..pieces.len() {
        let Piece::Tag { left, right } = pieces[index] else {
            continue;
        };
        if left
            && index > 0
            && let Piece::Text(text) = &mut pieces[index - 1]
        {
            text.truncate(text.trim_end().len());
        }
        if right && let Some(Piece::Text(text)) = pieces.get_mut(index + 1) {
            text.drain(..text.len() - text.trim_start().len());
        }
    }
}

/// Removes the indentation that all lines share. Blank lines do not count; a line that begins with a tag has none.
fn remove_indentation(pieces: &mut [Piece]) {
    let mut shared = usize::MAX;
    let mut indented = Vec::new();
    let mut line_start = true;
    for (index, piece) in pieces.iter().enumerate() {
        if line_start {
            line_start = false;
            match piece {
                Piece::Text(text) if text.trim_start().is_empty() && text.ends_with('\n') => {}
                Piece::Text(text) => {
                    shared = shared.min(text.chars().take_while(|c| c.is_whitespace()).count());
                    indented.push(index);
                }
                Piece::Tag { .. } => shared = 0,
            }
        }
        if let Piece::Text(text) = piece {
            line_start |= text.ends_with('\n');
        }
    }
    for index in indented {
        if let Piece::Text(text) = &mut pieces[index] {
            let cut = text.char_indices().nth(shared).map_or(text.len(), |(at, _)| at);
            text.drain(..cut);
        }
    }
}
