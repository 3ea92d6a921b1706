//! Keys: a few are held to the digit, so that a change of what enters them is a decision; and they depend on nothing else.

#![expect(clippy::unwrap_used, reason = "clippy takes only test functions for tests, not what they call")]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};
use tidemill_engine::{Overrides, Plan, Project, Selection, Settings, load, plan};

use crate::support::Nothing;

struct Place {
    _folder: tempfile::TempDir,
    root: Utf8PathBuf,
}

impl Place {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(folder.path()).unwrap().canonicalize_utf8().unwrap();
        for (path, text) in files {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Self { _folder: folder, root }
    }

    fn plan(&self, set: &[(&str, &str)], environment: &[(&str, &str)]) -> Plan {
        let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let project = Project::open(Settings {
            root: self.root.clone(),
            program: "/nowhere/tidemill".into(),
            state: None,
            environment: pairs(environment).into_iter().collect::<BTreeMap<_, _>>(),
            user: "me".to_owned(),
            catalog: Arc::new(Nothing),
            many_steps: tidemill_engine::project::MANY_STEPS,
        })
        .unwrap();
        let overrides = Overrides { set: pairs(set), params_files: Vec::new() };
        let graph = load(&project, &self.root.join("pipeline.toml"), &overrides).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(plan(&project, &graph, &Selection::default())).unwrap()
    }

    fn keys(&self, set: &[(&str, &str)], environment: &[(&str, &str)]) -> BTreeMap<String, String> {
        let plan = self.plan(set, environment);
        plan.steps
            .into_iter()
            .filter_map(|step| Some((step.step.to_string(), step.key?.to_string())))
            .collect()
    }
}

const PIPELINE: &str = r#"
[pipeline]
name = "keys"

[params]
seed = 7
train.alpha = 0.5

[steps.count]
run = "wc -l < ${inputs.data} > ${outputs.count}"
inputs.data = "data/rows.csv"
outputs.count = "count.txt"

[steps.train]
run = ["trainer", "--alpha", "${params.train.alpha}", "--data", "${inputs.data}", "--out", "${outputs.model}"]
inputs = { data = "data", code = "train.py" }
outputs.model = { path = "model.bin", kind = "model" }
env = { SEED = "${params.seed}" }
pass_env = ["REGION"]

[steps.each]
run = "echo ${matrix.fold} > ${outputs.part}"
matrix.fold = [1, 2]
outputs.part = "part.txt"
"#;

const FILES: [(&str, &str); 4] = [
    ("pipeline.toml", PIPELINE),
    ("data/rows.csv", "a,b\n1,2\n"),
    ("data/more.csv", "a,b\n3,4\n"),
    ("train.py", "print('training')\n"),
];

#[cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
#[test]
fn known_keys_stay_what_they_are() {
    // A different value here means that every cached result of every user is recomputed: change it only on purpose.
    let keys = Place::new(&FILES).keys(&[], &[("REGION", "eu")]);
    let short: Vec<String> = keys.iter().map(|(step, key)| format!("{step} {}", &key[..16])).collect();
    assert_eq!(
        short,
        [
            "count ecf80d9282f89119",
            "each[fold=1] a239263cc3a3eb1d",
            "each[fold=2] 7f6e9e866f10e899",
            "train efc3c16ea8de7f8a",
        ]
    );
}

#[test]
fn a_key_does_not_depend_on_place_order_or_time() {
    let first = Place::new(&FILES).keys(&[], &[("REGION", "eu"), ("PATH", "/bin"), ("HOME", "/root")]);
    let (head, steps) = PIPELINE.split_once("[steps.count]").unwrap();
    let (count, rest) = steps.split_once("[steps.train]").unwrap();
    let (train, each) = rest.split_once("[steps.each]").unwrap();
    let reordered = format!("{head}[steps.each]{each}\n[steps.train]{train}\n[steps.count]{count}");
    let mut files = FILES;
    files[0].1 = &reordered;
    files.reverse();
    let second = Place::new(&files).keys(&[], &[("REGION", "eu"), ("PATH", "/usr/bin"), ("USER", "you")]);
    assert_eq!(first, second);
}

#[test]
fn only_what_a_step_refers_to_enters_its_key() {
    let place = Place::new(&FILES);
    let before = place.keys(&[], &[]);
    let differing = |after: &BTreeMap<String, String>| -> Vec<String> {
        before
            .iter()
            .filter(|(step, key)| after.get(*step) != Some(key))
            .map(|(step, _)| step.clone())
            .collect()
    };
    assert_eq!(differing(&place.keys(&[("train.alpha", "0.6")], &[])), ["train"]);
    assert_eq!(differing(&place.keys(&[("seed", "8")], &[])), ["train"]);
    assert_eq!(differing(&place.keys(&[], &[("REGION", "us")])), ["train"]);
    assert_eq!(differing(&place.keys(&[], &[("OTHER", "us")])), [""; 0]);
    std::fs::write(place.root.join("data/more.csv"), "a,b\n5,6\n").unwrap();
    assert_eq!(differing(&place.keys(&[], &[])), ["train"]);
    std::fs::write(place.root.join("data/rows.csv"), "a,b\n9,9\n").unwrap();
    assert_eq!(differing(&place.keys(&[], &[])), ["count", "train"]);
}
