//! A disk that is full, at every moment of a run: nothing is half written, and after making room all goes on. Only root can make a
//! small disk: where this cannot be done, these tests say nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::estate::{Estate, JOB, JOB_PROVIDER, Ran, await_until};
use crate::forge::{Forge, TOKEN};

/// A disk of a mebibyte.
const SMALL: &str = "size=1024k";

/// A small disk in memory; taken away with the value. `None` where this user may not mount.
struct Disk(PathBuf);

impl Disk {
    /// With these options of tmpfs, in the place of an estate's folder.
    fn mount(estate: &Estate, options: &str) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        let options = format!("{options},mode=755");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "windlass-it"]).arg(&estate.root).output();
        mounted.is_ok_and(|output| output.status.success()).then(|| Self(estate.root.clone()))
    }

    /// A job whose platform lies on another disk, so that only the state has no room: the platform, the state, and its disk.
    fn of_job(options: &str, provider: &str) -> Option<(Estate, Estate, Self)> {
        let platform = Estate::job();
        let mut estate = Estate::empty();
        estate.set("home", &platform.root.display().to_string());
        let disk = Self::mount(&estate, options)?;
        estate.write("main.hcl", JOB);
        estate.write("providers/job/provider.hcl", provider);
        Some((platform, estate, disk))
    }

    /// As [`Self::of_job`], of the sample product, whose releases lie on the other disk, too.
    fn of_sample() -> Option<(Estate, Estate, Self)> {
        let product = Estate::sample();
        let mut estate = Estate::sample();
        estate.set("home", &product.root.display().to_string());
        let main = estate.read("main.hcl");
        let disk = Self::mount(&estate, SMALL)?;
        estate.furnish();
        estate.write("main.hcl", main);
        Some((product, estate, disk))
    }

    /// Fills it but for so many KiB.
    fn fill(&self, left: u64) {
        let path = self.0.join("ballast");
        let stat = rustix::fs::statvfs(&self.0).expect("it is there");
        let free = stat.f_bavail * stat.f_frsize;
        std::fs::write(path, vec![0_u8; usize::try_from(free.saturating_sub(left << 10)).expect("small")]).expect("it fits");
    }
}

/// What a disk has too little of.
#[derive(Debug, Clone, Copy)]
enum Want {
    /// So many KiB are left.
    Room(u64),
    /// So many files can be made.
    Files(u64),
}

impl Want {
    fn options(self) -> &'static str {
        match self {
            Self::Room(_) => "size=4096k",
            Self::Files(_) => "size=8m,nr_inodes=300",
        }
    }

    fn make(self, disk: &Disk) {
        match self {
            Self::Room(left) => disk.fill(left),
            Self::Files(left) => {
                let free = rustix::fs::statvfs(&disk.0).expect("it is there").f_ffree;
                std::fs::create_dir(disk.0.join("ballast")).expect("it fits");
                for number in 1..free.saturating_sub(left) {
                    std::fs::write(disk.0.join(format!("ballast/{number}")), "").expect("it fits");
                }
            }
        }
    }

    fn end(self, disk: &Disk) {
        let ballast = disk.0.join("ballast");
        match self {
            Self::Room(_) => std::fs::remove_file(ballast).expect("it is there"),
            Self::Files(_) => std::fs::remove_dir_all(ballast).expect("it is there"),
        }
    }
}

