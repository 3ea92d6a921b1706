//! Why a step runs: its recipe against the nearest earlier one, field by field, file by file, word by word.
//!
//! `compare` is pure: two recipes in, [`Change`]s out; `contents` looks into the files that changed; `nearest` finds the
//! recipe to compare with. The few words of a plan ([`super::reason`]) are the first change of the same comparison.

mod against;
mod change;
mod compare;
mod contents;
mod cosmetic;
mod explanation;
mod nearest;
mod packages;
mod phrase;
mod words;

#[cfg(test)]
mod tests;

pub use against::Origin;
pub use change::{Change, Difference, Fate, FileChange, Hidden, Part, Version, WordChange};
pub use cosmetic::{LineEnding, Only};
pub use explanation::{Explanation, Explanations, Relation, explain};

pub(crate) use contents::{Depth, Look};
pub(crate) use nearest::{Basis, Last, nearest};
pub(crate) use phrase::summary;
