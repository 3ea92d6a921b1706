"""The driver of a job that has several nodes: it places the command on each of them, all or none, and stays until all have ended.

Its first argument says how, as JSON; the others are the command. What it prints is what the first one prints. It ends with the exit code of
the one that failed first. The keeper, its parent, hears from it by signals when a node is lost or the time is up.
"""

import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import ray
from ray.util.placement_group import placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

# Ends what is left of a rank when the worker of Ray that keeps it is gone, however that came.
GUARD = """exec 9<&0; (setsid sh -c 'read -r ended <&9 || kill -KILL "-$1"' sh "$1" > /dev/null 2>&1 &)"""


class Rank:
    """The command on one node."""

    def address(self):
        return ray.util.get_node_ip_address()

    def begin(self, words, variables):
        self.folder = tempfile.mkdtemp(prefix="tidemill-")
        # Ray adds the package with the program to Python's path.
        path = os.environ.get("PYTHONPATH", "").split(":")
        programs = [place for place in path if os.path.basename(place).startswith("tidemill-program-")]
        others = [place for place in path if place and place not in programs]
        environment = os.environ | {"PATH": ":".join(programs + [os.environ["PATH"]]), "PYTHONPATH": ":".join(others)} | variables
        if not environment["PYTHONPATH"]:
            del environment["PYTHONPATH"]
        first = variables["NODE_RANK"] == "0"
        output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT} if first else {}
        # A shell says by its exit code whether the command could be started.
        self.process = subprocess.Popen(["sh", "-c", 'exec "$@"', "sh", *words], env=environment, cwd=self.folder, stdin=subprocess.DEVNULL,
                                        start_new_session=True, **output)
        hears, self.life = os.pipe()
        subprocess.run(["sh", "-c", GUARD, "sh", str(self.process.pid)], stdin=hears, check=True)
        os.close(hears)

    def printed(self):
        while piece := os.read(self.process.stdout.fileno(), 1 << 16):
            yield piece

    def wait(self):
        code = self.process.wait()
        self.send(signal.SIGKILL)
        os.write(self.life, b"ended\n")
        shutil.rmtree(self.folder, ignore_errors=True)
        return code if code >= 0 else 128 - code

    def send(self, number):
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            pass


def place(how):
    """The ranks, when there is a node for each of them."""
    bundle = how["bundle"]
    group = placement_group([bundle] * how["nodes"], strategy="STRICT_SPREAD", name=how["name"])
    ray.get(group.ready())
    needs = {"num_cpus": bundle["CPU"], "num_gpus": bundle.get("GPU", 0), "memory": bundle.get("memory")}
    more = {name: amount for name, amount in bundle.items() if name not in ("CPU", "GPU", "memory")}
    # Each is waited for, read and sent signals at once.
    actor = functools.partial(ray.remote(Rank).options, **needs, resources=more, max_restarts=0, max_concurrency=4, runtime_env=how["runtime_env"])
    return [actor(scheduling_strategy=PlacementGroupSchedulingStrategy(group, number)).remote() for number in range(how["nodes"])]


def copy(pieces):
    """Prints what the first one prints."""
    try:
        for piece in pieces:
            sys.stdout.buffer.write(ray.get(piece))
            sys.stdout.buffer.flush()
    except ray.exceptions.RayError:
        # Its node is gone, which is told elsewhere.
        pass


class Job:
    def __init__(self, how, ranks):
        self.how, self.ranks = how, ranks
        self.stopped = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: self.stopped.set())

    def run(self, words):
        how, variables = self.how, {name: os.environ[name] for name in self.how["names"]}
        variables |= how["variables"] | {"MASTER_ADDR": ray.get(self.ranks[0].address.remote())}
        begun = []
        for number, rank in enumerate(self.ranks):
            begun.append(rank.begin.remote(words, variables | {"TIDEMILL_NODE_RANK": str(number), "NODE_RANK": str(number)}))
        ray.get(begun)
        pieces = self.ranks[0].printed.options(num_returns="streaming").remote()
        printing = threading.Thread(target=copy, args=[pieces], daemon=True)
        printing.start()
        code = self.wait()
        printing.join(how["grace"])
        return code

    def wait(self):
        """Waits for all, and ends all when one fails, when this job is to end, or when its time is up."""
        waits = {rank.wait.remote(): rank for rank in self.ranks}
        end = time.monotonic() + self.how["time"] if self.how["time"] else None
        code, kill, late = 0, None, False
        while waits:
            ended, _ = ray.wait(list(waits), timeout=0.2)
            for one in ended:
                del waits[one]
                code = code or ray.get(one)
            now = time.monotonic()
            if not late and end and now > end:
                late = True
                os.kill(os.getppid(), signal.SIGALRM)
            if kill is None and waits and (code or self.stopped.is_set()):
                self.send(waits.values(), signal.SIGTERM)
                kill = now + self.how["grace"]
            elif kill is not None and now > kill:
                self.send(waits.values(), signal.SIGKILL)
        return code

    def send(self, ranks, number):
        ray.wait([rank.send.remote(number) for rank in ranks], num_returns=len(ranks), timeout=5)


def main():
    how, words = json.loads(sys.argv[1]), sys.argv[2:]
    ray.init(logging_level="ERROR", log_to_driver=False)
    # Until there is something that can be asked to end.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(143))
    try:
        return Job(how, place(how)).run(words)
    except ray.exceptions.RuntimeEnvSetupError as error:
        print(error, flush=True)
        return 126
    except ray.exceptions.RayActorError:
        os.kill(os.getppid(), signal.SIGUSR1)
        return 1


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)