/// Runs the program, which must come to an end.
fn ends(estate: &Estate, args: &[&str]) -> Ran {
    let began = Instant::now();
    let mut child = estate.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("windlass can be started");
    while child.try_wait().expect("it can be waited for").is_none() {
        if began.elapsed() > Duration::from_secs(60) {
            child.kill().expect("it runs");
            let output = child.wait_with_output().expect("it ends");
            panic!("`windlass {}` hangs:\n{}", args.join(" "), String::from_utf8_lossy(&output.stderr));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ran::of(args, &child.wait_with_output().expect("it has ended")).sober()
}

/// Whether every command ran once, and again only after its undo.
fn is_in_turn(log: &[String]) -> bool {
    let mut done: BTreeMap<&str, bool> = BTreeMap::new();
    log.iter().all(|line| match line.strip_prefix("undo-") {
        Some(name) => done.insert(name, false) == Some(true),
        None => done.insert(line.as_str(), true) != Some(true) || line == "slow-end",
    })
}

/// Applies on a disk that has too little, makes room, and sees that all goes on; answers how the first apply ended.
fn starve(want: Want, provider: &str) -> Option<Option<i32>> {
    let (platform, estate, disk) = Disk::of_job(want.options(), provider)?;
    want.make(&disk);
    let ran = ends(&estate, &["apply", "--auto-approve"]);
    let told = format!("{want:?}: {:?}\n{}", ran.code, ran.err);
    assert!(matches!(ran.code, Some(0 | 1 | 4 | 5)), "{told}");
    if ran.code != Some(0) {
        let said = ran.err.split_whitespace().filter(|word| *word != "│").collect::<Vec<_>>().join(" ").to_lowercase();
        assert!(["no space left", "no room left", "make room", "has room"].iter().any(|words| said.contains(words)), "{told}");
        assert!(ran.code != Some(1) || platform.log().is_empty(), "refused, and something was done: {told}");
    }
    estate.lockfile();
    want.end(&disk);
    let outcome = || {
        let history = estate.good(&["history", "--format", "json"]).json();
        history["runs"][0]["outcome"].as_str().unwrap_or("none").to_owned()
    };
    if ["running", "held", "stopped"].contains(&&*outcome()) {
        let resumed = ends(&estate, &["resume"]);
        assert!(matches!(resumed.code, Some(0 | 4)), "{told}\nthen {}", resumed.err);
    }
    let last = ends(&estate, &["apply", "--auto-approve"]);
    assert_eq!(last.code, Some(0), "{told}\nthen {}", last.err);
    assert!(is_in_turn(&platform.log()), "{:?}: {told}", platform.log());
    estate.run(&["plan", "--detailed-exitcode"]).exit(0);
    let leftovers: Vec<String> = estate.tree("").into_keys().filter(|path| path.contains(".windlass-")).collect();
    assert!(leftovers.is_empty(), "half files lie about: {leftovers:?}: {told}");
    Some(ran.code)
}

/// All of them, a few at once; how often the first apply ended with which code. `None`: this user may not mount.
fn starve_all(wants: &[Want], provider: &str) -> Option<BTreeMap<Option<i32>, u32>> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let (next, codes) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(want) = wants.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Some(code) = starve(*want, provider) {
                        *codes.lock().expect("no panic").entry(code).or_insert(0) += 1;
                    }
                }
            });
        }
    });
    Some(codes.into_inner().expect("no panic")).filter(|codes| !codes.is_empty())
}

/// How much is left, in KiB or files: a few, or with `WINDLASS_DISK_STEP=4` all from nothing to what is plenty, in that step.
fn sweep(few: &[u64], plenty: u64) -> Vec<u64> {
    match std::env::var("WINDLASS_DISK_STEP").ok().and_then(|step| step.parse().ok()) {
        Some(step) => (0..plenty).step_by(step).collect(),
        None => few.to_vec(),
    }
}

#[test]
fn no_room_at_any_moment_is_no_hang_and_no_command_runs_twice() {
    let few = sweep(&[0, 84, 88, 92, 96, 100, 108, 112, 120, 124, 128, 160], 400);
    let wants: Vec<Want> = few.into_iter().map(Want::Room).collect();
    let Some(codes) = starve_all(&wants, JOB_PROVIDER) else { return };
    assert!(codes.len() >= 3, "it was not refused, and failed, and done: {codes:?}");
}

#[test]
fn no_more_files_at_any_moment_is_no_hang_and_no_command_runs_twice() {
    let few = sweep(&[0, 8, 16, 24, 27, 30, 33, 36, 40, 44, 50, 56], 120);
    let wants: Vec<Want> = few.into_iter().map(Want::Files).collect();
    let Some(codes) = starve_all(&wants, JOB_PROVIDER) else { return };
    assert!(codes.len() >= 3, "it was not refused, and failed, and done: {codes:?}");
}

#[test]
fn a_disk_that_fills_up_with_what_a_command_prints_loses_neither_its_end_nor_its_status() {
    let noisy = JOB_PROVIDER.replace("echo slow >> log;", "echo slow >> log; yes | head -c 400000;");
    assert_ne!(noisy, JOB_PROVIDER);
    // The shell minds that it cannot print.
    let strict = noisy.replace("sh\", \"-c\", \"echo slow", "sh\", \"-ec\", \"echo slow");
    assert_ne!(strict, noisy);
    for (provider, codes) in [(noisy, [5, 0]), (strict, [5, 4])] {
        let few = sweep(&[140, 200], 600);
        let wants: Vec<Want> = few.into_iter().map(Want::Room).collect();
        let Some(seen) = starve_all(&wants, &provider) else { return };
        assert!(seen.keys().flatten().any(|code| codes.contains(code)), "{seen:?}");
    }
}

