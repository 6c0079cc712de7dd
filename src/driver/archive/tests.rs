//! `archive` with real archives, well-made and malicious.
#![expect(clippy::disallowed_methods, reason = "tests make and look at files")]

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use serde_json::json;

use super::*;
use crate::driver::testing::{applying, args};

async fn archive(json: serde_json::Value) -> Result<Value, Failure> {
    let dir = tempfile::tempdir().unwrap();
    Archive.run(&args(json), &applying(dir.path())).await
}

/// One entry of an archive that is made by hand; the name goes in as it is.
pub(super) struct Item<'a> {
    kind: tar::EntryType,
    name: &'a str,
    target: &'a str,
    content: &'a [u8],
    declared: Option<u64>,
    mode: u32,
}

pub(super) fn item<'a>(kind: tar::EntryType, name: &'a str, target: &'a str) -> Item<'a> {
    Item { kind, name, target, content: b"", declared: None, mode: 0o644 }
}

pub(super) fn file<'a>(name: &'a str, content: &'a [u8]) -> Item<'a> {
    Item { content, ..item(tar::EntryType::Regular, name, "") }
}

pub(super) fn tar_of(items: &[Item<'_>]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for item in items {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..item.name.len()].copy_from_slice(item.name.as_bytes());
        header.as_old_mut().linkname[..item.target.len()].copy_from_slice(item.target.as_bytes());
        header.set_entry_type(item.kind);
        header.set_mode(item.mode);
        header.set_size(item.declared.unwrap_or(item.content.len() as u64));
        header.set_cksum();
        builder.append(&header, item.content).unwrap();
    }
    builder.into_inner().unwrap()
}

pub(super) fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Unpacks bytes; gives the failure's message, having checked that nothing was left.
async fn refusal(bytes: &[u8], more: serde_json::Value) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    fs::write(&path, bytes).unwrap();
    let mut call = json!({"action": "unpack", "path": path, "to": dir.path().join("out")});
    call.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let error = archive(call).await.unwrap_err();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "{error}");
    error.message
}

