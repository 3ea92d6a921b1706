//! The columns of a history: what every run has, its metrics, its parameters; how they are named, and what stands in them.

use std::cmp::Ordering;
use std::fmt;

use serde_json::Value;

use super::error::RecordError;
use crate::suggest;

/// What every run has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// Its id.
    Run,
    /// When it began.
    Started,
    /// When it ended.
    Finished,
    /// The name of its pipeline.
    Pipeline,
    /// The pipeline file.
    File,
    /// How it stands, in a word.
    Outcome,
    /// What started it.
    Cause,
    /// The git commit.
    Commit,
    /// How many steps executed.
    Executed,
    /// How many were satisfied by the cache.
    Cached,
    /// How many were left out.
    Skipped,
    /// How many failed.
    Failed,
    /// How many were blocked.
    Blocked,
    /// Its wall time.
    Time,
}

/// All fields with their names, in the order of a table.
const FIELDS: [(Field, &str); 14] = [
    (Field::Run, "run"),
    (Field::Started, "started"),
    (Field::Finished, "finished"),
    (Field::Pipeline, "pipeline"),
    (Field::File, "file"),
    (Field::Outcome, "outcome"),
    (Field::Cause, "cause"),
    (Field::Commit, "commit"),
    (Field::Executed, "executed"),
    (Field::Cached, "cached"),
    (Field::Skipped, "skipped"),
    (Field::Failed, "failed"),
    (Field::Blocked, "blocked"),
    (Field::Time, "time"),
];

impl Field {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        FIELDS.iter().find(|(field, _)| *field == self).map_or("", |(_, name)| name)
    }
}

/// A column of the history.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Column {
    /// What every run has.
    Field(Field),
    /// A metric of a step, which has its matrix values in brackets.
    Metric {
        /// The step.
        step: String,
        /// The metric's dotted name.
        name: String,
    },
    /// A parameter by its dotted name.
    Param(String),
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(field) => f.write_str(field.name()),
            Self::Metric { step, name } => write!(f, "{step}.{name}"),
            Self::Param(name) => write!(f, "params.{name}"),
        }
    }
}

/// The column that a text means among these metrics and parameters: a full name (`outcome`, `evaluate.rmse`,
/// `params.train.alpha`), or as much of the end of one as is no other's (`rmse`, `alpha`).
pub(super) fn resolve(text: &str, known: &[Column]) -> Result<Column, RecordError> {
    let text = text.strip_prefix("${").and_then(|inner| inner.strip_suffix('}')).unwrap_or(text).trim();
    if let Some((field, _)) = FIELDS.iter().find(|(_, name)| *name == text) {
        return Ok(Column::Field(*field));
    }
    let own_name = |column: &Column| match column {
        Column::Field(_) => false,
        Column::Metric { name, .. } | Column::Param(name) => name == text,
    };
    let tail = format!(".{text}");
    let manners: [&dyn Fn(&Column) -> bool; 3] =
        [&|column| column.to_string() == text, &own_name, &|column| column.to_string().ends_with(&tail)];
    for is_meant in manners {
        let mut meant = known.iter().filter(|column| is_meant(column));
        match (meant.next(), meant.next()) {
            (None, _) => {}
            (Some(column), None) => return Ok(column.clone()),
            (Some(first), Some(second)) => {
                let candidates = [first, second].into_iter().chain(meant).take(5).map(Column::to_string);
                return Err(RecordError::AmbiguousColumn {
                    name: text.to_owned(),
                    candidates: candidates.collect(),
                });
            }
        }
    }
    Err(unknown(text, known))
}

fn unknown(text: &str, known: &[Column]) -> RecordError {
    let fields = FIELDS.iter().map(|(_, name)| (*name).to_owned());
    let names: Vec<String> = fields.chain(known.iter().map(Column::to_string)).collect();
    let near = suggest::nearest(text, names.iter().map(String::as_str)).map(str::to_owned);
    // What was misspelt may be the end of a name only; then the shortest name with that end is meant.
    let near = near.or_else(|| {
        let tails = || known.iter().map(|column| (column.to_string(), tail(column)));
        let all: Vec<String> = tails().map(|(_, tail)| tail).collect();
        let tail = suggest::nearest(text, all.iter().map(String::as_str))?;
        tails().filter(|(_, own)| own == tail).map(|(name, _)| name).min_by_key(String::len)
    });
    RecordError::UnknownColumn { name: text.to_owned(), near }
}

