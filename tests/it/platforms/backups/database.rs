//! A real PostgreSQL (Debian's), for the row in which a database and a folder form one set. It ends with the value.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What its one role is called.
pub(super) const USER: &str = "keeper";
/// Its password.
pub(super) const PASSWORD: &str = "s3cret word";

/// Whether real software is to be used; says so where it is not.
pub(super) fn wanted() -> bool {
    let wanted = std::env::var_os("WINDLASS_TEST_ALL").is_some();
    if !wanted {
        eprintln!("skipped: set WINDLASS_TEST_ALL=1 (tests/run does) to test with real software");
    }
    wanted
}

/// A server on a port of its own.
pub(super) struct Postgres {
    dir: tempfile::TempDir,
    /// The folder of its tools.
    pub(super) bin: PathBuf,
    /// Where it listens, on 127.0.0.1.
    pub(super) port: u16,
}

impl Postgres {
    pub(super) fn start() -> Self {
        let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        let mut bins: Vec<PathBuf> =
            versions.map(|entry| entry.path().join("bin")).filter(|bin| bin.join("initdb").exists()).collect();
        bins.sort();
        let bin = bins.pop().expect("PostgreSQL is installed (the Debian package postgresql)");
        let dir = tempfile::Builder::new().prefix("wbackup").tempdir_in("/tmp").expect("a folder");
        // Its processes are another user's where this is root.
        std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("its mode");
        let port = crate::ports::one();
        let server = Self { dir, bin, port };
        std::fs::write(server.path("password"), PASSWORD).expect("a file");
        let (data, password) = (server.path("data"), server.path("password"));
        let init = ["-U", USER, "-A", "scram-sha-256", "--no-sync", "-E", "UTF8", "--pwfile", &password, &data];
        server.run("initdb", &init);
        let options = format!(
            "-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={} -c fsync=off",
            server.dir.path().display()
        );
        server.run("pg_ctl", &["-D", &data, "-w", "-l", &server.path("log"), "-o", &options, "start"]);
        server
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    /// Runs a tool as somebody who is not root.
    fn run(&self, tool: &str, args: &[&str]) {
        let mut command = as_somebody(&self.bin.join(tool));
        // Not piped: the server would keep the pipe open.
        let status =
            command.args(args).env("LC_ALL", "C.UTF-8").current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).status();
        assert!(status.expect("it can be run").success(), "{tool}");
    }

    /// What a statement gives.
    pub(super) fn sql(&self, sql: &str) -> String {
        let mut psql = Command::new(self.bin.join("psql"));
        psql.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", USER, "-d", "postgres", "-tAc", sql]);
        let output = psql.env("PGPASSWORD", PASSWORD).output().expect("psql is there");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

fn as_somebody(program: &Path) -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups"]).arg(program);
    command
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.run("pg_ctl", &["-D", &self.path("data"), "-m", "immediate", "stop"]);
    }
}
