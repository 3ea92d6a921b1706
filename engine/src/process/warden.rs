//! The warden's side: one loop that takes orders, starts, watches and clears away. One thread, so that nothing can run
//! between a process's end and the look at what it left.

use std::io::{self, PipeReader, Stderr, Stdin};
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::FileType;
use rustix::io::Errno;
use rustix::process::Signal;

use super::command::{Rank, Status};
use super::family::{self, Ending, Family, Member, Phase};
use super::launch::Launcher;
use super::sys::{self, Dead, Reaped};
use super::table;
use super::wire::{End, Fault, Order, Refusal, Report, Request};

/// How long the loop sleeps at most while something is being cleared away: what is not the warden's child yet, or is
/// becoming another program, does not call.
const CLEARING_PAUSE: Duration = Duration::from_millis(5);
/// How long it is not told that a command was started, if nothing else is to be told: many have ended by then.
const HOLD: Duration = Duration::from_millis(4);

/// What `tidemill warden` runs: it serves the engine at the other ends of the pipes that are its standard input and error, and when
/// the engine is gone, kills all its descendants and ends.
#[must_use]
pub fn warden_main() -> ExitCode {
    if !is_pipe(&io::stdin()) || !is_pipe(&io::stderr()) {
        // Someone typed the hidden command by hand.
        return ExitCode::from(2);
    }
    match Watch::begin() {
        Ok(watch) => watch.serve(),
        Err(_) => ExitCode::FAILURE,
    }
}

fn is_pipe(stream: &impl AsFd) -> bool {
    rustix::fs::fstat(stream).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Fifo)
}

struct Watch {
    requests: Stdin,
    reports: Stderr,
    /// Readable when a child ended.
    deaths: PipeReader,
    launcher: Launcher,
    family: Family,
    /// Commands that are held until there is a place for them.
    waiting: Vec<Waiting>,
    /// The beginning of a request.
    unread: Vec<u8>,
    /// Reports of what was started, and when the first of them came: an end that follows soon goes with them.
    held: Vec<u8>,
    held_since: Option<Instant>,
}

/// A command that is held.
struct Waiting {
    order: Order,
    rank: Rank,
    /// Whether it may take the place of another one.
    may_follow: bool,
}

/// Whether there is anyone to serve.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Engine {
    Listens,
    Gone,
}

impl Watch {
    fn begin() -> io::Result<Self> {
        sys::ignore_endings()?;
        sys::keep_descriptors();
        let deaths = sys::child_signals()?;
        #[cfg(target_os = "linux")]
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
        rustix::process::umask(rustix::fs::Mode::WGRP | rustix::fs::Mode::WOTH);
        let mark = table::mark(rustix::process::getpid().as_raw_pid());
        Ok(Self {
            requests: io::stdin(),
            reports: io::stderr(),
            deaths,
            launcher: Launcher::new(mark)?,
            family: Family::new(),
            waiting: Vec::new(),
            unread: Vec::new(),
            held: Vec::new(),
            held_since: None,
        })
    }

    fn serve(mut self) -> ExitCode {
        let mut engine = self.tell(&Report::Ready(self.launcher.mark().to_owned()));
        while engine == Engine::Listens {
            let called = self.wait();
            if self.held_for().is_some_and(|held| held >= HOLD) {
                engine = self.send();
            }
            self.pump();
            if called && engine == Engine::Listens {
                engine = self.take_requests();
            }
            if engine == Engine::Gone {
                // Nothing begins any more.
                self.waiting.clear();
            }
            if self.settle() == Engine::Gone {
                engine = Engine::Gone;
            }
        }
        self.end()
    }

