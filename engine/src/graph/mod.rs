//! From the checked pipeline to the expanded graph: fan-out done, edges inferred, no cycle.

mod axes;
mod clash;
mod condition;
mod describe;
mod edges;
mod expand;
mod expression;
mod fill;
mod glob;
mod keep;
mod layout;
mod load;
mod measure;
mod model;
mod names;
mod order;
mod origin;
mod outline;
mod page;
mod patch;
mod path;
mod picture;
mod placement;
mod pratt;
mod programs;
mod rails;
mod redrawn;
mod render;
mod select;
mod single;
mod skeleton;
mod stashed;
mod state;
mod steps;
mod svg;
mod text;
mod trigger;
mod with;

#[cfg(test)]
mod drawn;
#[cfg(test)]
mod edits;
#[cfg(test)]
pub(crate) mod tests;

pub use expression::{EvaluateError, Expression, ExpressionError};
pub use glob::{GlobError, glob};
pub use keep::{keep, kept};
pub use layout::Direction;
pub use load::load;
pub(crate) use load::read_triggers;
pub use model::{
    Action, Checkpoint, Common, Definition, Effect, Fingerprint, GateCondition, Graph, Input, Output, Piece,
    Placement, Resources, RunField, Source, Step, StepIndex,
};
pub use names::{Named, Names, names};
pub use origin::Origins;
pub use outline::{Axis, Edge, Flow, Join, Node, Outline, OutlineError, Port};
pub use page::Facts;
pub use picture::Matrices;
pub use redrawn::Edit;
pub use select::Wanted;
pub use skeleton::{Skeleton, Watched};
pub use stashed::{stash, stashed};
pub use state::{State, States, states_of};
pub use steps::Steps;
pub use svg::{Audience, Look};
pub use text::{Line, Part, Tone, lines};
pub use trigger::{Concurrency, EventMatch, Given, GivenPart, Lacking, On, Trigger, Webhook};
