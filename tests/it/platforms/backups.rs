//! The rows about backups, B01 to B10, on a product whose process never stops writing (`testdata/providers/vault`).

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::estate::{Estate, Ran, await_until, signal};

use database::{PASSWORD, Postgres, USER, wanted};

mod database;

/// One vault, whose `backup` block is the caller's.
struct Vault {
    estate: Estate,
}

impl Vault {
    /// Installed and running.
    fn new(backup: &str) -> Self {
        let vault = Self::declared("", backup);
        vault.estate.apply().exit(0);
        vault
    }

    fn declared(settings: &str, backup: &str) -> Self {
        let estate = Estate::empty();
        let provider = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/providers/vault/provider.hcl");
        estate.write("providers/vault/provider.hcl", std::fs::read_to_string(provider).expect("a text"));
        let vault = Self { estate };
        vault.declare("1.0.0", settings, backup);
        vault
    }

    fn declare(&self, version: &str, settings: &str, backup: &str) {
        let root = self.estate.root.display();
        let backup = backup.replace("KEY", &format!("{root}/keys/backup"));
        let main = format!(
            "environment \"test\" {{}}\nhost \"twin\" {{}}\ninstance \"vault\" \"one\" {{\n  environment = environment.test\n  \
             version     = \"{version}\"\n  dir         = \"{root}/data\"\n{settings}\n  backup {{\n    repository = \
             \"{root}/backups\"\n{backup}\n  }}\n}}\n"
        );
        self.estate.write("main.hcl", main);
    }

    fn backup(&self) -> Ran {
        self.estate.run(&["backup", "run", "vault.one"])
    }

    fn list(&self) -> Vec<Value> {
        self.estate.good(&["backup", "list", "--format", "json"]).json()["backups"].as_array().expect("a list").clone()
    }

    fn ids(&self) -> Vec<String> {
        self.list().iter().map(|backup| backup["id"].as_str().expect("a text").to_owned()).collect()
    }

    /// Whether the process runs: it writes.
    fn is_running(&self) -> bool {
        let before = self.estate.read("data/tick");
        for _ in 0..100 {
            std::thread::sleep(std::time::Duration::from_millis(20));
            if self.estate.read("data/tick") != before {
                return true;
            }
        }
        false
    }

    fn stop(&self) {
        let pid = self.estate.read("data.pid");
        let pid = pid
            .split(|c: char| !c.is_ascii_digit())
            .find_map(|word| word.parse::<i32>().ok())
            .and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
        }
    }
}

impl Drop for Vault {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Content that does not compress.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 88_172_645_463_325_252_u64;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..bytes / 8).flat_map(next).collect()
}

#[test]
fn b01_a_full_backup_of_the_stopped_instance_is_an_archive_and_jobs_are_asked_for_first() {
    let vault = Vault::new("");
    vault.estate.write("data/jobs/training", "");
    vault.backup().exit(3).says(&["1 jobs run", "Wait for them to end", "nothing was done"]);
    assert!(vault.is_running(), "it was stopped for a backup that was refused");
    vault.estate.remove("data/jobs/training");
    vault.backup().exit(0).says(&["begin vault.one@1.0.0:stop", "begin vault.one@1.0.0:backup", "begin vault.one@1.0.0:start"]);
    assert!(vault.is_running());
    let [backup] = &vault.list()[..] else { panic!("not one backup") };
    assert_eq!((&backup["verified"], &backup["consistent"], &backup["is"]), (&true.into(), &true.into(), &"there".into()));
    let archive = vault.estate.path("backups").join(backup["id"].as_str().expect("a text")).join("data.tar.zst");
    let listed = Command::new("tar").args(["--zstd", "-tf"]).arg(archive).output().expect("tar is there");
    assert!(String::from_utf8_lossy(&listed.stdout).contains("config/project"), "{listed:?}");
    // It is what the lockfile knows, and no hop: there is nothing to roll back.
    let lock = vault.estate.lockfile();
    assert!(lock.contains("backup {") && lock.matches("hop {").count() == 1, "{lock}");
    vault.estate.good(&["history"]).says(&["backup succeeded"]);
    vault.estate.good(&["plan", "--detailed-exitcode"]);
}

#[test]
fn b01_a_backup_that_fails_starts_the_instance_again() {
    let vault = Vault::new("");
    vault.estate.write("backups", "no folder");
    vault.backup().exit(4).says(&["undo"]);
    assert!(vault.is_running());
    assert!(vault.list().is_empty());
}

