//! The dispatcher of a project: it has the queue, takes what arrives from wherever it comes, begins the runs, and notes how they ended.
//!
//! What it holds in memory is what the queue's file says. It may be killed at any moment: whoever takes the queue next finds its runs, which are
//! processes of their own, and goes on.

mod asking;
mod told;

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitStatus;
use std::time::Duration;

use camino::Utf8PathBuf;
use jiff::{SignedDuration, Timestamp};
use tokio::process::Child;
use tokio::sync::mpsc::{Receiver, UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{AbortHandle, JoinSet};

pub use asking::{Addressed, Ask, Received, View};
pub use told::{DispatchError, Listener, Told};

use super::circles::in_circles;
use super::hints::Hints;
use super::pipelines::{Pipelines, watched};
use super::queue::{Arrival, ArrivalId, Fate, Marks, Queue, QueueError, Running, Step, TRIES, decide};
use super::sources::{self, Came};
use super::spool;
use super::starting::{self, End};
use super::timer::Timer;
use super::watching::{Sight, Watch};
use crate::event::Cause;
use crate::graph::On;
use crate::name::RunId;
use crate::project::Project;
use crate::record::History;
use crate::registry::Registry;

/// A run that this process did not start is looked at so often while it goes on.
const OFTEN: Duration = Duration::from_millis(500);

/// A run that has not begun yet is asked to stop again after so long.
const SOON: SignedDuration = SignedDuration::from_millis(100);
/// What there was no room for is looked at again after so long.
const LATER: Duration = Duration::from_secs(5);

/// How to dispatch.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How many runs may go on at once.
    pub limit: usize,
}

/// What a tick did.
#[derive(Debug, Default)]
pub struct Ticked {
    /// The runs that ended, and how.
    pub fates: Vec<(RunId, Fate)>,
    /// How many pipelines cannot be used: their triggers are not answered.
    pub mistakes: usize,
}

/// What runs to its end, and how it did.
type Ended = (ArrivalId, RunId, Option<std::io::Result<ExitStatus>>);

/// The one that has the queue of a project.
pub struct Dispatcher {
    project: Project,
    options: Options,
    queue: Queue,
    pipelines: Pipelines,
    history: History,
    registry: Registry,
    /// What goes on.
    runs: JoinSet<Ended>,
    /// Runs that were asked to stop.
    cancelled: BTreeSet<RunId>,
    /// Runs that were started a second time, for nobody knew whether they had begun.
    repeated: BTreeSet<RunId>,
    /// Whether one could not be asked yet.
    asks_again: bool,
    /// Who looks for changes, by trigger.
    watches: BTreeMap<(String, String), (Watch, AbortHandle)>,
    watching: JoinSet<()>,
    sights: (UnboundedSender<Sight>, UnboundedReceiver<Sight>),
    tell: Listener,
}

impl Dispatcher {
    /// Takes the queue of a project, and the runs that another one has begun.
    ///
    /// # Errors
    /// If another process has the queue, or it or the project file cannot be used.
    pub fn open(project: Project, options: Options, tell: Listener) -> Result<Self, DispatchError> {
        let queue = Queue::open(project.state(), Timestamp::now())?;
        spool::open(project.state()).map_err(DispatchError::Spool)?;
        let history = History::below(project.state());
        history.want_endings().map_err(DispatchError::Spool)?;
        let pipelines = Pipelines::read(&project, &Pipelines::default())?;
        let going: BTreeSet<&RunId> = queue.state().running().map(|running| &running.run).collect();
        starting::tidy_all_but(project.state(), &going).map_err(DispatchError::Spool)?;
        Ok(Self {
            history,
            registry: Registry::at(project.state()),
            project,
            options,
            queue,
            pipelines,
            runs: JoinSet::new(),
            cancelled: BTreeSet::new(),
            repeated: BTreeSet::new(),
            asks_again: false,
            watches: BTreeMap::new(),
            watching: JoinSet::new(),
            sights: unbounded_channel(),
            tell,
        })
    }

