//! Who follows a job, and what he knows of the engine.

use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;

use super::News;

/// The number of a following; none is given twice by a desk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Number(pub(super) u64);

/// Who follows a job.
#[derive(Debug)]
pub(super) struct Follower {
    pub(super) number: Number,
    news: UnboundedSender<News>,
    hindrance: Hindrance,
}

/// What he was told of the engine's being hindered, and not yet of its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hindrance {
    None,
    Unreachable,
    Full,
}

impl Follower {
    pub(super) fn new(number: Number, news: UnboundedSender<News>) -> Self {
        Self { number, news, hindrance: Hindrance::None }
    }

    /// Whether somebody still listens.
    pub(super) fn listens(&self) -> bool {
        !self.news.is_closed()
    }

    /// Tells news; who has gone hears nothing.
    pub(super) fn tell(&self, news: News) {
        let _ = self.news.send(news);
    }

    /// The engine cannot be reached.
    pub(super) fn tell_unreachable(&mut self, reason: &str, since: Duration) {
        if self.hindrance != Hindrance::Unreachable {
            self.hindrance = Hindrance::Unreachable;
            self.tell(News::Unreachable { reason: reason.to_owned(), since });
        }
    }

    /// The engine takes no more.
    pub(super) fn tell_full(&mut self, reason: &str) {
        if self.hindrance != Hindrance::Full {
            self.tell_free();
            self.hindrance = Hindrance::Full;
            self.tell(News::Full { reason: reason.to_owned() });
        }
    }

    /// The engine is as it should be.
    pub(super) fn tell_free(&mut self) {
        if self.hindrance == Hindrance::Unreachable {
            self.tell(News::Reachable);
        }
        self.hindrance = Hindrance::None;
    }
}
