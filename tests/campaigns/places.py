"""Faults of real places: small disks, read-only folders, another user, few processes, times that jump."""

import os
import pathlib
import resource
import shutil
import subprocess
import time

from .faults import check, judge
from .mixed import Expected, Mixed, Settled, YES

NOBODY = 65534


def all_of(campaign, density=1):
    """All of them that this machine allows; the others are said to be not done."""
    expected = Expected(campaign.program)
    root = os.geteuid() == 0
    if root and can_mount(campaign):
        small_disks(campaign, expected, density)
        few_names(campaign, expected, density)
        read_only(campaign, expected)
    else:
        campaign.not_done("small disks and read-only mounts: that takes root and the right to mount")
    if root:
        other_user(campaign, expected)
        few_processes(campaign, expected, density)
    else:
        campaign.not_done("another user, and limits of processes: that takes root")
    times_jump(campaign, expected)
    campaign.not_done("a clock that jumps while a run goes on: the time is read without a system call, and setting the machine's clock would "
                      "hit everything on it. Times of files that jump are played instead.")


def can_mount(campaign):
    world = Mixed(campaign.program)
    done = mount(world.base / "outside", "-t", "tmpfs", "tmpfs")
    if done:
        unmount(world.base / "outside")
    campaign.close(world)
    return done


def mount(place, *words):
    return subprocess.run(["mount", *words, str(place)], capture_output=True).returncode == 0


def unmount(place):
    subprocess.run(["umount", "-l", str(place)], check=True)


def small_disk(campaign, expected, options, larger, whole, point):
    """A run on a disk that runs out somewhere; then on a larger one."""
    if campaign.is_over():
        return
    world = Mixed(campaign.program)
    place = world.root if whole else world.root / ".tidemill"
    place.mkdir(exist_ok=True)
    kept = {path.name: path.read_bytes() for path in world.root.iterdir() if path.is_file()}
    if not mount(place, "-t", "tmpfs", "-o", larger, "tmpfs"):
        raise SystemExit("a disk in memory cannot be mounted")
    try:
        for name, content in kept.items():
            world.file(name, content)
        subprocess.run(["mount", "-o", f"remount,{options}", str(place)], check=True)
        params = {"n": 1, "m": 1, "least": YES}
        settled = Settled(world, expected, params)
        answer = world.run(params)
        judge(campaign, settled, answer, None, [point], world)
        if answer.code not in (0, 1, 4):
            settled.say("exit code", f"a full disk: {answer}")
        elif answer.code and not any(word in answer.stderr.lower() for word in ["no space left", "is full", "no room for another"]):
            settled.say("unclear", f"nothing says that the disk is full: {answer}")
        subprocess.run(["mount", "-o", f"remount,{larger}", str(place)], check=True)
        check(campaign, settled, answer, world, point)
    finally:
        unmount(place)
        campaign.close(world)


def small_disks(campaign, expected, density):
    """What a run writes is some 8 MiB below `.tidemill`, and 5 MiB beside it."""
    sizes = [16, 64, 96, 128, 192, 256, 384, 512, 768, *range(1024, 14 * 1024, 384)]
    for whole in (False, True):
        base = 1536 + 64 if whole else 0
        for size in sizes[::density]:
            point = f"{'the project' if whole else 'the state'} on a disk with room for {size} KiB"
            small_disk(campaign, expected, f"size={base + size}k", "size=256m", whole, point)
            campaign.count("small disks")


def few_names(campaign, expected, density):
    for names in list(range(4, 180, 8))[::density]:
        small_disk(campaign, expected, f"nr_inodes={names}", "nr_inodes=100000,size=256m", False, f"the state on a disk with {names} names")
        campaign.count("disks with few names")


def read_only(campaign, expected):
    """A cache, or a project, that cannot be written, before the first run and after one."""
    for whole, warm in [(False, False), (False, True), (True, True)]:
        world = Mixed(campaign.program)
        if warm:
            world.warm({"n": 2, "m": 2, "least": YES})
        else:
            (world.root / ".tidemill").mkdir()
        place = world.root if whole else world.root / ".tidemill"
        params = {"n": 1, "m": 1, "least": YES}
        settled = Settled(world, expected, params)
        mount(place, "--bind", str(place))
        subprocess.run(["mount", "-o", "remount,ro,bind", str(place)], check=True)
        point = f"a {'project' if whole else 'cache'} that is read-only {'after a run' if warm else 'from the beginning'}"
        try:
            for command in [["plan"], ["runs"], ["cache", "stats"], ["cache", "verify"], ["check"], ["run"]]:
                answer = world.run(params) if command == ["run"] else world.tidemill(*command)
                judge(campaign, settled, answer, "EROFS", [f"{command}, {point}"], world)
                if answer.code not in (0, 4):
                    settled.say("exit code", f"{command}, {point}: {answer}")
        finally:
            unmount(place)
        check(campaign, settled, answer, world, point)
        campaign.count("read-only places")
        campaign.close(world)


