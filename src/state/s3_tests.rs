//! The S3 store on a real server: the contract, races, and services that do not keep their promise.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::contract::{holder, shared_suite, suite};
use super::s3::{Given, S3Store, Settings};
use super::server::{BUCKET, S3, wanted};
use super::{StateError, Store};
use crate::model::name::EnvironmentName;

fn environment() -> BTreeMap<String, String> {
    ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"].map(|name| (name.to_owned(), "hunter22".to_owned())).into()
}

fn given(port: u16, prefix: &str) -> Given {
    Given {
        bucket: Some(BUCKET.to_owned()),
        prefix: Some(prefix.to_owned()),
        endpoint: Some(format!("http://127.0.0.1:{port}")),
        environment: environment(),
        ..Given::default()
    }
}

fn store(given: Given, term: Option<Duration>) -> S3Store {
    S3Store::new(&Settings::new(given).expect("settings"), term).expect("a store")
}

#[tokio::test]
async fn the_s3_store_keeps_the_contract() {
    if !wanted() {
        return;
    }
    let server = S3::start();
    let first = store(given(server.port, "one/state"), None);
    first.prepare().await.expect("its conditional writes work");
    suite(&first).await;
    let again = store(given(server.port, "one/state"), None);
    assert!(again.read(&"test".into()).await.expect("readable").is_some(), "another process sees what is there");
    assert_eq!(store(given(server.port, "one"), None).read(&"test".into()).await.expect("readable"), None, "another prefix");
    shared_suite(&|term| Box::new(store(given(server.port, "two"), term))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_come_at_once_one_holds_the_environment() {
    if !wanted() {
        return;
    }
    let server = S3::start();
    let test = EnvironmentName::new("test");
    let mut last = 0;
    for round in 0..5 {
        let tries: Vec<_> = (0..8)
            .map(|number| {
                let (store, test) = (store(given(server.port, "race"), None), test.clone());
                tokio::spawn(async move { store.acquire(&test, &holder(&format!("{round}-{number}"))).await })
            })
            .collect();
        let mut won = Vec::new();
        for tried in tries {
            match tried.await.expect("no panic") {
                Ok(lease) => won.push(lease),
                Err(StateError::Held { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(won.len(), 1, "round {round}");
        assert!(won[0].token > last, "tokens grow");
        last = won[0].token;
        store(given(server.port, "race"), None).release(&won[0]).await.expect("given back");
    }
}

/// A service that takes every write, whatever its condition.
async fn careless() -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("it listens").port();
    tokio::spawn(async move {
        let body = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        while let Ok((mut stream, _)) = listener.accept().await {
            let body = std::sync::Arc::clone(&body);
            tokio::spawn(async move {
                let mut seen = Vec::new();
                while let Ok(1..) = stream.read_buf(&mut seen).await {
                    let Some(head) = seen.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
                    let text = String::from_utf8_lossy(&seen[..head]).to_ascii_lowercase();
                    let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
                    if seen.len() < head + 4 + length {
                        continue;
                    }
                    let content = seen[head + 4..head + 4 + length].to_vec();
                    seen.drain(..head + 4 + length);
                    let shown = if text.starts_with("put") {
                        *body.lock().expect("no panic") = content;
                        Vec::new()
                    } else {
                        body.lock().expect("no panic").clone()
                    };
                    let answer = format!(
                        "HTTP/1.1 200 OK\r\nETag: \"x\"\r\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Length: {}\r\n\r\n",
                        shown.len()
                    );
                    let _ = stream.write_all(&[answer.into_bytes(), shown].concat()).await;
                }
            });
        }
    });
    port
}

#[tokio::test]
async fn a_service_that_ignores_conditions_is_refused() {
    let port = careless().await;
    let refused = store(given(port, "windlass"), None).prepare().await.expect_err("two winners");
    assert!(matches!(&refused, StateError::Unfit { why, .. } if why.contains("8 were told that they won")), "{refused}");
}

#[tokio::test]
async fn a_service_that_is_not_there_is_told_without_the_credentials() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("it listens").port();
    drop(listener);
    let refused = store(given(port, "windlass"), None).read(&"test".into()).await.expect_err("nobody listens");
    assert!(matches!(&refused, StateError::Unreachable { .. }), "{refused}");
    assert!(!refused.to_string().contains("hunter22"), "{refused}");
}

#[test]
fn settings_say_what_is_wrong() {
    let refused = |given: Given| Settings::new(given).err().unwrap_or_else(|| panic!("it was taken"));
    let good = || given(1, "windlass");
    assert!(refused(Given { bucket: None, ..good() }).contains("`bucket` is missing"));
    assert!(refused(Given { prefix: Some("a//b".to_owned()), ..good() }).contains("prefix"));
    for far in ["http://s3.example.org", "http://127.0.0.1.example.org/x", "http://10.0.0.1:9000", "http://[fe80::1]:9000"] {
        assert!(refused(Given { endpoint: Some(far.to_owned()), ..good() }).contains("loopback"), "{far}");
    }
    assert!(refused(Given { endpoint: Some("ftp://x".to_owned()), ..good() }).contains("not a URL"));
    for near in ["http://localhost:9000", "http://[::1]:9000/", "https://s3.example.org"] {
        assert!(Settings::new(Given { endpoint: Some(near.to_owned()), ..good() }).is_ok(), "{near}");
    }
    assert!(refused(Given { environment: BTreeMap::new(), ..good() }).contains("AWS_ACCESS_KEY_ID"));
    let half = environment().into_iter().take(1).collect();
    assert!(refused(Given { environment: half, ..good() }).contains("go together"));
}
