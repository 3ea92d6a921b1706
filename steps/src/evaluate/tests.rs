//! The whole of `evaluate` on small tables and models whose answers are known.

use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use camino::{Utf8Path, Utf8PathBuf};
use serde_json::{Value as Json, json};
use tempfile::TempDir;
use tidemill_cache::Digest;
use tidemill_engine::Value;
use tidemill_engine::interface::Order;

use crate::model::write::Writer;
use crate::model::{Element, Tensor};
use crate::table::{Column, Frame, TableReader, TableWriter};
use crate::{StepError, Task, catalog, perform};

/// A model of numbers: the weighted sum of its columns. One of classes makes probabilities of it.
fn linear(weights: &[(&str, f64)], notes: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = Writer::new("linear");
    let inputs: Vec<_> = weights.iter().map(|(name, _)| writer.input(name, Element::F64)).collect();
    let features = writer.concat(&inputs);
    let weights = Tensor::F64(vec![weights.len(), 1], weights.iter().map(|(_, weight)| *weight).collect());
    let weights = writer.constant(&weights);
    let sum = writer.node("MatMul", &[&features, &weights]);
    if notes.contains(&("task", "classification")) {
        let second = writer.node("Sigmoid", &[&sum]);
        let one = writer.constant(&Tensor::F64(vec![1, 1], vec![1.0]));
        let first = writer.node("Sub", &[&one, &second]);
        let shares = writer.concat(&[first, second]);
        writer.output("probabilities", &shares, Element::F64, 2);
    } else {
        writer.output("prediction", &sum, Element::F64, 1);
    }
    let notes: Vec<(&str, String)> = notes.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
    writer.finish(&notes)
}

/// A regression of `y`.
fn regression(weights: &[(&str, f64)]) -> Vec<u8> {
    linear(weights, &[("target", "y"), ("task", "regression")])
}

fn numbers(values: &[f64]) -> ArrayRef {
    Arc::new(Float64Array::from(values.to_vec()))
}

/// A folder with rows in which `y` is twice `a` plus `b`, more or less.
struct World {
    folder: TempDir,
}

