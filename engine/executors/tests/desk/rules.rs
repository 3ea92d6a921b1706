//! From the gathering of jobs to their being forgotten.

use std::io;
use std::sync::{Arc, Mutex};

use tidemill_executors::{Batch, BatchId, Desk, End, Ledger, News, Pace, Resources, State};

use super::stage::{Stage, all, job, last, runs, seconds, until};
use crate::scripted::{Call, Script, Scripted, Trouble};

fn ended(end: End) -> News {
    News::State(State::Ended { end })
}

#[tokio::test(start_paused = true)]
async fn a_job_is_followed_from_its_ticket_to_its_end() {
    let script = Script { queued: seconds(5), end: End::Exited { code: 3 }, ..Script::default() };
    let stage = Stage::of(&script);
    let mut following = stage.submit("one");
    let news = all(&mut following).await;
    let ticket = stage.engine.has()[0].clone();
    let expected = [
        News::Submitted { ticket },
        News::State(State::Queued { reason: None }),
        News::State(State::Running { host: Some("memory".to_owned()) }),
        ended(End::Exited { code: 3 }),
    ];
    assert_eq!(news, expected);
}

#[tokio::test(start_paused = true)]
async fn jobs_that_need_the_same_go_as_one_batch() {
    let pace = Pace { most_in_batch: 3, ..Pace::default() };
    let stage = Stage::new(Scripted::new(|_| Script::default()), pace);
    let more = Resources { cpus: 2, ..Resources::default() };
    let mut followings: Vec<_> = ["a", "b", "c", "d"].map(|label| stage.submit(label)).into();
    followings.push(stage.desk.submit("story", more, job("e"), "e".to_owned(), None));
    followings.push(stage.desk.submit("another", Resources::default(), job("f"), "f".to_owned(), None));
    for following in &mut followings {
        assert_eq!(last(following).await, ended(End::Exited { code: 0 }));
    }
    let mut labels: Vec<String> = stage.book.batches().iter().map(|(_, labels)| labels.concat()).collect();
    labels.sort();
    assert_eq!(labels, ["abc", "d", "e", "f"]);
    assert_eq!(stage.engine.calls(Call::Submit), 4);
}

/// A ledger that sees what the engine has when a batch is noted.
struct Witness {
    engine: Arc<Scripted>,
    saw: Mutex<Vec<usize>>,
}

impl Ledger for Witness {
    fn note(&self, _: &Batch, _: &[String]) -> io::Result<()> {
        self.saw.lock().unwrap().push(self.engine.calls(Call::Submit));
        Ok(())
    }

    fn erase(&self, _: &BatchId) {}
}

