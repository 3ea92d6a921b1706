//! What the machine that schedules steps promises.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{Limits, Machine, Need, Settled};

fn limits(jobs: usize) -> Limits {
    Limits::new(jobs, 64, u64::MAX, Vec::new())
}

fn one_core() -> Need {
    Need { cpus: 1, ..Need::default() }
}

#[test]
fn a_failure_blocks_what_depends_on_it() {
    let upstream = vec![vec![], vec![0], vec![1], vec![]];
    let mut machine = Machine::new(upstream, vec![true; 4], &[false; 4], vec![0; 4], limits(4));
    assert_eq!(machine.next_to_decide(), Some(0));
    assert_eq!(machine.settle(0, Settled::Failed).unwrap(), [(1, 0), (2, 0)]);
    assert_eq!(machine.next_to_decide(), Some(3));
    assert_eq!(machine.settled(2), Some(Settled::Blocked { by: 0 }));
}

#[test]
fn a_step_that_did_not_begin_cannot_end() {
    let mut machine = Machine::new(vec![vec![], vec![0]], vec![true; 2], &[false; 2], vec![0; 2], limits(1));
    assert!(machine.settle(1, Settled::Done).is_err());
    assert!(machine.ready(0, one_core()).is_err());
}

#[test]
fn what_was_done_before_is_not_decided_about_unless_it_is_needed_again() {
    let upstream = vec![vec![], vec![0], vec![1]];
    let done = [true, true, false];
    let mut machine = Machine::new(upstream, vec![true; 3], &done, vec![0; 3], limits(1));
    assert_eq!(machine.next_to_decide(), Some(2));
    machine.reopen(&[1], 2).unwrap();
    assert_eq!(machine.next_to_decide(), Some(1));
    machine.reopen(&[0], 1).unwrap();
    assert_eq!((machine.next_to_decide(), machine.next_to_decide()), (Some(0), None));
    for step in 0..3 {
        machine.settle(step, Settled::Done).unwrap();
        assert_eq!(machine.next_to_decide(), Some(step + 1).filter(|next| *next < 3));
    }
    assert!(machine.is_finished());
}

#[test]
fn a_step_that_does_not_fit_lets_others_go_first() {
    let mut machine = Machine::new(vec![vec![]; 3], vec![true; 3], &[false; 3], vec![9, 5, 1], limits(2));
    for (step, cpus) in [(0, 60), (1, 30), (2, 1)] {
        assert_eq!(machine.next_to_decide(), Some(step));
        machine.ready(step, Need { cpus, ..Need::default() }).unwrap();
    }
    assert_eq!(machine.next_to_start().unwrap().0, 0);
    assert_eq!(machine.next_to_start().unwrap().0, 2, "30 cores do not fit beside 60");
    assert!(machine.next_to_start().is_none());
    machine.settle(0, Settled::Done).unwrap();
    assert_eq!(machine.next_to_start().unwrap().0, 1);
}

#[test]
fn a_step_that_is_ending_needs_no_place() {
    let mut machine = Machine::new(vec![vec![]; 5], vec![true; 5], &[false; 5], vec![0; 5], limits(2));
    for step in 0..5 {
        machine.next_to_decide().unwrap();
        machine.ready(step, one_core()).unwrap();
    }
    let start = |machine: &mut Machine| machine.next_to_start().map(|(step, _)| step);
    assert_eq!([start(&mut machine), start(&mut machine), start(&mut machine)], [Some(0), Some(1), None]);
    machine.vacate(0);
    machine.vacate(1);
    machine.vacate(4);
    assert_eq!([start(&mut machine), start(&mut machine), start(&mut machine)], [Some(2), Some(3), None]);
    // As many are ending as may run: the next keeps its place until one of them has ended.
    machine.vacate(2);
    assert_eq!(start(&mut machine), None);
    machine.settle(0, Settled::Done).unwrap();
    machine.pause(1).unwrap();
    machine.vacate(2);
    assert_eq!(start(&mut machine), Some(4));
}

