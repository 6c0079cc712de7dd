//! Text that a person wrote, places in it, and what is wrong there.
//!
//! Every stage points at configuration through a [`Span`] and complains through a [`Diagnostic`]. Nothing here reads a file:
//! callers hand the text over, and a [`SourceMap`] keeps it for as long as somebody may have to quote it.

mod diagnostic;
mod map;
mod span;
mod suggest;

pub use diagnostic::{Diagnostic, Diagnostics, Fault, Label, Severity};
pub use map::{Rendered, SourceMap};
pub use span::{SourceId, Span};
pub use suggest::nearest;
