//! What people and scripts see. Results go to standard output, talk to standard error; nothing else prints.
//!
//! `plain` turns events into lines, `board` into the block of lines that stands below them on a terminal (drawn by `screen`),
//! `events` into JSON; `progress` brings them there. `summary` (with `measured`) and `failure` say at the end what a run amounts
//! to. All of them make text; only `sink` writes.

pub(crate) mod board;
pub(crate) mod columns;
pub(crate) mod comparison;
pub(crate) mod debug;
pub(crate) mod diagnostic;
pub(crate) mod doctor;
pub(crate) mod events;
pub(crate) mod explanation;
pub(crate) mod failure;
pub(crate) mod figures;
pub(crate) mod forecast;
pub(crate) mod graph;
pub(crate) mod json;
pub(crate) mod markdown;
pub(crate) mod measured;
pub(crate) mod plain;
pub(crate) mod plan;
pub(crate) mod progress;
pub(crate) mod quarantine;
pub(crate) mod reads;
pub(crate) mod repeat;
pub(crate) mod runs;
#[cfg(test)]
mod sample;
pub(crate) mod screen;
pub(crate) mod sink;
pub(crate) mod style;
pub(crate) mod summary;
pub(crate) mod table;
pub(crate) mod telling;
pub(crate) mod text;
pub(crate) mod transfer;
pub(crate) mod triggering;
pub(crate) mod verified;

pub(crate) use sink::Ui;
