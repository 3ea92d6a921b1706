//! Content by digest: stores artifacts and action results, knows no step and no pipeline.
//!
//! What is true is an immutable record: an object named by its digest, an action result named by its key and number,
//! a numbered entry of an append-only log. The embedded database is an index over them: delete it, and it is rebuilt.

mod artifact;
mod digest;
mod document;
mod encoder;
mod error;
mod key;
mod log;
mod manifest;
mod mark;
mod parts;
mod path;
mod result;

mod ahead;
mod claim;
mod clone;
mod database;
mod file_stamp;
mod folder;
mod frames;
mod gathered;
mod hash;
mod index;
mod layout;
mod lease;
mod live;
mod presence;
mod record;
mod rules;
mod scan;
mod shelf;
mod stamp;

mod blob;
mod bring;
mod by_step;
mod cache;
mod capture;
mod condemned;
mod discard;
mod durable;
mod exchange;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod gc;
#[cfg(test)]
mod gc_laws;
mod gc_plan;
mod health;
mod inputs;
mod known_keys;
mod look;
mod place;
mod quarantine;
mod reach;
mod records;
mod release;
mod remote;
mod repair;
mod sample;
mod stash;
mod survey;
mod take_in;
mod trash;
mod unshare;
mod verify;

#[cfg(test)]
mod scene;

pub use artifact::{Artifact, Form};
pub use by_step::Steps;
pub use cache::{Cache, Gathering};
pub use database::{Database, Schema};
pub use digest::{Digest, InvalidDigest};
pub use document::{Document, DocumentError};
pub use encoder::{Encoder, MapEncoder};
pub use error::CacheError;
pub use file_stamp::{FileStamp, stamps};
pub use folder::FolderStamp;
pub use frames::Frame;
pub use gc::GcReport;
pub use gc_plan::{GcPlan, Moment, PlannedObject, PlannedResult, Roots, Why};
pub use health::Health;
pub use inputs::SMALL;
pub use key::Key;
pub use known_keys::KnownKeys;
pub use lease::Lease;
pub use live::Running;
pub use log::{Log, LogError};
pub use look::Seen;
pub use manifest::{Entry, Kind, Manifest};
pub use mark::RecordsMark;
pub use path::{InvalidPath, RelPath};
pub use place::Place;
pub use presence::Sharing;
pub use quarantine::Withdrawal;
pub use release::Release;
pub use remote::{Remote, Wanted};
pub use repair::{Remedy, Source};
pub use result::{ActionResult, NewResult, Usage};
pub use rules::IgnoreRules;
pub use sample::{InvalidSample, Sample, SampleSize};
pub use stamp::is_network;
pub use stash::Stashed;
pub use survey::CacheStats;
pub use verify::{Damage, Damaged, Remedies, Verification, VerifyReport};
