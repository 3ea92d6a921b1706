//! What a fuzzer tries, and the tests try again on what it kept (`fuzz/corpus`): each function takes any bytes, and panics only where a law
//! is broken.

use tidemill_steps::model::{Element, TensorSpec};

use crate::protocol::InferRequest;
use crate::{decode, encode};

/// A request to a model: two bytes say how long the JSON part is, the body follows. What the model gets is what it declares.
pub fn inference_request(bytes: &[u8]) {
    let Some((length, body)) = bytes.split_first_chunk::<2>() else { return };
    let Some((head, binary)) = body.split_at_checked(usize::from(u16::from_le_bytes(*length))) else {
        return;
    };
    let Ok(request) = serde_json::from_slice::<InferRequest>(head) else { return };
    let specs = specs();
    let wanted = encode::wanted(&request, &["score", "label"]);
    if let Ok(wanted) = wanted {
        assert!(wanted.iter().all(|wanted| ["score", "label"].contains(&wanted.name.as_str())));
    }
    let Ok(inputs) = decode::inputs(request.inputs, binary, &specs) else { return };
    assert_eq!(inputs.len(), specs.len(), "each input is given once");
    for (name, tensor) in inputs {
        let spec = specs.iter().find(|spec| spec.name == name).expect("nothing else is taken");
        assert_eq!(tensor.element(), spec.element);
        assert_eq!(tensor.shape().len(), spec.shape.len());
    }
}

fn specs() -> Vec<TensorSpec> {
    let spec = |name: &str, element, shape| TensorSpec { name: name.to_owned(), element, shape };
    vec![
        spec("x", Element::F32, vec![None, Some(2)]),
        spec("n", Element::I64, vec![None]),
        spec("word", Element::Text, vec![None, Some(1)]),
    ]
}

/// What a fuzzer begins with, by the name of the function.
#[must_use]
pub fn seeds() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let body = |json: &str, binary: &[u8]| {
        let length = u16::try_from(json.len()).expect("it is short");
        [&length.to_le_bytes(), json.as_bytes(), binary].concat()
    };
    let plain = r#"{"id":"a","inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[[0.5,null]]},
        {"name":"n","shape":[1],"datatype":"INT64","data":[3]},{"name":"word","shape":[1,1],"datatype":"BYTES","data":["a"]}],
        "outputs":[{"name":"score","parameters":{"binary_data":true}}]}"#;
    let packed = r#"{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP64","parameters":{"binary_data_size":16}},
        {"name":"n","shape":[1],"datatype":"INT8","parameters":{"binary_data_size":1}},
        {"name":"word","shape":[1,1],"datatype":"BYTES","parameters":{"binary_data_size":5}}],"parameters":{"binary_data_output":true}}"#;
    let binary =
        [0.5_f64.to_le_bytes().as_slice(), &1.5_f64.to_le_bytes(), &[3], &1_u32.to_le_bytes(), b"a"].concat();
    vec![("inference_request", vec![body(plain, &[]), body(packed, &binary)])]
}

#[cfg(test)]
#[path = "../../fuzz/kept.rs"]
mod kept;

#[cfg(test)]
mod tests {
    use super::*;

    const KEPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus");

    #[test]
    fn the_laws_hold_for_what_was_kept() {
        kept::replay(KEPT, "inference_request", inference_request);
    }

    #[test]
    fn a_fuzzer_begins_with_requests_that_are_taken() {
        for bytes in &seeds()[0].1 {
            let (length, body) = bytes.split_first_chunk::<2>().unwrap();
            let (head, binary) = body.split_at(usize::from(u16::from_le_bytes(*length)));
            let request: InferRequest = serde_json::from_slice(head).unwrap();
            assert!(decode::inputs(request.inputs, binary, &specs()).is_ok());
        }
    }
}
