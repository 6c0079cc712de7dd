//! Providers that are others than those that were used last: what a reviewer has not seen, because it came with the program or from
//! outside.
//!
//! Takes the providers of what changes, as they are and as the lockfile has pinned them; gives what is other in their files, where the
//! earlier content is recorded. Says what changed, never whether that is good.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::change::Change;
use super::input::PlanInput;
use crate::lock::ProviderPin;
use crate::model::driver::Diff;
use crate::model::name::{Digest, EnvironmentName, ProviderName};

/// A provider that is another than the one that was used last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Revised {
    /// Which.
    pub provider: ProviderName,
    /// Where the earlier one was used last.
    pub environments: Vec<EnvironmentName>,
    /// The one that was used last.
    pub from: Edition,
    /// The one that is used now.
    pub to: Edition,
    /// What is other in its files; `None`: the earlier content is not recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<Vec<RevisedFile>>,
}

/// One provider at one time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Edition {
    /// The provider's own version.
    pub version: String,
    /// Digest over its files.
    pub digest: Digest,
}

/// A file that is another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RevisedFile {
    /// Lines that came.
    pub added: usize,
    /// Lines that went.
    pub removed: usize,
    /// Which file, and how it differs.
    #[serde(flatten)]
    pub diff: Diff,
}

impl Revised {
    /// Who, and from which to which, in one line.
    #[must_use]
    pub fn headline(&self) -> String {
        let Self { provider, environments, from, to, files } = self;
        let places: Vec<&str> = environments.iter().map(EnvironmentName::as_str).collect();
        let versions = if from.version == to.version { to.version.clone() } else { format!("{} → {}", from.version, to.version) };
        let (old, new, places) = (from.digest.short(), to.digest.short(), places.join(", "));
        let what = match files {
            None => "; what it was before is not recorded".to_owned(),
            Some(files) => {
                let named = files.iter().map(|file| format!("{} +{} -{}", file.diff.path, file.added, file.removed));
                format!("; {}", named.collect::<Vec<_>>().join(", "))
            }
        };
        format!("provider {provider} is another than was used last in {places}: {versions}, {old} → {new}{what}")
    }
}

/// The providers that go forward here and are others than the lockfile of their environment has pinned.
pub(super) fn revised(input: &PlanInput<'_>, changes: &[Change]) -> Vec<Revised> {
    let mut found: BTreeMap<(&ProviderName, &Digest), (&ProviderPin, BTreeSet<&EnvironmentName>)> = BTreeMap::new();
    for Change { provider, environment, hops, .. } in changes {
        // What an earlier run did is undone by the provider of then.
        let goes_on = hops.iter().any(|hop| hop.reverts.is_none());
        let pin = input.locks.get(environment).and_then(|lock| lock.providers.get(provider));
        let (Some(pin), true, Some(now)) = (pin, goes_on, input.providers.get(provider)) else { continue };
        if pin.digest != now.digest {
            found.entry((provider, &pin.digest)).or_insert_with(|| (pin, BTreeSet::new())).1.insert(environment);
        }
    }
    let told = |((provider, digest), (pin, environments)): ((&ProviderName, &Digest), (&ProviderPin, BTreeSet<_>))| {
        let now = input.providers.get(provider)?;
        let before = input.applied_providers.get(digest);
        Some(Revised {
            provider: provider.clone(),
            environments: environments.into_iter().cloned().collect(),
            from: Edition { version: pin.version.clone(), digest: digest.clone() },
            to: Edition { version: now.version.clone(), digest: now.digest.clone() },
            files: before.map(|before| files(&before.files, &now.files)),
        })
    };
    found.into_iter().filter_map(told).collect()
}

type Files = BTreeMap<Arc<str>, Arc<[u8]>>;

fn files(before: &Files, after: &Files) -> Vec<RevisedFile> {
    let paths: BTreeSet<&Arc<str>> = before.keys().chain(after.keys()).collect();
    let differs = paths.into_iter().filter(|path| before.get(*path) != after.get(*path));
    differs.map(|path| file(path, before.get(path), after.get(path))).collect()
}

