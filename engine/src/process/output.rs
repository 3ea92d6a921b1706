//! What a command writes when it does not write to its log itself: through the redactor into the log, or kept and sent.

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Write as _};
use std::os::fd::{AsFd, BorrowedFd};

use rustix::io::Errno;

use super::redact::Redactor;
use super::wire::CAPTURE_LIMIT;

/// How much is read at once.
const CHUNK: usize = 1 << 16;

/// How many chunks are read before others get their turn. Far more than a pipe holds, so that a command whose
/// processes are gone is read to the end.
const TURN: usize = 64;

/// The reading end of a command's output.
pub(super) struct Output {
    pipe: PipeReader,
    sink: Sink,
    open: bool,
}

enum Sink {
    Log { file: File, redactor: Box<Redactor> },
    Kept { bytes: Vec<u8>, too_much: bool },
}

impl Output {
    /// Goes into a log without the secrets. The writing end is the command's.
    pub(super) fn redacted(file: File, redactor: Redactor) -> io::Result<(Self, PipeWriter)> {
        Self::new(Sink::Log { file, redactor: Box::new(redactor) })
    }

    /// Is kept, to [`CAPTURE_LIMIT`].
    pub(super) fn kept() -> io::Result<(Self, PipeWriter)> {
        Self::new(Sink::Kept { bytes: Vec::new(), too_much: false })
    }

    fn new(sink: Sink) -> io::Result<(Self, PipeWriter)> {
        let (pipe, writer) = io::pipe()?;
        rustix::io::ioctl_fionbio(&pipe, true)?;
        Ok((Self { pipe, sink, open: true }, writer))
    }

    /// What to wait on, unless all writers are gone.
    pub(super) fn source(&self) -> Option<BorrowedFd<'_>> {
        self.open.then(|| self.pipe.as_fd())
    }

    /// Takes what is there.
    pub(super) fn pump(&mut self) {
        let mut chunk = [0; CHUNK];
        for _ in 0..TURN {
            if !self.open {
                return;
            }
            match rustix::io::read(&self.pipe, &mut chunk) {
                Ok(0) => self.open = false,
                Ok(count) => self.sink.take(&chunk[..count]),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => self.open = false,
            }
        }
    }

    /// Takes the rest, now that no writer is left.
    pub(super) fn finish(&mut self) {
        self.pump();
        if let Sink::Log { file, redactor } = &mut self.sink {
            let mut shown = Vec::new();
            redactor.finish(&mut shown);
            write_log(file, &shown);
        }
    }

    /// Whether more came than is kept.
    pub(super) fn too_much(&self) -> bool {
        matches!(self.sink, Sink::Kept { too_much: true, .. })
    }

    /// What was kept: all, or nothing if it was too much. None for a log.
    pub(super) fn into_kept(self) -> Option<Vec<u8>> {
        match self.sink {
            Sink::Kept { bytes, too_much: false } => Some(bytes),
            Sink::Kept { .. } | Sink::Log { .. } => None,
        }
    }
}

impl Sink {
    fn take(&mut self, chunk: &[u8]) {
        match self {
            Self::Log { file, redactor } => {
                let mut shown = Vec::new();
                redactor.push(chunk, &mut shown);
                write_log(file, &shown);
            }
            Self::Kept { bytes, too_much } => {
                *too_much |= bytes.len() + chunk.len() > CAPTURE_LIMIT;
                if !*too_much {
                    bytes.extend_from_slice(chunk);
                }
            }
        }
    }
}

/// A log that cannot be written (a full disk) must not stop the command, which could not be told either.
fn write_log(file: &mut File, bytes: &[u8]) {
    let _ = file.write_all(bytes);
}
