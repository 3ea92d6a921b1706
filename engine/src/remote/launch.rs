//! An attempt that is made elsewhere, as whoever waits for it sees it: its order goes to the store, a job is handed to the executor, and
//! what its worker reports is taken as if it had been made here.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tidemill_cache::{CacheError, Digest, NewResult};
use tidemill_executors::{End, ExecutorError, Following, Job, News, Resources, State, Ticket};
use tidemill_store::Pushing;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc::UnboundedSender;

use super::fleet::{Orphan, Post};
use super::ledger::Label;
use super::order::Order;
use super::ranks::gather;
use super::report::{Report, ReportError};
use super::surroundings::surroundings;
use crate::error::EngineError;
use crate::event::{Elsewhere, Undeclared, UsagePoint};
use crate::execute::{Attempt, Cancellation, Ended, Finished, Urgency, describe, tail};
use crate::failure::{Failure, FailureReport, InfraFailure, Memory, StepFailure};
use crate::graph::Step;
use crate::name::{AttemptId, RunId};
use crate::plan::{absent, outputs_of};
use crate::project::Project;

/// What an engine gives a worker beyond the time of its step: to fetch what it reads, and to send what it made.
const TRANSFER: Duration = Duration::from_secs(3600);

/// An attempt elsewhere.
pub(crate) struct Launch {
    pub(crate) project: Project,
    /// What is to be made.
    pub(crate) attempt: Attempt,
    /// The run in which it is made.
    pub(crate) run: RunId,
    /// Where.
    pub(crate) post: Arc<Post>,
    /// The attempt of a dead run that makes the same.
    pub(crate) orphan: Option<Orphan>,
    /// By what its memory is to be multiplied, for it ran out of it.
    pub(crate) memory: u64,
    /// What its worker has told beside its result.
    pub(crate) told: OnceLock<Told>,
    /// Is told how it goes.
    pub(crate) news: UnboundedSender<(usize, AttemptId, Elsewhere)>,
}

/// What a worker tells beside its result.
#[derive(Debug, Default)]
pub(crate) struct Told {
    undeclared: Option<Undeclared>,
    used: Vec<UsagePoint>,
}

/// How far an attempt came.
struct Course {
    /// Its order.
    order: Digest,
    following: Following,
    /// The log as far as it was streamed.
    log: tokio::fs::File,
}

impl Launch {
    /// Makes it.
    pub(crate) async fn make(self, cancel: &Cancellation) -> Ended {
        let began = Instant::now();
        let made = match self.begin(cancel).await {
            Ok(course) => self.follow(course, cancel).await,
            Err(failure) => Err(self.report(failure)),
        };
        let Told { undeclared, used } = self.told.into_inner().unwrap_or_default();
        Ended { undeclared, used, result: made, took: began.elapsed() }
    }

    fn step(&self) -> &Step {
        self.attempt.graph.step(self.attempt.step)
    }

    fn tell(&self, how: Elsewhere) {
        // The loop may be gone: then nobody wants to know.
        let _ = self.news.send((self.attempt.step.get(), self.attempt.id.clone(), how));
    }

    /// Hands it in, or takes up the one that a dead run has handed in.
    async fn begin(&self, cancel: &Cancellation) -> Result<Course, Failure> {
        let log = {
            let _turn = self.post.write().await;
            tokio::fs::File::create(&self.attempt.log).await
        };
        let log = log.map_err(|error| storage(&format!("{}: {error}", self.attempt.log)))?;
        if let Some(orphan) = &self.orphan {
            self.tell(Elsewhere::Adopted { run: orphan.label().run.clone() });
            let following = self.post.adopt(&self.project, orphan);
            return Ok(Course { order: orphan.label().order, following, log });
        }
        let sent = self.send_order(cancel).await?;
        let program = tokio::select! {
            program = self.post.program(&self.project) => program,
            () = cancel.at_least(Urgency::Terminate) => return Err(Failure::Cancelled),
        };
        let program = program.map_err(|error| self.not_taken(&error))?;
        let step = self.step();
        let (env, secrets) =
            surroundings(&self.project, step, &self.post.settings.shared).map_err(Failure::Step)?;
        let label = Label {
            key: self.attempt.execution.resolved.key,
            after: self.attempt.execution.after,
            order: sent,
            run: self.run.clone(),
            pipeline: self.attempt.graph.pipeline.clone(),
            step: step.id.clone(),
            attempt: self.attempt.id.clone(),
            secrets,
        };
        let mut argv = vec![program.to_owned(), "worker".to_owned(), sent.to_string()];
        argv.extend(self.post.settings.shared.cache.iter().map(|folder| format!("--cache={folder}")));
        argv.extend(self.post.settings.shared.cache_size.map(|bytes| format!("--cache-size={bytes}")));
        if self.post.shares_gpus() {
            argv.push("--lease-gpus".to_owned());
        }
        let name = format!("{}.{}", label.pipeline, step.name);
        let following = self.post.submit(&name, self.resources(), Job { argv, env }, &label);
        Ok(Course { order: sent, following, log })
    }

