"""strace: which system calls a run makes, and what happens when one of them kills the engine or fails.

Only the engine is traced, with its threads: what it starts is let go at `execve`. Calls are counted by thread, so that a point
`(call, 5)` is the first thread that comes to its fifth call. A killed call is not made; neither is one that fails.
"""

import collections
import os
import re
import shutil
import subprocess
import sys
import tempfile

# What changes files or the state of processes.
CHANGES = ["rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat", "unlink", "unlinkat", "rmdir", "openat", "write",
           "writev", "pwrite64", "copy_file_range", "sendfile", "fsync", "fdatasync", "sync_file_range", "ftruncate", "fallocate",
           "mkdir", "mkdirat", "chmod", "fchmod", "fchmodat", "utimensat", "flock", "fcntl", "ioctl", "clone", "clone3", "vfork",
           "pidfd_open", "pipe2", "close"]
# What only asks; it can fail, too.
QUESTIONS = ["read", "pread64", "statx", "newfstatat", "fstat", "getdents64", "readlink", "eventfd2", "epoll_create1", "socketpair"]

FIBONACCI = [1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610, 987, 1597]

LINE = re.compile(r"^(\d+) +(\w+)\(")


def need():
    """Makes sure that there is a strace that can do this."""
    if sys.platform != "linux":
        return "strace works on Linux only"
    if not shutil.which("strace"):
        if os.geteuid() != 0 or not shutil.which("apt-get"):
            return "strace is missing; on Debian: apt-get install strace"
        subprocess.run(["apt-get", "update", "-qq"], check=True)
        subprocess.run(["apt-get", "install", "-y", "-q", "--no-install-recommends", "strace"], check=True)
    tried = subprocess.run(["strace", "-f", "-b", "execve", "-o", os.devnull, "true"], capture_output=True, text=True)
    return None if tried.returncode == 0 else f"strace cannot trace here: {tried.stderr.strip()}"


class Trace:
    """A command line that stands before the program, and the file into which strace writes."""

    def __init__(self, calls, inject=None):
        self.file = tempfile.NamedTemporaryFile(mode="r", prefix="tidemill-strace-", errors="replace")
        names = ",".join(f"?{call}" for call in calls)
        self.before = ["strace", "-f", "-b", "execve", "-y", "-q", "-s", "80", "-o", self.file.name, "-e", f"trace={names}", "-e", "signal=none"]
        if inject:
            self.before += ["-e", f"inject={inject}"]

    def lines(self):
        self.file.seek(0)
        return self.file.read().splitlines()

    def most(self):
        """How often each call was made, by the thread that made it most."""
        counted = collections.Counter(match.groups() for line in self.lines() if (match := LINE.match(line)))
        most = collections.Counter()
        for (_, call), number in counted.items():
            most[call] = max(most[call], number)
        return most

    def injected(self):
        """The calls that were made to fail."""
        return [line for line in self.lines() if "(INJECTED)" in line]

    def killed(self, pid):
        """Whether this process was killed in such a call, which has no answer then."""
        return any(line.split()[0] == str(pid) and line.endswith("= ?") for line in self.lines())

    def close(self):
        self.file.close()


def killing(call, number):
    return Trace([call], f"{call}:signal=KILL:when={number}")


def failing(call, error, number, lasts):
    return Trace([call], f"{call}:error={error}:when={number}{'+' if lasts else ''}")


def points(most, calls, density=1):
    """The named points of these calls, up to how often they are made."""
    found = []
    for call in calls:
        numbers = [number for number in FIBONACCI[::density] if number <= most[call]]
        if most[call] and most[call] not in numbers:
            numbers.append(most[call])
        found += [(call, number) for number in numbers]
    return found
