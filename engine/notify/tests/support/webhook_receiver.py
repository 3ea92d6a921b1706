"""A receiver of webhooks that prints one line of JSON when it listens and one for each request, and whether the official
library finds its signature right. What it answers stands in the path: /status/429/7, /hang, /endless, /echo. It ends when
its input ends.
"""

import argparse
import json
import os
import pathlib
import ssl
import sys
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import trustme
from standardwebhooks import Webhook

LOCK = threading.Lock()


def say(**line):
    with LOCK:
        print(json.dumps(line), flush=True)


class Receiver(BaseHTTPRequestHandler):
    secret = None

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        verified = None
        if self.secret:
            try:
                Webhook(self.secret).verify(body, dict(self.headers))
                verified = True
            except Exception as error:
                verified = f"{type(error).__name__}: {error}"
        say(path=self.path, headers=dict(self.headers), body=body.decode(), verified=verified)
        _, action, *rest = urllib.parse.unquote(self.path.split("?")[0]).split("/")
        if action == "status":
            self.answer(int(rest[0]), b"said\x1b[31m so\r\nhere", rest[1:])
        elif action == "echo":
            self.answer(400, f"no {self.path} {dict(self.headers)}".encode(), [])
        elif action == "endless":
            self.send_response(400)
            self.end_headers()
            try:
                while True:
                    self.wfile.write(b"x" * 1024)
            except OSError:
                say(event="left")
        elif action == "hang":
            self.connection.recv(1)
            say(event="left")
        else:
            self.answer(200, b"ok", [])

    def answer(self, status, body, retry_after):
        self.send_response(status)
        if retry_after:
            self.send_header("Retry-After", retry_after[0])
        if 300 <= status < 400:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--secret")
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--name", default="localhost")
    options = parser.parse_args()
    Receiver.secret = options.secret
    server = ThreadingHTTPServer(("127.0.0.1", options.port), Receiver)
    if options.tls:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(pathlib.Path(options.folder) / "ca.pem")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(options.name).configure_cert(context)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    say(port=server.server_address[1])
    server.serve_forever()


main()
