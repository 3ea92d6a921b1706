//! A trained model as one ONNX graph that takes raw rows.

use super::boosting::{Forest, Node};
use super::ridge::Line;
use crate::model::write::{Name, Writer};
use crate::model::{Element, Tensor};
use crate::transform::{Classes, FEATURES, Prediction, Transform, Treatment, write_features};

/// What was learned.
#[derive(Debug)]
pub(super) enum Learned {
    /// A line, or one for each class.
    Lines(Vec<Line>),
    /// Trees.
    Forest(Forest),
}

/// The graph that makes the matrix of features, and nothing more.
pub(super) fn features_only(transform: &Transform) -> Vec<u8> {
    let mut writer = Writer::new("transform");
    let features = write_features(&mut writer, transform);
    let width = transform.features.iter().map(|feature| feature.treatment.width()).sum();
    writer.output(FEATURES, &features, Element::F64, width);
    writer.finish(&[])
}

/// The whole model.
pub(super) fn model(transform: &Transform, algorithm: &str, learned: &Learned) -> Vec<u8> {
    let mut writer = Writer::new(algorithm);
    let features = write_features(&mut writer, transform);
    let scores = match learned {
        Learned::Lines(lines) => write_lines(&mut writer, &features, lines),
        Learned::Forest(forest) => write_forest(&mut writer, &features, forest, may_be_missing(transform)),
    };
    let mut notes = vec![("target", transform.target.clone()), ("algorithm", algorithm.to_owned())];
    match &transform.task {
        Prediction::Regression => {
            notes.push(("task", "regression".to_owned()));
            writer.output("prediction", &scores, Element::F64, 1);
        }
        Prediction::Classification(classes) => {
            notes.push(("task", "classification".to_owned()));
            notes.push(("classes", serde_json::json!(classes).to_string()));
            write_classes(&mut writer, &scores, classes);
        }
    }
    writer.finish(&notes)
}

/// Whether a number may still be missing after the transform.
fn may_be_missing(transform: &Transform) -> bool {
    transform.features.iter().any(|feature| matches!(feature.treatment, Treatment::Number { fill: None, .. }))
}

fn write_lines(writer: &mut Writer, features: &Name, lines: &[Line]) -> Name {
    let (height, width) = (lines.first().map_or(0, |line| line.weights.len()), lines.len());
    let weights = (0..height).flat_map(|place| lines.iter().map(move |line| line.weights[place])).collect();
    let intercepts = lines.iter().map(|line| line.intercept).collect();
    let weights = writer.constant(&Tensor::F64(vec![height, width], weights));
    let intercepts = writer.constant(&Tensor::F64(vec![1, width], intercepts));
    let product = writer.node("MatMul", &[features, &weights]);
    writer.node("Add", &[&product, &intercepts])
}

/// From scores to a label and the probabilities of all classes.
fn write_classes(writer: &mut Writer, scores: &Name, classes: &Classes) {
    let probabilities = if classes.count() == 2 {
        let second = writer.node("Sigmoid", &[scores]);
        let one = writer.constant(&Tensor::F64(vec![1, 1], vec![1.0]));
        let first = writer.node("Sub", &[&one, &second]);
        writer.concat(&[first, second])
    } else {
        writer.node_with("Softmax", &[scores], &[("axis", 1)])
    };
    let place = writer.node_with("ArgMax", &[&probabilities], &[("axis", 1), ("keepdims", 1)]);
    let (names, element) = match classes {
        Classes::Integers(classes) => (Tensor::I64(vec![classes.len()], classes.clone()), Element::I64),
        Classes::Texts(classes) => (Tensor::Text(vec![classes.len()], classes.clone()), Element::Text),
    };
    let names = writer.constant(&names);
    let label = writer.node_with("Gather", &[&names, &place], &[("axis", 0)]);
    writer.output("label", &label, element, 1);
    writer.output("probabilities", &probabilities, Element::F64, classes.count());
}

/// All trees side by side: their nodes in one list, and for every row and tree the place where it stands. A leaf leads to
/// itself, so after as many steps as the deepest tree has questions every row stands on its leaves.
struct Unrolled {
    features: Vec<i64>,
    thresholds: Vec<f64>,
    left: Vec<i64>,
    right: Vec<i64>,
    missing: Vec<i64>,
    answers: Vec<f64>,
    roots: Vec<usize>,
    depth: usize,
}

