//! Results that do not count any more: saying so in the store, and hearing it from there.

use std::sync::{Arc, PoisonError};

use tidemill_cache::{Cache, Key, Withdrawal};

use crate::error::StoreError;
use crate::layout::Mark;
use crate::level::Level;
use crate::store::{Open, Store};

impl Store {
    /// Says in the store that results do not count any more, each by its key and its number here: how many of them are there. Those
    /// that are not there need no word; one of a level that may not be written from here is an error of access.
    ///
    /// # Errors
    /// If the store cannot be reached, or nothing may be written.
    pub fn withdraw(&self, results: &[(Key, u64)]) -> Result<usize, StoreError> {
        if !self.inner.settings.writes() {
            return Err(StoreError::ReadOnly);
        }
        let open = self.open()?;
        let there = |(key, number): &(Key, u64)| {
            open.known.result(key, *number).map(|(level, there)| (*key, level, there))
        };
        let withdrawn: Vec<(Key, Level, u64)> = results.iter().filter_map(there).collect();
        let count = withdrawn.len();
        let way = Arc::clone(&open);
        self.block(async move {
            for (key, level, number) in withdrawn {
                let mark = way.layout.mark(level, &key, number, Mark::Withdrawn);
                way.link.create(&way.layout, level, &mark, Vec::new().into()).await?;
                way.note_mark(key, level, number, Mark::Withdrawn);
                // If it comes to count here again, it is sent again, under another number.
                way.known.forget_result(&key, level, number);
            }
            Ok(count)
        })
    }

    /// Withdraws here what was withdrawn in the store and had come from there, or gone there.
    pub(crate) fn heed_withdrawals(&self, cache: &Cache, open: &Open) {
        if std::mem::replace(&mut self.session().heeded, true) {
            return;
        }
        let withdrawn: Vec<(Key, Level, u64)> = {
            let marks = open.marks.lock().unwrap_or_else(PoisonError::into_inner);
            let of_key = |(key, marks): (&Key, &Vec<(Level, u64, Mark)>)| {
                let key = *key;
                let withdrawn = marks.iter().filter(|(.., mark)| *mark == Mark::Withdrawn);
                withdrawn.map(move |(level, number, _)| (key, *level, *number)).collect::<Vec<_>>()
            };
            marks.iter().flat_map(of_key).collect()
        };
        for (key, level, there) in withdrawn {
            for number in open.known.numbers_here(&key, level, there) {
                let withdrawal = Withdrawal {
                    reason: "it was withdrawn in the store".to_owned(),
                    by: format!("somebody of the level {level}"),
                    at: jiff::Timestamp::now(),
                };
                // What is withdrawn here already stays as it is.
                let counts =
                    cache.results(&key).is_ok_and(|results| results.iter().any(|one| one.number == number));
                if counts && let Err(error) = cache.quarantine(&key, number, &withdrawal) {
                    tracing::warn!(%key, %error, "a result that was withdrawn in the store cannot be withdrawn here");
                }
            }
        }
    }
}
