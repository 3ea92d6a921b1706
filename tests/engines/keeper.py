"""What the engines share: installing their packages, free ports, and processes that never outlive the one who started them.

Two processes stand over an engine. The front is the one that was called: it waits. The keeper, its child, starts the daemons and holds a
pipe from the front. Either of them adopts what loses its parent, so whichever is killed, the other one ends everything.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import pathlib
import random
import select
import shutil
import signal
import socket
import subprocess
import sys
import time

SUBREAPER = 36
DEATH_SIGNAL = 1
libc = ctypes.CDLL(None, use_errno=True)


class Failed(Exception):
    """The engine cannot be had; the text says why."""


class Stopped(Exception):
    """The caller wants no engine any more."""


@contextlib.contextmanager
def alone():
    """Changes to the machine are made by one at a time."""
    with open("/var/lock/tidemill-engines", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def install(programs, packages):
    """Installs packages of Debian unless all programs are there. Two that run at once wait for each other."""
    if os.geteuid() != 0:
        raise Failed("only root can start this engine")
    os.environ["PATH"] = os.environ.get("PATH", "/bin:/usr/bin") + ":/usr/sbin:/sbin"
    missing = [program for program in programs if not shutil.which(program)]
    if not missing:
        return
    if not shutil.which("apt-get"):
        raise Failed(f"{', '.join(missing)}: not found; Debian and Ubuntu have them in {', '.join(packages)}")
    command = ["apt-get", "install", "-y", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300", *packages]
    with alone():
        if all(shutil.which(program) for program in programs):
            return
        # A package must not start a service of its own, least of all one that the network can reach.
        policy = pathlib.Path("/usr/sbin/policy-rc.d")
        ours = not policy.exists()
        if ours:
            policy.write_text("#!/bin/sh\nexit 101\n")
            policy.chmod(0o755)
        try:
            environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
            subprocess.run(["apt-get", "update", "-qq"], stdin=subprocess.DEVNULL, stdout=sys.stderr, env=environment)
            subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, env=environment, check=True)
        except subprocess.CalledProcessError as error:
            raise Failed(f"{' '.join(command)}: exit code {error.returncode}") from None
        finally:
            if ours:
                policy.unlink()


PORTS = range(12000, 32000)
reserved = []


def free_ports(count):
    """Ports of the loopback that nobody uses, below those that the kernel hands to outgoing connections. While this process lives, no
    other engine gets them."""
    found = []
    for port in random.sample(PORTS, 2000):
        reservation = socket.socket(socket.AF_UNIX)
        try:
            # A name outside the file system goes with its process.
            reservation.bind(f"\0tidemill-engines-{port}")
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("0.0.0.0", port))
        except OSError:
            reservation.close()
            continue
        reserved.append(reservation)
        found.append(port)
        if len(found) == count:
            return found
    raise Failed(f"no {count} free ports")


def table():
    """Every process: its number to that of its parent."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                stat = pathlib.Path("/proc", entry, "stat").read_text(errors="replace")
            except OSError:
                continue
            state, parent = stat.rpartition(")")[2].split()[:2]
            if state != "Z":
                parents[int(entry)] = int(parent)
    return parents


def below(pid):
    """The processes below this one."""
    parents = table()
    found, new = set(), {pid}
    while new:
        new = {child for child, parent in parents.items() if parent in new} - found
        found |= new
    return found


def send(pids, number):
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


def reap():
    """Forgets children that have ended, and says which they were."""
    ended = []
    try:
        while (child := os.waitpid(-1, os.WNOHANG)[0]) != 0:
            ended.append(child)
    except ChildProcessError:
        pass
    return ended


def end_everything():
    """Kills all processes below this one, and those that come to it when their parents end."""
    while left := below(os.getpid()):
        send(left, signal.SIGKILL)
        time.sleep(0.005)
        reap()
    reap()


