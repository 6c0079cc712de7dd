//! `http` against servers on this machine, well-behaved and not.
#![expect(clippy::disallowed_methods, reason = "tests look at the files that were written")]

use std::time::Duration;

use serde_json::json;

use super::server::{Answer, Server, json as json_reply, reply};
use super::*;
use crate::driver::testing::{Heard, applying, args, detail, observing};

async fn http(json: serde_json::Value) -> Result<Value, Failure> {
    Http.run(&args(json), &observing()).await
}

fn of<'a>(value: &'a Value, name: &str) -> &'a Value {
    value.get(name).unwrap_or_else(|| panic!("no {name}"))
}

#[tokio::test]
async fn a_request_carries_all_that_it_is_given() {
    let server = Server::start(|_, _| json_reply(r#"{"data": [{"id": 7}]}"#)).await;
    let result = http(json!({
        "method": "POST", "url": format!("{}/a?x=1", server.url), "query": {"y": "a b&"}, "headers": {"X-One": "1"},
        "json": {"n": 1.5, "l": [true, null]}, "basic": {"user": "u", "password": "p"}, "extract": {"id": "/data/0/id"},
    }))
    .await
    .unwrap();
    assert_eq!(of(of(&result, "extracted"), "id"), &7i64.into());
    assert_eq!(of(&result, "status"), &200i64.into());
    let request = server.requests.lock().unwrap()[0].clone();
    assert!(request.starts_with("POST /a?x=1&y=a+b%26 HTTP/1.1"), "{request}");
    for part in ["x-one: 1", "authorization: Basic dTpw", "content-type: application/json", r#"{"l":[true,null],"n":1.5}"#] {
        assert!(request.contains(part), "{part} in {request}");
    }
}

#[tokio::test]
async fn a_form_and_a_bearer_token_are_sent() {
    let server = Server::start(|_, _| reply("204 No Content", "", "")).await;
    http(json!({"method": "PUT", "url": server.url, "form": {"a": "1 2", "b": "&"}, "bearer": "tok-en"})).await.unwrap();
    let request = server.requests.lock().unwrap()[0].clone();
    assert!(request.contains("a=1+2&b=%26") && request.contains("authorization: Bearer tok-en"), "{request}");
}

#[tokio::test]
async fn it_logs_on_first_and_sends_the_token_that_it_was_given() {
    let server = Server::start(|_, text| match text.starts_with("POST /login") {
        true => json_reply(r#"{"data": {"token": "t0ken-of-the-session"}}"#),
        false if text.contains("x-session: t0ken-of-the-session") => json_reply(r#"{"echo": "t0ken-of-the-session"}"#),
        false => reply("401 Unauthorized", "", ""),
    })
    .await;
    let login = json!({
        "url": format!("{}/login", server.url), "json": {"username": "u", "password": "p"}, "token": "/data/token", "header": "X-Session",
    });
    let result = http(json!({"url": format!("{}/a", server.url), "login": login})).await.unwrap();
    assert_eq!(server.count(), 2);
    assert!(!format!("{result:?}").contains("t0ken"), "{result:?}");
    let missing = json!({"url": format!("{}/login", server.url), "json": {}, "token": "/data/other"});
    let error = http(json!({"url": server.url, "login": missing})).await.unwrap_err();
    assert!(error.message.contains("no text at `/data/other`"), "{error}");
}

#[tokio::test]
async fn cookies_are_a_session_and_one_that_is_over_is_begun_anew() {
    let server = Server::start(|number, text| match number {
        0 => reply("200 OK", "Set-Cookie: id=one; Path=/\r\nSet-Cookie: b=2; HttpOnly\r\n", ""),
        1 => {
            assert!(text.contains("cookie: id=one; b=2"), "{text}");
            reply("401 Unauthorized", "", "")
        }
        2 => reply("200 OK", "Set-Cookie: id=two\r\n", ""),
        _ => {
            assert!(text.contains("cookie: id=two"), "{text}");
            json_reply(r#"{"state": "done"}"#)
        }
    })
    .await;
    let login = json!({"url": format!("{}/login", server.url), "form": {"user": "u"}});
    http(json!({"url": server.url, "login": login, "until": {"json": {"/state": "done"}}, "interval": "10ms"})).await.unwrap();
    assert_eq!(server.count(), 4);
    assert!(server.requests.lock().unwrap()[2].starts_with("POST /login"));
}

#[tokio::test]
async fn fields_and_files_are_sent_in_parts() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("kit \"1\".zip");
    std::fs::write(&file, b"PK\x03\x04 --windlass- \r\n").unwrap();
    let server = Server::start(|_, _| reply("200 OK", "", "")).await;
    let call = |files| json!({"method": "POST", "url": server.url, "multipart": {"fields": {"overwrite": true}, "files": files}});
    http(call(json!({"file": file, "more": {"path": file, "name": "a.txt", "type": "text/plain"}}))).await.unwrap();
    let request = server.requests.lock().unwrap()[0].clone();
    let boundary = request.split_once("content-type: multipart/form-data; boundary=").unwrap().1.lines().next().unwrap().to_owned();
    let expected = format!(
        "\r\n\r\n--{boundary}\r\nContent-Disposition: form-data; name=\"overwrite\"\r\n\r\ntrue\r\n\
         --{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"kit %221%22.zip\"\r\n\
         Content-Type: application/octet-stream\r\n\r\nPK\x03\x04 --windlass- \r\n\r\n\
         --{boundary}\r\nContent-Disposition: form-data; name=\"more\"; filename=\"a.txt\"\r\nContent-Type: text/plain\r\n\r\n\
         PK\x03\x04 --windlass- \r\n\r\n--{boundary}--\r\n"
    );
    assert!(request.ends_with(&expected), "{request}");
    for (files, said) in [
        (json!({"f": "relative"}), "`f` must be an absolute path"),
        (json!({"f": {"pth": "/x"}}), "has `path`, `name`, `type`, and no `pth`"),
        (json!({"f": "/no/such/file"}), "it is not there"),
    ] {
        let error = http(call(files)).await.unwrap_err();
        assert!(error.message.contains(said), "{error}");
    }
    let error = http(json!({"url": server.url, "method": "POST", "body": "x", "multipart": {}})).await.unwrap_err();
    assert!(error.message.contains("only one of"), "{error}");
}

#[tokio::test]
async fn a_wrong_status_is_a_failure_without_secrets() {
    let server = Server::start(|_, _| reply("500 Internal Server Error", "X-Echo: t0ps3cret\r\n", "token t0ps3cret is bad")).await;
    let error = http(json!({"url": format!("{}/x?key=hidden", server.url), "bearer": "t0ps3cret"})).await.unwrap_err();
    assert_eq!(error.kind, FailureKind::Failed);
    assert!(error.message.contains("status 500") && error.message.contains("(sensitive) is bad"), "{error}");
    assert_eq!(detail(&error, "status"), &500i64.into());
    assert!(!format!("{error:?}").contains("t0ps3cret") && !error.message.contains("hidden"), "{error:?}");
    http(json!({"url": server.url, "expect": [500]})).await.unwrap();
    http(json!({"url": server.url, "expect": "any"})).await.unwrap();
}

#[tokio::test]
async fn where_nothing_listens_is_unreachable() {
    let error = http(json!({"url": "http://127.0.0.1:1/"})).await.unwrap_err();
    assert_eq!(error.kind, FailureKind::Unreachable);
    assert!(error.untouched, "nobody has read the request");
    assert!(error.message.contains("refused") && error.help.is_some(), "{error}");
    let error = http(json!({"url": "http://no-such-host.invalid/"})).await.unwrap_err();
    assert_eq!(error.kind, FailureKind::Unreachable, "{error}");
}

#[tokio::test]
async fn a_server_that_never_answers_or_stops_midway_times_out() {
    for begun in ["", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"] {
        let server = Server::start(move |_, _| Answer::Stall(begun.as_bytes().to_vec())).await;
        let error = http(json!({"url": server.url, "request_timeout": "100ms"})).await.unwrap_err();
        assert_eq!(error.kind, FailureKind::TimedOut, "{error}");
    }
}

#[tokio::test]
async fn a_connection_that_breaks_in_the_middle_is_no_answer() {
    for broken in [
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200",
        "rubbish",
        "",
    ] {
        let server = Server::start(move |_, _| Answer::Bytes(broken.as_bytes().to_vec())).await;
        let error = http(json!({"url": server.url})).await.unwrap_err();
        assert_eq!(error.kind, FailureKind::Unreachable, "{broken}: {error}");
    }
}

#[tokio::test]
async fn chunks_are_put_together() {
    let server = Server::start(|_, _| {
        Answer::Bytes(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n".to_vec())
    })
    .await;
    assert_eq!(of(&http(json!({"url": server.url})).await.unwrap(), "body").as_str(), Some("hello world"));
}

#[tokio::test]
async fn a_huge_body_is_cut_and_rubbish_in_it_does_no_harm() {
    let server = Server::start(|_, _| reply("200 OK", "", vec![0xff; 3 * 1024 * 1024])).await;
    let result = http(json!({"url": server.url})).await.unwrap();
    assert_eq!(of(&result, "truncated"), &true.into());
    assert_eq!(of(&result, "json"), &Value::Null);
    let deep = Server::start(|_, _| json_reply(&"[".repeat(100_000))).await;
    assert_eq!(of(&http(json!({"url": deep.url})).await.unwrap(), "json"), &Value::Null);
}

#[tokio::test]
async fn redirects_are_followed_on_the_same_server_only() {
    let same = Server::start(|_, request| {
        if request.starts_with("GET /a") { reply("302 Found", "Location: /b\r\n", "") } else { reply("200 OK", "", "here") }
    })
    .await;
    let result = http(json!({"url": format!("{}/a", same.url), "bearer": "token"})).await.unwrap();
    assert_eq!(of(&result, "body").as_str(), Some("here"));

    let other = Server::start(|_, _| reply("200 OK", "", "stolen")).await;
    let location = format!("Location: {}/steal?x=1\r\n", other.url);
    let leads = Server::start(move |_, _| reply("302 Found", &location, "")).await;
    let error = http(json!({"url": leads.url, "bearer": "token"})).await.unwrap_err();
    assert!(error.message.contains("another server"), "{error}");
    assert_eq!(other.count(), 0);

    let circle = Server::start(|_, _| reply("302 Found", "Location: /again\r\n", "")).await;
    let error = http(json!({"url": circle.url})).await.unwrap_err();
    assert!(error.message.contains("redirected more than 10 times"), "{error}");
}

#[tokio::test]
async fn a_server_that_lies_about_where_to_go_is_given_no_credentials() {
    let thief = Server::start(|_, _| reply("200 OK", "", "stolen")).await;
    let place = thief.url.trim_start_matches("http://").to_owned();
    let lies = [
        format!("http://{place}/"),
        format!("//{place}/"),
        format!("http://bearer:token@{place}/"),
        format!("http://127.0.0.1@{place}/"),
        format!("https://{place}/"),
        format!("http://localhost:{}/", place.rsplit(':').next().unwrap_or_default()),
    ];
    for status in ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"] {
        for lie in &lies {
            let location = format!("Location: {lie}\r\n");
            let leads = Server::start(move |_, _| reply(status, &location, "")).await;
            for method in ["GET", "POST"] {
                let given = json!({
                    "url": leads.url, "method": method, "bearer": "t0ken-of-the-test", "headers": {"Cookie": "session=t0ken-of-the-test"},
                });
                let error = http(given).await.unwrap_err();
                assert!(!error.message.contains("t0ken"), "{error}");
            }
        }
    }
    assert_eq!(thief.count(), 0, "{:?}", thief.requests.lock().unwrap());
}

#[tokio::test]
async fn polling_goes_on_until_the_state_is_reached() {
    let server = Server::start(|number, _| match number {
        0 => reply("503 Service Unavailable", "", "starting"),
        1 => Answer::Bytes(Vec::new()),
        2 | 3 => json_reply(r#"{"state": "RUNNING"}"#),
        _ => json_reply(r#"{"state": "SUCCESS"}"#),
    })
    .await;
    let heard = std::sync::Arc::new(Heard::default());
    let ctx = Context { sink: heard.clone(), ..observing() };
    let poll = json!({"url": server.url, "until": {"json": {"/state": ["SUCCESS", "DONE"]}}, "fail_when": {"json": {"/state": "FAILED"}}, "interval": "1ms"});
    let result = Http.run(&args(poll), &ctx).await.unwrap();
    assert_eq!(of(&result, "requests"), &5i64.into());
    let lines = heard.lines.lock().unwrap().clone();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert_eq!(lines[2], r#"status 200, /state = "RUNNING""#);
}

#[tokio::test]
async fn polling_ends_with_a_failure_or_in_time() {
    let server = Server::start(|_, _| json_reply(r#"{"state": "FAILED", "why": "x"}"#)).await;
    let until = json!({"json": {"/state": "SUCCESS"}});
    let error = http(json!({"url": server.url, "until": until, "fail_when": {"json": {"/state": "FAILED"}}})).await.unwrap_err();
    assert_eq!(error.kind, FailureKind::Failed);
    assert!(error.message.contains("FAILED"), "{error}");
    let error = http(json!({"url": server.url, "until": until, "timeout": "50ms", "interval": "1ms"})).await.unwrap_err();
    assert_eq!(error.kind, FailureKind::TimedOut);
    assert!(error.message.contains(r#"last seen: status 200, /state = "FAILED""#), "{error}");
}

#[tokio::test]
async fn polling_stops_when_told_to() {
    let server = Server::start(|_, _| reply("200 OK", "", "no")).await;
    let ctx = observing();
    let cancel = ctx.cancel.clone();
    let (result, ()) = tokio::join!(
        async { Http.run(&args(json!({"url": server.url, "until": {"contains": "yes"}, "interval": "10s"})), &ctx).await },
        async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            cancel.cancel();
        }
    );
    assert_eq!(result.unwrap_err().kind, FailureKind::Cancelled);
}

#[tokio::test]
async fn what_is_to_be_extracted_must_be_there() {
    let server = Server::start(|_, _| json_reply(r#"{"a": 1}"#)).await;
    let error = http(json!({"url": server.url, "extract": {"b": "/b"}})).await.unwrap_err();
    assert!(error.message.contains("nothing at `/b`"), "{error}");
}

#[tokio::test]
async fn a_secret_answer_stays_secret() {
    let server =
        Server::start(|number, _| if number == 0 { json_reply(r#"{"token": "abcdef"}"#) } else { reply("500 No", "", "abcdef") })
            .await;
    let result = http(json!({"url": server.url, "extract": {"t": "/token"}, "sensitive": true})).await.unwrap();
    assert!(!serde_json::to_string(&result).unwrap().contains("abcdef"));
    assert_eq!(of(&result, "extracted").revealed().get("t").unwrap().as_str(), Some("abcdef"));
    let error = http(json!({"url": server.url, "sensitive": true})).await.unwrap_err();
    assert!(!format!("{error:?}").contains("abcdef"), "{error:?}");
}

#[tokio::test]
async fn senseless_requests_are_refused() {
    for wrong in [
        json!({}),
        json!({"url": "no url"}),
        json!({"url": "ftp://x/"}),
        json!({"url": "http://u:p@x/"}),
        json!({"url": "http://x/", "method": "A B"}),
        json!({"url": "http://x/", "headers": {"a b": "1"}}),
        json!({"url": "http://x/", "headers": {"a": "1\r\nb: 2"}}),
        json!({"url": "http://x/", "body": "b"}),
        json!({"url": "http://x/", "method": "POST", "body": "b", "json": 1}),
        json!({"url": "http://x/", "bearer": "b", "basic": {"user": "u"}}),
        json!({"url": "http://x/", "expect": [99]}),
        json!({"url": "http://x/", "until": {}}),
        json!({"url": "http://x/", "until": {"json": {"state": "x"}}}),
        json!({"url": "http://x/", "fail_when": {"status": 500}}),
        json!({"url": "http://x/", "extract": {"a": "b"}}),
        json!({"url": "http://x/", "sha256": "00"}),
        json!({"url": "http://x/", "save_to": "/tmp/x", "sha256": "00"}),
        json!({"url": "http://x/", "save_to": "/tmp/windlass-never"}),
        json!({"url": "https://x/", "tls": {"client_key": "/x"}}),
    ] {
        assert_eq!(http(wrong.clone()).await.unwrap_err().kind, FailureKind::Invalid, "{wrong}");
    }
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    crate::driver::transfer::hex(&sha2::Sha256::digest(bytes))
}

#[tokio::test]
async fn a_download_stands_complete_and_is_not_fetched_twice() {
    let content: Vec<u8> = (0..5_000_000u32).map(|number| (number % 251) as u8).collect();
    let body = content.clone();
    let server = Server::start(move |_, _| reply("200 OK", "", &body)).await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kit");
    let heard = std::sync::Arc::new(Heard::default());
    let ctx = Context { sink: heard.clone(), ..applying(dir.path()) };
    let call = args(json!({"url": server.url, "save_to": path, "sha256": sha256(&content), "mode": "0640"}));
    let result = Http.run(&call, &ctx).await.unwrap();
    assert!(std::fs::read(&path).unwrap() == content);
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(of(&result, "bytes"), &5_000_000i64.into());
    assert_eq!(heard.progress.lock().unwrap().last(), Some(&(5_000_000, Some(5_000_000))));
    let again = Http.run(&call, &ctx).await.unwrap();
    assert_eq!((of(&again, "requests"), server.count()), (&0i64.into(), 1));
}

#[tokio::test]
async fn a_download_that_goes_wrong_leaves_the_old_file() {
    let servers = [
        Server::start(|_, _| reply("200 OK", "", "not the kit")).await,
        Server::start(|_, _| Answer::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf".to_vec())).await,
        Server::start(|_, _| reply("404 Not Found", "", "no such kit")).await,
        Server::start(|_, _| Answer::Stall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf".to_vec())).await,
        Server::start(|_, _| Answer::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 9999999999999999\r\n\r\n".to_vec())).await,
    ];
    for server in servers {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kit");
        std::fs::write(&path, "old").unwrap();
        let call = json!({"url": server.url, "save_to": path, "sha256": sha256(b"kit"), "request_timeout": "100ms"});
        Http.run(&args(call), &applying(dir.path())).await.unwrap_err();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}

#[tokio::test]
async fn a_file_that_was_only_asked_for_is_untouched_and_one_that_was_made_by_the_question_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(|_, _| reply("200 OK", "", "no such kit")).await;
    let path = dir.path().join("to").display().to_string();
    for (method, untouched) in [("GET", true), ("POST", false)] {
        let call = args(json!({"url": server.url, "method": method, "save_to": path, "sha256": "0".repeat(64)}));
        let failure = Http.run(&call, &applying(&dir.path().join(method))).await.unwrap_err();
        assert_eq!(failure.untouched, untouched, "{method}: {failure:?}");
    }
}
