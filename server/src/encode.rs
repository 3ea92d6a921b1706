//! An answer's tensors: from what the model gave to JSON or binary data.

use serde_json::{Map, Value, json};
use tidemill_steps::model::Tensor;

use crate::answer::Refusal;
use crate::datatype::Datatype;
use crate::protocol::{InferRequest, ResponseOutput};

/// The outputs of an answer and the binary data that follows its JSON part.
#[derive(Debug)]
pub(crate) struct Encoded {
    pub(crate) outputs: Vec<ResponseOutput>,
    pub(crate) binary: Vec<u8>,
    pub(crate) any_binary: bool,
}

/// Which output to send, and how.
pub(crate) struct Wanted {
    pub(crate) name: String,
    binary: bool,
}

/// The outputs that a request asks for, of those that the model has; all of them if it names none.
pub(crate) fn wanted(request: &InferRequest, names: &[&str]) -> Result<Vec<Wanted>, Refusal> {
    let by_default = flag(&request.parameters, "binary_data_output")?.unwrap_or(false);
    let Some(outputs) = request.outputs.as_ref().filter(|outputs| !outputs.is_empty()) else {
        return Ok(names
            .iter()
            .map(|name| Wanted { name: (*name).to_owned(), binary: by_default })
            .collect());
    };
    let mut wanted: Vec<Wanted> = Vec::with_capacity(outputs.len());
    for output in outputs {
        if !names.contains(&output.name.as_str()) {
            let names = names.join(", ");
            return Err(Refusal::bad(format!("unknown output {:?}; the model gives {names}", output.name)));
        }
        if wanted.iter().any(|earlier| earlier.name == output.name) {
            return Err(Refusal::bad(format!("output {:?} is asked for twice", output.name)));
        }
        let unsupported = |name: &&String| *name == "classification" || name.starts_with("shared_memory");
        if let Some(name) = output.parameters.keys().find(unsupported) {
            return Err(Refusal::bad(format!("output {:?}: {name} is not supported", output.name)));
        }
        let binary = flag(&output.parameters, "binary_data")?.unwrap_or(by_default);
        wanted.push(Wanted { name: output.name.clone(), binary });
    }
    Ok(wanted)
}

fn flag(parameters: &Map<String, Value>, name: &str) -> Result<Option<bool>, Refusal> {
    match parameters.get(name) {
        None => Ok(None),
        Some(Value::Bool(value)) => Ok(Some(*value)),
        Some(_) => Err(Refusal::bad(format!("the parameter {name} is neither true nor false"))),
    }
}

/// The outputs in the order and form that were asked for.
pub(crate) fn outputs(mut given: Vec<(String, Tensor)>, wanted: &[Wanted]) -> Option<Encoded> {
    let mut encoded =
        Encoded { outputs: Vec::with_capacity(wanted.len()), binary: Vec::new(), any_binary: false };
    for Wanted { name, binary } in wanted {
        let place = given.iter().position(|(given, _)| given == name)?;
        let (name, tensor) = given.swap_remove(place);
        let shape = tensor.shape().to_vec();
        let datatype = Datatype::of(tensor.element());
        let mut parameters = Map::new();
        let mut data = None;
        if *binary {
            let before = encoded.binary.len();
            write_binary(&tensor, &mut encoded.binary);
            encoded.any_binary = true;
            parameters.insert("binary_data_size".to_owned(), json!(encoded.binary.len() - before));
        } else {
            data = Some(to_json(tensor));
        }
        encoded.outputs.push(ResponseOutput { name, shape, datatype, parameters, data });
    }
    Some(encoded)
}

fn to_json(tensor: Tensor) -> Value {
    match tensor {
        Tensor::F64(_, values) => Value::Array(values.into_iter().map(Value::from).collect()),
        // By their shortest text, so that 0.1 is 0.1 and not its expansion in double precision.
        Tensor::F32(_, values) => values.into_iter().map(|value| json!(value)).collect(),
        Tensor::I64(_, values) => values.into_iter().map(Value::from).collect(),
        Tensor::Bool(_, values) => values.into_iter().map(Value::from).collect(),
        Tensor::Text(_, values) => values.into_iter().map(Value::from).collect(),
    }
}

fn write_binary(tensor: &Tensor, out: &mut Vec<u8>) {
    match tensor {
        Tensor::F64(_, values) => values.iter().for_each(|value| out.extend(value.to_le_bytes())),
        Tensor::F32(_, values) => values.iter().for_each(|value| out.extend(value.to_le_bytes())),
        Tensor::I64(_, values) => values.iter().for_each(|value| out.extend(value.to_le_bytes())),
        Tensor::Bool(_, values) => out.extend(values.iter().map(|value| u8::from(*value))),
        Tensor::Text(_, values) => {
            for text in values {
                // A text of four gigabytes cannot come out of a request of 64 megabytes.
                let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
                out.extend(length.to_le_bytes());
                out.extend(text.as_bytes());
            }
        }
    }
}
