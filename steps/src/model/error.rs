//! Why a model cannot be loaded or run.

use super::Element;

/// Why a model cannot be loaded or run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// The bytes are no ONNX model.
    #[error("the bytes are no ONNX model: {0}")]
    Malformed(String),
    /// It uses an operator that this runtime does not have.
    #[error("node `{node}` uses the operator `{operator}`, which this runtime does not have")]
    UnknownOperator {
        /// The node's name, or its first output if it has none.
        node: String,
        /// The operator, with its domain if that is not the standard one.
        operator: String,
    },
    /// It was written for an operator set whose meaning this runtime does not know.
    #[error("the model needs version {version} of the ONNX operators; this runtime knows 13 to 23")]
    UnknownOpset {
        /// The version that it asks for.
        version: i64,
    },
    /// A tensor has an element type that this runtime does not have.
    #[error("`{name}` has the ONNX element type {code}, which this runtime does not have")]
    UnknownElement {
        /// The tensor's name.
        name: String,
        /// The number of the type in `onnx.proto`.
        code: i32,
    },
    /// An input of the model was not given.
    #[error("the input `{0}` is missing")]
    MissingInput(String),
    /// An input was given that the model does not have, or twice.
    #[error("the model takes no input `{0}`, or it was given twice")]
    UnexpectedInput(String),
    /// An input has another element type.
    #[error("the input `{name}` takes {expected}, not {found}")]
    WrongElement {
        /// The input.
        name: String,
        /// What the model declares.
        expected: Element,
        /// What was given.
        found: Element,
    },
    /// An input has another shape.
    #[error("the input `{name}` has the shape {found:?}, but the model declares {expected}")]
    WrongShape {
        /// The input.
        name: String,
        /// What the model declares; `?` for any.
        expected: String,
        /// What was given.
        found: Vec<usize>,
    },
    /// A tensor's elements do not fill its shape.
    #[error("`{name}` has {found} elements, but its shape {shape:?} holds another number")]
    WrongCount {
        /// The tensor.
        name: String,
        /// Its shape.
        shape: Vec<usize>,
        /// How many elements it has.
        found: usize,
    },
    /// A tensor would be larger than is allowed.
    #[error("a tensor of the shape {shape:?} is larger than this runtime allows ({limit} elements)")]
    TooLarge {
        /// Its shape.
        shape: Vec<usize>,
        /// The most that is allowed.
        limit: usize,
    },
    /// A node cannot compute with what it got.
    #[error("node `{node}` ({operator}): {problem}")]
    Node {
        /// The node's name, or its first output if it has none.
        node: String,
        /// The operator.
        operator: &'static str,
        /// What is wrong.
        problem: String,
    },
}
