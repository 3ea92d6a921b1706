//! When the checkpoint of an attempt is restored and saved: before its process begins, while it runs, after its end.

use std::sync::Arc;
use std::time::Duration;

use super::checkpoint::{Names, Saver};
use super::folder::StepFolder;
use super::worker::{Attempt, Work, storage};
use crate::failure::Failure;

/// How long until a checkpoint is looked at again that did not stand still.
const RESTLESS: Duration = Duration::from_secs(5);

impl Work {
    /// Puts what an earlier attempt has saved into the folder.
    pub(super) async fn restore(self: &Arc<Self>, folder: &Arc<StepFolder>) -> Result<(), Failure> {
        let Some(checkpoint) = self.step().checkpoint.clone() else { return Ok(()) };
        let Attempt { graph, execution, run, .. } = &self.attempt;
        let names = Names {
            pipeline: graph.pipeline.to_string(),
            step: self.step().id.to_string(),
            run: run.id.clone(),
        };
        let saver = Saver::new(&self.project, &checkpoint, &folder.root(), execution.resolved.key, names);
        let saver = self.saver.get_or_init(|| Arc::new(saver)).clone();
        let log = self.attempt.log.clone();
        self.blocking(move |_| match saver.restore() {
            Ok(restored) => {
                tracing::debug!(restored, %log, "a step with a checkpoint begins");
                Ok(())
            }
            Err(error) => Err(storage(&error)),
        })
        .await
    }

    /// Saves what the step has of its work, now and then, for as long as this is polled.
    pub(super) async fn save_now_and_then(self: &Arc<Self>) {
        let (Some(saver), Some(checkpoint)) = (self.saver.get(), &self.step().checkpoint) else {
            return std::future::pending().await;
        };
        let mut wait = checkpoint.every;
        loop {
            tokio::time::sleep(wait).await;
            let saver = Arc::clone(saver);
            let saved = self.blocking(move |_| saver.save()).await;
            // What is being written now stands still soon.
            wait = match saved {
                Ok(true) => checkpoint.every,
                Ok(false) => checkpoint.every.min(RESTLESS),
                Err(error) => {
                    tracing::warn!(step = %self.step().id, %error, "a checkpoint cannot be saved");
                    checkpoint.every
                }
            };
        }
    }

    /// After the end of the process: what it saved last, unless that is of no use any more.
    pub(super) fn save_last(&self, succeeded: bool) {
        let Some(saver) = self.saver.get() else { return };
        if let Err(error) = saver.finish(succeeded) {
            tracing::warn!(step = %self.step().id, %error, "the last checkpoint cannot be saved");
        }
    }
}
