//! Places where a test may kill the process, to prove that a resumption finds everything.
//!
//! `WINDLASS_CRASH_AT=NAME:N` aborts at the N-th time that the place NAME is reached, without any cleaning up. Without the
//! variable a place costs one load.
#![expect(clippy::disallowed_methods, reason = "a door to the environment: where tests let the program die")]

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

static WANTED: OnceLock<Option<(String, u64)>> = OnceLock::new();
static REACHED: AtomicU64 = AtomicU64::new(0);

/// Aborts where the environment asks for it.
pub fn reach(name: &str) {
    let wanted = WANTED.get_or_init(|| {
        let text = std::env::var("WINDLASS_CRASH_AT").ok()?;
        let (name, count) = text.rsplit_once(':').unwrap_or((&text, "1"));
        Some((name.to_owned(), count.parse().unwrap_or(1)))
    });
    if let Some((wanted, count)) = wanted
        && wanted == name
        && REACHED.fetch_add(1, Ordering::SeqCst) + 1 == *count
    {
        std::process::abort();
    }
}

/// Names a place where a test may kill the process.
#[macro_export]
macro_rules! crash_point {
    ($name:literal) => {
        $crate::apply::crash::reach($name)
    };
}
