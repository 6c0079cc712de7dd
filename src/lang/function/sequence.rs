//! Functions that reshape lists.

use super::{Answer, Env, Function, Kind, Param, Run, args, convert, limit, param};
use crate::lang::{Number, Value};

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

pub(super) static CHUNKLIST: Function = collection(
    "chunklist",
    &[param("list", Kind::List), param("size", Kind::Number)],
    "Cuts a list into lists of a size; the size 0 leaves it in one piece.",
    (r#"chunklist(["a", "b", "c"], 2)"#, r#"[["a", "b"], ["c"]]"#),
    |_, given| {
        let (items, size) = (args::list(given, 0, "list")?, args::count(given, 1, "size")?);
        let size = if size == 0 { items.len().max(1) } else { size };
        Ok(Value::list(items.chunks(size).map(|chunk| Value::list(chunk.iter().cloned()))))
    },
);

pub(super) static COMPACT: Function = collection(
    "compact",
    LIST,
    "Leaves null and empty texts out of a list of texts.",
    (r#"compact(["a", "", null, "b"])"#, r#"["a", "b"]"#),
    |_, given| {
        let mut kept = Vec::new();
        for (index, item) in args::list(given, 0, "list")?.iter().enumerate().filter(|(_, item)| !matches!(item, Value::Null)) {
            let text = convert::text_of(item)
                .ok_or_else(|| format!("item {index} of argument \"list\" must be a string, not {}", item.kind()))?;
            if !text.is_empty() {
                kept.push(Value::String(text));
            }
        }
        Ok(Value::list(kept))
    },
);

pub(super) static CONCAT: Function =
    collection("concat", &[], "Puts lists together to one.", (r#"concat(["a"], ["b", "c"])"#, r#"["a", "b", "c"]"#), |_, given| {
        let mut all = Vec::new();
        for at in 0..given.len() {
            for item in args::list(given, at, "lists")? {
                limit::push(&mut all, item.clone())?;
            }
        }
        Ok(Value::list(all))
    })
    .rest(param("lists", Kind::List));

pub(super) static DISTINCT: Function = collection(
    "distinct",
    LIST,
    "Keeps the first of equal items.",
    (r#"distinct(["a", "b", "a"])"#, r#"["a", "b"]"#),
    |_, given| {
        let items = args::list(given, 0, "list")?;
        let mut order: Vec<usize> = (0..items.len()).collect();
        order.sort_by(|left, right| convert::compare(&items[*left], &items[*right]));
        // The sort is stable: of equal items the first in the list comes first.
        order.dedup_by(|right, left| convert::compare(&items[*left], &items[*right]).is_eq());
        order.sort_unstable();
        Ok(Value::list(order.into_iter().map(|index| items[index].clone())))
    },
);

pub(super) static ELEMENT: Function = collection(
    "element",
    &[param("list", Kind::List), param("index", Kind::Number)],
    "Gives an item by its position, going round at the ends of the list.",
    (r#"element(["a", "b", "c"], 4)"#, r#""b""#),
    |_, given| {
        let (items, index) = (args::list(given, 0, "list")?, args::whole(given, 1, "index")?);
        let length = i64::try_from(items.len()).map_err(|_| limit::items_error())?;
        let wrapped = index.checked_rem_euclid(length).ok_or("argument \"list\" is empty")?;
        usize::try_from(wrapped).ok().and_then(|at| items.get(at)).cloned().ok_or_else(|| "argument \"list\" is empty".into())
    },
);

pub(super) static FLATTEN: Function = collection(
    "flatten",
    LIST,
    "Replaces lists in a list by their items, however deep.",
    (r#"flatten([["a", ["b"]], [], "c"])"#, r#"["a", "b", "c"]"#),
    |_, given| {
        // A stack of its own: the depth of a value is no reason to overflow the thread's. Steps are counted too, because lists
        // that share empty lists can be endless without giving an item.
        let (mut flat, mut steps) = (Vec::new(), 0_usize);
        let mut open = vec![args::list(given, 0, "list")?.iter()];
        while let Some(items) = open.last_mut() {
            steps += 1;
            if steps > limit::ITEMS * 4 {
                return Err(limit::items_error());
            }
            match items.next() {
                None => drop(open.pop()),
                Some(Value::List(inner)) => open.push(inner.iter()),
                Some(item) => limit::push(&mut flat, item.clone())?,
            }
        }
        Ok(Value::list(flat))
    },
);

pub(super) static ONE: Function = collection(
    "one",
    LIST,
    "Gives the only item of a list, or null where the list is empty.",
    (r#"one(["a"])"#, r#""a""#),
    |_, given| match args::list(given, 0, "list")? {
        [] => Ok(Value::Null),
        [only] => Ok(only.clone()),
        items => Err(format!("argument \"list\" must have one item or none, and has {}", items.len())),
    },
);

pub(super) static RANGE: Function = collection(
    "range",
    &[param("start", Kind::Number), param("limit", Kind::Number), param("step", Kind::Number)],
    "Counts from a start to before a limit by a step; a single argument is the limit.",
    ("range(1, 8, 2)", "[1, 3, 5, 7]"),
    range,
)
.optional(2);

fn range(_: &Env<'_>, given: &[Value]) -> Answer {
    let (start, end) = match given.len() {
        0 | 1 => (Number::ZERO, args::number(given, 0, "limit")?),
        _ => (args::number(given, 0, "start")?, args::number(given, 1, "limit")?),
    };
    let up = start <= end;
    let step = match given.len() {
        0..=2 if up => Number::ONE,
        0..=2 => -Number::ONE,
        _ => args::number(given, 2, "step")?,
    };
    if step.is_zero() || (start != end && step.is_sign_positive() != up) {
        let wanted = if up { "above" } else { "below" };
        return Err(format!("argument \"step\" must be {wanted} 0 to come from {start} to {end}"));
    }
    let (mut numbers, mut next) = (Vec::new(), start);
    while if up { next < end } else { next > end } {
        limit::push(&mut numbers, Value::Number(next))?;
        let Some(further) = next.checked_add(step) else { break };
        next = further;
    }
    Ok(Value::list(numbers))
}

pub(super) static REVERSE: Function =
    collection("reverse", LIST, "Turns the order of a list around.", ("reverse([1, 2, 3])", "[3, 2, 1]"), |_, given| {
        Ok(Value::list(args::list(given, 0, "list")?.iter().rev().cloned()))
    });

pub(super) static SETPRODUCT: Function = collection(
    "setproduct",
    &[],
    "Gives every combination of one item from each list.",
    (r#"setproduct(["a", "b"], [1, 2])"#, r#"[["a", 1], ["a", 2], ["b", 1], ["b", 2]]"#),
    setproduct,
)
.rest(param("sets", Kind::List));

fn setproduct(_: &Env<'_>, given: &[Value]) -> Answer {
    if given.is_empty() {
        return Err("at least one list is needed".into());
    }
    let mut rows: Vec<Vec<Value>> = vec![Vec::new()];
    for at in 0..given.len() {
        let items = args::list(given, at, "sets")?;
        if rows.len().saturating_mul(items.len()).saturating_mul(at + 1) > limit::ITEMS {
            return Err(limit::items_error());
        }
        let extended = |row: &Vec<Value>, item: &Value| row.iter().chain([item]).cloned().collect();
        rows = rows.iter().flat_map(|row| items.iter().map(move |item| extended(row, item))).collect();
    }
    Ok(Value::list(rows.into_iter().map(Value::list)))
}

pub(super) static SLICE: Function = collection(
    "slice",
    &[param("list", Kind::List), param("start", Kind::Number), param("end", Kind::Number)],
    "Takes the items from a start to before an end.",
    (r#"slice(["a", "b", "c", "d"], 1, 3)"#, r#"["b", "c"]"#),
    |_, given| {
        let items = args::list(given, 0, "list")?;
        let (start, end) = (args::count(given, 1, "start")?, args::count(given, 2, "end")?);
        let part =
            items.get(start..end).ok_or_else(|| format!("from {start} to {end} is no part of a list of {} items", items.len()))?;
        Ok(Value::list(part.iter().cloned()))
    },
);

pub(super) static SORT: Function = collection(
    "sort",
    LIST,
    "Sorts a list of texts by code point; numbers become texts, as in Terraform.",
    (r#"sort(["e", "d", "a"])"#, r#"["a", "d", "e"]"#),
    |_, given| {
        let mut items = args::texts(given, 0, "list")?;
        items.sort_unstable();
        Ok(Value::list(items.into_iter().map(Value::String)))
    },
);

#[cfg(test)]
mod tests {
    use crate::lang::Value;
    use crate::lang::function::tests::{call, fails, number};

    fn numbers(items: &[&str]) -> Value {
        Value::list(items.iter().map(|item| number(item)))
    }

    #[test]
    fn range_counts_in_both_directions() {
        assert_eq!(call("range", [number("3")]), numbers(&["0", "1", "2"]));
        assert_eq!(call("range", [number("-2")]), numbers(&["0", "-1"]));
        assert_eq!(call("range", [number("1"), number("0"), number("-0.5")]), numbers(&["1", "0.5"]));
        assert_eq!(call("range", [number("1"), number("1"), number("-3")]), numbers(&[]));
        assert!(fails("range", [number("0"), number("9"), number("0")]).contains("above 0"));
        assert!(fails("range", [number("0"), number("9"), number("-1")]).contains("above 0"));
    }

    #[test]
    fn a_huge_range_is_refused_and_so_is_a_step_too_small_to_count() {
        assert!(fails("range", [number("1000001")]).contains("1000000 items"));
        let tiny = number("0.0000000000000000000000000001");
        assert!(fails("range", [number("1000000000"), number("1000000001"), tiny]).contains("1000000 items"));
        assert_eq!(call("length", [call("range", [number("1000000")])]), number("1000000"));
    }

    #[test]
    fn range_stops_where_numbers_end() {
        let max = Value::Number(rust_decimal::Decimal::MAX);
        assert_eq!(
            call("range", [number("70000000000000000000000000000"), max.clone(), max]),
            numbers(&["70000000000000000000000000000"])
        );
    }

    #[test]
    fn element_goes_round_in_both_directions() {
        assert_eq!(call("element", [numbers(&["1", "2"]), number("-1")]), number("2"));
        assert_eq!(call("element", [numbers(&["1", "2"]), number("-9223372036854775808")]), number("1"));
        assert!(fails("element", [numbers(&[]), number("0")]).contains("empty"));
    }

    #[test]
    fn flatten_stops_at_lists_that_share_themselves() {
        let mut value = Value::list(["x".into(), "x".into()]);
        let mut hollow = Value::list([]);
        for _ in 0..40 {
            value = Value::list([value.clone(), value]);
            hollow = Value::list([hollow.clone(), hollow]);
        }
        assert!(fails("flatten", [value]).contains("1000000 items"));
        assert!(fails("flatten", [hollow]).contains("1000000 items"));
    }

    #[test]
    fn a_product_that_explodes_is_refused_before_it_is_built() {
        let thousand = call("range", [number("1001")]);
        assert!(fails("setproduct", [thousand.clone(), thousand.clone(), thousand]).contains("1000000 items"));
        assert_eq!(call("setproduct", [numbers(&["1"]), numbers(&[])]), Value::list([]));
    }

    #[test]
    fn slices_stay_inside_the_list() {
        assert_eq!(call("slice", [numbers(&["1", "2"]), number("2"), number("2")]), numbers(&[]));
        assert!(fails("slice", [numbers(&["1", "2"]), number("0"), number("3")]).contains("no part"));
        assert!(fails("slice", [numbers(&["1", "2"]), number("2"), number("1")]).contains("no part"));
    }

    #[test]
    fn distinct_keeps_the_order_of_first_appearance() {
        assert_eq!(call("distinct", [numbers(&["3", "1", "3.0", "2", "1"])]), numbers(&["3", "1", "2"]));
    }

    #[test]
    fn chunks_cover_the_list() {
        assert_eq!(call("chunklist", [numbers(&["1", "2", "3"]), number("0")]), Value::list([numbers(&["1", "2", "3"])]));
        assert_eq!(call("chunklist", [numbers(&[]), number("0")]), Value::list([]));
        assert!(fails("chunklist", [numbers(&[]), number("-1")]).contains("negative"));
    }

    #[test]
    fn sort_is_by_text_and_one_counts() {
        assert_eq!(call("sort", [numbers(&["10", "9"])]), Value::list(["10".into(), "9".into()]));
        assert_eq!(call("one", [numbers(&[])]), Value::Null);
        assert!(fails("one", [numbers(&["1", "2"])]).contains("has 2"));
        assert!(fails("compact", [Value::list([Value::list([])])]).contains("item 0"));
    }
}
