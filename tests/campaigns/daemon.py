"""The campaign of the daemon: events are sent to it over HTTP, many of them twice, while it is killed again and again, and so are, if that is
wanted, its runs. Each event leads to one run that ends, whatever happens: what was acknowledged is not lost, and what was known is not taken twice."""

import collections
import contextlib
import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time

from .world import World, all_processes, kill_with_descendants, processes_of, send, stat_of

PIPELINE = r"""
[pipeline]
name = "each"

[params]
id = "none"
pause = "0"

[steps.only]
run = '''
sleep ${params.pause}
echo ${params.id} > ${outputs.out}
'''
outputs.out = "out.txt"

[[triggers]]
name = "arrived"
event = "com.example.*"
params = { id = "${event.data.id}", pause = "${event.data.pause}" }
concurrency = "allow"
"""

# So long a daemon may take until it listens, an answer until it is there, and the queue until something in it moves.
BEGIN, ANSWER, MOVE = 60, 40, 120
# How many connections send at once.
SENDERS = 8
# Of the events, so many come twice or more often.
TWICE = 0.3
# Of a run's processes so many are killed at most for one event: the daemon gives an event up after its third run.
MOST_KILLS = 2
# So many kills hit all runs, too, if runs are killed.
ALL_AT_ONCE = 0.3
# The last kills come when all has been sent.
SENT_BY = 0.8
# How often is looked where nobody tells.
OFTEN = 0.002

MOMENTS = {"during the start": 25, "after an acknowledgement": 30, "when a run begins": 25, "at any time": 20}


