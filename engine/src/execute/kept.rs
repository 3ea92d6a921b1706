//! Step folders that outlive their attempts: those of failed attempts, as the step left them, and those that were made to look
//! around in. One for each step, the newest, and not many in all.
//!
//! On disk: `.tidemill/failed/<pipeline>/<step>/<attempt>/`, and the same below `.tidemill/debug/`. Each holds `folder/`,
//! `tmp/`, `attempt.json` (a [`Card`], written last) and `in-use`, which who works in it holds locked: what is locked is not
//! removed, but marked `outdated`, and goes when its last user leaves. A failed attempt's folder is renamed to there, so it
//! is there whole or not at all.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};
use tidemill_cache::{Digest, Key};

use super::folder::StepFolder;
use crate::effects::file_name;
use crate::failure::{Failure, StepFailure};
use crate::name::{AttemptId, PipelineName, StepId};
use crate::plan::{Paths, RunFacts};
use crate::project::Project;

/// Why a step folder is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// An attempt failed in it.
    Failed,
    /// It was made to look around in.
    Fresh,
}

/// What is known of the attempt that a folder belongs to. It holds no secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Card {
    /// The attempt.
    pub attempt: AttemptId,
    /// The pipeline.
    pub pipeline: PipelineName,
    /// The step.
    pub step: StepId,
    /// Its key.
    pub key: Key,
    /// Facts of the run.
    pub run: RunFacts,
    /// When the attempt ended, or the folder was made.
    pub at: jiff::Timestamp,
    /// Why the attempt failed, if one was made.
    pub failure: Option<Failure>,
    /// The command as it ran; none for a built-in, whose order lies beside the folder.
    pub command: Option<Vec<String>>,
    /// The variables that the step declares; none for the value of one that comes from a secret.
    pub declared: BTreeMap<String, Option<String>>,
    /// What the command sees of its inputs, relative to the folder.
    pub paths: Paths,
    /// The GPUs that it had.
    pub gpus: Vec<String>,
}

/// A step folder that is kept.
#[derive(Debug, Clone, Serialize)]
pub struct Kept {
    /// Why.
    pub origin: Origin,
    /// What is known of its attempt.
    #[serde(flatten)]
    pub card: Card,
    /// The step's folder.
    pub folder: Utf8PathBuf,
    #[serde(skip)]
    base: Utf8PathBuf,
}

/// How many folders of failed attempts are kept in all.
const MOST: usize = 20;
const CARD: &str = "attempt.json";
const IN_USE: &str = "in-use";
const OUTDATED: &str = "outdated";

impl Origin {
    fn room(self, project: &Project) -> Utf8PathBuf {
        project.state().join(match self {
            Self::Failed => "failed",
            Self::Fresh => "debug",
        })
    }

    /// Where the folders of a step are kept.
    fn shelf(self, project: &Project, pipeline: &PipelineName, step: &StepId) -> Utf8PathBuf {
        let pipeline = match project.state().starts_with(project.root()) {
            true => pipeline.to_string(),
            // Another checkout may share the state, and its failures are not ours.
            false => format!("{pipeline}@{}", Digest::of(project.root().as_str().as_bytes()).short()),
        };
        self.room(project).join(pipeline).join(file_name(step.as_str()))
    }

    /// Where the folder of an attempt is kept.
    #[must_use]
    pub(crate) fn base(self, project: &Project, card: &Card) -> Utf8PathBuf {
        self.shelf(project, &card.pipeline, &card.step).join(card.attempt.as_str())
    }
}

/// Whether there is something to be seen in the folder of an attempt that failed like this. Not if it was stopped, if the machine
/// failed (its disk may be full), or if nothing was wrong with what the step did.
#[must_use]
pub(crate) fn is_worth_keeping(failure: &Failure) -> bool {
    match failure {
        Failure::Step(
            StepFailure::InputChanged { .. }
            | StepFailure::InputQuarantined { .. }
            | StepFailure::TargetMoved { .. },
        ) => false,
        Failure::Step(_) => true,
        Failure::Infrastructure(_) | Failure::Cancelled => false,
    }
}

/// Keeps the folder of a failed attempt in place of older ones of its step: where it is now.
///
/// # Errors
/// If the file system says no; the folder is where it was then.
pub(crate) fn keep(project: &Project, folder: &StepFolder, card: &Card) -> io::Result<StepFolder> {
    write_card(folder, card)?;
    let to = Origin::Failed.base(project, card);
    move_to(folder.base(), &to)?;
    clear_but(project, Origin::Failed, card);
    let mut all = all_of(project, Origin::Failed);
    all.sort_by(|a, b| b.card.attempt.as_str().cmp(a.card.attempt.as_str()));
    all.iter().skip(MOST).for_each(|kept| kept.remove(project));
    Ok(StepFolder::at(to))
}

/// Writes what is known of an attempt beside its folder. With it, the folder counts.
pub(crate) fn write_card(folder: &StepFolder, card: &Card) -> io::Result<()> {
    fs::write(folder.beside(CARD), serde_json::to_vec_pretty(card)?)
}