def program_for_all(campaign, world):
    """A copy that another user can start."""
    program = world.base / "tidemill"
    shutil.copy(campaign.program, program)
    program.chmod(0o755)
    return str(program)


def given_to(world, user):
    for place, folders, files in os.walk(world.base):
        for name in [".", *folders, *files]:
            os.chown(pathlib.Path(place, name), user, user, follow_symlinks=False)


def other_user(campaign, expected):
    """The cache belongs to someone else, who lets others read it only, or not even that."""
    for mode in (0o755, 0o700):
        world = Mixed(campaign.program)
        program, world.program = world.program, program_for_all(campaign, world)
        params = {"n": 1, "m": 1, "least": YES}
        world.warm({"n": 2, "m": 2, "least": YES})
        given_to(world, NOBODY)
        os.chown(world.state, 0, 0)
        world.state.chmod(mode)
        for path in world.state.iterdir():
            os.chown(path, 0, 0)
        settled = Settled(world, expected, params)
        world.owner = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        point = f"a cache of another user with mode {mode:o}"
        answer = world.run(params)
        judge(campaign, settled, answer, "EACCES", [point], world)
        if answer.code != 4:
            settled.say("exit code", f"{point}: {answer}")
        world.state.chmod(0o700)
        given_to(world, NOBODY)
        check(campaign, settled, answer, world, point)
        campaign.count("caches of another user")
        world.program = program
        campaign.close(world)


def few_processes(campaign, expected, density):
    """A user who may have so many processes and threads, and one who may open so many files."""
    limits = [(resource.RLIMIT_NPROC, "processes", number) for number in range(1, 25)[::density]]
    limits += [(resource.RLIMIT_NOFILE, "open files", number) for number in list(range(6, 64, 3))[::density]]
    for kind, word, number in limits:
        if campaign.is_over():
            return
        world = Mixed(campaign.program)
        world.program = program_for_all(campaign, world)
        given_to(world, NOBODY)
        world.owner = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        params = {"n": 1, "m": 1, "least": YES}
        settled = Settled(world, expected, params)
        point = f"{number} {word} at most"
        answer = world.run(params, prepare=lambda: resource.setrlimit(kind, (number, number)))
        judge(campaign, settled, answer, None, [point], world)
        check(campaign, settled, answer, world, point)
        campaign.count(f"limits of {word}")
        campaign.close(world)


def times_jump(campaign, expected):
    """Times of files lie in the future or the past; and content changes under the same size and time."""
    day = 86400
    world = Mixed(campaign.program)
    params = {"n": 1, "m": 1, "least": YES}
    world.warm(params)
    for name, shift in [("a day ahead", day), ("ten years ahead", 3650 * day), ("a day back", -day), ("1970", -time.time())]:
        for where, folder in [("the project", world.root), ("the state", world.state)]:
            settled = Settled(world, expected, params)
            for place, folders, files in os.walk(folder):
                if where == "the project" and ".tidemill" in folders:
                    folders.remove(".tidemill")
                for entry in folders + files:
                    path = pathlib.Path(place, entry)
                    os.utime(path, (max(0, time.time() + shift),) * 2, follow_symlinks=False)
            answer = world.run(params, "--json")
            point = f"the times of all files of {where}: {name}"
            judge(campaign, settled, answer, None, [point], world)
            if answer.code != 0 or answer.json()["counts"]["executed"]:
                settled.say("times", f"{point}: {answer}")
            check(campaign, settled, answer, world, point)
            campaign.count("times that jump")
    # The same size, and whatever time: what the file says counts.
    for number, when in enumerate([0, time.time() - day, time.time() + day, os.stat(world.root / "words.txt").st_mtime]):
        path = world.root / "words.txt"
        world.file("words.txt", f"some\nword{number}\n")
        os.utime(path, (when, when))
        answer = world.run(params, "--json")
        settled = Settled(world, expected, params)
        if answer.code != 0 or f"word{number}" not in (world.root / "out" / "rows.txt").read_text():
            settled.say("times", f"an edit under another time is not seen: {answer}")
        campaign.settle("fault", "an edit under the same size and a time that jumps", settled)
        campaign.count("times that jump")
    campaign.close(world)
