//! A warden that is started when the first child is needed: a run that executes nothing starts no process.

use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};
use tokio::sync::Mutex;

use super::{ProcessError, Warden};

/// A warden that may not have been needed yet.
#[derive(Debug)]
pub struct LazyWarden {
    program: Utf8PathBuf,
    state: Utf8PathBuf,
    warden: Mutex<Option<Warden>>,
}

impl LazyWarden {
    /// A warden that `program` will be, if one is needed; `state` is the project's state folder.
    #[must_use]
    pub fn new(program: &Utf8Path, state: &Utf8Path) -> Self {
        Self { program: program.to_owned(), state: state.to_owned(), warden: Mutex::new(None) }
    }

    /// The warden, started now if there is none. What an earlier warden left behind in this project is ended first.
    ///
    /// # Errors
    /// If it cannot be started.
    pub async fn get(&self) -> Result<Warden, ProcessError> {
        let mut slot = self.warden.lock().await;
        if let Some(warden) = &*slot {
            return Ok(warden.clone());
        }
        // Before the new one is there: it has this process's environment, and if that is one of a dead run's, as of a shell which
        // a step had opened, it would be taken for something left behind.
        let state = self.state.clone();
        let swept = tokio::task::spawn_blocking(move || super::sweep(&state)).await;
        swept.expect("the sweep does not panic")?;
        let warden = Warden::start(&self.program, &self.state).await?;
        *slot = Some(warden.clone());
        Ok(warden)
    }

    /// Begins to start the warden, for a command that will come. That it cannot be started is told to that command.
    pub async fn begin(self: &Arc<Self>) {
        let this = Arc::clone(self);
        drop(tokio::spawn(async move {
            if let Err(error) = this.get().await {
                tracing::debug!(%error, "the warden is not there yet");
            }
        }));
        // Its first part is done beside what this thread does next.
        tokio::task::yield_now().await;
    }

    /// The warden, if there is one and it is not just being started.
    #[must_use]
    pub fn present(&self) -> Option<Warden> {
        self.warden.try_lock().ok()?.clone()
    }

    /// The warden was lost: the next child gets a new one.
    pub async fn forget(&self) {
        *self.warden.lock().await = None;
    }

    /// Ends the warden and whatever it still holds.
    pub async fn shutdown(&self) {
        if let Some(warden) = self.warden.lock().await.take() {
            warden.shutdown().await;
        }
    }
}
