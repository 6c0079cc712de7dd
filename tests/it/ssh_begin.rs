//! A connection over SSH that is lost before, while and after a command begins: it begins once, or never, whatever is still on its way.

use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;

use crate::estate::{Estate, JOB, await_until, signal};
use crate::sshd::Servers;

/// The job on a host of its own.
struct Far {
    servers: Servers,
    estate: Estate,
    /// While it is there, the first who wants to run the held program there waits.
    hold: PathBuf,
    /// That somebody waits.
    waits: PathBuf,
}

impl Far {
    /// `None` where there are no servers. `held`: the program there that is held up the first time that it is asked for.
    fn start(held: &str) -> Option<Self> {
        let servers = Servers::start(1)?;
        let estate = Estate::job();
        let main = JOB.replace("environment = environment.test", "environment = environment.test\n  host        = host.far");
        let server = servers.at(0);
        let host = format!(
            "host \"far\" {{\n  ssh {{\n    address = \"{}\"\n    port = {}\n    identity_file = \"{}\"\n    known_hosts_file = \"known_hosts\"\n    patience = \"1s\"\n  }}\n}}\n",
            server.address,
            server.port,
            servers.identity().display()
        );
        estate.write("main.hcl", main);
        estate.write("hosts.hcl", host);
        estate.write("known_hosts", servers.known_hosts());
        let (hold, waits) = (estate.path("hold"), estate.path("waits"));
        estate.write("hold", "");
        let wait = format!("mkdir {} 2>/dev/null && while [ -e {} ]; do sleep 0.02; done", waits.display(), hold.display());
        servers.shim(held, &wait);
        Some(Self { servers, estate, hold, waits })
    }

    /// Lets go who was held, and gives it time to do what it must not.
    fn let_go(&self) {
        std::fs::remove_file(&self.hold).expect("it is there");
        std::thread::sleep(Duration::from_millis(700));
    }

    fn cut(&mut self) {
        self.servers.drop(0);
    }

    fn mend(&mut self) {
        self.servers.restart(0);
    }
}

const ALL: [&str; 4] = ["first", "slow", "slow-end", "fragile"];

#[test]
fn a_beginning_that_the_connection_did_not_outlive_is_overtaken_by_resume_and_comes_too_late() {
    // The starter of the supervisor, and who asks for leave to begin.
    for held in ["setsid", "flock"] {
        let Some(mut far) = Far::start(held) else { return };
        let mut applying = far.estate.spawn(&["apply", "--auto-approve"]);
        await_until("it is on its way", || far.waits.exists());
        far.cut();
        assert_eq!(applying.wait().expect("it ends").code(), Some(5), "held: nobody knows, and nothing is rolled back");
        assert_eq!(far.estate.log(), Vec::<String>::new());
        // Still away.
        far.estate.run(&["resume"]).exit(5);
        far.mend();
        far.estate.good(&["resume"]).says(&["Apply complete."]);
        assert_eq!(far.estate.log(), ALL);
        far.let_go();
        assert_eq!(far.estate.log(), ALL, "the first beginning came late, and began all the same ({held})");
        far.estate.good(&["plan", "--detailed-exitcode"]).says(&["No changes."]);
    }
}

#[test]
fn a_command_that_is_still_on_its_way_when_its_run_is_rolled_back_never_begins() {
    for held in ["setsid", "flock"] {
        let Some(mut far) = Far::start(held) else { return };
        let mut applying = far.estate.spawn(&["apply", "--auto-approve"]);
        await_until("it is on its way", || far.waits.exists());
        signal(&applying, Signal::KILL);
        applying.wait().expect("it ends");
        far.cut();
        far.mend();
        far.estate.good(&["rollback", "--auto-approve"]).says(&["Rolled back on request"]);
        far.let_go();
        // Neither it nor its undo.
        assert_eq!(far.estate.log(), Vec::<String>::new(), "{held}");
        far.estate.apply().exit(0);
        assert_eq!(far.estate.log(), ALL);
    }
}

#[test]
fn a_connection_that_is_lost_after_the_command_began_takes_it_as_it_ends() {
    let Some(mut far) = Far::start("no-such-program") else { return };
    far.estate.write("job/wait", "");
    let mut applying = far.estate.spawn(&["apply", "--auto-approve"]);
    far.estate.await_text("job/log", "slow");
    far.cut();
    assert_eq!(applying.wait().expect("it ends").code(), Some(5));
    far.estate.remove("job/wait");
    far.estate.await_text("job/log", "slow-end");
    far.mend();
    far.estate.good(&["resume"]).says(&["Apply complete."]);
    assert_eq!(far.estate.log(), ALL);
}
