//! State that machines share, on real servers: two processes at once, a paused holder, lost connections, runs that another machine
//! goes on with, and the way from local state to a shared one.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use rustix::process::Signal;

use crate::estate::{Estate, JOB, JOB_PROVIDER, Ran, SAMPLE, await_until, signal};
use crate::servers::{BUCKET, PASSWORD, Postgres, S3, USER, wanted};

/// A server of one kind or the other.
pub(crate) enum Server {
    Postgres(Postgres),
    S3(S3),
}

impl Server {
    /// One of each kind; none where they are not wanted.
    pub(crate) fn each() -> Vec<Self> {
        if wanted() { vec![Self::Postgres(Postgres::start()), Self::S3(S3::start())] } else { Vec::new() }
    }

    pub(crate) fn port(&self) -> u16 {
        match self {
            Self::Postgres(server) => server.port,
            Self::S3(server) => server.port,
        }
    }

    /// Has an estate keep its state there, by way of this port.
    pub(crate) fn keep_state_by(&self, estate: &mut Estate, port: u16) {
        let backend = match self {
            Self::Postgres(_) => {
                estate.env("PGPASSWORD", PASSWORD);
                format!("backend \"postgres\" {{\n    url = \"postgres://{USER}@127.0.0.1:{port}/postgres\"\n  }}")
            }
            Self::S3(_) => {
                estate.env("AWS_ACCESS_KEY_ID", "test");
                estate.env("AWS_SECRET_ACCESS_KEY", "hunter22-secret");
                format!("backend \"s3\" {{\n    bucket = \"{BUCKET}\"\n    endpoint = \"http://127.0.0.1:{port}\"\n  }}")
            }
        };
        estate.write("backend.hcl", format!("windlass {{\n  {backend}\n}}\n"));
    }

    /// An apply that waits in its slow step, and reaches its state by a wire.
    pub(crate) fn waits_by_wire(&self, variables: &[(&str, &str)]) -> (Estate, Wire, Child) {
        let mut estate = Estate::job();
        let wire = Wire::to(self.port());
        self.keep_state_by(&mut estate, wire.port);
        variables.iter().for_each(|(name, value)| estate.env(name, value));
        estate.write("job/wait", "");
        let applying = estate.spawn(&["apply", "--auto-approve"]);
        estate.await_text("job/log", "slow");
        (estate, wire, applying)
    }

    pub(crate) fn keep_state(&self, estate: &mut Estate) {
        self.keep_state_by(estate, self.port());
    }
}

/// Another machine: another folder and name, the same platforms.
pub(crate) fn elsewhere(first: &Estate, main: &str, server: &Server) -> Estate {
    let mut other = Estate::with(main);
    other.write("providers/job/provider.hcl", JOB_PROVIDER);
    other.set("home", &first.root.display().to_string());
    other.set("token", crate::estate::SECRET);
    other.env("WINDLASS_HOST_NAME", "another-machine");
    server.keep_state(&mut other);
    other
}

/// Its configuration holds no secret: what is kept of it may leave the machine.
fn without_secret(estate: &Estate) {
    estate.write("providers/sample/sample.conf.j2", "version = {{ version }}\ngreeting = {{ greeting }}\nport = {{ port }}\n");
}

pub(crate) fn ended(child: Child, args: &[&str]) -> Ran {
    let output: Output = child.wait_with_output().expect("it ends");
    Ran::of(args, &output)
}

#[test]
fn of_two_processes_the_second_is_told_who_holds_the_state() {
    for server in Server::each() {
        let mut estate = Estate::job();
        server.keep_state(&mut estate);
        estate.good(&["init"]).says(&["state is kept in"]);
        estate.write("job/wait", "");
        let first = estate.spawn(&["apply", "--auto-approve"]);
        estate.await_text("job/log", "slow");
        let other = elsewhere(&estate, JOB, &server);
        for second in [&estate, &other] {
            second.apply().exit(6).says(&["state is locked", "tester@", "(apply)", "for run", "windlass unlock test"]);
        }
        other.run(&["unlock", "test"]).exit(3).says(&["test is held by tester@", "apply, run", "lock was not broken", "--force"]);
        estate.good(&["history"]).says(&["running"]);
        estate.remove("job/wait");
        ended(first, &["apply"]).exit(0);
        for anybody in [&estate, &other] {
            anybody.good(&["plan", "--detailed-exitcode"]).says(&["No changes."]);
            anybody.good(&["history"]).says(&["apply succeeded"]);
            anybody.good(&["show", "job.one"]).says(&["1.0.0"]);
        }
        assert!(!estate.path("windlass.test.lock").exists(), "state is in the store, not beside the configuration");
        assert_eq!(estate.log().iter().filter(|line| *line == "slow").count(), 1);
    }
}

