//! The laws of garbage collection: what is reachable stays, who lives loses nothing, whatever interrupts it does no harm.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use proptest::prelude::*;

use crate::records::tests::new_result;
use crate::scene::Scene;
use crate::{Artifact, Cache, Document, GcPlan, GcReport, IgnoreRules, Key, Roots, Verification, Why};

fn recipe(number: i64) -> Vec<u8> {
    Document::Int(number).encode().unwrap()
}

/// A folder artifact whose files are these numbers.
fn folder(scene: &Scene, numbers: &[u8]) -> Artifact {
    scene.write("folder/always", "always");
    for number in numbers {
        scene.write(&format!("folder/{number}"), [*number]);
    }
    scene.cache.capture(&scene.path("folder"), &IgnoreRules::builtin()).unwrap().unwrap()
}

#[test]
fn young_results_stay_with_their_blobs() {
    let scene = Scene::new();
    let recipes = [recipe(1), recipe(2)];
    let keys = recipes.each_ref().map(|recipe| Key::of_recipe(recipe));
    let mut artifacts = Vec::new();
    for (recipe, age) in recipes.iter().zip([100, 10]) {
        let artifact = scene.cache.put(&[age]).unwrap();
        let finished = Timestamp::now() - Duration::from_secs(u64::from(age));
        scene
            .cache
            .publish(recipe, crate::NewResult { finished, ..new_result(0, artifact.clone()) })
            .unwrap();
        artifacts.push(artifact);
    }
    let keep_since = SystemTime::now().checked_sub(Duration::from_secs(50));
    let plan = scene.cache.gc_plan(&Roots { keep_since, ..Roots::default() }).unwrap();
    assert_eq!((plan.recipes.as_slice(), plan.bytes), (&keys[..1], 1));
    let [planned] = plan.results.as_slice() else { panic!("{:?}", plan.results) };
    assert_eq!((planned.key, planned.bytes, planned.why), (keys[0], 1, Why::Old));
    let report = scene.cache.gc(&plan).unwrap();
    assert_eq!(report, GcReport { results: 1, recipes: 1, objects: 1, bytes: 1, ..GcReport::default() });
    assert!(!scene.cache.available(&artifacts[0]).unwrap());
    assert!(scene.cache.available(&artifacts[1]).unwrap());
    assert_eq!(scene.cache.recipe(&keys[0]).unwrap(), None);
    assert!(scene.cache.result(&keys[1]).unwrap().is_some());
}

/// What processes do beside each other, one deed at a time.
#[derive(Debug, Clone, Copy)]
enum Deed {
    /// A process looks a key up, and makes its result if there is none.
    Use { process: usize, key: u8 },
    /// It places all that it looked up so far.
    Place { process: usize },
    /// It ends, and another one begins. What it used is kept until the next one ends.
    End { process: usize },
    /// Somebody plans a collection.
    Plan,
    /// He carries out his plan.
    Collect,
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        6 => (0..3_usize, 0..5_u8).prop_map(|(process, key)| Deed::Use { process, key }),
        3 => (0..3_usize).prop_map(|process| Deed::Place { process }),
        2 => (0..3_usize).prop_map(|process| Deed::End { process }),
        2 => Just(Deed::Plan),
        3 => Just(Deed::Collect),
    ];
    prop::collection::vec(deed, 1..60)
}

struct User {
    cache: Cache,
    running: Option<crate::Running>,
    used: BTreeSet<u8>,
}

impl User {
    fn new(scene: &Scene) -> Self {
        Self { cache: scene.another_process(), running: None, used: BTreeSet::new() }
    }

    fn uses(&mut self, scene: &Scene, number: u8) {
        if self.running.is_none() {
            self.running = Some(self.cache.running().unwrap());
        }
        let recipe = recipe(number.into());
        if self.cache.result(&Key::of_recipe(&recipe)).unwrap().is_none() {
            // Two keys share each content.
            let artifact = folder(scene, &[number / 2]);
            self.cache.publish(&recipe, new_result(0, artifact)).unwrap();
        }
        self.used.insert(number);
    }

    fn places(&self, scene: &Scene, what: usize) {
        for number in &self.used {
            let result = self.cache.result(&key_of(*number)).unwrap().expect("its result is there");
            for artifact in result.outputs.values().flatten() {
                let at = scene.path(&format!("placed-{what}-{number}"));
                self.cache.place(artifact, &at, crate::Place::ReadOnly).unwrap();
                self.cache.discard(&at).unwrap();
            }
        }
    }
}