#[test]
fn what_is_about_the_state_says_that_there_is_no_room_and_leaves_it_whole() {
    let Some((platform, estate, disk)) = Disk::of_job(SMALL, JOB_PROVIDER) else { return };
    estate.apply().exit(0);
    let (lock, log) = (estate.lockfile(), platform.log());
    disk.fill(0);
    let before = estate.tree("");
    for args in [
        &["rollback", "--auto-approve"][..],
        &["state", "prune", "--older-than", "1ms"],
        &["plan", "--out", "new.plan"],
        &["apply", "--auto-approve"],
        &["approve", "new.plan"],
    ] {
        let ran = ends(&estate, args);
        assert!(matches!(ran.code, Some(0 | 1 | 3)), "{args:?}: {:?}\n{}", ran.code, ran.err);
        // What is not there is said otherwise; and where there is nothing to do, nothing is written.
        if ran.code == Some(1) && args[0] != "approve" {
            ran.says(&["No space left"]);
        }
        assert_eq!((estate.lockfile(), platform.log()), (lock.clone(), log.clone()), "{args:?}");
        let mut after = estate.tree("");
        after.retain(|path, _| !path.ends_with(".guard"));
        let mut before = before.clone();
        before.retain(|path, _| !path.ends_with(".guard"));
        assert_eq!(after.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>(), "{args:?}");
    }
    estate.remove("ballast");
    estate.good(&["rollback", "--auto-approve"]);
    assert!(is_in_turn(&platform.log()), "{:?}", platform.log());
}

