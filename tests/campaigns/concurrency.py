"""The campaign of many at once: eight runs over one state, of random pipelines; each key is executed once, and all results are right."""

import hashlib
import shutil
import signal
import time

from .world import World, difference, kill_with_descendants, send, tree

TOGETHER = 8
# How many rounds a state lives: later rounds find keys of earlier ones.
LIFE = 25

# How long a step takes goes with its word, for it is in the command, and so in the key.
PAUSES = {"a": "0", "b": "0", "c": "0.01", "d": "0.03", "e": "0"}

# Counts an execution under a name that is made of what the key is made of, and writes that name.
STEP = """\
counts=$1 word=$2 pause=$3
shift 3
name=$( { echo "$word"; cat /dev/null "$@"; } | sha256sum | cut -c1-32)
printf x >> "$counts/$name"
sleep "$pause"
echo "$name"
"""


class Graph:
    """A random DAG of steps. Some have the same command and the same inputs: the same key."""

    def __init__(self, random):
        self.steps = []
        for place in range(random.randrange(3, 13)):
            word = random.choice("abcde") + (str(random.randrange(40)) if random.random() < 0.6 else "")
            before = random.sample(range(place), min(place, random.choice([0, 1, 1, 2, 3])))
            if self.steps and random.random() < 0.3:
                # A twin of an earlier one.
                word, before, with_param = random.choice(self.steps)
            else:
                with_param = random.random() < 0.4
            self.steps.append((word, before, with_param))

    def text(self, counts, publish):
        text = '[pipeline]\nname = "random"\n\n[params]\np = 0\n'
        for place, (word, before, with_param) in enumerate(self.steps):
            pause, word = PAUSES[word[0]], f"{word}-${{params.p}}" if with_param else word
            names = "abc"[:len(before)]
            paths = "".join(f" ${{inputs.{name}}}" for name in names)
            text += f"\n[steps.s{place}]\n"
            text += f'run = "sh ${{inputs.code}} {counts} {word} {pause}{paths} > ${{outputs.out}}"\n'
            text += 'inputs.code = "step.sh"\n'
            text += "".join(f'inputs.{name} = "${{s{other}.out}}"\n' for name, other in zip(names, before))
            text += 'outputs.out = { path = "out"' + (f', publish = "out/s{place}"' if publish else "") + " }\n"
        return text

    def outputs(self, p):
        """What the steps give, by our own reckoning."""
        outputs = []
        for word, before, with_param in self.steps:
            word = f"{word}-{p}" if with_param else word
            content = f"{word}\n" + "".join(outputs[other] for other in before)
            outputs.append(hashlib.sha256(content.encode()).hexdigest()[:32] + "\n")
        return outputs


class Shared(World):
    """A project, perhaps with a second checkout and one state for both."""

    def __init__(self, program, checkouts):
        super().__init__(program)
        self.roots = [self.root]
        if checkouts == 2:
            self.roots.append(self.base / "checkout")
            self.roots[1].mkdir()
            self.variables["TIDEMILL_STATE"] = str(self.base / "shared")
        self.known = {}

    def give(self, text):
        for root in self.roots:
            (root / "step.sh").write_text(STEP)
            (root / "pipeline.toml").write_text(text)


class Report:
    """What is wrong after a round."""

    def __init__(self, world):
        self.world, self.wrong = world, []

    def say(self, kind, text):
        self.wrong.append((kind, text))


def rounds(campaign, number):
    random = campaign.random("concurrency")
    world, age = None, 0
    for done in range(number):
        if campaign.is_over():
            break
        if world is None or world.spoiled or age == LIFE:
            world, age = campaign.fresh(world, lambda program: Shared(program, random.choice([1, 1, 2]))), 0
        age += 1
        graph = Graph(random)
        params = [random.randrange(3)] * TOGETHER if random.random() < 0.5 else [random.randrange(3) for _ in range(TOGETHER)]
        report = Report(world)
        one_round(campaign, random, world, graph, params, report)
        if age % 10 == 0 or age == LIFE:
            answer = world.tidemill("cache", "verify")
            if answer.code != 0:
                report.say("verify", str(answer))
        campaign.count("rounds")
        campaign.count("rounds with two checkouts" if len(world.roots) == 2 else "rounds in one project")
        campaign.settle("concurrency", f"round {done}: {graph.steps} with {params}", report)
    campaign.close(world)


def one_round(campaign, random, world, graph, params, report):
    same = len(set(params)) == 1
    # Who has other parameters publishes other bytes to the same place: then nobody publishes.
    world.give(graph.text(world.base / "counts", publish=same))
    began = time.monotonic()
    children = [world.start("run", "--set", f"p={p}", root=world.roots[place % len(world.roots)]) for place, p in enumerate(params)]
    victim, killed = None, 0
    if random.random() < 0.15:
        victim = random.randrange(TOGETHER)
        time.sleep(random.random() * 0.4)
        if children[victim].poll() is None:
            random.choice([kill_with_descendants, lambda pid: send(pid, signal.SIGKILL)])(children[victim].pid)
            killed = 1
            campaign.count("runs killed among others")
    for place, child in enumerate(children):
        answer = world.answer(child)
        if answer.code != 0 and not (place == victim and killed):
            report.say("exit code", f"one of eight gives {answer}")
    campaign.count("runs", TOGETHER)
    campaign.count("seconds of eight at once", time.monotonic() - began)
    counted(campaign, world, graph, params, killed, report)
    serial(campaign, world, graph, params, same and not killed, report)
    if left := world.processes_go():
        report.say("processes", f"left alive: {left}")
    if (world.state / "displaced").exists():
        report.say("displaced", "an output was taken for a file of the user's")


def counted(campaign, world, graph, params, killed, report):
    """Each key was executed once; if a run was killed, those that it was executing perhaps once more."""
    names = {name.strip() for p in set(params) for name in graph.outputs(p)}
    counts = world.counts()
    campaign.count("keys", len(names - world.known.keys()))
    for name in names:
        times, most = counts.get(name, 0), 1 + killed
        if name in world.known:
            if times != world.known[name]:
                report.say("executed again", f"{name} had a result, and was executed again")
        elif not 1 <= times <= most:
            report.say("executed too often" if times else "not executed", f"{name} was executed {times} times")
    if surplus := counts.keys() - names - world.known.keys():
        report.say("unknown work", f"{surplus}")
    world.known = counts


def serial(campaign, world, graph, params, published, report):
    """The results are those of one run that does one step after another, in a project of its own."""
    alone = Shared(world.program, 1)
    for p in sorted(set(params)):
        alone.give(graph.text(alone.base / "counts", publish=True))
        answer = alone.tidemill("run", "--jobs", "1", "--set", f"p={p}")
        wanted = tree(alone.root / "out")
        if answer.code != 0 or [wanted[f"s{place}"][1].decode() for place in range(len(graph.steps))] != graph.outputs(p):
            report.say("serial run", str(answer))
        if not published:
            # What is published enters no key.
            world.give(graph.text(world.base / "counts", publish=True))
            for root in world.roots:
                answer = world.tidemill("run", "--json", "--set", f"p={p}", root=root)
                if answer.code != 0 or answer.json()["counts"]["executed"]:
                    report.say("executed again", f"all was done, and a run gives {answer}")
        for root in world.roots:
            if differs := difference(tree(root / "out"), wanted):
                report.say("outputs", f"these differ from a serial run's: {differs}")
    alone.remove()
    for root in world.roots:
        shutil.rmtree(root / "out", ignore_errors=True)
