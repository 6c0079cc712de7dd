//! The digest of a plan: what an approval names, and what apply compares.
//!
//! Over the plan's JSON without spaces, as serde writes it: fields in the order declared, maps sorted. The same plan gives the same
//! bytes on every machine.

use std::io::Write;

use sha2::Digest as _;

use super::Plan;
use crate::model::name::Digest;

impl Plan {
    /// The canonical bytes.
    ///
    /// # Errors
    /// A value that JSON cannot hold; none that a plan can have is known.
    pub fn bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }

    /// The digest over the canonical bytes, without holding them all.
    ///
    /// # Errors
    /// As [`Plan::bytes`].
    pub fn digest(&self) -> Result<Digest, serde_json::Error> {
        struct Hash(sha2::Sha256);
        impl Write for Hash {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0.update(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let mut hash = std::io::BufWriter::with_capacity(64 * 1024, Hash(sha2::Sha256::new()));
        serde_json::to_writer(&mut hash, self)?;
        let hash = hash.into_inner().map_err(|error| serde_json::Error::io(error.into_error()))?;
        let mut text = String::from("sha256:");
        for byte in hash.0.finalize() {
            use std::fmt::Write as _;
            let _ = write!(text, "{byte:02x}");
        }
        Ok(Digest::new(text))
    }
}
