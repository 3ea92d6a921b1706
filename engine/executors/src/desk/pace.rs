//! How often an engine is asked, and how much at once.

use std::time::Duration;

/// How often an engine is asked, and how much at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pace {
    /// How soon the states are asked for after something has happened.
    pub quick: Duration,
    /// How seldom they are asked for while nothing happens; what lies between grows by half each time.
    pub slow: Duration,
    /// How long a job waits for others that need the same.
    pub gather: Duration,
    /// How many jobs go in one batch at most.
    pub most_in_batch: usize,
    /// How many batches are submitted at the same time.
    pub submissions: usize,
    /// How many logs are read after each answer, and at the same time.
    pub logs: usize,
}

impl Default for Pace {
    /// What a cluster of some thousand jobs bears with ease.
    fn default() -> Self {
        Self {
            quick: Duration::from_millis(200),
            slow: Duration::from_secs(10),
            gather: Duration::from_millis(100),
            most_in_batch: 500,
            submissions: 4,
            logs: 8,
        }
    }
}
