"""The campaign of kills: a run whose steps run on a real engine is killed, whenever. What runs there runs on, and the next run takes it up:
nothing is lost, and nothing is made twice."""

import contextlib
import json
import signal
import subprocess
import time

from .engines import KINDS
from .mixed import describe
from .world import World, difference, kill_with_descendants, send, tree

PIPELINE = r"""
[pipeline]
name = "elsewhere"

[params]
where = "there"

[steps.rows]
run = '''
COUNT rows
for i in 1 2 3 4; do echo $i; done > ${outputs.rows}
cat ${inputs.words} >> ${outputs.rows}
'''
inputs.words = "words.txt"
outputs.rows = { path = "rows.txt", publish = "out/rows.txt" }

[steps.first]
run = '''
COUNT first
echo the first begins
sleep 0.3
mkdir -p ${outputs.tree}/empty ${outputs.tree}/sub
for i in 1 2 3; do echo $i > ${outputs.tree}/sub/$i; done
cp ${inputs.rows} ${outputs.tree}/sub/rows
ln -s 1 ${outputs.tree}/sub/first
echo 'echo hello' > ${outputs.tree}/program
chmod +x ${outputs.tree}/program
'''
inputs.rows = "${rows.rows}"
outputs.tree = { path = "tree", kind = "dir", publish = "out/tree" }
executor = "${params.where}"

[steps.between]
run = '''
COUNT between
sleep 0.2
cat ${inputs.tree}/sub/rows ${inputs.tree}/sub/3 > ${outputs.rows}
'''
inputs.tree = "${first.tree}"
outputs.rows = "rows.txt"

[steps.second]
run = '''
COUNT second
echo the second begins
sleep 0.3
{ yes second | head -c 1572864; cat ${inputs.rows}; } > ${outputs.large}
'''
inputs.rows = "${between.rows}"
outputs.large = { path = "large.bin", publish = "out/large.bin" }
executor = "${params.where}"

[steps.part]
run = '''
COUNT part-${matrix.part}
sleep 0.${matrix.part}
sed s/^/${matrix.part}:/ ${inputs.rows} > ${outputs.part}
'''
inputs.rows = "${rows.rows}"
outputs.part = "part.txt"
matrix = { part = [1, 4, 8] }
executor = "${params.where}"

[steps.sum]
run = '''
COUNT sum
cat ${inputs.parts}/* > ${outputs.sum}
'''
inputs.parts = { collect = "${part.part}" }
outputs.sum = { path = "sum.txt", publish = "out/sum.txt" }

# What it has saved is no part of what it gives.
[steps.saved]
run = '''
COUNT saved
n=$(cat saved/n 2>/dev/null || echo 0)
while [ $n -lt 5 ]; do
    n=$((n + 1)); echo epoch $n
    echo $n > saved/n.new && mv saved/n.new saved/n
    sleep 0.3
done
cat saved/n ${inputs.rows} > ${outputs.model}
'''
inputs.rows = "${rows.rows}"
outputs.model = { path = "model.txt", publish = "out/model.txt" }
checkpoint = { path = "saved", every = "200 ms" }
executor = "${params.where}"

# It fails, but only once.
[steps.unsteady]
run = '''
COUNT unsteady
sleep 0.2
[ -e OUTSIDE/failed ] || { touch OUTSIDE/failed; echo it fails; exit 3; }
echo steady > ${outputs.word}
'''
outputs.word = { path = "word.txt", publish = "out/word.txt" }
retries = 1
executor = "${params.where}"

[steps.last]
run = '''
COUNT last
cat ${inputs.large} ${inputs.sum} ${inputs.model} ${inputs.word} | cksum > ${outputs.sum}
'''
inputs = { large = "${second.large}", sum = "${sum.sum}", model = "${saved.model}", word = "${unsteady.word}" }
outputs.sum = { path = "last.txt", publish = "out/last.txt" }
executor = "${params.where}"
"""

# How often each step is executed; those here are executed again if they were killed.
THERE = {"first": 1, "second": 1, "part-1": 1, "part-4": 1, "part-8": 1, "saved": 1, "unsteady": 2, "last": 1}
HERE = ["rows", "between", "sum"]

# What takes longer hangs: the machine may have other things to do.
PATIENCE = 300
# The first moments of a run, in which much happens.
EARLY = 0.3


