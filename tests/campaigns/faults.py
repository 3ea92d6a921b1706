"""The campaign of faults: calls of the engine fail as they do on full, broken and read-only disks and at the limits of a machine."""

import errno
import os
import re

from . import tracer
from .crash import LIFE, count
from .mixed import Expected, Mixed, Settled, YES

FULL, BROKEN, LIMIT = ["ENOSPC", "EDQUOT"], ["EIO"], ["EMFILE", "ENOMEM"]

# How each call may fail.
ERRORS = {
    "openat": [*LIMIT, *FULL, *BROKEN, "EROFS", "EACCES"],
    "write": [*FULL, *BROKEN], "writev": [*FULL, *BROKEN], "pwrite64": [*FULL, *BROKEN],
    "copy_file_range": [*FULL, *BROKEN], "sendfile": [*FULL, *BROKEN], "fallocate": FULL,
    "ftruncate": [*FULL, *BROKEN], "fsync": BROKEN, "fdatasync": [*FULL, *BROKEN], "sync_file_range": BROKEN,
    **{call: [*FULL, *BROKEN, "EROFS", "EACCES"] for call in ["rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat", "mkdir", "mkdirat"]},
    **{call: [*BROKEN, "EROFS", "EACCES"] for call in ["unlink", "unlinkat", "rmdir", "chmod", "fchmod", "fchmodat", "utimensat"]},
    "flock": ["ENOLCK", *BROKEN], "fcntl": ["ENOLCK", *BROKEN], "ioctl": BROKEN,
    "clone": ["EAGAIN", "ENOMEM"], "clone3": ["EAGAIN", "ENOMEM"], "vfork": ["EAGAIN", "ENOMEM"],
    "pidfd_open": LIMIT, "pipe2": LIMIT, "eventfd2": LIMIT, "epoll_create1": LIMIT, "socketpair": LIMIT,
    "read": BROKEN, "pread64": BROKEN, "statx": [*BROKEN, "EACCES"], "newfstatat": BROKEN, "fstat": BROKEN,
    "getdents64": BROKEN, "readlink": BROKEN,
}

# The exit codes that docs/cli.md promises, but for 130 and the 101 of a bug.
DOCUMENTED = {0, 1, 2, 3, 4}

# What a failed call was about: a file, by its path.
PATH = re.compile(r'"(/[^"]*)"|<(/[^>]*)>')


def injected(campaign, density=1, most=None):
    """Every kind of call fails at every named point with every error that it may give, once or, as often, from there on."""
    random, expected = campaign.random("faults"), Expected(campaign.program)
    found = []
    for series, first in (("first run", True), ("later run", False)):
        counted = count(campaign.program, first)
        for call, number in tracer.points(counted, ERRORS, density):
            found += [(first, call, number, error, random.random() < 0.5) for error in ERRORS[call]]
    campaign.note("points", len(found))
    random.shuffle(found)
    worlds = {True: None, False: None}
    age = 0
    for first, call, number, error, lasts in found[:most]:
        if campaign.is_over():
            break
        world = worlds[first]
        if world is None or world.spoiled or first or age % LIFE == 0:
            world = worlds[first] = campaign.fresh(world, Mixed)
            if not first:
                world.warm({"n": 90, "m": 90, "least": YES})
        age += 1
        params = {"n": age % 50, "m": age % 6, "least": YES}
        settled = Settled(world, expected, params)
        trace = tracer.failing(call, error, number, lasts)
        answer = world.run(params, before=trace.before)
        hits = trace.injected()
        trace.close()
        point = f"{call} number {number}{' and all later ones' if lasts else ''} fail with {error}"
        if hits:
            campaign.count("points reached")
            judge(campaign, settled, answer, error, hits, world)
        else:
            campaign.count("points not reached")
        check(campaign, settled, answer, world, point)
    for world in worlds.values():
        campaign.close(world)


def check(campaign, settled, answer, world, point):
    """Without the fault: the next run is right, whatever this one said."""
    if answer.code == 0:
        settled.compare("the run with the fault, which gave 0")
    if left := world.processes_go():
        settled.say("processes", f"left alive: {left}")
    settled.after_mishap()
    settled.next_run(4)
    campaign.settle("fault", point, settled)


def about_a_file(line, world):
    """Whether a call was about a file or folder of this world, and no pipe, event or library."""
    return any(str(world.base) in (one or other) for one, other in PATH.findall(line))


def about_no_file(line):
    """Whether a call was about a pipe or an event between threads: these do not fail as disks do."""
    return any(word in line for word in ["<anon_inode:", "<pipe:", "<socket:", "<UNIX"])


def judge(campaign, settled, answer, error, hits, world):
    """A fault gives success, or a documented exit code and a message that says what failed."""
    ours = any(about_a_file(line, world) for line in hits)
    campaign.count(f"exit {answer.code}")
    said = answer.stdout + answer.stderr
    first_hit = " ".join(hits[0].split()[1:])[:200]
    if any(about_no_file(line) for line in hits):
        campaign.count("of a pipe or event, not judged")
        return
    if "error while loading shared libraries" in said or answer.code == 127:
        campaign.count("before the program began")
        return
    if "panicked" in said or answer.code not in DOCUMENTED:
        settled.say("panic" if "panicked" in said else "exit code", f"{first_hit}: {answer}")
    elif any("write(2<" in line for line in hits):
        campaign.count("of standard error itself, whose words are not judged")
    elif answer.code != 0 and not answer.stderr.strip():
        settled.say("silent", f"{first_hit}: {answer}")
    elif answer.code == 4 and error and ours and os.strerror(getattr(errno, error)).lower() not in said.lower():
        campaign.unclear(first_hit, answer)
    elif answer.code == 2:
        # Nothing is wrong with the command line or the pipeline.
        campaign.unclear(first_hit, answer)
