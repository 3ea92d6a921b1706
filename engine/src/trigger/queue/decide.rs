//! What is to be done next with what waits: a function of the queue, the rules of the triggers and the time, and of nothing else.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::arrival::{Arrival, ArrivalId, Dropped};
use super::state::{State, Waiting};
use crate::graph::Concurrency;
use crate::name::RunId;

/// How the arrivals of a trigger are treated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in super::super) struct Rule {
    /// While a run of its pipeline goes on.
    pub concurrency: Concurrency,
    /// For so long after a run has begun, others lead to none.
    pub cooldown: Option<Duration>,
}

/// What is known of the trigger of an arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Known {
    /// How it is treated.
    Rule(Rule),
    /// Its file cannot be read now: it waits until it can.
    Unreadable,
    /// It is gone, or not enabled.
    Gone,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Step {
    /// Begin a run for this arrival.
    Begin(ArrivalId),
    /// Note that this arrival leads to no run.
    Drop(ArrivalId, Dropped),
    /// Cancel this run.
    Cancel(RunId),
}

/// What is to be done, and when to ask again if nothing else happens.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Decision {
    /// In this order.
    pub steps: Vec<Step>,
    /// Something that waits may begin then.
    pub again: Option<Timestamp>,
}

/// A pipeline, for as long as one decision takes.
#[derive(Default)]
struct Lane {
    /// Runs that go on, or begin by this decision.
    runs: Vec<RunId>,
    begins: usize,
    /// Something waits for its turn: what comes later waits too.
    is_blocked: bool,
}

impl Lane {
    fn is_busy(&self) -> bool {
        !self.runs.is_empty() || self.begins > 0
    }
}

/// Decides what is done next. `rule`: how an arrival is treated. `limit`: how many runs may go on at once.
#[must_use]
pub(in super::super) fn decide(
    state: &State,
    rule: impl Fn(&Arrival) -> Known,
    limit: usize,
    now: Timestamp,
) -> Decision {
    let mut decision = Decision::default();
    let mut lanes: BTreeMap<&str, Lane> = BTreeMap::new();
    for running in state.running() {
        lanes.entry(&running.arrival.file).or_default().runs.push(running.run.clone());
    }
    let mut going = state.running().len();
    let replaced = replaced(state, &rule);
    let mut last: BTreeMap<(&str, &str), Timestamp> = BTreeMap::new();
    for Waiting { arrival, lost } in state.waiting() {
        // What was begun once has been let through: its run was lost, not its turn.
        let is_first = *lost == 0;
        let lane = lanes.entry(&arrival.file).or_default();
        let mut drop = |why| decision.steps.push(Step::Drop(arrival.id, why));
        let rule = match rule(arrival) {
            Known::Rule(rule) => rule,
            Known::Unreadable => {
                lane.is_blocked = true;
                continue;
            }
            Known::Gone => {
                drop(Dropped::Gone);
                continue;
            }
        };
        if is_first && arrival.not_after.is_some_and(|end| end < now) {
            drop(Dropped::Late);
            continue;
        }
        if replaced.contains(&arrival.id) {
            drop(Dropped::Replaced);
            continue;
        }
        if let (true, Some(trigger), Some(cooldown)) = (is_first, &arrival.trigger, rule.cooldown) {
            let begun = last.get(&(arrival.file.as_str(), trigger.as_str())).copied();
            let begun = begun.max(state.last_begun(&arrival.file, trigger));
            if begun.is_some_and(|begun| begun <= now && is_before_end(arrival.at, begun, cooldown)) {
                drop(Dropped::Cooldown);
                continue;
            }
        }
        if let Some(begin) = arrival.not_before.filter(|begin| *begin > now) {
            decision.again = Some(decision.again.map_or(begin, |again| again.min(begin)));
            continue;
        }
        match rule.concurrency {
            Concurrency::Forbid if is_first && lane.is_busy() => {
                drop(Dropped::Forbidden);
                continue;
            }
            Concurrency::Replace if lane.is_busy() => {
                let runs = std::mem::take(&mut lane.runs);
                decision.steps.extend(runs.into_iter().map(Step::Cancel));
                // It begins when they have ended.
                lane.is_blocked = true;
                continue;
            }
            Concurrency::Queue | Concurrency::Forbid if lane.is_busy() || lane.is_blocked => {
                lane.is_blocked = true;
                continue;
            }
            Concurrency::Replace if lane.is_blocked => continue,
            Concurrency::Queue | Concurrency::Forbid | Concurrency::Replace | Concurrency::Allow => {}
        }
        if going >= limit {
            lane.is_blocked = true;
            continue;
        }
        going += 1;
        lane.begins += 1;
        if let Some(trigger) = &arrival.trigger {
            last.insert((&arrival.file, trigger.as_str()), now);
        }
        decision.steps.push(Step::Begin(arrival.id));
    }
    decision
}

