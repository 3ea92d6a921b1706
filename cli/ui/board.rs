//! What the bottom of the screen says while a run goes on: a line for each step that runs, and one that counts.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tidemill_engine::event::{Event, GpuUse, Pulse, Sample};
use tidemill_engine::name::StepId;

use super::columns::{Line, left, right, width};
use super::plain::fares;
use super::screen::Size;
use super::style::{Paint, Tone};
use super::text::{about, clean, clock, size};

/// A step that takes less is never shown: a line that comes and goes tells nothing.
const FLEETING: Duration = Duration::from_millis(100);
/// How wide the column of step ids is at most; at least, if there is room for that; and at least in any case.
const WIDEST: usize = 44;
const NARROW: usize = 8;
const NARROWEST: usize = 3;
/// With less room than this the last line of a log is left out.
const WORTH_READING: usize = 8;
/// Between two columns.
const GAP: usize = 2;

/// What is known of a run for its screen.
#[derive(Debug)]
pub(crate) struct Board {
    paint: Paint,
    began: Instant,
    /// Why each queued step runs.
    reasons: BTreeMap<StepId, String>,
    running: BTreeMap<StepId, Running>,
    /// Whether a step has run long enough to be shown.
    is_shown: bool,
    counts: Counts,
    remaining_ms: Option<u64>,
}

#[derive(Debug)]
struct Running {
    since: Instant,
    /// Why it runs, or how it fares elsewhere.
    reason: String,
    sample: Option<Sample>,
}

#[derive(Debug, Default)]
struct Counts {
    done: usize,
    cached: usize,
    failed: usize,
    skipped: usize,
    blocked: usize,
    /// How many have not ended, as far as that is known yet.
    open: usize,
}

impl Board {
    /// The board of a run that begins now.
    pub(crate) fn new(paint: Paint, began: Instant) -> Self {
        Self {
            paint,
            began,
            reasons: BTreeMap::new(),
            running: BTreeMap::new(),
            is_shown: false,
            counts: Counts::default(),
            remaining_ms: None,
        }
    }

    /// Takes an event.
    pub(crate) fn add(&mut self, event: &Event, now: Instant) {
        match event {
            Event::StepQueued { step, reason, .. } => {
                self.reasons.insert(step.clone(), clean(reason));
            }
            Event::StepStarted { step, .. } => {
                let reason = self.reasons.get(step).cloned().unwrap_or_default();
                self.running.insert(step.clone(), Running { since: now, reason, sample: None });
            }
            Event::StepElsewhere { step, executor, how, .. } => {
                if let Some(running) = self.running.get_mut(step) {
                    running.reason = clean(&fares(executor, how));
                }
            }
            Event::StepRetried { step, .. } => {
                self.running.remove(step);
            }
            Event::StepSucceeded { step, .. } => self.ended(step, |counts| &mut counts.done),
            Event::StepFailed { step, .. } => self.ended(step, |counts| &mut counts.failed),
            Event::StepCached { step, .. } => self.ended(step, |counts| &mut counts.cached),
            Event::StepsCached { steps, .. } => {
                self.counts.cached += steps;
                self.counts.open = self.counts.open.saturating_sub(*steps);
            }
            Event::StepSkipped { step, .. } => self.ended(step, |counts| &mut counts.skipped),
            Event::StepBlocked { step, .. } => self.ended(step, |counts| &mut counts.blocked),
            Event::RunFinished { .. } => {
                self.running.clear();
                self.is_shown = false;
            }
            Event::RunStarted { .. }
            | Event::Metrics { .. }
            | Event::Gate { .. }
            | Event::Published { .. }
            | Event::StepRead { .. }
            | Event::StepMeasured { .. }
            | Event::OutputsDropped { .. }
            | Event::Notice { .. } => {}
        }
    }

    fn ended(&mut self, step: &StepId, counter: impl FnOnce(&mut Counts) -> &mut usize) {
        self.running.remove(step);
        self.reasons.remove(step);
        *counter(&mut self.counts) += 1;
        self.counts.open = self.counts.open.saturating_sub(1);
    }

    /// Takes a pulse.
    pub(crate) fn beat(&mut self, pulse: &Pulse) {
        self.counts.open = pulse.open;
        self.remaining_ms = pulse.remaining_ms;
        for sample in &pulse.samples {
            if let Some(running) = self.running.get_mut(&sample.step) {
                running.sample = Some(sample.clone());
            }
        }
    }

    /// The lines for a terminal of this size: at most half of its height.
    pub(crate) fn lines(&mut self, now: Instant, size: Size) -> Vec<String> {
        let mut shown: Vec<(&StepId, &Running)> = self
            .running
            .iter()
            .filter(|(_, running)| now.duration_since(running.since) >= FLEETING)
            .collect();
        self.is_shown |= !shown.is_empty();
        if !self.is_shown {
            return Vec::new();
        }
        shown.sort_by_key(|(_, running)| running.since);
        let columns = size.columns.saturating_sub(1);
        let room = (size.rows / 2).saturating_sub(1);
        let is_too_long = shown.len() > room;
        if is_too_long {
            shown.truncate(room.saturating_sub(1));
        }
        let mut lines: Vec<String> =
            table(&shown, now, columns).iter().map(|line| line.draw(self.paint, columns)).collect();
        if is_too_long && room > 0 {
            let mut line = Line::default();
            let more = self.running.len() - shown.len();
            line.push(Some(Tone::Faint), format!("  … and {more} more running"));
            lines.push(line.draw(self.paint, columns));
        }
        lines.push(self.status(now, columns).draw(self.paint, columns));
        lines
    }