#[test]
fn b02_an_incremental_backup_stores_what_is_new_and_an_interrupted_one_spoils_nothing() {
    let vault = Vault::new("method = \"restic\"\n password_file = \"KEY\"\n mode = \"warm\"");
    vault.estate.write("data/big", noise(4_000_000));
    vault.backup().exit(0);
    let first = vault.list();
    assert_eq!(first.len(), 2, "the first pass while it ran, and the second while it stood");
    assert_eq!((&first[0]["consistent"], &first[1]["consistent"]), (&false.into(), &true.into()));
    assert!(first[1]["size"].as_u64() < Some(200_000), "{first:?}");
    let good = first[1]["id"].as_str().expect("a text").to_owned();

    vault.estate.write("data/bigger", noise(40_000_000));
    let mut child = vault.estate.spawn(&["backup", "run", "vault.one"]);
    let partial = || {
        let names = std::fs::read_dir(vault.estate.path("backups/windlass")).into_iter().flatten().flatten();
        names.filter(|name| name.file_name().to_string_lossy().ends_with(".partial")).count()
    };
    await_until("a backup has begun", || partial() > 0);
    signal(&child, rustix::process::Signal::KILL);
    child.wait().expect("it ends");
    assert_eq!(vault.ids().len(), 2, "an interrupted one is no backup");
    vault.estate.good(&["backup", "verify", "vault.one", "--id", &good]).says(&["is right"]);
    // The run goes on, and clears away what was left.
    vault.estate.good(&["resume"]);
    assert_eq!(partial(), 0);
    vault.estate.good(&["backup", "verify", "vault.one", "--all"]);
    assert!(vault.is_running());
    assert_eq!(vault.list().last().expect("one")["consistent"], true);
}

/// Commands that copy: a snapshot where the file system has none.
fn copying(area: &Path) -> String {
    let area = area.display();
    format!(
        "mode = \"snapshot\"\n snapshot = {{\n create = [\"sh\", \"-c\", \"mkdir -p '{area}' && cp -a \\\"$1\\\" '{area}/'\\\"$2\\\"\", \
         \"sh\", \"{{path}}\", \"{{name}}\"]\n mount = [\"chmod\", \"a-w\", \"{area}/{{name}}\"]\n path = \"{area}/{{name}}\"\n unmount = \
         [\"chmod\", \"u+w\", \"{area}/{{name}}\"]\n delete = [\"rm\", \"-r\", \"{area}/{{name}}\"]\n }}"
    )
}

#[test]
fn b03_a_snapshot_is_backed_up_while_the_instance_runs_and_goes_away_again() {
    let vault = Vault::new("");
    let area = vault.estate.path("snapshots");
    vault.declare("1.0.0", "", &format!("method = \"restic\"\n password_file = \"KEY\"\n{}", copying(&area)));
    vault.backup().exit(0).lacks("stop");
    let [backup] = &vault.list()[..] else { panic!("not one backup") };
    assert_eq!((&backup["consistent"], &backup["verified"]), (&true.into(), &true.into()));
    assert_eq!(backup["path"].as_str(), vault.estate.path("data").to_str(), "it is of the folder, not of the snapshot");
    assert_eq!(std::fs::read_dir(&area).expect("a folder").count(), 0);
    assert!(vault.is_running());
}

#[test]
fn b03_a_backup_of_what_runs_is_possibly_inconsistent_and_no_restore_takes_it_unasked() {
    let vault = Vault::new("mode = \"online\"");
    vault.backup().exit(0);
    vault.estate.good(&["backup", "list"]).says(&["possibly inconsistent"]);
    vault.estate.run(&["backup", "restore", "vault.one", "--auto-approve"]).exit(1).says(&["no verified and consistent backup"]);
    let id = vault.ids().remove(0);
    vault
        .estate
        .run(&["backup", "restore", "vault.one", "--id", &id, "--auto-approve"])
        .exit(1)
        .says(&["is possibly inconsistent", "--doubtful"]);
    vault.estate.good(&["backup", "restore", "vault.one", "--id", &id, "--doubtful", "--auto-approve"]);
}

