//! The steps of a graph: all there since it was expanded, or each read from where it was kept when it is first asked for.

use std::collections::BTreeSet;
use std::ops::Index;
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};

use super::Step;

/// The steps of a graph, in the order of the file.
#[derive(Debug, Clone, Default)]
pub struct Steps {
    steps: Vec<OnceLock<Box<Step>>>,
    kept: Option<Arc<dyn Shelf>>,
    /// The steps that are others than those that are kept.
    replaced: BTreeSet<usize>,
}

/// Where steps are read from.
pub(super) trait Shelf: std::fmt::Debug + Send + Sync {
    /// The bytes of the n-th step.
    fn bytes(&self, index: usize) -> &[u8];
}

impl Steps {
    /// Room for so many steps.
    pub(super) fn with_capacity(count: usize) -> Self {
        Self { steps: Vec::with_capacity(count), ..Self::default() }
    }

    /// Adds a step.
    pub(super) fn push(&mut self, step: Box<Step>) {
        self.steps.push(OnceLock::from(step));
    }

    /// Steps that are read when they are asked for.
    pub(super) fn on(shelf: Arc<dyn Shelf>, count: usize) -> Self {
        let steps = std::iter::repeat_with(OnceLock::new).take(count).collect();
        Self { steps, kept: Some(shelf), replaced: BTreeSet::new() }
    }

    /// Puts another step in the place of one.
    pub(super) fn replace(&mut self, index: usize, step: Step) {
        self.steps[index] = OnceLock::from(Box::new(step));
        self.replaced.insert(index);
    }

    /// The bytes of a step as it is kept; none if it is not.
    pub(super) fn kept(&self, index: usize) -> Option<&[u8]> {
        let kept = self.kept.as_ref().filter(|_| !self.replaced.contains(&index));
        kept.map(|shelf| shelf.bytes(index))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Step> + ExactSizeIterator {
        (0..self.len()).map(|index| &self[index])
    }
}

impl Index<usize> for Steps {
    type Output = Step;

    fn index(&self, index: usize) -> &Step {
        self.steps[index].get_or_init(|| {
            let shelf = self.kept.as_ref().expect("a step that is not there yet is kept");
            let step = postcard::from_bytes(shelf.bytes(index));
            Box::new(step.expect("a kept step was proved whole when it was opened"))
        })
    }
}

/// For each of many a list of numbers, in two arrays.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Rows {
    ends: Vec<u32>,
    items: Vec<u32>,
}

impl Rows {
    /// Adds the list of the next one.
    pub(super) fn push(&mut self, row: impl IntoIterator<Item = u32>) {
        self.items.extend(row);
        self.ends.push(u32::try_from(self.items.len()).expect("a graph has fewer than 2^32 edges"));
    }

    /// The list of the n-th.
    pub(super) fn row(&self, index: usize) -> &[u32] {
        let begin = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.items[begin as usize..self.ends[index] as usize]
    }
}
