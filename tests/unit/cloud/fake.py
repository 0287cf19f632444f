"""A server in this process: accepts submissions, runs them at once in threads, streams their ends. All in memory.

Faults on request: ``cut`` answers are dropped after the work is done, ``busy`` ones are refused with 503, and a stream is
dropped after ``stream_frames`` frames.
"""

from __future__ import annotations

import json
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import cloudpickle
import msgspec

from picloud.wire import payload
from picloud.wire.error import CloudException, NotAuthorized, NotFound, Unavailable
from picloud.wire.job import INLINE_LIMIT, Cause, Failure, Status, status_of
from picloud.wire.message import Accepted, Chunk, Finished, Submit, Submitted, Watch, encode

CORE_TYPES = {"c1": {"units": 1000, "memory": 300 << 20, "multiples": [1], "price": 1},
              "c2": {"units": 2500, "memory": 800 << 20, "multiples": [1, 2], "price": 1}}  # fmt: skip


class Fake(ThreadingHTTPServer):
    """``url``, and everything that it was asked: ``log`` of (method, path)."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.log: list[tuple[str, str]] = []
        self.cut, self.busy, self.stream_frames, self.held = 0, 0, 0, threading.Event()
        self.code: dict[str, bytes] = {}
        self.tokens: dict[bytes, Submitted] = {}
        self.submits: dict[int, Submit] = {}
        self.ends: dict[int, Finished | None] = {}
        self.blobs: dict[str, bytes] = {}
        self.chunks: dict[tuple[int, int], Accepted] = {}
        self.changed = threading.Condition()
        self.pool = ThreadPoolExecutor(4)
        self.held.set()
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def handle_error(self, *_: Any) -> None:
        """A client that has gone is no news."""

    def stop(self) -> None:
        self.held.set()
        self.shutdown()
        self.server_close()
        self.pool.shutdown()

    def submission(self, m: Submit) -> Submitted:
        if m.token in self.tokens:
            return self.tokens[m.token]
        self.code |= {one.digest: one.data for one in m.code}
        missing = [digest for digest in (m.function, *m.modules) if digest not in self.code]
        if missing:
            return Submitted(0, 0, 0, missing)
        number, first = len(self.submits) + 1, max(self.ends, default=0) + 1
        self.submits[number] = m
        for jid in range(first, first + (m.count or 0)):
            self.ends[jid] = None
        made = self.tokens[m.token] = Submitted(number, first, len(m.arguments.ends))
        self.accept(m, first, m.arguments)
        return made

    def chunk(self, m: Chunk) -> Accepted:
        if (m.submission, m.offset) not in self.chunks:
            submit = self.submits[m.submission]
            base = next(s.first for s in self.tokens.values() if s.submission == m.submission)
            first = base + m.offset if submit.count is not None else max(self.ends, default=0) + 1
            self.accept(submit, first, m.arguments)
            self.chunks[m.submission, m.offset] = Accepted(first, len(m.arguments.ends))
        return self.chunks[m.submission, m.offset]

    def accept(self, submit: Submit, first: int, arguments: Any) -> None:
        start = 0
        for at, end in enumerate(arguments.ends):
            blob = arguments.blobs.get(at)
            data = self.blobs[blob] if blob else arguments.data[start:end]
            start = end
            self.ends[first + at] = None
            self.pool.submit(self.run, submit, first + at, data)

    def run(self, submit: Submit, jid: int, data: bytes) -> None:
        self.held.wait(10)
        if self.ends.get(jid) is None:
            self.close_job(self.outcome(submit, jid, data))

    def close_job(self, end: Finished) -> None:
        with self.changed:
            self.ends[end.jid] = end
            self.changed.notify_all()

    def outcome(self, submit: Submit, jid: int, data: bytes) -> Finished:
        try:
            function, _ = payload.loads(self.code[submit.function])
            args, kwargs = payload.loads(data)
            made = b"".join(payload.dumps(function(*args, **kwargs), cloudpickle.dumps))
        except Exception as error:  # noqa: BLE001 user code
            failure = Failure("exception", f"{type(error).__name__}: {error}", traceback=traceback.format_exc(),
                              exception=cloudpickle.dumps(error))  # fmt: skip
            return Finished(jid, status_of(Cause.exception), failure=failure)
        if len(made) <= INLINE_LIMIT:
            return Finished(jid, Status.done, made)
        self.blobs[f"result-{jid}"] = made
        return Finished(jid, Status.done, blob=f"result-{jid}")

    def ended(self, jids: list[int]) -> list[Finished]:
        return [end for jid in jids if (end := self.ends.get(jid)) is not None]


class Handler(BaseHTTPRequestHandler):
    protocol_version, disable_nagle_algorithm, wbufsize = "HTTP/1.1", True, -1
    server: Fake

    def log_message(self, *args: Any) -> None:
        """Quiet."""

    def serve(self) -> None:
        self.server.log.append((self.command, self.path))
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            if self.server.busy:
                self.server.busy -= 1
                raise Unavailable("busy")
            if self.path.startswith("/v1") and not self.headers.get("Authorization", "").startswith("Basic "):
                raise NotAuthorized
            if self.path == "/v1/result":
                return self.stream(msgspec.msgpack.decode(body, type=Watch))
            self.answer(200, self.act(body))
        except CloudException as error:
            self.answer(error.http_status, json.dumps({"error": error.to_dict()}).encode())

    do_GET = do_POST = do_PUT = serve

    def answer(self, status: int, body: bytes) -> None:
        if self.server.cut:
            self.server.cut -= 1
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def act(self, body: bytes) -> bytes:
        fake, words = self.server, self.path.partition("?")[0].strip("/").split("/")
        if words == ["v1", "submission"]:
            return encode(fake.submission(msgspec.msgpack.decode(body, type=Submit)))
        if words == ["v1", "chunk"]:
            return encode(fake.chunk(msgspec.msgpack.decode(body, type=Chunk)))
        if words == ["v1", "job", "status"]:
            return b"".join(map(self.state, jids(msgspec.msgpack.decode(body, type=Watch).jids)))
        if words[0] == "bytes":
            if self.command == "PUT":
                fake.blobs[words[1]] = body
            return b"" if self.command == "PUT" else fake.blobs[words[1]]
        return json.dumps(self.plain(words[1:], json.loads(body or b"{}"))).encode()

    def plain(self, words: list[str], sent: dict[str, Any]) -> Any:
        fake = self.server
        if words == ["server"]:
            return {"core_types": CORE_TYPES, "default_type": "c1", "version": "0"}
        if words == ["blob"]:
            names = [f"b{len(fake.blobs)}-{at}" for at in range(len(sent["sizes"]))]
            return {"blobs": [{"id": name, "url": f"{fake.url}/bytes/{name}"} for name in names]}
        if words == ["blob", "get"]:
            return {"urls": [f"{fake.url}/bytes/{name}" for name in sent["ids"]]}
        if words == ["job", "info"]:
            return {"jobs": {jid: {"status": Status(self.state(jid)[0]).name, "created": 1000, "stdout": "hi"}
                             for jid in jids(sent["jids"])}}  # fmt: skip
        if words == ["job", "kill"]:
            victims = [jid for jid in (jids(sent["jids"]) if sent["jids"] else fake.ends) if fake.ends[jid] is None]
            for jid in victims:
                fake.close_job(Finished(jid, Status.killed, failure=Failure("killed", "it was killed")))
            return {"killed": len(victims)}
        if words == ["job", "delete"]:
            return {"deleted": len([fake.ends.pop(jid) for jid in jids(sent["jids"])])}
        if words == ["job"]:
            return {"jobs": [{"jid": jid, "created": 1000} for jid in sorted(fake.ends, reverse=True)], "next": None}
        raise NotFound(f"no route {self.path}")

    def state(self, jid: int) -> bytes:
        if jid not in self.server.ends:
            raise NotFound(f"no job {jid}", jid=jid)
        end = self.server.ends[jid]
        return bytes([end.status if end else Status.queued])

    def stream(self, watch: Watch) -> None:
        wanted = list(jids(watch.jids))
        for jid in wanted:
            self.state(jid)
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        sent: set[int] = set()
        while len(sent) < len(wanted):
            with self.server.changed:
                self.server.changed.wait_for(lambda: len(self.server.ended(wanted)) > len(sent), 0.2)
            news = [one for one in self.server.ended(wanted) if one.jid not in sent]
            sent.update(one.jid for one in news)
            if not watch.payload:
                news = [Finished(one.jid, one.status) for one in news]
            frame = encode(news[::-1]) if news else b""
            frame = len(frame).to_bytes(4, "big") + frame
            self.wfile.write(f"{len(frame):x}\r\n".encode() + frame + b"\r\n")
            self.wfile.flush()
            if self.server.stream_frames:
                self.server.stream_frames -= 1
                self.close_connection = True
                return
        self.wfile.write(b"0\r\n\r\n")


def jids(ranges: Any) -> Any:
    return (jid for first, count in ranges for jid in range(first, first + count))
