//! What `ingest` takes and gives; the comments of [`With`] are its manual.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use tidemill_engine::interface::{InputPort, Interface, OutputKind, OutputPort, WithProblem};

use crate::with::{self, problem};

/// The `with` table of `ingest`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct With {
    /// The format of the files; by default what their extension says (.csv, .tsv, .txt, .parquet).
    pub(crate) format: Option<Format>,
    /// CSV: the character between two fields; by default a comma, in a .tsv file a tab.
    pub(crate) delimiter: Option<char>,
    /// CSV: whether the first line names the columns (default true); else they are called `column_1`, `column_2` …
    pub(crate) header: bool,
    /// CSV: the texts that mean that a value is missing; by default the empty text, NA, NaN and null.
    pub(crate) nulls: Vec<String>,
    /// New names of columns by their old names.
    pub(crate) rename: BTreeMap<String, String>,
    /// The columns to keep, by their new names, in this order; by default all, as they come.
    pub(crate) columns: Option<Vec<String>>,
    /// The types of columns, by their new names; by default what all their values allow.
    pub(crate) types: BTreeMap<String, ColumnType>,
}

/// A file format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Format {
    Csv,
    Parquet,
}

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ColumnType {
    Integer,
    Number,
    Text,
    Boolean,
    Date,
    Timestamp,
}

impl Default for With {
    fn default() -> Self {
        Self {
            format: None,
            delimiter: None,
            header: true,
            nulls: ["", "NA", "NaN", "null"].map(str::to_owned).to_vec(),
            rename: BTreeMap::new(),
            columns: None,
            types: BTreeMap::new(),
        }
    }
}

impl with::With for With {
    fn problems(&self) -> Vec<WithProblem> {
        let mut problems = Vec::new();
        if self.delimiter.is_some_and(|delimiter| !delimiter.is_ascii() || "\"\r\n".contains(delimiter)) {
            problems
                .push(problem(&["delimiter"], "it must be one ASCII character, no quote and no line end"));
        }
        if self.columns.as_ref().is_some_and(Vec::is_empty) {
            problems.push(problem(&["columns"], "it keeps no column"));
        }
        let kept = |name: &String| self.columns.as_ref().is_none_or(|columns| columns.contains(name));
        for name in self.types.keys().filter(|name| !kept(name)) {
            problems.push(problem(&["types", name], format!("`{name}` is not among the columns to keep")));
        }
        problems
    }
}

/// The interface of `ingest`.
pub(crate) fn interface() -> Interface {
    Interface {
        name: "ingest",
        version: 1,
        summary: "reads CSV or Parquet files into one table",
        inputs: vec![InputPort {
            name: "source",
            required: true,
            many: false,
            doc: "a CSV or Parquet file, or a folder of them, read in the order of their names",
        }],
        outputs: vec![OutputPort {
            name: "table",
            path: "table.parquet",
            kind: OutputKind::File,
            optional: false,
            doc: "the table, as Parquet",
        }],
        with: with::fields::<With>(),
        effect: false,
    }
}
