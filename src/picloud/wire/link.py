"""The one HTTP client: a small keep-alive link over http.client's response parser.

Every request of PiCloud may be repeated (submissions carry a token), so the link rides over a restart of the server: on
connection trouble, or a 503 that says so, it asks again with growing pauses for ``patience`` seconds and only then raises
:class:`~picloud.wire.error.Unavailable`. It may be shared by threads: a request takes an idle connection or opens one.
Inside a job the far end is a unix socket, the door, and nothing is said about who asks: the socket itself is the right.
"""

from __future__ import annotations

import http.client
import json
import random
import socket
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from picloud.wire.error import CloudException, Unavailable, from_dict
from picloud.wire.origin import READ, Buffer, Connection, Origin, Response

BLOBS = "/blob/"
"""Where the paths of blobs begin, at the edge."""
MSGPACK, JSON, RAW = "application/msgpack", "application/json", "application/octet-stream"

PATIENCE = 60.0
"""Seconds for which a request rides over a server that does not answer."""
FIRST_PATIENCE = 10.0
"""The same while this link has never had an answer: then the server is rather off than restarting."""
NOTICE = 0.5
"""Seconds of trouble after which ``on_trouble`` is told."""
SILENCE = 20.0
"""Seconds between two frames of a stream at most: a heartbeat comes each 5."""

TROUBLE = (OSError, http.client.HTTPException)
"""What a connection raises when the far end is gone; everything of it is tried again."""


class Body:
    """Bytes that are read while they are sent, from the beginning at each try.

    Args:
        size: in bytes.
        pieces: gives them, anew each time.
    """

    def __init__(self, size: int, pieces: Callable[[], Iterator[Buffer]]) -> None:
        self.size, self._pieces = size, pieces
        self._sent = self._farthest = 0

    def __iter__(self) -> Iterator[Buffer]:
        self._sent = 0
        for piece in self._pieces():
            yield piece
            self._sent += len(piece)

    def advanced(self) -> bool:
        """Whether the last try got farther than all before."""
        before, self._farthest = self._farthest, max(self._farthest, self._sent)
        return self._farthest > before


class Request(NamedTuple):
    """One request, ready to be sent any number of times."""

    method: str
    path: str
    parts: Sequence[Buffer] | Body
    kind: str = MSGPACK
    more: str = ""  # further lines of the head, each with its end


def size_of(parts: Sequence[Buffer] | Body) -> int:
    """The bytes of a body."""
    return parts.size if isinstance(parts, Body) else sum(memoryview(part).nbytes for part in parts)


class Patience:
    """How long one request still tries, and the pauses between its tries."""

    def __init__(self, link: Link, seconds: float | None) -> None:
        self.link, self.started, self.pause = link, time.monotonic(), 0.05
        self.seconds = seconds if seconds is not None else link.patience if link.answered else link.first_patience
        self.told = False

    def wait(self, origin: Origin, error: Exception, *, stale: bool = False) -> None:
        """Pause before the next try; raise Unavailable when there shall be none."""
        origin.close()  # connections of one age go stale together
        if stale:
            return
        spent = time.monotonic() - self.started
        if spent + self.pause > self.seconds:
            raise _unavailable(origin, error, spent) from error
        if spent + self.pause > NOTICE and not self.told and self.link.on_trouble:
            self.told = True
            said = error.parameter if isinstance(error, Unavailable) else error
            self.link.on_trouble(f"no answer from {origin.url} ({said}); trying for {self.seconds:.0f} s")
        time.sleep(self.pause * random.uniform(0.7, 1.0))
        self.pause = min(self.pause * 1.7, 2.0)


class Pending:
    """A request under way: the sender may do something else before it reads the answer."""

    def __init__(self, link: Link, request: Request, connection: Connection | None, origin: Origin) -> None:
        self.link, self.request, self.connection, self.origin = link, request, connection, origin

    def read_response(self) -> bytes:
        """The body of the answer.

        Raises:
            CloudException: what the server answered, in the class of its code.
            Unavailable: no answer within the link's patience.
        """
        connection, self.connection = self.connection, None
        return self.link.finish(self.request, connection, self.origin)

    def close(self) -> None:
        """Leave it: the answer is not wanted any more."""
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.sock.close()


