//! Where values of variables come from, and which wins.

use std::path::PathBuf;

use super::{Case, VarSource, problems};
use crate::lang::Value;

const MAIN: &str = "variable \"x\" { default = \"default\" }\noutput \"x\" { value = var.x }\n";

/// What a source is called and gives, and how it is added.
type Row<'a> = (&'a str, &'a dyn Fn(&mut Case));

fn assign(name: &str, value: &str) -> VarSource {
    VarSource::Assign { name: name.into(), value: value.into() }
}

#[test]
fn the_later_source_wins() {
    // Each row adds one source to those above it; the value is the one that it gives.
    let rows: &[Row<'_>] = &[
        ("default", &|_| {}),
        ("env", &|case| {
            case.env.insert("WINDLASS_VAR_x".into(), "env".into());
        }),
        ("hcl", &|case| case.write("windlass.vars.hcl", "x = \"hcl\"")),
        ("json", &|case| case.write("windlass.vars.json", "{\"x\": \"json\"}")),
        ("auto a", &|case| case.write("a.auto.vars.hcl", "x = \"auto a\"")),
        ("auto b", &|case| case.write("b.auto.vars.json", "{\"x\": \"auto b\"}")),
        ("auto c", &|case| case.write("c.auto.vars.hcl", "x = \"auto c\"")),
        ("var", &|case| case.vars.push(assign("x", "var"))),
        ("file", &|case| {
            case.write("some.vars.hcl", "x = \"file\"");
            case.vars.push(VarSource::File(PathBuf::from("some.vars.hcl")));
        }),
        ("last", &|case| case.vars.push(assign("x", "last"))),
    ];
    let mut case = Case::new(&[("main.hcl", MAIN)]);
    for (value, add) in rows {
        add(&mut case);
        assert_eq!(case.loaded().estate.outputs["x"].value, Value::string(value));
    }
}

#[test]
fn text_from_outside_is_read_by_the_variables_type() {
    for (ty, text, value) in [
        ("string", "[1]", Value::string("[1]")),
        ("number", "8", 8_i64.into()),
        ("bool", "true", true.into()),
        ("list(number)", "[1, \"2\"]", Value::list([1_i64.into(), 2_i64.into()])),
        ("map(string)", "{ a = 1 }", Value::object([("a", "1".into())])),
        ("any", "[true]", Value::list([true.into()])),
    ] {
        let main = format!("variable \"x\" {{ type = {ty} }}\noutput \"x\" {{ value = var.x }}");
        let mut case = Case::new(&[("main.hcl", &main)]);
        case.vars.push(assign("x", text));
        assert_eq!(case.loaded().estate.outputs["x"].value, value, "{ty}");
    }
}

#[test]
fn a_missing_a_wrong_and_an_unknown_variable_are_told_at_once() {
    let mut case = Case::new(&[(
        "main.hcl",
        "variable \"needed\" {}\nvariable \"port\" { type = number }\nvariable \"even\" {\n  default = 3\n  validation {\n    condition = var.even % 2 == 0\n    error_message = \"${var.even} is odd.\"\n  }\n}\n",
    )]);
    case.vars.extend([assign("port", "many"), assign("prot", "1")]);
    insta::assert_snapshot!(case.problems().replace(env!("CARGO_MANIFEST_DIR"), "REPO"), @r#"
[] unknown variable: --var gives a value to `prot`, which the root module does not declare (did you mean `port`?)
[main.hcl:1:1] missing value for variable: `needed` has no default and no value was given (give one with `--var needed=…`, in `windlass.vars.hcl`, or as WINDLASS_VAR_needed)
[main.hcl:2:1] invalid value for variable: `port`, given by --var port: a number is needed, not "many" (give a value of the declared type)
[main.hcl:6:17] invalid value for variable: `even`: 3 is odd. (give a value that fulfils the condition)
"#);
}

#[test]
fn a_value_for_nothing_in_a_file_is_a_warning_and_in_the_environment_nothing() {
    let mut case = Case::new(&[("main.hcl", MAIN), ("windlass.vars.hcl", "y = 1\n")]);
    case.env.insert("WINDLASS_VAR_z".into(), "1".into());
    let loaded = case.loaded();
    assert_eq!(loaded.warnings.len(), 1);
    assert!(case.told(&loaded.warnings).contains("`y`"));
}

#[test]
fn a_secret_value_is_in_no_message() {
    let main = "variable \"p\" {\n  type = number\n  sensitive = true\n}\nvariable \"l\" {\n  type = list(string)\n  sensitive = true\n}\nvariable \"v\" {\n  sensitive = true\n  default = \"hunter2-d\"\n  validation {\n    condition = length(var.v) > 99\n    error_message = \"not ${var.v}\"\n  }\n}\n";
    let mut case = Case::new(&[("main.hcl", main), ("windlass.vars.hcl", "p = \"hunter2-a\"\nq = ]hunter2-b\n")]);
    case.vars.push(assign("l", "[hunter2-c"));
    case.vars.push(assign("p", "hunter2-e"));
    let Err(problems) = case.load() else { panic!("it loads") };
    for problem in problems.iter() {
        let mut shown = String::new();
        let rendered = case.sources.render(problem);
        miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::unicode_nocolor())
            .render_report(&mut shown, &rendered)
            .unwrap();
        for secret in ["hunter2-a", "hunter2-b", "hunter2-c", "hunter2-e"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
    assert!(!case.told(&problems).contains("not hunter2"), "{}", case.told(&problems));
}

#[test]
fn null_is_the_default_where_it_may_not_be_null() {
    let main = "variable \"x\" {\n  default = \"d\"\n  nullable = false\n}\noutput \"x\" { value = var.x }\n";
    let mut case = Case::new(&[("main.hcl", main), ("windlass.vars.hcl", "x = null\n")]);
    assert_eq!(case.loaded().estate.outputs["x"].value, Value::string("d"));
}

#[test]
fn a_validation_may_use_its_own_variable_only() {
    let told = problems(
        "variable \"a\" { default = 1 }\nvariable \"b\" {\n  default = 1\n  validation {\n    condition = var.b == var.a\n    error_message = \"no\"\n  }\n}\n",
    );
    assert_eq!(
        told,
        "[main.hcl:5:26] invalid validation: the validation of variable `b` uses `var.a`; it may use `var.b` only (check combinations of values where they are used)"
    );
}
