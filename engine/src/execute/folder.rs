//! The step folder: what an attempt finds and where it writes; made for one attempt, then removed, or kept if that failed.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};
use tidemill_cache::{CacheError, Frame, Place, RelPath};

use crate::graph::Step;
use crate::name::AttemptId;
use crate::plan::{Content, Material, Resolved};
use crate::project::Project;

/// The folder of one attempt below `.tidemill/work/`, or where it is kept.
#[derive(Debug, Clone)]
pub(crate) struct StepFolder {
    base: Utf8PathBuf,
    /// Its folders, if it was made here.
    frame: Option<Frame>,
}

const WORKING: &str = "folder";
const TEMPORARY: &str = "tmp";

impl StepFolder {
    /// Makes the folder with the step's inputs and the parent folders of its outputs.
    ///
    /// # Errors
    /// If an input changed since it was looked at, an artifact is gone, or the file system says no.
    pub(crate) fn make(
        project: &Project,
        id: &AttemptId,
        step: &Step,
        resolved: &Resolved,
    ) -> Result<Self, CacheError> {
        let mut folder = Self::of(project, id);
        let made = folder.fill(project, step, resolved);
        if made.is_err() {
            folder.discard(project);
        }
        made.map(|()| folder)
    }

    /// The folder whose parts lie here, or will.
    #[must_use]
    pub(crate) fn at(base: Utf8PathBuf) -> Self {
        Self { base, frame: None }
    }

    /// Where its parts lie.
    #[must_use]
    pub(crate) fn base(&self) -> &Utf8Path {
        &self.base
    }

    /// Where the working folder of this attempt is, or was.
    #[must_use]
    pub(crate) fn root_of(project: &Project, id: &AttemptId) -> Utf8PathBuf {
        Self::of(project, id).root()
    }

    fn of(project: &Project, id: &AttemptId) -> Self {
        Self::at(project.state().join("work").join(id.as_str()))
    }

    /// Fills it with the step's inputs and the parent folders of its outputs.
    ///
    /// # Errors
    /// As [`StepFolder::make`].
    pub(crate) fn fill(
        &mut self,
        project: &Project,
        step: &Step,
        resolved: &Resolved,
    ) -> Result<(), CacheError> {
        let folders = folders(step, resolved);
        let make_parent = |path: &RelPath| match path.parent() {
            Some(parent) if !folders.contains(&below_base(&parent)) => {
                let parent = parent.below(&self.root());
                std::fs::create_dir_all(&parent).map_err(|source| CacheError::Io {
                    action: "create",
                    path: parent,
                    source,
                })
            }
            _ => Ok(()),
        };
        let frame = project.cache().make_frame(&self.base, folders.clone())?;
        // A folder goes before what lies in it.
        let mut materials: Vec<&Material> = resolved.materials.iter().collect();
        materials.sort_by(|left, right| left.at.cmp(&right.at));
        for material in materials {
            make_parent(&material.at)?;
            let at = material.at.below(&self.root());
            match &material.content {
                // Two inputs may name the same file, or a folder and a file in it.
                Content::Project { .. } if at.symlink_metadata().is_ok() => {}
                Content::Project { source, seen, .. } => project.cache().bring(seen, source, &at)?,
                Content::Artifact { artifact, .. } => {
                    project.cache().place(artifact, &at, Place::ReadOnly)?;
                }
            }
        }
        for output in step.outputs.values() {
            make_parent(&output.path)?;
        }
        self.frame = Some(frame);
        Ok(())
    }

    /// The working folder of the process.
    #[must_use]
    pub(crate) fn root(&self) -> Utf8PathBuf {
        self.base.join(WORKING)
    }

    /// The TMPDIR of the process.
    #[must_use]
    pub(crate) fn temporary(&self) -> Utf8PathBuf {
        self.base.join(TEMPORARY)
    }

    /// A file beside the folder that the process does not find by looking around.
    #[must_use]
    pub(crate) fn beside(&self, name: &str) -> Utf8PathBuf {
        self.base.join(name)
    }

    /// Removes it. What cannot be removed now is removed by a later run.
    pub(crate) fn discard(&self, project: &Project) {
        self.removed(project.cache().discard(&self.base));
    }

    /// Removes it after an attempt of which no process is left; its parts may serve the next.
    pub(crate) fn recycle(&self, project: &Project) {
        match &self.frame {
            Some(frame) => self.removed(project.cache().recycle(&self.base, frame)),
            None => self.discard(project),
        }
    }

    fn removed(&self, removed: Result<(), CacheError>) {
        if let Err(error) = removed {
            tracing::warn!(folder = %self.base, %error, "a step folder could not be removed");
        }
    }
}

/// The folders that a step folder has before anything is placed in it, relative to its base, each with those above it: but for
/// those that an input brings with it.
fn folders(step: &Step, resolved: &Resolved) -> BTreeSet<Utf8PathBuf> {
    let mut folders: BTreeSet<Utf8PathBuf> = [WORKING, TEMPORARY].map(Utf8PathBuf::from).into();
    let brought: BTreeSet<&RelPath> = resolved.materials.iter().map(|material| &material.at).collect();
    let is_brought = |folder: &RelPath| {
        std::iter::successors(Some(folder.clone()), RelPath::parent).any(|above| brought.contains(&above))
    };
    let outputs = step.outputs.values().map(|output| &output.path);
    for place in brought.iter().copied().chain(outputs) {
        let above = std::iter::successors(place.parent(), RelPath::parent);
        folders.extend(above.filter(|folder| !is_brought(folder)).map(|folder| below_base(&folder)));
    }
    folders
}

fn below_base(path: &RelPath) -> Utf8PathBuf {
    path.below(Utf8Path::new(WORKING))
}
