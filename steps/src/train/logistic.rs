//! Logistic regression by Newton's method with halved steps; one set of weights for each class.
//!
//! Two classes use one set of weights (the logistic curve), more use one per class (softmax). Exponentials and logarithms
//! come from the standard library, so bits are those of a machine's C library; the model's digest is steady on one system.

use nalgebra::{DMatrix, DVector};

use super::interface::Logistic;
use super::matrix::Matrix;
use super::ridge::{Line, solve};
use crate::StepError;

/// A step is small enough when no gradient is larger than this.
const TOLERANCE: f64 = 1e-9;

/// The lines of the classes: one for two classes (of the second), else one each.
pub(super) fn fit(matrix: &Matrix, classes: usize, settings: &Logistic) -> Result<Vec<Line>, StepError> {
    matrix.complete()?;
    let sets = if classes == 2 { 1 } else { classes };
    let problem = Problem { matrix, sets, c: settings.c, width: matrix.columns + 1 };
    let mut weights = DVector::<f64>::zeros(sets * problem.width);
    let mut loss = problem.loss(&weights);
    for _ in 0..settings.iterations {
        let (gradient, curvature) = problem.slope(&weights);
        if gradient.amax() <= TOLERANCE * (1.0 + settings.c * matrix.rows as f64) {
            return Ok(problem.lines(&weights));
        }
        let step = solve(curvature, &gradient).map(DVector::from_vec);
        let step =
            step.ok_or_else(|| StepError::Training("the classes cannot be told apart steadily".to_owned()))?;
        let mut size = 1.0;
        let better = loop {
            let candidate = &weights - &step * size;
            let candidate_loss = problem.loss(&candidate);
            if candidate_loss < loss {
                break Some((candidate, candidate_loss));
            }
            size /= 2.0;
            if size < 1e-10 {
                break None;
            }
        };
        match better {
            Some((candidate, candidate_loss)) => (weights, loss) = (candidate, candidate_loss),
            // No step improves what rounding lets us see: this is the minimum.
            None => return Ok(problem.lines(&weights)),
        }
    }
    let problem =
        format!("it did not settle in {} iterations; allow more, or a smaller c", settings.iterations);
    Err(StepError::Training(problem))
}

struct Problem<'a> {
    matrix: &'a Matrix,
    /// Sets of weights.
    sets: usize,
    c: f64,
    /// Weights of a set; the intercept is the last.
    width: usize,
}

