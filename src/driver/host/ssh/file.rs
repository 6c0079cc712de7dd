//! File operations over SSH: fixed scripts with quoted arguments, each atomic and durable like the local ones.

use std::path::Path;

use jiff::Timestamp;

use super::Ssh;
use crate::driver::host::{Attributes, Content, Entry, Kind, Output, Space, Stat};
use crate::driver::{Failure, FailureKind};

/// The scripts' word for "nothing is there".
const ABSENT: i32 = 44;

const STAT: &str = r#"[ -e "$1" ] || [ -L "$1" ] || { ls -d -- "$1" 2>&1 >/dev/null | grep -q 'ermission denied' && { echo 'Permission denied' >&2; exit 1; }; exit 44; }
if [ "$2" = follow ]; then [ -e "$1" ] || exit 44; exec stat -L -c '%f %s %u %g %Y' -- "$1"; fi
stat -c '%f %s %u %g %Y' -- "$1"
[ ! -L "$1" ] || readlink -- "$1""#;

const WRITE: &str = r#"set -eu
path=$1 mode=$2 owner=$3 size=$4
umask 077
if [ -L "$path" ]; then path=$(readlink -f -- "$path"); fi
if [ -d "$path" ]; then echo 'it is a directory' >&2; exit 1; fi
dir=$(dirname -- "$path")
new=$(mktemp "$dir/.windlass-XXXXXXXX")
trap 'rm -f -- "$new"' EXIT
cat > "$new"
[ "$(stat -c %s -- "$new")" = "$size" ] || { echo 'the content came incomplete' >&2; exit 1; }
if [ -e "$path" ]; then
    mode=${mode:-$(stat -c %a -- "$path")}
    owner=${owner:-$(stat -c %u:%g -- "$path")}
fi
[ -z "$owner" ] || [ "$owner" = "$(stat -c %u:%g -- "$new")" ] || chown -- "$owner" "$new"
chmod -- "${mode:-644}" "$new"
sync -- "$new"
mv -fT -- "$new" "$path"
trap - EXIT
sync -- "$dir""#;

const MAKE_DIR: &str = r#"set -eu
[ -d "$1" ] || mkdir -p -- "$1"
[ -z "$3" ] || chown -- "$3" "$1"
[ -z "$2" ] || chmod -- "$2" "$1"
sync -- "$1" "$(dirname -- "$1")""#;

const REMOVE: &str = r#"set -eu
[ -e "$1" ] || [ -L "$1" ] || exit 0
if [ -L "$1" ] || [ ! -d "$1" ]; then rm -f -- "$1"
elif [ "$2" = recursive ]; then rm -rf -- "$1"
else rmdir -- "$1"; fi
sync -- "$(dirname -- "$1")""#;

const SYMLINK: &str = r#"set -eu
if [ -d "$2" ] && [ ! -L "$2" ]; then echo 'it is a directory' >&2; exit 1; fi
dir=$(dirname -- "$2")
new=$(mktemp -d "$dir/.windlass-XXXXXXXX")
trap 'rm -rf -- "$new"' EXIT
ln -s -- "$1" "$new/link"
mv -fT -- "$new/link" "$2"
sync -- "$dir""#;

const RENAME: &str = r#"set -eu
to=$(dirname -- "$2")
[ "$(stat -c %d -- "$1")" = "$(stat -c %d -- "$to")" ] || { echo 'they are on different file systems' >&2; exit 1; }
mv -fT -- "$1" "$2"
sync -- "$to" "$(dirname -- "$1")""#;

fn text(path: &Path) -> Result<&str, Failure> {
    path.to_str().ok_or_else(|| Failure::new(FailureKind::Invalid, format!("`{}` is not UTF-8", path.display())))
}

fn failed(ssh: &Ssh, what: &str, path: &Path, output: &Output) -> Failure {
    let words = output.last_words();
    let failure = Failure::new(FailureKind::Failed, format!("cannot {what} `{}` on {}: {words}", path.display(), ssh.name));
    if words.contains("No space left") { failure.help("free some space there, then resume") } else { failure }
}

fn done(ssh: &Ssh, what: &str, path: &Path, output: &Output) -> Result<(), Failure> {
    if output.ok() { Ok(()) } else { Err(failed(ssh, what, path, output)) }
}

fn parts(attributes: &Attributes) -> (String, String) {
    let mode = attributes.mode.map_or_else(String::new, |mode| format!("{mode:o}"));
    let owner = attributes.owner.map_or_else(String::new, |(uid, gid)| format!("{uid}:{gid}"));
    (mode, owner)
}

/// Reads `%f %s %u %g %Y` of `stat`.
fn parse_stat(line: &str, target: Option<&str>) -> Option<Stat> {
    let mut fields = line.split(' ');
    let raw = u32::from_str_radix(fields.next()?, 16).ok()?;
    let kind = match raw & 0o170_000 {
        0o100_000 => Kind::File,
        0o040_000 => Kind::Directory,
        0o120_000 => Kind::Symlink,
        _ => Kind::Other,
    };
    Some(Stat {
        kind,
        mode: raw & 0o7777,
        size: fields.next()?.parse().ok()?,
        uid: fields.next()?.parse().ok()?,
        gid: fields.next()?.parse().ok()?,
        modified: Timestamp::from_second(fields.next()?.parse().ok()?).ok()?,
        target: target.filter(|_| kind == Kind::Symlink).map(str::to_owned),
    })
}

