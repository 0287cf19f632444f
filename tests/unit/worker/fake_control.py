"""A control for the worker's tests: real sockets, real messages, no database."""

from __future__ import annotations

import hashlib
import http.server
import itertools
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import msgspec
import pytest
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

from picloud.sandbox import cgroup
from picloud.settings import CORE_TYPES
from picloud.wire import message as wire
from picloud.wire import payload
from picloud.wire.job import Options
from picloud.worker.order import Order

_numbers = itertools.count()

PATIENCE = 20.0  # seconds that a test waits for anything


class FakeControl:
    """Serves one worker; everything that it says is kept."""

    def __init__(self) -> None:
        self.code: dict[str, bytes] = {}
        self.blobs: dict[str, bytes] = {}
        self.heard: list[Any] = []
        self.outcomes: dict[tuple[int, int], wire.Outcome] = {}
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.answers: dict[str, Callable[[Handler, bytes], None]] = {}
        self.acknowledge = True
        self.refuse = False
        self.news = threading.Condition()
        self.lines: list[Handler] = []
        self.submissions = 0
        self.jids = 0
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("H", (Handler,), {"control": self}))
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True, kwargs={"poll_interval": 0.05}).start()

    def close(self) -> None:
        self.hang_up()
        self.server.shutdown()
        self.server.server_close()

    # -- to the worker

    def send(self, message: Any) -> None:
        self.wait(lambda: self.lines)
        self.lines[-1].say(wire.encode(message))

    def hang_up(self) -> None:
        for line in self.lines:
            line.drop()
        self.lines.clear()

    def add(self, data: bytes) -> str:
        digest = hashlib.sha256(data).hexdigest()
        self.code[digest] = data
        return digest

    def spec(
        self,
        function: Callable[..., Any],
        *,
        retry_on: Any = None,
        modules: tuple[bytes, ...] = (),
        env: dict[str, str] | None = None,
        python: str = "3.11",
        **options: Any,
    ) -> wire.Spec:
        self.submissions += 1
        digest = self.add(b"".join(payload.dumps((function, retry_on), cloudpickle.dumps)))
        return wire.Spec(
            self.submissions,
            1,
            digest,
            [self.add(m) for m in modules],
            getattr(function, "__name__", "f"),
            Options(**options),
            env or {},
            0,
            python,
        )

    def lease(self, spec: wire.Spec, *args: Any, n: int = 1, **more: Any) -> wire.Lease:
        self.jids += 1
        data = b"".join(payload.dumps((args, {}), pickle.dumps))
        return wire.Lease(self.jids, n, os.urandom(16), spec.submission, data, **more)

    def give(self, function: Callable[..., Any], *args: Any, **options: Any) -> tuple[int, int]:
        """Lease one job; its key."""
        spec = self.spec(function, **options)
        lease = self.lease(spec, *args)
        self.send(wire.Leases([spec], [lease]))
        return lease.jid, lease.n

    # -- from the worker

    def hear(self, message: Any, line: Handler) -> None:
        with self.news:
            self.heard.append(message)
            if isinstance(message, wire.Done):
                for outcome in message.outcomes:
                    self.outcomes[outcome.jid, outcome.n] = outcome
                if self.acknowledge:
                    line.say(wire.encode(wire.Ack([(o.jid, o.n) for o in message.outcomes])))
            self.news.notify_all()

    def wait(self, look: Callable[[], Any], seconds: float = PATIENCE) -> Any:
        """Wait until ``look`` answers something true; returns it."""
        deadline = time.monotonic() + seconds
        with self.news:
            while not (found := look()):
                left = deadline - time.monotonic()
                assert left > 0, f"nothing came in {seconds} s; heard {self.heard[-5:]}"
                self.news.wait(min(left, 0.1))
            return found

    def outcome(self, key: tuple[int, int]) -> wire.Outcome:
        found: wire.Outcome = self.wait(lambda: self.outcomes.get(key))
        return found

    def said(self, kind: type[Any]) -> list[Any]:
        return [message for message in self.heard if isinstance(message, kind)]

    def output(self, key: tuple[int, int], stream: str) -> bytes:
        """What has come of one stream, with dots for the bytes that were cut out."""
        found = b""
        for logs in self.said(wire.Logs):
            for chunk in logs.chunks:
                if (chunk.jid, chunk.n, chunk.stream) == (*key, stream):
                    found = found.ljust(chunk.offset, b".") + chunk.data
        return found


