"""A real mail server (aiosmtpd) that prints one line of JSON when it listens and one for each mail that it takes.

It refuses mail to refused@..., asks to wait with mail to deferred@..., and ends when its input ends.
"""

import argparse
import asyncio
import email.policy
import json
import pathlib
import ssl
import sys
import threading

import trustme
from aiosmtpd.smtp import SMTP, AuthResult


def say(**line):
    print(json.dumps(line), flush=True)


def certificate(folder, name):
    authority = trustme.CA()
    path = pathlib.Path(folder) / "ca.pem"
    authority.cert_pem.write_to_path(path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("refused@"):
            return "550 5.1.1 no such user here"
        if address.startswith("deferred@"):
            return "451 4.7.1 greylisted, come back later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        say(
            sender=envelope.mail_from,
            recipients=envelope.rcpt_tos,
            headers=[[name, str(value)] for name, value in mail.items()],
            text=mail.get_content().replace("\r\n", "\n"),
            encrypted=server.transport.get_extra_info("sslcontext") is not None,
            login=session.auth_data,
            longest=max(len(line) for line in envelope.content.split(b"\r\n")),
        )
        if "full" in str(mail["Subject"]):
            return "452 4.3.1 the disk is full"
        return "250 taken"


def authenticator(expected):
    def check(server, session, envelope, mechanism, data):
        given = f"{data.login.decode()}:{data.password.decode()}"
        if given != expected:
            return AuthResult(success=False, handled=False, message=f"535 5.7.8 wrong login {given}")
        return AuthResult(success=True, auth_data=data.login.decode())

    return check


async def scripted(reader, writer, mode):
    """What no sound server does, to be told apart by the client."""
    if mode == "silent":
        say(event="connected")
        await reader.read()
        return writer.close()
    if mode == "cut":
        say(event="connected")
        return writer.close()
    if mode == "web":
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        return writer.close()
    writer.write(b"220 here\r\n")
    while line := await reader.readline():
        say(event="heard", line=line.decode("latin-1").strip())
        if line.upper().startswith(b"EHLO"):
            writer.write(b"250-here\r\n250-AUTH PLAIN LOGIN\r\n250 STARTTLS\r\n")
        elif line.upper().startswith(b"STARTTLS") and mode == "inject":
            writer.write(b"220 go ahead\r\n250-here\r\n250 AUTH PLAIN LOGIN\r\n")
        elif line.upper().startswith(b"STARTTLS") and mode == "handshake-cut":
            writer.write(b"220 go ahead\r\n")
            await writer.drain()
            await reader.read(1)
            break
        elif line.upper().startswith(b"STARTTLS"):
            writer.write(b"454 TLS is not available now\r\n")
        else:
            writer.write(b"250 OK\r\n")
        await writer.drain()
    writer.close()


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("mode")
    parser.add_argument("folder")
    parser.add_argument("--name", default="localhost")
    parser.add_argument("--login")
    options = parser.parse_args()
    context = certificate(options.folder, options.name)
    settings = {"enable_SMTPUTF8": True}
    if options.login:
        settings.update(auth_required=True, authenticator=authenticator(options.login))
    loop = asyncio.get_running_loop()
    listen = {"host": "127.0.0.1", "port": 0}
    if options.mode == "plain":
        settings.update(auth_require_tls=False)
        server = await loop.create_server(lambda: SMTP(Handler(), **settings), **listen)
    elif options.mode == "starttls":
        settings.update(tls_context=context, require_starttls=True)
        server = await loop.create_server(lambda: SMTP(Handler(), **settings), **listen)
    elif options.mode == "tls":
        settings.update(auth_require_tls=False)
        server = await loop.create_server(lambda: SMTP(Handler(), **settings), ssl=context, **listen)
    else:
        server = await asyncio.start_server(lambda r, w: scripted(r, w, options.mode), **listen)
    say(port=server.sockets[0].getsockname()[1])
    ended = asyncio.Event()
    threading.Thread(
        target=lambda: (sys.stdin.read(), loop.call_soon_threadsafe(ended.set)), daemon=True
    ).start()
    await ended.wait()


asyncio.run(main())
