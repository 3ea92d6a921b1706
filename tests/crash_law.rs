//! The promise after crashes: whenever a run is killed, and however often, the next one is right by itself.

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use rustix::process::Signal;

use crate::support::{Project, kill_with_descendants, processes_of, signal, until_equal};

/// Steps with folders, large files and metrics, so that there is much to be in the middle of.
const PIPELINE: &str = r#"
[params]
n = 0

[steps.many]
run = "mkdir ${outputs.tree}; for i in 1 2 3 4 5 6 7 8 9; do echo ${params.n} $i > ${outputs.tree}/$i; done"
outputs.tree = { path = "tree", kind = "dir", publish = "out/tree" }

[steps.large]
run = "yes ${params.n} | head -c 5000000 > ${outputs.large}"
outputs.large = { path = "large", publish = "out/large" }

[steps.count]
run = "cat ${inputs.tree}/* | wc -l > ${outputs.lines}; wc -c < ${inputs.large} >> ${outputs.lines}"
inputs = { tree = "${many.tree}", large = "${large.large}" }
outputs.lines = { path = "lines", publish = "out/lines" }

[steps.score]
run = "echo '{\"n\": '${params.n}'}' > ${outputs.metrics}"
outputs.metrics = { path = "metrics.json", kind = "metrics", publish = "out/metrics.json" }
gate = "n >= 0"
needs = ["count"]
"#;

const ROUNDS: i64 = 12;

#[test]
fn killed_at_any_moment() {
    let mut random = StdRng::seed_from_u64(7);
    let project = Project::with(PIPELINE);
    for round in 0..ROUNDS {
        let set = format!("n={round}");
        for _ in 0..random.random_range(1..4) {
            let mut started = project.start(&["run", "--set", &set]);
            // A moment in the life of a run: from before it does anything to after it has ended.
            let moment = Instant::now() + Duration::from_millis(random.random_range(0..250));
            while Instant::now() < moment && !started.has_ended() {
                std::thread::yield_now();
            }
            match (started.has_ended(), random.random_bool(0.5)) {
                (true, _) => {}
                (false, true) => kill_with_descendants(started.pid()),
                (false, false) => signal(started.pid(), Signal::KILL),
            }
        }
        project.run(&["--set", &set]).ok();
        let clean = Project::with(PIPELINE);
        clean.run(&["--set", &set]).ok().executed(4);
        assert!(project.files("out") == clean.files("out"), "round {round}: other bytes than a clean run's");
        project.run(&["--set", &set]).ok().executed(0);
    }
    until_equal("processes of the steps", &Vec::<i32>::new(), || processes_of(&project.state()));
    project.tidemill(&["cache", "verify"]).ok().says_nothing_of("damaged");
    assert!(project.state_files("displaced/").is_empty(), "no output was taken for a file of the user's");
    assert!(project.state_files("work/").is_empty());
}