#[test]
fn a_holder_that_was_paused_past_its_term_writes_nothing_when_it_wakes() {
    for server in Server::each() {
        let mut estate = Estate::job();
        server.keep_state(&mut estate);
        estate.env("WINDLASS_LEASE_TERM", "2s");
        estate.write("job/wait", "");
        let paused = estate.spawn(&["apply", "--auto-approve"]);
        estate.await_text("job/log", "slow");
        // Its supervisor goes on; the program itself does not.
        signal(&paused, Signal::STOP);
        let other = elsewhere(&estate, JOB, &server);
        let taken = other.run(&["resume", "--lock-timeout", "1m"]).exit(5);
        taken.says(&["job.one@1.0.0:slow", "it was begun on", "where it may still run", "--retry"]);
        estate.remove("job/wait");
        estate.await_text("job/log", "slow-end");
        other.good(&["resume", "--skip", "job.one@1.0.0:slow"]).says(&["Apply complete."]);
        let after = estate.log();
        signal(&paused, Signal::CONT);
        ended(paused, &["apply"]).exit(5).says(&["no longer held"]);
        assert_eq!(estate.log(), after, "it went on with what another had done");
        other.good(&["plan", "--detailed-exitcode"]).says(&["No changes."]);
        other.good(&["history"]).says(&["apply succeeded"]).lacks("held");
    }
}

/// The action that is held for a person.
fn held(ran: &Ran) -> Option<String> {
    let told = ran.err.replace(['\n', '│'], " ");
    let (_, rest) = told.split_once("--retry")?;
    Some(rest.split('\'').nth(1)?.to_owned())
}

/// A wire between the program and a server, which can be cut, or swallow what is said.
pub(crate) struct Wire {
    pub(crate) port: u16,
    is_cut: Arc<AtomicBool>,
    swallows: Arc<AtomicBool>,
    streams: Arc<Mutex<Vec<TcpStream>>>,
}

impl Wire {
    pub(crate) fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let wire = Self {
            port: listener.local_addr().expect("it listens").port(),
            is_cut: Arc::default(),
            swallows: Arc::default(),
            streams: Arc::default(),
        };
        let (is_cut, swallows, streams) = (Arc::clone(&wire.is_cut), Arc::clone(&wire.swallows), Arc::clone(&wire.streams));
        std::thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let far = TcpStream::connect(("127.0.0.1", server));
                let (false, Ok(far)) = (is_cut.load(Ordering::SeqCst), far) else { continue };
                for (from, to) in [(&near, &far), (&far, &near)] {
                    let (mut from, mut to) = (from.try_clone().expect("a stream"), to.try_clone().expect("a stream"));
                    let swallows = Arc::clone(&swallows);
                    std::thread::spawn(move || {
                        let mut bytes = [0; 1 << 14];
                        while let Ok(count @ 1..) = from.read(&mut bytes) {
                            // As when a firewall forgets a connection: nobody is told.
                            if swallows.load(Ordering::SeqCst) {
                                continue;
                            }
                            if to.write_all(&bytes[..count]).is_err() {
                                break;
                            }
                        }
                        let _ = to.shutdown(Shutdown::Both);
                    });
                }
                streams.lock().expect("no panic").extend([near, far]);
            }
        });
        wire
    }

    pub(crate) fn cut(&self) {
        self.is_cut.store(true, Ordering::SeqCst);
        for stream in self.streams.lock().expect("no panic").drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// From now on everything is taken and nothing arrives.
    pub(crate) fn swallow(&self) {
        self.swallows.store(true, Ordering::SeqCst);
    }

    /// Connections of now on work; what was swallowed stays so, and its connections end.
    pub(crate) fn mend(&self) {
        if self.swallows.swap(false, Ordering::SeqCst) {
            self.cut();
        }
        self.is_cut.store(false, Ordering::SeqCst);
    }
}

#[test]
fn a_connection_that_is_lost_for_a_while_only_delays_the_run() {
    for server in Server::each() {
        let (estate, wire, applying) = server.waits_by_wire(&[]);
        wire.cut();
        estate.remove("job/wait");
        estate.await_text("job/log", "slow-end");
        estate.run(&["history"]).exit(1).says(&["state cannot be reached"]).lacks("hunter22");
        assert!(!estate.log().contains(&"fragile".to_owned()), "the next action began, and the store does not know of it");
        wire.mend();
        ended(applying, &["apply"]).exit(0).says(&["Apply complete."]);
        assert_eq!(estate.log().iter().filter(|line| *line == "slow").count(), 1);
        estate.good(&["plan", "--detailed-exitcode"]).says(&["No changes."]);
    }
}

