//! Documents from templates, in the language of Jinja: `templatestring`, and `templatefile` beside it.
//!
//! A name that is not given is an error, not an empty text. The work is bounded: the template's size, the steps, the result. The
//! engine walks its tree by recursion, so that rendering happens on a thread whose stack fits the largest template allowed.
//! Not handled: a template that doubles a text in variables of its own can still take much memory.

use std::collections::BTreeMap;
use std::io;
use std::thread;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::ValueKind;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior};
use rust_decimal::prelude::ToPrimitive;

use super::limit::{self, Bytes, Visits};
use super::{Function, Kind, args, convert, param};
use crate::lang::{Object, Value};

/// The largest template, in bytes. Together with the stack: a sum of as many terms as fit is still rendered.
const TEMPLATE: usize = 128 << 10;
const STACK: usize = 512 << 20;
const FUEL: u64 = 5_000_000;

pub(super) static TEMPLATESTRING: Function = Function::new(
    "string",
    "templatestring",
    &[param("template", Kind::String), param("vars", Kind::Object)],
    "Renders a text as a template in Jinja's language; a name that is not among the variables is an error.",
    (r#"templatestring("{% for n in names %}{{ n|upper }};{% endfor %}", { names = ["a", "b"] })"#, r#""A;B;""#),
    |_, given| render(args::text(given, 0, "template")?, args::object(given, 1, "vars")?).map(Value::from),
);

/// Renders a template with these variables.
///
/// # Errors
/// Mistakes in the template with their line, names that are not given, a template or a result that is too large.
pub fn render(template: &str, vars: &Object) -> Result<String, String> {
    if template.len() > TEMPLATE {
        return Err(format!("the template is longer than {} KiB", TEMPLATE >> 10));
    }
    thread::scope(|scope| {
        let worker =
            thread::Builder::new().name("template".into()).stack_size(STACK).spawn_scoped(scope, || render_here(template, vars));
        let worker = worker.map_err(|error| format!("the template cannot be rendered: {error}"))?;
        worker.join().unwrap_or_else(|_| Err("the template engine failed on this template; please report it".into()))
    })
}

fn render_here(template: &str, vars: &Object) -> Result<String, String> {
    let mut engine = Environment::new();
    engine.set_undefined_behavior(UndefinedBehavior::Strict);
    engine.set_auto_escape_callback(|_| AutoEscape::None);
    let syntax = SyntaxConfig::builder().keep_trailing_newline(true).build().map_err(|error| clause(&error))?;
    engine.set_syntax(syntax);
    engine.set_fuel(Some(FUEL));
    engine.set_formatter(write);
    engine.add_template("template", template).map_err(|error| clause(&error))?;
    let template = engine.get_template("template").map_err(|error| clause(&error))?;
    let mut rendered = Bytes::default();
    let context = names(vars, &mut Visits::default())?;
    match template.render_captured_to(context, &mut rendered) {
        Ok(_) => String::from_utf8(rendered.0).map_err(|error| error.to_string()),
        Err(error) => Err(clause(&error)),
    }
}

/// Writes what stands between `{{ }}`: null, bools and collections as the rest of the language does, not as Python.
fn write(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &minijinja::Value) -> Result<(), Error> {
    match value.kind() {
        ValueKind::None => out.write_str("null").map_err(Error::from),
        ValueKind::Bool => out.write_str(if value.is_true() { "true" } else { "false" }).map_err(Error::from),
        ValueKind::Seq | ValueKind::Map => {
            let json = serde_json::to_string(value).map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))?;
            out.write_str(&json).map_err(Error::from)
        }
        _ => minijinja::escape_formatter(out, state, value),
    }
}

/// What went wrong, and in which line.
fn clause(error: &Error) -> String {
    if let Some(cause) = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<io::Error>()) {
        return cause.to_string();
    }
    let mut clause = error.kind().to_string();
    if let Some(detail) = error.detail() {
        clause = format!("{clause}: {detail}");
    }
    match error.line() {
        Some(line) => format!("{clause} (line {line} of the template)"),
        None => clause,
    }
}

fn names(attributes: &Object, visits: &mut Visits) -> Result<minijinja::Value, String> {
    let converted: Result<BTreeMap<String, _>, String> =
        attributes.iter().map(|(name, value)| Ok((name.to_string(), convert(value, visits)?))).collect();
    Ok(converted?.into())
}

