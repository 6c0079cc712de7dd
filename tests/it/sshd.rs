//! Real SSH servers on this machine, each on an address and a port of its own, that can drop and come back.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;

use crate::estate::await_until;

/// One server.
pub(crate) struct Server {
    /// Where it listens.
    pub(crate) address: String,
    pub(crate) port: u16,
    child: Option<Child>,
}

/// Several servers that know the same user.
pub(crate) struct Servers {
    dir: tempfile::TempDir,
    servers: Vec<Server>,
}

impl Servers {
    /// `None`, saying why, where they are not asked for or there is no sshd.
    pub(crate) fn start(count: usize) -> Option<Self> {
        if std::env::var_os("WINDLASS_TEST_ALL").is_none() {
            eprintln!("skipped: set WINDLASS_TEST_ALL=1 (tests/run does) to run against real SSH servers");
            return None;
        }
        assert!(Path::new("/usr/sbin/sshd").exists(), "there is no sshd: install openssh-server (tests/run does)");
        if rustix::process::geteuid().is_root() {
            std::fs::create_dir_all("/run/sshd").expect("sshd's folder can be made");
        }
        let dir = tempfile::tempdir().expect("a folder");
        let mut servers = Self { dir, servers: Vec::new() };
        servers.make_key("user");
        for number in 0..count {
            servers.make_key(&format!("host{number}"));
            let address = format!("127.0.0.{}", number + 1);
            let free = std::net::TcpListener::bind((address.as_str(), 0)).expect("a free port");
            let port = free.local_addr().expect("it has an address").port();
            drop(free);
            servers.servers.push(Server { address, port, child: None });
            servers.restart(number);
        }
        Some(servers)
    }

    /// Has this done on the servers before a program of this name (of `/usr/bin`) is run.
    pub(crate) fn shim(&self, program: &str, before: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = self.path("shims");
        std::fs::create_dir_all(&folder).expect("a folder can be made");
        let path = folder.join(program);
        std::fs::write(&path, format!("#!/bin/sh\n{before}\nexec /usr/bin/{program} \"$@\"\n")).expect("a file can be written");
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("its mode can be set");
    }

    /// A server by number.
    pub(crate) fn at(&self, number: usize) -> &Server {
        &self.servers[number]
    }

    /// The user's private key.
    pub(crate) fn identity(&self) -> PathBuf {
        self.path("user")
    }

    /// The servers' keys, as a client knows them.
    pub(crate) fn known_hosts(&self) -> String {
        let line = |(number, server): (usize, &Server)| {
            let key = std::fs::read_to_string(self.path(&format!("host{number}.pub"))).expect("a key");
            format!("[{}]:{} {}\n", server.address, server.port, key.trim())
        };
        self.servers.iter().enumerate().map(line).collect()
    }

    /// Kills a server with all its sessions, as if the machine had lost its network. What runs under supervision goes on.
    pub(crate) fn drop(&mut self, number: usize) {
        let Some(mut child) = self.servers[number].child.take() else { return };
        let mut all = vec![child.id()];
        let mut at = 0;
        while at < all.len() {
            all.extend(children(all[at]));
            at += 1;
        }
        // As when the network goes: what runs there goes on, whether it has left its session already or not.
        for pid in all.into_iter().filter(is_sshd) {
            let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw).expect("a process id");
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
        let _ = child.wait();
    }

    /// Starts a server, for the first time or again.
    pub(crate) fn restart(&mut self, number: usize) {
        let text = |name: &str| self.path(name).display().to_string();
        let Server { address, port, .. } = &self.servers[number];
        let config = format!(
            "Port {port}\nListenAddress {address}\nHostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\nPidFile none\n\
             PermitRootLogin yes\nMaxStartups 100\nMaxSessions 10\n\
             SetEnv XDG_STATE_HOME={} PATH={}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin\n",
            text(&format!("host{number}")),
            text("user.pub"),
            text(&format!("state{number}")),
            text("shims")
        );
        std::fs::write(self.path(&format!("config{number}")), config).expect("a file can be written");
        let mut sshd = Command::new("/usr/sbin/sshd");
        sshd.args(["-D", "-f", &text(&format!("config{number}"))]).stdout(Stdio::null()).stderr(Stdio::null());
        let child = sshd.spawn().expect("sshd can be started");
        let (address, port) = (address.clone(), *port);
        self.servers[number].child = Some(child);
        await_until("sshd listens", || std::net::TcpStream::connect((address.as_str(), port)).is_ok());
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn make_key(&self, name: &str) {
        let path = self.path(name).display().to_string();
        let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", &path]).status();
        assert!(made.expect("ssh-keygen can be run").success());
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for number in 0..self.servers.len() {
            self.drop(number);
        }
    }
}

fn is_sshd(pid: &u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.starts_with("sshd"))
}

fn children(parent: u32) -> Vec<u32> {
    let is_child = |pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let after = stat.rsplit_once(')').map(|(_, after)| after.to_owned()).unwrap_or_default();
        after.split_whitespace().nth(1).and_then(|ppid| ppid.parse().ok()) == Some(parent)
    };
    processes().filter(is_child).collect()
}

fn processes() -> impl Iterator<Item = u32> {
    let entries = std::fs::read_dir("/proc").expect("there is a /proc");
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Looks at the command lines of all processes, again and again, for a text that should stand on none.
pub(crate) struct CommandLines {
    ended: Arc<AtomicBool>,
    found: mpsc::Receiver<String>,
    thread: JoinHandle<()>,
}

impl CommandLines {
    /// Begins to look.
    pub(crate) fn watch(text: &'static str) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let (tell, found) = mpsc::channel();
        let ends = Arc::clone(&ended);
        let thread = std::thread::spawn(move || {
            let mut told = BTreeSet::new();
            while !ends.load(Ordering::Relaxed) {
                for pid in processes() {
                    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                    let line = String::from_utf8_lossy(&line).replace('\0', " ");
                    if line.contains(text) && told.insert(line.clone()) {
                        let _ = tell.send(line);
                    }
                }
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
        });
        Self { ended, found, thread }
    }

    /// Ends looking; the command lines with the text.
    pub(crate) fn seen(self) -> Vec<String> {
        self.ended.store(true, Ordering::Relaxed);
        self.thread.join().expect("it looks to the end");
        self.found.try_iter().collect()
    }
}
