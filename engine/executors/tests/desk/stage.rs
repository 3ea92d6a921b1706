//! What the tests of the desk stand on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tidemill_executors::{Desk, Following, Job, News, Pace, Resources, State};

use super::book::{Book, Pages};
use crate::scripted::{Script, Scripted};

/// An engine, and a process that uses it.
pub(crate) struct Stage {
    pub(crate) engine: Arc<Scripted>,
    pub(crate) book: Arc<Book>,
    pub(crate) desk: Desk,
    pace: Pace,
}

/// So many seconds.
pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A job that is known by its label.
pub(crate) fn job(label: &str) -> Job {
    Job { argv: vec![label.to_owned()], env: BTreeMap::new() }
}

impl Stage {
    /// Before an engine whose jobs all do the same.
    pub(crate) fn of(script: &Script) -> Self {
        let script = script.clone();
        Self::new(Scripted::new(move |_| script.clone()), Pace::default())
    }

    pub(crate) fn new(engine: Scripted, pace: Pace) -> Self {
        let (engine, book) = (Arc::new(engine), Arc::new(Book::default()));
        let desk = Desk::new(engine.clone(), book.clone(), pace.clone());
        Self { engine, book, desk, pace }
    }

    /// The process dies, and another one begins.
    pub(crate) fn again(self) -> Self {
        self.book.die();
        let pages: Pages = self.book.pages.clone();
        let book = Book::of(&pages);
        let desk = Desk::new(self.engine.clone(), book.clone(), self.pace.clone());
        Self { book, desk, ..self }
    }

    /// Hands a job in.
    pub(crate) fn submit(&self, label: &str) -> Following {
        self.desk.submit("story", Resources::default(), job(label), label.to_owned(), None)
    }

    /// Hands a job in whose log is wanted.
    pub(crate) fn submit_watched(&self, label: &str) -> Following {
        self.desk.submit("story", Resources::default(), job(label), label.to_owned(), Some(0))
    }

    /// Adopts all jobs that are written down, by their labels.
    pub(crate) fn adopt(&self) -> BTreeMap<String, Following> {
        let jobs = self.book.batches().into_iter().flat_map(|(batch, labels)| {
            let adopt = move |(job, label)| (label, self.desk.adopt(&batch, job, None));
            (0..).zip(labels).map(adopt)
        });
        jobs.collect()
    }

    /// How often the job of this label was taken by the engine.
    pub(crate) fn taken(&self, label: &str) -> usize {
        self.engine.taken().get(&job(label).argv).copied().unwrap_or_default()
    }
}

/// All news, up to the last.
pub(crate) async fn all(following: &mut Following) -> Vec<News> {
    let mut all = Vec::new();
    while let Some(news) = following.next().await {
        all.push(news);
    }
    assert_eq!(all.iter().filter(|news| news.is_final()).count(), 1, "{all:?}");
    assert!(all.last().unwrap().is_final(), "{all:?}");
    all
}

/// The last news.
pub(crate) async fn last(following: &mut Following) -> News {
    all(following).await.pop().unwrap()
}

/// Waits for a certain piece of news.
pub(crate) async fn until(following: &mut Following, wanted: impl Fn(&News) -> bool) -> News {
    loop {
        let news = following.next().await.expect("it comes before the end");
        if wanted(&news) {
            return news;
        }
    }
}

/// Waits until a job runs.
pub(crate) async fn runs(following: &mut Following) {
    until(following, |news| matches!(news, News::State(State::Running { .. }))).await;
}