#[test]
fn what_is_prepared_goes_in_its_turn() {
    let mut machine =
        Machine::new(vec![vec![]; 5], vec![true; 5], &[false; 5], vec![1, 5, 4, 3, 9], limits(2));
    for step in 0..4 {
        machine.next_to_decide().unwrap();
        machine.ready(step, one_core()).unwrap();
    }
    let start = |machine: &mut Machine| machine.next_to_start().map(|(step, _)| step);
    assert_eq!([start(&mut machine), start(&mut machine), start(&mut machine)], [Some(1), Some(2), None]);
    assert_eq!(machine.next_to_prepare(), Some(3));
    assert_eq!(machine.next_to_prepare(), Some(0));
    assert_eq!(machine.next_to_prepare(), None, "no more than may run at once");
    // One that became ready later and is more urgent goes first.
    machine.next_to_decide().unwrap();
    machine.ready(4, one_core()).unwrap();
    machine.settle(1, Settled::Done).unwrap();
    assert_eq!(start(&mut machine), Some(4));
    // One that is decided about again waits no more.
    machine.pause(3).unwrap();
    machine.settle(2, Settled::Done).unwrap();
    assert_eq!(start(&mut machine), Some(0));
    machine.ready(3, one_core()).unwrap();
    machine.settle(4, Settled::Done).unwrap();
    assert_eq!(start(&mut machine), Some(3));
}

#[test]
fn a_place_is_handed_over_to_what_is_prepared() {
    let mut machine =
        Machine::new(vec![vec![]; 5], vec![true; 5], &[false; 5], vec![1, 5, 4, 3, 9], limits(2));
    for step in 0..4 {
        machine.next_to_decide().unwrap();
        machine.ready(step, Need { cpus: if step == 0 { 2 } else { 1 }, ..Need::default() }).unwrap();
    }
    let start = |machine: &mut Machine| machine.next_to_start().map(|(step, _)| step);
    assert_eq!([start(&mut machine), start(&mut machine)], [Some(1), Some(2)]);
    assert_eq!([machine.next_to_prepare(), machine.next_to_prepare()], [Some(3), Some(0)]);
    assert!(!machine.may_follow_unasked(), "the first needs more than the others");
    machine.next_to_decide().unwrap();
    machine.ready(4, one_core()).unwrap();
    assert!(!machine.hand_over(1, 0), "it needs more");
    assert!(!machine.hand_over(1, 4), "nobody prepared it");
    assert!(machine.hand_over(1, 3));
    assert!(!machine.hand_over(1, 3), "it runs already");
    assert_eq!(start(&mut machine), None, "both places are taken");
    machine.vacate(3);
    machine.settle(1, Settled::Done).unwrap();
    machine.settle(3, Settled::Done).unwrap();
    assert_eq!(start(&mut machine), Some(4));
}

#[test]
fn who_is_more_urgent_is_asked_about_first() {
    let mut machine = Machine::new(vec![vec![]; 4], vec![true; 4], &[false; 4], vec![5, 4, 3, 9], limits(2));
    for step in 0..3 {
        machine.next_to_decide().unwrap();
        machine.ready(step, one_core()).unwrap();
    }
    assert!(machine.next_to_start().is_some() && machine.next_to_start().is_some());
    assert_eq!(machine.next_to_prepare(), Some(2));
    assert!(machine.may_follow_unasked());
    machine.next_to_decide().unwrap();
    machine.ready(3, one_core()).unwrap();
    assert!(!machine.may_follow_unasked(), "the fourth is more urgent than what is prepared");
}