#[tokio::test(start_paused = true)]
async fn it_is_noted_before_it_is_submitted() {
    let engine = Arc::new(Scripted::new(|_| Script::default()));
    let witness = Arc::new(Witness { engine: Arc::clone(&engine), saw: Mutex::default() });
    let desk = Desk::new(engine.clone(), witness.clone(), Pace::default());
    let mut following = desk.submit("story", Resources::default(), job("one"), "one".to_owned(), None);
    last(&mut following).await;
    assert_eq!(*witness.saw.lock().unwrap(), [0]);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_noted_is_not_submitted() {
    let stage = Stage::of(&Script::default());
    stage.book.die();
    let last = last(&mut stage.submit("one")).await;
    assert!(matches!(&last, News::Refused { reason } if reason.contains("the disk is full")), "{last:?}");
    assert_eq!(stage.engine.calls(Call::Submit), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_is_refused_for_all_and_once() {
    let stage = Stage::of(&Script::default());
    stage.engine.trouble(|_| Some(Trouble::Refused));
    let mut followings = [stage.submit("a"), stage.submit("b")];
    for following in &mut followings {
        assert_eq!(all(following).await, [News::Refused { reason: "no such partition".to_owned() }]);
    }
    tokio::time::sleep(seconds(3_600)).await;
    assert_eq!(stage.engine.calls(Call::Submit), 1);
    assert_eq!(stage.engine.calls(Call::Status), 0);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_cancelled_before_its_batch_goes_is_never_submitted() {
    let stage = Stage::of(&Script::default());
    let mut followings = ["a", "b"].map(|label| stage.submit(label));
    followings[0].cancel();
    assert_eq!(all(&mut followings[0]).await, [ended(End::Cancelled)]);
    assert_eq!(last(&mut followings[1]).await, ended(End::Exited { code: 0 }));
    assert_eq!((stage.taken("a"), stage.taken("b")), (0, 1));
    // Nor is a batch of which nothing is left.
    let mut alone = stage.submit("c");
    alone.cancel();
    assert_eq!(last(&mut alone).await, ended(End::Cancelled));
    tokio::time::sleep(seconds(60)).await;
    assert_eq!(stage.engine.calls(Call::Submit), 1);
}

#[tokio::test(start_paused = true)]
async fn a_cancel_is_repeated_until_the_job_has_ended() {
    let stage = Stage::of(&Script { runs: seconds(36_000), deaf: 2, ..Script::default() });
    let mut following = stage.submit("one");
    runs(&mut following).await;
    let mut failures = 3;
    stage.engine.trouble(move |call| {
        failures -= i32::from(call == Call::Cancel);
        (call == Call::Cancel && failures >= 0).then_some(Trouble::Away)
    });
    following.cancel();
    assert_eq!(last(&mut following).await, ended(End::Cancelled));
    assert_eq!(stage.engine.calls(Call::Cancel), 3 + 2 + 1);
    tokio::time::sleep(seconds(600)).await;
    assert_eq!(stage.engine.calls(Call::Cancel), 6);
}

#[tokio::test(start_paused = true)]
async fn cancels_are_gathered() {
    let stage = Stage::of(&Script { runs: seconds(36_000), ..Script::default() });
    let mut followings: Vec<_> = (0..150).map(|number| stage.submit(&number.to_string())).collect();
    runs(&mut followings[0]).await;
    for following in &followings {
        following.cancel();
    }
    for following in &mut followings {
        assert_eq!(last(following).await, ended(End::Cancelled));
    }
    assert_eq!(stage.engine.calls(Call::Cancel), 1);
}

/// Whatever became of the submission, a job that is cancelled while the engine is away is not submitted any more.
#[tokio::test(start_paused = true)]
async fn a_job_that_is_cancelled_while_the_engine_is_away_ends() {
    for (trouble, taken) in [(Trouble::Away, 0), (Trouble::Mute, 1)] {
        let stage = Stage::of(&Script { runs: seconds(36_000), ..Script::default() });
        stage.engine.trouble(move |_| Some(trouble));
        let mut following = stage.submit("one");
        until(&mut following, |news| matches!(news, News::Unreachable { .. })).await;
        following.cancel();
        tokio::time::sleep(seconds(300)).await;
        let submissions = stage.engine.calls(Call::Submit);
        stage.engine.mend();
        assert_eq!(last(&mut following).await, ended(End::Cancelled));
        tokio::time::sleep(seconds(300)).await;
        assert_eq!((stage.taken("one"), stage.engine.calls(Call::Submit)), (taken, submissions));
    }
}

#[tokio::test(start_paused = true)]
async fn when_all_is_closed_the_batch_is_forgotten() {
    let stage = Stage::of(&Script::default());
    let mut followings = ["a", "b", "c"].map(|label| stage.submit(label)).into_iter();
    let (mut a, mut b, mut c) =
        (followings.next().unwrap(), followings.next().unwrap(), followings.next().unwrap());
    for following in [&mut a, &mut b, &mut c] {
        last(following).await;
    }
    a.close();
    b.close();
    stage.desk.forgotten().await;
    tokio::time::sleep(seconds(60)).await;
    assert_eq!((stage.engine.calls(Call::Forget), stage.book.batches().len()), (0, 1));
    // It is erased after it is forgotten, as late as that may be.
    stage.engine.trouble(|_| Some(Trouble::Away));
    c.close();
    tokio::time::sleep(seconds(600)).await;
    assert!(stage.engine.calls(Call::Forget) > 5);
    assert_eq!(stage.book.batches().len(), 1);
    stage.engine.mend();
    stage.desk.forgotten().await;
    assert_eq!((stage.engine.has(), stage.book.batches().len()), (vec![], 0));
}

#[tokio::test(start_paused = true)]
async fn what_is_only_dropped_stays() {
    let stage = Stage::of(&Script::default());
    let mut following = stage.submit("one");
    runs(&mut following).await;
    drop(following);
    tokio::time::sleep(seconds(3_600)).await;
    assert_eq!((stage.engine.calls(Call::Forget), stage.engine.calls(Call::Cancel)), (0, 0));
    // The same desk can follow it again.
    let mut adopted = stage.adopt();
    assert_eq!(last(adopted.get_mut("one").unwrap()).await, ended(End::Exited { code: 0 }));
    assert_eq!((stage.taken("one"), stage.engine.calls(Call::Submit)), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn it_works_for_the_last_job_after_its_handles_are_gone_and_then_no_more() {
    let stage = Stage::of(&Script::default());
    let mut following = stage.submit("one");
    drop(stage.desk);
    assert_eq!(last(&mut following).await, ended(End::Exited { code: 0 }));
    drop(following);
    let calls = stage.engine.calls(Call::Status);
    tokio::time::sleep(seconds(3_600)).await;
    assert_eq!(stage.engine.calls(Call::Status), calls);
    assert_eq!(Arc::strong_count(&stage.engine), 1);
}
