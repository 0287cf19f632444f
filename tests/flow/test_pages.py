"""Web pages of jobs through the proxy: who gets in, and that the job never sees how."""

from __future__ import annotations

import base64
import http.client
import json
import os
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from websockets.sync.client import connect as websocket

import cloud
from cloud import _session
from tests.flow.shells import DEADLINE, free_port, sleeping, ssh

pytestmark = pytest.mark.live
WEB, SOCKET = free_port(), free_port()

ECHO = """
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        size = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(size)
        if self.headers.get("transfer-encoding"):
            body = b""
            while (line := self.rfile.readline()) != b"0\\r\\n":
                body += self.rfile.read(int(line, 16))
                self.rfile.readline()
        self.tell({"body": body.decode()})
    def do_GET(self):
        if self.path == "/large":
            self.send_response(200); self.send_header("content-length", str(8 << 20)); self.end_headers()
            for _ in range(128): self.wfile.write(bytes(1 << 16))
            return
        if self.path == "/away":
            self.connection.close(); return
        self.tell({})
    def tell(self, more):
        said = json.dumps({"headers": {k.lower(): v for k, v in self.headers.items()}, "path": self.path, **more}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(said)))
        self.send_header("Set-Cookie", "mine=1; Domain=localhost; Path=/")
        self.send_header("Set-Cookie", "picloud-entry=stolen")
        self.end_headers()
        self.wfile.write(said)
    def log_message(self, *a): pass

ThreadingHTTPServer(("127.0.0.1", PORT), Echo).serve_forever()
"""
SOCKETS = """
from websockets.sync.server import serve
def echo(socket):
    socket.send(str(sorted(name.lower() for name, _ in socket.request.headers.raw_items())))
    for message in socket:
        socket.send(message)
with serve(echo, "127.0.0.1", PORT) as server:
    server.serve_forever()
"""


class Page:
    """A job's page, as a browser sees it."""

    def __init__(self, url: str) -> None:
        at = urlsplit(url)
        self.host, self.port, self.path = at.netloc, at.port or 80, f"{at.path}?{at.query}"
        self.cookie = ""

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any, bytes]:
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        try:
            given = {"Host": self.host, **({"Cookie": self.cookie} if self.cookie else {}), **headers}
            link.request(method, path, body, given, encode_chunked=body is not None and not isinstance(body, bytes))
            answer = link.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            link.close()

    def enter(self) -> tuple[int, Any, bytes]:
        status, headers, body = self.ask("GET", self.path)
        self.cookie = (headers.get("set-cookie") or "").split(";")[0]
        return status, headers, body


def link(jid: int, port: int, seconds: float = 0.0) -> str:
    made: str = _session.session().link.json("POST", f"/v1/job/{jid}/link", {"port": port, "seconds": seconds})["url"]
    return made


@pytest.fixture(scope="module")
def jid(server: Any) -> Iterator[int]:
    server.use()
    with sleeping() as jid:
        for text, port in ((ECHO, WEB), (SOCKETS, SOCKET)):
            done = ssh(
                jid,
                f"cat > serve{port}.py; {sys.executable} serve{port}.py >log{port} 2>&1 &",
                input=text.replace("PORT", str(port)).encode(),
            )
            assert done.returncode == 0
            cloud.wait_for.port(jid, port, timeout=DEADLINE)
        yield jid


@pytest.fixture
def page(jid: int, server: Any) -> Page:
    found = Page(link(jid, WEB))
    status, headers, _ = found.enter()
    assert (status, headers["location"]) == (303, "/") and found.cookie
    assert "HttpOnly" in headers["set-cookie"] and "Domain" not in headers["set-cookie"]
    return found


def test_the_job_sees_the_visitors_request_and_nothing_of_ours(page: Page, server: Any) -> None:
    basic = base64.b64encode(f"{server.key}:{server.secret}".encode()).decode()
    said = []
    for ours in (f"Basic {basic}", "Bearer " + "t" * 43, "Worker a:b"):
        headers = {"Authorization": ours, "X-Picloud-Attempt": "1.1.aa", "Cookie": f"{page.cookie}; theirs=2", "X-Theirs": "yes"}
        status, answered, body = page.ask("GET", "/a/b?c=%20d", **headers)
        said.append(json.loads(body))
        assert status == 200
    for one in said:
        assert one["path"] == "/a/b?c=%20d"
        assert one["headers"]["cookie"] == "theirs=2" and one["headers"]["x-theirs"] == "yes"
        assert "authorization" not in one["headers"] and not [name for name in one["headers"] if name.startswith("x-picloud")]
        told = json.dumps(one)
        assert server.secret not in told and page.cookie.partition("=")[2] not in told and "picloud-entry" not in told
    assert answered.get_all("set-cookie") == ["mine=1; Path=/"]


