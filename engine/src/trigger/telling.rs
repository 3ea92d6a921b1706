//! Tells what lies in the outbox of a project, for as long as somebody lets it: whenever something is written there, when the time of another
//! try comes, and when something may have happened in the registry.

use std::collections::BTreeMap;

use camino::Utf8PathBuf;
use jiff::{SignedDuration, Timestamp};

use super::dispatcher::DispatchError;
use super::hints::Hints;
use super::timer::Timer;
use crate::outbox::{self, Listener, Outbox};
use crate::project::Project;
use crate::registry::Registry;

/// If the outbox cannot be used now, it is tried again after so long.
const AGAIN: SignedDuration = SignedDuration::from_secs(30);

/// Tells what lies in the outbox until `stop`.
///
/// # Errors
/// If the outbox cannot be used.
pub async fn tell(
    project: Project,
    listener: Listener,
    stop: impl Future<Output = ()>,
) -> Result<(), DispatchError> {
    Outbox::below(project.state()).open()?;
    let mut timer = Timer::new().map_err(DispatchError::Timer)?;
    let mut folders = folders(&project);
    let mut hints = Hints::of_folders(&folders);
    tokio::pin!(stop);
    loop {
        if let Err(error) = outbox::look(&project) {
            tracing::error!(%error, "what happens in the registry is not told");
        }
        let pass = tokio::select! {
            () = &mut stop => return Ok(()),
            pass = outbox::deliver(&project, None, &listener) => pass,
        };
        // What is not told now lies there still.
        let next = pass.map(|pass| pass.next).unwrap_or_else(|error| {
            tracing::error!(%error, "what waits is not told now");
            Timestamp::now().checked_add(AGAIN).ok()
        });
        let now = self::folders(&project);
        if now != folders {
            // Who listens first sees what comes after it was looked: so it is looked once more.
            folders = now;
            hints = Hints::of_folders(&folders);
            continue;
        }
        tokio::select! {
            () = &mut stop => return Ok(()),
            () = hints.next() => {}
            () = timer.until(next) => {}
        }
    }
}

/// Where something may happen that is to be told.
fn folders(project: &Project) -> BTreeMap<Utf8PathBuf, bool> {
    let registry = Registry::at(project.state());
    let mut folders = BTreeMap::from([(Outbox::below(project.state()).folder().to_owned(), false)]);
    for folder in [registry.models_folder(), registry.endpoints_folder()] {
        if folder.exists() {
            folders.insert(folder, true);
        }
    }
    folders
}
