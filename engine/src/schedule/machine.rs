//! The state machine of a run: every step is in one state, and one function changes it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use super::limits::{Held, Limits, Need};

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// Its outputs are known: found or made.
    Done,
    /// Its outputs are known, and its gate says no.
    Closed,
    /// It was left out.
    LeftOut,
    /// It failed.
    Failed,
    /// Another step keeps it from running.
    Blocked {
        /// The step that failed, or whose gate is closed.
        by: usize,
    },
}

/// A change of state that the machine does not allow: a bug in whoever asked for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("step {step} cannot become {wanted} while it is {present}")]
pub struct WrongOrder {
    step: usize,
    present: &'static str,
    wanted: &'static str,
}

#[derive(Debug)]
enum State {
    /// Steps before it are not settled.
    Waiting,
    /// All before it is settled; somebody looks up what is known.
    Deciding,
    /// It has to run and waits for its turn.
    Ready(Need),
    /// It runs.
    Running(Held),
    /// Its process has ended well, and its outputs are being taken: it needs its place no more.
    Ending,
    /// It ended.
    Settled(Settled),
}

impl State {
    fn name(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Deciding => "deciding",
            Self::Ready(_) => "ready",
            Self::Running(_) => "running",
            Self::Ending => "ending",
            Self::Settled(_) => "settled",
        }
    }
}

/// Which ready step goes first: the one with the highest priority, then the first of the file.
type Rank = (u64, Reverse<usize>);

/// So many steps are prepared at most before it is their turn.
const MOST_PREPARED: usize = 4;

/// The state of all steps of a run.
#[derive(Debug)]
pub struct Machine {
    states: Vec<State>,
    upstream: Vec<Vec<usize>>,
    downstream: Vec<Vec<usize>>,
    /// By step: how many steps before it are not settled.
    open: Vec<usize>,
    priority: Vec<u64>,
    limits: Limits,
    /// How many steps may be ending at once, and how many are.
    most_ending: usize,
    ending: usize,
    to_decide: BTreeSet<usize>,
    /// Ready steps by what they need, in each the highest priority on top, then the first of the file: so what does not fit is
    /// passed over once, however many steps wait for it.
    ready: BTreeMap<Need, BinaryHeap<Rank>>,
    /// Ready steps that somebody prepares before it is their turn.
    prepared: BTreeSet<Rank>,
    /// How many of these there may be.
    most_prepared: usize,
    considered: Vec<bool>,
    unsettled: usize,
    stopped_by: Option<usize>,
}

impl Machine {
    /// A run over these steps; those that are not `considered` are as if they did not exist, and those that are `done` ended
    /// before it began, with all before them.
    #[must_use]
    pub fn new(
        upstream: Vec<Vec<usize>>,
        considered: Vec<bool>,
        done: &[bool],
        priority: Vec<u64>,
        limits: Limits,
    ) -> Self {
        let count = upstream.len();
        let mut downstream = vec![Vec::new(); count];
        for (step, producers) in upstream.iter().enumerate() {
            for &producer in producers {
                downstream[producer].push(step);
            }
        }
        let mut machine = Self {
            states: done
                .iter()
                .map(|done| if *done { State::Settled(Settled::Done) } else { State::Waiting })
                .collect(),
            open: upstream.iter().map(|before| before.iter().filter(|step| !done[**step]).count()).collect(),
            upstream,
            downstream,
            priority,
            // One job means one step after the other, to its very end.
            most_ending: if limits.jobs() > 1 { limits.jobs() } else { 0 },
            most_prepared: if limits.jobs() > 1 { limits.jobs().min(MOST_PREPARED) } else { 0 },
            ending: 0,
            limits,
            to_decide: BTreeSet::new(),
            ready: BTreeMap::new(),
            prepared: BTreeSet::new(),
            unsettled: considered
                .iter()
                .zip(done)
                .filter(|(considered, done)| **considered && !**done)
                .count(),
            considered,
            stopped_by: None,
        };
        for (step, done) in done.iter().enumerate() {
            if machine.considered[step] && !done && machine.open[step] == 0 {
                machine.to_decide.insert(step);
            }
        }
        machine
    }

