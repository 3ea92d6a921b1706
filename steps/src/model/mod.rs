//! A model: one ONNX graph that takes raw rows, loaded and run in this process.
//!
//! The runtime has the few plain operators that our own models use, in double precision, and refuses every other by name.

mod decode;
mod error;
mod graph;
mod kernel;
mod loaded;
mod operator;
mod proto;
mod spec;
mod tensor;
pub(crate) mod write;

pub use error::ModelError;
pub use loaded::Model;
pub use spec::TensorSpec;
pub use tensor::{Element, Tensor};

/// The name of this format in the inference protocol.
pub const PLATFORM: &str = "onnx_onnxv1";

#[cfg(test)]
mod tests;
