//! The laws of a store: what was pushed is found and fetched byte by byte, whoever was interrupted and whatever was there before.

use std::collections::BTreeMap;
use std::fs;

use camino::{Utf8Path, Utf8PathBuf};
use proptest::prelude::*;
use tidemill_cache::{
    ActionResult, Artifact, Cache, Document, IgnoreRules, Key, NewResult, Remote as _, Verification,
};

use crate::connect::Environment;
use crate::level::Level;
use crate::limits::SPLIT;
use crate::push::Pushing;
use crate::record::tests::result;
use crate::settings::{Access, Settings};
use crate::store::Store;

/// A folder with a store and some machines.
pub(crate) struct World {
    folder: tempfile::TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> Utf8PathBuf {
        Utf8Path::from_path(self.folder.path()).unwrap().join(name)
    }

    /// A machine with this name: its cache, and the store as it is seen from there.
    pub(crate) fn machine(&self, name: &str, level: Level) -> (Cache, Store) {
        self.machine_with(name, level, None)
    }

    /// The same behind a line that takes so many bytes in a second.
    fn machine_with(&self, name: &str, level: Level, rate_limit: Option<u64>) -> (Cache, Store) {
        let state = self.path(name).join(".tidemill");
        let cache = Cache::open(&state).unwrap();
        let url = format!("file://{}", self.path("store"));
        let settings = Settings { url, level, trust: level.trusts(), access: Access::ReadWrite, rate_limit };
        (cache, Store::new(settings, Environment::new(), &state).unwrap())
    }

    pub(crate) fn capture(&self, cache: &Cache, files: &[(String, Vec<u8>)]) -> Artifact {
        let folder = self.path("capture");
        fs::create_dir_all(&folder).unwrap();
        for (name, bytes) in files {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        let artifact = cache.capture(&folder, &IgnoreRules::builtin()).unwrap().unwrap();
        // What was taken in is gone from there.
        fs::remove_dir_all(&folder).ok();
        artifact
    }
}

/// The canonical bytes of a recipe.
pub(crate) fn recipe(text: &str) -> Vec<u8> {
    Document::text(text).encode().unwrap()
}

pub(crate) fn publish(cache: &Cache, text: &str, artifact: &Artifact) -> ActionResult {
    let recipe = recipe(text);
    cache.publish(&recipe, NewResult::from(result(&recipe, artifact.clone()))).unwrap()
}

pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    use rand::{RngCore as _, SeedableRng as _};
    let mut bytes = vec![0; length];
    rand::rngs::StdRng::seed_from_u64(seed).fill_bytes(&mut bytes);
    bytes
}

/// Fetches an artifact on another machine and compares it.
pub(crate) fn arrives(world: &World, machine: &str, text: &str, files: &[(String, Vec<u8>)]) {
    let (cache, store) = world.machine(machine, Level::Dev);
    let key = Key::of_recipe(&recipe(text));
    store.look_up(&cache, &[key]);
    let found = cache.result(&key).unwrap().unwrap();
    let artifact = found.outputs["out"].clone().unwrap();
    cache.attach(std::sync::Arc::new(store.clone()));
    let place = world.path(machine).join("placed");
    cache.place(&artifact, &place, tidemill_cache::Place::Writable).unwrap();
    for (name, bytes) in files {
        assert_eq!(&fs::read(place.join(name)).unwrap(), bytes, "{name}");
    }
    assert_eq!(store.take_notices(), Vec::<String>::new());
    assert!(cache.verify(&Verification::default()).unwrap().damaged.is_empty());
}

#[test]
fn contents_of_every_size_arrive() {
    let world = World::new();
    let split = usize::try_from(SPLIT).unwrap();
    let sizes = [0, 1, split - 1, split, split + 1, 2 * split, 5 << 20, (5 << 20) + 1, 9 << 20];
    let mut files: Vec<(String, Vec<u8>)> = sizes
        .iter()
        .enumerate()
        .map(|(place, size)| (format!("files/{place}"), noise(u64::from(place % 3 == 0), *size)))
        .collect();
    files.push(("zeros".to_owned(), vec![0; 12 << 20]));
    files.push(("again".to_owned(), files[6].1.clone()));
    let (cache, store) = world.machine("one", Level::Dev);
    let artifact = world.capture(&cache, &files);
    let made = publish(&cache, "recipe", &artifact);
    let pushed = store.push(&cache, vec![made.clone()], &Pushing::default()).unwrap();
    assert_eq!((pushed.results, pushed.left.len()), (1, 0));
    assert_eq!(store.push(&cache, vec![made], &Pushing::default()).unwrap().there, 1);
    arrives(&world, "two", "recipe", &files);
}

