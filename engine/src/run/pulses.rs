//! The pulse of a run: a task beside the loop that now and then measures what the running attempts do. Only a run with a
//! subscriber that wants pulses has one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use camino::Utf8PathBuf;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::MissedTickBehavior;

use super::estimate::{Estimate, Left};
use super::last_line::LastLine;
use crate::event::{GpuUse, Sample};
use crate::graph::Graph;
use crate::name::{AttemptId, StepId};
use crate::process::{Gpus, LazyWarden, Load};

/// The loop's end of the task.
pub(super) enum Pulses {
    /// Nobody wants any.
    Unwanted,
    /// The first attempt will start the task: a run that executes nothing has nothing to measure.
    Wanted {
        /// How often.
        interval: Duration,
        /// By step: what it took the last time, in milliseconds.
        expected: Vec<Option<u64>>,
        /// How many steps run at once.
        jobs: usize,
    },
    /// The task runs.
    Beating(Box<Heart>),
}

/// The task, and what its results are seen with.
pub(super) struct Heart {
    changes: UnboundedSender<Change>,
    samples: UnboundedReceiver<Vec<Sample>>,
    task: JoinHandle<()>,
    estimate: Estimate,
    /// By step: since when its attempt runs.
    since: BTreeMap<usize, Instant>,
}

/// An attempt to look at.
#[derive(Debug)]
pub(super) struct Watched {
    /// The step.
    pub(super) step: StepId,
    /// The attempt.
    pub(super) attempt: AttemptId,
    /// Since when it runs.
    pub(super) since: Instant,
    /// The ids of its GPUs.
    pub(super) gpus: Vec<String>,
    /// Where its log grows.
    pub(super) log: Utf8PathBuf,
}

enum Change {
    Began(Watched),
    Ended(AttemptId),
}

impl Pulses {
    /// Looks at an attempt from now on.
    pub(super) fn began(
        &mut self,
        step: usize,
        graph: &Graph,
        warden: &Arc<LazyWarden>,
        watched: impl FnOnce() -> Watched,
    ) {
        if let Self::Wanted { interval, expected, jobs } = self {
            let estimate = Estimate::new(graph, std::mem::take(expected), *jobs);
            *self = Self::Beating(Box::new(Heart::start(*interval, Arc::clone(warden), estimate)));
        }
        if let Self::Beating(heart) = self {
            let watched = watched();
            heart.since.insert(step, watched.since);
            heart.note(Change::Began(watched));
        }
    }

    /// Looks at it no more.
    pub(super) fn ended(&mut self, step: usize, attempt: &AttemptId) {
        if let Self::Beating(heart) = self {
            heart.since.remove(&step);
            heart.note(Change::Ended(attempt.clone()));
        }
    }

    /// Notes what a step took.
    pub(super) fn learn(&mut self, step: usize, wall_ms: u64) {
        if let Self::Beating(heart) = self {
            heart.estimate.learn(step, wall_ms);
        }
    }

    /// How long the attempt of a step has been running, if it runs.
    pub(super) fn running_for(&self, step: usize) -> Option<Duration> {
        match self {
            Self::Beating(heart) => heart.since.get(&step).map(Instant::elapsed),
            Self::Unwanted | Self::Wanted { .. } => None,
        }
    }

    /// See [`Estimate::remaining`].
    pub(super) fn remaining(&self, left: impl Fn(usize) -> Left) -> Option<u64> {
        match self {
            Self::Beating(heart) => heart.estimate.remaining(left),
            Self::Unwanted | Self::Wanted { .. } => None,
        }
    }

    /// Waits for the next samples; for ever if there is no task. May be dropped and called again.
    pub(super) async fn next(&mut self) -> Vec<Sample> {
        if let Self::Beating(heart) = self
            && let Some(samples) = heart.samples.recv().await
        {
            return samples;
        }
        std::future::pending().await
    }