def test_the_programs_own_credentials_pass(page: Page) -> None:
    for own in ("Basic " + base64.b64encode(b"admin:admin").decode(), "token 123", "Bearer short"):
        assert json.loads(page.ask("GET", "/", Authorization=own)[2])["headers"]["authorization"] == own


def test_bodies_of_both_kinds_and_large_answers(page: Page) -> None:
    data = os.urandom(1 << 20).hex().encode()
    assert json.loads(page.ask("POST", "/", data)[2])["body"] == data.decode()
    assert (
        json.loads(page.ask("POST", "/", iter([b"in ", b"pieces"]), **{"Transfer-Encoding": "chunked"})[2])["body"] == "in pieces"
    )
    assert page.ask("GET", "/large")[2] == bytes(8 << 20)
    assert page.ask("GET", "/away")[0] == 502


def test_nobody_enters_without_a_link_or_with_a_used_or_foreign_one(page: Page, jid: int) -> None:
    assert page.ask("GET", page.path)[0] == 403, "it works once"
    other = Page(link(jid, SOCKET))
    other.cookie = page.cookie
    assert other.ask("GET", "/")[0] == 403, "a cookie of another page"
    stranger = Page(link(jid, WEB))
    assert stranger.ask("GET", "/")[0] == 403
    for wrong in ("x", page.cookie[:-1] + ("0" if page.cookie[-1] != "0" else "1"), page.cookie.replace(".0.", ".1.", 1)):
        assert stranger.ask("GET", "/", Cookie=wrong if "=" in wrong else f"picloud-entry={wrong}")[0] == 403
    assert stranger.enter()[0] == 303


def test_a_link_for_others_works_more_than_once_until_it_ends(jid: int, server: Any) -> None:
    url = link(jid, WEB, 600)
    for _ in range(2):
        visitor = Page(url)
        assert visitor.enter()[0] == 303
        assert visitor.ask("GET", "/")[0] == 200
    for body in ({"port": 0}, {"port": WEB, "seconds": 1e9}, {"port": "x"}):
        with pytest.raises(cloud.CloudException):
            _session.session().link.json("POST", f"/v1/job/{jid}/link", body)


def test_a_websocket_and_that_other_origins_have_none(jid: int, server: Any) -> None:
    page = Page(link(jid, SOCKET))
    page.enter()
    at = f"ws://{page.host}/"
    where: dict[str, Any] = {"address": ("127.0.0.1", page.port), "proxy": None, "open_timeout": DEADLINE}
    headers = {"Cookie": f"{page.cookie}; theirs=2"}
    with websocket(at, additional_headers=headers, origin=f"http://{page.host}", **where) as line:  # type: ignore[arg-type]
        assert "cookie" in str(line.recv(DEADLINE))
        for message in ("text", b"\0bytes", "x" * 300_000):
            line.send(message)
            assert line.recv(DEADLINE) == message
    for wrong in ({"origin": "http://evil.example"}, {"additional_headers": {}}):
        with pytest.raises(Exception, match="rejected|HTTP 40"):
            websocket(at, **{"additional_headers": headers, **where, **wrong})


def test_a_page_whose_job_has_ended(server: Any) -> None:
    port = free_port()
    with sleeping(f"mkdir s; cd s; exec {sys.executable} -m http.server {port} --bind 127.0.0.1") as own:
        cloud.wait_for.port(own, port, timeout=DEADLINE)
        page = Page(link(own, port))
        page.enter()
        assert page.ask("GET", "/")[0] == 200
        cloud.kill(own)
    cloud.wait_for.status(own, "killed", timeout=DEADLINE)
    status, _, body = page.ask("GET", "/")
    assert status == 409 and b"has ended" in body
    with pytest.raises(cloud.CloudException, match="does not run"):
        link(own, port)
