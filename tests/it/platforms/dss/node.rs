//! A simulated DSS node with a configuration that declares it: kits, a data directory, processes on ports of their own.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::estate::{Estate, Ran};

/// The key of the public API that every node here knows.
pub(super) const KEY: &str = "key-of-the-tests-0123456789";
/// The version that nodes start from.
pub(super) const OLD: &str = "12.6.4";
/// The version that they are moved to.
pub(super) const NEW: &str = "13.4.1";

/// How many ports are a test's own from its node's base port on: ten for each node, as DSS asks, for the node, its clones and where
/// it is moved to.
pub(super) const PORTS: u16 = 80;

/// The folder of the simulator.
pub(super) fn simulator() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/platforms/dss")
}

/// Whether this is root, as whom DSS cannot be run.
pub(super) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A command as the user that DSS belongs to.
pub(super) fn as_service(program: impl AsRef<Path>) -> Command {
    if !is_root() {
        return Command::new(program.as_ref());
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"]).arg(program.as_ref());
    command
}

/// Runs a command that must succeed; gives what it printed.
#[track_caller]
pub(super) fn must(command: &mut Command) -> String {
    let output = command.output().expect("it can be run");
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?} ended with {}:\n{text}", output.status);
    text
}

/// That the release notes up to a version were read.
pub(super) fn read_for(version: &str) -> String {
    format!("acknowledgement \"dss.release_notes\" {{\n  version = \"{version}\"\n  by = \"tester\"\n  reason = \"read\"\n}}\n")
}

/// Data directories whose processes end with the value.
pub(super) struct Node {
    /// The configuration, and everything else beside it.
    pub(super) estate: Estate,
    /// Base port of the first node.
    pub(super) port: u16,
    digests: String,
}

impl Node {
    /// Kits of both versions, nothing installed.
    pub(super) fn bare() -> Self {
        Self::with_kits(&[])
    }

    /// The same, whose new kit is made with more arguments of `make-kits`.
    pub(super) fn with_kits(more: &[&str]) -> Self {
        let estate = Estate::empty();
        estate.write("providers/.keep", "");
        std::os::unix::fs::symlink(Path::new(env!("CARGO_MANIFEST_DIR")).join("providers/dss"), estate.path("providers/dss"))
            .expect("a link can be made");
        std::fs::create_dir(estate.path("opt")).expect("a folder can be made");
        if is_root() {
            must(Command::new("chown").arg("nobody:nogroup").arg(estate.path("opt")));
        }
        let make = simulator().join("make-kits");
        let mut said = must(Command::new(&make).arg(estate.path("kits")).arg(OLD));
        said.push_str(&must(Command::new(&make).args(more).arg(estate.path("kits")).arg(NEW)));
        let mut digests = String::new();
        for line in said.lines() {
            let (digest, name) = line.split_once("  ").expect("a digest and a name");
            let version = name.trim_start_matches("dataiku-dss-").trim_end_matches(".tar.gz");
            let _ = writeln!(digests, "release \"dss\" \"{version}\" {{\n  sha256 = \"{digest}\"\n}}");
        }
        Self { estate, port: crate::ports::row(PORTS), digests }
    }

    /// A node of the old version that runs, with projects in it.
    pub(super) fn running() -> Self {
        let node = Self::bare();
        node.unpack(OLD);
        node.install("data", "design", node.port);
        node.start("data");
        node
    }

    /// Unpacks a kit.
    pub(super) fn unpack(&self, version: &str) {
        let kit = self.estate.path("kits").join(format!("dataiku-dss-{version}.tar.gz"));
        must(as_service("tar").arg("-xzf").arg(kit).arg("-C").arg(self.estate.path("opt")));
    }

    /// Installs the old version into a data directory below `opt`, and fills it.
    pub(super) fn install(&self, name: &str, kind: &str, port: u16) {
        let data = self.data(name);
        let installer = self.estate.path("opt").join(format!("dataiku-dss-{OLD}/installer.sh"));
        must(as_service(installer).arg("-d").arg(&data).args(["-p", &port.to_string(), "-t", kind]));
        must(as_service(simulator().join("populate")).args(["--key", KEY]).arg(&data));
    }

    /// Path of a data directory.
    pub(super) fn data(&self, name: &str) -> PathBuf {
        self.estate.path("opt").join(name)
    }

    /// A file of the data directory `data`; empty where there is none.
    pub(super) fn read(&self, path: &str) -> String {
        self.estate.read(&format!("opt/data/{path}"))
    }

