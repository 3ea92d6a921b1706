//! Where the steps of a graph come from: their tables in the pipeline file.

use serde::{Deserialize, Serialize};

use super::StepIndex;

/// A step of the file: its place there, and that of its combinations in the graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Origin {
    /// Its first combination.
    pub(super) first: StepIndex,
    /// The line of its table, from one.
    pub(super) line: u32,
    /// Where its part of the file begins, if the file has [parts](Origins::parts).
    pub(super) begin: u32,
}

/// The steps of the file, in its order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origins {
    of: Vec<Origin>,
    /// How many steps the graph has.
    count: u32,
    /// Whether the file, from the first step on, is one part for each step.
    has_parts: bool,
}

impl Origins {
    pub(super) fn new(of: Vec<Origin>, count: usize, has_parts: bool) -> Self {
        Self { of, count: StepIndex::new(count).number(), has_parts }
    }

    /// The line of the file where the table of a step begins, from one.
    #[must_use]
    pub fn line(&self, step: StepIndex) -> usize {
        self.of.get(self.of_step(step)).map_or(0, |origin| origin.line as usize)
    }

    /// The steps of the file if each has a part of its own there.
    pub(super) fn parts(&self) -> Option<&[Origin]> {
        self.has_parts.then_some(&self.of)
    }

    /// Which step of the file a step of the graph is a combination of.
    pub(super) fn of_step(&self, step: StepIndex) -> usize {
        self.of.partition_point(|origin| origin.first <= step).saturating_sub(1)
    }

    /// The places in the graph of the combinations of a step of the file.
    pub(super) fn combinations(&self, place: usize) -> std::ops::Range<usize> {
        let end = self.of.get(place + 1).map_or(self.count as usize, |next| next.first.get());
        self.of[place].first.get()..end
    }
}
