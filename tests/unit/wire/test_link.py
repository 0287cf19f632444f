from __future__ import annotations

import hashlib
import http.server
import json
import os
import socket
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from picloud.wire.error import CloudException, NotFound, SetupError, TooLarge, Unavailable
from picloud.wire.link import JSON, Body, Link

Answer = Callable[["Handler", bytes], tuple[int, bytes]]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version, wbufsize = "HTTP/1.1", -1
    server: Any

    def address_string(self) -> str:
        return "client"

    def log_message(self, *_: object) -> None:
        """Quiet."""

    def serve(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append((self.command, self.path, dict(self.headers), body))
        status, answer = self.server.act(self, body)
        if status == 0:
            self.close_connection = True
            return
        self.send_response(status)
        if 300 <= status < 400:
            self.send_header("Location", answer.decode())
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST = do_PUT = serve


class Far(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads, allow_reuse_address = True, True

    def handle_error(self, *_: object) -> None:
        """A client that has gone is no news."""


class FarDoor(Far):
    address_family = socket.AF_UNIX


@contextmanager
def serving(
    act: Answer, server: Any = None, address: Any = ("127.0.0.1", 0), context: ssl.SSLContext | None = None
) -> Iterator[Any]:
    far = (server or Far)(address, Handler)
    far.act, far.seen = act, []
    if context:
        far.socket = context.wrap_socket(far.socket, server_side=True)
    thread = threading.Thread(target=far.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    if not isinstance(address, str):
        far.url = f"{'https' if context else 'http'}://127.0.0.1:{far.server_address[1]}"
    try:
        yield far
    finally:
        far.shutdown()
        thread.join()
        far.server_close()


@contextmanager
def linked(*args: Any, **kwargs: Any) -> Iterator[Link]:
    link = Link(*args, **kwargs)
    try:
        yield link
    finally:
        link.close()


def echo(handler: Handler, body: bytes) -> tuple[int, bytes]:
    return 200, body or handler.path.encode()


def test_requests_share_a_connection_and_carry_the_key() -> None:
    with serving(lambda h, b: (200, str(h.client_address[1]).encode())) as far, linked(far.url, key="1", secret="s") as link:
        assert len({link.request("POST", "/x", b"1") for _ in range(5)}) == 1
        assert far.seen[0][2]["Authorization"] == "Basic MTpz"
        assert far.seen[0][2]["Content-Type"] == "application/msgpack"
        assert link.json("POST", "/j", {"a": 1}) is not None
        assert (far.seen[-1][3], far.seen[-1][2]["Content-Type"]) == (b'{"a": 1}', JSON)


def test_two_phases() -> None:
    with serving(echo) as far, linked(far.url) as link:
        first = link.send_request("POST", "/1", b"one")
        second = link.send_request("POST", "/2", b"two")
        assert (second.read_response(), first.read_response()) == (b"two", b"one")


def test_threads_may_share_it() -> None:
    found: list[bool] = []
    with serving(echo) as far, linked(far.url) as link:

        def ask(name: bytes) -> None:
            found.append(all(link.request("POST", "/", name + b"%d" % n) == name + b"%d" % n for n in range(50)))

        threads = [threading.Thread(target=ask, args=(b"%d-" % n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == [True] * 4


def test_errors_come_back_as_their_class() -> None:
    error = {"error": NotFound("no job 5", jid=5, hint="look").to_dict()}
    with serving(lambda h, b: (404, json.dumps(error).encode())) as far, linked(far.url) as link:
        with pytest.raises(NotFound, match="Job 5: no job 5") as caught:
            link.request("GET", "/")
        assert (caught.value.jid, caught.value.hint) == (5, "look")
    with serving(lambda h, b: (418, b"<html>")) as far, linked(far.url) as link:
        with pytest.raises(CloudException, match="answered 418.*<html>"):
            link.request("GET", "/")


def failing(times: int, status: int) -> Answer:
    left = [times]

    def act(handler: Handler, body: bytes) -> tuple[int, bytes]:
        left[0] -= 1
        return (status, json.dumps({"error": Unavailable("busy").to_dict()}).encode()) if left[0] >= 0 else (200, body)

    return act


@pytest.mark.parametrize("status", [0, 503])
def test_it_rides_over_trouble(status: int) -> None:
    with serving(failing(3, status)) as far, linked(far.url) as link:
        assert link.request("POST", "/", b"x") == b"x"
        assert len(far.seen) == 4
    with serving(failing(1, status)) as far, linked(far.url) as link:
        assert link.send_request("POST", "/", b"y").read_response() == b"y"


def test_it_rides_over_a_restart_of_the_server() -> None:
    with serving(echo) as far, linked(far.url) as link:
        assert link.request("POST", "/", b"1") == b"1"
        address = far.server_address
    answers: list[bytes] = []
    asking = threading.Thread(target=lambda: answers.append(link.request("POST", "/", b"2")))
    asking.start()
    with serving(echo, address=address):
        asking.join(timeout=10)
    link.close()
    assert answers == [b"2"]


def test_it_gives_up_and_says_what_to_do() -> None:
    told: list[str] = []
    with serving(echo) as far:
        url = far.url
    with linked(url, patience=1.3, on_trouble=told.append) as link, pytest.raises(Unavailable, match="picloud up") as caught:
        link.request("GET", "/")
    assert caught.value.facts["url"] == url
    assert len(told) == 1
    with linked("http://localhost", door="/nowhere", patience=0.1) as link, pytest.raises(Unavailable, match="door"):
        link.request("GET", "/")


def test_the_time_in_which_bytes_went_well_is_none_of_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    """A large body takes longer than the patience, and at its end the server cannot store it yet."""
    now = [0.0]
    monkeypatch.setattr("picloud.wire.link.time", SimpleNamespace(monotonic=lambda: now[0], sleep=lambda seconds: None))

    def pieces(seconds: float) -> Iterator[bytes]:
        now[0] += seconds
        yield b"x" * 10

    with serving(failing(1, 503)) as far, linked(far.url, patience=5) as link:
        assert link.send_put(far.url + "/", Body(10, lambda: pieces(100))).read_response() == b"x" * 10
    with serving(failing(99, 503)) as far, linked(far.url, patience=5) as link:
        with pytest.raises(Unavailable, match="busy"):
            link.send_put(far.url + "/", Body(10, lambda: pieces(3))).read_response()
        assert len(far.seen) == 3


def test_an_error_without_retry_is_not_repeated() -> None:
    full = Unavailable("full")
    full.retry = False
    with serving(lambda h, b: (503, json.dumps({"error": full.to_dict()}).encode())) as far, linked(far.url) as link:
        with pytest.raises(Unavailable, match="full"):
            link.request("GET", "/")
        assert len(far.seen) == 1


def test_through_a_door(tmp_path: Path) -> None:
    with serving(echo, FarDoor, str(tmp_path / "door")) as far, linked("http://localhost", door=far.server_address) as link:
        assert link.request("POST", "/a", b"x") == b"x"
        assert "Authorization" not in far.seen[0][2]


def test_bulk_bytes_go_in_parts_without_the_key() -> None:
    parts = [b"head", bytearray(b"x" * 300_000), memoryview(b"tail")]
    with (
        serving(echo) as edge,
        serving(lambda h, b: (302, f"{edge.url}/moved".encode())) as far,
        linked(far.url, key="1") as link,
    ):
        link.put(f"{edge.url}/b?t=1", parts)
        assert edge.seen[0][:2] == ("PUT", "/b?t=1")
        assert edge.seen[0][3] == b"".join(parts)
        assert "Authorization" not in edge.seen[0][2]
        assert link.get(f"{edge.url}/c") == b"/c"
        assert link.get("/v1/there") == b"/moved"


def test_a_server_that_refuses_a_large_body_is_heard() -> None:
    def refuse(client: socket.socket) -> None:
        body = json.dumps({"error": TooLarge("too much").to_dict()}).encode()
        client.recv(1000)
        client.sendall(b"HTTP/1.1 413 X\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        client.shutdown(socket.SHUT_WR)
        while client.recv(1 << 20):
            pass
        client.close()

    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=lambda: refuse(listener.accept()[0]))
    thread.start()
    with listener, linked(f"http://127.0.0.1:{listener.getsockname()[1]}") as link, pytest.raises(TooLarge, match="too much"):
        link.request("POST", "/", b"x" * 3_000_000)
    thread.join()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    made = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=x".split()
    subprocess.run([*made, "-keyout", path, "-out", f"{path}.crt"], check=True, capture_output=True)
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


def test_a_pinned_certificate(certificate: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    der = ssl.PEM_cert_to_DER_cert(Path(f"{certificate}.crt").read_text())
    digest = hashlib.sha256(der).hexdigest()
    with serving(echo, context=context) as far:
        spelled = ":".join(digest[at : at + 2] for at in range(0, 64, 2)).upper()
        for fingerprint in (digest, f"sha256:{digest}", spelled):
            with linked(far.url, fingerprint=fingerprint) as link:
                assert link.request("POST", "/", b"x") == b"x"
                link.put(f"{far.url}/b", [b"z"])
        with linked(far.url, fingerprint="0" * 64) as link, pytest.raises(SetupError, match="another certificate"):
            link.request("GET", "/")
        with linked(far.url) as link, pytest.raises(SetupError, match="--fingerprint"):
            link.request("GET", "/")


def test_a_forked_child_opens_its_own_connection() -> None:
    with serving(lambda h, b: (200, str(h.client_address[1]).encode())) as far, linked(far.url) as link:
        port = link.request("GET", "/")
        link.origin.pid -= 1  # as the child of a fork would see it
        kept = list(link.origin.idle)
        assert link.request("GET", "/") != port
        for connection in kept:
            connection.sock.close()
        assert link.origin.pid == os.getpid()
