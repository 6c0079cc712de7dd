//! The machines that instances live on, by the names of `host` blocks.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::apply::Hosts;
use crate::driver::host::{Host, Local, Ssh};
use crate::driver::{Failure, FailureKind};
use crate::model::estate;
use crate::model::name::{HostName, LOCALHOST};

/// Every machine, made once. Connections are opened when they are first used.
pub(super) struct Machines {
    here: Result<Arc<dyn Host>, Failure>,
    named: BTreeMap<HostName, Result<Arc<dyn Host>, Failure>>,
}

impl Machines {
    /// The machines of these `host` blocks, and this one. `root` is the configuration's folder.
    pub(super) fn new(hosts: &BTreeMap<HostName, estate::Host>, root: &Path) -> Self {
        let here: Result<Arc<dyn Host>, Failure> = match Local::of_this_program() {
            Ok(local) => Ok(Arc::new(local)),
            Err(error) => Err(Failure::new(FailureKind::Failed, format!("this program's own path is not known: {error}"))),
        };
        let named = hosts
            .iter()
            .map(|(name, host)| {
                let machine: Result<Arc<dyn Host>, Failure> = match &host.ssh {
                    None => here.clone(),
                    Some(ssh) => Ssh::new(&placed(ssh, root), []).map(|ssh| Arc::new(ssh) as Arc<dyn Host>),
                };
                (name.clone(), machine)
            })
            .collect();
        Self { here, named }
    }
}

/// With the file of known hosts beside the configuration, where its path is not absolute.
fn placed(ssh: &estate::Ssh, root: &Path) -> estate::Ssh {
    let is_relative = |file: &&String| Path::new(file).is_relative() && !file.starts_with(['~', '$', '%']);
    let beside = ssh.known_hosts_file.as_ref().filter(is_relative).map(|file| root.join(file).display().to_string());
    estate::Ssh { known_hosts_file: beside.or_else(|| ssh.known_hosts_file.clone()), ..ssh.clone() }
}

impl Hosts for Machines {
    fn host(&self, name: Option<&HostName>) -> Result<Arc<dyn Host>, Failure> {
        match name {
            None => self.here.clone(),
            // What expressions call the machine of those that have no host.
            Some(name) if name.as_str() == LOCALHOST && !self.named.contains_key(name) => self.here.clone(),
            Some(name) => self.named.get(name).cloned().unwrap_or_else(|| {
                Err(Failure::new(FailureKind::Invalid, format!("the configuration declares no host `{name}`"))
                    .help("declare it again until nothing is recorded on it any more"))
            }),
        }
    }
}
