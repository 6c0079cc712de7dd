//! The vendor's own client, `kylinpy` of PyPI, talks to the simulator: so its answers are those of the product.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::world::World;

#[test]
fn the_vendors_client_kylinpy_talks_to_the_simulator() {
    if std::env::var_os("WINDLASS_TEST_ALL").is_none() {
        eprintln!("skipped: set WINDLASS_TEST_ALL=1 (tests/run does) to talk to the simulator by kylinpy of PyPI");
        return;
    }
    let python = client();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/platforms/kyligence/conformance.py");
    let world = World::of("3.4.1", &[]);
    let run = |version: &str, port: u16| {
        let output =
            Command::new(&python).args([script, version, &port.to_string()]).env("no_proxy", "*").output().expect("it can be run");
        assert!(
            output.status.success(),
            "{}\n{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    };
    run("v2", world.ports[0]);
    let port = crate::ports::one();
    world.simulator(&["create", &world.path("w/four"), "4.5.1", &format!("a={port}")]);
    world.node("four/a", "start");
    crate::estate::await_until("it listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    run("v4", port);
}

/// The Python of a virtual environment with the client, made once for this checkout.
fn client() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kylinpy-2.8.4");
    let python = folder.join("bin/python");
    if !folder.join("complete").exists() {
        let made = Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder).status().expect("python3 is there");
        assert!(made.success());
        let installed = Command::new(&python)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "kylinpy==2.8.4", "sqlalchemy==1.4.54"])
            .status()
            .expect("pip is there");
        assert!(installed.success());
        std::fs::write(folder.join("complete"), "").expect("it can be written");
    }
    python
}
