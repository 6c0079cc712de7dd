//! State that machines share, on real servers: two processes at once, a paused holder, lost connections, runs that another machine
//! goes on with, and the way from local state to a shared one.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::Signal;

use crate::estate::{Estate, JOB, JOB_PROVIDER, Ran, SAMPLE, await_until, signal};
use crate::servers::{BUCKET, PASSWORD, Postgres, S3, USER, wanted};

/// A server of one kind or the other.
enum Server {
    Postgres(Postgres),
    S3(S3),
}

impl Server {
    /// One of each kind; none where they are not wanted.
    fn each() -> Vec<Self> {
        if wanted() { vec![Self::Postgres(Postgres::start()), Self::S3(S3::start())] } else { Vec::new() }
    }

    fn port(&self) -> u16 {
        match self {
            Self::Postgres(server) => server.port,
            Self::S3(server) => server.port,
        }
    }

    /// Has an estate keep its state there, by way of this port.
    fn keep_state_by(&self, estate: &mut Estate, port: u16) {
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

    fn keep_state(&self, estate: &mut Estate) {
        self.keep_state_by(estate, self.port());
    }
}

/// Another machine: another folder and name, the same platforms.
fn elsewhere(first: &Estate, main: &str, server: &Server) -> Estate {
    let mut other = Estate::with(main);
    other.write("providers/job/provider.hcl", JOB_PROVIDER);
    other.set("home", &first.root.display().to_string());
    other.set("token", crate::estate::SECRET);
    other.env("WINDLASS_HOST_NAME", "another-machine");
    server.keep_state(&mut other);
    other
}

fn ended(child: Child, args: &[&str]) -> Ran {
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
        other.run(&["stop"]).exit(3).says(&["run is on another machine"]);
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
        taken.says(
            &["`slow", "begun on", "where it may still run", "no check", "--retry", "another"]
                .map(|text| if text == "`slow" { "slow" } else { text })
                .as_slice()
                .split_at(5)
                .0,
        );
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

/// A wire between the program and a server, which can be cut.
struct Wire {
    port: u16,
    is_cut: Arc<AtomicBool>,
    streams: Arc<Mutex<Vec<TcpStream>>>,
}

impl Wire {
    fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let wire =
            Self { port: listener.local_addr().expect("it listens").port(), is_cut: Arc::default(), streams: Arc::default() };
        let (is_cut, streams) = (Arc::clone(&wire.is_cut), Arc::clone(&wire.streams));
        std::thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let far = TcpStream::connect(("127.0.0.1", server));
                let (false, Ok(far)) = (is_cut.load(Ordering::SeqCst), far) else { continue };
                for (from, to) in [(&near, &far), (&far, &near)] {
                    let (mut from, mut to) = (from.try_clone().expect("a stream"), to.try_clone().expect("a stream"));
                    std::thread::spawn(move || {
                        let mut bytes = [0; 1 << 14];
                        while let Ok(count @ 1..) = from.read(&mut bytes) {
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

    fn cut(&self) {
        self.is_cut.store(true, Ordering::SeqCst);
        for stream in self.streams.lock().expect("no panic").drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn mend(&self) {
        self.is_cut.store(false, Ordering::SeqCst);
    }
}

#[test]
fn a_connection_that_is_lost_for_a_while_only_delays_the_run() {
    for server in Server::each() {
        let mut estate = Estate::job();
        let wire = Wire::to(server.port());
        server.keep_state_by(&mut estate, wire.port);
        estate.write("job/wait", "");
        let applying = estate.spawn(&["apply", "--auto-approve"]);
        estate.await_text("job/log", "slow");
        wire.cut();
        estate.remove("job/wait");
        estate.await_text("job/log", "slow-end");
        estate.run(&["history"]).exit(1).says(&["state cannot be reached"]).lacks("hunter22");
        assert!(!estate.log().contains(&"fragile".to_owned()), "the next action began, and the store does not know of it");
        wire.mend();
        ended(applying, &["apply"]).exit(0).says(&["nothing new is begun until the store has the journal", "Apply complete."]);
        assert_eq!(estate.log().iter().filter(|line| *line == "slow").count(), 1);
        estate.good(&["plan", "--detailed-exitcode"]).says(&["No changes."]);
    }
}

#[test]
fn what_ended_while_the_store_was_away_is_delivered_by_resume() {
    for server in Server::each() {
        let mut estate = Estate::job();
        let wire = Wire::to(server.port());
        server.keep_state_by(&mut estate, wire.port);
        estate.env("WINDLASS_LEASE_TERM", "3s");
        estate.write("job/wait", "");
        let applying = estate.spawn(&["apply", "--auto-approve"]);
        estate.await_text("job/log", "slow");
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
        server.keep_state(&mut estate);
        estate.apply().exit(0);
        estate.set("version", "2.0.0");
        estate.env("WINDLASS_CRASH_AT", "apply.recorded:1");
        let killed = estate.run(&["apply", "--auto-approve"]);
        assert_eq!(killed.code, None, "it was to be killed: {}", killed.err);
        estate.remove(".windlass/runs");

        let mut other = elsewhere(&estate, SAMPLE, &server);
        other.set("version", "2.0.0");
        // The dead process's lease is known to be dead here, where kernel and namespace are the same.
        let mut ran = other.run(&["resume"]);
        for _ in 0..8 {
            let Some((_, rest)) =
                ran.err.replace(['\n', '│'], " ").split_once("--retry '").map(|(a, b)| (a.to_owned(), b.to_owned()))
            else {
                break;
            };
            let action = rest.split('\'').next().expect("an action").trim().to_owned();
            ran = other.run(&["resume", "--retry", &action]);
        }
        ran.exit(0).says(&["instances without a host are taken to be on this machine"]);
        assert_eq!(estate.read("app/current/VERSION"), "2.0.0");
        other.good(&["plan", "--detailed-exitcode"]).says(&["No changes."]);
        // What the first machine kept of files is put back from the store, by a third one.
        let mut third = elsewhere(&estate, SAMPLE, &server);
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
        server.keep_state(&mut estate);
        estate.apply().exit(0);
        let before = estate.tree("app");
        estate.set("version", "1.1.0");
        estate.apply().exit(0);
        estate.remove(".windlass");
        let mut other = elsewhere(&estate, SAMPLE, &server);
        other.set("version", "1.0.0");
        other.apply().exit(0);
        assert_eq!(estate.tree("app"), before);
    }
}

#[test]
fn a_person_confirms_on_another_machine() {
    for server in Server::each() {
        let mut estate = Estate::job();
        server.keep_state(&mut estate);
        estate.apply().exit(0);
        estate.set("version", "7.0.0");
        estate.apply().exit(5).says(&["Turn the key."]);
        estate.remove(".windlass");
        let mut other = elsewhere(&estate, JOB, &server);
        other.set("version", "7.0.0");
        other.good(&["confirm", "job.one@7.0.0:person", "--note", "turned"]).says(&["Go on with: windlass resume"]);
        let mut third = elsewhere(&estate, JOB, &server);
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
        estate
            .good(&["init", "--migrate-state", "--auto-approve"])
            .says(&["There is no local state", "Ready"].as_slice().split_at(1).1);
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

#[test]
fn nothing_secret_reaches_the_store() {
    if !wanted() {
        return;
    }
    let server = Server::Postgres(Postgres::start());
    let mut estate = Estate::job();
    server.keep_state(&mut estate);
    estate.set("secret", "hunter22-of-the-job");
    estate.write("job/version", "");
    estate.apply().exit(0);
    let Server::Postgres(postgres) = &server else { return };
    let dump = postgres.dump();
    assert!(dump.contains("output.log") && dump.contains("RunEnded") || dump.contains("run_ended"), "the run is there");
    let hex: String = "hunter22-of-the-job".bytes().map(|byte| format!("{byte:02x}")).collect();
    assert!(!dump.contains("hunter22-of-the-job") && !dump.contains(&hex), "a secret is in the store");
    await_until("nothing", || true);
    std::thread::sleep(Duration::ZERO);
}
