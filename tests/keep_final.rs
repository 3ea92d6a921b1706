//! `keep = "final"`: what is only a way from one step to the next does not fill the disk, and is found in the cache all the same.

use std::fs;

use crate::support::Project;

const OUTPUT: u64 = 8 << 20;
const STEPS: usize = 20;

/// A chain of steps, each with an output of 8 MiB that the next one reads; beside it a leaf of what the first one measured.
fn chain(keep: &str) -> String {
    let mut text = format!(
        r#"
        [pipeline]
        name = "chain"
        keep = "{keep}"

        [steps.s00]
        run = "head -c {OUTPUT} /dev/zero > ${{outputs.out}}; echo '{{\"rows\": 7}}' > ${{outputs.measured}}"
        outputs.out = "out"
        outputs.measured = {{ path = "measured.json", kind = "metrics" }}

        [steps.leaf]
        run = "echo leaf; cat ${{inputs.measured}} > ${{outputs.out}}"
        inputs.measured = "${{s00.measured}}"
        outputs.out = "out"
        "#
    );
    for number in 1..STEPS {
        let before = number - 1;
        let size = OUTPUT - 4;
        text.push_str(&format!(
            r#"
            [steps.s{number:02}]
            run = "{{ printf {number:04}; head -c {size} ${{inputs.in}}; }} > ${{outputs.out}}"
            inputs.in = "${{s{before:02}.out}}"
            outputs.out = "out"
            "#
        ));
    }
    text
}

/// The bytes of all contents.
fn contents(project: &Project) -> u64 {
    let files = [project.state_files("objects/"), project.state_files("trash/")].concat();
    files.iter().map(|path| fs::metadata(path).map_or(0, |facts| facts.len())).sum()
}

#[test]
fn a_long_chain_needs_little_room_and_hits_the_cache_afterwards() {
    let project = Project::with(&chain("final"));
    let mut run = project.start(&["run", "--json"]);
    let mut most = 0;
    while !run.has_ended() {
        most = most.max(contents(&project));
    }
    project.answer_of(run).ok().executed(STEPS as u64 + 1);
    assert!(most >= OUTPUT, "nothing was measured");
    assert!(most <= 4 * OUTPUT, "{} outputs at once", most / OUTPUT);
    assert!(contents(&project) < 2 * OUTPUT, "only the last one is kept");
    assert!(project.state_files("trash/").is_empty());
    project.run_executes(0);
    // A garbage collection finds nothing that it must keep missing.
    project.tidemill(&["cache", "gc"]).ok();
    project.run_executes(0);
    project.tidemill(&["cache", "verify"]).ok();

    project
        .tidemill(&["get", "s05.out"])
        .exits(2)
        .says("not kept (`keep = \"final\"`)")
        .says("tidemill run --until s05 --force s05");
    project.tidemill(&["get", "s19.out"]).ok();

    // A leaf of what was kept runs alone.
    project.edit("pipeline.toml", "echo leaf", "echo other leaf");
    project.run_executes(1);
    // One of what was not kept needs those before it, and says so.
    project.edit("pipeline.toml", "printf 0003", "printf 9993");
    project.edit("pipeline.toml", "printf 0004", "printf 0004");
    let plan = project.tidemill(&["plan"]).ok().says("its output out was not kept");
    assert_eq!(plan.stdout.matches("was not kept").count(), 3, "{}", plan.transcript());
    project.run(&["--until", "s03"]).ok().executed(4);
    project.tidemill(&["get", "s03.out", "--output", "s03"]).ok();
    assert!(project.read("s03").starts_with("9993"));
}

#[test]
fn what_is_asked_for_again_is_made_again_and_kept() {
    let project = Project::with(&chain("final"));
    project.run(&["--until", "s03"]).ok().executed(4);
    project.tidemill(&["get", "s01.out"]).exits(2);
    project.run(&["--until", "s01", "--force", "s01"]).ok().executed(2);
    project.tidemill(&["get", "s01.out"]).ok();
}