class Served(World):
    """A project, or several, and the daemon that answers for them: it is started, killed and started again on one port."""

    def __init__(self, program, projects=("project",), arguments=()):
        super().__init__(program)
        self.port = free_port()
        self.child, self.since = None, 0
        self.ready, self.log = self.base / "ready", self.base / "daemon.log"
        self.tokens = self.base / "tokens.toml"
        self.projects = {name: self.base / name for name in projects}
        for folder in self.projects.values():
            folder.mkdir(exist_ok=True)
        self.root = next(iter(self.projects.values()))
        self.arguments = [f"--project={name}={folder}" for name, folder in self.projects.items()] + list(arguments)

    def token(self, name, *scopes, project=None, lasting=None):
        """Makes a token, and says its text."""
        words = [f"--scope={scope}" for scope in scopes or ("read", "run", "event", "artifacts")]
        words += [f"--project={project}"] if project else []
        words += [f"--for={lasting}"] if lasting else []
        answer = self.tidemill("daemon", "token", "--tokens", str(self.tokens), "add", name, *words, "--json")
        if answer.code != 0:
            raise SystemExit(f"no token can be made: {answer}")
        return answer.json()["token"]

    def open(self):
        """Starts a daemon; it may not be there yet."""
        self.ready.unlink(missing_ok=True)
        with open(self.log, "ab") as log:
            command = [self.program, "daemon", "--port", str(self.port), "--tokens", str(self.tokens), "--ready-file", str(self.ready)]
            self.child = subprocess.Popen([*command, *self.arguments], cwd=self.root, env=self.environment(), stdin=subprocess.DEVNULL,
                                          stdout=log, stderr=log, start_new_session=True)
        self.since = time.monotonic()

    def opened(self, patience=BEGIN):
        """Waits until it listens; false if it has ended or takes too long."""
        return until(lambda: self.ready.exists() or self.child.poll() is not None, patience) and self.child.poll() is None

    def must_open(self):
        self.open()
        if not self.opened():
            raise SystemExit(f"there is no daemon: {self.said()[-2000:]}")

    def kill(self):
        """Its exit code: that of SIGKILL, if it lived."""
        send(self.child.pid, signal.SIGKILL)
        return self.child.wait()

    def stop(self, patience=15):
        """Tells it to stop; its exit code."""
        send(self.child.pid, signal.SIGTERM)
        try:
            return self.child.wait(patience)
        except subprocess.TimeoutExpired:
            self.kill()
            return "hangs"

    def said(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def holders(self):
        """Who has the lock of the queue open, and what each of them is."""
        lock, found = str(self.state / "triggers" / "lock"), []
        for pid in all_processes():
            with contextlib.suppress(OSError):
                if any(os.readlink(place) == lock for place in pathlib.Path(f"/proc/{pid}/fd").iterdir()):
                    found.append(f"{describe(pid)} (state {stat_of(pid)[0]}, child of {stat_of(pid)[1]})")
        return found

    def belonging(self):
        """All living processes of this world: they have its home, or its state."""
        mark = f"HOME={self.base}/home".encode()
        found = set(processes_of(self.state))
        for pid in all_processes():
            with contextlib.suppress(OSError):
                if mark in pathlib.Path(f"/proc/{pid}/environ").read_bytes().split(b"\0") and stat_of(pid)[0] not in "ZX":
                    found.add(pid)
        return sorted(found)

    def ask(self, path, token, method="GET", body=None, headers=()):
        """One question over a connection of its own: status and what was answered, as JSON if it is some."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER)
        try:
            connection.request(method, path, body, {"Authorization": f"Bearer {token}", **dict(headers)})
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if "json" in answer.headers.get("Content-Type", "") else text
        finally:
            connection.close()

    def remove(self):
        self.end()
        super().remove()

    def end(self):
        """Ends all of it, whatever happened before."""
        if self.child and self.child.poll() is None:
            self.kill()
        for pid in self.belonging():
            send(pid, signal.SIGKILL)
        until(lambda: not self.belonging(), 15)


def free_port():
    """A port that is free, below those that the kernel gives to whoever connects: a client that connects while nobody listens may get the very
    port, and so itself."""
    first = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])
    for port in range(first - 1, 1024, -7):
        with socket.socket() as tried:
            with contextlib.suppress(OSError):
                tried.bind(("127.0.0.1", port))
                return port
    raise OSError("no port is free")


def until(condition, patience, often=OFTEN):
    """Waits until it holds; false if it does not come to it."""
    end = time.monotonic() + patience
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(often)
    return True


class Event:
    """An event, how it is sent, and what became of that."""

    def __init__(self, place, random):
        self.place, self.name = place, f"i{place:06}"
        # Two events of different sources may have one id.
        self.id, self.source = f"e{place // 2}", f"/campaign/{place % 2}"
        self.kind = random.choice(["com.example.made", "com.example.changed"])
        self.data = {"id": self.name, "pause": random.choice(["0", "0", "0.05", "0.2"])}
        self.is_structured = random.random() < 0.5
        self.lock, self.acknowledged, self.news = threading.Lock(), None, 0

    @property
    def identity(self):
        return self.source, self.id

    def request(self):
        """Headers and body."""
        if self.is_structured:
            body = {"specversion": "1.0", "id": self.id, "source": self.source, "type": self.kind, "data": self.data}
            return {"Content-Type": "application/cloudevents+json"}, json.dumps(body).encode()
        attributes = {"ce-specversion": "1.0", "ce-id": self.id, "ce-source": self.source, "ce-type": self.kind}
        return {"Content-Type": "application/json", **attributes}, json.dumps(self.data).encode()


class Round:
    """One project, its events and its kills. What is wrong is told with the whole story, which lies beside the project."""

    def __init__(self, campaign, world, random, number, kills, with_runs):
        self.campaign, self.world, self.random, self.with_runs = campaign, world, random, with_runs
        self.number, self.kills = number, kills
        self.events = [Event(place, random) for place in range(number)]
        self.token = world.token("campaign")
        self.wrong, self.story, self.began = [], [], time.monotonic()
        self.lock = threading.Lock()
        # What has been done so far, for those who wait for it.
        self.killed, self.acknowledged, self.all_sent, self.is_over = 0, 0, False, threading.Event()
        self.killed_runs, self.refused = collections.Counter(), 0

    def tell(self, text):
        with self.lock:
            self.story.append(f"{time.monotonic() - self.began:9.3f} {text}")

    def say(self, kind, text):
        self.tell(f"WRONG: {kind}: {text}")
        with self.lock:
            self.wrong.append((kind, text))

    # --- Sending

    def sendings(self):
        """Events in order, with those that come again: some at once, over other connections, some later."""
        order = []
        for event in self.events:
            order.append((float(event.place), event))
            if self.random.random() < TWICE:
                self.campaign.count("events that came again")
                for _ in range(self.random.choice([1, 1, 2])):
                    later = self.random.choice([0.001, 0.001, 3 + 60 * self.random.random()])
                    order.append((event.place + later, event))
                    self.campaign.count("duplicates")
        order.sort(key=lambda pair: pair[0])
        return [event for _, event in order]

    def may_send(self, event):
        """Events go with kills: so many kills have come when so many events have been sent."""
        return event.place < (self.killed + 2) * self.number / max(1, SENT_BY * self.kills) or self.is_over.is_set()

    def send_all(self, sendings):
        connection = None
        for event in iter(lambda: next(sendings, None), None):
            until(lambda: self.may_send(event), 3600, 0.005)
            connection = self.send_one(event, connection)
        if connection:
            connection.close()

    def send_one(self, event, connection):
        """Sends it until it is acknowledged; the connection, if it can be used again."""
        headers, body = event.request()
        headers["Authorization"] = f"Bearer {self.token}"
        end = time.monotonic() + 10 * MOVE
        while not self.is_over.is_set():
            was_known = event.acknowledged
            began = time.monotonic()
            try:
                if connection is None:
                    connection = http.client.HTTPConnection("127.0.0.1", self.world.port, timeout=ANSWER)
                connection.request("POST", "/api/v1/projects/project/events", body, headers)
                answer = connection.getresponse()
                text = answer.read()
            except (OSError, http.client.HTTPException) as error:
                if isinstance(error, TimeoutError):
                    self.say("hangs", f"no answer to {event.identity} after {time.monotonic() - began:.1f} s")
                connection.close()
                connection = None
                self.count("sendings that failed")
            else:
                self.count("sendings that were answered")
                if answer.status < 500:
                    self.answered(event, answer.status, text, was_known)
                    return connection
                self.count(f"answers with {answer.status}")
                self.tell(f"{event.identity}: {answer.status} {text[:200]}")
            if time.monotonic() > end:
                self.say("not acknowledged", f"{event.identity} after {10 * MOVE} s")
                return connection
            # Others come to the processor, too.
            self.is_over.wait(0.01)
        return connection

    def count(self, what):
        with self.lock:
            self.campaign.count(what)

    def answered(self, event, status, text, was_known):
        if status != 202:
            self.say("refused", f"{event.identity}: {status} {text[:500]}")
            return
        received = json.loads(text)["received"]
        if len(received) != 1 or received[0]["refused"]:
            self.say("refused", f"{event.identity}: {text[:500]}")
            return
        with event.lock:
            event.news += not received[0]["known"]
            event.acknowledged = time.monotonic()
        with self.lock:
            self.acknowledged += 1
        if was_known and not received[0]["known"]:
            self.say("not known", f"{event.identity} was acknowledged before, and is answered as new: {text[:500]}")

    # --- Killing

    def kill_all(self):
        while self.killed < self.kills and not self.campaign.is_over():
            moment = self.random.choices(list(MOMENTS), MOMENTS.values())[0]
            self.world.open()
            if not self.one_kill(moment):
                break
        # Who waits for kills needs to wait no longer.
        with self.lock:
            self.killed = max(self.killed, self.kills)

    def must_open(self):
        """Starts a daemon that nobody kills."""
        end = time.monotonic() + BEGIN
        self.world.open()
        while not self.world.opened():
            if not self.is_refused() or time.monotonic() > end:
                raise SystemExit(f"there is no daemon: {self.world.said()[-2000:]}")
            self.world.open()

    def is_refused(self):
        """Whether the daemon has ended because somebody has the queue, who is none: the one before was killed, and is gone."""
        lines = self.world.said().splitlines()[-2:]
        if self.world.child.poll() in (None, 0, -signal.SIGKILL) or not any("another process answers the triggers" in line for line in lines):
            return False
        holders = self.world.holders()
        self.tell(f"a start is refused: {lines}; the lock is open in {holders}")
        if not self.refused:
            self.say("no start", f"the daemon was killed and is gone, and the next one does not start: {lines}; the lock is open in {holders}")
        self.refused += 1
        self.count("starts that were refused")
        return True

    def one_kill(self, moment):
        world, draw = self.world, self.random.random()
        if moment == "during the start":
            wait = draw * 1.2 * self.start_takes
        else:
            if not world.opened():
                if self.is_refused():
                    return True
                self.say("no start", f"the daemon does not listen: exit {world.child.poll()}: {world.said()[-2000:]}")
                return False
            if moment == "after an acknowledgement":
                before = self.acknowledged
                until(lambda: self.acknowledged > before, 1)
                wait = draw * 0.02
            elif moment == "when a run begins":
                before = self.given()
                until(lambda: self.given() - before, 1)
                wait = draw * 0.1
            else:
                wait = draw * 0.8
        with contextlib.suppress(subprocess.TimeoutExpired):
            world.child.wait(wait)
        code = world.kill()
        if self.is_refused():
            return True
        if self.with_runs and self.random.random() < ALL_AT_ONCE:
            # As if the machine had ended.
            self.count("kills of the daemon with all its runs")
            for found in self.run_processes():
                self.kill_run(*found, whole=True)
        self.tell(f"the daemon is killed {moment}, {time.monotonic() - world.since:.3f} s after it was started")
        if code != -signal.SIGKILL:
            self.say("ended", f"the daemon ended by itself with {code}, {moment}: {world.said()[-2000:]}")
            return False
        with self.lock:
            self.killed += 1
            self.campaign.count("kills of the daemon")
            self.campaign.count(f"kills of the daemon {moment}")
        return True

    def given(self):
        """The runs that somebody has started, or is about to."""
        folder = self.world.state / "triggers" / "runs"
        return {path.name for path in folder.glob("*.json") if "params" not in path.name} if folder.exists() else set()

    def kill_runs(self, random):
        """Kills processes of runs for as long as it is not over: never so many for one event that it is given up."""
        while not self.is_over.wait(random.random() * 0.3):
            found = self.run_processes()
            if not found:
                continue
            # Half of them at once, for many of them have just begun.
            self.is_over.wait(random.choice([0, random.random() * 0.1]))
            self.kill_run(*random.choice(found), whole=random.random() < 0.5)

    def kill_run(self, pid, run, arrival, whole):
        """Kills a run, if it is still there, and may be killed once more."""
        if run_of(pid)[0] != run:
            return
        with self.lock:
            if self.killed_runs[arrival] >= MOST_KILLS:
                return
            self.killed_runs[arrival] += 1
        kill_with_descendants(pid) if whole else send(pid, signal.SIGKILL)
        self.tell(f"run {run} is killed{' with its descendants' if whole else ''}")
        self.count("kills of runs with their descendants" if whole else "kills of runs alone")

    def run_processes(self):
        """Process, run and arrival of those that go on."""
        found = []
        for pid in self.world.belonging():
            run, path = run_of(pid)
            if run and path:
                with contextlib.suppress(OSError, ValueError, KeyError):
                    found.append((pid, run, json.loads(pathlib.Path(path).read_text())["id"]))
        return found

    # --- Playing

    def play(self):
        world = self.world
        world.must_open()
        self.start_takes = time.monotonic() - world.since
        world.kill()
        self.tell(f"a start takes {self.start_takes:.3f} s")
        sendings = iter(self.sendings())
        one_by_one = LockedIterator(sendings)
        senders = [threading.Thread(target=self.send_all, args=(one_by_one,)) for _ in range(SENDERS)]
        killing = [threading.Thread(target=self.kill_runs, args=(self.campaign.random("kills of runs"),))] if self.with_runs else []
        try:
            for thread in senders + killing:
                thread.start()
            self.kill_all()
            self.must_open()
            for thread in senders:
                thread.join()
            self.drain()
        finally:
            self.is_over.set()
            for thread in senders + killing:
                thread.join()

    def drain(self):
        """Waits until nothing waits and nothing runs, for as long as something moves."""
        last, moved = None, time.monotonic()
        while True:
            status, queue = self.world.ask("/api/v1/projects/project/queue", self.token)
            if status != 200:
                self.say("queue", f"{status} {queue}")
                return
            now = (len(queue["waiting"]), sorted(running["run"] for running in queue["running"]))
            if now == (0, []):
                return
            if now != last:
                last, moved = now, time.monotonic()
            if time.monotonic() - moved > MOVE:
                self.say("stands still", f"for {MOVE} s: {now[0]} wait, and these run: {queue['running']}")
                return
            self.is_over.wait(0.5)

    # --- Looking

    def look(self):
        self.look_at_outputs()
        code = self.world.stop()
        if code != 0:
            self.say("stop", f"the daemon ends with {code} when it is told to stop: {self.world.said()[-2000:]}")
        left = until(lambda: not self.world.belonging(), 15, 0.05) or self.world.belonging()
        if left is not True:
            self.say("processes", f"left alive: {[describe(pid) for pid in left]}")
        if panics := [line for line in self.world.said().splitlines() if "panicked" in line]:
            self.say("panic", "\n".join(panics[:5]))
        self.look_at_runs()
        self.look_at_files()

    def look_at_outputs(self):
        """What some runs gave, as the daemon tells it."""
        _, found = self.world.ask("/api/v1/projects/project/runs?limit=1000", self.token)
        ended = [run["run"] for run in found["runs"] if run["outcome"] == "succeeded"]
        for run in self.random.sample(sorted(ended), min(20, len(ended))):
            place = f"/api/v1/projects/project/runs/{run}"
            _, record = self.world.ask(place, self.token)
            status, content = self.world.ask(f"{place}/artifacts/only/out", self.token)
            event = self.by_identity().get((record["triggered"]["source"], record["triggered"]["id"]))
            if event and (status, content) != (200, f"{event.name}\n".encode()):
                self.say("output", f"run {run} of {event.identity} gave {status} {content!r}, and not {event.name}")
            self.campaign.count("outputs looked at")

    def by_identity(self):
        return {event.identity: event for event in self.events}

    def look_at_runs(self):
        """The history: each event leads to one run that succeeded; what else there is was lost with its process."""
        answer = self.world.tidemill("runs", "--json", "--limit", str(10 * self.number + 1000))
        if answer.code != 0:
            self.say("runs", str(answer))
            return
        known, runs = self.by_identity(), collections.defaultdict(list)
        for line in answer.json()["runs"]:
            shown = self.world.tidemill("show", line["run"], "--json")
            if shown.code != 0:
                self.say("show", f"{line['run']}: {shown}")
                continue
            record = shown.json()
            triggered = record.get("triggered") or {}
            identity = (triggered.get("source"), triggered.get("id"))
            self.campaign.count("runs")
            if identity not in known or triggered.get("trigger") != "arrived" or record["cause"] != "event":
                self.say("a run without an event", f"{line['run']}: cause {record['cause']}, {triggered}")
                continue
            runs[identity].append((line["run"], "lost" if line["outcome"] is None and not line["alive"] else line["outcome"] or "alive"))
        self.campaign.count("runs that were lost", sum(how == "lost" for all_runs in runs.values() for _, how in all_runs))
        for event in self.events:
            self.look_at_event(event, runs[event.identity])
        self.runs = runs

    def look_at_event(self, event, runs):
        ends = collections.Counter(how for _, how in runs)
        told = f"{event.identity} ({event.name}, acknowledged: {event.acknowledged is not None}) led to {runs}"
        if ends["succeeded"] > 1:
            self.say("two runs", told)
        elif ends["succeeded"] == 0:
            self.say("no run", told)
        if others := ends.keys() - {"succeeded", "lost"}:
            self.say("ended otherwise", f"{told}: {others}")
        if ends["lost"] and not self.with_runs:
            self.say("lost", f"no run was killed, and {told}")
        if ends["lost"] > MOST_KILLS:
            self.say("lost", f"no event lost more than {MOST_KILLS} runs, and {told}")
        if event.news > 1:
            # Two that came in one moment are both told that they are new.
            self.campaign.count("events that were answered as new twice")

    def look_at_files(self):
        """The queue's own file says the same, and nothing lies around."""
        answer = self.world.tidemill("triggers", "log", "--json")
        if answer.code != 0:
            self.say("triggers log", str(answer))
            return
        log = answer.json()
        if log["waiting"] or log["running"]:
            self.say("queue", f"it is not empty: {log['waiting'][:3]} {log['running'][:3]}")
        seen = collections.Counter()
        for settled in log["recent"]:
            event = settled["arrival"]["event"]
            identity = (event["source"], event["id"])
            seen[identity] += 1
            fate = {name: settled.get(name) for name in ("fate", "run", "outcome")}
            succeeded = [run for run, how in self.runs.get(identity, []) if how == "succeeded"]
            if fate != {"fate": "ended", "run": succeeded[0] if succeeded else None, "outcome": "succeeded"}:
                self.say("queue", f"{identity} has the fate {fate} {settled.get('reason', '')}, and the runs {self.runs.get(identity)}")
        wanted = min(self.number, 1000)
        if len(log["recent"]) != wanted or seen.keys() - self.by_identity().keys() or any(times > 1 for times in seen.values()):
            self.say("queue", f"it was done with {len(log['recent'])} arrivals, and not with {wanted}: {seen.most_common(3)}")
        for name in ("runs", "inbox"):
            folder = self.world.state / "triggers" / name
            if left := sorted(path.name for path in folder.iterdir()) if folder.exists() else []:
                self.say("files", f"{len(left)} are left in triggers/{name}: {left[:5]}")
        if damaged := self.ledger():
            self.say("queue", damaged)
        answer = self.world.tidemill("cache", "verify")
        if answer.code != 0:
            self.say("verify", f"`cache verify`: {answer}")

    def ledger(self):
        """What is wrong with the lines of the queue's file, taken as they are."""
        arrived, settled = collections.Counter(), collections.Counter()
        for number, line in enumerate((self.world.state / "triggers" / "queue.jsonl").read_text().splitlines(), 1):
            try:
                record = json.loads(line)
            except json.JSONDecodeError as error:
                return f"line {number} of its file: {error}"
            if record["record"] == "snapshot":
                # What came before it is told no longer.
                return None
            arrived.update(arrival["id"] for arrival in record.get("arrivals", []))
            settled.update([record["arrival"]] if record["record"] == "settled" else [])
        if arrived != settled or any(times > 1 for times in arrived.values()) or len(arrived) != self.number:
            return f"its file tells of {len(arrived)} arrivals, {sum(arrived.values())} times, and of {sum(settled.values())} that were done with"
        return None

    def settle(self, point):
        if self.wrong:
            self.tell(f"what the daemon said:\n{self.world.said()}")
            (self.world.base / "story.txt").write_text("\n".join(self.story) + "\n", encoding="utf-8")
        self.campaign.settle("daemon", point, self)


class LockedIterator:
    """An iterator that several threads use."""

    def __init__(self, inner):
        self.inner, self.lock = inner, threading.Lock()

    def __next__(self):
        with self.lock:
            return next(self.inner)


def run_of(pid):
    """The run that a process makes, and the file with what it answers; nothing if it is no such process."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
        return words[words.index("--as-run") + 1], words[words.index("--arrival") + 1]
    return None, None


def describe(pid):
    with contextlib.suppress(OSError):
        return f"{pid} {pathlib.Path(f'/proc/{pid}/cmdline').read_bytes().replace(bytes(1), b' ').decode(errors='replace')[:200]}"
    return f"{pid} gone"


def kills(campaign, events, number, with_runs):
    """So many events in one project, and so many kills of its daemon meanwhile."""
    random = campaign.random("daemon")
    world = Served(campaign.program)
    try:
        world.file("pipeline.toml", PIPELINE)
        play = Round(campaign, world, random, events, number, with_runs)
        campaign.count("events", events)
        play.play()
        play.look()
        play.settle(f"{events} events, {number} kills{', of runs too' if with_runs else ''}")
    finally:
        world.end()
    campaign.close(world)
