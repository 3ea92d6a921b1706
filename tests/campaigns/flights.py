#!/usr/bin/env python3
"""All 336,776 flights of pipelines/flights, month by month, with the real daemon; the log of it goes to docs/flights.md.

    tests/campaigns/flights.py --tidemill PROGRAM [--every N] [--keep]

A month comes at once, in pieces over longer than it must stay as it is, or under another name. Each must lead to one run, which reads that month
only, passes the gate and goes live; in the end the model must be the one that a single run over all twelve months makes. It ends with 1 if not.
"""

import argparse
import datetime
import json
import os
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from campaigns.ledger import machine, version
from campaigns.world import World

PAGE = ROOT / "docs" / "flights.md"
BEGIN, END = "<!-- the log: tests/campaigns/flights.py -->", "<!-- the end of the log -->"
EXAMPLE = ROOT / "pipelines" / "flights"
FOLLOWING = ["gather", "learn", "measure", "validate", "preprocess", "train", "evaluate", "register", "deploy"]
# A copy takes so many seconds, and the longest that something may take to happen.
COPY, PATIENCE = 8, 300
WAYS = ["in pieces", "renamed", "at once"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tidemill", required=True)
    parser.add_argument("--every", type=int, default=1, metavar="N", help="every Nth flight only, to try this script; the page stays as it is")
    parser.add_argument("--keep", action="store_true", help="keep the project")
    options = parser.parse_args()
    program = str(pathlib.Path(options.tidemill).resolve())
    world = project(program)
    try:
        story = Story(world, months(options.every))
        story.play()
        text = story.told(program)
    finally:
        print(f"the project is in {world.root}") if options.keep else world.remove()
    print(text)
    if options.every == 1:
        page = PAGE.read_text(encoding="utf-8")
        before, rest = page.split(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{rest.split(END)[1]}", encoding="utf-8")


def months(every):
    """The months by name, as bytes."""
    folder = pathlib.Path(subprocess.run([ROOT / "tests" / "setup-flights"], check=True, capture_output=True, text=True).stdout.strip())
    return {path.name: b"".join(path.read_bytes().splitlines(keepends=True)[::every]) for path in sorted(folder.glob("*.csv"))}


def project(program):
    """A copy of the example, and no month."""
    world = World(program)
    world.file("tidemill.toml", "")
    for name in ["pipeline.toml", "month.py"]:
        world.file(f"pipelines/flights/{name}", (EXAMPLE / name).read_bytes())
    return world


class Story:
    """The months, and what was seen of each."""

    def __init__(self, world, months):
        self.world, self.months, self.lines = world, months, []

    def play(self):
        daemon = self.world.start("daemon", "--port", "0", "--ready-file", "ready")
        self.until("the daemon has looked for months", lambda: "#month" in self.queue_file(), daemon)
        self.began = time.monotonic()
        for number, (name, content) in enumerate(self.months.items(), 1):
            way = WAYS[number % len(WAYS)]
            self.put(name, content, way)
            came = datetime.datetime.now(datetime.timezone.utc)
            self.until(f"the run of {name} has ended", lambda number=number: self.is_done(number), daemon)
            self.lines.append(self.look(number, name, way, came))
            print(self.lines[-1], flush=True)
        self.took = time.monotonic() - self.began
        os.killpg(daemon.pid, 15)
        self.must(self.world.answer(daemon))
        self.must(self.world.tidemill("tick"), "nothing was due")
        runs = self.json("runs", "--json", "--limit", "1000")["runs"]
        self.expect(len(runs), len(self.months), "runs")
        self.expect(self.json("run", "flights", "--json")["counts"]["executed"], 0, "steps of a run by hand")
        self.compare()

    def put(self, name, content, way):
        path = self.world.root / "pipelines" / "flights" / "months" / name
        path.parent.mkdir(exist_ok=True)
        if way == "at once":
            path.write_bytes(content)
        elif way == "renamed":
            aside = path.with_name(f"{name}.part")
            aside.write_bytes(content)
            aside.rename(path)
        else:
            size = len(content) // 40 + 1
            with open(path, "wb", buffering=0) as file:
                for place in range(0, len(content), size):
                    time.sleep(COPY / 40)
                    file.write(content[place : place + size])

    def queue_file(self):
        path = self.world.state / "triggers" / "queue.jsonl"
        return path.read_text() if path.exists() else ""

    def is_done(self, number):
        records = [json.loads(line) for line in self.queue_file().splitlines(keepends=True) if line.endswith("\n")]
        arrived = sum(len(record.get("arrivals", [])) for record in records)
        if arrived > number:
            sys.exit(f"{arrived} arrivals of {number} months: {self.queue_file()}")
        return sum(record["record"] == "settled" for record in records) == number

    def look(self, number, name, way, came):
        """What the run of a month did: a line of the log."""
        run = self.json("show", "last", "--json")
        self.expect((run["outcome"], run["cause"], run["triggered"]["trigger"]), ("succeeded", "watch", "month"), name)
        steps = {step["step"]: step for step in run["steps"]}
        executed = [step for step in steps if steps[step]["state"] == "executed"]
        self.expect(executed, [f"ingest[file=months/{name}]", *FOLLOWING], name)
        cached = [step for step in steps if steps[step]["state"] == "cached"]
        self.expect(cached, [f"ingest[file=months/{earlier}]" for earlier in list(self.months)[: number - 1]], name)
        champion = self.json("models", "show", "flights", "--json")["aliases"]["champion"]
        self.expect(champion, number, f"the champion after {name}")
        self.model = steps["train"]["outputs"]["model"]["digest"]
        counts, scores = steps[executed[0]]["metrics"], steps["evaluate"]["metrics"]
        started, finished = (datetime.datetime.fromisoformat(re.sub(r"(\.\d{6})\d*Z", r"\1+00:00", run[key])) for key in ("started", "finished"))
        rival = scores.get("rival.rmse")
        return {
            "month": name.removesuffix(".csv"), "it came": way, "flights": f"{counts['flights']:,.0f}",
            "executed": f"{len(executed)}", "cached": f"{len(cached)}",
            "began after": f"{(started - came).total_seconds():.1f} s", "run": f"{run['wall_ms'] / 1000:.1f} s",
            "of it train": f"{steps['train']['attempts'][0]['usage']['wall_ms'] / 1000:.1f} s",
            "learned from": f"{steps['train']['metrics']['rows']:,.0f}", "measured on": f"{scores['rows']:,.0f}",
            "RMSE": f"{scores['rmse']:.3f}", "of the champion": f"{rival:.3f}" if rival else "–",
            "gate": "open" if steps["evaluate"]["gate"] else "closed", "version": f"{champion}",
        }

    def compare(self):
        """A single run over all months, in a project of its own, makes the same model."""
        other = project(self.world.program)
        try:
            for name, content in self.months.items():
                other.file(f"pipelines/flights/months/{name}", content)
            began = time.monotonic()
            answer = self.must(other.tidemill("run", "flights", "--json"))
            self.alone = time.monotonic() - began
            run = json.loads(other.tidemill("show", "last", "--json").stdout)
            models = {step["step"]: step["outputs"]["model"]["digest"] for step in run["steps"] if step["step"] == "train"}
            self.expect(models["train"], self.model, f"the model of a single run {answer.code}")
        finally:
            other.remove()

    def told(self, program):
        """The log in Markdown."""
        names = list(self.lines[0])
        left = {"month", "it came", "gate"}
        rule = "|".join("---" if name in left else "---:" for name in names)
        rows = [f"| {' | '.join(names)} |", f"|{rule}|", *(f"| {' | '.join(line.values())} |" for line in self.lines)]
        flights = sum(int(line["flights"].replace(",", "")) for line in self.lines)
        size = sum(path.stat().st_size for path in self.world.state.rglob("*") if path.is_file() and not path.is_symlink())
        day = datetime.date.today().isoformat()
        return (
            f"Played on {day}: {version(program)}, {machine()}.\n\n" + "\n".join(rows) + "\n\n"
            f"{flights:,} flights, {len(self.lines)} arrivals, {len(self.lines)} runs, {len(self.lines)} executions of `ingest`; {self.took:.0f} s in all, "
            f"most of it the copies and the {settle()} that a month must stay as it is. `tidemill tick` after that: nothing was due; "
            f"`tidemill run flights`: 0 steps executed. A single run over all twelve months in a new project takes {self.alone:.1f} s and makes the same model, "
            f"byte for byte. The state folder holds {size / 2**20:.0f} MiB.\n"
        )

    # --- What every look stands on

    def until(self, what, condition, daemon):
        end = time.monotonic() + PATIENCE
        while not condition():
            if daemon.poll() is not None or time.monotonic() > end:
                sys.exit(f"not so: {what}\n{self.queue_file()}")
            time.sleep(0.02)

    def json(self, *arguments):
        return self.must(self.world.tidemill(*arguments)).json()

    def must(self, answer, words=""):
        if answer.code != 0 or words not in answer.stdout + answer.stderr:
            sys.exit(f"{words} {answer}")
        return answer

    def expect(self, found, wanted, what):
        if found != wanted:
            sys.exit(f"{what}: {found}, and not {wanted}")


def settle():
    """How long a month must stay as it is, in the pipeline's words."""
    return re.search(r'^settle = "(.*)"', (EXAMPLE / "pipeline.toml").read_text(encoding="utf-8"), re.MULTILINE)[1]


if __name__ == "__main__":
    main()
