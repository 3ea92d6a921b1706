//! A transform as nodes of an ONNX graph: raw columns in, one matrix of numbers out.

use super::{Feature, Transform, Treatment};
use crate::model::write::{Name, Writer};
use crate::model::{Element, Tensor};

/// The name of the matrix of features.
pub(crate) const FEATURES: &str = "features";

/// Declares an input for every raw column and writes the nodes that make the matrix of features: numbers first, then the
/// indicators of each category.
pub(crate) fn write_features(writer: &mut Writer, transform: &Transform) -> Name {
    let inputs: Vec<Name> = transform.features.iter().map(|feature| declare(writer, feature)).collect();
    let mut parts = Vec::new();
    let pairs = || transform.features.iter().zip(&inputs);
    let numbers: Vec<(&Feature, &Name)> =
        pairs().filter(|(feature, _)| matches!(feature.treatment, Treatment::Number { .. })).collect();
    if !numbers.is_empty() {
        parts.push(write_numbers(writer, &numbers));
    }
    for (feature, input) in pairs() {
        parts.extend(write_category(writer, &feature.treatment, input));
    }
    writer.concat(&parts)
}

fn declare(writer: &mut Writer, feature: &Feature) -> Name {
    let element = match feature.treatment {
        Treatment::Number { .. } | Treatment::NumberCategory { .. } => Element::F64,
        Treatment::TextCategory { .. } => Element::Text,
    };
    writer.input(&feature.name, element)
}

/// All numbers at once: filled, centred, scaled.
fn write_numbers(writer: &mut Writer, numbers: &[(&Feature, &Name)]) -> Name {
    let inputs: Vec<Name> = numbers.iter().map(|(_, input)| (*input).clone()).collect();
    let mut matrix = writer.concat(&inputs);
    let (mut fills, mut centers, mut scales) = (Vec::new(), Vec::new(), Vec::new());
    for (feature, _) in numbers {
        if let Treatment::Number { fill, center, scale } = &feature.treatment {
            fills.push(*fill);
            centers.push(*center);
            scales.push(*scale);
        }
    }
    let row = |values: Vec<f64>| Tensor::F64(vec![1, values.len()], values);
    if fills.iter().any(Option::is_some) {
        let fills = fills.into_iter().map(|fill| fill.unwrap_or(f64::NAN)).collect();
        let fills = writer.constant(&row(fills));
        let missing = writer.node("IsNaN", &[&matrix]);
        matrix = writer.node("Where", &[&missing, &fills, &matrix]);
    }
    if centers.iter().any(|center| *center != 0.0) || scales.iter().any(|scale| *scale != 1.0) {
        let centers = writer.constant(&row(centers));
        let scales = writer.constant(&row(scales));
        let centred = writer.node("Sub", &[&matrix, &centers]);
        matrix = writer.node("Div", &[&centred, &scales]);
    }
    matrix
}

/// The indicators of one column.
fn write_category(writer: &mut Writer, treatment: &Treatment, input: &Name) -> Option<Name> {
    let one = vec![1, 1];
    let (missing, fill, categories) = match treatment {
        Treatment::Number { .. } => return None,
        Treatment::NumberCategory { fill, categories } => {
            let missing = writer.node("IsNaN", &[input]);
            let fill = fill.map(|fill| Tensor::F64(one, vec![fill]));
            (missing, fill, Tensor::F64(vec![1, categories.len()], categories.clone()))
        }
        Treatment::TextCategory { fill, categories } => {
            let empty = writer.constant(&Tensor::Text(one.clone(), vec![String::new()]));
            let missing = writer.node("Equal", &[input, &empty]);
            let fill = fill.clone().map(|fill| Tensor::Text(one, vec![fill]));
            (missing, fill, Tensor::Text(vec![1, categories.len()], categories.clone()))
        }
    };
    let mut column = input.clone();
    if let Some(fill) = fill {
        let fill = writer.constant(&fill);
        column = writer.node("Where", &[&missing, &fill, &column]);
    }
    let categories = writer.constant(&categories);
    let equal = writer.node("Equal", &[&column, &categories]);
    Some(writer.cast(&equal, Element::F64))
}
