//! Ridge regression by the normal equations of centred columns.
//!
//! Every sum runs row by row in double precision in this file and not in a library that picks its instructions by the
//! processor, so that every machine of an architecture gets the same bits.

use nalgebra::{Cholesky, DMatrix, DVector};

use super::interface::Ridge;
use super::matrix::Matrix;
use crate::StepError;

/// A line: a weight for each feature, and where it starts.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    pub(super) weights: Vec<f64>,
    pub(super) intercept: f64,
}

/// The line that minimises `||y - Xw||² + alpha ||w||²`, its intercept free.
pub(super) fn fit(matrix: &Matrix, settings: &Ridge) -> Result<Line, StepError> {
    matrix.complete()?;
    let (rows, columns) = (matrix.rows, matrix.columns);
    let means: Vec<f64> = (0..columns)
        .map(|column| (0..rows).map(|row| matrix.row(row)[column]).sum::<f64>() / rows as f64)
        .collect();
    let target_mean = matrix.targets.iter().sum::<f64>() / rows as f64;
    let mut gram = DMatrix::<f64>::zeros(columns, columns);
    let mut moment = DVector::<f64>::zeros(columns);
    let mut centred = vec![0.0; columns];
    for row in 0..rows {
        for ((place, value), mean) in centred.iter_mut().zip(matrix.row(row)).zip(&means) {
            *place = value - mean;
        }
        let target = matrix.targets[row] - target_mean;
        for left in 0..columns {
            moment[left] += centred[left] * target;
            for right in 0..=left {
                gram[(left, right)] += centred[left] * centred[right];
            }
        }
    }
    for left in 0..columns {
        gram[(left, left)] += settings.alpha;
    }
    let weights = solve(gram, &moment).ok_or_else(|| {
        StepError::Training("some features are sums of others; set ridge.alpha above 0".to_owned())
    })?;
    let offset: f64 = means.iter().zip(&weights).map(|(mean, weight)| mean * weight).sum();
    Ok(Line { weights, intercept: target_mean - offset })
}

/// The solution of a symmetric positive definite system, of which the lower triangle is given.
pub(super) fn solve(lower: DMatrix<f64>, right: &DVector<f64>) -> Option<Vec<f64>> {
    let largest = lower.diagonal().iter().copied().fold(0.0, f64::max);
    let factors = Cholesky::new(lower)?;
    // A pivot that is only rounding means that the system has no unique solution.
    let smallest =
        factors.l_dirty().diagonal().iter().map(|pivot| pivot * pivot).fold(f64::INFINITY, f64::min);
    let solution = factors.solve(right);
    let sound = smallest > largest * f64::EPSILON && solution.iter().all(|value| value.is_finite());
    sound.then(|| solution.iter().copied().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(rows: &[([f64; 2], f64)]) -> Matrix {
        Matrix {
            rows: rows.len(),
            columns: 2,
            values: rows.iter().flat_map(|(features, _)| *features).collect(),
            targets: rows.iter().map(|(_, target)| *target).collect(),
        }
    }

    #[test]
    fn without_penalty_it_finds_the_exact_line() {
        let rows = [([0.0, 1.0], 5.0), ([1.0, 0.0], 4.0), ([2.0, 5.0], 15.0), ([3.0, 3.0], 13.0)];
        // y = 2 + 2 a + 1.8 b would not fit; y = 3 + ... is found by least squares: checked by its residuals.
        let line = fit(&matrix(&rows), &Ridge { alpha: 0.0 }).unwrap();
        let residual = |(features, target): &([f64; 2], f64)| {
            target - line.intercept - features[0] * line.weights[0] - features[1] * line.weights[1]
        };
        let residuals: Vec<f64> = rows.iter().map(residual).collect();
        assert!(residuals.iter().sum::<f64>().abs() < 1e-12, "orthogonal to the constant");
        let against = |place: usize| -> f64 {
            rows.iter().zip(&residuals).map(|((features, _), residual)| features[place] * residual).sum()
        };
        assert!(against(0).abs() < 1e-12 && against(1).abs() < 1e-12, "orthogonal to the features");
    }

    #[test]
    fn the_penalty_shrinks_the_weights_and_not_the_intercept() {
        let rows = [([-1.0, 0.0], 8.0), ([1.0, 0.0], 12.0)];
        let line = fit(&matrix(&rows), &Ridge { alpha: 2.0 }).unwrap();
        // Gram 2 + alpha 2, moment 4.
        assert_eq!(line, Line { weights: vec![1.0, 0.0], intercept: 10.0 });
    }

    #[test]
    fn a_feature_that_repeats_another_is_told() {
        let rows = [([1.0, 1.0], 1.0), ([2.0, 2.0], 2.0), ([4.0, 4.0], 4.5)];
        assert!(fit(&matrix(&rows), &Ridge { alpha: 0.0 }).is_err());
        assert!(fit(&matrix(&rows), &Ridge { alpha: 0.1 }).is_ok());
    }
}
