//! The order to stop: first politely, then at once.

use std::sync::Arc;

use tokio::sync::watch;

/// How urgently a run is to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Not at all.
    None,
    /// End what runs with SIGTERM, after ten seconds with SIGKILL.
    Terminate,
    /// End what runs with SIGKILL.
    Kill,
}

/// A shared order to stop, given from outside of a run.
#[derive(Debug, Clone)]
pub struct Cancellation {
    urgency: Arc<watch::Sender<Urgency>>,
}

impl Cancellation {
    /// No order yet.
    #[must_use]
    pub fn new() -> Self {
        Self { urgency: Arc::new(watch::Sender::new(Urgency::None)) }
    }

    /// Asks everything to end.
    pub fn terminate(&self) {
        self.raise(Urgency::Terminate);
    }

    /// Ends everything at once.
    pub fn kill(&self) {
        self.raise(Urgency::Kill);
    }

    /// How urgently to stop.
    #[must_use]
    pub fn urgency(&self) -> Urgency {
        *self.urgency.borrow()
    }

    /// Waits until the order is at least this urgent.
    pub async fn at_least(&self, wanted: Urgency) {
        let mut receiver = self.urgency.subscribe();
        // The sender lives as long as `self`, so the channel cannot close.
        let _ = receiver.wait_for(|urgency| *urgency >= wanted).await;
    }

    fn raise(&self, wanted: Urgency) {
        self.urgency.send_if_modified(|urgency| {
            let raised = *urgency < wanted;
            *urgency = (*urgency).max(wanted);
            raised
        });
    }
}

impl Default for Cancellation {
    fn default() -> Self {
        Self::new()
    }
}
