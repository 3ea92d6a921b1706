//! Scores of predictions against what was true.

use std::collections::BTreeMap;

/// Scores by name; JSON numbers, never NaN.
pub(crate) type Scores = BTreeMap<String, f64>;

/// How good predicted numbers are: `rmse`, `mae`, `r2`, `rows`.
pub(crate) fn regression(truth: &[f64], predicted: &[f64]) -> Scores {
    let count = truth.len() as f64;
    let errors = || truth.iter().zip(predicted).map(|(truth, predicted)| truth - predicted);
    let squares: f64 = errors().map(|error| error * error).sum();
    let mean = truth.iter().sum::<f64>() / count;
    let spread: f64 = truth.iter().map(|truth| (truth - mean).powi(2)).sum();
    // A constant truth leaves nothing to explain: all of it is explained, or nothing.
    let r2 = match (spread == 0.0, squares == 0.0) {
        (false, _) => 1.0 - squares / spread,
        (true, true) => 1.0,
        (true, false) => 0.0,
    };
    let absolute: f64 = errors().map(f64::abs).sum();
    named([("rmse", (squares / count).sqrt()), ("mae", absolute / count), ("r2", r2), ("rows", count)])
}

/// How good class probabilities are: `accuracy`, `log_loss`, `f1`, `rows`, and for two classes `auc`.
///
/// `truth` holds the places of the true classes, `shares` the probabilities of all classes, row by row. `f1` is that of the
/// second class if there are two, else the mean over the classes.
pub(crate) fn classification(truth: &[usize], shares: &[f64], classes: usize) -> Scores {
    let count = truth.len() as f64;
    let rows = || truth.iter().zip(shares.chunks_exact(classes));
    let predicted: Vec<usize> = rows().map(|(_, row)| largest(row)).collect();
    let right = truth.iter().zip(&predicted).filter(|(truth, predicted)| truth == predicted).count() as f64;
    // A probability of zero for what happened would make the loss infinite; it is cut as scikit-learn does.
    let loss: f64 = rows().map(|(truth, row)| -row[*truth].clamp(f64::EPSILON, 1.0).ln()).sum();
    let f1 = if classes == 2 {
        f1(truth, &predicted, 1)
    } else {
        (0..classes).map(|class| f1(truth, &predicted, class)).sum::<f64>() / classes as f64
    };
    let mut scores =
        named([("accuracy", right / count), ("log_loss", loss / count), ("f1", f1), ("rows", count)]);
    if classes == 2 {
        let scored: Vec<(f64, bool)> = rows().map(|(truth, row)| (row[1], *truth == 1)).collect();
        scores.extend(auc(scored).map(|auc| ("auc".to_owned(), auc)));
    }
    scores
}

/// The first place of the largest.
pub(crate) fn largest(row: &[f64]) -> usize {
    (1..row.len()).fold(0, |best, place| if row[place] > row[best] { place } else { best })
}

fn named<const N: usize>(scores: [(&str, f64); N]) -> Scores {
    scores.into_iter().map(|(name, score)| (name.to_owned(), score)).collect()
}

fn f1(truth: &[usize], predicted: &[usize], class: usize) -> f64 {
    let count = |is: fn(bool, bool) -> bool| {
        let pairs = truth.iter().zip(predicted);
        pairs.filter(|(truth, predicted)| is(**truth == class, **predicted == class)).count() as f64
    };
    let (hits, wrong) = (count(|t, p| t && p), count(|t, p| t != p));
    if hits == 0.0 { 0.0 } else { 2.0 * hits / (2.0 * hits + wrong) }
}

/// The chance that a positive row scores higher than a negative one; none if one of the two is missing.
fn auc(mut scored: Vec<(f64, bool)>) -> Option<f64> {
    scored.sort_by(|left, right| left.0.total_cmp(&right.0));
    let positives = scored.iter().filter(|(_, positive)| *positive).count() as f64;
    let negatives = scored.len() as f64 - positives;
    let (mut below, mut wins) = (0.0, 0.0);
    for equals in scored.chunk_by(|left, right| left.0 == right.0) {
        let hits = equals.iter().filter(|(_, positive)| *positive).count() as f64;
        let misses = equals.len() as f64 - hits;
        wins += hits * (below + misses / 2.0);
        below += misses;
    }
    (positives > 0.0 && negatives > 0.0).then(|| wins / (positives * negatives))
}

/// The scores that a model can be chosen by.
pub(crate) const NAMES: [&str; 7] = ["rmse", "mae", "r2", "accuracy", "log_loss", "f1", "auc"];

/// Whether a larger score is better; none for a name that is no score to choose by.
pub(crate) fn larger_is_better(metric: &str) -> Option<bool> {
    match metric {
        "rmse" | "mae" | "log_loss" => Some(false),
        "r2" | "accuracy" | "f1" | "auc" => Some(true),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_numbers() {
        let scores = regression(&[1.0, 2.0, 4.0], &[1.0, 3.0, 2.0]);
        assert_eq!(scores["mae"], 1.0);
        assert!((scores["rmse"] - (5.0_f64 / 3.0).sqrt()).abs() < 1e-15);
        assert!((scores["r2"] - (1.0 - 5.0 / (14.0 / 3.0))).abs() < 1e-15);
        assert_eq!(regression(&[2.0, 2.0], &[2.0, 2.0])["r2"], 1.0);
        assert_eq!(regression(&[2.0, 2.0], &[2.0, 1.0])["r2"], 0.0);
    }

    #[test]
    fn scores_of_two_classes() {
        let shares = [0.9, 0.1, 0.6, 0.4, 0.65, 0.35, 0.2, 0.8];
        let scores = classification(&[0, 0, 1, 1], &shares, 2);
        assert_eq!((scores["accuracy"], scores["auc"]), (0.75, 0.75));
        assert!((scores["f1"] - 2.0 / 3.0).abs() < 1e-15);
        let loss = -(0.9_f64.ln() + 0.6_f64.ln() + 0.35_f64.ln() + 0.8_f64.ln()) / 4.0;
        assert!((scores["log_loss"] - loss).abs() < 1e-15);
    }

    #[test]
    fn equal_scores_count_half() {
        assert_eq!(auc(vec![(0.5, true), (0.5, false)]), Some(0.5));
        assert_eq!(auc(vec![(0.5, true)]), None);
    }

    #[test]
    fn three_classes_have_no_auc_and_a_mean_f1() {
        let shares = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0];
        let scores = classification(&[0, 1, 2], &shares, 3);
        assert!(!scores.contains_key("auc"));
        assert!((scores["f1"] - (2.0 / 3.0 + 1.0) / 3.0).abs() < 1e-15);
    }
}
