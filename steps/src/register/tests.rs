//! `register` and its probe, on real folders.

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::{Value as Json, json};
use tidemill_cache::Digest;
use tidemill_engine::Value;
use tidemill_engine::interface::{EffectOrder, Order, Standing};
use tidemill_engine::name::{AliasName, ModelName};
use tidemill_engine::registry::{Deed, Registry, Rival};

use super::ENTRY;
use crate::Task;

const ANNA: Deed<'static> = Deed { by: "anna", why: "" };

struct Project {
    folder: tempfile::TempDir,
}

impl Project {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> &Utf8Path {
        Utf8Path::from_path(self.folder.path()).unwrap()
    }

    fn state(&self) -> Utf8PathBuf {
        self.path().join("state")
    }

    fn registry(&self) -> Registry {
        Registry::at(self.state())
    }

    /// Registers a model with this report; returns the version and the outcome.
    fn register(&self, model: &[u8], with: Json, report: Option<Json>) -> (Json, Json) {
        let write = |name: &str, bytes: &[u8]| std::fs::write(self.path().join(name), bytes).unwrap();
        write("model.onnx", model);
        write("metrics.json", br#"{"rmse": 53.5}"#);
        let mut inputs = vec![("model", "model.onnx"), ("metrics", "metrics.json")];
        if let Some(report) = report {
            write("report.json", report.to_string().as_bytes());
            inputs.push(("report", "report.json"));
        }
        let order = Order {
            uses: "register".to_owned(),
            step: "register".to_owned(),
            with,
            inputs: inputs.into_iter().map(|(name, path)| (name.to_owned(), vec![path.to_owned()])).collect(),
            outputs: [("version".to_owned(), "version.json".to_owned())].into(),
            effect: Some(EffectOrder {
                run: "r1".to_owned(),
                pipeline: "p".to_owned(),
                commit: None,
                state: self.state().into_string(),
                by: "anna".to_owned(),
                outcome: self.path().join("outcome").into_string(),
            }),
        };
        (ENTRY.run)(&Task::new(order, self.path())).unwrap();
        let read =
            |name: &str| serde_json::from_slice(&std::fs::read(self.path().join(name)).unwrap()).unwrap();
        (read("version.json"), read("outcome"))
    }

    fn probe(&self, outcome: &Json) -> Standing {
        let effect = ENTRY.effect.as_ref().unwrap();
        (effect.probe)(&self.state(), &Value::map([("model", Value::text("m"))]), outcome).unwrap()
    }
}

fn model() -> ModelName {
    ModelName::new("m").unwrap()
}

fn champion() -> AliasName {
    AliasName::new("champion").unwrap()
}

#[test]
fn a_model_is_registered_once_and_promoted() {
    let project = Project::new();
    let (version, outcome) =
        project.register(b"one", json!({ "model": "m" }), Some(json!({ "rival": null })));
    assert_eq!(version, json!({ "model": "m", "version": 1, "digest": Digest::of(b"one") }));
    assert_eq!(project.probe(&outcome), Standing::Same);
    let known = project.registry().version(&model(), 1).unwrap();
    assert_eq!((known.rival, known.metrics["rmse"].as_f64()), (Rival::Nobody, Some(53.5)));

    let digest = Digest::of(b"one");
    let (version, outcome) =
        project.register(b"two", json!({ "model": "m" }), Some(json!({ "rival": { "digest": digest } })));
    assert_eq!(version["version"], 2);
    assert_eq!(project.registry().version(&model(), 2).unwrap().rival, Rival::Model { digest });
    let (again, _) = project.register(b"two", json!({ "model": "m" }), None);
    assert_eq!(again, version);
    assert_eq!(project.registry().versions(&model()).unwrap().len(), 2);
    assert_eq!(project.probe(&outcome), Standing::Same);
}

#[test]
fn without_an_alias_a_model_is_only_registered() {
    let project = Project::new();
    let (_, outcome) = project.register(b"one", json!({ "model": "m", "alias": "none" }), None);
    assert!(project.registry().aliases(&model()).unwrap().is_empty());
    assert_eq!(project.probe(&outcome), Standing::Same);
}

#[test]
fn a_rollback_is_left_alone_until_the_version_is_let_go() {
    let project = Project::new();
    project.register(b"one", json!({ "model": "m" }), None);
    let (_, outcome) = project.register(b"two", json!({ "model": "m" }), None);
    project.registry().rollback(&model(), &champion(), ANNA).unwrap();
    assert!(matches!(project.probe(&outcome), Standing::Held { .. }));
    // Even if it runs again, it leaves the alias where the rollback put it.
    let (version, _) = project.register(b"two", json!({ "model": "m" }), None);
    assert_eq!(version["version"], 2);
    assert_eq!(project.registry().alias(&model(), &champion()).unwrap().unwrap().1.version, 1);
    project.registry().unhold(&model(), 2, ANNA).unwrap();
    assert_eq!(project.probe(&outcome), Standing::Gone);
    project.register(b"two", json!({ "model": "m" }), None);
    assert_eq!(project.probe(&outcome), Standing::Same);
}

#[test]
fn someone_elses_move_is_named() {
    let project = Project::new();
    project.register(b"one", json!({ "model": "m" }), None);
    let (_, outcome) = project.register(b"two", json!({ "model": "m" }), None);
    project.registry().alias_set(&model(), &champion(), 1, ANNA).unwrap();
    let Standing::Moved { message } = project.probe(&outcome) else { panic!("not moved") };
    assert!(message.starts_with("champion of m was moved to version 1 by anna on "), "{message}");
}

#[test]
fn a_registry_that_is_gone_or_another_one_is_not_believed() {
    let project = Project::new();
    let (_, outcome) = project.register(b"one", json!({ "model": "m" }), None);
    std::fs::remove_dir_all(project.state().join("registry")).unwrap();
    assert_eq!(project.probe(&outcome), Standing::Gone);
    let (_, again) = project.register(b"one", json!({ "model": "m" }), None);
    assert_eq!(project.probe(&outcome), Standing::Gone);
    assert_eq!(project.probe(&again), Standing::Same);
    assert_eq!(project.probe(&json!({ "something": "else" })), Standing::Gone);
}

#[test]
fn names_are_checked_before_anything_runs() {
    let table =
        |pairs: &[(&str, &str)]| Value::map(pairs.iter().map(|(name, value)| (*name, Value::text(*value))));
    assert!((ENTRY.check)(&table(&[("model", "m")])).is_empty());
    assert_eq!((ENTRY.check)(&table(&[("model", "M!")])).len(), 1);
    let problems = (ENTRY.check)(&table(&[("model", "m"), ("alias", "Champion")]));
    assert_eq!(problems[0].path, ["alias"]);
    assert_eq!((ENTRY.check)(&table(&[])).len(), 1);
}
