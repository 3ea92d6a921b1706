"""Steps on a Slurm: what Tidemill adds to what Slurm itself takes, beside submitting by hand and beside Snakemake's plugin. The Slurm is a real
one, of two nodes on this machine, so all of it shares the cores with who waits for it: what counts is the differences."""

import contextlib
import json
import os
import pathlib
import subprocess
import tempfile
import time

from .measure import Run, in_turn, median, once

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
COMMANDS = ["sbatch", "squeue", "scancel", "sacct", "scontrol"]
# Snakemake asks again as soon as it lets itself be told to.
SNAKEMAKE = ["--executor", "slurm", "--quiet", "all", "--nocolor", "--slurm-no-account", "--slurm-status-command", "squeue",
             "--slurm-init-seconds-before-status-checks", "1", "--seconds-between-status-checks", "1", "--latency-wait", "30",
             "--default-resources", "slurm_partition=main", "runtime=10", "mem_mb=400", "disk_mb=100"]
# So many steps are done with Snakemake, a job each: the script of its plugin for arrays comes to an end without their outputs here.
FEW = 20
# After so many seconds without a further job by hand, those that are left are lost: nobody makes them again.
LOST = 15
# Where Slurm's commands look for their settings in a job of Snakemake, which passes on no variable of ours.
SYSTEM = pathlib.Path("/etc/slurm/slurm.conf")


def elsewhere(report, options, program, peers, _folder):
    """One tiny step, and many, each way."""
    many = 500 if options.all else 100
    with tempfile.TemporaryDirectory(prefix="tidemill-bench-slurm-") as folder, slurm(pathlib.Path(folder) / "slurm") as configuration:
        os.environ["SLURM_CONF"] = configuration
        ways = Ways(pathlib.Path(folder), program, peers.snakemake_on_slurm() if "snakemake" in options.peers else None)
        try:
            measure(report, options, ways, many)
        finally:
            del os.environ["SLURM_CONF"]


def measure(report, options, ways, many):
    tries = min(options.tries, 5)
    here, ours, hand = in_turn(tries, lambda: ways.tidemill(1, "local"), lambda: ways.tidemill(1, "slurm"), lambda: ways.by_hand(1))
    report.line("one tiny step on Slurm", ours, hand, "sbatch by hand")
    more = median(ours) - median(hand)
    report.note(f"a tiny step on this machine takes {1000 * median(here):.0f} ms; on Slurm Tidemill adds {1000 * more:.0f} ms to what it takes by hand")
    ours, hand = in_turn(min(tries, 3), lambda: ways.tidemill(many, "slurm"), lambda: ways.by_hand(many))
    report.line(f"{many} tiny steps on Slurm", ours, hand, "one sbatch of an array")
    report.note(f"per step: {1000 * (median(ours) - median(hand)) / many:.0f} ms more than by hand")
    if ways.snakemake:
        one, own = in_turn(min(tries, 3), lambda: ways.with_snakemake(1), lambda: ways.tidemill(1, "slurm"))
        report.line("one tiny step on Slurm", own, one, "snakemake's plugin")
    asked = {f"tidemill asks Slurm for {many} steps": ways.counted(lambda: ways.tidemill(many, "slurm"))[1]}
    if ways.snakemake:
        few = ways.tidemill(FEW, "slurm")
        theirs, asked[f"snakemake asks Slurm for {FEW} steps"] = ways.counted(lambda: ways.with_snakemake(FEW))
        report.line(f"{FEW} tiny steps on Slurm", [few], [theirs], "snakemake's plugin")
    for who, count in asked.items():
        said = ", ".join(f"{command} {number}" for command, number in count.items() if number)
        report.note(f"{who} so often: {said}")


