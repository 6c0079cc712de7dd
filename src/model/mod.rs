//! The nouns of Windlass: what is desired, what providers teach, what was observed. Plain data: no I/O, no clock.

pub mod call;
mod documents;
pub mod driver;
pub mod duration;
pub mod estate;
pub mod inventory;
pub mod items;
pub mod name;
pub mod poll;
pub mod probe;
pub mod provider;
pub mod release;
pub(crate) mod scope;
mod strategy;
pub mod version;
