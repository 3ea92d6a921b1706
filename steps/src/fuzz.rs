//! What a fuzzer tries, and the tests try again on what it kept (`fuzz/corpus`): each function takes any bytes, and panics only where a law
//! is broken.

use crate::model::write::Writer;
use crate::model::{Element, Model, Tensor, TensorSpec};

/// A model file: it is refused, or it runs on a row of what it declares, gives what it declares, or tells why not.
pub fn model(bytes: &[u8]) {
    let Ok(model) = Model::load(bytes) else { return };
    let Some(inputs) = model.inputs().iter().map(row).collect::<Option<Vec<_>>>() else { return };
    let Ok(outputs) = model.run(inputs) else { return };
    assert!(outputs.iter().map(|(name, _)| name).eq(model.outputs().iter().map(|spec| &spec.name)));
}

/// One row of an input; none if a row of it is large.
fn row(spec: &TensorSpec) -> Option<(String, Tensor)> {
    let shape: Vec<usize> = spec.shape.iter().map(|size| size.unwrap_or(1)).collect();
    let length = shape.iter().try_fold(1_usize, |product, size| product.checked_mul(*size))?;
    let length = Some(length).filter(|length| *length <= 1000)?;
    let tensor = match spec.element {
        Element::F64 => Tensor::F64(shape, vec![0.5; length]),
        Element::F32 => Tensor::F32(shape, vec![0.5; length]),
        Element::I64 => Tensor::I64(shape, vec![3; length]),
        Element::Bool => Tensor::Bool(shape, vec![true; length]),
        Element::Text => Tensor::Text(shape, vec!["word".to_owned(); length]),
    };
    Some((spec.name.clone(), tensor))
}

/// What a fuzzer begins with, by the name of the function.
#[must_use]
pub fn seeds() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let mut writer = Writer::new("seed");
    let (x, word) = (writer.input("x", Element::F64), writer.input("word", Element::Text));
    let half = writer.constant(&Tensor::F64(vec![1], vec![0.5]));
    let known = writer.constant(&Tensor::Text(vec![1, 2], vec!["word".to_owned(), "other".to_owned()]));
    let sum = writer.node("Add", &[&x, &half]);
    let is_known = writer.node("Equal", &[&word, &known]);
    let columns = writer.cast(&is_known, Element::F64);
    let both = writer.concat(&[sum, columns]);
    let weights = writer.constant(&Tensor::F64(vec![3, 1], vec![1.0, -2.0, 0.25]));
    let score = writer.node("MatMul", &[&both, &weights]);
    writer.output("score", &score, Element::F64, 1);
    vec![("model", vec![writer.finish(&[("task", "regression".to_owned())])])]
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
        kept::replay(KEPT, "model", model);
    }

    #[test]
    fn a_fuzzer_begins_with_a_model_that_runs() {
        let model = Model::load(&seeds()[0].1[0]).unwrap();
        let inputs = model.inputs().iter().map(|spec| row(spec).unwrap()).collect();
        assert_eq!(model.run(inputs).unwrap().len(), 1);
    }
}
