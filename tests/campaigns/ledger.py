"""What a campaign counts, finds and reports while it goes on."""

import collections
import datetime
import json
import os
import pathlib
import platform
import random
import subprocess
import tempfile
import time



class Campaign:
    """One part of a campaign, from its seed to its line in the report."""

    def __init__(self, name, program, seed, minutes=None):
        self.name, self.program, self.seed = name, program, seed
        self.began, self.minutes = time.monotonic(), minutes
        self.counts, self.notes = collections.Counter(), {}
        self.findings, self.vague, self.left_out = [], collections.Counter(), []


    def random(self, part):
        """Randomness of its own for each part, so that one does not depend on how long another went on."""
        return random.Random(f"{self.seed} {part}")

    def is_over(self):
        """Whether its time is up."""
        return self.minutes is not None and time.monotonic() - self.began > 60 * self.minutes

    def count(self, what, number=1):
        self.counts[what] += number

    def note(self, what, value):
        self.notes[what] = value

    def not_done(self, what):
        self.left_out.append(what)

    def unclear(self, point, answer):
        """A failure whose message does not have the machine's reason."""
        first = next((line for line in answer.stderr.splitlines() if line.strip()), "")
        self.vague[f"{point.split('(')[0]}: exit {answer.code}: {first[:160]}"] += 1

    def fresh(self, old, make):
        self.close(old)
        return make(self.program)

    def close(self, world):
        if world is not None and not world.spoiled:
            world.remove()

    def settle(self, series, point, settled):
        """Takes what was wrong at one point."""
        self.count(f"{series}: looked at")
        for kind, text in settled.wrong:
            self.findings.append({"series": series, "point": point, "kind": kind, "text": text.replace(str(settled.world.base), "[world]")[:4000]})
            print(f"\n{self.name}: FOUND {kind}, {series}, {point} (in {settled.world.base})\n{text}", flush=True)
        if settled.wrong:
            # Its state is the evidence.
            settled.world.spoiled = True

    def finish(self, file):
        """Says in a few lines what came of it, and appends a line to the report."""
        seconds = time.monotonic() - self.began
        print(f"{self.name}: seed {self.seed}, {seconds:.0f} s, {len(self.findings)} findings")
        for what, number in sorted(self.counts.items()):
            print(f"  {what}: {round(number, 1)}")
        for what, number in self.vague.most_common():
            print(f"  without the machine's reason, {number} times: {what}")
        for what in self.left_out:
            print(f"  not done: {what}")
        if file:
            line = {
                "campaign": self.name, "seed": self.seed, "seconds": round(seconds), "date": datetime.date.today().isoformat(),
                "machine": machine(), "version": version(self.program), "counts": {what: round(number, 1) for what, number in self.counts.items()},
                "notes": self.notes, "findings": self.findings, "unclear": self.vague, "not_done": self.left_out,
            }
            with open(file, "a", encoding="utf-8") as report:
                report.write(json.dumps(line, ensure_ascii=False, sort_keys=True) + "\n")
        return not self.findings


def version(program):
    return subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.strip()


def file_system(folder):
    """What kind of file system a folder lies on."""
    try:
        mounts = [line.split() for line in pathlib.Path("/proc/self/mounts").read_text().splitlines()]
    except OSError:
        return "a file system without a name"
    return max((mount for mount in mounts if folder.is_relative_to(mount[1])), key=lambda mount: len(mount[1]))[2]


def machine():
    """What the campaign ran on, without names."""
    kind = file_system(pathlib.Path(tempfile.gettempdir()).resolve())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    release = ".".join(platform.release().split("-")[0].split(".")[:2])
    return f"{platform.system()} {release}, {os.cpu_count()} cores, {memory:.0f} GiB, {kind}"


REPORT = pathlib.Path(__file__).parent / "report.jsonl"
