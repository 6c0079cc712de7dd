//! Functions that ask about collections, and those on objects. Reshaping of lists stands in `sequence`, sets in `set`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Answer, Env, Function, Kind, Param, Run, args, convert, limit, param};
use crate::lang::{Object, Value};

const fn collection(
    name: &'static str,
    params: &'static [Param],
    say: &'static str,
    example: (&'static str, &'static str),
    run: Run,
) -> Function {
    Function::new("collection", name, params, say, example, run)
}

const LIST: &[Param] = &[param("list", Kind::List)];
const MAP: &[Param] = &[param("map", Kind::Object)];

pub(super) static ALLTRUE: Function = collection(
    "alltrue",
    LIST,
    "Tells whether every item is true; so it is for an empty list.",
    ("alltrue([true, false])", "false"),
    |_, given| truths(given).map(|truths| truths.iter().all(|truth| *truth).into()),
);

pub(super) static ANYTRUE: Function =
    collection("anytrue", LIST, "Tells whether some item is true.", ("anytrue([true, false])", "true"), |_, given| {
        truths(given).map(|truths| truths.iter().any(|truth| *truth).into())
    });

/// The items as bools; null counts as false.
fn truths(given: &[Value]) -> Result<Vec<bool>, String> {
    let items = args::list(given, 0, "list")?.iter().enumerate();
    items
        .map(|(index, item)| match item {
            Value::Null => Ok(false),
            item => convert::bool_of(item)
                .ok_or_else(|| format!("item {index} of argument \"list\" must be a bool, not {}", item.kind())),
        })
        .collect()
}

