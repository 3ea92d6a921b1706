//! The store of a team: an object store, a `WebDAV` server or a folder in which results are found by their key and contents by
//! their digest.
//!
//! Contents are split into chunks by their own bytes, compressed, and gathered in packs, so that what was appended to a large file
//! is all that goes over the wire, and a million small files are not a million requests. Everything that comes back is checked
//! against its digest before it is used: a store can withhold, never falsify, what a result names. What a result says is believed
//! of the levels that one trusts.

mod chunks;
mod codec;
mod connect;
mod credentials;
mod error;
mod fetch;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod garbage;
#[cfg(test)]
mod garbage_laws;
mod gather;
mod known;
mod later;
#[cfg(test)]
mod laws;
mod layout;
mod level;
mod limits;
mod link;
mod lookup;
mod pack;
mod progress;
mod push;
mod record;
mod settings;
mod status;
mod store;
mod sweep;
mod sync;
mod used;
mod withdraw;

pub use connect::Environment;
pub use error::StoreError;
pub use garbage::{Garbage, Keep, Unused};
pub use later::Later;
pub use level::Level;
pub use progress::{Progress, Transfer};
pub use push::{Pushed, Pushing};
pub use settings::{Access, Settings};
pub use status::{LevelStatus, Status};
pub use store::Store;
