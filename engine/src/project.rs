//! The project: the one context value that every verb of the engine takes first.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};
use serde::Deserialize;
use tidemill_cache::{Cache, IgnoreRules, Sharing};

use crate::error::EngineError;
use crate::executors::Executors;
use crate::interface::Catalog;
use crate::name::PipelineName;
use crate::policy::{CacheTable, Policy, parse_duration};
use crate::sandbox::Sandbox;
use crate::sink::{self, Sink, SinkTable};
use crate::store::{ProjectStore, StoreTable};

/// The file that marks the root of a project.
pub const PROJECT_FILE: &str = "tidemill.toml";
/// The folder below the root that holds all state.
pub const STATE_FOLDER: &str = ".tidemill";
/// The name of a pipeline file in a folder that is named on the command line.
pub const PIPELINE_FILE: &str = "pipeline.toml";

/// What a project is opened with; the command line reads it from the world, tests make it up.
pub struct Settings {
    /// The project's root (absolute).
    pub root: Utf8PathBuf,
    /// This program, which also runs the built-in steps and the warden.
    pub program: Utf8PathBuf,
    /// The state folder that the environment names; stronger than the project file's.
    pub state: Option<String>,
    /// The user's environment.
    pub environment: BTreeMap<String, String>,
    /// Who acts, for records.
    pub user: String,
    /// The built-in steps.
    pub catalog: Arc<dyn Catalog>,
    /// From this many steps on, what is known of a pipeline is kept for the next start ([`MANY_STEPS`]).
    pub many_steps: usize,
}

/// From this many steps on, reading what was kept is faster than reading the pipeline.
pub const MANY_STEPS: usize = 256;

/// An open project. Clones share it.
#[derive(Clone)]
pub struct Project {
    settings: Arc<Settings>,
    cache: Cache,
    rules: Arc<IgnoreRules>,
    publishes_links: bool,
    sandbox: Sandbox,
    store: Option<ProjectStore>,
    executors: Arc<Executors>,
    policy: Policy,
    program_stamp: Arc<[u8]>,
}

impl Project {
    /// Opens the project, making its state folder if there is none.
    ///
    /// # Errors
    /// If the state folder is named wrongly, cannot be made, or was written by a newer version.
    pub fn open(settings: Settings) -> Result<Self, EngineError> {
        let ProjectFile { project: configured, cache: table, store, executors, sinks } =
            configured(&settings.root)?;
        let wrong = |message: String| EngineError::ProjectFile {
            message: format!("{} cannot be used: {message}", settings.root.join(PROJECT_FILE)),
        };
        let executors = Executors::read(executors).map_err(wrong)?;
        // They are read again when they are told something.
        drop(sink::sinks(sinks).map_err(wrong)?);
        let named = match &settings.state {
            Some(state) => Some((state.clone(), "TIDEMILL_STATE")),
            None => configured.state.map(|state| (state, PROJECT_FILE)),
        };
        let home = settings.environment.get("HOME").map(Utf8Path::new);
        let state = match named {
            Some((text, origin)) => state_folder(&settings.root, &text, home)
                .map_err(|reason| EngineError::State { text, origin, reason })?,
            None => settings.root.join(STATE_FOLDER),
        };
        let cache = Cache::open_shared(&state, sharing(&settings.environment, table.shared)?)?;
        let store = store.open(&settings.environment, cache.state())?;
        if let Some(store) = store.as_ref().filter(|store| store.is_used()) {
            cache.attach(Arc::new(store.store.clone()));
        }
        let rules = IgnoreRules::load(&settings.root)?;
        let program_stamp = program_stamp(&settings.program).into();
        let publishes_links = configured.publish == Publish::Link;
        Ok(Self {
            settings: Arc::new(settings),
            cache,
            rules: Arc::new(rules),
            publishes_links,
            sandbox: configured.sandbox,
            store,
            executors: Arc::new(executors),
            policy: table.policy(),
            program_stamp,
        })
    }

    /// The root folder (absolute).
    #[must_use]
    pub fn root(&self) -> &Utf8Path {
        &self.settings.root
    }

    /// The state folder (absolute).
    #[must_use]
    pub fn state(&self) -> &Utf8Path {
        self.cache.state()
    }

    /// The cache.
    #[must_use]
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// The store of the team, if there is one and it is used.
    #[must_use]
    pub fn store(&self) -> Option<&ProjectStore> {
        self.store.as_ref().filter(|store| store.is_used())
    }

    /// Where steps may run beside this machine.
    #[must_use]
    pub fn executors(&self) -> &Executors {
        &self.executors
    }

    /// Whether large outputs that cannot be cloned are published as read-only links into the cache.
    #[must_use]
    pub fn publishes_links(&self) -> bool {
        self.publishes_links
    }

