//! Which content of modules and providers from outside was accepted: `windlass-sources.lock`, beside the configuration, in git.
//!
//! Takes what was loaded; gives what has changed since it was accepted, with the files' difference where the earlier content is
//! known here. What stands in the configuration's own checkout is reviewed with it, and what the program carries changes with the
//! program: neither is pinned.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use similar::TextDiff;

use super::problem::file_problem;
use super::session::{Session, decode_provider, encode_provider};
use crate::config::{Loaded, ProviderFiles};
use crate::model::name::file_name;
use crate::source::{Diagnostic, Diagnostics, Fault};
use crate::state::durable;

/// The version of the file's format.
const FORMAT: u32 = 1;

/// Sources by what they are: `provider.mlflow`, `module.site`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Pins {
    format: u32,
    sources: BTreeMap<String, Pinned>,
    /// The files of what was loaded just now.
    #[serde(skip)]
    files: BTreeMap<String, ProviderFiles>,
}

/// One source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Pinned {
    /// Where it is from, without credentials.
    source: String,
    /// A digest over its files, or the commit.
    content: String,
}

impl Pins {
    /// The file, beside the configuration.
    pub(super) const FILE: &str = "windlass-sources.lock";

    /// What a loaded configuration uses.
    pub(super) fn of(loaded: &Loaded) -> Self {
        let modules = loaded.pins.iter().filter(|pin| pin.what.starts_with("module."));
        let modules =
            modules.map(|pin| (pin.what.clone(), Pinned { source: pin.source.clone(), content: format!("commit:{}", pin.commit) }));
        let providers = || loaded.outside.iter().filter_map(|(name, label)| Some((label, loaded.providers.get(name)?)));
        let pinned = providers().map(|(label, provider)| {
            let content = provider.digest.to_string();
            (format!("provider.{}", provider.name), Pinned { source: label.clone(), content })
        });
        let files = providers().map(|(_, provider)| (format!("provider.{}", provider.name), provider.files.clone()));
        Self { format: FORMAT, sources: modules.chain(pinned).collect(), files: files.collect() }
    }

    /// What was accepted; nothing where the file is not there.
    pub(super) fn read(root: &Path) -> Result<Self, Diagnostic> {
        let path = root.join(Self::FILE);
        let content = durable::read(&path).map_err(|error| file_problem("accepted sources cannot be read", &path, &error))?;
        let Some(content) = content else { return Ok(Self { format: FORMAT, sources: BTreeMap::new(), files: BTreeMap::new() }) };
        let wrong = |why: String| {
            Diagnostic::error("accepted sources cannot be read")
                .detail(format!("{}: {why}", Self::FILE))
                .help("bring it back from git; or remove it, look at every source, and run `windlass init`")
        };
        let pins: Self = serde_json::from_slice(&content).map_err(|error| wrong(error.to_string()))?;
        if pins.format != FORMAT {
            return Err(wrong(format!("it has format {}, this Windlass reads {FORMAT}", pins.format)));
        }
        Ok(pins)
    }

    /// Refuses what is there with another content than was accepted. What is not known yet is no problem.
    pub(super) fn check(&self, now: &Self, hidden: &Path) -> Result<(), Diagnostics> {
        let changed = self.changed(now);
        let problems: Diagnostics = changed
            .into_iter()
            .map(|(what, before, after)| {
                let difference = difference(what, before, after, now.files.get(what), hidden);
                let detail = format!(
                    "{what} ({}) was accepted with {}, and now is {}{difference}",
                    after.source, before.content, after.content
                );
                Diagnostic::error("source has changed")
                    .fault(Fault::Refused)
                    .detail(detail)
                    .help("look at what changed; `windlass init --upgrade` shows it and accepts it")
            })
            .collect();
        if problems.has_errors() { Err(problems) } else { Ok(()) }
    }

