//! What the line that is being typed says already: the folder, the pipeline, the model.

use std::cell::OnceCell;
use std::env;
use std::ffi::OsString;

use camino::{Utf8Path, Utf8PathBuf};
use clap::ArgMatches;
use tidemill_engine::graph::{self, Names};
use tidemill_engine::project::{self, STATE_FOLDER};

use crate::help;

/// The line so far.
pub(super) struct Typed {
    /// The working folder, `-C` applied.
    pub(super) folder: Utf8PathBuf,
    /// What was parsed of it, as far as it makes sense.
    matches: Option<ArgMatches>,
    pipelines: OnceCell<Vec<Names>>,
}

impl Typed {
    /// The line that this process was started with; none if there is no folder to look into.
    pub(super) fn line() -> Option<Self> {
        let words: Vec<OsString> = env::args_os().skip_while(|word| word != "--").skip(1).collect();
        let matches = help::command().ignore_errors(true).try_get_matches_from(words).ok();
        let chosen = matches.as_ref().and_then(folder_of);
        let current = Utf8PathBuf::from_path_buf(env::current_dir().ok()?).ok()?;
        let folder = current.join(chosen.unwrap_or_default());
        Some(Self { folder, matches, pipelines: OnceCell::new() })
    }

    /// The value of an argument of the command that is typed.
    pub(super) fn value(&self, id: &str) -> Option<String> {
        let mut matches = self.matches.as_ref()?;
        while let Some((_, below)) = matches.subcommand() {
            matches = below;
        }
        let raw = matches.try_get_raw(id).ok()??.next()?;
        raw.to_str().filter(|value| !value.is_empty()).map(str::to_owned)
    }

    /// The state folder of the project, if there is one.
    pub(super) fn state(&self) -> Option<Utf8PathBuf> {
        let root = project::root_of(&self.folder);
        let here = Some(root.join(STATE_FOLDER)).filter(|state| state.is_dir());
        here.or_else(|| {
            let located = project::locate(&self.folder, self.value("pipeline").as_deref()).ok()?;
            Some(located.root.join(STATE_FOLDER)).filter(|state| state.is_dir())
        })
    }

    /// The names of the pipeline that is meant; if that is not clear, of all in the project.
    pub(super) fn names(&self) -> &[Names] {
        self.pipelines.get_or_init(|| {
            let named = self.value("pipeline");
            let located = project::locate(&self.folder, named.as_deref())
                .or_else(|_| project::locate(&self.folder, None));
            let files = match located {
                Ok(located) => vec![located.file],
                Err(_) => project::pipelines(&project::root_of(&self.folder))
                    .map(|pipelines| pipelines.into_iter().map(|(_, file)| file).collect())
                    .unwrap_or_default(),
            };
            files.iter().filter_map(|file| names_of(file)).collect()
        })
    }
}

/// The folder that `-C` names, wherever it stands.
fn folder_of(matches: &ArgMatches) -> Option<Utf8PathBuf> {
    let below = matches.subcommand().and_then(|(_, below)| folder_of(below));
    below.or_else(|| matches.try_get_one::<Utf8PathBuf>("folder").ok()?.cloned())
}

fn names_of(file: &Utf8Path) -> Option<Names> {
    let text = std::fs::read_to_string(file).ok()?;
    Some(graph::names(&text, tidemill_steps::catalog().interfaces()))
}