class Elsewhere(World):
    """A project whose steps run on an engine, or, without one, here."""

    def __init__(self, program, engine=None):
        super().__init__(str(engine.program) if engine else program)
        self.engine = engine
        self.base.chmod(0o755)
        for name in ("outside", "counts"):
            # Another user leaves traces there, too.
            (self.base / name).chmod(0o777)
        self.file("pipeline.toml", PIPELINE.replace("COUNT ", f"printf x >> {self.base}/counts/").replace("OUTSIDE", f"{self.base}/outside"))
        self.file("words.txt", "some\nwords\n")
        if engine:
            self.variables = engine.variables(self)
            self.file("tidemill.toml", engine.settings(self))
        else:
            # It is named, and nothing runs there.
            self.file("tidemill.toml", f'[store]\nurl = "file://{self.base}/store"\n\n[executors.there]\nkind = "slurm"\n')

    def noted(self):
        """What is written down of what was handed in."""
        folder = self.state / "remote"
        return {path.name: path.read_text(errors="replace") for path in sorted(folder.iterdir())} if folder.exists() else {}

    def remove(self):
        super().remove()
        if self.engine:
            self.engine.leave(self)


class Round:
    """One project, and all that happens to it. What is wrong is told with the whole story, which lies beside the project."""

    def __init__(self, campaign, world):
        self.campaign, self.world = campaign, world
        self.wrong, self.story, self.began = [], [], time.monotonic()
        self.kills, self.answers = 0, []

    def tell(self, text):
        self.story.append(f"{time.monotonic() - self.began:8.3f} {text}")

    def say(self, kind, text):
        self.tell(f"WRONG: {kind}: {text}")
        self.wrong.append((kind, text))

    def killed_run(self, moment, whole):
        """Starts a run and kills it; the answer of one that ended before."""
        self.tell(f"a run begins, to be killed after {moment:.3f} s{' with its descendants' if whole else ''}")
        child = self.world.start("run", "--json")
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(moment)
        in_time = child.poll() is None
        if in_time:
            kill_with_descendants(child.pid) if whole else send(child.pid, signal.SIGKILL)
            self.kills += 1
            self.campaign.count("kills of the run with its descendants" if whole else "kills of the run alone")
        answer = self.heard(self.world.answer(child, PATIENCE))
        if in_time:
            return None
        self.campaign.count("runs that had ended before they were killed")
        return answer

    def whole_run(self):
        """A run that nobody kills."""
        self.tell("a run begins")
        child = self.world.start("run", "--json")
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(PATIENCE)
        if child.poll() is None:
            # As it is while it hangs.
            self.tell(f"it hangs\n{self.evidence()}")
        return self.heard(self.world.answer(child, 0.1))

    def heard(self, answer):
        self.campaign.count("runs")
        self.campaign.count("attempts that were adopted", sum(line.split()[1:2] == ["adopted"] for line in answer.stderr.splitlines()))
        self.answers.append(answer)
        self.tell(f"it ended: exit {answer.code}\n{answer.stderr}{answer.stdout}")
        return answer

    def ask_status(self):
        answer = self.world.tidemill("status", "--json")
        self.campaign.count("times that the status was asked for")
        self.tell(f"status: {answer}")
        try:
            answer.json()
        except json.JSONDecodeError:
            self.say("status", f"`status --json` after a kill is no JSON: {answer}")
            return
        if answer.code != 0:
            self.say("status", f"`status --json` after a kill: {answer}")

    def look(self, wanted):
        """All that must be true when a run has ended by itself."""
        world, answer = self.world, self.answers[-1]
        if answer.code != 0:
            self.say("hangs" if answer.code == "hangs" else "exit code", f"a run that nobody killed: {answer}")
            return
        counts = world.counts()
        for name, times in THERE.items():
            if counts.get(name, 0) != times:
                kind = "executed too often" if counts.get(name, 0) > times else "executed too rarely"
                self.say(kind, f"{name} was executed {counts.get(name, 0)} times, and not {times}, over {self.kills} kills")
        for name in HERE:
            if not 1 <= counts.get(name, 0) <= 1 + self.kills:
                self.say("executed too often", f"{name}, which runs here, was executed {counts.get(name, 0)} times over {self.kills} kills")
        if surplus := counts.keys() - THERE.keys() - set(HERE):
            self.say("unknown work", f"{surplus}")
        if differs := difference(tree(world.root / "out"), wanted):
            self.say("outputs", f"these differ from those of a clean run here: {differs}")
        if noted := world.noted():
            self.say("still written down", f"in remote/: {', '.join(noted)}")
        if left := world.engine.forgets(world):
            self.say("left there", f"the engine still knows {left}")
        if left := world.processes_go():
            self.say("processes", f"left alive: {[describe(pid) for pid in left]}")
        again = self.whole_run()
        if again.code != 0 or again.json()["counts"]["executed"] or world.counts() != counts:
            self.say("idle run", f"all was done, and a run gives {again}")
        answer = world.tidemill("cache", "verify")
        if answer.code != 0:
            self.say("verify", f"`cache verify`: {answer}")

    def evidence(self):
        """What there is to see besides what was said."""
        world = self.world
        said = [f"counts: {world.counts()}"]
        said += [f"remote/{name}: {text}" for name, text in world.noted().items()]
        try:
            said.append(f"the engine says:\n{world.engine.evidence(world)}")
        except OSError as error:
            said.append(f"the engine cannot be asked: {error}")
        return "\n".join(said)

    def settle(self, point):
        """Leaves the story of a round in which something was wrong."""
        if self.wrong:
            self.tell(self.evidence())
            (self.world.base / "story.txt").write_text("\n".join(self.story) + "\n", encoding="utf-8")
        self.campaign.settle("kills", point, self)


