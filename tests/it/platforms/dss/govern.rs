//! A govern node and its PostgreSQL, which is a real one: backed up together, restored together.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use super::node::{KEY, NEW, Node, OLD, as_service, must, simulator};

const PASSWORD: &str = "s3cret word";

/// A PostgreSQL 16.2 out of the wheel `pgserver`, on a port of its own.
struct Cluster {
    dir: tempfile::TempDir,
    bin: PathBuf,
    port: u16,
}

impl Cluster {
    fn start() -> Option<Self> {
        if std::env::var_os("WINDLASS_TEST_ALL").is_none() {
            eprintln!("skipped: set WINDLASS_TEST_ALL=1 (tests/run does) to fetch a PostgreSQL from PyPI");
            return None;
        }
        // The same folder, under the same lock, as the tests of the driver `postgres` use.
        let programs = std::env::temp_dir().join("windlass-test-pgserver-0.1.4");
        let bin = programs.join("pgserver/pginstall/bin");
        let lock = std::fs::File::create(programs.with_extension("lock")).expect("a lock file");
        lock.lock().expect("it can be locked");
        if !bin.join("pg_restore").exists() {
            let pip = ["-m", "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:", "--target"];
            must(Command::new("python3").args(pip).arg(&programs).arg("pgserver==0.1.4"));
        }
        must(Command::new("chmod").arg("-R").arg("a+rX").arg(&programs));
        let dir = tempfile::Builder::new().prefix("wgovern").tempdir_in("/tmp").expect("a folder");
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o777)).expect("its mode");
        let port = crate::ports::one();
        let cluster = Self { dir, bin, port };
        std::fs::write(cluster.dir.path().join("pw"), PASSWORD).expect("a file");
        let (data, password) = (cluster.dir.path().join("data"), cluster.dir.path().join("pw"));
        must(
            cluster
                .tool("initdb")
                .arg("-D")
                .arg(&data)
                .args(["-U", "govern", "-A", "scram-sha-256", "--no-sync", "-E", "UTF8", "--pwfile"])
                .arg(password),
        );
        let options = format!(
            "-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={} -c fsync=off",
            cluster.dir.path().display()
        );
        let log = cluster.dir.path().join("log");
        let status = cluster
            .tool("pg_ctl")
            .arg("-D")
            .arg(&data)
            .args(["-w", "-l"])
            .arg(log)
            .args(["-o", &options, "start"])
            .stdout(std::process::Stdio::null())
            .status();
        assert!(status.is_ok_and(|status| status.success()), "PostgreSQL does not start");
        cluster.ask("postgres", "CREATE DATABASE govern");
        Some(cluster)
    }

    fn tool(&self, name: &str) -> Command {
        let mut command = as_service(self.bin.join(name));
        command.env("LC_ALL", "C.UTF-8").env("PGPASSWORD", PASSWORD).current_dir("/");
        command
    }

    /// Rows of a query as text.
    fn ask(&self, database: &str, statement: &str) -> String {
        must(self.tool("psql").args([
            "-h",
            "127.0.0.1",
            "-U",
            "govern",
            "-AtX",
            "-v",
            "ON_ERROR_STOP=1",
            "-d",
            database,
            "-p",
            &self.port.to_string(),
            "-c",
            statement,
        ]))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let data = self.dir.path().join("data");
        let _ = self.tool("pg_ctl").arg("-D").arg(data).args(["-m", "immediate", "stop"]).output();
    }
}

/// A running govern node over that database, with an item in it.
fn governing(cluster: &Cluster) -> Node {
    let node = Node::bare();
    node.unpack(OLD);
    let installer = node.estate.path("opt").join(format!("dataiku-dss-{OLD}/installer.sh"));
    must(as_service(installer).arg("-d").arg(node.data("data")).args(["-p", &node.port.to_string(), "-t", "govern"]));
    must(as_service(simulator().join("populate")).args(["--projects", "0", "--key", KEY]).arg(node.data("data")));
    let properties = node.data("data").join("config/dip.properties");
    let text = format!(
        "simulator.psql={}\npsql.jdbc.url=jdbc:postgresql://127.0.0.1:{}/govern\npsql.jdbc.user=govern\npsql.jdbc.password={PASSWORD}\n",
        cluster.bin.join("psql").display(),
        cluster.port
    );
    std::fs::write(properties, text).expect("it can be written");
    must(as_service(node.data("data").join("bin/govern-admin")).arg("init-db"));
    cluster.ask("govern", "INSERT INTO artifacts VALUES ('ar.1', 'Churn model', 'model')");
    node.start("data");
    node
}

