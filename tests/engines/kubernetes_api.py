"""As much of a client of Kubernetes as its test engine needs."""

import json
import ssl
import time
import urllib.error
import urllib.request

MERGE = "application/merge-patch+json"


class Refused(Exception):
    """What the API server says no with: `code` is that of HTTP."""

    def __init__(self, code, text):
        super().__init__(f"{code}: {text}")
        self.code = code


class Api:
    def __init__(self, server, token, authority):
        self.server = server
        self.token = token
        self.context = ssl.create_default_context(cafile=authority)

    def open(self, method, path, body=None, kind="application/json", timeout=30):
        request = urllib.request.Request(
            self.server + path, method=method, data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": kind})
        try:
            return urllib.request.urlopen(request, context=self.context, timeout=timeout)
        except urllib.error.HTTPError as error:
            with error:
                raise Refused(error.code, error.read().decode(errors="replace")[:500]) from None

    def call(self, method, path, body=None, kind="application/json", patience=60):
        """What it answers; while it cannot be reached, it is asked again."""
        deadline = time.monotonic() + patience
        while True:
            try:
                with self.open(method, path, body, kind) as answer:
                    return json.loads(answer.read() or "null")
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def make(self, path, body):
        """Makes an object unless it is there."""
        try:
            self.call("POST", path, body)
        except Refused as refused:
            if refused.code != 409:
                raise

    def remove(self, path, body=None):
        """Removes an object if it is there."""
        try:
            self.call("DELETE", path, body)
        except Refused as refused:
            if refused.code not in (404, 409):
                raise

    def watch(self, path):
        """What happens to objects, for ever: each that is there is told first, and again whenever the connection began anew."""
        while True:
            try:
                with self.open("GET", path, timeout=3600) as answer:
                    for line in answer:
                        event = json.loads(line)
                        if event["type"] in ("ADDED", "MODIFIED", "DELETED"):
                            yield event["type"], event["object"]
            except (OSError, ValueError, Refused):
                time.sleep(0.2)
