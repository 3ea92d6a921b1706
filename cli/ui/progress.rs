//! Progress on standard error: a line per event, and on a terminal one more below them that says what runs now and for how
//! long. Where standard error is no terminal, nothing but the lines is written.

use std::collections::BTreeMap;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tidemill_engine::event::{Event, Stamped, Subscriber};

use super::plain::Lines;
use super::sink::tell;
use super::text::{clean, duration};

/// How often the last line is drawn anew.
const REDRAW: Duration = Duration::from_millis(200);
/// Goes to the beginning of the line and empties it.
const ERASE: &str = "\r\u{1b}[2K";

/// Brings the events of a run to standard error.
pub(crate) struct Progress {
    lines: Lines,
    live: Option<Live>,
}

impl Progress {
    /// Lines only.
    pub(crate) fn plain(lines: Lines) -> Self {
        Self { lines, live: None }
    }

    /// Lines, and one more below them that is rewritten; for a terminal of this width.
    pub(crate) fn live(lines: Lines, width: usize) -> Self {
        Self { lines, live: Some(Live::start(width)) }
    }
}

impl Subscriber for Progress {
    fn on(&mut self, event: &Stamped) {
        let line = self.lines.of(&event.event).map(|line| line + "\n").unwrap_or_default();
        match &self.live {
            None if line.is_empty() => {}
            None => tell(&line),
            Some(live) => live.on(&event.event, &line),
        }
    }
}

/// The rewritten line and the thread that keeps its times right.
struct Live {
    status: Arc<Mutex<Status>>,
    stop: Option<Sender<()>>,
    ticker: Option<JoinHandle<()>>,
}

impl Live {
    fn start(width: usize) -> Self {
        let status = Arc::new(Mutex::new(Status::new(width)));
        let (stop, stopped) = mpsc::channel::<()>();
        let shared = Arc::clone(&status);
        let ticker = std::thread::spawn(move || {
            while stopped.recv_timeout(REDRAW) == Err(RecvTimeoutError::Timeout) {
                shared.lock().unwrap_or_else(PoisonError::into_inner).draw("");
            }
        });
        Self { status, stop: Some(stop), ticker: Some(ticker) }
    }

    fn on(&self, event: &Event, line: &str) {
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        status.add(event, Instant::now());
        status.draw(line);
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(ticker) = self.ticker.take() {
            ticker.join().ok();
        }
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        status.running.clear();
        status.draw("");
    }
}

/// What the rewritten line says.
#[derive(Debug)]
struct Status {
    width: usize,
    total: usize,
    ended: usize,
    running: BTreeMap<String, Instant>,
    /// The line as it is on the screen; empty if there is none.
    shown: String,
}

impl Status {
    fn new(width: usize) -> Self {
        Self { width, total: 0, ended: 0, running: BTreeMap::new(), shown: String::new() }
    }

    fn add(&mut self, event: &Event, now: Instant) {
        match event {
            Event::RunStarted { steps, .. } => self.total = *steps,
            Event::StepStarted { step, .. } => {
                self.running.insert(clean(step.as_str()), now);
            }
            Event::StepRetried { step, .. } => {
                self.running.remove(&clean(step.as_str()));
            }
            Event::StepSucceeded { step, .. }
            | Event::StepFailed { step, .. }
            | Event::StepCached { step, .. }
            | Event::StepSkipped { step, .. }
            | Event::StepBlocked { step, .. } => {
                self.running.remove(&clean(step.as_str()));
                self.ended += 1;
            }
            Event::RunFinished { .. } => self.running.clear(),
            Event::StepQueued { .. }
            | Event::Metrics { .. }
            | Event::Gate { .. }
            | Event::Published { .. }
            | Event::Notice { .. } => {}
        }
    }

    /// Takes the line off the screen, writes these lines, and puts it below them.
    fn draw(&mut self, lines: &str) {
        let text = self.text(Instant::now());
        if lines.is_empty() && text == self.shown {
            return;
        }
        let erase = if self.shown.is_empty() { "" } else { ERASE };
        tell(&format!("{erase}{lines}{text}"));
        self.shown = text;
    }

    /// The line as it is now; empty if nothing runs.
    fn text(&self, now: Instant) -> String {
        if self.running.is_empty() {
            return String::new();
        }
        let mut oldest: Vec<(&String, &Instant)> = self.running.iter().collect();
        oldest.sort_by_key(|(_, since)| **since);
        let step = |(step, since): &(&String, &Instant)| {
            let elapsed = now.saturating_duration_since(**since).as_secs();
            match elapsed {
                0..60 => format!("{step} {elapsed} s"),
                _ => format!("{step} {}", duration(elapsed.saturating_mul(1000))),
            }
        };
        let steps: Vec<String> = oldest.iter().map(step).collect();
        let text = format!("  {}/{}      {}", self.ended, self.total, steps.join(", "));
        cut(&text, self.width.saturating_sub(1))
    }
}

/// The beginning of a text that fits into a line.
fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(width.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use tidemill_engine::name::{RunId, StepId, StepName};

    use super::*;

    fn started(step: &str) -> Event {
        let run = RunId::new("20261120-235501-k3f9qa").unwrap();
        Event::StepStarted {
            step: StepId::new(&StepName::new(step).unwrap(), &[]),
            attempt: tidemill_engine::name::AttemptId::new(&run, 1),
            log: "log".to_owned(),
        }
    }

    #[test]
    fn the_line_says_what_runs_and_for_how_long() {
        let mut status = Status::new(80);
        let begin = Instant::now();
        assert_eq!(status.text(begin), "");
        status.total = 8;
        status.add(&started("ingest"), begin);
        status.add(&started("fetch"), begin + Duration::from_secs(60));
        let text = status.text(begin + Duration::from_secs(65));
        assert_eq!(text, "  0/8      ingest 1 min 5 s, fetch 5 s");
    }

    #[test]
    fn it_never_fills_the_line() {
        let mut status = Status::new(20);
        let begin = Instant::now();
        status.add(&started("a_step_with_a_rather_long_name"), begin);
        assert_eq!(status.text(begin).chars().count(), 19);
        assert!(status.text(begin).ends_with('…'));
    }
}
