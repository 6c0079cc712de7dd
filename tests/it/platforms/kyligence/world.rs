//! A world of the simulator with an estate that declares it: nodes, kits, failure switches, and what the REST API says.

use std::process::{Command, Output};

use crate::estate::{Estate, Ran};

/// The password of the simulator's administrator: the vendor's default.
pub(super) const PASSWORD: &str = "KYLIN";

/// The simulator, with the estate `test` that declares its nodes as one instance.
pub(super) struct World {
    /// The folder of configuration; the simulator is in its `w`.
    pub(super) estate: Estate,
    /// The port of each node.
    pub(super) ports: Vec<u16>,
    releases: String,
}

impl World {
    /// One started node of that version, adopted; kits of the others are at hand.
    pub(super) fn of(version: &str, others: &[&str]) -> Self {
        Self::with_nodes(version, others, &["a"], "")
    }

    /// Started nodes of that version, adopted, with more settings.
    pub(super) fn with_nodes(version: &str, others: &[&str], nodes: &[&str], settings: &str) -> Self {
        let ports = crate::ports::some(u16::try_from(nodes.len()).expect("a few nodes"));
        let mut world = Self { estate: Estate::empty(), ports, releases: String::new() };
        let named: Vec<String> = nodes.iter().zip(&world.ports).map(|(name, port)| format!("{name}={port}")).collect();
        let mut create = vec!["create".to_owned(), world.path("w"), version.to_owned()];
        create.extend(named);
        world.simulator(&create.iter().map(String::as_str).collect::<Vec<_>>());
        for other in std::iter::once(&version).chain(others) {
            let digest = world.simulator(&["kit", other, &world.path("kits")]);
            world.releases += &format!(
                "release \"kyligence\" \"{other}\" {{\n  artifact = \"{}/Kyligence-Enterprise-{other}.tar.gz\"\n  sha256   = \"{}\"\n}}\n",
                world.path("kits"),
                digest.trim()
            );
        }
        for node in nodes {
            world.node(node, "start");
        }
        let further: String = (nodes.iter().zip(&world.ports).skip(1))
            .map(|(name, port)| {
                let folder = world.path(&format!("w/{name}"));
                format!("    {name} = {{ home = \"{folder}/kyligence\", url = \"http://127.0.0.1:{port}\", java_home = \"{folder}/jdk\" }}\n")
            })
            .collect();
        world.declare(&format!("  nodes = {{\n{further}  }}\n{settings}"));
        world.estate.set("version", version);
        world.answers();
        world.estate.apply().exit(0).says(&["1 to adopt"]);
        world
    }

