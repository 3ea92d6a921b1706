//! How far a transfer is: on a terminal one line that is rewritten, in a log a line now and then, and nothing if it is over at once.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tidemill_engine::store::{Progress, Transfer};

use super::screen::Size;
use super::sink::{Loudness, show, tell};
use super::text::{duration, size};
use crate::context::Context;

/// How often the line on a terminal is written anew.
const FRAME: Duration = Duration::from_millis(250);
/// How often a log gets a line.
const LINE: Duration = Duration::from_secs(30);

/// Tells how far a transfer is, until it is stopped.
pub(crate) struct Watch {
    stop: Sender<()>,
    ticker: Option<JoinHandle<()>>,
}

impl Watch {
    /// Begins to tell.
    pub(crate) fn start(context: &Context, progress: Arc<Progress>, word: &'static str) -> Self {
        let (stop, stopped) = mpsc::channel::<()>();
        let on_screen = context.can_draw && context.ui.err.terminal;
        let interval = if on_screen { FRAME } else { LINE };
        let ticker = (context.ui.loudness > Loudness::Quiet).then(|| {
            let started = Instant::now();
            std::thread::spawn(move || {
                while stopped.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                    let line = line(word, &progress.transfer(), started.elapsed());
                    match on_screen {
                        true => show(vec![line], Size::now()),
                        false => tell(&format!("{line}\n")),
                    }
                }
                if on_screen {
                    show(Vec::new(), Size::now());
                }
            })
        });
        Self { stop, ticker }
    }

    /// Tells no more.
    pub(crate) fn stop(self) {
        drop(self.stop);
        if let Some(ticker) = self.ticker {
            ticker.join().ok();
        }
    }
}

/// Such as `sending  1.2 GiB of 3.4 GiB read, 0.9 GiB over the wire, 12 MiB/s, 40 s`.
fn line(word: &str, transfer: &Transfer, elapsed: Duration) -> String {
    let wire = transfer.sent + transfer.received;
    let milliseconds = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
    let rate = u64::try_from(u128::from(wire) * 1000 / u128::from(milliseconds)).unwrap_or(u64::MAX);
    let done = match transfer.total {
        0 => "looking what is there".to_owned(),
        total => format!("{} of {}", size(transfer.done), size(total)),
    };
    format!("{word}  {done}, {} over the wire, {}/s, {}", size(wire), size(rate), duration(milliseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_it_is_and_how_fast() {
        let transfer = Transfer { sent: 2 << 20, total: 8 << 20, done: 4 << 20, ..Transfer::default() };
        let said = line("sending", &transfer, Duration::from_secs(2));
        assert_eq!(said, "sending  4.0 MiB of 8.0 MiB, 2.0 MiB over the wire, 1.0 MiB/s, 2.0 s");
        let said = line("fetching", &Transfer::default(), Duration::from_secs(1));
        assert!(said.starts_with("fetching  looking what is there, "), "{said}");
    }
}
