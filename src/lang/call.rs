//! Function calls: the lazy ones here, the others through the function table.

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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::lang::ast::{At, Kind as Part, Source};
    use crate::lang::function::{Function, param};
    use crate::lang::{Env, Vars};

    /// Answers its arguments, so that a test sees what a function gets to see.
    static ECHO: Function = Function {
        name: "echo",
        params: &[param("text", Kind::String), param("count", Kind::Number), param("flag", Kind::Bool), param("items", Kind::List)],
        rest: Some(param("more", Kind::Any)),
        optional: 2,
        family: "type",
        summary: "Answers its arguments.",
        example: ("echo(\"a\", 1)", "[\"a\", 1]"),
        run: |_, arguments| match arguments {
            [Value::String(text), ..] if &**text == "fail" => Err(format!("it does not like {arguments:?}")),
            _ => Ok(Value::list(arguments.iter().cloned())),
        },
    };

    fn echo(arguments: Vec<Value>, expand: bool) -> Result<Value, String> {
        let at = At { start: 0, end: 0 };
        let nodes = arguments.into_iter().map(|value| Node { at, kind: Part::Const(value) }).collect();
        let call = Call { callee: Callee::Table(&ECHO), name: Arc::from("echo"), arguments: nodes, expand };
        let (scope, env) = (Vars::default(), Env::pure(jiff::Timestamp::UNIX_EPOCH));
        let source = Source::new(Arc::from(""), None);
        let mut evaluator = Evaluator { scope: &scope, env: &env, source: &source, steps: 100, locals: Vec::new() };
        evaluator.call(&call, at).map_err(|failure| failure.diagnostic.to_string())
    }

    #[test]
    fn arguments_are_converted_to_the_declared_kinds() {
        let given = vec![1u64.into(), "2".into(), "true".into(), Value::list([]), Value::Null];
        let seen = vec!["1".into(), 2u64.into(), true.into(), Value::list([]), Value::Null];
        assert_eq!(echo(given, false), Ok(Value::list(seen)));
        assert!(echo(vec!["a".into(), "x".into()], false).unwrap_err().contains("the argument `count` of `echo` is a number"));
        assert!(echo(vec![Value::Null, 1u64.into()], false).unwrap_err().contains("not null"));
        assert!(echo(vec![Value::list([]), 1u64.into()], false).is_err());
        assert_eq!(
            echo(vec!["a".into(), 1u64.into(), Value::Null], false),
            Ok(Value::list(["a".into(), 1u64.into(), Value::Null]))
        );
    }

    #[test]
    fn functions_never_see_marks_or_unknowns() {
        let secret = Value::list([Value::from("hunter2").sensitive()]);
        let plain = Value::list(["hunter2".into()]);
        let all = vec!["a".into(), 1u64.into(), true.into(), secret];
        assert_eq!(echo(all, false), Ok(Value::list(["a".into(), 1u64.into(), true.into(), plain]).sensitive()));
        let unknown = Value::list([Value::Unknown]);
        assert_eq!(echo(vec!["a".into(), 1u64.into(), true.into(), unknown.clone()], false), Ok(Value::Unknown));
        assert_eq!(echo(vec![Value::from("a").sensitive(), unknown], false), Ok(Value::Unknown.sensitive()));
    }

    #[test]
    fn a_function_that_fails_on_a_secret_does_not_tell_it() {
        let error =
            echo(vec!["fail".into(), 1u64.into(), true.into(), Value::list(["hunter2".into()]).sensitive()], false).unwrap_err();
        assert!(!error.contains("hunter2") && error.contains("function failed"), "{error}");
        let error = echo(vec!["a".into(), Value::from("hunter2").sensitive()], false).unwrap_err();
        assert!(!error.contains("hunter2") && error.contains("a sensitive string"), "{error}");
    }

    #[test]
    fn the_last_argument_can_be_a_list_of_arguments() {
        let list = Value::list(["a".into(), 1u64.into()]);
        assert_eq!(echo(vec![list.clone()], true), Ok(list.clone()));
        assert_eq!(echo(vec![list.clone().sensitive()], true), Ok(list.sensitive()));
        assert_eq!(echo(vec![Value::Unknown], true), Ok(Value::Unknown));
        assert!(echo(vec![Value::list(["a".into()])], true).unwrap_err().contains("takes at least 2 arguments, not 1"));
        assert!(echo(vec!["a".into()], true).is_err());
    }
}
