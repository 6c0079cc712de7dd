//! A folder of configuration to run the real program in: a cleared environment, fixed names, and what it said, to be asserted on.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

/// The secret that estates are given.
pub(crate) const SECRET: &str = "s3cr3t-token-of-the-tests";

/// One instance of the sample product, of which the version, the greeting and the root are variables.
pub(crate) const SAMPLE: &str = r#"variable "home" {
  type = string
}
variable "version" {
  type    = string
  default = "1.0.0"
}
variable "greeting" {
  type    = string
  default = "hello"
}
variable "token" {
  type      = string
  sensitive = true
}
environment "test" {}
instance "sample" "one" {
  environment = environment.test
  version     = var.version
  root        = "${var.home}/app"
  store       = "${var.home}/store"
  greeting    = var.greeting
  token       = var.token
}
"#;

/// One instance of a product of commands, which do what files in its folder tell them: `wait` makes `slow` wait, `broken` makes
/// `fragile` fail. Every command writes its name into `log`, so that what ran twice can be seen.
pub(crate) const JOB: &str = r#"variable "home" {
  type = string
}
variable "version" {
  type    = string
  default = "1.0.0"
}
variable "on_failure" {
  type    = string
  default = "rollback"
}
variable "secret" {
  type      = string
  default   = "nothing"
  sensitive = true
}
environment "test" {
  on_failure = var.on_failure
}
instance "job" "one" {
  environment = environment.test
  version     = var.version
  dir         = "${var.home}/job"
  secret      = var.secret
}
"#;

/// The provider of [`JOB`].
pub(crate) const JOB_PROVIDER: &str = r#"provider "job" {
  version = "1.0.0"
  title   = "Job"
}
setting "dir" {
  type     = string
  required = true
}
setting "secret" {
  type      = string
  sensitive = true
  default   = "nothing"
}
fact "version" {
  file {
    path     = "${self.dir}/version"
    required = false
  }
  value = result.exists ? trimspace(result.content) : null
}
route "install" {
  movement = "install"
  strategy = "move"
}
route "upgrade" {
  from     = "*"
  strategy = "move"
}
route "by_hand" {
  from     = "*"
  to       = "7.0.0"
  strategy = "by_hand"
}
strategy "move" {
  step "first" {
    exec {
      command   = ["sh", "-c", "echo first >> log; echo the secret is $SECRET; echo and on stderr $SECRET >&2"]
      secrets   = { SECRET = self.secret }
      directory = self.dir
    }
    undo {
      exec {
        command   = ["sh", "-c", "echo undo-first >> log"]
        directory = self.dir
      }
    }
  }
  step "slow" {
    exec {
      command   = ["sh", "-c", "echo slow >> log; while [ -e wait ]; do sleep 0.02; done; echo slow-end >> log"]
      directory = self.dir
    }
    undo {
      exec {
        command   = ["sh", "-c", "echo undo-slow >> log"]
        directory = self.dir
      }
    }
  }
  step "fragile" {
    exec {
      command   = ["sh", "-c", "echo fragile >> log; if [ -e broken ]; then echo it is broken >&2; exit 3; fi"]
      directory = self.dir
    }
    undo {
      exec {
        command   = ["sh", "-c", "echo undo-fragile >> log"]
        directory = self.dir
      }
    }
  }
  step "finish" {
    file {
      action  = "write"
      path    = "${self.dir}/version"
      content = to.text
    }
    undo {
      file {
        action = "restore"
        saved  = step.finish.result.saved
      }
    }
    repeatable = true
  }
}
strategy "by_hand" {
  step "person" {
    manual {
      instructions = "Turn the key."
    }
    harmless = true
  }
  step "finish" {
    file {
      action  = "write"
      path    = "${self.dir}/version"
      content = to.text
    }
    undo {
      file {
        action = "restore"
        saved  = step.finish.result.saved
      }
    }
    repeatable = true
  }
}
"#;