#[tokio::test]
async fn what_is_packed_comes_back_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let from = dir.path().join("from");
    fs::create_dir_all(from.join("a/empty")).unwrap();
    fs::write(from.join("a/run"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(from.join("a/run"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(from.join("x".repeat(180)), vec![7; 300_000]).unwrap();
    fs::hard_link(from.join("a/run"), from.join("b")).unwrap();
    symlink("a/run", from.join("link")).unwrap();
    fs::create_dir(from.join("logs")).unwrap();
    fs::write(from.join("logs/l"), "no").unwrap();
    for name in ["k.tar.gz", "k.tar.zst", "k.tar", "k.tgz"] {
        let packed =
            archive(json!({"action": "pack", "path": from, "to": dir.path().join(name), "exclude": ["logs"]})).await.unwrap();
        let out = dir.path().join(format!("out-{name}"));
        let unpacked = archive(json!({
            "action": "unpack", "path": dir.path().join(name), "to": out, "sha256": packed.get("sha256").unwrap().as_str(),
        }))
        .await
        .unwrap();
        assert_eq!(unpacked.get("entries"), packed.get("entries"));
        assert_eq!(fs::read(out.join("x".repeat(180))).unwrap(), vec![7; 300_000]);
        assert_eq!(fs::metadata(out.join("a/run")).unwrap().mode() & 0o7777, 0o755);
        assert_eq!(fs::metadata(out.join("a/run")).unwrap().ino(), fs::metadata(out.join("b")).unwrap().ino());
        assert_eq!(fs::read_link(out.join("link")).unwrap(), PathBuf::from("a/run"));
        assert!(out.join("a/empty").is_dir() && !out.join("logs").exists());
        let listed = std::process::Command::new("tar").arg("-tf").arg(dir.path().join(name)).output().unwrap();
        assert!(listed.status.success(), "{listed:?}");
    }
}

#[tokio::test]
async fn a_zip_is_unpacked_with_its_modes_and_links() {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    zip.add_directory("kit/", options).unwrap();
    zip.start_file("kit/bin/run", options.unix_permissions(0o755)).unwrap();
    zip.write_all(b"run").unwrap();
    zip.add_symlink("kit/link", "bin/run", options).unwrap();
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a"), zip.finish().unwrap().into_inner()).unwrap();
    let out = dir.path().join("out");
    archive(json!({"action": "unpack", "path": dir.path().join("a"), "to": out, "strip_components": 1})).await.unwrap();
    assert_eq!(fs::metadata(out.join("bin/run")).unwrap().mode() & 0o777, 0o755);
    assert_eq!(fs::read_to_string(out.join("link")).unwrap(), "run");
}

#[tokio::test]
async fn names_and_links_that_lead_out_are_refused() {
    use tar::EntryType::{Block, Char, Fifo, Link, Symlink};
    let cases: Vec<(Vec<Item<'_>>, &str)> = vec![
        (vec![file("../evil", b"x")], "`..`"),
        (vec![file("a/../../evil", b"x")], "`..`"),
        (vec![file("/etc/evil", b"x")], "absolute"),
        (vec![item(Symlink, "l", "/etc"), file("l/evil", b"x")], "no directory"),
        (vec![item(Symlink, "l", "/etc")], "leads out"),
        (vec![item(Symlink, "d/l", "../../x")], "leads out"),
        (vec![item(Link, "l", "/etc/passwd")], "absolute"),
        (vec![item(Link, "l", "../../etc/passwd")], "`..`"),
        (vec![item(Link, "l", "absent")], "no file that came before"),
        (vec![item(Symlink, "s", "x"), item(Link, "l", "s")], "no file that came before"),
        (vec![item(Char, "null", "")], "device"),
        (vec![item(Block, "disk", "")], "device"),
        (vec![item(Fifo, "pipe", "")], "device"),
        (vec![file("a", b"1"), file("a", b"2")], "twice"),
        (vec![file("a", b"1"), file("./a", b"2")], "twice"),
        (vec![file("a", b"1"), file("a/b", b"2")], "no directory"),
    ];
    for (items, expected) in cases {
        let message = refusal(&gz(&tar_of(&items)), json!({})).await;
        assert!(message.contains(expected), "{expected}: {message}");
    }
}

#[tokio::test]
async fn a_zip_that_leads_out_is_refused() {
    for name in ["../evil", "/etc/evil", "a/../../evil"] {
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default();
        zip.start_file(name, options).unwrap();
        zip.write_all(b"x").unwrap();
        let message = refusal(&zip.finish().unwrap().into_inner(), json!({})).await;
        assert!(message.contains("..") || message.contains("absolute"), "{name}: {message}");
    }
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    zip.add_symlink("l", "../../etc", options).unwrap();
    let message = refusal(&zip.finish().unwrap().into_inner(), json!({})).await;
    assert!(message.contains("leads out"), "{message}");
}

#[tokio::test]
async fn setuid_does_not_survive() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    fs::write(&path, tar_of(&[Item { mode: 0o6755, ..file("su", b"x") }])).unwrap();
    archive(json!({"action": "unpack", "path": path, "to": dir.path().join("out")})).await.unwrap();
    assert_eq!(fs::metadata(dir.path().join("out/su")).unwrap().mode() & 0o7777, 0o755);
}

#[tokio::test]
async fn absurd_sizes_are_refused() {
    let huge = tar_of(&[Item { declared: Some(1 << 50), ..file("huge", b"x") }]);
    assert!(refusal(&huge, json!({})).await.contains("more than"));
    let big = tar_of(&[file("big", &vec![1; 2000])]);
    assert!(refusal(&big, json!({"max_bytes": 1000})).await.contains("more than 1000 bytes"));
    let many = tar_of(&[file("a", b""), file("b", b""), file("c/d", b"")]);
    assert!(refusal(&many, json!({"max_entries": 3})).await.contains("entries"));
    let zeros = vec![0; 80 << 20];
    let bomb = gz(&tar_of(&[file("bomb", &zeros)]));
    assert!(refusal(&bomb, json!({"max_ratio": 20})).await.contains("absurdly"));
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file("bomb", zip::write::SimpleFileOptions::default()).unwrap();
    zip.write_all(&zeros).unwrap();
    assert!(refusal(&zip.finish().unwrap().into_inner(), json!({"max_ratio": 20})).await.contains("absurdly"));
}

#[tokio::test]
async fn truncated_and_damaged_archives_are_refused() {
    let content: Vec<u8> = (0..50_000u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let plain = tar_of(&[file("a", &content), file("b", b"end")]);
    let compressed = gz(&plain);
    let zst = zstd::encode_all(&plain[..], 3).unwrap();
    for whole in [&plain, &compressed, &zst] {
        for part in [1, 2, 3] {
            refusal(&whole[..whole.len() * part / 4], json!({})).await;
        }
    }
    // At the very boundary of an entry, where a plain tar gives no sign.
    refusal(&plain[..512 + content.len().next_multiple_of(512)], json!({})).await;
    refusal(&compressed[..compressed.len() - 4], json!({})).await;
    let mut flipped = compressed.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0x55;
    refusal(&flipped, json!({})).await;
    for rubbish in [&b""[..], b"rubbish", b"PK\x03\x04rubbish", b"\x1f\x8brubbish", b"\x28\xb5\x2f\xfdrubbish"] {
        refusal(rubbish, json!({})).await;
    }
    assert!(refusal(b"<html>404</html>", json!({})).await.contains("no archive"));
}

#[tokio::test]
async fn a_folder_that_is_there_is_only_replaced_when_asked() {
    let dir = tempfile::tempdir().unwrap();
    let (path, out) = (dir.path().join("a"), dir.path().join("out"));
    fs::write(&path, tar_of(&[file("new", b"1")])).unwrap();
    fs::create_dir(&out).unwrap();
    fs::write(out.join("old"), "1").unwrap();
    let call = |replace: bool| json!({"action": "unpack", "path": path, "to": out, "replace": replace});
    assert!(archive(call(false)).await.unwrap_err().message.contains("not empty"));
    assert!(out.join("old").exists());
    archive(call(true)).await.unwrap();
    assert!(out.join("new").exists() && !out.join("old").exists());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
}

#[tokio::test]
async fn what_an_earlier_attempt_left_is_cleared() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a"), tar_of(&[file("new", b"1")])).unwrap();
    fs::create_dir(dir.path().join(".out.windlass-unpack")).unwrap();
    fs::write(dir.path().join(".out.windlass-unpack/half"), "1").unwrap();
    archive(json!({"action": "unpack", "path": dir.path().join("a"), "to": dir.path().join("out")})).await.unwrap();
    assert!(!dir.path().join("out/half").exists());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
}

#[tokio::test]
async fn a_wrong_digest_is_told_with_both() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    fs::write(&path, "hello").unwrap();
    let right = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    let result = archive(json!({"action": "verify", "path": path, "sha256": right.to_uppercase()})).await.unwrap();
    assert_eq!(result.get("bytes"), Some(&5i64.into()));
    let wrong = "0".repeat(64);
    let error = archive(json!({"action": "verify", "path": path, "sha256": wrong})).await.unwrap_err();
    assert!(error.message.contains(right) && error.message.contains(&wrong), "{error}");
    assert!(refusal(&tar_of(&[file("x", b"")]), json!({"sha256": wrong})).await.contains("not the file"));
    let (digest, size) = there(&path, &applying(dir.path())).await.unwrap();
    assert_eq!((digest.as_str(), size), (right, 5));
}

#[tokio::test]
async fn senseless_calls_are_refused() {
    for wrong in [
        json!({"path": "/x"}),
        json!({"action": "x", "path": "/x"}),
        json!({"action": "verify", "path": "/x"}),
        json!({"action": "verify", "path": "x", "sha256": "0".repeat(64)}),
        json!({"action": "unpack", "path": "/x"}),
        json!({"action": "unpack", "path": "/etc/passwd", "to": "/"}),
        json!({"action": "pack", "path": "/tmp", "to": "/tmp/x.zip"}),
        json!({"action": "pack", "path": "/tmp", "to": "/tmp/x.tar", "exclude": ["[" ]}),
    ] {
        let error = archive(wrong.clone()).await.unwrap_err();
        assert!(error.kind == FailureKind::Invalid || wrong["to"] == "/", "{wrong}: {error}");
    }
    for path in ["/no/such/file", "/tmp", "/dev/null"] {
        let error = archive(json!({"action": "verify", "path": path, "sha256": "0".repeat(64)})).await.unwrap_err();
        assert_eq!(error.kind, FailureKind::Failed, "{path}");
    }
}

#[tokio::test]
async fn what_was_put_in_its_place_is_recalled_and_what_was_not_is_untouched() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    fs::write(path("a"), tar_of(&[file("x", b"x")])).unwrap();
    check_recall(&path("a"), dir.path(), &applying(dir.path())).await;
    for action in ["verify", "list", "digest", "read"] {
        let call = args(json!({"action": action, "path": path("a")}));
        assert_eq!(Archive.recall(&call, &applying(&path(action))).await.unwrap(), Recalled::Untouched);
    }
}