/// The last part of a column's name.
fn tail(column: &Column) -> String {
    column.to_string().rsplit('.').next().unwrap_or_default().to_owned()
}

/// What stands in a column of one run.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    /// A whole number, a number of milliseconds, or a time in nanoseconds since 1970.
    Int(i64),
    /// A number.
    Float(f64),
    /// A text.
    Text(String),
    /// A truth value.
    Bool(bool),
    /// A list or a table, as JSON.
    Json(String),
}

impl Cell {
    /// The cell for a parameter's value; none for nothing.
    pub(super) fn of(value: &Value) -> Option<Self> {
        Some(match value {
            Value::Null => return None,
            Value::Bool(truth) => Self::Bool(*truth),
            Value::String(text) => Self::Text(text.clone()),
            Value::Number(number) => match number.as_i64() {
                Some(whole) => Self::Int(whole),
                None => Self::Float(number.as_f64()?),
            },
            Value::Array(_) | Value::Object(_) => Self::Json(value.to_string()),
        })
    }

    /// The value again.
    pub(super) fn to_json(&self) -> Value {
        match self {
            Self::Int(number) => (*number).into(),
            Self::Float(number) => (*number).into(),
            Self::Text(text) => text.clone().into(),
            Self::Bool(truth) => (*truth).into(),
            Self::Json(text) => serde_json::from_str(text).unwrap_or_default(),
        }
    }

    /// As a number, if it is one.
    #[expect(
        clippy::cast_precision_loss,
        reason = "numbers of different kinds are compared as floating ones"
    )]
    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Self::Int(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            Self::Text(_) | Self::Bool(_) | Self::Json(_) => None,
        }
    }

    /// The order for sorting: numbers, then texts, then truth values, then the rest.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        if let (Self::Int(a), Self::Int(b)) = (self, other) {
            return a.cmp(b);
        }
        if let (Some(a), Some(b)) = (self.number(), other.number()) {
            // Negative zero is zero.
            return (a + 0.0).total_cmp(&(b + 0.0));
        }
        match (self, other) {
            (Self::Text(a), Self::Text(b)) | (Self::Json(a), Self::Json(b)) => a.cmp(b),
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Int(_) | Self::Float(_) => 0,
            Self::Text(_) => 1,
            Self::Bool(_) => 2,
            Self::Json(_) => 3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric(step: &str, name: &str) -> Column {
        Column::Metric { step: step.to_owned(), name: name.to_owned() }
    }

    fn known() -> Vec<Column> {
        vec![
            metric("evaluate", "rmse"),
            metric("evaluate", "rival.rmse"),
            metric("train[fold=1]", "loss"),
            metric("train[fold=2]", "loss"),
            metric("deploy", "time"),
            Column::Param("train.alpha".to_owned()),
            Column::Param("seed".to_owned()),
        ]
    }

    #[test]
    fn a_name_means_one_column() {
        let means = |text: &str| resolve(text, &known()).unwrap().to_string();
        assert_eq!(means("evaluate.rmse"), "evaluate.rmse");
        assert_eq!(means("rmse"), "evaluate.rmse", "its whole own name goes before the end of another");
        assert_eq!(means("rival.rmse"), "evaluate.rival.rmse");
        assert_eq!(means("train[fold=2].loss"), "train[fold=2].loss");
        assert_eq!(means("seed"), "params.seed");
        assert_eq!(means("alpha"), "params.train.alpha");
        assert_eq!(means("train.alpha"), "params.train.alpha");
        assert_eq!(means("time"), "time", "a field goes before a metric");
        assert_eq!(means("deploy.time"), "deploy.time");
        assert_eq!(means("${evaluate.rmse}"), "evaluate.rmse");
    }

    #[test]
    fn a_name_that_means_none_or_several_is_told() {
        let wrong = |text: &str| resolve(text, &known()).unwrap_err();
        let candidates = ["train[fold=1].loss", "train[fold=2].loss"].map(String::from).to_vec();
        assert!(
            matches!(wrong("loss"), RecordError::AmbiguousColumn { candidates: found, .. } if found == candidates)
        );
        let near = |text: &str| match wrong(text) {
            RecordError::UnknownColumn { near, .. } => near,
            other => panic!("{other}"),
        };
        assert_eq!(near("outcom").as_deref(), Some("outcome"));
        assert_eq!(near("evalute.rmse").as_deref(), Some("evaluate.rmse"));
        assert_eq!(near("rmsee").as_deref(), Some("evaluate.rmse"), "not that of the rival");
        assert_eq!(near("accuracy"), None);
    }
}
