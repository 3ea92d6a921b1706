//! Models as bytes: written, read again, and refused when they are not as the format says.

use prost::Message as _;

use super::proto::{ModelProto, OperatorSet};
use super::write::Writer;
use super::{Element, Model, ModelError, Tensor};

/// `y = x * 2` for a column of numbers.
fn double() -> Vec<u8> {
    let mut writer = Writer::new("double");
    let x = writer.input("x", Element::F64);
    let two = writer.constant(&Tensor::F64(vec![1, 1], vec![2.0]));
    let product = writer.node("Mul", &[&x, &two]);
    writer.output("y", &product, Element::F64, 1);
    writer.finish(&[("note", "hello".to_owned())])
}

fn changed(change: impl FnOnce(&mut ModelProto)) -> Result<Model, ModelError> {
    let mut message = ModelProto::decode(double().as_slice()).unwrap();
    change(&mut message);
    Model::load(&message.encode_to_vec())
}

fn column(values: &[f64]) -> Tensor {
    Tensor::F64(vec![values.len(), 1], values.to_vec())
}

#[test]
fn what_is_written_runs_and_the_bytes_are_steady() {
    assert_eq!(double(), double());
    let model = Model::load(&double()).unwrap();
    let outputs = model.run(vec![("x".to_owned(), column(&[1.0, -3.5]))]).unwrap();
    assert_eq!(outputs, [("y".to_owned(), column(&[2.0, -7.0]))]);
    assert_eq!(model.metadata()["note"], "hello");
    assert_eq!(model.run(vec![("x".to_owned(), column(&[]))]).unwrap()[0].1, column(&[]));
}

#[test]
fn an_operator_that_is_not_known_is_named() {
    let unknown = changed(|m| m.graph.as_mut().unwrap().node[0].op_type = "Conv".to_owned()).unwrap_err();
    assert!(
        matches!(&unknown, ModelError::UnknownOperator { operator, .. } if operator == "Conv"),
        "{unknown}"
    );
    let domain = changed(|m| m.graph.as_mut().unwrap().node[0].domain = "ai.onnx.ml".to_owned()).unwrap_err();
    assert!(domain.to_string().contains("ai.onnx.ml.Mul"), "{domain}");
}

#[test]
fn what_is_not_as_the_format_says_is_refused() {
    assert!(matches!(Model::load(b"no model"), Err(ModelError::Malformed(_))));
    assert!(Model::load(&[]).is_err());
    let future = |m: &mut ModelProto| {
        m.opset_import = vec![OperatorSet { domain: String::new(), version: 99 }];
    };
    assert_eq!(changed(future).unwrap_err(), ModelError::UnknownOpset { version: 99 });
    let cycle = |m: &mut ModelProto| m.graph.as_mut().unwrap().node[0].input[0] = "y".to_owned();
    assert!(changed(cycle).unwrap_err().to_string().contains("before it is defined"));
    let twice = |m: &mut ModelProto| m.graph.as_mut().unwrap().node[0].output[0] = "x".to_owned();
    assert!(changed(twice).unwrap_err().to_string().contains("defined twice"));
    let short = |m: &mut ModelProto| m.graph.as_mut().unwrap().initializer[0].raw_data = Some(vec![0; 7]);
    assert!(matches!(changed(short), Err(ModelError::WrongCount { .. })));
    let huge = |m: &mut ModelProto| m.graph.as_mut().unwrap().initializer[0].dims = vec![1 << 40, 1 << 40];
    assert!(matches!(changed(huge), Err(ModelError::TooLarge { .. })));
    let few = |m: &mut ModelProto| {
        m.graph.as_mut().unwrap().node[0].input.pop();
    };
    assert!(matches!(changed(few), Err(ModelError::Node { .. })));
}

#[test]
fn inputs_must_be_as_declared() {
    let model = Model::load(&double()).unwrap();
    let run = |inputs: Vec<(&str, Tensor)>| {
        model.run(inputs.into_iter().map(|(name, tensor)| (name.to_owned(), tensor)).collect()).unwrap_err()
    };
    assert_eq!(run(vec![]), ModelError::MissingInput("x".to_owned()));
    assert_eq!(run(vec![("z", column(&[1.0]))]), ModelError::UnexpectedInput("z".to_owned()));
    let twice = vec![("x", column(&[1.0])), ("x", column(&[1.0]))];
    assert_eq!(run(twice), ModelError::UnexpectedInput("x".to_owned()));
    let shape = run(vec![("x", Tensor::F64(vec![2], vec![1.0, 2.0]))]);
    assert_eq!(shape.to_string(), "the input `x` has the shape [2], but the model declares [?, 1]");
    let element = run(vec![("x", Tensor::I64(vec![1, 1], vec![1]))]);
    assert_eq!(element.to_string(), "the input `x` takes FP64, not INT64");
    let count = run(vec![("x", Tensor::F64(vec![3, 1], vec![1.0]))]);
    assert!(matches!(count, ModelError::WrongCount { found: 1, .. }));
}

#[test]
fn many_threads_run_one_model() {
    let model = Model::load(&double()).unwrap();
    std::thread::scope(|scope| {
        for value in 0..8 {
            let model = &model;
            scope.spawn(move || {
                let outputs = model.run(vec![("x".to_owned(), column(&[f64::from(value)]))]).unwrap();
                assert_eq!(outputs[0].1, column(&[f64::from(value) * 2.0]));
            });
        }
    });
}
