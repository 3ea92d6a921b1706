//! What people and scripts see. Results go to standard output, talk to standard error; nothing else prints.
//!
//! `plain` turns events into lines, `progress` brings them to the terminal, `report` collects what `summary` and `failure`
//! say at the end. All of them make text; only `sink` writes.

pub(crate) mod diagnostic;
pub(crate) mod failure;
pub(crate) mod json;
pub(crate) mod plain;
pub(crate) mod progress;
pub(crate) mod report;
#[cfg(test)]
mod sample;
pub(crate) mod sink;
pub(crate) mod style;
pub(crate) mod summary;
pub(crate) mod table;
pub(crate) mod text;

pub(crate) use sink::Ui;