fn file(path: &str, before: Option<&Arc<[u8]>>, after: Option<&Arc<[u8]>>) -> RevisedFile {
    let read = |bytes: Option<&Arc<[u8]>>| bytes.map_or(Some(String::new()), |bytes| String::from_utf8(bytes.to_vec()).ok());
    let (Some(old), Some(new)) = (read(before), read(after)) else {
        let diff = Diff { path: path.to_owned(), text: "it is no text".to_owned() };
        return RevisedFile { added: 0, removed: 0, diff };
    };
    let diff = similar::TextDiff::from_lines(&old, &new);
    let count = |tag| diff.iter_all_changes().filter(|change| change.tag() == tag).count();
    let name = |side: &str, bytes: Option<_>| bytes.map_or("/dev/null".to_owned(), |_: &Arc<[u8]>| format!("{side}/{path}"));
    let (added, removed) = (count(similar::ChangeTag::Insert), count(similar::ChangeTag::Delete));
    let text = diff.unified_diff().header(&name("a", before), &name("b", after)).to_string();
    RevisedFile { added, removed, diff: Diff { path: path.to_owned(), text } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::fixture::World;

    fn given(files: &[(&str, &str)]) -> Files {
        files.iter().map(|(path, text)| (Arc::from(*path), Arc::from(text.as_bytes()))).collect()
    }

    /// A world whose product was applied, and whose provider and wish have changed since.
    fn changed() -> World {
        let mut world = World::new();
        world.reteach("app", |app| app.files = given(&[("a.hcl", "one\ntwo\n"), ("same", "x"), ("gone", "y\n")]));
        world.declare("app.web", "2.0", &[]);
        world.converge();
        let pin = ProviderPin { version: "0.1.0".to_owned(), digest: world.providers["app"].digest.clone() };
        world.locks.get_mut("production").unwrap().providers.insert("app".into(), pin);
        world.reteach("app", |app| app.files = given(&[("a.hcl", "one\n2\nthree\n"), ("same", "x"), ("bytes", "\u{0}")]));
        world.want("app.web", "2.1");
        world
    }

    #[test]
    fn what_is_other_in_a_provider_is_said_once_with_its_files() {
        let mut world = changed();
        world.declare("app.other", "2.1", &[]);
        let (plan, _) = world.plan();
        let [revised] = &plan.revised[..] else { panic!("{:?}", plan.revised) };
        assert_eq!(revised.environments, ["production".into()]);
        let files = revised.files.as_ref().unwrap();
        let shown: Vec<_> = files.iter().map(|file| (&*file.diff.path, file.added, file.removed)).collect();
        assert_eq!(shown, [("a.hcl", 2, 1), ("bytes", 1, 0), ("gone", 0, 1)]);
        assert!(files[0].diff.text.ends_with(" one\n-two\n+2\n+three\n"), "{}", files[0].diff.text);
        assert!(revised.headline().ends_with("; a.hcl +2 -1, bytes +1 -0, gone +0 -1"), "{}", revised.headline());
    }

    #[test]
    fn without_the_earlier_content_digests_are_all_there_is() {
        let mut world = changed();
        let before = world.locks["production"].providers["app"].digest.clone();
        world.applied.remove(&before);
        let (plan, _) = world.plan();
        assert_eq!(plan.revised[0].files, None);
        let told = plan.revised[0].headline();
        assert!(told.contains(before.short()) && told.ends_with("is not recorded"), "{told}");
    }

    #[test]
    fn who_uses_the_same_or_goes_back_by_the_old_one_hears_nothing() {
        let mut world = changed();
        world.want("app.web", "2.0");
        assert_eq!(world.plan().0.revised, []);
        world.want("app.web", "2.1");
        let digest = world.providers["app"].digest.clone();
        world.locks.get_mut("production").unwrap().providers.get_mut("app").unwrap().digest = digest;
        assert_eq!(world.plan().0.revised, []);
    }
}
