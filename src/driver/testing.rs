//! What the tests of drivers share: a context on this machine whose supervisor is the test program itself.

use std::ffi::OsString;
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::host::{Host, Local};
use super::{Context, Failure, Redactor, Sink};
use crate::lang::{Object, Value};

pub(crate) mod sshd;

/// Hears everything.
#[derive(Default)]
pub(crate) struct Heard {
    pub(crate) lines: Mutex<Vec<String>>,
    pub(crate) progress: Mutex<Vec<(u64, Option<u64>)>>,
}

impl Sink for Heard {
    fn line(&self, line: &str) {
        self.lines.lock().unwrap().push(line.to_owned());
    }

    fn progress(&self, done: u64, total: Option<u64>, _unit: &str) {
        self.progress.lock().unwrap().push((done, total));
    }
}

/// This machine; supervisors are started through the test `supervisor_entry`.
pub(crate) fn local() -> Arc<dyn Host> {
    let program = std::env::current_exe().unwrap().into_os_string();
    // The folder comes last, where the test harness would take it for a filter: it goes through the environment.
    let script = "exec env WINDLASS_TEST_DIR=\"$2\" \"$1\" --exact driver::testing::supervisor_entry --ignored --nocapture";
    Arc::new(Local::new(["/bin/sh".into(), "-c".into(), OsString::from(script), "sh".into(), program]))
}

/// A context with a folder, as while applying.
pub(crate) fn applying(dir: &Path) -> Context {
    Context { dir: Some(dir.to_owned()), privileged: true, ..Context::observing("test", local()) }
}

/// A context without a folder.
pub(crate) fn observing() -> Context {
    Context::observing("test", local())
}

/// The same with these secrets hidden.
pub(crate) fn hiding(ctx: Context, secret: &str) -> Context {
    Context { redact: Redactor::new([secret.to_owned()]), ..ctx }
}

/// Arguments from JSON.
pub(crate) fn args(json: serde_json::Value) -> Object {
    match serde_json::from_value(json).unwrap() {
        Value::Object(object) => Arc::unwrap_or_clone(object),
        other => panic!("arguments are an object, not {other:?}"),
    }
}

/// A failure's `error.NAME`.
pub(crate) fn detail<'a>(failure: &'a Failure, name: &str) -> &'a Value {
    failure.detail.get(name).unwrap_or_else(|| panic!("no {name} in {failure:?}"))
}

#[test]
#[ignore = "not a test: the supervisor program, started by other tests"]
fn supervisor_entry() {
    let Some(dir) = std::env::var_os("WINDLASS_TEST_DIR") else { return };
    let _ = super::supervise_main([dir]);
    std::process::exit(0);
}
