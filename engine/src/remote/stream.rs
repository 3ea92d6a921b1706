//! What a step prints, passed on while it grows.

use std::time::Duration;

use camino::Utf8PathBuf;
use tokio::io::AsyncReadExt as _;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Is handed what is printed.
pub type Printed = Box<dyn FnMut(&[u8]) + Send>;

/// How often a log is looked at.
const OFTEN: Duration = Duration::from_millis(200);

/// A log that is passed on.
pub(super) struct Stream {
    end: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Stream {
    /// Passes on what a file holds, and what is added to it.
    pub(super) fn start(log: Utf8PathBuf, mut printed: Printed) -> Self {
        let (end, mut ended) = oneshot::channel();
        let task = tokio::spawn(async move {
            let mut file = None;
            loop {
                // What was written before the end is passed on after it.
                let is_last = tokio::select! {
                    _ = &mut ended => true,
                    () = tokio::time::sleep(OFTEN) => false,
                };
                if file.is_none() {
                    file = tokio::fs::File::open(&log).await.ok();
                }
                let mut bytes = Vec::new();
                if let Some(file) = &mut file
                    && file.read_to_end(&mut bytes).await.is_ok()
                    && !bytes.is_empty()
                {
                    printed(&bytes);
                }
                if is_last {
                    return;
                }
            }
        });
        Self { end, task }
    }

    /// Passes the rest on.
    pub(super) async fn finish(self) {
        let Self { end, task } = self;
        let _ = end.send(());
        if let Err(error) = task.await {
            tracing::warn!(%error, "a log was not passed on to its end");
        }
    }
}
