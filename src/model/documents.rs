//! A provider's folder as the files that its expressions may read.

use std::sync::Arc;

use super::provider::Provider;
use crate::lang::Files;

/// Paths are those of the folder; nothing outside it can be read.
impl Files for Provider {
    fn read(&self, path: &str) -> Result<Arc<[u8]>, String> {
        let path = path.strip_prefix("./").unwrap_or(path);
        self.files.get(path).cloned().ok_or_else(|| {
            let near = crate::source::nearest(path, self.files.keys().map(|known| &**known));
            let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            format!("the folder of provider {} has no file `{path}`{hint}", self.name)
        })
    }

    fn exists(&self, path: &str) -> bool {
        self.files.contains_key(path.strip_prefix("./").unwrap_or(path))
    }

    fn list(&self, dir: &str, glob: &str) -> Result<Vec<String>, String> {
        let matcher =
            globset::GlobBuilder::new(glob).literal_separator(true).build().map_err(|error| error.to_string())?.compile_matcher();
        let dir = dir.strip_prefix("./").unwrap_or(dir).trim_end_matches('/');
        let below = |path: &Arc<str>| match dir {
            "" | "." => Some(path.to_string()),
            _ => path.strip_prefix(dir).and_then(|rest| rest.strip_prefix('/')).map(ToOwned::to_owned),
        };
        // The table is sorted, and a common beginning keeps it so.
        Ok(self.files.keys().filter_map(below).filter(|path| matcher.is_match(path)).collect())
    }
}
