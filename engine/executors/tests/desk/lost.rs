//! What is lost, and found again: the process, an answer, a job.

use std::time::Duration;

use tidemill_executors::{End, News, Pace, State};

use super::stage::{Stage, all, last, runs, seconds, until};
use crate::scripted::{Call, Script, Scripted, Trouble};

fn ended(end: End) -> News {
    News::State(State::Ended { end })
}

#[tokio::test(start_paused = true)]
async fn what_was_submitted_is_adopted_and_not_submitted_twice() {
    let stage = Stage::of(&Script::default());
    let mut followings = ["a", "b"].map(|label| stage.submit(label));
    runs(&mut followings[0]).await;
    drop(followings);
    let stage = stage.again();
    let mut adopted = stage.adopt();
    for label in ["a", "b"] {
        let news = all(adopted.get_mut(label).unwrap()).await;
        assert!(matches!(news[0], News::Submitted { .. }), "{news:?}");
        assert_eq!(news.last(), Some(&ended(End::Exited { code: 0 })));
        assert_eq!(stage.taken(label), 1);
    }
    assert_eq!(stage.engine.calls(Call::Submit), 2);
}

#[tokio::test(start_paused = true)]
async fn what_was_noted_and_never_arrived_is_submitted() {
    for (trouble, arrived) in [(Trouble::Away, [0, 0]), (Trouble::Half, [1, 0]), (Trouble::Mute, [1, 1])] {
        let stage = Stage::of(&Script::default());
        stage.engine.trouble(move |call| (call == Call::Submit).then_some(trouble));
        let followings = ["a", "b"].map(|label| stage.submit(label));
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!([stage.taken("a"), stage.taken("b")], arrived);
        drop(followings);
        stage.engine.mend();
        let stage = stage.again();
        let mut adopted = stage.adopt();
        for label in ["a", "b"] {
            assert_eq!(last(adopted.get_mut(label).unwrap()).await, ended(End::Exited { code: 0 }));
            assert_eq!(stage.taken(label), 1);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_told_once_and_waited_for() {
    for during in [Call::Submit, Call::Status] {
        let stage = Stage::of(&Script { runs: seconds(60), ..Script::default() });
        stage.engine.trouble(move |call| (call == during).then_some(Trouble::Away));
        let mut following = stage.submit("one");
        tokio::time::sleep(seconds(24 * 3_600)).await;
        let calls = stage.engine.calls(during);
        assert!((24 * 60..24 * 60 * 2 + 10).contains(&calls), "{calls} {during:?} in a day");
        stage.engine.mend();
        let news = all(&mut following).await;
        let unreachable = |news: &&News| matches!(news, News::Unreachable { .. });
        let told = news.iter().filter(unreachable).collect::<Vec<_>>();
        assert!(
            matches!(told[..], [News::Unreachable { reason, since }] if reason.contains("no answer")
            && (seconds(0)..seconds(2)).contains(since)),
            "{news:?}"
        );
        assert_eq!(news.iter().filter(|news| **news == News::Reachable).count(), 1, "{news:?}");
        assert_eq!(news.last(), Some(&ended(End::Exited { code: 0 })));
        assert_eq!(stage.taken("one"), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn one_failure_is_not_worth_a_word() {
    for trouble in [Trouble::Away, Trouble::Mute, Trouble::Garbled] {
        let stage = Stage::of(&Script::default());
        let mut calls = 0;
        stage.engine.trouble(move |_| {
            calls += 1;
            (calls == 1 || calls == 3).then_some(trouble)
        });
        let news = all(&mut stage.submit("one")).await;
        assert!(
            !news.iter().any(|news| matches!(news, News::Unreachable { .. } | News::Reachable)),
            "{news:?}"
        );
        assert_eq!(stage.taken("one"), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_engine_is_tried_again() {
    let stage = Stage::new(
        Scripted::new(|_| Script { runs: seconds(1_000), ..Script::default() }),
        Pace { most_in_batch: 1, ..Pace::default() },
    );
    stage.engine.room(1);
    let mut followings = ["a", "b", "c"].map(|label| stage.submit(label));
    let mut full = 0;
    for following in &mut followings {
        let news = all(following).await;
        let told =
            news.iter().filter(|news| matches!(news, News::Full { reason } if reason == "limit of jobs"));
        full += told.count();
        assert_eq!(news.last(), Some(&ended(End::Exited { code: 0 })));
    }
    // The first may be told too, if it was not the first.
    assert!((2..=4).contains(&full), "{full}");
    let calls = stage.engine.calls(Call::Submit);
    assert!(calls < 100, "{calls} submissions in 3,000 seconds");
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_too_large_goes_in_parts() {
    let stage = Stage::of(&Script { runs: seconds(600), ..Script::default() });
    stage.engine.room(3);
    let began = tokio::time::Instant::now();
    let mut followings: Vec<_> = (0..10).map(|number| stage.submit(&number.to_string())).collect();
    for (number, following) in followings.iter_mut().enumerate() {
        let news = all(following).await;
        assert_eq!(news.last(), Some(&ended(End::Exited { code: 0 })));
        assert_eq!(stage.taken(&number.to_string()), 1);
        // Who has a place hears nothing more of there being none.
        let place = |sought: fn(&News) -> bool| news.iter().position(sought);
        let submitted = place(|news| matches!(news, News::Submitted { .. })).expect("it was submitted");
        let full = news.iter().rposition(|news| matches!(news, News::Full { .. }));
        assert!(full.is_none_or(|full| full < submitted), "{number}: {news:?}");
        assert!(full.is_some() || number < 3, "{number}: {news:?}");
    }
    // Four turns; what ends is noticed after ten seconds at most, and then the next ones go.
    assert!(began.elapsed() < seconds(4 * 600 + 60), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_the_engine_forgets_is_submitted_once_more() {
    let stage = Stage::of(&Script { forgotten: vec![seconds(30)], ..Script::default() });
    let mut following = stage.submit("one");
    assert_eq!(last(&mut following).await, ended(End::Exited { code: 0 }));
    assert_eq!(stage.taken("one"), 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_forgotten_again_is_lost() {
    let began = tokio::time::Instant::now();
    let stage = Stage::of(&Script { forgotten: vec![seconds(0); 9], ..Script::default() });
    let mut following = stage.submit("one");
    assert_eq!(last(&mut following).await, ended(End::NodeLost));
    assert_eq!(stage.taken("one"), 2);
    // It has the time to appear.
    assert!(began.elapsed() >= seconds(20), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_appears_late_is_not_lost() {
    let stage = Stage::of(&Script::default());
    let mut following = stage.submit("one");
    until(&mut following, |news| matches!(news, News::Submitted { .. })).await;
    let began = tokio::time::Instant::now();
    stage.engine.hide(seconds(9));
    assert_eq!(last(&mut following).await, ended(End::Exited { code: 0 }));
    assert_eq!((stage.taken("one"), stage.engine.calls(Call::Submit)), (1, 1));
    assert!(began.elapsed() >= seconds(60));
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_job_that_is_forgotten_has_ended() {
    let script =
        Script { runs: seconds(36_000), forgotten: vec![seconds(30)], deaf: 99, ..Script::default() };
    let stage = Stage::of(&script);
    let mut following = stage.submit("one");
    runs(&mut following).await;
    following.cancel();
    assert_eq!(last(&mut following).await, ended(End::Cancelled));
    assert_eq!(stage.taken("one"), 1);
}

/// What has ended does not run again because another job of its batch has to.
#[tokio::test(start_paused = true)]
async fn what_has_ended_never_runs_again() {
    let script = |label: &str| match label {
        "short" => Script { runs: seconds(5), forgotten: vec![seconds(30)], ..Script::default() },
        _ => Script { runs: seconds(100), forgotten: vec![seconds(30)], ..Script::default() },
    };
    let stage = Stage::new(Scripted::new(move |job| script(&job.argv[0])), Pace::default());
    let [mut short, mut long] = ["short", "long"].map(|label| stage.submit(label));
    assert_eq!(last(&mut short).await, ended(End::Exited { code: 0 }));
    assert_eq!(last(&mut long).await, ended(End::Exited { code: 0 }));
    assert_eq!((stage.taken("short"), stage.taken("long"), stage.taken("true")), (1, 2, 1));
}

/// A result that is kept is not made again, though the engine has forgotten all.
#[tokio::test(start_paused = true)]
async fn what_is_done_with_never_runs_again() {
    let stage = Stage::of(&Script { forgotten: vec![seconds(70)], ..Script::default() });
    let mut followings = ["kept", "open"].map(|label| stage.submit(label));
    assert_eq!(last(&mut followings[0]).await, ended(End::Exited { code: 0 }));
    tokio::time::sleep(seconds(60)).await;
    drop(followings);
    let stage = stage.again();
    let mut adopted = stage.adopt();
    adopted.remove("kept").unwrap().close();
    assert_eq!(last(adopted.get_mut("open").unwrap()).await, ended(End::Exited { code: 0 }));
    assert_eq!((stage.taken("kept"), stage.taken("open")), (1, 2));
    adopted.remove("open").unwrap().close();
    stage.desk.forgotten().await;
    assert!(stage.book.batches().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_done_with_is_forgotten_without_being_submitted() {
    let stage = Stage::of(&Script::default());
    let mut following = stage.submit("one");
    last(&mut following).await;
    drop(following);
    let stage = stage.again();
    let (batch, _) = stage.book.batches().remove(0);
    stage.desk.forget(batch.id.clone());
    stage.desk.forgotten().await;
    assert_eq!(
        (stage.engine.calls(Call::Submit), stage.engine.has(), stage.book.batches().len()),
        (1, vec![], 0)
    );
    let mut late = stage.desk.adopt(&batch, 7, None);
    assert!(matches!(late.next().await, Some(News::Refused { .. })));
}
