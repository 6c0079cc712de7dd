//! `unpack` and `pack` on another machine, by the tools that are there: GNU tar, gzip, zstd, unzip.
//!
//! The tools only ever write into a fresh folder beside the target. What they wrote is judged by the same rules as on this machine,
//! and only then moved into place. The scripts are supervised: one that was begun is waited for, never begun twice.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::far::file_there;
use super::format::Format;
use super::pack::{Pack, Packed};
use super::tree::{Written, refused, stays_inside, too_dense};
use super::unpack::{RATIO_FROM, Unpack, check_digest, sibling, unknown_format};
use super::walk::globs;
use super::{result, there, unpacked};
use crate::driver::host::{Attributes, Command, Kind, local_file};
use crate::driver::transfer::sha256_of_text;
use crate::driver::{Context, Failure, FailureKind};
use crate::lang::Value;

/// So much of a list of names is taken in.
const LIST: usize = 256 << 20;
/// A script's word for an archive that is refused; the reason stands on standard error.
const REFUSED: i32 = 43;
/// A script's word for one that unpacks to absurdly much.
const DENSE: i32 = 44;

/// `$1` the archive, `$2` the fresh folder, `$3` how many folders are left out of names, `$4` bytes and `$5` entries at most, `$6` bytes
/// above which it is absurd, `$7` the archive's SHA-256, `$8` the tool. One that was interrupted may still be at work in the same
/// folder: the lock waits for its end.
const UNPACK: &str = r#"set -eu
umask 022
export LC_ALL=C
archive=$1 into=$2 strip=$3 most_bytes=$4 most_entries=$5 absurd=$6 sha256=$7 tool=$8
need() { command -v "$1" >/dev/null || { echo "$1 is missing there" >&2; exit 1; }; }
refuse() { echo "$1" >&2; exit 43; }
judge() {
    [ "$1" -le "$most_entries" ] || refuse "the archive has more than $most_entries entries"
    [ "$2" -le "$absurd" ] || exit 44
    [ "$2" -le "$most_bytes" ] || refuse "the archive holds more than $most_bytes bytes"
}
exec 9> "$into.lock"
flock 9
rm -rf -- "$into"
mkdir -m 700 -- "$into"
if [ "$tool" = unzip ]; then
    need unzip
    if unzip -Z1 "$archive" 2>/dev/null | grep -q -e '^/' -e '^\.\./' -e '/\.\./'; then refuse 'an entry leads out of the archive'; fi
    found=$(unzip -Z -t "$archive" 2>/dev/null | awk '/ files?, / { print $1, $3; exit }')
    found=${found:-0 0}
    judge "${found% *}" "${found#* }"
    unzip -q "$archive" -d "$into" </dev/null >&2 || refuse "unzip ended with status $?"
    while [ "$strip" -gt 0 ]; do
        [ "$(find "$into" -mindepth 1 -maxdepth 1 -type d -printf x | wc -c)" -le 1 ] || refuse "it has more than one folder at its top, so none can be left out"
        mkdir -- "$into.up"
        find "$into" -mindepth 2 -maxdepth 2 -exec mv -t "$into.up" -- {} +
        rm -rf -- "$into"
        mv -T -- "$into.up" "$into"
        strip=$((strip - 1))
    done
else
    need tar
    [ -z "$tool" ] || need "$tool"
    set -- --file "$archive"
    [ -z "$tool" ] || set -- "$@" "--use-compress-program=$tool"
    found=$(tar --list --verbose --absolute-names --numeric-owner --quoting-style=escape "$@" 2>/dev/null | awk '
        { size = $3; name = $0; for (i = 0; i < 5; i++) sub(/^[^ ]+ +/, "", name) }
        $1 ~ /^[bcp]/ { wrong = "the entry `" name "` is a device or pipe"; exit }
        name ~ /^\// { wrong = "the entry `" name "` has an absolute path"; exit }
        $1 ~ /^-/ { bytes += size }
        { entries++ }
        END { if (wrong) print "refused " wrong; else printf "%d %.0f\n", entries, bytes }')
    case $found in refused*) refuse "${found#refused }" ;; esac
    judge "${found% *}" "${found#* }"
    tar --extract --no-same-owner --no-same-permissions --delay-directory-restore --strip-components="$strip" --directory "$into" "$@"
