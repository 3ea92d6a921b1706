//! What Slurm and the folders of its jobs say.

use std::collections::BTreeMap;

use crate::{BatchId, End, ExecutorError, State, States, Ticket};

/// What is known of one job.
#[derive(Debug, Default)]
struct Known<'a> {
    /// Slurm's state, its nodes and its reason, as long as Slurm remembers.
    slurm: Option<(&'a str, &'a str, &'a str)>,
    /// A mark, the exit code and what Slurm said of the end, if the job has a folder.
    folder: Option<(&'a str, &'a str, &'a str)>,
}

/// The states of jobs, if the answer is whole.
pub(super) fn states(answer: &[u8]) -> Option<States> {
    let text = str::from_utf8(answer).ok()?;
    let body = text.strip_suffix("whole\n")?;
    let mut known: BTreeMap<Ticket, Known<'_>> = BTreeMap::new();
    let mut before: BTreeMap<BatchId, u64> = BTreeMap::new();
    for line in body.lines() {
        let mut words = line.splitn(5, '|');
        let (source, name) = (words.next()?, words.next()?);
        let (batch, job) = name.split_once('.')?;
        let rest = (words.next()?, words.next()?, words.next()?);
        // Another job of the user may have any name; ours are ours.
        let (Ok(batch), Ok(job)) = (batch.parse::<BatchId>(), job.parse()) else { continue };
        if source == "queue" {
            before.insert(batch, rest.0.parse().ok()?);
            continue;
        }
        let known = known.entry(Ticket { batch, job }).or_default();
        match source {
            "slurm" => known.slurm = Some(rest),
            "folder" => known.folder = Some(rest),
            _ => return None,
        }
    }
    let state = |(ticket, known): (Ticket, Known<'_>)| {
        let state = match state(&known)? {
            State::Queued { reason } => {
                State::Queued { reason: in_line(reason, before.get(&ticket.batch).copied()) }
            }
            state => state,
        };
        Some((ticket, state))
    };
    known.into_iter().map(state).collect()
}

/// Why a job waits, with its place in line where that says something. The place is told roughly: each change of it is told to all who follow.
fn in_line(reason: Option<String>, before: Option<u64>) -> Option<String> {
    let is_its_turn = reason.as_deref().is_none_or(|reason| IN_LINE.contains(&reason));
    let Some(before) = before.filter(|_| is_its_turn) else { return reason };
    let place = match before {
        0 => "next in line".to_owned(),
        before => {
            let mut bounds = (0..18).flat_map(|power| [2, 5, 10].map(|bound| 10_u64.pow(power) * bound));
            let bound = bounds.find(|bound| *bound > before).unwrap_or(u64::MAX);
            format!("fewer than {bound} before it")
        }
    };
    Some(reason.map_or(place.clone(), |reason| format!("{reason}, {place}")))
}

/// The reasons of jobs that wait for their turn.
const IN_LINE: [&str; 2] = ["Priority", "Resources"];

/// The states of jobs that wait, and of those that have begun and have not ended.
const WAITING: [&str; 6] =
    ["PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "RESV_DEL_HOLD"];
const RUNNING: [&str; 8] =
    ["CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED", "SIGNALING", "STAGE_OUT", "STOPPED", "RESIZING"];

/// What Slurm says of an end that the folder of a job does not tell, or in another way. Slurm forgets it, so it is written down there.
pub(super) const ENDS: [&str; 10] = [
    "BOOT_FAIL",
    "CANCELLED",
    "DEADLINE",
    "NODE_FAIL",
    "OUT_OF_MEMORY",
    "PREEMPTED",
    "TIMEOUT",
    "LAUNCH_FAILED",
    "RECONFIG_FAIL",
    "REVOKED",
];

/// Whether a job in this state has not ended.
pub(super) fn is_alive(state: &str) -> bool {
    WAITING.contains(&state) || RUNNING.contains(&state)
}

fn state(known: &Known<'_>) -> Option<State> {
    if let Some((state, nodes, reason)) = known.slurm {
        let said = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty() && text != "None");
        if WAITING.contains(&state) {
            return Some(State::Queued { reason: said(reason) });
        }
        if RUNNING.contains(&state) {
            return Some(State::Running { host: said(nodes) });
        }
    }
    let slurm = known.slurm.map_or("", |(state, ..)| state);
    let (mark, code, verdict) = known.folder.unwrap_or_default();
    let verdict = if verdict.is_empty() { slurm } else { verdict };
    let end = match (mark, verdict, code) {
        ("cancelled", ..) => End::Cancelled,
        (_, "PREEMPTED", _) => End::Preempted,
        (_, "NODE_FAIL", _) => End::NodeLost,
        (_, "OUT_OF_MEMORY", _) => End::OutOfMemory,
        (_, "TIMEOUT" | "DEADLINE", _) | ("late", ..) => End::TimedOut,
        (_, "CANCELLED", _) => End::Cancelled,
        (_, "BOOT_FAIL" | "LAUNCH_FAILED" | "RECONFIG_FAIL" | "REVOKED", _) => {
            End::NotStarted { reason: format!("Slurm says {verdict}") }
        }
        // It tells this later than the tasks do, or never.
        ("lost", ..) => End::NodeLost,
        // Slurm has forgotten it, and nobody has written down how it ended.
        (_, _, "") if known.slurm.is_none() => End::NodeLost,
        (_, _, "") => {
            End::NotStarted { reason: format!("Slurm says {verdict}; the job's script did not begin") }
        }
        (_, _, code) => End::of_code(code.parse().ok()?),
    };
    Some(State::Ended { end })
}

/// Parts of what its commands say where it has no room for more.
pub(super) const FULL: [&str; 4] = ["Limit", "limit", "temporarily unable to accept", "quota"];

/// Why one of its commands failed.
pub(super) fn error(engine: &str, said: &str) -> ExecutorError {
    let has = |texts: &[&str]| texts.iter().any(|text| said.contains(text));
    let (engine, reason) = (engine.to_owned(), said.to_owned());
    if has(&["nable to contact", "ocket timed out", "onnection refused", "ommunication", "not responding"]) {
        ExecutorError::Unreachable { engine, reason }
    } else if has(&FULL) {
        ExecutorError::Full { engine, reason }
    } else {
        ExecutorError::Refused { engine, reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(lines: &str) -> Option<State> {
        let id = "a".repeat(26);
        let text = format!("{}whole\n", lines.replace("JOB", &format!("{id}.3")));
        states(text.as_bytes())?.into_values().next()
    }

    #[test]
    fn who_waits_is_told_how_many_wait_before() {
        let reason = |reason: &str, before: u64| {
            let said = one(&format!("slurm|JOB|PENDING||{reason}\nqueue|JOB|{before}||\n"));
            match said {
                Some(State::Queued { reason }) => reason.unwrap_or_default(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(reason("Resources", 0), "Resources, next in line");
        assert_eq!(reason("Priority", 1), "Priority, fewer than 2 before it");
        assert_eq!(reason("Priority", 2), "Priority, fewer than 5 before it");
        assert_eq!(reason("Priority", 4_321), "Priority, fewer than 5000 before it");
        assert_eq!(reason("None", 30), "fewer than 50 before it");
        assert_eq!(reason("Priority", u64::MAX), format!("Priority, fewer than {} before it", u64::MAX));
        assert_eq!(reason("Priority", 9), "Priority, fewer than 10 before it");
        assert_eq!(reason("JobHeldUser", 3), "JobHeldUser", "it is in no line");
    }

    #[test]
    fn states_are_told_apart() {
        let queued = |reason: &str| Some(State::Queued { reason: Some(reason.to_owned()) });
        let ended = |end| Some(State::Ended { end });
        assert_eq!(one("slurm|JOB|PENDING||Resources\n"), queued("Resources"));
        let running = State::Running { host: Some("n1".to_owned()) };
        assert_eq!(one("slurm|JOB|RUNNING|n1|None\nfolder|JOB|||\n"), Some(running.clone()));
        // As long as Slurm clears up, something of it may run.
        assert_eq!(one("slurm|JOB|COMPLETING|n1|None\nfolder|JOB||0|\n"), Some(running));
        assert_eq!(one("slurm|JOB|COMPLETED|n1|None\nfolder|JOB||0|\n"), ended(End::Exited { code: 0 }));
        assert_eq!(
            one("slurm|JOB|FAILED|n1|NonZeroExitCode\nfolder|JOB||7|\n"),
            ended(End::Exited { code: 7 })
        );
        assert_eq!(one("folder|JOB||139|\n"), ended(End::Killed { signal: 11 }));
        assert_eq!(one("folder|JOB|late|143|\n"), ended(End::TimedOut));
        assert_eq!(one("slurm|JOB|FAILED|n[1-2]|x\nfolder|JOB|lost|137|\n"), ended(End::NodeLost));
        assert_eq!(one("folder|JOB|lost|137|PREEMPTED\n"), ended(End::Preempted));
        assert_eq!(one("slurm|JOB|CANCELLED||\nfolder|JOB|cancelled||CANCELLED\n"), ended(End::Cancelled));
        assert_eq!(one("folder|JOB||143|PREEMPTED\n"), ended(End::Preempted));
        assert_eq!(one("slurm|JOB|NODE_FAIL|n1|NodeDown\nfolder|JOB|||\n"), ended(End::NodeLost));
        assert_eq!(
            one("slurm|JOB|OUT_OF_MEMORY|n1|OutOfMemory\nfolder|JOB||137|\n"),
            ended(End::OutOfMemory)
        );
        assert_eq!(one("folder|JOB|||\n"), ended(End::NodeLost));
        // The nodes may have another libc than the login node.
        assert!(matches!(one("folder|JOB||127|\n"), Some(State::Ended { end: End::NotStarted { .. } })));
        assert!(matches!(
            one("slurm|JOB|FAILED|n1|JobLaunchFailure\n"),
            Some(State::Ended { end: End::NotStarted { .. } })
        ));
        assert_eq!(one("slurm|another.job|RUNNING|n1|None\n"), None);
    }

    #[test]
    fn an_answer_that_broke_off_is_none() {
        assert_eq!(states(b"slurm|x.1|RUNNING|n1|None\n"), None);
        assert_eq!(states(b"whole\n"), Some(States::new()));
    }

    #[test]
    fn errors_are_told_apart() {
        let unreachable =
            error("slurm", "slurm_load_jobs error: Unable to contact slurm controller (connect failure)");
        assert!(matches!(unreachable, ExecutorError::Unreachable { .. }));
        let full = error("slurm", "sbatch: error: QOSMaxSubmitJobPerUserLimit");
        assert!(matches!(full, ExecutorError::Full { .. }));
        let refused = error("slurm", "sbatch: error: invalid partition specified: nothing");
        assert!(matches!(refused, ExecutorError::Refused { .. }));
    }
}