#[test]
fn a_disk_that_can_only_be_read_is_told_and_nothing_is_done() {
    let Some((platform, mut estate, disk)) = Disk::of_job(SMALL, JOB_PROVIDER) else { return };
    estate.apply().exit(0);
    estate.set("version", "2.0.0");
    estate.write("untidy.hcl", "locals {\na=1\n}\n");
    let log = platform.log();
    let remount = |how: &str| {
        let done = Command::new("mount").args(["-o", &format!("remount,{how}")]).arg(&disk.0).status();
        assert!(done.is_ok_and(|status| status.success()), "remount {how}");
    };
    remount("ro");
    for args in [&["apply", "--auto-approve"][..], &["rollback", "--auto-approve"], &["plan", "--out", "new.plan"], &["fmt"]] {
        let ran = ends(&estate, args).exit(1);
        ran.says(&["Read-only file system"]);
    }
    // Who only looks needs not write.
    estate.good(&["plan"]).says(&["2.0.0"]);
    estate.good(&["history"]).says(&["apply succeeded"]);
    assert_eq!(platform.log(), log);
    remount("rw");
    estate.apply().exit(0);
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
    let mut ends = std::collections::BTreeMap::new();
    let mut refused = BTreeSet::new();
    for left in [0, 4, 8, 12, 16, 32, 64, 80, 88, 96, 128] {
        let Some((product, mut estate, disk)) = Disk::of_sample() else { return };
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
    let Some((_product, mut estate, disk)) = Disk::of_sample() else { return };
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

/// What lies about half written.
fn leftovers(estate: &Estate) -> Vec<String> {
    estate.tree("").into_keys().filter(|path| path.contains(".windlass-") && !path.contains("ballast")).collect()
}

/// Runs a command with ever more room, each time followed by `check` (of whether it was done) and, after making room, by `mend`.
fn with_ever_more_room(
    estate: &Estate,
    disk: &Disk,
    before: impl Fn(),
    args: &[&str],
    check: impl Fn(bool, &str),
    mend: impl Fn(bool),
) {
    let mut ends = BTreeSet::new();
    for left in sweep(&[0, 4, 8, 12, 16, 24, 32, 64], 96) {
        before();
        disk.fill(left);
        let ran = self::ends(estate, args);
        let told = format!("`{}` with {left} KiB left: {:?}\n{}", args.join(" "), ran.code, ran.err);
        let done = ran.code == Some(0);
        if !done {
            ran.exit(1).says(&["No space left"]);
        }
        assert_eq!(leftovers(estate), [""; 0], "half files lie about: {told}");
        check(done, &told);
        estate.remove("ballast");
        mend(done);
        ends.insert(done);
    }
    assert_eq!(ends.len(), 2, "`{}`: the disk was never full, or always", args.join(" "));
}

#[test]
fn a_new_provider_stands_whole_or_not_at_all() {
    let Some((_platform, estate, disk)) = Disk::of_job(SMALL, JOB_PROVIDER) else { return };
    let folder = estate.path("providers/acme");
    let new = ["provider", "new", "acme"];
    let check = |done: bool, told: &str| assert_eq!(folder.exists(), done, "{told}");
    let mend = |done: bool| {
        if !done {
            estate.good(&new);
        }
        estate.good(&["provider", "check", "acme"]);
        assert!(estate.read("providers/acme/README.md").len() > 100);
        std::fs::remove_dir_all(&folder).expect("it is there");
    };
    with_ever_more_room(&estate, &disk, || (), &new, check, mend);
}

#[test]
fn a_folder_that_could_not_be_prepared_is_prepared_when_there_is_room() {
    let outside = Estate::empty();
    outside.write("job/provider.hcl", JOB_PROVIDER);
    let Some((platform, mut estate, disk)) = Disk::of_job(SMALL, JOB_PROVIDER) else { return };
    std::fs::remove_dir_all(estate.path("providers")).expect("it is there");
    estate.env("WINDLASS_PROVIDERS", &outside.root.display().to_string());
    let forget = || {
        std::fs::remove_dir_all(estate.path(".windlass")).ok();
        std::fs::remove_file(estate.path("windlass-sources.lock")).ok();
    };
    let mend = |_| {
        estate.good(&["init"]);
        assert!(estate.read("windlass-sources.lock").contains("provider.job"));
        estate.good(&["plan"]);
    };
    with_ever_more_room(&estate, &disk, forget, &["init"], |_, _| (), mend);
    assert_eq!(platform.log(), [""; 0]);
}

#[test]
fn a_lock_that_could_not_be_broken_is_held_and_is_broken_when_there_is_room() {
    let Some((platform, estate, disk)) = Disk::of_job("size=8m", JOB_PROVIDER) else { return };
    let hold = || {
        platform.write("job/wait", "");
        let mut child = estate.spawn(&["apply", "--auto-approve"]);
        await_until("it has begun", || platform.log().iter().any(|line| line == "slow"));
        child.kill().expect("it runs");
        child.wait().expect("it has ended");
    };
    let check = |_: bool, told: &str| {
        let looked = ends(&estate, &["history"]);
        assert_eq!(looked.code, Some(0), "{told}\n{}", looked.err);
    };
    let mend = |done: bool| {
        let unlocked = estate.good(&["unlock", "test", "--force"]);
        unlocked.says(&[if done { "Nobody holds" } else { "is free" }]);
        platform.remove("job/wait");
        ends(&estate, &["resume"]);
        estate.good(&["rollback", "--auto-approve"]);
        platform.write("job/log", "");
    };
    with_ever_more_room(&estate, &disk, hold, &["unlock", "test", "--force"], check, mend);
}

#[test]
fn what_is_adopted_is_in_lockfile_and_history_or_in_neither() {
    let Some((platform, estate, disk)) = Disk::of_job(SMALL, JOB_PROVIDER) else { return };
    estate.apply().exit(0);
    let version = |version: &str| platform.write("job/version", version);
    let args = ["drift", "adopt", "job.one", "--reason", "It was urgent."];
    let recorded = || (estate.lockfile().contains("version = \"3.0.0\""), reasons(&estate));
    let before = std::cell::Cell::new(0);
    let prepare = || {
        version("1.0.0\n");
        estate.good(&["drift", "adopt", "job.one", "--reason", "Back again."]);
        version("3.0.0\n");
        before.set(reasons(&estate));
    };
    let check = |done: bool, told: &str| {
        assert_eq!(recorded(), (done, before.get() + usize::from(done)), "{told}\n{}", estate.lockfile());
    };
    let mend = |done: bool| {
        if !done {
            estate.good(&args).says(&["recorded as it is there (3.0.0)"]);
        }
        assert_eq!(recorded(), (true, before.get() + 1));
    };
    with_ever_more_room(&estate, &disk, prepare, &args, check, mend);
}

/// How often the history says why something was adopted.
fn reasons(estate: &Estate) -> usize {
    let history = estate.good(&["history", "--format", "json", "--limit", "1000"]);
    history.out.matches("It was urgent.").count()
}

#[test]
fn a_comment_needs_no_room() {
    let Some((platform, mut estate, disk)) = Disk::of_job(SMALL, JOB_PROVIDER) else { return };
    let forge = Forge::start("gitea", &platform.path("forge"), &[]);
    estate.good(&["plan", "--out", "a.plan"]);
    estate.env("WINDLASS_FORGE_TOKEN", TOKEN);
    disk.fill(0);
    let before = estate.tree("");
    let place = ["--forge", "gitea", "--api", &forge.api, "--repo", "owner/name", "--number", "7"];
    let args: Vec<&str> = ["comment", "--plan", "a.plan"].into_iter().chain(place).collect();
    estate.good(&args).says(&["Wrote a comment on"]);
    assert_eq!(estate.tree(""), before);
    assert_eq!(forge.comments().len(), 1);
}
