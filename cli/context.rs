//! The world as a command sees it: the only reader of the environment, the working folder and the terminal.

use std::collections::BTreeMap;
use std::env;
use std::io::{self, IsTerminal as _};

use camino::{Utf8Path, Utf8PathBuf};
use tidemill_engine::event::Cause;
use tidemill_engine::graph::Graph;
use tidemill_engine::project::{self, Located, PROJECT_FILE, STATE_FOLDER};
use tidemill_engine::{EngineError, LoadError, Project, Settings};

use crate::args::{Global, PipelineArgs, When};
use crate::error::CliError;
use crate::ui::Ui;
use crate::ui::sink::{Form, Loudness, Stream};
use crate::ui::style::Paint;
use crate::ui::text::clean;

/// Variables that CI systems set.
const CI_VARIABLES: [&str; 7] =
    ["CI", "GITHUB_ACTIONS", "GITLAB_CI", "BUILDKITE", "JENKINS_URL", "TEAMCITY_VERSION", "TF_BUILD"];
/// Names the state folder, stronger than the project file.
const STATE_VARIABLE: &str = "TIDEMILL_STATE";
/// The width of a terminal that does not tell its own.
const WIDTH: usize = 100;

/// What a command knows of the world.
#[derive(Clone)]
pub(crate) struct Context {
    /// The working folder (absolute), `-C` applied.
    pub(crate) folder: Utf8PathBuf,
    /// The folder that this process was started in.
    pub(crate) started_in: Utf8PathBuf,
    /// The way out.
    pub(crate) ui: Ui,
    /// The width of the terminal.
    pub(crate) width: usize,
    /// Whether a CI system started this.
    pub(crate) ci: bool,
    /// Whether standard error is a terminal that can be drawn on, whoever started this.
    pub(crate) can_draw: bool,
    environment: BTreeMap<String, String>,
}

impl Context {
    /// The world, as the global flags want it seen.
    pub(crate) fn new(global: &Global) -> Result<Self, CliError> {
        let environment: BTreeMap<String, String> = env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let ci = CI_VARIABLES.iter().any(|name| is_set(&environment, name));
        let started_in = env::current_dir().and_then(utf8);
        let started_in =
            started_in.map_err(|source| CliError::Setup { action: "find the working folder", source })?;
        Ok(Self {
            folder: folder(&started_in, global.folder.as_deref())?,
            started_in,
            ui: ui(global, &environment, ci),
            width: terminal_size::terminal_size_of(io::stderr())
                .or_else(|| terminal_size::terminal_size_of(io::stdout()))
                .map_or(WIDTH, |(width, _)| width.0.into()),
            ci,
            can_draw: io::stderr().is_terminal() && !is_dumb(&environment),
            environment,
        })
    }

    /// The same world, with so much said.
    pub(crate) fn with_loudness(&self, loudness: Loudness) -> Self {
        let mut context = self.clone();
        context.ui.loudness = loudness;
        context
    }

    /// What starts a run here.
    pub(crate) fn cause(&self) -> Cause {
        match self.ci {
            true => Cause::Ci,
            false => Cause::Command,
        }
    }

    /// Whether a person can type at it.
    pub(crate) fn is_typed_at(&self) -> bool {
        io::stdin().is_terminal()
    }

    /// A variable of the environment.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str)
    }

    /// The state folder that the environment names.
    fn state(&self) -> Option<&str> {
        self.variable(STATE_VARIABLE).filter(|state| !state.is_empty())
    }

    /// A path as people write it here: relative to the working folder where it lies below it.
    pub(crate) fn relative<'a>(&self, path: &'a Utf8Path) -> &'a Utf8Path {
        path.strip_prefix(&self.folder).unwrap_or(path)
    }

    /// The project of a pipeline, and the pipeline loaded and checked.
    pub(crate) fn load(&self, args: &PipelineArgs) -> Result<(Project, Graph), CliError> {
        let (project, file) = self.place(args)?;
        let graph = self.load_at(&project, &file, args)?;
        Ok((project, graph))
    }

    /// The project of a pipeline, and where its file is.
    pub(crate) fn place(&self, args: &PipelineArgs) -> Result<(Project, Utf8PathBuf), CliError> {
        let Located { root, file } = project::locate(&self.folder, args.pipeline.as_deref())?;
        Ok((self.open(root)?, file))
    }

    /// A pipeline whose place is known, loaded and checked.
    pub(crate) fn load_at(
        &self,
        project: &Project,
        file: &Utf8Path,
        args: &PipelineArgs,
    ) -> Result<Graph, CliError> {
        let graph = tidemill_engine::load(project, file, &args.params.overrides(self));
        Ok(graph.map_err(|error| self.named_from_here(error, file))?)
    }

    /// Says what there is to say of the store, once a command has used it.
    pub(crate) fn tell_store(&self, project: &Project) {
        for notice in project.store().map(|store| store.store.take_notices()).unwrap_or_default() {
            self.ui.tell(&format!("warning: {}\n", clean(&notice)));
        }
    }

    /// The same mistakes, the pipeline file named as seen from the working folder.
    fn named_from_here(&self, mut error: LoadError, file: &Utf8Path) -> LoadError {
        if let LoadError::Diagnostics(diagnostics) = &mut error
            && Some(diagnostics.source_name.as_str()) == file.file_name()
        {
            diagnostics.source_name = self.relative(file).to_string();
        }
        error
    }

    /// The project of the working folder.
    pub(crate) fn project(&self) -> Result<Project, CliError> {
        match self.marked_root() {
            Some(root) => self.open(root),
            None => self.open(project::locate(&self.folder, None)?.root),
        }
    }

    /// The project with this root, whatever lies above it.
    pub(crate) fn project_at(&self, root: Utf8PathBuf) -> Result<Project, CliError> {
        self.open(root)
    }

    /// The project of the working folder, or why it cannot be opened; none if there is none.
    pub(crate) fn project_if_any(&self) -> Result<Option<Result<Project, EngineError>>, CliError> {
        let located = || project::locate(&self.folder, None).ok().map(|located| located.root);
        let settings = self.marked_root().or_else(located).map(|root| self.settings(root));
        Ok(settings.transpose()?.map(Project::open))
    }

    /// The root of the project of the working folder, if anything but a pipeline says that it is one.
    fn marked_root(&self) -> Option<Utf8PathBuf> {
        let root = project::root_of(&self.folder);
        let is_marked = [PROJECT_FILE, STATE_FOLDER].iter().any(|name| root.join(name).exists());
        (is_marked || self.state().is_some()).then_some(root)
    }

    fn open(&self, root: Utf8PathBuf) -> Result<Project, CliError> {
        Ok(Project::open(self.settings(root)?)?)
    }

    fn settings(&self, root: Utf8PathBuf) -> Result<Settings, CliError> {
        let program = env::current_exe().and_then(utf8);
        let program = program.map_err(|source| CliError::Setup { action: "find this program", source })?;
        Ok(Settings {
            root,
            program,
            state: self.state().map(str::to_owned),
            environment: self.environment.clone(),
            user: user(&self.environment),
            catalog: tidemill_steps::catalog(),
            many_steps: project::MANY_STEPS,
        })
    }
}

