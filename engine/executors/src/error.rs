//! Why an engine could not be asked.

/// Why an engine did not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExecutorError {
    /// It cannot be reached: whether it did something is not known, and asking again may help.
    #[error("{engine} cannot be reached: {reason}")]
    Unreachable {
        /// Which.
        engine: String,
        /// Why, in one line.
        reason: String,
    },
    /// It says no, and says no again until something is changed: a partition that is not there, more than any machine has.
    #[error("{engine} refuses: {reason}")]
    Refused {
        /// Which.
        engine: String,
        /// Why, in its own words.
        reason: String,
    },
    /// It takes no more for now: a quota, a limit of jobs.
    #[error("{engine} takes no more: {reason}")]
    Full {
        /// Which.
        engine: String,
        /// Why, in its own words.
        reason: String,
    },
    /// It answers what cannot be understood.
    #[error("{engine} answers what cannot be understood: {answer}")]
    Unintelligible {
        /// Which.
        engine: String,
        /// The beginning of it.
        answer: String,
    },
}