impl Problem<'_> {
    fn scores(&self, weights: &DVector<f64>, row: usize) -> Vec<f64> {
        let score = |set: usize| {
            let set = &weights.as_slice()[set * self.width..(set + 1) * self.width];
            let features = self.matrix.row(row);
            features.iter().zip(set).map(|(feature, weight)| feature * weight).sum::<f64>()
                + set[features.len()]
        };
        (0..self.sets).map(score).collect()
    }

    /// Probabilities of the sets, and the loss of a row.
    fn judge(&self, weights: &DVector<f64>, row: usize) -> (Vec<f64>, f64) {
        let mut scores = self.scores(weights, row);
        if self.sets == 1 {
            // One set stands for two classes, of which the first has the score 0.
            scores.insert(0, 0.0);
        }
        let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = scores.iter().map(|score| (score - largest).exp()).sum();
        let class = self.matrix.targets[row] as usize;
        let loss = largest + total.ln() - scores[class];
        let mut shares: Vec<f64> = scores.iter().map(|score| (score - largest).exp() / total).collect();
        if self.sets == 1 {
            shares.remove(0);
        }
        (shares, loss)
    }

    fn is_intercept(&self, place: usize) -> bool {
        place % self.width == self.width - 1
    }

    fn loss(&self, weights: &DVector<f64>) -> f64 {
        let data: f64 = (0..self.matrix.rows).map(|row| self.judge(weights, row).1).sum();
        let penalised = (0..weights.len()).filter(|place| !self.is_intercept(*place));
        self.c * data + penalised.map(|place| weights[place] * weights[place]).sum::<f64>() / 2.0
    }

    /// The gradient, and the lower triangle of the matrix of second derivatives.
    fn slope(&self, weights: &DVector<f64>) -> (DVector<f64>, DMatrix<f64>) {
        let size = weights.len();
        let mut gradient = DVector::<f64>::zeros(size);
        let mut curvature = DMatrix::<f64>::zeros(size, size);
        for row in 0..self.matrix.rows {
            let (shares, _) = self.judge(weights, row);
            let class = self.matrix.targets[row] as usize;
            let feature = |place: usize| self.matrix.row(row).get(place % self.width).copied().unwrap_or(1.0);
            let own_class = |set: usize| if self.sets == 1 { class == 1 } else { class == set };
            for left in 0..size {
                let set = left / self.width;
                let truth = f64::from(u8::from(own_class(set)));
                gradient[left] += self.c * (shares[set] - truth) * feature(left);
                for right in 0..=left {
                    let other = right / self.width;
                    let same = f64::from(u8::from(set == other));
                    let weight = self.c * shares[set] * (same - shares[other]);
                    curvature[(left, right)] += weight * feature(left) * feature(right);
                }
            }
        }
        for place in 0..size {
            if self.is_intercept(place) {
                // With a set per class, adding to all intercepts changes nothing; this keeps the system solvable.
                curvature[(place, place)] += 1e-8;
            } else {
                gradient[place] += weights[place];
                curvature[(place, place)] += 1.0;
            }
        }
        (gradient, curvature)
    }

    fn lines(&self, weights: &DVector<f64>) -> Vec<Line> {
        let line =
            |set: &[f64]| Line { weights: set[..self.width - 1].to_vec(), intercept: set[self.width - 1] };
        weights.as_slice().chunks_exact(self.width).map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(rows: &[(f64, usize)]) -> Matrix {
        Matrix {
            rows: rows.len(),
            columns: 1,
            values: rows.iter().map(|(feature, _)| *feature).collect(),
            targets: rows.iter().map(|(_, class)| *class as f64).collect(),
        }
    }

    #[test]
    fn two_classes_end_where_the_gradient_is_zero() {
        let matrix = matrix(&[(-2.0, 0), (-1.0, 0), (0.5, 1), (-0.5, 1), (1.0, 0), (2.0, 1)]);
        let lines = fit(&matrix, 2, &Logistic::default()).unwrap();
        let [Line { weights, intercept }] = lines.as_slice() else { panic!("one line") };
        let share = |x: f64| 1.0 / (1.0 + (-(x * weights[0] + intercept)).exp());
        let errors =
            || (0..6).map(|row| (matrix.row(row)[0], share(matrix.row(row)[0]) - matrix.targets[row]));
        assert!(errors().map(|(_, error)| error).sum::<f64>().abs() < 1e-7);
        assert!((errors().map(|(x, error)| x * error).sum::<f64>() + weights[0]).abs() < 1e-7);
    }

    #[test]
    fn three_classes_are_found() {
        let matrix = matrix(&[(-3.0, 0), (-2.5, 0), (0.0, 1), (0.3, 1), (3.0, 2), (2.5, 2)]);
        let lines = fit(&matrix, 3, &Logistic::default()).unwrap();
        assert_eq!(lines.len(), 3);
        let best = |x: f64| {
            let score = |line: &Line| x * line.weights[0] + line.intercept;
            (0..3).max_by(|l, r| score(&lines[*l]).total_cmp(&score(&lines[*r]))).unwrap()
        };
        assert_eq!([best(-3.0), best(0.1), best(3.0)], [0, 1, 2]);
    }

    #[test]
    fn rows_that_a_line_separates_do_not_run_away() {
        let matrix = matrix(&[(-1.0, 0), (1.0, 1)]);
        assert!(fit(&matrix, 2, &Logistic::default()).unwrap()[0].weights[0] > 0.0);
    }
}