class Stream:
    """A response read frame by frame (u32 big-endian length, then so many bytes)."""

    def __init__(self, origin: Origin, connection: Connection, response: Response) -> None:
        self.origin, self.connection, self.response = origin, connection, response
        self.ended = False
        self.patience(SILENCE)

    def frames(self) -> Iterator[bytes]:
        """Frames up to the end; an empty one is a heartbeat.

        Raises:
            OSError, http.client.HTTPException: the stream broke; TimeoutError after :meth:`patience` without a frame.
        """
        while head := self.response.read(4):
            size = int.from_bytes(head, "big")
            yield self.response.read(size) if size else b""
        self.connection.sock.settimeout(READ)
        self.ended = True
        self.origin.give(self.connection, self.response)

    def patience(self, seconds: float) -> None:
        """Wait at most so long for the next frame."""
        self.connection.sock.settimeout(max(seconds, 0.001))

    def abort(self) -> None:
        """End it from another thread: the reader gets an OSError or the end."""
        try:
            self.connection.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it had ended by itself

    def close(self) -> None:
        if not self.ended:
            self.ended = True
            self.response.close()
            self.connection.sock.close()

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Link:
    """All requests of one program to one server.

    Args:
        url: of the server, ``http://host:port``.
        key, secret: sent as Basic authorization where given.
        authorization: a ready-made header value instead of the two.
        fingerprint: sha256 of the server's certificate, hex; replaces the usual check of certificates.
        door: path of a unix socket to use instead of the network.
        patience: seconds for which to ride over a server that does not answer.
        on_trouble: told once a request, in words, that it waits.
    """

    def __init__(
        self,
        url: str,
        *,
        key: str = "",
        secret: str = "",
        authorization: str = "",
        fingerprint: str = "",
        door: str = "",
        patience: float = PATIENCE,
        on_trouble: Callable[[str], None] | None = None,
    ) -> None:
        self.origin = Origin(url, fingerprint, door)
        self.others: dict[str, Origin] = {}
        self.patience, self.first_patience = patience, min(patience, FIRST_PATIENCE)
        self.on_trouble = on_trouble
        self.answered = bool(door)
        if key and not authorization:
            authorization = "Basic " + b64encode(f"{key}:{secret}".encode()).decode()
        self.headers = f"Authorization: {authorization}\r\n" if authorization else ""

    # -- requests -----------------------------------------------------------------------------------------------

    def request(self, method: str, path: str, body: Buffer = b"", *, kind: str = MSGPACK, patience: float | None = None) -> bytes:
        """Send and return the body of the answer; raises as :meth:`Pending.read_response` does."""
        return self.finish(Request(method, path, [body] if body else [], kind), None, patience=patience)

    def json(self, method: str, path: str, body: Any = None) -> Any:
        """The same with JSON on both sides."""
        sent = b"" if body is None else json.dumps(body).encode()
        return json.loads(self.request(method, path, sent, kind=JSON) or b"null")

    def send_request(self, method: str, path: str, body: Buffer, *, kind: str = MSGPACK) -> Pending:
        """Send, and let the caller read the answer when it likes (trouble is met there)."""
        return self._pending(self.origin, Request(method, path, [body], kind))

    def _pending(self, origin: Origin, request: Request) -> Pending:
        connection = None
        try:
            connection = origin.take()
            self._send(origin, connection, request)
        except TROUBLE:
            if connection is not None:
                connection.sock.close()
            connection = None  # read_response sends it again, with patience
        return Pending(self, request, connection, origin)

    def stream(self, path: str, body: Buffer = b"", *, method: str = "POST", patience: float | None = None) -> Stream:
        """A request, and an open stream of frames."""
        request = Request(method, path, [body] if body else [])
        connection, response = self.begin(self.origin, request, None, patience)
        return Stream(self.origin, connection, response)

    # -- bulk bytes, by ticket, wherever they lie ---------------------------------------------------------------

    def put(self, url: str, parts: Sequence[Buffer]) -> None:
        """PUT raw parts, one after the other, without joining them."""
        origin, path = self.elsewhere(url)
        self.finish(Request("PUT", path, parts, RAW), None, origin)

    def send_put(self, url: str, body: Body) -> Pending:
        """PUT bytes that are read meanwhile; its answer is read by the caller when it likes."""
        origin, path = self.elsewhere(url)
        return self._pending(origin, Request("PUT", path, body, RAW))

    def get(self, url: str, start: int = 0, end: int = 0) -> bytearray:
        """GET raw bytes into one buffer, all or (``end``) those from ``start`` up to ``end``; follows a redirection."""
        origin, path = self.elsewhere(url)
        part = f"Range: bytes={start}-{end - 1}\r\n" if end else ""
        patience = Patience(self, None)
        while True:
            connection, response = self.begin(origin, Request("GET", path, [], more=part), None, None)
            if response.status >= 300:
                response.read()
                origin.give(connection, response)
                return self.get(response.headers["location"], start, end)
            try:
                body = _body(response)
                origin.give(connection, response)
                return body
            except TROUBLE as error:
                connection.sock.close()
                patience.wait(origin, error)

    def elsewhere(self, url: str) -> tuple[Origin, str]:
        """The far end that a URL names, and the path there."""
        if url.startswith("/"):
            return self.origin, url
        parsed = urlsplit(url)
        base = f"{parsed.scheme}://{parsed.netloc}"
        if self.origin.door and parsed.path.startswith(BLOBS):
            return self.origin, url[len(base) :]  # a job reaches the edge by its door, as it does control
        origin = self.others.setdefault(base, Origin(base, self.origin.fingerprint))
        return origin, url[len(base) :]

    # -- the loop -----------------------------------------------------------------------------------------------

    def finish(
        self, request: Request, connection: Connection | None, origin: Origin | None = None, *, patience: float | None = None
    ) -> bytes:
        """Bring a request to its end; ``connection``: where it was sent already."""
        far = origin or self.origin
        waiting = Patience(self, patience)
        while True:
            connection, response = self.begin(far, request, connection, patience)
            try:
                body = response.read()
            except TROUBLE as error:
                connection.sock.close()
                connection = None
                waiting.wait(far, error)
                continue
            far.give(connection, response)
            return body

    def begin(
        self, origin: Origin, request: Request, connection: Connection | None, seconds: float | None
    ) -> tuple[Connection, Response]:
        """A connection that has begun to answer with success."""
        patience = Patience(self, seconds)
        sent = connection is not None
        while True:
            try:
                if connection is None:
                    connection = origin.take()
                if not sent:
                    self._send(origin, connection, request)
                response = connection.receive(request.method)
                self.answered = True
                if response.status < 300 or response.headers.get("location", ""):
                    return connection, response
                failure = _failure(origin, response)
                origin.give(connection, response)
                if not (isinstance(failure, Unavailable) and failure.retry):
                    raise failure
                connection, sent = None, False
                patience = self._renewed(patience, request, seconds)
                patience.wait(origin, failure)
            except TROUBLE as error:
                stale = connection is not None and connection.used
                if connection is not None:
                    connection.sock.close()
                connection, sent = None, False
                patience = self._renewed(patience, request, seconds)
                patience.wait(origin, error, stale=stale)

    def _renewed(self, patience: Patience, request: Request, seconds: float | None) -> Patience:
        """Patience anew where bytes went well meanwhile: that time was none of trouble."""
        advanced = isinstance(request.parts, Body) and request.parts.advanced()
        return Patience(self, seconds) if advanced else patience

    def _send(self, origin: Origin, connection: Connection, request: Request) -> None:
        size = size_of(request.parts)
        mine = self.headers if origin is self.origin else ""  # a ticket in the address is its own right
        head = (
            f"{request.method} {request.path} HTTP/1.1\r\nHost: {origin.name}\r\n{mine}"
            f"Content-Type: {request.kind}\r\nContent-Length: {size}\r\n{request.more}\r\n"
        )
        try:
            connection.send(head.encode("ascii"), request.parts, size)
        except (BrokenPipeError, ConnectionResetError):
            if connection.used or size < 65536:
                raise
            # A server that refuses a large body says why and closes: its answer is read by the caller.
        except TROUBLE:
            raise
        except BaseException:  # what makes the body failed, or the user interrupts: nothing can follow half a body
            connection.sock.close()
            raise

    def close(self) -> None:
        """Close the idle connections; the link opens new ones when it is used again."""
        self.origin.close()
        for origin in self.others.values():
            origin.close()


