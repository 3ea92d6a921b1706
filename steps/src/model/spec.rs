//! What a model declares of an input or output.

use super::{Element, ModelError, Tensor};

/// The name, element type and shape of an input or output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorSpec {
    /// Its name.
    pub name: String,
    /// The type of its elements.
    pub element: Element,
    /// Its shape; `None` for a length that may be any, such as the number of rows.
    pub shape: Vec<Option<usize>>,
}

impl TensorSpec {
    /// Whether this tensor is what the model declares.
    pub(super) fn accept(&self, tensor: &Tensor) -> Result<(), ModelError> {
        if tensor.element() != self.element {
            return Err(ModelError::WrongElement {
                name: self.name.clone(),
                expected: self.element,
                found: tensor.element(),
            });
        }
        let shape = tensor.shape();
        let fits = shape.len() == self.shape.len()
            && self.shape.iter().zip(shape).all(|(declared, length)| declared.is_none_or(|d| d == *length));
        if !fits {
            return Err(ModelError::WrongShape {
                name: self.name.clone(),
                expected: self.shape_text(),
                found: shape.to_vec(),
            });
        }
        if super::tensor::volume(shape)? != tensor.len() {
            return Err(ModelError::WrongCount {
                name: self.name.clone(),
                shape: shape.to_vec(),
                found: tensor.len(),
            });
        }
        Ok(())
    }

    fn shape_text(&self) -> String {
        let lengths: Vec<String> =
            self.shape.iter().map(|length| length.map_or("?".to_owned(), |l| l.to_string())).collect();
        format!("[{}]", lengths.join(", "))
    }
}