    /// Writes the configuration, with these lines among the instance's settings.
    pub(super) fn declare(&self, settings: &str) {
        let home = self.path("w/a");
        let port = self.ports[0];
        let verify = if settings.contains("verify") { "" } else { VERIFY };
        self.estate.write(
            "main.hcl",
            format!(
                r#"variable "version" {{
  type = string
}}
environment "test" {{}}
{}instance "kyligence" "ke" {{
  environment = environment.test
  version     = var.version
  home        = "{home}/kyligence"
  url         = "http://127.0.0.1:{port}"
  java_home   = "{home}/jdk"
  hadoop_bin  = "{}"
  password    = "{PASSWORD}"
{verify}{settings}}}
"#,
                self.releases,
                self.path("w/hadoop/bin"),
            ),
        );
    }

    /// Appends to the configuration.
    pub(super) fn append(&self, text: &str) {
        let main = self.estate.read("main.hcl");
        self.estate.write("main.hcl", main + text);
    }

    /// Declares another version.
    pub(super) fn want(&mut self, version: &str) {
        self.estate.set("version", version);
    }

    /// A path of the folder, as text.
    pub(super) fn path(&self, path: &str) -> String {
        self.estate.path(path).display().to_string()
    }

    /// Runs the simulator's `world.py`; gives what it printed.
    pub(super) fn simulator(&self, args: &[&str]) -> String {
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/platforms/kyligence/world.py");
        said(&Command::new(program).args(args).output().expect("python3 is there"))
    }

    /// Switches a failure on.
    pub(super) fn on(&self, switch: &str, value: &str) {
        self.simulator(&["on", &self.path("w"), switch, value]);
    }

    /// Switches it off.
    pub(super) fn off(&self, switch: &str) {
        self.simulator(&["off", &self.path("w"), switch]);
    }

    /// Runs a node's `kylin.sh`.
    pub(super) fn node(&self, node: &str, verb: &str) -> String {
        let home = self.path(&format!("w/{node}"));
        let path = format!("{}:{}", self.path("w/hadoop/bin"), std::env::var("PATH").unwrap_or_default());
        said(
            &Command::new(format!("{home}/kyligence/bin/kylin.sh"))
                .arg(verb)
                .env("PATH", path)
                .env("JAVA_HOME", format!("{home}/jdk"))
                .output()
                .expect("kylin.sh can be run"),
        )
    }

    /// Runs `hdfs` of the simulator.
    pub(super) fn hdfs(&self, args: &[&str]) -> String {
        said(&Command::new(self.path("w/hadoop/bin/hdfs")).args(args).output().expect("hdfs can be run"))
    }

    /// The version that a node's home is of.
    pub(super) fn version(&self, node: &str) -> String {
        self.estate.read(&format!("w/{node}/kyligence/VERSION")).trim().trim_start_matches(|c: char| !c.is_ascii_digit()).to_owned()
    }

    /// Waits until every node answers.
    pub(super) fn answers(&self) {
        for port in &self.ports {
            let address = format!("127.0.0.1:{port}");
            crate::estate::await_until("the node listens", || std::net::TcpStream::connect(&address).is_ok());
        }
    }

    /// The data of an answer of the first node's REST API.
    pub(super) fn ask(&self, path: &str) -> serde_json::Value {
        let script = r"
import base64, sys, urllib.request
request = urllib.request.Request(sys.argv[1], headers={'Accept': 'application/vnd.apache.kylin-v2+json',
    'Authorization': 'Basic ' + base64.b64encode(b'ADMIN:KYLIN').decode(), 'Content-Type': 'application/json'},
    data=sys.argv[2].encode() if len(sys.argv) > 2 else None)
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
print(opener.open(request, timeout=20).read().decode())";
        let mut args = vec!["-c", script];
        let url = format!("http://127.0.0.1:{}/kylin/api{path}", self.ports[0]);
        args.push(&url);
        if path == "/query" {
            args.push(r#"{"sql": "select count(*) from kylin_sales", "project": "learn_kylin"}"#);
        }
        let said = said(&Command::new("python3").args(args).output().expect("python3 is there"));
        serde_json::from_str::<serde_json::Value>(&said).expect("JSON")["data"].take()
    }

    /// How many rows a query counts, or why it fails.
    pub(super) fn count(&self) -> String {
        let data = self.ask("/query");
        data["results"][0][0].as_str().or(data["exceptionMessage"].as_str()).unwrap_or("nothing").to_owned()
    }

    /// The metadata, as the simulator's own backup would write it, and the cube data.
    pub(super) fn state(&self) -> (String, std::collections::BTreeMap<String, String>) {
        let script = "import sqlite3, sys\nfor row in sqlite3.connect(sys.argv[1]).execute('SELECT * FROM metadata ORDER BY path'): print(*row)";
        let database = self.path("w/metadata.db");
        let metadata = said(&Command::new("python3").args(["-c", script, &database]).output().expect("python3 is there"));
        (metadata, self.estate.tree("w/hdfs/kylin"))
    }

    /// A plan that is refused.
    pub(super) fn refused(&self) -> Ran {
        self.estate.run(&["plan"]).exit(3)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/platforms/kyligence/world.py");
        let _ = Command::new(program).args(["stop", &self.path("w")]).output();
    }
}

/// A query and a segment of a day after the sample's.
const VERIFY: &str = r#"  verify = {
    project = "learn_kylin"
    sql     = "select count(*) from kylin_sales"
    cube    = "kylin_sales_cube"
    start   = 1356998400000
    end     = 1357084800000
  }
"#;

fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}: {text}{}", output.status, String::from_utf8_lossy(&output.stderr));
    text
}
