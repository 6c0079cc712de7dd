//! Where a provider comes from: what the configuration says, else a folder beside it, else the user's folders, else the program.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use super::{Parsed, ProviderFiles, decode, parse};
use crate::config::fields::suggestion;
use crate::config::files::{Folder, Record, Tree};
use crate::config::module::Sources;
use crate::model::driver::DriverSchema;
use crate::model::name::{Digest, ProviderName};
use crate::model::provider::Provider;
use crate::model::version::VersionScheme;
use crate::source::{Diagnostic, Diagnostics, SourceMap, Span};

/// `windlass { provider "NAME" { source = …  digest = … } }`.
pub(in crate::config) struct Declared {
    /// Where it is.
    pub(in crate::config) source: Option<(String, Span)>,
    /// What its digest must be.
    pub(in crate::config) digest: Option<(String, Span)>,
}

/// Finds providers.
pub(in crate::config) struct Finder<'a> {
    /// The configuration's folder.
    pub(in crate::config) root: &'a Folder,
    /// What the configuration says.
    pub(in crate::config) declared: BTreeMap<ProviderName, Declared>,
    /// The user's folders, each with providers as folders in it.
    pub(in crate::config) folders: &'a [PathBuf],
    /// The program's own.
    pub(in crate::config) embedded: &'a BTreeMap<ProviderName, ProviderFiles>,
}

/// A provider's files, and where they are.
struct Found {
    files: ProviderFiles,
    /// What their folder is called.
    label: String,
    /// Whether it changes apart from the configuration and the program.
    is_outside: bool,
}

impl Finder<'_> {
    /// The files of a provider. `None`: there is none, and that is told.
    fn find(&self, name: &ProviderName, used: Option<Span>, opener: &mut Sources, problems: &mut Diagnostics) -> Option<Found> {
        if let Some((source, span)) = self.declared.get(name).and_then(|declared| declared.source.as_ref()) {
            let found = opener
                .open(source, self.root, format!("provider.{name}"))
                .and_then(|folder| folder.unrecorded().content().map(|files| (files, folder.display_self())))
                // A relative folder is part of the same checkout, and reviewed with it.
                .map(|(files, label)| Found { files, label, is_outside: !source.starts_with('.') });
            return problems.take(found.map_err(|reason| {
                Diagnostic::error("provider not found")
                    .detail(format!("the source `{source}` of provider `{name}` {reason}"))
                    .help("correct the source: a folder (`./providers/x`) or a repository (`git::URL//FOLDER?ref=REVISION`)")
                    .at(*span)
            }));
        }
        let beside = self.root.join(&format!("providers/{name}")).unrecorded();
        let user = self.folders.iter().map(|folder| Folder {
            tree: Tree::Disk { base: Rc::from(folder.as_path()) },
            path: PathBuf::from(name.as_str()),
            label: folder.join(name.as_str()).display().to_string(),
            record: Record::default(),
        });
        for (folder, is_outside) in std::iter::once((beside, false)).chain(user.map(|folder| (folder, true))) {
            if !folder.is_there() {
                continue;
            }
            let label = folder.display_self();
            let found = folder.content().map(|files| Found { files, label: label.clone(), is_outside });
            return problems.take(found.map_err(|reason| {
                Diagnostic::error("provider cannot be read")
                    .detail(format!("the folder `{label}` of provider `{name}` {reason}"))
                    .help("a provider is a folder of `.hcl` files and templates, all readable")
            }));
        }
        if let Some(files) = self.embedded.get(name) {
            return Some(Found { files: files.clone(), label: format!("<embedded>/{name}"), is_outside: false });
        }
        problems.push(self.missing(name, used));
        None
    }

    fn missing(&self, name: &ProviderName, used: Option<Span>) -> Diagnostic {
        let beside = self.root.join("providers").folders();
        let known: BTreeSet<&str> = self
            .embedded
            .keys()
            .map(ProviderName::as_str)
            .chain(self.declared.keys().map(ProviderName::as_str))
            .chain(beside.iter().map(String::as_str))
            .filter(|known| *known != name.as_str())
            .collect();
        let known: Vec<&str> = known.into_iter().collect();
        let diagnostic = Diagnostic::error("unknown provider")
            .detail(format!(
                "there is no provider `{name}`: not in `windlass {{ provider … }}`, not in `{}`, not in the user's folder, not embedded",
                self.root.display(&format!("providers/{name}"))
            ))
            .help(if known.is_empty() { "write one: `windlass provider new`".to_owned() } else { suggestion(name.as_str(), &known) });
        match used {
            Some(span) => diagnostic.at(span),
            None => diagnostic,
        }
    }
}

/// Loads every provider that is used (by name, with a place that uses it). Providers that have problems are left out, and told.
pub(in crate::config) fn load_all(
    wanted: &BTreeMap<ProviderName, Option<Span>>,
    finder: &Finder<'_>,
    opener: &mut Sources,
    drivers: &[DriverSchema],
    sources: &mut SourceMap,
    problems: &mut Diagnostics,
) -> BTreeMap<ProviderName, Arc<Provider>> {
    let mut parsed: Vec<Parsed> = Vec::new();
    let mut schemes: BTreeMap<ProviderName, VersionScheme> = BTreeMap::new();
    for (name, used) in wanted {
        let Some(Found { files, label, is_outside }) = finder.find(name, *used, opener, problems) else { continue };
        if is_outside {
            opener.outside.insert(name.clone(), label.clone());
        }
        if let Some((digest, span)) = finder.declared.get(name).and_then(|declared| declared.digest.as_ref()) {
            check_digest(name, &super::files_digest(&files), digest, *span, problems);
        }
        if let Some(provider) = parse(name, files, &label, sources, problems) {
            schemes.insert(name.clone(), provider.scheme.clone());
            parsed.push(provider);
        }
    }
    let decoded = parsed.iter().filter_map(|parsed| decode(parsed, &schemes, drivers, problems));
    decoded.map(|provider| (provider.name.clone(), Arc::new(provider))).collect()
}

fn check_digest(name: &ProviderName, found: &Digest, wanted: &str, span: Span, problems: &mut Diagnostics) {
    if found.as_str() == wanted || found.as_str().strip_prefix("sha256:") == Some(wanted) {
        return;
    }
    problems.push(
        Diagnostic::error("provider digest differs")
            .detail(format!("the files of provider `{name}` have the digest {found}"))
            .help("look at what changed in the provider; where the change is wanted, write the new digest here")
            .at(span),
    );
}