impl World {
    fn new() -> Self {
        let world = Self { folder: tempfile::tempdir().unwrap() };
        std::fs::create_dir(world.path("models")).unwrap();
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["p", "q", "r"]));
        let b: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
        let columns = |a: &[f64], y: &[f64]| {
            [("who", texts.clone()), ("a", numbers(a)), ("b", b.clone()), ("y", numbers(y))]
        };
        world.table("validation", &columns(&[1.0, 2.0, 3.0], &[3.0, 6.0, 9.0]));
        world.table("test", &columns(&[4.0, 5.0, 6.0], &[9.0, 12.0, 16.0]));
        world
    }

    fn path(&self, name: &str) -> Utf8PathBuf {
        Utf8Path::from_path(self.folder.path()).unwrap().join(name)
    }

    fn table(&self, name: &str, columns: &[(&str, ArrayRef)]) {
        let batch = RecordBatch::try_from_iter(columns.iter().map(|(name, array)| (*name, array.clone())));
        let batch = batch.unwrap();
        let path = self.path(&format!("{name}.parquet"));
        let mut writer = TableWriter::create(&path, &batch.schema()).unwrap();
        writer.write(&batch).unwrap();
        writer.finish().unwrap();
    }

    fn model(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    /// Evaluates with these inputs besides the models and the test rows.
    fn evaluate(&self, with: Json, more: &[(&str, &str)]) -> Result<(), StepError> {
        let inputs = [("models", "models"), ("test", "test.parquet")];
        let outputs = [
            ("best", "best.onnx"),
            ("metrics", "metrics.json"),
            ("predictions", "predictions.parquet"),
            ("report", "report.json"),
            ("plot", "plot.vl.json"),
        ];
        let order = Order {
            uses: "evaluate".to_owned(),
            step: "evaluate".to_owned(),
            with,
            inputs: inputs
                .iter()
                .chain(more)
                .map(|(name, path)| ((*name).to_owned(), vec![(*path).to_owned()]))
                .collect(),
            outputs: outputs.map(|(name, path)| (name.to_owned(), path.to_owned())).into(),
            effect: None,
        };
        perform(&Task::new(order, self.path("")))
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    fn json(&self, name: &str) -> Json {
        serde_json::from_slice(&self.bytes(name)).unwrap()
    }

    fn complaint(&self, with: Json, more: &[(&str, &str)]) -> String {
        self.evaluate(with, more).unwrap_err().to_string()
    }
}

const VALIDATION: (&str, &str) = ("validation", "validation.parquet");

#[test]
fn the_best_on_validation_rows_goes_on_and_is_measured_on_test_rows() {
    let world = World::new();
    let (good, poor) = (regression(&[("b", 1.0), ("a", 2.0)]), regression(&[("a", 2.0)]));
    world.model("models/0-train%5Bkind=poor%5D.model", &poor);
    world.model("models/1-train%5Bkind=good%5D.model", &good);
    world.evaluate(json!({}), &[VALIDATION]).unwrap();
    assert_eq!(world.bytes("best.onnx"), good);

    let metrics = world.json("metrics.json");
    assert_eq!(metrics["rows"], json!(3.0));
    // It predicts 9, 12 and 15.
    assert_eq!(metrics["rmse"], json!((1.0_f64 / 3.0).sqrt()));
    assert_eq!(metrics["mae"], json!(1.0 / 3.0));
    assert_eq!(metrics["validation"], json!({ "rmse": 0.0 }));
    assert_eq!(metrics.get("rival"), None);

    let report = world.json("report.json");
    assert_eq!(report["chosen"], json!("train[kind=good]"));
    assert_eq!(report["metric"], json!("rmse"));
    assert_eq!(report["target"], json!("y"));
    assert_eq!(report["rows"], json!({ "validation": 3.0, "test": 3.0 }));
    assert_eq!(report["candidates"][0]["validation"]["mae"], json!(2.0));
    assert_eq!(report["candidates"][0]["digest"], json!(Digest::of(&poor).to_string()));
    assert_eq!(report["candidates"][1]["validation"]["rmse"], json!(0.0));
    assert_eq!(report["rival"], Json::Null);
    assert_eq!(report["test"]["rmse"], metrics["rmse"]);
    assert_eq!(world.json("plot.vl.json")["layer"][0]["data"]["values"][2]["predicted"], json!(15.0));
}

#[test]
fn the_predictions_keep_every_column_of_the_test_rows() {
    let world = World::new();
    world.model("models/a.onnx", &regression(&[("a", 2.0), ("b", 1.0)]));
    world.evaluate(json!({}), &[]).unwrap();
    let table = TableReader::open(&world.path("predictions.parquet")).unwrap();
    let names: Vec<String> = table.schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, ["who", "a", "b", "y", "prediction"]);
    let frame = Frame::read(&world.path("predictions.parquet"), &names).unwrap();
    assert_eq!(frame.complete_numbers("prediction").unwrap(), [9.0, 12.0, 15.0]);
    assert_eq!(frame.complete_numbers("y").unwrap(), [9.0, 12.0, 16.0]);
    let texts = ["p", "q", "r"].map(|text| Some(text.to_owned()));
    assert_eq!(*frame.column("who").unwrap(), Column::Texts(texts.to_vec()));
}

#[test]
fn test_rows_have_no_say_in_the_choice() {
    let world = World::new();
    world.model("models/0-a.model", &regression(&[("a", 2.0), ("b", 1.0)]));
    world.model("models/1-b.model", &regression(&[("a", 2.7)]));
    world.evaluate(json!({}), &[VALIDATION]).unwrap();
    assert_eq!(world.json("report.json")["chosen"], json!("a"));
    // On these test rows the other one is perfect.
    let truth = [4.0, 5.0, 6.0].map(|a| 2.7 * a);
    let b: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    world.table("test", &[("a", numbers(&[4.0, 5.0, 6.0])), ("b", b), ("y", numbers(&truth))]);
    world.evaluate(json!({}), &[VALIDATION]).unwrap();
    assert_eq!(world.json("report.json")["chosen"], json!("a"));
    assert!(world.json("metrics.json")["rmse"].as_f64().unwrap() > 0.5);
}

