//! The nouns of Windlass: what is desired, what providers teach, what was observed. Plain data: no I/O, no clock.

pub mod version;
