//! The built-in steps on the diabetes data, held against scikit-learn's scores on the same rows.
//!
//! `pipelines/diabetes/reference/reference.py` made `reference.json`; the settings are read from the pipeline itself.

#![expect(clippy::unwrap_used, reason = "clippy takes only test functions for tests, not what they call")]

use std::collections::BTreeMap;
use std::fs;

use arrow_array::cast::AsArray as _;
use arrow_array::types::Float64Type;
use arrow_cast::cast;
use arrow_schema::DataType;
use camino::{Utf8Path, Utf8PathBuf};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value as Json, json};
use tempfile::TempDir;
use tidemill_engine::interface::Order;
use tidemill_steps::{Task, perform};

fn pipeline() -> Utf8PathBuf {
    Utf8PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../pipelines/diabetes")
}

fn read_json(path: &Utf8Path) -> Json {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// The pipeline's steps, one folder each.
struct World {
    folder: TempDir,
    file: Json,
}

impl World {
    fn new() -> Self {
        let file: toml::Value =
            toml::from_str(&fs::read_to_string(pipeline().join("pipeline.toml")).unwrap()).unwrap();
        Self { folder: tempfile::tempdir().unwrap(), file: serde_json::to_value(file).unwrap() }
    }

    fn path(&self, name: &str) -> Utf8PathBuf {
        Utf8Path::from_path(self.folder.path()).unwrap().join(name)
    }

    /// The step's `with` table, its references filled in.
    fn with(&self, step: &str, algorithm: &str) -> Json {
        let fill = |text: &str| match text.strip_prefix("${params.").and_then(|rest| rest.strip_suffix('}')) {
            Some(name) => self.file.pointer(&format!("/params/{}", name.replace('.', "/"))).unwrap().clone(),
            None if text == "${matrix.algorithm}" => json!(algorithm),
            None => json!(text),
        };
        fn walk(value: &Json, fill: &dyn Fn(&str) -> Json) -> Json {
            match value {
                Json::String(text) => fill(text),
                Json::Object(map) => {
                    map.iter().map(|(name, value)| (name.clone(), walk(value, fill))).collect()
                }
                other => other.clone(),
            }
        }
        walk(&self.file["steps"][step].get("with").cloned().unwrap_or(json!({})), &fill)
    }

    /// Runs a step in a folder of its own; outputs are `<folder>/<output>`.
    fn run(
        &self,
        folder: &str,
        uses: &str,
        algorithm: &str,
        inputs: &[(&str, Utf8PathBuf)],
        outputs: &[&str],
    ) {
        fs::create_dir_all(self.path(folder)).unwrap();
        let inputs: BTreeMap<String, Vec<String>> =
            inputs.iter().map(|(name, path)| ((*name).to_owned(), vec![path.to_string()])).collect();
        let order = Order {
            uses: uses.to_owned(),
            step: folder.to_owned(),
            with: self.with(uses, algorithm),
            inputs,
            outputs: outputs.iter().map(|name| ((*name).to_owned(), (*name).to_owned())).collect(),
            effect: None,
        };
        perform(&Task::new(order, self.path(folder))).unwrap();
    }

    fn prepare(&self) {
        self.run("ingest", "ingest", "", &[("source", pipeline().join("data/diabetes.csv"))], &["table"]);
        let table = self.path("ingest/table");
        self.run("validate", "validate", "", &[("table", table)], &["table", "report"]);
        let outputs = ["train", "validation", "test", "transform"];
        self.run("preprocess", "preprocess", "", &[("table", self.path("validate/table"))], &outputs);
    }

    /// How many rows a part has, and a number that changes with every value and the order of the rows.
    fn fingerprint(&self, part: &str) -> (u64, f64) {
        let file = fs::File::open(self.path(&format!("preprocess/{part}"))).unwrap();
        let (mut rows, mut sum) = (0_u64, 0.0);
        for batch in ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap() {
            let batch = batch.unwrap();
            for (place, column) in batch.columns().iter().enumerate() {
                let values = cast(column, &DataType::Float64).unwrap();
                for (row, value) in values.as_primitive::<Float64Type>().values().iter().enumerate() {
                    sum += value * (rows + row as u64 + 1) as f64 * (place + 1) as f64;
                }
            }
            rows += batch.num_rows() as u64;
        }
        (rows, sum)
    }

    fn train(&self, algorithm: &str) {
        let inputs = ["train", "transform"].map(|name| (name, self.path(&format!("preprocess/{name}"))));
        self.run(algorithm, "train", algorithm, &inputs, &["model", "metrics"]);
    }

    fn evaluate(&self, models: Utf8PathBuf) -> Json {
        let inputs = [
            ("models", models),
            ("validation", self.path("preprocess/validation")),
            ("test", self.path("preprocess/test")),
        ];
        self.run("evaluate", "evaluate", "", &inputs, &["best", "metrics", "predictions", "report", "plot"]);
        read_json(&self.path("evaluate/metrics"))
    }
}

fn close(ours: &Json, theirs: &Json) {
    let (ours, theirs) = (ours.as_f64().unwrap(), theirs.as_f64().unwrap());
    assert!((ours - theirs).abs() <= 1e-6 * theirs.abs(), "{ours} against {theirs}");
}

#[test]
fn our_models_are_as_good_as_scikit_learns() {
    let reference = read_json(&pipeline().join("reference/reference.json"));
    let world = World::new();
    world.prepare();
    world.train("ridge");
    world.train("boosting");

    let ridge = world.evaluate(world.path("ridge/model"));
    assert_eq!(ridge["rows"], json!(88.0));
    for score in ["rmse", "mae", "r2"] {
        close(&ridge[score], &reference["ridge"]["test"][score]);
    }
    close(&ridge["validation"]["rmse"], &reference["ridge"]["validation"]["rmse"]);

    let boosting = world.evaluate(world.path("boosting/model"))["rmse"].as_f64().unwrap();
    let bound = |name: &str| reference["boosting"]["seeds"][name].as_f64().unwrap();
    let (least, most) = (bound("rmse_min"), bound("rmse_max"));
    assert!(least <= boosting && boosting <= most, "{boosting} outside {least} to {most}");
}

#[test]
fn the_reference_was_made_with_the_pipelines_rows_and_settings() {
    let reference = read_json(&pipeline().join("reference/reference.json"));
    let world = World::new();
    world.prepare();
    for part in ["train", "validation", "test"] {
        let (rows, sum) = world.fingerprint(part);
        assert_eq!(reference["rows"][part], json!(rows), "{part}: run reference.py again");
        let expected = reference["fingerprint"][part].as_f64().unwrap();
        assert!((sum / expected - 1.0).abs() < 1e-12, "{part}: run reference.py again");
    }
    let with = world.with("train", "boosting");
    for name in ["rounds", "learning_rate", "max_depth"] {
        assert_eq!(with["boosting"][name], reference["boosting"][name], "{name}");
    }
    assert_eq!(with["ridge"]["alpha"], reference["ridge"]["alpha"]);
}

#[test]
fn the_better_candidate_on_validation_rows_goes_on_byte_for_byte() {
    let world = World::new();
    world.prepare();
    fs::create_dir_all(world.path("collection")).unwrap();
    for (place, algorithm) in ["ridge", "boosting"].into_iter().enumerate() {
        world.train(algorithm);
        let entry = format!("collection/{place}-train[algorithm={algorithm}].model");
        fs::copy(world.path(&format!("{algorithm}/model")), world.path(&entry)).unwrap();
    }
    let metrics = world.evaluate(world.path("collection"));
    let report = read_json(&world.path("evaluate/report"));
    let score = |algorithm: &str| {
        let candidates = report["candidates"].as_array().unwrap();
        let of = candidates.iter().find(|candidate| candidate["algorithm"] == algorithm).unwrap();
        of["validation"]["rmse"].as_f64().unwrap()
    };
    let (ridge, boosting) = (score("ridge"), score("boosting"));
    let better = if ridge <= boosting { "ridge" } else { "boosting" };
    assert_eq!(report["algorithm"], json!(better));
    let bytes = |name: &str| fs::read(world.path(name)).unwrap();
    assert_eq!(bytes("evaluate/best"), bytes(&format!("{better}/model")));
    assert!(metrics.get("rival").is_none() && report["rival"].is_null());
}