    /// Starts the node of a data directory, and waits until it answers: `dss start` only waits a while for that, as the product does.
    pub(super) fn start(&self, name: &str) {
        must(as_service(self.data(name).join("bin/dss")).arg("start"));
        let ini = self.estate.read(&format!("opt/{name}/install.ini"));
        let port = ini.lines().find_map(|line| line.strip_prefix("port = ")).and_then(|port| port.trim().parse().ok());
        let port = port.expect("install.ini names the base port");
        let mut last = String::new();
        for _ in 0..3000 {
            last = Self::ask_at(port, "/instance-info");
            if last.starts_with("HTTP/1.1 200 ") {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        panic!("the node does not answer: {last}\n{}", self.estate.read(&format!("opt/{name}/run/backend.log")));
    }

    /// Stops it.
    pub(super) fn stop(&self, name: &str) {
        must(as_service(self.data(name).join("bin/dss")).arg("stop"));
    }

    /// Runs `bin/dssadmin` of the data directory `data`.
    pub(super) fn dssadmin(&self, args: &[&str]) {
        must(as_service(self.data("data").join("bin/dssadmin")).args(args));
    }

    /// Whether the node of a data directory runs.
    pub(super) fn runs(&self, name: &str) -> bool {
        Command::new(self.data(name).join("bin/dss")).arg("status").output().is_ok_and(|output| output.status.success())
    }

    /// Turns a switch of the simulator on.
    pub(super) fn switch(&self, name: &str, content: &str) {
        self.estate.write(&format!("opt/data.switches/{name}"), content);
        let switches = self.estate.path("opt/data.switches");
        must(Command::new("chmod").arg("-R").arg("a+rwX").arg(switches));
    }

    /// Turns it off.
    pub(super) fn switch_off(&self, name: &str) {
        self.estate.remove(&format!("opt/data.switches/{name}"));
    }

    /// Declares the node at a version, with these lines in its block and this text behind it.
    pub(super) fn declare(&self, version: &str, lines: &str, more: &str) {
        let Self { estate, port, digests } = self;
        let run_as = if is_root() { "run_as = \"nobody\"" } else { "" };
        let root = estate.root.display();
        estate.write(
            "main.hcl",
            format!(
                "environment \"test\" {{}}\n{digests}\n{}instance \"dss\" \"node\" {{\n  environment = environment.test\n  version = \"{version}\"\n  \
                 data_dir = \"{root}/opt/data\"\n  kits_dir = \"{root}/kits\"\n  port = {port}\n  api_key = \"{KEY}\"\n  start_timeout = \"60s\"\n  {run_as}\n{lines}\n}}\n{more}\n",
                read_for(version)
            ),
        );
    }

    /// Makes a start that does not succeed fail sooner.
    pub(super) fn impatient(&self) {
        let main = self.estate.read("main.hcl").replace("start_timeout = \"60s\"", "start_timeout = \"5s\"");
        self.estate.write("main.hcl", main);
    }

    /// Declares it with a backup.
    pub(super) fn declare_backed_up(&self, version: &str, lines: &str, more: &str) {
        let root = self.estate.root.display();
        self.declare(version, &format!("{lines}\n  backup {{\n    repository = \"{root}/backups\"\n  }}"), more);
    }

    /// What the node on a port answers to a path of the public API: head and body.
    pub(super) fn ask_at(port: u16, path: &str) -> String {
        let mut text = String::new();
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return text };
        let _ = write!(
            stream,
            "GET /dip/publicapi{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nConnection: close\r\n\r\n"
        );
        let _ = stream.read_to_string(&mut text);
        text
    }

    /// What the node answers.
    pub(super) fn ask(&self, path: &str) -> String {
        Self::ask_at(self.port, path)
    }

    /// The version that the node on a port says it is of.
    pub(super) fn serves_at(port: u16) -> Option<String> {
        let answer = Self::ask_at(port, "/instance-info");
        answer.lines().find_map(|line| line.strip_prefix("DSS-Version: ")).map(|version| version.trim().to_owned())
    }

    /// The version that the node says it is of.
    pub(super) fn serves(&self) -> Option<String> {
        Self::serves_at(self.port)
    }

    /// Applies without asking.
    pub(super) fn apply(&self) -> Ran {
        self.estate.apply()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        for entry in std::fs::read_dir(self.estate.path("opt")).into_iter().flatten().flatten() {
            let dss = entry.path().join("bin/dss");
            if dss.exists() {
                let _ = as_service(dss).arg("stop").output();
            }
        }
    }
}