#[test]
fn a_transfer_that_was_interrupted_goes_on() {
    let world = World::new();
    let (cache, store) = world.machine("one", Level::Dev);
    let files = vec![("large".to_owned(), noise(1, 20 << 20))];
    let artifact = world.capture(&cache, &files);
    let made = publish(&cache, "recipe", &artifact);
    store.push(&cache, vec![made], &Pushing::default()).unwrap();
    // What an earlier process left: half of the content, and some of it wrong.
    let (there, _) = world.machine("two", Level::Dev);
    let digest = tidemill_cache::Digest::of(&files[0].1);
    let mut half = files[0].1.clone();
    half[3 << 20] ^= 1;
    half.truncate(12 << 20);
    fs::write(there.place_for(digest), half).unwrap();
    arrives(&world, "two", "recipe", &files);
    assert!(!there.place_for(digest).exists());
}

#[test]
fn no_more_goes_over_the_line_than_it_may() {
    let world = World::new();
    let (cache, store) = world.machine_with("one", Level::Dev, Some(2 << 20));
    let files = vec![("large".to_owned(), noise(1, 3 << 20))];
    let artifact = world.capture(&cache, &files);
    let made = publish(&cache, "recipe", &artifact);
    let began = std::time::Instant::now();
    store.push(&cache, vec![made], &Pushing::default()).unwrap();
    // What random bytes take at that rate, less what may go at once.
    assert!(began.elapsed() > std::time::Duration::from_secs(1), "{:?}", began.elapsed());
}

#[test]
fn of_what_is_damaged_here_only_the_result_is_sent() {
    let world = World::new();
    let (cache, store) = world.machine("one", Level::Dev);
    let good = publish(&cache, "good", &cache.put(b"good").unwrap());
    let bad = publish(&cache, "bad", &cache.put(b"bad").unwrap());
    let name = tidemill_cache::Digest::of(b"bad").to_string();
    let path = cache.state().join("objects").join(&name[..2]).join(&name);
    fs::remove_file(&path).unwrap();
    fs::write(&path, "worse").unwrap();
    let pushed = store.push(&cache, vec![good, bad], &Pushing::default()).unwrap();
    assert_eq!((pushed.results, pushed.left.len()), (2, 0));
    let (other, there) = world.machine("two", Level::Dev);
    there.look_up(&other, &[Key::of_recipe(&recipe("bad")), Key::of_recipe(&recipe("good"))]);
    other.attach(std::sync::Arc::new(there));
    let available = |text: &str| {
        let result = other.result(&Key::of_recipe(&recipe(text))).unwrap().unwrap();
        other.available(result.outputs["out"].as_ref().unwrap()).unwrap()
    };
    // A result is true wherever its bytes are; whoever needs them makes them again.
    assert!(available("good") && !available("bad"));
}

#[test]
fn a_result_that_cannot_be_read_makes_room_for_one_that_can() {
    let world = World::new();
    let key = Key::of_recipe(&recipe("recipe"));
    let send = |machine: &str| {
        let (cache, store) = world.machine(machine, Level::Dev);
        store.look_up(&cache, &[key]);
        let found = cache.result(&key).unwrap().is_some();
        let made = publish(&cache, "recipe", &cache.put(b"made").unwrap());
        (found, store.push(&cache, vec![made], &Pushing::default()).unwrap().results)
    };
    assert_eq!(send("one"), (false, 1));
    let name = key.to_string();
    let record = world.path("store/dev/results").join(&name[..2]).join(format!("{name}.1"));
    let mut bytes = fs::read(&record).unwrap();
    bytes[100] ^= 1;
    fs::write(&record, bytes).unwrap();
    assert_eq!(send("two"), (false, 1));
    assert_eq!(send("three"), (true, 0));
}

