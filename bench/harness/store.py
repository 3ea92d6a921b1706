"""The store of a team: a folder of many small files sent to an S3 server, and sent again when one of them changed, beside DVC; a large
file that grew by a hundredth; and what a warm store costs a fresh checkout."""

import os
import shutil
import socket
import subprocess
import time

from .measure import once

KEYS = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "the-secret-of-the-bench", "AWS_DEFAULT_REGION": "us-east-1"}
TAKES = (
    '[pipeline]\nname = "takes"\n\n[steps.take]\nrun = "cp -r ${inputs.data} ${outputs.taken}"\n'
    'inputs.data = "data"\noutputs.taken = { path = "taken", kind = "dir" }\n'
)
GROWS = (
    '[pipeline]\nname = "grows"\n\n[steps.take]\nrun = "cp ${inputs.data} ${outputs.taken}"\n'
    'inputs.data = "data"\noutputs.taken = { path = "taken", publish = "out/taken" }\n'
)


def store(report, options, program, peers, folder):
    """Pushes to one S3 server, ours and DVC's by turns."""
    server = Server(peers.cargo("s3s-fs", "s3s-fs@0.14.1", "--locked", "--features", "binary"), folder / "s3")
    if not server.program:
        report.note("the S3 server could not be installed: nothing was measured")
        return
    with server:
        many(report, options, program, peers, folder, server)
        large(report, options, program, folder, server)


def many(report, options, program, peers, folder, server):
    count = options.files or (600_000 if options.all else 20_000)
    place = folder / "store"
    place.mkdir()
    for number in range(count):
        if number % 1000 == 0:
            (place / "data" / f"{number // 1000:04}").mkdir(parents=True)
        (place / "data" / f"{number // 1000:04}" / f"{number % 1000:03}").write_bytes(os.urandom(3072))
    (place / "pipeline.toml").write_text(TAKES)
    (place / "tidemill.toml").write_text('[store]\nurl = "s3://ours/x"\npush = false\n')
    dvc = peers.dvc_with_s3() if "dvc" in options.peers else None
    environment = server.environment()
    if dvc:
        quiet = {"cwd": place, "check": True, "env": environment, "stdout": subprocess.DEVNULL}
        for command in [
            ["init", "-q", "--no-scm"],
            ["config", "core.analytics", "false"],
            ["remote", "add", "-d", "s3", "s3://theirs/x"],
            ["remote", "modify", "s3", "endpointurl", server.address],
        ]:
            subprocess.run([dvc, *command], **quiet)
    for what in ["first", "one file changed"]:
        if what != "first":
            (place / "data" / "0000" / "000").write_bytes(os.urandom(3072))
        server_bytes = server.bytes("ours")
        timed([program, "run", "-q"], place, environment)
        ours = timed([program, "push", "-q"], place, environment)
        report.note(f"push of {count:,} files of 3 KiB, {what}: {(server.bytes('ours') - server_bytes) / 2**20:.1f} MiB sent")
        theirs = None
        if dvc:
            added = timed([dvc, "add", "-q", "data"], place, environment)
            theirs = timed([dvc, "push", "-q"], place, environment)
            report.note(f"dvc add before that: {added.wall:.1f} s")
        report.line(f"push of {count:,} files of 3 KiB, {what}", [ours], [theirs] if theirs else None, "dvc push")
    shutil.rmtree(place)


def large(report, options, program, folder, server):
    size = 1 << 30 if options.all else 1 << 26
    place = folder / "grows"
    place.mkdir()
    (place / "pipeline.toml").write_text(GROWS)
    (place / "tidemill.toml").write_text('[store]\nurl = "s3://ours/y"\npush = false\n')
    environment = server.environment()
    with open(place / "data", "wb") as file:
        for _ in range(size >> 20):
            file.write(os.urandom(1 << 20))
    for what, change in [("first", None), ("a hundredth more at its end", append), ("a line more at its front", prepend)]:
        if change:
            change(place / "data", size)
        timed([program, "run", "-q"], place, environment)
        before = server.bytes("ours")
        ours = timed([program, "push", "-q"], place, environment)
        report.line(f"push of a file of {size / 2**30:g} GiB, {what}", [ours])
        report.note(f"sent for that: {(server.bytes('ours') - before) / size:.2%} of the file")
    data = (place / "data").read_bytes()
    other = folder / "fresh"
    other.mkdir()
    for name in ["pipeline.toml", "tidemill.toml"]:
        shutil.copy(place / name, other / name)
    (other / "data").write_bytes(data)
    report.line("a fresh checkout with a warm store, which fetches that file", [timed([program, "run", "-q"], other, environment)])
    shutil.rmtree(place)
    shutil.rmtree(other)


def append(path, size):
    with open(path, "ab") as file:
        file.write(os.urandom(size // 100))


def prepend(path, _size):
    data = path.read_bytes()
    path.write_bytes(b"one line more\n" + data)


def timed(command, place, environment):
    saved = dict(os.environ)
    os.environ.update(environment)
    try:
        return once(command, place)
    finally:
        os.environ.clear()
        os.environ.update(saved)


class Server:
    """An S3 server on loopback with a bucket for each."""

    def __init__(self, program, folder):
        self.program, self.folder = program, folder

    def __enter__(self):
        for bucket in ["ours", "theirs"]:
            (self.folder / bucket).mkdir(parents=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"
        keys = ["--access-key", KEYS["AWS_ACCESS_KEY_ID"], "--secret-key", KEYS["AWS_SECRET_ACCESS_KEY"]]
        command = [self.program, "--host", "127.0.0.1", "--port", str(port), *keys, self.folder]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(1000):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return self
            time.sleep(0.01)
        raise SystemExit("the S3 server does not listen")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.folder)

    def environment(self):
        return {**KEYS, "AWS_ENDPOINT_URL": self.address}

    def bytes(self, bucket):
        files = (os.path.join(place, name) for place, _, names in os.walk(self.folder / bucket) for name in names)
        return sum(os.path.getsize(path) for path in files)
