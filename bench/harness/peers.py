"""The programs to measure: a release build of Tidemill, and peers from their registries in a folder of their own."""

import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def build(*arguments):
    """Builds Tidemill, or what the arguments name, and gives the program."""
    target = os.environ.setdefault("CARGO_TARGET_DIR", os.path.expanduser("~/.cache/tidemill/target"))
    subprocess.run(["cargo", "build", "--release", "--locked", *arguments], cwd=ROOT, check=True)
    return pathlib.Path(target, "release", "tidemill").resolve()


class Peers:
    """What is installed, or can be; None is not there."""

    def __init__(self, folder, wanted):
        self.folder = folder
        self.ninja = self.python("ninja")
        self.b3sum = shutil.which("b3sum") or self.cargo("b3sum")
        # It is in no registry.
        self.n2 = self.cargo("n2", "--git", "https://github.com/evmar/n2") if "n2" in wanted else None

    def snakemake(self):
        """Snakemake, installed when it is asked for: it brings much with it."""
        return self.python("snakemake")

    def snakemake_on_slurm(self):
        """Snakemake with its plugin for Slurm."""
        snakemake = self.snakemake()
        if snakemake:
            subprocess.run([self.folder / "venv" / "bin" / "pip", "install", "--quiet", "snakemake-executor-plugin-slurm"], check=False)
        return snakemake

    def dvc(self):
        """DVC, likewise."""
        return self.python("dvc")

    def dvc_with_s3(self):
        """DVC with what it needs to talk to S3."""
        dvc = self.dvc()
        if dvc:
            subprocess.run([self.folder / "venv" / "bin" / "pip", "install", "--quiet", "dvc-s3"], check=False)
        return dvc

    def python(self, name):
        programs = self.folder / "venv" / "bin"
        if not (programs / name).exists():
            subprocess.run([sys.executable, "-m", "venv", self.folder / "venv"], check=True)
            subprocess.run([programs / "pip", "install", "--quiet", name], check=False)
        return programs / name if (programs / name).exists() else None

    def cargo(self, name, *source):
        program = self.folder / "bin" / name
        if not program.exists():
            install = ["cargo", "install", "--quiet", "--root", self.folder, *(source or [name])]
            try:
                subprocess.run(install, check=False, timeout=600, env={**os.environ, "CARGO_NET_RETRY": "0"})
            except subprocess.TimeoutExpired:
                print(f"{name} could not be installed in ten minutes")
        return program if program.exists() else None
