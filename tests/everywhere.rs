//! Two pipelines, made here and then with their training on each kind of engine: the same bytes come out, and the second run does nothing.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::diabetes;
use crate::support::{Cluster, Project, RayCluster, Remote};

/// A training as people have it: a Python script, which reads its settings and says how far it is.
const TRAIN: &str = r#"
import json, random, sys
rows = [tuple(map(float, line.split(","))) for line in open(sys.argv[1]).read().splitlines()[1:]]
random.seed(int(sys.argv[2]))
slope, offset = 0.0, 0.0
for epoch in range(40):
    random.shuffle(rows)
    for x, y in rows:
        error = slope * x + offset - y
        slope, offset = slope - 0.01 * error * x, offset - 0.01 * error
    if epoch % 10 == 0:
        print("epoch", epoch, "slope", round(slope, 4), flush=True)
json.dump({"slope": slope, "offset": offset}, open(sys.argv[3], "w"))
"#;

const PIPELINE: &str = r#"
[pipeline]
name = "script"

[params]
seed = 7
where = "local"

[steps.data]
run = "{ echo x,y; for x in 1 2 3 4 5 6 7 8 9; do echo 0.$x,1.$x; done; } > ${outputs.rows}"
outputs.rows = "rows.csv"

[steps.train]
run = ["python3", "${inputs.code}", "${inputs.rows}", "${params.seed}", "${outputs.model}"]
inputs = { code = "train.py", rows = "${data.rows}" }
outputs.model = { path = "model.json", kind = "metrics", publish = "out/model.json" }
executor = "${params.where}"
"#;

/// A project with both.
fn project() -> Project {
    let project = diabetes::project();
    let file = "pipelines/diabetes/pipeline.toml";
    project.edit(file, "[params]\n", "[params]\nwhere = \"local\"\n");
    project.edit(file, "stage = \"train\"\n", "stage = \"train\"\nexecutor = \"${params.where}\"\n");
    project.file("pipelines/script/pipeline.toml", PIPELINE).file("pipelines/script/train.py", TRAIN);
    project
}

/// What was published, and the key of each step: that of a step says what the ones before it gave.
fn made(project: &Project) -> (BTreeMap<PathBuf, Vec<u8>>, BTreeMap<String, String>) {
    let mut files = project.files("pipelines/diabetes/out");
    files.extend(project.files("pipelines/script/out"));
    let mut keys = BTreeMap::new();
    for pipeline in ["diabetes", "script"] {
        let plan = project.tidemill(&["plan", pipeline, "--json"]).ok().json();
        for step in plan["steps"].as_array().unwrap() {
            keys.insert(format!("{pipeline} {}", step["step"]), step["key"].to_string());
        }
    }
    (files, keys)
}

/// Makes all of it with the training elsewhere, and compares it with what is made here.
fn is_the_same(there: &Project) {
    let mut here = project();
    // Another Python would be another key.
    here.variable("PATH", &there.path_variable());
    here.file("tidemill.toml", "[executors.cluster]\nkind = \"slurm\"\n");
    here.run(&["diabetes"]).ok().executed(8);
    here.run(&["script"]).ok().executed(2);
    let run = |pipeline: &str| there.run(&[pipeline, "--set", "where=cluster"]).ok();
    run("diabetes").executed(8);
    let answer = run("script").executed(2).json();
    assert_eq!(answer["store"]["results_sent"], 2, "orders and reports are no results");
    let shown = there.tidemill(&["show", "--json"]).ok().json();
    assert!(shown.to_string().contains("\"executor\":\"cluster\""), "{shown}");
    assert!(there.tidemill(&["log", "train"]).ok().stdout.contains("epoch 30 slope"));
    run("diabetes").executed(0);
    run("script").executed(0);
    assert_eq!(made(there), made(&here));
}

#[test]
fn on_slurm() {
    let mut there = project();
    there.on_slurm("");
    is_the_same(&there);
}

#[test]
fn in_another_account_over_ssh() {
    let remote = Remote::start();
    let mut there = project();
    let _store = there.over_ssh(&remote);
    is_the_same(&there);
}

#[test]
fn on_ray() {
    let ray = RayCluster::start();
    let mut there = project();
    there.on_ray(&ray);
    is_the_same(&there);
}

/// Its control plane takes ten minutes to build: `tests/campaign executors` plays this.
#[test]
#[ignore = "builds Kubernetes"]
fn on_kubernetes() {
    let cluster = Cluster::start();
    let mut there = project();
    there.on_kubernetes(&cluster);
    is_the_same(&there);
}
