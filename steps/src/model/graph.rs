//! The loaded graph: its values are numbered places, its nodes in an order in which each finds what it needs.

use std::borrow::Cow;
use std::collections::HashMap;

use super::kernel::Problem;
use super::operator::{Operator, label};
use super::proto::{GraphProto, NodeProto};
use super::{ModelError, Tensor, TensorSpec, decode};

/// A graph that can be run.
#[derive(Debug)]
pub(super) struct Graph {
    pub(super) inputs: Vec<TensorSpec>,
    pub(super) outputs: Vec<TensorSpec>,
    /// Tensors that are part of the model, with their places.
    constants: Vec<(usize, Tensor)>,
    /// The place of each input, and of each output.
    input_places: Vec<usize>,
    output_places: Vec<usize>,
    nodes: Vec<Node>,
    places: usize,
}

#[derive(Debug)]
struct Node {
    label: String,
    operator: Operator,
    inputs: Vec<usize>,
    output: usize,
    /// Places that nothing reads after this node.
    spent: Vec<usize>,
}

/// Names of values that are known so far, each with its place.
#[derive(Default)]
struct Names(HashMap<String, usize>);

impl Names {
    fn define(&mut self, name: &str) -> Result<usize, ModelError> {
        let place = self.0.len();
        match self.0.insert(name.to_owned(), place) {
            None => Ok(place),
            Some(_) => Err(ModelError::Malformed(format!("`{name}` is defined twice"))),
        }
    }

    fn place(&self, name: &str) -> Result<usize, ModelError> {
        let unknown = || ModelError::Malformed(format!("`{name}` is used before it is defined"));
        self.0.get(name).copied().ok_or_else(unknown)
    }
}

impl Graph {
    /// Reads a graph. Every name must be defined once, and before it is used, as the format asks for.
    pub(super) fn read(graph: GraphProto) -> Result<Self, ModelError> {
        let mut names = Names::default();
        let mut constants = Vec::with_capacity(graph.initializer.len());
        for initializer in graph.initializer {
            let place = names.define(&initializer.name)?;
            constants.push((place, decode::tensor(initializer)?));
        }
        // Old writers list the constants among the inputs too.
        let given = graph.input.iter().filter(|info| !names.0.contains_key(&info.name)).collect::<Vec<_>>();
        let inputs = given.into_iter().map(decode::spec).collect::<Result<Vec<_>, _>>()?;
        let input_places =
            inputs.iter().map(|spec| names.define(&spec.name)).collect::<Result<Vec<_>, _>>()?;
        let mut nodes =
            graph.node.iter().map(|node| Node::read(node, &mut names)).collect::<Result<Vec<_>, _>>()?;
        let outputs = graph.output.iter().map(decode::spec).collect::<Result<Vec<_>, _>>()?;
        let output_places =
            outputs.iter().map(|spec| names.place(&spec.name)).collect::<Result<Vec<_>, _>>()?;
        mark_spent(&mut nodes, &output_places, names.0.len());
        Ok(Self { inputs, outputs, constants, input_places, output_places, nodes, places: names.0.len() })
    }

    /// Runs the graph on inputs in the order of `self.inputs`, already checked.
    pub(super) fn run(&self, inputs: Vec<Tensor>) -> Result<Vec<Tensor>, ModelError> {
        let mut values: Vec<Option<Cow<'_, Tensor>>> = vec![None; self.places];
        for (place, constant) in &self.constants {
            values[*place] = Some(Cow::Borrowed(constant));
        }
        for (place, input) in self.input_places.iter().zip(inputs) {
            values[*place] = Some(Cow::Owned(input));
        }
        for node in &self.nodes {
            let result = node.compute(&values)?;
            values[node.output] = Some(Cow::Owned(result));
            node.spent.iter().for_each(|place| values[*place] = None);
        }
        let output = |place: &usize| value(&values, *place).clone();
        Ok(self.output_places.iter().map(output).collect())
    }
}

impl Node {
    fn read(node: &NodeProto, names: &mut Names) -> Result<Self, ModelError> {
        let operator = Operator::read(node)?;
        let inputs = node.input.iter().map(|name| names.place(name)).collect::<Result<_, _>>()?;
        let [output] = node.output.as_slice() else {
            let problem = format!("it has {} outputs", node.output.len());
            return Err(ModelError::Node { node: label(node), operator: operator.name(), problem });
        };
        Ok(Self { label: label(node), operator, inputs, output: names.define(output)?, spent: Vec::new() })
    }

    fn compute(&self, values: &[Option<Cow<'_, Tensor>>]) -> Result<Tensor, ModelError> {
        let inputs: Vec<&Tensor> = self.inputs.iter().map(|place| value(values, *place)).collect();
        self.operator.compute(&inputs).map_err(|Problem(problem)| ModelError::Node {
            node: self.label.clone(),
            operator: self.operator.name(),
            problem,
        })
    }
}

fn value<'v>(values: &'v [Option<Cow<'_, Tensor>>], place: usize) -> &'v Tensor {
    values[place].as_deref().expect("a value is computed before and dropped after all that read it")
}

/// Tells each node which values nobody reads after it, so that memory is given back early.
fn mark_spent(nodes: &mut [Node], outputs: &[usize], places: usize) {
    let mut read_later = vec![false; places];
    outputs.iter().for_each(|place| read_later[*place] = true);
    for node in nodes.iter_mut().rev() {
        for place in node.inputs.iter().chain([&node.output]) {
            if !read_later[*place] {
                read_later[*place] = true;
                node.spent.push(*place);
            }
        }
    }
}
