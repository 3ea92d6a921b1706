//! Tables in and out: the one place that knows how a Parquet file is read and written.

mod column;
mod frame;
mod read;
mod write;

pub(crate) use column::{Column, Kind};
pub(crate) use frame::Frame;
pub(crate) use read::TableReader;
pub(crate) use write::TableWriter;
