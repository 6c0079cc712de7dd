//! Another machine of the cluster, reached over SSH: a real sshd on this one, whose sessions find another Java.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::world::World;
use crate::estate::await_until;

/// An sshd as long as this lives.
struct Sshd(Child);

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Sshd {
    /// Starts one whose sessions look for programs in `w/second` first; commands of the estate know its key. `None` where there is none.
    fn start(world: &mut World, port: u16) -> Option<Self> {
        let sshd = ["/usr/sbin/sshd", "/usr/local/sbin/sshd"].into_iter().find(|path| Path::new(path).exists());
        let Some(sshd) = sshd else {
            eprintln!("skipped: there is no sshd on this machine");
            return None;
        };
        if rustix::process::geteuid().is_root() {
            std::fs::create_dir_all("/run/sshd").expect("sshd's folder can be made");
        }
        world.estate.write("ssh/.keep", "");
        for key in ["host", "user"] {
            let path = world.path(&format!("ssh/{key}"));
            let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", &path]).status();
            assert!(made.expect("ssh-keygen is there").success());
        }
        let known = format!("[127.0.0.1]:{port} {}", world.estate.read("ssh/host.pub"));
        world.estate.write("ssh/known", known);
        let path = |name: &str| world.path(name);
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\nPidFile none\nPermitRootLogin yes\nSetEnv PATH={}:/usr/bin:/bin\n",
            path("ssh/host"),
            path("ssh/user.pub"),
            path("w/second"),
        );
        world.estate.write("ssh/config", config);
        // The host's key is known to nobody else: the client is told where it stands.
        let known = path("ssh/known");
        world.estate.write(
            "ssh/bin/ssh",
            format!("#!/bin/sh\nexec /usr/bin/ssh -o UserKnownHostsFile={known} -o IdentitiesOnly=yes \"$@\"\n"),
        );
        executable(&world.estate.path("ssh/bin/ssh"));
        let search = format!("{}:{}", path("ssh/bin"), std::env::var("PATH").unwrap_or_default());
        let child = Command::new(sshd).args(["-D", "-f", &path("ssh/config")]).stderr(Stdio::null()).spawn().expect("sshd runs");
        world.estate.env("PATH", &search);
        await_until("sshd listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        Some(Self(child))
    }
}

fn executable(path: &Path) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("its mode can be set");
}

/// The Java of the other machine.
fn java(world: &World, version: &str) {
    let says = format!("#!/bin/sh\nprintf 'java version \"{version}\"\\nJava HotSpot(TM) 64-Bit Server VM\\n' >&2\n");
    world.estate.write("w/second/java", says);
    executable(&world.estate.path("w/second/java"));
}

#[test]
fn k03_java_is_asked_for_on_the_other_hosts_of_the_cluster_over_ssh() {
    let mut world = World::of("3.4.1", &["3.5.2"]);
    let port = crate::ports::one();
    let Some(sshd) = Sshd::start(&mut world, port) else { return };
    java(&world, "1.7.0_80");
    world.declare("  hadoop_hosts = [\"second\"]\n");
    let key = world.path("ssh/user");
    world.append(&format!(
        "host \"second\" {{\n  ssh {{\n    address       = \"127.0.0.1\"\n    port          = {port}\n    identity_file = \"{key}\"\n  }}\n}}\n"
    ));
    world.want("3.5.2");
    world.refused().says(&["JDK 8 (64 bit) or above is required on every node; host second has:", "1.7.0_80"]);
    java(&world, "11.0.2");
    world.estate.good(&["plan"]).lacks("host second has");
    // A machine that cannot be reached is no machine with a good Java.
    drop(sshd);
    world.estate.run(&["plan"]).says(&["127.0.0.1"]);
}
