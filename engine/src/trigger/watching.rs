//! One trigger that waits for a change: it is looked at what lies there whenever something may have changed, and told when it has settled.

use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use tidemill_cache::Digest;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::spawn_blocking;

use super::hints::{Hints, Means};
use super::reads::Reads;
use crate::load::{self, Overrides};
use crate::name::TriggerName;
use crate::project::Project;

/// A trigger that waits for a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Watch {
    /// The pipeline file, relative to the project.
    pub(super) file: String,
    /// The same (absolute).
    pub(super) path: Utf8PathBuf,
    pub(super) trigger: TriggerName,
    /// Globs, relative to the pipeline's folder; none for all that it reads.
    pub(super) only: Vec<String>,
    pub(super) settle: Duration,
}

/// What a trigger sees.
#[derive(Debug)]
pub(super) enum Sight {
    /// This lies there now, and has settled.
    Seen { file: String, trigger: TriggerName, digest: Digest },
    /// It is looked again and again instead of being told, and why.
    Polling { file: String, trigger: TriggerName, reason: String },
}

impl Watch {
    /// Looks for as long as somebody listens.
    pub(super) async fn follow(self, project: Project, told: UnboundedSender<Sight>) {
        let wanted = wanted(self.path.parent().unwrap_or(&self.path), &self.only);
        let mut has_told_means = false;
        loop {
            let reads = self.reads(&project).await;
            // From here on nothing is missed: who listens first sees what comes after it was looked.
            let mut hints = Hints::new(&reads, None);
            if let Means::Polling { reason } = hints.means()
                && !has_told_means
            {
                has_told_means = true;
                let (file, trigger) = (self.file.clone(), self.trigger.clone());
                if told.send(Sight::Polling { file, trigger, reason: reason.clone() }).is_err() {
                    return;
                }
            }
            let mut is_first = true;
            loop {
                if !std::mem::take(&mut is_first) {
                    hints.next().await;
                }
                let digest = self.settled(&project, &reads, &wanted).await;
                let (file, trigger) = (self.file.clone(), self.trigger.clone());
                if told.send(Sight::Seen { file, trigger, digest }).is_err() {
                    return;
                }
                if self.reads(&project).await != reads {
                    break;
                }
            }
        }
    }

    /// What lies there once it has stayed as it is for long enough.
    async fn settled(&self, project: &Project, reads: &Reads, wanted: &Wanted) -> Digest {
        let mut before = look(project, reads, wanted).await;
        loop {
            tokio::time::sleep(self.settle).await;
            let now = look(project, reads, wanted).await;
            if now == before {
                return now;
            }
            before = now;
        }
    }

    async fn reads(&self, project: &Project) -> Reads {
        let (project, path) = (project.clone(), self.path.clone());
        let read = spawn_blocking(move || {
            let overrides = Overrides::default();
            match load::load(&project, &path, &overrides) {
                Ok(graph) => Reads::of_graph(&project, &graph, &overrides),
                Err(_) => Reads::of_file(&project, &path, &overrides),
            }
        });
        read.await.unwrap_or_default()
    }
}

/// The folder and the globs of a trigger; none if it wants all.
type Wanted = Option<(Utf8PathBuf, GlobSet)>;

fn wanted(folder: &Utf8Path, only: &[String]) -> Wanted {
    if only.is_empty() {
        return None;
    }
    let mut globs = GlobSetBuilder::new();
    // They were checked when the file was read.
    only.iter().flat_map(|glob| GlobBuilder::new(glob).literal_separator(true).build()).for_each(|glob| {
        globs.add(glob);
    });
    Some((folder.to_owned(), globs.build().unwrap_or_default()))
}

async fn look(project: &Project, reads: &Reads, wanted: &Wanted) -> Digest {
    let (project, reads, wanted) = (project.clone(), reads.clone(), wanted.clone());
    let looked = spawn_blocking(move || {
        reads.look(&project).digest(|path| match &wanted {
            None => true,
            Some((folder, globs)) => path.strip_prefix(folder).is_ok_and(|path| globs.is_match(path)),
        })
    });
    looked.await.unwrap_or_else(|_| Digest::of(b""))
}
