//! `postgres` against a real PostgreSQL 16.2, whose programs come out of the wheel `pgserver`.
//!
//! Where the wheel cannot be had the tests say so and pass, unless `WINDLASS_TEST_ALL` is 1: then they fail.
#![expect(clippy::disallowed_methods, reason = "tests start a server")]

use std::path::PathBuf;
use std::process::{Command as System, Stdio};
use std::sync::OnceLock;

use serde_json::json;

use super::*;
use crate::driver::FailureKind;
use crate::driver::testing::{applying, args, detail, observing};

const PASSWORD: &str = "s3cret word";

/// The folder of the programs, installed once for all tests.
fn programs() -> Option<&'static PathBuf> {
    static PROGRAMS: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let found = PROGRAMS.get_or_init(|| {
        let dir = std::env::temp_dir().join("windlass-test-pgserver-0.1.4");
        let bin = dir.join("pgserver/pginstall/bin");
        let lock = std::fs::File::create(dir.with_extension("lock")).map_err(|error| error.to_string())?;
        lock.lock().map_err(|error| error.to_string())?;
        if !bin.join("pg_restore").exists() {
            let output = System::new("python3")
                .args(["-m", "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:", "--target"])
                .arg(&dir)
                .arg("pgserver==0.1.4")
                .output()
                .map_err(|error| error.to_string())?;
            if !output.status.success() {
                return Err(String::from_utf8_lossy(&output.stderr).into_owned());
            }
        }
        // Its programs are run by another user too.
        let _ = System::new("chmod").arg("-R").arg("a+rX").arg(&dir).status();
        Ok(bin)
    });
    match found {
        Ok(bin) => Some(bin),
        Err(reason) => {
            assert!(std::env::var("WINDLASS_TEST_ALL").as_deref() != Ok("1"), "no PostgreSQL: {reason}");
            #[expect(clippy::print_stderr, reason = "a test that does nothing says so")]
            {
                eprintln!("skipped, no PostgreSQL: {reason}");
            }
            None
        }
    }
}

/// A server of its own on a free port; it ends with the test.
struct Cluster {
    dir: tempfile::TempDir,
    bin: PathBuf,
    port: u16,
}

impl Cluster {
    fn start() -> Option<Self> {
        let bin = programs()?.clone();
        let dir = tempfile::Builder::new().prefix("wpg").tempdir_in("/tmp").unwrap();
        std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let cluster = Self { dir, bin, port };
        let data = cluster.dir.path().join("data");
        std::fs::write(cluster.dir.path().join("pw"), PASSWORD).unwrap();
        cluster.tool(
            "initdb",
            &[
                "-D",
                data.to_str()?,
                "-U",
                "postgres",
                "-A",
                "scram-sha-256",
                "--no-sync",
                "-E",
                "UTF8",
                "--pwfile",
                cluster.dir.path().join("pw").to_str()?,
            ],
        );
        let options = format!(
            "-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={} -c fsync=off",
            cluster.dir.path().display()
        );
        let log = cluster.dir.path().join("log");
        cluster.tool("pg_ctl", &["-D", data.to_str()?, "-w", "-l", log.to_str()?, "-o", &options, "start"]);
        Some(cluster)
    }

    /// Runs a program as somebody who is not root.
    fn tool(&self, name: &str, rest: &[&str]) {
        let program = self.bin.join(name);
        let mut system = if rustix::process::geteuid().is_root() {
            let mut system = System::new("setpriv");
            system.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups"]).arg(program);
            system
        } else {
            System::new(program)
        };
        let status =
            system.args(rest).env("LC_ALL", "C.UTF-8").current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).status();
        assert!(status.unwrap().success(), "{name}");
    }

    fn call(&self, more: serde_json::Value) -> Object {
        let mut call = json!({
            "host": "127.0.0.1", "port": self.port, "user": "postgres", "password": PASSWORD, "database": "postgres",
            "bin_dir": self.bin,
        });
        call.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        args(call)
    }

    async fn ask(&self, sql: &str) -> Result<Value, Failure> {
        Postgres.run(&self.call(json!({"sql": sql})), &observing()).await
    }

    async fn run(&self, more: serde_json::Value) -> Result<Value, Failure> {
        // One folder for each attempt.
        let dir = tempfile::tempdir().unwrap();
        Postgres.run(&self.call(more), &applying(dir.path())).await
    }

    async fn tell(&self, sql: &str) {
        self.run(json!({"action": "execute", "sql": sql})).await.unwrap();
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let data = self.dir.path().join("data");
        if let Some(data) = data.to_str() {
            self.tool("pg_ctl", &["-D", data, "-m", "immediate", "stop"]);
        }
    }
}

