//! Function calls: the lazy ones here, the others through the function table.

use std::sync::Arc;

use super::Value;
use super::ast::{At, Call, Callee, Node};
use super::compile::{arity, wrong_arity};
use super::convert::{to_bool, to_number, to_text};
use super::eval::{Evaluator, Outcome, remark};
use super::function::{Function, Kind, Param};
use crate::source::Diagnostic;

impl Evaluator<'_> {
    #[inline(never)]
    pub(super) fn call(&mut self, call: &Call, at: At) -> Outcome {
        match call.callee {
            Callee::Try => self.attempt(call, at),
            Callee::Can => {
                let locals = self.locals.len();
                match self.single(call, at) {
                    // Whether an unknown can be had is unknown too.
                    Ok(Value::Unknown) => Ok(Value::Unknown),
                    Ok(_) => Ok(Value::Bool(true)),
                    Err(failure) if failure.fatal => Err(failure),
                    Err(_) => {
                        self.locals.truncate(locals);
                        Ok(Value::Bool(false))
                    }
                }
            }
            Callee::Sensitive => Ok(self.single(call, at)?.sensitive()),
            Callee::Nonsensitive => {
                let value = self.single(call, at)?;
                Ok(if matches!(value, Value::Sensitive(_)) { value.revealed() } else { value })
            }
            Callee::Issensitive => Ok(Value::Bool(self.single(call, at)?.has_sensitive())),
            Callee::Type => {
                let diagnostic = Diagnostic::error("type in the place of a value")
                    .detail(format!("`{}(…)` is a type constraint and has no value", call.name))
                    .help("to convert a value use `tolist(…)`, `toset(…)` or `tomap(…)`");
                self.fail(at, diagnostic)
            }
            Callee::Table(function) => {
                let arguments = self.arguments(call, at)?;
                self.table(function, call, arguments, at)
            }
        }
    }

    fn single(&mut self, call: &Call, at: At) -> Outcome {
        if call.expand {
            let mut arguments = self.arguments(call, at)?;
            if let (1, Some(argument)) = (arguments.len(), arguments.pop()) {
                return Ok(argument);
            }
        }
        match &*call.arguments {
            [argument] if !call.expand => self.eval(argument),
            _ => self.fail(at, wrong_arity(&call.name, call.callee, call.arguments.len())),
        }
    }

    /// `try`: the first argument that can be had.
    fn attempt(&mut self, call: &Call, at: At) -> Outcome {
        let locals = self.locals.len();
        let mut reasons = Vec::new();
        for argument in &call.arguments {
            match self.eval(argument) {
                Ok(value) => return Ok(value),
                Err(failure) if failure.fatal => return Err(failure),
                Err(failure) => {
                    self.locals.truncate(locals);
                    reasons.push(failure.diagnostic.to_string());
                }
            }
        }
        let diagnostic = Diagnostic::error("no alternative works")
            .detail(format!("every argument of `try` fails: {}", reasons.join("; ")))
            .help("add a last argument that cannot fail, such as `null`");
        self.fail(at, diagnostic)
    }

    fn arguments(&mut self, call: &Call, at: At) -> Outcome<Vec<Value>> {
        let mut values = Vec::with_capacity(call.arguments.len());
        for argument in &call.arguments {
            values.push(self.eval(argument)?);
        }
        if call.expand {
            let last = values.pop().unwrap_or_default();
            let (plain, marked) = last.unmark();
            match plain {
                Value::List(items) => values.extend(items.iter().map(|item| remark(item.clone(), marked))),
                // How many there are is unknown, so the result is.
                Value::Unknown => values.push(last),
                _ => return self.wrong_type(call.arguments.last().map_or(at, |node| node.at), "a list before `...`", &last),
            }
        }
        self.spend(values.len() as u64, at)?;
        Ok(values)
    }

    fn table(&mut self, function: &'static Function, call: &Call, mut arguments: Vec<Value>, at: At) -> Outcome {
        let marked = arguments.iter().any(Value::has_sensitive);
        if arguments.iter().any(Value::has_unknown) {
            return Ok(remark(Value::Unknown, marked));
        }
        let (fewest, most) = arity(call.callee);
        if arguments.len() < fewest || arguments.len() > most {
            return self.fail(at, wrong_arity(&call.name, call.callee, arguments.len()));
        }
        for (index, argument) in arguments.iter_mut().enumerate() {
            if marked {
                *argument = argument.revealed();
            }
            let Some(param) = function.params.get(index).or(function.rest.as_ref()) else {
                continue;
            };
            // A parameter that may be left out may also be null: both say that nothing was given.
            let may_be_null = index >= fewest && index < function.params.len();
            if let Some(converted) = self.argument(param, argument, may_be_null, marked, (call, index, at))? {
                *argument = converted;
            }
        }
        match (function.run)(self.env, &arguments) {
            Ok(value) => Ok(remark(value, marked)),
            Err(reason) => {
                let reason = if marked { "it fails on a sensitive value, which is not shown".to_owned() } else { reason };
                let diagnostic = Diagnostic::error("function failed")
                    .detail(format!("`{}`: {reason}", function.name))
                    .help(format!("{} Example: `{}`", function.summary, function.example.0));
                self.fail(at, diagnostic)
            }
        }
    }

    /// Converts an argument; none where it may stay as it is.
    fn argument(
        &self,
        param: &Param,
        value: &Value,
        may_be_null: bool,
        marked: bool,
        place: (&Call, usize, At),
    ) -> Outcome<Option<Value>> {
        let (wanted, converted) = match (param.kind, value) {
            (Kind::Any, _) | (Kind::Bool, Value::Bool(_)) | (Kind::Number, Value::Number(_)) => return Ok(None),
            (Kind::String, Value::String(_)) | (Kind::List, Value::List(_)) | (Kind::Object, Value::Object(_)) => return Ok(None),
            (_, Value::Null) if may_be_null => return Ok(None),
            (Kind::Bool, value) => ("true or false", to_bool(value).map(Value::Bool)),
            (Kind::Number, value) => ("a number", to_number(value).map(Value::Number)),
            (Kind::String, value) => ("text", to_text(value)),
            (Kind::List, _) => ("a list", None),
            (Kind::Object, _) => ("an object", None),
        };
        if converted.is_some() {
            return Ok(converted);
        }
        let (call, index, at) = place;
        let at = call.arguments.get(index).map_or(at, |node: &Node| node.at);
        let value = if marked { value.clone().sensitive() } else { value.clone() };
        let wanted = format!("the argument `{}` of `{}` is {wanted}; {wanted}", param.name, call.name);
        self.wrong_type(at, &wanted, &value)
    }
}

/// Keeps the compiler's promise that values are shared between threads.
const _: fn() = || {
    fn shared<T: Send + Sync>() {}
    shared::<Arc<super::ast::Node>>();
};
