//! The pulse of a run: what real processes do is measured while they do it, for who wants to know, and kept nowhere.
//!
//! The warden is this very test program, called again.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use tidemill_engine::event::{Cause, Event, Pulse, Sample, Stamped, Subscriber};
use tidemill_engine::{Cancellation, Overrides, Project, RunOptions, RunSummary, Settings, load, run};

use crate::support::Nothing;

/// What the engine starts as `<this program> warden`: the filter of the test harness finds it.
#[test]
fn warden() {
    let _ = tidemill_engine::process::warden_main();
}

/// How long a condition may take to come true.
const PATIENCE: Duration = Duration::from_secs(60);
/// Long enough that the kernel's clock ticks, of ten milliseconds, do not blur what is measured.
const INTERVAL: Duration = Duration::from_millis(200);

/// A project; its steps go on until there is a file `go` beside it.
struct World {
    folder: tempfile::TempDir,
}

impl World {
    fn new(steps: &str) -> Self {
        let world = Self { folder: tempfile::tempdir().unwrap() };
        std::fs::create_dir(world.path("project")).unwrap();
        let steps = steps.replace("GO", world.path("go").as_str());
        let text = format!("[pipeline]\nname = \"pulse\"\n\n{steps}");
        std::fs::write(world.path("project/pipeline.toml"), text).unwrap();
        world
    }

    fn path(&self, name: &str) -> Utf8PathBuf {
        Utf8Path::from_path(self.folder.path()).unwrap().canonicalize_utf8().unwrap().join(name)
    }

    fn run(&self, subscriber: Box<dyn Subscriber>, force: &[&str]) -> RunSummary {
        let project = Project::open(Settings {
            root: self.path("project"),
            program: Utf8PathBuf::from_path_buf(std::env::current_exe().unwrap()).unwrap(),
            environment: BTreeMap::from([("PATH".to_owned(), std::env::var("PATH").unwrap())]),
            state: None,
            user: "me".to_owned(),
            catalog: Arc::new(Nothing),
            many_steps: tidemill_engine::project::MANY_STEPS,
        })
        .unwrap();
        let graph = load(&project, &self.path("project/pipeline.toml"), &Overrides::default()).unwrap();
        let mut options = RunOptions::new(Cause::Command);
        options.selection.force = force.iter().map(|step| (*step).to_owned()).collect();
        options.jobs = Some(4);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let work = run(&project, graph, options, vec![subscriber], Cancellation::new());
        runtime.unwrap().block_on(work).unwrap()
    }
}

/// Takes pulses until one is as it should be, then lets the steps go on.
struct Watcher {
    pulses: Arc<Mutex<Vec<Pulse>>>,
    enough: fn(&Pulse) -> bool,
    go: Utf8PathBuf,
    began: Instant,
}

impl Watcher {
    fn new(world: &World, enough: fn(&Pulse) -> bool) -> (Box<Self>, Arc<Mutex<Vec<Pulse>>>) {
        let pulses = Arc::default();
        let (go, began) = (world.path("go"), Instant::now());
        (Box::new(Self { pulses: Arc::clone(&pulses), enough, go, began }), pulses)
    }
}

impl Subscriber for Watcher {
    fn on(&mut self, _: &Stamped) {}

    fn pulse_interval(&self) -> Option<Duration> {
        Some(INTERVAL)
    }

    fn pulse(&mut self, pulse: &Pulse) {
        self.pulses.lock().unwrap().push(pulse.clone());
        if (self.enough)(pulse) || self.began.elapsed() > PATIENCE {
            std::fs::write(&self.go, "").unwrap();
        }
    }
}

fn sample<'a>(pulse: &'a Pulse, step: &str) -> Option<&'a Sample> {
    pulse.samples.iter().find(|sample| sample.step.as_str() == step)
}

fn cores(pulse: &Pulse, step: &str) -> f64 {
    sample(pulse, step).and_then(|sample| sample.cores).unwrap_or(0.0)
}

const MEBIBYTE: u64 = 1 << 20;

