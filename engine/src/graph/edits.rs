//! The law of edits: the graph that is made of a kept one and an edited file is the graph of the whole file, in every part.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use camino::Utf8Path;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use tidemill_cache::{Cache, Digest};

use super::redrawn::redrawn;
use super::tests::catalog;
use super::{Graph, Outline, keep, load, stash, stashed};
use crate::executors::Executors;
use crate::interface::Catalog;
use crate::spec::LoadRequest;

const SEED: u64 = 20_261_129;
const SEQUENCES: u64 = 300;
const EDITS: usize = 12;

/// A pipeline as its author thinks of it.
#[derive(Clone)]
struct File {
    head: String,
    steps: Vec<Part>,
}

/// A step: the lines of its table by what they say.
#[derive(Clone)]
struct Part {
    name: String,
    lines: BTreeMap<&'static str, String>,
}

impl File {
    fn random(random: &mut StdRng) -> Self {
        let mut file = Self { head: head(1), steps: Vec::new() };
        for number in 0..random.random_range(5..=14) {
            file.steps.push(Part { name: format!("s{number}"), lines: BTreeMap::new() });
            for kind in ["run", "inputs", "outputs"] {
                file.say(random, number, kind);
            }
            for kind in KINDS {
                if random.random_ratio(1, 6) {
                    file.say(random, number, kind);
                }
            }
        }
        file
    }

    fn text(&self) -> String {
        let mut text = self.head.clone();
        for part in &self.steps {
            write!(text, "[steps.{}]\n{}", part.name, part.lines.values().cloned().collect::<String>())
                .unwrap();
        }
        text
    }

    /// Says something of a step, maybe something else than before, and maybe something wrong.
    fn say(&mut self, random: &mut StdRng, place: usize, kind: &'static str) {
        let number = random.random_range(0..4);
        let name = &self.steps[place].name;
        // A step with a matrix cannot be referred to without more, so most refer to those without.
        let plain = |part: &&Part| !part.lines.contains_key("matrix");
        let before: Vec<&Part> = self.steps[..place].iter().filter(plain).collect();
        let other = match random.random_range(0..40) {
            0 => self.steps.choose(random).map(|part| part.name.clone()),
            _ => before.choose(random).map(|part| part.name.clone()),
        };
        let line = match kind {
            "run" => match random.random_range(0..6) {
                0 => format!("run = '''\necho {number}\n[steps.s1]\nrun = 1\n'''\n"),
                1 => format!("run = [\"echo\", \"${{params.p{number}}}\"]\n"),
                2 => format!("run = \"echo ${{params.p{number}}} > ${{outputs.o}}\"\n"),
                3 => format!("run = \"python{number} x.py\"\n"),
                _ => format!("run = \"echo {number} > ${{outputs.o}}\"\n"),
            },
            "inputs" => match (random.random_range(0..3), other) {
                (0, _) | (_, None) => format!("inputs.i = \"in{number}.txt\"\n"),
                (1, Some(other)) => format!("inputs.i = \"${{{other}.o}}\"\ninputs.j = \"${{{other}.o}}\"\n"),
                (_, Some(other)) => format!("inputs.i = {{ collect = \"${{{other}.o}}\" }}\n"),
            },
            "outputs" => match random.random_range(0..6) {
                0 => format!("outputs.o = {{ path = \"o\", publish = \"{name}-{number}.txt\" }}\n"),
                1 => format!("outputs.o = \"o\"\noutputs.p{number} = \"p\"\n"),
                _ => "outputs.o = \"o\"\n".to_owned(),
            },
            "comment" => (0..number).map(|line| format!("# {line} [steps.s1]\n")).collect(),
            "env" => format!("env = {{ X = \"{number}\", Y = \"${{params.p1}}\" }}\n"),
            "matrix" => format!("matrix = {{ a = {:?} }}\n", (0..number).collect::<Vec<_>>()),
            "needs" => other.map_or_else(String::new, |other| format!("needs = [\"{other}\"]\n")),
            "resources" => format!("resources = {{ cpus = {} }}\n", 1 + number),
            "when" => format!("when = \"params.p{number} > 1\"\n"),
            "tools" => format!("tools = [\"tool{number}\"]\n"),
            "zone" => format!("[steps.{name}.env]\nZONE = {number}\n"),
            _ => format!("description = \"{number}\"\n"),
        };
        self.steps[place].lines.insert(kind, line);
    }

    /// Changes something, mostly something of one step.
    fn edit(&mut self, random: &mut StdRng) {
        let place = random.random_range(0..self.steps.len());
        match random.random_range(0..24) {
            0 => self.head = head(random.random_range(0..4)),
            1 => self.steps.insert(place, Part { name: "new".to_owned(), lines: BTreeMap::new() }),
            2 => drop(self.steps.remove(place)),
            3 => self.steps[place].name = format!("s{}", random.random_range(0..20)),
            4 => {
                let kinds: Vec<&str> = self.steps[place].lines.keys().copied().collect();
                if let Some(kind) = kinds.choose(random) {
                    self.steps[place].lines.remove(kind);
                }
            }
            5..12 => self.say(random, place, "run"),
            12 => {
                for place in place..self.steps.len().min(place + 3) {
                    self.say(random, place, "run");
                }
            }
            13 => self.say(random, place, "inputs"),
            14 => self.say(random, place, "outputs"),
            _ => {
                let kind = KINDS[random.random_range(0..KINDS.len())];
                self.say(random, place, kind);
            }
        }
    }
}

