//! The vendor's own client of Pachyderm 1.9, `python-pachyderm` of PyPI, talks gRPC to the simulator: so its answers are those of
//! the product.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use super::laboratory::Laboratory;
use crate::estate::await_until;

/// The Python of a virtual environment with the client, made once for this checkout. Its generated messages are of an older protobuf.
fn client() -> Option<PathBuf> {
    if std::env::var_os("WINDLASS_TEST_ALL").is_none() {
        eprintln!("skipped: set WINDLASS_TEST_ALL=1 (tests/run does) to talk to the simulator by python-pachyderm of PyPI");
        return None;
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python-pachyderm-2.6.0");
    let python = folder.join("bin/python");
    if !folder.join("complete").exists() {
        let made = Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder).status().expect("python3 is there");
        assert!(made.success());
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "python-pachyderm==2.6.0", "protobuf==3.20.3"];
        assert!(Command::new(&python).args(pip).status().expect("pip is there").success());
        std::fs::write(folder.join("complete"), "").expect("it can be written");
    }
    Some(python)
}

/// pachd's gRPC of a namespace, on a port, as long as this lives.
struct Rpc(Child, u16);

impl Rpc {
    fn of(lab: &Laboratory, python: &Path, namespace: &str) -> Self {
        let (program, port) = (simulator("simulate"), crate::ports::one());
        let mut command = Command::new(python);
        command.arg("-B").arg(program).arg("grpc").arg(lab.estate.path("lab")).args([&port.to_string(), namespace]);
        let child = command.env("PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION", "python").spawn().expect("Python is there");
        let rpc = Self(child, port);
        await_until("pachd answers gRPC", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        rpc
    }
}

impl Drop for Rpc {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn simulator(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/platforms/pachyderm").join(name)
}

#[test]
fn the_vendors_client_lists_extracts_and_restores_over_grpc() {
    let Some(python) = client() else { return };
    let lab = Laboratory::with("1.9.7");
    lab.pachctl(&["deploy", "google", "pachyderm-data-new", "10", "--dynamic-etcd-nodes=1", "--namespace", "empty"]);
    lab.kubectl(&["wait", "pod", "-n", "empty", "--selector=suite=pachyderm", "--for=condition=Ready", "--timeout=20s"]);
    let (source, target) = (Rpc::of(&lab, &python, "default"), Rpc::of(&lab, &python, "empty"));
    let output = Command::new(&python)
        .arg("-B")
        .arg(simulator("conformance.py"))
        .args(["1.9.7", &source.1.to_string(), &target.1.to_string()])
        .env("PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION", "python")
        .env("no_proxy", "*")
        .output()
        .expect("it can be run");
    assert!(output.status.success(), "{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    // What it did there is what `pachctl` sees.
    assert!(lab.pachctl(&["list", "repo"]).contains("more"));
}
