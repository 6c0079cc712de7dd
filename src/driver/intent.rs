//! What a call writes down, durably and in the folder of its try, right before it changes anything: so that it is known afterwards,
//! by whoever asks. Where nothing stands, nothing was changed.
//!
//! Takes the folders of a call's tries. Who asks gives up those in which nothing stands, under the lock under which it is written:
//! a process that was paused before it could write finds that, and changes nothing any more. Touches nothing else.

use std::borrow::Cow;
use std::fs::TryLockError;
use std::path::{Path, PathBuf};

use super::host::local::private_dir;
use super::host::{Attributes, io_failure, local_file};
use super::{Context, Failure, FailureKind, Recalled, Redactor};
use crate::lang::Value;

const FOLDER: &str = "intent";
const RECORD: &str = "intent.json";
/// Held for the instant in which a record is written, or given up.
const LOCK: &str = "lock";
/// No record may be written in this folder any more, and nothing be changed.
const FORBIDDEN: &str = "forbidden.json";

/// Where a call writes down what it is about to do; nowhere, while it only looks.
#[derive(Clone)]
pub(super) struct Intent {
    folder: Option<PathBuf>,
    redact: Redactor,
}

impl Intent {
    /// That of the call's own try.
    pub(super) fn of(ctx: &Context) -> Result<Self, Failure> {
        Ok(Self { folder: ctx.dir.as_deref().map(folder).transpose()?, redact: ctx.redact.clone() })
    }

    /// Writes down what the call will have given when it has done what it now does. Called before anything is changed. What holds
    /// something secret is not kept: then it is known afterwards only that something may have been done.
    ///
    /// # Errors
    /// It cannot be written, or another process has taken the run over. Either way nothing was changed.
    pub(super) fn declare(&self, result: &Value) -> Result<(), Failure> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let written = || {
            let text = serde_json::to_string(result)
                .map_err(|error| Failure::new(FailureKind::Failed, format!("cannot write down what is to be done: {error}")))?;
            let text = if matches!(self.redact.apply(&text), Cow::Owned(_)) { "null" } else { text.as_str() };
            write(&private_dir(folder)?, RECORD, text.as_bytes())
        };
        written().map_err(Failure::untouched)
    }
}

/// What the tries of a call have written down.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Declared {
    /// Nothing: it has changed nothing, and will change nothing any more.
    Nothing,
    /// This, the last one last: it may have changed something.
    Something(Vec<Value>),
    /// Somebody is writing it down now.
    Unclear,
}

impl Declared {
    /// What is known of a call whose result was written down whole.
    pub(super) fn recalled(self) -> Recalled {
        match self {
            Self::Nothing => Recalled::Untouched,
            Self::Something(mut results) => match results.pop() {
                Some(result) if result.as_object().is_some() => Recalled::Partly(result),
                _ => Recalled::Unknown,
            },
            Self::Unclear => Recalled::Unknown,
        }
    }
}

/// Asks all tries of a call. Where none has written anything down, none will.
pub(super) fn declared(ctx: &Context) -> Result<Declared, Failure> {
    let results = written(ctx)?;
    if !results.is_empty() {
        return Ok(Declared::Something(results));
    }
    for dir in tries(ctx) {
        match give_up(&private_dir(&folder(dir)?)?, RECORD)? {
            Some(true) => {}
            Some(false) => return Ok(Declared::Something(vec![Value::Null])),
            None => return Ok(Declared::Unclear),
        }
    }
    Ok(Declared::Nothing)
}

/// What the tries of a call have written down so far, the last one last.
pub(super) fn written(ctx: &Context) -> Result<Vec<Value>, Failure> {
    let mut results = Vec::new();
    for dir in tries(ctx) {
        let path = folder(dir)?.join(RECORD);
        if let Some(content) = local_file::read(&path, 64 << 20)? {
            // One that cannot be understood is one all the same.
            results.push(serde_json::from_slice(&content.bytes).unwrap_or_default());
        }
    }
    Ok(results)
}

/// The folders of the tries, oldest first.
fn tries(ctx: &Context) -> impl Iterator<Item = &PathBuf> {
    ctx.earlier.iter().chain(&ctx.dir)
}

fn folder(dir: &Path) -> Result<PathBuf, Failure> {
    let dir = std::path::absolute(dir).map_err(|error| io_failure("find", dir, &error))?;
    Ok(dir.join(FOLDER))
}