fi
other=$(find "$into" -mindepth 1 ! -type f ! -type d ! -type l -print -quit)
[ -z "$other" ] || refuse "an entry is a device or pipe: $other"
find "$into" -mindepth 1 ! -type l -perm /7000 -exec chmod a-st -- {} +
[ "$(sha256sum < "$archive")" = "$sha256  -" ] || refuse "it was changed while it was unpacked"
sync -f -- "$into"
rm -f -- "$into.lock"
"#;

/// What was written: entries, and bytes in files.
const COUNT: &str = r#"find "$1" -mindepth 1 -printf '%y %s\n' | awk '{ entries++ } $1 == "f" { bytes += $2 } END { printf "%d %.0f\n", entries, bytes }'"#;

/// `$1` the folder, `$2` the archive, `$3` the tool; names come on standard input. Files that changed meanwhile are no failure.
const PACK: &str = r#"set -eu
umask 077
export LC_ALL=C
from=$1 to=$2 tool=$3
for each in tar ${tool%% *}; do command -v "$each" >/dev/null || { echo "$each is missing there" >&2; exit 1; }; done
new=$(mktemp "$(dirname -- "$to")/.windlass-pack-XXXXXXXX")
trap 'rm -f -- "$new"' EXIT
set -- --file "$new"
[ -z "$tool" ] || set -- "$@" "--use-compress-program=$tool"
code=0
tar --create --format=gnu --numeric-owner --no-recursion --directory "$from" --null --verbatim-files-from --files-from=- "$@" || code=$?
[ "$code" -le 1 ] || exit "$code"
chmod -- 644 "$new"
sync -- "$new"
mv -fT -- "$new" "$to"
trap - EXIT
sync -- "$(dirname -- "$to")"
"#;

fn script(body: &str, args: Vec<String>) -> Command {
    let words = ["/bin/sh", "-c", body, "sh"].map(str::to_owned);
    Command { stream: false, ..Command::new(words.into_iter().chain(args)) }
}

fn text(path: &Path) -> Result<String, Failure> {
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| Failure::new(FailureKind::Invalid, format!("`{}` is not UTF-8", path.display())))
}

/// Unpacks there; gives what was written and the archive's SHA-256.
pub(super) async fn unpack(unpack: &Unpack, ctx: &Context) -> Result<(Written, String), Failure> {
    let (staging, written, sha256) = prepare(unpack, ctx).await.map_err(Failure::untouched)?;
    let put = match unpack.intent.declare(&unpacked(&unpack.to, written, &sha256)) {
        Ok(()) => put(unpack, &staging, ctx).await,
        Err(failure) => Err(failure),
    };
    if put.is_err() {
        let _ = ctx.host.remove(&staging, true).await;
    }
    put.map(|()| (written, sha256))
}

/// Unpacks into a folder beside.
async fn prepare(unpack: &Unpack, ctx: &Context) -> Result<(PathBuf, Written, String), Failure> {
    check_free(unpack, ctx).await?;
    let size = file_there(&unpack.archive, ctx).await?.size;
    let (sha256, _) = there(&unpack.archive, ctx).await?;
    if let Some(wanted) = &unpack.sha256 {
        check_digest(&unpack.archive, &sha256, wanted)?;
    }
    let head = ctx.host.read(&unpack.archive, 512).await?.map(|head| head.bytes).unwrap_or_default();
    let format = Format::of_content(&head).ok_or_else(|| unknown_format(&unpack.archive))?;
    let staging = sibling(&unpack.to, "unpack")?;
    ctx.host.make_dir(local_file::parent(&unpack.to), &Attributes::default()).await?;
    let done = async {
        fill(unpack, format, size, &sha256, &staging, ctx).await?;
        check_links(&staging, ctx).await?;
        let written = count(&staging, ctx).await?;
        ctx.host.make_dir(&staging, &Attributes { mode: Some(0o755), owner: None }).await?;
        Ok(written)
    };
    let done = done.await;
    if done.is_err() {
        // What failed matters, not that it could not be cleaned up: the next attempt does it again.
        let _ = ctx.host.remove(&staging, true).await;
    }
    done.map(|written| (staging, written, sha256))
}

