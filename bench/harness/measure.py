"""Measuring whole processes: wall time, processor time and peak memory, as the kernel accounts for them."""

import os
import statistics
import subprocess
import time
from dataclasses import dataclass


@dataclass
class Run:
    """One finished process."""

    wall: float
    cpu: float
    peak: int


def once(command, folder, check=True):
    """Runs a command to its end; its output is thrown away."""
    begin = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if check and process.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))} in {folder} exited with {process.returncode}")
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def in_turn(tries, *works):
    """Does works by turns, so that a drift of the machine hits all: a list of runs for each."""
    runs = [[] for _ in works]
    for _ in range(tries):
        for work, done in zip(works, runs):
            done.append(work())
    return runs


def median(runs, what="wall"):
    """The median of one figure of several runs."""
    return statistics.median(getattr(run, what) for run in runs)
