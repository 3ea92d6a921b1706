//! Recipes and action results: small immutable records, each under its key.
//!
//! A recipe is its canonical bytes, which its key proves. A result is a line with the digest of what follows, then JSON. The first
//! result of a key holds its recipe too, behind the JSON, whose length then stands in the first line: one file for what mostly
//! comes together. A record that is not what it claims to be counts as missing; `verify` reports it.
//!
//! A result that garbage collection [condemned](crate::condemned) lies in the folder of its key, and counts as long as it does.

use std::fs;
use std::io;

use camino::{Utf8Path, Utf8PathBuf};

use crate::condemned::{is_condemned, parse_condemned};
use crate::index::Noted;
use crate::layout::key_of_record;
use crate::survey::children;
use crate::{ActionResult, Cache, CacheError, Digest, Document, Key, NewResult, record};

/// How the name of the file ends that withdraws a result.
pub(crate) const QUARANTINED: &str = ".quarantined";

/// The numbers that a key's folder holds.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    /// Of results, oldest first.
    pub(crate) results: Vec<u64>,
    /// Of those that were withdrawn.
    pub(crate) quarantined: Vec<u64>,
    /// Of those that are condemned, each with its generation.
    pub(crate) condemned: Vec<(u64, String)>,
}

impl Numbers {
    /// The results that count, newest first.
    pub(crate) fn live(&self) -> Vec<u64> {
        let condemned = self.condemned.iter().map(|(number, _)| number);
        let mut live: Vec<u64> = self.results.iter().chain(condemned).copied().collect();
        live.retain(|number| !self.quarantined.contains(number));
        live.sort_unstable_by(|a, b| b.cmp(a));
        live.dedup();
        live
    }

    fn next(&self) -> u64 {
        let condemned = self.condemned.iter().map(|(number, _)| number);
        self.results.iter().chain(&self.quarantined).chain(condemned).max().copied().unwrap_or(0) + 1
    }

    /// The generation of a result that is condemned.
    pub(crate) fn generation(&self, number: u64) -> Option<&str> {
        let condemned = self.condemned.iter().find(|(condemned, _)| *condemned == number);
        condemned.filter(|_| !self.results.contains(&number)).map(|(_, generation)| generation.as_str())
    }
}