pub(super) static COALESCE: Function = collection(
    "coalesce",
    &[],
    "Gives the first argument that is neither null nor an empty text.",
    (r#"coalesce("", null, "b")"#, r#""b""#),
    |_, given| {
        let found = given.iter().find(|value| !matches!(value, Value::Null) && value.as_str() != Some(""));
        found.cloned().ok_or_else(|| "every argument is null or an empty text".into())
    },
)
.rest(param("values", Kind::Any));

pub(super) static COALESCELIST: Function = collection(
    "coalescelist",
    &[],
    "Gives the first list that is not empty.",
    (r#"coalescelist([], ["b"])"#, r#"["b"]"#),
    |_, given| {
        for at in 0..given.len() {
            if !given[at].is_null() && !args::list(given, at, "lists")?.is_empty() {
                return Ok(given[at].clone());
            }
        }
        Err("every argument is null or an empty list".into())
    },
)
.rest(param("lists", Kind::Any));

pub(super) static CONTAINS: Function = collection(
    "contains",
    &[param("list", Kind::List), param("value", Kind::Any)],
    "Tells whether a list holds a value (of the same kind: \"1\" is not 1).",
    (r#"contains(["a", "b"], "a")"#, "true"),
    |_, given| Ok(args::list(given, 0, "list")?.contains(args::any(given, 1, "value")?).into()),
);

pub(super) static INDEX: Function = collection(
    "index",
    &[param("list", Kind::List), param("value", Kind::Any)],
    "Gives the position of a value in a list, counted from 0.",
    (r#"index(["a", "b", "c"], "b")"#, "1"),
    |_, given| {
        let (items, value) = (args::list(given, 0, "list")?, args::any(given, 1, "value")?);
        let found = items.iter().position(|item| item == value);
        found.map(|index| Value::from(index as u64)).ok_or_else(|| "the list does not hold the value".into())
    },
);

pub(super) static KEYS: Function =
    collection("keys", MAP, "Gives the names of an object, sorted.", (r#"keys({ b = 1, a = 2 })"#, r#"["a", "b"]"#), |_, given| {
        Ok(Value::list(args::object(given, 0, "map")?.keys().map(|name| Value::String(name.clone()))))
    });

pub(super) static LENGTH: Function = collection(
    "length",
    &[param("value", Kind::Any)],
    "Counts the items of a list, the attributes of an object, or the characters of a text.",
    (r#"length(["a", "b"])"#, "2"),
    |_, given| {
        let length = match args::any(given, 0, "value")? {
            Value::List(items) => items.len(),
            Value::Object(attributes) => attributes.len(),
            Value::String(text) => text.chars().count(),
            other => return Err(format!("argument \"value\" must be a list, an object or a string, not {}", other.kind())),
        };
        Ok(Value::from(length as u64))
    },
);

pub(super) static LOOKUP: Function = collection(
    "lookup",
    &[param("map", Kind::Object), param("key", Kind::String), param("default", Kind::Any)],
    "Gives the attribute of a name, or a default where there is none.",
    (r#"lookup({ a = "ay" }, "b", "what?")"#, r#""what?""#),
    |_, given| {
        let (map, key) = (args::object(given, 0, "map")?, args::text(given, 1, "key")?);
        let found = map.get(key).or_else(|| given.get(2)).cloned();
        found.ok_or_else(|| format!("the map has no {key:?}, and no default is given"))
    },
)
.optional(1);

pub(super) static MATCHKEYS: Function = collection(
    "matchkeys",
    &[param("values", Kind::List), param("keys", Kind::List), param("search", Kind::List)],
    "Keeps the values whose key, at the same position of another list, is among those searched.",
    (r#"matchkeys(["i1", "i2", "i3"], ["a", "b", "a"], ["a"])"#, r#"["i1", "i3"]"#),
    |_, given| {
        let (values, keys) = (args::list(given, 0, "values")?, args::list(given, 1, "keys")?);
        if values.len() != keys.len() {
            return Err(format!(
                "\"values\" and \"keys\" must be equally long, and have {} and {} items",
                values.len(),
                keys.len()
            ));
        }
        let search = super::set::sorted(args::list(given, 2, "search")?.iter().cloned());
        let kept = values.iter().zip(keys).filter(|(_, key)| search.binary_search_by(|item| convert::compare(item, key)).is_ok());
        Ok(Value::list(kept.map(|(value, _)| value.clone())))
    },
);

pub(super) static MERGE: Function = collection(
    "merge",
    &[],
    "Puts objects together; of a name that stands in several, the last counts, and null is no object at all.",
    (r#"merge({ a = 1, b = 2 }, { b = 3 })"#, "{ a = 1, b = 3 }"),
    |_, given| {
        let mut merged = Object::new();
        for at in 0..given.len() {
            if !given[at].is_null() {
                merged.extend(args::object(given, at, "maps")?.iter().map(|(name, value)| (name.clone(), value.clone())));
            }
        }
        Ok(Value::Object(merged.into()))
    },
)
.rest(param("maps", Kind::Any));

pub(super) static TRANSPOSE: Function = collection(
    "transpose",
    MAP,
    "Turns an object of lists of texts around: the texts become names, the names become texts.",
    (r#"transpose({ a = ["1", "2"], b = ["2"] })"#, r#"{ "1" = ["a"], "2" = ["a", "b"] }"#),
    transpose,
);

fn transpose(_: &Env<'_>, given: &[Value]) -> Answer {
    let mut turned: BTreeMap<Arc<str>, Vec<Value>> = BTreeMap::new();
    let mut total = 0;
    for (name, items) in args::object(given, 0, "map")? {
        let items = items
            .as_list()
            .ok_or_else(|| format!("attribute {name:?} of argument \"map\" must be a list, not {}", items.kind()))?;
        for item in items {
            total += 1;
            if total > limit::ITEMS {
                return Err(limit::items_error());
            }
            let text =
                convert::text_of(item).ok_or_else(|| format!("attribute {name:?} must hold strings, not {}", item.kind()))?;
            turned.entry(text).or_default().push(Value::String(name.clone()));
        }
    }
    // Names come in order, so that a repeated one stands next to itself.
    Ok(Value::object(turned.into_iter().map(|(text, mut names)| {
        names.dedup();
        (text, Value::list(names))
    })))
}

pub(super) static VALUES: Function = collection(
    "values",
    MAP,
    "Gives the attributes of an object, in the order of their names.",
    (r#"values({ b = 1, a = 2 })"#, "[2, 1]"),
    |_, given| Ok(Value::list(args::object(given, 0, "map")?.values().cloned())),
);

pub(super) static ZIPMAP: Function = collection(
    "zipmap",
    &[param("keys", Kind::List), param("values", Kind::List)],
    "Makes an object of a list of names and a list of as many values.",
    (r#"zipmap(["a", "b"], [1, 2])"#, "{ a = 1, b = 2 }"),
    |_, given| {
        let (keys, values) = (args::texts(given, 0, "keys")?, args::list(given, 1, "values")?);
        if keys.len() != values.len() {
            return Err(format!(
                "\"keys\" and \"values\" must be equally long, and have {} and {} items",
                keys.len(),
                values.len()
            ));
        }
        Ok(Value::object(keys.into_iter().zip(values.iter().cloned())))
    },
);

#[cfg(test)]
mod tests {
    use crate::lang::Value;
    use crate::lang::function::tests::{call, fails, number};

    fn texts(items: &[&str]) -> Value {
        Value::list(items.iter().map(|item| Value::from(*item)))
    }

    #[test]
    fn truths_take_texts_and_null() {
        assert_eq!(call("alltrue", [Value::list([])]), true.into());
        assert_eq!(call("alltrue", [Value::list([true.into(), Value::Null])]), false.into());
        assert_eq!(call("anytrue", [Value::list([Value::Null, "true".into()])]), true.into());
        assert!(fails("anytrue", [Value::list([number("1")])]).contains("must be a bool"));
    }

    #[test]
    fn coalesce_skips_null_and_empty_texts_only() {
        assert_eq!(call("coalesce", [Value::Null, "".into(), number("0")]), number("0"));
        assert_eq!(call("coalesce", [Value::list([])]), Value::list([]));
        assert!(fails("coalesce", [Value::Null, "".into()]).contains("every argument"));
        assert!(fails("coalesce", []).contains("every argument"));
    }

    #[test]
    fn length_counts_characters_and_refuses_numbers() {
        assert_eq!(call("length", ["é1".into()]), number("2"));
        assert!(fails("length", [number("5")]).contains("not number"));
        assert!(fails("length", [Value::Null]).contains("not null"));
    }

    #[test]
    fn lookup_needs_a_default_only_where_the_name_is_missing() {
        let map = Value::object([("a", Value::Null)]);
        assert_eq!(call("lookup", [map.clone(), "a".into()]), Value::Null);
        assert!(fails("lookup", [map, "b".into()]).contains("no \"b\""));
    }

    #[test]
    fn merge_takes_the_last_and_skips_null() {
        assert_eq!(call("merge", []), Value::object::<&str>([]));
        let merged = call("merge", [Value::object([("a", number("1"))]), Value::Null, Value::object([("a", number("2"))])]);
        assert_eq!(merged, Value::object([("a", number("2"))]));
        assert!(fails("merge", [Value::list([])]).contains("must be an object"));
    }

    #[test]
    fn lists_of_unequal_length_are_refused_with_both_lengths() {
        assert!(fails("zipmap", [texts(&["a"]), texts(&[])]).contains("1 and 0"));
        assert!(fails("matchkeys", [texts(&["a"]), texts(&["a", "b"]), texts(&[])]).contains("1 and 2"));
    }

    #[test]
    fn transpose_gives_every_name_once() {
        let map = Value::object([("a", texts(&["1", "1"])), ("b", texts(&["1"]))]);
        assert_eq!(call("transpose", [map]), Value::object([("1", texts(&["a", "b"]))]));
        assert!(fails("transpose", [Value::object([("a", "x".into())])]).contains("must be a list"));
    }

    #[test]
    fn index_and_contains_compare_numbers_by_worth() {
        assert_eq!(call("contains", [Value::list([number("1.0")]), number("1")]), true.into());
        assert_eq!(call("contains", [Value::list(["1".into()]), number("1")]), false.into());
        assert!(fails("index", [Value::list([]), number("1")]).contains("does not hold"));
    }
}
