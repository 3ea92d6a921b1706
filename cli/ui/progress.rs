//! Progress on standard error: lines that stay, and on a terminal a block below them that says what runs now. Where standard
//! error is no terminal, nothing but the lines is written.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tidemill_engine::event::{Pulse, Stamped, Subscriber};

use super::board::Board;
use super::plain::Lines;
use super::screen::Size;
use super::sink::{queue, show, tell};

/// How often the block is drawn anew, if anything in it changed.
const FRAME: Duration = Duration::from_millis(100);
/// How often what runs is measured for a screen, and for a log, which tells of it once a minute.
const SCREEN_PULSE: Duration = Duration::from_secs(1);
const LOG_PULSE: Duration = Duration::from_secs(10);

/// Lines about the events of a run, on standard error.
pub(crate) struct Log {
    lines: Lines,
}

impl Log {
    /// These lines.
    pub(crate) fn new(lines: Lines) -> Self {
        Self { lines }
    }
}

impl Subscriber for Log {
    fn takes_lists(&self) -> bool {
        !self.lines.lists_cached()
    }

    fn on(&mut self, event: &Stamped) {
        tell(&self.lines.of(event));
    }

    fn pulse_interval(&self) -> Option<Duration> {
        Some(LOG_PULSE)
    }

    fn pulse(&mut self, pulse: &Pulse) {
        tell(&self.lines.heartbeat(Timestamp::now(), pulse));
    }
}

/// Lines about the events of a run, and a block below them that is rewritten; on standard error, a terminal.
pub(crate) struct Live {
    lines: Lines,
    board: Arc<Mutex<Board>>,
    stop: Option<Sender<()>>,
    ticker: Option<JoinHandle<()>>,
}

impl Live {
    /// These lines above this board, until it is dropped.
    pub(crate) fn start(lines: Lines, board: Board) -> Self {
        let board = Arc::new(Mutex::new(board));
        let (stop, stopped) = mpsc::channel::<()>();
        let shared = Arc::clone(&board);
        let ticker = std::thread::spawn(move || {
            while stopped.recv_timeout(FRAME) == Err(RecvTimeoutError::Timeout) {
                let size = Size::now();
                let block = lock(&shared).lines(Instant::now(), size);
                show(block, size);
            }
        });
        Self { lines, board, stop: Some(stop), ticker: Some(ticker) }
    }
}

impl Subscriber for Live {
    fn takes_lists(&self) -> bool {
        !self.lines.lists_cached()
    }

    fn on(&mut self, event: &Stamped) {
        lock(&self.board).add(&event.event, Instant::now());
        // Written with the next frame: thousands of events that come at once are drawn once.
        queue(&self.lines.of(event));
    }

    fn pulse_interval(&self) -> Option<Duration> {
        Some(SCREEN_PULSE)
    }

    fn pulse(&mut self, pulse: &Pulse) {
        lock(&self.board).beat(pulse);
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(ticker) = self.ticker.take() {
            ticker.join().ok();
        }
        show(Vec::new(), Size::now());
    }
}

fn lock(board: &Mutex<Board>) -> MutexGuard<'_, Board> {
    board.lock().unwrap_or_else(PoisonError::into_inner)
}