/// Puts a character in or takes one out, wherever it is.
fn scribble(random: &mut StdRng, text: &mut String) {
    for _ in 0..random.random_range(1..=2) {
        let places: Vec<usize> = text.char_indices().map(|(place, _)| place).collect();
        let place = places[random.random_range(0..places.len() - 2)];
        if random.random_bool(0.5) {
            text.remove(place);
        } else {
            let character =
                ['"', '\'', '[', ']', '.', '\n', '#', 'a', 'é', ' ', '=', '$', '1'].choose(random);
            text.insert(place, *character.unwrap());
        }
    }
}

const KINDS: [&str; 9] =
    ["comment", "env", "matrix", "needs", "resources", "when", "tools", "description", "zone"];

fn head(number: i64) -> String {
    let params: String = (0..4).map(|place| format!("p{place} = {}\n", place * number)).collect();
    format!("[pipeline]\nname = \"p\"\n\n[params]\n{params}\n")
}

/// How often a file was read in part, as a whole, and was wrong.
#[derive(Debug, Default)]
struct Tally {
    patched: u32,
    redrawn: u32,
    whole: u32,
    wrong: u32,
}

#[test]
fn a_patched_graph_is_that_of_the_whole_file() {
    sequences(SEQUENCES);
}

/// `cargo test --release -p tidemill-engine --lib -- graph::edits --ignored`.
#[test]
#[ignore = "takes a minute"]
fn over_ten_thousand_sequences() {
    let tally = sequences(10_000);
    let report = format!("seeds {SEED} to {}, {EDITS} edits each\n{tally:?}\n", SEED + 9_999);
    std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/src/graph/edits.txt"), report).unwrap();
}

fn sequences(count: u64) -> Tally {
    let mut tally = Tally::default();
    for seed in SEED..SEED + count {
        sequence(seed, &mut tally);
    }
    // Each way is gone often, or this says little.
    let least = u32::try_from(count).unwrap();
    let Tally { patched, redrawn, whole, wrong } = tally;
    assert!(patched.min(whole).min(wrong) > least && redrawn > least / 4, "{tally:?}");
    tally
}

fn sequence(seed: u64, tally: &mut Tally) {
    let mut random = StdRng::seed_from_u64(seed);
    let folder = tempfile::tempdir().unwrap();
    let folder = Utf8Path::from_path(folder.path()).unwrap();
    let cache = Cache::open(&folder.join(".tidemill")).unwrap();
    let (name, path, catalog) = (Digest::of(b"name"), folder.join("pipeline.toml"), catalog());
    let mut file = File::random(&mut random);
    for _ in 0..EDITS {
        let mut edited = file.clone();
        edited.edit(&mut random);
        let mut text = edited.text();
        if random.random_ratio(1, 3) {
            scribble(&mut random, &mut text);
        }
        let found = stashed(&cache, &name, &request(&path, &text, &catalog));
        let told = |what: &str| format!("seed {seed}: {what}\n--- from\n{}\n--- to\n{text}", file.text());
        match (found, load(&request(&path, &text, &catalog))) {
            (Some(_), Err(_)) => panic!("{}", told("a graph of a file with mistakes")),
            (None, Err(_)) => {
                tally.wrong += 1;
                continue;
            }
            (Some(found), Ok(mut whole)) => {
                tally.patched += 1;
                let other = Cache::open(&folder.join("other")).unwrap();
                stash(&other, &name, &mut whole, &text);
                let again = stashed(&cache, &name, &request(&path, &text, &catalog)).unwrap();
                for found in [&found, &again] {
                    if let Some(part) = difference(found, &whole) {
                        panic!("{}", told(part));
                    }
                }
                let outline = Outline::of(&whole).to_bytes();
                tally.redrawn += u32::from(redrawn(&cache, &found).is_some());
                if keep(&cache, &found).unwrap().digest != Digest::of(&outline) {
                    panic!("{}", told("outline"));
                }
            }
            (None, Ok(mut whole)) => {
                tally.whole += 1;
                stash(&cache, &name, &mut whole, &text);
                keep(&cache, &whole).unwrap();
            }
        }
        file = edited;
    }
}

fn request<'a>(file: &'a Utf8Path, text: &'a str, catalog: &'a dyn Catalog) -> LoadRequest<'a> {
    LoadRequest { file, text, set: &[], params_files: &[], catalog, executors: Executors::none() }
}

/// The first part in which two graphs differ.
fn difference(one: &Graph, other: &Graph) -> Option<&'static str> {
    let bytes = |graph: &Graph| -> Vec<Vec<u8>> {
        graph.steps.iter().map(|step| postcard::to_stdvec(step).unwrap()).collect()
    };
    let skeleton = |graph: &Graph| postcard::to_stdvec(&*graph.skeleton).unwrap();
    let lines = |graph: &Graph| -> Vec<usize> {
        (0..graph.steps.len()).map(|step| graph.origins.line(super::StepIndex::new(step))).collect()
    };
    let parts = [
        (bytes(one) == bytes(other), "steps"),
        (skeleton(one) == skeleton(other), "skeleton"),
        (lines(one) == lines(other), "lines"),
        (one.origins == other.origins, "origins"),
        (one.order == other.order, "order"),
        (one.definitions == other.definitions, "definitions"),
        (one.params == other.params && one.overrides == other.overrides, "params"),
        (one.globs == other.globs, "globs"),
        (one.text == other.text && one.file == other.file && one.folder == other.folder, "text"),
        (one.pipeline == other.pipeline && one.description == other.description, "head"),
    ];
    parts.into_iter().find(|(is_same, _)| !is_same).map(|(_, part)| part)
}