    /// How many steps are where, since when, and for how long still; with less room, only what matters most.
    fn status(&self, now: Instant, columns: usize) -> Line {
        let counts = &self.counts;
        let running = self.running.len();
        let all = [
            (2, counts.done, "done", Some(Tone::Good)),
            (3, counts.cached, "cached", Some(Tone::Faint)),
            (1, counts.failed, "failed", Some(Tone::Bad)),
            (3, counts.blocked, "blocked", Some(Tone::Warn)),
            (3, counts.skipped, "skipped", Some(Tone::Faint)),
            (1, running, "running", Some(Tone::Busy)),
            (2, counts.open.saturating_sub(running), "waiting", None),
        ];
        let elapsed = clock(milliseconds(now.saturating_duration_since(self.began)));
        let left = self.remaining_ms.and_then(about).map(|left| format!(", about {left} left"));
        let line = |least: u8| {
            let mut line = Line::default();
            let mut between = "  ";
            for (_, count, word, tone) in all.iter().filter(|(rank, count, ..)| *rank <= least && *count > 0)
            {
                line.push(None, between);
                line.push(*tone, format!("{count} {word}"));
                between = ", ";
            }
            line.push(None, format!("  {elapsed}{}", left.as_deref().unwrap_or_default()));
            line
        };
        [3, 2].into_iter().map(line).find(|line| line.fits(columns)).unwrap_or_else(|| line(1))
    }
}

/// A cell for each thing that is told of a step; empty where it is not known.
struct Row {
    id: String,
    elapsed: String,
    cores: String,
    memory: String,
    gpus: String,
    said: String,
}

impl Row {
    fn of(id: &StepId, running: &Running, now: Instant) -> Self {
        let sample = running.sample.as_ref();
        let said = sample.and_then(|sample| sample.last_line.as_deref()).map(clean);
        Self {
            id: clean(id.as_str()),
            elapsed: clock(milliseconds(now.saturating_duration_since(running.since))),
            cores: sample.and_then(|sample| sample.cores).map(cores).unwrap_or_default(),
            memory: sample.and_then(|sample| sample.memory).map(size).unwrap_or_default(),
            gpus: sample.and_then(|sample| sample.gpus).map(gpus).unwrap_or_default(),
            // Until it says something, why it runs is what there is to say.
            said: said.unwrap_or_else(|| running.reason.clone()),
        }
    }
}

/// The steps, one below the other. A column that has no room is left out, the last first.
fn table(steps: &[(&StepId, &Running)], now: Instant, columns: usize) -> Vec<Line> {
    let rows: Vec<Row> = steps.iter().map(|(id, running)| Row::of(id, running, now)).collect();
    let widest = |cell: fn(&Row) -> &String| rows.iter().map(|row| width(cell(row))).max().unwrap_or(0);
    let elapsed = widest(|row| &row.elapsed);
    let beside_elapsed = columns.saturating_sub(GAP + GAP + elapsed).max(NARROWEST);
    let id = widest(|row| &row.id).min((columns / 3).clamp(NARROW, WIDEST)).min(beside_elapsed);
    let mut used = GAP + id + GAP + elapsed;
    let mut fits = |wanted: usize| {
        let fits = wanted > 0 && used + GAP + wanted <= columns;
        used += if fits { GAP + wanted } else { 0 };
        if fits { wanted } else { 0 }
    };
    let cores = fits(widest(|row| &row.cores));
    let memory = fits(widest(|row| &row.memory));
    let gpus = fits(widest(|row| &row.gpus));
    let said = columns.saturating_sub(used + GAP);
    let line = |row: &Row| {
        let mut line = Line::default();
        line.push(Some(Tone::Busy), format!("  {}", left(&row.id, id)));
        line.push(None, format!("  {}", right(&row.elapsed, elapsed)));
        for (text, wide) in [(&row.cores, cores), (&row.memory, memory), (&row.gpus, gpus)] {
            if wide > 0 {
                line.push(None, format!("  {}", right(text, wide)));
            }
        }
        if said >= WORTH_READING && !row.said.is_empty() {
            line.push(Some(Tone::Faint), format!("  {}", row.said));
        }
        line
    };
    rows.iter().map(line).collect()
}

/// How many cores are busy: `3.9 cores`.
pub(crate) fn cores(cores: f64) -> String {
    format!("{cores:.1} cores")
}

