//! Writing a model: nodes in the order in which they are made, so that the same calls give the same bytes.

use prost::Message as _;

use super::proto::{
    ATTRIBUTE_INT, Attribute, BOOL, DOUBLE, Dimension, Entry, FLOAT, GraphProto, INT64, ModelProto,
    NodeProto, OperatorSet, STRING, Shape, TensorProto, TensorType, TypeProto, ValueInfo,
};
use super::{Element, Tensor};

/// The version of the ONNX operators that we write: the first whose `Equal` compares texts.
const OPSET: i64 = 19;
/// The version of the file format that belongs to it.
const IR_VERSION: i64 = 9;
/// The name of the length that stands for the number of rows.
const ROWS: &str = "rows";

/// The name of a value in the graph that is being written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name(String);

/// A graph that is being written. All inputs are declared before the first node.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    graph: GraphProto,
    made: usize,
}

impl Writer {
    /// A graph without nodes.
    pub(crate) fn new(name: &str) -> Self {
        Self { graph: GraphProto { name: name.to_owned(), ..GraphProto::default() }, made: 0 }
    }

    /// Declares an input: a column of raw values.
    pub(crate) fn input(&mut self, name: &str, element: Element) -> Name {
        self.graph.input.push(declaration(name, element, Some(1)));
        Name(name.to_owned())
    }

    /// A part of the model.
    pub(crate) fn constant(&mut self, tensor: &Tensor) -> Name {
        let name = self.fresh("constant");
        self.graph.initializer.push(encode(&name, tensor));
        name
    }

    /// A node without attributes.
    pub(crate) fn node(&mut self, operator: &str, inputs: &[&Name]) -> Name {
        self.node_with(operator, inputs, &[])
    }

    /// A node with attributes.
    pub(crate) fn node_with(&mut self, operator: &str, inputs: &[&Name], attributes: &[(&str, i64)]) -> Name {
        let name = self.fresh(operator);
        self.push(operator, inputs, attributes, &name);
        name
    }

    /// Columns beside each other.
    pub(crate) fn concat(&mut self, parts: &[Name]) -> Name {
        let parts: Vec<&Name> = parts.iter().collect();
        self.node_with("Concat", &parts, &[("axis", 1)])
    }

    /// Another element type.
    pub(crate) fn cast(&mut self, value: &Name, element: Element) -> Name {
        self.node_with("Cast", &[value], &[("to", i64::from(code(element)))])
    }

    /// Declares an output of this many columns that is the value.
    pub(crate) fn output(&mut self, name: &str, value: &Name, element: Element, columns: usize) {
        self.push("Identity", &[value], &[], &Name(name.to_owned()));
        self.graph.output.push(declaration(name, element, i64::try_from(columns).ok()));
    }

    /// The model's bytes, with notes for who reads it.
    pub(crate) fn finish(self, metadata: &[(&str, String)]) -> Vec<u8> {
        let entry = |(key, value): &(&str, String)| Entry { key: (*key).to_owned(), value: value.clone() };
        let model = ModelProto {
            ir_version: IR_VERSION,
            producer_name: "tidemill".to_owned(),
            graph: Some(self.graph),
            opset_import: vec![OperatorSet { domain: String::new(), version: OPSET }],
            metadata_props: metadata.iter().map(entry).collect(),
        };
        model.encode_to_vec()
    }

    fn push(&mut self, operator: &str, inputs: &[&Name], attributes: &[(&str, i64)], output: &Name) {
        let attribute = |(name, value): &(&str, i64)| Attribute {
            name: (*name).to_owned(),
            i: Some(*value),
            kind: ATTRIBUTE_INT,
        };
        self.graph.node.push(NodeProto {
            input: inputs.iter().map(|name| name.0.clone()).collect(),
            output: vec![output.0.clone()],
            name: output.0.clone(),
            op_type: operator.to_owned(),
            attribute: attributes.iter().map(attribute).collect(),
            domain: String::new(),
        });
    }

    /// A name that no input has.
    fn fresh(&mut self, what: &str) -> Name {
        loop {
            self.made += 1;
            let name = format!("{}_{}", what.to_lowercase(), self.made);
            if self.graph.input.iter().all(|input| input.name != name) {
                return Name(name);
            }
        }
    }
}

/// The number of an element type in `onnx.proto`.
fn code(element: Element) -> i32 {
    match element {
        Element::F64 => DOUBLE,
        Element::F32 => FLOAT,
        Element::I64 => INT64,
        Element::Bool => BOOL,
        Element::Text => STRING,
    }
}

fn declaration(name: &str, element: Element, columns: Option<i64>) -> ValueInfo {
    let rows = Dimension { dim_param: Some(ROWS.to_owned()), dim_value: None };
    let columns = Dimension { dim_value: columns, dim_param: None };
    let shape = Some(Shape { dim: vec![rows, columns] });
    let tensor_type = Some(TensorType { elem_type: code(element), shape });
    ValueInfo { name: name.to_owned(), r#type: Some(TypeProto { tensor_type }) }
}

fn encode(name: &Name, tensor: &Tensor) -> TensorProto {
    let mut message = TensorProto {
        dims: tensor.shape().iter().map(|length| *length as i64).collect(),
        data_type: code(tensor.element()),
        name: name.0.clone(),
        ..TensorProto::default()
    };
    let raw = match tensor {
        Tensor::F64(_, elements) => elements.iter().flat_map(|element| element.to_le_bytes()).collect(),
        Tensor::F32(_, elements) => elements.iter().flat_map(|element| element.to_le_bytes()).collect(),
        Tensor::I64(_, elements) => elements.iter().flat_map(|element| element.to_le_bytes()).collect(),
        Tensor::Bool(_, elements) => elements.iter().map(|element| u8::from(*element)).collect(),
        Tensor::Text(_, elements) => {
            message.string_data = elements.iter().map(|element| element.clone().into_bytes()).collect();
            return message;
        }
    };
    message.raw_data = Some(raw);
    message
}
