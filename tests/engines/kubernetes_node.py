"""Plays a kubelet: a node of 4 CPUs, 4000 MB and 2 GPUs that are none, which runs the command of a pod as a process of this machine.

    kubernetes_node.py FOLDER NAME PORT

FOLDER has `node.json`: the API server, a token and the certificate. Images are not pulled: one whose name begins with `missing` cannot be.
The pods of a Job are numbered here, for the control plane is older than that.
A pod's processes are a session, which ends as a whole. One that a former kubelet of the same name ran is lost.
"""

import base64
import datetime
import http.server
import json
import os
import pathlib
import re
import signal
import ssl
import subprocess
import sys
import threading
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import kubernetes_api

INDEX = "batch.kubernetes.io/job-completion-index"
SIZE = {"cpu": "4", "memory": "4000Mi", "pods": "110", "nvidia.com/gpu": "2"}
UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def size(text):
    number, unit = re.fullmatch(r"(\d+)([A-Za-z]*)", text).groups()
    return int(number) * UNITS[unit]


def expanded(text, variables):
    """The text with `$(NAME)` replaced as Kubernetes does it: `$$` is `$`, and a name that is not known stays as it is."""
    def one(found):
        return "$" if found[0] == "$$" else variables.get(found[1], found[0])
    return re.sub(r"\$\$|\$\(([^)]*)\)", one, text)