#[test]
fn what_ended_while_the_store_was_away_is_delivered_by_resume() {
    for server in Server::each() {
        let (estate, wire, applying) = server.waits_by_wire(&[("WINDLASS_LEASE_TERM", "3s")]);
        wire.cut();
        estate.remove("job/wait");
        // It cannot renew its lease, and halts.
        ended(applying, &["apply"]).exit(5).says(&["no longer held", "windlass resume"]);
        wire.mend();
        let resumed = estate.run(&["resume", "--lock-timeout", "1m"]);
        assert!(matches!(resumed.code, Some(0)), "{}\n{}", resumed.out, resumed.err);
        let log = estate.log();
        for once in ["first", "slow", "slow-end", "fragile"] {
            assert_eq!(log.iter().filter(|line| *line == once).count(), 1, "{once}: {log:?}");
        }
        estate.good(&["plan", "--detailed-exitcode"]).says(&["No changes."]);
    }
}

#[test]
fn another_machine_finishes_a_run_whose_machine_is_gone() {
    for server in Server::each() {
        let mut estate = Estate::sample();
        without_secret(&estate);
        server.keep_state(&mut estate);
        estate.apply().exit(0);
        estate.set("version", "2.0.0");
        estate.env("WINDLASS_CRASH_AT", "apply.recorded:1");
        let killed = estate.run(&["apply", "--auto-approve"]);
        assert_eq!(killed.code, None, "it was to be killed: {}", killed.err);
        estate.remove(".windlass/runs");

        let mut other = elsewhere(&estate, SAMPLE, &server);
        without_secret(&other);
        other.set("version", "2.0.0");
        // The dead process's lease is known to be dead here, where kernel and namespace are the same.
        let mut ran = other.run(&["resume"]);
        while let Some(held) = held(&ran) {
            // Begun on a machine that is gone, and nobody can ask there: a person looks, and says that it may be done again.
            ran = other.run(&["resume", "--retry", &held]);
        }
        ran.exit(0);
        assert_eq!(estate.read("app/current/VERSION"), "2.0.0");
        other.good(&["plan", "--detailed-exitcode"]).says(&["No changes."]);
        // What the first machine kept of files is put back from the store, by a third one.
        let mut third = elsewhere(&estate, SAMPLE, &server);
        without_secret(&third);
        third.set("version", "1.0.0");
        third.env("WINDLASS_HOST_NAME", "a-third-machine");
        third.good(&["rollback", "--auto-approve"]);
        assert_eq!(estate.read("app/current/VERSION"), "1.0.0");
        assert!(estate.read("app/sample.conf").starts_with("version = 1.0.0\n"), "{}", estate.read("app/sample.conf"));
        third.good(&["plan", "--detailed-exitcode"]).says(&["No changes."]);
    }
}

#[test]
fn an_upgrade_is_undone_by_lowering_the_version_on_another_machine() {
    for server in Server::each() {
        let mut estate = Estate::sample();
        without_secret(&estate);
        server.keep_state(&mut estate);
        estate.apply().exit(0);
        let before = estate.tree("app");
        estate.set("version", "1.1.0");
        estate.apply().exit(0);
        estate.remove(".windlass");
        let mut other = elsewhere(&estate, SAMPLE, &server);
        without_secret(&other);
        other.set("version", "1.0.0");
        other.apply().exit(0);
        assert_eq!(estate.tree("app"), before);
    }
}

#[test]
fn a_run_is_stopped_from_another_machine_and_goes_on_there() {
    for server in Server::each() {
        let mut estate = Estate::job();
        server.keep_state(&mut estate);
        estate.write("job/wait", "");
        let applying = estate.spawn(&["apply", "--auto-approve"]);
        estate.await_text("job/log", "slow");
        let other = elsewhere(&estate, JOB, &server);
        other.good(&["stop"]).says(&["was asked to stop"]);
        // What runs is finished: it is told within a few seconds, and waits.
        std::thread::sleep(std::time::Duration::from_secs(4));
        estate.remove("job/wait");
        ended(applying, &["apply"]).exit(5).says(&["Stopped on request"]);
        assert_eq!(estate.log(), ["first", "slow", "slow-end"]);
        other.good(&["resume"]).says(&["Apply complete."]);
        assert_eq!(estate.log(), ["first", "slow", "slow-end", "fragile"]);
    }
}