    fn resources(&self) -> Resources {
        let needs = &self.step().resources;
        Resources {
            nodes: needs.nodes,
            cpus: needs.cpus,
            memory: needs.memory.map(|bytes| bytes.saturating_mul(self.memory)),
            gpus: needs.gpus,
            gpu_type: needs.gpu_type.clone(),
            vram: needs.vram,
            time: self.attempt.timeout.map(|limit| limit + TRANSFER),
        }
    }

    /// Puts the order into the store, with all that it reads and the store lacks; its digest.
    async fn send_order(&self, cancel: &Cancellation) -> Result<Digest, Failure> {
        let (project, attempt) = (self.project.clone(), self.attempt.clone());
        let store =
            crate::exchange::store(&project).map_err(|error| storage(&describe(&error)))?.store.clone();
        let pushing = Pushing::aside();
        let stop = pushing.clone();
        let send = move || {
            let Attempt { graph, step, execution, id, run, timeout, .. } = &attempt;
            let order = Order::new(&project, graph, *step, &execution.resolved, id.clone(), run.clone());
            let mut order = order.map_err(|error| match error {
                CacheError::Changed { path } => Failure::Step(StepFailure::InputChanged {
                    input: String::new(),
                    path: project.relative(&path).to_string(),
                }),
                error => storage(&describe(&error)),
            })?;
            Arc::make_mut(&mut order.step.common).timeout = *timeout;
            let (digest, carried) = order.put(&project).map_err(|error| storage(&describe(&error)))?;
            let pushed = store.push(project.cache(), vec![carried], &pushing);
            let pushed = pushed.map_err(|error| storage(&describe(&error)))?;
            match pushed.left.first() {
                None => Ok(digest),
                Some((_, reason)) => {
                    Err(storage(&format!("the store did not take what the step reads: {reason}")))
                }
            }
        };
        let _turn = tokio::select! {
            turn = self.post.transfer() => turn,
            () = cancel.at_least(Urgency::Terminate) => return Err(Failure::Cancelled),
        };
        let mut sent = tokio::task::spawn_blocking(send);
        tokio::select! {
            sent = &mut sent => sent.expect("sending an order does not panic"),
            () = cancel.at_least(Urgency::Terminate) => {
                stop.stop();
                // It may be in the middle of a request.
                drop(sent.await);
                Err(Failure::Cancelled)
            }
        }
    }

    /// Waits for its end.
    async fn follow(&self, mut course: Course, cancel: &Cancellation) -> Result<Finished, FailureReport> {
        let mut is_cancelled = false;
        let end = loop {
            tokio::select! {
                news = course.following.next() => match news {
                    Some(news) => match self.hear(&mut course, news).await {
                        None => {}
                        Some(end) => break end,
                    },
                    None => break Err(self.lost("its executor says nothing more of it")),
                },
                () = cancel.at_least(Urgency::Terminate), if !is_cancelled => {
                    is_cancelled = true;
                    course.following.cancel();
                }
                // It was asked to end; whoever cannot wait for that finds it again.
                () = cancel.at_least(Urgency::Kill) => return Err(self.report(Failure::Cancelled)),
            }
        };
        course.log.flush().await.ok();
        let order = course.order;
        let report = self.find_report(order).await;
        let made = match (end, report) {
            (Err(failure), _) => Err(self.report(failure)),
            (Ok(_), Err(failure)) => Err(self.report(failure)),
            (Ok(end), Ok(Some(report))) if report.result.is_err() && is_cut_off(&end, is_cancelled) => {
                self.hear_out(&report);
                Err(self.report(self.unreported(&end, is_cancelled)))
            }
            (Ok(end), Ok(Some(report))) => self.take(order, report, &end).await,
            (Ok(end), Ok(None)) => Err(self.report(self.unreported(&end, is_cancelled))),
        };
        course.following.close();
        made
    }