def session(leader):
    """The processes of a session."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                stat = pathlib.Path("/proc", entry, "stat").read_text(errors="replace").rpartition(")")[2].split()
            except OSError:
                continue
            if stat[0] != "Z" and int(stat[3]) == leader:
                found.append(int(entry))
    return found


def resident(pids):
    total = 0
    for pid in pids:
        try:
            total += int(pathlib.Path("/proc", str(pid), "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except OSError:
            continue
    return total


class Pod:
    """One pod, and the thread that runs it."""

    def __init__(self, node, pod):
        self.node = node
        self.pod = pod
        self.deleted = threading.Event()
        meta = pod["metadata"]
        self.path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"
        self.log = node.folder / f"{meta['uid']}.log"
        [self.container] = pod["spec"]["containers"]
        self.began = None
        self.see(pod)
        threading.Thread(target=self.live, daemon=True).start()

    def see(self, pod):
        if "deletionTimestamp" in pod["metadata"]:
            self.grace = pod["metadata"].get("deletionGracePeriodSeconds", 0)
            self.deleted.set()

    def live(self):
        try:
            self.play()
            self.deleted.wait()
            self.node.api.remove(self.path, {"gracePeriodSeconds": 0, "preconditions": {"uid": self.pod["metadata"]["uid"]}})
        except kubernetes_api.Refused as refused:
            # It was removed from under us.
            if refused.code != 404:
                raise

    def report(self, phase, state, **more):
        status = {"name": self.container["name"], "image": self.container["image"], "imageID": "", "restartCount": 0,
                  "ready": "running" in state, "state": state}
        self.node.api.call("PATCH", f"{self.path}/status", {"status": {
            "phase": phase, "hostIP": "127.0.0.1", "startTime": self.began, "containerStatuses": [status], **more}}, kubernetes_api.MERGE)

    def wait_for(self, reason, message=""):
        self.report("Pending", {"waiting": {"reason": reason, "message": message}})

    def terminated(self, code, why, message="", **more):
        ended = {"exitCode": code, "reason": why, "message": message, "startedAt": self.began, "finishedAt": now()}
        self.report("Succeeded" if code == 0 and not more else "Failed", {"terminated": ended}, **more)

    def play(self):
        status = self.pod.get("status", {})
        self.began = status.get("startTime")
        if status.get("phase") in ("Succeeded", "Failed"):
            return
        if self.began:
            return self.terminated(137, "ContainerStatusUnknown")
        self.began = now()
        image = self.container["image"]
        if image.startswith("missing"):
            self.wait_for("ErrImagePull", f'rpc error: code = NotFound desc = failed to resolve reference "{image}": not found')
            if not self.deleted.wait(2):
                self.wait_for("ImagePullBackOff", f'Back-off pulling image "{image}"')
            return
        self.wait_for("ContainerCreating")
        variables = self.variables()
        while variables is None:
            self.wait_for("CreateContainerConfigError", "secret not found")
            if self.deleted.wait(0.2):
                return
            variables = self.variables()
        if not self.deleted.is_set():
            self.run(variables)

    def variables(self):
        """The environment, if all that it is made of is there."""
        variables = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root",
                     "HOSTNAME": self.pod["metadata"]["name"]}
        for source in self.container.get("envFrom", []):
            space = self.pod["metadata"]["namespace"]
            try:
                secret = self.node.api.call("GET", f"/api/v1/namespaces/{space}/secrets/{source['secretRef']['name']}")
            except kubernetes_api.Refused:
                return None
            variables |= {name: base64.b64decode(value).decode() for name, value in secret.get("data", {}).items()}
        for variable in self.container.get("env", []):
            value = self.index() if "valueFrom" in variable else expanded(variable.get("value", ""), variables)
            if value is None:
                return None
            variables[variable["name"]] = value
        return variables

    def index(self):
        """The rank of this pod among those of its Job, when all of them are there."""
        meta = self.pod["metadata"]
        space, [owner] = meta["namespace"], meta["ownerReferences"]
        job = self.node.api.call("GET", f"/apis/batch/v1/namespaces/{space}/jobs/{owner['name']}")
        pods = self.node.api.call("GET", f"/api/v1/namespaces/{space}/pods?labelSelector=job-name%3D{owner['name']}")["items"]
        if len(pods) < job["spec"]["completions"]:
            return None
        rank = str(sorted(pod["metadata"]["name"] for pod in pods).index(meta["name"]))
        self.node.api.call("PATCH", self.path, {"metadata": {"annotations": {INDEX: rank}}}, kubernetes_api.MERGE)
        return rank

    def run(self, variables):
        words = self.container.get("command", []) + self.container.get("args", [])
        words = [expanded(word, variables) for word in words]
        try:
            with open(self.log, "wb") as log:
                process = subprocess.Popen(words, env=variables, cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        except OSError as error:
            return self.terminated(128, "StartError", str(error))
        self.report("Running", {"running": {"startedAt": self.began}})
        ended = self.keep(process)
        while left := session(process.pid):
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            time.sleep(0.005)
        code = process.returncode if process.returncode >= 0 else 128 - process.returncode
        if ended == "DeadlineExceeded":
            self.terminated(code, "Error", reason=ended)
        else:
            self.terminated(code, ended or ("Completed" if code == 0 else "Error"))

    def keep(self, process):
        """Waits until the command has ended, and says why if it was us."""
        spec = self.pod["spec"]
        started = time.monotonic()
        deadline = spec.get("activeDeadlineSeconds")
        memory = self.container.get("resources", {}).get("limits", {}).get("memory")
        ended, kill = None, None
        while process.poll() is None:
            age = time.monotonic() - started
            if memory and not ended and resident(session(process.pid)) > size(memory):
                ended, kill = "OOMKilled", age
            elif kill is None and deadline and age > deadline:
                ended, kill = "DeadlineExceeded", age + spec.get("terminationGracePeriodSeconds", 30)
                # A kubelet may say so while the command still runs.
                self.report("Failed", {"running": {"startedAt": self.began}}, reason=ended)
                process.terminate()
            elif kill is None and self.deleted.is_set():
                kill = age + self.grace
                process.terminate()
            if kill is not None and age >= kill:
                process.kill()
            time.sleep(0.02)
        return ended


class Node:
    def __init__(self, folder, name, port):
        self.name = name
        self.port = port
        self.folder = folder / f"pods-{name}"
        self.folder.mkdir(exist_ok=True)
        said = json.loads((folder / "node.json").read_text())
        self.api = kubernetes_api.Api(said["server"], said["token"], said["authority"])
        self.certificate = folder / "node.pem"
        self.pods = {}

    def register(self):
        self.api.make("/api/v1/nodes", {"kind": "Node", "apiVersion": "v1", "metadata": {
            "name": self.name, "labels": {"kubernetes.io/hostname": self.name, "nvidia.com/gpu.product": "NVIDIA-None"}}})

    def beat(self):
        """Says that the node is there, again and again."""
        while True:
            try:
                self.api.call("PATCH", f"/api/v1/nodes/{self.name}/status", {"status": {
                    "capacity": SIZE, "allocatable": SIZE, "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
                    "daemonEndpoints": {"kubeletEndpoint": {"Port": self.port}},
                    "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady", "lastHeartbeatTime": now()}],
                }}, kubernetes_api.MERGE)
            except (OSError, kubernetes_api.Refused) as error:
                print(f"{self.name}: {error}", file=sys.stderr, flush=True)
            time.sleep(1)

    def serve(self):
        """Gives the logs of pods to the API server."""
        server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), type("Logs", (Logs,), {"node": self}))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.serve_forever()

    def work(self):
        threading.Thread(target=self.serve, daemon=True).start()
        self.register()
        threading.Thread(target=self.beat, daemon=True).start()
        for what, pod in self.api.watch(f"/api/v1/pods?watch=1&fieldSelector=spec.nodeName={self.name}"):
            uid = pod["metadata"]["uid"]
            if what == "DELETED":
                if known := self.pods.get(uid):
                    known.grace = 0
                    known.deleted.set()
            elif uid in self.pods:
                self.pods[uid].see(pod)
            else:
                self.pods[uid] = Pod(self, pod)


class Logs(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        query = urllib.parse.parse_qs(url.query)
        match url.path.strip("/").split("/"):
            case ["containerLogs", space, name, _]:
                wanted = f"/api/v1/namespaces/{space}/pods/{name}"
                pods = [pod for pod in self.node.pods.values() if pod.path == wanted and pod.log.exists()]
                text = pods[-1].log.read_bytes() if pods else b""
                if "limitBytes" in query:
                    text = text[:int(query["limitBytes"][0])]
                self.answer(200, text)
            case _:
                self.answer(404, b"not found")

    def answer(self, code, text):
        self.send_response(code)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


if __name__ == "__main__":
    Node(pathlib.Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])).work()
