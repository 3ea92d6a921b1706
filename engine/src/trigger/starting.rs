//! Starting the run of an arrival as a process of its own, and seeing how it ended. The run outlives whoever started it: another one finds
//! it by its id.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::process::Stdio;

use camino::{Utf8Path, Utf8PathBuf};
use tokio::process::{Child, Command};

use super::pages::with_usual_pages;
use super::queue::Arrival;
use crate::event::Outcome;
use crate::name::RunId;
use crate::project::Project;
use crate::record::History;

/// Below the state folder: what runs are given, and what they say.
const FOLDER: &str = "triggers/runs";
/// So much of what a run has said is told if it did not begin, in characters.
const TOLD: usize = 2_000;

/// How the process of a run ended, or that it has not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// The run ended.
    Ended(Outcome),
    /// It could not begin, and why.
    NotBegun(String),
    /// It did not come to its end.
    Lost,
    /// Another process has it, and it goes on.
    Alive,
}

/// Begins the run of an arrival.
pub(super) fn start(project: &Project, arrival: &Arrival, run: &RunId) -> io::Result<Child> {
    let folder = project.state().join(FOLDER);
    fs::create_dir_all(&folder)?;
    let (given, params) = (given(project.state(), run), folder.join(format!("{run}.params.json")));
    write(&given, &serde_json::to_vec(arrival)?)?;
    let log = File::create(log(project.state(), run))?;
    let mut command = Command::new(project.program());
    command.args(["-C", project.root().as_str(), "--color", "never", "run", &arrival.file]);
    command.args(["--as-run", run.as_str(), "--arrival", given.as_str(), "--output", "plain"]);
    if !arrival.params.is_empty() {
        write(&params, &serde_json::to_vec(&arrival.params)?)?;
        command.args(["--params", params.as_str()]);
    }
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0);
    with_usual_pages(|| command.spawn())
}

/// Removes what a run was given: its record has it.
pub(super) fn tidy(state: &Utf8Path, run: &RunId) {
    for path in [given(state, run), state.join(FOLDER).join(format!("{run}.params.json")), log(state, run)] {
        if let Err(error) = fs::remove_file(&path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%path, %error, "it could not be removed");
        }
    }
}

/// Removes what runs were given that go on no more: who began them may have been killed before it did that.
pub(super) fn tidy_all_but(state: &Utf8Path, going: &BTreeSet<&RunId>) -> io::Result<()> {
    let folder = state.join(FOLDER);
    fs::create_dir_all(&folder)?;
    for entry in folder.read_dir_utf8()? {
        let entry = entry?;
        let run = entry.file_name().split('.').next().and_then(|name| RunId::new(name).ok());
        if let Some(run) = run.filter(|run| !going.contains(run)) {
            tidy(state, &run);
        }
    }
    Ok(())
}

/// How a run ended whose process is gone, as far as is known. `has_exited`: its process ended by itself, rather than being killed.
pub(super) fn end(state: &Utf8Path, history: &History, run: &RunId, has_exited: bool) -> End {
    if let Some((outcome, _)) = history.outcome(run) {
        return End::Ended(outcome);
    }
    if history.is_alive(run) {
        return End::Alive;
    }
    // It may have ended in between.
    match history.outcome(run) {
        Some((outcome, _)) => End::Ended(outcome),
        None if has_exited && !history.has_begun(run) => End::NotBegun(said(state, run)),
        None => End::Lost,
    }
}

/// What a run has said, as far as it is told.
fn said(state: &Utf8Path, run: &RunId) -> String {
    let text = fs::read(log(state, run)).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let text = text.unwrap_or_default();
    match text.trim().chars().take(TOLD).collect::<String>() {
        said if said.is_empty() => "it said nothing".to_owned(),
        said => said,
    }
}

/// The file with the arrival that a run was started for.
fn given(state: &Utf8Path, run: &RunId) -> Utf8PathBuf {
    state.join(FOLDER).join(format!("{run}.json"))
}

fn log(state: &Utf8Path, run: &RunId) -> Utf8PathBuf {
    state.join(FOLDER).join(format!("{run}.log"))
}

fn write(path: &Utf8Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)
}
