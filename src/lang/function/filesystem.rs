//! Functions on files, through the environment's `Files` and on paths as plain text. They never reach the machine themselves.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::Md5;
use sha1::Sha1;
use sha2::{Sha256, Sha512};

use super::{Answer, Env, Function, Kind, Param, Run, args, digest, limit, param, template};
use crate::lang::Value;

const fn filesystem(
    name: &'static str,
    params: &'static [Param],
    say: &'static str,
    example: (&'static str, &'static str),
    run: Run,
) -> Function {
    Function::new("filesystem", name, params, say, example, run)
}

const PATH: &[Param] = &[param("path", Kind::String)];

// An example has no files around it: those of functions that read one show what happens without it.

fn read(env: &Env<'_>, given: &[Value]) -> Result<Arc<[u8]>, String> {
    env.files.read(args::text(given, 0, "path")?)
}

fn read_text(env: &Env<'_>, given: &[Value]) -> Result<String, String> {
    let bytes = read(env, given)?;
    let text = std::str::from_utf8(&bytes).map(str::to_owned);
    text.map_err(|_| format!("{:?} is no UTF-8 text (`filebase64` reads any file)", given[0].as_str().unwrap_or_default()))
}

fn printed(env: &Env<'_>, given: &[Value], print: fn(&[u8]) -> String) -> Answer {
    Ok(print(&read(env, given)?).into())
}

pub(super) static BASENAME: Function =
    filesystem("basename", PATH, "Gives the last part of a path.", (r#"basename("a/b/c.txt")"#, r#""c.txt""#), |_, given| {
        let path = args::text(given, 0, "path")?;
        let trimmed = path.trim_end_matches('/');
        Ok(match (path, trimmed) {
            ("", _) => ".".into(),
            (_, "") => "/".into(),
            (_, trimmed) => trimmed.rsplit('/').next().unwrap_or(trimmed).into(),
        })
    });

pub(super) static DIRNAME: Function =
    filesystem("dirname", PATH, "Gives a path without its last part.", (r#"dirname("a/b/c.txt")"#, r#""a/b""#), |_, given| {
        let path = args::text(given, 0, "path")?;
        Ok(clean(path.rfind('/').map_or("", |slash| &path[..=slash])).into())
    });

/// The shortest path that means the same: no `.`, no `//`, and `..` taken off where something stands before it.
fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match (part, parts.last()) {
            ("" | ".", _) => {}
            ("..", Some(last)) if *last != ".." => drop(parts.pop()),
            ("..", None) if rooted => {}
            (part, _) => parts.push(part),
        }
    }
    match (rooted, parts.join("/")) {
        (true, joined) => format!("/{joined}"),
        (false, joined) if joined.is_empty() => ".".into(),
        (false, joined) => joined,
    }
}

pub(super) static FILE: Function =
    filesystem("file", PATH, "Reads a file as text.", (r#"try(file("no-such-file"), "none")"#, r#""none""#), |env, given| {
        limit::text(read_text(env, given)?)
    });

