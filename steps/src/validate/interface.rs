//! What `validate` takes, gives and can be told.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value as Json;
use tidemill_engine::interface::{InputPort, Interface, OutputKind, OutputPort, WithProblem};

use crate::with::{self, problem};

/// The rules that a table has to satisfy.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct With {
    /// Rules by column, each a table of `type` (integer, number, text, boolean, date, timestamp), `nulls` (true, false or the share of rows
    /// that may be null), `min`, `max`, `values`, `unique` and `pattern`; a column that is named here has to exist.
    pub(super) columns: BTreeMap<String, ColumnRules>,
    /// How many rows there have to be: `min` and `max`.
    pub(super) rows: Bounds,
    /// Groups of columns whose values, taken together, occur once; here a null is a value like any other.
    pub(super) unique: Vec<Vec<String>>,
    /// What to do about columns that `columns` does not name; by default `allow`.
    pub(super) extra_columns: ExtraColumns,
}

/// The rules for one column.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ColumnRules {
    /// The type of its values.
    #[serde(rename = "type")]
    pub(super) kind: Option<ColumnType>,
    /// Whether nulls are allowed, or the share of rows (0 to 1) that may be null. A NaN counts as null here.
    pub(super) nulls: Nulls,
    /// The smallest number. A NaN breaks it.
    pub(super) min: Option<f64>,
    /// The largest number. A NaN breaks it.
    pub(super) max: Option<f64>,
    /// The allowed values.
    pub(super) values: Option<Vec<Json>>,
    /// Whether every value occurs once; nulls are left aside.
    pub(super) unique: bool,
    /// A regular expression that every text matches somewhere; `^…$` for the whole text.
    pub(super) pattern: Option<String>,
}

/// A count between two bounds, both inclusive.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Bounds {
    pub(super) min: Option<u64>,
    pub(super) max: Option<u64>,
}

/// What to do about columns that no rule names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ExtraColumns {
    #[default]
    Allow,
    Forbid,
}

/// The type of a column's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ColumnType {
    Integer,
    Number,
    Text,
    Boolean,
    Date,
    Timestamp,
}

/// The share of rows (0 to 1) that may be null.
#[derive(Debug, Clone, Copy)]
pub(super) struct Nulls(pub(super) f64);

impl Default for Nulls {
    fn default() -> Self {
        Self(1.0)
    }
}

impl<'de> Deserialize<'de> for Nulls {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NullsVisitor)
    }
}

struct NullsVisitor;

impl NullsVisitor {
    fn share<E: Error>(share: f64) -> Result<Nulls, E> {
        match (0.0..=1.0).contains(&share) {
            true => Ok(Nulls(share)),
            false => Err(E::custom(format!("{share} is no share: it must lie between 0 and 1"))),
        }
    }
}

impl Visitor<'_> for NullsVisitor {
    type Value = Nulls;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true, false, or the allowed share of nulls (0 to 1)")
    }

    fn visit_bool<E: Error>(self, allowed: bool) -> Result<Nulls, E> {
        Ok(Nulls(f64::from(u8::from(allowed))))
    }

    fn visit_f64<E: Error>(self, share: f64) -> Result<Nulls, E> {
        Self::share(share)
    }

    fn visit_i64<E: Error>(self, share: i64) -> Result<Nulls, E> {
        Self::share(share as f64)
    }

    fn visit_u64<E: Error>(self, share: u64) -> Result<Nulls, E> {
        Self::share(share as f64)
    }
}

impl JsonSchema for Nulls {
    fn schema_name() -> Cow<'static, str> {
        "Nulls".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "boolean" }, { "type": "number", "minimum": 0, "maximum": 1 }] })
    }
}

impl with::With for With {
    fn problems(&self) -> Vec<WithProblem> {
        let mut problems = Vec::new();
        if let (Some(min), Some(max)) = (self.rows.min, self.rows.max)
            && min > max
        {
            problems.push(problem(&["rows", "min"], format!("min is {min}, above max, which is {max}")));
        }
        for (place, group) in self.unique.iter().enumerate() {
            if group.is_empty() {
                problems.push(problem(&["unique", &place.to_string()], "the group names no column"));
            }
        }
        for (name, rules) in &self.columns {
            rules.add_problems(name, &mut problems);
        }
        problems
    }
}

impl ColumnRules {
    fn add_problems(&self, name: &str, problems: &mut Vec<WithProblem>) {
        let mut add =
            |field: &str, message: String| problems.push(problem(&["columns", name, field], message));
        if let (Some(min), Some(max)) = (self.min, self.max)
            && min > max
        {
            add("min", format!("min is {min}, above max, which is {max}"));
        }
        let is_number = matches!(self.kind, None | Some(ColumnType::Integer | ColumnType::Number));
        for (field, bound) in [("min", self.min), ("max", self.max)] {
            if bound.is_some() && !is_number {
                add(field, "only numbers have a smallest and a largest".to_owned());
            }
        }
        if let Some(values) = &self.values {
            if values.is_empty() {
                add("values", "no value is allowed".to_owned());
            }
            if values.iter().any(|value| value.is_null() || value.is_array() || value.is_object()) {
                add("values", "a value is a number, a text, true or false".to_owned());
            }
        }
        if let Some(Err(error)) = self.pattern.as_deref().map(regex::Regex::new) {
            add("pattern", format!("it is no regular expression: {error}"));
        }
    }
}

/// The interface of `validate`.
pub(crate) fn interface() -> Interface {
    Interface {
        name: "validate",
        version: 1,
        summary: "Holds a table against rules; data that break one stop the pipeline",
        inputs: vec![InputPort { name: "table", required: true, many: false, doc: "a Parquet table" }],
        outputs: vec![
            OutputPort {
                name: "table",
                path: "table.parquet",
                kind: OutputKind::File,
                optional: false,
                doc: "the same table, byte for byte",
            },
            OutputPort {
                name: "report",
                path: "report.json",
                kind: OutputKind::Report,
                optional: false,
                doc: "every rule with its outcome",
            },
        ],
        with: with::fields::<With>(),
        effect: false,
    }
}