fn convert(value: &Value, visits: &mut Visits) -> Result<minijinja::Value, String> {
    visits.count()?;
    Ok(match value {
        Value::Null => ().into(),
        Value::Bool(truth) => (*truth).into(),
        Value::Number(number) if number.is_integer() => match number.to_i64() {
            Some(whole) => whole.into(),
            None => number.to_i128().ok_or_else(limit::items_error)?.into(),
        },
        // The template's numbers are doubles; one whose digits a double does not keep goes as text.
        Value::Number(number) => match number.to_f64() {
            Some(double) if double.to_string() == convert::number_text(number) => double.into(),
            _ => convert::number_text(number).into(),
        },
        Value::String(text) => text.into(),
        Value::List(items) => items.iter().map(|item| convert(item, visits)).collect::<Result<Vec<_>, _>>()?.into(),
        Value::Object(attributes) => names(attributes, visits)?,
        Value::Unknown | Value::Sensitive(_) => {
            return Err("a value that is not known yet, or sensitive, cannot be written here".into());
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lang::function::tests::number;

    fn with(template: &str, vars: &[(&str, Value)]) -> Result<String, String> {
        render(template, &vars.iter().map(|(name, value)| ((*name).into(), value.clone())).collect())
    }

    #[test]
    fn values_are_written_as_elsewhere() {
        let vars = [
            ("n", number("1.50")),
            ("big", number("79228162514264337593543950335")),
            ("t", true.into()),
            ("x", Value::Null),
            ("h", "<&>".into()),
            ("l", Value::list([true.into(), "a".into()])),
        ];
        assert_eq!(
            with("{{ n }} {{ big }} {{ t }} {{ x }} {{ h }} {{ l }}\n", &vars),
            Ok("1.5 79228162514264337593543950335 true null <&> [true,\"a\"]\n".into())
        );
        let precise = number("0.1234567890123456789012345678");
        assert_eq!(with("{{ p }}", &[("p", precise)]), Ok("0.1234567890123456789012345678".into()));
    }

    #[test]
    fn a_name_that_is_not_given_is_an_error_with_its_line() {
        let error = with("a\n{{ who }}", &[]).unwrap_err();
        assert!(error.contains("undefined") && error.contains("line 2"), "{error}");
        assert!(with("{{ a.b }}", &[("a", Value::object::<&str>([]))]).is_err());
        assert!(with("{% if %}", &[]).unwrap_err().contains("line 1"));
        assert!(with("{% include 'x' %}", &[]).is_err());
    }

    #[test]
    fn endless_work_and_endless_text_are_refused() {
        let loops = "{% for a in range(9999) %}{% for b in range(9999) %}{{ b }}{% endfor %}{% endfor %}";
        let error = with(loops, &[]).unwrap_err();
        assert!(error.contains("16 MiB") || error.contains("fuel"), "{error}");
        let big = Value::from("x".repeat(1 << 20));
        assert!(with("{% for a in range(99) %}{{ big }}{% endfor %}", &[("big", big)]).unwrap_err().contains("16 MiB"));
        assert!(with("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", &[]).is_err());
        assert!(with(&"x".repeat(TEMPLATE + 1), &[]).unwrap_err().contains("128 KiB"));
    }

    #[test]
    fn the_largest_template_does_not_overflow_the_stack() {
        let chains = [
            ("{{ 1", "+1", " }}"),
            ("{{ a", ".a", " }}"),
            ("{{ a", "|e", " }}"),
            ("{{ ", "-", "1 }}"),
            ("{{ ", "(", "1 }}"),
            ("{{ ", "[", "1 }}"),
        ];
        for (start, piece, end) in chains {
            let template = format!("{start}{}{end}", piece.repeat((TEMPLATE - 20) / piece.len()));
            let _ = with(&template, &[("a", "x".into())]);
        }
        let start = "{% if 0 %}";
        let _ = with(&format!("{start}{}{{% endif %}}", "{%elif 0%}".repeat((TEMPLATE - 30) / 10)), &[]);
        let _ = with(&start.repeat(TEMPLATE / 10), &[]);
    }
}
