//! The protocol's messages, as they stand on the wire.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::datatype::Datatype;

/// The answer to `GET /v2`.
#[derive(Debug, Serialize)]
pub(crate) struct ServerMetadata {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    pub(crate) extensions: [&'static str; 1],
}

/// The answer to `GET /v2/models/{model}`.
#[derive(Debug, Serialize)]
pub(crate) struct ModelMetadata<'a> {
    pub(crate) name: &'a str,
    pub(crate) versions: [String; 1],
    pub(crate) platform: &'static str,
    pub(crate) inputs: Vec<TensorMetadata<'a>>,
    pub(crate) outputs: Vec<TensorMetadata<'a>>,
}

/// A tensor that a model takes or gives; a size of -1 varies.
#[derive(Debug, Serialize)]
pub(crate) struct TensorMetadata<'a> {
    pub(crate) name: &'a str,
    pub(crate) datatype: Datatype,
    pub(crate) shape: Vec<i64>,
}

/// The body of `POST …/infer`, or its JSON part.
#[derive(Debug, Deserialize)]
pub(crate) struct InferRequest {
    pub(crate) id: Option<String>,
    #[serde(default)]
    pub(crate) parameters: Map<String, Value>,
    pub(crate) inputs: Vec<RequestInput>,
    pub(crate) outputs: Option<Vec<RequestOutput>>,
}

/// An input tensor.
#[derive(Debug, Deserialize)]
pub(crate) struct RequestInput {
    pub(crate) name: String,
    pub(crate) shape: Vec<u64>,
    pub(crate) datatype: Datatype,
    #[serde(default)]
    pub(crate) parameters: Map<String, Value>,
    pub(crate) data: Option<Value>,
}

/// An output that is asked for.
#[derive(Debug, Deserialize)]
pub(crate) struct RequestOutput {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) parameters: Map<String, Value>,
}

/// The answer to `POST …/infer`, or its JSON part.
#[derive(Debug, Serialize)]
pub(crate) struct InferResponse<'a> {
    pub(crate) model_name: &'a str,
    pub(crate) model_version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
    pub(crate) outputs: Vec<ResponseOutput>,
}

/// An output tensor: with `data`, or with the size of its binary part.
#[derive(Debug, Serialize)]
pub(crate) struct ResponseOutput {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) datatype: Datatype,
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub(crate) parameters: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) data: Option<Value>,
}

/// The header that tells how long the JSON part before binary tensors is.
pub(crate) const JSON_LENGTH: &str = "inference-header-content-length";

/// The name of the extension for binary tensors.
pub(crate) const BINARY_EXTENSION: &str = "binary_tensor_data";
