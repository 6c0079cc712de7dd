//! A simulated cluster with Pachyderm, and an estate of one instance on it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::estate::{Estate, Ran, await_until};
use crate::ports;

/// The example's configuration: every setting that a test wants to differ is a variable.
const MAIN: &str = r#"variable "home" {
  type = string
}
variable "version" {
  type    = string
  default = "1.8.6"
}
variable "on_failure" {
  type    = string
  default = "rollback"
}
variable "place" {
  type    = string
  default = "default"
}
variable "deploy" {
  type    = list(string)
  default = ["google", "pachyderm-data", "10", "--dynamic-etcd-nodes=1"]
}
variable "settings" {
  type    = any
  default = {}
}
variable "ports" {
  type = list(number)
}
environment "test" {
  on_failure = var.on_failure
}
locals {
  gcloud  = "gcloud compute disks delete $1 --quiet && gcloud compute disks create $1 --source-snapshot $2"
  no_copy = try(var.settings.no_copies, false)
}
instance "pachyderm" "main" {
  environment            = environment.test
  version                = var.version
  home                   = "${var.home}/pachyderm"
  kubeconfig             = "${var.home}/lab/kubeconfig"
  kubectl                = try(var.settings.kubectl, "${var.home}/lab/bin/kubectl")
  namespace              = var.place
  deploy                 = var.deploy
  port                   = var.ports[0]
  transfer_port          = var.ports[1]
  connect                = try(var.settings.connect, "port_forward")
  stuck_after            = try(var.settings.stuck_after, "50ms")
  ready_timeout          = try(var.settings.ready_timeout, "30s")
  extract                = try(var.settings.extract, true)
  loading_stopped        = try(var.settings.loading_stopped, true)
  migrate_from           = try(var.settings.migrate_from, null)
  command_environment    = { PATH = "${var.home}/lab/bin:/usr/local/bin:/usr/bin:/bin" }
  bucket_backup          = local.no_copy ? [] : ["gsutil", "-m", "rsync", "-r", "gs://pachyderm-data", "gs://pachyderm-backup"]
  bucket_backup_location = "gs://pachyderm-backup"
  volume_snapshot        = local.no_copy ? [] : ["gcloud", "compute", "disks", "snapshot", "{volume}", "--snapshot-names", "{name}"]
  volume_verify          = ["gcloud", "compute", "snapshots", "describe", "{name}"]
  volume_restore         = local.no_copy ? [] : ["sh", "-c", local.gcloud, "sh", "{volume}", "{name}"]
}
"#;

/// The cluster, and the configuration that declares what should be on it.
pub(in crate::platforms) struct Laboratory {
    /// The configuration's folder; `lab` in it is the simulator's.
    pub(in crate::platforms) estate: Estate,
}

impl Laboratory {
    /// A cluster with nothing on it, an instance of version 1.8.6 declared.
    pub(in crate::platforms) fn new() -> Self {
        let mut estate = Estate::empty();
        let home = estate.root.display().to_string();
        let made = simulate(&["new", &format!("{home}/lab")]);
        let sums: Value = serde_json::from_str(&made).expect("the simulator says what it made");
        let releases: String = sums["sha256"]
            .as_object()
            .expect("digests by version")
            .iter()
            .map(|(version, sum)| {
                format!(
                    "release \"pachyderm\" \"{version}\" {{\n  artifact = \"{home}/lab/kits/pachctl_{version}_linux_amd64.tar.gz\"\n  sha256   = {sum}\n}}\n"
                )
            })
            .collect();
        estate.write("main.hcl", format!("{MAIN}{releases}"));
        estate.set("home", &home);
        estate.set("ports", &format!("{:?}", ports::some(2)));
        estate.write("lab/switches/node_port", ports::one().to_string());
        let lab = Self { estate };
        lab.switch("pace", "0.02");
        lab
    }

    /// With this version applied, and data in it.
    pub(in crate::platforms) fn with(version: &str) -> Self {
        let mut lab = Self::new();
        lab.estate.set("version", version);
        lab.estate.apply().exit(0);
        lab.pachctl(&lab.words("create", "repo", &["images"]));
        lab.put("one.txt", "one");
        lab.put("two.txt", "two");
        lab.pachctl(&lab.words("create", "pipeline", &["edges"]));
        lab
    }

    /// Declares another version.
    pub(in crate::platforms) fn to(&mut self, version: &str) -> &mut Self {
        self.estate.set("version", version);
        self
    }

