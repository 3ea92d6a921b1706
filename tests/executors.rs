//! Steps that run elsewhere: on a real Slurm, and in another user's account over SSH. The same bytes come out, under the same key.

use std::fs;
use std::process::Command;

use rustix::process::Signal;

use crate::support::{ObjectStore, Project, Remote, SlurmCluster, kill_with_descendants, signal, until};

/// What is trained somewhere: a Python script, as people have it.
const TRAIN: &str = r#"
import json, os, sys
rows = [float(line) for line in open(sys.argv[1])]
json.dump({"mean": sum(rows) / len(rows), "rows": len(rows)}, open(sys.argv[2], "w"))
print("trained on", len(rows), "rows", flush=True)
"#;

const PIPELINE: &str = r#"
[params]
where = "cluster"

[steps.clean]
run = "COUNT(clean); grep -v x ${inputs.raw} > ${outputs.rows}"
inputs.raw = "raw.txt"
outputs.rows = "rows.txt"

[steps.train]
run = ["python3", "${inputs.code}", "${inputs.rows}", "${outputs.model}"]
inputs = { code = "train.py", rows = "${clean.rows}" }
outputs.model = { path = "model.json", kind = "metrics" }
executor = "${params.where}"

[steps.report]
run = "COUNT(report); cat ${inputs.model} > ${outputs.page}"
inputs.model = "${train.model}"
outputs.page = { path = "page.txt", publish = "page.txt" }
"#;

fn project() -> Project {
    let project = Project::with(PIPELINE);
    project.file("raw.txt", "1\nx\n2\n3\n").file("train.py", TRAIN);
    project
}

/// The same, made on this machine.
fn made_here() -> Project {
    let here = project();
    here.file("tidemill.toml", "[executors.cluster]\nkind = \"slurm\"\n");
    here.run(&["--set", "where=local"]).ok().executed(3);
    here
}

#[test]
fn a_step_on_slurm_gives_what_it_gives_here_and_is_found_again() {
    let here = made_here();

    let mut there = project();
    there.on_slurm("");
    let answer = there.tidemill(&["run", "--output", "plain"]).ok();
    assert_eq!(there.read("page.txt"), here.read("page.txt"));
    assert!(answer.stderr.contains("sent     train   to cluster, as "), "{}", answer.stderr);
    there.run_executes(0);
    // Where a step runs is no part of its key.
    there.run(&["--set", "where=local"]).ok().executed(0);
    assert!(there.tidemill(&["log", "train"]).ok().stdout.contains("trained on 3 rows"));
    let key = |project: &Project| {
        let shown = project.tidemill(&["show", "--json"]).ok().json();
        let steps = shown["steps"].as_array().unwrap().clone();
        steps.into_iter().find(|step| step["step"] == "train").unwrap()["key"].clone()
    };
    assert_eq!(key(&there), key(&here));
    let shown = there.tidemill(&["status"]).ok().stdout;
    assert_eq!(shown, "nothing goes on\n", "what is done with is forgotten");
    assert!(there.state_files("remote/").is_empty());
}

/// A step that says that it has begun, and goes on when it may.
const WAITS: &str = r#"
[steps.slow]
run = """
COUNT(slow)
echo begun
touch OUTSIDE/begun
until [ -e OUTSIDE/go ]; do sleep 0.05; done
echo done > ${outputs.o}
"""
outputs.o = { path = "o.txt", publish = "o.txt" }
executor = "cluster"
"#;

fn waiting() -> Project {
    let mut project = Project::with(WAITS);
    project.on_slurm("");
    project
}

#[test]
fn a_run_that_was_killed_is_taken_up_and_nothing_is_done_twice() {
    let project = waiting();
    let mut started = project.start(&["run"]);
    started.until("the step has begun", || project.outside("begun").exists().then_some(()));
    kill_with_descendants(started.pid());
    drop(started);
    until("it is dead, and what it left is seen", || {
        let status = project.tidemill(&["status"]).ok().stdout;
        (status.contains("is dead") && status.contains("slow  on cluster: runs")).then_some(())
    });
    let mut again = project.start(&["run", "--output", "plain"]);
    project.outside_file("go", "");
    let answer = {
        again.until("it ends", || project.has("o.txt").then_some(()));
        project.answer_of(again).ok()
    };
    assert!(answer.stderr.contains("adopted  slow"), "{}", answer.stderr);
    assert_eq!((project.counts().as_str(), project.read("o.txt").as_str()), ("slow 1", "done\n"));
    project.run_executes(0);
    assert!(project.state_files("remote/").is_empty());
}