impl Cache {
    /// Keeps a recipe, in its canonical bytes, under its key.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn put_recipe(&self, bytes: &[u8]) -> Result<Key, CacheError> {
        let key = Key::of_recipe(bytes);
        let path = self.inner.layout.recipe(&key);
        let io = |error| CacheError::io("write", &path)(error);
        // Whoever came first wrote the same bytes, or what is left of them is damaged.
        if !self.create(&path, bytes).map_err(io)? && fs::read(&path).map_err(io)? != bytes {
            record::replace(&path, bytes).map_err(io)?;
        }
        Ok(key)
    }

    /// The recipe of a key, if it is kept.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn recipe(&self, key: &Key) -> Result<Option<Document>, CacheError> {
        let first = read_if_there(&self.inner.layout.first_result(key))?;
        let with_it = first.and_then(|bytes| decode_recipe(key, Record::of(&bytes)?.recipe));
        if with_it.is_some() {
            return Ok(with_it);
        }
        let alone = read_if_there(&self.inner.layout.recipe(key))?;
        if let Some(recipe) = alone.and_then(|bytes| decode_recipe(key, &bytes)) {
            return Ok(Some(recipe));
        }
        let numbers = self.numbers(key)?;
        let Some(generation) = numbers.generation(1) else { return Ok(None) };
        let condemned = read_if_there(&self.condemned_path(key, 1, generation))?;
        Ok(condemned.and_then(|bytes| decode_recipe(key, Record::of(&bytes)?.recipe)))
    }

    /// The keys with a recipe that begin with this text, in order; at most `limit` of them.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn keys_beginning(&self, text: &str, limit: usize) -> Result<Vec<Key>, CacheError> {
        let text = text.to_ascii_lowercase();
        let Some(shard) = text.get(..2) else { return Ok(Vec::new()) };
        let mut names = children(&self.inner.layout.results().join(shard))?;
        names.extend(children(&self.inner.layout.recipes().join(shard))?);
        let names = names.iter().filter_map(|path| path.file_name()).filter(|name| name.starts_with(&text));
        let mut keys: Vec<Key> = names.filter_map(key_of_record).collect();
        keys.sort_unstable();
        keys.dedup();
        keys.truncate(limit);
        Ok(keys)
    }

    /// The newest result of a key that is not quarantined.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn result(&self, key: &Key) -> Result<Option<ActionResult>, CacheError> {
        let numbers = self.numbers(key)?;
        self.newest(key, &numbers)
    }

    /// All readable results of a key that are not quarantined, newest first.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn results(&self, key: &Key) -> Result<Vec<ActionResult>, CacheError> {
        let numbers = self.numbers(key)?;
        let numbered = |number: u64| self.asked_for(key, number, &numbers).transpose();
        numbers.live().into_iter().filter_map(numbered).collect()
    }

    /// Publishes a result under the next number of its key, with the recipe that the key is of. If a result newer than
    /// [`NewResult::after`] is there already, that one is returned instead.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn publish(&self, recipe: &[u8], new: NewResult) -> Result<ActionResult, CacheError> {
        let key = Key::of_recipe(recipe);
        let _changing = self.change(&key)?;
        let after = new.after;
        let mut result = new.unpublished(key);
        // Before the record, so that who dies in between leaves an entry too many, which readers pass over, and none too few.
        self.inner.index.note_results(&[Noted::of(&result)]);
        loop {
            let numbers = self.numbers(&key)?;
            if let Some(winner) = self.newest(&key, &numbers)?
                && winner.number > after
            {
                return Ok(winner);
            }
            result.number = numbers.next();
            let path = self.result_path(&key, result.number);
            let is_first = result.number == 1;
            if !is_first && self.recipe(&key)?.is_none() {
                self.put_recipe(recipe)?;
            }
            let bytes = encode_result(&result, is_first.then_some(recipe))?;
            if self.create(&path, &bytes).map_err(CacheError::io("write", &path))? {
                self.sync_if_worthwhile(&result)?;
                return Ok(result);
            }
        }
    }

    /// Writes a record that proves itself. False: someone else wrote it first.
    fn create(&self, path: &Utf8Path, bytes: &[u8]) -> io::Result<bool> {
        match self.may_defer() {
            true => record::create_unsynced(path, bytes, &self.inner.parts.name()),
            false => record::create(path, bytes),
        }
    }

    /// A result by its number, if it is readable.
    pub(crate) fn numbered(&self, key: &Key, number: u64) -> Result<Option<ActionResult>, CacheError> {
        let mut bytes = read_if_there(&self.result_path(key, number))?;
        if bytes.is_none() && number == 1 {
            // Earlier versions kept the first one with the others.
            bytes = read_if_there(&self.inner.layout.results_of(key).join(name(number)))?;
        }
        Ok(bytes.and_then(|bytes| decode_result(key, number, &bytes)))
    }

    /// A result by its number, if it is readable; a condemned one is condemned no more.
    fn asked_for(
        &self,
        key: &Key,
        number: u64,
        numbers: &Numbers,
    ) -> Result<Option<ActionResult>, CacheError> {
        if let Some(generation) = numbers.generation(number) {
            self.spare_result(key, number, generation)?;
        }
        self.numbered(key, number)
    }

    pub(crate) fn result_path(&self, key: &Key, number: u64) -> Utf8PathBuf {
        match number {
            1 => self.inner.layout.first_result(key),
            number => self.inner.layout.results_of(key).join(name(number)),
        }
    }

    pub(crate) fn numbers(&self, key: &Key) -> Result<Numbers, CacheError> {
        let mut numbers = Numbers::default();
        let first = self.inner.layout.first_result(key);
        match fs::symlink_metadata(&first) {
            Ok(_) => numbers.results.push(1),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(CacheError::io("read", &first)(error)),
        }
        let folder = self.inner.layout.results_of(key);
        let listing = match folder.read_dir_utf8() {
            Ok(listing) => listing,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(numbers),
            Err(error) => return Err(CacheError::io("list", &folder)(error)),
        };
        for entry in listing {
            let entry = entry.map_err(CacheError::io("list", &folder))?;
            if is_condemned(entry.file_name()) {
                numbers.condemned.extend(parse_condemned(entry.file_name()));
                continue;
            }
            let (text, list) = match entry.file_name().strip_suffix(QUARANTINED) {
                Some(text) => (text, &mut numbers.quarantined),
                None => (entry.file_name(), &mut numbers.results),
            };
            list.extend(text.parse::<u64>());
        }
        numbers.results.sort_unstable();
        Ok(numbers)
    }

    fn newest(&self, key: &Key, numbers: &Numbers) -> Result<Option<ActionResult>, CacheError> {
        for number in numbers.live() {
            if let Some(result) = self.asked_for(key, number, numbers)? {
                return Ok(Some(result));
            }
        }
        Ok(None)
    }
}

