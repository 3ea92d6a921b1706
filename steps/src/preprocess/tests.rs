//! The parts and the transform that `preprocess` writes.

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::{Value as Json, json};
use tempfile::TempDir;
use tidemill_engine::interface::Order;

use crate::table::{Column, Frame, TableReader};
use crate::{StepError, Task, perform};

struct World {
    folder: TempDir,
}

impl World {
    fn new(csv: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("in.csv"), csv).unwrap();
        let world = Self { folder };
        world.perform("ingest", "source", "in.csv", &["table"], json!({})).unwrap();
        world
    }

    fn path(&self, name: &str) -> Utf8PathBuf {
        Utf8Path::from_path(self.folder.path()).unwrap().join(name)
    }

    fn perform(
        &self,
        uses: &str,
        input: &str,
        path: &str,
        outputs: &[&str],
        with: Json,
    ) -> Result<(), StepError> {
        let order = Order {
            uses: uses.to_owned(),
            step: uses.to_owned(),
            with,
            inputs: [(input.to_owned(), vec![path.to_owned()])].into(),
            outputs: outputs.iter().map(|name| ((*name).to_owned(), format!("{name}.out"))).collect(),
            effect: None,
        };
        perform(&Task::new(order, self.path("")))
    }

    fn preprocess(&self, with: Json) -> Result<Json, StepError> {
        let outputs = ["train", "validation", "test", "transform"];
        self.perform("preprocess", "table", "table.out", &outputs, with)?;
        Ok(serde_json::from_slice(&std::fs::read(self.path("transform.out")).unwrap()).unwrap())
    }

    fn numbers(&self, part: &str, column: &str) -> Vec<f64> {
        let frame = Frame::read(&self.path(&format!("{part}.out")), &[column.to_owned()]).unwrap();
        let Column::Numbers(values) = frame.column(column).unwrap() else { panic!("numbers") };
        values.clone()
    }
}

fn people(rows: usize) -> String {
    let row = |row: usize| {
        let city = ["ulm", "bonn", "kiel"][row % 3];
        let age = if row % 10 == 3 { "NA".to_owned() } else { (20 + row).to_string() };
        format!("{row},{age},{city},{}\n", row % 2)
    };
    "id,age,city,sick\n".to_owned() + &(0..rows).map(row).collect::<String>()
}

#[test]
fn the_parts_are_a_partition_with_raw_values_in_their_order() {
    let world = World::new(&people(50));
    world.preprocess(json!({ "target": "sick", "seed": 3 })).unwrap();
    let parts = ["train", "validation", "test"].map(|part| world.numbers(part, "id"));
    assert_eq!(parts.each_ref().map(Vec::len), [30, 10, 10]);
    assert!(parts.iter().all(|part| part.is_sorted()));
    let mut all: Vec<f64> = parts.concat();
    all.sort_by(f64::total_cmp);
    assert_eq!(all, (0..50).map(f64::from).collect::<Vec<_>>());
}

#[test]
fn the_transform_knows_the_training_rows_only() {
    let world = World::new(&people(50));
    let transform = world.preprocess(json!({ "target": "sick", "impute": "mean" })).unwrap();
    let ages: Vec<f64> = world.numbers("train", "age").into_iter().filter(|age| !age.is_nan()).collect();
    let mean = ages.iter().sum::<f64>() / ages.len() as f64;
    let age = &transform["features"][1];
    assert_eq!(age["name"], "age");
    assert_eq!(age["treatment"]["number"]["fill"].as_f64().unwrap(), mean);
    assert_eq!(
        transform["features"][2]["treatment"]["text-category"]["categories"],
        json!(["bonn", "kiel", "ulm"])
    );
    assert_eq!(transform["task"], "regression");
}

#[test]
fn features_are_chosen_and_the_others_do_not_reach_the_parts() {
    let world = World::new(&people(20));
    let with =
        json!({ "target": "sick", "features": ["id", "city"], "task": "classification", "stratify": true });
    let transform = world.preprocess(with).unwrap();
    assert_eq!(transform["task"]["classification"]["integers"], json!([0, 1]));
    let reader = TableReader::open(&world.path("test.out")).unwrap();
    let names: Vec<&str> = reader.schema().fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["id", "city", "sick"]);
    let sick = world.numbers("test", "sick");
    assert_eq!((sick.len(), sick.iter().sum::<f64>()), (4, 2.0));
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let world = World::new(&people(50));
    let bytes = |seed: u64| {
        world.preprocess(json!({ "target": "sick", "seed": seed })).unwrap();
        std::fs::read(world.path("train.out")).unwrap()
    };
    assert_eq!(bytes(1), bytes(1));
    assert_ne!(bytes(1), bytes(2));
}

#[test]
fn mistakes_name_the_column_and_the_row() {
    let world = World::new(&people(20));
    let error = |with: Json| world.preprocess(with).unwrap_err().to_string();
    assert!(error(json!({ "target": "sic" })).contains("is `sick` meant?"));
    assert!(error(json!({ "target": "age" })).contains("column `age`"));
    assert!(error(json!({ "target": "age" })).contains("row 4"));
    assert!(error(json!({ "target": "city", "task": "regression" })).contains("texts"));
    assert!(error(json!({ "target": "sick", "categorical": ["sick"] })).contains("no feature"));
    assert!(error(json!({ "target": "sick", "test": 0.6, "validation": 0.4 })).contains("with.test"));
}