/// A folder of configuration, gone with the value.
pub(crate) struct Estate {
    /// The folder.
    pub(crate) root: PathBuf,
    variables: BTreeMap<String, String>,
    _guard: tempfile::TempDir,
}

impl Estate {
    /// An empty folder.
    pub(crate) fn empty() -> Self {
        let guard = tempfile::Builder::new().prefix("windlass-it-").tempdir().expect("a folder can be made");
        let root = guard.path().canonicalize().expect("it is there");
        // Another user may have to look into it.
        std::fs::set_permissions(&root, std::fs::Permissions::from_mode(0o755)).expect("its mode can be set");
        Self { root, variables: BTreeMap::new(), _guard: guard }
    }

    /// With this configuration, and the sample provider and its releases at hand.
    pub(crate) fn with(main: &str) -> Self {
        let estate = Self::empty();
        estate.furnish();
        estate.write("main.hcl", main);
        estate
    }

    /// With [`SAMPLE`].
    pub(crate) fn sample() -> Self {
        let mut estate = Self::with(SAMPLE);
        estate.set("home", &estate.root.display().to_string());
        estate.set("token", SECRET);
        estate
    }

    /// With [`JOB`].
    pub(crate) fn job() -> Self {
        let mut estate = Self::empty();
        estate.write("main.hcl", JOB);
        estate.write("providers/job/provider.hcl", JOB_PROVIDER);
        estate.write("job/log", "");
        estate.set("home", &estate.root.display().to_string());
        estate
    }

    /// Puts the sample provider and its releases into the folder.
    pub(crate) fn furnish(&self) {
        let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/providers/sample");
        for entry in std::fs::read_dir(sample).expect("the sample provider is there") {
            let path = entry.expect("it can be listed").path();
            let name = path.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
            self.write(&format!("providers/sample/{name}"), std::fs::read_to_string(&path).expect("a text"));
        }
        for version in ["1.0.0", "1.1.0", "2.0.0", "2.1.0-rc1"] {
            self.write(&format!("store/{version}/VERSION"), version);
        }
    }

    /// Sets a variable of the root module for the commands that follow.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.variables.insert(format!("WINDLASS_VAR_{name}"), value.to_owned());
    }

    /// Sets a variable of the environment for the commands that follow.
    pub(crate) fn env(&mut self, name: &str, value: &str) {
        self.variables.insert(name.to_owned(), value.to_owned());
    }

    /// The path of something in the folder.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// Writes a file, and the folders above it.
    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.root.join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder can be made");
        std::fs::write(path, content).expect("a file can be written");
    }

    /// A file's text; empty where there is none.
    pub(crate) fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.root.join(path)).unwrap_or_default()
    }

    /// Removes a file, if it is there.
    pub(crate) fn remove(&self, path: &str) {
        let _ = std::fs::remove_file(self.root.join(path));
    }

    /// The program in this folder, with nothing of the tester's environment but the path.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_windlass"));
        command.args(args);
        self.furnish_command(&mut command);
        command
    }

    /// Gives a command that ends in the program what [`Self::command`] gives.
    pub(crate) fn furnish_command(&self, command: &mut Command) {
        command.current_dir(&self.root).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", &self.root).env("USER", "tester").env("NO_COLOR", "1").env("LANG", "C.UTF-8").envs(&self.variables);
        command.stdin(Stdio::null());
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        Ran::of(args, &self.command(args).output().expect("windlass can be run"))
    }

    /// Runs it, and expects success.
    pub(crate) fn good(&self, args: &[&str]) -> Ran {
        self.run(args).exit(0)
    }

    /// Applies without asking.
    pub(crate) fn apply(&self) -> Ran {
        self.run(&["apply", "--auto-approve"])
    }

    /// Starts the program.
    pub(crate) fn spawn(&self, args: &[&str]) -> Child {
        self.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("windlass can be started")
    }

    /// Waits until a file holds a text.
    pub(crate) fn await_text(&self, path: &str, text: &str) {
        await_until(&format!("{path} holds {text}"), || self.read(path).contains(text));
    }

    /// The lines that the job's commands left.
    pub(crate) fn log(&self) -> Vec<String> {
        self.read("job/log").lines().map(str::to_owned).collect()
    }

    /// Every file below a folder: path to mode and content, links to what they lead to.
    pub(crate) fn tree(&self, path: &str) -> BTreeMap<String, String> {
        let base = self.root.join(path);
        let mut found = BTreeMap::new();
        let mut open = vec![base.clone()];
        while let Some(folder) = open.pop() {
            for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
                let path = entry.path();
                let name = path.strip_prefix(&base).unwrap_or(&path).display().to_string();
                let metadata = std::fs::symlink_metadata(&path).expect("it is there");
                let what = if metadata.is_symlink() {
                    format!("leads to {}", std::fs::read_link(&path).expect("a link").display())
                } else if metadata.is_dir() {
                    open.push(path);
                    "a folder".to_owned()
                } else {
                    let content = String::from_utf8_lossy(&std::fs::read(&path).expect("a file")).into_owned();
                    format!("{:o} {content}", metadata.permissions().mode())
                };
                found.insert(name, what);
            }
        }
        found
    }

    /// The lockfile, which must be whole wherever it is.
    pub(crate) fn lockfile(&self) -> String {
        let text = self.read("windlass.test.lock");
        assert!(text.is_empty() != self.path("windlass.test.lock").exists(), "an empty lockfile was left");
        assert!(text.is_empty() || text.ends_with("# end\n"), "half a lockfile was left:\n{text}");
        text
    }
}