#[test]
fn equal_candidates_are_for_the_first_and_the_metric_is_a_choice() {
    let world = World::new();
    // On validation rows with y = 3a: off by one on each row, or by 0, 0 and 2.4.
    world.table(
        "validation",
        &[
            ("a", numbers(&[0.0, 0.0, 1.0])),
            ("y", numbers(&[1.0, 1.0, 3.0])),
            ("b", numbers(&[1.0, 1.0, 0.0])),
        ],
    );
    let (even, uneven) = (regression(&[("a", 2.0), ("b", 0.0)]), regression(&[("a", 0.6), ("b", 1.0)]));
    world.model("models/2-even.model", &even);
    world.model("models/10-uneven.model", &uneven);
    let chosen = |metric: &str| {
        world.evaluate(json!({ "metric": metric }), &[VALIDATION]).unwrap();
        world.json("report.json")["chosen"].clone()
    };
    assert_eq!(
        (chosen("rmse"), chosen("mae"), chosen("r2")),
        (json!("even"), json!("uneven"), json!("even"))
    );
    world.model("models/10-uneven.model", &even);
    assert_eq!(chosen("mae"), json!("even"));
}

#[test]
fn only_one_candidate_needs_no_validation_rows() {
    let world = World::new();
    world.model("models/0-a.model", &regression(&[("a", 2.0)]));
    world.evaluate(json!({}), &[]).unwrap();
    assert_eq!(world.json("report.json")["candidates"][0]["validation"], Json::Null);
    assert_eq!(world.json("metrics.json").get("validation"), None);
    world.model("models/1-b.model", &regression(&[("b", 2.0)]));
    assert!(world.complaint(json!({}), &[]).contains("give the input `validation`"));
}

#[test]
fn a_rival_is_measured_on_the_same_rows() {
    let world = World::new();
    let rival = regression(&[("a", 2.0)]);
    world.model("models/0-a.model", &regression(&[("a", 2.0), ("b", 1.0)]));
    world.model("champion.onnx", &rival);
    world.evaluate(json!({}), &[("rival", "champion.onnx")]).unwrap();
    let (metrics, report) = (world.json("metrics.json"), world.json("report.json"));
    // It predicts 8, 10 and 12.
    assert_eq!(metrics["rival"]["mae"], json!(7.0 / 3.0));
    assert_eq!(report["rival"], json!(Digest::of(&rival).to_string()));
    assert_eq!(report["rival_test"], metrics["rival"]);
}

#[test]
fn models_that_predict_different_things_are_not_compared() {
    let world = World::new();
    world.model("models/0-a.model", &regression(&[("a", 2.0)]));
    let other = linear(&[("a", 1.0)], &[("target", "b"), ("task", "regression")]);
    world.model("other.onnx", &other);
    let complaint = world.complaint(json!({}), &[("rival", "other.onnx")]);
    assert!(complaint.contains("`the rival` predicts `b`, not `y`"), "{complaint}");
    world.model("models/1-b.model", &other);
    assert!(world.complaint(json!({}), &[VALIDATION]).contains("`b` predicts `b`, not `y`"));
}

#[test]
fn what_is_missing_or_wrong_is_named() {
    let world = World::new();
    assert!(world.complaint(json!({}), &[]).contains("there is no candidate"));
    world.model("models/0-a.model", b"no model");
    assert!(world.complaint(json!({}), &[]).contains("0-a.model"));
    world.model("models/0-a.model", &regression(&[("c", 2.0)]));
    let complaint = world.complaint(json!({}), &[]);
    assert!(complaint.contains("column `c`") && complaint.contains("no such column"), "{complaint}");
    world.model("models/0-a.model", &regression(&[("who", 2.0)]));
    let complaint = world.complaint(json!({}), &[]);
    assert!(complaint.contains("column `who`") && complaint.contains("it holds texts"), "{complaint}");
    world.model("models/0-a.model", &regression(&[("a", 2.0)]));
    let complaint = world.complaint(json!({ "target": "z" }), &[]);
    assert!(complaint.contains("column `z`"), "{complaint}");
    world.table("test", &[("a", numbers(&[1.0, 2.0])), ("y", numbers(&[1.0, f64::NAN]))]);
    let complaint = world.complaint(json!({}), &[]);
    assert!(complaint.contains("column `y`") && complaint.contains("row 2"), "{complaint}");
    world.table("test", &[("a", numbers(&[1.0])), ("y", numbers(&[1.0])), ("prediction", numbers(&[1.0]))]);
    assert!(world.complaint(json!({}), &[]).contains("the predictions get a column of this name"));
    world.table("test", &[("a", numbers(&[])), ("y", numbers(&[]))]);
    assert!(world.complaint(json!({}), &[]).contains("no row"));
}

#[test]
fn a_model_without_notes_is_measured_if_the_target_is_given() {
    let world = World::new();
    world.model("models/0-a.model", &linear(&[("a", 2.0)], &[]));
    assert!(world.complaint(json!({}), &[]).contains("set `target` in `with`"));
    world.evaluate(json!({ "target": "y" }), &[]).unwrap();
    assert_eq!(world.json("metrics.json")["mae"], json!(7.0 / 3.0));
}

