//! The metadata in a real PostgreSQL (the wheel `pgserver`), dumped beside the Manager's own backup: row A08.
//!
//! It needs a package registry, so it runs where `WINDLASS_TEST_ALL` is set, as `tests/run` does.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::world::Dataphin;

/// A server on a free port; it ends with the test.
struct Postgres {
    bin: PathBuf,
    dir: tempfile::TempDir,
    port: u16,
}

impl Postgres {
    fn start() -> Self {
        let bin = programs();
        let dir = tempfile::Builder::new().prefix("wdp").tempdir_in("/tmp").expect("a folder");
        std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("its mode can be set");
        let port = crate::ports::one();
        let server = Self { bin, dir, port };
        std::fs::write(server.path("password"), "meta-s3cret").expect("a file");
        let (data, password) = (server.path("data"), server.path("password"));
        server.run("initdb", &["-D", &data, "-U", "postgres", "-A", "scram-sha-256", "--no-sync", "--pwfile", &password]);
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

    /// Runs a program as somebody who is not root.
    fn run(&self, program: &str, args: &[&str]) {
        let program = self.bin.join(program);
        let mut command = if rustix::process::geteuid().is_root() {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups"]).arg(&program);
            command
        } else {
            Command::new(&program)
        };
        let command = command.args(args).env("LC_ALL", "C.UTF-8").env("PGPASSWORD", "meta-s3cret").current_dir("/");
        let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status().expect("it can be run");
        assert!(status.success(), "{}", program.display());
    }

    fn sql(&self, sql: &str) {
        let port = self.port.to_string();
        self.run("psql", &["-h", "127.0.0.1", "-p", &port, "-U", "postgres", "-q", "-c", sql]);
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.run("pg_ctl", &["-D", &self.path("data"), "-m", "immediate", "stop"]);
    }
}

/// The folder of the wheel's programs, installed once for all tests.
fn programs() -> PathBuf {
    let dir = std::env::temp_dir().join("windlass-test-pgserver-0.1.4");
    let lock = std::fs::File::create(dir.with_extension("lock")).expect("a file");
    lock.lock().expect("it can be locked");
    let bin = dir.join("pgserver/pginstall/bin");
    if !bin.join("pg_restore").exists() {
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:", "--target"])
            .arg(&dir)
            .arg("pgserver==0.1.4");
        assert!(pip.status().expect("python3 can be run").success(), "pgserver can be installed");
    }
    let _ = Command::new("chmod").arg("-R").arg("a+rX").arg(&dir).status();
    bin
}

#[test]
fn a08_the_metadata_of_a_real_postgresql_is_dumped_and_can_be_restored() {
    if std::env::var_os("WINDLASS_TEST_ALL").is_none() {
        eprintln!("skipped: set WINDLASS_TEST_ALL=1 (tests/run does) to dump a real PostgreSQL");
        return;
    }
    let server = Postgres::start();
    server.sql("CREATE DATABASE dataphin_meta");
    server.sql("CREATE TABLE nodes AS SELECT 'before the upgrade' AS name");
    let mut dataphin = Dataphin::of("V5.2.0");
    dataphin.offers("V5.3.0");
    let port = server.port;
    dataphin.set(
        "metadata_databases",
        &format!(r#"{{ meta = {{ host = "127.0.0.1", port = {port}, user = "postgres", database = "postgres" }} }}"#),
    );
    dataphin.set("metadata_passwords", r#"{ meta = "meta-s3cret" }"#);
    dataphin.set("pg_bin_dir", &format!("{:?}", server.bin.display().to_string()));
    dataphin.apply("V5.3.0").exit(0).lacks("meta-s3cret");
    let dump = dump_of(&dataphin.estate.path("work/V5.2.0-to-V5.3.0"));
    server.sql("DROP TABLE nodes");
    let port = server.port.to_string();
    // Another user has to read it.
    let copy = server.path("copy.dump");
    std::fs::copy(&dump, &copy).expect("it can be copied");
    std::fs::set_permissions(&copy, std::os::unix::fs::PermissionsExt::from_mode(0o644)).expect("its mode can be set");
    server.run("pg_restore", &["-h", "127.0.0.1", "-p", &port, "-U", "postgres", "-d", "postgres", &copy]);
    server.sql("DO $$ BEGIN ASSERT (SELECT name FROM nodes) = 'before the upgrade'; END $$");
}

fn dump_of(folder: &Path) -> PathBuf {
    let mut found = std::fs::read_dir(folder).expect("the folder is there").flatten().map(|entry| entry.path());
    found.find(|path| path.extension().is_some_and(|extension| extension == "dump")).expect("a dump was made")
}
