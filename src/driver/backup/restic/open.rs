//! Makes and opens a repository: its password, and the key that the password opens.
#![expect(clippy::disallowed_methods, reason = "a door: reads and makes the key file")]

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustic_backend::LocalBackend;
use rustic_core::repofile::MasterKey;
use rustic_core::{
    ConfigOptions, Credentials, KeyOptions, OpenStatus, Repository, RepositoryBackends, RepositoryOptions, RusticError,
    RusticResult,
};
use sha2::{Digest as _, Sha256};

use super::ledger::Ledger;
use super::meter::Meter;
use crate::driver::host::{Attributes, io_failure, local_file};
use crate::driver::transfer::Watch;
use crate::driver::{Failure, FailureKind};

/// A repository whose key is known.
pub(super) type Opened = Repository<OpenStatus>;

/// What opens a repository. Never shown.
#[derive(Clone)]
pub(in crate::driver::backup) enum Password {
    /// The password itself.
    Given(String),
    /// A file whose first line it is. The first backup makes the file where it is not there.
    File(PathBuf),
    /// Nobody gave one: backups can be listed only.
    Missing,
}

impl Password {
    fn text(&self) -> Result<String, Failure> {
        match self {
            Self::Given(text) => Ok(text.clone()),
            Self::Missing => {
                Err(Failure::new(FailureKind::Invalid, "backup: a restic repository needs `password` or `password_file`")
                    .help("declare one of them in the instance's `backup` block"))
            }
            Self::File(path) => {
                let text = fs::read_to_string(path).map_err(|error| {
                    io_failure("read the password", path, &error)
                        .help("a restic repository opens only with the password that it was made with")
                })?;
                let line = text.lines().next().unwrap_or_default();
                if line.is_empty() {
                    return Err(Failure::new(FailureKind::Invalid, format!("the password file `{}` is empty", path.display())));
                }
                Ok(line.to_owned())
            }
        }
    }

    /// Makes the file with a password that nobody can guess, readable for its owner only.
    fn make_file(&self, watch: &Watch) -> Result<(), Failure> {
        let Self::File(path) = self else { return Ok(()) };
        local_file::make_dir(local_file::parent(path), &Attributes { mode: Some(0o700), owner: None })?;
        let failed = |error: io::Error| io_failure("make the password file", path, &error);
        let mut file = match File::options().write(true).create_new(true).mode(0o600).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
            Err(error) => return Err(failed(error)),
        };
        let mut bytes = [0; 32];
        File::open("/dev/urandom").and_then(|mut random| random.read_exact(&mut bytes)).map_err(failed)?;
        writeln!(file, "{}", URL_SAFE_NO_PAD.encode(bytes)).and_then(|()| file.sync_all()).map_err(failed)?;
        local_file::sync_dir(local_file::parent(path))?;
        watch.line(&format!(
            "made the password file {}: without it no backup can be read, so keep a copy elsewhere",
            path.display()
        ));
        Ok(())
    }
}

/// What went wrong, in the library's words.
pub(super) fn failed(repository: &Path, error: &RusticError) -> Failure {
    let text = error.display_log();
    let text = text.strip_prefix("Error: ").unwrap_or(&text).trim();
    let text = text.split(" (kind: related to ").next().unwrap_or(text).trim_end_matches(['.', '\n', ' ']);
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    Failure::new(FailureKind::Failed, format!("the restic repository `{}`: {text}{cause}", repository.display()))
}

