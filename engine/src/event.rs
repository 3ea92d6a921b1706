//! What leaves a run: one typed, versioned stream of events. The terminal, the history and all exports subscribe to it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidemill_cache::{Artifact, Key};

pub use tidemill_cache::Usage;

use crate::failure::FailureReport;
use crate::name::{AttemptId, ExecutorName, PipelineName, RunId, StepId, TriggerName};

/// The version of the stream; it rises when an old reader would misunderstand.
pub const VERSION: u32 = 1;

/// An event with its time.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Stamped {
    /// When it happened.
    pub at: jiff::Timestamp,
    /// What happened.
    pub event: Event,
}

/// What happened.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub enum Event {
    /// A run began.
    RunStarted {
        /// [`VERSION`].
        version: u32,
        /// Its id.
        run: RunId,
        /// The pipeline.
        pipeline: PipelineName,
        /// The pipeline file, relative to the project.
        file: String,
        /// What started it.
        cause: Cause,
        /// The trigger and what it answers, if it was started by one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        triggered: Option<Triggered>,
        /// The git commit, if the project is in a repository.
        git: Option<Git>,
        /// Parameter values that were set on the command line or by a file.
        overrides: BTreeMap<String, serde_json::Value>,
        /// All parameter values of the run, by dotted name.
        params: BTreeMap<String, serde_json::Value>,
        /// How many steps the expanded graph has.
        steps: usize,
        /// The outline of the graph, kept in the cache; none in records of older versions.
        #[serde(default)]
        graph: Option<Artifact>,
    },
    /// A step's result was found.
    StepCached {
        /// The step.
        step: StepId,
        /// Its key.
        key: Key,
        /// What it had taken when it ran, in milliseconds: the time that was saved.
        saved_ms: u64,
        /// Its outputs.
        outputs: BTreeMap<String, Artifact>,
    },
    /// The results of many steps were found. Stands in journals for so many [`Event::StepCached`]; who does not
    /// [take lists](Subscriber::takes_lists) is told those instead.
    StepsCached {
        /// How many.
        steps: usize,
        /// What they had taken when they ran, in milliseconds.
        saved_ms: u64,
        /// The bytes of their outputs.
        bytes: u64,
        /// The lists of them, kept in the cache.
        lists: Vec<Artifact>,
    },
    /// A step has to run; why.
    StepQueued {
        /// The step.
        step: StepId,
        /// Its key.
        key: Key,
        /// In a few words.
        reason: String,
    },
    /// An attempt began.
    StepStarted {
        /// The step.
        step: StepId,
        /// The attempt.
        attempt: AttemptId,
        /// Where its log grows.
        log: String,
    },
    /// How an attempt fares that is made on an executor. Told after it began, each time that something changed.
    StepElsewhere {
        /// The step.
        step: StepId,
        /// The attempt.
        attempt: AttemptId,
        /// The executor.
        executor: ExecutorName,
        /// How it fares.
        how: Elsewhere,
    },
    /// An attempt failed and another one follows.
    StepRetried {
        /// The step.
        step: StepId,
        /// The attempt that failed.
        attempt: AttemptId,
        /// Why.
        report: FailureReport,
        /// Until the next one, in milliseconds.
        wait_ms: u64,
    },
    /// An attempt of a step with `sandbox = "trace"` read what the step did not declare. Told before its end.
    StepRead {
        /// The step.
        step: StepId,
        /// The attempt.
        attempt: AttemptId,
        /// What it read.
        reads: Undeclared,
    },
    /// What an attempt used while it ran, if it ran for long. Told before its end.
    StepMeasured {
        /// The step.
        step: StepId,
        /// The attempt.
        attempt: AttemptId,
        /// In order of time.
        points: Vec<UsagePoint>,
    },
    /// A step gave its result.
    StepSucceeded {
        /// The step.
        step: StepId,
        /// The attempt.
        attempt: AttemptId,
        /// The key.
        key: Key,
        /// What it took.
        usage: Usage,
        /// Its outputs.
        outputs: BTreeMap<String, Artifact>,
        /// Whether all outputs are the same bytes as the result that the key or the step had before.
        unchanged: bool,
    },
    /// A step failed for good.
    StepFailed {
        /// The step.
        step: StepId,
        /// The last attempt, if one was made.
        attempt: Option<AttemptId>,
        /// Why.
        report: FailureReport,
    },
    /// A step was left out.
    StepSkipped {
        /// The step.
        step: StepId,
        /// Why.
        reason: SkipReason,
    },
    /// A step cannot run because another failed, was stopped by its gate, or was not selected.
    StepBlocked {
        /// The step.
        step: StepId,
        /// The step that blocks it.
        by: StepId,
    },
    /// Numbers that the engine read from a step's metrics outputs, by dotted name.
    Metrics {
        /// The step.
        step: StepId,
        /// The numbers; where a step has several metrics outputs, the names begin with the output's name.
        values: BTreeMap<String, f64>,
    },
    /// A gate was asked.
    Gate {
        /// The step.
        step: StepId,
        /// Whether the downstream steps go on.
        open: bool,
        /// Each condition with its values.
        conditions: Vec<Condition>,
    },
    /// An output was placed in the project.
    Published {
        /// The step.
        step: StepId,
        /// The output.
        output: String,
        /// Where, relative to the pipeline's folder.
        path: String,
        /// Where a file of the user's that lay there was moved to.
        displaced: Option<String>,
    },
    /// Outputs of a step were let go: all that read them is done, and they are not to be kept.
    OutputsDropped {
        /// The step.
        step: StepId,
        /// The outputs.
        outputs: BTreeSet<String>,
    },
    /// Something worth saying once that is no failure.
    Notice {
        /// In a sentence.
        message: String,
    },
    /// A run ended.
    RunFinished {
        /// How.
        outcome: Outcome,
        /// Wall time in milliseconds.
        wall_ms: u64,
        /// How many steps ended in which way.
        counts: Counts,
    },
}

