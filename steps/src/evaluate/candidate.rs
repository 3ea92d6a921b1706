//! The candidates: the models of a collection, each with its scores on the validation rows, and the choice among them.

use camino::{Utf8Path, Utf8PathBuf};

use super::interface::With;
use crate::StepError;
use crate::predict::Predictor;
use crate::scores::{Scores, larger_is_better};

/// A model that may be chosen.
pub(super) struct Candidate {
    /// What people call it, such as `train[algorithm=ridge]`.
    pub(super) name: String,
    pub(super) predictor: Predictor,
    /// Its scores on validation rows; an only candidate needs none.
    pub(super) scores: Option<Scores>,
}

/// The candidates and which of them was chosen by what.
pub(super) struct Choice {
    pub(super) candidates: Vec<Candidate>,
    pub(super) chosen: usize,
    pub(super) metric: String,
}

impl Choice {
    /// Scores every model on the validation rows and chooses the best; among equals the first.
    pub(super) fn make(
        models: &[Utf8PathBuf],
        validation: Option<&Utf8Path>,
        with: &With,
    ) -> Result<Self, StepError> {
        let candidates = entries(models)?
            .into_iter()
            .map(|(name, path)| Candidate::open(name, &path, validation, with.target.as_deref()))
            .collect::<Result<Vec<_>, _>>()?;
        let Some(first) = candidates.first() else {
            return Err(StepError::Comparison("there is no candidate".to_owned()));
        };
        for other in &candidates {
            comparable(&first.predictor, &other.predictor, &other.name)?;
        }
        let default = if first.predictor.classes().is_some() { "log_loss" } else { "rmse" };
        let metric = with.metric.clone().unwrap_or_else(|| default.to_owned());
        if validation.is_none() && candidates.len() > 1 {
            return Err(StepError::Comparison(format!(
                "{} candidates can only be compared on validation rows: give the input `validation`",
                candidates.len()
            )));
        }
        let scores: Option<Vec<&Scores>> =
            candidates.iter().map(|candidate| candidate.scores.as_ref()).collect();
        let chosen = scores.map_or(Ok(0), |scores| best(&metric, &scores))?;
        Ok(Self { candidates, chosen, metric })
    }

    /// The chosen candidate.
    pub(super) fn best(&self) -> &Candidate {
        &self.candidates[self.chosen]
    }
}

impl Candidate {
    fn open(
        name: String,
        path: &Utf8Path,
        validation: Option<&Utf8Path>,
        target: Option<&str>,
    ) -> Result<Self, StepError> {
        let predictor = Predictor::open(path, target)?;
        let score = |rows: &Utf8Path| {
            let frame = predictor.frame(rows)?;
            predictor.score(&frame, &predictor.predict(&frame)?)
        };
        let scores = validation.map(score).transpose()?;
        Ok(Self { name, predictor, scores })
    }
}

/// The place of the best scores. Equal scores are for the first; a score that is no number is never the best.
fn best(metric: &str, scores: &[&Scores]) -> Result<usize, StepError> {
    if scores.iter().any(|scores| !scores.contains_key(metric)) {
        return Err(StepError::Comparison(format!("the models have no score `{metric}`")));
    }
    let larger = larger_is_better(metric).unwrap_or(false);
    let is_better = |value: f64, than: f64| if larger { value > than } else { value < than };
    let values = scores.iter().map(|scores| scores[metric]).enumerate();
    let best = values
        .filter(|(_, value)| value.is_finite())
        .reduce(|best, next| if is_better(next.1, best.1) { next } else { best });
    best.map(|(place, _)| place).ok_or_else(|| {
        StepError::Comparison(format!("no candidate has a finite `{metric}` on the validation rows"))
    })
}

/// Two models can be compared if they predict the same column, in the same way.
pub(super) fn comparable(left: &Predictor, right: &Predictor, name: &str) -> Result<(), StepError> {
    if left.target() != right.target() {
        let problem = format!("`{name}` predicts `{}`, not `{}`", right.target(), left.target());
        return Err(StepError::Comparison(problem));
    }
    if left.classes() != right.classes() {
        return Err(StepError::Comparison(format!("`{name}` tells other classes apart")));
    }
    Ok(())
}