    /// Ends the task.
    pub(super) async fn stop(&mut self) {
        if let Self::Beating(heart) = std::mem::replace(self, Self::Unwanted) {
            let Heart { changes, task, .. } = *heart;
            drop(changes);
            // It does not panic; if it did, a run would not be worth less for it.
            let _ = task.await;
        }
    }
}

impl Heart {
    fn start(interval: Duration, warden: Arc<LazyWarden>, estimate: Estimate) -> Self {
        let (changes, noted) = unbounded_channel();
        let (told, samples) = unbounded_channel();
        let task = tokio::spawn(beat(interval, warden, noted, told));
        Self { changes, samples, task, estimate, since: BTreeMap::new() }
    }

    fn note(&self, change: Change) {
        // The task ends after this handle only.
        let _ = self.changes.send(change);
    }
}

async fn beat(
    interval: Duration,
    warden: Arc<LazyWarden>,
    mut changes: UnboundedReceiver<Change>,
    told: UnboundedSender<Vec<Sample>>,
) {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut meter = Meter::default();
    loop {
        tokio::select! {
            // What began or ended is noted before it is measured.
            biased;
            change = changes.recv() => match change {
                Some(change) => meter.note(change),
                None => return,
            },
            _ = ticks.tick() => {
                let warden = Arc::clone(&warden);
                let measured = spawn_blocking(move || {
                    let samples = meter.measure(&warden);
                    (meter, samples)
                });
                let Ok((back, samples)) = measured.await else { return };
                meter = back;
                if told.send(samples).is_err() {
                    return;
                }
            }
        }
    }
}

/// The attempts that run, with what was measured of them the last time.
#[derive(Default)]
struct Meter {
    watched: Vec<Gauge>,
    gpus: Gpus,
}

struct Gauge {
    of: Watched,
    line: LastLine,
    /// When CPU time was read, and what it was.
    before: (Instant, Duration),
}

impl Meter {
    fn note(&mut self, change: Change) {
        match change {
            Change::Began(of) => {
                let before = (of.since, Duration::ZERO);
                self.watched.push(Gauge { of, line: LastLine::default(), before });
            }
            Change::Ended(attempt) => self.watched.retain(|gauge| gauge.of.attempt != attempt),
        }
    }

    fn measure(&mut self, warden: &LazyWarden) -> Vec<Sample> {
        if self.watched.is_empty() {
            return Vec::new();
        }
        let loads = warden.present().map(|warden| warden.loads()).unwrap_or_default();
        let now = Instant::now();
        let gpus = &mut self.gpus;
        let sample = |gauge: &mut Gauge| {
            let load = loads.get(gauge.of.attempt.to_string().as_str());
            gauge.sample(now, load, gpus)
        };
        self.watched.iter_mut().map(sample).collect()
    }
}

impl Gauge {
    fn sample(&mut self, now: Instant, load: Option<&Load>, gpus: &mut Gpus) -> Sample {
        let used = gpus.load(&self.of.gpus, load.map_or(&[][..], |load| &load.processes));
        let elapsed = now.saturating_duration_since(self.of.since).as_millis();
        Sample {
            step: self.of.step.clone(),
            attempt: self.of.attempt.clone(),
            elapsed_ms: u64::try_from(elapsed).unwrap_or(u64::MAX),
            cores: load.and_then(|load| self.cores(now, load.cpu)),
            memory: load.map(|load| load.memory),
            gpus: used.map(|used| GpuUse { count: self.of.gpus.len(), busy: used.busy, memory: used.memory }),
            last_line: self.line.read(&self.of.log),
        }
    }

    /// The cores that were busy since the last time; what nobody counted, a process that died unwaited for, is nothing.
    fn cores(&mut self, now: Instant, cpu: Duration) -> Option<f64> {
        let (then, before) = std::mem::replace(&mut self.before, (now, cpu));
        let passed = now.saturating_duration_since(then).as_secs_f64();
        (passed > 0.0).then(|| cpu.saturating_sub(before).as_secs_f64() / passed)
    }
}