    /// Answers triggers until `stop`. Runs that go on then are left to themselves: whoever takes the queue next follows them.
    ///
    /// # Errors
    /// If the queue cannot be kept any more.
    pub async fn serve(
        mut self,
        mut asks: Receiver<Ask>,
        stop: impl Future<Output = ()>,
    ) -> Result<(), DispatchError> {
        self.adopt()?;
        self.tell_pipelines();
        self.begin_from_now()?;
        self.watch();
        // From here on nothing is missed: who listens first sees what comes after it was looked.
        let mut files = self.listen_to_files()?;
        let mut left = Hints::of_folders(&self.state_folders()?);
        let mut timer = Timer::new().map_err(DispatchError::Timer)?;
        self.collect()?;
        tokio::pin!(stop);
        loop {
            let again = self.act()?;
            let next = sources::next_due(&self.pipelines, Timestamp::now());
            tokio::select! {
                () = &mut stop => return Ok(()),
                Some(ask) = asks.recv() => {
                    let mut batch = vec![ask];
                    while let Ok(ask) = asks.try_recv() {
                        batch.push(ask);
                    }
                    self.answer(batch)?;
                }
                Some(ended) = self.runs.join_next() => self.ended(ended?)?,
                Some(sight) = self.sights.1.recv() => self.saw(sight)?,
                () = timer.until(again.into_iter().chain(next).min()) => {}
                () = files.next() => {
                    files = self.listen_to_files()?;
                    left = Hints::of_folders(&self.state_folders()?);
                    self.collect()?;
                }
                () = left.next() => self.collect()?,
            }
        }
    }

    /// Does what is due now, and waits until its runs have ended: for those that are called again and again by somebody who has a clock.
    ///
    /// # Errors
    /// If the queue cannot be kept any more.
    pub async fn tick(mut self, stop: impl Future<Output = ()>) -> Result<Ticked, DispatchError> {
        let mistakes = self.pipelines.iter().filter(|(_, pipeline)| pipeline.mistake.is_some()).count();
        self.adopt()?;
        self.tell_pipelines();
        self.begin_from_now()?;
        self.watch();
        self.collect()?;
        let mut is_stopping = false;
        let mut unseen: BTreeSet<(String, String)> = self.watches.keys().cloned().collect();
        let mut fates = Vec::new();
        tokio::pin!(stop);
        loop {
            if !is_stopping {
                self.act()?;
            }
            if self.runs.is_empty() && (unseen.is_empty() || is_stopping) {
                return Ok(Ticked { fates, mistakes });
            }
            tokio::select! {
                () = &mut stop, if !is_stopping => {
                    is_stopping = true;
                    self.cancel_all();
                }
                // One that had not begun yet is asked again.
                () = tokio::time::sleep(OFTEN), if is_stopping => self.cancel_all(),
                Some(ended) = self.runs.join_next() => {
                    let (id, run, status) = ended?;
                    self.ended((id, run.clone(), status))?;
                    let settled = self.queue.state().recent().find(|settled| settled.arrival.id == id);
                    fates.extend(settled.map(|settled| (run, settled.fate.clone())));
                    self.collect()?;
                }
                Some(sight) = self.sights.1.recv() => {
                    if let Sight::Seen { file, trigger, .. } = &sight {
                        unseen.remove(&(file.clone(), trigger.to_string()));
                    }
                    self.saw(sight)?;
                }
            }
        }
    }

    /// Finds the runs that were begun before.
    fn adopt(&mut self) -> Result<(), DispatchError> {
        let running: Vec<Running> = self.queue.state().running().cloned().collect();
        for Running { arrival, run, .. } in running {
            if self.history.has_begun(&run) || self.history.is_alive(&run) {
                self.follow(arrival.id, run);
            } else {
                // Its process was not started, or has not said anything yet; then the second one finds the first, and ends.
                self.repeated.insert(run.clone());
                self.start(&arrival, &run)?;
            }
        }
        Ok(())
    }

    /// Takes what came by itself, and does what is to be done. Says when to come again if nothing else happens.
    fn act(&mut self) -> Result<Option<Timestamp>, DispatchError> {
        let now = Timestamp::now();
        let came = sources::due(&self.pipelines, self.queue.state(), now);
        self.take(came, now)?;
        let decision = decide(
            self.queue.state(),
            |arrival| self.pipelines.rule(&self.project, arrival),
            self.options.limit,
            now,
        );
        let mut dropped = Vec::new();
        for step in decision.steps {
            match step {
                Step::Begin(id) => self.begin(id)?,
                Step::Drop(id, why) => dropped.push((id, Fate::Dropped { why })),
                Step::Cancel(run) => self.cancel(run),
            }
        }
        self.settle(dropped)?;
        let soon = std::mem::take(&mut self.asks_again).then(|| now + SOON);
        Ok(decision.again.into_iter().chain(soon).min())
    }

