"""A peer that speaks CloudEvents by the official SDK (and Standard Webhooks by its reference library).

    send URL binary|structured N         makes N events and posts each
    receive PORT_FILE                    listens on 127.0.0.1, writes its port there, prints each event as one JSON line
    sign SECRET ID SECONDS < BODY        prints the headers of Standard Webhooks as one JSON line
    verify SECRET HEADERS_JSON < BODY    exits with 1 if they do not verify

Needs cloudevents==2.2.0 and standardwebhooks==1.1.0.
"""

import base64
import datetime
import http.client
import http.server
import json
import os
import sys
import urllib.parse

from cloudevents.core.bindings.http import (
    HTTPMessage,
    from_http_event,
    to_binary_event,
    to_structured_event,
)
from cloudevents.core.v1.event import CloudEvent


def events(count):
    """Events with each form of data in turn, and with all characters that need care in a header."""
    data = [
        (None, {"number": 0, "text": 'Größe "x" 100%'}),
        ("application/json", {"list": [1, 2.5, None, True]}),
        ("text/plain; charset=utf-8", "zwei Zeilen\nmit €"),
        ("application/octet-stream", bytes(range(256))),
        (None, None),
    ]
    for number in range(count):
        kind, content = data[number % len(data)]
        attributes = {
            "id": f"{number} of {count} € 😀",
            "source": "https://example.com/sdk?x=%20y",
            "type": "com.example.sdk",
            "subject": 'a "quoted" \\ subject, 100%25',
            "time": datetime.datetime(2026, 1, 2, 3, 4, 5, 678900, datetime.timezone.utc),
            "dataschema": "https://example.com/schema",
            "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        }
        if kind is not None:
            attributes["datacontenttype"] = kind
        yield CloudEvent(attributes, content)


def send(url, mode, count):
    parts = urllib.parse.urlsplit(url)
    write = {"binary": to_binary_event, "structured": to_structured_event}[mode]
    for event in events(count):
        message = write(event)
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
        target = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
        connection.request("POST", target, message.body, message.headers)
        answer = connection.getresponse()
        print(json.dumps({"status": answer.status, "answer": answer.read().decode()}), flush=True)
        connection.close()


class Receiver(http.server.BaseHTTPRequestHandler):
    """Prints the event that a request brings."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        try:
            line = plain(from_http_event(HTTPMessage(dict(self.headers.items()), body)))
            status = 204
        except Exception as error:  # whatever it is, the other side has to learn of it
            line, status = {"error": repr(error)}, 400
        print(json.dumps(line), flush=True)
        self.send_response(status)
        self.end_headers()

    def log_message(self, *_):
        pass


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


def receive(port_file):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    with open(port_file + ".new", "w", encoding="utf-8") as file:
        file.write(f"{server.server_port}\n")
    os.replace(port_file + ".new", port_file)
    server.serve_forever()


def sign(secret, message_id, seconds):
    from standardwebhooks.webhooks import Webhook

    time = datetime.datetime.fromtimestamp(int(seconds), datetime.timezone.utc)
    signature = Webhook(secret).sign(message_id, time, sys.stdin.buffer.read().decode())
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    print(json.dumps(dict(zip(names, (message_id, seconds, signature)))))


def verify(secret, headers):
    from standardwebhooks.webhooks import Webhook

    Webhook(secret).verify(sys.stdin.buffer.read(), json.loads(headers), json_parse=False)


def main():
    verb, *rest = sys.argv[1:]
    if verb == "send":
        send(rest[0], rest[1], int(rest[2]))
    else:
        {"receive": receive, "sign": sign, "verify": verify}[verb](*rest)


if __name__ == "__main__":
    main()
