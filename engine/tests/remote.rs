//! An attempt that is made elsewhere: an order goes to the store, a worker on another machine carries it out, and its report comes back.
//!
//! The warden is this very test program, called again.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use camino::{Utf8Path, Utf8PathBuf};
use tidemill_engine::event::Cause;
use tidemill_engine::failure::{Failure, StepFailure};
use tidemill_engine::graph::{Graph, StepIndex};
use tidemill_engine::name::{AttemptId, RunId};
use tidemill_engine::plan::{Decision, Foreseen, RunFacts, Selection, foresee_now};
use tidemill_engine::remote::{Order, OrderError, Report, Worked, WorkerError, Working, tidy, work};
use tidemill_engine::{Cancellation, Overrides, Project, RunOptions, Settings, load, run};

use crate::support::Nothing;

/// What the engine starts as `<this program> warden`: the filter of the test harness finds it.
#[test]
fn warden() {
    let _ = tidemill_engine::process::warden_main();
}

/// A worker that tells nobody what its step prints.
fn silent() -> Working {
    Working { lease_gpus: false, most_kept: u64::MAX, printed: Box::new(|_| {}) }
}

/// Some machines around one store.
struct World {
    folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> Utf8PathBuf {
        Utf8Path::from_path(self.folder.path()).unwrap().canonicalize_utf8().unwrap().join(name)
    }

    fn file(&self, path: &str, text: &str) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// The project on one of the machines.
    fn on(&self, machine: &str, variables: &[(&str, &str)]) -> Project {
        let root = self.path(machine);
        std::fs::create_dir_all(&root).unwrap();
        let url = format!("file://{}", self.path("store"));
        let path = std::env::var("PATH").unwrap();
        let given = [("PATH", path.as_str()), ("TIDEMILL_STORE_URL", url.as_str())];
        let environment = given.iter().chain(variables);
        Project::open(Settings {
            root,
            program: Utf8PathBuf::from_path_buf(std::env::current_exe().unwrap()).unwrap(),
            environment: environment.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            state: None,
            user: machine.to_owned(),
            catalog: Arc::new(Nothing),
            many_steps: tidemill_engine::project::MANY_STEPS,
        })
        .unwrap()
    }

    fn graph(&self, project: &Project) -> Graph {
        load(project, &self.path("here/pipeline.toml"), &Overrides::default()).unwrap()
    }
}

/// Orders the only step of the pipeline: the digest of the order, which lies in the store then.
async fn order(world: &World, here: &Project) -> tidemill_cache::Digest {
    let graph = world.graph(here);
    let foreseen = foresee_now(here, &graph, &Selection::default()).await.unwrap();
    let Foreseen::Decided(Decision::Execute(execution)) = &foreseen[0] else { panic!("{:?}", foreseen[0]) };
    let run = RunId::generate(jiff::Timestamp::now());
    let facts = RunFacts { id: run.to_string(), commit: String::new(), time: String::new() };
    let attempt = AttemptId::new(&run, 1);
    let order = Order::new(here, &graph, StepIndex::new(0), &execution.resolved, attempt, facts).unwrap();
    let (digest, carried) = order.put(here).unwrap();
    let (store, cache) = (here.store().unwrap().store.clone(), here.cache().clone());
    tokio::task::spawn_blocking(move || store.push(&cache, vec![carried], &Default::default()).unwrap())
        .await
        .unwrap();
    digest
}

const PIPELINE: &str = r#"
[pipeline]
name = "elsewhere"

[steps.count]
run = "wc -l < ${inputs.rows} > ${outputs.count}; cat ${inputs.more}/b.txt; echo $SAID"
inputs = { rows = "rows.txt", more = "../more" }
outputs.count = "count.txt"
pass_env = ["SAID"]
"#;

