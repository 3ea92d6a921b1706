//! Fitting a transform, one column in memory at a time.

use std::collections::BTreeMap;

use camino::Utf8Path;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Feature, Prediction, Transform, Treatment, VERSION};
use crate::StepError;
use crate::table::{Column, Frame};

/// A column with more categories than this is hardly one of categories.
const MOST_CATEGORIES: usize = 1000;

/// What stands for a missing number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Impute {
    #[default]
    Median,
    Mean,
    None,
}

/// How numbers are scaled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Scale {
    #[default]
    Standard,
    None,
}

/// How columns are treated.
#[derive(Debug)]
pub(crate) struct Settings<'a> {
    /// What stands for a missing number; a missing category is the most frequent one unless this is `None`.
    pub(crate) impute: Impute,
    /// How numbers are scaled.
    pub(crate) scale: Scale,
    /// Columns of numbers that name categories.
    pub(crate) categorical: &'a [String],
}

/// Fits the transform of these columns on the rows of a table.
pub(crate) fn fit(
    table: &Utf8Path,
    target: &str,
    task: Prediction,
    features: &[String],
    settings: &Settings<'_>,
) -> Result<Transform, StepError> {
    let feature = |name: &String| -> Result<Feature, StepError> {
        let frame = Frame::read(table, std::slice::from_ref(name))?;
        let treatment = match frame.column(name)? {
            Column::Texts(values) => text_category(values, settings),
            Column::Numbers(values) if settings.categorical.contains(name) => {
                number_category(values, settings)
            }
            Column::Numbers(values) => number(values, settings),
        };
        let treatment = treatment.map_err(|problem| StepError::column(table, name, problem))?;
        Ok(Feature { name: name.clone(), treatment })
    };
    let features = features.iter().map(feature).collect::<Result<_, _>>()?;
    Ok(Transform { version: VERSION, target: target.to_owned(), task, features })
}

fn number(values: &[f64], settings: &Settings<'_>) -> Result<Treatment, String> {
    let mut known: Vec<f64> = values.iter().copied().filter(|value| !value.is_nan()).collect();
    if known.is_empty() {
        return Err("no training row has a value".to_owned());
    }
    if let Some(row) = values.iter().position(|value| value.is_infinite()) {
        return Err(format!("the value of training row {} is infinite", row + 1));
    }
    let fill = match settings.impute {
        Impute::None => None,
        Impute::Mean => Some(mean(&known)),
        Impute::Median => Some(median(&mut known)),
    };
    let (center, scale) = match settings.scale {
        Scale::None => (0.0, 1.0),
        Scale::Standard => {
            let filled = values.iter().filter_map(|value| if value.is_nan() { fill } else { Some(*value) });
            standard(&filled.collect::<Vec<_>>())
        }
    };
    Ok(Treatment::Number { fill, center, scale })
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) }
}

/// Mean and standard deviation of the whole population (as scikit-learn's `StandardScaler`); the deviation of a column that
/// is constant up to rounding counts as one.
fn standard(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let center = mean(values);
    let variance = values.iter().map(|value| (value - center).powi(2)).sum::<f64>() / count;
    let rounding = count * f64::EPSILON * variance + (count * center * f64::EPSILON).powi(2);
    (center, if variance <= rounding { 1.0 } else { variance.sqrt() })
}

fn number_category(values: &[f64], settings: &Settings<'_>) -> Result<Treatment, String> {
    // Adding zero makes one number of the two zeros. Sorted by total order, equal numbers are neighbours.
    let mut known: Vec<f64> =
        values.iter().filter(|value| !value.is_nan()).map(|value| value + 0.0).collect();
    known.sort_unstable_by(f64::total_cmp);
    let groups: Vec<&[f64]> = known.chunk_by(|left, right| left == right).collect();
    let categories: Vec<f64> = groups.iter().map(|group| group[0]).collect();
    countable(categories.len())?;
    let counted = groups.iter().map(|group| (group[0], group.len()));
    let fill = if settings.impute == Impute::None { None } else { most_frequent(counted) };
    Ok(Treatment::NumberCategory { fill, categories })
}

fn text_category(values: &[Option<String>], settings: &Settings<'_>) -> Result<Treatment, String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for value in values.iter().flatten().filter(|value| !value.is_empty()) {
        *counts.entry(value).or_default() += 1;
    }
    countable(counts.len())?;
    let fill = if settings.impute == Impute::None { None } else { most_frequent(counts.clone()) };
    let categories = counts.into_keys().map(str::to_owned).collect();
    Ok(Treatment::TextCategory { fill: fill.map(str::to_owned), categories })
}

/// The most frequent value; among equals the first.
fn most_frequent<T>(counted: impl IntoIterator<Item = (T, usize)>) -> Option<T> {
    let better = |best: (T, usize), next: (T, usize)| if next.1 > best.1 { next } else { best };
    counted.into_iter().reduce(better).map(|(value, _)| value)
}

fn countable(categories: usize) -> Result<(), String> {
    match categories {
        0 => Err("no training row has a value".to_owned()),
        1..=MOST_CATEGORIES => Ok(()),
        _ => Err(format!(
            "it has {categories} different values, more than {MOST_CATEGORIES}; leave it out with `features`"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Settings<'_> = Settings { impute: Impute::Median, scale: Scale::Standard, categorical: &[] };

    #[test]
    fn a_number_is_filled_with_its_median_and_scaled_by_the_whole_population() {
        let values = [1.0, f64::NAN, 3.0, 8.0];
        let treatment = number(&values, &PLAIN).unwrap();
        // 1, 3, 3, 8: mean 3.75, population variance 6.6875.
        assert_eq!(treatment, Treatment::Number { fill: Some(3.0), center: 3.75, scale: 6.6875_f64.sqrt() });
    }

    #[test]
    fn a_constant_column_is_centred_only() {
        let Treatment::Number { center, scale, .. } = number(&[0.1; 7], &PLAIN).unwrap() else {
            panic!("a number");
        };
        assert!((center - 0.1).abs() < 1e-15);
        assert_eq!(scale, 1.0);
        assert!(number(&[f64::NAN], &PLAIN).is_err());
    }

    #[test]
    fn categories_are_sorted_and_the_most_frequent_fills() {
        let values = ["b", "a", "b", ""].map(|text| Some(text.to_owned()));
        let expected = Treatment::TextCategory {
            fill: Some("b".to_owned()),
            categories: vec!["a".to_owned(), "b".to_owned()],
        };
        assert_eq!(text_category(&values, &PLAIN).unwrap(), expected);
        let numbers = number_category(&[2.0, 1.0, f64::NAN, -0.0, 0.0], &PLAIN).unwrap();
        assert_eq!(numbers, Treatment::NumberCategory { fill: Some(0.0), categories: vec![0.0, 1.0, 2.0] });
    }

    #[test]
    fn nothing_is_filled_if_nothing_shall_be() {
        let settings = Settings { impute: Impute::None, ..PLAIN };
        let Treatment::Number { fill, center, .. } = number(&[1.0, f64::NAN, 3.0], &settings).unwrap() else {
            panic!("a number");
        };
        assert_eq!((fill, center), (None, 2.0));
    }
}
