//! What a follower is told of his job.

use std::time::Duration;

use crate::{State, Ticket};

/// Something new about a job. After [`News::Refused`] and the state [`State::Ended`] there is no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// The engine has it.
    Submitted {
        /// Under which ticket.
        ticket: Ticket,
    },
    /// Where it is now; only changes are told.
    State(State),
    /// What it printed since the last time.
    Printed(Vec<u8>),
    /// The engine cannot be asked, for the second time in a row; it is asked until it answers. Told once.
    Unreachable {
        /// Why.
        reason: String,
        /// For how long by now.
        since: Duration,
    },
    /// It can be asked again.
    Reachable,
    /// The engine takes no more for now; the job waits, and it is tried again. Told once.
    Full {
        /// Why, in the engine's words.
        reason: String,
    },
    /// The engine will not take it.
    Refused {
        /// Why, in the engine's words.
        reason: String,
    },
}

impl News {
    /// Whether nothing follows.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::State(State::Ended { .. }))
    }
}
