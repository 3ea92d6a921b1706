//! Removing the step folders that dead runs left behind.

use crate::name::RunId;
use crate::project::Project;
use crate::record::History;

/// Removes the step folders of runs whose process is gone.
pub(crate) fn remove(project: &Project) {
    let work = project.state().join("work");
    let history = History::below(project.state());
    let Ok(listing) = work.read_dir_utf8() else { return };
    for entry in listing.flatten() {
        let run = entry.file_name().split('.').next().and_then(|run| RunId::new(run).ok());
        let alive = run.is_some_and(|run| history.is_alive(&run));
        if !alive && let Err(error) = project.cache().discard(entry.path()) {
            tracing::warn!(folder = %entry.path(), %error, "a leftover step folder could not be removed");
        }
    }
}
