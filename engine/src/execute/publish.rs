//! Placing artifacts in the project. What lies there already and is not ours is moved aside, never overwritten.

use std::fs;
use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use tidemill_cache::{Artifact, CacheError, Place};

use crate::error::EngineError;
use crate::graph::{Graph, Step};
use crate::name::RunId;
use crate::plan::Outputs;
use crate::project::Project;

/// Where the digest of what was placed last is remembered.
const SPACE: &str = "published";

/// An artifact that was placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// The output.
    pub output: String,
    /// Where, relative to the pipeline's folder.
    pub path: String,
    /// Where what lay there was moved to.
    pub displaced: Option<Utf8PathBuf>,
}

/// Places the published outputs of a step that are not in place yet.
///
/// # Errors
/// If the cache has lost an artifact, or the file system says no.
pub fn publish(
    project: &Project,
    graph: &Graph,
    step: &Step,
    outputs: &Outputs,
    run: &RunId,
) -> Result<Vec<Placed>, EngineError> {
    let mut placed = Vec::new();
    for (name, output) in &step.outputs {
        let (Some(path), Some(Some(artifact))) = (&output.publish, outputs.get(name)) else { continue };
        let at = path.below(&graph.folder);
        let seen = project.cache().look(&at, project.rules())?;
        if seen.as_ref().is_some_and(|seen| seen.artifact == *artifact) && !at.is_symlink() {
            continue;
        }
        let lies_there = at.symlink_metadata().is_ok();
        let is_ours = match &seen {
            Some(seen) => is_ours(project, &seen.artifact, &at)?,
            None => false,
        };
        let displaced = match lies_there && !is_ours {
            true => Some(displace(project, &at, run)?),
            false => None,
        };
        place(project, artifact, &at, run)?;
        project.cache().remember(SPACE, at.as_str().as_bytes(), artifact.digest.to_string().as_bytes());
        let displaced = displaced.map(|path| project.relative(&path).to_owned());
        placed.push(Placed { output: name.to_string(), path: path.to_string(), displaced });
    }
    Ok(placed)
}

/// Whether what lies at a place may be replaced: it was placed there last, or nothing is lost because the cache has it. The
/// second is what counts when a run was killed before it could remember, or the index is gone.
fn is_ours(project: &Project, lies_there: &Artifact, at: &Utf8Path) -> Result<bool, EngineError> {
    let placed = project.cache().recall(SPACE, at.as_str().as_bytes());
    if placed == Some(lies_there.digest.to_string().into_bytes()) {
        return Ok(true);
    }
    Ok(project.cache().available(lies_there)?)
}

/// Moves what lies there to `.tidemill/displaced/<run>/<path in the project>`.
fn displace(project: &Project, at: &Utf8Path, run: &RunId) -> Result<Utf8PathBuf, EngineError> {
    let folder = project.state().join("displaced").join(run.as_str());
    let mut to = folder.join(project.relative(at));
    let mut count = 1;
    while to.symlink_metadata().is_ok() {
        count += 1;
        to = folder.join(format!("{}.{count}", project.relative(at)));
    }
    let parent = to.parent().unwrap_or(&folder);
    make_folder(parent)?;
    let moved = match fs::rename(at, &to) {
        // The state folder may lie on another file system than the project.
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            copy(at, &to).and_then(|()| remove(at))
        }
        moved => moved,
    };
    moved.map_err(|source| EngineError::Io { path: at.to_owned(), source })?;
    Ok(to)
}

/// Copies a file, a link or a whole folder to a place where nothing is.
fn copy(from: &Utf8Path, to: &Utf8Path) -> io::Result<()> {
    let kind = fs::symlink_metadata(from)?.file_type();
    if kind.is_symlink() {
        return std::os::unix::fs::symlink(fs::read_link(from)?, to);
    }
    if !kind.is_dir() {
        return fs::copy(from, to).map(drop);
    }
    fs::create_dir(to)?;
    for entry in from.read_dir_utf8()? {
        let entry = entry?;
        copy(entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

fn remove(path: &Utf8Path) -> io::Result<()> {
    match fs::symlink_metadata(path)?.is_dir() {
        true => fs::remove_dir_all(path),
        false => fs::remove_file(path),
    }
}

/// Places an artifact under a temporary name, then renames it. The temporary name is in the state folder, where a run that is
/// killed leaves nothing that the user would see; on another file system it is beside the place.
fn place(project: &Project, artifact: &Artifact, at: &Utf8Path, run: &RunId) -> Result<(), EngineError> {
    let parent = at.parent().expect("a place below a folder has a parent");
    if parent.symlink_metadata().is_err() {
        make_folder(parent)?;
    }
    // A small file that takes the place of a file, or of nothing, needs no folder on its way.
    if !at.is_dir() || at.is_symlink() {
        match project.cache().put_over(artifact, at) {
            Ok(true) => return Ok(()),
            Err(error @ CacheError::Missing { .. }) => return Err(error.into()),
            // What is in the way, another file system for one, is met again below, which can deal with it or tells of it.
            Ok(false) | Err(_) => {}
        }
    }
    let work = project.state().join("work");
    match place_through(project, artifact, at, &work, &format!("{run}.publish-")) {
        Err(EngineError::Io { source, .. }) if source.kind() == io::ErrorKind::CrossesDevices => {
            place_through(project, artifact, at, parent, ".tidemill-new-")
        }
        other => other,
    }
}

fn place_through(
    project: &Project,
    artifact: &Artifact,
    at: &Utf8Path,
    stage: &Utf8Path,
    prefix: &str,
) -> Result<(), EngineError> {
    let io = |source| EngineError::Io { path: at.to_owned(), source };
    make_folder(stage)?;
    let stage = tempfile::Builder::new().prefix(prefix).tempdir_in(stage).map_err(io)?;
    let new = Utf8PathBuf::try_from(stage.path().join("new")).map_err(|error| io(error.into_io_error()))?;
    let how = if project.publishes_links() { Place::Linked } else { Place::Writable };
    project.cache().place(artifact, &new, how)?;
    let old = new.with_file_name("old");
    match fs::symlink_metadata(at) {
        // A folder cannot be replaced by a rename; ours goes the same way that the new one came.
        Ok(data) if data.is_dir() => fs::rename(at, &old).map_err(io)?,
        Ok(_) if new.is_dir() => project.cache().discard(at)?,
        _ => {}
    }
    project.cache().rename(&new, at).map_err(io)?;
    project.cache().discard(&old)?;
    Ok(())
}

fn make_folder(path: &Utf8Path) -> Result<(), EngineError> {
    fs::create_dir_all(path).map_err(|source| EngineError::Io { path: path.to_owned(), source })
}
