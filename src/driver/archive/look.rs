//! The actions of `archive` that only look into one: `list`, `digest` and `read`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read as _, Write};
use std::ops::ControlFlow;
use std::path::PathBuf;

use globset::GlobSet;
use md5::Md5;
use sha2::{Digest as _, Sha256};

use super::far::Reach;
use super::members::{MemberKind, Members};
use super::tree::{refused, unreadable};
use super::{result, walk};
use crate::driver::http::whole;
use crate::driver::transfer::{Watch, hex, work};
use crate::driver::{Args, Context, Failure, FailureKind};
use crate::lang::Value;

/// More members than this are not given.
const MOST_MEMBERS: usize = 10_000;
/// How much of a member is read where the provider does not say.
const LIMIT: u64 = 1 << 20;
/// More than this of a member is never held.
const MOST: u64 = 64 << 20;
/// A member that is another name of another is followed so many times.
const LINKS: usize = 16;

/// Which members are meant.
enum Wanted {
    One(String),
    Fitting(GlobSet),
    All,
}

impl Wanted {
    fn of(args: &Args<'_>) -> Result<Self, Failure> {
        match (args.text("member")?, args.texts("members")?) {
            (Some(_), members) if !members.is_empty() => Err(args.invalid("only one of `member`, `members` can be given")),
            (Some(name), _) => Ok(Self::One(plain(&name))),
            (None, members) if members.is_empty() => Ok(Self::All),
            (None, members) => {
                let wrong = |error| args.invalid(format_args!("`members`: {error}"));
                Ok(Self::Fitting(walk::globs(&members).map_err(wrong)?))
            }
        }
    }

    fn fits(&self, name: &str) -> bool {
        match self {
            Self::One(one) => one == name,
            Self::Fitting(globs) => globs.is_match(name),
            Self::All => true,
        }
    }
}

fn plain(name: &str) -> String {
    name.trim_start_matches("./").trim_matches('/').to_owned()
}

fn members(args: &Args<'_>, archive: PathBuf, ctx: &Context) -> Result<Members, Failure> {
    Ok(Members {
        archive,
        reach: Reach::of(ctx),
        strip: usize::try_from(args.count("strip_components")?.unwrap_or(0)).unwrap_or(usize::MAX),
        max_entries: args.count("max_entries")?.unwrap_or(1_000_000),
        max_ratio: args.count("max_ratio")?.unwrap_or(250),
    })
}

fn too_many(members: &Members) -> Failure {
    let message = format!("more than {MOST_MEMBERS} members of `{}` are asked for", members.archive.display());
    Failure::new(FailureKind::Failed, message).help("narrow them with `members`")
}

/// Nothing is there: a failure where it must be.
fn absent(args: &Args<'_>, archive: &Members, what: &str) -> Result<(), Failure> {
    if args.flag("required")? {
        return Err(Failure::new(FailureKind::Failed, format!("`{}` has {what}", archive.archive.display())));
    }
    Ok(())
}