fn of<'a>(value: &'a Value, name: &str) -> &'a Value {
    value.get(name).unwrap_or_else(|| panic!("no {name}"))
}

const FINGERPRINT: &str = "SELECT count(*) AS n, md5(string_agg(t::text, '|' ORDER BY id)) AS sum FROM t";

#[tokio::test]
async fn rows_become_objects_with_their_types() {
    let Some(cluster) = Cluster::start() else { return };
    let result = cluster
        .ask(
            "SELECT true AS b, 7::int2 AS i2, -7 AS i4, 9007199254740993::int8 AS i8, 1.5::float4 AS f4, 0.1::float8 AS f8, \
             -12345.678900::numeric AS n, 0.0001::numeric AS small, 1e20::numeric AS big, 'NaN'::numeric AS nan, 'é'::text AS t, 'x'::name AS nm, \
             '{\"a\": [1, null]}'::jsonb AS j, '{\"b\": 2}'::json AS js, \
             '00000000-0000-0000-0000-00000000000a'::uuid AS u, '\\x01ff'::bytea AS by, '2024-02-29 12:00:00.5+00'::timestamptz AS tz, \
             '2024-02-29 12:00:00'::timestamp AS ts, '1999-12-31'::date AS d, ARRAY[1, NULL, 3] AS a, ARRAY[]::text[] AS e, NULL::int AS nothing",
        )
        .await
        .unwrap();
    let expected = json!({
        "b": true, "i2": 7, "i4": -7, "i8": 9_007_199_254_740_993_i64, "f4": 1.5, "f8": 0.1, "n": -12345.6789, "small": 0.0001,
        "big": 100_000_000_000_000_000_000_u128 as f64, "nan": "NaN",
        "t": "é", "nm": "x", "j": {"a": [1, null]}, "js": {"b": 2}, "u": "00000000-0000-0000-0000-00000000000a", "by": "01ff",
        "tz": "2024-02-29T12:00:00.5Z", "ts": "2024-02-29T12:00:00", "d": "1999-12-31", "a": [1, null, 3], "e": [], "nothing": null,
    });
    assert_eq!(serde_json::to_value(of(&result, "row")).unwrap(), expected);
    let shown = cluster.ask("SHOW server_version").await.unwrap();
    assert!(of(&shown, "value").as_str().unwrap().starts_with("16.2"), "{shown:?}");
    assert!(cluster.ask("SELECT point(1, 2) AS p").await.unwrap_err().message.contains("`p::text`"));
}

#[tokio::test]
async fn parameters_are_values_and_never_sql() {
    let Some(cluster) = Cluster::start() else { return };
    let call = json!({
        "sql": "SELECT $1::text AS t, $2::int AS i, $3::jsonb AS j, $4::bool AS b, $5::text AS n",
        "parameters": ["'; DROP TABLE t; --", 7, {"a": 1}, true, null],
    });
    let row = Postgres.run(&cluster.call(call), &observing()).await.unwrap();
    assert_eq!(
        serde_json::to_value(of(&row, "row")).unwrap(),
        json!({"t": "'; DROP TABLE t; --", "i": 7, "j": {"a": 1}, "b": true, "n": null})
    );
}

#[tokio::test]
async fn a_query_cannot_write_and_a_fact_never_can() {
    let Some(cluster) = Cluster::start() else { return };
    cluster.tell("CREATE TABLE t (id int PRIMARY KEY)").await;
    for sql in ["INSERT INTO t VALUES (1)", "DROP TABLE t", "INSERT INTO t VALUES (1) RETURNING id"] {
        let error = cluster.ask(sql).await.unwrap_err();
        assert_eq!(detail(&error, "code").as_str(), Some("25006"), "{error}");
    }
    let sneaky = Postgres.run(&cluster.call(json!({"sql": "INSERT INTO t VALUES (1)", "read_only": false})), &observing()).await;
    assert_eq!(detail(&sneaky.unwrap_err(), "code").as_str(), Some("25006"));
    assert!(cluster.ask("SELECT set_config('transaction_read_only', 'off', false)").await.is_err());
    assert!(cluster.ask("SELECT 1; DROP TABLE t").await.is_err());
    let error = Postgres.run(&cluster.call(json!({"action": "execute", "sql": "DROP TABLE t"})), &observing()).await.unwrap_err();
    assert_eq!(error.kind, FailureKind::Invalid);
    let done = cluster.run(json!({"action": "execute", "sql": "INSERT INTO t VALUES (1), (2); DELETE FROM t"})).await.unwrap();
    assert_eq!(serde_json::to_value(of(&done, "affected")).unwrap(), json!([2, 2]));
    // Several statements are one transaction.
    cluster.run(json!({"action": "execute", "sql": "INSERT INTO t VALUES (1); SELECT 1/0"})).await.unwrap_err();
    assert_eq!(of(&cluster.ask("SELECT count(*) FROM t").await.unwrap(), "value"), &0i64.into());
}

