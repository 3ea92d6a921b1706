"""A receiver of CloudEvents that prints one line of JSON when it listens and one for each request: the event as the official SDK
reads it, and the headers. It ends when its input ends.
"""

import argparse
import base64
import datetime
import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cloudevents.core.bindings.http import HTTPMessage, from_http_event

LOCK = threading.Lock()


def say(**line):
    with LOCK:
        print(json.dumps(line), flush=True)


def plain(event):
    """All of an event, in JSON."""
    members = {
        name: value.isoformat() if isinstance(value, datetime.datetime) else value
        for name, value in event.get_attributes().items()
    }
    data = event.get_data()
    if isinstance(data, bytes):
        members["data_base64"] = base64.b64encode(data).decode()
    elif data is not None:
        members["data"] = data
    return members


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = dict(self.headers.items())
        try:
            say(event=plain(from_http_event(HTTPMessage(headers, body))), headers=headers)
            self.send_response(204)
        except Exception as error:  # whatever it is, the other side has to learn of it
            say(error=repr(error), headers=headers)
            self.send_response(400)
        self.end_headers()

    def log_message(self, *_):
        pass


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.parse_args()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    say(port=server.server_address[1])
    server.serve_forever()


main()