#[test]
fn a_step_that_computes_is_seen_computing() {
    let world = World::new(
        r#"
        [steps.busy]
        run = "x=$(head -c 100000000 /dev/zero | tr '\\0' x); echo loaded; echo; until [ -e GO ]; do :; done"
        [steps.idle]
        run = "until [ -e GO ]; do sleep 0.05; done"
        [steps.after]
        run = "true"
        needs = ["busy"]
        "#,
    );
    let enough = |pulse: &Pulse| {
        let busy = sample(pulse, "busy");
        busy.is_some_and(|busy| {
            busy.memory > Some(95 * MEBIBYTE) && busy.cores > Some(0.05) && busy.last_line.is_some()
        })
    };
    let (watcher, pulses) = Watcher::new(&world, enough);
    world.run(watcher, &[]);
    let pulses = std::mem::take(&mut *pulses.lock().unwrap());
    assert_eq!(pulses[0].open, 3, "{:?}", pulses[0]);
    let seen = pulses.iter().rfind(|pulse| enough(pulse)).expect("the step was never seen computing");
    let busy = sample(seen, "busy").unwrap();
    assert!(busy.memory < Some(400 * MEBIBYTE), "{busy:?}");
    assert!(busy.cores < Some(1.3), "one thread keeps no more than one core busy: {busy:?}");
    assert_eq!(busy.last_line.as_deref(), Some("loaded"));
    assert_eq!(busy.gpus, None);
    assert_eq!((seen.open, seen.remaining_ms), (3, None), "nothing is known of steps that never ran");
    assert!(
        cores(seen, "idle") < 0.5 && sample(seen, "idle").unwrap().memory < Some(50 * MEBIBYTE),
        "{seen:?}"
    );
    let elapsed: Vec<u64> =
        pulses.iter().filter_map(|pulse| Some(sample(pulse, "busy")?.elapsed_ms)).collect();
    assert!(elapsed.is_sorted() && elapsed.len() > 1, "{elapsed:?}");

    // Now there is a history.
    let (watcher, pulses) = Watcher::new(&world, |_| false);
    world.run(watcher, &["idle"]);
    let first = &pulses.lock().unwrap()[0];
    assert_eq!(first.open, 1, "what is cached is not waited for: {first:?}");
    assert!(first.remaining_ms.is_some_and(|ms| ms > 50 && ms < 60_000), "{first:?}");
}

#[test]
fn what_left_its_parent_and_session_counts_too() {
    let world = World::new(
        r#"
        [steps.daemon]
        run = "(setsid sh -c 'until [ -e GO ]; do :; done' &); until [ -e GO ]; do sleep 0.05; done"
        "#,
    );
    let enough = |pulse: &Pulse| cores(pulse, "daemon") > 0.2;
    let (watcher, pulses) = Watcher::new(&world, enough);
    world.run(watcher, &[]);
    assert!(pulses.lock().unwrap().iter().any(enough), "the daemon was never seen computing");
}

#[test]
fn who_does_not_ask_gets_none_and_the_journal_has_none() {
    struct Deaf(usize);
    impl Subscriber for Deaf {
        fn on(&mut self, event: &Stamped) {
            self.0 += 1;
            if let Event::RunFinished { .. } = event.event {
                // One for each step: queued, started, succeeded; and the beginning and the end of the run.
                assert_eq!(self.0, 5);
            }
        }

        fn pulse(&mut self, pulse: &Pulse) {
            panic!("nobody asked for {pulse:?}");
        }
    }
    let world = World::new("[steps.nap]\nrun = \"sleep 0.3\"\n");
    let quiet = world.run(Box::new(Deaf(0)), &[]);
    let (watcher, pulses) = Watcher::new(&world, |_| false);
    let watched = world.run(watcher, &["nap"]);
    assert!(pulses.lock().unwrap().iter().any(|pulse| !pulse.samples.is_empty()));
    for summary in [quiet, watched] {
        let journal = world.path(&format!("project/.tidemill/runs/{}/journal.jsonl", summary.run));
        assert_eq!(std::fs::read_to_string(journal).unwrap().lines().count(), 5);
    }
}
