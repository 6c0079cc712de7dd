//! Functions about versions. Each takes, as a last argument that may be left out, the scheme that orders them (`"dotted"`).

use std::cmp::Ordering;

use super::{Function, Kind, Param, param};
use crate::lang::{Env, Value};
use crate::model::version::{Version, VersionError, VersionReq, VersionScheme};

const SCHEME: Param = param("scheme", Kind::String);

/// The functions of this family.
pub(super) static VERSION: &[Function] = &[
    Function {
        name: "version_compare",
        params: &[param("left", Kind::String), param("right", Kind::String), SCHEME],
        rest: None,
        optional: 1,
        family: "version",
        summary: "Compares two versions: -1 where the first is older, 0 where they are equal, 1 where it is newer.",
        example: ("version_compare(\"13.4.1\", \"13.10.0\")", "-1"),
        run: compare,
    },
    Function {
        name: "version_matches",
        params: &[param("version", Kind::String), param("constraint", Kind::String), SCHEME],
        rest: None,
        optional: 1,
        family: "version",
        summary: "Whether a version fits a constraint such as `~> 13.4` or `>= 3.3, < 4`; a prerelease is compared like any other version.",
        example: ("version_matches(\"13.10.0\", \"~> 13.4\")", "true"),
        run: matches,
    },
    Function {
        name: "version_max",
        params: &[param("versions", Kind::List), SCHEME],
        rest: None,
        optional: 1,
        family: "version",
        summary: "The newest version of a list, as written; the first one where several are equal.",
        example: ("version_max([\"1.8.0rc1\", \"1.8.0\", \"1.7.11\"])", "\"1.8.0\""),
        run: max,
    },
    Function {
        name: "version_part",
        params: &[param("version", Kind::String), param("index", Kind::Number), SCHEME],
        rest: None,
        optional: 1,
        family: "version",
        summary: "A number of a version's release by its index (0 major, 1 minor, 2 patch), null where it has none.",
        example: ("version_part(\"4.5.16.1002-GA\", 3)", "1002"),
        run: part,
    },
    Function {
        name: "version_sort",
        params: &[param("versions", Kind::List), SCHEME],
        rest: None,
        optional: 1,
        family: "version",
        summary: "The versions of a list from the oldest to the newest, as written; equal ones stay in their order.",
        example: ("version_sort([\"1.10\", \"1.9\", \"1.10-rc1\"])", "[\"1.9\", \"1.10-rc1\", \"1.10\"]"),
        run: sort,
    },
];

fn compare(_env: &Env<'_>, arguments: &[Value]) -> Result<Value, String> {
    let scheme = scheme(arguments, 2)?;
    let order =
        version(text(arguments, 0, "left")?, "left", &scheme)?.cmp(&version(text(arguments, 1, "right")?, "right", &scheme)?);
    Ok(Value::from(match order {
        Ordering::Less => -1_i64,
        Ordering::Equal => 0,
        Ordering::Greater => 1,
    }))
}

fn matches(_env: &Env<'_>, arguments: &[Value]) -> Result<Value, String> {
    let scheme = scheme(arguments, 2)?;
    let version = version(text(arguments, 0, "version")?, "version", &scheme)?;
    let constraint = VersionReq::parse(text(arguments, 1, "constraint")?, &scheme).map_err(|error| clause("constraint", &error))?;
    Ok(Value::from(constraint.matches(&version)))
}

fn part(_env: &Env<'_>, arguments: &[Value]) -> Result<Value, String> {
    let scheme = scheme(arguments, 2)?;
    let version = version(text(arguments, 0, "version")?, "version", &scheme)?;
    let Some(Value::Number(index)) = arguments.get(1) else {
        return Err("argument \"index\" must be a number".to_owned());
    };
    if !index.is_integer() || index.is_sign_negative() && !index.is_zero() {
        return Err(format!("argument \"index\" is {index}; it must be a whole number from 0"));
    }
    Ok(Value::from(usize::try_from(*index).ok().and_then(|index| version.component(index))))
}

fn max(_env: &Env<'_>, arguments: &[Value]) -> Result<Value, String> {
    let versions = list(arguments)?;
    // `max_by` answers the last of equal ones.
    match versions.iter().rev().max() {
        Some(newest) => Ok(Value::String(newest.shared_text())),
        None => Err("argument \"versions\" is empty".to_owned()),
    }
}

fn sort(_env: &Env<'_>, arguments: &[Value]) -> Result<Value, String> {
    let mut versions = list(arguments)?;
    versions.sort();
    Ok(Value::list(versions.iter().map(|version| Value::String(version.shared_text()))))
}

fn list(arguments: &[Value]) -> Result<Vec<Version>, String> {
    let scheme = scheme(arguments, 1)?;
    let items = arguments.first().and_then(Value::as_list).ok_or("argument \"versions\" must be a list")?;
    items
        .iter()
        .enumerate()
        .map(|(index, item)| match item {
            Value::String(text) => version(text, &format!("versions[{index}]"), &scheme),
            // `[18.4]` without quotes: `18.10` is `18.1` by then, so it is not converted.
            other => Err(format!("argument \"versions[{index}]\" is a {}; write the version in quotes", other.kind())),
        })
        .collect()
}

