"""A login that happens in a browser, for a terminal that waits on a port of this machine."""

from __future__ import annotations

import hashlib
import secrets
import time
import webbrowser
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import click

from picloud.wire.error import CloudTimeoutError, NotAuthorized
from picloud.wire.link import Link

PATIENCE = 600.0
"""Seconds until somebody has logged in; the server waits no longer either."""
DONE = b"<!doctype html><meta charset=utf-8><title>PiCloud</title><p>You may close this page and go back to the terminal."


def token(url: str, pinned: str, proof: dict[str, str]) -> str:
    """The token of who logs in by OpenID Connect.

    Args:
        url, pinned: the server, and its certificate's fingerprint or "".
        proof: name and password of a user that the login shall be tied to; empty = none.

    Raises:
        CloudException: as the server says; CloudTimeoutError: nobody has logged in for ten minutes.
    """
    holder = secrets.token_urlsafe(32)
    with closing(Link(url, fingerprint=pinned)) as door, _Waiting(("127.0.0.1", 0), _Answer) as waiting:
        body = {"holder": hashlib.sha256(holder.encode()).hexdigest(), "port": waiting.server_port}
        there = door.json("POST", "/v1/login/oidc", body)["url"]
        waiting.state = parse_qs(urlsplit(there).query).get("state", [""])[0]
        click.echo(f"Log in with a browser of this machine:\n{there}", err=True)
        webbrowser.open(there)
        found = waiting.answer()
        if "code" not in found:
            raise NotAuthorized(found.get("error_description") or found.get("error") or "nobody was logged in")
        asked = {"state": waiting.state, "code": found["code"], "holder": holder, **proof}
        ticket = door.json("POST", "/v1/login/oidc/finish", asked)["ticket"]
        return str(door.json("POST", "/v1/login", {"ticket": ticket})["token"])


class _Waiting(HTTPServer):
    """Waits for the one request to which the browser is led."""

    state = ""  # of the login that it waits for; whoever else comes is not heard
    found: dict[str, str] | None = None

    def answer(self) -> dict[str, str]:
        """What it said."""
        until = time.monotonic() + PATIENCE
        while self.found is None:
            self.timeout = until - time.monotonic()
            if self.timeout <= 0:
                raise CloudTimeoutError("nobody has logged in", hint="picloud setup --oidc begins anew")
            self.handle_request()
        return self.found


class _Answer(BaseHTTPRequestHandler):
    server: _Waiting
    timeout = 5  # a browser connects ahead and says nothing

    def do_GET(self) -> None:
        query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        known = bool(self.server.state) and query.get("state") == self.server.state
        if known:
            self.server.found = query
        self.send_response(200 if known else 404)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(DONE) if known else 0))
        self.end_headers()
        self.wfile.write(DONE if known else b"")

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the request carries a code."""
