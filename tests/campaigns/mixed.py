"""The mixed pipeline: some of everything that a run may be in the middle of; and what must be true after each mishap."""

import pathlib

from .world import World, difference, tree

PIPELINE = r"""
[pipeline]
name = "mixed"

[params]
n = 0
m = 0
least = 0

[steps.small]
run = '''
COUNT small.${params.n}
for i in 1 2 3; do echo ${params.n} $i; done > ${outputs.rows}
cat ${inputs.words} >> ${outputs.rows}
'''
inputs.words = "words.txt"
outputs.rows = { path = "rows.txt", publish = "out/rows.txt" }

[steps.tree]
run = '''
COUNT tree.${params.n}
mkdir -p ${outputs.tree}/empty ${outputs.tree}/sub
for i in 1 2 3 4 5 6; do echo ${params.n} $i > ${outputs.tree}/sub/$i; done
ln -s 1 ${outputs.tree}/sub/first
echo 'echo hello' > ${outputs.tree}/program
chmod +x ${outputs.tree}/program
'''
outputs.tree = { path = "tree", kind = "dir", publish = "out/tree" }

[steps.part]
run = '''
COUNT part-${matrix.part}.${params.m}.$(cksum < ${inputs.rows} | cut -d' ' -f1)
sed s/^/${matrix.part}-${params.m}:/ ${inputs.rows} > ${outputs.part}
'''
inputs.rows = "${small.rows}"
outputs.part = "part.txt"
matrix = { part = [1, 2, 3] }

[steps.sum]
run = '''
COUNT sum.$(cat ${inputs.parts}/* | cksum | cut -d' ' -f1)
cat ${inputs.parts}/* > ${outputs.sum}
'''
inputs.parts = { collect = "${part.part}" }
outputs.sum = { path = "sum.txt", publish = "out/sum.txt" }

[steps.large]
run = '''
COUNT large.${params.m}
{ echo ${params.m}; yes ${params.m} | head -c 1572864; cat ${inputs.data}; } > ${outputs.large}
'''
inputs.data = "data.bin"
outputs.large = { path = "large.bin", publish = "out/large.bin" }

[steps.slow]
run = '''
COUNT slow.${params.n}
setsid sleep 300 &
for i in 1 2 3 4; do echo ${params.n} $i; sleep 0.03; done > ${outputs.lines} &
wait $!
'''
outputs.lines = "lines.txt"

[steps.score]
run = '''
COUNT score.$(cat ${inputs.sum} ${inputs.lines} | cksum | cut -d' ' -f1).${params.n}.${params.m}
printf '{"n": %s, "bytes": %s}\n' ${params.n} $(cat ${inputs.sum} ${inputs.large} ${inputs.lines} | wc -c) > ${outputs.metrics}
'''
inputs = { sum = "${sum.sum}", large = "${large.large}", lines = "${slow.lines}" }
outputs.metrics = { path = "metrics.json", kind = "metrics", publish = "out/metrics.json" }
gate = "n >= params.least"

[steps.announce]
run = '''
echo $(cat ${inputs.metrics}) $TIDEMILL_RUN >> OUTSIDE/announced
'''
inputs.metrics = "${score.metrics}"
effect = true
"""

# What the gate says no to.
NO, YES = 1000, 0
STEPS = 10


class Mixed(World):
    """A project with the mixed pipeline."""

    def __init__(self, program, owner=None):
        super().__init__(program, owner)
        text = PIPELINE.replace("COUNT ", f"printf x >> {self.base}/counts/").replace("OUTSIDE", f"{self.base}/outside")
        self.file("pipeline.toml", text)
        self.file("words.txt", "some\nwords\n")
        self.file("data.bin", bytes(range(256)) * 6144)
        # What is known to have succeeded: these pieces of work are never begun again.
        self.done = {}
        # The runs whose records have been looked at.
        self.seen = set()

    def announced(self):
        path = self.base / "outside" / "announced"
        return [line.rsplit(" ", 1)[0] for line in path.read_text().splitlines()] if path.exists() else []

    def warm(self, params):
        """A whole run before anything happens."""
        answer = self.run(params, "--json")
        if answer.code != 0:
            raise SystemExit(f"a run of the mixed pipeline gives {answer}")
        self.seen.add(answer.json()["run"])
        self.done = self.counts()

    def run(self, params, *more, **how):
        sets = [word for name, value in params.items() for word in ("--set", f"{name}={value}")]
        return self.tidemill("run", *sets, *more, **how)

    def begin(self, params, *more, **how):
        sets = [word for name, value in params.items() for word in ("--set", f"{name}={value}")]
        return self.start("run", *sets, *more, **how)


class Expected:
    """What a clean run in a fresh project publishes, by parameters."""

    def __init__(self, program):
        self.program, self.known = program, {}

    def of(self, params):
        key = tuple(sorted(params.items()))
        if key not in self.known:
            world = Mixed(self.program)
            answer = world.run(params)
            wanted = 3 if params["least"] == NO else 0
            if answer.code != wanted:
                raise SystemExit(f"a clean run of the mixed pipeline gives {answer}")
            self.known[key] = tree(world.root / "out")
            world.remove()
        return self.known[key]