    /// Takes news; how it ended, if it has.
    async fn hear(&self, course: &mut Course, news: News) -> Option<Result<End, Failure>> {
        let job = |ticket: &Ticket| ticket.to_string();
        match news {
            News::Submitted { ticket } => self.tell(Elsewhere::Submitted { job: job(&ticket) }),
            News::State(State::Queued { reason }) => self.tell(Elsewhere::Waiting { reason }),
            News::State(State::Running { host }) => self.tell(Elsewhere::Running { host }),
            News::State(State::Ended { end }) => return Some(Ok(end)),
            News::Printed(bytes) => {
                let _turn = self.post.write().await;
                if let Err(error) = course.log.write_all(&bytes).await {
                    tracing::warn!(log = %self.attempt.log, %error, "what a step prints elsewhere cannot be written");
                }
                course.log.flush().await.ok();
            }
            News::Unreachable { reason, .. } => self.tell(Elsewhere::Unreachable { reason }),
            News::Reachable => self.tell(Elsewhere::Reachable),
            News::Full { reason } => self.tell(Elsewhere::Waiting { reason: Some(reason) }),
            News::Refused { reason } => {
                let executor = self.post.placement.executor.to_string();
                let refused = InfraFailure::NotTaken { executor, reason, passing: false };
                return Some(Err(Failure::Infrastructure(refused)));
            }
        }
        None
    }

    async fn find_report(&self, order: Digest) -> Result<Option<Report>, Failure> {
        let project = self.project.clone();
        let _turn = self.post.transfer().await;
        let found = tokio::task::spawn_blocking(move || Report::find(&project, order)).await;
        found.expect("looking for a report does not panic").map_err(|error| match error {
            ReportError::Unreadable { .. } => self.lost(&describe(&error)),
            ReportError::Cache(error) => storage(&describe(&error)),
        })
    }

    /// Takes what is reported beside the result.
    fn hear_out(&self, report: &Report) {
        self.told.get_or_init(|| Told { undeclared: report.undeclared.clone(), used: report.used.clone() });
    }

    /// What was reported, as if it had been made here.
    async fn take(&self, order: Digest, report: Report, end: &End) -> Result<Finished, FailureReport> {
        self.hear_out(&report);
        let (project, attempt) = (self.project.clone(), self.attempt.clone());
        let take = move || taken(&project, &attempt, order, report);
        let _turn = self.post.transfer().await;
        match tokio::task::spawn_blocking(take).await.expect("taking a report does not panic") {
            Ok(Ok(finished)) => Ok(finished),
            Ok(Err(failed)) => {
                let failure = match (failed.failure, end) {
                    (
                        Failure::Step(StepFailure::Signal { signal: 9 } | StepFailure::Exit { code: 137 }),
                        End::OutOfMemory,
                    ) => Failure::Step(StepFailure::OutOfMemory { of: Memory::System }),
                    (failure, _) => failure,
                };
                let log = Some(self.attempt.log.clone()).filter(|log| log.exists());
                Err(FailureReport { failure, log, folder: None, ..failed })
            }
            Err(failure) => Err(self.report(failure)),
        }
    }

    /// Why there is no result, if its step did not fail by itself.
    fn unreported(&self, end: &End, is_cancelled: bool) -> Failure {
        let executor = || self.post.placement.executor.to_string();
        match end {
            _ if is_cancelled => Failure::Cancelled,
            End::Cancelled => self.lost("somebody else cancelled it there"),
            End::TimedOut => {
                let seconds = self.attempt.timeout.map_or(0, |limit| limit.as_secs().max(1));
                Failure::Step(StepFailure::TimedOut { seconds })
            }
            End::OutOfMemory => Failure::Step(StepFailure::OutOfMemory { of: Memory::System }),
            End::Preempted => Failure::Infrastructure(InfraFailure::Preempted { executor: executor() }),
            End::NodeLost => self.lost("the machine that it ran on is gone"),
            End::NotStarted { reason } => Failure::Infrastructure(InfraFailure::NotTaken {
                executor: executor(),
                reason: reason.clone(),
                passing: false,
            }),
            End::Exited { code } => self.lost(&format!("its worker exited with {code} and left no report")),
            End::Killed { signal } => {
                self.lost(&format!("its worker was ended by signal {signal} and left no report"))
            }
        }
    }

