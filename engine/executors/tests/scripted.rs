//! An engine in memory, on the clock of tokio: what its jobs do is written in scripts, what goes wrong is played, and what it is asked is
//! counted. It needs no task of its own: where a job is follows from the time.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use tidemill_executors::{Batch, BatchId, End, Executor, ExecutorError, Job, Program, State, States, Ticket};
use tokio::time::Instant;

/// The most of a log that is told at once.
const PIECE: usize = 1 << 16;

/// What becomes of a job.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    /// How long it waits.
    pub(crate) queued: Duration,
    /// How long it runs.
    pub(crate) runs: Duration,
    /// Where.
    pub(crate) host: Option<String>,
    /// How it ends then.
    pub(crate) end: End,
    /// What it prints, evenly over the time that it runs.
    pub(crate) prints: Vec<u8>,
    /// How long after its submission the engine forgets it; the second time is for its second submission, and so on.
    pub(crate) forgotten: Vec<Duration>,
    /// How often it does not hear that it is cancelled.
    pub(crate) deaf: usize,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            queued: Duration::ZERO,
            runs: Duration::from_secs(60),
            host: Some("memory".to_owned()),
            end: End::Exited { code: 0 },
            prints: Vec::new(),
            forgotten: Vec::new(),
            deaf: 0,
        }
    }
}

/// What the engine is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Call {
    Submit,
    Status,
    Cancel,
    Log,
    Forget,
}

/// What goes wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Nothing arrives.
    Away,
    /// It is done, but the answer is lost.
    Mute,
    /// The first half of a batch arrives, and the answer is lost.
    Half,
    /// The answer is nonsense.
    Garbled,
    /// It takes no more.
    Full,
    /// It says no.
    Refused,
}

/// The engine.
pub(crate) struct Scripted {
    script: Box<dyn Fn(&Job) -> Script + Send + Sync>,
    world: Mutex<World>,
}

#[derive(Default)]
struct World {
    trouble: Option<Box<dyn FnMut(Call) -> Option<Trouble> + Send>>,
    room: Option<usize>,
    hidden: Option<Instant>,
    /// Whether it forgets any job.
    forgetful: bool,
    latency: Duration,
    lives: BTreeMap<Ticket, Life>,
    /// How often each command was taken.
    taken: BTreeMap<Vec<String>, usize>,
    calls: BTreeMap<Call, usize>,
    under_way: BTreeMap<Call, usize>,
    most: BTreeMap<Call, usize>,
}

/// A job that the engine has.
struct Life {
    argv: Vec<String>,
    script: Script,
    begins: Instant,
    ends: Instant,
    end: End,
    forgotten: Option<Instant>,
    heard: usize,
}

impl Life {
    fn new(job: &Job, script: Script, limit: Option<Duration>, lives_before: usize) -> Self {
        let now = Instant::now();
        let begins = now + script.queued;
        let (runs, end) = match limit.filter(|limit| *limit < script.runs) {
            Some(limit) => (limit, End::TimedOut),
            None => (script.runs, script.end.clone()),
        };
        let forgotten = script.forgotten.get(lives_before).map(|after| now + *after);
        Self { argv: job.argv.clone(), script, begins, ends: begins + runs, end, forgotten, heard: 0 }
    }

    fn cancel(&mut self) {
        let now = Instant::now();
        self.heard += 1;
        if self.heard > self.script.deaf && now < self.ends {
            (self.ends, self.end) = (now, End::Cancelled);
        }
    }

    fn state(&self, now: Instant) -> State {
        if now >= self.ends {
            State::Ended { end: self.end.clone() }
        } else if now >= self.begins {
            State::Running { host: self.script.host.clone() }
        } else {
            State::Queued { reason: None }
        }
    }

