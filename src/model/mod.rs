//! The nouns of Windlass: what is desired, what providers teach, what was observed. Plain data: no I/O, no clock.

pub mod backup;
pub mod call;
mod documents;
pub mod drift;
pub mod driver;
pub mod duration;
pub mod estate;
pub mod fan_out;
pub mod inventory;
pub mod items;
pub mod name;
pub mod poll;
pub mod probe;
pub mod provider;
pub mod release;
pub mod retention;
pub(crate) mod scope;
mod strategy;
pub mod version;
