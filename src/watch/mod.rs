//! Looking again and again: what changed since the last look, when to look next, and how others are told.
//!
//! Takes reports of drift; gives metrics, signed messages, and a [`Memory`] for the next start. Looks at nothing itself.

mod memory;
mod metrics;
mod pace;
mod scrape;
mod webhook;

pub use memory::{Changed, Changes, Finding, Memory};
pub use metrics::Metrics;
pub use pace::{Due, backoff, jittered};
pub use scrape::serve;
pub use webhook::{Message, Receiver, Undelivered, signature};