#[test]
fn what_ended_while_nobody_looked_is_collected() {
    let project = waiting();
    let mut started = project.start(&["run"]);
    started.until("the step has begun", || project.outside("begun").exists().then_some(()));
    kill_with_descendants(started.pid());
    drop(started);
    project.outside_file("go", "");
    until("it has ended there", || {
        project.tidemill(&["status"]).ok().stdout.contains("its result waits").then_some(())
    });
    project.run_executes(1);
    assert_eq!((project.counts().as_str(), project.read("o.txt").as_str()), ("slow 1", "done\n"));
}

#[test]
fn stopping_a_run_ends_what_it_has_elsewhere() {
    let project = waiting();
    let mut started = project.start(&["run"]);
    started.until("the step has begun", || project.outside("begun").exists().then_some(()));
    signal(started.pid(), Signal::INT);
    project.answer_of(started).exits(130);
    assert_eq!(project.tidemill(&["status"]).ok().stdout, "nothing goes on\n");
    assert!(project.state_files("remote/").is_empty(), "it has ended, and that was confirmed");
}

/// Slurm tells all processes of a job to end: the step obeys before its worker knows.
#[test]
fn a_step_that_was_told_to_end_with_its_worker_has_not_failed() {
    let mut project = Project::with(
        r#"
[steps.many]
matrix = { n = [1, 2, 3, 4, 5, 6] }
run = "touch OUTSIDE/${matrix.n}; exec sleep 600"
executor = "cluster"
"#,
    );
    project.on_slurm("");
    let mut started = project.start(&["run", "--output", "plain"]);
    started
        .until("all have begun", || (1..=6).all(|n| project.outside(&n.to_string()).exists()).then_some(()));
    signal(started.pid(), Signal::INT);
    let answer = project.answer_of(started).exits(130);
    let last = "interrupted: 0 steps executed, 0 cached, 6 stopped";
    assert!(answer.stdout.contains(last), "{}{}", answer.stderr, answer.stdout);
}

#[test]
fn what_a_dead_run_left_is_ended_by_cancel() {
    let project = waiting();
    let mut started = project.start(&["run"]);
    started.until("the step has begun", || project.outside("begun").exists().then_some(()));
    kill_with_descendants(started.pid());
    drop(started);
    let said = project.tidemill(&["cancel", "last"]).ok().stdout;
    assert!(said.contains("slow: ended on its executor"), "{said}");
    assert_eq!(project.tidemill(&["status"]).ok().stdout, "nothing goes on\n");
}

#[test]
fn a_run_in_the_background_is_watched_and_stopped() {
    let project = waiting();
    let said = project.tidemill(&["run", "--detach"]).ok().stdout;
    let run = said.split_whitespace().nth(1).unwrap().to_owned();
    until("the step has begun", || project.outside("begun").exists().then_some(()));
    let status = project.tidemill(&["status"]).ok().stdout;
    assert!(
        status.contains(&format!("run {run} of story goes on")) && status.contains("slow  on cluster"),
        "{status}"
    );
    let mut watching = project.start(&["attach", &run]);
    watching.until("what it prints comes over", || {
        let log = project.tidemill(&["log", "slow"]).ok().stdout;
        log.contains("begun").then_some(())
    });
    // Who stops watching stops nothing.
    watching.until_it_hears();
    signal(watching.pid(), Signal::INT);
    let answer = project.answer_of(watching).exits(130);
    assert!(answer.stderr.contains("goes on"), "{}", answer.stderr);
    project.outside_file("go", "");
    let answer = project.tidemill(&["attach", &run]).ok();
    for said in ["running  slow", "on cluster, at n", "done     slow"] {
        assert!(answer.stderr.contains(said), "{said}: {}", answer.stderr);
    }
    assert_eq!(project.counts(), "slow 1");

    fs::remove_file(project.outside("go")).unwrap();
    fs::remove_file(project.outside("begun")).unwrap();
    project.tidemill(&["run", "--detach", "--force", "slow"]).ok();
    until("the step has begun", || project.outside("begun").exists().then_some(()));
    let said = project.tidemill(&["cancel", "last"]).ok().stdout;
    assert!(said.contains("was stopped"), "{said}");
    assert_eq!(project.tidemill(&["status"]).ok().stdout, "nothing goes on\n");
}

