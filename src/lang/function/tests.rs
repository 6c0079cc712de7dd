//! Tests over the whole table, and what the families' own tests call functions with.

use super::{Function, Kind, Param, find};
use crate::lang::{Env, Files, Number, Value};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use std::collections::HashSet;
use std::sync::Arc;

const FAMILIES: [&str; 9] = ["string", "collection", "numeric", "encoding", "filesystem", "hash", "time", "type", "version"];

fn run<const N: usize>(name: &str, given: [Value; N]) -> super::Answer {
    let function = find(name).unwrap_or_else(|| panic!("there is no function {name}"));
    (function.run)(&Env::pure(jiff::Timestamp::UNIX_EPOCH), &given)
}

/// What a function answers.
pub(crate) fn call<const N: usize>(name: &str, given: [Value; N]) -> Value {
    run(name, given).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Why a function fails.
pub(crate) fn fails<const N: usize>(name: &str, given: [Value; N]) -> String {
    run(name, given).expect_err(name)
}

/// A number by its digits.
pub(crate) fn number(text: &str) -> Value {
    Value::Number(text.parse().expect("digits"))
}

#[test]
fn the_table_is_sorted_without_repetition() {
    let names: Vec<&str> = super::FUNCTIONS.iter().map(|function| function.name).collect();
    assert!(names.windows(2).all(|pair| pair[0] < pair[1]), "{names:?}");
    assert!(names.iter().all(|name| find(name).is_some_and(|found| found.name == *name)));
    assert!(names.len() > 100, "{}", names.len());
}

#[test]
fn every_function_says_what_it_is() {
    let mut summaries = HashSet::new();
    for Function { name, params, optional, family, summary, example, rest, .. } in super::FUNCTIONS {
        assert!(FAMILIES.contains(family), "{name}: {family}");
        assert!(summary.ends_with('.') && summary.starts_with(char::is_uppercase) && !summary.contains(". "), "{name}: {summary}");
        assert!(summaries.insert(summary), "{name}: {summary}");
        assert!(example.0.contains(&format!("{name}(")) && !example.1.is_empty(), "{name}: {example:?}");
        assert!(*optional <= params.len(), "{name}");
        let names: HashSet<&str> = params.iter().chain(rest).map(|param| param.name).collect();
        assert_eq!(names.len(), params.len() + usize::from(rest.is_some()), "{name}");
    }
}

fn any_number() -> impl Strategy<Value = Number> + Clone {
    let small = (-20_i64..20).prop_map(Number::from);
    let edges =
        prop::sample::select(vec![Number::MAX, Number::MIN, Number::new(1, 28), Number::from(i64::MAX), Number::from(i64::MIN)]);
    prop_oneof![4 => small, 2 => (any::<i64>(), 0_u32..=28).prop_map(|(mantissa, scale)| Number::new(mantissa, scale)), 1 => edges]
}

fn any_text() -> impl Strategy<Value = String> + Clone {
    let likely = prop::sample::select(vec![
        "",
        "a",
        "-",
        "1",
        "/a/",
        "(a)|b",
        "%s",
        "%[2]5.1f",
        "2026-01-31T12:00:00Z",
        "-9999999d",
        "UTF-16LE",
        "dns",
        "QQ==",
        "../..",
        "{{ a }}",
        "{% for i in a %}",
        "true",
        "a: [1]",
        "\u{0}",
        "ß",
        "e\u{301}",
        "\u{1f600}",
        "a,b\n1,2",
        "*",
    ]);
    prop_oneof![2 => likely.prop_map(String::from), 1 => "[ -~é\n\t]{0,12}", 1 => "\\PC{0,8}"]
}

/// Any small value that JSON can write and read back: numbers have few digits.
pub(crate) fn anything() -> impl Strategy<Value = Value> {
    let number = (-1_000_000_i64..1_000_000, 0_u32..6).prop_map(|(mantissa, scale)| Value::Number(Number::new(mantissa, scale)));
    of_scalars(
        prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), number, any_text().prop_map(Value::from)].boxed(),
    )
}

fn of_scalars(scalar: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    scalar
        .prop_recursive(3, 24, 4, |inner| {
            prop_oneof![vec(inner.clone(), 0..4).prop_map(Value::list), btree_map(any_text(), inner, 0..4).prop_map(Value::object)]
        })
        .boxed()
}

