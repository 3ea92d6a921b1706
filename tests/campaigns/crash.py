"""The campaign of crashes: the engine, its warden and their children are killed, at random moments and at every named point."""

import contextlib
import signal
import subprocess
import time

from . import tracer
from .mixed import Expected, Mixed, Settled, YES, draw
from .world import kill_with_descendants, send, warden_of

# How many rounds a project lives: later rounds find more in the cache.
LIFE = 20


def random_kills(campaign, kills):
    """So many kills that came in time, at random moments of runs: from before a run does anything to its end."""
    random, expected = campaign.random("crash"), Expected(campaign.program)
    duration = measure(campaign.program)
    world, age, done = None, 0, 0
    while done < kills and not campaign.is_over():
        if world is None or world.spoiled or age == LIFE:
            world, age = campaign.fresh(world, Mixed), 0
        age += 1
        params = draw(random)
        settled, killed = Settled(world, expected, params), 0
        for _ in range(random.randrange(1, 4)):
            # A run that finds all in the cache is over soon; and much happens in the first moments of any.
            moment = random.random() * random.choice([0.1, 0.3, 1]) * duration
            mode = random.choice(list(MODES))
            in_time = kill(world, params, mode, moment)
            killed += in_time
            campaign.count(f"kills of {mode}" if in_time else "runs that had ended, or had no warden yet")
            settled.after_mishap()
            if mode != "engine and warden" and (left := world.processes_go()):
                settled.say("processes", f"left alive after a kill of {mode}: {left}")
        done += killed
        settled.next_run(killed, again=age % 4 == 0)
        campaign.settle("random", f"kills before {params}", settled)
    campaign.close(world)


def measure(program):
    """How long a run takes in which all steps run."""
    times = []
    for n in range(3):
        world = Mixed(program)
        began = time.monotonic()
        world.run({"n": n, "m": n, "least": YES})
        times.append(time.monotonic() - began)
        world.remove()
    return sorted(times)[1]


def engine_alone(engine):
    send(engine, signal.SIGKILL)
    return True


def warden_alone(engine):
    warden = warden_of(engine)
    if warden:
        send(warden, signal.SIGKILL)
    return warden is not None


def engine_and_all(engine):
    kill_with_descendants(engine)
    return True


def engine_and_warden(engine):
    warden = warden_of(engine)
    both = [engine, *([warden] if warden else [])]
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in both:
            send(pid, number)
    return True


MODES = {
    "the engine": engine_alone,
    "the engine with all its children": engine_and_all,
    "engine and warden": engine_and_warden,
    "the warden": warden_alone,
}


def kill(world, params, mode, moment):
    """Starts a run and kills; whether it was still running then."""
    child = world.begin(params)
    with contextlib.suppress(Exception):
        child.wait(moment)
    in_time = child.poll() is None and MODES[mode](child.pid)
    answer = world.answer(child)
    if not in_time and answer.code not in (0, 3):
        raise SystemExit(f"nothing was killed, and a run gives {answer}")
    return int(in_time)


def named_points(campaign, density=1, most=None):
    """The engine is killed before the first, second, third, fifth … call of each kind that changes anything: in the first run of
    a project, and in a later one."""
    random, expected = campaign.random("points"), Expected(campaign.program)
    for series, first in (("first run", True), ("later run", False)):
        counted = count(campaign.program, first)
        found = tracer.points(counted, tracer.CHANGES, density)
        campaign.note(f"points in a {series}", len(found))
        campaign.note(f"calls counted in a {series}", {call: number for call, number in sorted(counted.items()) if call in tracer.CHANGES})
        random.shuffle(found)
        world, age = None, 0
        for call, number in found[:most]:
            if campaign.is_over():
                break
            if world is None or world.spoiled or first or age == LIFE:
                world, age = campaign.fresh(world, Mixed), 0
                if not first:
                    world.warm({"n": 90, "m": 90, "least": YES})
            age += 1
            params = {"n": age, "m": age % 6, "least": YES}
            settled = Settled(world, expected, params)
            trace = tracer.killing(call, number)
            answer = world.run(params, before=trace.before)
            trace.close()
            killed = answer.code == -signal.SIGKILL
            campaign.count(f"points reached, {series}" if killed else f"points not reached, {series}")
            if not killed and answer.code != 0:
                settled.say("killed run", f"it was not killed, and gives {answer}")
            if left := world.processes_go():
                settled.say("processes", f"left alive: {left}")
            settled.after_mishap()
            settled.next_run(1)
            campaign.settle(series, f"killed before {call} number {number}", settled)
        campaign.close(world)


# What the warden does while steps run, and how often at most.
WARDEN_CALLS = {"clone": 8, "write": 21, "read": 21, "ppoll": 13, "wait4": 21, "kill": 1, "open": 55, "close": 89, "getdents64": 8}


def warden_points(campaign, density=1, most=None):
    """The warden is killed before such a call; it is found when it is there, so that its first calls may have been made."""
    random, expected = campaign.random("warden"), Expected(campaign.program)
    found = tracer.points(WARDEN_CALLS, WARDEN_CALLS, density)
    campaign.note("points of the warden", len(found))
    random.shuffle(found)
    world, age = None, 0
    for call, number in found[:most]:
        if campaign.is_over():
            break
        if world is None or world.spoiled or age == LIFE:
            world, age = campaign.fresh(world, Mixed), 0
        age += 1
        params = {"n": age, "m": age % 6, "least": YES}
        settled = Settled(world, expected, params)
        child = world.begin(params)
        while child.poll() is None and (warden := warden_of(child.pid)) is None:
            time.sleep(0.001)
        trace = tracer.killing(call, number)
        attached = subprocess.Popen([*trace.before, "-p", str(warden)], stderr=subprocess.DEVNULL)
        answer = world.answer(child)
        attached.terminate()
        attached.wait()
        killed = trace.killed(warden)
        trace.close()
        campaign.count("points reached, the warden" if killed else "points not reached, the warden")
        if answer.code != 0:
            settled.say("killed run", f"a run whose warden was killed goes on, and gives {answer}")
        if left := world.processes_go():
            settled.say("processes", f"left alive: {left}")
        settled.after_mishap()
        settled.next_run(1)
        campaign.settle("the warden", f"killed before {call} number {number}", settled)
    campaign.close(world)


def count(program, first):
    """How often each call is made in a whole run."""
    world = Mixed(program)
    if not first:
        world.warm({"n": 90, "m": 90, "least": YES})
    trace = tracer.Trace(tracer.CHANGES + tracer.QUESTIONS)
    answer = world.run({"n": 1, "m": 1, "least": YES}, before=trace.before)
    if answer.code != 0:
        raise SystemExit(f"a run that is traced gives {answer}")
    most = trace.most()
    trace.close()
    world.remove()
    return most