    fn lost(&self, message: &str) -> Failure {
        let executor = self.post.placement.executor.to_string();
        Failure::Infrastructure(InfraFailure::Lost { executor, message: message.to_owned() })
    }

    fn not_taken(&self, error: &ExecutorError) -> Failure {
        let passing = matches!(error, ExecutorError::Unreachable { .. } | ExecutorError::Full { .. });
        Failure::Infrastructure(InfraFailure::NotTaken {
            executor: self.post.placement.executor.to_string(),
            reason: error.to_string(),
            passing,
        })
    }

    fn report(&self, failure: Failure) -> FailureReport {
        let log = Some(self.attempt.log.clone()).filter(|log| log.exists());
        FailureReport { failure, tail: tail(&self.attempt.log), log, folder: None, hint: None }
    }
}

/// Whether a step that failed may have failed because somebody ended it: an engine tells all processes of a job to end, and a worker may see
/// how its step obeys before it hears of that itself.
fn is_cut_off(end: &End, is_cancelled: bool) -> bool {
    is_cancelled || matches!(end, End::Cancelled | End::Preempted | End::TimedOut)
}

/// Writes the whole log in the place of what was streamed, fetches what is needed here of the outputs, and records the result.
fn taken(
    project: &Project,
    attempt: &Attempt,
    order: Digest,
    report: Report,
) -> Result<Result<Finished, FailureReport>, Failure> {
    let cache = project.cache();
    let cached = |error: CacheError| storage(&describe(&error));
    if let Some(log) = &report.log
        && cache.bring_here(std::slice::from_ref(log)).is_ok()
        && let Ok(bytes) = cache.read(log, u64::MAX)
    {
        std::fs::write(&attempt.log, bytes).map_err(|error| storage(&format!("{}: {error}", attempt.log)))?;
    }
    let mut made = match report.result {
        Ok(made) => made,
        Err(failed) => return Ok(Err(failed)),
    };
    let step = attempt.graph.step(attempt.step);
    let resolved = &attempt.execution.resolved;
    if made.key != resolved.key {
        let message = "the worker reports another key than the one that was ordered".to_owned();
        return Err(Failure::Infrastructure(InfraFailure::Storage { message }));
    }
    gather(project, step, order, &mut made).map_err(|error| storage(&describe(&error)))?;
    let outputs = outputs_of(step, &made);
    let wanted = absent(project, &attempt.graph, step, &outputs);
    cache.bring_here(&wanted.map_err(|error: EngineError| storage(&describe(&error)))?).map_err(cached)?;
    let new = NewResult {
        after: attempt.execution.after,
        outputs: made.outputs,
        log: made.log,
        usage: made.usage,
        finished: made.finished,
        run: attempt.run.id.clone(),
        step: step.id.to_string(),
        pipeline: attempt.graph.pipeline.to_string(),
        host: made.host,
        user: made.user,
        project: project.root().to_string(),
        sandbox: made.sandbox,
    };
    let result = match step.cache {
        true => crate::execute::record(project, attempt, new)?,
        false => new.unpublished(resolved.key),
    };
    Ok(Ok(Finished { result, outcome: serde_json::Value::Null }))
}

fn storage(message: &str) -> Failure {
    Failure::Infrastructure(InfraFailure::Storage { message: message.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_told_to_end_has_not_failed_by_itself() {
        for end in [End::Cancelled, End::Preempted, End::TimedOut] {
            assert!(is_cut_off(&end, false), "{end:?}");
        }
        for end in [End::Exited { code: 1 }, End::Killed { signal: 9 }, End::OutOfMemory, End::NodeLost] {
            assert!(!is_cut_off(&end, false) && is_cut_off(&end, true), "{end:?}");
        }
    }
}
