"""A project in a closed world, the `tidemill` that is tried on it, and the processes that belong to it."""

import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

# Longer than any command of a campaign takes: what takes longer hangs.
PATIENCE = 90
# How long killed processes may take to go.
FAREWELL = 15


class Answer:
    """How a command ended: its exit code (`hangs` if it did not), and what it said."""

    def __init__(self, code, stdout, stderr):
        self.code, self.stdout, self.stderr = code, stdout, stderr

    def json(self):
        return json.loads(self.stdout)

    def __str__(self):
        return f"exit {self.code}\n{self.stdout[-1500:]}{self.stderr[-3000:]}"


class World:
    """A folder with projects, a home, and places outside of the projects where steps leave traces."""

    def __init__(self, program, owner=None):
        self.base = pathlib.Path(tempfile.mkdtemp(prefix="tidemill-campaign-")).resolve()
        self.program, self.owner = program, owner
        for name in ["project", "home", "outside", "counts"]:
            (self.base / name).mkdir()
        self.root = self.base / "project"
        self.variables = {}
        # Kept for a look, and not used again.
        self.spoiled = False

    @property
    def state(self):
        return pathlib.Path(self.variables.get("TIDEMILL_STATE", self.root / ".tidemill"))

    def file(self, path, content):
        path = self.root / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def environment(self):
        return {"PATH": os.environ["PATH"], "HOME": str(self.base / "home"), "NO_COLOR": "1", **self.variables}

    def start(self, *arguments, before=(), root=None, prepare=None):
        """Starts `tidemill` in a process group of its own; `before` is what starts it, such as a tracer."""
        out, err = tempfile.TemporaryFile(), tempfile.TemporaryFile()
        child = subprocess.Popen([*before, self.program, *arguments], cwd=root or self.root, env=self.environment(),
                                 stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True,
                                 preexec_fn=prepare, **(self.owner or {}))
        child.streams = (out, err)
        return child

    def answer(self, child, patience=PATIENCE):
        try:
            code = child.wait(patience)
        except subprocess.TimeoutExpired:
            code = "hangs"
            kill_with_descendants(child.pid)
            child.wait()
        texts = []
        for stream in child.streams:
            stream.seek(0)
            texts.append(stream.read().decode(errors="replace"))
            stream.close()
        return Answer(code, *texts)

    def tidemill(self, *arguments, **how):
        return self.answer(self.start(*arguments, **how))

    def counts(self):
        """How often each piece of work was begun."""
        return {path.name: path.stat().st_size for path in (self.base / "counts").iterdir()}

    def processes(self):
        """The living processes that steps of this state folder started, however far they went, and their wardens."""
        return processes_of(self.state)

    def processes_go(self):
        """Waits until none is left; tells those that do not go."""
        end = time.monotonic() + FAREWELL
        while (left := self.processes()) and time.monotonic() < end:
            time.sleep(0.01)
        return left

    def remove(self):
        for pid in self.processes():
            send(pid, signal.SIGKILL)
        shutil.rmtree(self.base, ignore_errors=True)


def content(path):
    """A file's bytes, or, if they are many, their digest."""
    content = path.read_bytes()
    return content if len(content) < 4096 else hashlib.sha256(content).hexdigest()


def tree(folder):
    """All that is in a folder: form, executable bit, content."""
    found = {}
    for place, folders, files in os.walk(folder):
        for name in folders + files:
            path = pathlib.Path(place, name)
            key = str(path.relative_to(folder))
            if path.is_symlink():
                found[key] = ("link", os.readlink(path))
            elif path.is_dir():
                found[key] = ("folder", None)
            else:
                found[key] = ("program" if path.stat().st_mode & 0o100 else "file", content(path))
    return found


def difference(one, other):
    """The paths in which two trees differ."""
    return sorted(path for path in one.keys() | other.keys() if one.get(path) != other.get(path))


def processes_of(state):
    mark = f"TIDEMILL_STATE={state}".encode()
    found = []
    for pid in all_processes():
        with contextlib.suppress(OSError):
            environment = pathlib.Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            if mark in environment and stat_of(pid)[0] not in "ZX":
                found.append(pid)
    return found


def all_processes():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def stat_of(pid):
    """State and parent of a process; `X` if there is none."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return "X", 0
    fields = text.rsplit(")", 1)[1].split()
    return fields[0], int(fields[1])


def children_of(pid):
    return [other for other in all_processes() if stat_of(other)[1] == pid]


def warden_of(engine):
    """The warden of a run, if it has one already."""
    for pid in children_of(engine):
        with contextlib.suppress(OSError):
            if pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[1:2] == [b"warden"]:
                return pid
    return None


def send(pid, number):
    # It may have ended by itself.
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def kill_with_descendants(pid):
    """All are stopped first, so that none can react to another's end."""
    family, done = [pid], 0
    while done < len(family):
        send(family[done], signal.SIGSTOP)
        family += [pid for pid in children_of(family[done]) if pid not in family]
        done += 1
    for member in family:
        send(member, signal.SIGKILL)
