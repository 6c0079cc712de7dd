//! Every file of the fuzz targets' corpora, and what fuzzing has found, goes through the same functions as when fuzzing; and so do some
//! random changes of them, always the same ones.
//!
//! `WINDLASS_MUTATIONS=100000` changes each corpus so often, where cargo-fuzz is not at hand; `WINDLASS_MUTATION_SEED` changes it otherwise.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

#[expect(unreachable_pub, reason = "the fuzz targets use it as a library")]
#[path = "../fuzz/entry.rs"]
mod entry;

/// The program plans and evaluates on a stack of this size.
const STACK: usize = 64 << 20;
/// Changes of each corpus with every run of the tests.
const USUAL: u64 = 20;
/// What changes may put in.
const WORDS: [&str; 24] = [
    "${",
    "}",
    "{",
    "[",
    "\"",
    "(",
    ")",
    "<<EOT\n",
    "for_each = ",
    "null",
    "\u{0}",
    "-1",
    "1e308",
    "999999999999",
    "../",
    "\u{fffd}é",
    "%{ if ",
    "*",
    "= ",
    "\n",
    "~> ",
    "each.value",
    "self.",
    "// #",
];

fn files(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("a corpus")
        .map(|entry| entry.expect("a file").path())
        .map(|path| (path.clone(), std::fs::read(path).expect("a file")))
        .collect();
    files.sort();
    assert!(files.len() > 2, "the corpus of {target} has {} files", files.len());
    files
}

/// Calls a target with something that may make it panic; a panic names the file, and keeps what was made of it.
fn call(target: &str, run: fn(&[u8]), from: &Path, content: &[u8], is_changed: bool) {
    let began = Instant::now();
    let went = std::panic::catch_unwind(|| run(content));
    if began.elapsed() > Duration::from_secs(10) {
        eprintln!("{target}: {:?} for {} bytes made of {}", began.elapsed(), content.len(), from.display());
    }
    if went.is_err() {
        let mut kept = from.to_owned();
        if is_changed {
            kept = std::env::temp_dir().join(format!("windlass-fuzz-{target}-{}", std::process::id()));
            std::fs::write(&kept, content).expect("a file can be written");
        }
        panic!("{target}: see above; made of {}, kept in {}", from.display(), kept.display());
    }
}

/// A random change of a content, maybe with a piece of another.
fn changed(content: &[u8], other: &[u8], below: &mut impl FnMut(usize) -> usize) -> Vec<u8> {
    let mut bytes = content.to_vec();
    for _ in 0..=below(4) {
        let at = below(bytes.len() + 1);
        let longest = 1 << below(9);
        let end = (at + below(longest)).min(bytes.len());
        match below(7) {
            0 => drop(bytes.drain(at..end)),
            1 => {
                let piece = bytes[at..end].to_vec();
                drop(bytes.splice(at..at, piece));
            }
            2 => drop(bytes.splice(at..end, WORDS[below(WORDS.len())].bytes())),
            3 => {
                let from = below(other.len() + 1);
                let piece = other[from..(from + below(200)).min(other.len())].to_vec();
                drop(bytes.splice(at..end, piece));
            }
            4 if at < bytes.len() => bytes[at] ^= 1 << below(8),
            5 if at < bytes.len() => bytes[at] = u8::try_from(below(256)).unwrap_or_default(),
            6 => bytes.truncate(bytes.len() - below(bytes.len() / 8 + 1)),
            _ => {}
        }
    }
    bytes.truncate(1 << 15);
    bytes
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

fn replay(target: &'static str) {
    let (_, run) = entry::TARGETS.into_iter().find(|(name, _)| *name == target).expect("a target");
    let files = files(target);
    let replay = move || {
        for (path, content) in &files {
            call(target, run, path, content, false);
        }
        let mut state = number("WINDLASS_MUTATION_SEED", 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut below = |limit: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state >> 11).unwrap_or_default() % limit.max(1)
        };
        for _ in 0..number("WINDLASS_MUTATIONS", USUAL) {
            let (path, content) = &files[below(files.len())];
            let (_, other) = &files[below(files.len())];
            let made = changed(content, other, &mut below);
            call(target, run, path, &made, true);
        }
    };
    let replayed = std::thread::Builder::new().stack_size(STACK).spawn(replay).expect("a thread").join();
    assert!(replayed.is_ok(), "see above");
}

macro_rules! replayed {
    ($($target:ident)*) => {$(
        #[test]
        fn $target() {
            replay(stringify!($target));
        }
    )*};
}

replayed!(archive configuration document expression journal lockfile plan_json plan_file policy provider version);