async fn check_free(unpack: &Unpack, ctx: &Context) -> Result<(), Failure> {
    match ctx.host.stat(&unpack.to, false).await? {
        None => Ok(()),
        Some(stat) if stat.kind != Kind::Directory => {
            Err(Failure::new(FailureKind::Failed, format!("`{}` is there and is no directory", unpack.to.display())))
        }
        Some(_) if unpack.replace || ctx.host.list(&unpack.to).await?.is_empty() => Ok(()),
        Some(_) => Err(Failure::new(FailureKind::Invalid, format!("`{}` is there already and is not empty", unpack.to.display()))
            .help("unpack each version into a folder of its own, or write `replace = true`")),
    }
}

async fn fill(unpack: &Unpack, format: Format, size: u64, sha256: &str, into: &Path, ctx: &Context) -> Result<(), Failure> {
    let tool = match format {
        Format::Tar => "",
        Format::TarGz => "gzip",
        Format::TarZst => "zstd",
        Format::Zip => "unzip",
    };
    let absurd = RATIO_FROM.saturating_add(size.saturating_mul(unpack.max_ratio));
    // Shells count to the end of an i64.
    let number = |number: u64| number.min(i64::MAX.unsigned_abs()).to_string();
    let strip = number(u64::try_from(unpack.strip.min(1000)).unwrap_or(1000));
    let (bytes, entries) = (number(unpack.max_bytes), number(unpack.max_entries));
    let args = vec![text(&unpack.archive)?, text(into)?, strip, bytes, entries, number(absurd), sha256.to_owned(), tool.to_owned()];
    let output = ctx.run_named("unpack", &script(UNPACK, args)).await?;
    match output.ended.code() {
        0 => Ok(()),
        REFUSED => Err(refused(format!("`{}` cannot be unpacked: {}", unpack.archive.display(), output.last_words()))),
        DENSE => Err(too_dense()),
        _ => Err(Failure::new(
            FailureKind::Failed,
            format!("cannot unpack `{}` on {}: {}", unpack.archive.display(), ctx.host.name(), output.last_words()),
        )),
    }
}

/// No link that stays may lead out of the folder.
async fn check_links(root: &Path, ctx: &Context) -> Result<(), Failure> {
    let argv = ["find".to_owned(), text(root)?, "-type".to_owned(), "l".to_owned(), "-printf".to_owned(), "%P\\0%l\\0".to_owned()];
    let fields = list(Command { keep: LIST, stream: false, ..Command::new(argv) }, ctx).await?;
    let links: BTreeMap<PathBuf, PathBuf> = fields.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
    for (path, target) in &links {
        if !stays_inside(path, |path| links.get(path).map(PathBuf::as_path)) {
            let message = format!("the link `{}` leads out of the archive, to `{}`", path.display(), target.display());
            return Err(refused(message));
        }
    }
    Ok(())
}

/// The NUL-ended names that a command prints.
async fn list(command: Command, ctx: &Context) -> Result<Vec<PathBuf>, Failure> {
    let output = ctx.host.run(&command, ctx).await?;
    if !output.ok() || output.stdout.truncated() {
        let words = if output.ok() { "there are too many names".to_owned() } else { output.last_words() };
        return Err(Failure::new(FailureKind::Failed, format!("cannot list what is on {}: {words}", ctx.host.name())));
    }
    let Some(bytes) = output.stdout.bytes.strip_suffix(b"\0") else { return Ok(Vec::new()) };
    Ok(bytes.split(|byte| *byte == 0).map(|name| PathBuf::from(OsStr::from_bytes(name))).collect())
}