#[tokio::test]
async fn what_the_server_says_is_told_with_its_code() {
    let Some(cluster) = Cluster::start() else { return };
    let error = cluster.ask("SELECT * FROM absent").await.unwrap_err();
    assert!(error.message.contains("relation \"absent\" does not exist") && error.message.contains("42P01"), "{error}");
    let wrong = Postgres.run(&cluster.call(json!({"sql": "SELECT 1", "password": "wrong"})), &observing()).await.unwrap_err();
    assert_eq!(detail(&wrong, "code").as_str(), Some("28P01"), "{wrong}");
    let tls = Postgres.run(&cluster.call(json!({"sql": "SELECT 1", "sslmode": "verify-full"})), &observing()).await.unwrap_err();
    assert!(tls.message.contains("TLS") && tls.help.is_some(), "{tls:?}");
    for error in [error, wrong, tls] {
        assert!(!format!("{error:?}").contains(PASSWORD), "{error:?}");
    }
}

#[tokio::test]
async fn a_statement_takes_no_longer_than_it_may_and_stops_when_told() {
    let Some(cluster) = Cluster::start() else { return };
    let slow = cluster.call(json!({"sql": "SELECT pg_sleep(60)", "timeout": "200ms"}));
    let error = Postgres.run(&slow, &observing()).await.unwrap_err();
    assert_eq!(error.kind, FailureKind::TimedOut, "{error}");
    let ctx = observing();
    let cancel = ctx.cancel.clone();
    let slow = cluster.call(json!({"sql": "SELECT pg_sleep(60) /* mine */"}));
    let (result, ()) = tokio::join!(Postgres.run(&slow, &ctx), async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        cancel.cancel();
    });
    assert_eq!(result.unwrap_err().kind, FailureKind::Cancelled);
    let mut left = Value::Null;
    for _ in 0..100 {
        left = of(&cluster.ask("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%/* mine %' AND pid <> pg_backend_pid()").await.unwrap(), "value").clone();
        if left == 0i64.into() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(left, 0i64.into(), "the server still works on it");
}

#[tokio::test]
async fn too_many_rows_are_cut() {
    let Some(cluster) = Cluster::start() else { return };
    let result = cluster.ask("SELECT generate_series(1, 5000) AS n").await.unwrap();
    assert_eq!((of(&result, "row_count"), of(&result, "truncated")), (&1000i64.into(), &true.into()));
}

#[tokio::test]
async fn a_socket_and_a_url_work_too() {
    let Some(cluster) = Cluster::start() else { return };
    let url = format!("postgres://postgres:s3cret%20word@127.0.0.1:{}/postgres", cluster.port);
    let result = Postgres.run(&args(json!({"url": url, "sql": "SELECT 1 AS one"})), &observing()).await.unwrap();
    assert_eq!(of(&result, "value"), &1i64.into());
    let socket = Postgres.run(&cluster.call(json!({"host": cluster.dir.path(), "sql": "SELECT 1"})), &observing()).await.unwrap();
    assert_eq!(of(&socket, "value"), &1i64.into());
}

#[tokio::test]
async fn where_no_server_is_is_unreachable() {
    let call = args(json!({"host": "127.0.0.1", "port": 1, "sql": "SELECT 1", "password": PASSWORD}));
    let error = Postgres.run(&call, &observing()).await.unwrap_err();
    assert_eq!(error.kind, FailureKind::Unreachable);
    assert!(error.message.contains("refused"), "{error}");
}

