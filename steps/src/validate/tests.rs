//! Every rule, on small tables: what satisfies it, what breaks it, and what the report then says.

use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray};
use camino::{Utf8Path, Utf8PathBuf};
use serde_json::{Value as Json, json};
use tempfile::TempDir;
use tidemill_engine::Value;
use tidemill_engine::interface::Order;

use crate::table::TableWriter;
use crate::{StepError, Task, catalog, perform};

struct World {
    folder: TempDir,
    result: Result<(), StepError>,
}

impl World {
    /// Validates a table of these columns.
    fn new(with: Json, columns: &[(&str, ArrayRef)]) -> Self {
        let batch = RecordBatch::try_from_iter(columns.iter().map(|(name, array)| (*name, array.clone())));
        Self::of_batches(with, &[batch.unwrap()])
    }

    fn of_batches(with: Json, batches: &[RecordBatch]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(folder.path()).unwrap();
        let mut writer = TableWriter::create(&path.join("in.parquet"), &batches[0].schema()).unwrap();
        batches.iter().for_each(|batch| writer.write(batch).unwrap());
        writer.finish().unwrap();
        let order = Order {
            uses: "validate".to_owned(),
            step: "validate".to_owned(),
            with,
            inputs: [("table".to_owned(), vec!["in.parquet".to_owned()])].into(),
            outputs: [("table", "table.parquet"), ("report", "report.json")]
                .map(|(name, path)| (name.to_owned(), path.to_owned()))
                .into(),
            effect: None,
        };
        let result = perform(&Task::new(order, path));
        Self { folder, result }
    }

    fn path(&self, name: &str) -> Utf8PathBuf {
        Utf8Path::from_path(self.folder.path()).unwrap().join(name)
    }

    fn report(&self) -> Json {
        serde_json::from_slice(&std::fs::read(self.path("report.json")).unwrap()).unwrap()
    }

    /// What is said about each broken rule.
    fn broken(&self) -> Vec<String> {
        match &self.result {
            Ok(()) => Vec::new(),
            Err(StepError::Invalid { broken, .. }) => broken.clone(),
            Err(error) => panic!("{error}"),
        }
    }
}

fn numbers(values: &[Option<f64>]) -> ArrayRef {
    Arc::new(Float64Array::from(values.to_vec()))
}

