//! A place to play a world in: the project on disk, the engine's verbs in this process, and the events of a run.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Arc, Mutex};

use camino::{Utf8Path, Utf8PathBuf};
use rand::Rng as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use tidemill_cache::Roots;
use tidemill_engine::event::{Cause, Event, Stamped, Subscriber};
use tidemill_engine::graph::Graph;
use tidemill_engine::{
    Cancellation, EngineError, Overrides, Plan, Project, RunOptions, RunSummary, Selection, Settings,
};

use crate::support::Nothing;
use crate::world::World;

/// A project on disk and what lies beside it.
pub(crate) struct Place {
    _folder: tempfile::TempDir,
    base: Utf8PathBuf,
    program: Utf8PathBuf,
    runtime: tokio::runtime::Runtime,
}

/// Hears the events of a run.
#[derive(Clone, Default)]
struct Ear(Arc<Mutex<Vec<Event>>>);

impl Subscriber for Ear {
    fn on(&mut self, event: &Stamped) {
        self.0.lock().unwrap().push(event.event.clone());
    }
}

impl Place {
    pub(crate) fn new() -> Self {
        // Every event is synced to disk; the law does not care on which.
        let memory = Utf8Path::new("/dev/shm");
        let folder = match memory.is_dir() {
            true => tempfile::tempdir_in(memory),
            false => tempfile::tempdir(),
        };
        let folder = folder.unwrap();
        let base = Utf8Path::from_path(folder.path()).unwrap().canonicalize_utf8().unwrap();
        for name in ["project", "outside"] {
            fs::create_dir(base.join(name)).unwrap();
        }
        fs::write(base.join("outside/noise"), "noise\n").unwrap();
        // The warden is this very test program, called again.
        let program = base.join("program");
        let tests = std::env::current_exe().unwrap();
        let call = format!("exec '{}' --exact warden_entry --nocapture", tests.display());
        fs::write(&program, format!("#!/bin/sh\n{}=1 {call}\n", crate::WARDEN)).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        Self { _folder: folder, base, program, runtime: runtime.unwrap() }
    }

    fn root(&self) -> Utf8PathBuf {
        self.base.join("project")
    }

    fn state(&self) -> Utf8PathBuf {
        self.root().join(".tidemill")
    }

    pub(crate) fn outside(&self, name: &str) -> Utf8PathBuf {
        self.base.join("outside").join(name)
    }

    /// Writes all that the world has, and removes what it no longer has.
    pub(crate) fn write(&self, world: &World) {
        for path in ["parts/b.txt", "parts/c.txt", "extra.txt"] {
            if !world.files.contains_key(path) {
                let _ = fs::remove_file(self.root().join(path));
            }
        }
        for (path, text) in &world.files {
            self.write_file(path, text);
        }
        self.write_file("pipeline.toml", &world.pipeline(self.base.join("outside").as_str()));
    }