    /// Sleeps until there is something to do; true if the engine calls.
    fn wait(&self) -> bool {
        let mut sources =
            vec![PollFd::new(&self.requests, PollFlags::IN), PollFd::new(&self.deaths, PollFlags::IN)];
        let outputs = self.family.members().flat_map(|member| &member.outputs);
        sources.extend(
            outputs.filter_map(|output| Some(PollFd::from_borrowed_fd(output.source()?, PollFlags::IN))),
        );
        let clearing = self.family.is_clearing().then_some(CLEARING_PAUSE);
        let holding = self.held_for().map(|held| HOLD.saturating_sub(held));
        let pause = clearing.into_iter().chain(holding).min();
        let pause = pause.and_then(|pause| Timespec::try_from(pause).ok());
        // Interrupted by the signal that fills the pipe of deaths: the next look finds it.
        let _ = poll(&mut sources, pause.as_ref());
        let called = !sources[0].revents().is_empty();
        let mut rest = [0; 512];
        while rustix::io::read(self.deaths.as_fd(), &mut rest).is_ok_and(|count| count == rest.len()) {}
        called
    }

    fn pump(&mut self) {
        let mut talkative = Vec::new();
        for (id, member) in self.family.members_mut() {
            for output in &mut member.outputs {
                output.pump();
                if output.too_much() {
                    talkative.push(id);
                }
            }
        }
        for id in talkative {
            self.kill(id);
        }
    }