class Keeper:
    """Starts daemons and ends them; stands in a process of its own."""

    def __init__(self, folder, front):
        self.folder = folder
        self.front = front
        self.input = b""
        self.pids = {}
        self.last = []
        # A byte for each signal: children end at any time, and are reaped at once.
        self.signals, write = os.pipe()
        os.set_blocking(write, False)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        (folder / "log").mkdir(exist_ok=True)

    def runs(self, name):
        return self.pids.get(name) in table()

    def start(self, name, command, user=None, environment=None):
        """Starts a daemon that stays in the foreground. It writes to `log/NAME.err`."""
        if self.runs(name):
            raise Failed(f"{name} runs already")
        with open(self.folder / "log" / f"{name}.err", "ab") as log:
            daemon = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, start_new_session=True,
                user=user, group=user and "nogroup", extra_groups=user and [], env=environment,
                preexec_fn=lambda: libc.prctl(DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0))
        # It is waited for in `reap`, with all that comes to this process.
        daemon.returncode = 0
        self.pids[name] = daemon.pid

    def end(self, name, more=(), number=signal.SIGKILL):
        """Kills a daemon, and more processes."""
        if not self.runs(name):
            raise Failed(f"{name} does not run")
        pid = self.pids.pop(name)
        if number == signal.SIGKILL:
            # None sees that another one has ended before it.
            send({pid, *more}, signal.SIGSTOP)
        send({pid, *more}, number)
        while pid in table():
            time.sleep(0.005)
        reap()

    def at_the_end(self, act):
        """Does something when all processes have ended."""
        self.last.append(act)

    def listen(self):
        """Waits for a line on the standard input, as a list of words, and raises `Stopped` where nobody is there to write one."""
        while b"\n" not in self.input:
            ready = select.select([self.front, self.signals, 0], [], [])[0]
            if self.front in ready:
                raise Stopped
            if self.signals in ready:
                os.read(self.signals, 4096)
                reap()
                continue
            more = os.read(0, 4096)
            if not more:
                raise Stopped
            self.input += more
        line, _, self.input = self.input.partition(b"\n")
        return line.decode(errors="replace").split()

    def wait_until(self, condition, what, seconds=60):
        """Waits for a condition, as long as every daemon lives."""
        deadline = time.monotonic() + seconds
        while not (value := condition()):
            ended = set(reap())
            for name, pid in self.pids.items():
                if pid in ended:
                    raise Failed(f"{name} ended: {self.tail(name)}")
            if time.monotonic() > deadline:
                raise Failed(f"waited {seconds} s until {what}: {' | '.join(self.tail(name) for name in self.pids)}")
            if select.select([self.front], [], [], 0.03)[0]:
                raise Stopped
        return value

    def tail(self, name):
        log = self.folder / "log" / f"{name}.err"
        return " / ".join(log.read_text(errors="replace").splitlines()[-5:])

    def say(self, answer):
        print(json.dumps(answer), flush=True)


def run(folder, start, command):
    """Runs an engine until nobody wants it any more, and ends the program.

    `start(keeper)` starts it and gives what is printed as one line of JSON. `command(keeper, words)` answers a line from the standard
    input in the same way.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = open(folder / "lock", "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(f"{sys.argv[0]}: {folder}: another engine runs there")
    libc.prctl(SUBREAPER, 1, 0, 0, 0)
    front, hold = os.pipe()
    keeper = os.fork()
    if keeper == 0:
        os.close(hold)
        os.setsid()
        libc.prctl(SUBREAPER, 1, 0, 0, 0)
        os._exit(keep(folder, front, start, command))
    os.close(front)

    def stop(*_):
        nonlocal hold
        if hold is not None:
            os.close(hold)
            hold = None

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop)
    _, status = os.waitpid(keeper, 0)
    end_everything()
    sys.exit(os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 1)


def keep(folder, front, start, command):
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
        # Not SIG_IGN: what is ignored here would be ignored in every job as well.
        signal.signal(number, lambda *_: None)
    keeper = Keeper(folder, front)
    try:
        keeper.say(start(keeper))
        while True:
            words = keeper.listen()
            try:
                keeper.say(command(keeper, words))
            except Failed as error:
                keeper.say({"error": str(error)})
    except (Stopped, BrokenPipeError):
        return 0
    except (Failed, OSError, subprocess.SubprocessError) as error:
        print(f"{sys.argv[0]}: {error}", file=sys.stderr, flush=True)
        return 1
    finally:
        end_everything()
        for act in keeper.last:
            act()
