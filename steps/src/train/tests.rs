//! What `train` promises: the same bytes every time, however many threads, and models that say what the numbers say.

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::{Value as Json, json};
use tempfile::TempDir;
use tidemill_engine::interface::Order;

use crate::model::{Element, Model, Tensor};
use crate::{StepError, Task, perform};

struct World {
    folder: TempDir,
}

impl World {
    /// Rows of raw values, split as the `with` table of `preprocess` says.
    fn new(csv: &str, preprocess: Json) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("in.csv"), csv).unwrap();
        let world = Self { folder };
        world.perform("ingest", &[("source", "in.csv")], &["table"], json!({})).unwrap();
        let parts = ["train", "validation", "test", "transform"];
        world.perform("preprocess", &[("table", "table.out")], &parts, preprocess).unwrap();
        world
    }

    fn path(&self, name: &str) -> Utf8PathBuf {
        Utf8Path::from_path(self.folder.path()).unwrap().join(name)
    }

    fn perform(
        &self,
        uses: &str,
        inputs: &[(&str, &str)],
        outputs: &[&str],
        with: Json,
    ) -> Result<(), StepError> {
        let order = Order {
            uses: uses.to_owned(),
            step: uses.to_owned(),
            with,
            inputs: inputs
                .iter()
                .map(|(name, path)| ((*name).to_owned(), vec![(*path).to_owned()]))
                .collect(),
            outputs: outputs.iter().map(|name| ((*name).to_owned(), format!("{name}.out"))).collect(),
            effect: None,
        };
        perform(&Task::new(order, self.path("")))
    }

    fn train(&self, with: Json) -> Result<Vec<u8>, StepError> {
        let inputs =
            [("train", "train.out"), ("transform", "transform.out"), ("validation", "validation.out")];
        self.perform("train", &inputs, &["model", "metrics"], with)?;
        Ok(std::fs::read(self.path("model.out")).unwrap())
    }
}

/// Rows with a gap, a text, numbers that name categories, a number to predict and a class.
fn rows() -> String {
    let row = |row: usize| {
        let size = if row % 9 == 4 { String::new() } else { format!("{}", (row * 37 % 50) as f64 / 3.0) };
        let (town, floor) = (["ulm", "bonn", "", "kiel"][row % 4], row % 3);
        let price = 3.0 * (row * 37 % 50) as f64 + 10.0 * floor as f64 + (row * 13 % 7) as f64;
        let class = if (row * 37 % 50) + (row * 29 % 30) > 35 { "high" } else { "low" };
        format!("{size},{town},{floor},{price},{class}\n")
    };
    "size,town,floor,price,class\n".to_owned() + &(0..200).map(row).collect::<String>()
}

fn numbers() -> World {
    let features = json!(["size", "town", "floor"]);
    World::new(&rows(), json!({ "target": "price", "features": features, "categorical": ["floor"] }))
}

fn classes() -> World {
    let features = json!(["size", "town", "floor"]);
    World::new(
        &rows(),
        json!({ "target": "class", "features": features, "impute": "none", "stratify": true }),
    )
}

fn inputs(size: f64, town: &str, floor: f64) -> Vec<(String, Tensor)> {
    vec![
        ("size".to_owned(), Tensor::F64(vec![1, 1], vec![size])),
        ("town".to_owned(), Tensor::Text(vec![1, 1], vec![town.to_owned()])),
        ("floor".to_owned(), Tensor::F64(vec![1, 1], vec![floor])),
    ]
}

fn with_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
}

#[test]
fn the_same_rows_give_the_same_bytes_with_any_number_of_threads() {
    let numbers = numbers();
    let boosting = json!({ "algorithm": "boosting", "boosting": { "subsample": 0.7, "seed": 5 } });
    for with in [boosting, json!({ "algorithm": "boosting" }), json!({ "algorithm": "ridge" })] {
        let one = with_threads(1, || numbers.train(with.clone()).unwrap());
        let two = with_threads(2, || numbers.train(with.clone()).unwrap());
        assert!(one == two, "{with}");
    }
    let classes = classes();
    let with = json!({ "algorithm": "boosting" });
    assert!(classes.train(with.clone()).unwrap() == classes.train(with).unwrap());
}