#[test]
fn a_newer_result_counts_and_a_withdrawn_one_does_not() {
    let world = World::new();
    let (one, store) = world.machine("one", Level::Dev);
    let key = Key::of_recipe(&recipe("recipe"));
    let first = publish(&one, "recipe", &one.put(b"first").unwrap());
    store.push(&one, vec![first], &Pushing::default()).unwrap();
    let (two, _) = world.machine("two", Level::Dev);
    let at_two = || world.machine("two", Level::Dev).1;
    at_two().look_up(&two, &[key]);
    // Made again on purpose: it is newer, and the others hear of it.
    let again = NewResult {
        after: 1,
        run: "r2".into(),
        ..NewResult::from(result(&recipe("recipe"), two.put(b"second").unwrap()))
    };
    let second = two.publish(&recipe("recipe"), again).unwrap();
    assert_eq!(second.number, 2);
    assert_eq!(at_two().push(&two, vec![second], &Pushing::default()).unwrap().results, 1);
    let content = |machine: &str| {
        let (cache, store) = world.machine(machine, Level::Dev);
        store.look_up(&cache, &[key]);
        cache.result(&key).unwrap().map(|found| found.outputs["out"].clone().unwrap().digest)
    };
    assert_eq!(content("three"), Some(tidemill_cache::Digest::of(b"second")));
    assert_eq!(at_two().withdraw(&[(key, 2)]).unwrap(), 1);
    assert_eq!(content("four"), Some(tidemill_cache::Digest::of(b"first")));
    // Who has it already hears of it with the next question, and takes the one before.
    assert_eq!(content("three"), Some(tidemill_cache::Digest::of(b"first")));
    assert_eq!(content("three"), Some(tidemill_cache::Digest::of(b"first")), "it does not come back");
    assert_eq!(at_two().withdraw(&[(key, 7)]).unwrap(), 0);
}

#[test]
fn what_somebody_removed_from_the_store_is_sent_again() {
    let world = World::new();
    let (cache, store) = world.machine("one", Level::Dev);
    let files = vec![("file".to_owned(), noise(1, 300_000))];
    let artifact = world.capture(&cache, &files);
    let first = publish(&cache, "first", &artifact);
    store.push(&cache, vec![first], &Pushing::default()).unwrap();
    fs::remove_dir_all(world.path("store/dev/packs")).unwrap();
    // Another result with the same content; what this machine knows of the store is not true any more.
    let (_, store) = world.machine("one", Level::Dev);
    let second = publish(&cache, "second", &artifact);
    assert_eq!(store.push(&cache, vec![second], &Pushing::default()).unwrap().results, 1);
    arrives(&world, "two", "second", &files);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_folders_arrive_whatever_was_pushed_before(
        folders in prop::collection::vec(
            prop::collection::btree_map("[a-d]{1,2}(/[e-h]{1,2})?", (0..4_u64, 0..700_000_usize), 0..6),
            1..4,
        )
    ) {
        let world = World::new();
        let (cache, store) = world.machine("one", Level::Dev);
        let mut pushed = Vec::new();
        for (number, folder) in folders.iter().enumerate() {
            let files: BTreeMap<String, Vec<u8>> = folder
                .iter()
                // A name that is a folder of another cannot be a file.
                .filter(|(name, _)| !folder.keys().any(|other| other.starts_with(&format!("{name}/"))))
                .map(|(name, (seed, length))| (name.clone(), noise(*seed, *length)))
                .collect();
            let files: Vec<(String, Vec<u8>)> = files.into_iter().collect();
            let artifact = world.capture(&cache, &files);
            let text = format!("recipe {number}");
            let made = publish(&cache, &text, &artifact);
            store.push(&cache, vec![made], &Pushing::default()).unwrap();
            pushed.push((text, files));
        }
        for (number, (text, files)) in pushed.iter().enumerate() {
            arrives(&world, &format!("machine-{number}"), text, files);
        }
    }
}
