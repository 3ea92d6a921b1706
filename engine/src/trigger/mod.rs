//! What makes a run begin by itself: a change of what a pipeline reads.

mod hints;
mod reads;

pub use hints::{Hints, Means, OFTEN};
pub use reads::{Present, Reads};
