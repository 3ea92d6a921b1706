//! GPUs: each is given to one step at a time, or to several that share its memory, also by two runs at once. The machine with four GPUs is
//! simulated by a library that answers in place of NVIDIA's; all that asks it is real.

use crate::support::{Project, until};

/// A project on a machine with four GPUs of 1 GiB, whose leases are nobody else's.
fn four_gpus(pipeline: &str) -> Project {
    let mut project = Project::with(pipeline);
    let (folder, leases) = (project.nvidia_library(), project.outside("leases"));
    project.variable("LD_LIBRARY_PATH", &folder);
    project.variable("TIDEMILL_GPU_LEASES", leases.to_str().unwrap());
    project
}

/// Eight trainings. Each holds its GPU by a folder that only one can make, and goes on when four are held at once.
const EIGHT: &str = r#"
[steps.train]
run = '''
mkdir OUTSIDE/held/$CUDA_VISIBLE_DEVICES || touch OUTSIDE/clash
touch OUTSIDE/began/${matrix.fold}
while [ ! -e OUTSIDE/go ]; do
    [ $(ls OUTSIDE/held | wc -l) -lt 4 ] || touch OUTSIDE/go
    sleep 0.01
done
rmdir OUTSIDE/held/$CUDA_VISIBLE_DEVICES
printf %s "$CUDA_VISIBLE_DEVICES" > ${outputs.gpu}
'''
matrix.fold = [1, 2, 3, 4, 5, 6, 7, 8]
resources.gpus = 1
outputs.gpu = { path = "gpu", publish = "gpus/${matrix.fold}" }
"#;

fn used(project: &Project) -> Vec<String> {
    let mut gpus: Vec<String> =
        project.files("gpus").into_values().map(|gpu| String::from_utf8(gpu).unwrap()).collect();
    gpus.sort();
    gpus.dedup();
    gpus
}

#[test]
fn all_are_busy_and_each_has_one_step() {
    let project = four_gpus(EIGHT);
    project.outside_file("held/.keep", "").outside_file("began/.keep", "");
    project.run(&["-j", "8"]).ok().executed(8);
    assert_eq!(used(&project), ["GPU-aaaa", "GPU-bbbb", "GPU-cccc", "GPU-dddd"]);
    assert!(!project.outside("clash").exists(), "two steps had one GPU");
}

#[test]
fn a_step_that_asks_for_two_gets_two_and_one_that_asks_for_none_is_told_nothing() {
    let project = four_gpus(
        r#"
        [steps.pair]
        run = "printf %s $CUDA_VISIBLE_DEVICES > ${outputs.o}"
        resources.gpus = 2
        outputs.o = { path = "o", publish = "pair" }

        [steps.none]
        run = "printf %s $${CUDA_VISIBLE_DEVICES-unset} > ${outputs.o}"
        outputs.o = { path = "o", publish = "none" }
        "#,
    );
    project.run_executes(2);
    let pair = project.read("pair");
    let (first, second) = pair.split_once(',').unwrap();
    assert!(first != second && pair.matches("GPU-").count() == 2, "{pair}");
    assert_eq!(project.read("none"), "unset");
}

#[test]
fn what_was_made_visible_is_all_there_is() {
    let mut project = four_gpus(EIGHT);
    project.outside_file("held/.keep", "").outside_file("began/.keep", "").outside_file("go", "");
    project.variable("CUDA_VISIBLE_DEVICES", "3,GPU-bb");
    project.run(&["-j", "8"]).ok().executed(8);
    assert_eq!(used(&project), ["GPU-bbbb", "GPU-dddd"]);
    assert!(!project.outside("clash").exists(), "two steps had one GPU");
    project.edit("pipeline.toml", "resources.gpus = 1", "resources.gpus = 3");
    project.run(&[]).exits(2).says("3 GPUs");
}

#[test]
fn two_runs_do_not_give_away_the_same_gpu() {
    let mut project = four_gpus(EIGHT);
    project.outside_file("held/.keep", "").outside_file("began/.keep", "");
    let mut other = project.checkout("other");
    for project in [&mut project, &mut other] {
        project.variable("CUDA_VISIBLE_DEVICES", "0,1");
    }
    let mut first = project.start(&["run", "--json", "-j", "8"]);
    let began = || std::fs::read_dir(project.outside("began")).unwrap().count() - 1;
    first.until("both GPUs are used", || (began() == 2).then_some(()));
    let second = other.start(&["run", "-j", "8"]);
    until("the second run waits for them", || waits(&other));
    assert_eq!(began(), 2, "no third step began");
    project.outside_file("go", "");
    project.answer_of(first).ok().executed(8);
    other.answer_of(second).ok().says("waits for GPUs");
    assert_eq!(used(&other), ["GPU-aaaa", "GPU-bbbb"]);
    assert!(!project.outside("clash").exists(), "two runs gave one GPU away");
}