    /// Takes a step about which may be decided now.
    pub fn next_to_decide(&mut self) -> Option<usize> {
        let step = self.to_decide.pop_first()?;
        self.states[step] = State::Deciding;
        Some(step)
    }

    /// A step that was decided about has to run.
    ///
    /// # Errors
    /// If nobody was deciding about it.
    pub fn ready(&mut self, step: usize, need: Need) -> Result<(), WrongOrder> {
        match self.states[step] {
            State::Deciding => {
                let waiting = self.ready.entry(need.clone()).or_default();
                waiting.push((self.priority[step], Reverse(step)));
                self.states[step] = State::Ready(need);
                Ok(())
            }
            _ => self.wrong(step, "ready"),
        }
    }

    /// Takes the ready step that goes first among those that fit; with the ids of its GPUs. None once it was stopped.
    pub fn next_to_start(&mut self) -> Option<(usize, Vec<String>)> {
        if self.stopped_by.is_some() {
            return None;
        }
        self.forget_what_waits_no_more();
        let waiting = self.ready.iter().filter(|(need, _)| self.limits.fits(need));
        let mut first = waiting.filter_map(|(_, waiting)| waiting.peek().copied()).max();
        let fits = |step: usize| matches!(&self.states[step], State::Ready(need) if self.limits.fits(need));
        first = first.max(self.prepared.iter().rev().find(|(_, step)| fits(step.0)).copied());
        let rank = first?;
        let step = rank.1.0;
        let State::Ready(need) = &self.states[step] else { return None };
        let held = self.limits.take(need)?;
        if !self.prepared.remove(&rank)
            && let Some(waiting) = self.ready.get_mut(need)
        {
            waiting.pop();
        }
        let gpus = held.gpus.clone();
        self.states[step] = State::Running(held);
        Some((step, gpus))
    }

    /// Takes the ready step that may be prepared before there is a place for it: it stays ready. None if enough are.
    pub fn next_to_prepare(&mut self) -> Option<usize> {
        if self.stopped_by.is_some() || self.most_prepared == 0 {
            return None;
        }
        self.forget_what_waits_no_more();
        // What is prepared may begin by itself: not while many are ending.
        if self.prepared.len() >= self.most_prepared || self.ending >= self.most_ending {
            return None;
        }
        // What runs elsewhere is prepared there.
        let here = self.ready.iter_mut().filter(|(need, _)| need.executor.is_none());
        let (_, waiting) = here.max_by_key(|(_, waiting)| waiting.peek().copied())?;
        let rank = waiting.pop()?;
        self.prepared.insert(rank);
        Some(rank.1.0)
    }

    /// Whether ready steps need GPUs.
    #[must_use]
    pub fn wants_gpus(&self) -> bool {
        self.stopped_by.is_none() && self.ready_needs().any(|need| need.gpus > 0 && need.executor.is_none())
    }

    /// Whether a ready step could start if nobody else on this machine used GPUs.
    #[must_use]
    pub fn waits_for_others(&self) -> bool {
        self.stopped_by.is_none() && self.ready_needs().any(|need| self.limits.waits_for_others(need))
    }

    /// What is free, and what others use of it.
    pub fn limits(&mut self) -> &mut Limits {
        &mut self.limits
    }

    /// What the steps need that are ready.
    fn ready_needs(&self) -> impl Iterator<Item = &Need> {
        let waiting = self.ready.iter().filter(|(_, waiting)| !waiting.is_empty()).map(|(need, _)| need);
        waiting.chain(self.prepared.iter().filter_map(|(_, step)| match &self.states[step.0] {
            State::Ready(need) => Some(need),
            _ => None,
        }))
    }

    /// What was settled or paused since it became ready waits no more.
    fn forget_what_waits_no_more(&mut self) {
        let states = &self.states;
        for (need, waiting) in &mut self.ready {
            let still = |step: usize| matches!(&states[step], State::Ready(wanted) if wanted == need);
            while waiting.peek().is_some_and(|(_, step)| !still(step.0)) {
                waiting.pop();
            }
        }
        self.prepared.retain(|(_, step)| matches!(states[step.0], State::Ready(_)));
    }

