#!/usr/bin/env python3
"""An SMTP server that keeps what it gets, for tests and the quickstart.

Listens on 127.0.0.1, or on --host, and writes the port into a file when it is ready. Every accepted mail becomes
two files in the folder --out: NNNNNN.eml (the bytes as they came) and NNNNNN.json (envelope: from,
to, user, tls, peer, at). The JSON appears last, whole, so waiting for it is waiting for the mail.

What it answers can be changed while it runs: --script names a JSON file, read before each command,
with any of these keys:
  "rcpt": {"a@example": "550 5.1.1 no such user"}   answer to RCPT TO for that address
  "mail": "550 5.7.1 sender refused"                answer to every MAIL FROM
  "data": "554 5.6.0 not wanted"                    answer after the final dot; nothing is kept
  "hang": "mail" | "rcpt" | "data" | "keep"         never answers there; "keep" keeps the mail and
                                                    does not answer the final dot
  "once": true                                      the script file is removed after its first use
Every session's commands are appended to the file --log, one JSON line each, without logins.

Needs Debian's python3-aiosmtpd; run it with /usr/bin/python3.
"""
import argparse
import asyncio
import json
import os
import pathlib
import signal
import ssl
import sys
import time

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword


class Catcher:
    def __init__(self, options):
        self.options = options
        self.out = pathlib.Path(options.out)
        self.out.mkdir(parents=True, exist_ok=True)
        self.count = len(list(self.out.glob("*.json")))

    def log(self, **entry):
        if self.options.log:
            with open(self.options.log, "a", encoding="utf-8") as file:
                file.write(json.dumps(entry) + "\n")

    def script(self, key, address=None):
        """The scripted value for `key`, or None."""
        if not self.options.script:
            return None
        try:
            with open(self.options.script, encoding="utf-8") as file:
                script = json.load(file)
        except FileNotFoundError:
            return None
        value = script.get(key)
        if key == "rcpt" and value is not None:
            value = value.get(address)
        if value is not None and script.get("once"):
            os.unlink(self.options.script)
        return value

    async def hang(self, where):
        script = self.script("hang")
        if script == where:
            self.log(event="hang", where=where)
            await asyncio.sleep(3600)

    def authenticate(self, server, session, envelope, mechanism, data):
        good = (
            isinstance(data, LoginPassword)
            and data.login.decode() == self.options.user
            and data.password.decode() == self.options.password
        )
        self.log(event="auth", mechanism=mechanism, ok=good)
        return AuthResult(success=good, handled=good, auth_data=self.options.user if good else None)

    async def handle_MAIL(self, server, session, envelope, address, mail_options):
        self.log(event="mail", address=address, session=id(session), tls=session.ssl is not None)
        await self.hang("mail")
        refusal = self.script("mail")
        if refusal:
            return refusal
        envelope.mail_from = address
        envelope.mail_options.extend(mail_options)
        return "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):
        self.log(event="rcpt", address=address)
        await self.hang("rcpt")
        refusal = self.script("rcpt", address)
        if refusal:
            return refusal
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(rcpt_options)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        self.log(event="data", bytes=len(envelope.original_content))
        await self.hang("data")
        refusal = self.script("data")
        if refusal:
            return refusal
        self.keep(session, envelope)
        await self.hang("keep")
        return "250 OK kept"

    def keep(self, session, envelope):
        self.count += 1
        name = f"{self.count:06d}"
        (self.out / f"{name}.eml").write_bytes(envelope.original_content)
        entry = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "user": session.auth_data if isinstance(session.auth_data, str) else None,
            "tls": session.ssl is not None,
            "peer": list(session.peer[:2]),
            "at": time.time(),
        }
        temporary = self.out / f"{name}.tmp"  # a name that no reader looks for
        temporary.write_text(json.dumps(entry), encoding="utf-8")
        temporary.rename(self.out / f"{name}.json")


async def serve(options):
    catcher = Catcher(options)
    context = None
    if options.tls_cert:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.tls_cert, options.tls_key)

    def session():
        return SMTP(
            catcher,
            hostname=options.hostname,
            data_size_limit=64 << 20,
            tls_context=context,
            require_starttls=context is not None,
            auth_required=options.user is not None,
            auth_require_tls=context is not None,
            authenticator=catcher.authenticate if options.user is not None else None,
        )

    loop = asyncio.get_running_loop()
    server = await loop.create_server(session, options.host, options.port)
    port = server.sockets[0].getsockname()[1]
    temporary = pathlib.Path(options.port_file + ".new")
    temporary.write_text(f"{port}\n", encoding="ascii")
    temporary.rename(options.port_file)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
    server.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--out", required=True, help="folder for the mails")
    parser.add_argument("--port-file", required=True, help="file that gets the port when ready")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=0, help="0: the kernel chooses")
    parser.add_argument("--hostname", default="catcher.example")
    parser.add_argument("--tls-cert", help="PEM; with it STARTTLS is offered and required")
    parser.add_argument("--tls-key")
    parser.add_argument("--user", help="with it AUTH is required")
    parser.add_argument("--password-file", help="file with the password of --user")
    parser.add_argument("--script", help="JSON file that changes the answers, see above")
    parser.add_argument("--log", help="file that gets one JSON line a command")
    options = parser.parse_args()
    if bool(options.tls_cert) != bool(options.tls_key):
        parser.error("--tls-cert and --tls-key go together")
    if bool(options.user) != bool(options.password_file):
        parser.error("--user and --password-file go together")
    if options.password_file:
        password = pathlib.Path(options.password_file).read_text(encoding="utf-8")
        options.password = password.removesuffix("\n")
    asyncio.run(serve(options))
    return 0


if __name__ == "__main__":
    sys.exit(main())