pub(super) async fn stat(ssh: &Ssh, path: &Path, follow: bool) -> Result<Option<Stat>, Failure> {
    let follow = if follow { "follow" } else { "" };
    let output = ssh.sh(STAT, &[text(path)?, follow], Vec::new(), 1 << 16, None).await?;
    if output.ended.code() == ABSENT {
        return Ok(None);
    }
    let said = output.stdout.text();
    let (line, target) = said.split_once('\n').unwrap_or((&said, ""));
    match parse_stat(line, target.strip_suffix('\n')) {
        Some(stat) if output.ok() => Ok(Some(stat)),
        _ => Err(failed(ssh, "look at", path, &output)),
    }
}

pub(super) async fn read(ssh: &Ssh, path: &Path, limit: u64) -> Result<Option<Content>, Failure> {
    let most = limit.saturating_add(1);
    let keep = usize::try_from(most).unwrap_or(usize::MAX);
    let script = "[ -e \"$1\" ] || exit 44; exec head -c \"$2\" -- \"$1\"";
    let output = ssh.sh(script, &[text(path)?, &most.to_string()], Vec::new(), keep, None).await?;
    match output.ended.code() {
        ABSENT => Ok(None),
        0 => {
            let mut bytes = output.stdout.bytes;
            let truncated = bytes.len() as u64 > limit;
            bytes.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
            Ok(Some(Content { bytes, truncated }))
        }
        _ => Err(failed(ssh, "read", path, &output)),
    }
}

pub(super) async fn write(
    ssh: &Ssh,
    path: &Path,
    bytes: Vec<u8>,
    more: Option<std::fs::File>,
    size: u64,
    attributes: &Attributes,
) -> Result<(), Failure> {
    let (mode, owner) = parts(attributes);
    let output = ssh.sh(WRITE, &[text(path)?, &mode, &owner, &size.to_string()], bytes, 1 << 16, more).await?;
    done(ssh, "write", path, &output)
}

pub(super) async fn list(ssh: &Ssh, path: &Path) -> Result<Vec<Entry>, Failure> {
    let script = "cd -- \"$1\" && exec find . -mindepth 1 -maxdepth 1 -printf '%f\\0%y %s %m %U %G %T@\\0%l\\0'";
    let output = ssh.sh(script, &[text(path)?], Vec::new(), 16 << 20, None).await?;
    done(ssh, "list", path, &output)?;
    if output.stdout.truncated() {
        return Err(Failure::new(
            FailureKind::Failed,
            format!("`{}` on {} holds too many names to be listed", path.display(), ssh.name),
        ));
    }
    let said = output.stdout.text();
    let fields: Vec<&str> = said.split('\0').collect();
    let mut entries: Vec<Entry> = fields
        .chunks_exact(3)
        .filter_map(|entry| Some(Entry { name: entry[0].to_owned(), stat: parse_found(entry[1], entry[2])? }))
        .collect();
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

/// Reads `%y %s %m %U %G %T@` of `find`.
fn parse_found(line: &str, target: &str) -> Option<Stat> {
    let fields: Vec<&str> = line.split(' ').collect();
    let [kind, size, mode, uid, gid, modified] = fields.as_slice() else { return None };
    let kind = match *kind {
        "f" => Kind::File,
        "d" => Kind::Directory,
        "l" => Kind::Symlink,
        _ => Kind::Other,
    };
    Some(Stat {
        kind,
        size: size.parse().ok()?,
        mode: u32::from_str_radix(mode, 8).ok()?,
        uid: uid.parse().ok()?,
        gid: gid.parse().ok()?,
        modified: Timestamp::from_second(modified.split('.').next()?.parse().ok()?).ok()?,
        target: (kind == Kind::Symlink).then(|| target.to_owned()),
    })
}

pub(super) async fn make_dir(ssh: &Ssh, path: &Path, attributes: &Attributes) -> Result<(), Failure> {
    let (mode, owner) = parts(attributes);
    let output = ssh.sh(MAKE_DIR, &[text(path)?, &mode, &owner], Vec::new(), 1 << 16, None).await?;
    done(ssh, "make the directory", path, &output)
}

pub(super) async fn remove(ssh: &Ssh, path: &Path, recursive: bool) -> Result<(), Failure> {
    let how = if recursive { "recursive" } else { "" };
    let output = ssh.sh(REMOVE, &[text(path)?, how], Vec::new(), 1 << 16, None).await?;
    done(ssh, "remove", path, &output).map_err(|failure| {
        if failure.message.contains("not empty") {
            failure.help("write `recursive = true` to remove all that is in it")
        } else {
            failure
        }
    })
}

pub(super) async fn symlink(ssh: &Ssh, target: &Path, path: &Path) -> Result<(), Failure> {
    let output = ssh.sh(SYMLINK, &[text(target)?, text(path)?], Vec::new(), 1 << 16, None).await?;
    done(ssh, "make the link", path, &output)
}

pub(super) async fn rename(ssh: &Ssh, from: &Path, to: &Path) -> Result<(), Failure> {
    let output = ssh.sh(RENAME, &[text(from)?, text(to)?], Vec::new(), 1 << 16, None).await?;
    done(ssh, &format!("move to `{}`", to.display()), from, &output)
}

pub(super) async fn space(ssh: &Ssh, path: &Path) -> Result<Space, Failure> {
    let output = ssh.sh("exec stat -f -c '%S %b %a' -- \"$1\"", &[text(path)?], Vec::new(), 1 << 16, None).await?;
    let said = output.stdout.text();
    let figures: Vec<u64> = said.split_whitespace().filter_map(|figure| figure.parse().ok()).collect();
    match figures.as_slice() {
        [block, total, free] if output.ok() => Ok(Space { free: block.saturating_mul(*free), total: block.saturating_mul(*total) }),
        _ => Err(failed(ssh, "look at the room on", path, &output)),
    }
}
