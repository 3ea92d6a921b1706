//! The law of the plan: what is planned is what is executed. On random projects with random edits and mishaps, the steps that
//! `plan` says run are those that `run` executes, for the same reason and under the same key; only a `maybe` may go either way.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod law;
mod play;
#[path = "../support/mod.rs"]
mod support;
mod world;

use std::fs;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tidemill_engine::Selection;

use law::{Round, Tally};
use play::Place;
use world::World;

/// The variable by which this program knows that it is to be the warden.
pub(crate) const WARDEN: &str = "TIDEMILL_TEST_WARDEN";

#[test]
fn warden_entry() {
    if std::env::var_os(WARDEN).is_some() {
        let _ = tidemill_engine::process::warden_main();
    }
}

/// Where the sequences begin; another seed is another set of projects.
const SEED: u64 = 20_261_121;

#[test]
fn what_is_planned_is_what_is_executed() {
    let tally = sequences(SEED..SEED + 40);
    assert!(tally.covers_all(), "{tally}");
}

/// All 500 sequences: `cargo test --release -p tidemill-engine --test plan_law -- --ignored --nocapture`.
#[test]
#[ignore = "takes a minute or two"]
fn over_five_hundred_sequences() {
    let tally = sequences(SEED..SEED + 500);
    assert!(tally.covers_all(), "{tally}");
    let report = format!("seeds {SEED} to {}\n{tally}", SEED + 499);
    fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/plan_law/report.txt"), report).unwrap();
}

fn sequences(seeds: std::ops::Range<u64>) -> Tally {
    let mut tally = Tally::default();
    for seed in seeds {
        sequence(seed, &mut tally);
    }
    tally
}

/// One project, a few rounds of edits and mishaps, each followed by a plan, a run, and a plan again.
fn sequence(seed: u64, tally: &mut Tally) {
    let mut random = StdRng::seed_from_u64(seed);
    let noisy = random.random_ratio(1, 8);
    let mut world = World::random(&mut random, noisy);
    let mut earlier = vec![world.clone()];
    let place = Place::new();
    let mut story = Vec::new();
    for round in 0..random.random_range(4..=6) {
        for _ in 0..random.random_range(0..=2) {
            world.edit(&mut random);
        }
        if random.random_ratio(1, 8) {
            world = earlier[random.random_range(0..earlier.len())].clone();
        }
        place.write(&world);
        if round > 0 && random.random_ratio(2, 5) {
            story.push(place.mischief(&mut random).to_owned());
        }
        if noisy {
            fs::write(place.outside("noise"), format!("{}\n", random.random_range(0..3))).unwrap();
        }
        let failing = random.random_ratio(1, 6).then(|| random.random_range(0..world.steps.len()));
        let flag = failing.map(|step| place.outside(&format!("fail-{}", world.steps[step].tag)));
        if let Some(flag) = &flag {
            fs::write(flag, "").unwrap();
        }
        let selection = selection(&mut random, world.steps.len());
        let how = (random.random_range(1..=3), random.random_ratio(1, 2));
        story.push(format!("round {round}: {selection:?}, {how:?}, failing {failing:?}"));
        let outcome =
            Round::play(&place, &world, &selection, how).and_then(|round| tally.check(round.as_ref()));
        if let Err(wrong) = outcome {
            let pipeline = fs::read_to_string(place.open().1.file).unwrap();
            panic!("seed {seed}: {wrong}\n{}\n\n{pipeline}", story.join("\n"));
        }
        if let Some(flag) = flag {
            fs::remove_file(flag).unwrap();
        }
        earlier.push(world.clone());
    }
    tally.sequences += 1;
}

/// Mostly everything; sometimes a part.
fn selection(random: &mut StdRng, steps: usize) -> Selection {
    let mut selection = Selection::default();
    let mut some = |list: &mut Vec<String>, count: usize| {
        list.extend((0..count).map(|_| format!("s{}", random.random_range(0..steps))));
    };
    let mut chosen = Vec::new();
    some(&mut chosen, 2);
    match random.random_range(0..12) {
        0 | 1 => selection.force = chosen,
        2 => selection.only = chosen,
        3 => selection.from = chosen,
        4 => selection.until = chosen,
        5 => (selection.from, selection.force) = (chosen.clone(), chosen),
        _ => {}
    }
    selection
}
