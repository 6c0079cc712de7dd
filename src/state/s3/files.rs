//! Journals and files of runs as objects.
//!
//! A chunk of a journal is created under its number and never changed: who comes second finds the number taken. A file's key ends
//! with the token of the lease that it was written under, and the highest counts: a holder that was fenced and wakes cannot hide
//! what came after it.

use std::collections::BTreeMap;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::S3Store;
use super::objects::Put;
use crate::model::name::RunId;
use crate::state::{Lease, RunFiles, StateError};

fn chunk(run: &RunId, number: u64) -> String {
    format!("journals/{run}/{number:012}")
}

/// The folder of one file's versions. Names hold what a key may not.
fn folder(run: &RunId, name: &str) -> String {
    format!("files/{run}/{}", URL_SAFE_NO_PAD.encode(name))
}

fn decoded(name: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(name).ok()?).ok()
}

#[async_trait]
impl RunFiles for S3Store {
    async fn append(&self, run: &RunId, number: u64, content: &[u8], lease: &Lease) -> Result<(), StateError> {
        self.head(&lease.environment).await?.fenced(lease)?;
        let moved = |what: String| StateError::Moved { environment: lease.environment.clone(), what };
        if number > 1 && self.objects.get(&chunk(run, number - 1)).await?.is_none() {
            return Err(moved(format!("chunk {number} of the journal of run {run} does not follow what is there")));
        }
        let key = chunk(run, number);
        let done = self.objects.put_if(&key, content.to_vec(), None).await;
        if done.as_ref().is_ok_and(|put| *put == Put::Done) {
            return Ok(());
        }
        // Refused, or the answer was lost: our own may be there all the same. Journals have no two chunks alike.
        match self.objects.get(&key).await {
            Ok(Some(there)) if there.bytes == content => Ok(()),
            Ok(Some(_)) => Err(moved(format!("another process has written chunk {number} of the journal of run {run}"))),
            Ok(None) | Err(_) => Err(done.err().unwrap_or_else(|| moved(format!("chunk {number} of run {run} is gone")))),
        }
    }

    async fn journal(&self, run: &RunId) -> Result<Vec<Vec<u8>>, StateError> {
        let names = self.objects.list(&format!("journals/{run}")).await?;
        for (number, name) in (1u64..).zip(&names) {
            if *name != format!("{number:012}") {
                let place = format!("the journal of run {run} in {}", self.place);
                return Err(StateError::Corrupt { place, why: format!("chunk {number} is missing") });
            }
        }
        self.objects.get_all((1..).zip(&names).map(|(number, _)| chunk(run, number)).collect()).await
    }

    async fn put_file(&self, run: &RunId, name: &str, content: &[u8], lease: &Lease) -> Result<(), StateError> {
        self.head(&lease.environment).await?.fenced(lease)?;
        self.objects.put(&format!("{}/{:020}", folder(run, name), lease.token), content.to_vec()).await
    }

    async fn file_names(&self, run: &RunId) -> Result<Vec<String>, StateError> {
        let keys = self.objects.list(&format!("files/{run}")).await?;
        let names = keys.iter().filter_map(|key| Some((decoded(key.split_once('/')?.0)?, ())));
        Ok(names.collect::<BTreeMap<_, _>>().into_keys().collect())
    }

    async fn file(&self, run: &RunId, name: &str) -> Result<Option<Vec<u8>>, StateError> {
        let folder = folder(run, name);
        let Some(newest) = self.objects.list(&folder).await?.pop() else { return Ok(None) };
        Ok(self.objects.get(&format!("{folder}/{newest}")).await?.map(|found| found.bytes))
    }

    async fn weight(&self, run: &RunId) -> Result<u64, StateError> {
        let [journal, files] = folders(run);
        Ok(self.objects.weight(&journal).await? + self.objects.weight(&files).await?)
    }

    async fn forget(&self, run: &RunId, lease: &Lease) -> Result<(), StateError> {
        self.head(&lease.environment).await?.fenced(lease)?;
        self.objects.remove(&chunk(run, 1)).await?;
        for folder in folders(run) {
            let names = self.objects.list(&folder).await?;
            self.objects.remove_all(names.iter().map(|name| format!("{folder}/{name}")).collect()).await?;
        }
        Ok(())
    }
}

/// Where everything of a run lies.
fn folders(run: &RunId) -> [String; 2] {
    [format!("journals/{run}"), format!("files/{run}")]
}
