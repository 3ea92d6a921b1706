//! How little the engine is asked.

use tidemill_executors::{News, Pace, State};

use super::stage::{Stage, last, runs, seconds, until};
use crate::scripted::{Call, Script, Scripted, Trouble};

#[tokio::test(start_paused = true)]
async fn it_asks_for_all_at_once_and_the_less_often_the_less_happens() {
    let stage = Stage::of(&Script { runs: seconds(3_600), ..Script::default() });
    let mut followings: Vec<_> = (0..2_000).map(|number| stage.submit(&number.to_string())).collect();
    runs(&mut followings[0]).await;
    tokio::time::sleep(seconds(60)).await;
    let before = stage.engine.calls(Call::Status);
    tokio::time::sleep(seconds(1_000)).await;
    assert_eq!(stage.engine.calls(Call::Status) - before, 100);
    // After something has happened it is quick again.
    let mut another = stage.submit("another");
    until(&mut another, |news| matches!(news, News::Submitted { .. })).await;
    let began = tokio::time::Instant::now();
    runs(&mut another).await;
    assert_eq!(began.elapsed(), Pace::default().quick);
    for following in &mut followings {
        last(following).await;
    }
    assert_eq!(stage.engine.calls(Call::Submit), 5);
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_nothing_asks_nothing() {
    let stage = Stage::of(&Script::default());
    last(&mut stage.submit("one")).await;
    let calls = stage.engine.calls(Call::Status);
    tokio::time::sleep(seconds(3_600)).await;
    assert_eq!(stage.engine.calls(Call::Status), calls);
}

/// A slow engine is asked once at a time, and less.
#[tokio::test(start_paused = true)]
async fn a_slow_engine_is_asked_a_tenth_of_the_time() {
    let engine = Scripted::new(|_| Script { runs: seconds(3_600), ..Script::default() }).slow(seconds(3));
    let stage = Stage::new(engine, Pace { most_in_batch: 1, ..Pace::default() });
    let mut followings: Vec<_> = (0..10).map(|number| stage.submit(&number.to_string())).collect();
    for following in &mut followings {
        last(following).await;
    }
    assert_eq!(stage.engine.most(Call::Status), 1);
    assert_eq!(stage.engine.most(Call::Submit), Pace::default().submissions);
    let calls = stage.engine.calls(Call::Status);
    assert!(calls <= 3_700 / 30, "{calls} questions");
}

/// While the engine is away, it is tried once at a time.
#[tokio::test(start_paused = true)]
async fn an_engine_that_is_away_is_left_in_peace() {
    let stage =
        Stage::new(Scripted::new(|_| Script::default()), Pace { most_in_batch: 1, ..Pace::default() });
    stage.engine.trouble(|_| Some(Trouble::Away));
    let mut followings: Vec<_> = (0..500).map(|number| stage.submit(&number.to_string())).collect();
    tokio::time::sleep(seconds(3_600)).await;
    let calls = stage.engine.calls(Call::Submit);
    assert!((60..150).contains(&calls), "{calls} submissions in an hour");
    stage.engine.mend();
    for following in &mut followings {
        let news = last(following).await;
        assert!(matches!(news, News::State(State::Ended { .. })), "{news:?}");
    }
}
