"""The campaigns of the daemon's interface: who has no right learns nothing, what is described is what is answered, so many requests are answered in
a second, and a daemon with nothing to do sleeps."""

import array
import asyncio
import collections
import contextlib
import fcntl
import hashlib
import itertools
import json
import multiprocessing
import os
import pathlib
import platform
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.parse

from .daemon import ANSWER, Served, until
from .daemon import PIPELINE as EACH

REQUIREMENTS = pathlib.Path(__file__).with_name("requirements-daemon.txt")

PIPELINE = r"""
[pipeline]
name = "secretly"

[params]
id = "none"

[steps.hidden]
run = '''
echo a confidential word
echo ${params.id} > ${outputs.treasure}
'''
outputs.treasure = "treasure.txt"

[[triggers]]
name = "pried"
event = "com.example.*"
params = { id = "${event.data.id}" }

[[triggers]]
name = "sealed"
event = { type = "*" }
webhook = { sender = "standard", secret = "CAMPAIGN_SECRET" }
"""

# Names that nobody may learn of who has no right to.
SECRETS = ["quarry", "meadow", "secretly", "hidden", "treasure", "pried", "sealed", "pipeline.toml", "confidential"]
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "PROPFIND"]
# Paths that do not exist, or that say in another way what does.
ODD = ["/", "/metrics", "/api", "/api/v1", "/api/v1/", "/api/v2/health/live", "/api/v1/projects/", "/api/v1/projects/quarry", "/api/v1/projects/quarry/queue/",
       "//api/v1/projects/quarry/queue", "/api/v1/health/live/../../projects", "/api/v1/health/%2e%2e/projects", "/api/v1/projects/%71uarry/queue",
       "/api/v1/projects/%ff/queue", "/api/v1/projects/quarry%00/queue", "/API/V1/PROJECTS", "/api/v1/projects;x", "/api/v1/projects?limit=x",
       "/api/v1/projects/quarry/runs?limit=-1&access_token=TOKEN", "/api/v1/projects/" + "x" * 4000]
# More than a signed message may have, in bytes.
LARGE = 9 << 20
# Of those that nobody knows, the daemon answers so many in a second.
STRANGERS = 18


class Report:
    """What is wrong."""

    def __init__(self, campaign, world):
        self.campaign, self.world, self.wrong = campaign, world, []
        self.often = collections.Counter()

    def say(self, kind, text):
        """Tells one of a kind at length, and counts those that are like it."""
        like = (kind, text.split(":")[0])
        self.often[like] += 1
        if self.often[like] == 1:
            self.wrong.append((kind, text))
        else:
            self.campaign.count(f"more like it: {kind}")


class Reply:
    """An answer as it came over the wire, without what differs by time."""

    def __init__(self, raw):
        head, _, self.body = raw.partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        parts = first.split(b" ", 2)
        self.status = int(parts[1]) if len(parts) > 1 and parts[1].isdigit() else 0
        pairs = (line.partition(b":") for line in lines)
        self.headers = {name.decode().lower(): value.strip().decode(errors="replace") for name, _, value in pairs}
        self.headers.pop("date", None)

    def alike(self, *names):
        """What can be compared: all of it, with these names taken away."""
        body = self.body
        for name in names:
            body = body.replace(name.encode(), b"NAME")
        left_out = ["content-length"] if names else []
        return self.status, sorted(pair for pair in self.headers.items() if pair[0] not in left_out), body

    def like_others(self):
        """What can be compared with answers at other paths: which methods a path takes stands in the document."""
        return self.status, sorted(pair for pair in self.headers.items() if pair[0] != "allow"), self.body

    def __str__(self):
        return f"{self.status} {self.headers} {self.body[:300]!r}"


def exchange(world, method, path, headers=(), body=b"", patience=ANSWER):
    """One request, byte by byte as it is given, over a connection of its own."""
    head = [f"{method} {path} HTTP/1.1".encode(), f"Host: 127.0.0.1:{world.port}".encode(), b"Connection: close"]
    head += [name.encode() + b": " + (value if isinstance(value, bytes) else value.encode()) for name, value in headers]
    if body or method in ("POST", "PUT", "PATCH"):
        head.append(b"Content-Length: %d" % len(body))
    raw, end = b"", time.monotonic() + patience
    with socket.create_connection(("127.0.0.1", world.port), timeout=patience) as connection:
        # It may answer before it has read all.
        with contextlib.suppress(ConnectionError):
            connection.sendall(b"\r\n".join(head) + b"\r\n\r\n" + body)
        with contextlib.suppress(ConnectionError):
            while piece := connection.recv(1 << 16):
                raw += piece
                if time.monotonic() > end:
                    raise TimeoutError(f"{method} {path} has no end")
    return Reply(raw)