class Ways:
    """The ways to have tiny jobs done. Each writes a file of its own into a folder that all nodes see."""

    def __init__(self, folder, program, snakemake):
        self.folder, self.program, self.snakemake = folder, program, snakemake
        self.made = 0

    def fresh(self):
        self.made += 1
        place = self.folder / f"way-{self.made}"
        place.mkdir()
        return place

    def tidemill(self, count, executor):
        place = self.fresh()
        numbers = ",".join(map(str, range(count)))
        settings = {"kind": "slurm", "program": str(self.program), "folder": f"{place}/jobs", "cache": f"{place}/worker"}
        (place / "tidemill.toml").write_text(
            f'[store]\nurl = "file://{place}/store"\n\n[executors.slurm]\n' + "".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items()))
        (place / "pipeline.toml").write_text(
            f'[pipeline]\nname = "tiny"\n\n[steps.tiny]\nrun = "echo ${{matrix.i}} > ${{outputs.out}}"\noutputs.out = "out.txt"\n'
            f'matrix.i = [{numbers}]\nexecutor = "{executor}"\nresources.memory = "100 MiB"\n')
        return once([self.program, "run", "-q"], place)

    def by_hand(self, count):
        """One array, and somebody who looks at the folder all the time."""
        place = self.fresh()
        script = f'#!/bin/sh\necho "$SLURM_ARRAY_TASK_ID" > {place}/new.$SLURM_ARRAY_TASK_ID && mv {place}/new.$SLURM_ARRAY_TASK_ID {place}/out.$SLURM_ARRAY_TASK_ID\n'
        begin, before = time.perf_counter(), os.times()
        subprocess.run(["sbatch", "--parsable", "--mem=100", f"--array=0-{count - 1}", "--output=/dev/null"], input=script, text=True,
                       cwd=place, check=True, stdout=subprocess.DEVNULL)
        done, last = 0, begin
        while done < count:
            time.sleep(0.005)
            before_it, done = done, sum(name.startswith("out.") for name in os.listdir(place))
            if done > before_it:
                last = time.perf_counter()
            elif time.perf_counter() - last > LOST:
                print(f"  Slurm has failed {count - done} of {count} jobs that were submitted by hand", flush=True)
                break
        wall, after = last - begin, os.times()
        return Run(wall, after.children_user + after.children_system - before.children_user - before.children_system, 0)

    def with_snakemake(self, count):
        place = self.fresh()
        (place / "Snakefile").write_text(
            f'rule all:\n    input: expand("out.{{i}}", i=range({count}))\nrule tiny:\n    output: "out.{{i}}"\n    shell: "echo {{wildcards.i}} > {{output}}"\n')
        return once([self.snakemake, *SNAKEMAKE, "--jobs", str(count)], place)

    def counted(self, work):
        """What work gives, and how often each of Slurm's commands is called meanwhile."""
        place = self.fresh()
        path = os.environ["PATH"]
        for command in COMMANDS:
            (place / command).write_text(f'#!/bin/sh\necho {command} >> {place}/log\nPATH={path} exec {command} "$@"\n')
            (place / command).chmod(0o755)
        (place / "log").touch()
        os.environ["PATH"] = f"{place}:{path}"
        try:
            done = work()
        finally:
            os.environ["PATH"] = path
        said = (place / "log").read_text().split()
        return done, {command: said.count(command) for command in COMMANDS}


@contextlib.contextmanager
def slurm(folder):
    """A Slurm that goes away at the end; where its configuration is."""
    # Its REST server is another user, who must be able to pass through.
    folder.parent.chmod(0o755)
    keeper = subprocess.Popen([ROOT / "tests/engines/slurm", folder, "MaxArraySize=2001", "MaxJobCount=10000"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    line = keeper.stdout.readline()
    if not line:
        raise SystemExit("there is no Slurm: see above")
    configuration = pathlib.Path(json.loads(line)["SLURM_CONF"])
    is_ours = not SYSTEM.exists()
    try:
        if is_ours:
            SYSTEM.parent.mkdir(exist_ok=True)
            SYSTEM.unlink(missing_ok=True)
            SYSTEM.symlink_to(configuration)
        yield str(configuration)
    finally:
        if is_ours:
            SYSTEM.unlink(missing_ok=True)
        keeper.stdin.close()
        keeper.wait()