fn key_of(number: u8) -> Key {
    Key::of_recipe(&recipe(number.into()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn a_process_that_lives_loses_nothing_and_what_is_kept_stays(deeds in deeds()) {
        let scene = Scene::new();
        let mut users: Vec<User> = (0..3).map(|_| User::new(&scene)).collect();
        let mut kept: BTreeSet<u8> = BTreeSet::new();
        let mut plan = None;
        for (what, deed) in deeds.into_iter().enumerate() {
            match deed {
                Deed::Use { process, key } => users[process].uses(&scene, key),
                Deed::Place { process } => users[process].places(&scene, what),
                Deed::End { process } if users[process].running.is_some() => {
                    users[process].places(&scene, what);
                    kept = std::mem::take(&mut users[process].used);
                    users[process] = User::new(&scene);
                }
                Deed::End { .. } => {}
                Deed::Plan => {
                    let moment = Some(scene.cache.moment().unwrap());
                    let keys = kept.iter().map(|number| key_of(*number)).collect();
                    plan = Some(scene.cache.gc_plan(&Roots { keys, moment, ..Roots::default() }).unwrap());
                }
                Deed::Collect => {
                    if let Some(plan) = plan.take() {
                        scene.another_process().gc(&plan).unwrap();
                    }
                }
            }
        }
        for (what, user) in users.iter().enumerate() {
            user.places(&scene, 1000 + what);
        }
        drop(users);
        let keys: Vec<Key> = kept.iter().map(|number| key_of(*number)).collect();
        let roots = Roots { keys, ..Roots::default() };
        // What was set aside for those who lived goes with the second one at the latest.
        for _ in 0..2 {
            let plan = scene.cache.gc_plan(&roots).unwrap();
            scene.cache.gc(&plan).unwrap();
        }
        prop_assert_eq!(scene.cache.verify(&Verification::default()).unwrap().damaged, []);
        for key in &roots.keys {
            let result = scene.cache.result(key).unwrap();
            prop_assert!(result.is_some(), "what is kept is gone");
            for artifact in result.iter().flat_map(|result| result.artifacts()) {
                prop_assert!(scene.cache.available(artifact).unwrap());
            }
        }
        let trash = scene.cache.inner.layout.trash();
        prop_assert_eq!(crate::survey::children(&trash).unwrap(), Vec::<camino::Utf8PathBuf>::new());
    }
}

#[test]
fn beside_a_run_nothing_is_removed_and_the_next_collection_does_it() {
    let scene = Scene::new();
    let running = scene.another_process().running().unwrap();
    let artifact = folder(&scene, &[1]);
    scene.cache.publish(&recipe(1), new_result(0, artifact.clone())).unwrap();
    let key = key_of(1);
    let collect = || scene.cache.gc(&scene.cache.gc_plan(&Roots::default()).unwrap()).unwrap();
    let first = collect();
    assert_eq!((first.objects, first.results, first.waiting), (0, 0, 3));
    assert!(!scene.cache.seems_available(&Artifact { digest: crate::Digest::of(&[1]), ..artifact.clone() }));
    let second = collect();
    assert_eq!((second.objects, second.waiting), (0, 0), "it waits still");
    drop(running);
    let third = collect();
    assert_eq!((third.objects, third.results), (3, 1));
    assert!(scene.cache.result(&key).unwrap().is_none());
    assert!(!scene.cache.available(&artifact).unwrap());
}

/// It was not known yet what would stay of what he did.
#[test]
fn who_lived_when_it_was_planned_and_has_ended_since_loses_nothing() {
    let scene = Scene::new();
    let running = scene.another_process().running().unwrap();
    let artifact = folder(&scene, &[1]);
    let result = scene.cache.publish(&recipe(1), new_result(0, artifact.clone())).unwrap();
    let plan = scene.cache.gc_plan(&Roots::default()).unwrap();
    drop(running);
    let report = scene.another_process().gc(&plan).unwrap();
    assert_eq!((report.objects, report.results), (0, 0));
    assert_eq!(scene.another_process().result(&key_of(1)).unwrap(), Some(result));
    assert!(scene.another_process().available(&artifact).unwrap());
}

#[test]
fn what_was_set_aside_is_found_by_whoever_asks_for_it() {
    let scene = Scene::new();
    let _running = scene.another_process().running().unwrap();
    let artifact = folder(&scene, &[1]);
    let result = scene.cache.publish(&recipe(1), new_result(0, artifact.clone())).unwrap();
    let collect = || scene.cache.gc(&scene.cache.gc_plan(&Roots::default()).unwrap()).unwrap();
    collect();
    assert_eq!(scene.another_process().result(&key_of(1)).unwrap(), Some(result));
    assert!(scene.cache.available(&artifact).unwrap());
    collect();
    scene.cache.place(&artifact, &scene.path("placed"), crate::Place::ReadOnly).unwrap();
    collect();
    assert!(scene.cache.recipe(&key_of(1)).unwrap().is_some());
    assert_eq!(scene.cache.read(&scene.cache.put(&[1]).unwrap(), 10).unwrap(), [1]);
}

/// Whoever collects dies after each of his deeds.
#[test]
fn whatever_interrupts_it_nothing_is_lost() {
    for deeds in 0..6 {
        let scene = Scene::new();
        let artifact = folder(&scene, &[1]);
        let result = scene.cache.publish(&recipe(1), new_result(0, artifact.clone())).unwrap();
        let cache = scene.another_process();
        let generation = cache.new_generation(None).unwrap();
        let blobs = cache.blobs_of(&artifact).unwrap();
        assert_eq!(blobs.len(), 3);
        if deeds > 0 {
            cache.condemn_result(&key_of(1), 1, generation.name()).unwrap();
        }
        for blob in blobs.iter().take(deeds) {
            assert!(cache.take_out(*blob, &generation).unwrap());
        }
        if deeds > 4 {
            cache.close(&generation, None).unwrap();
        }
        let roots = Roots { keys: vec![key_of(1)], ..Roots::default() };
        let plan = scene.cache.gc_plan(&roots).unwrap();
        assert!(plan.objects.is_empty() && plan.results.is_empty(), "{deeds}");
        if deeds % 2 == 0 {
            scene.cache.gc(&plan).unwrap();
        }
        assert_eq!(scene.cache.result(&key_of(1)).unwrap(), Some(result));
        assert!(scene.cache.available(&artifact).unwrap());
        for _ in 0..2 {
            scene.cache.gc(&scene.cache.gc_plan(&Roots::default()).unwrap()).unwrap();
        }
        assert_eq!(scene.cache.stats().unwrap().objects, 0);
        assert_eq!(crate::survey::children(&scene.cache.inner.layout.trash()).unwrap().len(), 0);
    }
}

#[test]
fn what_was_used_last_stays_while_there_is_room() {
    let scene = Scene::new();
    let mut used = std::collections::HashMap::new();
    for number in 1..=4_u8 {
        let artifact = scene.cache.put(&[number; 100]).unwrap();
        scene.cache.publish(&recipe(number.into()), new_result(0, artifact)).unwrap();
        // The first one was used last.
        used.insert(key_of(number), Timestamp::from_second(1000 - i64::from(number)).unwrap());
    }
    let plan = |roots: Roots| scene.cache.gc_plan(&Roots { used: used.clone(), ..roots }).unwrap();
    let gone = |plan: &GcPlan| {
        let mut gone: Vec<u8> = (1..=4)
            .filter(|number| plan.results.iter().any(|result| result.key == key_of(*number)))
            .collect();
        gone.sort_unstable();
        gone
    };
    let roomy = plan(Roots { max_size: Some(400), ..Roots::default() });
    assert_eq!((gone(&roomy), roomy.bytes), (vec![], 0));
    let tight = plan(Roots { max_size: Some(250), ..Roots::default() });
    assert_eq!((gone(&tight), tight.bytes, tight.kept_bytes), (vec![3, 4], 200, 200));
    assert!(tight.results.iter().all(|result| result.why == Why::NoRoom));
    let rooted = plan(Roots { max_size: Some(250), keys: vec![key_of(4)], ..Roots::default() });
    assert_eq!((gone(&rooted), rooted.protected_bytes), (vec![2, 3], 100));
    let full = plan(Roots { max_size: Some(50), keys: vec![key_of(4)], ..Roots::default() });
    assert_eq!((gone(&full), full.protected_bytes), (vec![1, 2, 3], 100));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn what_is_reachable_is_never_removed(
        steps in prop::collection::vec((prop::collection::vec(0..20_u8, 0..4), any::<bool>(), any::<bool>()), 1..6)
    ) {
        let scene = Scene::new();
        let mut roots = Roots::default();
        let mut reachable = Vec::new();
        for (index, (files, by_key, by_digest)) in steps.iter().enumerate() {
            let recipe = recipe(i64::try_from(index).unwrap());
            let key = Key::of_recipe(&recipe);
            let artifact = folder(&scene, files);
            scene.cache.publish(&recipe, new_result(0, artifact.clone())).unwrap();
            if *by_key {
                roots.keys.push(key);
            }
            if *by_digest {
                roots.digests.push(artifact.digest);
            }
            if *by_key || *by_digest {
                reachable.push(artifact);
            }
        }
        let plan = scene.cache.gc_plan(&roots).unwrap();
        scene.cache.gc(&plan).unwrap();
        for artifact in &reachable {
            prop_assert!(scene.cache.available(artifact).unwrap());
        }
        for key in &roots.keys {
            prop_assert!(scene.cache.result(key).unwrap().is_some());
            prop_assert!(scene.cache.recipe(key).unwrap().is_some());
        }
        let again = scene.cache.gc_plan(&roots).unwrap();
        prop_assert!(again.results.is_empty() && again.recipes.is_empty() && again.objects.is_empty());
        prop_assert_eq!(reachable.is_empty(), scene.cache.stats().unwrap().objects == 0);
    }
}
