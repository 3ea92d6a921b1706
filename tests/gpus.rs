//! GPUs: each is given to one step at a time, also by two runs at once. The machine with four GPUs is simulated by a library
//! that answers in place of NVIDIA's; all that asks it is real.

use std::process::Command;

use crate::support::{Project, until};

/// The part of NVIDIA's library that is asked, for a machine with four GPUs of one kind.
/// <https://docs.nvidia.com/deploy/nvml-api/>
const LIBRARY: &str = r#"
#include <stdio.h>
#include <string.h>
typedef struct { unsigned gpu, memory; } Use;
typedef struct { unsigned long long total, free, used; } Memory;
static const char *uuids[] = {"GPU-aaaa", "GPU-bbbb", "GPU-cccc", "GPU-dddd"};
int nvmlInit_v2(void) { return 0; }
int nvmlShutdown(void) { return 0; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = 4; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) {
    if (index >= 4) return 2;
    *device = (void *)uuids[index];
    return 0;
}
int nvmlDeviceGetHandleByUUID(const char *uuid, void **device) {
    for (int index = 0; index < 4; index++)
        if (!strcmp(uuid, uuids[index])) return nvmlDeviceGetHandleByIndex_v2(index, device);
    return 6;
}
int nvmlDeviceGetUUID(void *device, char *uuid, unsigned length) { snprintf(uuid, length, "%s", (char *)device); return 0; }
int nvmlDeviceGetName(void *device, char *name, unsigned length) { snprintf(name, length, "Simulated"); return 0; }
int nvmlDeviceGetUtilizationRates(void *device, Use *use) { use->gpu = 50; use->memory = 1; return 0; }
int nvmlDeviceGetMemoryInfo(void *device, Memory *memory) { memory->total = 1 << 30; memory->used = 1 << 20; return 0; }
"#;

/// A project on a machine with four GPUs.
fn four_gpus(pipeline: &str) -> Project {
    let mut project = Project::with(pipeline);
    project.outside_file("nvml.c", LIBRARY);
    let made = Command::new("cc")
        .args(["-shared", "-fPIC", "-o", "libnvidia-ml.so.1", "nvml.c"])
        .current_dir(project.outside(""))
        .status();
    assert!(made.unwrap().success());
    let (folder, runtime) = (project.outside(""), project.outside("runtime"));
    std::fs::create_dir(&runtime).unwrap();
    project.variable("LD_LIBRARY_PATH", folder.to_str().unwrap());
    project.variable("XDG_RUNTIME_DIR", runtime.to_str().unwrap());
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
    until("the second run waits for them", || {
        let journals = other.state_files("runs/");
        let mut texts = journals.iter().filter_map(|path| std::fs::read_to_string(path).ok());
        texts.any(|text| text.contains("waits for GPUs that another run on this machine uses")).then_some(())
    });
    assert_eq!(began(), 2, "no third step began");
    project.outside_file("go", "");
    project.answer_of(first).ok().executed(8);
    other.answer_of(second).ok().says("waits for GPUs");
    assert_eq!(used(&other), ["GPU-aaaa", "GPU-bbbb"]);
    assert!(!project.outside("clash").exists(), "two runs gave one GPU away");
}
