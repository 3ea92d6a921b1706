//! A tensor: a shape and its elements in row-major order.

use std::fmt;

use super::ModelError;

/// The most elements that a tensor may have: what comes from outside cannot ask for more memory than this.
pub(super) const MOST_ELEMENTS: usize = 1 << 27;

/// How many elements a shape holds.
pub(super) fn volume(shape: &[usize]) -> Result<usize, ModelError> {
    shape
        .iter()
        .try_fold(1_usize, |volume, length| volume.checked_mul(*length))
        .filter(|volume| *volume <= MOST_ELEMENTS)
        .ok_or_else(|| ModelError::TooLarge { shape: shape.to_vec(), limit: MOST_ELEMENTS })
}

/// The type of a tensor's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Element {
    /// 64-bit floating point: `FP64` in the inference protocol.
    F64,
    /// 32-bit floating point: `FP32`.
    F32,
    /// 64-bit signed integer: `INT64`.
    I64,
    /// Truth value: `BOOL`.
    Bool,
    /// UTF-8 text: `BYTES`.
    Text,
}

/// The name of the type in the inference protocol.
impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F64 => "FP64",
            Self::F32 => "FP32",
            Self::I64 => "INT64",
            Self::Bool => "BOOL",
            Self::Text => "BYTES",
        })
    }
}

/// A shape and its elements in row-major order; their number is the product of the shape.
#[derive(Debug, Clone, PartialEq)]
pub enum Tensor {
    /// 64-bit floating point.
    F64(Vec<usize>, Vec<f64>),
    /// 32-bit floating point.
    F32(Vec<usize>, Vec<f32>),
    /// 64-bit signed integers.
    I64(Vec<usize>, Vec<i64>),
    /// Truth values.
    Bool(Vec<usize>, Vec<bool>),
    /// Texts.
    Text(Vec<usize>, Vec<String>),
}

impl Tensor {
    /// Its shape.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        match self {
            Self::F64(shape, _)
            | Self::F32(shape, _)
            | Self::I64(shape, _)
            | Self::Bool(shape, _)
            | Self::Text(shape, _) => shape,
        }
    }

    /// How many elements it has.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::F64(_, elements) => elements.len(),
            Self::F32(_, elements) => elements.len(),
            Self::I64(_, elements) => elements.len(),
            Self::Bool(_, elements) => elements.len(),
            Self::Text(_, elements) => elements.len(),
        }
    }

    /// Whether it has no element.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The type of its elements.
    #[must_use]
    pub fn element(&self) -> Element {
        match self {
            Self::F64(..) => Element::F64,
            Self::F32(..) => Element::F32,
            Self::I64(..) => Element::I64,
            Self::Bool(..) => Element::Bool,
            Self::Text(..) => Element::Text,
        }
    }
}
