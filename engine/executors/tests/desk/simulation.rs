//! Ten thousand attempts in flight on one desk, for hours, while the engine goes away and the process dies: each runs exactly once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tidemill_executors::{Desk, End, Following, Job, News, Pace, Resources, State};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::book::{Book, Pages};
use super::stage::{job, seconds};
use crate::scripted::{Call, Script, Scripted, Trouble};

const JOBS: usize = 10_000;
const DEATHS: usize = 100;

/// What a process keeps of its attempts: how each ended.
type Kept = Arc<Mutex<BTreeMap<String, End>>>;

/// What becomes of an attempt: from a minute to two hours and a half, short ones more often.
fn script(job: &Job) -> Script {
    let mut random = StdRng::seed_from_u64(job.argv[0].parse().unwrap());
    let runs = 60.0 * 150f64.powf(random.random::<f64>());
    Script {
        queued: seconds(random.random_range(0..600)),
        runs: Duration::from_secs_f64(runs),
        host: None,
        end: End::Exited { code: random.random_range(0..3) },
        ..Script::default()
    }
}

/// Follows a job to its end, keeps that, and is done with it.
async fn follow(label: String, mut following: Following, kept: Kept) {
    while let Some(news) = following.next().await {
        if let News::State(State::Ended { end }) = news {
            let before = kept.lock().unwrap().insert(label, end);
            assert_eq!(before, None);
            return following.close();
        }
    }
    panic!("{label} has no end");
}

/// A process begins: it follows what was noted, and hands in what was not.
fn begin(desk: &Desk, pages: &Pages, kept: &Kept) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let mut noted = BTreeSet::new();
    for (batch, labels) in pages.lock().unwrap().values() {
        let done = |label: &String| kept.lock().unwrap().contains_key(label);
        noted.extend(labels.iter().cloned());
        if labels.iter().all(done) {
            desk.forget(batch.id.clone());
            continue;
        }
        for (place, label) in (0..).zip(labels) {
            let following = desk.adopt(batch, place, None);
            if done(label) {
                following.close();
            } else {
                tasks.spawn(follow(label.clone(), following, Arc::clone(kept)));
            }
        }
    }
    for label in (0..JOBS).map(|number| number.to_string()) {
        if !noted.contains(&label) && !kept.lock().unwrap().contains_key(&label) {
            let cpus = if label.ends_with('7') { 8 } else { 1 };
            let resources = Resources { cpus, ..Resources::default() };
            let following = desk.submit("story", resources, job(&label), label.clone(), None);
            tasks.spawn(follow(label, following, Arc::clone(kept)));
        }
    }
    tasks
}

#[tokio::test(start_paused = true)]
#[expect(clippy::print_stdout, reason = "what it measures is the promise in numbers")]
async fn ten_thousand_attempts_run_once_each() {
    let (began, real) = (Instant::now(), std::time::Instant::now());
    let engine = Arc::new(Scripted::new(script).slow(seconds(1)));
    let mut random = StdRng::seed_from_u64(7);
    // Every tenth answer or so is lost, and for some minutes of each hour all are.
    engine.trouble(move |_| {
        let minute = began.elapsed().as_secs() / 60 % 60;
        let away = (20..24).contains(&minute);
        let odds = random.random_range(0..20);
        (away || odds < 2).then_some([Trouble::Away, Trouble::Mute, Trouble::Half][odds % 3])
    });
    let (pages, kept) = (Pages::default(), Kept::default());
    let mut random = StdRng::seed_from_u64(8);
    for death in 0..=DEATHS {
        let book = Book::of(&pages);
        let desk = Desk::new(engine.clone(), book.clone(), Pace::default());
        let mut tasks = begin(&desk, &pages, &kept);
        // The last process lives until all is done.
        let lives = Duration::from_secs(if death < DEATHS { random.random_range(0..150) } else { 36_000 });
        let all = async { while tasks.join_next().await.is_some_and(|task| task.is_ok()) {} };
        if tokio::time::timeout(lives, all).await.is_ok() {
            desk.forgotten().await;
        }
        book.die();
    }
    assert_eq!(kept.lock().unwrap().len(), JOBS);
    for (label, end) in &*kept.lock().unwrap() {
        assert_eq!(*end, script(&job(label)).end, "{label}");
    }
    let taken = engine.taken();
    assert_eq!(taken.len(), JOBS);
    assert!(taken.values().all(|times| *times == 1));
    assert_eq!((engine.has(), pages.lock().unwrap().len()), (vec![], 0));
    let hours = began.elapsed().as_secs_f64() / 3_600.0;
    let questions = engine.calls(Call::Status) as f64 / hours;
    println!(
        "{hours:.1} hours in {:.1} seconds; in an hour {questions:.0} questions, {:.0} submissions, {:.0} forgettings",
        real.elapsed().as_secs_f64(),
        engine.calls(Call::Submit) as f64 / hours,
        engine.calls(Call::Forget) as f64 / hours,
    );
    // An answer takes a second, and the engine rests nine times as long after each; each process begins with a question.
    let most = 3_600.0 / 10.0 + DEATHS as f64 / hours;
    assert!(questions < most, "{questions} questions in an hour");
    assert_eq!(engine.most(Call::Status), 1);
}
