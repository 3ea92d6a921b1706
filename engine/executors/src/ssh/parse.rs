//! What the scripts print.

use std::collections::BTreeSet;

use crate::{End, State, States, Ticket};

/// What a host has of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Survey {
    /// How many of our jobs have not ended.
    pub(super) unfinished: u32,
    /// How many GPUs these asked for.
    pub(super) gpus: u32,
    /// The jobs of the batch that was asked for.
    pub(super) jobs: BTreeSet<u32>,
}

/// A survey, if it is whole: its last line says so.
pub(super) fn survey(answer: &[u8]) -> Option<Survey> {
    let text = str::from_utf8(answer).ok()?;
    let mut jobs = BTreeSet::new();
    for line in text.lines() {
        match line.split_once(' ')? {
            ("has", job) => drop(jobs.insert(job.parse().ok()?)),
            ("unfinished", counts) => {
                let (unfinished, gpus) = counts.split_once(' ')?;
                return Some(Survey { unfinished: unfinished.parse().ok()?, gpus: gpus.parse().ok()?, jobs });
            }
            _ => return None,
        }
    }
    None
}

/// The states of the jobs of a host.
pub(super) fn states(answer: &[u8], host: &str) -> Option<States> {
    str::from_utf8(answer).ok()?.lines().map(|line| state(line, host)).collect()
}

fn state(line: &str, host: &str) -> Option<(Ticket, State)> {
    let mut words = line.split(' ');
    let (batch, job) = words.next()?.split_once('.')?;
    let ticket = Ticket { batch: batch.parse().ok()?, job: job.parse().ok()? };
    let (alive, mark, code) = (words.next()?, words.next()?, words.next()?);
    if words.next().is_some() {
        return None;
    }
    let ended = |end| State::Ended { end };
    let state = match (alive, mark, code) {
        // Its keeper is gone and has not said how it ended: it was killed, or the host began anew.
        ("no", "cancelled", "-") => ended(End::Cancelled),
        ("no", "late", "-") => ended(End::TimedOut),
        ("no", _, "-") => ended(End::NodeLost),
        ("unborn", "cancelled", _) => ended(End::Cancelled),
        ("unborn", ..) => State::Queued { reason: None },
        (_, _, "-") => State::Running { host: Some(host.to_owned()) },
        (_, "cancelled", _) => ended(End::Cancelled),
        (_, "late", _) => ended(End::TimedOut),
        (_, _, code) => ended(End::of_code(code.parse().ok()?)),
    };
    Some((ticket, state))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_told_apart() {
        let id = "a".repeat(26);
        let state = |rest: &str| {
            let states = states(format!("{id}.3 {rest}\n").as_bytes(), "gpu1")?;
            states.into_iter().next().map(|(ticket, state)| (ticket.job, state))
        };
        let ended = |end| Some((3, State::Ended { end }));
        assert_eq!(state("yes - -"), Some((3, State::Running { host: Some("gpu1".to_owned()) })));
        assert_eq!(state("unborn - -"), Some((3, State::Queued { reason: None })));
        assert_eq!(state("unborn cancelled -"), ended(End::Cancelled));
        assert_eq!(state("no - -"), ended(End::NodeLost));
        assert_eq!(state("no - 0"), ended(End::Exited { code: 0 }));
        assert_eq!(state("no - 137"), ended(End::Killed { signal: 9 }));
        assert_eq!(state("no late 143"), ended(End::TimedOut));
        assert_eq!(state("no cancelled 143"), ended(End::Cancelled));
        for wrong in ["", "yes", "yes - - -", "no - x"] {
            assert_eq!(state(wrong), None, "{wrong}");
        }
        assert_eq!(states(b"nonsense\n", "gpu1"), None);
        assert_eq!(states(b"", "gpu1"), Some(States::new()));
    }

    #[test]
    fn a_survey_that_broke_off_is_none() {
        assert_eq!(
            survey(b"has 3\nunfinished 2 5\n"),
            Some(Survey { unfinished: 2, gpus: 5, jobs: BTreeSet::from([3]) })
        );
        assert_eq!(survey(b"has 3\n"), None);
        assert_eq!(survey(b"Welcome!\nunfinished 2 5\n"), None);
    }
}
