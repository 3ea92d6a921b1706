//! The words at the end of a run, made to fit a screen: what ran and why, what the cache saved, metrics, what the gates said, what was
//! published, what is live, and how it went.

use tidemill_engine::event::{Condition, Counts, Outcome};
use tidemill_engine::name::RunId;
use tidemill_engine::record::{GateAnswer, Live, Ran, Recap, StepEnd};
use tidemill_engine::store::Transfer;

use super::measured;
use super::style::{Paint, Tone};
use super::text::{clean, clip, count, duration, numbers_apart, size};

/// How many lines a screen has.
const SCREEN: usize = 24;
/// The widest column of step ids.
const WIDEST: usize = 30;
/// The widest that a summary gets.
const WIDTH: usize = 100;
/// How far what is said stands to the right: two spaces, and the word that says what it is.
const INDENT: usize = 12;

/// How many of what are listed.
struct Room {
    steps: usize,
    metrics: usize,
    gates: usize,
    /// Conditions of all gates.
    conditions: usize,
    /// Of everything else, by kind.
    things: usize,
}

/// Enough for most runs.
const ROOMY: Room = Room { steps: 8, metrics: 6, gates: 3, conditions: 4, things: 3 };
/// For runs of which that would be more than a screen.
const TIGHT: Room = Room { steps: 5, metrics: 2, gates: 1, conditions: 2, things: 1 };

/// How a run ended.
pub(crate) struct End<'a> {
    /// The run.
    pub(crate) run: &'a RunId,
    /// How.
    pub(crate) outcome: Outcome,
    /// How long it took, in milliseconds.
    pub(crate) wall_ms: u64,
    /// How many steps ended in which way.
    pub(crate) counts: Counts,
}

/// A summary that grows line by line.
struct Page {
    paint: Paint,
    width: usize,
    room: Room,
    text: String,
}

impl Page {
    /// A word, and what it is about. Text is clipped; what is painted already is not.
    fn line(&mut self, tone: Tone, word: &str, rest: &str) {
        self.painted(tone, word, &clip(&clean(rest), self.width));
    }

    fn painted(&mut self, tone: Tone, word: &str, rest: &str) {
        let word = self.paint.text(tone, &format!("{word:<9}"));
        self.text.push_str(format!("  {word} {rest}").trim_end());
        self.text.push('\n');
    }

    fn and_more(&mut self, number: usize, rest: &str) {
        if number > 0 {
            self.line(Tone::Faint, "", &format!("and {number} more{rest}"));
        }
    }
}

/// The summary of a run; of one that has not ended, or died, without its last line.
pub(crate) fn draw(recap: &Recap, end: Option<&End<'_>>, paint: Paint, width: usize) -> String {
    let last = end.map(|end| last_line(recap, end, paint)).unwrap_or_default();
    let text = body(recap, paint, width, ROOMY);
    // Around the body stand two empty lines and the last one.
    let text = match text.lines().count() + 3 > SCREEN {
        true => body(recap, paint, width, TIGHT),
        false => text,
    };
    if text.is_empty() { last } else { format!("\n{text}\n{last}") }
}

fn body(recap: &Recap, paint: Paint, width: usize, room: Room) -> String {
    let width = width.min(WIDTH).saturating_sub(INDENT).max(40);
    let mut page = Page { paint, width, room, text: String::new() };
    ran(&mut page, &recap.ran);
    if recap.saved.steps > 0 {
        let saved = recap.saved;
        let by = count(saved.steps, "step");
        let words = format!("{} and {} by the cache, for {by}", duration(saved.ms), size(saved.bytes));
        page.line(Tone::Faint, "saved", &words);
    }
    for (place, line) in measured::lines(recap, paint, width, page.room.metrics).iter().enumerate() {
        page.painted(Tone::Faint, if place == 0 { "metrics" } else { "" }, line);
    }
    gates(&mut page, &recap.gates);
    let things = page.room.things;
    for held in recap.held.iter().take(things) {
        page.line(Tone::Warn, "held", &format!("{}: {}", held.step, held.message));
    }
    page.and_more(recap.held.len().saturating_sub(things), "");
    for published in recap.published.iter().take(things) {
        let from = format!("{}  ({}.{})", published.path, published.step, published.output);
        page.line(Tone::Good, "published", &from);
    }
    page.and_more(recap.published.len().saturating_sub(things), "");
    live(&mut page, &recap.live);
    if let Some(transfer) = &recap.store {
        page.line(Tone::Faint, "store", &stored(transfer));
    }
    page.text
}

