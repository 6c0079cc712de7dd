//! Whether a bucket's conditional writes keep what they promise: several at once, and one winner each time.
//!
//! Some services ignore the conditions, some check them and write in two steps. Either would let two processes hold one environment.

use futures_util::future::join_all;

use super::S3Store;
use super::head::nonce;
use super::objects::Put;
use crate::state::StateError;

/// Writers at once.
const WRITERS: usize = 8;
/// Times that they try.
const ROUNDS: usize = 3;

impl S3Store {
    /// Tries conditional writes on an object of its own, and removes it.
    pub(super) async fn probe(&self) -> Result<(), StateError> {
        let key = format!("probe/{}", nonce());
        let found = self.conditional_writes(&key).await;
        let removed = self.objects.remove(&key).await;
        match found? {
            None => removed,
            Some(why) => Err(StateError::Unfit { place: self.place.clone(), why }),
        }
    }

    /// What is wrong with them.
    async fn conditional_writes(&self, key: &str) -> Result<Option<String>, StateError> {
        for round in 0..ROUNDS {
            if round > 0 {
                self.objects.remove(key).await?;
            }
            if let Some(why) = self.race(key, "creates (`If-None-Match`)").await? {
                return Ok(Some(why));
            }
            if let Some(why) = self.race(key, "updates (`If-Match`)").await? {
                return Ok(Some(why));
            }
        }
        Ok(None)
    }

    /// Several write over the same version at once: one may win, and what it wrote must be there.
    async fn race(&self, key: &str, what: &str) -> Result<Option<String>, StateError> {
        let version = self.objects.get(key).await?.map(|found| found.version);
        let writers: Vec<String> = (0..WRITERS).map(|_| nonce()).collect();
        let writing = writers.iter().map(|writer| self.objects.put_if(key, writer.clone().into_bytes(), version.as_ref()));
        let mut won = Vec::new();
        for (writer, put) in writers.iter().zip(join_all(writing).await) {
            if put? == Put::Done {
                won.push(writer);
            }
        }
        let there = self.objects.get(key).await?.map(|found| found.bytes).unwrap_or_default();
        Ok(match won.as_slice() {
            [winner] if winner.as_bytes() == there => None,
            [_] => Some(format!("of {WRITERS} conditional {what} at once one was told that it won, and another's is there")),
            // Every one may have been refused where the first answer was lost and the write tried again.
            [] if writers.iter().any(|writer| writer.as_bytes() == there) => None,
            won => Some(format!("of {WRITERS} conditional {what} at once {} were told that they won", won.len())),
        })
    }
}
