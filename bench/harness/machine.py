"""On what was measured: the machine, its file system, and the versions of all programs."""

import os
import pathlib
import platform
import shutil
import subprocess
import sys
import time


def facts(program, peers, folder):
    """All that a reader needs to know to repeat the measurement."""
    return {
        "date": time.strftime("%Y-%m-%d"),
        "command": " ".join(["bench/run", *arguments(sys.argv[1:])]),
        "cpu": cpu(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": platform.release(),
        "file_system": file_system(folder),
        "tidemill": first_line([program, "--version"]),
        "ninja": first_line([peers.ninja, "--version"]) if peers.ninja else "not there",
        "b3sum": first_line([peers.b3sum, "--version"]) if peers.b3sum else "not there",
        "n2": first_line([peers.n2, "--version"]) if peers.n2 else "not there",
    }


def arguments(given):
    """What was asked for; the paths of this machine are nobody else's."""
    paths = {"--tidemill", "--folder", "--peer-folder", "--json", "--table"}
    pairs = zip([""] + given, given)
    return [word for before, word in pairs if word not in paths and before not in paths]


def cpu():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines() if os.path.exists("/proc/cpuinfo") else []:
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def file_system(folder):
    if not shutil.which("findmnt"):
        return "unknown"
    answer = subprocess.run(["findmnt", "-no", "FSTYPE", "-T", folder], capture_output=True, text=True)
    return answer.stdout.strip() or "unknown"


def first_line(command):
    return subprocess.run(command, capture_output=True, text=True).stdout.splitlines()[0]
