//! The thread that answers for one command. It is not the one that starts it: that one stands still until the command has become
//! another program, which is asked about too.

use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{self, Receiver};
use std::thread::Builder;
use std::time::Duration;

use libc::sock_filter;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use super::keeper::Keeper;
use super::listener::{Asks, Listener};
use super::{Reads, Trace, calls, look};
use crate::process::sys;

/// How long its last words are waited for: it may look at a file that does not answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Much more than it needs: a path, and what it calls to look at one.
const STACK: usize = 256 * 1024;

/// Who watches a command.
#[derive(Debug)]
pub(in crate::process) struct Watcher {
    /// Closed, it says that no process of the command is left.
    end: PipeWriter,
    reads: Receiver<Reads>,
}

/// A watcher whose command is about to start.
#[derive(Debug)]
pub(in crate::process) struct Beginning {
    watcher: Watcher,
    filter: Vec<sock_filter>,
    /// The command's end of the channel to the watcher.
    channel: UnixStream,
}

impl Beginning {
    /// Begins to wait for a command.
    ///
    /// # Errors
    /// If the machine has no more threads or descriptors.
    pub(in crate::process) fn of(trace: &Trace) -> io::Result<Self> {
        let (channel, ours) = UnixStream::pair()?;
        let (ended, end) = io::pipe()?;
        let (tell, reads) = mpsc::channel();
        let keeper = Keeper::new(trace);
        // The signals of this process are for its first thread.
        let before = sys::block_signals()?;
        let thread = Builder::new().stack_size(STACK).spawn(move || {
            // Nobody may want to know it any more.
            let _ = tell.send(watch(ours, &ended, keeper));
        });
        sys::set_signals(&before)?;
        thread?;
        Ok(Self { watcher: Watcher { end, reads }, filter: calls::filter(), channel })
    }

    /// What its process is to do.
    pub(in crate::process) fn asks(&self) -> Asks<'_> {
        Asks { filter: &self.filter, channel: self.channel.as_fd() }
    }

    /// It has started.
    pub(in crate::process) fn done(self) -> Watcher {
        self.watcher
    }
}

impl Watcher {
    /// What the command read, of which no process is left.
    pub(in crate::process) fn finish(self) -> Reads {
        drop(self.end);
        self.reads.recv_timeout(PATIENCE).unwrap_or(Reads { files: Vec::new(), complete: false })
    }
}

/// Answers until nobody is left who could ask.
fn watch(channel: UnixStream, ended: &PipeReader, mut keeper: Keeper) -> Reads {
    match Listener::of(&channel) {
        Ok(Some(listener)) => {
            drop(channel);
            if answer(&listener, ended, &mut keeper).is_err() {
                keeper.missed();
            }
        }
        // Nothing was started.
        Ok(None) => {}
        Err(_) => keeper.missed(),
    }
    keeper.reads()
}

/// # Errors
/// If the kernel takes no answer. Nobody waits for one then: the listener goes.
fn answer(listener: &Listener, ended: &PipeReader, keeper: &mut Keeper) -> io::Result<()> {
    loop {
        let mut sources = [PollFd::new(listener, PollFlags::IN), PollFd::new(ended, PollFlags::IN)];
        match poll(&mut sources, None) {
            Err(Errno::INTR) => continue,
            polled => polled?,
        };
        let [asked, over] = sources.map(|source| source.revents());
        if !over.is_empty() {
            return Ok(());
        }
        if asked.contains(PollFlags::IN) {
            if let Some(question) = listener.next()? {
                look::note(&question, listener, keeper);
                listener.let_go(&question)?;
            }
        } else if !asked.is_empty() {
            // Whoever could ask is gone.
            return Ok(());
        }
    }
}

/// Whether this machine can tell what a command reads: a thread of this process is watched for a moment.
#[must_use]
pub fn can_trace() -> bool {
    let tried = || -> io::Result<bool> {
        let beginning = Beginning::of(&Trace::default())?;
        let asks = beginning.asks();
        let opens = || -> io::Result<()> {
            asks.begin()?;
            std::fs::File::open("/proc/self/exe").map(drop)
        };
        let opened = std::thread::scope(|scope| {
            let thread = Builder::new().spawn_scoped(scope, opens)?;
            thread.join().unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))
        });
        let reads = beginning.done().finish();
        Ok(opened.is_ok() && reads.complete && !reads.files.is_empty())
    };
    calls::are_known() && tried().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_can() {
        // The stories of traced steps need it too.
        assert!(can_trace());
    }

    #[test]
    fn a_command_that_was_never_started_read_nothing() {
        let beginning = Beginning::of(&Trace::default()).unwrap();
        assert_eq!(beginning.done().finish(), Reads { files: Vec::new(), complete: true });
    }
}