    /// What has changed, with the files' differences: one text each.
    pub(super) fn changes(&self, now: &Self, hidden: &Path) -> Vec<String> {
        let text = |(what, before, after): (&String, &Pinned, &Pinned)| {
            let difference = difference(what, before, after, now.files.get(what), hidden);
            format!("{what} ({}): {} → {}{difference}\n", after.source, before.content, after.content)
        };
        self.changed(now).into_iter().map(text).collect()
    }

    fn changed<'a>(&'a self, now: &'a Self) -> Vec<(&'a String, &'a Pinned, &'a Pinned)> {
        let known = |(what, after): (&'a String, &'a Pinned)| Some((what, self.sources.get(what)?, after));
        now.sources.iter().filter_map(known).filter(|(_, before, after)| before.content != after.content).collect()
    }

    /// Whether the same is used as was accepted.
    pub(super) fn is_as(&self, now: &Self) -> bool {
        self.sources == now.sources
    }

    /// Writes the file, and keeps the content of providers here, so that a later difference can be shown.
    pub(super) fn write(&self, root: &Path, hidden: &Path) -> Result<(), Diagnostic> {
        for (what, files) in &self.files {
            let Some(pinned) = self.sources.get(what) else { continue };
            let path = kept(hidden, &pinned.content);
            durable::replace(&path, &encode_provider(files), 0o600)
                .map_err(|error| file_problem("content of a source cannot be kept", &path, &error))?;
        }
        let path = root.join(Self::FILE);
        let problem = |error: &std::io::Error| file_problem("accepted sources cannot be written", &path, error);
        let mut text = serde_json::to_vec_pretty(self).map_err(|error| problem(&error.into()))?;
        text.push(b'\n');
        durable::replace(&path, &text, 0o644).map_err(|error| problem(&error))
    }
}

impl Session {
    /// Accepts sources that are used for the first time: what was accepted before stays as it is.
    pub(super) fn pin(&self) -> Result<(), Diagnostic> {
        let mut all = Pins::read(&self.place.root)?;
        let before = all.sources.len();
        for (what, pinned) in &self.pins.sources {
            all.sources.entry(what.clone()).or_insert_with(|| pinned.clone());
        }
        if all.sources.len() == before {
            return Ok(());
        }
        all.files.clone_from(&self.pins.files);
        all.write(&self.place.root, &self.place.hidden)?;
        self.place.terminal.say(&format!("{} says which content of sources from outside is used: commit it.", Pins::FILE));
        Ok(())
    }
}

/// Where the content of a provider is kept on this machine.
fn kept(hidden: &Path, content: &str) -> PathBuf {
    hidden.join("sources").join(file_name(content)).with_extension("json")
}

/// Which files are another, line by line where they are text.
fn difference(what: &str, before: &Pinned, after: &Pinned, files: Option<&ProviderFiles>, hidden: &Path) -> String {
    if what.starts_with("module.") {
        let commit = |pinned: &Pinned| pinned.content.trim_start_matches("commit:").to_owned();
        return format!("; in the repository: git diff {} {}", commit(before), commit(after));
    }
    let old = durable::read(&kept(hidden, &before.content)).ok().flatten();
    match (old.as_deref().and_then(decode_provider), files) {
        (Some(old), Some(new)) => format!(":\n{}", file_differences(&old, new)),
        _ => "; what it was before is not on this machine".to_owned(),
    }
}

fn file_differences(old: &ProviderFiles, new: &ProviderFiles) -> String {
    let mut text = String::new();
    for path in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
        let (before, after) = (old.get(path), new.get(path));
        if before == after {
            continue;
        }
        let read = |bytes: Option<&Arc<[u8]>>| bytes.map_or(Ok(String::new()), |bytes| String::from_utf8(bytes.to_vec()));
        match (read(before), read(after)) {
            (Ok(before), Ok(after)) => {
                let diff = TextDiff::from_lines(before.as_str(), after.as_str());
                text.push_str(&diff.unified_diff().header(&format!("a/{path}"), &format!("b/{path}")).to_string());
            }
            _ => {
                text.push_str(path);
                text.push_str(" is another file, and not text\n");
            }
        }
    }
    text
}
