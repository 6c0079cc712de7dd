//! The looking actions of `archive`, with real archives.
#![expect(clippy::disallowed_methods, reason = "tests make files")]

use std::fs;
use std::io::Write as _;

use serde_json::json;

use super::tests::{file, gz, item, tar_of};
use super::*;
use crate::driver::testing::{args, observing};
use crate::lang::function::shell_quoted;

async fn look(path: &Path, more: serde_json::Value) -> Result<Value, Failure> {
    let mut call = json!({"path": path});
    call.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Archive.run(&args(call), &observing()).await
}

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).unwrap().as_str()
}

/// A kit as tar.gz, tar and zip, all with the same files.
fn kits(dir: &Path) -> Vec<PathBuf> {
    use tar::EntryType::{Directory, Link, Symlink};
    let files: [(&str, &[u8]); 4] =
        [("VERSION", b"4.5.6\n"), ("lib/b.jar", b"bee"), ("lib/a.jar", b"ay"), ("lib/deep/c.jar", b"sea")];
    let names: Vec<String> = files.iter().map(|(name, _)| format!("kit-1/{name}")).collect();
    let mut items = vec![item(Directory, "kit-1/", "")];
    items.extend(names.iter().zip(&files).map(|(name, (_, content))| file(name, content)));
    items.push(item(Symlink, "kit-1/lib/link.jar", "a.jar"));
    items.push(item(Link, "kit-1/lib/same.jar", "kit-1/VERSION"));
    let tar = tar_of(&items);
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    zip.add_directory("kit-1/", options).unwrap();
    for (name, content) in names.iter().zip(&files).map(|(name, (_, content))| (&**name, *content)) {
        zip.start_file(name, options).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.add_symlink("kit-1/lib/link.jar", "a.jar", options).unwrap();
    zip.start_file("kit-1/lib/same.jar", options).unwrap();
    zip.write_all(b"4.5.6\n").unwrap();
    let contents = [("kit.tgz", gz(&tar)), ("kit.tar", tar), ("kit.zip", zip.finish().unwrap().into_inner())];
    contents
        .into_iter()
        .map(|(name, content)| {
            fs::write(dir.join(name), content).unwrap();
            dir.join(name)
        })
        .collect()
}

#[tokio::test]
async fn members_are_listed_by_pattern_with_what_they_are() {
    let dir = tempfile::tempdir().unwrap();
    for kit in kits(dir.path()) {
        let all = look(&kit, json!({"action": "list"})).await.unwrap();
        assert_eq!(all.get("entries"), Some(&whole(7)), "{kit:?}");
        let some = look(&kit, json!({"action": "list", "strip_components": 1, "members": ["lib/*.jar"]})).await.unwrap();
        let seen: Vec<_> =
            some.get("members").unwrap().as_list().unwrap().iter().map(|one| (text(one, "name"), text(one, "kind"))).collect();
        let file = |name| (Some(name), Some("file"));
        assert_eq!(seen, [file("lib/b.jar"), file("lib/a.jar"), (Some("lib/link.jar"), Some("symlink")), file("lib/same.jar")]);
        assert_eq!(text(&some.get("members").unwrap().as_list().unwrap()[2], "target"), Some("a.jar"));
    }
}

#[tokio::test]
async fn the_digest_of_a_tree_is_what_the_systems_tools_say() {
    let dir = tempfile::tempdir().unwrap();
    let kits = kits(dir.path());
    let out = dir.path().join("out");
    fs::create_dir(&out).unwrap();
    let script = |tool: &str| {
        let out = shell_quoted(out.to_str().unwrap());
        format!(
            "cd {out} && tar xf ../kit.tar --strip-components=1 && find lib -type f | LC_ALL=C sort | xargs {tool} | {tool} | cut -d' ' -f1"
        )
    };
    for kit in &kits {
        let seen = look(kit, json!({"action": "digest", "strip_components": 1, "members": ["lib/**"]})).await.unwrap();
        for tool in ["sha256", "md5"] {
            let said = std::process::Command::new("sh").args(["-c", &script(&format!("{tool}sum"))]).output().unwrap();
            assert_eq!(text(&seen, tool).map(str::as_bytes), Some(said.stdout.trim_ascii()), "{kit:?} {tool}");
        }
        assert_eq!(seen.get("entries"), Some(&whole(4)));
        let one = look(kit, json!({"action": "digest", "member": "kit-1/VERSION"})).await.unwrap();
        assert_eq!(text(&one, "md5"), Some(&*crate::driver::transfer::hex(&<md5::Md5 as md5::Digest>::digest(b"4.5.6\n"))));
        let same = seen.get("files").unwrap().get("lib/same.jar").unwrap();
        assert_eq!((text(same, "md5"), text(same, "sha256")), (text(&one, "md5"), text(&one, "sha256")));
    }
}

#[tokio::test]
async fn a_member_is_read_as_text_up_to_the_limit() {
    let dir = tempfile::tempdir().unwrap();
    for kit in kits(dir.path()) {
        for name in ["./kit-1/VERSION", "kit-1/lib/same.jar"] {
            let seen = look(&kit, json!({"action": "read", "member": name})).await.unwrap();
            assert_eq!((text(&seen, "content"), seen.get("truncated")), (Some("4.5.6\n"), Some(&false.into())), "{kit:?}");
        }
        let cut = look(&kit, json!({"action": "read", "member": "kit-1/VERSION", "limit": 3})).await.unwrap();
        assert_eq!((text(&cut, "content"), cut.get("truncated")), (Some("4.5"), Some(&true.into())));
        let error = look(&kit, json!({"action": "read", "member": "kit-1/lib/link.jar"})).await.unwrap_err();
        assert!(error.message.ends_with("is no file, but symlink"), "{error}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_told_or_refused() {
    let dir = tempfile::tempdir().unwrap();
    let kit = &kits(dir.path())[0];
    for action in ["list", "digest", "read"] {
        let seen = look(kit, json!({"action": action, "member": "none"})).await.unwrap();
        assert_eq!(seen.get("exists"), Some(&false.into()), "{action}");
        assert!(look(kit, json!({"action": action, "member": "none", "required": true})).await.is_err(), "{action}");
        let error = look(&dir.path().join("no"), json!({"action": action, "member": "x"})).await.unwrap_err();
        assert!(error.message.contains("does not exist"), "{error}");
    }
}

#[tokio::test]
async fn an_archive_that_would_do_harm_is_not_looked_into() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    let cut = gz(&tar_of(&[file("x", &[7; 5000])]));
    let bomb = gz(&tar_of(&[file("x", &vec![0; 65 << 20])]));
    let loops = [item(tar::EntryType::Link, "a", "b"), item(tar::EntryType::Link, "b", "a")];
    for (action, bytes, said) in [
        ("digest", tar_of(&[file("../x", b"1")]), "leads out"),
        ("digest", tar_of(&[file("x", b"1"), file("x", b"2")]), "twice"),
        ("digest", tar_of(&loops), "another name of itself"),
        ("digest", tar_of(&[item(tar::EntryType::Link, "a", "gone")]), "which is not there"),
        ("digest", cut[..cut.len() - 9].to_vec(), "cannot be"),
        ("list", bomb, "absurdly"),
        ("list", tar_of(&[file("x", b""), file("y", b""), file("z", b"")]), "more than 2 entries"),
    ] {
        fs::write(&path, bytes).unwrap();
        let error = look(&path, json!({"action": action, "max_ratio": 1, "max_entries": 2})).await.unwrap_err();
        assert!(error.message.contains(said), "{said}: {error}");
    }
}

#[tokio::test]
async fn a_fact_neither_packs_nor_unpacks() {
    let dir = tempfile::tempdir().unwrap();
    let kit = &kits(dir.path())[0];
    for action in ["pack", "unpack"] {
        let error = look(kit, json!({"action": action, "to": dir.path().join("to.tar")})).await.unwrap_err();
        assert!(error.kind == FailureKind::Invalid && error.message.contains("may only look"), "{error}");
    }
}