fn utf8(path: std::path::PathBuf) -> io::Result<Utf8PathBuf> {
    Utf8PathBuf::from_path_buf(path)
        .map_err(|path| io::Error::new(io::ErrorKind::InvalidData, format!("{path:?} is not UTF-8")))
}

fn folder(current: &Utf8Path, chosen: Option<&Utf8Path>) -> Result<Utf8PathBuf, CliError> {
    let Some(chosen) = chosen else { return Ok(current.to_owned()) };
    let folder = current.join(chosen).canonicalize_utf8().map_err(CliError::file("find", chosen))?;
    match folder.is_dir() {
        true => Ok(folder),
        false => Err(CliError::usage(format!("{chosen} is not a folder"))),
    }
}

/// Whether a variable says yes: it is there, not empty, and not `0` or `false`.
fn is_set(environment: &BTreeMap<String, String>, name: &str) -> bool {
    environment.get(name).is_some_and(|value| !matches!(value.as_str(), "" | "0" | "false"))
}

/// Who acts, for records.
fn user(environment: &BTreeMap<String, String>) -> String {
    let named = ["USER", "LOGNAME"].iter().find_map(|name| environment.get(*name));
    match named {
        Some(name) if !name.is_empty() => name.clone(),
        _ => format!("uid {}", rustix::process::getuid().as_raw()),
    }
}

/// Whether the terminal understands no control characters.
fn is_dumb(environment: &BTreeMap<String, String>) -> bool {
    environment.get("TERM").is_some_and(|term| term == "dumb")
}

fn ui(global: &Global, environment: &BTreeMap<String, String>, ci: bool) -> Ui {
    let is_dumb = is_dumb(environment);
    let stream = |is_terminal: bool| Stream {
        terminal: is_terminal && !is_dumb && !ci,
        paint: paint(global.color, is_terminal && !is_dumb, environment),
    };
    Ui {
        out: stream(io::stdout().is_terminal()),
        err: stream(io::stderr().is_terminal()),
        form: if global.json { Form::Json } else { Form::Text },
        loudness: match (global.quiet, global.verbose) {
            (true, _) => Loudness::Quiet,
            (false, 0) => Loudness::Normal,
            (false, _) => Loudness::Detailed,
        },
    }
}

/// Whether to use colours: the flag decides, else `NO_COLOR`, else `CLICOLOR_FORCE`, else the stream.
fn paint(when: When, is_terminal: bool, environment: &BTreeMap<String, String>) -> Paint {
    let refused = environment.get("NO_COLOR").is_some_and(|value| !value.is_empty());
    let coloured = match when {
        When::Always => true,
        When::Never => false,
        When::Auto => !refused && (is_set(environment, "CLICOLOR_FORCE") || is_terminal),
    };
    match coloured {
        true => Paint::Coloured,
        false => Paint::Plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn colours_are_a_matter_of_flag_variables_and_terminal() {
        let none = environment(&[]);
        assert_eq!(paint(When::Auto, true, &none), Paint::Coloured);
        assert_eq!(paint(When::Auto, false, &none), Paint::Plain);
        assert_eq!(paint(When::Always, false, &none), Paint::Coloured);
        assert_eq!(paint(When::Never, true, &none), Paint::Plain);
        let refused = environment(&[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")]);
        assert_eq!(paint(When::Auto, true, &refused), Paint::Plain);
        assert_eq!(paint(When::Always, true, &refused), Paint::Coloured);
        assert_eq!(paint(When::Auto, false, &environment(&[("CLICOLOR_FORCE", "1")])), Paint::Coloured);
        assert_eq!(paint(When::Auto, false, &environment(&[("CLICOLOR_FORCE", "0")])), Paint::Plain);
    }

    #[test]
    fn someone_always_acts() {
        assert_eq!(user(&environment(&[("USER", "ada"), ("LOGNAME", "x")])), "ada");
        assert_eq!(user(&environment(&[("LOGNAME", "x")])), "x");
        assert!(user(&environment(&[("USER", "")])).starts_with("uid "));
    }
}
