//! Which keys have no result, known without asking for each: for those who decide about very many steps at once.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::sync::{Mutex, PoisonError};

use crate::layout::key_of_record;
use crate::survey::children;
use crate::{Cache, Key};

/// What an entry of a folder takes, in bytes: a name of 66 characters and what stands before it.
const ENTRY: u64 = 80;
/// Asking for one result costs as much as listing so many.
const LISTED: u64 = 16;
/// The results lie in so many folders, by the first byte of their key.
const SHARDS: usize = 256;

/// The keys that had results when they were asked for. A result that somebody else publishes later is not seen: who is about to
/// make one asks for it once more when he holds the lease.
#[derive(Debug)]
pub struct KnownKeys {
    cache: Cache,
    shards: Mutex<Vec<Shard>>,
}

#[derive(Debug)]
enum Shard {
    Asked(u64),
    Listed(HashSet<Key>),
}

impl Cache {
    /// The keys that have results, listed as soon as that is cheaper than to ask for each.
    #[must_use]
    pub fn known_keys(&self) -> KnownKeys {
        let shards = (0..SHARDS).map(|_| Shard::Asked(0)).collect();
        KnownKeys { cache: self.clone(), shards: Mutex::new(shards) }
    }
}

impl KnownKeys {
    /// Whether it is known that a key had no result.
    #[must_use]
    pub fn lacks(&self, key: &Key) -> bool {
        let mut shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        let shard = &mut shards[usize::from(key.as_bytes()[0])];
        if let Shard::Asked(times) = shard {
            *times += 1;
            let times = *times;
            if let Some(listed) = self.list(key, times) {
                *shard = Shard::Listed(listed);
            }
        }
        matches!(shard, Shard::Listed(keys) if !keys.contains(key))
    }

    /// The keys in the shard of a key, if they are few beside how often they were asked for.
    fn list(&self, key: &Key, times: u64) -> Option<HashSet<Key>> {
        let first = self.cache.inner.layout.first_result(key);
        let folder = first.parent()?;
        match fs::metadata(folder) {
            Ok(metadata) if metadata.len() / ENTRY > times * LISTED => None,
            Ok(_) => {
                let paths = children(folder).ok()?;
                Some(paths.iter().filter_map(|path| key_of_record(path.file_name()?)).collect())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Some(HashSet::new()),
            Err(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::tests::new_result;
    use crate::scene::Scene;

    #[test]
    fn it_never_says_that_there_is_none_where_there_was_one() {
        let scene = Scene::new();
        let recipe = |number: u32| number.to_le_bytes();
        let key = |number: u32| Key::of_recipe(&recipe(number));
        for number in (0..600).step_by(3) {
            let artifact = scene.cache.put(b"content").unwrap();
            scene.cache.publish(&recipe(number), new_result(0, artifact.clone())).unwrap();
            scene.cache.publish(&recipe(number), new_result(1, artifact)).unwrap();
            fs::remove_file(scene.cache.inner.layout.first_result(&key(number))).unwrap();
        }
        let known = scene.cache.known_keys();
        let mut lacking = 0;
        for _ in 0..6 {
            lacking = (0..600).filter(|number| known.lacks(&key(*number))).count();
            assert!((0..600).step_by(3).all(|number| !known.lacks(&key(number))));
        }
        assert_eq!(lacking, 400, "asked often enough, it knows all that have none");
    }
}
