//! The laws of collecting garbage in a store: what somebody may need stays, byte by byte, and what nobody needs goes.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use camino::{Utf8Path, Utf8PathBuf};
use proptest::prelude::*;
use tidemill_cache::{ActionResult, Artifact, Digest, Document, Key};

use crate::codec;
use crate::garbage::{Garbage, Keep};
use crate::laws::{World, arrives, noise, publish, recipe};
use crate::level::Level;
use crate::push::Pushing;
use crate::record::{self, Record};
use crate::store::Store;

const DAY: Duration = Duration::from_secs(86_400);

/// What the recipes of these tests say that was read: the digests among their words.
fn reads(recipe: &[u8]) -> Vec<Digest> {
    let recipe = Document::decode(recipe).unwrap();
    recipe.as_text().unwrap().split(' ').filter_map(|word| word.parse().ok()).collect()
}

fn keep(days: u32) -> Keep {
    Keep { used_within: DAY * days, keys: HashSet::new(), digests: HashSet::new(), reads }
}

/// Lets something be so many days old.
fn let_age(path: &Utf8Path, days: u32) {
    let time = SystemTime::now() - DAY * days;
    File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

/// All files below a folder of the store.
fn files(folder: &Utf8Path) -> Vec<Utf8PathBuf> {
    let mut found = Vec::new();
    for entry in folder.read_dir_utf8().into_iter().flatten() {
        let path = entry.unwrap().path().to_owned();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found
}

fn let_all_age(world: &World, days: u32) {
    files(&world.path("store")).iter().for_each(|path| let_age(path, days));
}

fn place_of(world: &World, level: Level, key: &Key) -> Utf8PathBuf {
    let name = key.to_string();
    world.path("store").join(level.word()).join("results").join(&name[..2]).join(format!("{name}.1"))
}

fn names(garbage: &Garbage) -> Vec<Key> {
    garbage.results.iter().map(|result| result.key).collect()
}

/// Makes a result of one file on a machine, and sends it.
fn made(world: &World, text: &str, bytes: &[u8]) -> (ActionResult, Store) {
    let (cache, store) = world.machine("one", Level::Dev);
    let artifact = world.capture(&cache, &[("file".to_owned(), bytes.to_vec())]);
    let result = publish(&cache, text, &artifact);
    store.push(&cache, vec![result.clone()], &Pushing::default()).unwrap();
    (result, store)
}

#[test]
fn what_nobody_used_goes_with_its_contents() {
    let world = World::new();
    let (old, _) = made(&world, "old", &noise(1, 300_000));
    let_all_age(&world, 100);
    let (_, store) = made(&world, "new", &noise(2, 300_000));
    let foreseen = store.garbage(&keep(90)).unwrap();
    assert_eq!((names(&foreseen), foreseen.packs, foreseen.kept_results), (vec![old.key], 1, 1));
    assert!(foreseen.bytes > 290_000 && foreseen.kept_bytes > 290_000);
    assert!(place_of(&world, Level::Dev, &old.key).exists(), "it was a plan");
    assert_eq!(store.collect_garbage(&keep(90)).unwrap(), foreseen);
    assert!(!place_of(&world, Level::Dev, &old.key).exists());
    assert_eq!(files(&world.path("store/dev/packs")).len(), 1);
    arrives(&world, "two", "new", &[("file".to_owned(), noise(2, 300_000))]);
    // There is nothing more to do, and nobody has to hear of it.
    let before = files(&world.path("store"));
    let again = world.machine("one", Level::Dev).1.collect_garbage(&keep(90)).unwrap();
    assert_eq!((again.results.len(), again.packs), (0, 0));
    assert_eq!(files(&world.path("store")), before);
}

#[test]
fn who_has_it_still_sends_it_again() {
    let world = World::new();
    let bytes = noise(1, 300_000);
    let (old, _) = made(&world, "old", &bytes);
    let_all_age(&world, 100);
    let (_, other) = world.machine("two", Level::Dev);
    other.collect_garbage(&keep(90)).unwrap();
    let send = || {
        let (cache, store) = world.machine("one", Level::Dev);
        store.push(&cache, vec![old.clone()], &Pushing::default()).unwrap()
    };
    assert_eq!((send().results, send().there), (1, 1));
    arrives(&world, "three", "old", &[("file".to_owned(), bytes)]);
}

#[test]
fn what_is_young_may_belong_to_a_push_that_goes_on() {
    let world = World::new();
    let (old, store) = made(&world, "old", &noise(1, 300_000));
    let_all_age(&world, 5);
    let collected = store.collect_garbage(&keep(1)).unwrap();
    assert_eq!((names(&collected), collected.packs, collected.kept_packs), (vec![old.key], 0, 1));
    let_all_age(&world, 8);
    let collected = world.machine("one", Level::Dev).1.collect_garbage(&keep(1)).unwrap();
    assert_eq!((collected.packs, collected.kept_packs), (1, 0));
}

#[test]
fn a_use_is_noted_once_in_a_while_and_counts_for_so_long() {
    let world = World::new();
    let (old, store) = made(&world, "old", &noise(1, 1000));
    let_all_age(&world, 100);
    store.note_use(&[old.key, Key::of_recipe(b"another")]);
    let notes = files(&world.path("store/dev/used"));
    assert_eq!(notes.len(), 1);
    assert_eq!(store.collect_garbage(&keep(90)).unwrap().results, []);
    let_age(&notes[0], 90 + 5);
    store.note_use(&[old.key]);
    assert!(fs::metadata(&notes[0]).unwrap().modified().unwrap() < SystemTime::now() - DAY, "it was noted");
    assert_eq!(store.collect_garbage(&keep(90)).unwrap().results, [], "it may have been used since");
    let_age(&notes[0], 90 + 8);
    assert_eq!(names(&store.collect_garbage(&keep(90)).unwrap()), [old.key]);
    assert_eq!(files(&world.path("store/dev/used")).len(), 0);
}

#[test]
fn what_cannot_be_read_keeps_nothing_and_what_is_newer_stops_it() {
    let world = World::new();
    let (one, _) = made(&world, "one", &noise(1, 1000));
    let (two, _) = made(&world, "two", &noise(2, 1000));
    let path = place_of(&world, Level::Dev, &one.key);
    fs::write(&path, "half a rec").unwrap();
    let_all_age(&world, 100);
    let store = || world.machine("one", Level::Dev).1;
    let two_stays = Keep { keys: HashSet::from([two.key]), ..keep(90) };
    let garbage = store().garbage(&two_stays).unwrap();
    assert_eq!((names(&garbage), garbage.packs), (vec![one.key], 1));
    assert_eq!(garbage.damaged, [format!("dev/results/{}.1", one.key)]);
    fs::write(&path, "tidemill result 2\nwho knows").unwrap();
    let_all_age(&world, 100);
    let refused = store().collect_garbage(&two_stays).unwrap_err();
    assert!(refused.to_string().contains("format 2"), "{refused}");
    fs::write(&path, codec::seal(record::TITLE, b"with something more")).unwrap();
    let_all_age(&world, 100);
    let refused = store().collect_garbage(&two_stays).unwrap_err();
    assert!(refused.to_string().contains("cannot read it"), "{refused}");
    fs::remove_file(&path).unwrap();
    let used = world.path("store/ci/used/note");
    fs::create_dir_all(used.parent().unwrap()).unwrap();
    fs::write(&used, "tidemill used 2\nkeys").unwrap();
    assert!(store().collect_garbage(&two_stays).is_err());
    assert_eq!(files(&world.path("store/dev/packs")).len(), 2);
    fs::write(&used, "tidemill us").unwrap();
    assert_eq!(store().collect_garbage(&two_stays).unwrap().packs, 1);
}

#[test]
fn many_small_indexes_become_one() {
    let world = World::new();
    let count = 20;
    for number in 0..count {
        made(&world, &format!("recipe {number}"), &noise(number, 1000));
    }
    let indexes = || files(&world.path("store/dev/indexes")).len();
    assert_eq!(indexes(), 20);
    world.machine("one", Level::Dev).1.collect_garbage(&keep(90)).unwrap();
    assert_eq!(indexes(), 1);
    // Whoever knows nothing learns all from it, and sends nothing twice.
    let (cache, store) = world.machine("two", Level::Dev);
    for number in 0..count {
        let artifact = world.capture(&cache, &[("file".to_owned(), noise(number, 1000))]);
        let result = publish(&cache, &format!("another {number}"), &artifact);
        store.push(&cache, vec![result], &Pushing::default()).unwrap();
    }
    assert_eq!(files(&world.path("store/dev/packs")).len(), 20);
    assert_eq!(indexes(), 1);
}

/// A result of a story: what it reads of those before it, and what is to be said of it.
#[derive(Debug, Clone)]
struct Scene {
    reads: Vec<prop::sample::Index>,
    content: u64,
    is_of_ci: bool,
    is_old: bool,
    is_used: bool,
    is_rooted: bool,
    gave_what_is_pinned: bool,
}

fn scene() -> impl Strategy<Value = Scene> {
    let seldom = || prop::bool::weighted(0.15);
    let reads = prop::collection::vec(any::<prop::sample::Index>(), 0..3);
    (reads, 0..6_u64, seldom(), prop::bool::weighted(0.85), seldom(), seldom(), seldom()).prop_map(
        |(reads, content, is_of_ci, is_old, is_used, is_rooted, gave_what_is_pinned)| Scene {
            reads,
            content,
            is_of_ci,
            is_old,
            is_used,
            is_rooted,
            gave_what_is_pinned,
        },
    )
}

/// A result of a story as it was made.
struct Played {
    scene: Scene,
    text: String,
    files: Vec<(String, Vec<u8>)>,
    artifact: Artifact,
    result: ActionResult,
    level: Level,
}

fn play(world: &World, scenes: Vec<Scene>) -> Vec<Played> {
    let mut played: Vec<Played> = Vec::new();
    for (number, scene) in scenes.into_iter().enumerate() {
        let level = if scene.is_of_ci { Level::Ci } else { Level::Dev };
        let (cache, store) = world.machine(level.word(), level);
        // Some give the same, or a part of it.
        let files = vec![
            ("own".to_owned(), noise(scene.content, 2000)),
            ("shared".to_owned(), noise(100 + scene.content % 2, 300_000)),
        ];
        let artifact = world.capture(&cache, &files);
        let before = scene.reads.iter().filter(|_| !played.is_empty());
        let read: Vec<String> = before.map(|place| place.get(&played).artifact.digest.to_string()).collect();
        let text = format!("recipe {number} {}", read.join(" "));
        let result = publish(&cache, &text, &artifact);
        store.push(&cache, vec![result.clone()], &Pushing::default()).unwrap();
        played.push(Played { scene, text, files, artifact, result, level });
    }
    let_all_age(world, 100);
    for one in played.iter().filter(|one| !one.scene.is_old) {
        let_age(&place_of(world, one.level, &one.result.key), 10);
    }
    played
}

/// The results that have to stay, by the letter of what is promised.
fn expected(played: &[Played], keep: &Keep) -> BTreeSet<usize> {
    let mut stays: BTreeSet<usize> = BTreeSet::new();
    loop {
        let must = |place: &usize| {
            let one = &played[*place];
            let went_into = |other: &usize| {
                one.text != played[*other].text
                    && reads(&recipe(&played[*other].text)).contains(&one.artifact.digest)
            };
            !one.scene.is_old
                || one.scene.is_used
                || keep.keys.contains(&one.result.key)
                || keep.digests.contains(&one.artifact.digest)
                || stays.iter().any(went_into)
        };
        let now: BTreeSet<usize> = (0..played.len()).filter(must).collect();
        if now == stays {
            return stays;
        }
        stays = now;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn what_may_be_needed_stays_and_nothing_else(scenes in prop::collection::vec(scene(), 1..9)) {
        let world = World::new();
        let played = play(&world, scenes);
        let (cache, store) = world.machine("dev", Level::Dev);
        // Asked once, so that it knows what is there.
        store.push(&cache, vec![publish(&cache, "last", &cache.put(b"last").unwrap())], &Pushing::default()).unwrap();
        for level in [Level::Ci, Level::Dev] {
            let (cache, own) = world.machine(level.word(), level);
            own.push(&cache, vec![publish(&cache, level.word(), &cache.put(level.word().as_bytes()).unwrap())], &Pushing::default()).unwrap();
            let used = played.iter().filter(|one| one.scene.is_used && one.level == level);
            own.note_use(&used.map(|one| one.result.key).collect::<Vec<_>>());
        }
        let of = |wanted: fn(&Scene) -> bool| played.iter().filter(move |one| wanted(&one.scene));
        let keep = Keep {
            keys: of(|scene| scene.is_rooted).map(|one| one.result.key).collect(),
            digests: of(|scene| scene.gave_what_is_pinned).map(|one| one.artifact.digest).collect(),
            ..keep(90)
        };
        let stays = expected(&played, &keep);
        let collected = store.collect_garbage(&keep).unwrap();
        let mut named = BTreeSet::new();
        for (place, one) in played.iter().enumerate() {
            let path = place_of(&world, one.level, &one.result.key);
            let is_there = one.level == Level::Ci || stays.contains(&place);
            prop_assert_eq!(path.exists(), is_there, "{}: {:?}", place, &one.scene);
            prop_assert_eq!(!is_there, names(&collected).contains(&one.result.key));
            if is_there {
                let record = Record::decode(&fs::read(&path).unwrap(), &one.result.key, 1, &Level::ALL).unwrap();
                named.extend(record.packs.iter().map(|pack| pack.digest.to_string()));
                arrives(&world, &format!("machine-{place}"), &one.text, &one.files);
            }
        }
        // Of the old packs only those are left that something names; those of today are.
        for pack in files(&world.path("store/dev/packs")) {
            let is_old = fs::metadata(&pack).unwrap().modified().unwrap() < SystemTime::now() - DAY;
            prop_assert!(!is_old || named.contains(pack.file_name().unwrap()));
        }
        // Whoever has what went sends it again, and it is there as it was.
        let gone: BTreeMap<usize, &Played> =
            played.iter().enumerate().filter(|(place, one)| one.level == Level::Dev && !stays.contains(place)).collect();
        let (cache, store) = world.machine("dev", Level::Dev);
        let again = gone.values().map(|one| one.result.clone()).collect();
        prop_assert_eq!(store.push(&cache, again, &Pushing::default()).unwrap().results, gone.len() as u64);
        for (place, one) in gone {
            arrives(&world, &format!("later-{place}"), &one.text, &one.files);
        }
    }
}