    /// How strictly steps that do not say it are kept from what they did not declare.
    #[must_use]
    pub fn sandbox(&self) -> Sandbox {
        self.sandbox
    }

    /// What garbage collection keeps, as far as the project file says it.
    #[must_use]
    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// What is left out of folders.
    #[must_use]
    pub fn rules(&self) -> &IgnoreRules {
        &self.rules
    }

    /// The built-in steps.
    #[must_use]
    pub fn catalog(&self) -> &dyn Catalog {
        self.settings.catalog.as_ref()
    }

    /// Who acts.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.settings.user
    }

    /// This program.
    #[must_use]
    pub fn program(&self) -> &Utf8Path {
        &self.settings.program
    }

    /// What tells this program from another one, or from another build of it.
    #[must_use]
    pub(crate) fn program_stamp(&self) -> &[u8] {
        &self.program_stamp
    }

    /// From how many steps on what is known of a pipeline is kept for the next start.
    #[must_use]
    pub(crate) fn many_steps(&self) -> usize {
        self.settings.many_steps
    }

    /// The user's environment.
    #[must_use]
    pub(crate) fn environment(&self) -> &BTreeMap<String, String> {
        &self.settings.environment
    }

    /// A variable of the user's environment.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.settings.environment.get(name).map(String::as_str)
    }

    /// Where the records of a run lie.
    #[must_use]
    pub fn run_folder(&self, run: &crate::name::RunId) -> Utf8PathBuf {
        self.state().join("runs").join(run.as_str())
    }

    /// A path in the project as people write it: relative to the root where it lies below it.
    #[must_use]
    pub fn relative<'a>(&self, path: &'a Utf8Path) -> &'a Utf8Path {
        path.strip_prefix(self.root()).unwrap_or(path)
    }
}

/// Says that hosts share the state folder.
const SHARED_VARIABLE: &str = "TIDEMILL_SHARED";
/// The name of this host, and how often its processes show that they live, where hosts share the state folder.
const HOST_VARIABLE: &str = "TIDEMILL_HOST";
const BEAT_VARIABLE: &str = "TIDEMILL_BEAT";

/// How the state folder is shared, if the project file or the environment says that it is.
fn sharing(environment: &BTreeMap<String, String>, configured: bool) -> Result<Option<Sharing>, EngineError> {
    let said =
        environment.get(SHARED_VARIABLE).is_some_and(|value| !matches!(value.as_str(), "" | "0" | "false"));
    if !configured && !said {
        return Ok(None);
    }
    let mut sharing = Sharing::default();
    if let Some(host) = environment.get(HOST_VARIABLE).filter(|host| !host.is_empty() && !host.contains('\n'))
    {
        sharing.host.clone_from(host);
    }
    if let Some(beat) = environment.get(BEAT_VARIABLE) {
        let wrong = |reason| EngineError::Variable { name: BEAT_VARIABLE, reason };
        sharing.beat = parse_duration(beat).map_err(wrong)?;
        if sharing.beat.is_zero() {
            return Err(wrong("it is zero".to_owned()));
        }
    }
    Ok(Some(sharing))
}

/// Version, path, inode, size and times of the program.
fn program_stamp(program: &Utf8Path) -> Vec<u8> {
    use std::os::unix::fs::MetadataExt as _;
    let facts = fs::metadata(program).map(|data| {
        [data.dev(), data.ino(), data.size(), data.mtime().cast_unsigned(), data.mtime_nsec().cast_unsigned()]
    });
    format!("{} {program} {facts:?}", env!("CARGO_PKG_VERSION")).into_bytes()
}

/// A pipeline file and the project that it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// The project's root (absolute).
    pub root: Utf8PathBuf,
    /// The pipeline file (absolute).
    pub file: Utf8PathBuf,
}

/// A pipeline that could not be found.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// Nothing of that name.
    #[error(
        "there is no pipeline {name:?}: it is no file, no folder with a {PIPELINE_FILE}, and no pipeline of this project has that name"
    )]
    NotFound {
        /// What was asked for.
        name: String,
        /// The pipelines of the project.
        known: Vec<String>,
    },
    /// None was named and there is not exactly one.
    #[error("no pipeline was named, and there is no {PIPELINE_FILE} here")]
    NotNamed {
        /// The pipelines of the project.
        known: Vec<String>,
    },
    /// Two pipelines have the name.
    #[error("the name {name:?} belongs to two pipelines: {first} and {second}")]
    Ambiguous {
        /// The name.
        name: String,
        /// One file.
        first: Utf8PathBuf,
        /// Another file.
        second: Utf8PathBuf,
    },
    /// The project file is wrong.
    #[error("{path} cannot be used: {message}")]
    ProjectFile {
        /// The file.
        path: Utf8PathBuf,
        /// Why.
        message: String,
    },
    /// The file system said no.
    #[error("cannot access {path}")]
    Io {
        /// The file or folder.
        path: Utf8PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl ProjectError {
    /// What to do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotFound { known, .. } | Self::NotNamed { known } if !known.is_empty() => {
                Some(format!("pipelines of this project: {}", known.join(", ")))
            }
            Self::NotFound { .. } | Self::NotNamed { .. } => {
                Some(format!("name a pipeline file, or a folder with a {PIPELINE_FILE}"))
            }
            _ => None,
        }
    }
}

