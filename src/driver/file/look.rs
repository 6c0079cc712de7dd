//! The actions of `file` that only look.

use std::collections::BTreeMap;
use std::path::Path;

use super::sha256;
use crate::driver::host::{Kind, Stat};
use crate::driver::{Args, Context, Failure, FailureKind};
use crate::lang::Value;

/// How much is read where the provider does not say.
const LIMIT: u64 = 1 << 20;
/// More than this is never held.
const MOST: u64 = 64 << 20;
/// More names than this are not listed.
const ENTRIES: usize = 10_000;

fn described(stat: Option<&Stat>) -> Vec<(&'static str, Value)> {
    vec![
        ("exists", stat.is_some().into()),
        ("kind", stat.map(|stat| stat.kind.name()).into()),
        ("size", stat.map(|stat| stat.size).into()),
        ("mode", stat.map(|stat| format!("{:04o}", stat.mode)).into()),
        ("uid", stat.map(|stat| u64::from(stat.uid)).into()),
        ("gid", stat.map(|stat| u64::from(stat.gid)).into()),
        ("modified", stat.map(|stat| stat.modified.to_string()).into()),
        ("target", stat.and_then(|stat| stat.target.clone()).into()),
    ]
}

fn absent(args: &Args<'_>, path: &str) -> Result<(), Failure> {
    if args.flag("required")? {
        return Err(Failure::new(FailureKind::Failed, format!("`{path}` does not exist")));
    }
    Ok(())
}

pub(super) async fn read(args: &Args<'_>, ctx: &Context) -> Result<Value, Failure> {
    let path = args.needed_path("path")?;
    let limit = args.bytes("limit")?.unwrap_or(LIMIT);
    if limit > MOST {
        return Err(args.invalid("`limit` is more than 64 MiB"));
    }
    let parse = args.word("parse", &["json", "lines", "properties"])?;
    let stat = ctx.host.stat(Path::new(&path), true).await?;
    if let Some(stat) = &stat
        && stat.kind != Kind::File
    {
        // A pipe would never end, a directory has no content.
        return Err(Failure::new(FailureKind::Failed, format!("`{path}` is no file, but {}", stat.kind.name())));
    }
    let content = if stat.is_some() { ctx.host.read(Path::new(&path), limit).await? } else { None };
    let mut result = described(stat.as_ref());
    result.push(("path", Value::string(&path)));
    let Some(content) = content else {
        absent(args, &path)?;
        result.extend([("content", Value::Null), ("truncated", false.into()), ("sha256", Value::Null)]);
        result.extend(["json", "lines", "properties"].map(|name| (name, Value::Null)));
        return Ok(Value::object(result));
    };
    let digest = (!content.truncated).then(|| sha256(&content.bytes));
    let text = String::from_utf8(content.bytes).ok();
    let parsed = |wanted: &str| if parse == Some(wanted) { Some(text.as_deref().unwrap_or_default()) } else { None };
    if parse.is_some() && (text.is_none() || content.truncated) {
        let why = if content.truncated { format!("it is longer than {limit} bytes") } else { "it is not UTF-8".to_owned() };
        return Err(Failure::new(FailureKind::Failed, format!("cannot parse `{path}`: {why}")));
    }
    let json = match parsed("json") {
        // An error of serde_json names a place and what was expected, never the content.
        Some(text) => serde_json::from_str(text)
            .map_err(|error| Failure::new(FailureKind::Failed, format!("`{path}` is not JSON: {error}")))?,
        None => Value::Null,
    };
    result.extend([
        ("json", json),
        ("lines", parsed("lines").map_or(Value::Null, |text| Value::list(text.lines().map(Value::string)))),
        ("properties", parsed("properties").map_or(Value::Null, |text| Value::object(properties(text)))),
        ("truncated", content.truncated.into()),
        ("sha256", digest.into()),
        ("content", text.into()),
    ]);
    Ok(Value::object(result))
}

