//! All rules over one table, fed batch by batch.

use std::collections::HashSet;

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_cast::cast;
use arrow_schema::{DataType, Schema};
use regex::Regex;
use serde_json::Value as Json;

use super::interface::{ColumnRules, ColumnType, ExtraColumns, With};
use super::rule::Outcome;
use crate::nearest::nearest;

/// Where and what is wrong with the rules themselves.
type Problem = (String, String);

/// The rules, with what came of them so far.
pub(super) struct Rules {
    columns: Vec<Column>,
    groups: Vec<Group>,
    /// Outcomes that the schema alone decides.
    settled: Vec<Outcome>,
    rows: (Option<u64>, Option<u64>),
}

struct Column {
    index: usize,
    name: String,
    nulls: Option<(f64, Outcome)>,
    null_count: u64,
    checks: Vec<(Check, Outcome)>,
    unique: Option<(HashSet<blake3::Hash>, Outcome)>,
}

enum Check {
    AtLeast(f64),
    AtMost(f64),
    OneOf { numbers: Vec<f64>, texts: Vec<String> },
    Matches(Regex),
}

struct Group {
    indices: Vec<usize>,
    seen: HashSet<blake3::Hash>,
    outcome: Outcome,
}

impl Rules {
    /// The rules for a table of this schema.
    ///
    /// # Errors
    /// If a rule makes no sense: where it stands and why.
    pub(super) fn new(with: &With, schema: &Schema) -> Result<Self, Problem> {
        let mut rules = Self {
            columns: Vec::new(),
            groups: Vec::new(),
            settled: Vec::new(),
            rows: (with.rows.min, with.rows.max),
        };
        for (name, column) in &with.columns {
            rules.add_column(name, column, schema)?;
        }
        if with.extra_columns == ExtraColumns::Forbid {
            let extra: Vec<&str> = schema
                .fields()
                .iter()
                .map(|field| field.name().as_str())
                .filter(|name| !with.columns.contains_key(*name))
                .collect();
            let outcome = Outcome::new(None, "no other columns");
            rules.settled.push(match extra.is_empty() {
                true => outcome,
                false => outcome.broken_because(format!("found {}", extra.join(", "))),
            });
        }
        for names in &with.unique {
            rules.add_group(names, schema);
        }
        Ok(rules)
    }

    fn add_column(&mut self, name: &str, rules: &ColumnRules, schema: &Schema) -> Result<(), Problem> {
        let exists = Outcome::new(Some(name), "the column exists");
        let Some((index, field)) = schema.column_with_name(name) else {
            let known: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
            let found = match nearest(name, known.iter().copied()) {
                Some(near) => format!("there is none; is `{near}` meant?"),
                None => format!("there are {}", known.join(", ")),
            };
            self.settled.push(exists.broken_because(found));
            return Ok(());
        };
        self.settled.push(exists);
        if let Some(kind) = rules.kind {
            let outcome = Outcome::new(Some(name), format!("type is {}", word(kind)));
            let fits = is_of(kind, field.data_type());
            self.settled.push(match fits {
                true => outcome,
                false => outcome.broken_because(format!("it is {}", field.data_type())),
            });
            if !fits {
                return Ok(());
            }
        }
        let nulls = (rules.nulls.0 < 1.0).then(|| {
            let text = match rules.nulls.0 {
                0.0 => "no nulls".to_owned(),
                share => format!("at most {} % nulls", share * 100.0),
            };
            (rules.nulls.0, Outcome::new(Some(name), text))
        });
        let unique = rules.unique.then(|| (HashSet::new(), Outcome::new(Some(name), "values are unique")));
        let mut column =
            Column { index, name: name.to_owned(), nulls, null_count: 0, checks: Vec::new(), unique };
        column.add_checks(rules, field.data_type())?;
        self.columns.push(column);
        Ok(())
    }