    /// The process of a running step has ended well: another one may have its place while its outputs are taken. If many are
    /// being taken already, it keeps its place until it is settled.
    pub fn vacate(&mut self, step: usize) {
        if self.ending >= self.most_ending {
            return;
        }
        match std::mem::replace(&mut self.states[step], State::Ending) {
            State::Running(held) => {
                self.limits.give_back(held);
                self.ending += 1;
            }
            other => self.states[step] = other,
        }
    }

    /// The process of a running step has ended well, and the process of a ready step of the same need has already begun in its
    /// place. False: that is not so any more, and nothing is changed.
    pub fn hand_over(&mut self, from: usize, to: usize) -> bool {
        let rank = (self.priority[to], Reverse(to));
        let fits = match (&self.states[from], &self.states[to]) {
            (State::Running(held), State::Ready(need)) => held.gpus.is_empty() && held.is_for(need),
            _ => false,
        };
        if !fits || !self.prepared.remove(&rank) {
            return false;
        }
        if let State::Running(held) = std::mem::replace(&mut self.states[from], State::Ending) {
            self.states[to] = State::Running(held);
        }
        self.ending += 1;
        true
    }

    /// Whether the process of a prepared step may begin in the place of one that ended, without asking: all that is ready needs the
    /// same, and nothing is more urgent than what is prepared.
    pub fn may_follow_unasked(&mut self) -> bool {
        self.forget_what_waits_no_more();
        let mut needs = self.ready_needs();
        let first = needs.next();
        let is_uniform = needs.all(|need| Some(need) == first);
        let best = self.ready.values().filter_map(|waiting| waiting.peek()).max();
        is_uniform && self.prepared.first().zip(best).is_none_or(|(least, best)| best < least)
    }

    /// How urgent a step is: its priority, then its place in the file, the first the highest.
    #[must_use]
    pub fn rank(&self, step: usize) -> (u64, u64) {
        (self.priority[step], u64::MAX - step as u64)
    }

    /// A running or ready step gives its place back and is decided about again: it waits before a retry, or it waited
    /// for another run that now made its result, or its producer gave other bytes.
    ///
    /// # Errors
    /// If it neither runs nor is about to.
    pub fn pause(&mut self, step: usize) -> Result<(), WrongOrder> {
        match std::mem::replace(&mut self.states[step], State::Deciding) {
            State::Running(held) => {
                self.limits.give_back(held);
                Ok(())
            }
            State::Ending => {
                self.ending -= 1;
                Ok(())
            }
            State::Deciding | State::Ready(_) => Ok(()),
            other => {
                self.states[step] = other;
                self.wrong(step, "paused")
            }
        }
    }

    /// A step ended. Returns the steps that can no longer run because of it, each with the step that is to blame.
    ///
    /// # Errors
    /// If it ended before, or was never decided about.
    pub fn settle(&mut self, step: usize, settled: Settled) -> Result<Vec<(usize, usize)>, WrongOrder> {
        match std::mem::replace(&mut self.states[step], State::Settled(settled)) {
            State::Running(held) => self.limits.give_back(held),
            State::Ending => self.ending -= 1,
            State::Deciding | State::Ready(_) => {}
            other @ (State::Waiting | State::Settled(_)) => {
                self.states[step] = other;
                return self.wrong(step, "settled").map(|()| Vec::new());
            }
        }
        self.unsettled -= 1;
        let mut blocked = Vec::new();
        let mut ended = vec![(step, settled)];
        while let Some((step, settled)) = ended.pop() {
            let blame = match settled {
                Settled::Done | Settled::LeftOut => None,
                Settled::Closed | Settled::Failed => Some(step),
                Settled::Blocked { by } => Some(by),
            };
            for next in self.downstream[step].clone() {
                self.open[next] -= 1;
                match (&self.states[next], blame) {
                    _ if !self.considered[next] => {}
                    (State::Waiting, Some(by)) => {
                        let settled = Settled::Blocked { by };
                        self.states[next] = State::Settled(settled);
                        self.unsettled -= 1;
                        blocked.push((next, by));
                        ended.push((next, settled));
                    }
                    (State::Waiting, None) if self.open[next] == 0 => {
                        self.to_decide.insert(next);
                    }
                    _ => {}
                }
            }
        }
        blocked.sort_unstable();
        Ok(blocked)
    }