/// What an attempt used at one moment, as far as the machine that it ran on tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct UsagePoint {
    /// When, in milliseconds from its begin.
    pub at_ms: u64,
    /// How many cores its processes kept busy since the point before.
    pub cores: Option<f64>,
    /// Their resident memory, in bytes.
    pub memory: Option<u64>,
    /// How much of the time a kernel ran on its GPUs, in percent, on average.
    pub gpu_busy: Option<f64>,
    /// Memory that its processes have on its GPUs, in bytes; all that is in use there if they cannot be told apart from others.
    pub gpu_memory: Option<u64>,
}

/// How an attempt fares that is made on an executor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "is")]
pub enum Elsewhere {
    /// It had been handed in by a run that is dead, and is followed from now on.
    Adopted {
        /// That run.
        run: RunId,
    },
    /// The executor has it.
    Submitted {
        /// Its name there.
        job: String,
    },
    /// It waits for its turn there.
    Waiting {
        /// What for, in the executor's words.
        reason: Option<String>,
    },
    /// It runs.
    Running {
        /// On which machine.
        host: Option<String>,
    },
    /// The executor cannot be reached: it is asked again, for as long as it takes.
    Unreachable {
        /// Why.
        reason: String,
    },
    /// The executor is reached again.
    Reachable,
}

/// What an attempt read that its step did not declare.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undeclared {
    /// Files: in the pipeline's folder by their path there, then others by their whole path. What is no UTF-8 has signs in its place.
    pub files: Vec<String>,
    /// How many more there are.
    pub more: usize,
    /// Whether that is all that can be: no process of the attempt opened files in a way that is not seen.
    pub complete: bool,
    /// What to do, in a sentence.
    pub hint: Option<String>,
}

/// What started a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The command line.
    Command,
    /// A CI job.
    Ci,
    /// A change of what it reads.
    Watch,
    /// A time that came.
    Schedule,
    /// An event that was received.
    Event,
    /// A version of a model that was registered, or an alias that was moved.
    Model,
    /// The end of a run of another pipeline.
    Run,
    /// Somebody who asked for it over HTTP.
    Request,
}

impl Cause {
    /// As a condition on runs names it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Ci => "ci",
            Self::Watch => "watch",
            Self::Schedule => "schedule",
            Self::Event => "event",
            Self::Model => "model",
            Self::Run => "run",
            Self::Request => "request",
        }
    }

    /// In words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Ci => "CI job",
            Self::Run => "another run",
            other => other.as_str(),
        }
    }
}

