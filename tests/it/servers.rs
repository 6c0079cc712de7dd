//! Real servers for tests of state stores: PostgreSQL from Debian (`/usr/lib/postgresql`), and moto's S3 server from PyPI.
//!
//! They are started where `WINDLASS_TEST_ALL` is set, as `tests/run` does; elsewhere a test says that it was skipped. Each server is
//! one test's own, on a port of its own, and ends with the value.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// What PostgreSQL's one role is called.
pub(crate) const USER: &str = "keeper";
/// Its password.
pub(crate) const PASSWORD: &str = "s3cret word";
/// The bucket of the S3 server.
pub(crate) const BUCKET: &str = "state";

/// Whether servers are to be started; says so where they are not.
#[expect(clippy::print_stderr, reason = "a test that does nothing says so")]
pub(crate) fn wanted() -> bool {
    let wanted = std::env::var_os("WINDLASS_TEST_ALL").is_some();
    if !wanted {
        eprintln!("skipped: set WINDLASS_TEST_ALL=1 (tests/run does) to test with real servers");
    }
    wanted
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port is free").port()
}

fn run(command: &mut Command, what: &str) {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(
        output.status.success(),
        "{what}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// PostgreSQL with TLS and without, on 127.0.0.1 and on a socket.
pub(crate) struct Postgres {
    dir: tempfile::TempDir,
    /// The folder of its programs.
    pub(crate) bin: PathBuf,
    /// Where it listens.
    pub(crate) port: u16,
}

impl Postgres {
    /// Starts one. Its certificate is signed by an authority of its own and names `localhost` and 127.0.0.1.
    pub(crate) fn start() -> Self {
        let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
            .map(|entries| {
                entries.flatten().map(|entry| entry.path().join("bin")).filter(|bin| bin.join("initdb").exists()).collect()
            })
            .unwrap_or_default();
        versions.sort();
        let bin = versions.pop().expect("PostgreSQL is installed (the Debian package postgresql)");
        let dir = tempfile::Builder::new().prefix("wstate").tempdir_in("/tmp").expect("a folder");
        // Its processes are another user's where this is root.
        std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("its mode");
        let server = Self { dir, bin, port: free_port() };
        std::fs::write(server.path("pw"), PASSWORD).expect("a file");
        let data = server.path("data");
        server.tool("initdb", |tool| {
            tool.args(["-U", USER, "-A", "scram-sha-256", "--no-sync", "-E", "UTF8", "--pwfile"]).arg(server.path("pw")).arg(&data);
        });
        server.certify();
        let options = format!(
            "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories={} -c fsync=off -c ssl=on -c ssl_cert_file={} -c ssl_key_file={}",
            server.port,
            server.dir.path().display(),
            server.path("server.pem").display(),
            server.path("server.key").display(),
        );
        server.tool("pg_ctl", |tool| {
            tool.arg("-D").arg(&data).args(["-w", "-l"]).arg(server.path("log")).args(["-o", &options, "start"]);
        });
        server
    }

    /// The certificate of the authority that the server's is signed by.
    pub(crate) fn authority(&self) -> PathBuf {
        self.path("ca.pem")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn certify(&self) {
        let openssl = |args: &str| {
            let mut command = self.as_somebody(Path::new("openssl"));
            run(command.current_dir(self.dir.path()).args(args.split(' ')), "openssl");
        };
        std::fs::write(self.path("names"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n").expect("a file");
        openssl("req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=Windlass-Tests");
        openssl("req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=localhost");
        openssl("x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out server.pem -days 2 -extfile names");
    }

    fn as_somebody(&self, program: &Path) -> Command {
        let is_root = std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
        if !is_root {
            return Command::new(program);
        }
        let mut command = Command::new("setpriv");
        command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups"]).arg(program);
        command
    }

    fn tool(&self, name: &str, args: impl FnOnce(&mut Command)) {
        let mut command = self.as_somebody(&self.bin.join(name));
        args(&mut command);
        // Not piped: the server would keep the pipe open.
        let status = command.env("LC_ALL", "C.UTF-8").current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).status();
        assert!(status.expect("it can be run").success(), "{name}");
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let data = self.path("data");
        self.tool("pg_ctl", |tool| {
            tool.arg("-D").arg(data).args(["-m", "immediate", "stop"]);
        });
    }
}

/// moto looks whether a condition holds, and writes afterwards: on a busy machine two requests get in between each other, and
/// `windlass init` rightly refuses it. One request at a time makes it a service that keeps its promise.
const ONE_AT_A_TIME: &str = r#"
import sys, threading
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple
moto, lock = DomainDispatcherApplication(create_backend_app), threading.Lock()
def one_at_a_time(environ, start_response):
    with lock:
        return [b"".join(moto(environ, start_response))]
run_simple("127.0.0.1", int(sys.argv[1]), one_at_a_time, threaded=True)
"#;

/// moto's S3 server, with a bucket.
pub(crate) struct S3 {
    process: Child,
    /// Where it listens.
    pub(crate) port: u16,
}

impl S3 {
    /// Starts one, after installing it once for all tests.
    pub(crate) fn start() -> Self {
        let dir = std::env::temp_dir().join("windlass-test-moto-5.2.5");
        let lock = std::fs::File::create(dir.with_extension("lock")).expect("a file");
        lock.lock().expect("it can be locked");
        if !dir.join("ready").exists() {
            let mut pip = Command::new("python3");
            pip.args(["-m", "pip", "install", "--quiet", "--only-binary", ":all:", "--target"])
                .arg(&dir)
                .arg("moto[server]==5.2.5");
            run(&mut pip, "moto cannot be installed");
            std::fs::write(dir.join("ready"), "").expect("a file");
        }
        drop(lock);
        let port = free_port();
        let process = Command::new("python3")
            .args(["-c", ONE_AT_A_TIME, &port.to_string()])
            .env("PYTHONPATH", &dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("python3 can be run");
        let server = Self { process, port };
        for _ in 0..600 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                server.make_bucket();
                return server;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("moto does not listen");
    }

    fn make_bucket(&self) {
        use std::io::{Read as _, Write as _};
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        let host = format!("127.0.0.1:{}", self.port);
        let auth = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";
        let request = format!(
            "PUT /{BUCKET} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {auth}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        assert!(answer.contains(" 200 "), "{answer}");
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