#[test]
fn b03_a_real_snapshot_of_btrfs_is_backed_up() {
    if !wanted() || !rustix::process::geteuid().is_root() || Command::new("mkfs.btrfs").arg("--version").output().is_err() {
        return;
    }
    let vault = Vault::declared("", "");
    let (image, volume) = (vault.estate.path("image"), vault.estate.path("volume"));
    std::fs::File::create(&image).and_then(|file| file.set_len(200 << 20)).expect("a file");
    std::fs::create_dir(&volume).expect("a folder");
    let run = |program: &str, args: &[&str]| Command::new(program).args(args).output().expect("it can be run").status.success();
    let (image, mount) = (image.display().to_string(), volume.display().to_string());
    assert!(run("mkfs.btrfs", &["-q", &image]));
    if !run("mount", &["-o", "loop", &image, &mount]) {
        eprintln!("skipped: no loop device can be mounted here");
        return;
    }
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        assert!(run("btrfs", &["subvolume", "create", &format!("{mount}/data")]));
        std::os::unix::fs::symlink(format!("{mount}/data"), vault.estate.path("data")).expect("a link");
        let backup = format!(
            "method = \"restic\"\n password_file = \"KEY\"\n mode = \"snapshot\"\n snapshot = {{ create = [\"btrfs\", \"subvolume\", \"snapshot\", \"-r\", \"{{path}}\", \
             \"{mount}/{{name}}\"], path = \"{mount}/{{name}}\", delete = [\"btrfs\", \"subvolume\", \"delete\", \"{mount}/{{name}}\"] }}"
        );
        vault.declare("1.0.0", "", &backup);
        vault.estate.apply().exit(0);
        vault.estate.write("data/big", noise(8_000_000));
        vault.backup().exit(0);
        vault.backup().exit(0);
        let list = vault.list();
        assert!(list.iter().all(|backup| backup["consistent"] == true && backup["verified"] == true), "{list:?}");
        assert!(list[1]["size"].as_u64() < Some(200_000), "the second one read the big file again: {list:?}");
        let left = Command::new("btrfs").args(["subvolume", "list", &mount]).output().expect("it can be run");
        assert_eq!(String::from_utf8_lossy(&left.stdout).lines().count(), 1, "{left:?}");
    }));
    vault.stop();
    assert!(run("umount", &["-l", &mount]));
    if let Err(panic) = result {
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn b04_what_sets_leave_out_is_recorded_by_name_and_told_before_a_restore() {
    let vault = Vault::new("exclude = [\"temporary\", \"logs\"]");
    vault.backup().exit(0);
    let [backup] = &vault.list()[..] else { panic!("not one backup") };
    assert_eq!(backup["excluded"], serde_json::json!(["logs", "temporary"]));
    assert!(vault.estate.lockfile().contains("excluded = [\"logs\",\"temporary\"]"), "{}", vault.estate.lockfile());
    let archive = vault.estate.path("backups").join(backup["id"].as_str().expect("a text")).join("data.tar.zst");
    let listed = Command::new("tar").args(["--zstd", "-tf"]).arg(archive).output().expect("tar is there");
    let listed = String::from_utf8_lossy(&listed.stdout);
    assert!(!listed.contains("scratch") && !listed.contains("audit.log") && listed.contains("config/project"), "{listed}");
    vault.estate.write("data/tmp/scratch", "later");
    vault.estate.good(&["backup", "restore", "vault.one", "--auto-approve"]).says(&["it does not hold: logs, temporary"]);
    assert_eq!(vault.estate.read("data/tmp/scratch"), "later", "what the backup does not hold was taken over");
}

#[test]
fn b05_a_pristine_restore_moves_the_content_away_and_brings_the_old_one_back() {
    let vault = Vault::new("");
    vault.backup().exit(0);
    vault.estate.write("data/config/project", "ruined");
    vault.estate.write("data/config/later", "new");
    vault.estate.run(&["backup", "restore", "vault.one"]).exit(3).says(&["there is nobody to ask", "is restored", "is lost"]);
    assert_eq!(vault.estate.read("data/config/project"), "ruined", "nobody said yes");
    vault
        .estate
        .good(&["backup", "restore", "vault.one", "--auto-approve"])
        .says(&["vault.one@1.0.0:stop", "vault.one@1.0.0:restore"]);
    assert_eq!(vault.estate.read("data/config/project"), "precious\n");
    assert!(!vault.estate.path("data/config/later").exists());
    assert!(vault.is_running());
    let names = std::fs::read_dir(&vault.estate.root).expect("a folder").flatten().map(|entry| entry.path());
    let aside: Vec<_> = names.filter(|path| path.to_string_lossy().contains("data.before-restore-")).collect();
    let [aside] = &aside[..] else { panic!("the content before is not aside: {aside:?}") };
    assert_eq!(std::fs::read_to_string(aside.join("config/project")).expect("a text"), "ruined");
    vault.estate.good(&["history"]).says(&["restore succeeded"]);
}

#[test]
fn b06_a_restore_elsewhere_replays_the_installer_and_one_onto_an_older_version_is_refused() {
    let vault = Vault::new("");
    vault.backup().exit(0);
    let old = vault.ids().remove(0);
    vault.declare("1.1.0", "", "");
    vault.estate.apply().exit(0);
    let to = vault.estate.path("other/place").display().to_string();
    vault
        .estate
        .good(&["backup", "restore", "vault.one", "--id", &old, "--to", &to, "--host", "twin", "--auto-approve"])
        .says(&["restore 1.0.0 → 1.1.0", "the instance itself is not touched"]);
    assert_eq!(vault.estate.read("other/place/install.log"), "upgrade 1.0.0 1.1.0 on twin\npython\nintegrations\n");
    assert_eq!(vault.estate.read("other/place/config/project"), "precious\n");
    assert_eq!(vault.estate.read("data/VERSION"), "1.1.0\n");
    assert!(vault.is_running(), "the instance itself was touched");
    vault.estate.run(&["backup", "restore", "vault.one", "--host", "nowhere"]).exit(1).says(&["no host `nowhere`"]);

    vault.backup().exit(0);
    let new = vault.ids().pop().expect("one");
    vault.declare("1.0.0", "", "");
    vault.estate.apply().exit(0);
    vault
        .estate
        .run(&["backup", "restore", "vault.one", "--id", &new, "--to", &to, "--auto-approve"])
        .exit(3)
        .says(&["data of a newer version cannot be restored onto an older one"]);
}

#[test]
fn b07_a_schedule_becomes_units_and_cron_lines_and_old_backups_go_only_after_a_new_good_one() {
    let block = "schedule = \"15 6 * * 1-5\"\n keep {\n last = 2\n }";
    let vault = Vault::new(block);
    let cron = vault.estate.good(&["backup", "schedule", "--format", "cron"]).out;
    assert!(cron.starts_with("15 6 * * 1-5 ") && cron.ends_with("backup run vault.one\n"), "{cron}");
    let units = vault.estate.good(&["backup", "schedule"]).says(&["OnCalendar=Mon,Tue,Wed,Thu,Fri *-*-* 06:15:00"]).out;
    assert!(units.contains("/etc/systemd/system/windlass-backup-vault.one.timer"), "{units}");
    // What the cron line says is run as it is written.
    let line = cron.splitn(6, ' ').nth(5).expect("a command").trim().to_owned();
    for _ in 0..3 {
        let mut shell = Command::new("sh");
        shell.args(["-c", &line]);
        vault.estate.furnish_command(&mut shell);
        let output = shell.current_dir("/").output().expect("a shell");
        assert!(output.status.success(), "{output:?}");
    }
    let kept = vault.ids();
    assert_eq!(kept.len(), 2);
    // A new one that is not good removes nothing.
    vault.declare("1.0.0", "", &format!("mode = \"online\"\n{block}"));
    vault.backup().exit(0).says(&["no old one is removed"]);
    let now = vault.ids();
    assert_eq!(now.len(), 3);
    assert_eq!(now[..2], kept[..]);
    vault.declare("1.0.0", "", "");
    vault.estate.run(&["backup", "schedule"]).exit(1).says(&["nothing is scheduled"]);
    vault.declare("1.0.0", "", "schedule = \"daily\"");
    vault.estate.run(&["validate"]).exit(1).says(&["has not five fields"]);
}

#[test]
fn b08_data_and_database_form_one_set_that_is_restored_and_pruned_as_one() {
    if !wanted() {
        return;
    }
    let server = Postgres::start();
    let settings = format!(
        "  database = {{ host = \"127.0.0.1\", port = {}, user = \"{USER}\", password = \"{PASSWORD}\", name = \"postgres\", bin_dir = \"{}\" }}",
        server.port,
        server.bin.display()
    );
    let vault = Vault::declared(&settings, "mode = \"matched\"");
    vault.estate.apply().exit(0);
    let sql = |sql: &str| server.sql(sql);
    sql("CREATE TABLE item (name text); INSERT INTO item VALUES ('governed')");
    vault.backup().exit(0);
    let set = vault.list();
    assert_eq!(set.len(), 2);
    assert_eq!(set[0]["set"]["name"], set[1]["set"]["name"]);
    assert_eq!(set[0]["set"]["parts"], serde_json::json!(["data", "database"]));

    sql("UPDATE item SET name = 'lost'");
    vault.estate.write("data/config/project", "ruined");
    vault.estate.good(&["backup", "restore", "vault.one", "--auto-approve"]);
    assert_eq!(sql("SELECT name FROM item"), "governed");
    assert_eq!(vault.estate.read("data/config/project"), "precious\n");

    // A set of which a part is missing restores nothing, and does not stand for a good one.
    vault.backup().exit(0);
    let newer = vault.list();
    assert_eq!(newer.len(), 4);
    let dump = newer.iter().rev().find(|backup| backup["method"] == "pg_dump").expect("a dump");
    std::fs::remove_file(dump["location"].as_str().expect("a path")).expect("it is there");
    let name = dump["set"]["name"].as_str().expect("a text");
    vault
        .estate
        .run(&["backup", "restore", "vault.one", "--set", name, "--auto-approve"])
        .exit(1)
        .says(&["is not complete: database is missing"]);
    vault.estate.good(&["backup", "prune", "vault.one", "--keep-last", "1"]);
    assert_eq!(vault.list().iter().filter(|backup| backup["is"] == "there").count(), 3, "the older set is the last good one");
    vault.backup().exit(0);
    vault.estate.good(&["backup", "prune", "vault.one", "--keep-last", "1"]);
    let left = vault.list();
    assert_eq!(left.len(), 2, "{left:?}");
    assert_eq!(left[0]["set"]["name"], left[1]["set"]["name"]);
}

#[test]
fn b09_a_managed_instance_is_handed_over_and_not_backed_up() {
    let vault = Vault::new("method = \"managed\"\n reference = \"snap-policy-0123\"");
    for _ in 0..2 {
        vault.backup().exit(0).says(&["its backups are made by others (snap-policy-0123): handed over"]);
    }
    let [backup] = &vault.list()[..] else { panic!("not one entry") };
    assert_eq!(
        (&backup["method"], &backup["location"], &backup["is"]),
        (&"managed".into(), &"snap-policy-0123".into(), &"handed over".into())
    );
    assert!(!vault.estate.path("backups").exists());
    vault.estate.run(&["backup", "restore", "vault.one", "--auto-approve"]).exit(1).says(&["made by others: snap-policy-0123"]);
    vault.declare("1.0.0", "", "method = \"managed\"");
    vault.estate.run(&["validate"]).exit(1).says(&["`backup.reference`"]);
}

#[test]
fn b10_backups_are_listed_verified_and_pruned_and_what_a_rollback_needs_stays() {
    let vault = Vault::new("method = \"restic\"\n password_file = \"KEY\"");
    vault.estate.good(&["backup", "list"]).says(&["There are no backups."]);
    vault.backup().exit(0);
    vault.declare("1.1.0", "", "method = \"restic\"\n password_file = \"KEY\"");
    vault.estate.apply().exit(0);
    vault.backup().exit(0);
    vault.backup().exit(0);
    vault.estate.good(&["backup", "list"]).says(&["vault.one", "restic", "verified", "for a rollback", "there"]);
    let all = vault.list();
    assert_eq!(all.len(), 4);
    vault.estate.good(&["backup", "prune", "vault.one", "--keep-last", "1", "--dry-run"]).says(&["would remove"]);
    assert_eq!(vault.list().len(), 4);
    vault.estate.good(&["backup", "prune", "vault.one", "--keep-last", "1"]).says(&["2 backups kept, 1 of them for a rollback"]);
    let left = vault.list();
    assert_eq!(left.len(), 2);
    assert_eq!(left[0]["needed"], true);
    assert_eq!(vault.estate.lockfile().matches("backup {").count(), 2);

    // What is damaged is found out, recorded as such, and does not stand for a good one.
    vault.estate.good(&["backup", "verify", "vault.one"]).says(&["is right"]);
    vault.estate.good(&["backup", "prune", "vault.one", "--keep-last", "1", "--include-needed"]);
    let [last] = &vault.list()[..] else { panic!("not one is left") };
    let mut open = vec![vault.estate.path("backups/data")];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(path).expect("a folder").flatten().map(|entry| entry.path()));
        } else {
            std::fs::remove_file(path).expect("a file");
        }
    }
    vault.estate.run(&["backup", "verify", "vault.one"]).exit(1).says(&["is damaged", last["id"].as_str().expect("a text")]);
    assert!(vault.estate.lockfile().contains("verified = false"));
    vault.estate.run(&["backup", "restore", "vault.one", "--auto-approve"]).exit(1).says(&["no verified and consistent backup"]);
    let id = last["id"].as_str().expect("a text");
    let restore = ["backup", "restore", "vault.one", "--id", id, "--doubtful", "--auto-approve"];
    vault.estate.run(&restore).exit(4).says(&["is damaged"]).lacks("begin vault.one@1.1.0:stop");
    assert!(vault.is_running(), "it was stopped for a backup that cannot be read");
    vault.estate.run(&["backup", "verify", "vault.one", "--id", "absent"]).exit(1).says(&["nothing was found to verify"]);
    vault.estate.run(&["backup", "list", "vault.two"]).exit(1).says(&["did you mean `vault.one`"]);
}