/// A step of three epochs that saves each, and stays at the second until it may go on.
const LONG: &str = r#"
[steps.long]
run = """
COUNT(long)
n=$(cat saved/n 2>/dev/null || echo 0)
while [ $n -lt 3 ]; do
    n=$((n + 1)); echo epoch $n
    echo $n > saved/n.new && mv saved/n.new saved/n
    until [ -e OUTSIDE/go ] || [ $n -ne 2 ]; do touch OUTSIDE/two; sleep 0.05; done
done
cat saved/n > ${outputs.o}
"""
outputs.o = { path = "o.txt", publish = "o.txt" }
executor = "cluster"
checkpoint = { path = "saved", every = "200 ms" }
"#;

/// The step was made twice, and began at the third epoch then.
fn went_on_where_it_was(project: &Project) {
    assert_eq!((project.read("o.txt").as_str(), project.counts().as_str()), ("3\n", "long 2"));
    let log = project.tidemill(&["log", "long"]).ok().stdout;
    assert!(log.ends_with("epoch 3\n") && !log.contains("epoch 1\n"), "{log}");
    // What was saved is of no use any more: a step that is forced begins at its beginning.
    project.run(&["--force", "long"]).ok().executed(1);
    assert_eq!(project.tidemill(&["log", "long"]).ok().stdout, "epoch 1\nepoch 2\nepoch 3\n");
}

#[test]
fn an_attempt_that_had_to_make_room_is_made_again_from_its_checkpoint() {
    let mut project = Project::with(LONG);
    let cache = project.outside("worker");
    // Jobs of other stories would make room again, or not at all.
    let slurm = SlurmCluster::start();
    let settings = format!("partition = \"spot\"\ncache = \"{}\"\n", cache.display());
    project.on_this_slurm(&slurm.configuration(), &settings);
    let mut started = project.start(&["run", "--output", "plain"]);
    started.until("it is at two", || project.outside("two").exists().then_some(()));
    started.until("that is saved", || {
        let saved = fs::read_dir(cache.join(".tidemill/checkpoints"));
        (saved.ok()?.count() > 0).then_some(())
    });
    let batch = project.state_files("remote/").remove(0);
    let batch = batch.file_stem().unwrap().to_str().unwrap().to_owned();
    // Somebody whose jobs go first needs all nodes.
    let job = ["--partition=high", "--nodes=2", "--exclusive", "--output=/dev/null", "--wrap=sleep 1"];
    let sent = Command::new("sbatch").args(job).env("SLURM_CONF", slurm.configuration()).output().unwrap();
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
    started.until("it is over", || {
        (!project.state().join(format!("remote/{batch}.json")).exists()).then_some(())
    });
    project.outside_file("go", "");
    let answer = project.answer_of(started).ok();
    assert!(
        answer.stderr.contains("retry    long  it had to make room for another job on cluster"),
        "{}",
        answer.stderr
    );
    went_on_where_it_was(&project);
}

#[test]
fn an_attempt_whose_machine_is_gone_is_made_again_from_its_checkpoint() {
    let mut remote = Remote::start();
    let (project, _store) = over_ssh(LONG, &remote);
    let mut started = project.start(&["run", "--output", "plain"]);
    started.until("it is at two", || project.outside("two").exists().then_some(()));
    started.until("that is saved", || {
        let saved = fs::read_dir(format!("{}/cache/.tidemill/checkpoints", remote.folder()));
        (saved.ok()?.count() > 0).then_some(())
    });
    remote.order("lose");
    started.until("that is noticed", || {
        project.tidemill(&["status"]).ok().stdout.contains("cannot be").then_some(())
    });
    remote.order("start");
    project.outside_file("go", "");
    let answer = project.answer_of(started).ok();
    for said in ["cut off  long", "reached  long", "retry    long  it was lost on cluster"] {
        assert!(answer.stderr.contains(said), "{said}: {}", answer.stderr);
    }
    went_on_where_it_was(&project);
}