    fn begin(&mut self, id: ArrivalId) -> Result<(), DispatchError> {
        let waiting = self.queue.state().waiting().find(|waiting| waiting.arrival.id == id);
        let Some(arrival) = waiting.map(|waiting| waiting.arrival.clone()) else { return Ok(()) };
        let now = Timestamp::now();
        let run = RunId::generate(now);
        // Noted first: whoever finds the note and no run begins it under the same id, and of two with one id only one begins.
        self.queue.began(id, run.clone(), now)?;
        (self.tell)(&Told::Began { arrival: &arrival, run: &run });
        self.start(&arrival, &run)
    }

    fn start(&mut self, arrival: &Arrival, run: &RunId) -> Result<(), DispatchError> {
        match starting::start(&self.project, arrival, run) {
            Ok(mut child) => {
                let (id, run) = (arrival.id, run.clone());
                self.runs.spawn(async move { (id, run, Some(Child::wait(&mut child).await)) });
                Ok(())
            }
            Err(error) => {
                let reason = format!("its process could not be started: {error}");
                self.settle(vec![(arrival.id, Fate::NotBegun { reason })])
            }
        }
    }

    /// Follows a run whose process is not this one's child.
    fn follow(&mut self, id: ArrivalId, run: RunId) {
        let history = self.history.clone();
        self.runs.spawn(async move {
            while history.is_alive(&run) {
                tokio::time::sleep(OFTEN).await;
            }
            (id, run, None)
        });
    }

    fn ended(&mut self, (id, run, status): Ended) -> Result<(), DispatchError> {
        let has_exited = matches!(&status, Some(Ok(status)) if status.code().is_some());
        let was_killed = matches!(&status, Some(Ok(status)) if status.code().is_none());
        let fate = match starting::end(self.project.state(), &self.history, &run, has_exited) {
            End::Alive => {
                self.follow(id, run);
                return Ok(());
            }
            End::Ended(outcome) => {
                if was_killed {
                    self.tell_ended(id, &run);
                }
                Fate::Ended { run: run.clone(), outcome }
            }
            End::NotBegun(reason) if !self.repeated.contains(&run) => Fate::NotBegun { reason },
            // What was started twice under one id may have failed for the other one, which was killed then.
            End::NotBegun(_) | End::Lost => {
                let attempt = self
                    .queue
                    .state()
                    .running()
                    .find(|running| running.run == run)
                    .map_or(TRIES, |running| running.attempt);
                if attempt < TRIES && !self.cancelled.contains(&run) {
                    (self.tell)(&Told::Again { run: &run });
                    starting::tidy(self.project.state(), &run);
                    return Ok(self.queue.again(id)?);
                }
                Fate::Lost { run: run.clone() }
            }
        };
        self.cancelled.remove(&run);
        self.repeated.remove(&run);
        self.settle(vec![(id, fate)])?;
        starting::tidy(self.project.state(), &run);
        Ok(())
    }

    fn cancel(&mut self, run: RunId) {
        if !self.cancelled.contains(&run) {
            match self.history.stop(&run) {
                Ok(true) => drop(self.cancelled.insert(run)),
                // It has not begun yet, or has ended: it is asked again soon.
                Ok(false) => self.asks_again = true,
                Err(error) => tracing::error!(%run, %error, "the run could not be stopped"),
            }
        }
    }

    fn cancel_all(&mut self) {
        let runs: Vec<RunId> = self.queue.state().running().map(|running| running.run.clone()).collect();
        runs.into_iter().for_each(|run| self.cancel(run));
    }

    fn settle(&mut self, fates: Vec<(ArrivalId, Fate)>) -> Result<(), DispatchError> {
        let ids: Vec<ArrivalId> = fates.iter().map(|(id, _)| *id).collect();
        for (id, fate) in &fates {
            self.tell_failed(*id, fate);
        }
        self.queue.settled(fates, Timestamp::now())?;
        for settled in self.queue.state().recent().take(ids.len()).collect::<Vec<_>>().into_iter().rev() {
            (self.tell)(&Told::Settled(settled));
        }
        Ok(())
    }