/// The name of the file of a result that is not the first.
pub(crate) fn name(number: u64) -> String {
    format!("{number:08}")
}

/// The recipe that these bytes are, if they are this key's.
pub(crate) fn decode_recipe(key: &Key, bytes: &[u8]) -> Option<Document> {
    (Key::of_recipe(bytes) == *key).then(|| Document::decode(bytes).ok()).flatten()
}

/// What the file of a result holds, if it is what its first line says.
struct Record<'a> {
    json: &'a [u8],
    /// Empty if it is kept elsewhere.
    recipe: &'a [u8],
}

impl<'a> Record<'a> {
    fn of(bytes: &'a [u8]) -> Option<Self> {
        let line = bytes.iter().position(|byte| *byte == b'\n')?;
        let (line, rest) = (str::from_utf8(&bytes[..line]).ok()?, &bytes[line + 1..]);
        let (digest, length) = match line.split_once(' ') {
            Some((digest, length)) => (digest, length.parse().ok()?),
            None => (line, rest.len()),
        };
        let (json, recipe) = rest.split_at_checked(length)?;
        (digest == Digest::of(rest).to_string()).then_some(Self { json, recipe })
    }
}

fn encode_result(result: &ActionResult, recipe: Option<&[u8]>) -> Result<Vec<u8>, CacheError> {
    let mut rest = serde_json::to_vec_pretty(result)?;
    let length = rest.len();
    let mut bytes = match recipe {
        Some(recipe) => {
            rest.extend_from_slice(recipe);
            format!("{} {length}\n", Digest::of(&rest))
        }
        None => format!("{}\n", Digest::of(&rest)),
    }
    .into_bytes();
    bytes.append(&mut rest);
    Ok(bytes)
}

pub(crate) fn decode_result(key: &Key, number: u64, bytes: &[u8]) -> Option<ActionResult> {
    let result: ActionResult = serde_json::from_slice(Record::of(bytes)?.json).ok()?;
    (result.key == *key && result.number == number).then_some(result)
}

