//! TCP ports that are a test's own: nobody else on this machine who asks here gets them until the test's process ends.
//!
//! Ports are handed out of blocks of [`BLOCK`]. A block is taken by an exclusive lock on a file in the temporary folder (the system lets
//! go of it when the process ends, however it ends), lies outside the range that the system itself takes ports from for outgoing
//! connections, and is only used where every port of it can be bound. `examples/support/rehearsal.py` takes blocks in the same way.

use std::fs::File;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Mutex;

/// How many ports a block has: a multiple of ten, so that whoever wants ten in a row gets a round number.
const BLOCK: u16 = 100;

/// The first port that may be handed out; those below belong to well-known services.
const FIRST: u16 = 10_000;

/// What this process holds: a lock for each block, and the ports of the newest that were not handed out.
struct Held {
    locks: Vec<File>,
    next: u16,
    end: u16,
}

static HELD: Mutex<Held> = Mutex::new(Held { locks: Vec::new(), next: 0, end: 0 });

/// The first of so many ports in a row, at most [`BLOCK`], that are this process's own.
pub(crate) fn row(count: u16) -> u16 {
    assert!(0 < count && count <= BLOCK, "a row has 1 to {BLOCK} ports");
    let mut held = HELD.lock().expect("nobody panicked while holding it");
    if held.end - held.next < count {
        let (lock, first) = free_block();
        held.locks.push(lock);
        (held.next, held.end) = (first, first + BLOCK);
    }
    let first = held.next;
    held.next += count;
    first
}

/// One port that is this process's own.
pub(crate) fn one() -> u16 {
    row(1)
}

/// So many of them.
pub(crate) fn some(count: u16) -> Vec<u16> {
    let first = row(count);
    (first..first + count).collect()
}

/// Locks a block whose ports are all free; gives the lock and its first port. Where the search begins depends on the process.
fn free_block() -> (File, u16) {
    let folder = folder();
    let blocks = (below_ephemeral() - FIRST) / BLOCK;
    let begin = u16::try_from(std::process::id() % u32::from(blocks)).expect("it is below a u16");
    for number in (begin..blocks).chain(0..begin) {
        let first = FIRST + number * BLOCK;
        let Ok(lock) = File::options().create(true).truncate(false).write(true).open(folder.join(first.to_string())) else {
            continue;
        };
        let _ = lock.set_permissions(std::fs::Permissions::from_mode(0o666));
        if lock.try_lock().is_ok() && (first..first + BLOCK).all(|port| TcpListener::bind(("0.0.0.0", port)).is_ok()) {
            return (lock, first);
        }
    }
    panic!("no block of {BLOCK} ports is free: see the locks in {}", folder.display());
}

/// Where the lock files are; every user of the machine may use it.
fn folder() -> PathBuf {
    let folder = std::env::temp_dir().join("windlass-test-ports");
    std::fs::create_dir_all(&folder).expect("the folder of the locks can be made");
    let _ = std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777));
    folder
}

/// The end of what may be handed out: where the ports of outgoing connections begin.
fn below_ephemeral() -> u16 {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let first = range.split_whitespace().next().and_then(|first| first.parse().ok()).unwrap_or(32_768);
    // A machine that takes nearly all ports for them leaves us no better place.
    if first < FIRST + 10 * BLOCK { 60_000 } else { first }
}

#[test]
fn two_rows_have_no_port_in_common_and_their_blocks_are_locked() {
    let rows = [row(60), row(60), row(10)];
    for (at, first) in rows.iter().enumerate() {
        for other in &rows[at + 1..] {
            assert!(first.abs_diff(*other) >= 10, "{rows:?}");
        }
        let block = first - (first - FIRST) % BLOCK;
        let again = File::options().write(true).open(folder().join(block.to_string())).expect("the lock file is there");
        assert!(again.try_lock().is_err(), "block {block} could be taken again");
    }
    assert!(rows[0].abs_diff(rows[1]) >= 60, "{rows:?}");
    assert_eq!(some(3).len(), 3);
}
