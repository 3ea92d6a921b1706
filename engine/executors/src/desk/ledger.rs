//! Where batches are written down before they exist.

use std::io;

use crate::{Batch, BatchId};

/// Where batches are written down, by whoever uses the desk, so that a later process finds them.
pub trait Ledger: Send + Sync {
    /// Writes a batch down, with the label of each of its jobs. It is called before the batch is submitted the first time.
    ///
    /// # Errors
    /// If it cannot be written down: then nothing is submitted.
    fn note(&self, batch: &Batch, labels: &[String]) -> io::Result<()>;

    /// All jobs of the batch are done with, and the engine has forgotten them.
    fn erase(&self, batch: &BatchId);
}
