//! What jobs print.

use tidemill_executors::{Following, News, Pace};

use super::stage::{Stage, all, runs, seconds};
use crate::contract::counted;
use crate::scripted::{Call, Script, Scripted, Trouble};

fn printed(news: &[News]) -> String {
    let pieces = news.iter().filter_map(|news| match news {
        News::Printed(piece) => Some(piece.clone()),
        _ => None,
    });
    String::from_utf8(pieces.collect::<Vec<_>>().concat()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_log_is_told_while_the_job_runs_and_whole_before_its_end() {
    for trouble in [None, Some(Trouble::Away), Some(Trouble::Mute)] {
        let stage = Stage::of(&Script { prints: counted(20_000).into_bytes(), ..Script::default() });
        let mut calls = 0;
        stage.engine.trouble(move |call| {
            calls += usize::from(call == Call::Log);
            trouble.filter(|_| call == Call::Log && calls.is_multiple_of(3))
        });
        let news = all(&mut stage.submit_watched("one")).await;
        assert_eq!(printed(&news), counted(20_000));
        let pieces = news.iter().filter(|news| matches!(news, News::Printed(_))).count();
        assert!(pieces > 4, "at its end alone it would be four pieces");
    }
}

#[tokio::test(start_paused = true)]
async fn the_log_of_a_short_job_is_told_whole_too() {
    let script = Script { runs: seconds(0), prints: counted(20_000).into_bytes(), ..Script::default() };
    let news = all(&mut Stage::of(&script).submit_watched("one")).await;
    assert_eq!(printed(&news), counted(20_000));
}

#[tokio::test(start_paused = true)]
async fn who_does_not_ask_for_a_log_gets_none() {
    let stage = Stage::of(&Script { prints: counted(10).into_bytes(), ..Script::default() });
    assert_eq!(printed(&all(&mut stage.submit("one")).await), "");
    assert_eq!(stage.engine.calls(Call::Log), 0);
}

#[tokio::test(start_paused = true)]
async fn a_log_can_be_asked_for_later_and_from_a_byte_on() {
    let stage = Stage::of(&Script { prints: counted(1_000).into_bytes(), ..Script::default() });
    let mut following = stage.submit("one");
    runs(&mut following).await;
    tokio::time::sleep(seconds(20)).await;
    following.watch(100);
    assert_eq!(printed(&all(&mut following).await), counted(1_000)[100..]);
    drop(following);
    // Also by who comes after the end.
    let stage = stage.again();
    let (batch, _) = stage.book.batches().remove(0);
    let mut adopted = stage.desk.adopt(&batch, 0, Some(9_990));
    assert_eq!(printed(&all(&mut adopted).await), "000001000\n");
}

#[tokio::test(start_paused = true)]
async fn logs_are_read_in_turns_a_few_after_each_answer() {
    const JOBS: usize = 100;
    let script = Script { runs: seconds(1_000), prints: counted(1_000).into_bytes(), ..Script::default() };
    let stage = Stage::new(Scripted::new(move |_| script.clone()), Pace { logs: 5, ..Pace::default() });
    let submit = |number: usize| stage.submit_watched(&number.to_string());
    let mut followings: Vec<Following> = (0..JOBS).map(submit).collect();
    for following in &mut followings {
        runs(following).await;
    }
    tokio::time::sleep(seconds(60)).await;
    let (logs, answers) = (stage.engine.calls(Call::Log), stage.engine.calls(Call::Status));
    tokio::time::sleep(seconds(600)).await;
    let (logs, answers) = (stage.engine.calls(Call::Log) - logs, stage.engine.calls(Call::Status) - answers);
    assert_eq!(logs, answers * 5);
    // Everybody had three turns.
    for following in &mut followings {
        let news = all(following).await;
        assert_eq!(printed(&news), counted(1_000));
        assert!(news.iter().filter(|news| matches!(news, News::Printed(_))).count() >= 4);
    }
    assert!(stage.engine.most(Call::Log) <= 5);
}

#[tokio::test(start_paused = true)]
async fn a_log_that_cannot_be_had_does_not_hold_up_the_end() {
    let stage = Stage::of(&Script { prints: counted(10).into_bytes(), ..Script::default() });
    stage.engine.trouble(|call| (call == Call::Log).then_some(Trouble::Refused));
    let news = all(&mut stage.submit_watched("one")).await;
    assert_eq!(printed(&news), "");
}