/// Waits until something is so; gives up after a minute.
pub(crate) fn await_until(what: &str, mut so: impl FnMut() -> bool) {
    for _ in 0..3000 {
        if so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("waited a minute, and it never came to be that {what}");
}

/// Sends a signal to a process that a test started.
pub(crate) fn signal(child: &Child, signal: rustix::process::Signal) {
    let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw).expect("a process id");
    rustix::process::kill_process(pid, signal).expect("the process is there");
}

/// What the program did.
pub(crate) struct Ran {
    /// How it was called.
    pub(crate) args: String,
    /// Its exit code; `None`: ended by a signal.
    pub(crate) code: Option<i32>,
    /// What it wrote to stdout.
    pub(crate) out: String,
    /// What it wrote to stderr.
    pub(crate) err: String,
}

impl Ran {
    /// From a command's output.
    pub(crate) fn of(args: &[&str], output: &Output) -> Self {
        Self {
            args: args.join(" "),
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Expects this exit code, and no panic.
    #[track_caller]
    pub(crate) fn exit(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "`windlass {}` ended otherwise:\n{}\n{}", self.args, self.out, self.err);
        self.sober()
    }

    /// Expects that it did not panic.
    #[track_caller]
    pub(crate) fn sober(self) -> Self {
        for word in ["panicked", "overflowed its stack", "RUST_BACKTRACE"] {
            assert!(!self.err.contains(word), "`windlass {}` panicked:\n{}", self.args, self.err);
        }
        self
    }

    /// Expects each of these texts somewhere in what it said; line breaks do not count.
    #[track_caller]
    pub(crate) fn says(self, texts: &[&str]) -> Self {
        let there = settled(&format!("{}{}", self.out, self.err));
        for text in texts {
            assert!(there.contains(&settled(text)), "`windlass {}` does not say `{text}`:\n{}\n{}", self.args, self.out, self.err);
        }
        self
    }

    /// Expects that it does not say this.
    #[track_caller]
    pub(crate) fn lacks(self, text: &str) -> Self {
        let there = settled(&format!("{}{}", self.out, self.err));
        assert!(!there.contains(&settled(text)), "`windlass {}` says `{text}`:\n{}\n{}", self.args, self.out, self.err);
        self
    }

    /// Its stdout as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("`windlass {}`: {error}\n{}", self.args, self.out))
    }
}

/// A text without white space and the frames that break lines of diagnostics.
fn settled(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace() && *c != '│').collect()
}
