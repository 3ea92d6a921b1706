//! Gradient boosting, thin over `forust-ml`, whose trees do not depend on the number of threads.

use forust_ml::data::Matrix as Columns;
use forust_ml::gradientbooster::GradientBooster;
use forust_ml::metric::Metric;
use forust_ml::objective::ObjectiveType;
use forust_ml::sampler::SampleMethod;
use forust_ml::tree::Tree;

use super::interface::Boosting;
use super::matrix::Matrix;
use crate::StepError;
use crate::say::say;

/// Trees whose leaf values, and a base, add up to the score of a row.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Forest {
    pub(super) base: f64,
    pub(super) trees: Vec<Vec<Node>>,
}

/// A question or an answer of a tree; places are within the tree, the root is at 0.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    /// Go `left` if the feature is less than the threshold, to `missing` if it has no value, else `right`.
    Question { feature: usize, threshold: f64, left: usize, right: usize, missing: usize },
    /// The value of a leaf.
    Answer(f64),
}

/// What the score of a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goal {
    /// The number itself.
    Number,
    /// The logit of the second of two classes.
    SecondClass,
}

/// Grows the trees; with `patience`, until the validation rows gain nothing more.
pub(super) fn fit(
    matrix: &Matrix,
    validation: Option<&Matrix>,
    goal: Goal,
    settings: &Boosting,
) -> Result<Forest, StepError> {
    let mut booster = configure(goal, settings);
    let values = by_columns(matrix);
    let data = Columns::new(&values, matrix.rows, matrix.columns);
    let failed = |error: forust_ml::errors::ForustError| StepError::Training(error.to_string());
    let ones = vec![1.0; matrix.rows];
    match validation.filter(|_| settings.patience > 0) {
        None => booster.fit(&data, &matrix.targets, &ones, None).map_err(failed)?,
        Some(held_back) => {
            booster.early_stopping_rounds = Some(settings.patience as usize);
            let values = by_columns(held_back);
            let columns = Columns::new(&values, held_back.rows, held_back.columns);
            let weights = vec![1.0; held_back.rows];
            let evaluation = vec![(columns, held_back.targets.as_slice(), weights.as_slice())];
            booster.fit(&data, &matrix.targets, &ones, Some(evaluation)).map_err(failed)?;
        }
    }
    let kept = booster.best_iteration.map_or(booster.trees.len(), |best| best + 1).min(booster.trees.len());
    say(format_args!("{kept} trees"));
    Ok(Forest { base: booster.base_score, trees: booster.trees[..kept].iter().map(nodes).collect() })
}

fn configure(goal: Goal, settings: &Boosting) -> GradientBooster {
    let (objective_type, metric) = match goal {
        Goal::Number => (ObjectiveType::SquaredLoss, Metric::RootMeanSquaredError),
        Goal::SecondClass => (ObjectiveType::LogLoss, Metric::LogLoss),
    };
    let sample_method = if settings.subsample < 1.0 { SampleMethod::Random } else { SampleMethod::None };
    let mut booster = GradientBooster::default();
    booster.objective_type = objective_type;
    booster.iterations = settings.rounds as usize;
    booster.learning_rate = settings.learning_rate as f32;
    booster.max_depth = settings.max_depth as usize;
    booster.l2 = settings.l2 as f32;
    booster.min_leaf_weight = settings.min_leaf as f32;
    booster.subsample = settings.subsample as f32;
    booster.seed = settings.seed;
    booster.sample_method = sample_method;
    booster.evaluation_metric = Some(metric);
    booster.initialize_base_score = true;
    booster
}

/// The values column by column, as the library wants them.
fn by_columns(matrix: &Matrix) -> Vec<f64> {
    let column = |column: usize| (0..matrix.rows).map(move |row| matrix.row(row)[column]);
    (0..matrix.columns).flat_map(column).collect()
}

fn nodes(tree: &Tree) -> Vec<Node> {
    // The library's type of a node has no public name, so it stays in this expression.
    let nodes = tree.nodes.iter().map(|node| match node.is_leaf {
        true => Node::Answer(f64::from(node.weight_value)),
        false => Node::Question {
            feature: node.split_feature,
            threshold: node.split_value,
            left: node.left_child,
            right: node.right_child,
            missing: node.missing_node,
        },
    });
    nodes.collect()
}
