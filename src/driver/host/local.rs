//! This machine as a [`Host`]: commands as children or under the supervisor, files through the system's calls.
#![expect(clippy::disallowed_methods, reason = "a door to the processes of this machine")]

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

use super::{
    Attributes, Command, Content, Entry, Host, INHERITED, Output, Recovered, Space, Stat, User, direct, local_file, privilege,
};
use crate::driver::supervised::{self, Spec};
use crate::driver::{Context, Failure, FailureKind};

/// The hidden subcommand under which the program is its own supervisor.
pub const SUPERVISE: &str = "__supervise";

/// This machine.
#[derive(Debug, Clone)]
pub struct Local {
    supervisor: Arc<[OsString]>,
}

impl Local {
    /// This machine; `supervisor` is the program and its arguments that call [`crate::driver::supervise_main`].
    #[must_use]
    pub fn new(supervisor: impl IntoIterator<Item = OsString>) -> Self {
        Self { supervisor: supervisor.into_iter().collect() }
    }

    /// This machine, with this very program as the supervisor.
    ///
    /// # Errors
    /// The program's own path is not known.
    pub fn of_this_program() -> std::io::Result<Self> {
        Ok(Self::new([std::env::current_exe()?.into_os_string(), SUPERVISE.into()]))
    }
}

/// The whole environment of a command.
pub(crate) fn environment(command: &Command) -> Vec<(OsString, OsString)> {
    let inherited =
        |name: &OsString| command.inherit || name.to_str().is_some_and(|name| INHERITED.contains(&name) || name.starts_with("LC_"));
    std::env::vars_os()
        .filter(|(name, _)| inherited(name) && !name.to_str().is_some_and(|name| command.env.contains_key(name)))
        .chain(command.env.iter().map(|(name, value)| (name.into(), value.into())))
        .collect()
}

/// A missing working directory would be reported as a missing program.
async fn check_dir(host: &Local, command: &Command) -> Result<(), Failure> {
    let Some(dir) = &command.dir else { return Ok(()) };
    let wrong = |why: &str| {
        Failure::new(FailureKind::Failed, format!("cannot start `{}` in `{dir}`: {why}", command.program())).untouched()
    };
    match host.stat(Path::new(dir), true).await? {
        Some(stat) if stat.kind == super::Kind::Directory => Ok(()),
        Some(_) => Err(wrong("it is not a directory")),
        None => Err(wrong("it does not exist")),
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Failure> + Send + 'static) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Failure::new(FailureKind::Failed, format!("a file operation was given up: {error}"))),
    }
}

#[async_trait]
impl Host for Local {
    fn name(&self) -> &str {
        "localhost"
    }

    fn is_local(&self) -> bool {
        true
    }

    async fn run(&self, command: &Command, ctx: &Context) -> Result<Output, Failure> {
        check_dir(self, command).await?;
        let command = privilege::as_user(self, command, ctx).await?;
        let Some((program, args)) = command.argv.split_first() else {
            return Err(Failure::new(FailureKind::Invalid, "there is no command to run"));
        };
        let mut system = tokio::process::Command::new(program);
        system.args(args).env_clear().envs(environment(&command));
        if let Some(dir) = &command.dir {
            system.current_dir(dir);
        }
        direct::run(system, &command, None, ctx).await
    }

    async fn supervise(&self, command: &Command, dir: &Path, ctx: &Context) -> Result<Output, Failure> {
        // What was begun is only waited for: whether it could be begun now does not matter. The same where that cannot be seen now.
        if supervised::recover(dir).await.is_ok_and(|found| found == Recovered::NotBegun) {
            check_dir(self, command).await.map_err(Failure::untouched)?;
            let command = privilege::as_user(self, command, ctx).await.map_err(Failure::untouched)?;
            let spec = Spec::of(&command, environment(&command), ctx).map_err(Failure::untouched)?;
            return supervised::run(&self.supervisor, &spec, &command, dir, ctx).await;
        }
        supervised::follow(command, dir, ctx).await
    }

    async fn recover(&self, dir: &Path) -> Result<Recovered, Failure> {
        supervised::recover(dir).await
    }

    async fn forbid(&self, dir: &Path) -> Result<bool, Failure> {
        supervised::forbid(dir).await
    }

    async fn stat(&self, path: &Path, follow: bool) -> Result<Option<Stat>, Failure> {
        let path = path.to_owned();
        blocking(move || local_file::stat(&path, follow)).await
    }

    async fn read(&self, path: &Path, limit: u64) -> Result<Option<Content>, Failure> {
        let path = path.to_owned();
        blocking(move || local_file::read(&path, limit)).await
    }

    async fn write(&self, path: &Path, bytes: &[u8], attributes: &Attributes) -> Result<(), Failure> {
        let (path, bytes, attributes) = (path.to_owned(), bytes.to_owned(), attributes.clone());
        blocking(move || local_file::write(&path, &mut bytes.as_slice(), &attributes)).await
    }

    async fn upload(&self, from: &Path, to: &Path, attributes: &Attributes) -> Result<(), Failure> {
        let (from, to, attributes) = (from.to_owned(), to.to_owned(), attributes.clone());
        blocking(move || {
            let mut source = std::fs::File::open(&from).map_err(|error| super::io_failure("read", &from, &error))?;
            local_file::write(&to, &mut source, &attributes)
        })
        .await
    }

    async fn list(&self, path: &Path) -> Result<Vec<Entry>, Failure> {
        let path = path.to_owned();
        blocking(move || local_file::list(&path)).await
    }

    async fn make_dir(&self, path: &Path, attributes: &Attributes) -> Result<(), Failure> {
        let (path, attributes) = (path.to_owned(), attributes.clone());
        blocking(move || local_file::make_dir(&path, &attributes)).await
    }

    async fn remove(&self, path: &Path, recursive: bool) -> Result<(), Failure> {
        let path = path.to_owned();
        blocking(move || local_file::remove(&path, recursive)).await
    }

    async fn symlink(&self, target: &Path, path: &Path) -> Result<(), Failure> {
        let (target, path) = (target.to_owned(), path.to_owned());
        blocking(move || local_file::symlink(&target, &path)).await
    }

    async fn rename(&self, from: &Path, to: &Path) -> Result<(), Failure> {
        let (from, to) = (from.to_owned(), to.to_owned());
        blocking(move || local_file::rename(&from, &to)).await
    }

    async fn space(&self, path: &Path) -> Result<Space, Failure> {
        let path = path.to_owned();
        blocking(move || local_file::space(&path)).await
    }

    async fn user(&self, name: &str) -> Result<Option<User>, Failure> {
        let name = name.to_owned();
        blocking(move || local_file::user(&name)).await
    }

    async fn accepts(&self, address: &str, patience: std::time::Duration) -> Result<bool, Failure> {
        let connecting = tokio::net::TcpStream::connect(address);
        Ok(matches!(tokio::time::timeout(patience, connecting).await, Ok(Ok(_))))
    }

    async fn uid(&self) -> Result<u32, Failure> {
        Ok(rustix::process::geteuid().as_raw())
    }
}

/// Where nothing else is said: the folder of a supervised command may hold secrets in its output.
pub(crate) fn private_dir(dir: &Path) -> Result<PathBuf, Failure> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|error| super::io_failure("make the folder", dir, &error))?;
    Ok(dir.to_owned())
}