fn declared(cluster: &Cluster) -> String {
    format!(
        "  node_type = \"govern\"\n  postgres = {{ port = {}, database = \"govern\", user = \"govern\", bin_dir = \"{}\" }}\n  postgres_password = \"{PASSWORD}\"",
        cluster.port,
        cluster.bin.display()
    )
}

#[test]
fn b08_a_govern_nodes_data_directory_and_database_are_backed_up_and_restored_as_one_set() {
    let Some(cluster) = Cluster::start() else { return };
    let node = governing(&cluster);
    let items = node.ask("/artifacts");
    assert!(items.contains("Churn model"), "{items}");
    node.declare_backed_up(NEW, &declared(&cluster), "");
    node.apply().exit(0).says(&["done dss.node@13.4.1:dump_database", "done dss.node@13.4.1:back_up_database"]);
    assert_eq!(node.serves().as_deref(), Some(NEW));
    assert_eq!(cluster.ask("govern", "SELECT conf_version FROM govern_meta").trim(), "13410");
    cluster.ask("govern", "INSERT INTO artifacts VALUES ('ar.2', 'Made after the upgrade', 'model')");
    node.estate.run(&["rollback", "--auto-approve"]).exit(0);
    assert_eq!(node.serves().as_deref(), Some(OLD));
    assert_eq!(
        cluster.ask("govern", "SELECT conf_version FROM govern_meta").trim(),
        "12640",
        "the database is not the matching one"
    );
    let items = node.ask("/artifacts");
    assert!(items.contains("Churn model") && !items.contains("Made after"), "{items}");
    assert!(!node.estate.lockfile().contains(PASSWORD));
}

#[test]
fn b08_a_failure_after_the_database_was_migrated_brings_both_back() {
    let Some(cluster) = Cluster::start() else { return };
    let node = governing(&cluster);
    node.switch("never_healthy_in", NEW);
    node.declare_backed_up(NEW, &declared(&cluster), "");
    node.impatient();
    node.apply().exit(4).says(&["rolled back"]);
    assert_eq!(node.serves().as_deref(), Some(OLD));
    let items = node.ask("/artifacts");
    assert!(items.contains("Churn model"), "{items}");
}

#[test]
fn b08_somebody_else_in_the_database_is_refused_before_the_migration() {
    let Some(cluster) = Cluster::start() else { return };
    let node = governing(&cluster);
    node.declare_backed_up(NEW, &declared(&cluster), "");
    let mut other = cluster.tool("psql");
    other.args(["-h", "127.0.0.1", "-U", "govern", "-d", "govern", "-p", &cluster.port.to_string(), "-c", "SELECT pg_sleep(60)"]);
    let mut other = other.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().expect("it runs");
    let ran = node.apply();
    let _ = other.kill();
    let _ = other.wait();
    ran.exit(4).says(&["somebody else is connected to the database"]);
    assert_eq!(node.serves().as_deref(), Some(OLD));
}

#[test]
fn b08_a_govern_node_without_its_database_declared_is_refused() {
    let node = Node::bare();
    node.unpack(OLD);
    let installer = node.estate.path("opt").join(format!("dataiku-dss-{OLD}/installer.sh"));
    must(as_service(installer).arg("-d").arg(node.data("data")).args(["-p", &node.port.to_string(), "-t", "govern"]));
    node.declare_backed_up(NEW, "  node_type = \"govern\"", "");
    node.estate.run(&["plan"]).says(&["blocked", "govern_without_database", "most of what Govern manages is in its PostgreSQL"]);
}