fn integers(values: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

fn texts(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

/// The complaints about one column `x` under these rules.
fn about(rules: &Json, values: ArrayRef) -> Vec<String> {
    World::new(json!({ "columns": { "x": rules } }), &[("x", values)]).broken()
}

#[test]
fn good_data_pass_byte_for_byte_with_a_report() {
    let with =
        json!({ "rows": { "min": 2 }, "columns": { "x": { "type": "integer", "min": 1, "unique": true } } });
    let world = World::new(with, &[("x", integers(&[1, 2]))]);
    assert_eq!(world.broken(), [""; 0]);
    let bytes = |name| std::fs::read(world.path(name)).unwrap();
    assert_eq!(bytes("table.parquet"), bytes("in.parquet"));
    let report = world.report();
    assert_eq!((&report["rows"], &report["passed"]), (&json!(2), &json!(true)));
    let rules: Vec<&str> =
        report["rules"].as_array().unwrap().iter().map(|rule| rule["rule"].as_str().unwrap()).collect();
    let expected =
        ["the column exists", "type is integer", "at least 2 rows", "at least 1", "values are unique"];
    assert_eq!(rules, expected);
}

#[test]
fn broken_data_pass_nothing_on_but_the_report() {
    let world = World::new(json!({ "columns": { "x": { "max": 1 } } }), &[("x", integers(&[1, 2, 3]))]);
    assert_eq!(world.broken(), ["x: at most 1 — 2 rows break it (row 2: 2; row 3: 3)"]);
    let message = world.result.as_ref().unwrap_err().to_string();
    assert!(message.starts_with("the data break 1 of 2 rules:\n  x: at most 1"), "{message}");
    assert!(!world.path("table.parquet").exists());
    let report = world.report();
    assert_eq!(report["passed"], json!(false));
    assert_eq!(report["rules"][1]["failed_rows"], json!(2));
    assert_eq!(
        report["rules"][1]["examples"],
        json!([{ "row": 2, "value": "2" }, { "row": 3, "value": "3" }])
    );
}

#[test]
fn rows_are_counted_over_batches_and_only_five_are_named() {
    let batch = |values: &[i64]| RecordBatch::try_from_iter([("x", integers(values))]).unwrap();
    let many = vec![0; 9_000];
    let batches = [batch(&many), batch(&[9, 9, 9]), batch(&[9, 9, 9])];
    let world = World::of_batches(json!({ "columns": { "x": { "max": 1 } } }), &batches);
    assert_eq!(
        world.broken(),
        [
            "x: at most 1 — 6 rows break it (row 9001: 9; row 9002: 9; row 9003: 9; row 9004: 9; row 9005: 9; …)"
        ]
    );
}

#[test]
fn the_bounds_are_inclusive_leave_nulls_aside_and_nan_breaks_them() {
    let rules = json!({ "min": 0, "max": 1.5 });
    assert_eq!(about(&rules, numbers(&[Some(0.0), None, Some(1.5)])), [""; 0]);
    let broken = about(&rules, numbers(&[Some(-0.1), Some(1.6), Some(f64::NAN)]));
    assert_eq!(
        broken,
        [
            "x: at least 0 — 2 rows break it (row 1: -0.1; row 3: NaN)",
            "x: at most 1.5 — 2 rows break it (row 2: 1.6; row 3: NaN)"
        ]
    );
}

#[test]
fn a_bound_on_a_text_column_is_a_mistake_in_the_rules() {
    let world = World::new(json!({ "columns": { "x": { "min": 1 } } }), &[("x", texts(&[Some("a")]))]);
    let error = world.result.unwrap_err();
    assert!(matches!(&error, StepError::With { path, .. } if path == "columns.x.min"), "{error}");
}

#[test]
fn allowed_values_are_numbers_texts_and_truths() {
    assert_eq!(about(&json!({ "values": [1, 2] }), integers(&[1, 2, 1])), [""; 0]);
    assert_eq!(
        about(&json!({ "values": [1, 2.5] }), numbers(&[Some(2.5), None, Some(f64::NAN), Some(2.0)])),
        ["x: one of 1, 2.5 — 2 rows break it (row 3: NaN; row 4: 2)"]
    );
    assert_eq!(
        about(&json!({ "values": ["a", "b"] }), texts(&[Some("a"), Some("c"), None])),
        ["x: one of \"a\", \"b\" — 1 row breaks it (row 2: c)"]
    );
    let truths: ArrayRef = Arc::new(BooleanArray::from(vec![true, false]));
    assert_eq!(
        about(&json!({ "values": [true] }), truths),
        ["x: one of true — 1 row breaks it (row 2: false)"]
    );
}

#[test]
fn a_pattern_matches_somewhere_unless_it_is_anchored() {
    let values = texts(&[Some("ab1"), Some("1"), None]);
    assert_eq!(about(&json!({ "pattern": "[0-9]" }), values.clone()), [""; 0]);
    assert_eq!(
        about(&json!({ "pattern": "^[0-9]+$" }), values),
        ["x: matches ^[0-9]+$ — 1 row breaks it (row 1: ab1)"]
    );
}

#[test]
fn unique_names_the_repetition_and_leaves_nulls_aside() {
    let long = "a\nb".repeat(100);
    let values = texts(&[Some(&long), None, Some("b"), None, Some(&long)]);
    let shown: String = "a b".repeat(100).chars().take(80).collect();
    let broken = about(&json!({ "unique": true }), values);
    assert_eq!(broken, [format!("x: values are unique — 1 row breaks it (row 5: {shown})")]);
}

#[test]
fn a_group_is_unique_over_all_its_columns_together() {
    let columns = |last| {
        let y = texts(&[Some("a"), Some("b"), Some("bc"), None, last]);
        [("x", texts(&[Some("ab"), Some("a"), Some("a"), Some("c"), Some("c")])), ("y", y)]
    };
    let with = json!({ "unique": [["x", "y"]] });
    assert_eq!(World::new(with.clone(), &columns(Some("c"))).broken(), [""; 0]);
    assert_eq!(
        World::new(with, &columns(None)).broken(),
        ["x, y: values taken together are unique — 1 row breaks it (row 5: c, null)"]
    );
    assert_eq!(
        World::new(json!({ "unique": [["x", "z"]] }), &columns(None)).broken(),
        ["x, z: values taken together are unique — not all of these columns exist"]
    );
}

#[test]
fn nulls_are_allowed_forbidden_or_a_share_and_nan_is_one() {
    let values = || numbers(&[Some(1.0), None, Some(f64::NAN), Some(2.0)]);
    assert_eq!(about(&json!({ "nulls": true }), values()), [""; 0]);
    assert_eq!(about(&json!({}), values()), [""; 0]);
    assert_eq!(about(&json!({ "nulls": 0.5 }), values()), [""; 0]);
    assert_eq!(about(&json!({ "nulls": 0.4 }), values()), ["x: at most 40 % nulls — 2 of 4 rows are null"]);
    assert_eq!(about(&json!({ "nulls": false }), values()), ["x: no nulls — 2 of 4 rows are null"]);
}

#[test]
fn the_number_of_rows_has_bounds() {
    let rows = |bounds| World::new(json!({ "rows": bounds }), &[("x", integers(&[1, 2]))]).broken();
    assert_eq!(rows(json!({ "min": 2, "max": 2 })), [""; 0]);
    assert_eq!(rows(json!({ "min": 3 })), ["at least 3 rows — there are 2"]);
    assert_eq!(rows(json!({ "max": 1 })), ["at most 1 rows — there are 2"]);
}

#[test]
fn extra_columns_are_allowed_unless_forbidden() {
    let columns = [("x", integers(&[1])), ("y", integers(&[1])), ("z", integers(&[1]))];
    assert_eq!(World::new(json!({ "columns": { "x": {} } }), &columns).broken(), [""; 0]);
    let with = json!({ "columns": { "x": {} }, "extra_columns": "forbid" });
    assert_eq!(World::new(with, &columns).broken(), ["no other columns — found y, z"]);
}

#[test]
fn a_missing_column_is_told_with_those_that_exist() {
    let with = json!({ "columns": { "years": { "min": 1, "nulls": false } } });
    let broken =
        |names: [&str; 2]| World::new(with.clone(), &names.map(|name| (name, integers(&[1])))).broken();
    assert_eq!(broken(["weight", "height"]), ["years: the column exists — there are weight, height"]);
    assert_eq!(broken(["weight", "yaers"]), ["years: the column exists — there is none; is `yaers` meant?"]);
}

#[test]
fn types_are_told_apart_and_a_wrong_type_is_all_that_is_told() {
    assert_eq!(about(&json!({ "type": "number" }), integers(&[1])), [""; 0]);
    assert_eq!(about(&json!({ "type": "text" }), texts(&[None])), [""; 0]);
    assert_eq!(about(&json!({ "type": "boolean" }), integers(&[1])), ["x: type is boolean — it is Int64"]);
    assert_eq!(
        about(&json!({ "type": "integer", "min": 5 }), numbers(&[Some(1.0)])),
        ["x: type is integer — it is Float64"]
    );
    let dates = || -> ArrayRef { Arc::new(Date32Array::from(vec![20_000])) };
    assert_eq!(about(&json!({ "type": "date" }), dates()), [""; 0]);
    assert_eq!(about(&json!({ "type": "timestamp" }), dates()), ["x: type is timestamp — it is Date32"]);
}

#[test]
fn an_empty_table_breaks_only_what_asks_for_rows() {
    let with =
        json!({ "rows": { "min": 1 }, "columns": { "x": { "nulls": false, "min": 0, "unique": true } } });
    assert_eq!(World::new(with, &[("x", integers(&[]))]).broken(), ["at least 1 rows — there are 0"]);
}

#[test]
fn rules_that_make_no_sense_are_told_before_anything_runs() {
    let column = |pairs: &[(&str, Value)]| Value::map(pairs.iter().cloned());
    let check = |rules| {
        let columns = column(&[("x", rules)]);
        let problems = catalog().check("validate", &column(&[("columns", columns)]));
        problems.iter().map(|problem| (problem.path.join("."), problem.message.clone())).collect::<Vec<_>>()
    };
    let found =
        check(column(&[("min", Value::Int(2)), ("max", Value::Int(1)), ("pattern", Value::text("("))]));
    assert_eq!(found[0], ("columns.x.min".to_owned(), "min is 2, above max, which is 1".to_owned()));
    assert_eq!(found[1].0, "columns.x.pattern");
    assert_eq!(found.len(), 2);
    assert_eq!(check(column(&[("nulls", Value::Float(1.5))]))[0].0, "columns.x.nulls");
    assert_eq!(check(column(&[("type", Value::text("text")), ("max", Value::Int(1))]))[0].0, "columns.x.max");
    assert_eq!(check(column(&[("values", Value::List(vec![]))]))[0].0, "columns.x.values");
    assert_eq!(check(column(&[("mni", Value::Int(1))]))[0].0, "columns.x.mni");
    assert!(check(column(&[("min", Value::Int(0)), ("nulls", Value::Bool(false))])).is_empty());
}
