"""Bytes: a large file, many small files, a large output; and the start of the program."""

import itertools
import os
import shutil
import subprocess
import time

from .measure import in_turn, once

READS = '[pipeline]\nname = "reads"\n\n[steps.read]\nrun = "true"\ninputs.data = "data"\n'
CHUNK = 1 << 24


def start(report, options, program, peers, folder):
    """Start-up beside the start of a process that does nothing."""
    for arguments in [["--version"], ["--help"]]:
        ours, theirs = in_turn(4 * options.tries, lambda: once([program, *arguments], folder), lambda: once(["true"], folder))
        report.line(f"tidemill {arguments[0]}", ours, theirs, "true", limit=0.005)


def file(report, options, program, peers, folder):
    """The digest of a large file in the page cache, and the look at it when nothing changed."""
    size = 4 << 30 if options.all else 1 << 28
    place = folder / "file"
    place.mkdir()
    write_file(place / "data", size)
    (place / "pipeline.toml").write_text(READS)
    settle()
    shown = f"{size / 2**30:g} GiB"
    theirs = (lambda: once([peers.b3sum, "data"], place)) if peers.b3sum else None
    works = [lambda: anew(program, place)] + ([theirs] if theirs else [])
    ours, *other = in_turn(options.tries, *works)
    report.line(f"first digest of a file of {shown}", ours, other[0] if other else None, "b3sum", 1 / 0.95)
    report.line("no-op check of that file", *in_turn(options.tries, lambda: once([program, "plan"], place)), limit=0.030)
    if "dvc" in options.peers and (dvc := peers.dvc()):
        subprocess.run([dvc, "init", "-q", "--no-scm"], cwd=place, check=True)
        added = once([dvc, "add", "-q", "data"], place).wall
        asked = once([dvc, "status", "-q"], place, check=False).wall
        report.note(f"dvc add of that file: {added:.2f} s, dvc status {asked:.2f} s")
    shutil.rmtree(place)


def folder(report, options, program, peers, folder):
    """The digest of a folder of many small files, the look at it when nothing changed, and when one file did."""
    for count in [200_000, 1_000_000] if options.all else [10_000]:
        place = folder / "folder"
        for number in range(count):
            if number % 1000 == 0:
                (place / "data" / f"{number // 1000:04}").mkdir(parents=True)
            (place / "data" / f"{number // 1000:04}" / f"{number % 1000:03}").write_bytes(os.urandom(4096))
        (place / "pipeline.toml").write_text(READS)
        settle()
        digest = f"find data -type f -print0 | xargs -0 -P 2 -n 1000 {peers.b3sum}"
        works = [lambda: anew(program, place)] + ([lambda: once(["sh", "-c", digest], place)] if peers.b3sum else [])
        # What is short is done often: the disk may be busy with what was just made.
        tries = 2 * options.tries if count <= 200_000 else 3
        ours, *other = in_turn(tries, *works)
        report.line(f"first digest of {count:,} files of 4 KiB", ours, other[0] if other else None, "b3sum", 1.2)
        stats = ["find", "data", "-type", "f", "-printf", "%s %T@\\n"]
        ours, theirs = in_turn(tries, lambda: once([program, "plan"], place), lambda: once(stats, place))
        report.line(f"no-op check of these files", ours, theirs, "find", 1.5)

        def changed():
            (place / "data" / "0000" / "000").write_bytes(os.urandom(4096))
            return once([program, "plan"], place)

        report.line("one of these files changed", *in_turn(tries, changed))
        shutil.rmtree(place)


def output(report, options, program, peers, folder):
    """A step with a large output: beside its command alone, and what it takes to bring a published file back."""
    size = 2 << 30 if options.all else 1 << 27
    shown = f"{size / 2**30:g} GiB"
    command = f"head -c {size} /dev/zero | tr '\\000' "
    for way in ["copy", "link"]:
        place = folder / f"output-{way}"
        place.mkdir()
        (place / "tidemill.toml").write_text(f'[project]\npublish = "{way}"\n')
        (place / "pipeline.toml").write_text(
            '[pipeline]\nname = "writes"\n\n[params]\nletter = "a"\n\n[steps.write]\n'
            f"run = '''{command}${{params.letter}} > ${{outputs.o}}'''\n"
            'outputs.o = { path = "o.bin", publish = "out/o.bin" }\n'
        )
        letters = iter("abcdef")

        def written():
            settle()
            return once([program, "run", "-q", "--set", f"letter={next(letters)}"], place)

        def alone():
            settle()
            return once(["sh", "-c", f"{command}x > alone.bin"], place)

        theirs, ours = in_turn(3, alone, written)
        report.line(f"a step that writes {shown}, published by {way}", ours, theirs, "the command alone")
        letters = itertools.cycle("abc")

        def replaced():
            settle()
            return once([program, "run", "-q", "--set", f"letter={next(letters)}"], place)

        def restored():
            settle()
            (place / "out" / "o.bin").unlink()
            return once([program, "run", "-q", "--set", "letter=c"], place)

        report.line(f"another version of the {shown} published by {way}", *in_turn(3, replaced), limit=0.1)
        report.line(f"the {shown} deleted, and brought back by {way}", *in_turn(3, restored), limit=0.1)
        shutil.rmtree(place)


def anew(program, place):
    """A plan with nothing remembered: project inputs are digested."""
    shutil.rmtree(place / ".tidemill", ignore_errors=True)
    return once([program, "plan"], place)


def write_file(path, size):
    chunk = os.urandom(CHUNK)
    with open(path, "wb") as file:
        for _ in range(size // CHUNK):
            file.write(chunk)


def settle():
    """Lets files become old enough that their times can be trusted, and what was written reach the disk."""
    subprocess.run(["sync"], check=True)
    time.sleep(1)