#[test]
fn with_one_job_a_step_ends_before_the_next_begins() {
    let mut machine = Machine::new(vec![vec![]; 2], vec![true; 2], &[false; 2], vec![0; 2], limits(1));
    for step in 0..2 {
        machine.next_to_decide().unwrap();
        machine.ready(step, one_core()).unwrap();
    }
    assert_eq!(machine.next_to_start().unwrap().0, 0);
    machine.vacate(0);
    assert!(machine.next_to_start().is_none());
    machine.settle(0, Settled::Done).unwrap();
    assert_eq!(machine.next_to_start().unwrap().0, 1);
}

#[test]
fn a_producer_that_is_needed_again_goes_first() {
    let mut machine = Machine::new(vec![vec![], vec![0]], vec![true; 2], &[false; 2], vec![0; 2], limits(1));
    assert_eq!(machine.next_to_decide(), Some(0));
    machine.settle(0, Settled::Done).unwrap();
    assert_eq!(machine.next_to_decide(), Some(1));
    machine.reopen(&[0], 1).unwrap();
    assert_eq!(machine.next_to_decide(), Some(0));
    assert_eq!(machine.next_to_decide(), None);
    machine.settle(0, Settled::Done).unwrap();
    assert_eq!(machine.next_to_decide(), Some(1));
    machine.settle(1, Settled::Done).unwrap();
    assert!(machine.is_finished());
}

/// A graph where every step depends on some earlier ones.
fn graphs() -> impl Strategy<Value = Vec<Vec<usize>>> {
    prop::collection::vec(prop::collection::vec(any::<prop::sample::Index>(), 0..4), 1..24).prop_map(
        |steps| {
            let producers = |(step, picks): (usize, Vec<prop::sample::Index>)| match step {
                0 => Vec::new(),
                step => {
                    picks.iter().map(|pick| pick.index(step)).collect::<BTreeSet<_>>().into_iter().collect()
                }
            };
            steps.into_iter().enumerate().map(producers).collect()
        },
    )
}

proptest! {
    /// A schedule never starts early, never exceeds a limit, and always ends, whatever the steps do.
    #[test]
    fn a_schedule_is_sound(
        upstream in graphs(),
        jobs in 1usize..4,
        fates in prop::collection::vec(0u8..6, 24),
        durations in prop::collection::vec(0u64..9, 24),
    ) {
        let count = upstream.len();
        let mut machine =
            Machine::new(upstream.clone(), vec![true; count], &vec![false; count], durations[..count].to_vec(), limits(jobs));
        let mut running: Vec<usize> = Vec::new();
        let mut turns = 0;
        while !machine.is_finished() {
            turns += 1;
            prop_assert!(turns < 10_000, "it does not end");
            while let Some(step) = machine.next_to_decide() {
                for producer in &upstream[step] {
                    prop_assert!(machine.settled(*producer).is_some(), "decided early");
                }
                match fates[step] {
                    0 => { machine.settle(step, Settled::Done).unwrap(); }
                    1 => { machine.settle(step, Settled::LeftOut).unwrap(); }
                    _ => machine.ready(step, one_core()).unwrap(),
                }
            }
            if durations[0] % 2 == 0 {
                while machine.next_to_prepare().is_some() {}
            }
            while let Some((step, _)) = machine.next_to_start() {
                for producer in &upstream[step] {
                    let fine = matches!(machine.settled(*producer), Some(Settled::Done | Settled::LeftOut));
                    prop_assert!(fine, "started early");
                }
                running.push(step);
                prop_assert!(running.len() <= jobs, "too many at once");
            }
            if let Some(step) = running.pop() {
                // Now and then its place is given to another one before it is settled.
                if fates[step] > 3 && durations[step] % 2 == 0 {
                    machine.vacate(step);
                    if let Some((other, _)) = machine.next_to_start() {
                        running.push(other);
                        prop_assert!(running.len() <= jobs, "too many at once");
                    }
                }
                let settled = match fates[step] {
                    2 => Settled::Failed,
                    3 => Settled::Closed,
                    _ => Settled::Done,
                };
                machine.settle(step, settled).unwrap();
            }
        }
    }
}
