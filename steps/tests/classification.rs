//! Classes all the way: from a CSV file with texts and missing values to a measured model.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write as _;
use std::fs;

use camino::Utf8Path;
use serde_json::{Value as Json, json};
use tidemill_engine::interface::Order;
use tidemill_steps::{Task, perform};

/// Rows whose class follows from a number and a colour, more or less.
fn rows() -> String {
    let mut csv = "size,colour,weight,kind\n".to_owned();
    for row in 0_u32..400 {
        let size = f64::from(row * 37 % 101) / 10.0;
        let colour = ["red", "green", "blue"][row as usize % 3];
        let noise = f64::from(row * 71 % 17) / 4.0;
        let score = size + if colour == "red" { 3.0 } else { 0.0 } + noise;
        let kind = if score > 8.0 { "large" } else { "small" };
        let colour = if row % 31 == 0 { "" } else { colour };
        let weight = if row % 23 == 0 { "NA".to_owned() } else { (row % 7).to_string() };
        writeln!(csv, "{size},{colour},{weight},{kind}").unwrap();
    }
    csv
}

fn step(folder: &Utf8Path, uses: &str, with: Json, inputs: &[(&str, &str)], outputs: &[(&str, &str)]) {
    let order = Order {
        uses: uses.to_owned(),
        step: uses.to_owned(),
        with,
        inputs: inputs.iter().map(|(name, path)| ((*name).into(), vec![(*path).into()])).collect(),
        outputs: outputs.iter().map(|(name, path)| ((*name).into(), (*path).into())).collect(),
        effect: None,
    };
    perform(&Task::new(order, folder)).unwrap();
}

#[test]
fn classes_all_the_way() {
    let folder = tempfile::tempdir().unwrap();
    let folder = Utf8Path::from_path(folder.path()).unwrap();
    fs::write(folder.join("rows.csv"), rows()).unwrap();
    fs::create_dir(folder.join("models")).unwrap();
    step(folder, "ingest", json!({}), &[("source", "rows.csv")], &[("table", "rows.parquet")]);
    let rules =
        json!({ "columns": { "kind": { "values": ["small", "large"] }, "colour": { "nulls": 0.1 } } });
    let outputs = [("table", "table.parquet"), ("report", "validated.json")];
    step(folder, "validate", rules, &[("table", "rows.parquet")], &outputs);
    let parts = [
        ("train", "train.parquet"),
        ("validation", "validation.parquet"),
        ("test", "test.parquet"),
        ("transform", "transform.json"),
    ];
    let with = json!({ "target": "kind", "stratify": true });
    step(folder, "preprocess", with, &[("table", "table.parquet")], &parts);
    for (place, c) in [1.0, 0.0001].into_iter().enumerate() {
        let model = format!("models/{place}-train%5Bc={c}%5D.model");
        let with = json!({ "algorithm": "logistic", "logistic": { "c": c } });
        let inputs = [("train", "train.parquet"), ("transform", "transform.json")];
        step(folder, "train", with, &inputs, &[("model", &model), ("metrics", "trained.json")]);
    }
    let inputs = [("models", "models"), ("validation", "validation.parquet"), ("test", "test.parquet")];
    let outputs = [
        ("best", "best.onnx"),
        ("metrics", "metrics.json"),
        ("predictions", "predictions.parquet"),
        ("report", "report.json"),
        ("plot", "plot.vl.json"),
    ];
    step(folder, "evaluate", json!({}), &inputs, &outputs);
    let read =
        |name: &str| -> Json { serde_json::from_slice(&fs::read(folder.join(name)).unwrap()).unwrap() };
    let (metrics, report) = (read("metrics.json"), read("report.json"));
    assert_eq!(report["chosen"], json!("train[c=1]"));
    assert_eq!(report["metric"], json!("log_loss"));
    assert!(metrics["accuracy"].as_f64().unwrap() > 0.8, "{metrics}");
    assert!(metrics["auc"].as_f64().unwrap() > 0.9, "{metrics}");
}