def _body(response: Response) -> bytearray:
    size = response.length
    if size is None:
        return bytearray(response.read())
    body = bytearray(size)
    view, at = memoryview(body), 0
    while at < size:
        got = response.readinto(view[at:])
        if not got:
            raise http.client.IncompleteRead(b"", size - at)
        at += got
    response.read()  # lets the response see its end, so that the connection can serve again
    return body


def _failure(origin: Origin, response: Response) -> CloudException:
    body = response.read()
    try:
        return from_dict(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        text = f"{origin.url} answered {response.status} {response.reason}: {body[:200].decode('utf8', 'replace')}"
    if response.status in (502, 503, 504):
        return Unavailable(text)
    return CloudException(text, hint="is this the address of a PiCloud server?")


def _unavailable(origin: Origin, error: Exception, spent: float) -> Unavailable:
    if origin.door:
        return Unavailable(f"no answer through the job's door for {spent:.0f} s: {error}", hint="the job's worker has gone")
    if isinstance(error, Unavailable):  # it does answer, and says why it cannot serve
        return Unavailable(f"{origin.url} could not serve for {spent:.0f} s: {error.parameter}", hint=error.hint, url=origin.url)
    hint = "start the server with `picloud up`, or see `picloud status`; jobs that were accepted are safe"
    return Unavailable(f"no answer from {origin.url} for {spent:.0f} s: {error}", hint=hint, url=origin.url)