#[test]
fn a_seed_matters_only_where_rows_are_drawn() {
    let world = numbers();
    let model = |subsample: f64, seed: u64| {
        let boosting = json!({ "subsample": subsample, "seed": seed });
        world.train(json!({ "algorithm": "boosting", "boosting": boosting })).unwrap()
    };
    assert!(model(1.0, 1) == model(1.0, 2));
    assert!(model(0.5, 1) != model(0.5, 2));
}

#[test]
fn a_model_takes_raw_rows_and_says_what_it_is() {
    let model = Model::load(&numbers().train(json!({ "algorithm": "ridge" })).unwrap()).unwrap();
    let declared: Vec<_> = model.inputs().iter().map(|spec| (spec.name.as_str(), spec.element)).collect();
    assert_eq!(declared, [("size", Element::F64), ("town", Element::Text), ("floor", Element::F64)]);
    assert_eq!(model.inputs()[0].shape, [None, Some(1)]);
    assert_eq!(model.outputs()[0].name, "prediction");
    let notes = ["target", "algorithm", "task"].map(|note| model.metadata()[note].as_str());
    assert_eq!(notes, ["price", "ridge", "regression"]);
}

#[test]
fn what_is_missing_or_unknown_has_a_prediction() {
    for algorithm in ["ridge", "boosting"] {
        let model = Model::load(&numbers().train(json!({ "algorithm": algorithm })).unwrap()).unwrap();
        let predict = |size: f64, town: &str, floor: f64| {
            let outputs = model.run(inputs(size, town, floor)).unwrap();
            let Tensor::F64(shape, values) = &outputs[0].1 else { panic!("numbers") };
            assert_eq!(shape, &[1, 1]);
            values[0]
        };
        for (size, town, floor) in [(f64::NAN, "ulm", 1.0), (3.0, "", f64::NAN), (3.0, "rome", 9.0)] {
            assert!(predict(size, town, floor).is_finite());
        }
        assert!(predict(16.0, "ulm", 2.0) > predict(1.0, "ulm", 0.0), "{algorithm}");
    }
}

#[test]
fn boosting_knows_missing_values_by_itself_and_lines_say_that_they_do_not() {
    let world = classes();
    let model = Model::load(&world.train(json!({ "algorithm": "boosting" })).unwrap()).unwrap();
    let outputs = model.run(inputs(f64::NAN, "", 1.0)).unwrap();
    let Tensor::F64(shape, shares) = &outputs[1].1 else { panic!("numbers") };
    assert_eq!(shape, &[1, 2]);
    assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-15);
    assert!(
        matches!(&outputs[0].1, Tensor::Text(_, labels) if ["high", "low"].contains(&labels[0].as_str()))
    );
    let error = world.train(json!({ "algorithm": "logistic" })).unwrap_err().to_string();
    assert!(error.contains("missing values"), "{error}");
}

#[test]
fn patience_stops_early_and_needs_validation_rows() {
    let world = numbers();
    let with = |patience: u32| {
        let boosting = json!({ "rounds": 500, "learning_rate": 0.5, "patience": patience });
        json!({ "algorithm": "boosting", "boosting": boosting })
    };
    assert!(world.train(with(3)).unwrap().len() < world.train(with(0)).unwrap().len());
    let inputs = [("train", "train.out"), ("transform", "transform.out")];
    let error = world.perform("train", &inputs, &["model", "metrics"], with(3)).unwrap_err().to_string();
    assert!(error.contains("validation"), "{error}");
}

#[test]
fn an_algorithm_that_does_not_fit_the_target_says_so() {
    let error = |world: &World, algorithm: &str| {
        world.train(json!({ "algorithm": algorithm })).unwrap_err().to_string()
    };
    assert!(error(&classes(), "ridge").contains("classes"));
    assert!(error(&numbers(), "logistic").contains("classification"));
    let error = numbers().train(json!({ "algorithm": "boosting", "boosting": { "rounds": 0 } })).unwrap_err();
    assert_eq!(error.to_string(), "with.boosting.rounds: it must be from 1 to 10000");
}

#[test]
fn a_transform_graph_and_its_model_agree_on_the_training_rows() {
    let world = numbers();
    world.train(json!({ "algorithm": "ridge", "ridge": { "alpha": 0.001 } })).unwrap();
    let metrics: Json = serde_json::from_slice(&std::fs::read(world.path("metrics.out")).unwrap()).unwrap();
    assert!(metrics["r2"].as_f64().unwrap() > 0.9, "{metrics}");
    assert_eq!(metrics["rows"], json!(120.0));
}