/// What went to the store and came from it.
fn stored(transfer: &Transfer) -> String {
    let number = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let mut parts = Vec::new();
    if transfer.results_found > 0 {
        parts.push(format!("{} found", count(number(transfer.results_found), "result")));
    }
    if transfer.contents_received > 0 {
        let fetched = count(number(transfer.contents_received), "content");
        parts.push(format!("{fetched} fetched ({})", size(transfer.received)));
    }
    if transfer.results_sent > 0 {
        let sent = count(number(transfer.results_sent), "result");
        parts.push(format!("{sent} sent ({})", size(transfer.sent)));
    }
    if parts.is_empty() {
        parts.push("nothing new".to_owned());
    }
    parts.join(", ")
}

/// The steps that executed: in their order, or the longest first if there are many.
fn ran(page: &mut Page, ran: &[Ran]) {
    let mut shown: Vec<&Ran> = ran.iter().collect();
    if ran.len() > page.room.steps {
        // A failure is not to be missed.
        shown.sort_by_key(|ran| (ran.end != StepEnd::Failed, std::cmp::Reverse(ran.wall_ms)));
        shown.truncate(page.room.steps - 1);
    }
    let name = |ran: &Ran| clip(&clean(ran.step.as_str()), WIDEST);
    let names = shown.iter().map(|ran| name(ran).chars().count()).max().unwrap_or(0);
    let times = shown.iter().map(|ran| duration(ran.wall_ms).chars().count()).max().unwrap_or(0);
    let room = page.width.saturating_sub(names + times + 4);
    for (place, ran) in shown.iter().enumerate() {
        let (tone, after) = match ran.end {
            StepEnd::Succeeded => (Tone::Good, ""),
            StepEnd::Unchanged => (Tone::Good, "; same bytes"),
            StepEnd::Failed => (Tone::Bad, "; FAILED"),
        };
        let why = clip(&clean(&ran.reason), room.saturating_sub(after.len()));
        let line = format!("{:<names$}  {:>times$}  {why}{after}", name(ran), duration(ran.wall_ms));
        page.line(tone, if place == 0 { "ran" } else { "" }, &line);
    }
    let others = ran.len() - shown.len();
    let all: u64 = ran.iter().map(|ran| ran.wall_ms).sum();
    page.and_more(others, &format!(", {} in all; `tidemill show` lists them", duration(all)));
}

/// What the gates said, closed ones first; of many conditions, those that do not hold.
fn gates(page: &mut Page, gates: &[GateAnswer]) {
    let mut gates: Vec<&GateAnswer> = gates.iter().collect();
    gates.sort_by_key(|gate| gate.open);
    let Room { gates: most, conditions: mut room, .. } = page.room;
    for gate in gates.iter().take(most) {
        let (tone, words) = match gate.open {
            true => (Tone::Good, "open"),
            false => (Tone::Bad, "closed, so what follows did not run"),
        };
        page.line(tone, "gate", &format!("{}: {words}", gate.step));
        let mut conditions: Vec<&Condition> = gate.conditions.iter().collect();
        if conditions.len() > room {
            conditions.sort_by_key(|condition| condition.holds != Some(false));
        }
        for condition in conditions.iter().take(room) {
            page.line(Tone::Faint, "", &format!("  {}", asked(condition)));
        }
        page.and_more(conditions.len().saturating_sub(room), " of its conditions");
        room = room.saturating_sub(conditions.len());
    }
    page.and_more(gates.len().saturating_sub(most), " gates");
}

/// A condition with its answer and the values that it was asked about.
fn asked(condition: &Condition) -> String {
    let answer = match condition.holds {
        Some(true) => "yes",
        Some(false) => "NO ",
        None => "-  ",
    };
    let compared: Vec<f64> = condition.values.values().copied().collect();
    let values: Vec<String> = condition
        .values
        .keys()
        .zip(numbers_apart(&compared))
        .map(|(name, value)| format!("{name} = {value}"))
        .collect();
    let values = match condition.holds {
        None => "there is no rival yet".to_owned(),
        Some(_) => values.join(", "),
    };
    format!("{answer}  {}  ({values})", condition.text)
}

fn live(page: &mut Page, live: &[Live]) {
    let things = page.room.things;
    for live in live.iter().take(things) {
        let Live { endpoint, model, version, smoke_rows, new } = live;
        let when = match new {
            true => format!(
                "deployed in this run, its smoke test passed on {}",
                count(usize::try_from(*smoke_rows).unwrap_or(usize::MAX), "row")
            ),
            false => "as before".to_owned(),
        };
        page.line(Tone::Good, "live", &format!("{endpoint}: version {version} of {model}, {when}"));
    }
    page.and_more(live.len().saturating_sub(things), "");
    if live.iter().any(|live| live.new) {
        page.line(Tone::Strong, "serve", "tidemill serve");
    }
}