/// What a run answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Triggered {
    /// The trigger of the pipeline; none if somebody asked for the run.
    pub trigger: Option<TriggerName>,
    /// The event's type.
    pub kind: String,
    /// Where it came from.
    pub source: String,
    /// Its id there.
    pub id: String,
}

/// The state of the git repository when a run began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Git {
    /// The commit's hash.
    pub commit: String,
    /// Whether tracked files differed from it.
    pub dirty: bool,
}

/// Why a step was left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "why")]
pub enum SkipReason {
    /// Its `when` is false.
    When {
        /// The condition.
        condition: String,
    },
    /// An input comes from a step that was left out.
    Upstream {
        /// That step.
        step: StepId,
    },
    /// Its target already shows the last success with the same key.
    EffectDone,
    /// A rollback holds it back.
    Held {
        /// What is held, by whom, since when.
        message: String,
    },
}

/// A condition of a gate with what it was asked about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Condition {
    /// As written.
    pub text: String,
    /// Whether it holds; none if it speaks of a rival and there is none.
    pub holds: Option<bool>,
    /// The names in it with their values.
    pub values: BTreeMap<String, f64>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// All is done.
    Succeeded,
    /// A step failed.
    StepFailed,
    /// A gate said no, and nothing failed.
    GateClosed,
    /// The machine failed.
    InfrastructureFailed,
    /// It was told to stop.
    Interrupted,
}

/// How many steps ended in which way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Executed in this run.
    pub executed: usize,
    /// Satisfied by the cache, or an effect that was done already.
    pub cached: usize,
    /// Left out by `when`, a hold, or because a step they need was.
    pub skipped: usize,
    /// Failed.
    pub failed: usize,
    /// Could not run because of another.
    pub blocked: usize,
}

/// What a run does at one moment. It is shown and forgotten: a pulse is no event, so neither the journal nor the history
/// has it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Pulse {
    /// What runs, the oldest attempt first.
    pub samples: Vec<Sample>,
    /// How many steps have not ended: those that run, and those that wait.
    pub open: usize,
    /// How long they are likely to take together, in milliseconds, by what they took before; none if a step that may
    /// have to run never did.
    pub remaining_ms: Option<u64>,
}

/// What one attempt does at one moment. What this machine cannot tell is not there.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sample {
    /// The step.
    pub step: StepId,
    /// The attempt.
    pub attempt: AttemptId,
    /// How long it has been running, in milliseconds.
    pub elapsed_ms: u64,
    /// How many CPU cores all of its processes together kept busy since the last pulse.
    pub cores: Option<f64>,
    /// The resident memory of all of its processes, in bytes; pages that several of them share count for each.
    pub memory: Option<u64>,
    /// The GPUs that it was given, if it was given any and NVIDIA's library is there.
    pub gpus: Option<GpuUse>,
    /// The last line of its log that holds anything to read, as the step wrote it: not safe for a terminal.
    pub last_line: Option<String>,
}

/// What the GPUs of an attempt do, whoever makes them do it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct GpuUse {
    /// How many there are.
    pub count: usize,
    /// How much of the time a kernel ran on them, in percent, on average; none if one cannot tell.
    pub busy: Option<f64>,
    /// Memory in use on all of them, in bytes.
    pub memory: u64,
}

/// Who is told what happens. Called in order, from one place; a subscriber must not block for long.
///
/// Events are all that a record needs. Who shows a run while it goes on may ask for pulses as well: measuring processes
/// costs something, so a run measures only if a subscriber wants it to.
pub trait Subscriber: Send {
    /// Takes an event.
    fn on(&mut self, event: &Stamped);

    /// The run has nothing more to tell for now: who gathers events should pass them on.
    fn flush(&mut self) {}

    /// Whether it is enough to hear how many steps were found in the cache, instead of each.
    fn takes_lists(&self) -> bool {
        false
    }

    /// How often this one wants a pulse; not at all, unless it says so. Asked once, before the run begins. Where several
    /// want pulses, they all come as often as the most eager one wants them; a busy machine may give fewer.
    fn pulse_interval(&self) -> Option<Duration> {
        None
    }

    /// Takes a pulse. The first comes when the first attempt begins; each tells what is true after all events
    /// so far, but the samples may speak of an attempt that has just ended.
    fn pulse(&mut self, _pulse: &Pulse) {}
}