    fn add_group(&mut self, names: &[String], schema: &Schema) {
        let joined = names.join(", ");
        let outcome = Outcome::new(Some(&joined), "values taken together are unique");
        let indices: Vec<Option<usize>> = names.iter().map(|name| schema.index_of(name).ok()).collect();
        match indices.iter().copied().collect::<Option<Vec<usize>>>() {
            Some(indices) => self.groups.push(Group { indices, seen: HashSet::new(), outcome }),
            None => self.settled.push(outcome.broken_because("not all of these columns exist")),
        }
    }

    /// Takes in a batch whose first row has this number, counted from 0.
    pub(super) fn see(&mut self, batch: &RecordBatch, first: u64) {
        for column in &mut self.columns {
            column.see(batch.column(column.index), first);
        }
        for group in &mut self.groups {
            let texts: Vec<ArrayRef> =
                group.indices.iter().map(|index| text_of(batch.column(*index))).collect();
            for row in 0..batch.num_rows() {
                let values = || texts.iter().map(|texts| value_at(texts, row));
                if !group.seen.insert(identity(values())) {
                    let shown: Vec<&str> = values().map(|value| value.unwrap_or("null")).collect();
                    group.outcome.broken_by(first + row as u64, shown.join(", "));
                }
            }
        }
    }

    /// What came of all rules, given the number of rows.
    pub(super) fn finish(self, rows: u64) -> Vec<Outcome> {
        let mut outcomes = self.settled;
        let bound = |text: String, holds: bool| match holds {
            true => Outcome::new(None, text),
            false => Outcome::new(None, text).broken_because(format!("there are {rows}")),
        };
        outcomes.extend(self.rows.0.map(|min| bound(format!("at least {min} rows"), rows >= min)));
        outcomes.extend(self.rows.1.map(|max| bound(format!("at most {max} rows"), rows <= max)));
        for column in self.columns {
            if let Some((share, outcome)) = column.nulls {
                let found = column.null_count as f64 / (rows.max(1)) as f64;
                outcomes.push(match found <= share {
                    true => outcome,
                    false => outcome.broken_because(format!("{} of {rows} rows are null", column.null_count)),
                });
            }
            outcomes.extend(column.checks.into_iter().map(|(_, outcome)| outcome));
            outcomes.extend(column.unique.map(|(_, outcome)| outcome));
        }
        outcomes.extend(self.groups.into_iter().map(|group| group.outcome));
        outcomes
    }
}

impl Column {
    fn add_checks(&mut self, rules: &ColumnRules, kind: &DataType) -> Result<(), Problem> {
        let name = self.name.clone();
        let wrong = |field: &str, message: String| (format!("columns.{name}.{field}"), message);
        let mut add = |check: Check, text: String| self.checks.push((check, Outcome::new(Some(&name), text)));
        for (field, bound, at_least) in [("min", rules.min, true), ("max", rules.max, false)] {
            let Some(bound) = bound else { continue };
            if !kind.is_numeric() {
                return Err(wrong(field, format!("the column holds {kind}, which has no order of numbers")));
            }
            match at_least {
                true => add(Check::AtLeast(bound), format!("at least {bound}")),
                false => add(Check::AtMost(bound), format!("at most {bound}")),
            }
        }
        if let Some(values) = &rules.values {
            let numbers = values.iter().filter_map(Json::as_f64).collect();
            let texts = values.iter().filter_map(|value| match value {
                Json::String(text) => Some(text.clone()),
                Json::Bool(truth) => Some(truth.to_string()),
                _ => None,
            });
            let shown: Vec<String> = values.iter().map(ToString::to_string).collect();
            add(Check::OneOf { numbers, texts: texts.collect() }, format!("one of {}", shown.join(", ")));
        }
        if let Some(pattern) = &rules.pattern {
            let regex = Regex::new(pattern).map_err(|error| wrong("pattern", error.to_string()))?;
            add(Check::Matches(regex), format!("matches {pattern}"));
        }
        Ok(())
    }