/// An order that a worker on another machine has carried out: the machines, that one, and the digest of the order.
async fn made_elsewhere() -> (World, Project, tidemill_cache::Digest) {
    let world = World::new();
    world.file("here/pipeline.toml", PIPELINE);
    world.file("here/rows.txt", "1\n2\n3\n");
    world.file("more/b.txt", "more\n");
    let here = world.on("here", &[("SAID", "said")]);
    let digest = order(&world, &here).await;
    let there = world.on("there", &[("SAID", "said")]);
    assert_eq!(work(&there, digest, silent(), &Cancellation::new()).await.unwrap(), Worked::Succeeded);
    (world, there, digest)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_made_elsewhere_is_what_would_be_made_here() {
    let (world, _, digest) = made_elsewhere().await;
    // Nobody here has seen it yet.
    let here = world.on("here", &[("SAID", "said")]);
    let report = Report::find(&here, digest).unwrap().unwrap();
    let made = report.result.unwrap();
    assert_eq!(here.cache().read(made.outputs["count"].as_ref().unwrap(), 100).unwrap(), b"3\n");
    assert_eq!(here.cache().read(&report.log.unwrap(), 100).unwrap(), b"more\nsaid\n");
    // The same attempt here gives the same bytes under the same key.
    let graph = world.graph(&here);
    let options = RunOptions::new(Cause::Command);
    run(&here, graph, options, Vec::new(), Cancellation::new()).await.unwrap();
    let local = here.cache().result(&made.key).unwrap().unwrap();
    assert_eq!(local.outputs, made.outputs);
}

/// What a machine has fetched and made for others does not pile up there.
#[tokio::test(flavor = "multi_thread")]
async fn the_cache_of_workers_is_kept_small() {
    let (world, there, digest) = made_elsewhere().await;
    let now = SystemTime::now();
    let later = |days: u64| now + Duration::from_secs(days * 24 * 3600);
    assert_eq!(tidy(&there, 0, now).unwrap().objects, 0, "the worker has just looked");
    assert_eq!(tidy(&there, 0, now + Duration::from_secs(2 * 3600)).unwrap().objects, 0, "all of it is new");
    assert_eq!(tidy(&there, 1 << 30, later(2)).unwrap().objects, 0, "there is room");
    let removed = tidy(&there, 0, later(3)).unwrap();
    assert!(removed.objects > 0 && removed.results > 0, "{removed:?}");
    // What is gone is fetched again; what is reported is there still, and nobody makes it again.
    let there = world.on("there", &[("SAID", "said")]);
    assert_eq!(work(&there, digest, silent(), &Cancellation::new()).await.unwrap(), Worked::Succeeded);
    assert!(Report::find(&world.on("here", &[]), digest).unwrap().is_some());
}

/// A result that was made with other things than its key was made of would be a lie.
#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_would_compute_another_key_makes_nothing() {
    let world = World::new();
    world.file("here/pipeline.toml", PIPELINE);
    world.file("here/rows.txt", "1\n");
    world.file("more/b.txt", "more\n");
    let digest = order(&world, &world.on("here", &[("SAID", "said")])).await;
    let there = world.on("there", &[("SAID", "something else")]);
    assert_eq!(work(&there, digest, silent(), &Cancellation::new()).await.unwrap(), Worked::Failed);
    let report = Report::find(&world.on("here", &[]), digest).unwrap().unwrap();
    let Failure::Step(StepFailure::NotStarted { reason }) = report.result.unwrap_err().failure else {
        panic!()
    };
    assert!(reason.contains("its env (SAID) is not what the key was made of"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_fails_elsewhere_is_reported_with_what_it_printed() {
    let world = World::new();
    world.file(
        "here/pipeline.toml",
        "[pipeline]\nname = \"wrong\"\n[steps.a]\nrun = \"echo no; exit 7\"\noutputs.o = \"o\"\n",
    );
    let here = world.on("here", &[]);
    let digest = order(&world, &here).await;
    let worked = work(&world.on("there", &[]), digest, silent(), &Cancellation::new()).await.unwrap();
    assert_eq!(worked, Worked::Failed);
    let report = Report::find(&world.on("here", &[]), digest).unwrap().unwrap();
    let failed = report.result.unwrap_err();
    assert_eq!(failed.failure, Failure::Step(StepFailure::Exit { code: 7 }));
    assert_eq!(failed.tail, ["no"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_carried_out_once() {
    let world = World::new();
    let mark = world.path("mark");
    let text = format!(
        "[pipeline]\nname = \"once\"\n[steps.a]\nrun = \"echo x >> {mark}\"\noutputs.o = {{ path = \"o\", optional = true }}\n"
    );
    world.file("here/pipeline.toml", &text);
    let digest = order(&world, &world.on("here", &[])).await;
    for machine in ["there", "there", "elsewhere"] {
        let worked = work(&world.on(machine, &[]), digest, silent(), &Cancellation::new()).await.unwrap();
        assert_eq!(worked, Worked::Succeeded);
    }
    assert_eq!(std::fs::read_to_string(&mark).unwrap(), "x\n");
}

/// A store can withhold an order, and cannot give another one.
#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_the_one_that_was_told_or_none() {
    let world = World::new();
    world.file("here/pipeline.toml", "[pipeline]\nname = \"x\"\n[steps.a]\nrun = \"true\"\noutputs.o = { path = \"o\", optional = true }\n");
    let digest = order(&world, &world.on("here", &[])).await;
    let stranger = tidemill_cache::Digest::of(b"another");
    let asked = work(&world.on("there", &[]), stranger, silent(), &Cancellation::new()).await;
    assert!(matches!(asked, Err(WorkerError::Order(OrderError::Missing { .. }))), "{asked:?}");
    // Whoever holds the store has put something else into all packs.
    let packs = world.path("store/dev/packs");
    for folder in packs.read_dir_utf8().unwrap() {
        for pack in folder.unwrap().path().read_dir_utf8().unwrap() {
            let path = pack.unwrap().into_path();
            let mut bytes = std::fs::read(&path).unwrap();
            bytes.iter_mut().take(200).for_each(|byte| *byte ^= 1);
            std::fs::write(&path, bytes).unwrap();
        }
    }
    let asked = work(&world.on("there", &[]), digest, silent(), &Cancellation::new()).await;
    assert!(matches!(asked, Err(WorkerError::Order(OrderError::Missing { .. }))), "{asked:?}");
}