/// The root of the project that a folder belongs to: the nearest folder upwards with a `tidemill.toml`, else the nearest
/// with a state folder, else the folder itself.
#[must_use]
pub fn root_of(start: &Utf8Path) -> Utf8PathBuf {
    let with = |name: &str| start.ancestors().find(|folder| folder.join(name).exists());
    with(PROJECT_FILE).or_else(|| with(STATE_FOLDER)).unwrap_or(start).to_owned()
}

/// Finds a pipeline by its file, its folder or its name; without a name, the one here or the project's only one.
///
/// # Errors
/// If there is none, or more than one.
pub fn locate(start: &Utf8Path, name: Option<&str>) -> Result<Located, ProjectError> {
    let path = start.join(name.unwrap_or("."));
    let file = if path.is_dir() { path.join(PIPELINE_FILE) } else { path };
    if file.is_file() {
        let file = file.canonicalize_utf8().map_err(|source| ProjectError::Io { path: file, source })?;
        let folder = file.parent().expect("a file lies in a folder");
        let root = folder.ancestors().find(|folder| folder.join(PROJECT_FILE).exists());
        return Ok(Located { root: root.unwrap_or(folder).to_owned(), file });
    }
    let start =
        start.canonicalize_utf8().map_err(|source| ProjectError::Io { path: start.to_owned(), source })?;
    let root = root_of(&start);
    let pipelines = pipelines(&root)?;
    let mut found = pipelines.iter().filter(|(known, _)| name.is_none_or(|name| known == name));
    match (found.next(), found.next(), name) {
        (Some((_, file)), None, _) => Ok(Located { root, file: file.clone() }),
        (Some((_, first)), Some((_, second)), Some(name)) => Err(ProjectError::Ambiguous {
            name: name.to_owned(),
            first: first.clone(),
            second: second.clone(),
        }),
        (_, _, name) => {
            let known = pipelines.into_iter().map(|(name, _)| name).collect();
            Err(match name {
                Some(name) => ProjectError::NotFound { name: name.to_owned(), known },
                None => ProjectError::NotNamed { known },
            })
        }
    }
}

/// The project file. All of it is optional.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct ProjectFile {
    #[serde(default)]
    project: ProjectTable,
    #[serde(default)]
    cache: CacheTable,
    #[serde(default)]
    store: StoreTable,
    #[serde(default)]
    executors: toml::Table,
    #[serde(default)]
    sinks: Vec<SinkTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProjectTable {
    /// Globs of the pipeline files, relative to the root.
    #[serde(default = "default_pipelines")]
    pipelines: Vec<String>,
    /// The state folder: absolute, relative to the root, or below `~/`.
    #[serde(default)]
    state: Option<String>,
    /// How large outputs come into the project where the file system has no clones.
    #[serde(default)]
    publish: Publish,
    /// How strictly steps that do not say it are kept from what they did not declare.
    #[serde(default)]
    sandbox: Sandbox,
}

#[derive(Deserialize, Default, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
enum Publish {
    /// As copies, which are the user's to change.
    #[default]
    Copy,
    /// As read-only links to what the cache holds.
    Link,
}

impl Default for ProjectTable {
    fn default() -> Self {
        Self {
            pipelines: default_pipelines(),
            state: None,
            publish: Publish::default(),
            sandbox: Sandbox::default(),
        }
    }
}

fn default_pipelines() -> Vec<String> {
    ["pipeline.toml", "*.pipeline.toml", "pipelines/*.toml", "pipelines/*/pipeline.toml"]
        .map(String::from)
        .to_vec()
}

