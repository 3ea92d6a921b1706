//! The transform: how raw columns become the numbers that a model computes with; fitted on training rows only.
//!
//! `preprocess` fits it, `train` writes it into the model, so that a model takes raw rows and nobody can forget it.

mod fit;
mod graph;

pub(crate) use fit::{Impute, Scale, Settings, fit};
pub(crate) use graph::{FEATURES, write_features};

use serde::{Deserialize, Serialize};

/// A fitted transform, as `transform.json` holds it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Transform {
    /// The version of this file's layout.
    pub(crate) version: u32,
    /// The column to predict.
    pub(crate) target: String,
    /// What is predicted.
    pub(crate) task: Prediction,
    /// The columns that a model takes, in their order.
    pub(crate) features: Vec<Feature>,
}

/// The version of [`Transform`]'s layout.
pub(crate) const VERSION: u32 = 1;

/// What is predicted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Prediction {
    /// A number.
    Regression,
    /// One of these classes, in order.
    Classification(Classes),
}

/// The values of a class column, sorted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Classes {
    /// Whole numbers; truth values are 0 and 1.
    Integers(Vec<i64>),
    /// Texts.
    Texts(Vec<String>),
}

impl Classes {
    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        match self {
            Self::Integers(classes) => classes.len(),
            Self::Texts(classes) => classes.len(),
        }
    }

    /// The classes as texts.
    pub(crate) fn names(&self) -> Vec<String> {
        match self {
            Self::Integers(classes) => classes.iter().map(i64::to_string).collect(),
            Self::Texts(classes) => classes.clone(),
        }
    }
}

/// A raw column and what is done with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Feature {
    /// The column.
    pub(crate) name: String,
    /// What is done with it.
    pub(crate) treatment: Treatment,
}

/// What is done with a raw column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Treatment {
    /// A number: `(value or fill - center) / scale`.
    Number {
        /// What stands for a missing value; none if missing values stay.
        fill: Option<f64>,
        /// What is subtracted.
        center: f64,
        /// What is divided by.
        scale: f64,
    },
    /// A number that names a category: one indicator for each.
    NumberCategory {
        /// What stands for a missing value; without it all indicators are zero.
        fill: Option<f64>,
        /// The categories; for any other value all indicators are zero.
        categories: Vec<f64>,
    },
    /// A text that names a category: one indicator for each. The empty text is a missing value.
    TextCategory {
        /// What stands for a missing value; without it all indicators are zero.
        fill: Option<String>,
        /// The categories; for any other value all indicators are zero.
        categories: Vec<String>,
    },
}

impl Treatment {
    /// Into how many numbers the column becomes.
    pub(crate) fn width(&self) -> usize {
        match self {
            Self::Number { .. } => 1,
            Self::NumberCategory { categories, .. } => categories.len(),
            Self::TextCategory { categories, .. } => categories.len(),
        }
    }
}
