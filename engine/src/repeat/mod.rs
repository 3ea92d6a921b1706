//! Running cached steps again, to see whether they give the same bytes: each in a folder of its own, from the inputs that its result was
//! made of. Nothing of it enters the cache or the history but what the comparison showed.

mod compare;
mod metrics;
mod pick;
mod rounds;

pub use rounds::{RepeatOptions, RepeatReport, Round, StepVerdict, Verified, repeat};
