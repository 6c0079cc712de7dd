//! A disk that is full, at every moment of a run: nothing is half written, and after making room all goes on. Only root can make a
//! small disk: where this cannot be done, these tests say nothing.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use crate::estate::{Estate, await_until};

/// A small disk in memory; taken away with the value. `None` where this user may not mount.
struct Disk(PathBuf);

impl Disk {
    fn mount(estate: &Estate, kibibytes: u32) -> Option<Self> {
        let options = format!("size={kibibytes}k,mode=755");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "windlass-it"]).arg(&estate.root).output();
        mounted.is_ok_and(|output| output.status.success()).then(|| Self(estate.root.clone()))
    }

    /// Fills it but for so many KiB.
    fn fill(&self, left: u64) {
        let path = self.0.join("ballast");
        let stat = rustix::fs::statvfs(&self.0).expect("it is there");
        let free = stat.f_bavail * stat.f_frsize;
        std::fs::write(path, vec![0_u8; usize::try_from(free.saturating_sub(left << 10)).expect("small")]).expect("it fits");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        await_until("the disk is unmounted", || Command::new("umount").arg(&self.0).status().is_ok_and(|status| status.success()));
    }
}

/// What a run writes, and what it says where that finds no room.
const WRITTEN: [(&str, &str); 4] = [
    ("lease", "test.lease cannot be written"),
    ("folder of the run", "the run's folder cannot be made"),
    ("journal", "the journal cannot be written"),
    ("history", "the history"),
];

#[test]
fn a_full_disk_leaves_nothing_half_written_and_room_lets_it_go_on() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let mut ends = std::collections::BTreeMap::new();
    let mut refused = BTreeSet::new();
    for left in [0, 4, 8, 12, 16, 32, 64, 80, 88, 96, 128] {
        let product = Estate::sample();
        let mut estate = Estate::sample();
        // The product and its releases lie on another disk: the state is what has no room.
        estate.set("home", &product.root.display().to_string());
        let main = estate.read("main.hcl");
        let Some(disk) = Disk::mount(&estate, 1024) else {
            return;
        };
        estate.furnish();
        estate.write("main.hcl", main);
        estate.apply().exit(0);
        let before = (estate.lockfile(), product.tree("app"));
        estate.set("version", "1.1.0");
        disk.fill(left);

        let ran = estate.apply().sober();
        let said = ran.err.split_whitespace().collect::<Vec<_>>().join(" ");
        refused.extend(WRITTEN.into_iter().filter(|(_, words)| said.contains(words)).map(|(what, _)| what));
        let lock = estate.lockfile();
        assert!(matches!(ran.code, Some(0 | 1 | 4 | 5)), "{left} KiB left: {:?}\n{}", ran.code, ran.err);
        if ran.code != Some(0) {
            assert!(
                ["No space left", "make room", "os error 28"].iter().any(|words| ran.err.contains(words)),
                "{left} KiB left, and nothing tells that the disk is full:\n{}",
                ran.err
            );
        }
        if ran.code == Some(1) {
            assert_eq!((lock, product.tree("app")), before, "{left} KiB left: an error, and something was changed:\n{}", ran.err);
        }
        *ends.entry(ran.code).or_insert(0) += 1;

        estate.remove("ballast");
        let unfinished = estate.good(&["history", "--format", "json"]).json();
        let outcome = unfinished["runs"][0]["outcome"].as_str().unwrap_or("").to_owned();
        if ["running", "held", "stopped"].contains(&&*outcome) {
            let mut resumed = estate.run(&["resume"]).sober();
            // A step that failed before it touched anything may be held, where its undo needs a result that there is not.
            for _ in 0..4 {
                let told = resumed.err.replace(['\n', '│'], " ");
                let Some((_, rest)) = told.split_once("--skip").filter(|_| resumed.code == Some(5)) else { break };
                let action = rest.split('\'').nth(1).expect("an action").to_owned();
                resumed = estate.run(&["resume", "--skip", &action]).sober();
            }
            assert!(matches!(resumed.code, Some(0 | 4)), "{left} KiB left, {:?}: {}\nthen {}", ran.code, ran.err, resumed.err);
        }
        let last = estate.apply();
        assert_eq!(last.code, Some(0), "{left} KiB left, {:?}, {outcome}: {}\nthen {}", ran.code, ran.err, last.err);
        assert_eq!(product.read("app/current/VERSION"), "1.1.0");
        estate.run(&["plan", "--detailed-exitcode"]).exit(0);
        let leftovers: Vec<String> = estate.tree("").into_keys().filter(|path| path.contains(".windlass-")).collect();
        assert!(leftovers.is_empty(), "{left} KiB left: half files lie about: {leftovers:?}");
    }
    assert!(ends.len() > 1, "the disk was never full, or always: {ends:?}");
    assert_eq!(refused.len(), WRITTEN.len(), "the disk was not full for each of what is written: only for {refused:?}");
}

#[test]
fn a_plan_that_does_not_fit_on_the_disk_leaves_the_old_one() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let product = Estate::sample();
    let mut estate = Estate::sample();
    estate.set("home", &product.root.display().to_string());
    let main = estate.read("main.hcl");
    let Some(disk) = Disk::mount(&estate, 1024) else {
        return;
    };
    estate.furnish();
    estate.write("main.hcl", main);
    estate.good(&["plan", "--out", "a.plan"]);
    let old = estate.read("a.plan");
    estate.set("greeting", "changed");
    disk.fill(0);
    estate.run(&["plan", "--out", "a.plan"]).exit(1).says(&["plan cannot be saved", "No space left"]);
    estate.run(&["init"]).exit(1).says(&["folder cannot be prepared", "No space left"]);
    assert_eq!(estate.read("a.plan"), old);
    let untidy = "locals {\na=1\n}\n";
    estate.remove("ballast");
    estate.write("untidy.hcl", untidy);
    disk.fill(0);
    estate.run(&["fmt"]).exit(1).says(&["file cannot be written", "No space left"]);
    assert_eq!(estate.read("untidy.hcl"), untidy);
}
