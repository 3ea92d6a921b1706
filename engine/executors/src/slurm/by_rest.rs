//! What a cluster does that has a REST server: the server is asked for jobs, a shell for their folders.

use std::ops::Range;

use super::parse::ENDS;
use super::rest::Rest;
use super::rest_words::{Record, Surroundings, before};
use super::script::NO_LOG;
use super::{Slurm, SlurmSettings, parse};
use crate::shell::{Printed, one_line};
use crate::{Batch, BatchId, ExecutorError, States, Ticket, http};

impl Slurm {
    /// Submits what neither Slurm nor its folders know of a batch.
    pub(super) async fn submit_by(
        &self,
        rest: &Rest,
        settings: &SlurmSettings,
        batch: &Batch,
    ) -> Result<(), ExecutorError> {
        let said = self.run(&self.scripts.surroundings(&batch.id)).await?;
        let said = String::from_utf8_lossy(&said);
        let mut lines = said.lines();
        let (Some(folder), Some(home), Some(path), Some(user), Some(Ok(first))) =
            (lines.next(), lines.next(), lines.next(), lines.next(), lines.next().map(str::parse::<u32>))
        else {
            return Err(http::unintelligible(self.shell.name(), said.as_bytes()));
        };
        let records = of(rest, std::slice::from_ref(&batch.id)).await?;
        let known = records.iter().flat_map(Record::tickets).map(|ticket| ticket.job + 1).max();
        let script = self.scripts.of_nodes(batch)?;
        let variables =
            [("HOME", home), ("PATH", path), ("USER", user), ("LOGNAME", user), ("LANG", "C.UTF-8")];
        let output = format!("{folder}/{}.%a.out", batch.id);
        let dialect = rest.dialect().await?;
        let surroundings = Surroundings { script: &script, environment: &variables, output: &output };
        let all = u32::try_from(batch.jobs.len()).expect("a batch has some hundred jobs");
        let mut parts = Parts::of(first.max(known.unwrap_or(0))..all);
        while let Some(jobs) = parts.next() {
            match rest.submit(&dialect.submission(batch, jobs.clone(), settings, &surroundings)).await {
                Ok(()) => parts.took(&jobs),
                Err(ExecutorError::Full { .. }) if jobs.len() > 1 => parts.did_not_take(&jobs),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// What becomes of batches.
    pub(super) async fn status_by(&self, rest: &Rest, batches: &[BatchId]) -> Result<States, ExecutorError> {
        // First Slurm, then the folders: what has ended in between has written down how.
        let all = rest.records().await?;
        let (mut ends, mut answer) = (Vec::new(), String::new());
        for batch in batches {
            if let Some(before) = before(batch.as_str(), &all) {
                answer.push_str(&format!("queue|{batch}.0|{before}||\n"));
            }
        }
        let records = only(rest, all, batches)?;
        for record in &records {
            let Record { state, nodes, reason, .. } = record;
            for ticket in record.tickets() {
                let plain = |text: &str| text.replace(['|', '\n'], " ");
                answer.push_str(&format!("slurm|{ticket}|{state}|{}|{}\n", plain(nodes), plain(reason)));
                if ENDS.contains(&state.as_str()) {
                    ends.push((ticket, state.as_str()));
                }
            }
        }
        let folders = self.run(&self.scripts.folders(batches, &ends)?).await?;
        self.read(&[answer.as_bytes(), &folders].concat())
    }

    /// Ends jobs that have not ended.
    pub(super) async fn cancel_by(&self, rest: &Rest, tickets: &[Ticket]) -> Result<(), ExecutorError> {
        let batches: Vec<BatchId> = tickets.iter().map(|ticket| ticket.batch.clone()).collect();
        let alive = of(rest, &batches).await?.into_iter().filter(|record| !record.has_ended());
        let of_record = |record: Record| {
            let array = record.array;
            record.tickets().into_iter().map(move |ticket| (ticket, array))
        };
        let alive: Vec<(Ticket, u64)> =
            alive.flat_map(of_record).filter(|(ticket, _)| tickets.contains(ticket)).collect();
        let marked: Vec<Ticket> = alive.iter().map(|(ticket, _)| ticket.clone()).collect();
        self.run(&self.scripts.mark_cancelled(&marked)).await?;
        for (ticket, array) in alive {
            rest.end(&format!("{array}_{}", ticket.job)).await?;
        }
        Ok(())
    }

    /// A piece of what a job printed.
    pub(super) async fn log_by(
        &self,
        rest: &Rest,
        ticket: &Ticket,
        from: u64,
    ) -> Result<Vec<u8>, ExecutorError> {
        let Printed { code, stdout, stderr } = self.shell.run(&self.scripts.own_log(ticket, from)).await?;
        match code {
            Some(0) => return Ok(stdout),
            Some(NO_LOG) => {}
            _ => return Err(parse::error(self.shell.name(), &one_line(&stderr))),
        }
        // What Slurm has kept is told instead if the job will not come to a log of its own any more: the two are never mixed.
        let records = of(rest, std::slice::from_ref(&ticket.batch)).await?;
        match records.iter().any(|record| !record.has_ended() && record.tickets().contains(ticket)) {
            true => Ok(Vec::new()),
            false => self.run(&self.scripts.kept_by_slurm(ticket, from)).await,
        }
    }
}

/// Jobs in as few parts as are taken.
struct Parts {
    left: Range<u32>,
    most: u32,
}

impl Parts {
    fn of(jobs: Range<u32>) -> Self {
        Self { most: jobs.end, left: jobs }
    }

    /// The next part, if anything is left.
    fn next(&self) -> Option<Range<u32>> {
        let Range { start, end } = self.left;
        (start < end).then(|| start..end.min(start.saturating_add(self.most)))
    }

    fn took(&mut self, part: &Range<u32>) {
        self.left.start = part.end;
    }

    /// There was no room for all of these.
    fn did_not_take(&mut self, part: &Range<u32>) {
        self.most = (part.end - part.start).div_ceil(2);
    }
}

/// What Slurm says of batches.
async fn of(rest: &Rest, batches: &[BatchId]) -> Result<Vec<Record>, ExecutorError> {
    only(rest, rest.records().await?, batches)
}

/// What of all is said of batches.
fn only(rest: &Rest, mut records: Vec<Record>, batches: &[BatchId]) -> Result<Vec<Record>, ExecutorError> {
    records.retain(|record| batches.iter().any(|batch| batch.as_str() == record.name));
    match records.iter().find(|record| record.is_unclear()) {
        // It says so until some of them have begun.
        Some(record) => Err(http::unintelligible(rest.name(), format!("{record:?}").as_bytes())),
        None => Ok(records),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_goes_in_parts() {
        let mut parts = Parts::of(1..11);
        let mut taken = Vec::new();
        while let Some(part) = parts.next() {
            if part.len() > 3 {
                parts.did_not_take(&part);
            } else {
                parts.took(&part);
                taken.push(part);
            }
        }
        assert_eq!(taken, [1..4, 4..7, 7..10, 10..11]);
        assert_eq!(Parts::of(8..8).next(), None);
        assert_eq!(Parts::of(Range { start: 9, end: 8 }).next(), None);
    }
}
