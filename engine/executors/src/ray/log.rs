//! A piece of what a job printed, of a log that also has lines of Ray's.

use super::script::ENTRYPOINT;
use crate::Ticket;
use crate::keeper::PIECE;

/// How far into a log Ray's own lines are looked for, in bytes. They stand at its beginning, but may come later than they were written.
const HEAD: usize = 64 << 10;

/// Takes a piece out of a log that comes bit by bit.
pub(super) struct Piece {
    job: String,
    /// The beginning of the log, as long as it is not known whether all of Ray's lines are in it.
    head: Option<Vec<u8>>,
    /// How many bytes are still to be left out.
    before: usize,
    piece: Vec<u8>,
}

impl Piece {
    pub(super) fn new(job: &Ticket, from: u64) -> Self {
        let before = usize::try_from(from).unwrap_or(usize::MAX);
        Self { job: job.to_string(), head: Some(Vec::new()), before, piece: Vec::new() }
    }

    /// Takes what has come; whether more is wanted.
    pub(super) fn take(&mut self, bytes: &[u8]) -> bool {
        match &mut self.head {
            Some(head) => {
                head.extend(bytes);
                if head.len() >= HEAD {
                    self.end_head();
                }
            }
            None => self.cut(bytes),
        }
        self.piece.len() < PIECE
    }

    /// The piece, if the log has no more.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.end_head();
        self.piece
    }

    fn end_head(&mut self) {
        if let Some(head) = self.head.take() {
            self.cut(&without_rays_lines(head, &self.job, ENTRYPOINT));
        }
    }

    fn cut(&mut self, bytes: &[u8]) {
        let rest = bytes.get(self.before..).unwrap_or_default();
        self.before = self.before.saturating_sub(bytes.len());
        self.piece.extend(&rest[..rest.len().min(PIECE - self.piece.len())]);
    }
}

/// What a job printed.
pub(super) fn without_rays_lines(mut log: Vec<u8>, id: &str, entrypoint: &str) -> Vec<u8> {
    let begins = format!("Running entrypoint for job {id}: {entrypoint}\n");
    if let Some(at) = log.windows(begins.len()).position(|part| part == begins.as_bytes()) {
        log.drain(at..at + begins.len());
    }
    let first = log.iter().position(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    if log[..first].ends_with(b" -- Runtime env is setting up.\n") {
        log.drain(..first);
    }
    log
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket() -> Ticket {
        Ticket { batch: "a".repeat(26).parse().unwrap(), job: 3 }
    }

    /// What is told of a log that comes in pieces of this size.
    fn told(log: &str, from: u64, size: usize) -> String {
        let mut piece = Piece::new(&ticket(), from);
        let _ = log.as_bytes().chunks(size).all(|bytes| piece.take(bytes));
        String::from_utf8(piece.finish()).unwrap()
    }

    #[test]
    fn of_a_log_what_the_command_printed_is_left() {
        let begins = format!("Running entrypoint for job {}: {ENTRYPOINT}\n", ticket());
        let sets_up = "2026-01-01 00:00:00,000\tINFO job_manager.py:581 -- Runtime env is setting up.\n";
        assert_eq!(told(&format!("{sets_up}{begins}one\ntwo"), 0, 7), "one\ntwo");
        assert_eq!(told(&format!("{sets_up}one\n{begins}two"), 2, 100), "e\ntwo");
        assert_eq!(told(sets_up, 0, 100), "");
        assert_eq!(told("", 0, 1), "");
    }

    #[test]
    fn pieces_make_the_whole() {
        let whole: String = (0..30_000).map(|line| format!("{line:07}\n")).collect();
        let log = format!("Running entrypoint for job {}: {ENTRYPOINT}\n{whole}", ticket());
        let mut read = String::new();
        for _ in 0..4 {
            let piece = told(&log, read.len() as u64, 10_000);
            assert!(piece.len() <= PIECE);
            read += &piece;
        }
        assert_eq!(read, whole);
        assert_eq!(told(&log, 1 << 40, 10_000), "");
    }
}