pub(super) static FILEBASE64: Function = filesystem(
    "filebase64",
    PATH,
    "Reads a file as base64.",
    (r#"try(filebase64("no-such-file"), "none")"#, r#""none""#),
    |env, given| limit::text(STANDARD.encode(read(env, given)?)),
);

pub(super) static FILEBASE64SHA256: Function = filesystem(
    "filebase64sha256",
    PATH,
    "Gives the SHA-256 digest of a file in base64.",
    (r#"try(filebase64sha256("no-such-file"), "none")"#, r#""none""#),
    |env, given| printed(env, given, digest::base64::<Sha256>),
);

pub(super) static FILEBASE64SHA512: Function = filesystem(
    "filebase64sha512",
    PATH,
    "Gives the SHA-512 digest of a file in base64.",
    (r#"try(filebase64sha512("no-such-file"), "none")"#, r#""none""#),
    |env, given| printed(env, given, digest::base64::<Sha512>),
);

pub(super) static FILEEXISTS: Function =
    filesystem("fileexists", PATH, "Tells whether there is a file.", (r#"fileexists("no-such-file")"#, "false"), |env, given| {
        Ok(env.files.exists(args::text(given, 0, "path")?).into())
    });

pub(super) static FILEMD5: Function = filesystem(
    "filemd5",
    PATH,
    "Gives the MD5 digest of a file.",
    (r#"try(filemd5("no-such-file"), "none")"#, r#""none""#),
    |env, given| printed(env, given, digest::hex::<Md5>),
);

pub(super) static FILESET: Function = filesystem(
    "fileset",
    &[param("path", Kind::String), param("pattern", Kind::String)],
    "Lists the files under a folder that match a glob, relative to it and sorted.",
    (r#"try(fileset("no-such-folder", "**/*.hcl"), [])"#, "[]"),
    |env, given| {
        let (path, pattern) = (args::text(given, 0, "path")?, args::text(given, 1, "pattern")?);
        limit::list(env.files.list(path, pattern)?.into_iter().map(Value::from))
    },
);

pub(super) static FILESHA1: Function = filesystem(
    "filesha1",
    PATH,
    "Gives the SHA-1 digest of a file.",
    (r#"try(filesha1("no-such-file"), "none")"#, r#""none""#),
    |env, given| printed(env, given, digest::hex::<Sha1>),
);

pub(super) static FILESHA256: Function = filesystem(
    "filesha256",
    PATH,
    "Gives the SHA-256 digest of a file.",
    (r#"try(filesha256("no-such-file"), "none")"#, r#""none""#),
    |env, given| printed(env, given, digest::hex::<Sha256>),
);

pub(super) static FILESHA512: Function = filesystem(
    "filesha512",
    PATH,
    "Gives the SHA-512 digest of a file.",
    (r#"try(filesha512("no-such-file"), "none")"#, r#""none""#),
    |env, given| printed(env, given, digest::hex::<Sha512>),
);

pub(super) static TEMPLATEFILE: Function = filesystem(
    "templatefile",
    &[param("path", Kind::String), param("vars", Kind::Object)],
    "Renders a file as a template (Jinja's language, see `templatestring`).",
    (r#"try(templatefile("no-such-file", {}), "none")"#, r#""none""#),
    |env, given| {
        let vars = args::object(given, 1, "vars")?;
        template::render(&read_text(env, given)?, vars).map(Value::from)
    },
);

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::lang::function::find;
    use crate::lang::function::tests::{call, fails};
    use crate::lang::{Env, Files, Value};

    struct Two;

    impl Files for Two {
        fn read(&self, path: &str) -> Result<Arc<[u8]>, String> {
            match path {
                "a.txt" => Ok(Arc::from(*b"hello {{ who }}")),
                "b.bin" => Ok(Arc::from(*b"\xff\x00")),
                _ => Err(format!("there is no file {path:?}")),
            }
        }

        fn exists(&self, path: &str) -> bool {
            matches!(path, "a.txt" | "b.bin")
        }

        fn list(&self, _dir: &str, glob: &str) -> Result<Vec<String>, String> {
            if glob == "*" { Ok(vec!["a.txt".into(), "b.bin".into()]) } else { Err("the glob is wrong".into()) }
        }
    }

    fn with_files<const N: usize>(name: &str, given: [Value; N]) -> Result<Value, String> {
        let env = Env { files: &Two, now: jiff::Timestamp::UNIX_EPOCH, budget: Env::BUDGET };
        (find(name).unwrap().run)(&env, &given)
    }

    #[test]
    fn files_are_read_as_text_base64_and_digests() {
        assert_eq!(with_files("file", ["a.txt".into()]), Ok("hello {{ who }}".into()));
        assert!(with_files("file", ["b.bin".into()]).unwrap_err().contains("no UTF-8"));
        assert_eq!(with_files("filebase64", ["b.bin".into()]), Ok("/wA=".into()));
        assert_eq!(with_files("filemd5", ["a.txt".into()]), Ok(call("md5", ["hello {{ who }}".into()])));
        assert_eq!(with_files("filesha1", ["a.txt".into()]), Ok(call("sha1", ["hello {{ who }}".into()])));
        assert_eq!(with_files("filesha256", ["a.txt".into()]), Ok(call("sha256", ["hello {{ who }}".into()])));
        assert_eq!(with_files("filesha512", ["a.txt".into()]), Ok(call("sha512", ["hello {{ who }}".into()])));
        assert_eq!(with_files("filebase64sha256", ["a.txt".into()]), Ok(call("base64sha256", ["hello {{ who }}".into()])));
        assert_eq!(with_files("filebase64sha512", ["a.txt".into()]), Ok(call("base64sha512", ["hello {{ who }}".into()])));
        assert_eq!(with_files("file", ["c".into()]), Err("there is no file \"c\"".into()));
    }

    #[test]
    fn folders_are_listed_and_templates_rendered() {
        assert_eq!(with_files("fileset", [".".into(), "*".into()]), Ok(Value::list(["a.txt".into(), "b.bin".into()])));
        assert_eq!(with_files("fileset", [".".into(), "[".into()]), Err("the glob is wrong".into()));
        assert_eq!(with_files("fileexists", ["a.txt".into()]), Ok(true.into()));
        let vars = Value::object([("who", Value::from("you"))]);
        assert_eq!(with_files("templatefile", ["a.txt".into(), vars]), Ok("hello you".into()));
    }

    #[test]
    fn without_files_everything_says_so() {
        assert!(fails("file", ["a.txt".into()]).contains("cannot be read here"));
        assert_eq!(call("fileexists", ["a.txt".into()]), false.into());
    }

    #[test]
    fn paths_are_taken_apart_as_go_does() {
        for (path, base, dir) in [
            ("", ".", "."),
            ("/", "/", "/"),
            ("a", "a", "."),
            ("/a", "a", "/"),
            ("a/b/", "b", "a/b"),
            ("a//b/../c", "c", "a"),
            ("../../x", "x", "../.."),
            ("/../x", "x", "/"),
            ("./x", "x", "."),
        ] {
            assert_eq!(call("basename", [path.into()]), base.into(), "{path}");
            assert_eq!(call("dirname", [path.into()]), dir.into(), "{path}");
        }
    }
}
