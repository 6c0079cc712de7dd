//! `archive` on another machine: a real sshd on this one.
#![expect(clippy::disallowed_methods, reason = "tests make and look at files")]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use serde_json::json;

use super::tests::{check_recall, file, gz, item, tar_of};
use super::*;
use crate::driver::testing::args;
use crate::driver::testing::sshd::Server;

struct There {
    server: Server,
    ctx: Context,
    steps: tempfile::TempDir,
}

impl There {
    async fn start() -> Option<Self> {
        let server = Server::start().await?;
        let there = Self { ctx: server.ctx(), server, steps: tempfile::tempdir().unwrap() };
        fs::create_dir_all(there.path("")).unwrap();
        Some(there)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.server.path(name)
    }

    /// Does it as a step does, in a folder of its own.
    async fn step(&self, call: serde_json::Value) -> Result<Value, Failure> {
        let dir = tempfile::tempdir_in(self.steps.path()).unwrap().keep();
        Archive.run(&args(call), &Context { dir: Some(dir), ..self.ctx.clone() }).await
    }

    async fn look(&self, call: serde_json::Value) -> Result<Value, Failure> {
        Archive.run(&args(call), &self.ctx).await
    }
}

fn zip_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    use std::io::Write as _;
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in files {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// What does not repeat itself: several pieces even when it is packed.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(length).collect()
}

#[tokio::test]
async fn an_archive_of_another_machine_is_looked_into_as_one_of_this() {
    let Some(there) = There::start().await else { return };
    let big = noise(700_000);
    let files: [(&str, &[u8]); 3] = [("kit/VERSION", b"4.5.6\n"), ("kit/big.bin", &big), ("kit/last", b"end")];
    let tar = tar_of(&files.map(|(name, content)| file(name, content)));
    for (name, content) in [("kit.tgz", gz(&tar)), ("kit.tar", tar), ("kit.zip", zip_of(&files))] {
        let path = there.path(name);
        fs::write(&path, content).unwrap();
        let here = Context::observing("test", crate::driver::testing::local());
        for call in [
            json!({"action": "list", "path": path}),
            json!({"action": "digest", "path": path, "strip_components": 1}),
            json!({"action": "read", "path": path, "member": "kit/VERSION"}),
            json!({"action": "read", "path": path, "member": "kit/last"}),
            json!({"action": "read", "path": path, "member": "kit/none"}),
        ] {
            let expected = Archive.run(&args(call.clone()), &here).await.unwrap();
            assert_eq!(there.look(call.clone()).await.unwrap(), expected, "{call}");
        }
    }
    let none = there.look(json!({"action": "list", "path": there.path("none.tgz")})).await.unwrap_err();
    assert!(none.message.contains("does not exist"), "{none}");
    fs::write(there.path("page.html"), "<html>").unwrap();
    let page = there.look(json!({"action": "list", "path": there.path("page.html")})).await.unwrap_err();
    assert!(page.message.contains("is no archive"), "{page}");
}