async fn count(root: &Path, ctx: &Context) -> Result<Written, Failure> {
    let output = ctx.host.run(&script(COUNT, vec![text(root)?]), ctx).await?;
    let said = output.stdout.text();
    let figures = said.trim().split_once(' ').and_then(|(entries, bytes)| Some((entries.parse().ok()?, bytes.parse().ok()?)));
    match figures {
        Some((entries, bytes)) if output.ok() => Ok(Written { entries, bytes }),
        _ => Err(Failure::new(FailureKind::Failed, format!("cannot look at `{}`: {}", root.display(), output.last_words()))),
    }
}

/// Moves the complete folder into its place.
async fn put(unpack: &Unpack, staging: &Path, ctx: &Context) -> Result<(), Failure> {
    let host = &ctx.host;
    if !unpack.replace || host.stat(&unpack.to, false).await?.is_none() {
        return host.rename(staging, &unpack.to).await;
    }
    let old = sibling(&unpack.to, "old")?;
    host.remove(&old, true).await?;
    host.rename(&unpack.to, &old).await?;
    if let Err(failure) = host.rename(staging, &unpack.to).await {
        let _ = host.rename(&old, &unpack.to).await;
        return Err(failure.touched());
    }
    host.remove(&old, true).await.map_err(Failure::touched)
}

/// Packs a folder there.
pub(super) async fn pack(pack: &Pack, ctx: &Context) -> Result<Packed, Failure> {
    let name = pack.to.to_string_lossy();
    let tool = match Format::of_name(&name) {
        Some(Format::TarGz) => "gzip",
        Some(Format::TarZst) => "zstd -3 -T0",
        Some(Format::Tar) => "",
        _ => {
            let message = format!("archive: `{name}` must end in `.tar.gz`, `.tar.zst` or `.tar`");
            return Err(Failure::new(FailureKind::Invalid, message));
        }
    };
    if !ctx.host.stat(&pack.from, true).await?.is_some_and(|stat| stat.kind == Kind::Directory) {
        return Err(Failure::new(FailureKind::Failed, format!("`{}` is not a directory", pack.from.display())));
    }
    let names = names(pack, ctx).await?;
    let entries = names.len() as u64;
    let mut stdin = Vec::new();
    for name in names {
        stdin.extend_from_slice(name.as_os_str().as_bytes());
        stdin.push(0);
    }
    let args = vec![text(&pack.from)?, text(&pack.to)?, tool.to_owned()];
    // The script puts the archive in its place by itself.
    pack.intent.declare(&result([("path", Value::string(pack.to.to_string_lossy()))]))?;
    let output = ctx.run_named("pack", &Command { stdin, ..script(PACK, args) }).await?;
    if !output.ok() {
        let message = format!("cannot pack `{}` on {}: {}", pack.from.display(), ctx.host.name(), output.last_words());
        return Err(Failure::new(FailureKind::Failed, message));
    }
    let (sha256, bytes) = there(&pack.to, ctx).await?;
    Ok(Packed { entries, bytes, sha256: sha256_of_text(&sha256).unwrap_or(sha256) })
}

/// What of the folder is packed, what is above first. Sockets, pipes and devices are not.
async fn names(pack: &Pack, ctx: &Context) -> Result<Vec<PathBuf>, Failure> {
    let exclude = globs(&pack.exclude).map_err(|error| Failure::new(FailureKind::Invalid, error.to_string()))?;
    let kinds = ["(", "-type", "f", "-o", "-type", "d", "-o", "-type", "l", ")", "-printf", "%P\\0"].map(str::to_owned);
    let argv = ["find".to_owned(), text(&pack.from)? + "/", "-mindepth".to_owned(), "1".to_owned()].into_iter().chain(kinds);
    let mut names = list(Command { keep: LIST, stream: false, ..Command::new(argv) }, ctx).await?;
    names.retain(|name| {
        let is_left_out = name.ancestors().filter(|above| !above.as_os_str().is_empty()).any(|above| exclude.is_match(above));
        // An archive that is made inside the folder does not hold itself.
        !is_left_out && pack.from.join(name) != pack.to
    });
    names.sort();
    Ok(names)
}