pub(crate) fn read_if_there(path: &Utf8Path) -> Result<Option<Vec<u8>>, CacheError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(CacheError::io("read", path)(error)),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::quarantine::tests::broken_machine;
    use crate::scene::Scene;
    use crate::{Artifact, Usage};

    const RECIPE: &[u8] = b"recipe";

    pub(crate) fn new_result(after: u64, output: Artifact) -> NewResult {
        NewResult {
            after,
            outputs: BTreeMap::from([("out".to_owned(), Some(output)), ("absent".to_owned(), None)]),
            log: None,
            usage: Usage { wall_ms: 12, ..Usage::default() },
            finished: jiff::Timestamp::UNIX_EPOCH,
            run: "r1".into(),
            step: "train".into(),
            pipeline: "story".into(),
            host: "here".into(),
            user: "ada".into(),
            project: "/project".into(),
            sandbox: "default".into(),
        }
    }

    #[test]
    fn a_recipe_is_found_by_its_key() {
        let scene = Scene::new();
        let recipe = Document::map([("command", Document::text("python train.py"))]);
        let key = scene.cache.put_recipe(&recipe.encode().unwrap()).unwrap();
        assert_eq!(scene.cache.put_recipe(&recipe.encode().unwrap()).unwrap(), key);
        assert_eq!(scene.cache.recipe(&key).unwrap(), Some(recipe.clone()));
        let path = scene.cache.inner.layout.recipe(&key);
        fs::write(&path, Document::Null.encode().unwrap()).unwrap();
        assert_eq!(scene.cache.recipe(&key).unwrap(), None);
        scene.cache.put_recipe(&recipe.encode().unwrap()).unwrap();
        assert_eq!(scene.cache.recipe(&key).unwrap(), Some(recipe));
    }

    #[test]
    fn results_are_numbered_and_the_newest_counts() {
        let scene = Scene::new();
        let key = Key::of_recipe(RECIPE);
        assert_eq!(scene.cache.result(&key).unwrap(), None);
        let artifact = scene.cache.put(b"one").unwrap();
        let first = scene.cache.publish(RECIPE, new_result(0, artifact.clone())).unwrap();
        assert_eq!(first.number, 1);
        assert_eq!(scene.cache.result(&key).unwrap(), Some(first.clone()));
        // Who did not know of the first gets it; who did makes the second.
        let other = scene.cache.put(b"two").unwrap();
        assert_eq!(scene.cache.publish(RECIPE, new_result(0, other.clone())).unwrap(), first);
        let second = scene.cache.publish(RECIPE, new_result(1, other)).unwrap();
        assert_eq!((second.number, scene.cache.result(&key).unwrap()), (2, Some(second.clone())));
        scene.cache.quarantine(&key, 2, &broken_machine()).unwrap();
        assert_eq!(scene.cache.result(&key).unwrap(), Some(first));
        assert_eq!(scene.cache.publish(RECIPE, new_result(2, artifact)).unwrap().number, 3);
    }

    #[test]
    fn a_first_result_that_lies_with_the_others_is_found() {
        let scene = Scene::new();
        let key = Key::of_recipe(RECIPE);
        let artifact = scene.cache.put(b"one").unwrap();
        let first = scene.cache.publish(RECIPE, new_result(0, artifact.clone())).unwrap();
        let folder = scene.cache.inner.layout.results_of(&key);
        fs::create_dir(&folder).unwrap();
        fs::rename(scene.cache.result_path(&key, 1), folder.join("00000001")).unwrap();
        assert_eq!(scene.cache.result(&key).unwrap(), Some(first.clone()));
        assert_eq!(scene.cache.publish(RECIPE, new_result(0, artifact.clone())).unwrap(), first);
        assert_eq!(scene.cache.publish(RECIPE, new_result(1, artifact)).unwrap().number, 2);
    }

    #[test]
    fn a_first_result_holds_its_recipe() {
        let scene = Scene::new();
        let recipe = Document::map([("command", Document::text("python train.py"))]);
        let bytes = recipe.encode().unwrap();
        let key = Key::of_recipe(&bytes);
        let artifact = scene.cache.put(b"one").unwrap();
        let first = scene.cache.publish(&bytes, new_result(0, artifact.clone())).unwrap();
        let path = scene.cache.inner.layout.recipe(&key);
        assert!(!path.exists());
        assert_eq!(scene.cache.recipe(&key).unwrap(), Some(recipe.clone()));
        let text = key.to_string();
        assert_eq!(scene.cache.keys_beginning(&text[..9], 2).unwrap(), [key]);

        // The form of earlier versions: the recipe alone, and a result without.
        let alone = encode_result(&first, None).unwrap();
        fs::write(scene.cache.result_path(&key, 1), &alone).unwrap();
        assert_eq!(scene.cache.recipe(&key).unwrap(), None);
        scene.cache.put_recipe(&bytes).unwrap();
        assert_eq!(scene.cache.recipe(&key).unwrap(), Some(recipe.clone()));
        assert_eq!(scene.cache.result(&key).unwrap(), Some(first));
        assert_eq!(scene.cache.keys_beginning(&text[..9], 2).unwrap(), [key]);

        // One whose first result was damaged is kept again with the second.
        fs::remove_file(&path).unwrap();
        fs::write(scene.cache.result_path(&key, 1), &alone[..alone.len() - 1]).unwrap();
        assert_eq!(scene.cache.publish(&bytes, new_result(0, artifact)).unwrap().number, 2);
        assert_eq!(scene.cache.recipe(&key).unwrap(), Some(recipe));
    }

    #[test]
    fn a_damaged_result_counts_as_missing() {
        let scene = Scene::new();
        let key = Key::of_recipe(RECIPE);
        let artifact = scene.cache.put(b"one").unwrap();
        let first = scene.cache.publish(RECIPE, new_result(0, artifact.clone())).unwrap();
        scene.cache.publish(RECIPE, new_result(1, artifact)).unwrap();
        let path = scene.cache.result_path(&key, 2);
        let bytes = fs::read(&path).unwrap();
        for cut in [0, 1, 64, 65, bytes.len() - 1] {
            fs::write(&path, &bytes[..cut]).unwrap();
            assert_eq!(scene.cache.result(&key).unwrap(), Some(first.clone()), "cut at {cut}");
        }
        let changed = String::from_utf8(bytes).unwrap().replace("train", "brain");
        fs::write(&path, changed).unwrap();
        assert_eq!(scene.cache.result(&key).unwrap(), Some(first));
    }

    #[test]
    fn one_of_many_publishers_wins_and_all_get_its_result() {
        let scene = Scene::new();
        let key = Key::of_recipe(RECIPE);
        let results: Vec<ActionResult> = std::thread::scope(|scope| {
            let publish = |index: u64| {
                let cache = scene.another_process();
                let artifact = cache.put(&index.to_le_bytes()).unwrap();
                scope.spawn(move || cache.publish(RECIPE, new_result(0, artifact)).unwrap())
            };
            let threads = (0..8).map(publish).collect::<Vec<_>>();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(results.iter().all(|result| *result == results[0]));
        assert_eq!(scene.cache.numbers(&key).unwrap().results, [1]);
    }

    #[test]
    fn nobody_ever_sees_a_part_of_a_record() {
        let scene = Scene::new();
        let recipe = |number: u32| {
            let bytes = Document::text(format!("{number}").repeat(20_000)).encode().unwrap();
            (scene.cache.inner.layout.recipe(&Key::of_recipe(&bytes)), bytes)
        };
        let recipes: Vec<_> = (100..300).map(recipe).collect();
        let cache = scene.another_process();
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                for (path, bytes) in &recipes {
                    let aside = cache.inner.parts.name();
                    assert!(record::create_unsynced(path, bytes, &aside).unwrap());
                    assert!(!record::create_unsynced(path, bytes, &aside).unwrap());
                    assert!(!aside.exists());
                }
            });
            for (path, bytes) in &recipes {
                // Read as soon as it has its name.
                let read = loop {
                    match fs::read(path) {
                        Ok(read) => break read,
                        Err(_) => assert!(!writer.is_finished() || path.exists(), "{path} was not written"),
                    }
                };
                assert!(read == *bytes, "{path} was seen with {} of {} bytes", read.len(), bytes.len());
            }
        });
    }

    #[test]
    fn a_writer_that_died_leaves_nothing_visible() {
        let scene = Scene::new();
        let key = Key::of_recipe(RECIPE);
        let artifact = scene.cache.put(b"one").unwrap();
        let folder = scene.cache.inner.layout.results_of(&key);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(".new-abcdef"), "half a rec").unwrap();
        fs::write(scene.cache.inner.layout.temporary().join("blob-abcdef"), "half a bl").unwrap();
        assert_eq!(scene.cache.result(&key).unwrap(), None);
        assert_eq!(scene.cache.publish(RECIPE, new_result(0, artifact)).unwrap().number, 1);
        assert_eq!(scene.cache.stats().unwrap().results, 1);
        let roots = crate::Roots { keys: vec![key], ..crate::Roots::default() };
        let plan = scene.cache.gc_plan(&roots).unwrap();
        assert_eq!((plan.leftovers.len(), plan.objects.len()), (2, 0));
        scene.cache.gc(&plan).unwrap();
        assert!(!folder.join(".new-abcdef").exists());
        assert!(scene.cache.result(&key).unwrap().is_some());
    }
}
