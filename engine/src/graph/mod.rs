//! From the checked pipeline to the expanded graph: fan-out done, edges inferred, no cycle.

mod axes;
mod clash;
mod condition;
mod edges;
mod expand;
mod expression;
mod fill;
mod glob;
mod load;
mod model;
mod order;
mod path;
mod pratt;
mod render;
mod with;

#[cfg(test)]
mod tests;

pub use expression::{EvaluateError, Expression, ExpressionError};
pub use glob::{GlobError, glob};
pub use load::load;
pub use model::{
    Action, Effect, Fingerprint, GateCondition, Graph, Input, Output, Piece, Resources, RunField, Source,
    Step, StepIndex,
};
pub use render::{Format, render};