/// Lines `name=value` (or `name: value`, `name = value`), in sections.
fn properties(text: &str) -> BTreeMap<String, Value> {
    let mut section = String::new();
    let mut all = BTreeMap::new();
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with(['#', ';', '!']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = format!("{}.", name.trim());
        } else if let Some((name, value)) = line.split_once('=').or_else(|| line.split_once(':')) {
            let value = value.trim();
            let bare = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote)).unwrap_or(value);
            all.insert(format!("{section}{}", name.trim()), Value::string(bare));
        }
    }
    all
}

pub(super) async fn stat(args: &Args<'_>, ctx: &Context) -> Result<Value, Failure> {
    let path = args.needed_path("path")?;
    let stat = ctx.host.stat(Path::new(&path), false).await?;
    if stat.is_none() {
        absent(args, &path)?;
    }
    let mut result = described(stat.as_ref());
    let digest = match &stat {
        Some(stat) if args.flag("digest")? && stat.kind == Kind::File => {
            // On the host itself: a kit of gigabytes does not travel.
            let output = ctx.look(["sha256sum", "--", &path]).await?;
            let text = output.stdout.text();
            // A name with a backslash or newline makes it begin with a backslash.
            let digest =
                text.trim_start_matches('\\').split_whitespace().next().filter(|digest| digest.len() == 64).map(str::to_owned);
            if digest.is_none() {
                return Err(Failure::new(
                    FailureKind::Failed,
                    format!("cannot compute the digest of `{path}`: {}", output.last_words()),
                ));
            }
            digest
        }
        _ => None,
    };
    result.extend([("path", Value::string(&path)), ("sha256", digest.into())]);
    Ok(Value::object(result))
}

pub(super) async fn list(args: &Args<'_>, ctx: &Context) -> Result<Value, Failure> {
    let path = args.needed_path("path")?;
    let glob = match args.text("glob")? {
        Some(glob) => Some(
            globset::GlobBuilder::new(&glob)
                .literal_separator(true)
                .build()
                .map_err(|error| args.invalid(format_args!("`glob` cannot be understood: {}", error.kind())))?
                .compile_matcher(),
        ),
        None => None,
    };
    let exists = ctx.host.stat(Path::new(&path), true).await?.is_some();
    if !exists {
        absent(args, &path)?;
    }
    let entries = if exists { ctx.host.list(Path::new(&path)).await? } else { Vec::new() };
    let fits = |name: &str| glob.as_ref().is_none_or(|glob| glob.is_match(name));
    let entries: Vec<Value> = entries
        .into_iter()
        .filter(|entry| fits(&entry.name))
        .map(|entry| {
            Value::object([
                ("path", Value::string(Path::new(&path).join(&entry.name).to_string_lossy())),
                ("name", entry.name.into()),
                ("kind", entry.stat.kind.name().into()),
                ("size", entry.stat.size.into()),
                ("modified", entry.stat.modified.to_string().into()),
                ("target", entry.stat.target.into()),
            ])
        })
        .collect();
    if entries.len() > ENTRIES {
        return Err(Failure::new(FailureKind::Failed, format!("`{path}` holds {} names, more than {ENTRIES}", entries.len()))
            .help("narrow it with `glob`"));
    }
    Ok(Value::object([("exists", exists.into()), ("entries", Value::list(entries)), ("path", path.into())]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_have_sections_comments_and_quotes() {
        let all = properties("# c\n[server]\nport = 11200\n[general]\nnodetype=design\nurl=http://x/?a=b\nname: \"q\"\n\nnoise\n");
        let text = |name: &str| all[name].as_str().unwrap().to_owned();
        assert_eq!((text("server.port"), text("general.nodetype")), ("11200".to_owned(), "design".to_owned()));
        assert_eq!((text("general.url"), text("general.name")), ("http://x/?a=b".to_owned(), "q".to_owned()));
        assert_eq!(all.len(), 4);
    }

    #[test]
    fn a_quote_alone_is_a_value() {
        assert_eq!(properties("a='\nb=\"\"")["a"].as_str(), Some("'"));
    }
}
