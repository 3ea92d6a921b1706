//! The events of a run for programs: one JSON object per line on standard output, as they happen.

use std::io;

use tidemill_engine::event::{Stamped, Subscriber};

use super::json;
use super::sink::Ui;

/// Writes events to standard output.
pub(crate) struct Events {
    ui: Ui,
    /// Whether somebody reads. The run goes on without them.
    written: io::Result<()>,
}

impl Events {
    /// Events on this way out.
    pub(crate) fn new(ui: Ui) -> Self {
        Self { ui, written: Ok(()) }
    }
}

impl Subscriber for Events {
    fn on(&mut self, event: &Stamped) {
        if self.written.is_ok() {
            self.written = self.ui.print(&json::line(event));
        }
    }
}
