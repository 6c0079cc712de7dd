//! The PostgreSQL store on a real server: the contract, TLS, its tables, and servers that go away.

use std::time::Duration;

use super::contract::{holder, shared_suite, suite};
use super::postgres::{Given, PostgresStore, Settings};
use super::server::{PASSWORD, Postgres, USER, wanted};
use super::{StateError, Store};
use crate::model::name::EnvironmentName;
use crate::tls::Tls;

fn given(server: &Postgres, schema: &str) -> Given {
    Given {
        host: Some("127.0.0.1".to_owned()),
        port: Some(server.port),
        user: Some(USER.to_owned()),
        password: Some(PASSWORD.to_owned()),
        database: Some("postgres".to_owned()),
        schema: Some(schema.to_owned()),
        ..Given::default()
    }
}

fn store(given: Given, term: Option<Duration>) -> PostgresStore {
    PostgresStore::new(Settings::new(given).expect("settings"), term)
}

#[tokio::test]
async fn the_postgres_store_keeps_the_contract() {
    if !wanted() {
        return;
    }
    let server = Postgres::start();
    suite(&store(given(&server, "one"), None)).await;
    let again = store(given(&server, "one"), None);
    assert!(again.read(&"test".into()).await.expect("readable").is_some(), "another process sees what is there");
    shared_suite(&|term| Box::new(store(given(&server, "two"), term))).await;
}

#[tokio::test]
async fn many_first_users_at_once_make_the_tables_once() {
    if !wanted() {
        return;
    }
    let server = Postgres::start();
    let test = EnvironmentName::new("test");
    let tries = (0..12).map(|number| {
        let (store, test) = (store(given(&server, "fresh"), None), test.clone());
        tokio::spawn(async move { store.acquire(&test, &holder(&number.to_string())).await })
    });
    let mut won = 0;
    for tried in tries.collect::<Vec<_>>() {
        match tried.await.expect("no panic") {
            Ok(_) => won += 1,
            Err(StateError::Held { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(won, 1);
}

#[tokio::test]
async fn tls_is_checked_against_the_named_authority() {
    if !wanted() {
        return;
    }
    let (server, other) = (Postgres::start(), Postgres::start());
    let with = |host: &str, authority: &std::path::Path| {
        let tls = Tls { ca_file: Some(authority.display().to_string()), identity: None };
        store(Given { host: Some(host.to_owned()), tls, ..given(&server, "windlass") }, None)
    };
    with("127.0.0.1", &server.authority()).prepare().await.expect("its own authority");
    with("localhost", &server.authority()).prepare().await.expect("its other name");
    let refused = with("127.0.0.1", &other.authority()).prepare().await.expect_err("signed by somebody else");
    assert!(refused.to_string().contains("certificate"), "{refused}");
    let refused = with("127.0.0.2", &server.authority()).prepare().await.expect_err("nobody listens there, or another name");
    assert!(matches!(refused, StateError::Unreachable { .. }), "{refused}");
}

#[tokio::test]
async fn what_the_server_says_is_told_without_the_password() {
    if !wanted() {
        return;
    }
    let server = Postgres::start();
    let wrong = Given { password: Some("wr0ng word".to_owned()), ..given(&server, "windlass") };
    let refused = store(wrong, None).prepare().await.expect_err("a wrong password").to_string();
    assert!(refused.contains("password authentication failed") && !refused.contains("wr0ng"), "{refused}");
    let missing = Given { database: Some("nowhere".to_owned()), ..given(&server, "windlass") };
    let refused = store(missing, None).prepare().await.expect_err("no such database").to_string();
    assert!(refused.contains("\"nowhere\" does not exist"), "{refused}");
    let gone = store(given(&server, "windlass"), None);
    gone.prepare().await.expect("it is there");
    drop(server);
    let refused = gone.read(&"test".into()).await.expect_err("it is gone");
    assert!(matches!(refused, StateError::Unreachable { .. }), "{refused}");
}

#[test]
fn settings_say_what_is_wrong() {
    let refused = |given: Given| Settings::new(given).err().unwrap_or_else(|| panic!("it was taken"));
    let url = |url: &str| Given { url: Some(url.to_owned()), ..Given::default() };
    assert!(refused(Given::default()).contains("where is the server"));
    assert!(refused(url("postgres://db.example.org/x")).contains("PGUSER"));
    let secret = refused(url("postgres://u:hunter22@db.example.org/x"));
    assert!(secret.contains("PGPASSWORD") && !secret.contains("hunter22"), "{secret}");
    assert!(!refused(url("rubbish hunter22")).contains("hunter22"));
    assert!(refused(url("postgres://u@a,b/x")).contains("several"));
    assert!(refused(url("postgres://u@db.example.org/x?sslmode=disable")).contains("loopback"));
    let schema = Given { schema: Some("x\"; drop".to_owned()), ..url("postgres://u@localhost/x") };
    assert!(refused(schema).contains("no name for a schema"));
    let settings = Settings::new(url("postgres://u@db.example.org:6543/state")).unwrap_or_else(|why| panic!("{why}"));
    let described = PostgresStore::new(settings, None).describe();
    assert_eq!(described, "PostgreSQL `state` at db.example.org:6543, schema windlass");
}