/// What GPUs do: `gpu 87% 12.3 GiB`.
pub(crate) fn gpus(used: GpuUse) -> String {
    let busy = used.busy.map(|busy| format!(" {busy:.0}%")).unwrap_or_default();
    match used.count {
        1 => format!("gpu{busy} {}", size(used.memory)),
        count => format!("{count} gpus{busy} {}", size(used.memory)),
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    const SIZE: Size = Size { columns: 80, rows: 24 };

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn measured(step: &StepId, last_line: Option<&str>) -> Sample {
        Sample {
            step: step.clone(),
            attempt: sample::attempt(1),
            elapsed_ms: 0,
            cores: Some(3.94),
            memory: Some(2_254_857_830),
            gpus: None,
            last_line: last_line.map(str::to_owned),
        }
    }

    /// The board after the beginning of the sample run, and when that began.
    fn board() -> (Board, Instant) {
        let began = Instant::now();
        let mut board = Board::new(Paint::Plain, began);
        sample::until_both_run().iter().for_each(|event| board.add(event, began + seconds(1)));
        let gpu = GpuUse { count: 1, busy: Some(87.4), memory: 13_207_024_435 };
        let ridge = measured(&sample::ridge(), Some("epoch 3\u{1b}[2J/10\t数 loss 0.41"));
        let boosting = Sample { gpus: Some(gpu), ..measured(&sample::boosting(), None) };
        board.beat(&Pulse { samples: vec![ridge, boosting], open: 6, remaining_ms: Some(170_000) });
        (board, began)
    }

    fn drawn(board: &mut Board, now: Instant, size: Size) -> String {
        board.lines(now, size).join("\n")
    }

    #[test]
    fn a_run_looks_like_this() {
        let (mut board, began) = board();
        let now = began + seconds(75);
        insta::assert_snapshot!(drawn(&mut board, now, Size { columns: 120, ..SIZE }), @"
          train[algorithm=boosting]  1 min 14 s  3.9 cores  2.1 GiB  gpu 87% 12.3 GiB  it never ran
          train[algorithm=ridge]     1 min 14 s  3.9 cores  2.1 GiB                    epoch 3/10 数 loss 0.41
          1 cached, 1 skipped, 2 running, 4 waiting  1 min 15 s, about 3 min left
        ");
        insta::assert_snapshot!(drawn(&mut board, now, SIZE), @"
          train[algorithm=boosting]  1 min 14 s  3.9 cores  2.1 GiB  gpu 87% 12.3 GiB
          train[algorithm=ridge]     1 min 14 s  3.9 cores  2.1 GiB                  
          1 cached, 1 skipped, 2 running, 4 waiting  1 min 15 s, about 3 min left
        ");
        insta::assert_snapshot!(drawn(&mut board, now, Size { columns: 40, ..SIZE }), @"
          train[algori…  1 min 14 s  3.9 cores
          train[algori…  1 min 14 s  3.9 cores
          2 running  1 min 15 s, about 3 min l…
        ");
        insta::assert_snapshot!(drawn(&mut board, now, Size { columns: 20, ..SIZE }), @"
          trai…  1 min 14 s
          trai…  1 min 14 s
          2 running  1 min…
        ");
        for columns in 1..130 {
            for line in board.lines(now, Size { columns, ..SIZE }) {
                assert!(width(&line) < columns, "{columns}: {line:?}");
                assert!(!line.chars().any(char::is_control), "{line:?}");
            }
        }
    }

    #[test]
    fn half_of_the_screen_is_left_for_what_is_finished() {
        let began = Instant::now();
        let mut board = Board::new(Paint::Plain, began);
        for fold in 0..300 {
            let fold = format!("{fold:03}");
            board.add(&sample::started(&sample::step("train", &[("fold", &fold)]), 1), began);
        }
        let now = began + seconds(5);
        for rows in 1..60 {
            let lines = board.lines(now, Size { rows, ..SIZE });
            assert!(lines.len() <= (rows / 2).max(1), "{rows}: {lines:#?}");
            assert_eq!(lines.last().unwrap(), "  300 running  5 s");
        }
        insta::assert_snapshot!(drawn(&mut board, now, Size { rows: 8, ..SIZE }), @"
          train[fold=000]  5 s
          train[fold=001]  5 s
          … and 298 more running
          300 running  5 s
        ");
    }

    #[test]
    fn what_takes_no_time_is_not_shown_and_the_block_does_not_come_and_go() {
        let began = Instant::now();
        let mut board = Board::new(Paint::Plain, began);
        let (ridge, boosting) = (sample::ridge(), sample::boosting());
        board.add(&sample::started(&ridge, 1), began);
        assert_eq!(board.lines(began + Duration::from_millis(99), SIZE).len(), 0);
        assert_eq!(board.lines(began + Duration::from_millis(100), SIZE).len(), 2);
        board.add(&sample::failed(&ridge), began);
        board.add(&sample::started(&boosting, 2), began + seconds(2));
        assert_eq!(drawn(&mut board, began + seconds(2), SIZE), "  1 failed, 1 running  2 s");
        board.add(&sample::finished(), began);
        assert_eq!(board.lines(began + seconds(9), SIZE).len(), 0);
    }
}
