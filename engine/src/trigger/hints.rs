//! Hints that something may have changed: from the kernel where it tells, else from the clock. A hint is no more than a reason to look: what
//! counts is what lies there then, so a lost or repeated one does no harm beyond its time.

use std::collections::BTreeMap;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use notify::{Config, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::reads::Reads;

/// After a hint it is quiet for so long before anything is looked at: a program that writes many files is not met in its middle.
const QUIET: Duration = Duration::from_millis(150);
/// If it never is quiet, it is looked at all the same.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often is looked where nobody tells.
pub const OFTEN: Duration = Duration::from_secs(2);

/// Where hints come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Means {
    /// The kernel tells.
    Events,
    /// It is looked again and again.
    Polling {
        /// Why the kernel is not asked.
        reason: String,
    },
}

/// The hints for what a pipeline reads.
#[derive(Debug)]
pub struct Hints {
    means: Means,
    interval: Duration,
    received: UnboundedReceiver<()>,
    /// When the first hint came that was not told yet.
    since: Option<Instant>,
    /// When it is looked next, where nobody tells.
    look: Option<Instant>,
    _watcher: Option<RecommendedWatcher>,
}

impl Hints {
    /// Begins to listen: what changes from now on gives a hint. `poll`: how often to look instead of listening, if somebody wants that.
    #[must_use]
    pub fn new(reads: &Reads, poll: Option<Duration>) -> Self {
        let wanted = reads.clone();
        Self::listen(&reads.folders(), poll, move |path| wanted.may_be_at(path))
    }

    /// The same for all that happens in these folders, and below those that are deep.
    #[must_use]
    pub(super) fn of_folders(folders: &BTreeMap<Utf8PathBuf, bool>) -> Self {
        Self::listen(folders, None, |_| true)
    }

    fn listen(
        folders: &BTreeMap<Utf8PathBuf, bool>,
        poll: Option<Duration>,
        is_wanted: impl Fn(&Utf8Path) -> bool + Send + 'static,
    ) -> Self {
        let (sender, received) = unbounded_channel();
        let hints = |means, watcher| Self {
            means,
            interval: poll.unwrap_or(OFTEN),
            received,
            since: None,
            look: None,
            _watcher: watcher,
        };
        let polling = |reason: String| Means::Polling { reason };
        if poll.is_some() {
            return hints(polling("it was asked for".to_owned()), None);
        }
        if let Some(folder) = folders.keys().find(|folder| tidemill_cache::is_network(folder)) {
            let reason =
                format!("{folder} is on a file system of which the kernel does not tell what others change");
            return hints(polling(reason), None);
        }
        let told = move |event: notify::Result<notify::Event>| {
            if is_hint(&event, &is_wanted) {
                // Whoever listened may have gone.
                let _ = sender.send(());
            }
        };
        let watch = || {
            let mut watcher = RecommendedWatcher::new(told, Config::default())?;
            for (folder, deep) in folders {
                let mode = if *deep { RecursiveMode::Recursive } else { RecursiveMode::NonRecursive };
                match watcher.watch(folder.as_std_path(), mode) {
                    // It went in this moment; the folder above tells when it comes again.
                    Err(error) if matches!(error.kind, notify::ErrorKind::PathNotFound) => {}
                    watched => watched?,
                }
            }
            Ok::<_, notify::Error>(watcher)
        };
        match watch() {
            Ok(watcher) => hints(Means::Events, Some(watcher)),
            Err(error) => hints(polling(said(&error)), None),
        }
    }

    /// Where they come from.
    #[must_use]
    pub fn means(&self) -> &Means {
        &self.means
    }

    /// Waits for a hint, and until it is quiet after it. May be dropped and called again.
    pub async fn next(&mut self) {
        if matches!(self.means, Means::Polling { .. }) {
            // Who waits may have other things to do before that time, and come back.
            let look = *self.look.get_or_insert_with(|| Instant::now() + self.interval);
            sleep_until(look).await;
            self.look = None;
            return;
        }
        if self.since.is_none() {
            if self.received.recv().await.is_none() {
                // The watcher holds the other end for as long as this lives.
                std::future::pending::<()>().await;
            }
            self.since = Some(Instant::now());
        }
        let end = self.since.unwrap_or_else(Instant::now) + PATIENCE;
        loop {
            let quiet = (Instant::now() + QUIET).min(end);
            match timeout_at(quiet, self.received.recv()).await {
                Ok(Some(())) if Instant::now() < end => {}
                _ => break,
            }
        }
        self.since = None;
        while self.received.try_recv().is_ok() {}
    }
}

/// Whether something that happened may have changed what is read.
fn is_hint(event: &notify::Result<notify::Event>, is_wanted: impl Fn(&Utf8Path) -> bool) -> bool {
    match event {
        // Looking opens files itself.
        Ok(event) if event.kind.is_access() => false,
        // The kernel's queue was full, and nobody knows what happened.
        Ok(event) if event.need_rescan() || event.paths.is_empty() => true,
        // A name that is not UTF-8 is no input, but a folder above it may be.
        Ok(event) => event.paths.iter().any(|path| Utf8Path::from_path(path).is_none_or(&is_wanted)),
        Err(_) => true,
    }
}

/// Why the kernel does not tell, with what helps.
fn said(error: &notify::Error) -> String {
    match &error.kind {
        notify::ErrorKind::MaxFilesWatch => {
            "the kernel watches no more folders for this user (`sysctl fs.inotify.max_user_watches` says how many)".to_owned()
        }
        notify::ErrorKind::Io(error) => format!("the kernel does not tell of changes: {error}"),
        _ => format!("the kernel does not tell of changes: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use notify::event::{AccessKind, CreateKind, Flag};
    use notify::{Event, EventKind};

    use super::*;

    #[test]
    fn what_was_lost_may_be_anything() {
        let none = |_: &Utf8Path| false;
        let made = || Event::new(EventKind::Create(CreateKind::File)).add_path("/p/other".into());
        assert!(!is_hint(&Ok(made()), none));
        assert!(is_hint(&Ok(made()), |path: &Utf8Path| path == "/p/other"));
        assert!(is_hint(&Ok(made().set_flag(Flag::Rescan)), none));
        assert!(is_hint(&Ok(Event::new(EventKind::Other).set_flag(Flag::Rescan)), none));
        assert!(!is_hint(&Ok(Event::new(EventKind::Access(AccessKind::Any)).add_path("/p".into())), none));
        assert!(is_hint(&Err(notify::Error::generic("something")), none));
    }

    #[tokio::test]
    async fn a_hint_is_not_lost_with_who_waited_for_it() {
        let (sender, received) = unbounded_channel();
        let mut hints = Hints { received, ..Hints::of_folders(&BTreeMap::new()) };
        sender.send(()).unwrap();
        // It is seen, and not told yet: it is not quiet.
        assert!(tokio::time::timeout(Duration::from_millis(1), hints.next()).await.is_err());
        assert!(hints.since.is_some());
        hints.next().await;
        assert!(hints.since.is_none());
    }

    #[tokio::test]
    async fn where_nobody_tells_who_comes_back_goes_on_waiting() {
        let hour = Duration::from_secs(3_600);
        let mut hints = Hints::of_folders(&BTreeMap::new());
        hints.means = Means::Polling { reason: "it was asked for".to_owned() };
        hints.interval = hour;
        let mut look = async || {
            assert!(tokio::time::timeout(Duration::ZERO, hints.next()).await.is_err());
            hints.look
        };
        let first = look().await;
        assert!(first.is_some());
        assert_eq!(look().await, first, "it does not begin anew");
    }
}