/// The project file of this root; an empty one if there is none.
fn read_project_file(root: &Utf8Path) -> Result<ProjectFile, ProjectError> {
    let path = root.join(PROJECT_FILE);
    match fs::read_to_string(&path) {
        Ok(text) => toml::from_str(&text)
            .map_err(|error| ProjectError::ProjectFile { path, message: error.to_string() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(ProjectFile::default()),
        Err(source) => Err(ProjectError::Io { path, source }),
    }
}

/// Reads the text of a project file, for a fuzzer.
#[cfg(any(test, fuzzing))]
pub(crate) fn try_project_file(text: &str) {
    if let Ok(file) = toml::from_str::<ProjectFile>(text) {
        drop(sink::sinks(file.sinks));
        let _ = (file.cache.policy(), file.store.open(&BTreeMap::new(), Utf8Path::new("/nowhere")));
    }
}

/// What the project file says.
fn configured(root: &Utf8Path) -> Result<ProjectFile, EngineError> {
    match read_project_file(root) {
        Ok(file) => Ok(file),
        Err(ProjectError::Io { path, source }) => Err(EngineError::Io { path, source }),
        Err(error) => Err(EngineError::ProjectFile { message: error.to_string() }),
    }
}

/// The names that an unfinished state folder may hold.
const BEGINNINGS: [&str; 5] = [".gitignore", "CACHEDIR.TAG", "objects", "tmp", "version"];

/// The state folder that a text names, made if it is not there; else why it cannot be one.
fn state_folder(root: &Utf8Path, text: &str, home: Option<&Utf8Path>) -> Result<Utf8PathBuf, String> {
    let path = match (text.strip_prefix("~/"), home) {
        _ if text.trim().is_empty() => return Err("it is empty".to_owned()),
        (Some(rest), Some(home)) => home.join(rest),
        (Some(_), None) => return Err("there is no HOME that `~/` could mean".to_owned()),
        (None, _) if text.starts_with('~') => {
            return Err("only `~/` is understood at its beginning".to_owned());
        }
        (None, _) => root.join(text),
    };
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => "it is no folder".to_owned(),
        _ => error.to_string(),
    };
    let path = real(&path).map_err(failed)?;
    let root = root.canonicalize_utf8().map_err(failed)?;
    if root.starts_with(&path) {
        return Err("the project lies in it".to_owned());
    }
    if path.starts_with(&root) && path.file_name() != Some(STATE_FOLDER) {
        return Err(format!(
            "within the project it must have the name {STATE_FOLDER}, so that no input holds it"
        ));
    }
    fs::create_dir_all(&path).map_err(failed)?;
    let is_ours = path.join("version").exists();
    for entry in path.read_dir_utf8().map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if !is_ours && !BEGINNINGS.contains(&entry.file_name()) && !entry.file_name().starts_with(".new-") {
            return Err(format!(
                "it is no state folder and holds other files, such as {}",
                entry.file_name()
            ));
        }
    }
    Ok(path)
}

/// The path without links, as far as it exists.
fn real(path: &Utf8Path) -> io::Result<Utf8PathBuf> {
    for folder in path.ancestors() {
        match folder.canonicalize_utf8() {
            Ok(real) => return Ok(real.join(path.strip_prefix(folder).unwrap_or(Utf8Path::new("")))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(path.to_owned())
}

/// The pipelines of a project: their names and files, sorted by name.
///
/// # Errors
/// If the project file is wrong, or a folder cannot be read.
pub fn pipelines(root: &Utf8Path) -> Result<Vec<(String, Utf8PathBuf)>, ProjectError> {
    let path = root.join(PROJECT_FILE);
    let wrong = |message: String| ProjectError::ProjectFile { path: path.clone(), message };
    let file = read_project_file(root)?;
    let mut found = Vec::new();
    for glob in &file.project.pipelines {
        for path in crate::graph::glob(root, glob).map_err(|error| wrong(error.to_string()))? {
            let path = path.below(root);
            if let Some(name) = pipeline_name(&path) {
                found.push((name, path));
            }
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// The programs that are told what happens in a project.
///
/// # Errors
/// If the project file is wrong.
pub fn sinks(root: &Utf8Path) -> Result<Vec<Sink>, ProjectError> {
    let wrong = |message| ProjectError::ProjectFile { path: root.join(PROJECT_FILE), message };
    sink::sinks(read_project_file(root)?.sinks).map_err(wrong)
}

/// The globs that the pipeline files of a project match, relative to its root.
///
/// # Errors
/// If the project file is wrong.
pub(crate) fn pipeline_globs(root: &Utf8Path) -> Result<Vec<String>, ProjectError> {
    Ok(read_project_file(root)?.project.pipelines)
}

/// The name that a pipeline file gives itself, also if it is wrong elsewhere; none if the file is no pipeline.
fn pipeline_name(path: &Utf8Path) -> Option<String> {
    let name = crate::graph::names(&fs::read_to_string(path).ok()?, &[]).pipeline?;
    PipelineName::new(&name).ok().map(|name| name.to_string())
}
