"""The programs to measure: a release build of Tidemill, and peers from their registries in a folder of their own."""

import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def build():
    """Builds Tidemill and gives the program."""
    target = os.environ.setdefault("CARGO_TARGET_DIR", os.path.expanduser("~/.cache/tidemill/target"))
    subprocess.run(["cargo", "build", "--release", "--locked"], cwd=ROOT, check=True)
    return pathlib.Path(target, "release", "tidemill").resolve()


class Peers:
    """What is installed, or can be; None is not there."""

    def __init__(self, folder):
        self.folder = folder
        self.ninja = self.python("ninja")
        self.b3sum = shutil.which("b3sum") or self.cargo("b3sum")

    def snakemake(self):
        """Snakemake, installed when it is asked for: it brings much with it."""
        return self.python("snakemake")

    def python(self, name):
        programs = self.folder / "venv" / "bin"
        if not (programs / name).exists():
            subprocess.run([sys.executable, "-m", "venv", self.folder / "venv"], check=True)
            subprocess.run([programs / "pip", "install", "--quiet", name], check=False)
        return programs / name if (programs / name).exists() else None

    def cargo(self, name):
        program = self.folder / "bin" / name
        if not program.exists():
            subprocess.run(["cargo", "install", "--quiet", "--root", self.folder, name], check=False)
        return program if program.exists() else None