/// What waits before a later arrival of its pipeline that takes its place.
fn replaced(state: &State, rule: &impl Fn(&Arrival) -> Known) -> std::collections::BTreeSet<ArrivalId> {
    let mut newest: BTreeMap<&str, ArrivalId> = BTreeMap::new();
    let mut replaced = std::collections::BTreeSet::new();
    let mut before: BTreeMap<&str, Vec<ArrivalId>> = BTreeMap::new();
    for Waiting { arrival, .. } in state.waiting() {
        let file = arrival.file.as_str();
        if matches!(rule(arrival), Known::Rule(rule) if rule.concurrency == Concurrency::Replace) {
            replaced.extend(before.remove(file).unwrap_or_default());
            replaced.extend(newest.insert(file, arrival.id));
        } else {
            before.entry(file).or_default().push(arrival.id);
        }
    }
    replaced
}

/// Whether this is before the end of a cooldown.
fn is_before_end(at: Timestamp, begun: Timestamp, cooldown: Duration) -> bool {
    let since = at.duration_since(begun);
    since < SignedDuration::ZERO || since.unsigned_abs() < cooldown
}

#[cfg(test)]
mod tests {
    use super::super::arrival::Fate;
    use super::super::ledger::Record;
    use super::*;
    use crate::event::{Cause, Outcome};
    use crate::name::{PipelineName, TriggerName};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn arrival(file: &str, trigger: &str, id: &str, second: i64) -> Arrival {
        let trigger = TriggerName::new(trigger).unwrap();
        Arrival {
            id: ArrivalId::of(file, Some(&trigger), "test", id),
            pipeline: PipelineName::new("p").unwrap(),
            file: file.to_owned(),
            trigger: Some(trigger),
            cause: Cause::Event,
            event: serde_json::Value::Null,
            params: BTreeMap::new(),
            at: at(second),
            not_before: None,
            not_after: None,
        }
    }

    /// A queue in memory, asked with one rule for all.
    #[derive(Default)]
    struct Asked(State);

    impl Asked {
        fn arrive(&mut self, arrivals: &[&Arrival]) {
            let arrivals = arrivals.iter().map(|arrival| (*arrival).clone()).collect();
            self.0.take(Record::Arrived { arrivals, marks: Vec::new() });
        }

        fn begin(&mut self, arrival: &Arrival, run: &str, second: i64) {
            self.0.take(Record::Began { arrival: arrival.id, run: RunId::new(run).unwrap(), at: at(second) });
        }

        fn end(&mut self, arrival: &Arrival, run: &str) {
            let fate = Fate::Ended { run: RunId::new(run).unwrap(), outcome: Outcome::Succeeded };
            self.0.take(Record::Settled { arrival: arrival.id, fate, at: at(0) });
        }

        fn ask(&self, concurrency: Concurrency, second: i64) -> Vec<Step> {
            self.decide(Rule { concurrency, cooldown: None }, 10, second).steps
        }

        fn decide(&self, rule: Rule, limit: usize, second: i64) -> Decision {
            decide(&self.0, |_| Known::Rule(rule), limit, at(second))
        }
    }

    #[test]
    fn in_a_queue_one_run_of_a_pipeline_goes_on_at_a_time() {
        let (one, two, other) =
            (arrival("p", "t", "1", 0), arrival("p", "t", "2", 0), arrival("q", "t", "1", 0));
        let mut queue = Asked::default();
        queue.arrive(&[&one, &two, &other]);
        assert_eq!(queue.ask(Concurrency::Queue, 0), [Step::Begin(one.id), Step::Begin(other.id)]);
        queue.begin(&one, "r1", 0);
        assert_eq!(queue.ask(Concurrency::Queue, 0), [Step::Begin(other.id)]);
        queue.end(&one, "r1");
        assert_eq!(queue.ask(Concurrency::Queue, 0), [Step::Begin(two.id), Step::Begin(other.id)]);
        assert_eq!(queue.ask(Concurrency::Allow, 0), [Step::Begin(two.id), Step::Begin(other.id)]);
    }

