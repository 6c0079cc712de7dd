//! From the parser's tree to the compiled form.
//!
//! Numbers the names that `for` binds, finds the functions, parses numbers exactly, and reports what the parser lets through:
//! unknown functions, wrong numbers of arguments, repeated keys. Depth is bounded by the parser.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use hcl_edit::Span as _;
use hcl_edit::expr::{self, BinaryOperator, Expression, ObjectKey, TraversalOperator, UnaryOperator};

use super::ast::{Access, At, Binary, Call, Callee, For, Kind, Node, Root, Source, Step};
use super::function::{self, FUNCTIONS, Function};
use super::{Number, Value};
use crate::source::{Diagnostic, Diagnostics, nearest};

/// Functions that the evaluator itself knows.
const BUILT_IN: &[(&str, Callee)] = &[
    ("can", Callee::Can),
    ("issensitive", Callee::Issensitive),
    ("nonsensitive", Callee::Nonsensitive),
    ("sensitive", Callee::Sensitive),
    ("try", Callee::Try),
];

/// What looks like a function in a type constraint.
const TYPES: &[&str] = &["list", "map", "object", "optional", "set", "tuple"];

/// Functions that a template rendered by a function may not call: it could call itself for ever.
const NOT_IN_TEMPLATES: &[&str] = &["templatefile", "templatestring"];

/// The most splats in a row: the parser bounds brackets in brackets, but not these.
const MAX_SPLATS: usize = 16;

/// Compiles one text's expressions.
pub(super) struct Compiler<'a> {
    pub(super) source: &'a Source,
    /// Where the text that the parser saw begins in the source.
    pub(super) base: usize,
    /// Names that enclosing `for`s bind, outermost first.
    pub(super) bound: Vec<Arc<str>>,
    /// Whether this is a template that a function renders.
    pub(super) rendered: bool,
    pub(super) problems: Diagnostics,
    /// Splats around the selectors that are being compiled.
    splats: usize,
}

impl<'a> Compiler<'a> {
    pub(super) fn new(source: &'a Source, base: usize) -> Self {
        Self { source, base, bound: Vec::new(), rendered: false, problems: Diagnostics::new(), splats: 0 }
    }

    /// The place of a range that the parser gives.
    pub(super) fn at(&self, range: Range<usize>) -> At {
        let clamp = |offset: usize| u32::try_from(offset + self.base).unwrap_or(u32::MAX);
        At { start: clamp(range.start), end: clamp(range.end) }
    }

    pub(super) fn place(&self, spanned: &impl hcl_edit::Span, otherwise: At) -> At {
        spanned.span().map_or(otherwise, |range| self.at(range))
    }

    pub(super) fn problem(&mut self, at: At, diagnostic: Diagnostic) {
        let diagnostic = match self.source.span(at) {
            Some(span) => diagnostic.at(span),
            None => {
                let detail = format!("{}, in `{}`", diagnostic.detail, self.source.slice(at));
                diagnostic.detail(detail)
            }
        };
        self.problems.push(diagnostic);
    }

    /// Compiles an expression; `outer` is its place where the parser kept none.
    pub(super) fn expression(&mut self, expression: &Expression, outer: At) -> Node {
        let at = self.place(expression, outer);
        let kind = match expression {
            Expression::Null(_) => Kind::Const(Value::Null),
            Expression::Bool(value) => Kind::Const(Value::Bool(*value.value())),
            Expression::Number(_) => self.number(at),
            Expression::String(text) => Kind::Const(Value::string(text.value())),
            Expression::Array(items) => Kind::List(items.iter().map(|item| self.expression(item, at)).collect()),
            Expression::Object(object) => self.object(object, at),
            Expression::StringTemplate(template) => self.quoted(template, at),
            Expression::HeredocTemplate(heredoc) => self.heredoc(heredoc, at),
            Expression::Parenthesis(inner) => return self.expression(inner.inner(), at),
            Expression::Variable(name) => {
                let root = self.root(name.value(), at);
                Kind::Access(Box::new(Access { root, steps: Box::default() }))
            }
            Expression::Conditional(conditional) => Kind::Conditional(Box::new([
                self.expression(&conditional.cond_expr, at),
                self.expression(&conditional.true_expr, at),
                self.expression(&conditional.false_expr, at),
            ])),
            Expression::FuncCall(call) => self.call(call, at),
            Expression::Traversal(traversal) => self.traversal(traversal, at),
            Expression::UnaryOp(operation) => {
                let operand = Box::new(self.expression(&operation.expr, at));
                match operation.operator.value() {
                    UnaryOperator::Neg => Kind::Negate(operand),
                    UnaryOperator::Not => Kind::Not(operand),
                }
            }
            Expression::BinaryOp(operation) => return self.binary(operation, expression.span(), at),
            Expression::ForExpr(expr) => self.for_expression(expr, at),
        };
        Node { at, kind }
    }

