//! Tests of `scope` and `used`, from values.

use std::sync::Arc;

use crate::lang::{Env, Object, Scope, Value};
use crate::model::estate::{Host, Instance, Ssh};
use crate::model::inventory::Observation;
use crate::model::provider::Provider;
use crate::model::scope::{HopScope, Subject, Used};
use crate::plan::catalogue::Catalogue;
use crate::plan::sample::{expr, fact, instance, now, observed, provider, release, version};

fn product() -> Provider {
    let mut product = provider("dss");
    for name in ["version", "running", "space"] {
        product.facts.insert(name.into(), fact());
    }
    for (name, text) in [
        ("home", "\"${self.home}/dss-${to.text}\""),
        ("deep", "\"${local.home}/bin\""),
        ("broken", "fact.space + 1"),
        ("round", "local.about"),
        ("about", "local.round"),
        ("later", "\"${local.home}/${step.backup.result.id}\""),
    ] {
        product.locals.insert(name.into(), expr(text));
    }
    product.releases = vec![release("dss", "13.4.1")];
    product.releases[0].sha256 = Some("abc".to_owned());
    product.releases[0].attributes = Value::object([("migration", Value::Bool(true))]);
    product
}

fn declared() -> Instance {
    let settings: Object =
        [("home".into(), Value::string("/opt")), ("password".into(), Value::string("hunter2").sensitive())].into_iter().collect();
    Instance {
        settings: Arc::new(settings),
        backup: Value::object([("method", Value::string("full"))]),
        ..instance("dss", "design", "13.4.1")
    }
}

fn seen() -> Observation {
    observed(&[("version", Ok(Value::string("13.3.0"))), ("running", Ok(Value::Bool(true))), ("space", Err("permission denied"))])
}

