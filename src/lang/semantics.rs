//! What expressions mean, checked against Terraform 1.11 where the two agree.

use std::time::Duration;

use super::{Env, Expr, Scope, Value, Vars, render};

fn env() -> Env<'static> {
    Env::pure(jiff::Timestamp::UNIX_EPOCH)
}

fn scope() -> Vars {
    let read = |text: &str| Expr::parse(text).unwrap().eval(&Vars::default(), &env()).unwrap();
    let mut vars = Vars::new([
        ("self", read(r#"{ home = "/opt/dss", port = 11200, tags = ["a", "b"] }"#)),
        ("list", read("[1, 2, 3]")),
        ("hosts", read(r#"[{ name = "a", ports = [1, 2] }, { name = "b", ports = [] }]"#)),
        ("nothing", Value::Null),
        ("later", Value::Unknown),
        ("secret", Value::string("hunter2").sensitive()),
        ("hidden", read(r#"{ password = "hunter2", list = ["hunter2"] }"#).sensitive()),
        ("mixed", Value::object([("user", Value::from("u")), ("password", Value::from("hunter2").sensitive())])),
    ]);
    vars.set("yes", true.into());
    vars
}

fn eval(text: &str) -> Result<Value, String> {
    let expr = Expr::parse(text).map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
    expr.eval(&scope(), &env())
        .map_err(|problems| problems.iter().map(|p| format!("{p} {}", p.help.as_deref().unwrap_or(""))).collect())
}

#[track_caller]
fn gives(text: &str, value: &str) {
    assert_eq!(eval(text).map(|value| render::text(&value)).as_deref(), Ok(value), "{text}");
}

#[track_caller]
fn fails(text: &str, reason: &str) {
    let error = eval(text).expect_err(text);
    assert!(error.contains(reason), "{text}: {error}");
    assert!(!error.contains("hunter2"), "{text} tells a secret: {error}");
}

#[test]
fn operators_convert_text_to_numbers_and_truth() {
    gives(r#"1 + "2""#, "3");
    gives(r#""10" > 9"#, "true");
    gives(r#"!"true""#, "false");
    gives(r#""true" && true"#, "true");
    gives("2 + 3 * 4 - 1", "13");
    gives("(2 + 3) * 4", "20");
    gives("-self.port", "-11200");
    gives("- 5 + 1", "-4");
    gives("0.1 + 0.2", "0.3");
    gives("10 / 4", "2.5");
    fails(r#"1 + "x""#, "a number is needed here, not the string \"x\"");
    fails("true + 1", "a number is needed");
    fails("1 && true", "true or false is needed");
    fails("nothing + 1", "not null");
}

#[test]
fn remainders_keep_the_sign_of_the_dividend() {
    gives("-7 % 3", "-1");
    gives("7 % -3", "1");
    gives("7.5 % 2", "1.5");
}

#[test]
fn impossible_arithmetic_is_an_error_and_never_a_wrong_number() {
    fails("1 / 0", "division by zero");
    fails("1 % 0", "division by zero");
    fails("1 % (self.port - 11200)", "division by zero");
    fails("79228162514264337593543950335 + 1", "number too large");
    fails("79228162514264337593543950335 * 10", "number too large");
    fails("1234567890123456789012345678901234567890", "number too long");
    fails("1e400", "");
    gives("123456789012345678", "123456789012345678");
    gives("0.1234567890123456789", "0.1234567890123456789");
}

#[test]
fn values_of_different_types_are_different() {
    gives(r#"1 == "1""#, "false");
    gives(r#"true == "true""#, "false");
    gives("null == null", "true");
    gives("nothing == null", "true");
    gives("1 == 1.0", "true");
    gives("[1] == [1.0]", "true");
    gives("{ a = 1 } == { a = 1 }", "true");
    gives("[] != {}", "true");
}

#[test]
fn only_the_branch_that_is_taken_is_evaluated() {
    gives("yes ? 1 : nothing.x", "1");
    gives("!yes ? nothing.x : \"b\"", "\"b\"");
    gives("yes ? \"a\" : 1", "\"a\"");
    gives("false && nothing.x", "false");
    gives("true || nothing.x", "true");
    fails("true && nothing.x", "null has no attribute `x`");
}

#[test]
fn unknown_spreads_but_not_past_what_is_certain() {
    gives("later + 1", "<known after apply>");
    gives("later ? 1 : 2", "<known after apply>");
    gives("\"x${later}\"", "<known after apply>");
    gives("later.a[0].b", "<known after apply>");
    gives("later[*].a", "<known after apply>");
    gives("later == 1", "<known after apply>");
    gives("false && later", "false");
    gives("later && false", "false");
    gives("true || later", "true");
    gives("later || true", "true");
    gives("later && nothing.x", "<known after apply>");
    gives("[later, 1]", "[<known after apply>, 1]");
    gives("[for x in later : x]", "<known after apply>");
    gives("{ (later) = 1 }", "<known after apply>");
    gives("list[later]", "<known after apply>");
    gives("try(later, 1)", "<known after apply>");
}

#[test]
fn sensitive_marks_everything_that_is_computed_from_it() {
    for text in [
        "secret",
        "\"x${secret}\"",
        "secret == \"a\"",
        "secret == \"a\" ? 1 : 2",
        "hidden.password",
        "hidden[\"list\"][0]",
        "hidden.list[*]",
        "[for x in hidden.list : x]",
        "{ for k, v in hidden : k => 1 }",
        "{ (secret) = 1 }",
        "self[secret == \"hunter2\" ? \"home\" : \"port\"]",
        "mixed.password",
        "sensitive(1)",
        "[1] == [secret]",
        "!(secret == \"a\")",
        "\"%{ if secret == \"a\" }a%{ else }b%{ endif }\"",
        "\"%{ for x in hidden.list }${x}%{ endfor }\"",
    ] {
        gives(text, "<sensitive>");
    }
    gives("mixed", "{ password = <sensitive>, user = \"u\" }");
    gives("mixed.user", "\"u\"");
    gives("nonsensitive(secret)", "\"hunter2\"");
    gives("nonsensitive([for x in hidden.list : x])", "[\"hunter2\"]");
    gives("issensitive(mixed)", "true");
    gives("issensitive(1)", "false");
}

#[test]
fn errors_never_show_a_sensitive_value() {
    fails("secret + 1", "a sensitive string");
    fails("secret && true", "a sensitive string");
    fails("secret.x", "a sensitive string has no attribute");
    fails("\"x${hidden}\"", "a sensitive object");
    fails("self[secret]", "sensitive name");
    fails("list[secret]", "sensitive string");
    fails("{ for x in [secret, secret] : x => 1 }", "a sensitive key results twice");
    fails("[for x in hidden.list : x + 1]", "a sensitive string");
    fails("hidden[*] + 1", "a sensitive list");
}

#[test]
fn templates_take_plain_values_only() {
    gives("\"${self.home}/bin/x\"", "\"/opt/dss/bin/x\"");
    gives("\"${[1]}\"", "[1]");
    gives("\"${1}\"", "1");
    gives("\"a${1.50}b${true}\"", "\"a1.5btrue\"");
    fails("\"x${null}\"", "null cannot be part of a text");
    fails("\"x${[1]}\"", "a list cannot be part of a text");
    fails("\"x${self}\"", "an object cannot be part of a text");
    gives(r#""a\n\t\"\\\u00e9$${x}%%{y}""#, r#""a\n\t\"\\é$${x}%%{y}""#);
    gives("\"a  ${~ 1 ~}  b\\n  ${~ 2 ~} \\n c\"", "\"a1b2c\"");
    gives("\"%{ for i, x in [\"a\", \"b\"] }${i}${x} %{ endfor }\"", "\"0a 1b \"");
    gives("\"%{ if yes }a%{ endif }%{ if !yes }b%{ else }c%{ endif }\"", "\"ac\"");
}

#[test]
fn heredocs_lose_indentation_and_stripped_blanks_as_in_terraform() {
    gives("<<EOT\nx ${1}\n\n$${y}\nEOT", "\"x 1\\n\\n$${y}\\n\"");
    gives("<<EOT\nEOT", "\"\"");
    gives("<<EOT\n${1}\nEOT", "\"1\\n\"");
    gives("<<-EOT\n    a\n\n      b\n   \n    EOT", "\"a\\n\\n  b\\n   \\n\"");
    gives("<<-EOT\n    a ${1}\n  ${2} x\n      b\nEOT", "\"  a 1\\n2 x\\n    b\\n\"");
    gives("<<EOT\n  %{ for x in [1,2] ~}\n  s ${x}\n  %{ endfor ~}\n  end\nEOT", "\"    s 1\\n    s 2\\n    end\\n\"");
    gives("<<-EOT\n    a\n    %{~ if true ~}\n      b\n    %{~ endif ~}\n    c\nEOT", "\"    a\\n      b\\n    c\\n\"");
}

#[test]
fn selections_reach_into_lists_and_objects() {
    gives("list[\"1\"]", "2");
    gives("{ \"1\" = \"x\" }[1]", "\"x\"");
    gives("hosts.0.name", "\"a\"");
    gives("hosts[1][\"name\"]", "\"b\"");
    gives("self.tags[1]", "\"b\"");
    fails("list[3]", "the list has the items 0 to 2");
    fails("list[-1]", "selects nothing");
    fails("list[0.5]", "selects nothing");
    fails("[][0]", "the list is empty");
    fails("list.x", "a list has no attribute `x`");
    fails("self.hom", "did you mean `home`?");
    fails("self.zzzzz", "it has `home`, `port`, `tags`");
    fails("slef.home", "did you mean `self`?");
    fails("nothing.x", "null has no attribute `x`");
    fails("1[0]", "a list or an object before");
    fails("list[nothing]", "an index (a whole number) is needed");
}

#[test]
fn splats_follow_terraform() {
    gives("hosts[*].name", "[\"a\", \"b\"]");
    gives("hosts.*.name", "[\"a\", \"b\"]");
    gives("null[*]", "[]");
    gives("self[*].port", "[11200]");
    gives("[{ a = [1, 2] }].*.a[0]", "[1, 2]");
    gives("[{ a = [1, 2] }][*].a[0]", "[1]");
    gives("hosts[*].ports[*]", "[[1, 2], []]");
}

#[test]
fn for_expressions_filter_group_and_nest() {
    gives("[for x in list : x * 2 if x > 1]", "[4, 6]");
    gives("[for i, x in [\"a\"] : \"${i}${x}\"]", "[\"0a\"]");
    gives("{ for k, v in { b = 1, a = 2 } : k => v if v > 1 }", "{ a = 2 }");
    gives("{ for i, x in [\"a\", \"b\", \"a\"] : x => i... }", "{ a = [0, 2], b = [1] }");
    gives("[for x in list : [for y in list : x * y if y == x]]", "[[1], [4], [9]]");
    gives("[for x in [1] : x + [for x in [10] : x][0]]", "[11]");
    gives("[for list in list : list]", "[1, 2, 3]");
    fails("{ for x in [\"a\", \"a\"] : x => 1 }", "the key `a` results twice");
    fails("[for x in nothing : x]", "a list or an object to iterate over");
    fails("[for x in list : x.y]", "has no attribute `y`");
}

#[test]
fn try_and_can_swallow_failures_and_leave_nothing_behind() {
    gives("try(nothing.x, self.zzz, 7)", "7");
    gives("can(nothing.x)", "false");
    gives("can(self.home)", "true");
    gives("[for x in list : try([for y in [1, 2] : y.z], x)]", "[1, 2, 3]");
    fails("try(nothing.x)", "every argument of `try` fails");
    fails("try()", "wrong number of arguments");
}

#[test]
fn the_budget_stops_what_would_take_too_long_even_inside_try() {
    let text = "try([for a in list : [for b in list : [for c in list : a]]], 0)";
    let small = Env { budget: 50, ..env() };
    let error = Expr::parse(text).unwrap().eval(&scope(), &small).unwrap_err();
    assert!(error.iter().any(|problem| problem.summary == "expression too costly"));
}

#[test]
fn unknown_functions_and_types_as_values_are_reported() {
    fails("frobnicate(1)", "there is no function `frobnicate`");
    fails("tri(1)", "unknown function");
    fails("list(string)", "is a type constraint");
    fails("{ a = 1, \"a\" = 2 }", "duplicate key");
    fails("{ a = 1, a = 2 }", "duplicate key");
}

#[test]
fn references_are_the_free_names_with_their_literal_paths() {
    let expr = Expr::parse(
        "[for x in instance.mlflow.main.hosts[*].name : \"${x}${var.a[\"b\"].c[local.i].d}\" if x != self] == { a = var.a[\"b\"].c }",
    );
    let names: Vec<String> =
        expr.unwrap().references().iter().map(|found| format!("{}:{}", found.root, found.path.join("."))).collect();
    assert_eq!(names, ["instance:mlflow.main.hosts", "var:a.b.c", "local:i", "self:"]);
}

#[test]
fn the_scope_is_asked_with_the_path_and_may_use_part_of_it() {
    struct Paths;
    impl Scope for Paths {
        fn resolve(&self, root: &str, path: &[&str]) -> Option<Result<(Value, usize), String>> {
            match (root, path) {
                ("instance", ["dss", name, ..]) => Some(Ok((Value::object([("name", Value::from(*name))]), 2))),
                ("instance", _) => Some(Err("name the product and the instance".to_owned())),
                _ => None,
            }
        }
        fn names(&self) -> Vec<String> {
            vec!["instance".to_owned()]
        }
    }
    let eval = |text: &str| Expr::parse(text).unwrap().eval(&Paths, &env());
    assert_eq!(eval("instance.dss.main.name"), Ok(Value::from("main")));
    assert_eq!(eval("instance.dss[\"main\"].name"), Ok(Value::from("main")));
    assert!(eval("instance.dss").unwrap_err().iter().any(|problem| problem.detail.contains("name the product")));
    assert!(eval("instanc.dss").unwrap_err().iter().any(|problem| problem.help.as_deref() == Some("did you mean `instance`?")));
}

#[test]
fn expressions_survive_being_written_and_read_back() {
    for text in
        ["\"${self.home}/x\"", "<<-EOT\n  a ${list[0]}\n  EOT", "(\n  1 +\n  2\n)", "[for x in list : x]", "-1", "self.tags[*]"]
    {
        let expr = Expr::parse(&format!("  {text}\n")).unwrap();
        assert_eq!(expr.text(), text);
        let json = serde_json::to_string(&expr).unwrap();
        let back: Expr = serde_json::from_str(&json).unwrap();
        assert_eq!(back, expr);
        assert_eq!(back.eval(&scope(), &env()), expr.eval(&scope(), &env()));
    }
    assert!(serde_json::from_str::<Expr>("\"1 +\"").is_err());
    let literal = Expr::literal(Value::from("a${b}"));
    assert_eq!(literal.text(), "\"a$${b}\"");
    assert_eq!(Expr::parse(literal.text()).unwrap().eval(&scope(), &env()), Ok(Value::from("a${b}")));
    let secret = serde_json::to_string(&Expr::literal(Value::from("hunter2").sensitive())).unwrap();
    assert_eq!(secret, "\"<sensitive>\"");
    assert!(serde_json::from_str::<Expr>(&secret).is_err());
}

#[test]
fn a_template_file_is_text_and_may_not_call_itself() {
    let text = Expr::template("a ${self.home}\n%{ if yes }\"q\"\\n%{ endif }\n").unwrap().eval(&scope(), &env());
    assert_eq!(text, Ok(Value::from("a /opt/dss\n\"q\"\\n\n")));
    assert!(Expr::template("${templatefile(\"x\", {})}").is_err());
    assert!(Expr::template("${").is_err());
    assert!(Expr::template(&"${".repeat(100_000)).is_err());
    assert_eq!(Expr::template("").unwrap().eval(&scope(), &env()), Ok(Value::from("")));
}

#[test]
fn the_deepest_expression_fits_on_a_small_stack() {
    let run = || {
        let deep = format!("{}1{}", "[".repeat(59), "]".repeat(59));
        let parens = format!("{}1{}", "(1 + ".repeat(59), ")".repeat(59));
        let nots = format!("{}yes", "!".repeat(60));
        let sums = vec!["1"; 128].join(" + ");
        let nested = (0..50).fold("1".to_owned(), |inner, _| format!("[for x in [{inner}] : x]"));
        let quotes = (0..50).fold("1".to_owned(), |inner, _| format!("\"a${{{inner}}}\""));
        let loops = (0..25).fold("1".to_owned(), |inner, _| format!("[for x in [{inner}] : x]"));
        let mixed = format!("{}1{}{}", "(1 + ".repeat(58), " + 1".repeat(60), ")".repeat(58));
        let branches = (0..55).fold("1".to_owned(), |inner, _| format!("yes ? {inner} : 0"));
        let directives = format!("<<E\n{}x{}\nE", "%{ if yes }".repeat(55), "%{ endif }".repeat(55));
        for text in [loops, mixed, branches, directives, deep, parens, nots, sums, quotes] {
            eval(&text).unwrap();
        }
        assert!(eval(&nested).is_err(), "the for and the list in it are two levels each");
    };
    std::thread::Builder::new().stack_size(2 << 20).spawn(run).unwrap().join().unwrap();
}

#[test]
fn a_splat_over_a_long_list_and_a_long_for_stay_linear() {
    let list = Value::list((0..100_000u64).map(Value::from));
    let vars = Vars::new([("many", list)]);
    let expr = Expr::parse("[for x in many : x + 1]").unwrap();
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || send.send(expr.eval(&vars, &env()).map(|value| value.as_list().map(<[_]>::len))));
    assert_eq!(receive.recv_timeout(Duration::from_secs(60)), Ok(Ok(Some(100_000))));
}