#[test]
fn a_person_confirms_on_another_machine() {
    for server in Server::each() {
        let mut estate = Estate::job();
        server.keep_state(&mut estate);
        estate.apply().exit(0);
        estate.set("version", "7.0.0");
        let main = JOB.replace("  dir ", "  strategy    = \"by_hand\"\n  dir ");
        estate.write("main.hcl", &main);
        estate.apply().exit(5).says(&["Turn the key."]);
        estate.remove(".windlass");
        let mut other = elsewhere(&estate, &main, &server);
        other.set("version", "7.0.0");
        other.good(&["confirm", "job.one@7.0.0:person", "--note", "turned"]).says(&["Go on with: windlass resume"]);
        let mut third = elsewhere(&estate, &main, &server);
        third.set("version", "7.0.0");
        third.good(&["resume"]).says(&["Apply complete."]);
        assert_eq!(estate.read("job/version"), "7.0.0");
    }
}

#[test]
fn local_state_is_brought_to_a_shared_backend_once() {
    for server in Server::each() {
        let mut estate = Estate::sample();
        estate.apply().exit(0);
        estate.set("version", "1.1.0");
        estate.apply().exit(0);
        server.keep_state(&mut estate);
        estate.run(&["plan"]).exit(3).says(&["state was left behind", "windlass.test.lock", "init --migrate-state"]);
        estate.run(&["init"]).exit(3).says(&["state was left behind"]);
        estate
            .run(&["init", "--migrate-state"])
            .exit(3)
            .says(&["the lockfile of test: serial 2, 1 instance", "nothing was copied"]);
        assert!(estate.path("windlass.test.lock").exists());
        estate
            .good(&["init", "--migrate-state", "--auto-approve"])
            .says(&["1 lockfile and 2 runs were copied", "remove it from git"]);
        assert!(!estate.path("windlass.test.lock").exists());
        estate.good(&["init", "--migrate-state", "--auto-approve"]).says(&["Ready"]);
        estate.good(&["plan", "--detailed-exitcode"]).says(&["No changes."]);
        estate.good(&["history"]).says(&["sample.one test 1.0.0 → 1.1.0 succeeded"]);
        // The provider that hops were applied with is there, too: another machine undoes them.
        let mut other = elsewhere(&estate, SAMPLE, &server);
        other.set("version", "1.0.0");
        other.good(&["plan"]).says(&["the applied hops lead back to it"]);
        // A lockfile of another history is not mixed in.
        let mut stranger = Estate::sample();
        stranger.apply().exit(0);
        server.keep_state(&mut stranger);
        stranger.run(&["init", "--migrate-state", "--auto-approve"]).exit(3).says(&["state is there already", "lineage"]);
    }
}

#[test]
fn a_backend_that_cannot_be_used_says_why() {
    let mut estate = Estate::sample();
    let backend = |estate: &Estate, text: &str| estate.write("backend.hcl", format!("windlass {{\n  backend {text}\n}}\n"));
    backend(&estate, "\"postgres\" {\n    hots = \"db\"\n  }");
    estate.run(&["plan"]).exit(1).says(&["backend `postgres` has no attribute `hots`", "did you mean `host`?"]);
    backend(&estate, "\"postgres\" {\n    url = \"postgres://u:hunter22@db.example.org/x\"\n  }");
    estate.run(&["plan"]).exit(1).says(&["backend cannot be used", "PGPASSWORD"]);
    backend(&estate, "\"postgres\" {\n    host = \"127.0.0.1\"\n    port = 1\n    user = \"u\"\n  }");
    estate.run(&["init"]).exit(1).says(&["state cannot be reached", "PostgreSQL `u` at 127.0.0.1:1"]);
    estate.good(&["init", "--backend=false"]).says(&["Ready"]);
    estate.good(&["validate"]);
    backend(&estate, "\"s3\" {\n    bucket = \"b\"\n  }");
    estate.run(&["plan"]).exit(1).says(&["the environment holds no credentials", "AWS_ACCESS_KEY_ID"]);
    estate.env("AWS_ACCESS_KEY_ID", "test");
    estate.env("AWS_SECRET_ACCESS_KEY", "hunter22-secret");
    backend(&estate, "\"s3\" {\n    bucket = \"b\"\n    endpoint = \"http://s3.example.org\"\n  }");
    estate.run(&["plan"]).exit(1).says(&["https://", "loopback"]).lacks("hunter22");
    estate.run(&["init", "--migrate-state"]).exit(1);
    backend(&estate, "\"local\" {}");
    estate.run(&["init", "--migrate-state"]).exit(1).says(&["nothing to migrate"]);
}

