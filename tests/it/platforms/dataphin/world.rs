//! A Dataphin Manager and a data service of one test's own, and a configuration that upgrades what they manage.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::estate::{Estate, Ran, await_until};

/// The password of the Manager's user.
const PASSWORD: &str = "s3cret-of-the-manager";

/// The simulators, and the folder in which Windlass runs.
pub(crate) struct Dataphin {
    /// The folder of configuration.
    pub(crate) estate: Estate,
    manager: Child,
    service: Child,
    options: Vec<String>,
    /// What the configuration says beyond what it must, by name.
    settings: BTreeMap<String, String>,
    /// Versions that it has files for: how each is written.
    configurations: BTreeMap<String, String>,
    extra: String,
}

impl Dataphin {
    /// A Dataphin of this version.
    pub(crate) fn of(version: &str) -> Self {
        Self::with(version, &[])
    }

    /// A Dataphin of this version whose Manager has more options.
    pub(crate) fn with(version: &str, more: &[&str]) -> Self {
        let estate = Estate::empty();
        let mut options: Vec<String> = ["--version", version, "--delay", "0.01"].map(str::to_owned).into();
        options.extend(more.iter().map(|&option| option.to_owned()));
        let service = start(&estate, "dataphin_dataservice", &["--version".to_owned(), version.to_owned()]);
        let manager = start(&estate, "dataphin_manager", &options);
        let mut dataphin = Self {
            estate,
            manager,
            service,
            options,
            settings: BTreeMap::new(),
            configurations: BTreeMap::new(),
            extra: String::new(),
        };
        dataphin.set("watch", "\"100ms\"");
        dataphin.estate.set("password", PASSWORD);
        dataphin
    }

    /// Sets a setting to an expression.
    pub(crate) fn set(&mut self, name: &str, expression: &str) {
        self.settings.insert(name.to_owned(), expression.to_owned());
    }

    /// Takes a setting away.
    pub(crate) fn unset(&mut self, name: &str) {
        self.settings.remove(name);
    }

    /// Adds blocks to the configuration.
    pub(crate) fn add(&mut self, blocks: &str) {
        self.extra.push_str(blocks);
        self.extra.push('\n');
    }

    /// Gives a version its own configuration and a complete standard configuration file.
    pub(crate) fn offers(&mut self, version: &str) {
        let template = template(version);
        self.estate.write(&format!("files/{version}.yaml"), &template);
        self.estate.write(&format!("files/{version}-values.yaml"), values(&[]));
        let path = |name: &str| self.estate.path(&format!("files/{name}")).display().to_string();
        let entry = format!(
            "{{ version_configuration = {:?}, configuration_file = {:?} }}",
            path(&format!("{version}.yaml")),
            path(&format!("{version}-values.yaml"))
        );
        self.configurations.insert(version.to_owned(), entry);
    }

    /// What stands for a version in `configurations`.
    pub(crate) fn configure(&mut self, version: &str, entry: &str) {
        self.configurations.insert(version.to_owned(), entry.to_owned());
    }