/// Writes a record, unless its folder was given up by another process meanwhile.
pub(super) fn write(folder: &Path, name: &str, record: &[u8]) -> Result<(), Failure> {
    let lock = local_file::private_file(&folder.join(LOCK)).map_err(|error| io_failure("open", folder, &error))?;
    lock.lock().map_err(|error| io_failure("lock", folder, &error))?;
    if is_there(&folder.join(FORBIDDEN))? {
        return Err(Failure::new(FailureKind::Cancelled, "another process has taken the run over: nothing was changed"));
    }
    local_file::write(&folder.join(name), &mut &*record, &private())
}

/// Sees to it that no record is written in a folder any more; answers whether there is none. `None`: somebody is about to write it.
pub(super) fn give_up(folder: &Path, name: &str) -> Result<Option<bool>, Failure> {
    let lock = local_file::private_file(&folder.join(LOCK)).map_err(|error| io_failure("open", folder, &error))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(io_failure("lock", folder, &error)),
    }
    if is_there(&folder.join(name))? {
        return Ok(Some(false));
    }
    local_file::write(&folder.join(FORBIDDEN), &mut &b"{}"[..], &private())?;
    Ok(Some(true))
}

fn is_there(path: &Path) -> Result<bool, Failure> {
    path.try_exists().map_err(|error| io_failure("look at", path, &error))
}

fn private() -> Attributes {
    Attributes { mode: Some(0o600), owner: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::testing::{applying, hiding, observing};

    fn tried(dir: &Path, count: usize) -> Context {
        let mut dirs: Vec<PathBuf> = (1..=count).map(|number| dir.join(number.to_string())).collect();
        let own = dirs.pop().unwrap();
        Context { earlier: dirs, ..applying(&own) }
    }

    fn told(name: &str) -> Value {
        Value::object([("path", Value::string(name))])
    }

    #[test]
    fn what_was_written_down_is_found_by_a_later_try_and_what_was_not_never_will_be() {
        let dir = tempfile::tempdir().unwrap();
        let first = tried(dir.path(), 1);
        let paused = Intent::of(&first).unwrap();
        assert_eq!(declared(&first).unwrap(), Declared::Nothing);
        assert_eq!(declared(&first).unwrap().recalled(), Recalled::Untouched);
        let failure = paused.declare(&told("/a")).unwrap_err();
        assert!(failure.untouched && failure.kind == FailureKind::Cancelled, "{failure:?}");
        // Another try has a folder of its own.
        let second = tried(dir.path(), 2);
        Intent::of(&second).unwrap().declare(&told("/b")).unwrap();
        Intent::of(&second).unwrap().declare(&told("/c")).unwrap();
        for ctx in [&second, &tried(dir.path(), 3)] {
            assert_eq!(declared(ctx).unwrap().recalled(), Recalled::Partly(told("/c")));
        }
        assert!(!dir.path().join("3").exists(), "who only asks what was written leaves nothing");
    }

    #[test]
    fn a_record_that_is_being_written_or_cannot_be_read_proves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let ctx = tried(dir.path(), 1);
        let folder = private_dir(&folder(&dir.path().join("1")).unwrap()).unwrap();
        let lock = local_file::private_file(&folder.join(LOCK)).unwrap();
        lock.lock().unwrap();
        assert_eq!(declared(&ctx).unwrap(), Declared::Unclear);
        drop(lock);
        std::fs::write(folder.join(RECORD), "{").unwrap();
        assert_eq!(declared(&ctx).unwrap().recalled(), Recalled::Unknown);
    }

    #[test]
    fn what_is_secret_is_not_written_down() {
        let dir = tempfile::tempdir().unwrap();
        let ctx = hiding(tried(dir.path(), 1), "t0ps3cret");
        Intent::of(&ctx).unwrap().declare(&told("/home/t0ps3cret")).unwrap();
        let written = std::fs::read_to_string(dir.path().join("1/intent/intent.json")).unwrap();
        assert!(!written.contains("t0ps3cret"), "{written}");
        assert_eq!(declared(&ctx).unwrap().recalled(), Recalled::Unknown);
    }

    #[test]
    fn who_only_looks_writes_nothing_down() {
        Intent::of(&observing()).unwrap().declare(&told("/a")).unwrap();
    }
}