    /// Takes what came. Says whether there was room for it; if not, it comes again.
    fn take(&mut self, came: Came, now: Timestamp) -> Result<bool, DispatchError> {
        let Came { arrivals, marks, skipped, lacking } = came;
        skipped.iter().for_each(|(trigger, times)| (self.tell)(&Told::Skipped { trigger, times: *times }));
        lacking.iter().for_each(|(trigger, lacking)| (self.tell)(&Told::Lacking { trigger, lacking }));
        self.accept_if_room(&arrivals, marks, now)
    }

    /// Takes arrivals, and says whether there was room for them.
    fn accept_if_room(
        &mut self,
        arrivals: &[Arrival],
        marks: Marks,
        now: Timestamp,
    ) -> Result<bool, DispatchError> {
        match self.accept(arrivals, marks, now) {
            Ok(_) => Ok(true),
            Err(DispatchError::Queue(QueueError::Full { waiting })) => {
                tracing::warn!(waiting, "too much waits: what arrives by itself is taken later");
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    fn accept(
        &mut self,
        arrivals: &[Arrival],
        marks: Marks,
        now: Timestamp,
    ) -> Result<Vec<bool>, DispatchError> {
        if arrivals.is_empty() && marks.is_empty() {
            return Ok(Vec::new());
        }
        let are_new = self.queue.accept(arrivals.to_vec(), marks, now)?;
        for (arrival, is_new) in arrivals.iter().zip(&are_new) {
            if *is_new {
                (self.tell)(&Told::Arrived(arrival));
            }
        }
        Ok(are_new)
    }

    /// Takes what lies in the state folder: orders, ends of runs, new records of the registry.
    fn collect(&mut self) -> Result<(), DispatchError> {
        let state = self.project.state().to_owned();
        let now = Timestamp::now();
        for (path, order) in spool::orders(&state).map_err(DispatchError::Spool)? {
            if self.fire(&order, now)? {
                spool::done(&path);
            }
        }
        for run in self.history.ended_lately().map_err(DispatchError::Spool)? {
            if let Some((outcome, at)) = self.history.outcome(&run)
                && let Some(pipeline) = self.history.pipeline_of(&run)
            {
                let came =
                    sources::ended(&self.pipelines, self.queue.state(), &run, (&pipeline, outcome, at), now);
                if !self.take(came, now)? {
                    continue;
                }
            }
            self.history.take_ending(&run);
        }
        match sources::registered(&self.pipelines, &self.registry, self.queue.state(), now) {
            Ok(came) => self.take(came, now).map(drop),
            Err(error) => {
                tracing::error!(%error, "the registry cannot be read: triggers that wait for models see nothing");
                Ok(())
            }
        }
    }

    /// What a trigger that waits for a change sees.
    fn saw(&mut self, sight: Sight) -> Result<(), DispatchError> {
        let (file, name, seen) = match sight {
            Sight::Polling { file, trigger, reason } => {
                (self.tell)(&Told::Polling { trigger: &format!("{file}#{trigger}"), reason: &reason });
                return Ok(());
            }
            Sight::Seen { file, trigger, digest } => (file, trigger, digest),
        };
        let digest = seen.to_string();
        let mark = format!("watch {file}#{name}");
        let before = self.queue.state().mark(&mark).and_then(|mark| {
            let (digest, count) = mark.split_once(' ')?;
            Some((digest.to_owned(), count.parse::<u64>().ok()?))
        });
        let now = Timestamp::now();
        let Some((before, count)) = before else {
            return self.accept(&[], vec![(mark, format!("{digest} 0"))], now).map(drop);
        };
        let mut triggers = self.pipelines.triggers();
        let Some((_, own, trigger)) = triggers
            .find(|(own, _, trigger)| *own == file && trigger.name == name)
            .filter(|_| before != digest)
        else {
            return Ok(());
        };
        let count = count + 1;
        let event = serde_json::json!({
            "specversion": "1.0", "id": count.to_string(), "source": format!("/watches/{file}#{name}"),
            "type": "tidemill.data.changed", "time": now, "data": { "digest": digest, "before": before },
        });
        let came = match sources::arrival((&file, &own.name), trigger, Cause::Watch, event, now) {
            Ok(arrival) => Came { arrivals: vec![arrival], ..Came::default() },
            Err(lacking) => Came { lacking: vec![(format!("{file}#{name}"), lacking)], ..Came::default() },
        };
        drop(triggers);
        if !self.take(Came { marks: vec![(mark, format!("{digest} {count}"))], ..came }, now)? {
            let told = self.sights.0.clone();
            self.watching.spawn(async move {
                tokio::time::sleep(LATER).await;
                // Whoever listened may have gone.
                let _ = told.send(Sight::Seen { file, trigger: name, digest: seen });
            });
        }
        Ok(())
    }

    /// Listens to changes of the files of pipelines, and reads those that came before it was listened.
    fn listen_to_files(&mut self) -> Result<Hints, DispatchError> {
        loop {
            let hints = Hints::new(&watched(self.project.root(), &self.pipelines), None);
            if !self.reload()? {
                return Ok(hints);
            }
        }
    }

    /// Reads the pipelines again. Says whether they are others.
    fn reload(&mut self) -> Result<bool, DispatchError> {
        match Pipelines::read(&self.project, &self.pipelines) {
            Ok(pipelines) if pipelines.is_as(&self.pipelines) => Ok(false),
            Ok(pipelines) => {
                self.pipelines = pipelines;
                self.tell_pipelines();
                self.begin_from_now()?;
                self.watch();
                Ok(true)
            }
            Err(error) => {
                let (file, reason) = (crate::project::PROJECT_FILE, error.to_string());
                (self.tell)(&Told::Mistake { file, reason: &reason, stays: true });
                Ok(false)
            }
        }
    }

    /// What is first seen, or is enabled again, starts nothing for what was before.
    fn begin_from_now(&mut self) -> Result<(), DispatchError> {
        let now = Timestamp::now();
        let marks = sources::beginnings(&self.pipelines, self.queue.state(), now);
        self.accept(&[], marks, now).map(drop)
    }

    fn tell_pipelines(&self) {
        for (file, pipeline) in self.pipelines.iter() {
            if let Some(reason) = &pipeline.mistake {
                (self.tell)(&Told::Mistake { file, reason, stays: !pipeline.triggers.is_empty() });
            }
        }
        (self.tell)(&Told::Triggers(&self.pipelines));
        in_circles(&self.pipelines).iter().for_each(|said| (self.tell)(&Told::Circle(said)));
    }

    /// Has somebody look for each trigger that waits for a change, and nobody for those that do no longer.
    fn watch(&mut self) {
        let mut wanted = BTreeMap::new();
        for (file, pipeline, trigger) in self.pipelines.triggers() {
            if let On::Watch { only, settle } = &trigger.on {
                let watch = Watch {
                    file: file.to_owned(),
                    path: pipeline.path.clone(),
                    trigger: trigger.name.clone(),
                    only: only.clone(),
                    settle: *settle,
                };
                wanted.insert((file.to_owned(), trigger.name.to_string()), watch);
            }
        }
        self.watches.retain(|name, (watch, handle)| {
            let stays = wanted.get(name) == Some(watch);
            if !stays {
                handle.abort();
            }
            stays
        });
        for (name, watch) in wanted {
            if !self.watches.contains_key(&name) {
                let following = watch.clone().follow(self.project.clone(), self.sights.0.clone());
                self.watches.insert(name, (watch, self.watching.spawn(following)));
            }
        }
    }

    /// What is to be listened to in the state folder, and whether below it too.
    fn state_folders(&self) -> Result<BTreeMap<Utf8PathBuf, bool>, DispatchError> {
        let inbox = self.project.state().join(spool::INBOX);
        let mut folders = BTreeMap::from([(self.history.endings(), false), (inbox, false)]);
        let waits_for_models =
            self.pipelines.triggers().any(|(_, _, trigger)| matches!(trigger.on, On::Model(..)));
        if waits_for_models {
            // Before the first model is registered it is not there, and nobody could listen to it.
            let models = self.registry.models_folder();
            std::fs::create_dir_all(&models).map_err(DispatchError::Spool)?;
            folders.insert(models, true);
        }
        Ok(folders)
    }
}