    /// Writes the configuration that asks for a version.
    pub(crate) fn wants(&self, version: &str) {
        let manager = self.place("manager.json");
        let service = self.place("dataservice.json");
        let lines: String = self.settings.iter().map(|(name, value)| format!("  {name} = {value}\n")).collect();
        let configurations: String =
            self.configurations.iter().map(|(version, entry)| format!("    {version:?} = {entry}\n")).collect();
        let main = format!(
            r#"variable "password" {{
  type      = string
  sensitive = true
}}
environment "test" {{}}
instance "dataphin" "main" {{
  environment      = environment.test
  version          = "{version}"
  manager_url      = "{manager}"
  username         = "admin"
  password         = var.password
  folder           = "{folder}"
  data_service_url = "{service}/dataservice/v1/hello"
  announcement     = {{ estimated_completion = "2026-12-01 06:30", email = "ops@example.org", phone = "+33 1 23 45 67" }}
  configurations = {{
{configurations}  }}
{lines}}}
acknowledgement "dataphin.risk_declaration" {{
  instance = instance.dataphin.main
  version  = "{version}"
  by       = "lin"
  reason   = "the scope of impact is understood"
}}
{extra}"#,
            folder = self.estate.path("work").display(),
            extra = self.extra,
        );
        self.estate.write("main.hcl", main);
    }

    /// Plans the way to a version.
    pub(crate) fn plan(&self, version: &str) -> Ran {
        self.wants(version);
        self.estate.run(&["plan"])
    }

    /// Applies it.
    pub(crate) fn apply(&self, version: &str) -> Ran {
        self.wants(version);
        self.estate.apply()
    }

    /// Sets the switches that make things go wrong.
    pub(crate) fn faults(&self, faults: Value) {
        self.estate.write("sim/faults.part", faults.to_string());
        std::fs::rename(self.estate.path("sim/faults.part"), self.estate.path("sim/faults.json")).expect("it can be renamed");
    }

    /// What the Manager keeps.
    pub(crate) fn state(&self) -> Value {
        serde_json::from_str(&self.estate.read("sim/state.json")).expect("the Manager's state is JSON")
    }

    /// The newest upgrade of the Manager's history.
    pub(crate) fn upgrade(&self) -> Value {
        let state = self.state();
        let newest =
            state["order"].as_array().and_then(|order| order.last()?.as_str().map(str::to_owned)).expect("there is an upgrade");
        state["upgrades"][newest].clone()
    }

    /// The requests that changed something, without the upgrade's number and the session.
    pub(crate) fn deeds(&self) -> Vec<String> {
        let log = self.estate.read("sim/requests.log");
        let lines = log.lines().filter(|line| !line.starts_with("GET ") && !line.contains("/login") && !line.contains("/validate"));
        let paths = lines.filter_map(|line| line.split(' ').nth(1));
        paths.map(|path| path.replace("/api/upgrades/1/", "").replace("/api/", "")).collect()
    }

    /// Where in the requests this one is.
    #[track_caller]
    pub(crate) fn when(&self, deed: &str) -> usize {
        let deeds = self.deeds();
        deeds.iter().position(|made| made == deed).unwrap_or_else(|| panic!("no `{deed}` in {deeds:#?}"))
    }

    /// Kills the Manager and starts it again, where it was.
    pub(crate) fn restart_manager(&mut self) {
        let url = self.place("manager.json");
        let port = url.split(['/', ':']).find(|part| part.parse::<u16>().is_ok()).expect("a URL with a port");
        self.options.extend(["--port".to_owned(), port.to_owned()]);
        let _ = self.manager.kill();
        let _ = self.manager.wait();
        self.estate.remove("sim/manager.json");
        self.manager = start(&self.estate, "dataphin_manager", &self.options);
    }

    /// What somebody else sends to the Manager, by hand.
    pub(crate) fn by_hand(&self, method: &str, path: &str, body: &str) {
        let script = r#"
import json, os, sys, urllib.request
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
base, method, path, body = sys.argv[1:5]
def send(method, path, body, token=""):
    request = urllib.request.Request(base + path, data=body.encode(), method=method, headers={"Authorization": "Bearer " + token})
    return json.load(opener.open(request))["data"]
token = send("POST", "/login", json.dumps({"username": "admin", "password": os.environ["PASSWORD"]}))["token"]
send(method, path, body, token)
"#;
        let status = Command::new("python3")
            .args(["-c", script, &self.place("manager.json"), method, path, body])
            .env("PASSWORD", PASSWORD)
            .status();
        assert!(status.expect("python3 can be run").success(), "{method} {path} by hand");
    }

    /// Packs a non-standard configuration file.
    pub(crate) fn zip(&self, name: &str, members: &[(&str, &str)]) -> PathBuf {
        let path = self.estate.path(&format!("files/{name}"));
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder can be made");
        let script = "import json, sys, zipfile\nwith zipfile.ZipFile(sys.argv[1], 'w') as z:\n for n, t in json.load(sys.stdin): z.writestr(n, t)";
        let mut child = Command::new("python3").args(["-c", script]).arg(&path).stdin(Stdio::piped()).spawn().expect("python3");
        let json = serde_json::to_vec(members).expect("it is JSON");
        child.stdin.take().expect("stdin").write_all(&json).expect("it can be written");
        assert!(child.wait().expect("it ends").success());
        path
    }

    /// A URL that a simulator listens at.
    fn place(&self, file: &str) -> String {
        let place: Value = serde_json::from_str(&self.estate.read(&format!("sim/{file}"))).expect("it says where it is");
        place["url"].as_str().expect("a URL").to_owned()
    }
}

impl Drop for Dataphin {
    fn drop(&mut self) {
        for child in [&mut self.manager, &mut self.service] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn start(estate: &Estate, program: &str, options: &[String]) -> Child {
    let place = if program == "dataphin_manager" { "sim/manager.json" } else { "sim/dataservice.json" };
    let child = Command::new("python3")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/platforms/dataphin").join(program))
        .arg("--home")
        .arg(estate.path("sim"))
        .args(options)
        .env("DATAPHIN_PASSWORD", PASSWORD)
        .stdin(Stdio::null())
        .spawn()
        .expect("python3 can be run");
    await_until(&format!("{program} listens"), || estate.path(place).exists());
    child
}

/// A version's own configuration.
pub(crate) fn template(version: &str) -> String {
    format!(
        "version: {version}\nproduct:\n  dataphin:\n    domain: dataphin.example.org\n    storage_class: standard\n    oltp:\n      \
         replicas: 2\n      memory: 4Gi\n    metadata:\n      host: 127.0.0.1\n      port: 5432\nrequired:\n  \
         - product.dataphin.domain\n  - product.dataphin.storage_class\n  - product.dataphin.oltp.replicas\n"
    )
}

/// A configuration file without these lines.
pub(crate) fn values(without: &[&str]) -> String {
    let all = "product:\n  dataphin:\n    domain: dataphin.example.org\n    storage_class: standard\n    oltp:\n      replicas: 2\n      \
               memory: 4Gi\n    scheduler:\n      slots: 200\n    metadata:\n      host: 127.0.0.1\n      port: 5432\n";
    all.lines().filter(|line| !without.iter().any(|word| line.contains(word))).map(|line| format!("{line}\n")).collect()
}
