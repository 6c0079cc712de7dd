//! A real SSH server on this machine, on a port of its own, for tests.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::driver::Context;
use crate::driver::host::Ssh;
use crate::model::estate::Ssh as Settings;

/// An SSH server on this machine, for one test.
pub(crate) struct Server {
    sshd: Mutex<Child>,
    pub(crate) dir: tempfile::TempDir,
    pub(crate) port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let mut sshd = self.sshd.lock().unwrap();
        let _ = sshd.kill();
        let _ = sshd.wait();
    }
}

impl Server {
    /// `None`, saying why, where there is no sshd.
    #[expect(clippy::print_stderr, reason = "a test that is skipped says why")]
    pub(crate) async fn start() -> Option<Self> {
        let sshd = ["/usr/sbin/sshd", "/usr/local/sbin/sshd"].into_iter().find(|path| Path::new(path).exists());
        let Some(sshd) = sshd else {
            eprintln!("skipped: there is no sshd on this machine");
            return None;
        };
        if rustix::process::geteuid().is_root() {
            std::fs::create_dir_all("/run/sshd").unwrap();
        }
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        for key in ["host", "user"] {
            let made = std::process::Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", &path(key)]).status();
            assert!(made.unwrap().success());
        }
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        std::fs::copy(path("user.pub"), path("authorized")).unwrap();
        let host = std::fs::read_to_string(path("host.pub")).unwrap();
        std::fs::write(path("known"), format!("[127.0.0.1]:{port} {host}")).unwrap();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\nPidFile none\nPermitRootLogin yes\nMaxStartups 100\nSetEnv XDG_STATE_HOME={} PATH={}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin\n",
            path("host"),
            path("authorized"),
            path("state"),
            path("shims")
        );
        std::fs::write(path("config"), config).unwrap();
        let child = std::process::Command::new(sshd).args(["-D", "-f", &path("config")]).stderr(Stdio::null()).spawn().unwrap();
        for _ in 0..250 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Some(Self { sshd: Mutex::new(child), dir, port })
    }

    /// Reaches it, with this file of known host keys.
    pub(crate) fn client_knowing(&self, known: &str) -> Arc<Ssh> {
        let path = |name: &str| self.dir.path().join(name).to_str().unwrap().to_owned();
        let settings = Settings {
            address: "127.0.0.1".to_owned(),
            port: Some(self.port),
            user: None,
            identity_file: Some(path("user")),
            ..Settings::default()
        };
        let options = [format!("UserKnownHostsFile={}", path(known)), "IdentitiesOnly=yes".to_owned()];
        Arc::new(Ssh::new(&settings, options).unwrap())
    }

    /// A context on it, without a folder.
    pub(crate) fn ctx(&self) -> Context {
        Context { privileged: true, ..Context::observing("test", self.client_knowing("known")) }
    }

    /// Has this done on the server before a program of this name (of `/usr/bin`) is run.
    pub(crate) fn shim(&self, program: &str, before: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = self.dir.path().join("shims");
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join(program);
        std::fs::write(&path, format!("#!/bin/sh\n{before}\nexec /usr/bin/{program} \"$@\"\n")).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// A place for what the test makes there.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("there").join(name)
    }
}