    fn printed(&self, now: Instant) -> &[u8] {
        let ran = now.min(self.ends).saturating_duration_since(self.begins);
        let prints = &self.script.prints;
        match ran >= self.script.runs {
            true => prints,
            false => {
                &prints[..prints.len() * ran.as_millis() as usize / self.script.runs.as_millis() as usize]
            }
        }
    }
}

impl Scripted {
    /// An engine; the script of a job is read from it.
    pub(crate) fn new(script: impl Fn(&Job) -> Script + Send + Sync + 'static) -> Self {
        Self { script: Box::new(script), world: Mutex::default() }
    }

    /// How long each answer takes.
    pub(crate) fn slow(self, latency: Duration) -> Self {
        self.world.lock().unwrap().latency = latency;
        self
    }

    /// Whether something goes wrong, asked at each call.
    pub(crate) fn trouble(&self, trouble: impl FnMut(Call) -> Option<Trouble> + Send + 'static) {
        self.world.lock().unwrap().trouble = Some(Box::new(trouble));
    }

    /// Nothing goes wrong any more.
    pub(crate) fn mend(&self) {
        self.world.lock().unwrap().trouble = None;
    }

    /// How many jobs that have not ended it takes: of more the first ones.
    pub(crate) fn room(&self, room: usize) {
        self.world.lock().unwrap().room = Some(room);
    }

    /// For so long its answers know no job.
    pub(crate) fn hide(&self, hidden: Duration) {
        self.world.lock().unwrap().hidden = Some(Instant::now() + hidden);
    }

    /// How often it was asked for this.
    pub(crate) fn calls(&self, call: Call) -> usize {
        self.world.lock().unwrap().calls.get(&call).copied().unwrap_or_default()
    }

    /// How often it was asked for this at the same time.
    pub(crate) fn most(&self, call: Call) -> usize {
        self.world.lock().unwrap().most.get(&call).copied().unwrap_or_default()
    }

    /// How often each command was taken.
    pub(crate) fn taken(&self) -> BTreeMap<Vec<String>, usize> {
        self.world.lock().unwrap().taken.clone()
    }

    /// The jobs that it has.
    pub(crate) fn has(&self) -> Vec<Ticket> {
        self.world.lock().unwrap().lives.keys().cloned().collect()
    }

    /// How a command ended by now and what it printed, if it was taken.
    pub(crate) fn truth(&self, argv: &[String]) -> Option<(End, Vec<u8>)> {
        let world = self.world.lock().unwrap();
        let life = world.lives.values().find(|life| life.argv == argv)?;
        Some((life.end.clone(), life.printed(Instant::now()).to_vec()))
    }

    /// Answers a call: counts it, takes its time, and lets go wrong what does.
    async fn answer<T>(
        &self,
        call: Call,
        act: impl FnOnce(&mut World, bool) -> Result<T, ExecutorError>,
    ) -> Result<T, ExecutorError> {
        let (trouble, latency) = {
            let mut world = self.world.lock().unwrap();
            let world = &mut *world;
            *world.calls.entry(call).or_default() += 1;
            let under_way = world.under_way.entry(call).or_default();
            *under_way += 1;
            let most = world.most.entry(call).or_default();
            *most = (*most).max(*under_way);
            (world.trouble.as_mut().and_then(|trouble| trouble(call)), world.latency)
        };
        let gone = Gone(self, call);
        tokio::time::sleep(latency).await;
        drop(gone);
        let engine = || "memory".to_owned();
        let mut world = self.world.lock().unwrap();
        let lost = ExecutorError::Unreachable { engine: engine(), reason: "no answer".to_owned() };
        match trouble {
            None => act(&mut world, false),
            Some(Trouble::Away) => Err(lost),
            Some(Trouble::Mute | Trouble::Half) => {
                act(&mut world, trouble == Some(Trouble::Half))?;
                Err(lost)
            }
            Some(Trouble::Garbled) => {
                Err(ExecutorError::Unintelligible { engine: engine(), answer: "?".to_owned() })
            }
            Some(Trouble::Full) => {
                Err(ExecutorError::Full { engine: engine(), reason: "limit of jobs".to_owned() })
            }
            Some(Trouble::Refused) => {
                Err(ExecutorError::Refused { engine: engine(), reason: "no such partition".to_owned() })
            }
        }
    }
}

