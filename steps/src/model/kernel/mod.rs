//! What the operators compute, on tensors with `NumPy`'s broadcasting.

mod broadcast;
mod elementwise;
mod pick;
mod reduce;

pub(super) use elementwise::{Arithmetic, Comparison, arithmetic, cast, compare, is_nan, sigmoid, where_};
pub(super) use pick::{concat, gather, gather_elements};
pub(super) use reduce::{arg_max, matmul, reduce_sum, softmax};

use super::{ModelError, Tensor};

/// Why an operator cannot compute with what it got, in words for people.
#[derive(Debug)]
pub(super) struct Problem(pub(super) String);

impl From<ModelError> for Problem {
    fn from(error: ModelError) -> Self {
        Self(error.to_string())
    }
}

impl Problem {
    /// The operator has no meaning for these element types.
    fn elements(tensors: &[&Tensor]) -> Self {
        let elements: Vec<String> = tensors.iter().map(|tensor| tensor.element().to_string()).collect();
        Self(format!("it does not take {}", elements.join(" with ")))
    }
}

/// The place of an axis that may count from the end.
fn axis(axis: i64, rank: usize) -> Result<usize, Problem> {
    let counted = if axis < 0 { axis + rank as i64 } else { axis };
    usize::try_from(counted)
        .ok()
        .filter(|axis| *axis < rank)
        .ok_or_else(|| Problem(format!("axis {axis} is not in a tensor of rank {rank}")))
}
