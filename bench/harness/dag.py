"""The same DAG for every program: cold, with nothing to do, touched, with one leaf changed, and back again."""

import itertools
import os
import subprocess

from . import write
from .measure import in_turn, median, once

JOBS = "2"
WAYS = ["one", "matrix", "published"]


def ours(program):
    return [program, "run", "-q", "-j", JOBS]


def dag(report, options, program, peers, folder):
    """Cold runs, no-ops and changes, for every shape and size."""
    # Nothing is removed before the end: on some file systems that would slow down what is made afterwards.
    for shape in options.shapes:
        for steps in options.steps if shape == "layered" else [size for size in options.steps if size <= 10_000]:
            Bench(report, options, program, peers, folder, shape, steps).all()


class Bench:
    """One DAG: its projects, and what is done with them."""

    def __init__(self, report, options, program, peers, folder, shape, steps):
        self.report, self.options, self.program, self.peers, self.folder = report, options, program, peers, folder
        self.name, self.shape, self.steps = f"{shape}, {steps:,} steps", shape, steps
        self.base = f"{shape}-{steps}"
        self.edges = list(write.shaped(shape, steps))
        self.ways = WAYS if shape == "layered" else ["one"]
        self.tries = options.tries if steps <= 10_000 else 3
        self.ninja = [peers.ninja, "-j", JOBS] if "ninja" in options.peers and peers.ninja else None

    def all(self):
        self.cold()
        for way in self.ways:
            self.no_op(way)
        self.touched()
        self.leaf()
        self.others()

    def place(self, way):
        return self.folder / f"{self.base}-{way}"

    def cold(self):
        """Everything is executed, in folders in which nothing was before."""
        tries = 5 if self.steps <= 1_000 else 3 if self.steps <= 10_000 else 1
        works = {"ninja": self.ninja} if self.ninja else {}
        works |= {way: ours(self.program) for way in self.ways}
        if self.peers.n2 and "n2" in self.options.peers:
            works["n2"] = [self.peers.n2, "-j", JOBS]
        runs = {way: [] for way in works}
        for number in reversed(range(tries)):
            for way, command in works.items():
                # The last ones stay for what follows.
                place = self.place(way) if number == 0 else self.folder / f"{self.base}-{way}-{number}"
                self.write(place, way, 0)
                runs[way].append(once(command, place))
        for way in self.ways:
            self.report.line(f"cold, {self.name}, {way}", runs[way], runs.get("ninja"), "ninja", 1.6)
        if "n2" in runs:
            self.report.note(f"n2, cold: {median(runs['n2']):.2f} s")

    def write(self, place, way, edition):
        if way in WAYS:
            write.tidemill(place, self.edges, way, edition)
        else:
            write.ninja(place, self.edges, edition)

    def no_op(self, way):
        place = self.place(way)
        # What was written in the last moment of the cold run is looked at once more.
        once(ours(self.program), place)
        expect(self.program, place, 0)
        target = 1.5 if way == "published" else 1.0
        self.pair(f"no-op, {self.name}, {way}", lambda: once(ours(self.program), place), self.other(), target)
        self.report.grows(f"no-op, {self.shape}, {way}", self.steps)

    def touched(self):
        """The input has another time and the same content: who goes by times does everything again."""
        place = self.place("one")

        def run():
            os.utime(place / "in.txt")
            return once(ours(self.program), place)

        self.report.line(f"input touched, {self.name}", *in_turn(3, run))

    def leaf(self):
        """One leaf changed: by a file that only it reads, and by its command, for which the pipeline is parsed anew."""
        counter = itertools.count(1)

        def by_file(where, command):
            (where / "leaf.txt").write_text(f"{next(counter)}\n")
            return once(command, where)

        def by_command(where, way, command):
            self.write(where, way, next(counter))
            return once(command, where)

        place, command = self.place("one"), ours(self.program)
        other = self.place("ninja")
        self.pair(
            f"leaf changed by its file, {self.name}", lambda: by_file(place, command),
            self.ninja and (lambda: by_file(other, self.ninja)), 1.0,
        )
        self.report.grows(f"leaf changed by its file, {self.shape}", self.steps)
        self.pair(
            f"leaf changed by its command, {self.name}", lambda: by_command(place, "one", command),
            self.ninja and (lambda: by_command(other, "ninja", self.ninja)), 1.0,
        )
        self.write(place, "one", 0)
        (place / "leaf.txt").write_text("leaf\n")
        self.report.line(f"back again, from the cache, {self.name}", [once(command, place)])
        expect(self.program, place, 0)

    def others(self):
        """Peers that are far away: once, at a hundred steps."""
        if self.steps > 100:
            return
        if "snakemake" in self.options.peers and (snakemake := self.peers.snakemake()):
            place = self.place("snakemake")
            write.snakemake(place, self.edges)
            self.twice("snakemake", [snakemake, "--quiet", "--cores", JOBS], place)
        if "dvc" in self.options.peers and (dvc := self.peers.dvc()):
            place = self.place("dvc")
            write.dvc(place, self.edges)
            subprocess.run([dvc, "init", "-q", "--no-scm"], cwd=place, check=True)
            self.twice("dvc", [dvc, "repro", "-q"], place)

    def twice(self, name, command, place):
        cold, no_op = once(command, place).wall, once(command, place).wall
        self.report.note(f"{name}, {self.name}: cold {cold:.2f} s, no-op {no_op:.2f} s")

    def other(self):
        return self.ninja and (lambda: once(self.ninja, self.place("ninja")))

    def pair(self, work, ours, theirs, target):
        if theirs:
            self.report.line(work, *in_turn(self.tries, ours, theirs), "ninja", target)
        else:
            self.report.line(work, *in_turn(self.tries, ours))


def changes(report, options, program, peers, folder):
    """How the cost grows with what is changed: so many of 10,000 steps, each by a file of its own."""
    steps = 10_000 if options.all else 1_000
    place, other = folder / "changes", folder / "changes-ninja"
    counts = sorted({1, 10, 100, steps // 10})
    write.fan_tidemill(place, steps, counts[-1])
    write.fan_ninja(other, steps, counts[-1])
    ninja = [peers.ninja, "-j", JOBS] if "ninja" in options.peers and peers.ninja else None
    once(ours(program), place)
    if ninja:
        once(ninja, other)
    edition = itertools.count(1)

    def changed(where, command, count):
        for number in range(count):
            (where / f"{number}.txt").write_text(f"{next(edition)}\n")
        return once(command, where)

    for count in counts:
        works = [lambda: changed(place, ours(program), count)]
        works += [lambda: changed(other, ninja, count)] if ninja else []
        runs = in_turn(3, *works)
        report.line(f"{count:,} of {steps:,} steps changed", runs[0], runs[1] if ninja else None, "ninja")
        report.grows(f"steps changed, of {steps:,}", count)


def expect(program, place, executed):
    """Holds that a run does what the table says."""
    answer = subprocess.run([program, "run", "-j", JOBS], cwd=place, capture_output=True, text=True)
    if f"{executed} steps executed" not in answer.stdout:
        raise SystemExit(f"a run in {place} did something else than it should:\n{answer.stdout}")
