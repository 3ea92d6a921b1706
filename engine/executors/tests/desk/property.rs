//! Whatever an engine does, each follower hears exactly one end: the true one.

use std::time::Duration;

use futures_util::future::join_all;
use proptest::prelude::{Just, Strategy, prop, prop_oneof, proptest};
use proptest::test_runner::Config;
use tidemill_executors::{End, Job, News, Pace, State};
use tokio::runtime::Builder;

use super::stage::{Stage, job};
use crate::scripted::{Script, Scripted, Trouble};

/// One job of a story.
#[derive(Debug, Clone)]
struct Story {
    script: Script,
    handed_in: Duration,
    cancelled: Option<Duration>,
    watched: bool,
}

fn stories() -> impl Strategy<Value = Vec<Story>> {
    let end = prop_oneof![
        (0..3).prop_map(|code| End::Exited { code }),
        Just(End::Killed { signal: 9 }),
        Just(End::OutOfMemory),
        Just(End::Preempted),
    ];
    let time = |most: u64| (0..most * 10).prop_map(|tenths| Duration::from_millis(tenths * 100 + 1));
    let script = (time(60), time(200), end, prop::collection::vec(b'a'..=b'z', 0..2_000), 0..3usize);
    let cancelled = prop::option::weighted(0.3, time(200));
    let story = (script, time(30), cancelled, proptest::bool::ANY);
    let story = story.prop_map(|((queued, runs, end, prints, deaf), handed_in, cancelled, watched)| {
        let script = Script { queued, runs, end, prints, deaf, ..Script::default() };
        Story { script, handed_in, cancelled, watched }
    });
    prop::collection::vec(story, 1..12)
}

/// What goes wrong with each call in turn, until nothing does any more.
fn troubles() -> impl Strategy<Value = Vec<Option<Trouble>>> {
    let trouble = prop_oneof![
        3 => Just(None),
        1 => Just(Some(Trouble::Away)),
        1 => Just(Some(Trouble::Mute)),
        1 => Just(Some(Trouble::Half)),
        1 => Just(Some(Trouble::Garbled)),
        1 => Just(Some(Trouble::Full)),
    ];
    prop::collection::vec(trouble, 0..60)
}

proptest! {
    #![proptest_config(Config { cases: 300, failure_persistence: None, ..Config::default() })]

    #[test]
    fn each_follower_hears_the_true_end_once(
        stories in stories(),
        troubles in troubles(),
        latency in 0..2_000u64,
        most_in_batch in 1..5usize,
        room in prop::option::of(1..6usize),
    ) {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let latency = Duration::from_millis(latency);
        runtime.block_on(async {
            let scripts: Vec<Script> = stories.iter().map(|story| story.script.clone()).collect();
            let number = |job: &Job| job.argv[0].parse::<usize>().unwrap();
            let engine = Scripted::new(move |job| scripts[number(job)].clone()).slow(latency);
            let mut troubles = troubles.into_iter();
            engine.trouble(move |_| troubles.next().flatten());
            room.into_iter().for_each(|room| engine.room(room));
            let stage = Stage::new(engine, Pace { most_in_batch, ..Pace::default() });
            join_all(stories.iter().enumerate().map(|(number, story)| play(&stage, number, story))).await;
        });
    }
}

/// Hands a job in, cancels it when its story says so, and compares what is heard with what is true.
async fn play(stage: &Stage, number: usize, story: &Story) {
    tokio::time::sleep(story.handed_in).await;
    let label = number.to_string();
    let mut following = if story.watched { stage.submit_watched(&label) } else { stage.submit(&label) };
    let (mut end, mut printed) = (None, Vec::new());
    let cancel = tokio::time::sleep(story.cancelled.unwrap_or(Duration::MAX));
    tokio::pin!(cancel);
    loop {
        tokio::select! {
            news = following.next() => match news {
                Some(News::State(State::Ended { end: told })) => assert_eq!(end.replace(told), None),
                Some(News::Printed(piece)) if end.is_none() => printed.extend(piece),
                Some(News::Printed(_) | News::Refused { .. }) => panic!("{news:?}"),
                Some(_) => {}
                None => break,
            },
            () = &mut cancel, if !cancel.is_elapsed() => following.cancel(),
        }
    }
    let end = end.expect("there is an end");
    match stage.engine.truth(&job(&label).argv) {
        Some((truth, whole)) => {
            assert_eq!(end, truth);
            assert_eq!(printed, if story.watched { whole } else { Vec::new() });
        }
        None => assert!(story.cancelled.is_some() && end == End::Cancelled, "{end:?}"),
    }
    assert_eq!(stage.taken(&label), usize::from(stage.engine.truth(&job(&label).argv).is_some()));
}