/// Makes the repository where none is there.
pub(super) fn make(repository: &Path, password: &Password, ledger: &Ledger, level: i32, watch: &Watch) -> Result<(), Failure> {
    if repository.join("config").is_file() {
        return ledger.make();
    }
    if !repository.is_dir() {
        local_file::make_dir(repository, &Attributes { mode: Some(0o700), owner: None })?;
    }
    let own = |name: &str| name.starts_with('.') || OWN.contains(&name);
    let foreign = local_file::list(repository)?.into_iter().find(|item| !own(&item.name));
    if let Some(item) = foreign {
        let message = format!("`{}` holds `{}` and is no restic repository", repository.display(), item.name);
        return Err(Failure::new(FailureKind::Failed, message).help("give each method a folder of its own"));
    }
    ledger.make()?;
    // Two that come at once: one makes it, the other finds it.
    let _alone = loop {
        if let Some(alone) = ledger.alone()? {
            break alone;
        }
        watch.go_on().map_err(|error| io_failure("make", repository, &error))?;
        std::thread::sleep(std::time::Duration::from_millis(50));
    };
    if repository.join("config").is_file() {
        return Ok(());
    }
    password.make_file(watch)?;
    // Restic's, which the library does not make.
    local_file::make_dir(&repository.join("locks"), &Attributes { mode: Some(0o700), owner: None })?;
    let credentials = Credentials::Password(password.text()?);
    let options = ConfigOptions::default().set_compression(level);
    plain(repository, Meter::silent())?
        .init(&credentials, &KeyOptions::default(), &options)
        .map(|opened| remember(repository, password, &opened))
        .map_err(|error| failed(repository, &error))?
}

/// What restic's and our own folders are called.
const OWN: [&str; 8] = ["config", "data", "index", "keys", "locks", "snapshots", "windlass", "tmp"];

fn plain(repository: &Path, meter: Meter) -> Result<Repository<()>, Failure> {
    let text = repository.to_str().ok_or_else(|| {
        Failure::new(
            FailureKind::Invalid,
            format!("`{}` is not UTF-8, which a restic repository's path must be", repository.display()),
        )
    })?;
    let backend = LocalBackend::new(text, []).map_err(|error| failed(repository, &error))?;
    let backends = RepositoryBackends::new(Arc::new(backend), None);
    let options = RepositoryOptions::default().no_cache(true);
    Repository::new_with_progress(&options, &backends, meter).map_err(|error| failed(repository, &error))
}

/// Opens the repository.
pub(super) fn open(repository: &Path, password: &Password, meter: Meter) -> Result<Opened, Failure> {
    if !repository.join("config").is_file() {
        return Err(Failure::new(FailureKind::Failed, format!("there is no restic repository in `{}`", repository.display())));
    }
    if let Some(key) = known(repository, password)?
        && let Ok(opened) = plain(repository, meter.clone())?.open(&Credentials::Masterkey(key))
    {
        return Ok(opened);
    }
    let opened: RusticResult<Opened> = plain(repository, meter)?.open(&Credentials::Password(password.text()?));
    let opened = opened.map_err(|error| {
        if error.is_incorrect_password() {
            Failure::new(
                FailureKind::Invalid,
                format!("the password does not open the restic repository `{}`", repository.display()),
            )
            .help("it is the one that the repository was made with; a lost one cannot be found again")
        } else {
            failed(repository, &error)
        }
    })?;
    remember(repository, password, &opened)?;
    Ok(opened)
}

/// Keys by repository and digest of the password. Deriving a key takes a third of a second, on purpose; a run opens a repository
/// many times, some of them while a product stands still.
static KEYS: OnceLock<Mutex<HashMap<Slot, MasterKey>>> = OnceLock::new();

/// A repository and the digest of a password.
type Slot = (PathBuf, [u8; 32]);

fn slot(repository: &Path, password: &Password) -> Result<Slot, Failure> {
    Ok((repository.to_owned(), Sha256::digest(password.text()?.as_bytes()).into()))
}

fn known(repository: &Path, password: &Password) -> Result<Option<MasterKey>, Failure> {
    let slot = slot(repository, password)?;
    Ok(KEYS.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner).get(&slot).cloned())
}

fn remember(repository: &Path, password: &Password, opened: &Opened) -> Result<(), Failure> {
    let slot = slot(repository, password)?;
    KEYS.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner).insert(slot, opened.key());
    Ok(())
}
