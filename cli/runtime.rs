//! The asynchronous runtime, made only by the commands that need it, and the signals that stop a run.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
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

/// Whether something runs that a signal would stop.
#[derive(Debug, Default)]
pub(crate) struct Idle {
    busy: AtomicBool,
}

impl Idle {
    /// Something runs, for as long as the answer is there.
    pub(crate) fn busy(&self) -> Busy<'_> {
        self.busy.store(true, Ordering::Relaxed);
        Busy(self)
    }

    fn is_idle(&self) -> bool {
        !self.busy.load(Ordering::Relaxed)
    }
}

/// Something runs.
pub(crate) struct Busy<'a>(&'a Idle);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.busy.store(false, Ordering::Relaxed);
    }
}

/// Does one thing to its end.
pub(crate) fn block_on<F: Future>(future: F) -> Result<F::Output, CliError> {
    Ok(start(Builder::new_multi_thread().worker_threads(THREADS))?.block_on(future))
}

/// Does one thing to its end. The first Ctrl-C or SIGTERM asks it to stop, the second stops it at once.
pub(crate) fn with_signals<F: Future>(
    ui: Ui,
    work: impl FnOnce(Cancellation) -> F,
) -> Result<F::Output, CliError> {
    let never = Idle::default();
    let _busy = never.busy();
    with_signals_while(ui, &never, work)
}

/// The same for what runs now and then: while it is idle, a signal stops nothing, and nothing is said of it.
pub(crate) fn with_signals_while<F: Future>(
    ui: Ui,
    idle: &Idle,
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
        let watch = watch(ui, idle, cancel, Signals { interrupt, terminate, suspend });
        tokio::pin!(work, watch);
        tokio::select! {
            done = &mut work => Ok(done),
            never = &mut watch => match never {},
        }
    })
}

/// Listens for as long as the work takes.
async fn watch(ui: Ui, idle: &Idle, cancel: Cancellation, mut signals: Signals) -> std::convert::Infallible {
    signals.next().await;
    if !idle.is_idle() {
        ui.tell("\nstopping what runs; once more to stop it at once\n");
    }
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