class Handler(http.server.BaseHTTPRequestHandler):
    control: FakeControl
    protocol_version = "HTTP/1.1"
    wbufsize = 0
    disable_nagle_algorithm = True

    def log_message(self, *_: Any) -> None:
        return

    def setup(self) -> None:
        super().setup()
        self.lock = threading.Lock()

    def do_GET(self) -> None:
        if self.headers.get("Upgrade"):
            self.socket_line()
            return
        self.note(b"")
        if self.path in self.control.answers:
            self.control.answers[self.path](self, b"")
        elif self.path.startswith("/v1/worker/code/"):
            self.reply(self.control.code.get(self.path.rsplit("/", 1)[1]))
        else:
            self.reply(self.control.blobs.get(self.path.rsplit("/", 1)[1]))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.note(body)
        if self.path in self.control.answers:
            self.control.answers[self.path](self, body)
        elif self.path == "/v1/worker/blob":
            ids = [os.urandom(8).hex() for _ in json.loads(body)["sizes"]]
            self.reply(json.dumps({"blobs": [{"id": i, "url": f"{self.control.url}/blob/{i}"} for i in ids]}).encode())
        elif self.path == "/v1/worker/blob/get":
            self.reply(json.dumps({"urls": [f"{self.control.url}/blob/{i}" for i in json.loads(body)["ids"]]}).encode())
        else:
            self.reply(None)

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.control.blobs[self.path.rsplit("/", 1)[1]] = body
        self.reply(json.dumps({"size": len(body)}).encode())

    def note(self, body: bytes) -> None:
        with self.control.news:
            self.control.requests.append((self.command, self.path, dict(self.headers), body))
            self.control.news.notify_all()

    def reply(self, body: bytes | None, status: int = 200) -> None:
        if body is None:
            status, body = 404, b'{"error": {"code": "not_found", "message": "nothing there"}}'
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    # -- the WebSocket

    def socket_line(self) -> None:
        if self.control.refuse:
            self.reply(b'{"error": {"code": "not_authorized", "message": "revoked"}}', 401)
            self.close_connection = True
            return
        self.protocol = ServerProtocol(max_size=None)
        head = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        self.protocol.receive_data(f"GET {self.path} HTTP/1.1\r\n{head}\r\n".encode())
        (request,) = self.protocol.events_received()
        assert isinstance(request, Request)
        self.protocol.send_response(self.protocol.accept(request))
        self.push()
        with self.control.news:
            self.control.lines.append(self)
            self.control.news.notify_all()
        self.close_connection = True
        try:
            while data := self.connection.recv(1 << 18):
                self.protocol.receive_data(data)
                for event in self.protocol.events_received():
                    if isinstance(event, Frame) and event.opcode is Opcode.BINARY:
                        self.control.hear(wire.decode_to_server(event.data), self)
        except OSError:
            return

    def say(self, data: bytes) -> None:
        with self.lock:
            self.protocol.send_binary(data)
            self.push()

    def push(self) -> None:
        for data in self.protocol.data_to_send():
            self.connection.sendall(data)

    def drop(self) -> None:
        try:
            self.connection.shutdown(2)
        except OSError:
            return


class Worker:
    """A worker process under test."""

    def __init__(self, control: FakeControl, folder: Path, slots: int = 1, **order: Any) -> None:
        made = Order(control.url, "ab" * 8, "secret", str(folder), slots=slots, **order)
        source = str(Path(wire.__file__).parents[2])
        self.instance = f"test-{os.getpid()}-{next(_numbers)}"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "picloud.worker"],
            stdin=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": source, "PICLOUD_INSTANCE": self.instance},
        )
        assert self.process.stdin is not None
        self.process.stdin.write(msgspec.json.encode(made) + b"\n")
        self.process.stdin.flush()

    def close(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()
        if (groups := cgroup.find(self.instance)) is not None:  # the engine's work, which is not here
            groups.sweep(())
            groups.remove()


@pytest.fixture
def control() -> Iterator[FakeControl]:
    made = FakeControl()
    yield made
    made.close()


@pytest.fixture
def start(control: FakeControl, tmp_path: Path) -> Iterator[Callable[..., Worker]]:
    """Starts workers that end with the test."""
    workers: list[Worker] = []

    def begin(**order: Any) -> Worker:
        workers.append(Worker(control, tmp_path / f"work{len(workers)}", **order))
        return workers[-1]

    yield begin
    for worker in workers:
        worker.close()


@pytest.fixture
def worker(start: Callable[..., Worker]) -> Worker:
    """One with two slots and 256 MB for each."""
    return start(slots=2, memory_limit=256 << 20, core_type="c1", core_types=msgspec.to_builtins(CORE_TYPES))