#[test]
fn a_step_may_say_otherwise_and_nothing_is_run_again_for_it() {
    let project = Project::with(&chain("all"));
    project.run(&["--until", "s03"]).ok().executed(4);
    assert!(contents(&project) >= 4 * OUTPUT);
    // It does not enter the key.
    project.edit("pipeline.toml", "keep = \"all\"", "keep = \"final\"");
    project.run(&["--until", "s03"]).ok().executed(0);
    project.edit("pipeline.toml", "[steps.s04]", "[steps.s04]\nkeep = \"all\"");
    project.run(&["--until", "s06"]).ok().executed(3);
    project.tidemill(&["get", "s04.out", "--output", "s04"]).ok();
    project.tidemill(&["get", "s05.out", "--output", "s05"]).exits(2);
    // What an earlier run made is not this run's to let go.
    project.tidemill(&["get", "s01.out", "--output", "s01"]).ok();
    project.edit("pipeline.toml", "keep = \"all\"", "keep = \"some\"");
    project.tidemill(&["check"]).exits(2).says("some");
}

#[test]
fn what_is_published_measured_or_read_by_an_effect_stays() {
    let project = Project::with(
        r#"
        [pipeline]
        name = "kinds"
        keep = "final"

        [steps.make]
        run = """
        COUNT(make)
        for name in passed published sent; do echo $name > $name; done
        echo '{"loss": 1.5}' > measured
        mkdir folder; echo leaf > folder/leaf
        """
        outputs.passed = "passed"
        outputs.published = { path = "published", publish = "published.txt" }
        outputs.sent = "sent"
        outputs.unread = { path = "unread", optional = true }
        outputs.measured = { path = "measured", kind = "metrics" }
        outputs.folder = { path = "folder", kind = "dir" }
        gate = "loss < 2"

        [steps.use]
        run = "cat ${inputs.a} ${inputs.b} ${inputs.c} ${inputs.d}/leaf > ${outputs.out}"
        inputs = { a = "${make.passed}", b = "${make.published}", c = "${make.measured}", d = "${make.folder}" }
        outputs.out = "out"

        [steps.send]
        run = "cat ${inputs.in} > OUTSIDE/sent"
        inputs.in = "${make.sent}"
        effect = true
        "#,
    );
    project.run_executes(3);
    for (output, is_kept) in
        [("passed", false), ("published", true), ("sent", true), ("measured", true), ("folder", false)]
    {
        let answer = project.tidemill(&["get", &format!("make.{output}"), "--output", output]);
        assert_eq!(answer.status == 0, is_kept, "{output}: {}", answer.transcript());
    }
    project.run_executes(0);
    fs::remove_file(project.path("published.txt")).unwrap();
    project.run_executes(0);
    assert_eq!(project.counts(), "make 1");
}

#[test]
fn what_a_failed_step_needs_stays() {
    let project = Project::with(
        r#"
        [pipeline]
        name = "failing"
        keep = "final"

        [steps.make]
        run = "COUNT(make); echo made > ${outputs.out}"
        outputs.out = "out"

        [steps.use]
        run = "cat ${inputs.in}; exit 1"
        inputs.in = "${make.out}"
        outputs.out = "out"
        "#,
    );
    project.run(&[]).exits(1);
    project.edit("pipeline.toml", "cat ${inputs.in}; exit 1", "cat ${inputs.in} > ${outputs.out}");
    project.run_executes(1);
    assert_eq!(project.counts(), "make 1");
    project.tidemill(&["get", "make.out"]).ok();
}

#[test]
fn another_run_beside_it_loses_nothing() {
    let project = Project::with(
        r#"
        [pipeline]
        name = "shared"
        keep = "final"

        [params]
        wait = false

        [steps.make]
        run = "COUNT(make); echo made > ${outputs.out}"
        outputs.out = "out"

        [steps.hold]
        run = "if ${params.wait}; then touch OUTSIDE/waits; while [ ! -e OUTSIDE/go ]; do sleep 0.01; done; fi; echo > ${outputs.out}"
        outputs.out = "out"

        [steps.use]
        run = "echo ${params.wait} | cat - ${inputs.in} > ${outputs.out}"
        inputs.in = "${make.out}"
        needs = ["hold"]
        outputs.out = { path = "out", publish = "out.txt" }
        "#,
    );
    let mut waiting = project.start(&["run", "--json", "--set", "wait=true"]);
    waiting.until("it waits", || project.outside("waits").exists().then_some(()));
    // It finds what the other one made, and is done with it first.
    project.run(&[]).ok();
    project.outside_file("go", "");
    project.answer_of(waiting).ok();
    assert_eq!(project.read("out.txt"), "true\nmade\n");
    assert_eq!(project.counts(), "make 1");
    project.tidemill(&["cache", "verify"]).ok();
}
