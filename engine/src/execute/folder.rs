//! The step folder: what an attempt finds and where it writes; made for one attempt, then removed, or kept if that failed.

use camino::{Utf8Path, Utf8PathBuf};
use tidemill_cache::{CacheError, Place};

use crate::graph::Step;
use crate::name::AttemptId;
use crate::plan::{Content, Material, Resolved};
use crate::project::Project;

/// The folder of one attempt below `.tidemill/work/`, or where it is kept.
#[derive(Debug, Clone)]
pub(crate) struct StepFolder {
    base: Utf8PathBuf,
}

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
        let folder = Self::of(project, id);
        let made = folder.fill(project, step, resolved);
        if made.is_err() {
            folder.discard(project);
        }
        made.map(|()| folder)
    }

    /// The folder whose parts lie here, or will.
    #[must_use]
    pub(crate) fn at(base: Utf8PathBuf) -> Self {
        Self { base }
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
        Self { base: project.state().join("work").join(id.as_str()) }
    }

    /// Fills it with the step's inputs and the parent folders of its outputs.
    ///
    /// # Errors
    /// As [`StepFolder::make`].
    pub(crate) fn fill(&self, project: &Project, step: &Step, resolved: &Resolved) -> Result<(), CacheError> {
        let make_folder = |path: &Utf8Path| project.cache().make_folder(path);
        let make_parent = |path: &Utf8Path| path.parent().map_or(Ok(()), make_folder);
        make_folder(&self.root())?;
        make_folder(&self.temporary())?;
        // A folder goes before what lies in it.
        let mut materials: Vec<&Material> = resolved.materials.iter().collect();
        materials.sort_by(|left, right| left.at.cmp(&right.at));
        for material in materials {
            let at = material.at.below(&self.root());
            make_parent(&at)?;
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
            make_parent(&output.path.below(&self.root()))?;
        }
        Ok(())
    }

    /// The working folder of the process.
    #[must_use]
    pub(crate) fn root(&self) -> Utf8PathBuf {
        self.base.join("folder")
    }

    /// The TMPDIR of the process.
    #[must_use]
    pub(crate) fn temporary(&self) -> Utf8PathBuf {
        self.base.join("tmp")
    }

    /// A file beside the folder that the process does not find by looking around.
    #[must_use]
    pub(crate) fn beside(&self, name: &str) -> Utf8PathBuf {
        self.base.join(name)
    }

    /// Removes it. What cannot be removed now is removed by a later run.
    pub(crate) fn discard(&self, project: &Project) {
        if let Err(error) = project.cache().discard(&self.base) {
            tracing::warn!(folder = %self.base, %error, "a step folder could not be removed");
        }
    }
}