    /// Numbers are read from the text: the parser's are floating.
    fn number(&mut self, at: At) -> Kind {
        let text: String = self.source.slice(at).chars().filter(|c| !c.is_whitespace()).collect();
        let exponent = text.contains(['e', 'E']);
        let number = if exponent { Number::from_scientific(&text) } else { Number::from_str_exact(&text) };
        match number {
            Ok(number) => Kind::Const(Value::Number(number)),
            Err(_) => {
                self.problem(
                    at,
                    Diagnostic::error("number too long")
                        .detail("numbers have at most 28 digits")
                        .help("write fewer digits, or put the number in quotes if it is only a name"),
                );
                Kind::Const(Value::Null)
            }
        }
    }

    fn object(&mut self, object: &expr::Object, at: At) -> Kind {
        let mut entries = Vec::with_capacity(object.len());
        let mut seen: HashMap<Arc<str>, At> = HashMap::new();
        for (key, value) in object {
            let key = match key {
                ObjectKey::Ident(name) => {
                    Node { at: self.place(name, at), kind: Kind::Const(Value::string(name.value().as_str())) }
                }
                ObjectKey::Expression(key) => self.expression(key, at),
            };
            if let Kind::Const(Value::String(name)) = &key.kind
                && let Some(first) = seen.insert(Arc::clone(name), key.at)
            {
                let mut diagnostic = Diagnostic::error("duplicate key")
                    .detail(format!("the key `{name}` stands twice in this object"))
                    .help("keep one of the two");
                if let (Some(here), Some(first)) = (self.source.span(key.at), self.source.span(first)) {
                    diagnostic = diagnostic.label(here, "again here").label(first, "first here");
                }
                self.problems.push(diagnostic);
            }
            let value = self.expression(value.expr(), at);
            entries.push((key, value));
        }
        Kind::Object(entries.into())
    }

    fn root(&self, name: &str, at: At) -> Root {
        match self.bound.iter().rposition(|bound| &**bound == name) {
            Some(index) => Root::Local(index),
            None => Root::Name(Arc::from(name), at),
        }
    }

    fn traversal(&mut self, traversal: &expr::Traversal, at: At) -> Kind {
        let root = match &traversal.expr {
            Expression::Variable(name) => self.root(name.value(), self.place(name, at)),
            other => Root::Node(self.expression(other, at)),
        };
        let operators: Vec<&TraversalOperator> = traversal.operators.iter().map(hcl_edit::Decorated::value).collect();
        let steps = self.steps(&operators, at);
        Kind::Access(Box::new(Access { root, steps }))
    }

    fn steps(&mut self, operators: &[&TraversalOperator], at: At) -> Box<[Step]> {
        let mut steps = Vec::with_capacity(operators.len());
        let mut rest = operators;
        while let Some((operator, after)) = rest.split_first() {
            rest = after;
            match operator {
                TraversalOperator::GetAttr(name) => {
                    steps.push(Step::Attribute(Arc::from(name.value().as_str()), self.place(name, at)));
                }
                TraversalOperator::Index(index) => {
                    let node = self.expression(index, at);
                    steps.push(Step::Index(node));
                }
                TraversalOperator::LegacyIndex(index) => {
                    let kind = Kind::Const(Value::from(*index.value()));
                    steps.push(Step::Index(Node { at: self.place(index, at), kind }));
                }
                TraversalOperator::AttrSplat(splat) => {
                    // Only attributes belong to the items; an index after them is one into the list of results.
                    let own = rest.iter().take_while(|operator| matches!(operator, TraversalOperator::GetAttr(_))).count();
                    let each = self.steps(&rest[..own], at);
                    steps.push(Step::Splat(each, self.place(splat, at)));
                    rest = &rest[own..];
                }
                TraversalOperator::FullSplat(splat) if self.splats >= MAX_SPLATS => {
                    let at = self.place(splat, at);
                    self.problem(
                        at,
                        Diagnostic::error("nested too deeply")
                            .detail(format!("at most {MAX_SPLATS} splats follow each other"))
                            .help("use `flatten(…)` or a `for` expression"),
                    );
                    rest = &[];
                }
                TraversalOperator::FullSplat(splat) => {
                    self.splats += 1;
                    let each = self.steps(rest, at);
                    self.splats -= 1;
                    steps.push(Step::Splat(each, self.place(splat, at)));
                    rest = &[];
                }
            }
        }
        steps.into()
    }

    fn binary(&mut self, operation: &expr::BinaryOp, span: Option<Range<usize>>, outer: At) -> Node {
        let left = self.expression(&operation.lhs_expr, outer);
        let right = self.expression(&operation.rhs_expr, outer);
        let at = span.map_or(At { start: left.at.start, end: right.at.end }, |range| self.at(range));
        let both = Box::new([left, right]);
        let kind = match operation.operator.value() {
            BinaryOperator::And => Kind::And(both),
            BinaryOperator::Or => Kind::Or(both),
            BinaryOperator::Plus => Kind::Binary(Binary::Add, both),
            BinaryOperator::Minus => Kind::Binary(Binary::Subtract, both),
            BinaryOperator::Mul => Kind::Binary(Binary::Multiply, both),
            BinaryOperator::Div => Kind::Binary(Binary::Divide, both),
            BinaryOperator::Mod => Kind::Binary(Binary::Remainder, both),
            BinaryOperator::Eq => Kind::Binary(Binary::Equal, both),
            BinaryOperator::NotEq => Kind::Binary(Binary::NotEqual, both),
            BinaryOperator::Less => Kind::Binary(Binary::Less, both),
            BinaryOperator::LessEq => Kind::Binary(Binary::LessEqual, both),
            BinaryOperator::Greater => Kind::Binary(Binary::Greater, both),
            BinaryOperator::GreaterEq => Kind::Binary(Binary::GreaterEqual, both),
        };
        Node { at, kind }
    }