impl Unrolled {
    fn new(forest: &Forest) -> Self {
        let mut all = Self {
            features: Vec::new(),
            thresholds: Vec::new(),
            left: Vec::new(),
            right: Vec::new(),
            missing: Vec::new(),
            answers: Vec::new(),
            roots: Vec::new(),
            depth: 1,
        };
        for tree in &forest.trees {
            let root = all.answers.len();
            all.roots.push(root);
            all.depth = all.depth.max(depth(tree, 0));
            for (place, node) in tree.iter().enumerate() {
                all.push(root, place, node);
            }
        }
        all
    }

    fn push(&mut self, root: usize, place: usize, node: &Node) {
        let (feature, threshold, answer, ways) = match *node {
            Node::Answer(value) => (0, 0.0, value, [place; 3]),
            Node::Question { feature, threshold, left, right, missing } => {
                (feature, threshold, 0.0, [left, right, missing])
            }
        };
        let [left, right, missing] = ways.map(|way| (root + way) as i64);
        self.features.push(feature as i64);
        self.thresholds.push(threshold);
        self.answers.push(answer);
        self.left.push(left);
        self.right.push(right);
        self.missing.push(missing);
    }
}

/// How many questions the longest way from this node asks.
fn depth(tree: &[Node], place: usize) -> usize {
    match tree[place] {
        Node::Answer(_) => 0,
        Node::Question { left, right, missing, .. } => {
            1 + [left, right, missing].map(|child| depth(tree, child)).into_iter().max().unwrap_or(0)
        }
    }
}

fn write_forest(writer: &mut Writer, features: &Name, forest: &Forest, may_be_missing: bool) -> Name {
    let all = Unrolled::new(forest);
    let (count, trees) = (all.answers.len(), all.roots.len());
    let at_roots =
        |values: &[i64]| Tensor::I64(vec![trees], all.roots.iter().map(|root| values[*root]).collect());
    let root_features = writer.constant(&at_roots(&all.features));
    let root_thresholds = all.roots.iter().map(|root| all.thresholds[*root]).collect();
    let root_thresholds = writer.constant(&Tensor::F64(vec![1, trees], root_thresholds));
    let row = |tensor: Tensor| match tensor {
        Tensor::I64(_, values) => Tensor::I64(vec![1, values.len()], values),
        other => other,
    };
    let root_left = writer.constant(&row(at_roots(&all.left)));
    let root_right = writer.constant(&row(at_roots(&all.right)));
    let root_missing = may_be_missing.then(|| writer.constant(&row(at_roots(&all.missing))));

    // The first question of every tree: its feature is known, so the columns can be picked as they are.
    let values = writer.node_with("Gather", &[features, &root_features], &[("axis", 1)]);
    let mut place = step(writer, &values, &root_thresholds, [&root_left, &root_right], root_missing.as_ref());

    let list = |values: &[i64]| Tensor::I64(vec![count], values.to_vec());
    if all.depth > 1 {
        let node_features = writer.constant(&list(&all.features));
        let thresholds = writer.constant(&Tensor::F64(vec![count], all.thresholds.clone()));
        let left = writer.constant(&list(&all.left));
        let right = writer.constant(&list(&all.right));
        let missing = may_be_missing.then(|| writer.constant(&list(&all.missing)));
        for _ in 1..all.depth {
            let pick = |writer: &mut Writer, from: &Name| {
                writer.node_with("Gather", &[from, &place], &[("axis", 0)])
            };
            let asked = pick(writer, &node_features);
            let values = writer.node_with("GatherElements", &[features, &asked], &[("axis", 1)]);
            let thresholds = pick(writer, &thresholds);
            let ways = [pick(writer, &left), pick(writer, &right)];
            let missing = missing.as_ref().map(|missing| pick(writer, missing));
            place = step(writer, &values, &thresholds, [&ways[0], &ways[1]], missing.as_ref());
        }
    }
    let answers = writer.constant(&Tensor::F64(vec![count], all.answers));
    let answers = writer.node_with("Gather", &[&answers, &place], &[("axis", 0)]);
    let axis = writer.constant(&Tensor::I64(vec![1], vec![1]));
    let sum = writer.node_with("ReduceSum", &[&answers, &axis], &[("keepdims", 1)]);
    let base = writer.constant(&Tensor::F64(vec![1, 1], vec![forest.base]));
    writer.node("Add", &[&sum, &base])
}

/// Where every row goes in every tree.
fn step(
    writer: &mut Writer,
    values: &Name,
    thresholds: &Name,
    ways: [&Name; 2],
    missing: Option<&Name>,
) -> Name {
    let less = writer.node("Less", &[values, thresholds]);
    let next = writer.node("Where", &[&less, ways[0], ways[1]]);
    let Some(missing) = missing else { return next };
    let unknown = writer.node("IsNaN", &[values]);
    writer.node("Where", &[&unknown, missing, &next])
}
