//! Functions that convert to a kind and that name one. Null stays null.

use super::limit::{Text, Visits};
use super::{Answer, Function, Kind, Param, Run, args, convert, param, set};
use crate::lang::Value;

const fn types(name: &'static str, say: &'static str, example: (&'static str, &'static str), run: Run) -> Function {
    const VALUE: &[Param] = &[param("value", Kind::Any)];
    Function::new("type", name, VALUE, say, example, run)
}

fn converted(given: &[Value], wanted: &str, convert: impl Fn(&Value) -> Option<Value>) -> Answer {
    let value = args::any(given, 0, "value")?;
    if let Value::Null = value {
        return Ok(Value::Null);
    }
    convert(value).ok_or_else(|| match value {
        Value::String(text) if text.chars().count() <= 40 => format!("{text:?} is no {wanted}"),
        value => format!("a {} is no {wanted}", value.kind()),
    })
}

pub(super) static TOBOOL: Function =
    types("tobool", "Converts to a bool: true, false, and the texts of these.", (r#"tobool("true")"#, "true"), |_, given| {
        converted(given, "bool", |value| convert::bool_of(value).map(Value::from))
    });

pub(super) static TOLIST: Function =
    types("tolist", "Converts the items of a list to one kind.", (r#"tolist(["a", 1])"#, r#"["a", "1"]"#), |_, given| {
        match args::any(given, 0, "value")? {
            Value::Null => Ok(Value::Null),
            _ => unified(args::list(given, 0, "value")?).map(Value::list),
        }
    });

pub(super) static TOMAP: Function = types(
    "tomap",
    "Converts the attributes of an object to one kind.",
    (r#"tomap({ a = "x", b = 1 })"#, r#"{ a = "x", b = "1" }"#),
    |_, given| {
        if args::any(given, 0, "value")?.is_null() {
            return Ok(Value::Null);
        }
        let attributes = args::object(given, 0, "value")?;
        let values = convert::unify(attributes.values().cloned()).map_err(|why| format!("the object is no map: {why}"))?;
        Ok(Value::object(attributes.keys().zip(values)))
    },
);

pub(super) static TONUMBER: Function =
    types("tonumber", "Converts to a number: a number, or the text of one.", (r#"tonumber("8.5")"#, "8.5"), |_, given| {
        converted(given, "number", |value| convert::number_of(value).map(Value::Number))
    });

pub(super) static TOSET: Function = types(
    "toset",
    "Makes a set of a list: its items sorted, of one kind, each once.",
    (r#"toset(["b", "a", "b"])"#, r#"["a", "b"]"#),
    |_, given| match args::any(given, 0, "value")? {
        Value::Null => Ok(Value::Null),
        _ => unified(args::list(given, 0, "value")?).map(|items| Value::list(set::sorted(items))),
    },
);

fn unified(items: &[Value]) -> Result<Vec<Value>, String> {
    convert::unify(items.iter().cloned()).map_err(|why| format!("the list has no single kind: {why}"))
}

pub(super) static TOSTRING: Function =
    types("tostring", "Converts to a text: a text, a number or a bool.", ("tostring(8.50)", r#""8.5""#), |_, given| {
        converted(given, "string", |value| convert::text_of(value).map(Value::String))
    });

pub(super) static TYPE: Function = types(
    "type",
    "Names the type of a value, as a type constraint writes it.",
    (r#"type({ a = [1, 2], b = "x" })"#, r#""object({ a = list(number), b = string })""#),
    |_, given| {
        let mut text = Text::default();
        write(args::any(given, 0, "value")?, &mut text, &mut Visits::default())?;
        text.answer()
    },
);

fn write(value: &Value, text: &mut Text, visits: &mut Visits) -> Result<(), String> {
    visits.count()?;
    match value {
        Value::List(items) => {
            let mut kinds = Vec::new();
            for item in items.iter() {
                let mut kind = Text::default();
                write(item, &mut kind, visits)?;
                kinds.push(kind.into_string());
            }
            if kinds.windows(2).all(|pair| pair[0] == pair[1]) {
                text.push("list(")?;
                text.push(kinds.first().map_or("any", String::as_str))?;
                return text.push(")");
            }
            text.push("tuple([")?;
            for (index, kind) in kinds.iter().enumerate() {
                text.push(if index > 0 { ", " } else { "" })?;
                text.push(kind)?;
            }
            text.push("])")
        }
        Value::Object(attributes) => {
            text.push("object({")?;
            for (index, (name, value)) in attributes.iter().enumerate() {
                text.push(if index > 0 { ", " } else { " " })?;
                let plain = name.starts_with(|one: char| one.is_alphabetic() || one == '_')
                    && name.chars().all(|one| one.is_alphanumeric() || one == '_' || one == '-');
                text.push(&if plain { name.to_string() } else { format!("{name:?}") })?;
                text.push(" = ")?;
                write(value, text, visits)?;
            }
            text.push(if attributes.is_empty() { "})" } else { " })" })
        }
        // What null is cannot be told: the constraint that allows it is `any`.
        Value::Null => text.push("any"),
        scalar => text.push(scalar.kind()),
    }
}

#[cfg(test)]
mod tests {
    use crate::lang::Value;
    use crate::lang::function::tests::{call, fails, number};

    #[test]
    fn conversions_refuse_what_does_not_convert() {
        assert_eq!(fails("tobool", ["yes".into()]), "\"yes\" is no bool");
        assert_eq!(fails("tonumber", ["1_0".into()]), "\"1_0\" is no number");
        assert_eq!(fails("tonumber", [true.into()]), "a bool is no number");
        assert_eq!(fails("tostring", [Value::list([])]), "a list is no string");
        assert!(fails("tolist", [Value::list([true.into(), number("1")])]).contains("no single kind"));
        assert!(fails("tomap", [Value::list([])]).contains("must be an object"));
    }

    #[test]
    fn null_stays_null() {
        for name in ["tobool", "tolist", "tomap", "tonumber", "toset", "tostring"] {
            assert_eq!(call(name, [Value::Null]), Value::Null, "{name}");
        }
    }

    #[test]
    fn a_set_is_of_one_kind_before_it_is_sorted() {
        assert_eq!(call("toset", [Value::list(["1".into(), number("1.0"), number("10")])]), Value::list(["1".into(), "10".into()]));
    }

    #[test]
    fn a_value_that_shares_itself_is_not_walked_for_ever() {
        let mut value: Value = "x".into();
        for _ in 0..60 {
            value = Value::list([value.clone(), value]);
        }
        assert!(fails("type", [value.clone()]).contains("1000000 parts"));
        assert!(fails("templatestring", ["".into(), Value::object([("a", value.clone())])]).contains("1000000 parts"));
        let twin = Value::list([value.clone(), value.clone()]);
        assert_eq!(call("setunion", [Value::list([twin.clone(), twin])]), Value::list([Value::list([value.clone(), value])]));
    }

    #[test]
    fn types_are_written_as_constraints() {
        for (value, wanted) in [
            (Value::list([]), "list(any)"),
            (Value::list([number("1"), "a".into()]), "tuple([number, string])"),
            (Value::object::<&str>([]), "object({})"),
            (Value::object([("a b", Value::Null)]), "object({ \"a b\" = any })"),
        ] {
            assert_eq!(call("type", [value]), wanted.into());
        }
    }
}
