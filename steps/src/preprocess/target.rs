//! The target: what is predicted, and the rows of each class.

use std::collections::BTreeMap;

use arrow_schema::DataType;
use camino::Utf8Path;

use super::interface::{TaskKind, With};
use crate::StepError;
use crate::table::{Column, Frame, TableReader};
use crate::transform::{Classes, Prediction};

/// What is predicted, and groups of rows to be split each by itself.
pub(super) struct Target {
    pub(super) task: Prediction,
    pub(super) strata: Vec<Vec<usize>>,
}

impl Target {
    /// Reads the target's column; every row must have a value.
    pub(super) fn read(table: &Utf8Path, with: &With) -> Result<Self, StepError> {
        let frame = Frame::read(table, std::slice::from_ref(&with.target))?;
        let column = frame.column(&with.target)?;
        let wrong = |problem: String| StepError::column(table, &with.target, problem);
        let missing = match column {
            Column::Numbers(values) => values.iter().position(|value| !value.is_finite()),
            Column::Texts(values) => {
                values.iter().position(|value| value.as_deref().is_none_or(str::is_empty))
            }
        };
        if let Some(row) = missing {
            return Err(wrong(format!("the target has no finite value in row {}", row + 1)));
        }
        let all = || vec![(0..frame.rows()).collect()];
        let texts_or_truths = matches!(column, Column::Texts(_)) || holds_truths(table, &with.target)?;
        let classify = match with.task {
            Some(task) => task == TaskKind::Classification,
            None => texts_or_truths,
        };
        if !classify {
            if matches!(column, Column::Texts(_)) {
                return Err(wrong("a regression predicts numbers, but the target holds texts".to_owned()));
            }
            if with.stratify {
                return Err(wrong("only a classification has classes to stratify by".to_owned()));
            }
            return Ok(Self { task: Prediction::Regression, strata: all() });
        }
        let (classes, groups) = group(column).map_err(wrong)?;
        let strata = if with.stratify { groups } else { all() };
        Ok(Self { task: Prediction::Classification(classes), strata })
    }
}

fn holds_truths(table: &Utf8Path, name: &str) -> Result<bool, StepError> {
    let reader = TableReader::open(table)?;
    Ok(reader.schema().field_with_name(name).is_ok_and(|field| *field.data_type() == DataType::Boolean))
}

/// The classes in order, and the rows of each.
fn group(column: &Column) -> Result<(Classes, Vec<Vec<usize>>), String> {
    let (classes, groups) = match column {
        Column::Texts(values) => {
            let mut groups: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
            for (row, value) in values.iter().enumerate() {
                groups.entry(value.as_deref().unwrap_or_default()).or_default().push(row);
            }
            let classes = groups.keys().map(|&class| class.to_owned()).collect();
            (Classes::Texts(classes), groups.into_values().collect::<Vec<_>>())
        }
        Column::Numbers(values) => {
            let mut groups: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
            for (row, value) in values.iter().enumerate() {
                let class = *value as i64;
                if class as f64 != *value {
                    return Err(format!("row {} holds {value}, but classes are whole numbers", row + 1));
                }
                groups.entry(class).or_default().push(row);
            }
            let classes = groups.keys().copied().collect();
            (Classes::Integers(classes), groups.into_values().collect())
        }
    };
    match classes.count() {
        0 | 1 => Err("it has fewer than two classes".to_owned()),
        2..=100 => Ok((classes, groups)),
        count => Err(format!("{count} classes are more than 100; is it a regression?")),
    }
}
