//! Notes of use: which results of a store somebody has used, so that a collection of garbage leaves them there.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tidemill_cache::{Digest, Key};

use crate::codec;
use crate::limits::USED_KEYS;
use crate::store::Store;

pub(crate) const TITLE: &str = "tidemill used 1";

/// Whoever has used something waits no longer for the note of it.
const PATIENCE: Duration = Duration::from_secs(5);

/// The same use is noted again after so many seconds.
pub(crate) const AGAIN: i64 = 7 * 86_400;

impl Store {
    /// Notes in the store which results were used, as far as they are there. Nothing is noted while the store was not asked anything
    /// yet, nor where nothing may be written. That it cannot be noted is no failure.
    pub fn note_use(&self, used: &[Key]) {
        if !self.inner.settings.writes() || used.is_empty() {
            return;
        }
        let Some(open) = self.open_already() else { return };
        let there = open.known.keys();
        let mut used: Vec<Key> = used.iter().copied().filter(|key| there.contains(key)).collect();
        used.sort_unstable();
        used.dedup();
        let level = self.inner.settings.level;
        for keys in used.chunks(USED_KEYS) {
            let body: Vec<u8> = keys.iter().flat_map(|key| *key.as_bytes()).collect();
            let name = Digest::of(&body).to_string();
            let noted = format!("used/{}/{name}", Timestamp::now().as_second() / AGAIN);
            if open.known.has_read(level, &noted) {
                continue;
            }
            let way = Arc::clone(&open);
            let written = self.block(async move {
                // What is there already gets a new time.
                let (path, note) = (way.layout.used(level, &name), codec::seal(TITLE, &body));
                tokio::time::timeout(PATIENCE, way.link.put(&path, note.into())).await
            });
            match written {
                Ok(Ok(())) => open.known.note_read(level, &noted),
                Ok(Err(error)) => tracing::debug!(%error, "what was used is not noted in the store"),
                Err(_) => return tracing::debug!("the store takes too long to note what was used"),
            }
        }
    }
}

/// The keys that a note names.
pub(crate) fn decode(bytes: &[u8]) -> Option<Vec<Key>> {
    let (keys, rest) = codec::open(TITLE, bytes)?.as_chunks::<32>();
    rest.is_empty().then(|| keys.iter().copied().map(Key::from_bytes).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_names_whole_keys() {
        let key = Key::of_recipe(b"recipe");
        let note = |body: &[u8]| decode(&codec::seal(TITLE, body));
        assert_eq!(note(&[*key.as_bytes(), [7; 32]].concat()), Some(vec![key, Key::from_bytes([7; 32])]));
        assert_eq!(note(b""), Some(Vec::new()));
        assert_eq!(note(&key.as_bytes()[1..]), None);
        assert_eq!(decode(key.as_bytes()), None);
    }
}
