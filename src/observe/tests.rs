//! Looking at instances through scripted drivers.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use indexmap::IndexMap;

use super::*;
use crate::driver::host::Ssh;
use crate::driver::{Driver, FailureKind};
use crate::lang::Type;
use crate::model::driver::DriverSchema;
use crate::model::name::Digest;
use crate::model::provider::{OnChange, Setting};

/// Answers with its arguments, or fails where it is told to; remembers what it was asked.
struct Echo {
    asked: Arc<Mutex<Vec<String>>>,
}

#[async_trait]
impl Driver for Echo {
    fn schema(&self) -> &'static DriverSchema {
        &DriverSchema { name: "echo", summary: "", args: &[], results: &[], observes: true }
    }

    async fn run(&self, args: &Object, ctx: &Context) -> Result<Value, Failure> {
        let say = args.get("say").and_then(Value::as_str).unwrap_or_default().to_owned();
        let place = if ctx.host.is_local() { String::new() } else { format!("@{}", ctx.host.name()) };
        self.asked.lock().expect("no panic").push(format!("{say}{place}"));
        match say.as_str() {
            "sleep" => {
                tokio::time::sleep(Duration::from_secs(3600)).await;
                Ok(Value::Null)
            }
            text if text.starts_with("fail") => Err(Failure::new(FailureKind::Failed, format!("no: {text}"))),
            _ => Ok(Value::Object(Arc::new(args.clone()))),
        }
    }
}

/// A machine that is never reached, only named.
fn elsewhere(name: &HostName) -> Arc<dyn Host> {
    let settings = estate::Ssh { address: name.to_string(), port: None, user: None, identity_file: None, ..estate::Ssh::default() };
    Arc::new(Ssh::new(&settings, []).expect("an address"))
}

/// Machines by name: every one is this one, but `gone`.
struct Nowhere;

impl Hosts for Nowhere {
    fn host(&self, name: Option<&HostName>) -> Result<Arc<dyn Host>, Failure> {
        match name {
            Some(name) if name.as_str() == "gone" => Err(Failure::new(FailureKind::Unreachable, "it is gone")),
            Some(name) => Ok(elsewhere(name)),
            None => Ok(crate::driver::testing::local()),
        }
    }
}

fn expr(text: &str) -> Expr {
    Expr::parse(text).expect("an expression")
}

fn fact(say: Option<&str>, value: Option<&str>) -> Fact {
    Fact {
        call: say.map(|say| CallTemplate {
            driver: "echo".into(),
            args: IndexMap::from([("say".into(), expr(say))]),
            on: None,
            span: None,
        }),
        value: value.map(expr),
        when: None,
        for_each: None,
        drift: false,
        sensitive: false,
        timeout: Duration::from_secs(5),
        description: String::new(),
        span: None,
    }
}

fn provider(facts: Vec<(&str, Fact)>) -> Provider {
    let setting = Setting {
        ty: Type::String,
        required: false,
        default: None,
        sensitive: true,
        description: String::new(),
        validations: Vec::new(),
        on_change: OnChange::Ignore,
        span: None,
    };
    Provider {
        name: "demo".into(),
        title: String::new(),
        description: String::new(),
        version: "1.0.0".into(),
        digest: Digest::of(b"demo"),
        scheme: crate::model::version::VersionScheme::Dotted,
        settings: IndexMap::from([("password".into(), setting)]),
        locals: IndexMap::from([("doubled".into(), expr("\"${fact.version}${fact.version}\""))]),
        facts: facts.into_iter().map(|(name, fact)| (name.into(), fact)).collect(),
        releases: Vec::new(),
        routes: Vec::new(),
        required_stops: Vec::new(),
        blocked: Vec::new(),
        risks: Vec::new(),
        preflights: Vec::new(),
        requires: Vec::new(),
        notes: Vec::new(),
        strategies: IndexMap::new(),
        files: BTreeMap::new(),
    }
}

fn instance() -> Instance {
    Instance {
        addr: InstanceAddr::from_text("demo.one"),
        provider: "demo".into(),
        environment: "test".into(),
        promote_from: None,
        host: None,
        version: "1".into(),
        version_span: None,
        strategy: None,
        settings: Arc::new(Object::from([("password".into(), Value::from("geheimnis").sensitive())])),
        settings_digest: Digest::of(b""),
        seals: std::collections::BTreeMap::new(),
        backup: Value::Null,
        depends_on: Vec::new(),
        requires: Vec::new(),
        span: None,
    }
}

async fn look_at(provider: &Provider) -> (Observation, Vec<String>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let drivers = Drivers::new().with(Echo { asked: Arc::clone(&asked) });
    let instance = instance();
    let target = Target { provider, known: Known::Declared(&instance), host: None, machine: crate::driver::testing::local() };
    let mut seen = observe(&[target], &drivers, &Nowhere, 4, &|| Timestamp::UNIX_EPOCH).await;
    let asked = asked.lock().expect("no panic").clone();
    (seen.instances.remove("demo.one").expect("it was looked at"), asked)
}

#[tokio::test]
async fn a_fact_waits_for_the_facts_that_it_uses_also_through_locals() {
    let facts =
        vec![("twice", fact(Some("local.doubled"), Some("result.say"))), ("version", fact(Some("\"7\""), Some("result.say")))];
    let (seen, asked) = look_at(&provider(facts)).await;
    assert_eq!(asked, ["7", "77"]);
    assert_eq!(seen.value("twice"), Some(&Value::from("77")));
}