class Operation:
    """A path of the document with its method: with names that there are, and with names that there are not."""

    def __init__(self, method, path, operation):
        self.method, self.path = method.upper(), path
        self.is_open = "/health/" in path
        self.is_signed = path.endswith("/webhook")
        found = re.search(r"scope `([a-z]+)`", operation.get("description", ""))
        self.scope = found and found.group(1)

    def at(self, names):
        return re.sub(r"\{(\w+)\}", lambda name: urllib.parse.quote(names[name.group(1)], safe=""), self.path)

    def body(self):
        """Headers and a body that would do something."""
        if self.method != "POST":
            return [], b""
        if self.path.endswith("/events"):
            event = {"specversion": "1.0", "id": "1", "source": "/a", "type": "com.example.a", "data": {"id": "x"}}
            return [("Content-Type", "application/cloudevents+json")], json.dumps(event).encode()
        content = {"pipeline": "secretly"} if self.path.endswith("/runs") else {}
        return [("Content-Type", "application/json")], json.dumps(content).encode()


class Prying(Report):
    """Requests of those who have no right, and what they learn."""

    def __init__(self, campaign, world, random, density):
        super().__init__(campaign, world)
        self.random, self.density = random, density
        self.next = time.monotonic()

    def some(self, things):
        """All of them, or one of so many."""
        things = list(things)
        return things if self.density == 1 else self.random.sample(things, -(-len(things) // self.density))

    def ask(self, method, path, headers=(), body=b""):
        """One request; those that nobody knows are answered at a pace."""
        end = time.monotonic() + 60
        while True:
            while (left := self.next - time.monotonic()) > 0:
                time.sleep(left)
            self.next = max(self.next, time.monotonic() - 1) + 1 / STRANGERS
            reply = exchange(self.world, method, path, headers, body)
            self.campaign.count("requests")
            if reply.status != 429:
                return reply
            self.campaign.count("requests that were too many")
            if self.leaks(reply) or time.monotonic() > end:
                self.say("too many", f"{method} {path}: {reply}")
                return reply

    def leaks(self, reply, asked=""):
        """The names in an answer that were not in the question."""
        text = reply.body.decode(errors="replace") + " ".join(reply.headers.values())
        return [name for name in SECRETS if re.search(rf"\b{re.escape(name)}\b", text) and name not in asked]

    def stranger(self, what, method, path, headers, body=b"", like=None):
        """Somebody without a right: 401, and always in the same words."""
        reply = self.ask(method, path, headers, body)
        if reply.status != 401:
            self.say("let in", f"{what}: {method} {path[:200]}: {reply}")
        elif names := self.leaks(reply):
            self.say("told", f"{what}: {method} {path[:200]} tells {names}: {reply}")
        elif like and method != "HEAD" and reply.like_others() != like.like_others():
            self.say("differs", f"{what}: {method} {path[:200]}: {reply}, and another stranger is told {like}")
        return reply


def of_document(document):
    return [Operation(method, path, operation) for path, methods in document["paths"].items() for method, operation in methods.items()]


def tokens(campaign, density=1):
    """Everybody who has no right, at every path, or at one of so many."""
    world = Served(campaign.program, ["quarry", "meadow"])
    world.variables["CAMPAIGN_SECRET"] = "whsec_" + "c2VjcmV0" * 6
    try:
        for folder in world.projects.values():
            (folder / "pipeline.toml").write_text(PIPELINE)
        play = Prying(campaign, world, campaign.random("tokens"), density)
        pry(campaign, world, play)
        campaign.settle("tokens", f"seed {campaign.seed}", play)
    finally:
        world.end()
    campaign.close(world)


def pry(campaign, world, play):
    everything = world.token("everything")
    world.must_open()
    run = world.tidemill("run", "secretly", "--json").json()["run"]
    _, document = world.ask("/api/v1/openapi.json", everything)
    operations = of_document(document)
    there = {"project": "quarry", "pipeline": "secretly", "trigger": "pried", "run": run, "step": "hidden", "output": "treasure", "arrival": "0" * 32}
    nowhere = {"project": "nosuch", "pipeline": "nosuch", "trigger": "nosuch", "run": "nosuch", "step": "nosuch", "output": "nosuch", "arrival": "f" * 32}
    # First what they would get who may.
    for operation in operations:
        if operation.method == "GET" and not operation.path.endswith(("/arrivals/{arrival}", "/log")):
            reply = exchange(world, "GET", operation.at(there), [("Authorization", f"Bearer {everything}")])
            if reply.status != 200:
                play.say("not answered", f"{operation.path} with a token of all scopes: {reply}")
    like = play.ask("GET", "/api/v1/projects")
    without_tokens(play, operations, there, nowhere, like)
    wrong_tokens(play, world, operations, there, everything, like)
    other_scopes(play, world, operations, there, nowhere)
    other_projects(play, world, operations, there, nowhere)
    signed(play, there, nowhere)
    if world.child.poll() is not None or "panicked" in world.said():
        play.say("panic", world.said()[-2000:])


def without_tokens(play, operations, there, nowhere, like):
    """Without a token all is alike: what there is, and what there is not."""
    guarded = {operation.path: operation for operation in operations if not operation.is_open and not operation.is_signed}
    for method, operation in play.some((method, operation) for operation in guarded.values() for method in METHODS):
        paths = dict.fromkeys(operation.at(names) for names in (there, nowhere))
        replies = [play.stranger("no token", method, path, [], like=like) for path in paths]
        if replies[0].alike() != replies[-1].alike():
            play.say("differs", f"no token, {method} {operation.path}: {replies[0]}, and where nothing is: {replies[-1]}")
    for method, path in play.some((method, path) for path in ODD for method in ("GET", "POST", "HEAD")):
        play.stranger("no token", method, path, [], like=like)
    for operation in operations:
        if operation.is_open:
            reply = play.ask("GET", operation.path)
            if reply.status != 200 or play.leaks(reply):
                play.say("health", f"{operation.path}: {reply}")
            for method in play.some(method for method in METHODS if method not in ("GET", "HEAD")):
                play.stranger("no token", method, operation.path, [], like=like)


def wrong_tokens(play, world, operations, there, everything, like):
    """Tokens that are none, any more, or not yet."""
    expired, removed = world.token("expired", lasting="1ms"), world.token("removed")
    world.tidemill("daemon", "token", "--tokens", str(world.tokens), "remove", "removed")
    digest = re.search(r'digest = "([^"]+)"', world.tokens.read_text()).group(1)
    bearer = lambda value: [("Authorization", value)]
    wrong = {
        "a wrong token": bearer("Bearer " + "0" * 64), "a token that has expired": bearer(f"Bearer {expired}"),
        "a token that was removed": bearer(f"Bearer {removed}"), "the digest of a token": bearer(f"Bearer {digest}"),
        "a part of a token": bearer(f"Bearer {everything[:-1]}"), "a token and more": bearer(f"Bearer {everything}0"),
        "a token in capitals": bearer(f"Bearer {everything.upper()}"), "no token at all": bearer("Bearer "), "only a scheme": bearer("Bearer"),
        "only a token": bearer(everything), "another scheme": bearer(f"Basic {everything}"), "two spaces": bearer(f"Bearer  {everything}"),
        "a tab": bearer(f"Bearer\t{everything}"), "a comma": bearer(f"Bearer {everything}, Bearer {everything}"),
        "quotes": bearer(f'Bearer "{everything}"'), "bytes that are no text": bearer(b"Bearer \xff\xfe"), "nothing": bearer(""),
        "a long one": bearer("Bearer " + "a" * 8000), "a wrong one first": bearer("Bearer no") + bearer(f"Bearer {everything}"),
        "a cookie": [("Cookie", f"token={everything}")], "another header": [("X-Api-Key", everything)],
        "the proxy's header": [("Proxy-Authorization", f"Bearer {everything}")],
    }
    wrong_everywhere = ["a wrong token", "a token that has expired", "a token that was removed", "the digest of a token"]
    guarded = [operation for operation in operations if not operation.is_open and not operation.is_signed]
    # All at some paths, and the likeliest everywhere.
    pairs = [(operation, what) for operation in guarded for what in wrong if what in wrong_everywhere or operation.path.endswith(("/projects", "/runs"))]
    for operation, what in play.some(pairs):
        kind, body = operation.body()
        play.stranger(what, operation.method, operation.at(there), wrong[what] + kind, body, like)
    for what in wrong_everywhere:
        for path in play.random.sample(ODD, 4):
            play.stranger(what, "GET", path, wrong[what], like=like)
    # Both are there, and it is not said which counts.
    reply = play.ask("GET", "/api/v1/projects", bearer(f"Bearer {everything}") + bearer("Bearer no"))
    play.campaign.note("two tokens, of which the first is right, are answered with", reply.status)


def other_scopes(play, world, operations, there, nowhere):
    """Who has only other scopes is told so, whatever there is."""
    for scope in ("read", "run", "event", "artifacts"):
        others = [other for other in ("read", "run", "event", "artifacts") if other != scope]
        token = world.token(f"not-{scope}", *others)
        headers = [("Authorization", f"Bearer {token}")]
        for operation in operations:
            if operation.scope != scope:
                continue
            kind, body = operation.body()
            replies = [play.ask(operation.method, operation.at(names), headers + kind, body) for names in (there, nowhere)]
            for reply in replies:
                if reply.status != 403:
                    play.say("let in", f"a token without {scope}: {operation.method} {operation.path}: {reply}")
                elif names := play.leaks(reply):
                    play.say("told", f"a token without {scope}: {operation.method} {operation.path} tells {names}: {reply}")
            if replies[0].alike() != replies[1].alike():
                play.say("differs", f"a token without {scope}: {operation.method} {operation.path}: {replies[0]}, and what is not there: {replies[1]}")
            if operation.method == "GET":
                reply = play.ask("HEAD", operation.at(there), headers)
                if reply.status != 403:
                    play.say("let in", f"a token without {scope}: HEAD {operation.path}: {reply}")


def other_projects(play, world, operations, there, nowhere):
    """Who may see another project only is told that this one is not there, in the words that are said of one that is not."""
    token = world.token("of-another", project="meadow")
    headers = [("Authorization", f"Bearer {token}")]
    seen = play.ask("GET", "/api/v1/projects", headers)
    if json.loads(seen.body) != {"projects": ["meadow"]}:
        play.say("told", f"a token of the project meadow sees {seen}")
    for operation in operations:
        if "{project}" not in operation.path or operation.is_signed:
            continue
        kind, body = operation.body()
        for method in {operation.method, "DELETE"} | ({"HEAD"} if operation.method == "GET" else set()):
            replies = [play.ask(method, operation.at({**there, "project": project}), headers + kind, body) for project in ("quarry", "nosuch")]
            wanted = 405 if method == "DELETE" else 404
            if [reply.status for reply in replies] != [wanted, wanted]:
                play.say("let in", f"a token of another project: {method} {operation.path}: {replies[0]}, and of none: {replies[1]}")
            elif replies[0].alike("quarry", "nosuch") != replies[1].alike("quarry", "nosuch"):
                play.say("differs", f"a token of another project: {method} {operation.path}: {replies[0]}, and of none: {replies[1]}")
            elif names := play.leaks(replies[0], asked=operation.at(there)):
                play.say("told", f"a token of another project: {method} {operation.path} tells {names}: {replies[0]}")


def signed(play, there, nowhere):
    """Who signs nothing learns not whether there is a trigger that takes signed messages."""
    place = "/api/v1/projects/{project}/pipelines/{pipeline}/triggers/{trigger}/webhook"
    now = str(int(time.time()))
    attempts = {
        "no signature": [], "a wrong signature": [("webhook-id", "m1"), ("webhook-timestamp", now), ("webhook-signature", "v1," + "A" * 43 + "=")],
        "an old signature": [("webhook-id", "m1"), ("webhook-timestamp", "1000"), ("webhook-signature", "v1," + "A" * 43 + "=")],
        "half a signature": [("webhook-id", "m1")], "a signature that is none": [("webhook-id", "m1"), ("webhook-timestamp", "x"), ("webhook-signature", "x")],
        "two ids": [("webhook-id", "m1"), ("webhook-id", "m2"), ("webhook-timestamp", now), ("webhook-signature", "v1,AAAA")],
        "another sender's": [("x-hub-signature-256", "sha256=" + "0" * 64), ("x-github-event", "push")], "a token": [("X-Gitlab-Token", "x")],
    }
    for what, headers in attempts.items():
        for body in (b"{}", b"not json", b"", b"x" * LARGE):
            headers = [*headers, ("Content-Type", "application/json")]
            names = [{**there, "trigger": "sealed"}, {**there, "trigger": "pried"}, nowhere]
            paths = [re.sub(r"\{(\w+)\}", lambda name: own[name.group(1)], place) for own in names]
            replies = [play.ask("POST", path, headers, body) for path in paths]
            if not 400 <= replies[0].status < 500 or any(play.leaks(reply) for reply in replies):
                play.say("let in", f"a webhook with {what}: {[str(reply) for reply in replies]}")
            elif len({str(reply.alike()) for reply in replies}) > 1:
                play.say("differs", f"a webhook with {what}: body {body[:20]!r} of {len(body)} bytes: where there is one: {replies[0]}; "
                         f"where the trigger has none: {replies[1]}; where there is no trigger: {replies[2]}")


# --- From the description


DESCRIBED = r"""
[pipeline]
name = "described"

[params]
id = "none"
n = 0

[steps.make]
run = '''
echo made ${params.id}
mkdir -p ${outputs.tree}/sub
echo ${params.id} > ${outputs.tree}/sub/file
sleep 0.2
echo ${params.id} > ${outputs.out}
'''
outputs.out = "out.txt"
outputs.tree = { path = "tree", kind = "dir" }

[[triggers]]
name = "fired"
event = { type = "com.example.*", filter = "event.type == 'com.example.none'" }
concurrency = "forbid"

[[triggers]]
name = "nightly"
cron = "0 3 1 1 *"
concurrency = "forbid"

[[triggers]]
name = "anything"
event = { type = "*" }
params = { id = "${event.data.id}" }
concurrency = "forbid"
"""

# What is tried with each answer. That a request is refused which the document does not allow is tried, but not that one is taken which it allows:
# what an event may be cannot be said in a schema alone.
CHECKS = ["not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance", "response_schema_conformance",
          "negative_data_rejection", "missing_required_header", "unsupported_method", "ensure_resource_availability"]
# Of the names in a path, so many are of what there is.
REAL = 0.7


def environment():
    """The Python that has schemathesis: made if it is not there, and found again by the hash of its requirements."""
    base = pathlib.Path(os.environ.get("TIDEMILL_TEST_ENV") or pathlib.Path.home() / ".cache/tidemill/test-env")
    base.mkdir(parents=True, exist_ok=True)
    named = REQUIREMENTS.read_bytes() + platform.python_version().encode() + sys.base_prefix.encode()
    made = base / f"daemon-{hashlib.sha256(named).hexdigest()[:16]}"
    with open(base / "lock-daemon", "w") as lock:
        # Two that run at once wait for each other; the lock goes with its holder.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (made / "complete").exists():
            print(f"{sys.argv[0]}: making {made}", file=sys.stderr)
            shutil.rmtree(made, ignore_errors=True)
            run = {"stdin": subprocess.DEVNULL, "stdout": sys.stderr, "check": True}
            subprocess.run([sys.executable, "-m", "venv", made], **run)
            python = made / "bin/python"
            subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "--no-deps",
                            "--requirement", REQUIREMENTS], **run)
            subprocess.run([python, "-c", "import schemathesis"], **run)
            (made / "complete").touch()
    return made


