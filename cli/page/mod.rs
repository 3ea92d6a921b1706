//! Pages: self-contained HTML of the plots of runs, and of a whole run. They load nothing, and what a step said or drew cannot
//! act in them.
//!
//! A page is a template (`*.html`) filled with a view: plain values that [`plots`] and [`report`] gather. The templates escape
//! every value, and the page's content policy refuses everything that is not part of the file. Only Vega-Lite plots need
//! JavaScript: their libraries (`vendor/`) are in a page that has such a plot.

mod attempts;
mod chart;
mod environment;
mod file;
mod gather;
mod lineage;
mod logs;
mod metrics;
mod models;
mod plot;
pub(crate) mod plots;
pub(crate) mod report;
mod steps;
mod table;
mod template;
mod timeline;

pub(crate) use file::write;