#[tokio::test]
async fn a_fact_that_cannot_be_seen_says_why_and_so_do_those_that_use_it() {
    let facts = vec![
        ("version", fact(Some("\"fail\""), None)),
        ("next", fact(None, Some("fact.version"))),
        ("other", fact(Some("\"x\""), Some("result.say"))),
    ];
    let (seen, _) = look_at(&provider(facts)).await;
    assert_eq!(seen.unseen("version"), Some("no: fail"));
    assert!(seen.unseen("next").is_some_and(|why| why.contains("no: fail")), "{seen:?}");
    assert_eq!(seen.value("other"), Some(&Value::from("x")));
}

#[tokio::test]
async fn a_fact_that_does_not_apply_is_null_and_nobody_is_asked() {
    let mut skipped = fact(Some("\"never\""), None);
    skipped.when = Some(expr("fact.version != \"7\""));
    let (seen, asked) = look_at(&provider(vec![("skipped", skipped), ("version", fact(Some("\"7\""), Some("result.say")))])).await;
    assert_eq!(seen.value("skipped"), Some(&Value::Null));
    assert_eq!(asked, ["7"]);
}

#[tokio::test]
async fn a_secret_reaches_the_driver_and_no_reason() {
    let facts = vec![("version", fact(Some("\"fail ${self.password}\""), None))];
    let (seen, asked) = look_at(&provider(facts)).await;
    assert_eq!(asked, ["fail geheimnis"]);
    assert_eq!(seen.unseen("version"), Some("no: fail (sensitive)"));
}

#[tokio::test(start_paused = true)]
async fn a_fact_that_takes_too_long_is_unseen() {
    let (seen, _) = look_at(&provider(vec![("version", fact(Some("\"sleep\""), None))])).await;
    assert_eq!(seen.unseen("version"), Some("no answer within 5 s"));
}

#[tokio::test]
async fn a_fact_for_each_item_is_a_map_and_is_asked_where_it_says() {
    let mut java = fact(Some("each.value"), Some("\"${each.key} has ${result.say}\""));
    java.for_each = Some(expr("fact.nodes"));
    java.call.as_mut().expect("a driver").on = Some(expr("each.key"));
    let nodes = fact(None, Some("{ n1 = \"17\", n2 = \"11\" }"));
    let (seen, mut asked) = look_at(&provider(vec![("java", java), ("nodes", nodes)])).await;
    asked.sort();
    assert_eq!(asked, ["11@n2", "17@n1"]);
    let expected = Value::object([("n1", Value::from("n1 has 17")), ("n2", "n2 has 11".into())]);
    assert_eq!(seen.value("java"), Some(&expected));
}

#[tokio::test]
async fn one_item_that_is_not_seen_makes_the_fact_unseen_with_its_name() {
    let on = |place: &str| {
        let mut asked = fact(Some("\"ok\""), None);
        asked.for_each = Some(expr("[\"n1\", \"gone\"]"));
        asked.call.as_mut().expect("a driver").on = Some(expr(place));
        asked
    };
    let nothing = Fact { for_each: Some(expr("null")), ..fact(Some("\"ok\""), None) };
    let (seen, _) = look_at(&provider(vec![
        ("gone", on("each.value")),
        ("number", on("7")),
        ("here", on("null")),
        ("nothing", nothing),
        ("twice", Fact { for_each: Some(expr("[\"a\", \"a\"]")), ..fact(None, Some("1")) }),
    ]))
    .await;
    assert_eq!(seen.unseen("gone"), Some("`gone`: it is gone"));
    assert!(seen.unseen("number").is_some_and(|why| why.contains("`on` must be the name of a host, and is number")));
    assert!(seen.value("here").is_some_and(|value| value.get("n1").is_some()));
    assert_eq!(seen.value("nothing"), Some(&Value::object::<&str>([])));
    assert_eq!(seen.unseen("twice"), Some("`for_each` has `a` twice; use `distinct`"));
}

#[tokio::test(start_paused = true)]
async fn a_host_that_does_not_answer_is_given_up_and_keeps_nobody_waiting() {
    let host = |name: &str| estate::Host { name: name.into(), ssh: None, concurrency: 1, attributes: Value::Null, span: None };
    let hosts = [host("dead"), host("alive")];
    let provider = provider(vec![("version", fact(Some("host.name == \"dead\" ? \"sleep\" : \"7\""), Some("result.say")))]);
    let named = |number: usize| Instance { addr: InstanceAddr::from_text(format!("demo.i{number:02}")), ..instance() };
    let instances: Vec<Instance> = (0..40).map(named).collect();
    let targets: Vec<Target<'_>> = instances
        .iter()
        .enumerate()
        .map(|(number, instance)| {
            let host = &hosts[usize::from(number >= 20)];
            Target { provider: &provider, known: Known::Declared(instance), host: Some(host), machine: elsewhere(&host.name) }
        })
        .collect();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let drivers = Drivers::new().with(Echo { asked: Arc::clone(&asked) });
    let began = Instant::now();
    let seen = observe(&targets, &drivers, &Nowhere, 4, &|| Timestamp::UNIX_EPOCH).await;
    let sleeps = asked.lock().expect("no panic").iter().filter(|said| said.starts_with("sleep")).count();
    assert_eq!((sleeps, began.elapsed().as_secs()), (3, 15), "three calls of five seconds, one after the other");
    let version = |number: usize| &seen.instances[&instances[number].addr];
    assert_eq!(version(0).unseen("version"), Some("no answer within 5 s"));
    assert_eq!(version(19).unseen("version"), Some("host `dead` does not answer, so it was not asked"));
    assert!((20..40).all(|number| version(number).value("version") == Some(&Value::from("7"))));
}