    fn for_expression(&mut self, expr: &expr::ForExpr, at: At) -> Kind {
        let collection = self.expression(&expr.intro.collection_expr, at);
        let outer = self.bound.len();
        if let Some(key) = &expr.intro.key_var {
            self.bound.push(Arc::from(key.value().as_str()));
        }
        self.bound.push(Arc::from(expr.intro.value_var.value().as_str()));
        let key = expr.key_expr.as_ref().map(|key| self.expression(key, at));
        let result = self.expression(&expr.value_expr, at);
        let condition = expr.cond.as_ref().map(|condition| self.expression(&condition.expr, at));
        self.bound.truncate(outer);
        let binds_key = expr.intro.key_var.is_some();
        Kind::For(Box::new(For { collection, binds_key, key, result, condition, group: expr.grouping }))
    }

    fn call(&mut self, call: &expr::FuncCall, at: At) -> Kind {
        let arguments: Box<[Node]> = call.args.iter().map(|argument| self.expression(argument, at)).collect();
        let mut name = String::new();
        for part in &call.name.namespace {
            name.push_str(part.value().as_str());
            name.push_str("::");
        }
        name.push_str(call.name.name.value().as_str());
        let name_at = self.place(&call.name.name, at);
        let plain = name.strip_prefix("core::").unwrap_or(&name);
        let expand = call.args.expand_final();
        let Some(callee) = self.callee(plain, name_at) else {
            return Kind::Const(Value::Null);
        };
        let (fewest, most) = arity(callee);
        let given = arguments.len();
        if !expand && (given < fewest || given > most) {
            self.problem(at, wrong_arity(plain, callee, given));
        }
        Kind::Call(Box::new(Call { callee, name: Arc::from(plain), arguments, expand }))
    }

    fn callee(&mut self, name: &str, at: At) -> Option<Callee> {
        if self.rendered && NOT_IN_TEMPLATES.contains(&name) {
            self.problem(
                at,
                Diagnostic::error("function not allowed here")
                    .detail(format!("a template may not call `{name}`: it could call itself")),
            );
            return None;
        }
        if let Some((_, callee)) = BUILT_IN.iter().find(|(known, _)| *known == name) {
            return Some(*callee);
        }
        if let Some(function) = function::find(name) {
            return Some(Callee::Table(function));
        }
        if TYPES.contains(&name) {
            return Some(Callee::Type);
        }
        let names = FUNCTIONS.iter().map(|function| function.name).chain(BUILT_IN.iter().map(|(name, _)| *name));
        let help = match nearest(name, names) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "the reference of functions lists all there are".to_owned(),
        };
        self.problem(at, Diagnostic::error("unknown function").detail(format!("there is no function `{name}`")).help(help));
        None
    }
}

/// Fewest and most arguments.
pub(super) fn arity(callee: Callee) -> (usize, usize) {
    match callee {
        Callee::Table(Function { params, rest, optional, .. }) => {
            (params.len().saturating_sub(*optional), if rest.is_some() { usize::MAX } else { params.len() })
        }
        Callee::Try => (1, usize::MAX),
        Callee::Type => (0, usize::MAX),
        Callee::Can | Callee::Sensitive | Callee::Nonsensitive | Callee::Issensitive => (1, 1),
    }
}

/// Says how a function is called.
pub(super) fn wrong_arity(name: &str, callee: Callee, given: usize) -> Diagnostic {
    let (fewest, most) = arity(callee);
    let count = |count: usize| format!("{count} argument{}", if count == 1 { "" } else { "s" });
    let wanted = if fewest == most {
        count(fewest)
    } else if most == usize::MAX {
        format!("at least {}", count(fewest))
    } else {
        format!("{fewest} to {}", count(most))
    };
    let mut names: Vec<String> = match callee {
        Callee::Table(function) => {
            let needed = function.params.len().saturating_sub(function.optional);
            function
                .params
                .iter()
                .enumerate()
                .map(|(index, param)| if index < needed { param.name.to_owned() } else { format!("[{}]", param.name) })
                .collect()
        }
        Callee::Try => vec!["expression".to_owned(), "fallback...".to_owned()],
        _ => vec!["value".to_owned()],
    };
    if let Callee::Table(Function { rest: Some(rest), .. }) = callee {
        names.push(format!("{}...", rest.name));
    }
    Diagnostic::error("wrong number of arguments")
        .detail(format!("`{name}` takes {wanted}, not {given}"))
        .help(format!("call it as `{name}({})`", names.join(", ")))
}