    /// Declares a deployment in a place of its own.
    pub(in crate::platforms) fn elsewhere(&mut self) -> &mut Self {
        self.estate.set("place", "pachyderm-new");
        self.estate.set("deploy", r#"["google", "pachyderm-data-new", "10", "--dynamic-etcd-nodes=1"]"#);
        self
    }

    /// Sets settings that are not variables of their own, as an object's text.
    pub(in crate::platforms) fn settings(&mut self, text: &str) -> &mut Self {
        self.estate.set("settings", text);
        self
    }

    pub(in crate::platforms) fn plan(&self) -> Ran {
        self.estate.run(&["plan"])
    }

    pub(in crate::platforms) fn apply(&self) -> Ran {
        self.estate.apply()
    }

    /// Turns a switch of the simulator on; `off` turns it off.
    pub(in crate::platforms) fn switch(&self, name: &str, value: &str) {
        simulate(&["switch", &self.estate.path("lab").display().to_string(), name, value]);
    }

    /// The program of that name as a person runs it on the host, connected as `connect.sh` says.
    fn person(&self, program: &str, args: &[&str], stdin: &str) -> (bool, String) {
        let script = "[ ! -e pachyderm/connect.sh ] || . pachyderm/connect.sh; PATH=$PWD/lab/bin:$PATH; exec \"$@\"";
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script, "sh", program]).args(args).current_dir(&self.estate.root);
        command
            .env("KUBECONFIG", self.estate.path("lab/kubeconfig"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("it can be run");
        std::io::Write::write_all(&mut child.stdin.take().expect("a pipe"), stdin.as_bytes()).expect("it reads");
        let output = child.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.success(), said)
    }

    /// Runs `pachctl`, and gives what it printed.
    #[track_caller]
    pub(in crate::platforms) fn pachctl(&self, args: &[&str]) -> String {
        let (good, said) = self.person("pachctl", args, "");
        assert!(good, "pachctl {args:?}: {said}");
        said
    }

    /// Runs `kubectl`, and gives what it printed.
    #[track_caller]
    pub(in crate::platforms) fn kubectl(&self, args: &[&str]) -> String {
        let (good, said) = self.person("kubectl", args, "");
        assert!(good, "kubectl {args:?}: {said}");
        said
    }

    /// A command's words as the version that is in use has them.
    fn words<'a>(&self, verb: &'a str, thing: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        let new = self.version_in_use().starts_with("1.9");
        let joined = if new {
            vec![verb, thing]
        } else {
            vec![JOINED.iter().find(|(a, b, _)| (*a, *b) == (verb, thing)).expect("a command").2]
        };
        joined.into_iter().chain(more.iter().copied()).collect()
    }

    fn version_in_use(&self) -> String {
        let link = std::fs::read_link(self.estate.path("pachyderm/current")).expect("pachctl is there");
        link.file_name().expect("a version").to_string_lossy().into_owned()
    }

    /// Puts a file into `images`.
    pub(in crate::platforms) fn put(&self, name: &str, content: &str) {
        let args = match self.version_in_use().starts_with("1.9") {
            true => vec!["put".to_owned(), "file".to_owned(), format!("images@master:/{name}"), "-f".to_owned(), "-".to_owned()],
            false => ["put-file", "images", "master", name, "-f", "-"].map(str::to_owned).to_vec(),
        };
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let (good, said) = self.person("pachctl", &args, content);
        assert!(good, "{said}");
    }

    /// What is in `images`: commits and the content of both files; and the pipelines with their states.
    pub(in crate::platforms) fn data(&self) -> Vec<String> {
        let new = self.version_in_use().starts_with("1.9");
        let file = |name: &str| match new {
            true => self.pachctl(&["get", "file", &format!("images@master:/{name}")]),
            false => self.pachctl(&["get-file", "images", "master", name]),
        };
        let files = [file("one.txt"), file("two.txt")];
        let lists = [self.pachctl(&self.words("list", "commit", &["images"])), self.pachctl(&self.words("list", "pipeline", &[]))];
        files.into_iter().chain(lists).collect()
    }

    /// The cluster's HTTP interface, for the real `kubectl`, as long as this runs.
    pub(in crate::platforms) fn api(&self) -> std::process::Child {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/platforms/pachyderm/simulate");
        let port = ports::one();
        let child =
            Command::new("python3").arg("-B").arg(program).arg("api").arg(self.estate.path("lab")).arg(port.to_string()).spawn();
        await_until("the cluster listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        child.expect("Python is there")
    }

    /// The node's port, on which the service `pachd` answers as long as this runs.
    pub(in crate::platforms) fn node(&self) -> std::process::Child {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/platforms/pachyderm/simulate");
        let port: u16 = self.estate.read("lab/switches/node_port").trim().parse().expect("a port");
        let child = Command::new("python3")
            .arg("-B")
            .arg(program)
            .arg("node")
            .arg(self.estate.path("lab"))
            .spawn()
            .expect("Python is there");
        await_until("the node listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        child
    }

    /// The commands that changed something, in their order.
    pub(in crate::platforms) fn commands(&self) -> Vec<String> {
        let log = self.estate.read("lab/commands.log");
        let words = |line: &str| serde_json::from_str::<Vec<String>>(line).expect("words").join(" ");
        log.lines().map(words).collect()
    }

    /// Forgets them.
    pub(in crate::platforms) fn forget_commands(&self) {
        self.estate.remove("lab/commands.log");
    }
}

const JOINED: [(&str, &str, &str); 4] = [
    ("create", "repo", "create-repo"),
    ("create", "pipeline", "create-pipeline"),
    ("list", "commit", "list-commit"),
    ("list", "pipeline", "list-pipeline"),
];

/// Runs the simulator's own command.
fn simulate(args: &[&str]) -> String {
    let program: PathBuf = [env!("CARGO_MANIFEST_DIR"), "testdata/platforms/pachyderm/simulate"].iter().collect();
    let output = Command::new("python3").arg("-B").arg(program).args(args).output().expect("Python is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
