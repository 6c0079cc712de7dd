//! The providers that the program carries in itself: the repository's `providers/` folder as it was when it was built.

use std::collections::BTreeMap;
use std::sync::Arc;

use include_dir::{Dir, include_dir};

use super::ProviderFiles;
use crate::model::name::ProviderName;

static PROVIDERS: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/providers");

/// The embedded providers' files, by name.
#[must_use]
pub fn embedded() -> BTreeMap<ProviderName, ProviderFiles> {
    let mut providers = BTreeMap::new();
    for folder in PROVIDERS.dirs() {
        let Some(name) = folder.path().to_str() else { continue };
        let mut files = ProviderFiles::new();
        let mut open = vec![folder];
        while let Some(dir) = open.pop() {
            open.extend(dir.dirs());
            for file in dir.files() {
                let path = file.path().strip_prefix(folder.path()).ok().and_then(|path| path.to_str());
                let hidden = |path: &str| path.split('/').any(|part| part.starts_with('.'));
                if let Some(path) = path.filter(|path| !hidden(path)) {
                    files.insert(Arc::from(path), Arc::from(file.contents()));
                }
            }
        }
        providers.insert(ProviderName::new(name), files);
    }
    providers
}

#[cfg(test)]
mod tests {
    use super::embedded;

    #[test]
    fn every_embedded_folder_is_a_provider() {
        for (name, files) in embedded() {
            assert!(files.keys().any(|path| path.ends_with(".hcl")), "{name}");
        }
    }
}
