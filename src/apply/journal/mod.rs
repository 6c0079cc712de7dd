//! The durable record of one run: what is about to be done is written before it is done.
//!
//! Append-only segments of framed JSON lines in the run's folder. One process writes ([`Writer`]); anybody may read at any time
//! ([`read`]). Holds no secret: results are redacted before they come here.

mod entry;
mod frame;
mod reader;
mod segment;
mod writer;

pub use entry::{Entry, Word};
pub use reader::{Contents, JournalError, Torn, read};
pub(super) use reader::{last_sequence, raw};
pub use segment::{Medium, Segment};
pub(super) use segment::{make_folder, sync_folder};
pub use writer::{Durable, Writer};

/// The version of the journal's format; a newer one is refused. 2: items of fanned-out actions. 3: going back no
/// further than to a version.
pub const FORMAT: u32 = 3;