#[test]
fn what_is_no_number_is_neither_chosen_nor_measured() {
    let world = World::new();
    world.model("models/0-a.model", &regression(&[("a", f64::NAN)]));
    world.model("models/1-b.model", &regression(&[("a", 2.0)]));
    world.evaluate(json!({}), &[VALIDATION]).unwrap();
    let report = world.json("report.json");
    assert_eq!(report["chosen"], json!("b"));
    assert_eq!(report["candidates"][0]["validation"]["rmse"], Json::Null);
    std::fs::remove_file(world.path("models/1-b.model")).unwrap();
    assert!(world.complaint(json!({}), &[]).contains("a does not predict a finite number"));
}

#[test]
fn classes_are_scored_by_their_probabilities() {
    let world = World::new();
    let rows = |a: &[f64], class: &[&str]| {
        let class: ArrayRef = Arc::new(StringArray::from(class.to_vec()));
        [("a", numbers(a)), ("class", class)]
    };
    world.table("validation", &rows(&[-1.0, 1.0], &["no", "yes"]));
    world.table("test", &rows(&[-2.0, 0.5, -0.5, 3.0], &["no", "no", "yes", "yes"]));
    let classifier = |weight| {
        let notes =
            [("target", "class"), ("task", "classification"), ("classes", r#"{"texts": ["no", "yes"]}"#)];
        linear(&[("a", weight)], &notes)
    };
    world.model("models/0-a.model", &classifier(0.1));
    world.model("models/1-b.model", &classifier(1.0));
    world.evaluate(json!({}), &[VALIDATION]).unwrap();
    let (metrics, report) = (world.json("metrics.json"), world.json("report.json"));
    assert_eq!((&report["chosen"], &report["metric"]), (&json!("b"), &json!("log_loss")));
    assert_eq!(
        (&metrics["accuracy"], &metrics["f1"], &metrics["auc"]),
        (&json!(0.5), &json!(0.5), &json!(0.75))
    );
    assert_eq!(world.json("plot.vl.json")["data"]["values"][0]["rows"], json!(1));
    let predictions = world.path("predictions.parquet");
    let names = ["label", "probability_yes"].map(str::to_owned);
    let frame = Frame::read(&predictions, &names).unwrap();
    let labels = ["no", "yes", "no", "yes"].map(|text| Some(text.to_owned()));
    assert_eq!(*frame.column("label").unwrap(), Column::Texts(labels.to_vec()));
    assert!((frame.complete_numbers("probability_yes").unwrap()[3] - 0.952_574_126_8).abs() < 1e-9);
    let complaint = world.complaint(json!({ "metric": "rmse" }), &[VALIDATION]);
    assert!(complaint.contains("no score `rmse`"), "{complaint}");
}

#[test]
fn many_rows_are_run_in_pieces_and_the_bytes_are_steady() {
    let world = World::new();
    let values: Vec<f64> = (0..20_000).map(f64::from).collect();
    world.table("test", &[("a", numbers(&values)), ("y", numbers(&values))]);
    world.model("models/0-a.model", &regression(&[("a", 1.0)]));
    world.evaluate(json!({}), &[]).unwrap();
    let names = ["best.onnx", "metrics.json", "predictions.parquet", "report.json", "plot.vl.json"];
    let first = names.map(|name| world.bytes(name));
    assert_eq!(world.json("metrics.json")["rmse"], json!(0.0));
    let frame = Frame::read(&world.path("predictions.parquet"), &["prediction".to_owned()]).unwrap();
    assert_eq!(frame.complete_numbers("prediction").unwrap(), values);
    world.evaluate(json!({}), &[]).unwrap();
    assert_eq!(names.map(|name| world.bytes(name)), first);
}

#[test]
fn a_metric_that_there_is_not_is_told_before_anything_runs() {
    let check = |name: &str| catalog().check("evaluate", &Value::map([("metric", Value::text(name))]));
    assert!(check("log_loss").is_empty());
    let problems = check("rmes");
    assert_eq!(
        (problems[0].path.join("."), problems[0].message.as_str()),
        ("metric".to_owned(), "there is no score `rmes`")
    );
    assert_eq!(problems[0].help.as_deref(), Some("is `rmse` meant?"));
}