/// The last line: how it went, how many steps, how long.
fn last_line(recap: &Recap, end: &End<'_>, paint: Paint) -> String {
    let (tone, word) = match end.outcome {
        Outcome::Succeeded => (Tone::Good, "done"),
        Outcome::StepFailed => (Tone::Bad, "failed"),
        Outcome::GateClosed => (Tone::Bad, "stopped by the gate"),
        Outcome::InfrastructureFailed => (Tone::Bad, "failed because of the machine"),
        Outcome::Interrupted => (Tone::Warn, "interrupted"),
    };
    let steps = counted(&end.counts, recap.stopped.len());
    let run = paint.text(Tone::Faint, &format!("  {}", end.run));
    format!("{}: {steps}, {}{run}\n", paint.text(tone, word), duration(end.wall_ms))
}

/// How many steps ended in which way, those that there are.
fn counted(counts: &Counts, stopped: usize) -> String {
    let mut words = vec![format!("{} executed", count(counts.executed, "step"))];
    words.push(format!("{} cached", counts.cached));
    for (number, word) in [
        (counts.failed, "failed"),
        (stopped, "stopped"),
        (counts.blocked, "blocked"),
        (counts.skipped, "skipped"),
    ] {
        if number > 0 {
            words.push(format!("{number} {word}"));
        }
    }
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    fn end(outcome: Outcome, counts: Counts) -> (RunId, Outcome, Counts) {
        (RunId::new("20261120-235501-k3f9qa").unwrap(), outcome, counts)
    }

    fn drawn(recap: &Recap, (run, outcome, counts): (RunId, Outcome, Counts)) -> String {
        draw(recap, Some(&End { run: &run, outcome, wall_ms: 2345, counts }), Paint::Plain, 200)
    }

    #[test]
    fn the_end_of_a_run_reads_like_this() {
        let mut recap = sample::recap();
        let live = |new| Live {
            endpoint: "diabetes".to_owned(),
            model: "diabetes".to_owned(),
            version: 3,
            smoke_rows: 64,
            new,
        };
        recap.live = vec![live(true)];
        let counts = Counts { executed: 1, cached: 2, skipped: 2, failed: 1, blocked: 1 };
        insta::assert_snapshot!(drawn(&recap, end(Outcome::StepFailed, counts)), @r"

          ran       train[algorithm=ridge]     1.2 s  parameter train.alpha changed: 0.5 → 0.7; same bytes
                    train[algorithm=boosting]   0 ms  it never ran; FAILED
          saved     12.3 s and 0 B by the cache, for 1 step
          metrics   evaluate: rmse 53.8564, rows 89
          gate      evaluate: closed, so what follows did not run
                      NO   rmse < 50  (rmse = 53.8564)
                      -    rmse < rival.rmse  (there is no rival yet)
                      yes  rows > 10  (rows = 89)
          held      deploy: version 3 is held back by ada
          published models/model.onnx  (train[algorithm=ridge].model)
          live      diabetes: version 3 of diabetes, deployed in this run, its smoke test passed on 64 rows
          serve     tidemill serve

        failed: 1 step executed, 2 cached, 1 failed, 1 blocked, 2 skipped, 2.3 s  20261120-235501-k3f9qa
        ");
        recap.live = vec![live(false)];
        assert!(!drawn(&recap, end(Outcome::StepFailed, counts)).contains("tidemill serve"));
    }

    #[test]
    fn a_run_that_did_nothing_is_short() {
        let mut recap = Recap::default();
        recap.saved.steps = 8;
        recap.saved.ms = 200_000;
        recap.saved.bytes = 23_082;
        let counts = Counts { cached: 8, ..Counts::default() };
        insta::assert_snapshot!(drawn(&recap, end(Outcome::Succeeded, counts)), @r"

          saved     3 min 20 s and 22.5 KiB by the cache, for 8 steps

        done: 0 steps executed, 8 cached, 2.3 s  20261120-235501-k3f9qa
        ");
    }

    #[test]
    fn however_much_happened_it_fits_a_screen() {
        let mut recap = sample::recap();
        for number in 0..200_u64 {
            let id = sample::step(&format!("s{number}"), &[("parameter", "a rather long value of it")]);
            recap.ran.push(Ran {
                step: id.clone(),
                reason: "parameter train.alpha changed: 0.5 → 0.7, and many more words about it".to_owned(),
                wall_ms: number * 1000,
                end: StepEnd::Succeeded,
            });
            recap
                .metrics
                .push(tidemill_engine::record::Measured { step: id.clone(), ..recap.metrics[0].clone() });
            recap.gates.push(GateAnswer { step: id.clone(), ..recap.gates[0].clone() });
            recap.published.push(tidemill_engine::record::PublishedOutput {
                step: id.clone(),
                ..recap.published[0].clone()
            });
        }
        let run = RunId::new("r").unwrap();
        let counts = Counts { executed: 200, ..Counts::default() };
        let end = End { run: &run, outcome: Outcome::Succeeded, wall_ms: 1, counts };
        let text = draw(&recap, Some(&end), Paint::Plain, 80);
        assert!(text.lines().count() <= SCREEN, "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert!(text.contains("and 198 more"), "{text}");
    }
}
