//! GPUs for stories: a library that answers in place of NVIDIA's, for a machine with four of them. All that asks it is real.

use std::process::Command;

use super::Project;

/// The part of NVIDIA's library that is asked, for a machine with four GPUs of one kind.
/// <https://docs.nvidia.com/deploy/nvml-api/>
const LIBRARY: &str = r#"
#include <stdio.h>
#include <string.h>
typedef struct { unsigned gpu, memory; } Use;
typedef struct { unsigned version; unsigned long long total, reserved, free, used; } Memory;
typedef struct { unsigned pid; unsigned long long bytes; unsigned gpu, instance; } Process;
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
int nvmlDeviceGetMemoryInfo_v2(void *device, Memory *memory) { memory->total = 1 << 30; memory->used = 1 << 20; return 0; }
/* Whoever says in `processes` that it is one, with what it has: lines of a UUID, a process and bytes. */
int nvmlDeviceGetComputeRunningProcesses_v3(void *device, unsigned *count, Process *processes) {
    char path[4096], uuid[64];
    unsigned found = 0, pid;
    unsigned long long bytes;
    snprintf(path, sizeof path, "%s/processes", FOLDER);
    FILE *file = fopen(path, "r");
    while (file && fscanf(file, "%63s %u %llu", uuid, &pid, &bytes) == 3) {
        if (strcmp(uuid, device)) continue;
        if (found < *count && processes) processes[found] = (Process){pid, bytes, -1, -1};
        found++;
    }
    if (file) fclose(file);
    snprintf(path, sizeof path, "%s/asked", FOLDER);
    file = found && processes ? fopen(path, "w") : 0;
    if (file) fclose(file);
    int fits = found <= *count;
    *count = found;
    return fits ? 0 : 7;
}
"#;

impl Project {
    /// Makes the library; the folder that it lies in.
    pub(crate) fn nvidia_library(&self) -> String {
        self.outside_file("nvml.c", LIBRARY);
        let made = Command::new("cc")
            .args(["-shared", "-fPIC", "-o", "libnvidia-ml.so.1", "nvml.c"])
            .arg(format!("-DFOLDER=\"{}\"", self.outside("").display()))
            .current_dir(self.outside(""))
            .status();
        assert!(made.unwrap().success());
        self.outside("").to_str().unwrap().to_owned()
    }
}