/// A project whose executor `cluster` is another user's account, and the store between the two.
fn over_ssh(pipeline: &str, remote: &Remote) -> (Project, ObjectStore) {
    let mut project = Project::with(pipeline);
    let store = project.over_ssh(remote);
    (project, store)
}

#[test]
fn a_step_on_two_machines_gives_what_the_first_made() {
    let mut project = Project::with(
        r#"
[steps.both]
run = """
echo $MASTER_ADDR $MASTER_PORT $NNODES > OUTSIDE/rank-$TIDEMILL_NODE_RANK.new
mv OUTSIDE/rank-$TIDEMILL_NODE_RANK.new OUTSIDE/rank-$TIDEMILL_NODE_RANK
until [ -e OUTSIDE/rank-0 ] && [ -e OUTSIDE/rank-1 ]; do sleep 0.05; done
echo made by $NODE_RANK of $TIDEMILL_NODES > ${outputs.o}
"""
outputs.o = { path = "o.txt", publish = "o.txt" }
executor = "cluster"
resources = { nodes = 2 }
"#,
    );
    project.on_slurm("");
    project.run_executes(1);
    assert_eq!(project.read("o.txt"), "made by 0 of 2\n");
    let said = |rank: u32| fs::read_to_string(project.outside(&format!("rank-{rank}"))).unwrap();
    assert_eq!(said(0), said(1), "they meet at one place");
    assert!(said(0).ends_with(" 2\n"), "{}", said(0));
}

#[test]
fn each_machine_gives_what_it_made_where_that_is_declared() {
    let mut project = Project::with(
        r#"
[steps.both]
run = """
COUNT(both)
mkdir ${outputs.shards}
echo of $${NODE_RANK-all} > ${outputs.shards}/rows
ln -s rows ${outputs.shards}/link
[ $NODE_RANK = 1 ] || echo all > ${outputs.index}
"""
outputs.shards = { path = "made/shards", kind = "dir", per_rank = true, publish = "shards" }
outputs.index = "index.txt"
executor = "cluster"
resources = { nodes = 2 }

[steps.joined]
run = "cat ${inputs.shards}/0/rows ${inputs.shards}/1/link ${inputs.index} > ${outputs.o}"
inputs = { shards = "${both.shards}", index = "${both.index}" }
outputs.o = { path = "o.txt", publish = "o.txt" }
"#,
    );
    project.on_slurm("");
    project.run_executes(2);
    assert_eq!(
        project.read("o.txt"),
        "of 0\nof 1\nall\n",
        "the second machine need not write what is not its own"
    );
    assert_eq!(project.read("shards/1/rows"), "of 1\n");
    project.run_executes(0);
    project.tidemill(&["cache", "verify"]).ok();
    // What lies in the store is whole: somebody else finds it there.
    let other = project.checkout("other");
    other.run(&[]).ok().executed(0);
    assert_eq!((other.read("shards/0/rows").as_str(), project.counts().as_str()), ("of 0\n", "both 2"));
    // It cannot be made again on one machine, to compare it.
    project
        .tidemill(&["verify", "--repeat", "1", "both"])
        .ok()
        .says("it asks for 2 machines, and this machine has one");
    // Another number of machines is another result; one machine has a folder as well.
    project.edit("pipeline.toml", "nodes = 2", "nodes = 1");
    project.edit("pipeline.toml", "[ $NODE_RANK = 1 ] || ", "");
    project.edit("pipeline.toml", "1/link", "0/link");
    project.edit("pipeline.toml", "executor = \"cluster\"", "");
    project.run_executes(2);
    assert_eq!(project.read("o.txt"), "of all\nof all\nall\n");
    project.tidemill(&["verify", "--repeat", "1", "both"]).ok().says("the same");
    project.edit("pipeline.toml", "nodes = 1", "nodes = 2");
    project.run(&[]).exits(2).says("step both asks for 2 machines, and this machine has one");
}

#[test]
fn a_gpu_that_is_too_small_is_told_by_the_worker_that_got_it() {
    let mut project = Project::with(
        r#"
[steps.train]
run = "echo > ${outputs.o}"
outputs.o = "o"
executor = "cluster"
resources = { gpus = 1, vram = "2 GiB" }
"#,
    );
    let library = project.nvidia_library();
    project.on_slurm(&format!("env = {{ LD_LIBRARY_PATH = \"{library}\" }}\n"));
    let said = "it asks for 1 GPU with 2.0 GiB of memory each, and the machine that was to run it has 0 such among 1";
    project.run(&[]).exits(1).says(said);
    project.edit("pipeline.toml", "2 GiB", "1 GiB");
    project.run_executes(1);
}

