//! Asking the process of a run to stop.

use std::io;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::history::History;
use crate::name::RunId;

/// A run that cannot be asked to stop.
#[derive(Debug, thiserror::Error)]
pub enum StopError {
    /// Nobody knows its process.
    #[error("the process of run {run} cannot be told: stop it where it was started")]
    Unknown {
        /// The run.
        run: RunId,
    },
    /// It is on another machine.
    #[error("run {run} was started on {host}, and this is {here}")]
    Elsewhere {
        /// The run.
        run: RunId,
        /// Its machine.
        host: String,
        /// This one.
        here: String,
    },
    /// The system said no.
    #[error("cannot stop the run")]
    System(#[source] io::Error),
}

impl StopError {
    /// What to do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Elsewhere { run, .. } => Some(format!("type `tidemill cancel {run}` there")),
            Self::Unknown { .. } | Self::System(_) => None,
        }
    }
}

impl History {
    /// Asks the process of a run to stop, if it lives. Says whether it lived.
    ///
    /// # Errors
    /// If its process is not known, or is on another machine, or the system refuses.
    pub fn stop(&self, run: &RunId) -> Result<bool, StopError> {
        if !self.is_alive(run) {
            return Ok(false);
        }
        let unknown = || StopError::Unknown { run: run.clone() };
        let (process, host) = self.process(run).ok_or_else(unknown)?;
        let here = rustix::system::uname().nodename().to_string_lossy().into_owned();
        if host != here {
            return Err(StopError::Elsewhere { run: run.clone(), host, here });
        }
        let pid = Pid::from_raw(process).ok_or_else(unknown)?;
        let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else { return Ok(true) };
        // That it still lives now says that this is its process and no other one that got its number.
        if self.is_alive(run)
            && let Err(error) = pidfd_send_signal(&pidfd, Signal::TERM)
            && error != rustix::io::Errno::SRCH
        {
            return Err(StopError::System(error.into()));
        }
        Ok(true)
    }
}
