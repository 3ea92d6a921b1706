"""Builds the control plane of Kubernetes from Debian's source package, once: no registry has it as a program.

It takes ten minutes of a processor and 2 GB while it runs; 300 MB stay, in `kubernetes-1.20.2` beside the other environments of the tests.
"""

import contextlib
import fcntl
import os
import pathlib
import shutil
import subprocess
import sys

import keeper as engines

VERSION = "1.20.2"
RELEASE = "bookworm"
PROGRAMS = ["kube-apiserver", "kube-controller-manager", "kube-scheduler"]
GO = "/usr/lib/go-1.19/bin"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def environments():
    named = os.environ.get("TIDEMILL_TEST_ENV")
    return pathlib.Path(named) if named else pathlib.Path.home() / ".cache/tidemill/test-env"


def programs():
    """The folder that has the programs; they are built if it is not there."""
    place = environments() / f"kubernetes-{VERSION}"
    if not (place / "complete").exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        with open(place.parent / "lock-kubernetes", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (place / "complete").exists():
                build(place)
    return place


def build(place):
    print(f"building Kubernetes {VERSION} in {place}: this takes ten minutes and more", file=sys.stderr, flush=True)
    engines.install([f"{GO}/go", "dpkg-source", "make", "rsync"], ["golang-1.19-go", "dpkg-dev", "make", "rsync"])
    shutil.rmtree(place, ignore_errors=True)
    work = place / "work"
    (work / "lists/partial").mkdir(parents=True)
    fetch(work)
    [description] = work.glob("kubernetes_*.dsc")
    run(work, ["dpkg-source", "--no-check", "-x", description.name, "source"])
    environment = {
        "PATH": f"{GO}:{os.environ['PATH']}", "HOME": str(work / "home"), "GOPROXY": "off", "CGO_ENABLED": "0",
        "KUBE_GIT_COMMIT": "debian", "KUBE_GIT_TREE_STATE": "archive", "KUBE_GIT_VERSION": f"v{VERSION}",
        "KUBE_GIT_MAJOR": "1", "KUBE_GIT_MINOR": "20"}
    what = "WHAT=" + " ".join(f"cmd/{program}" for program in PROGRAMS)
    run(work / "source", ["nice", "-n", "19", "make", what], environment)
    for program in PROGRAMS:
        shutil.copy2(work / "source/_output/bin" / program, place / program)
    remove(work)
    (place / "complete").touch()


def fetch(work):
    """Gets the source package from where this machine has its packages."""
    form = "$(CREATED_BY) $(ORIGIN) $(REPO_URI) $(CODENAME) $(COMPONENT)"
    targets = run(work, ["apt-get", "indextargets", "--format", form], output=subprocess.PIPE).split("\n")
    lines = set()
    for target in targets:
        match target.split():
            case ["Packages", "Debian", place, release, component] if release.startswith(RELEASE):
                lines.add(f"deb-src [signed-by={KEYRING}] {place} {release} {component}\n")
    if not lines:
        raise engines.Failed(f"Kubernetes is built from the source package of Debian's {RELEASE}, and this machine has another system")
    (work / "sources.list").write_text("".join(sorted(lines)))
    # The machine's own list stays as it is.
    options = ["-o", f"Dir::Etc::SourceList={work}/sources.list", "-o", "Dir::Etc::SourceParts=/dev/null", "-o", f"Dir::State::Lists={work}/lists"]
    # Whoever downloads for root may not write in the user's folders.
    options += ["-o", "APT::Sandbox::User=root"]
    run(work, ["apt-get", *options, "update", "-qq"])
    run(work, ["apt-get", *options, "source", "--download-only", "-qq", f"kubernetes/{RELEASE}"])


def run(folder, command, environment=None, output=sys.stderr):
    done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, text=True, env=environment)
    if done.returncode != 0:
        raise engines.Failed(f"{' '.join(map(str, command))}: exit code {done.returncode}")
    return done.stdout


def remove(folder):
    """Go makes the folders of its modules read-only."""
    for path, _, _ in os.walk(folder):
        with contextlib.suppress(OSError):
            os.chmod(path, 0o700)
    shutil.rmtree(folder)