    #[test]
    fn what_may_not_go_on_beside_another_is_dropped_or_takes_its_place() {
        let (one, two, three) =
            (arrival("p", "t", "1", 0), arrival("p", "t", "2", 0), arrival("p", "t", "3", 0));
        let mut queue = Asked::default();
        queue.arrive(&[&one]);
        queue.begin(&one, "r1", 0);
        queue.arrive(&[&two, &three]);
        let dropped = |arrival: &Arrival, why| Step::Drop(arrival.id, why);
        assert_eq!(
            queue.ask(Concurrency::Forbid, 0),
            [dropped(&two, Dropped::Forbidden), dropped(&three, Dropped::Forbidden)]
        );
        let run = RunId::new("r1").unwrap();
        assert_eq!(queue.ask(Concurrency::Replace, 0), [dropped(&two, Dropped::Replaced), Step::Cancel(run)]);
        queue.end(&one, "r1");
        assert_eq!(
            queue.ask(Concurrency::Replace, 0),
            [dropped(&two, Dropped::Replaced), Step::Begin(three.id)]
        );
    }

    #[test]
    fn no_more_runs_go_on_than_may() {
        let arrivals: Vec<_> = (0..5).map(|number| arrival("p", "t", &number.to_string(), 0)).collect();
        let mut queue = Asked::default();
        queue.arrive(&arrivals.iter().collect::<Vec<_>>());
        let rule = Rule { concurrency: Concurrency::Allow, cooldown: None };
        assert_eq!(queue.decide(rule, 3, 0).steps.len(), 3);
        queue.begin(&arrivals[0], "r1", 0);
        assert_eq!(
            queue.decide(rule, 3, 0).steps,
            [Step::Begin(arrivals[1].id), Step::Begin(arrivals[2].id)]
        );
    }

    #[test]
    fn after_a_run_has_begun_others_lead_to_none_for_a_while() {
        let (one, two, late) =
            (arrival("p", "t", "1", 0), arrival("p", "t", "2", 5), arrival("p", "t", "3", 70));
        let mut queue = Asked::default();
        let rule = Rule { concurrency: Concurrency::Queue, cooldown: Some(Duration::from_secs(60)) };
        queue.arrive(&[&one, &two]);
        let expected = [Step::Begin(one.id), Step::Drop(two.id, Dropped::Cooldown)];
        assert_eq!(queue.decide(rule, 9, 6).steps, expected);
        queue.begin(&one, "r1", 6);
        queue.end(&one, "r1");
        assert_eq!(queue.decide(rule, 9, 6).steps, expected[1..]);
        queue.arrive(&[&late]);
        assert!(queue.decide(rule, 9, 70).steps.contains(&Step::Begin(late.id)));
    }

    #[test]
    fn times_are_kept() {
        let soon = Arrival { not_before: Some(at(100)), ..arrival("p", "t", "1", 0) };
        let late = Arrival { not_after: Some(at(20)), ..arrival("p", "t", "2", 0) };
        let mut queue = Asked::default();
        queue.arrive(&[&soon, &late]);
        let decision = queue.decide(Rule::default(), 9, 10);
        assert_eq!(decision, Decision { steps: vec![Step::Begin(late.id)], again: Some(at(100)) });
        let steps = queue.decide(Rule::default(), 9, 100).steps;
        assert_eq!(steps, [Step::Begin(soon.id), Step::Drop(late.id, Dropped::Late)]);
        let gone = decide(&queue.0, |_| Known::Gone, 9, at(10)).steps;
        assert_eq!(gone.len(), 2, "{gone:?}");
        assert_eq!(decide(&queue.0, |_| Known::Unreadable, 9, at(10)), Decision::default());
    }

    #[test]
    fn a_run_that_was_lost_is_made_again_whatever_the_rule() {
        let one = Arrival { not_after: Some(at(5)), ..arrival("p", "t", "1", 0) };
        let mut queue = Asked::default();
        queue.arrive(&[&one]);
        queue.begin(&one, "r1", 0);
        queue.0.take(Record::Again { arrival: one.id });
        let rule = Rule { concurrency: Concurrency::Forbid, cooldown: Some(Duration::from_secs(60)) };
        assert_eq!(queue.decide(rule, 9, 10).steps, [Step::Begin(one.id)]);
        queue.begin(&one, "r2", 10);
        assert_eq!(queue.0.running().next().map(|running| running.attempt), Some(2));
    }
}