    /// Reads what the engine sent, and does what is complete.
    fn take_requests(&mut self) -> Engine {
        let mut chunk = [0; 1 << 16];
        match rustix::io::read(&self.requests, &mut chunk) {
            Ok(0) => return Engine::Gone,
            Ok(count) => self.unread.extend_from_slice(&chunk[..count]),
            Err(Errno::INTR | Errno::AGAIN) => return Engine::Listens,
            Err(_) => return Engine::Gone,
        }
        let Some(end) = self.unread.iter().rposition(|byte| *byte == b'\n') else { return Engine::Listens };
        let lines: Vec<u8> = self.unread.drain(..=end).collect();
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            // What is no request comes from no engine of ours.
            let Ok(request) = serde_json::from_slice(line) else { return Engine::Gone };
            if self.answer(request) == Engine::Gone {
                return Engine::Gone;
            }
        }
        Engine::Listens
    }

    fn answer(&mut self, request: Request) -> Engine {
        match request {
            Request::Spawn(order) => return self.spawn(*order),
            Request::Hold { order, rank } => {
                self.waiting.push(Waiting { order: *order, rank, may_follow: true });
            }
            Request::Go(id) => {
                if let Some(place) = self.waiting.iter().position(|waiting| waiting.order.id == id) {
                    let waiting = self.waiting.swap_remove(place);
                    return self.spawn(waiting.order);
                }
            }
            Request::Withdraw(id) => match self.waiting.iter().position(|waiting| waiting.order.id == id) {
                Some(place) => {
                    let order = self.waiting.swap_remove(place).order;
                    let program = order.argv.into_iter().next().unwrap_or_default();
                    let reason = "it was taken back".to_owned();
                    let refusal = Refusal { fault: Fault::Withdrawn, program, reason };
                    return self.tell(&Report::Refused { id, refusal });
                }
                None => self.kill(id),
            },
            Request::Recall => self.waiting.iter_mut().for_each(|waiting| waiting.may_follow = false),
            Request::Terminate(id) => {
                if let Some(member) = self.family.get_mut(id) {
                    member.ending = Ending::Grace;
                    self.family.signal(id, Signal::TERM, self.launcher.mark());
                }
            }
            Request::Kill(id) => self.kill(id),
            Request::Shutdown => return Engine::Gone,
        }
        Engine::Listens
    }

    fn kill(&mut self, id: u64) {
        if let Some(member) = self.family.get_mut(id) {
            member.ending = Ending::Kill;
            self.family.signal(id, Signal::KILL, self.launcher.mark());
        }
    }

    fn spawn(&mut self, order: Order) -> Engine {
        let id = order.id;
        match self.launcher.launch(&order) {
            Ok(launched) => {
                let member = Member {
                    attempt: order.attempt,
                    leader: launched.pid,
                    folder: order.folder,
                    outputs: launched.outputs,
                    #[cfg(target_os = "linux")]
                    watcher: launched.watcher,
                    kind: order.kind,
                    phase: Phase::Running,
                    ending: Ending::Kill,
                    doomed: Default::default(),
                };
                self.family.add(id, member);
                self.held_since.get_or_insert_with(Instant::now);
                self.note(&Report::Started { id, pid: launched.pid.unsigned_abs() })
            }
            Err(refusal) => self.tell(&Report::Refused { id, refusal }),
        }
    }

    /// Takes the exits of children, and tells the engine of each command that has left nothing behind any more.
    fn settle(&mut self) -> Engine {
        while let Reaped::One(dead) = sys::reap() {
            self.family.died(dead);
        }
        for (id, member) in self.family.clear(self.launcher.mark()) {
            let Phase::Clearing(dead) = &member.phase else { continue };
            let dead = *dead;
            let ended_well = dead.status == Status::Code(0) && member.ending == Ending::Kill;
            let follower = match member.kind.filter(|_| ended_well).and_then(|kind| self.follower(kind)) {
                Some(order) => {
                    let follower = order.id;
                    if self.spawn(order) == Engine::Gone {
                        return Engine::Gone;
                    }
                    Some(follower)
                }
                None => None,
            };
            if self.tell(&Report::Exited { id, end: end_of(member, &dead), follower }) == Engine::Gone {
                return Engine::Gone;
            }
        }
        Engine::Listens
    }

    /// Takes the command that has the place of one of this kind next.
    fn follower(&mut self, kind: u64) -> Option<Order> {
        let fits = |waiting: &Waiting| waiting.may_follow && waiting.order.kind == Some(kind);
        let (place, _) = self
            .waiting
            .iter()
            .enumerate()
            .filter(|(_, waiting)| fits(waiting))
            .max_by_key(|(_, waiting)| waiting.rank)?;
        Some(self.waiting.swap_remove(place).order)
    }

    fn held_for(&self) -> Option<Duration> {
        self.held_since.map(|since| since.elapsed())
    }

    /// Sends a report, with those that were held.
    fn tell(&mut self, report: &Report) -> Engine {
        match self.note(report) {
            Engine::Listens => self.send(),
            Engine::Gone => Engine::Gone,
        }
    }

    /// Holds a report.
    fn note(&mut self, report: &Report) -> Engine {
        if serde_json::to_writer(&mut self.held, report).is_err() {
            return Engine::Gone;
        }
        self.held.push(b'\n');
        Engine::Listens
    }

    /// Sends what was held.
    fn send(&mut self) -> Engine {
        self.held_since = None;
        let lines = std::mem::take(&mut self.held);
        let mut rest = lines.as_slice();
        while !rest.is_empty() {
            match rustix::io::write(&self.reports, rest) {
                Ok(count) => rest = &rest[count..],
                Err(Errno::INTR) => {}
                Err(_) => return Engine::Gone,
            }
        }
        Engine::Listens
    }

    /// Kills every descendant until none is left.
    fn end(mut self) -> ExitCode {
        if !cfg!(target_os = "linux") {
            self.family.members().for_each(|member| family::signal_group(member.leader, Signal::KILL));
        }
        loop {
            family::kill_everything();
            loop {
                match sys::reap() {
                    Reaped::One(_) => {}
                    Reaped::None => break,
                    Reaped::Childless => {
                        let outputs = self.family.members_mut().flat_map(|(_, member)| &mut member.outputs);
                        outputs.for_each(super::output::Output::finish);
                        return ExitCode::SUCCESS;
                    }
                }
            }
            let pause = Timespec::try_from(CLEARING_PAUSE).ok();
            let _ = poll(&mut [PollFd::new(&self.deaths, PollFlags::IN)], pause.as_ref());
            let mut rest = [0; 512];
            let _ = rustix::io::read(&self.deaths, &mut rest);
        }
    }
}

/// What is told of a command that ended, after the last of its output.
fn end_of(mut member: Member, dead: &Dead) -> End {
    member.outputs.iter_mut().for_each(super::output::Output::finish);
    #[cfg(target_os = "linux")]
    let reads = member.watcher.map(super::trace::Watcher::finish);
    #[cfg(not(target_os = "linux"))]
    let reads = None;
    let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    End {
        status: dead.status,
        user_us: micros(dead.user),
        system_us: micros(dead.system),
        peak_memory: dead.peak_memory,
        output: member.outputs.into_iter().find_map(super::output::Output::into_kept),
        reads,
        follower: None,
    }
}