/// An `ssh` that needs no server: the "other" machine is this one, under another name.
const SSH: &str = r#"#!/bin/sh
while [ $# -gt 0 ] && [ "$1" != "--" ]; do shift; done
[ $# -gt 2 ] || exit 0
shift 2
exec /bin/sh -c "$*"
"#;

#[test]
fn a_command_on_an_ssh_host_is_found_again_by_another_machine() {
    if !wanted() {
        return;
    }
    let postgres = Postgres::start();
    let server = Server::Postgres(postgres);
    let Server::Postgres(postgres) = &server else { return };
    let main = JOB.replace("environment = environment.test\n", "environment = environment.test\n  host        = host.far\n")
        + "host \"far\" {\n  ssh {\n    address = \"far.example.org\"\n  }\n}\n";
    let mut estate = Estate::job();
    estate.write("main.hcl", &main);
    server.keep_state(&mut estate);
    estate.write("bin/ssh", SSH);
    std::fs::set_permissions(estate.path("bin/ssh"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("its mode");
    let path = format!("{}:{}", estate.path("bin").display(), std::env::var("PATH").unwrap_or_default());
    let far = estate.path("far").display().to_string();
    let mut other = elsewhere(&estate, &main, &server);
    for machine in [&mut estate, &mut other] {
        machine.env("PATH", &path);
        machine.env("XDG_STATE_HOME", &far);
    }
    estate.write("job/wait", "");
    let mut applying = estate.spawn(&["apply", "--auto-approve"]);
    estate.await_text("job/log", "slow");
    await_until("the store knows what runs on the other machine", || {
        let psql = std::process::Command::new(postgres.bin.join("psql"))
            .args(["-h", "127.0.0.1", "-p", &postgres.port.to_string(), "-U", USER, "-Atc"])
            .args(["SELECT count(*) FROM windlass.file WHERE name LIKE '%slow%/remote.json'", "postgres"])
            .env("PGPASSWORD", PASSWORD)
            .output()
            .expect("psql runs");
        psql.stdout == b"1\n"
    });
    applying.kill().expect("it runs");
    applying.wait().expect("it is gone");
    let resuming = other.spawn(&["resume"]);
    std::thread::sleep(std::time::Duration::from_millis(500));
    estate.remove("job/wait");
    ended(resuming, &["resume"]).exit(0).says(&["Apply complete."]);
    let log = estate.log();
    assert_eq!(log, ["first", "slow", "slow-end", "fragile"], "nothing ran twice");
}

#[test]
fn state_is_reached_over_tls_where_an_authority_is_named() {
    if !wanted() {
        return;
    }
    let (server, stranger) = (Postgres::start(), Postgres::start());
    let mut estate = Estate::sample();
    estate.env("PGPASSWORD", PASSWORD);
    estate.env("PGUSER", USER);
    let name = |authority: &std::path::Path| {
        let text = format!(
            "windlass {{\n  backend \"postgres\" {{\n    host = \"localhost\"\n    port = {}\n    database = \"postgres\"\n    ca_file = \"{}\"\n  }}\n}}\n",
            server.port,
            authority.display()
        );
        estate.write("backend.hcl", text);
    };
    name(&stranger.authority());
    estate.run(&["init"]).exit(1).says(&["state cannot be reached", "certificate"]);
    name(&server.authority());
    estate.good(&["init"]).says(&["state is kept in PostgreSQL `postgres` at localhost"]);
    estate.apply().exit(0);
    estate.good(&["plan", "--detailed-exitcode"]);
}

#[test]
fn nothing_secret_reaches_the_store() {
    if !wanted() {
        return;
    }
    let server = Server::Postgres(Postgres::start());
    let mut estate = Estate::job();
    server.keep_state(&mut estate);
    estate.set("secret", "hunter22-of-the-job");
    estate.apply().exit(0);
    let Server::Postgres(postgres) = &server else { return };
    let dump = std::process::Command::new(postgres.bin.join("pg_dump"))
        .args(["-h", "127.0.0.1", "-p", &postgres.port.to_string(), "-U", USER, "postgres"])
        .env("PGPASSWORD", PASSWORD)
        .output()
        .expect("pg_dump runs");
    let dump = String::from_utf8_lossy(&dump.stdout).into_owned();
    // Contents are written in hexadecimal digits.
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    let holds = |text: &str| dump.contains(text) || dump.contains(&hex(text));
    assert!(holds("output.log") && holds("run_ended") && holds("the secret is (sensitive)"), "the run is there");
    assert!(!holds("hunter22"), "a secret is in the store");
}