fn of_kind(kind: Kind) -> BoxedStrategy<Value> {
    let number = any_number().prop_map(Value::Number);
    let text = any_text().prop_map(Value::from);
    let hidden = prop_oneof![Just(Value::Unknown), Just(Value::from("x").sensitive())];
    let scalar =
        prop_oneof![1 => Just(Value::Null), 2 => any::<bool>().prop_map(Value::from), 4 => number.clone(), 4 => text.clone()];
    let mixed = of_scalars(scalar.boxed());
    match kind {
        Kind::Any => prop_oneof![20 => mixed, 1 => hidden].boxed(),
        Kind::Bool => any::<bool>().prop_map(Value::from).boxed(),
        Kind::Number => number.boxed(),
        Kind::String => text.boxed(),
        // Lists of one kind get further than mixed ones.
        Kind::List => prop_oneof![
            vec(mixed, 0..5).prop_map(Value::list),
            vec(number, 0..5).prop_map(Value::list),
            vec(text, 0..5).prop_map(Value::list),
            vec(vec(any_text().prop_map(Value::from), 0..3).prop_map(Value::list), 0..4).prop_map(Value::list),
        ]
        .boxed(),
        Kind::Object => prop_oneof![
            btree_map(any_text(), mixed, 0..4).prop_map(Value::object),
            btree_map(any_text(), vec(any_text().prop_map(Value::from), 0..3).prop_map(Value::list), 0..4).prop_map(Value::object),
        ]
        .boxed(),
    }
}

/// Every path is a file whose content is the path, but for some that fail.
struct Mirror;

impl Files for Mirror {
    fn read(&self, path: &str) -> Result<Arc<[u8]>, String> {
        if path.len() % 5 == 4 { Err("there is no such file".into()) } else { Ok(path.as_bytes().into()) }
    }

    fn exists(&self, path: &str) -> bool {
        path.len() % 5 != 4
    }

    fn list(&self, dir: &str, glob: &str) -> Result<Vec<String>, String> {
        Ok(vec![dir.into(), glob.into()])
    }
}

/// A function with arguments of the kinds it declares, sometimes too few, or one of a kind it does not.
fn any_call() -> impl Strategy<Value = (&'static Function, Vec<Value>)> {
    prop::sample::select(super::FUNCTIONS).prop_flat_map(|function| {
        let kind = |param: &Param| prop_oneof![15 => of_kind(param.kind), 1 => of_kind(Kind::Any)];
        let fixed: Vec<_> = function.params.iter().map(kind).collect();
        let further =
            vec(of_kind(function.rest.map_or(Kind::Any, |rest| rest.kind)), if function.rest.is_some() { 0..4 } else { 0..1 });
        let missing = prop_oneof![4 => Just(0), 2 => 0..=function.optional, 1 => 0..=function.params.len()];
        (fixed, further, missing).prop_map(move |(mut given, further, missing)| {
            if missing > 0 {
                given.truncate(given.len() - missing);
            } else {
                given.extend(further);
            }
            (function, given)
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    /// Answers come without panic, are the same the second time, and an error is a clause of one line.
    #[test]
    fn no_function_panics_whatever_it_is_given((function, given) in any_call()) {
        let env = Env { files: &Mirror, now: jiff::Timestamp::MAX, budget: Env::BUDGET };
        let answer = (function.run)(&env, &given);
        prop_assert_eq!(&answer, &(function.run)(&env, &given), "{}", function.name);
        if let Err(clause) = answer {
            prop_assert!(!clause.is_empty() && !clause.contains('\n') && !clause.ends_with('.'), "{}: {clause:?}", function.name);
        }
    }
}

#[test]
fn the_right_number_of_plain_texts_never_counts_as_missing() {
    let env = Env::pure(jiff::Timestamp::UNIX_EPOCH);
    for function in super::FUNCTIONS {
        let given = vec![Value::from("a"); function.params.len()];
        if let Err(error) = (function.run)(&env, &given) {
            assert!(!error.ends_with("is missing"), "{}: {error}", function.name);
        }
    }
}

#[test]
fn errors_name_arguments_by_their_declared_names() {
    let env = Env::pure(jiff::Timestamp::UNIX_EPOCH);
    for function in super::FUNCTIONS {
        let names: Vec<&str> = function.params.iter().chain(&function.rest).map(|param| param.name).collect();
        // Null is refused by name wherever a kind is wanted.
        for count in 0..=function.params.len() + 1 {
            if let Err(error) = (function.run)(&env, &vec![Value::Null; count])
                && let Some((_, rest)) = error.split_once("argument \"")
            {
                let name = rest.split('"').next().unwrap_or_default();
                assert!(names.contains(&name), "{}: {error}", function.name);
            }
        }
    }
}
