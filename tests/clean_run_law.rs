//! The promise: the artifacts after a run are always those that a clean run would have produced, whatever was edited before.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::support::{Project, kill_with_descendants};

/// What the user may change: everything that five steps are made of.
#[derive(Debug, Clone)]
struct Sources {
    inputs: [String; 3],
    params: [i64; 2],
    commands: [usize; 5],
}

/// Ways to make a file out of two; each looks at all that it is given.
const COMMANDS: [&str; 4] = [
    "cat ${inputs.a} ${inputs.b}",
    "cat ${inputs.b} ${inputs.a}",
    "cat ${inputs.a} ${inputs.b} | sort -u",
    "cat ${inputs.a} ${inputs.b} | wc -l",
];

/// Which two files each step reads: inputs of the project, or outputs of earlier steps.
const EDGES: [(&str, &str); 5] = [
    ("in0.txt", "in1.txt"),
    ("in1.txt", "in2.txt"),
    ("${s0.out}", "in2.txt"),
    ("${s0.out}", "${s1.out}"),
    ("${s2.out}", "${s3.out}"),
];

impl Sources {
    fn first() -> Self {
        Self { inputs: ["a\n", "b\n", "c\n"].map(String::from), params: [1, 2], commands: [0; 5] }
    }

    /// One to three small edits.
    fn edit(&mut self, random: &mut StdRng) {
        for _ in 0..random.random_range(1..=2) {
            match random.random_range(0..4) {
                0 | 1 => {
                    // Few different contents, so that going back happens often.
                    let lines = random.random_range(0..3);
                    let line = |_| format!("{}\n", ["a", "b", "c"][random.random_range(0..3)]);
                    let text: String = (0..lines).map(line).collect();
                    self.inputs[random.random_range(0..3)] = text;
                }
                2 => self.params[random.random_range(0..2)] = random.random_range(0..3),
                _ => self.commands[random.random_range(0..5)] = random.random_range(0..COMMANDS.len()),
            }
        }
    }

    fn write(&self, project: &Project) {
        for (place, text) in self.inputs.iter().enumerate() {
            project.file(&format!("in{place}.txt"), text);
        }
        let mut pipeline = format!("[params]\np0 = {}\np1 = {}\n", self.params[0], self.params[1]);
        for (place, (a, b)) in EDGES.iter().enumerate() {
            let command = COMMANDS[self.commands[place]];
            // The first and the last step also depend on a parameter.
            let echo = match place {
                0 => "; echo p ${params.p0}",
                4 => "; echo p ${params.p1}",
                _ => "",
            };
            pipeline.push_str(&format!(
                "\n[steps.s{place}]\nrun = \"COUNT(s{place}); {{ {command}{echo}; }} > ${{outputs.out}}\"\ninputs = {{ a = \"{a}\", b = \"{b}\" }}\noutputs.out = {{ path = \"out\", publish = \"out/s{place}.txt\" }}\n"
            ));
        }
        project.pipeline(&pipeline);
    }
}

/// How many times the user edits something and runs.
const ROUNDS: usize = 30;

/// Edits and runs; before each run something may happen to the project and its state.
fn edit_and_run(seed: u64, mut mischief: impl FnMut(&Project, &mut StdRng)) -> u64 {
    let mut random = StdRng::seed_from_u64(seed);
    let mut sources = Sources::first();
    let project = Project::new();
    let mut executed = 0;
    for round in 0..ROUNDS {
        sources.edit(&mut random);
        sources.write(&project);
        mischief(&project, &mut random);
        executed += project.run(&[]).ok().counted("executed");
        let clean = Project::new();
        sources.write(&clean);
        clean.run_executes(5);
        assert_eq!(project.files("out"), clean.files("out"), "round {round}: {sources:?}");
        project.run_executes(0);
    }
    executed
}

#[test]
fn a_run_gives_what_a_clean_run_gives() {
    let executed = edit_and_run(20_261_120, |project, random| {
        if random.random_bool(0.2) {
            let place = random.random_range(0..5);
            project.file(&format!("out/s{place}.txt"), "overwritten by mistake\n");
        }
    });
    let all = 5 * ROUNDS as u64;
    assert!(executed < all * 4 / 5, "the cache saved something: {executed} of {all} steps were executed");
}

#[test]
fn also_when_the_state_suffers() {
    edit_and_run(4, |project, random| {
        for _ in 0..random.random_range(0..3) {
            harm(project, random);
        }
    });
}

/// One of many things that crashes, careless people and full disks do to a state folder.
fn harm(project: &Project, random: &mut StdRng) {
    let some = |random: &mut StdRng, beginning: &str| {
        let files = project.state_files(beginning);
        (!files.is_empty()).then(|| files[random.random_range(0..files.len())].clone())
    };
    match random.random_range(0..7) {
        0 => {
            for path in project.state_files("index.db") {
                fs::remove_file(path).unwrap();
            }
        }
        1 => {
            if let Some(path) = some(random, "objects/") {
                fs::remove_file(path).unwrap();
            }
        }
        2 => {
            if let Some(path) = some(random, "objects/") {
                let mut bytes = fs::read(&path).unwrap();
                bytes.push(b'?');
                fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
                fs::write(&path, bytes).unwrap();
            }
        }
        3 => {
            if let Some(path) = some(random, "results/") {
                fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
                fs::write(&path, "").unwrap();
            }
        }
        4 => {
            if let Some(path) = some(random, "recipes/") {
                fs::remove_file(path).unwrap();
            }
        }
        5 => {
            project.tidemill(&["cache", "gc", "--keep-runs", "1"]).ok();
        }
        _ => {
            // Two at once, one of them is killed.
            let started = [project.start(&["run"]), project.start(&["run"])];
            kill_with_descendants(started[0].pid());
            let [killed, other] = started;
            drop(killed);
            project.answer_of(other).ok();
        }
    }
}