def draw(random):
    """Parameters: some of a few, so that some steps run and some are cached."""
    return {"n": random.randrange(30), "m": random.randrange(6), "least": NO if random.random() < 0.15 else YES}


class Settled:
    """Looks at a project after mishaps: what the next run does by itself, and what is wrong then."""

    def __init__(self, world, expected, params):
        self.world, self.expected, self.params = world, expected, params
        self.counts, self.announced = world.counts(), world.announced()
        self.wrong, self.recorded = [], {}

    def say(self, kind, text):
        self.wrong.append((kind, text))

    def after_mishap(self):
        """What the history says of the run that a mishap befell: what is recorded as done must have its result."""
        answer = self.world.tidemill("show", "last", "--json")
        if answer.code != 0:
            # The mishap may have come before the run had a record.
            if "nothing has run in this project yet" not in answer.stdout + answer.stderr:
                self.say("history", f"`show last` after the mishap: {answer}")
            return
        record = answer.json()
        if record["run"] in self.world.seen:
            return
        self.world.seen.add(record["run"])
        if record["outcome"] == "succeeded" and any(step["state"] not in ("executed", "cached") for step in record["steps"]):
            self.say("history", f"a run that succeeded with steps that did not: {answer}")
        for step in record["steps"]:
            if step["state"] == "executed" and step["key"]:
                key = step["key"]
                place = self.world.state / "results" / key[:2]
                if not (place / f"{key}.1").exists() and not (place / key).exists():
                    self.say("counted as done", f"{step['step']} was recorded as done and has no result")
                self.recorded[step["step"]] = True

    def next_run(self, mishaps, again=False):
        """The next run finishes by itself, and all that is promised holds."""
        world, params = self.world, self.params
        before, told = world.counts(), world.announced()
        answer = world.run(params, "--json")
        wanted = 3 if params["least"] == NO else 0
        if answer.code != wanted:
            self.say("next run", f"the next run should give {wanted}: {answer}")
            return
        world.seen.add(answer.json()["run"])
        executed = answer.json()["counts"]["executed"]
        self.compare("the next run")
        after, now = world.counts(), world.announced()
        for name, count in after.items():
            if name in world.done and count != world.done[name]:
                self.say("done again", f"{name} had succeeded, and was begun again")
            if count - self.counts.get(name, 0) > mishaps + 1:
                self.say("too often", f"{name} was begun {count - self.counts.get(name, 0)} times over {mishaps} mishaps")
            step = name.split(".")[0].replace("part-", "part[part=") + ("]" if name.startswith("part-") else "")
            if self.recorded.get(step) and count != before.get(name, 0):
                self.say("counted as done", f"{step} was recorded as done, and was begun again by the next run")
        world.done = after
        self.effects(told, now, mishaps)
        if executed and (left := world.processes()):
            self.say("processes", f"left alive after the next run: {[describe(pid) for pid in left]}")
        if (world.state / "displaced").exists():
            self.say("displaced", "an output was taken for a file of the user's")
        if executed and any((world.state / "work").iterdir()):
            self.say("leftovers", f"in work/: {sorted(path.name for path in (world.state / 'work').iterdir())}")
        self.verify()
        if again:
            answer = world.run(params, "--json")
            world.seen.add(answer.json()["run"])
            if answer.code != wanted or answer.json()["counts"]["executed"] or world.counts() != after or world.announced() != now:
                self.say("idle run", f"a run with nothing to do did something: {answer}")

    def effects(self, told, now, mishaps):
        """Each change is announced at least once; more often only if a mishap came between the deed and its record."""
        expected, old = self.expected.of(self.params), self.announced
        text = expected["metrics.json"][1].decode().strip()
        new = now[len(old):]
        if any(line != text for line in new):
            self.say("effect", f"something else was announced than {text}: {new}")
        if self.params["least"] == NO:
            if new:
                self.say("effect", f"announced behind a closed gate: {new}")
        elif old and old[-1] == text and new:
            self.say("effect", f"announced again though nothing changed: {new}")
        elif not (old and old[-1] == text) and not 1 <= len(new) <= mishaps + 1:
            self.say("effect", f"announced {len(new)} times over {mishaps} mishaps: {text}")
        if self.recorded.get("announce") and now != told:
            self.say("effect", "announced again after it was recorded as done")

    def compare(self, when):
        out = self.world.root / "out"
        differs = difference(tree(out), self.expected.of(self.params))
        if differs:
            self.say("outputs", f"after {when} these differ from a clean run's: {differs}")

    def verify(self):
        answer = self.world.tidemill("cache", "verify")
        if answer.code != 0:
            self.say("verify", f"`cache verify`: {answer}")


def describe(pid):
    try:
        words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        words = "gone"
    return f"{pid} {words[:80]}"