def described(campaign, examples, seconds=1800):
    """Everything that the daemon's own document describes, tried with requests that it allows and with such that it does not."""
    made = environment()
    world = Served(campaign.program)
    try:
        world.file("pipeline.toml", DESCRIBED)
        report = Report(campaign, world)
        try_described(campaign, world, report, made, examples, seconds)
        campaign.settle("schemathesis", f"seed {campaign.seed}", report)
    finally:
        world.end()
    campaign.close(world)


def try_described(campaign, world, report, made, examples, seconds):
    token = world.token("everything")
    world.must_open()
    runs = [world.tidemill("run", "--json", "--set", f"id={word}").json()["run"] for word in "ab"]
    start = {"Content-Type": "application/json"}
    status, fired = world.ask("/api/v1/projects/project/pipelines/described/triggers/fired/fire", token, "POST", b"{}", start)
    if status != 202:
        report.say("fire", f"{status} {fired}")
        return
    odd(world, report, token)
    names = {
        "project": ["project"], "pipeline": ["described"], "trigger": ["fired", "anything", "nightly"], "run": runs, "step": ["make"],
        "output": ["out", "tree"], "arrival": [fired["arrival"]],
    }
    settings = "".join(f"[dictionaries.{name}]\nvalues = {json.dumps(values)}\n" for name, values in names.items())
    settings += "[parameters]\n" + "".join(f'"path.{name}" = {{ dictionary = "{name}", probability = {REAL} }}\n' for name in names)
    (world.base / "schemathesis.toml").write_text(settings)
    command = [made / "bin/schemathesis", "--config-file", "schemathesis.toml", "--no-color", "run", f"http://127.0.0.1:{world.port}/api/v1/openapi.json",
               "--header", f"Authorization: Bearer {token}", "--checks", ",".join(CHECKS), "--max-examples", str(examples), "--seed", str(campaign.seed),
               "--request-timeout", "20", "--workers", "1", "--continue-on-failure", "--no-shrink", "--warnings", "off"]
    with open(world.base / "schemathesis.log", "wb") as log:
        child = subprocess.Popen(["nice", *map(str, command)], cwd=world.base, env=world.environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            code = child.wait(seconds)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            report.say("hangs", f"it takes longer than {seconds} s")
            return
    said = (world.base / "schemathesis.log").read_text(errors="replace")
    counted(campaign, said)
    if code != 0:
        failures = said.find("= FAILURES =")
        errors = said.find("= ERRORS =")
        begin = min((place for place in (failures, errors) if place >= 0), default=0)
        failed = said[begin:].split("= SUMMARY =")[0]
        for text in re.split(r"\n(?=_{5,} )", failed)[1:] or [said[-4000:]]:
            report.say("schemathesis", text.strip()[:4000])
    if world.child.poll() is not None:
        report.say("ended", f"the daemon ended: {world.said()[-2000:]}")
    for word in ("panicked", "could not be answered"):
        if lines := [line for line in world.said().splitlines() if word in line]:
            report.say("log", f"{len(lines)} times: {lines[0][:1000]}")
    campaign.note("the daemon's memory at the end, in MiB", memory(world.child.pid)[0])


def odd(world, report, token):
    """What no schema says: whatever is wrong is told in the form that the document has for it, and with a status that stands there."""
    place, me, json_kind = "/api/v1/projects/project", [("Authorization", f"Bearer {token}")], [("Content-Type", "application/json")]
    event = [("Content-Type", "application/cloudevents+json")]
    large, deep = b'{"pipeline": "' + b"a" * (2 << 20) + b'"}', b"[" * 100_000 + b"]" * 100_000
    asked = [
        ("a name that is no text", "GET", "/api/v1/projects/%ff/queue", [], b"", [400, 404]), ("a run that is no text", "GET", f"{place}/runs/%ff", [], b"", [400, 404]),
        ("a zero", "GET", "/api/v1/projects/a%00b/queue", [], b"", [404]), ("a query that is no text", "GET", f"{place}/runs?limit=%ff", [], b"", [400]),
        ("a query twice", "GET", f"{place}/runs?limit=1&limit=2", [], b"", [400]), ("a large event", "POST", f"{place}/events", event, large, [413]),
        ("a large body", "POST", f"{place}/runs", json_kind, large, [413]), ("a deep body", "POST", f"{place}/runs", json_kind, deep, [400]),
        ("a deep event", "POST", f"{place}/events", event, deep, [400]), ("a body that is no text", "POST", f"{place}/runs", json_kind, b'{"pipeline": "\xff"}', [400]),
        ("no body", "POST", f"{place}/runs", json_kind, b"", [400]), ("an empty key", "POST", f"{place}/runs", [*json_kind, ("Idempotency-Key", "")], b'{"pipeline": "described"}', [400]),
        ("a long key", "POST", f"{place}/runs", [*json_kind, ("Idempotency-Key", "k" * 256)], b'{"pipeline": "described"}', [400]),
        ("another method", "DELETE", f"{place}/runs", [], b"", [405]), ("no such path", "GET", "/api/v1/nothing", [], b"", [404]),
        ("an arrival that is none", "GET", f"{place}/arrivals/x", [], b"", [404]),
    ]
    for what, method, path, headers, body, statuses in asked:
        reply = exchange(world, method, path, me + headers, body)
        report.campaign.count("odd requests")
        is_problem = reply.headers.get("content-type") == "application/problem+json" and json.loads(reply.body).get("status") == reply.status
        if reply.status not in statuses or not is_problem:
            report.say("odd", f"{what}: {method} {path}: {reply}")


def counted(campaign, said):
    """How many cases were tried, as far as it says so."""
    for what, pattern in (("cases", r"(\d+) generated"), ("operations", r"Tested: (\d+)")):
        if found := re.search(pattern, said):
            campaign.count(what, int(found.group(1)))


# --- Load


# The daemon's pipeline; what comes while a run goes on leads to none, so that there is no storm of runs.
BUSY = EACH.replace('name = "each"', 'name = "busy"').replace('concurrency = "allow"', 'concurrency = "forbid"')

# So many runs there are to be read, and so many connections that read and that send.
HISTORY, READERS, SENDERS = 30, 24, 8


class Connection(asyncio.Protocol):
    """A connection that asks one thing after another. Nothing of an answer is read but its status and its length."""

    def __init__(self, load):
        self.load, self.transport = load, None
        self.buffer, self.missing, self.since, self.what, self.status = b"", None, None, None, 0

    def connection_made(self, transport):
        self.transport = transport
        self.load.idle.append(self)

    def ask(self, what, request, since):
        self.buffer, self.missing, self.since, self.what = b"", None, since, what
        self.transport.write(request)

    def data_received(self, data):
        if self.missing is None:
            self.buffer += data
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self.buffer[:end].lower()
            place = head.find(b"content-length:")
            length = int(head[place + 15:].split(b"\r", 1)[0]) if place >= 0 else 0
            self.status = int(head[9:12])
            self.load.received += len(self.buffer)
            self.missing = length - (len(self.buffer) - end - 4)
        else:
            self.missing -= len(data)
            self.load.received += len(data)
        if self.missing <= 0:
            self.load.answered(self.what, self.status, self.since)
            self.load.idle.append(self)

    def connection_lost(self, _error):
        self.load.lost(self)


class Load:
    """So many requests in a second, at their times, whether the answers come or not; the time of an answer counts from when it was due."""

    def __init__(self, port, rate, seconds, connections, requests, wanted):
        self.port, self.rate, self.seconds, self.connections = port, rate, seconds, connections
        self.requests, self.wanted = requests, wanted
        self.idle, self.latencies, self.of, self.received = [], array.array("d"), {}, 0
        self.errors, self.is_over = {}, False

    async def play(self):
        loop = asyncio.get_running_loop()
        for _ in range(self.connections):
            await loop.create_connection(lambda: Connection(self), "127.0.0.1", self.port)
        began, sent, total = time.monotonic(), 0, round(self.rate * self.seconds)
        end = began + self.seconds + 15
        while len(self.latencies) + sum(self.errors.values()) < total and time.monotonic() < end:
            now = time.monotonic()
            due = min(total, int((now - began) * self.rate) + 1)
            while sent < due and self.idle:
                self.idle.pop().ask(*next(self.requests), began + sent / self.rate)
                sent += 1
            await asyncio.sleep(0.002)
        self.is_over = True
        took = time.monotonic() - began
        answered = len(self.latencies)
        unanswered = total - answered - sum(self.errors.values())
        return {
            "asked": total, "answered": answered, "rate": answered / took, **{name: part_of(self.latencies, part) for name, part in PARTS.items()},
            "of": {what: {name: part_of(latencies, part) for name, part in PARTS.items()} for what, latencies in self.of.items()},
            "errors": {**self.errors, **({"no answer": unanswered} if unanswered else {})}, "MiB": self.received / 2**20,
            "processor": time.process_time(),
        }

    def answered(self, what, status, since):
        if status == self.wanted:
            self.latencies.append(time.monotonic() - since)
            self.of.setdefault(what, array.array("d")).append(self.latencies[-1])
        else:
            self.errors[str(status)] = self.errors.get(str(status), 0) + 1

    def lost(self, _connection):
        if not self.is_over:
            self.errors["connection lost"] = self.errors.get("connection lost", 0) + 1


PARTS = {"p50": 0.5, "p99": 0.99, "most": 1}


def part_of(latencies, part):
    """So many of them are not longer, in milliseconds."""
    ordered = sorted(latencies)
    return round(1000 * ordered[min(len(ordered) - 1, int(part * len(ordered)))], 1) if ordered else 0


def request(port, token, method, path, body=b"", kind="application/json"):
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n"
    head += f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n" if body else ""
    return head.encode() + b"\r\n" + body


def reading(port, token, runs, rate, seconds, told):
    place = "/api/v1/projects/project"
    paths = {"runs": [f"{place}/runs?limit=20"], "a run": [f"{place}/runs/{run}" for run in runs], "the queue": [f"{place}/queue"], "triggers": [f"{place}/triggers"]}
    kinds = [(what, itertools.cycle([request(port, token, "GET", path) for path in some])) for what, some in paths.items()]
    mixed = ((what, next(requests)) for what, requests in itertools.cycle(kinds))
    told.put(("reads", asyncio.run(Load(port, rate, seconds, READERS, mixed, 200).play())))


def sending(port, token, rate, seconds, told):
    def events():
        for number in itertools.count():
            event = {"specversion": "1.0", "id": str(number), "source": "/load", "type": "com.example.made", "data": {"id": f"l{number}", "pause": "0"}}
            yield "an event", request(port, token, "POST", "/api/v1/projects/project/events", json.dumps(event).encode(), "application/cloudevents+json")
    told.put(("triggers", asyncio.run(Load(port, rate, seconds, SENDERS, events(), 202).play())))


def load(campaign, seconds, rate):
    """So many reads in a second and a tenth of it events, for as long."""
    world = Served(campaign.program)
    try:
        world.file("pipeline.toml", BUSY)
        report = Report(campaign, world)
        loaded(campaign, world, report, seconds, rate)
        campaign.settle("load", f"{rate} reads and {rate / 10:.0f} events a second", report)
    finally:
        world.end()
    campaign.close(world)


def loaded(campaign, world, report, seconds, rate):
    token = world.token("load")
    runs = [world.tidemill("run", "--json", "--set", f"id=r{number}").json()["run"] for number in range(HISTORY)]
    world.must_open()
    # One run goes on for the whole time, and forbids all others.
    event = {"specversion": "1.0", "id": "first", "source": "/load", "type": "com.example.made", "data": {"id": "first", "pause": str(seconds + 600)}}
    world.ask("/api/v1/projects/project/events", token, "POST", json.dumps(event).encode(), {"Content-Type": "application/cloudevents+json"})
    queue = lambda: world.ask("/api/v1/projects/project/queue", token)[1]
    if not until(lambda: queue()["running"], 30, 0.05):
        report.say("no run", f"{queue()}")
        return
    pid = world.child.pid
    begin, most = memory(pid)[0], 0
    used, began = processor(pid), time.monotonic()
    # Started anew, so that a child has nothing of the threads of this process.
    start = multiprocessing.get_context("spawn")
    told = start.Queue()
    clients = [start.Process(target=reading, args=(world.port, token, runs, rate, seconds, told)),
               start.Process(target=sending, args=(world.port, token, rate / 10, seconds, told))]
    answers = {}
    try:
        for client in clients:
            client.start()
        end = began + seconds + 60
        while len(answers) < 2 and time.monotonic() < end and world.child.poll() is None:
            with contextlib.suppress(Exception):
                what, answer = told.get(timeout=0.25)
                answers[what] = answer
            most = max(most, memory(pid)[0])
    finally:
        for client in clients:
            client.kill()
            client.join()
    took = time.monotonic() - began
    if world.child.poll() is not None or len(answers) < 2:
        report.say("no answers", f"{answers}, the daemon: {world.child.poll()} {world.said()[-1000:]}")
        return
    tell_load(campaign, report, answers, rate)
    campaign.note("MiB of the daemon's memory at the beginning", begin)
    campaign.note("MiB of the daemon's memory at most", max(most, memory(pid)[1]))
    campaign.note("MiB of the daemon's memory at the end", memory(pid)[0])
    campaign.note("percent of one processor that the daemon took", round(100 * (processor(pid) - used) / took))
    running = queue()["running"]
    if len(running) != 1:
        report.say("runs", f"one is to go on: {running}")
    for run in running:
        world.ask(f"/api/v1/projects/project/runs/{run['run']}/cancel", token, "POST")
    if not until(lambda: not queue()["running"], 30, 0.1):
        report.say("cancel", f"the run goes on: {queue()['running']}")


def tell_load(campaign, report, answers, rate):
    for what, wanted in (("reads", rate), ("triggers", rate / 10)):
        answer = answers[what]
        campaign.count(what, answer["answered"])
        campaign.note(f"{what} per second, of {wanted:.0f}", round(answer["rate"], 1))
        for name in PARTS:
            campaign.note(f"{what}: {name}, in ms", answer[name])
        if len(answer["of"]) > 1:
            for part, figures in answer["of"].items():
                campaign.note(f"{what}: {part}: p50, in ms", figures["p50"])
                campaign.note(f"{what}: {part}: p99, in ms", figures["p99"])
        campaign.note(f"{what}: seconds of a processor that the client took", round(answer["processor"], 1))
        campaign.note(f"{what}: MiB received", round(answer["MiB"]))
        print(f"{campaign.name}: {what}: {answer['rate']:.1f}/s of {wanted:.0f}, p50 {answer['p50']} ms, p99 {answer['p99']} ms, "
              f"most {answer['most']} ms, errors {answer['errors']}; {answer['of']}", flush=True)
        for error, number in answer["errors"].items():
            campaign.count(f"{what}: {error}", number)
            report.say("errors", f"{what}: {number} times {error}")
        if answer["rate"] < 0.95 * wanted:
            report.say("too slow", f"{what}: {answer['rate']:.1f} per second, and not {wanted:.0f}")


def memory(pid):
    """What a process has in memory now, and had at most, in MiB."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return tuple(round(int(re.search(rf"{name}:\s+(\d+)", text).group(1)) / 1024, 1) for name in ("VmRSS", "VmHWM"))


def processor(pid):
    """Seconds of a processor that a process took."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# --- Nothing to do


QUIET = r"""
[pipeline]
name = "quiet"

[params]
id = "none"

[steps.only]
run = "cat ${inputs.data} > ${outputs.out}"
inputs.data = "data.txt"
outputs.out = "out.txt"

[[triggers]]
name = "newyear"
cron = "0 0 1 1 *"

[[triggers]]
name = "changed"
watch = true

[[triggers]]
name = "arrived"
event = "com.example.*"
params = { id = "${event.data.id}" }
"""

# So often a daemon with nothing to do may wake up in a minute.
WAKES = 60


def idle(campaign, seconds):
    """How often a daemon wakes up that has nothing to do, and what it keeps in memory."""
    world = Served(campaign.program)
    try:
        world.file("pipeline.toml", QUIET)
        world.file("data.txt", "some\n")
        report = Report(campaign, world)
        rest(campaign, world, report, seconds)
        campaign.settle("idle", f"{seconds} seconds", report)
    finally:
        world.end()
    campaign.close(world)


def rest(campaign, world, report, seconds):
    world.token("idle")
    world.must_open()
    ledger = world.state / "triggers" / "queue.jsonl"
    # It has looked at what it watches, and remembers when it last looked at the clock.
    if not until(lambda: all(word in ledger.read_text() for word in ("watch pipeline.toml#changed", "cron pipeline.toml#newyear")), 60, 0.05):
        report.say("no beginning", f"{ledger.read_text()} {world.said()}")
        return
    pid = world.child.pid
    # Threads that did something at the beginning end when they have been idle for ten seconds.
    settled = Quiet(pid)
    until(settled.is_quiet, 30, 0.5)
    before, used = switches(pid), processor(pid)
    with contextlib.suppress(subprocess.TimeoutExpired):
        world.child.wait(seconds)
    if world.child.poll() is not None:
        report.say("ended", f"{world.child.poll()}: {world.said()[-1000:]}")
        return
    after = switches(pid)
    total = [0, 0]
    for thread, (name, *now) in sorted(after.items()):
        then = before.get(thread, (name, 0, 0))[1:]
        by = [new - old for new, old in zip(now, then)]
        total = [old + new for old, new in zip(total, by)]
        if any(by):
            campaign.note(f"wakes of the thread {name} ({thread - pid})", sum(by))
    campaign.note("voluntary context switches", total[0])
    campaign.note("nonvoluntary context switches", total[1])
    campaign.note("wakes in a minute", round(60 * sum(total) / seconds, 1))
    campaign.note("seconds measured", seconds)
    campaign.note("threads", len(after))
    campaign.note("MiB of memory", memory(pid)[0])
    campaign.note("milliseconds of a processor", round(1000 * (processor(pid) - used)))
    for what, number in campaign.notes.items():
        print(f"{campaign.name}: {what}: {number}", flush=True)
    if 60 * sum(total) / seconds > WAKES:
        report.say("wakes up", f"{total} context switches in {seconds} s: { {name: campaign.notes[name] for name in campaign.notes if 'thread' in name} }")


class Quiet:
    """Whether the threads of a process have stayed the same for a while, and have done nothing."""

    def __init__(self, pid):
        self.pid, self.last, self.since = pid, None, time.monotonic()

    def is_quiet(self):
        now = switches(self.pid)
        if now != self.last:
            self.last, self.since = now, time.monotonic()
        return time.monotonic() - self.since > 3


def switches(pid):
    """Of each thread its name and its context switches, voluntary and not."""
    found = {}
    for folder in pathlib.Path(f"/proc/{pid}/task").iterdir():
        # It may have ended.
        with contextlib.suppress(OSError):
            text = (folder / "status").read_text()
            numbers = [int(number) for number in re.findall(r"voluntary_ctxt_switches:\s+(\d+)", text)]
            found[int(folder.name)] = (re.search(r"Name:\s+(.+)", text).group(1), *numbers)
    return found
