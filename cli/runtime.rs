//! The asynchronous runtime, made only by the commands that need it, and the signals that stop a run.

use std::future::Future;
use std::time::Duration;

use tidemill_engine::Cancellation;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::CliError;
use crate::ui::{Ui, sink};

/// Threads of the server; what else is done to its end needs no more.
const THREADS: usize = 2;

/// Within this time after the first signal another one is the same: wrappers pass on what the terminal sent to all.
const SAME: Duration = Duration::from_millis(250);

/// Does one thing to its end.
pub(crate) fn block_on<F: Future>(future: F) -> Result<F::Output, CliError> {
    Ok(start(Builder::new_multi_thread().worker_threads(THREADS))?.block_on(future))
}

/// Does one thing to its end. The first Ctrl-C or SIGTERM asks it to stop, the second stops it at once.
pub(crate) fn with_signals<F: Future>(
    ui: Ui,
    work: impl FnOnce(Cancellation) -> F,
) -> Result<F::Output, CliError> {
    // Attempts are processes and files are read elsewhere: what is left is handed from hand to hand, best by one thread.
    start(&mut Builder::new_current_thread())?.block_on(async {
        let cancel = Cancellation::new();
        let listen =
            |kind| signal(kind).map_err(|source| CliError::Setup { action: "listen to signals", source });
        let interrupt = listen(SignalKind::interrupt())?;
        let terminate = listen(SignalKind::terminate())?;
        let suspend = listen(SignalKind::from_raw(rustix::process::Signal::TSTP.as_raw()))?;
        let work = work(cancel.clone());
        let watch = watch(ui, cancel, Signals { interrupt, terminate, suspend });
        tokio::pin!(work, watch);
        tokio::select! {
            done = &mut work => Ok(done),
            never = &mut watch => match never {},
        }
    })
}

/// Listens for as long as the work takes.
async fn watch(ui: Ui, cancel: Cancellation, mut signals: Signals) -> std::convert::Infallible {
    signals.next().await;
    ui.tell("\nstopping what runs; once more to stop it at once\n");
    cancel.terminate();
    // Whatever ends this wait early is an echo of the first.
    let echoes = async {
        loop {
            signals.next().await;
        }
    };
    let Err(_over) = tokio::time::timeout(SAME, echoes).await;
    signals.next().await;
    ui.tell("\nstopping at once\n");
    cancel.kill();
    std::future::pending().await
}

/// The signals that a run listens to.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    suspend: Signal,
}

impl Signals {
    /// Waits for the next one that asks to end. Ctrl-Z stops this process in between; the steps go on.
    async fn next(&mut self) {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => return,
                _ = self.terminate.recv() => return,
                _ = self.suspend.recv() => sink::suspend(),
            }
        }
    }
}

fn start(builder: &mut Builder) -> Result<Runtime, CliError> {
    builder.enable_all().build().map_err(|source| CliError::Setup { action: "start threads", source })
}
