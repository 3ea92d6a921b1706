"""Real engines for the campaigns: started by the scripts in `tests/engines`, used by projects, asked what they still know of them."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

TESTS = pathlib.Path(__file__).resolve().parent.parent
# How long an engine may take until it can be used, and to end.
BEGIN, END = 300, 30


def need():
    """What is missing for them; nothing if all is there."""
    if sys.platform != "linux":
        return "the engines run on Linux only"
    if os.geteuid() != 0:
        return "only root can start the engines"
    return None


class Engine:
    """An engine that goes away with the part of the campaign that needs it, and the program that it starts."""

    kind = None

    def __init__(self, program):
        # A short path that everybody can pass through: sockets lie below it, and another user works in it.
        self.base = pathlib.Path(tempfile.mkdtemp(prefix="tidemill-engine-")).resolve()
        self.base.chmod(0o755)
        # A copy, which stays the same for the whole part, and which another user can start.
        self.program = self.base / "tidemill"
        shutil.copy(program, self.program)
        self.program.chmod(0o755)
        log = open(self.base / "log", "wb")
        self.child = subprocess.Popen([TESTS / "engines" / self.kind, self.base / self.kind], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
        log.close()
        line = self.child.stdout.readline()
        if not line:
            raise SystemExit(f"there is no {self.kind}: {(self.base / 'log').read_text(errors='replace')[-2000:]}")
        self.facts = json.loads(line)
        self.begin()

    def begin(self):
        """What it takes beside the engine."""

    def variables(self, _world):
        """What who uses it has in his environment."""
        return {}

    def settings(self, world):
        """The project file of a world that uses it. Nothing is copied, and nothing lies outside of the world."""
        raise NotImplementedError

    def of_kind(self, world, store, lines):
        keys = {"kind": self.kind, "program": str(self.program), "poll": "200 ms", "cache": str(world.base / "worker"), **lines}
        table = "".join(f"{key} = {toml(value)}\n" for key, value in keys.items())
        return f'[store]\nurl = "{store}"\n\n[executors.there]\n{table}'

    def known(self, world):
        """What it still knows of the world's jobs, a line each; nothing if all is well."""
        raise NotImplementedError

    def forgets(self, world, patience=30):
        """Waits until it knows nothing more; what is left then."""
        end = time.monotonic() + patience
        while (left := self.known(world)) and time.monotonic() < end:
            time.sleep(0.2)
        return left

    def evidence(self, world):
        """All that it says of the world's jobs, for people."""
        return "\n".join(self.known(world))

    def kept(self):
        """How many jobs it lists that have ended, and that nobody needs."""
        return 0

    def leave(self, world):
        """Removes what a world has outside of itself."""

    def close(self):
        self.child.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.child.wait(END)
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
            self.child.wait()
        shutil.rmtree(self.base, ignore_errors=True)