/// Runs `test` with the scope of a hop from 13.3.0 to 13.4.1.
fn with_scope(test: impl FnOnce(&HopScope<'_>)) {
    let (product, seen) = (product(), seen());
    let catalogue = Catalogue::new(&product, &[]);
    let subject = Subject::declared(&product, &declared(), None, Some(&seen), Env::pure(now()));
    test(&subject.hop(&catalogue, Some(&version("13.3.0")), Some(&version("13.4.1"))));
}

#[test]
fn every_root_is_what_the_reference_says() {
    with_scope(|scope| {
        for (text, value) in [
            ("self.home", Value::string("/opt")),
            ("self.backup.method", Value::string("full")),
            ("backup.method", Value::string("full")),
            ("instance.address", Value::string("dss.design")),
            ("instance.name", Value::string("design")),
            ("instance.environment", Value::string("production")),
            ("instance.key", Value::Null),
            ("host.name", Value::string("localhost")),
            ("from.text", Value::string("13.3.0")),
            ("from.minor", Value::from(3_u64)),
            ("to.patch", Value::from(1_u64)),
            ("release.sha256", Value::string("abc")),
            ("release.artifact", Value::Null),
            ("release.migration", Value::Bool(true)),
            ("fact.running", Value::Bool(true)),
            ("local.deep", Value::string("/opt/dss-13.4.1/bin")),
            ("step.backup.result.id", Value::Unknown),
        ] {
            assert_eq!(scope.eval(&expr(text)), Ok(value), "{text}");
        }
    });
}

#[test]
fn nothing_before_an_install_and_no_release_that_is_not_known() {
    let product = product();
    let catalogue = Catalogue::new(&product, &[]);
    let subject = Subject::declared(&product, &declared(), None, None, Env::pure(now()));
    let scope = subject.hop(&catalogue, None, Some(&version("14.0")));
    assert_eq!(scope.eval(&expr("from == null && release == null")), Ok(Value::Bool(true)));
    assert_eq!(scope.eval(&expr("to.major")), Ok(Value::from(14_u64)));
    let why = scope.eval(&expr("fact.version")).unwrap_err();
    assert!(why.contains("dss.design was not looked at"), "{why}");
}

#[test]
fn an_unseen_fact_is_an_error_that_says_why_even_through_a_local() {
    with_scope(|scope| {
        for text in ["fact.space > 10", "local.broken", "fact"] {
            let why = scope.eval(&expr(text)).unwrap_err();
            assert!(why.contains("permission denied"), "{text}: {why}");
        }
        let why = scope.eval(&expr("fact.vresion")).unwrap_err();
        assert!(why.contains("did you mean `fact.version`?"), "{why}");
        let why = scope.eval(&expr("local.hom")).unwrap_err();
        assert!(why.contains("did you mean `local.home`?"), "{why}");
    });
}

#[test]
fn locals_in_a_circle_are_an_error_and_others_still_work() {
    with_scope(|scope| {
        let why = scope.eval(&expr("local.round")).unwrap_err();
        assert!(why.contains("uses itself"), "{why}");
        assert_eq!(scope.eval(&expr("local.home")), Ok(Value::string("/opt/dss-13.4.1")));
    });
}

#[test]
fn a_long_chain_of_locals_is_refused_and_does_not_overflow() {
    let mut product = provider("dss");
    for at in 0..100_000 {
        product.locals.insert(format!("l{at}").into(), expr(&format!("local.l{}", at + 1)));
    }
    product.locals.insert("l100000".into(), expr("1"));
    let catalogue = Catalogue::new(&product, &[]);
    let subject = Subject::declared(&product, &declared(), None, None, Env::pure(now()));
    let scope = subject.hop(&catalogue, None, None);
    let why = scope.eval(&expr("local.l0")).unwrap_err();
    assert!(why.contains("through more than 64 other locals"), "{why}");
    assert_eq!(scope.eval(&expr("local.l99990")), Ok(Value::from(1_u64)));
}

#[test]
fn a_setting_that_is_declared_and_not_given_is_null_and_any_other_is_an_error() {
    let mut product = product();
    product.settings.insert(
        "port".into(),
        crate::model::provider::Setting {
            ty: crate::lang::Type::Number,
            required: false,
            default: None,
            sensitive: false,
            description: String::new(),
            validations: Vec::new(),
            on_change: crate::model::provider::OnChange::Reconfigure,
            span: None,
        },
    );
    let catalogue = Catalogue::new(&product, &[]);
    let subject = Subject::declared(&product, &declared(), None, None, Env::pure(now()));
    let scope = subject.hop(&catalogue, None, None);
    assert_eq!(scope.eval(&expr("self.port")), Ok(Value::Null));
    assert!(scope.eval(&expr("self.prot")).is_err());
}

#[test]
fn what_is_captured_is_what_is_used_and_known() {
    with_scope(|scope| {
        let exprs = [
            "self.home",
            "fact.running ? fact.space : 1",
            "local.deep",
            "to.text",
            "step.backup.result",
            "self.password",
            "each.key",
        ]
        .map(expr);
        let captured = scope.captured(&Used::of(&exprs));
        let names: Vec<&str> = captured.as_object().unwrap().keys().map(|name| &**name).collect();
        assert_eq!(names, ["fact", "local", "self", "to"]);
        assert_eq!(captured.get("fact"), Some(&Value::object([("running", Value::Bool(true))])));
        assert_eq!(captured.get("local"), Some(&Value::object([("deep", Value::string("/opt/dss-13.4.1/bin"))])));
        let own = captured.get("self").unwrap();
        assert!(matches!(own.get("password"), Some(Value::Sensitive(_))));
        assert!(!serde_json::to_string(&captured).unwrap().contains("hunter2"));
        assert!(own.get("backup").is_none());
    });
}

#[test]
fn of_a_local_that_waits_for_a_step_what_it_uses_is_captured() {
    with_scope(|scope| {
        let captured = scope.captured(&Used::of(&[expr("local.later")]));
        assert_eq!(captured.get("local"), Some(&Value::object([("home", Value::string("/opt/dss-13.4.1"))])));
    });
}

#[test]
fn a_root_used_as_a_whole_is_captured_as_a_whole() {
    with_scope(|scope| {
        let captured = scope.captured(&Used::of(&[expr("self"), expr("self.home"), expr("[fact]")]));
        assert_eq!(
            captured.get("self").and_then(|own| own.get("backup")),
            Some(&Value::object([("method", Value::string("full"))]))
        );
        assert_eq!(captured.get("fact").and_then(Value::as_object).map(Object::len), Some(2));
    });
}

#[test]
fn a_host_is_seen_with_its_address() {
    let product = product();
    let catalogue = Catalogue::new(&product, &[]);
    let ssh = Ssh { address: "dss01.example.com".to_owned(), port: None, user: None, identity_file: None, ..Ssh::default() };
    let attributes = Value::object([("rack", Value::string("r7"))]);
    let host = Host { name: "dss01".into(), ssh: Some(ssh), concurrency: 1, attributes, span: None };
    let subject = Subject::declared(&product, &declared(), Some(&host), None, Env::pure(now()));
    let scope = subject.hop(&catalogue, None, None);
    assert_eq!(
        scope.eval(&expr("\"${host.name} ${host.address} ${host.attributes.rack}\"")),
        Ok(Value::string("dss01 dss01.example.com r7"))
    );
}

#[test]
fn hops_of_many_instances_share_what_the_catalogue_knows() {
    let product = product();
    let catalogue = Catalogue::new(&product, &[]);
    let subject = Subject::declared(&product, &declared(), None, None, Env::pure(now()));
    let to = version("13.4.1");
    let object = |name: &str| match subject.hop(&catalogue, None, Some(&to)).resolve(name, &[]) {
        Some(Ok((Value::Object(object), 0))) => object,
        other => panic!("{other:?}"),
    };
    assert!(Arc::ptr_eq(&object("to"), &object("to")));
    assert!(Arc::ptr_eq(&object("release"), &object("release")));
    assert!(Arc::ptr_eq(&object("instance"), &object("instance")));
}

#[test]
fn conditions_must_be_true_or_false_and_known() {
    with_scope(|scope| {
        assert_eq!(scope.holds(&expr("to.major > from.major")), Ok(false));
        assert!(scope.holds(&expr("1")).unwrap_err().contains("number"));
        assert!(scope.holds(&expr("step.a.result.ok")).unwrap_err().contains("only while applying"));
        assert_eq!(scope.holds(&expr("self.password == \"hunter2\"")), Ok(true));
        assert!(scope.text(&expr("\"it is ${self.password}\"")).unwrap_err().contains("sensitive"));
    });
}