pub(super) async fn list(args: &Args<'_>, path: PathBuf, ctx: &Context) -> Result<Value, Failure> {
    let wanted = Wanted::of(args)?;
    let archive = members(args, path.clone(), ctx)?;
    let (found, bytes) = work(ctx, move |watch| {
        let (mut found, mut bytes) = (Vec::new(), 0_u64);
        archive.each(watch, &mut |member, _, _| {
            if wanted.fits(&member.name) {
                if found.len() == MOST_MEMBERS {
                    return Err(too_many(&archive));
                }
                bytes = bytes.saturating_add(member.size);
                let target = match &member.kind {
                    MemberKind::Symlink(target) | MemberKind::HardLink(target) => Some(target.clone()),
                    MemberKind::File | MemberKind::Directory | MemberKind::Other => None,
                };
                found.push(Value::object([
                    ("name", Value::string(&member.name)),
                    ("kind", member.kind.name().into()),
                    ("size", whole(member.size)),
                    ("mode", format!("{:04o}", member.mode).into()),
                    ("target", target.into()),
                ]));
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok((found, bytes))
    })
    .await?;
    if found.is_empty() {
        absent(args, &members(args, path.clone(), ctx)?, "no such member")?;
    }
    Ok(result([
        ("path", Value::string(path.to_string_lossy())),
        ("exists", (!found.is_empty()).into()),
        ("bytes", whole(bytes)),
        ("entries", whole(found.len() as u64)),
        ("members", Value::list(found)),
    ]))
}

/// What a file's content comes to.
#[derive(Clone)]
struct Digests {
    sha256: String,
    md5: String,
    bytes: u64,
}

#[derive(Default)]
struct Hashes {
    sha256: Sha256,
    md5: Md5,
    bytes: u64,
}

impl Write for Hashes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sha256.update(bytes);
        self.md5.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Hashes {
    fn finish(self) -> Digests {
        Digests { sha256: hex(&self.sha256.finalize()), md5: hex(&self.md5.finalize()), bytes: self.bytes }
    }
}

pub(super) async fn digest(args: &Args<'_>, path: PathBuf, ctx: &Context) -> Result<Value, Failure> {
    let wanted = Wanted::of(args)?;
    let is_one = matches!(wanted, Wanted::One(_));
    let archive = members(args, path.clone(), ctx)?;
    let files = work(ctx, move |watch| digests(&archive, &wanted, watch)).await?;
    if files.is_empty() {
        absent(args, &members(args, path.clone(), ctx)?, "no file that is asked for")?;
    }
    let bytes = files.values().map(|file| file.bytes).fold(0, u64::saturating_add);
    let all = match files.values().next() {
        Some(one) if is_one => Some((one.sha256.clone(), one.md5.clone())),
        Some(_) => Some((of_tree::<Sha256>(&files, |file| &file.sha256), of_tree::<Md5>(&files, |file| &file.md5))),
        None => None,
    };
    let (sha256, md5) = all.unzip();
    let entries = files.len() as u64;
    let files = files.into_iter().map(|(name, Digests { sha256, md5, bytes })| {
        (name, Value::object([("sha256", sha256.into()), ("md5", md5.into()), ("size", whole(bytes))]))
    });
    Ok(result([
        ("path", Value::string(path.to_string_lossy())),
        ("exists", (entries > 0).into()),
        ("sha256", sha256.into()),
        ("md5", md5.into()),
        ("bytes", whole(bytes)),
        ("entries", whole(entries)),
        ("files", Value::object(files)),
    ]))
}

/// The digest of what `sha256sum` or `md5sum` writes about the files in the order of their names.
fn of_tree<D: sha2::Digest>(files: &BTreeMap<String, Digests>, of: impl Fn(&Digests) -> &String) -> String {
    let mut all = D::new();
    for (name, file) in files {
        all.update(format!("{}  {name}\n", of(file)).as_bytes());
    }
    hex(&all.finalize())
}

/// The digests of the files that are wanted. What is another name of a file outside is looked for by going through once more.
fn digests(archive: &Members, wanted: &Wanted, watch: &mut Watch) -> Result<BTreeMap<String, Digests>, Failure> {
    let mut links = BTreeMap::new();
    let mut found = hashed(archive, &|name| wanted.fits(name), Some(&mut links), watch)?;
    let end = |name: &String| -> Option<String> {
        let mut name = name;
        (0..LINKS).find_map(|_| match links.get(name) {
            Some(next) => {
                name = next;
                None
            }
            None => Some(name.clone()),
        })
    };
    let mut ends: Vec<(String, String)> = Vec::new();
    for name in links.keys().filter(|name| wanted.fits(name)) {
        let end = end(name).ok_or_else(|| refused(format!("the member `{name}` is another name of itself")))?;
        ends.push((name.clone(), end));
    }
    let outside: BTreeSet<&str> = ends.iter().map(|(_, end)| &**end).filter(|end| !found.contains_key(*end)).collect();
    let more = if outside.is_empty() { BTreeMap::new() } else { hashed(archive, &|name| outside.contains(name), None, watch)? };
    for (name, end) in ends {
        let Some(file) = found.get(&end).or_else(|| more.get(&end)).cloned() else {
            return Err(refused(format!("the member `{name}` is another name of `{end}`, which is not there")));
        };
        found.insert(name, file);
    }
    if found.len() > MOST_MEMBERS { Err(too_many(archive)) } else { Ok(found) }
}

fn hashed(
    archive: &Members,
    wanted: &dyn Fn(&str) -> bool,
    mut links: Option<&mut BTreeMap<String, String>>,
    watch: &mut Watch,
) -> Result<BTreeMap<String, Digests>, Failure> {
    let mut found = BTreeMap::new();
    archive.each(watch, &mut |member, content, watch| {
        match &member.kind {
            MemberKind::HardLink(target) => {
                if let Some(links) = &mut links {
                    links.insert(member.name.clone(), target.clone());
                }
            }
            MemberKind::File if wanted(&member.name) => {
                let mut hashes = Hashes::default();
                watch.copy(content, &mut hashes).map_err(|error| unreadable(&archive.archive, &error))?;
                let file = hashes.finish();
                if file.bytes != member.size {
                    return Err(refused(format!("the member `{}` is not as long as the archive says", member.name)));
                }
                if found.len() >= MOST_MEMBERS {
                    return Err(too_many(archive));
                }
                if found.insert(member.name.clone(), file).is_some() {
                    return Err(refused(format!("the archive has `{}` twice", member.name)));
                }
            }
            MemberKind::File | MemberKind::Directory | MemberKind::Symlink(_) | MemberKind::Other => {}
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(found)
}

pub(super) async fn read(args: &Args<'_>, path: PathBuf, ctx: &Context) -> Result<Value, Failure> {
    let name = plain(&args.needed_text("member")?);
    let limit = args.bytes("limit")?.unwrap_or(LIMIT);
    if limit > MOST {
        return Err(args.invalid("`limit` is more than 64 MiB"));
    }
    let archive = members(args, path.clone(), ctx)?;
    let wanted = name.clone();
    let content = work(ctx, move |watch| content(&archive, &wanted, limit, watch)).await?;
    if content.is_none() {
        absent(args, &members(args, path.clone(), ctx)?, &format!("no member `{name}`"))?;
    }
    let truncated = content.as_ref().is_some_and(|(_, size)| *size > limit);
    let size = content.as_ref().map(|(_, size)| *size);
    Ok(result([
        ("path", Value::string(path.to_string_lossy())),
        ("exists", content.is_some().into()),
        ("truncated", truncated.into()),
        ("bytes", size.map_or(Value::Null, whole)),
        ("content", content.and_then(|(bytes, _)| String::from_utf8(bytes).ok()).into()),
    ]))
}

/// The beginning of a member's content and its size.
fn content(archive: &Members, name: &str, limit: u64, watch: &mut Watch) -> Result<Option<(Vec<u8>, u64)>, Failure> {
    let mut name = name.to_owned();
    for _ in 0..LINKS {
        let mut found = None;
        let mut next = None;
        archive.each(watch, &mut |member, content, _| {
            if member.name != name {
                return Ok(ControlFlow::Continue(()));
            }
            match &member.kind {
                MemberKind::File => {
                    let mut bytes = Vec::new();
                    content.take(limit).read_to_end(&mut bytes).map_err(|error| unreadable(&archive.archive, &error))?;
                    found = Some((bytes, member.size));
                }
                MemberKind::HardLink(target) => next = Some(target.clone()),
                other => {
                    let message =
                        format!("the member `{name}` of `{}` is no file, but {}", archive.archive.display(), other.name());
                    return Err(Failure::new(FailureKind::Failed, message));
                }
            }
            Ok(ControlFlow::Break(()))
        })?;
        match next {
            Some(next) => name = next,
            None => return Ok(found),
        }
    }
    Err(refused(format!("the member `{name}` is another name of itself")))
}