def toml(value):
    """A value of the project file."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {toml(member)}" for name, member in value.items()) + " }"
    return json.dumps(value)


def below(folder):
    """All that lies in a folder of jobs, the small files with what is in them."""
    said = []
    for path in sorted(folder.rglob("*")) if folder.exists() else []:
        if path.is_file() and path.name not in ("keeper", "command"):
            said.append(f"{path.relative_to(folder)}: {path.read_bytes()[-600:].decode(errors='replace')}")
    return said


class Slurm(Engine):
    """Its jobs run on two nodes of this machine, as the same user."""

    kind = "slurm"

    def variables(self, _world):
        return {"SLURM_CONF": self.facts["SLURM_CONF"]}

    def settings(self, world):
        return self.of_kind(world, f"file://{world.base}/store", {"folder": str(world.base / "jobs")})

    def ask(self, *options):
        done = subprocess.run(["squeue", "-h", "-a", "-r", *options], env={**os.environ, **self.variables(None)}, capture_output=True, text=True)
        return done.stdout.splitlines() if done.returncode == 0 else [f"squeue: {done.stderr.strip()}"]

    def known(self, world):
        """The worlds come one after another, so all of its jobs are ours."""
        left = sorted(path.name for path in (world.base / "jobs").iterdir()) if (world.base / "jobs").exists() else []
        return self.ask() + [f"a folder of a job: {name}" for name in left]

    def evidence(self, world):
        return "\n".join([*self.ask("-t", "all", "-o", "%i %j %K %T %N %r %S %e"), *below(world.base / "jobs")])


class Ray(Engine):
    """Its jobs run on two nodes of this machine, as the same user."""

    kind = "ray"

    def settings(self, world):
        return self.of_kind(world, f"file://{world.base}/store", {"address": self.facts["address"], "env": {"PATH": os.environ["PATH"]}})

    def ask(self, path):
        with urllib.request.urlopen(f"{self.facts['address']}{path}", timeout=30) as answer:
            return json.load(answer)

    def known(self, _world):
        """The worlds come one after another, so all of its jobs are ours."""
        jobs = self.ask("/api/jobs/")
        return [f"{job['submission_id']} {job['status']}" for job in jobs if job["status"] in ("PENDING", "RUNNING")]

    def kept(self):
        """Its own watcher of a job may write down an end once more that was already forgotten."""
        return len(self.ask("/api/jobs/"))

    def evidence(self, _world):
        said = []
        for job in self.ask("/api/jobs/"):
            said.append(json.dumps({key: value for key, value in job.items() if value and key not in ("runtime_env", "entrypoint")}))
            with contextlib.suppress(OSError, ValueError, KeyError):
                said.append(self.ask(f"/api/jobs/{job['submission_id']}/logs")["logs"][-600:])
        return "\n".join(said)


class Ssh(Engine):
    """Its jobs run in the account of another user, and their data goes through a real S3 server."""

    kind = "ssh"

    def begin(self):
        program = subprocess.run([TESTS / "setup-stores"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.bucket = self.base / "s3" / "bucket"
        self.bucket.mkdir(parents=True)
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.server = subprocess.Popen([program, "--host", "127.0.0.1", "--port", str(self.port), "--access-key", "campaign",
                                        "--secret-key", "the-secret-of-the-campaign", self.base / "s3"], **quiet)
        end = time.monotonic() + BEGIN
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            if self.server.poll() is not None or time.monotonic() > end:
                raise SystemExit("the S3 server does not listen")
            time.sleep(0.02)

    def variables(self, world):
        variables = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}", "AWS_ACCESS_KEY_ID": "campaign",
                     "AWS_SECRET_ACCESS_KEY": "the-secret-of-the-campaign"}
        # Connections of its own: a round that finds none open must make one. The path of a socket is 107 characters at most.
        run = world.base / "r"
        if len(str(run)) <= 34:
            run.mkdir(exist_ok=True)
            variables["XDG_RUNTIME_DIR"] = str(run)
        return variables

    def folder(self, world):
        return pathlib.Path(self.facts["remote_folder"], world.base.name)

    def settings(self, world):
        folder = self.folder(world)
        return self.of_kind(world, f"s3://bucket/{world.base.name}", {
            "hosts": ["remote"], "ssh_config": self.facts["config"], "folder": str(folder / "jobs"), "cache": str(folder / "worker")})

    def known(self, world):
        jobs = self.folder(world) / "jobs"
        return [f"a folder of a job: {path.name}" for path in sorted(jobs.iterdir())] if jobs.exists() else []

    def evidence(self, world):
        listed = subprocess.run(["ps", "-u", self.facts["user"], "-o", "pid,ppid,lstart,args"], capture_output=True, text=True)
        return "\n".join([listed.stdout, *below(self.folder(world) / "jobs")])

    def leave(self, world):
        shutil.rmtree(self.folder(world), ignore_errors=True)
        shutil.rmtree(self.bucket / world.base.name, ignore_errors=True)

    def close(self):
        self.server.kill()
        self.server.wait()
        super().close()


class Kubernetes(Engine):
    """Its pods run as processes of this machine, as the same user; the control plane is real."""

    kind = "kubernetes"

    def begin(self):
        sys.path.insert(0, str(TESTS / "engines"))
        import kubernetes_api

        config = json.loads(pathlib.Path(self.facts["kubeconfig"]).read_text())
        token = next(user["user"]["token"] for user in config["users"] if user["name"] == "admin")
        self.api = kubernetes_api.Api(self.facts["server"], token, config["clusters"][0]["cluster"]["certificate-authority"])

    def settings(self, world):
        return self.of_kind(world, f"file://{world.base}/store", {
            "kubeconfig": self.facts["kubeconfig"], "context": "user", "image": "story", "env": {"PATH": os.environ["PATH"]}})

    def items(self, path):
        return self.api.call("GET", path)["items"]

    def known(self, _world):
        """The worlds come one after another, so all of its jobs are ours."""
        place = f"namespaces/{self.facts['namespace']}"
        kinds = {"job": f"/apis/batch/v1/{place}/jobs", "pod": f"/api/v1/{place}/pods"}
        return [f"{kind} {item['metadata']['name']}" for kind, path in kinds.items() for item in self.items(path)]

    def evidence(self, _world):
        place = f"namespaces/{self.facts['namespace']}"
        said = [json.dumps({"name": job["metadata"]["name"], **job["status"]}) for job in self.items(f"/apis/batch/v1/{place}/jobs")]
        for pod in self.items(f"/api/v1/{place}/pods"):
            said.append(json.dumps({"name": pod["metadata"]["name"], **pod["status"]}))
        return "\n".join(said + [event["message"] for event in self.items(f"/api/v1/{place}/events")[-50:]])


KINDS = {engine.kind: engine for engine in (Slurm, Ssh, Ray, Kubernetes)}
