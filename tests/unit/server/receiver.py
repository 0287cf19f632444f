"""A receiver of webhooks that a test starts: real HTTP on a port of its own, answering as it is told."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

DEADLINE = 20.0


class Got(NamedTuple):
    """A request that came."""

    path: str
    headers: dict[str, str]
    body: bytes


class Receiver:
    """Keeps what came; ``answers`` are the statuses of the next requests, then 204."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.got: list[Got] = []
        self.answers: list[int] = []
        self.headers: dict[str, str] = {}
        self.body = b""
        self.hold = threading.Event()  # while it is clear, a request to /slow waits
        self.news = threading.Condition()

    def wait(self, count: int) -> list[Got]:
        """The requests, when so many have come."""
        with self.news:
            assert self.news.wait_for(lambda: len(self.got) >= count, DEADLINE), f"{len(self.got)} of {count} came"
            return list(self.got)


@contextmanager
def receiving(context: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """One that listens until the end of the block; ``context``: by TLS."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            with receiver.news:
                receiver.got.append(Got(self.path, {name.lower(): value for name, value in self.headers.items()}, body))
                status = receiver.answers.pop(0) if receiver.answers else 204
                receiver.news.notify_all()
            if self.path == "/slow":
                receiver.hold.wait(DEADLINE)
            self.send_response(status)
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(receiver.body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            pass  # the client hung up, as it may

    server = Server(("127.0.0.1", 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    receiver = Receiver(f"{'https' if context else 'http'}://localhost:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield receiver
    finally:
        receiver.hold.set()
        server.shutdown()
        thread.join()
        server.server_close()