#[test]
fn a_gpu_that_another_user_of_the_host_has_is_waited_for() {
    let remote = Remote::start();
    let (there, _store) = over_ssh(
        r#"
[steps.train]
run = "printf %s $CUDA_VISIBLE_DEVICES > ${outputs.gpu}"
outputs.gpu = { path = "gpu", publish = "gpu" }
executor = "cluster"
resources.gpus = 1
"#,
        &remote,
    );
    let library = there.nvidia_library();
    let env = format!("env = {{ LD_LIBRARY_PATH = \"{library}\", CUDA_VISIBLE_DEVICES = \"GPU-cccc\" }}\n");
    there.file("tidemill.toml", there.read("tidemill.toml") + &env);
    there.edit("tidemill.toml", "[\"remote\"]", "[{ host = \"remote\", gpus = 1 }]");
    // Somebody who works on that machine.
    let mut holder = Project::with(
        r#"
[steps.notebook]
run = "touch OUTSIDE/held; until [ -e OUTSIDE/go ]; do sleep 0.05; done"
resources.gpus = 1
"#,
    );
    holder.variable("LD_LIBRARY_PATH", &library);
    holder.variable("CUDA_VISIBLE_DEVICES", "GPU-cccc");
    let mut holding = holder.start(&["run", "--json"]);
    holding.until("it has the GPU", || holder.outside("held").exists().then_some(()));
    let mut waiting = there.start(&["run", "--json"]);
    waiting.until("the worker waits", || {
        let logs = there
            .state_files("runs/")
            .into_iter()
            .filter(|path| path.extension().is_some_and(|end| end == "log"));
        let mut logs = logs.filter_map(|path| fs::read_to_string(path).ok());
        logs.any(|log| log.contains("waiting for GPUs that others on this machine use")).then_some(())
    });
    assert!(!there.has("gpu"));
    holder.outside_file("go", "");
    holder.answer_of(holding).ok().executed(1);
    waiting.until("it has it", || there.has("gpu").then_some(()));
    there.answer_of(waiting).ok().executed(1);
    assert_eq!(there.read("gpu"), "GPU-cccc");
}

#[test]
fn an_executor_is_tried_before_it_is_trusted() {
    let mut project =
        Project::with("[steps.a]\nrun = \"true\"\noutputs.o = { path = \"o\", optional = true }\n");
    project.on_slurm("");
    assert_eq!(
        project.tidemill(&["executors", "list"]).ok().stdout,
        "local    this machine\ncluster  slurm\n"
    );
    let tried = project.tidemill(&["executors", "test", "cluster"]).ok().stdout;
    for what in ["ok  settings", "ok  store", "ok  reached", "ok  program", "ok  step", "it ran"] {
        assert!(tried.contains(what), "{what}: {tried}");
    }
    let wrong = project.tidemill(&["executors", "test", "clutser"]).exits(4).stdout;
    assert!(
        wrong.contains("no  settings") && wrong.contains("executors of this project: cluster"),
        "{wrong}"
    );
    project.on_slurm("partition = \"nowhere\"\n");
    let wrong = project.tidemill(&["executors", "test", "cluster"]).exits(4).stdout;
    assert!(wrong.contains("no  step") && wrong.contains("partition"), "{wrong}");
}

#[test]
fn a_step_in_another_account_over_ssh_gives_the_same() {
    let here = made_here();
    let remote = Remote::start();
    let (there, _store) = over_ssh(PIPELINE, &remote);
    there.file("raw.txt", "1\nx\n2\n3\n").file("train.py", TRAIN);
    there.run(&[]).ok().executed(3);
    assert_eq!(there.read("page.txt"), here.read("page.txt"));
    there.run(&[]).ok().executed(0);
    // The secret of the store is in nothing that is written down here.
    for path in there.state_files("") {
        let bytes = fs::read(&path).unwrap();
        assert!(!bytes.windows(23).any(|part| part == b"the-secret-of-the-story"), "{}", path.display());
    }
}