fn text<'v>(arguments: &'v [Value], index: usize, name: &str) -> Result<&'v str, String> {
    arguments.get(index).and_then(Value::as_str).ok_or_else(|| format!("argument \"{name}\" must be a string"))
}

fn version(text: &str, name: &str, scheme: &VersionScheme) -> Result<Version, String> {
    Version::parse(text, scheme).map_err(|error| clause(name, &error))
}

fn scheme(arguments: &[Value], index: usize) -> Result<VersionScheme, String> {
    match arguments.get(index) {
        None | Some(Value::Null) => Ok(VersionScheme::default()),
        Some(Value::String(text)) => text.parse().map_err(|error| clause("scheme", &error)),
        Some(_) => Err("argument \"scheme\" must be a string".to_owned()),
    }
}

fn clause(name: &str, error: &VersionError) -> String {
    format!("argument \"{name}\": {error}; {}", error.help)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::VERSION;
    use crate::lang::{Env, Value};

    fn call(name: &str, arguments: &[Value]) -> Result<Value, String> {
        let function = VERSION.iter().find(|function| function.name == name).unwrap();
        (function.run)(&Env::pure(Timestamp::UNIX_EPOCH), arguments)
    }

    fn texts(items: &[&str]) -> Value {
        Value::list(items.iter().map(Value::string))
    }

    #[test]
    fn the_table_is_sorted_and_its_scheme_can_be_left_out() {
        assert!(VERSION.is_sorted_by_key(|function| function.name));
        for function in VERSION {
            assert_eq!(function.params.last().map(|last| last.name), Some("scheme"));
            assert_eq!(function.optional, 1);
        }
    }

    #[test]
    fn versions_compare_under_the_named_scheme() {
        let compare = |arguments: &[&str]| call("version_compare", &arguments.iter().map(Value::string).collect::<Vec<_>>());
        assert_eq!(compare(&["13.4.1", "13.10.0"]), Ok(Value::from(-1_i64)));
        assert_eq!(compare(&["V5.0", "5.0.0"]), Ok(Value::from(0_i64)));
        assert_eq!(compare(&["1:1.0", "2.0", "debian"]), Ok(Value::from(1_i64)));
        assert!(compare(&["1:1.0", "2.0"]).unwrap_err().contains("argument \"left\": `1:1.0` has `:`"));
        assert!(
            compare(&["1", "2", "calendar"])
                .unwrap_err()
                .starts_with("argument \"scheme\": `calendar` is not a version scheme; write")
        );
        assert_eq!(call("version_compare", &["1".into(), "1".into(), Value::Null]), Ok(Value::from(0_i64)));
    }

    #[test]
    fn constraints_are_matched_by_order_alone() {
        let matches = |version: &str, constraint: &str| call("version_matches", &[version.into(), constraint.into()]);
        assert_eq!(matches("13.10.0", "~> 13.4"), Ok(Value::from(true)));
        assert_eq!(matches("1.9.0rc1", ">= 1.8"), Ok(Value::from(true)));
        assert_eq!(matches("4", ">= 3.3, < 4"), Ok(Value::from(false)));
        assert!(matches("4", "=> 3").unwrap_err().contains("write `>= 3`"));
    }

    #[test]
    fn a_part_is_a_number_or_null() {
        let part = |index: Value| call("version_part", &["4.5.16.1002-GA".into(), index]);
        assert_eq!(part(Value::from(3_u64)), Ok(Value::from(1002_u64)));
        assert_eq!(part(Value::from(4_u64)), Ok(Value::Null));
        assert_eq!(part(Value::from(u64::MAX)), Ok(Value::Null));
        assert!(part(Value::from(-1_i64)).unwrap_err().contains("whole number from 0"));
        assert!(part(Value::Number("1.5".parse().unwrap())).is_err());
        assert_eq!(part(Value::Number(rust_decimal::Decimal::MAX)), Ok(Value::Null));
    }

    #[test]
    fn lists_are_ordered_and_their_texts_kept() {
        let list = texts(&["1.10", "v1.9", "1.10.0", "1.10-rc1"]);
        assert_eq!(call("version_sort", std::slice::from_ref(&list)), Ok(texts(&["v1.9", "1.10-rc1", "1.10", "1.10.0"])));
        assert_eq!(call("version_max", &[list]), Ok(Value::string("1.10")));
        assert_eq!(call("version_sort", &[texts(&[])]), Ok(texts(&[])));
        assert_eq!(call("version_max", &[texts(&[])]).unwrap_err(), "argument \"versions\" is empty");
        let mixed = Value::list([Value::from("1.0"), Value::from(2_i64)]);
        assert_eq!(call("version_max", &[mixed]).unwrap_err(), "argument \"versions[1]\" is a number; write the version in quotes");
        assert!(call("version_sort", &[texts(&["1", "latest"])]).unwrap_err().contains("versions[1]"));
    }
}