/// The entries of a collection by their numbers, or the model files that were given, each with its name.
fn entries(models: &[Utf8PathBuf]) -> Result<Vec<(String, Utf8PathBuf)>, StepError> {
    let mut entries = Vec::new();
    for path in models {
        if !path.is_dir() {
            entries.push((path.file_name().unwrap_or("model").to_owned(), path.clone()));
            continue;
        }
        let unreadable = |source| StepError::Read { path: path.to_string(), source };
        for entry in path.read_dir_utf8().map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            entries.push((entry.file_name().to_owned(), entry.into_path()));
        }
    }
    entries.sort_by_cached_key(|(entry, _)| (split(entry).0, entry.clone()));
    let short: Vec<String> = entries.iter().map(|(entry, _)| short_name(entry)).collect();
    let is_unique = |name: &String| short.iter().filter(|other| *other == name).count() == 1;
    let named = entries.into_iter().zip(&short);
    Ok(named
        .map(|((entry, path), short)| (if is_unique(short) { short.clone() } else { decode(&entry) }, path))
        .collect())
}

/// The number before the first hyphen of an entry, and the rest. An entry without a number comes after those with one.
fn split(entry: &str) -> (u64, &str) {
    let numbered = entry.split_once('-').and_then(|(number, rest)| Some((number.parse().ok()?, rest)));
    numbered.unwrap_or((u64::MAX, entry))
}

/// `train[algorithm=ridge]` for the entry `0-train%5Balgorithm=ridge%5D.model`.
fn short_name(entry: &str) -> String {
    let name = decode(split(entry).1);
    match name.rsplit_once('.') {
        Some((step, "model" | "best" | "onnx")) if !step.is_empty() => step.to_owned(),
        _ => name,
    }
}

/// The text that was percent-encoded; what is none stays as it is.
fn decode(entry: &str) -> String {
    let mut bytes = Vec::with_capacity(entry.len());
    let mut rest = entry.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..2).filter(|_| *first == b'%').and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| entry.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(files: &[&str]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            std::fs::write(folder.path().join(file), "").unwrap();
        }
        let found = entries(&[Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap()]).unwrap();
        found.into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn an_entry_is_called_by_its_step() {
        assert_eq!(
            names(&["0-train%5Balgorithm=ridge%5D.model", "1-train%5Balgorithm=boosting,alpha=0.5%5D.model"]),
            ["train[algorithm=ridge]", "train[algorithm=boosting,alpha=0.5]"]
        );
        assert_eq!(names(&["%C3%A9t%C3%A9.onnx", "50%.onnx"]), ["été", "50%"]);
    }

    #[test]
    fn entries_are_in_the_order_of_their_numbers() {
        assert_eq!(names(&["10-b.model", "2-a.model", "c.model"]), ["a", "b", "c"]);
    }

    #[test]
    fn names_that_would_be_the_same_stay_whole() {
        assert_eq!(names(&["0-a.model", "1-a.model", "2-b.model"]), ["0-a.model", "1-a.model", "b"]);
    }

    fn choose(metric: &str, values: &[f64]) -> Option<usize> {
        let scores: Vec<Scores> = values
            .iter()
            .map(|value| [("rmse".to_owned(), *value), ("r2".to_owned(), *value)].into())
            .collect();
        best(metric, &scores.iter().collect::<Vec<_>>()).ok()
    }

    #[test]
    fn the_best_wins_whichever_way_the_metric_goes_and_equals_are_for_the_first() {
        assert_eq!(choose("rmse", &[2.0, 1.0, 1.0, 3.0]), Some(1));
        assert_eq!(choose("r2", &[2.0, 3.0, 1.0, 3.0]), Some(1));
    }

    #[test]
    fn what_is_no_number_never_wins() {
        assert_eq!(choose("rmse", &[f64::NAN, 2.0, f64::NAN]), Some(1));
        assert_eq!(choose("r2", &[f64::INFINITY, 2.0]), Some(1));
        assert_eq!(choose("rmse", &[f64::NAN]), None);
        assert_eq!(choose("auc", &[1.0]), None);
    }
}
