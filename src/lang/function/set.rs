//! Functions on sets. A set is a list that is sorted and holds everything once; any list is taken for the set of its items.

use super::{Answer, Function, Kind, Param, args, convert, limit, param};
use crate::lang::Value;

/// The items as a set.
pub(super) fn sorted(items: impl IntoIterator<Item = Value>) -> Vec<Value> {
    let mut items: Vec<Value> = items.into_iter().collect();
    items.sort_by(convert::compare);
    items.dedup_by(|right, left| convert::compare(left, right).is_eq());
    items
}

fn holds(set: &[Value], item: &Value) -> bool {
    set.binary_search_by(|other| convert::compare(other, item)).is_ok()
}

fn sets(given: &[Value]) -> Result<Vec<Vec<Value>>, String> {
    (0..given.len()).map(|at| Ok(sorted(args::list(given, at, "sets")?.iter().cloned()))).collect()
}

const SETS: &[Param] = &[param("sets", Kind::List)];
const TWO: &[Param] = &[param("sets", Kind::List), param("without", Kind::List)];

pub(super) static SETINTERSECTION: Function = Function::new(
    "collection",
    "setintersection",
    SETS,
    "Gives what all sets hold, sorted.",
    (r#"setintersection(["b", "a"], ["b", "c"])"#, r#"["b"]"#),
    |_, given| {
        let sets = sets(given)?;
        let (first, others) = sets.split_first().ok_or("at least one set is needed")?;
        Ok(Value::list(first.iter().filter(|item| others.iter().all(|set| holds(set, item))).cloned()))
    },
)
.rest(param("more", Kind::List));

pub(super) static SETSUBTRACT: Function = Function::new(
    "collection",
    "setsubtract",
    TWO,
    "Gives what the first set holds and the second does not, sorted.",
    (r#"setsubtract(["b", "a", "c"], ["a"])"#, r#"["b", "c"]"#),
    |_, given| match &sets(given)?[..] {
        [set, without, ..] => Ok(Value::list(set.iter().filter(|item| !holds(without, item)).cloned())),
        _ => Err("two sets are needed".into()),
    },
);

pub(super) static SETUNION: Function = Function::new(
    "collection",
    "setunion",
    SETS,
    "Gives what some set holds, sorted.",
    (r#"setunion(["b", "a"], ["b", "c"])"#, r#"["a", "b", "c"]"#),
    |_, given| union(sets(given)?),
)
.rest(param("more", Kind::List));

fn union(sets: Vec<Vec<Value>>) -> Answer {
    if sets.is_empty() {
        return Err("at least one set is needed".into());
    }
    let mut all = Vec::new();
    for item in sets.into_iter().flatten() {
        limit::push(&mut all, item)?;
    }
    Ok(Value::list(sorted(all)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lang::function::tests::{call, number};

    #[test]
    fn sets_are_sorted_by_worth_and_hold_everything_once() {
        let mixed = [number("10"), "a".into(), number("9"), number("9.0"), Value::Null, true.into()];
        let wanted = Value::list([Value::Null, true.into(), number("9"), number("10"), "a".into()]);
        assert_eq!(call("setunion", [Value::list(mixed)]), wanted);
    }

    #[test]
    fn one_set_alone_is_its_own_intersection() {
        assert_eq!(
            call("setintersection", [Value::list(["b".into(), "a".into(), "b".into()])]),
            Value::list(["a".into(), "b".into()])
        );
        let three = [["a", "b"], ["b", "c"], ["c", "b"]].map(|set| Value::list(set.map(Value::from)));
        assert_eq!(call("setintersection", three), Value::list(["b".into()]));
    }

    #[test]
    fn nothing_is_left_of_a_set_without_itself() {
        let set = Value::list([Value::list(["x".into()]), Value::object([("a", number("1"))])]);
        assert_eq!(call("setsubtract", [set.clone(), set]), Value::list([]));
    }
}