    /// Steps that were done run again, because their bytes are needed and gone; `waiter`, about which somebody is
    /// deciding, waits for them.
    ///
    /// # Errors
    /// If one was not done, or nobody is deciding about the waiter.
    pub fn reopen(&mut self, steps: &[usize], waiter: usize) -> Result<(), WrongOrder> {
        if !matches!(self.states[waiter], State::Deciding) {
            return self.wrong(waiter, "waiting");
        }
        for &step in steps {
            self.undo(step)?;
        }
        self.states[waiter] = State::Waiting;
        Ok(())
    }

    /// The bytes of a step that ran again are not the same: what was done with the old ones is decided about anew. Returns
    /// the steps that run or are ready with the old bytes; whoever runs them has to [`Machine::pause`] them in time.
    ///
    /// # Errors
    /// If the machine contradicts itself.
    pub fn invalidate_after(&mut self, step: usize) -> Result<Vec<usize>, WrongOrder> {
        let mut stale = Vec::new();
        for next in self.downstream[step].clone() {
            match self.states[next] {
                State::Settled(Settled::Done | Settled::Closed) => self.undo(next)?,
                State::Ready(_) | State::Running(_) | State::Ending | State::Deciding => stale.push(next),
                State::Waiting | State::Settled(_) => {}
            }
        }
        Ok(stale)
    }

    fn undo(&mut self, step: usize) -> Result<(), WrongOrder> {
        if !matches!(self.states[step], State::Settled(Settled::Done | Settled::Closed)) {
            return self.wrong(step, "reopened");
        }
        self.states[step] = State::Waiting;
        self.unsettled += 1;
        if self.open[step] == 0 {
            self.to_decide.insert(step);
        }
        for next in self.downstream[step].clone() {
            self.open[next] += 1;
            self.to_decide.remove(&next);
        }
        Ok(())
    }

    /// Nothing new starts from now on. Running steps may end.
    pub fn stop(&mut self, by: usize) {
        self.stopped_by.get_or_insert(by);
    }

    /// After a stop, when nothing runs: what was never started, each with the step that is to blame.
    pub fn give_up(&mut self) -> Vec<(usize, usize)> {
        let Some(by) = self.stopped_by else { return Vec::new() };
        let mut blocked = Vec::new();
        for step in 0..self.states.len() {
            let never = matches!(self.states[step], State::Ready(_) | State::Waiting | State::Deciding);
            if never && self.considered[step] {
                self.states[step] = State::Settled(Settled::Blocked { by });
                self.unsettled -= 1;
                blocked.push((step, by));
            }
        }
        self.to_decide.clear();
        self.ready.clear();
        self.prepared.clear();
        blocked
    }

    /// How a step ended, if it did.
    #[must_use]
    pub fn settled(&self, step: usize) -> Option<Settled> {
        match self.states[step] {
            State::Settled(settled) => Some(settled),
            _ => None,
        }
    }

    /// Whether every step ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.unsettled == 0
    }

    /// How many steps have not ended.
    #[must_use]
    pub fn unsettled(&self) -> usize {
        self.unsettled
    }

    /// Whether it was stopped.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stopped_by.is_some()
    }

    /// The steps that one depends on.
    #[must_use]
    pub fn upstream(&self, step: usize) -> &[usize] {
        &self.upstream[step]
    }

    fn wrong(&self, step: usize, wanted: &'static str) -> Result<(), WrongOrder> {
        Err(WrongOrder { step, present: self.states[step].name(), wanted })
    }
}