/// Six trainings that share what there is. Each adds what it takes to the sum of its GPU, and goes on when four are held at once.
const SHARED: &str = r#"
[steps.train]
run = """
exec 9> OUTSIDE/held/lock
take() { flock 9; used=$(cat OUTSIDE/held/$CUDA_VISIBLE_DEVICES 2>/dev/null || echo 0); used=$((used + $1)); echo $used > OUTSIDE/held/$CUDA_VISIBLE_DEVICES; flock -u 9; }
take 500
[ $used -le 1000 ] || touch OUTSIDE/clash
touch OUTSIDE/began/${matrix.fold}
until [ -e OUTSIDE/go ]; do
    [ $(ls OUTSIDE/began | wc -l) -lt 4 ] || touch OUTSIDE/go
    sleep 0.01
done
take -500
printf %s "$CUDA_VISIBLE_DEVICES" > ${outputs.gpu}
"""
matrix.fold = [1, 2, 3, 4, 5, 6]
resources = { gpus = 1, vram = "500 MiB" }
outputs.gpu = { path = "gpu", publish = "gpus/${matrix.fold}" }
"#;

#[test]
fn steps_that_say_how_much_memory_they_need_share_a_gpu() {
    let mut project = four_gpus(SHARED);
    project.outside_file("held/lock", "").outside_file("began/.keep", "");
    project.variable("CUDA_VISIBLE_DEVICES", "0,1");
    project.run(&["-j", "8"]).ok().executed(6);
    assert_eq!(used(&project), ["GPU-aaaa", "GPU-bbbb"]);
    assert!(
        project.outside("go").exists() && !project.outside("clash").exists(),
        "no GPU gave more than it has"
    );
    project.edit("pipeline.toml", "500 MiB", "1025 MiB");
    let refused = project.run(&["--force", "train"]).exits(2);
    refused.says("asks for 1 GPU with 1.0 GiB of memory each, and this machine has 0 such among 2");
    project.tidemill(&["doctor"]).says("asks for 1 GPU with 1.0 GiB of memory each");
}

#[test]
fn two_runs_share_a_gpu_within_its_memory_and_one_that_says_nothing_waits() {
    let mut project = four_gpus(SHARED);
    project.outside_file("held/lock", "").outside_file("began/.keep", "");
    let mut other = project.checkout("other");
    let mut whole = project.checkout("whole");
    whole.edit("pipeline.toml", ", vram = \"500 MiB\"", "");
    for project in [&mut project, &mut other, &mut whole] {
        project.variable("CUDA_VISIBLE_DEVICES", "0");
    }
    let mut first = project.start(&["run", "--json", "-j", "1"]);
    let began = || std::fs::read_dir(project.outside("began")).unwrap().count() - 1;
    first.until("it has its part", || (began() == 1).then_some(()));
    let mut third = whole.start(&["run", "--json", "-j", "1"]);
    third.until("one that wants a whole GPU waits", || waits(&whole));
    // Of another step of the pipeline, so that it has something of its own to make.
    other.edit("pipeline.toml", "[1, 2, 3, 4, 5, 6]", "[7, 8]");
    let mut second = other.start(&["run", "--json", "-j", "4"]);
    second
        .until("the second shares it, and its second step waits", || waits(&other).filter(|()| began() == 2));
    project.outside_file("go", "");
    project.answer_of(first).ok().executed(6);
    other.answer_of(second).ok().executed(2);
    third.until("the third has the GPU when they are done", || whole.has("gpus/6").then_some(()));
    whole.answer_of(third).ok().executed(6);
    assert!(!project.outside("clash").exists(), "two runs gave away more than there is");
    let left = std::fs::read_dir(project.outside("leases")).unwrap();
    assert_eq!(left.map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>(), ["guard"]);
}

/// An attempt is looked at when it is five seconds old; the step ends soon after that.
#[test]
fn what_a_step_has_of_a_gpu_is_told_apart_and_kept() {
    let mut project = four_gpus(
        r#"
[steps.train]
run = """
echo "$CUDA_VISIBLE_DEVICES $$ 700" > OUTSIDE/processes
echo "$CUDA_VISIBLE_DEVICES 1 50000" >> OUTSIDE/processes
sleep 5.2; rm -f OUTSIDE/asked
until [ -e OUTSIDE/asked ]; do sleep 0.1; done
sleep 0.5
"""
resources = { gpus = 1, vram = "100 MiB" }
"#,
    );
    project.variable("CUDA_VISIBLE_DEVICES", "2");
    project.run(&[]).ok().executed(1);
    let shown = project.tidemill(&["show", "--json"]).ok().json().to_string();
    assert!(shown.contains("\"gpu_memory\":700") && shown.contains("\"gpu_busy\":50"), "{shown}");
}

/// Whether a run of a project said that it waits for GPUs.
fn waits(project: &Project) -> Option<()> {
    let journals = project.state_files("runs/");
    let mut texts = journals.iter().filter_map(|path| std::fs::read_to_string(path).ok());
    texts.any(|text| text.contains("waits for GPUs that others on this machine use")).then_some(())
}