    fn see(&mut self, values: &ArrayRef, first: u64) {
        if self.nulls.is_some() {
            self.null_count += missing(values);
        }
        for (check, outcome) in &mut self.checks {
            match check {
                Check::AtLeast(min) => each_number(values, |row, value| {
                    if value < *min || value.is_nan() {
                        outcome.broken_by(first + row, value);
                    }
                }),
                Check::AtMost(max) => each_number(values, |row, value| {
                    if value > *max || value.is_nan() {
                        outcome.broken_by(first + row, value);
                    }
                }),
                Check::OneOf { numbers, .. } if values.data_type().is_numeric() => {
                    each_number(values, |row, value| {
                        if !numbers.contains(&value) {
                            outcome.broken_by(first + row, value);
                        }
                    });
                }
                Check::OneOf { texts, .. } => each_text(values, |row, value| {
                    if !texts.iter().any(|text| text == value) {
                        outcome.broken_by(first + row, value);
                    }
                }),
                Check::Matches(regex) => each_text(values, |row, value| {
                    if !regex.is_match(value) {
                        outcome.broken_by(first + row, value);
                    }
                }),
            }
        }
        if let Some((seen, outcome)) = &mut self.unique {
            each_text(values, |row, value| {
                if !seen.insert(identity(std::iter::once(Some(value)))) {
                    outcome.broken_by(first + row, value);
                }
            });
        }
    }
}

/// How many values are missing: null or NaN.
fn missing(values: &ArrayRef) -> u64 {
    let mut count = values.null_count() as u64;
    if values.data_type().is_floating() {
        each_number(values, |_, value| count += u64::from(value.is_nan()));
    }
    count
}

fn each_number(values: &ArrayRef, mut see: impl FnMut(u64, f64)) {
    let Ok(numbers) = cast(values, &DataType::Float64) else { return };
    let numbers = numbers.as_primitive::<Float64Type>();
    for row in (0..numbers.len()).filter(|row| numbers.is_valid(*row)) {
        see(row as u64, numbers.value(row));
    }
}

fn each_text(values: &ArrayRef, mut see: impl FnMut(u64, &str)) {
    let texts = text_of(values);
    for row in 0..texts.len() {
        if let Some(text) = value_at(&texts, row) {
            see(row as u64, text);
        }
    }
}

/// Any column as texts; one that has no text form as nulls.
fn text_of(values: &ArrayRef) -> ArrayRef {
    cast(values, &DataType::Utf8)
        .unwrap_or_else(|_| arrow_array::new_null_array(&DataType::Utf8, values.len()))
}

fn value_at(texts: &ArrayRef, row: usize) -> Option<&str> {
    texts.is_valid(row).then(|| texts.as_string::<i32>().value(row))
}

/// A hash that tells rows apart; 32 bytes a row are kept, however long the values are.
fn identity<'a>(values: impl Iterator<Item = Option<&'a str>>) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    for value in values {
        match value {
            Some(value) => {
                hasher.update(&(value.len() as u64 + 1).to_le_bytes());
                hasher.update(value.as_bytes());
            }
            None => {
                hasher.update(&0_u64.to_le_bytes());
            }
        }
    }
    hasher.finalize()
}

fn word(kind: ColumnType) -> &'static str {
    match kind {
        ColumnType::Integer => "integer",
        ColumnType::Number => "number",
        ColumnType::Text => "text",
        ColumnType::Boolean => "boolean",
        ColumnType::Date => "date",
        ColumnType::Timestamp => "timestamp",
    }
}

fn is_of(kind: ColumnType, data: &DataType) -> bool {
    match kind {
        ColumnType::Integer => data.is_integer(),
        ColumnType::Number => data.is_numeric(),
        ColumnType::Text => matches!(data, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View),
        ColumnType::Boolean => *data == DataType::Boolean,
        ColumnType::Date => matches!(data, DataType::Date32 | DataType::Date64),
        ColumnType::Timestamp => matches!(data, DataType::Timestamp(..)),
    }
}
