//! Input variables: their declarations, and values made to fit them.

use std::sync::Arc;

use super::fields::{Constants, Fields, Shape, check_shape, no_labels};
use crate::lang::{Block, Env, Expr, Type, Value, Vars};
use crate::source::{Diagnostic, Diagnostics, Span};

/// A declared variable.
#[derive(Debug)]
pub(super) struct Variable {
    /// Its name.
    pub(super) name: Arc<str>,
    /// What it must be; `None`: anything.
    pub(super) ty: Option<Type>,
    /// What it is where nothing is given; `None`: it must be given.
    pub(super) default: Option<Value>,
    /// Whether no output may show it.
    pub(super) sensitive: bool,
    /// Whether it may be null.
    pub(super) nullable: bool,
    /// Conditions: condition, message, place.
    pub(super) validations: Vec<(Expr, Expr, Span)>,
    /// Where it is declared.
    pub(super) span: Span,
}

impl Variable {
    /// Reads a `variable` block.
    pub(super) fn decode(name: &Arc<str>, block: &Block, env: &Env<'_>, problems: &mut Diagnostics) -> Self {
        let what = format!("variable `{name}`");
        let shape = Shape {
            what: &what,
            attributes: &["type", "default", "sensitive", "description", "nullable"],
            blocks: &["validation"],
        };
        check_shape(&block.body, &shape, problems);
        let span = block.header_span();
        let constants = Constants(env);
        let mut fields = Fields { body: &block.body, what: &what, header: span, evaluate: &constants, problems };
        let ty = fields.constraint("type");
        let sensitive = fields.flag("sensitive");
        let nullable = fields.maybe_flag("nullable").unwrap_or(true);
        let _ = fields.text("description");
        let given = fields.has("default");
        let default = fields.value("default").unwrap_or(Value::Null);
        let default_span = fields.span("default");
        let mut variable = Self { name: Arc::clone(name), ty, default: None, sensitive, nullable, validations: Vec::new(), span };
        for inner in block.body.blocks.iter().filter(|inner| &*inner.ident == "validation") {
            variable.add_validation(inner, &constants, problems);
        }
        if given {
            if default.is_null() && !nullable {
                problems.push(
                    Diagnostic::error("invalid default")
                        .detail(format!("{what} is not nullable, and its default is null"))
                        .help("give another default, or none, so that it must be set")
                        .at(default_span),
                );
            }
            let fitted = variable.fit(default).map_err(|reason| {
                Diagnostic::error("invalid default")
                    .detail(format!("{what}: {reason}"))
                    .help("correct the default or the type")
                    .at(if sensitive { span } else { default_span })
            });
            // A wrong default must not make the variable look required.
            variable.default = Some(problems.take(fitted).unwrap_or(Value::Null));
        }
        variable
    }

    fn add_validation(&mut self, block: &Block, constants: &Constants<'_>, problems: &mut Diagnostics) {
        no_labels(block, problems);
        let what = format!("the validation of variable `{}`", self.name);
        check_shape(&block.body, &Shape { what: &what, attributes: &["condition", "error_message"], blocks: &[] }, problems);
        let header = block.ident_span;
        let mut fields = Fields { body: &block.body, what: &what, header, evaluate: constants, problems };
        let (condition, message) = (fields.required_expr("condition"), fields.required_expr("error_message"));
        for expr in [&condition, &message].into_iter().flatten() {
            for reference in expr.references() {
                let own = &*reference.root == "var" && reference.path.first().is_some_and(|name| *name == self.name);
                if !own {
                    problems.push(
                        Diagnostic::error("invalid validation")
                            .detail(format!("{what} uses `{}`; it may use `var.{}` only", shown(&reference), self.name))
                            .help("check combinations of values where they are used")
                            .at(reference.span.unwrap_or(header)),
                    );
                    return;
                }
            }
        }
        if let (Some(condition), Some(message)) = (condition, message) {
            self.validations.push((condition, message, header));
        }
    }

    /// The value as the variable has it: default for null where it may not be null, converted, marked.
    pub(super) fn fit(&self, value: Value) -> Result<Value, String> {
        if value.is_null() && !self.nullable {
            return self.default.clone().ok_or_else(|| "it may not be null".to_owned());
        }
        let value = if self.sensitive { value.sensitive() } else { value };
        match &self.ty {
            Some(ty) => ty.convert(&value),
            None => Ok(value),
        }
    }

    /// Checks the conditions on a value. `place` is where the value was given.
    pub(super) fn validate(&self, value: &Value, place: Option<Span>, env: &Env<'_>, problems: &mut Diagnostics) {
        if self.validations.is_empty() {
            return;
        }
        let scope = Vars::new([("var", Value::object([(&*self.name, value.clone())]))]);
        for (condition, message, span) in &self.validations {
            let Some(outcome) = problems.take(condition.eval(&scope, env)) else { continue };
            match outcome.unmark().0 {
                Value::Bool(true) | Value::Unknown => {}
                Value::Bool(false) => {
                    let message = problems.take(message.eval(&scope, env)).map_or_else(String::new, |message| said(&message));
                    let mut diagnostic = Diagnostic::error("invalid value for variable")
                        .detail(format!("`{}`: {message}", self.name))
                        .help("give a value that fulfils the condition");
                    if let Some(place) = place.filter(|_| !self.sensitive) {
                        diagnostic = diagnostic.label(place, "given here");
                    }
                    problems.push(diagnostic.label(condition.span().unwrap_or(*span), "this is not true"));
                }
                other => problems.push(
                    Diagnostic::error("invalid validation")
                        .detail(format!("the condition of variable `{}` gives {}, not true or false", self.name, other.kind()))
                        .help("compare something: `condition = length(var.NAME) > 0`")
                        .at(*span),
                ),
            }
        }
    }
}

/// A message that was computed; nothing of a sensitive one.
pub(super) fn said(message: &Value) -> String {
    match message {
        Value::String(text) => text.to_string(),
        other if other.has_sensitive() => "the message is sensitive and not shown".to_owned(),
        _ => "the condition does not hold".to_owned(),
    }
}

/// A reference as it is written: `var.x`.
pub(super) fn shown(reference: &crate::lang::Reference) -> String {
    let mut text = reference.root.to_string();
    for part in &reference.path {
        text.push('.');
        text.push_str(part);
    }
    text
}