#[tokio::test]
async fn a_folder_is_packed_there_and_unpacked_there_the_same() {
    let Some(there) = There::start().await else { return };
    let from = there.path("from");
    fs::create_dir_all(from.join("a/it's deep")).unwrap();
    fs::create_dir_all(from.join("logs/old")).unwrap();
    for (name, content) in [("a/it's deep/file", "x"), ("run me", "#!/bin/sh\n"), ("logs/old/log", "no"), ("a/x.tmp", "no")] {
        fs::write(from.join(name), content).unwrap();
    }
    fs::set_permissions(from.join("run me"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("a/it's deep", from.join("link")).unwrap();
    for name in ["kit.tar.gz", "kit.tar.zst", "kit.tar"] {
        let (to, out) = (there.path(name), there.path("out").join(name));
        let packed = there.step(json!({"action": "pack", "path": from, "to": to, "exclude": ["logs", "**/*.tmp"]})).await.unwrap();
        assert_eq!(packed.get("entries"), Some(&whole(5)), "{name}");
        let unpacked = there
            .step(json!({"action": "unpack", "path": to, "to": out, "sha256": packed.get("sha256").unwrap().as_str().unwrap()}))
            .await
            .unwrap();
        assert_eq!(unpacked.get("entries"), Some(&whole(5)), "{name}");
        assert_eq!(unpacked.get("sha256"), packed.get("sha256"));
        assert_eq!(fs::read_to_string(out.join("a/it's deep/file")).unwrap(), "x");
        assert_eq!(fs::metadata(out.join("run me")).unwrap().permissions().mode() & 0o7777, 0o755);
        assert_eq!(fs::read_link(out.join("link")).unwrap(), Path::new("a/it's deep"));
        assert!(!out.join("logs").exists() && !out.join("a/x.tmp").exists());
        // Never into what somebody else has put there, unless it is said.
        let again = json!({"action": "unpack", "path": to, "to": out});
        assert_eq!(there.step(again).await.unwrap_err().kind, FailureKind::Invalid);
        fs::write(out.join("stale"), "").unwrap();
        there.step(json!({"action": "unpack", "path": to, "to": out, "replace": true})).await.unwrap();
        assert!(!out.join("stale").exists() && out.join("run me").exists());
    }
    let left: Vec<_> = fs::read_dir(there.path("out")).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left.len(), 3, "{left:?}");
}

#[tokio::test]
async fn folders_at_the_beginning_are_left_out_of_tars_and_zips() {
    let Some(there) = There::start().await else { return };
    let files: [(&str, &[u8]); 2] = [("kit-1/bin/run", b"r"), ("kit-1/VERSION", b"1")];
    for (name, content) in
        [("kit.tgz", gz(&tar_of(&files.map(|(name, content)| file(name, content))))), ("kit.zip", zip_of(&files))]
    {
        fs::write(there.path(name), content).unwrap();
        let out = there.path("kits").join(name);
        let call = json!({"action": "unpack", "path": there.path(name), "to": out, "strip_components": 1});
        there.step(call).await.unwrap();
        assert_eq!(fs::read_to_string(out.join("VERSION")).unwrap(), "1", "{name}");
        assert_eq!(fs::read_to_string(out.join("bin/run")).unwrap(), "r", "{name}");
    }
}

#[tokio::test]
async fn what_leads_out_of_an_archive_is_refused_there_and_nothing_is_left() {
    use tar::EntryType::{Fifo, Symlink};
    let Some(there) = There::start().await else { return };
    let big = vec![0; 100_000];
    let wrong = [
        ("link out", tar_of(&[item(Symlink, "l", "../../etc")]), "leads out of the archive"),
        ("absolute link", tar_of(&[item(Symlink, "l", "/etc/passwd")]), "leads out of the archive"),
        ("absolute", tar_of(&[file("/tmp/windlass-evil", b"x")]), "absolute path"),
        ("dots", tar_of(&[file("a/../../evil", b"x")]), "cannot unpack"),
        ("pipe", tar_of(&[item(Fifo, "p", "")]), "device or pipe"),
        ("behind", tar_of(&[item(Symlink, "l", ".."), file("l/evil", b"x")]), ""),
        ("too big", tar_of(&[file("big", &big)]), "more than 50000 bytes"),
        ("zip", zip_of(&[("../evil", b"x")]), ""),
        ("cut", gz(&tar_of(&[file("a", &noise(50_000))]))[..20_000].to_vec(), "cannot unpack"),
    ];
    for (name, content, says) in wrong {
        let dir = there.path("wrong").join(name.replace(' ', "-"));
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("a"), content).unwrap();
        let call = json!({"action": "unpack", "path": dir.join("a"), "to": dir.join("out"), "max_bytes": 50000});
        let failure = there.step(call).await.expect_err(name);
        assert!(failure.message.contains(says), "{name}: {failure}");
        let left: Vec<_> =
            fs::read_dir(&dir).unwrap().flatten().map(|entry| entry.file_name()).filter(|left| left != "a").collect();
        assert!(left.iter().all(|left| left.to_string_lossy().ends_with(".lock")), "{name}: {left:?}");
        assert!(!there.path("wrong/evil").exists() && !there.path("evil").exists(), "{name}");
    }
    let path = there.path("good.tar");
    fs::write(&path, tar_of(&[file("a", b"x")])).unwrap();
    let call = json!({"action": "unpack", "path": path, "to": there.path("good"), "sha256": "0".repeat(64)});
    let failure = there.step(call).await.unwrap_err();
    assert!(failure.message.contains("is not the file that is expected"), "{failure}");
    assert!(!there.path("good").exists());
}

#[tokio::test]
async fn what_was_put_in_its_place_there_is_recalled_and_what_was_not_is_untouched() {
    let Some(there) = There::start().await else { return };
    fs::write(there.path("a"), tar_of(&[file("x", b"x")])).unwrap();
    check_recall(&there.path("a"), &there.path(""), &there.ctx).await;
}