/// A call that is under way, until it is over or given up.
struct Gone<'a>(&'a Scripted, Call);

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        *self.0.world.lock().unwrap().under_way.entry(self.1).or_default() -= 1;
    }
}

impl World {
    /// Forgets what is to be forgotten by now.
    fn pass_time(&mut self) {
        let now = Instant::now();
        if self.forgetful {
            self.lives.retain(|_, life| life.forgotten.is_none_or(|at| now < at));
        }
    }

    fn of(&self, batch: &BatchId) -> impl Iterator<Item = (&Ticket, &Life)> {
        let ticket = |job| Ticket { batch: batch.clone(), job };
        self.lives.range(ticket(0)..=ticket(u32::MAX))
    }
}

#[async_trait]
impl Executor for Scripted {
    /// It runs nothing.
    async fn install(&self, program: &Program) -> Result<String, ExecutorError> {
        Ok(program.path.to_string())
    }

    async fn submit(&self, batch: &Batch) -> Result<(), ExecutorError> {
        self.answer(Call::Submit, |world, half| {
            world.pass_time();
            let now = Instant::now();
            let new: Vec<Ticket> = batch.tickets().filter(|job| !world.lives.contains_key(job)).collect();
            let new = if half { &new[..new.len().div_ceil(2)] } else { &new };
            let alive = world.lives.values().filter(|life| now < life.ends).count();
            let room = world.room.map_or(usize::MAX, |room| room.saturating_sub(alive));
            let taken = &new[..new.len().min(room)];
            for ticket in taken {
                let job = &batch.jobs[ticket.job as usize];
                let before = world.taken.entry(job.argv.clone()).or_default();
                let life = Life::new(job, (self.script)(job), batch.resources.time, *before);
                *before += 1;
                world.forgetful |= life.forgotten.is_some();
                world.lives.insert(ticket.clone(), life);
            }
            if taken.len() < new.len() {
                let reason = "limit of jobs".to_owned();
                return Err(ExecutorError::Full { engine: "memory".to_owned(), reason });
            }
            Ok(())
        })
        .await
    }

    async fn status(&self, batches: &[BatchId]) -> Result<States, ExecutorError> {
        self.answer(Call::Status, |world, _| {
            world.pass_time();
            let now = Instant::now();
            if world.hidden.is_some_and(|until| now < until) {
                return Ok(States::new());
            }
            let lives = batches.iter().flat_map(|batch| world.of(batch));
            Ok(lives.map(|(ticket, life)| (ticket.clone(), life.state(now))).collect())
        })
        .await
    }

    async fn cancel(&self, jobs: &[Ticket]) -> Result<(), ExecutorError> {
        self.answer(Call::Cancel, |world, _| {
            for job in jobs {
                if let Some(life) = world.lives.get_mut(job) {
                    life.cancel();
                }
            }
            Ok(())
        })
        .await
    }

    async fn log(&self, job: &Ticket, from: u64) -> Result<Vec<u8>, ExecutorError> {
        self.answer(Call::Log, |world, _| {
            let printed = world.lives.get(job).map(|life| life.printed(Instant::now())).unwrap_or_default();
            let rest = usize::try_from(from).ok().and_then(|from| printed.get(from..)).unwrap_or_default();
            Ok(rest[..rest.len().min(PIECE)].to_vec())
        })
        .await
    }

    async fn forget(&self, batches: &[BatchId]) -> Result<(), ExecutorError> {
        self.answer(Call::Forget, |world, _| {
            world.lives.retain(|ticket, _| !batches.contains(&ticket.batch));
            Ok(())
        })
        .await
    }
}