/// `archive` lies in `folder`, which is on the machine of `ctx`.
pub(super) async fn check_recall(archive: &Path, folder: &Path, ctx: &Context) {
    let steps = tempfile::tempdir().unwrap();
    let step = |name: &str, earlier: &[&str]| Context {
        dir: Some(steps.path().join(name)),
        earlier: earlier.iter().map(|name| steps.path().join(name)).collect(),
        ..ctx.clone()
    };
    let (out, packed, half) = (folder.join("out"), folder.join("packed.tar"), folder.join(".out.windlass-unpack"));
    for (action, from, to) in [("unpack", archive, &out), ("pack", &out, &packed)] {
        let call = args(json!({"action": action, "path": from, "to": to}));
        let name = |number: u32| format!("{action}-{number}");
        fs::create_dir(&half).unwrap();
        assert_eq!(Archive.recall(&call, &step(&name(1), &[])).await.unwrap(), Recalled::Untouched);
        assert_eq!(half.exists(), action == "pack" || !ctx.host.is_local(), "half of it lies about");
        fs::remove_dir(&half).ok();
        // One that was paused, and wakes.
        let woken = Archive.run(&call, &step(&name(1), &[])).await.unwrap_err();
        assert!(woken.untouched && !to.exists() && !half.exists(), "{woken:?}");
        let done = Archive.run(&call, &step(&name(2), &[&name(1)])).await.unwrap();
        for (own, earlier) in [(2, &[name(1)][..]), (3, &[name(1), name(2)])] {
            let earlier: Vec<&str> = earlier.iter().map(String::as_str).collect();
            let Recalled::Partly(known) = Archive.recall(&call, &step(&name(own), &earlier)).await.unwrap() else {
                panic!("it is known")
            };
            // Of what a script there has packed only the place is known.
            let is_whole = ctx.host.is_local() || action == "unpack";
            assert!(if is_whole { known == done } else { known.get("path") == done.get("path") }, "{known:?}");
        }
        if action == "unpack" {
            // Another try finds its own work in the place, and not that of somebody else.
            assert_eq!(Archive.run(&call, &step(&name(3), &[&name(1), &name(2)])).await.unwrap(), done);
            assert_eq!(Archive.run(&call, &step("other", &[])).await.unwrap_err().kind, FailureKind::Invalid);
        }
    }
}