    fn write_file(&self, path: &str, text: &str) {
        let path = self.root().join(path);
        if fs::read_to_string(&path).is_ok_and(|old| old == text) {
            return;
        }
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// The project as another process would open it.
    pub(crate) fn open(&self) -> (Project, Graph) {
        let variable = |name: &str| Some((name.to_owned(), std::env::var(name).ok()?));
        let project = Project::open(Settings {
            root: self.root(),
            program: self.program.clone(),
            state: None,
            environment: ["PATH", "HOME"].into_iter().filter_map(variable).collect(),
            user: "me".to_owned(),
            catalog: Arc::new(Nothing),
            // So that these small pipelines take the way of large ones.
            many_steps: 1,
        });
        let project = project.unwrap();
        let overrides = Overrides { set: Vec::new(), params_files: Vec::new() };
        match tidemill_engine::load(&project, &self.root().join("pipeline.toml"), &overrides) {
            Ok(graph) => (project, graph),
            Err(error) => panic!("the generator made a wrong file: {error:?}"),
        }
    }

    pub(crate) fn plan(&self, selection: &Selection) -> Result<Plan, EngineError> {
        let (project, graph) = self.open();
        self.runtime.block_on(tidemill_engine::plan(&project, &graph, selection))
    }

    pub(crate) fn run(
        &self,
        selection: &Selection,
        (jobs, keep_going): (usize, bool),
    ) -> (Result<RunSummary, EngineError>, Vec<Event>) {
        let (project, graph) = self.open();
        let options = RunOptions {
            selection: selection.clone(),
            jobs: Some(jobs),
            keep_going,
            ..RunOptions::new(Cause::Command)
        };
        let ear = Ear::default();
        let subscribers: Vec<Box<dyn Subscriber>> = vec![Box::new(ear.clone())];
        let run = tidemill_engine::run(&project, graph, options, subscribers, Cancellation::new());
        let summary = self.runtime.block_on(run);
        let events = ear.0.lock().unwrap().clone();
        (summary, events)
    }

    /// One of many things that happen to a project beside edits; what, in a word.
    pub(crate) fn mischief(&self, random: &mut StdRng) -> &'static str {
        match random.random_range(0..13) {
            0..2 => {
                self.remove(random, &self.root().join("out"), 50);
                "published files deleted"
            }
            2 => {
                for path in files_below(&self.root().join("out")) {
                    fs::write(path, "mine\n").unwrap();
                }
                "published files overwritten"
            }
            3..6 => {
                self.remove(random, &self.state().join("objects"), 40);
                "blobs deleted"
            }
            6 => {
                self.remove(random, &self.state().join("objects"), 100);
                "all blobs deleted"
            }
            7 => {
                self.remove(random, &self.state().join("results"), 30);
                // It vouches for the results, and goes with them.
                let _ = fs::remove_file(self.state().join("changes"));
                "results deleted"
            }
            8 => {
                self.remove(random, &self.state().join("recipes"), 50);
                "recipes deleted"
            }
            9 => {
                for name in ["index.db", "index.db-wal", "index.db-shm"] {
                    let _ = fs::remove_file(self.state().join(name));
                }
                "index deleted"
            }
            10 => {
                for path in files_below(&self.state().join("objects")) {
                    if random.random_ratio(1, 4) {
                        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
                        fs::write(path, "damaged").unwrap();
                    }
                }
                "blobs damaged"
            }
            11 => {
                self.collect_garbage(random);
                "garbage collected"
            }
            _ => {
                for path in files_below(&self.base.join("outside")) {
                    if path.file_name().is_some_and(|name| name.starts_with("shown-")) {
                        fs::remove_file(path).unwrap();
                    }
                }
                "targets changed"
            }
        }
    }

    /// Removes about so many percent of the files below a folder.
    fn remove(&self, random: &mut StdRng, folder: &Utf8Path, percent: u32) {
        for path in files_below(folder) {
            if random.random_ratio(percent, 100) {
                fs::remove_file(path).unwrap();
            }
        }
    }

    /// Removes what only some of the results need.
    fn collect_garbage(&self, random: &mut StdRng) {
        let cache = self.open().0.cache().clone();
        // The first result of a key is a file beside the folder of its others.
        let key = |path: &Utf8PathBuf| {
            let of_first = path.file_name()?.strip_suffix(".1");
            of_first.or_else(|| path.parent()?.file_name())?.parse().ok()
        };
        let files = files_below(&self.state().join("results"));
        let keys: BTreeSet<_> = files.iter().filter_map(key).collect();
        let keys: Vec<_> = keys.into_iter().collect();
        let kept = keys.choose_multiple(random, keys.len() / 2).copied().collect();
        let plan = cache.gc_plan(&Roots { keys: kept, ..Roots::default() }).unwrap();
        cache.gc(&plan).unwrap();
    }
}

/// All files below a folder, sorted.
fn files_below(folder: &Utf8Path) -> Vec<Utf8PathBuf> {
    let Ok(listing) = folder.read_dir_utf8() else { return Vec::new() };
    let mut files = BTreeMap::new();
    for entry in listing.map(Result::unwrap) {
        let path = entry.into_path();
        let below = if path.is_dir() { files_below(&path) } else { vec![path.clone()] };
        files.insert(path, below);
    }
    files.into_values().flatten().collect()
}
