//! A model that is loaded: what it takes, what it gives, and running it.

use std::collections::BTreeMap;

use prost::Message as _;

use super::graph::Graph;
use super::proto::ModelProto;
use super::{ModelError, Tensor, TensorSpec};

/// The versions of the ONNX operators whose meaning this runtime knows.
const OPSETS: std::ops::RangeInclusive<i64> = 13..=23;

/// An ONNX model in memory. It is not changed by running, so many threads may run it at once.
#[derive(Debug)]
pub struct Model {
    graph: Graph,
    metadata: BTreeMap<String, String>,
}

impl Model {
    /// Reads a model and makes sure that this runtime can run it.
    ///
    /// # Errors
    /// If the bytes are no ONNX model, or use an operator, operator set or element type that this runtime does not have.
    pub fn load(bytes: &[u8]) -> Result<Self, ModelError> {
        let message = ModelProto::decode(bytes).map_err(|error| ModelError::Malformed(error.to_string()))?;
        let opset = message.opset_import.iter().find(|set| matches!(set.domain.as_str(), "" | "ai.onnx"));
        let Some(opset) = opset else {
            return Err(ModelError::Malformed("it names no operator set".to_owned()));
        };
        if !OPSETS.contains(&opset.version) {
            return Err(ModelError::UnknownOpset { version: opset.version });
        }
        let graph = message.graph.ok_or_else(|| ModelError::Malformed("it has no graph".to_owned()))?;
        let metadata = message.metadata_props.into_iter().map(|entry| (entry.key, entry.value)).collect();
        Ok(Self { graph: Graph::read(graph)?, metadata })
    }

    /// What it takes, in its own order.
    #[must_use]
    pub fn inputs(&self) -> &[TensorSpec] {
        &self.graph.inputs
    }

    /// What it gives, in its own order.
    #[must_use]
    pub fn outputs(&self) -> &[TensorSpec] {
        &self.graph.outputs
    }

    /// What its writer noted of it, such as `target`, `task` and `algorithm`.
    #[must_use]
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// Runs it: every input once, by name, in any order. The outputs come in the order of [`Self::outputs`].
    ///
    /// # Errors
    /// If an input is missing, unknown, given twice, or not as declared; or if a node cannot compute with it.
    pub fn run(&self, inputs: Vec<(String, Tensor)>) -> Result<Vec<(String, Tensor)>, ModelError> {
        let mut slots: Vec<Option<Tensor>> = self.inputs().iter().map(|_| None).collect();
        for (name, tensor) in inputs {
            let place = self.inputs().iter().position(|spec| spec.name == name);
            let Some(place) = place.filter(|place| slots[*place].is_none()) else {
                return Err(ModelError::UnexpectedInput(name));
            };
            self.inputs()[place].accept(&tensor)?;
            slots[place] = Some(tensor);
        }
        let given = |(spec, slot): (&TensorSpec, Option<Tensor>)| {
            slot.ok_or_else(|| ModelError::MissingInput(spec.name.clone()))
        };
        let tensors = self.inputs().iter().zip(slots).map(given).collect::<Result<Vec<_>, _>>()?;
        let results = self.graph.run(tensors)?;
        Ok(self.outputs().iter().map(|spec| spec.name.clone()).zip(results).collect())
    }
}