def draw(random, duration):
    """When the runs of a round are killed, each with its descendants or alone; how long is waited before the next; whether the status is asked for."""
    kills = []
    for place in range(random.choice([1, 1, 1, 1, 2, 3])):
        # What was adopted is over sooner.
        span = EARLY if random.random() < 0.2 else duration * (1 if place == 0 else random.choice([0.5, 1]))
        wait = random.random() * duration / 2 if random.random() < 0.3 else 0
        kills.append((random.random() * span, random.random() < 0.5, wait, random.random() < 0.5))
    return kills


def kills(campaign, kind, number):
    """So many kills that came in time, on one engine, each round in a fresh project."""
    random = campaign.random(f"remote {kind}")
    engine = KINDS[kind](campaign.program)
    try:
        wanted = clean(campaign)
        duration = undisturbed(campaign, engine, wanted)
        done = place = 0
        while done < number and not campaign.is_over():
            place += 1
            done += one_round(campaign, engine, wanted, place, draw(random, duration)[:number - done])
        campaign.count("ended jobs that the engine still lists", engine.kept())
    finally:
        engine.close()


def sample(campaign, kind, number):
    """So many kills in one round, at moments of a run whose duration is guessed."""
    random = campaign.random(f"remote {kind}")
    engine = KINDS[kind](campaign.program)
    try:
        drawn = [(0.5 + 2.5 * random.random(), random.random() < 0.5, 0, True) for _ in range(number)]
        one_round(campaign, engine, clean(campaign), 1, drawn)
    finally:
        engine.close()


def clean(campaign):
    """What a run publishes whose steps all run here."""
    world = Elsewhere(campaign.program)
    answer = world.tidemill("run", "--set", "where=local")
    if answer.code != 0:
        raise SystemExit(f"a clean run here gives {answer}")
    published = tree(world.root / "out")
    world.remove()
    return published


def undisturbed(campaign, engine, wanted):
    """How long a run takes that nobody kills. The laws hold for it, too."""
    world = Elsewhere(campaign.program, engine)
    report = Round(campaign, world)
    began = time.monotonic()
    report.whole_run()
    duration = time.monotonic() - began
    campaign.note("tenths of a second that an undisturbed run takes", round(10 * duration))
    report.look(wanted)
    report.settle("a run that nobody kills")
    campaign.close(world)
    return duration


def one_round(campaign, engine, wanted, place, drawn):
    """Kills, and the run that follows them; how many kills came in time."""
    world = Elsewhere(campaign.program, engine)
    report = Round(campaign, world)
    ended = None
    for moment, whole, wait, asked in drawn:
        ended = report.killed_run(moment, whole)
        if ended:
            break
        time.sleep(wait)
        if asked:
            report.ask_status()
    if not ended:
        report.whole_run()
    report.look(wanted)
    campaign.count("rounds")
    report.settle(f"round {place}: {[(round(moment, 3), 'with descendants' if whole else 'alone', round(wait, 3)) for moment, whole, wait, _ in drawn]}")
    campaign.close(world)
    return report.kills