#[tokio::test]
async fn a_dump_is_verified_and_restores_the_same_rows() {
    let Some(cluster) = Cluster::start() else { return };
    cluster.tell("CREATE DATABASE app").await;
    let app = |more: serde_json::Value| {
        let mut call = json!({"database": "app"});
        call.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        call
    };
    let fill = "CREATE TABLE t (id serial PRIMARY KEY, x text); INSERT INTO t (x) SELECT repeat('é''', n % 50) FROM generate_series(1, 5000) n";
    cluster.run(app(json!({"action": "execute", "sql": fill}))).await.unwrap();
    let fingerprint = async || {
        let row = Postgres.run(&cluster.call(app(json!({"sql": FINGERPRINT}))), &observing()).await.unwrap();
        serde_json::to_value(of(&row, "row")).unwrap()
    };
    let before = fingerprint().await;
    let files = tempfile::tempdir().unwrap();
    for (format, mode) in [("custom", "clean"), ("custom", "recreate"), ("plain", "recreate")] {
        let path = files.path().join(format!("{format}-{mode}.dump"));
        let dumped = cluster.run(app(json!({"action": "dump", "path": path, "format": format}))).await.unwrap();
        let backup = of(&dumped, "backup");
        assert_eq!((of(backup, "verified"), of(backup, "method").as_str()), (&true.into(), Some("pg_dump")));
        cluster
            .run(app(json!({"action": "execute", "sql": "DELETE FROM t WHERE id % 2 = 0; UPDATE t SET x = 'changed'"})))
            .await
            .unwrap();
        cluster.run(app(json!({"action": "restore", "path": path, "mode": mode}))).await.unwrap();
        assert_eq!(fingerprint().await, before, "{format} {mode}");
        let again = cluster.run(app(json!({"action": "dump", "path": path, "format": format}))).await.unwrap_err();
        assert!(again.message.contains("there already"), "{again}");
    }
    assert_eq!(std::fs::read_dir(files.path()).unwrap().count(), 3);
    let owner = cluster.ask("SELECT pg_encoding_to_char(encoding) FROM pg_database WHERE datname = 'app'").await.unwrap();
    assert_eq!(of(&owner, "value").as_str(), Some("UTF8"));
}

#[tokio::test]
async fn a_damaged_dump_is_refused_before_anything_is_dropped() {
    let Some(cluster) = Cluster::start() else { return };
    cluster
        .tell("CREATE TABLE t (id int PRIMARY KEY, x text); INSERT INTO t SELECT n, md5(n::text) FROM generate_series(1, 20000) n")
        .await;
    let files = tempfile::tempdir().unwrap();
    let path = files.path().join("d");
    cluster.run(json!({"action": "dump", "path": path})).await.unwrap();
    let whole = std::fs::read(&path).unwrap();
    for wrong in [&whole[..whole.len() / 2], b"PGDMP", b"", b"CREATE TABLE x (id int);"] {
        std::fs::write(&path, wrong).unwrap();
        for mode in ["clean", "recreate"] {
            cluster.run(json!({"action": "restore", "path": path, "mode": mode})).await.unwrap_err();
        }
    }
    assert_eq!(of(&cluster.ask("SELECT count(*) FROM t").await.unwrap(), "value"), &20_000i64.into());
}

#[tokio::test]
async fn a_dump_that_fails_leaves_nothing_and_no_password() {
    let Some(cluster) = Cluster::start() else { return };
    let files = tempfile::tempdir().unwrap();
    let wrong = json!({"action": "dump", "path": files.path().join("d"), "database": "absent"});
    let error = cluster.run(wrong).await.unwrap_err();
    assert!(error.message.contains("does not exist") && !format!("{error:?}").contains(PASSWORD), "{error:?}");
    assert_eq!(std::fs::read_dir(files.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn senseless_calls_are_refused() {
    for wrong in [
        json!({}),
        json!({"sql": ""}),
        json!({"sql": "SELECT 1", "url": "mysql://x"}),
        json!({"sql": "SELECT 1", "url": "postgres://a,b/x"}),
        json!({"sql": "SELECT 1", "port": 70000}),
        json!({"sql": "SELECT 1", "sslmode": "prefer"}),
        json!({"sql": "SELECT 1", "parameters": "x"}),
        json!({"sql": "SELECT \u{0}"}),
        json!({"action": "dump"}),
        json!({"action": "x"}),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let error = Postgres.run(&args(wrong.clone()), &applying(dir.path())).await.unwrap_err();
        assert_eq!(error.kind, FailureKind::Invalid, "{wrong}: {error}");
    }
}