/// Removes the other folders of a step that nobody works in.
pub(crate) fn clear_but(project: &Project, origin: Origin, card: &Card) {
    let shelf = origin.shelf(project, &card.pipeline, &card.step);
    for base in folders(&shelf).into_iter().filter(|base| base.file_name() != Some(card.attempt.as_str())) {
        remove(project, &base);
    }
}

/// Removes the folders of a step's failed attempts: it has succeeded.
pub(crate) fn forget(project: &Project, pipeline: &PipelineName, step: &StepId) {
    folders(&Origin::Failed.shelf(project, pipeline, step)).iter().for_each(|base| remove(project, base));
}

/// The folder of a step's newest failed attempt.
#[must_use]
pub(crate) fn newest_failed(project: &Project, pipeline: &PipelineName, step: &StepId) -> Option<Kept> {
    let mut bases = folders(&Origin::Failed.shelf(project, pipeline, step));
    bases.sort();
    bases.into_iter().rev().find_map(|base| Kept::read(Origin::Failed, base))
}

/// All step folders that are kept, the newest first.
#[must_use]
pub fn kept(project: &Project) -> Vec<Kept> {
    let mut all = all_of(project, Origin::Failed);
    all.extend(all_of(project, Origin::Fresh));
    all.sort_by_key(|kept| std::cmp::Reverse(kept.card.at));
    all
}

/// Removes all step folders that are kept and that nobody works in: how many.
#[must_use]
pub fn remove_kept(project: &Project) -> usize {
    let count = |origin: Origin| {
        let bases = all_bases(project, origin);
        bases.iter().for_each(|base| remove(project, base));
        bases.iter().filter(|base| !base.exists()).count()
    };
    count(Origin::Failed) + count(Origin::Fresh)
}

impl Kept {
    fn read(origin: Origin, base: Utf8PathBuf) -> Option<Self> {
        if base.join(OUTDATED).exists() {
            return None;
        }
        let card = serde_json::from_slice(&fs::read(base.join(CARD)).ok()?).ok()?;
        let folder = StepFolder::at(base.clone()).root();
        Some(Self { origin, card, folder, base })
    }

    /// The step folder.
    #[must_use]
    pub(crate) fn step_folder(&self) -> StepFolder {
        StepFolder::at(self.base.clone())
    }

    fn remove(&self, project: &Project) {
        remove(project, &self.base);
    }
}

/// Says that someone works in a folder, until the file is dropped; several may. None: it is being removed.
///
/// # Errors
/// If the file system says no.
pub(crate) fn work_in(folder: &StepFolder) -> io::Result<Option<File>> {
    let file = OpenOptions::new().create(true).append(true).open(folder.beside(IN_USE))?;
    match file.try_lock_shared() {
        Ok(()) => Ok(Some(file)),
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        Err(fs::TryLockError::Error(error)) => Err(error),
    }
}

fn all_of(project: &Project, origin: Origin) -> Vec<Kept> {
    all_bases(project, origin).into_iter().filter_map(|base| Kept::read(origin, base)).collect()
}

fn all_bases(project: &Project, origin: Origin) -> Vec<Utf8PathBuf> {
    let pipelines = folders(&origin.room(project)).into_iter();
    pipelines.flat_map(|pipeline| folders(&pipeline)).flat_map(|step| folders(&step)).collect()
}

/// The folders in a folder; none if it is not there or cannot be read.
fn folders(folder: &Utf8Path) -> Vec<Utf8PathBuf> {
    let Ok(listing) = folder.read_dir_utf8() else { return Vec::new() };
    listing.flatten().map(camino::Utf8DirEntry::into_path).collect()
}

/// After someone's work in a folder: removes it if that was asked for meanwhile.
pub(crate) fn leave(project: &Project, folder: &StepFolder, in_use: File) {
    drop(in_use);
    if folder.beside(OUTDATED).exists() {
        remove(project, folder.base());
    }
}

/// Removes a folder, and the folders above it that are empty then; if someone works in it, marks it.
pub(crate) fn remove(project: &Project, base: &Utf8Path) {
    let lock = File::open(base.join(IN_USE)).ok();
    if lock.as_ref().is_some_and(|file| file.try_lock().is_err()) {
        if let Err(error) = fs::write(base.join(OUTDATED), "") {
            tracing::warn!(folder = %base, %error, "a kept step folder could not be marked as outdated");
        }
        return;
    }
    if let Err(error) = project.cache().discard(base) {
        tracing::warn!(folder = %base, %error, "a kept step folder could not be removed");
        return;
    }
    // Of a step or a pipeline that has others this says no.
    for folder in base.ancestors().skip(1).take(2) {
        if fs::remove_dir(folder).is_err() {
            break;
        }
    }
}

/// Renames a folder to a place whose parents another process may be removing just now because they are empty.
fn move_to(from: &Utf8Path, to: &Utf8Path) -> io::Result<()> {
    const TRIES: usize = 3;
    let attempt = || {
        fs::create_dir_all(to.parent().unwrap_or(to))?;
        fs::rename(from, to)
    };
    let gone =
        |result: &io::Result<()>| result.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
    let mut moved = attempt();
    for _ in 1..TRIES {
        if !gone(&moved) {
            break;
        }
        moved = attempt();
    }
    moved
}
