//! The operators that this runtime has, read from a graph's nodes.

use super::kernel::{self, Arithmetic, Comparison, Problem};
use super::proto::{Attribute, NodeProto};
use super::{Element, ModelError, Tensor, decode};

/// An operator with its attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Identity,
    Cast(Element),
    IsNan,
    Arithmetic(Arithmetic),
    Comparison(Comparison),
    Where,
    MatMul,
    Concat { axis: i64 },
    Gather { axis: i64 },
    GatherElements { axis: i64 },
    ReduceSum { keep: bool },
    Sigmoid,
    Softmax { axis: i64 },
    ArgMax { axis: i64, keep: bool },
}

impl Operator {
    /// The operator of a node.
    pub(super) fn read(node: &NodeProto) -> Result<Self, ModelError> {
        let mut attributes = Attributes { node, left: node.attribute.iter().collect() };
        let operator = match (node.domain.as_str(), node.op_type.as_str()) {
            ("" | "ai.onnx", standard) => attributes.operator(standard)?,
            _ => None,
        };
        let Some(operator) = operator else {
            let domain = if node.domain.is_empty() { String::new() } else { format!("{}.", node.domain) };
            let operator = format!("{domain}{}", node.op_type);
            return Err(ModelError::UnknownOperator { node: label(node), operator });
        };
        if let Some(attribute) = attributes.left.first() {
            return Err(node_error(
                node,
                operator,
                format!("it does not know the attribute `{}`", attribute.name),
            ));
        }
        if !operator.arity().contains(&node.input.len()) || node.input.iter().any(String::is_empty) {
            return Err(node_error(node, operator, format!("it does not take {} inputs", node.input.len())));
        }
        Ok(operator)
    }

    /// Its name in ONNX.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Identity => "Identity",
            Self::Cast(_) => "Cast",
            Self::IsNan => "IsNaN",
            Self::Arithmetic(Arithmetic::Add) => "Add",
            Self::Arithmetic(Arithmetic::Sub) => "Sub",
            Self::Arithmetic(Arithmetic::Mul) => "Mul",
            Self::Arithmetic(Arithmetic::Div) => "Div",
            Self::Comparison(Comparison::Equal) => "Equal",
            Self::Comparison(Comparison::Less) => "Less",
            Self::Comparison(Comparison::LessOrEqual) => "LessOrEqual",
            Self::Where => "Where",
            Self::MatMul => "MatMul",
            Self::Concat { .. } => "Concat",
            Self::Gather { .. } => "Gather",
            Self::GatherElements { .. } => "GatherElements",
            Self::ReduceSum { .. } => "ReduceSum",
            Self::Sigmoid => "Sigmoid",
            Self::Softmax { .. } => "Softmax",
            Self::ArgMax { .. } => "ArgMax",
        }
    }

    /// How many inputs it takes.
    fn arity(self) -> std::ops::RangeInclusive<usize> {
        match self {
            Self::Identity
            | Self::Cast(_)
            | Self::IsNan
            | Self::Sigmoid
            | Self::Softmax { .. }
            | Self::ArgMax { .. } => 1..=1,
            Self::Where => 3..=3,
            Self::Concat { .. } => 1..=usize::MAX,
            Self::Arithmetic(_)
            | Self::Comparison(_)
            | Self::MatMul
            | Self::Gather { .. }
            | Self::GatherElements { .. }
            | Self::ReduceSum { .. } => 2..=2,
        }
    }

    /// Its result; `inputs` are as many as it takes.
    pub(super) fn compute(self, inputs: &[&Tensor]) -> Result<Tensor, Problem> {
        match self {
            Self::Identity => Ok(inputs[0].clone()),
            Self::Cast(to) => kernel::cast(to, inputs[0]),
            Self::IsNan => kernel::is_nan(inputs[0]),
            Self::Arithmetic(how) => kernel::arithmetic(how, inputs[0], inputs[1]),
            Self::Comparison(how) => kernel::compare(how, inputs[0], inputs[1]),
            Self::Where => kernel::where_(inputs[0], inputs[1], inputs[2]),
            Self::MatMul => kernel::matmul(inputs[0], inputs[1]),
            Self::Concat { axis } => kernel::concat(axis, inputs),
            Self::Gather { axis } => kernel::gather(axis, inputs[0], inputs[1]),
            Self::GatherElements { axis } => kernel::gather_elements(axis, inputs[0], inputs[1]),
            Self::ReduceSum { keep } => kernel::reduce_sum(keep, inputs[0], inputs[1]),
            Self::Sigmoid => kernel::sigmoid(inputs[0]),
            Self::Softmax { axis } => kernel::softmax(axis, inputs[0]),
            Self::ArgMax { axis, keep } => kernel::arg_max(axis, keep, inputs[0]),
        }
    }
}

/// A node's attributes; those that nobody asked for are left.
struct Attributes<'a> {
    node: &'a NodeProto,
    left: Vec<&'a Attribute>,
}

impl Attributes<'_> {
    fn operator(&mut self, name: &str) -> Result<Option<Operator>, ModelError> {
        Ok(Some(match name {
            "Identity" => Operator::Identity,
            "Cast" => Operator::Cast(self.element("to")?),
            "IsNaN" => Operator::IsNan,
            "Add" => Operator::Arithmetic(Arithmetic::Add),
            "Sub" => Operator::Arithmetic(Arithmetic::Sub),
            "Mul" => Operator::Arithmetic(Arithmetic::Mul),
            "Div" => Operator::Arithmetic(Arithmetic::Div),
            "Equal" => Operator::Comparison(Comparison::Equal),
            "Less" => Operator::Comparison(Comparison::Less),
            "LessOrEqual" => Operator::Comparison(Comparison::LessOrEqual),
            "Where" => Operator::Where,
            "MatMul" => Operator::MatMul,
            "Concat" => Operator::Concat { axis: self.int("axis", 0) },
            "Gather" => Operator::Gather { axis: self.int("axis", 0) },
            "GatherElements" => Operator::GatherElements { axis: self.int("axis", 0) },
            "ReduceSum" => Operator::ReduceSum { keep: self.int("keepdims", 1) != 0 },
            "Sigmoid" => Operator::Sigmoid,
            "Softmax" => Operator::Softmax { axis: self.int("axis", -1) },
            "ArgMax" => Operator::ArgMax { axis: self.int("axis", 0), keep: self.int("keepdims", 1) != 0 },
            _ => return Ok(None),
        }))
    }

    fn int(&mut self, name: &str, default: i64) -> i64 {
        let place = self.left.iter().position(|attribute| attribute.name == name && attribute.i.is_some());
        place.and_then(|place| self.left.remove(place).i).unwrap_or(default)
    }

    fn element(&mut self, name: &str) -> Result<Element, ModelError> {
        let code = self.int(name, 0);
        decode::element(i32::try_from(code).unwrap_or(0), &label(self.node))
    }
}

/// What a node is called in messages: its name, or its first output.
pub(super) fn label(node: &NodeProto) -> String {
    if node.name.is_empty() { node.output.first().cloned().unwrap_or_default() } else { node.name.clone() }
}

fn node_error(node: &NodeProto, operator: Operator, problem: String) -> ModelError {
    ModelError::Node { node: label(node), operator: operator.name(), problem }
}
