"""A job's way to control: a unix socket in its slot, no token. Whoever can open the socket speaks for the job in hand.

Requests are relayed with the worker's own credential and the attempt in hand; what the job says about either is dropped.
Those for blobs go to the edge, with no credential: a ticket in the address is the right.
Answers stream through as they come. While a ``POST /v1/result`` or ``/v1/queue/wait`` is under way the job waits for others, and
its slot is lent. One thread a connection: the loop only answers who is in hand.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import re
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from picloud.sandbox.base import Sandbox
from picloud.wire import nearby
from picloud.wire.error import CloudException, NotAuthorized, Unavailable
from picloud.wire.link import BLOBS
from picloud.worker.control import Control
from picloud.worker.order import Order

log = logging.getLogger(__name__)

PIECE = 1 << 16
HEAD = 1 << 16  # bytes of a request's head at most
NAME = "door.sock"
BLOB = f" {BLOBS}".encode()  # in the first line of a request for the edge
ASKED = b"POST /v1/queue/exchange ", b"POST /v1/queue/wait?"
"""How a request begins that ends messages and asks for more."""
DROPPED = (b"authorization", b"x-picloud-attempt", b"host", b"connection", b"expect", b"proxy-authorization")


class Visit(NamedTuple):
    """The job on whose behalf a request is relayed."""

    attempt: str  # <jid>.<n>.<lease, hex>
    wait: Callable[[bool, int], None]  # one of so many readers of the job begins or ends to wait; from any thread
    answered: Callable[[], None]  # an answer about messages has come; from any thread


class Head(NamedTuple):
    """Start line and headers of a request or answer, names in lower case."""

    line: bytes
    headers: list[tuple[bytes, bytes]]

    def get(self, name: bytes) -> bytes:
        return next((value for key, value in self.headers if key == name), b"")


class Door:
    """The socket of one slot. ``in_hand`` is called in the door's threads and answers None when no job runs."""

    def __init__(self, order: Order, sandbox: Sandbox, in_hand: Callable[[], Visit | None]) -> None:
        self._order, self._in_hand = order, in_hand
        self._edge = ""  # its URL, once it was asked for
        self.path = sandbox.run / NAME
        self.path.unlink(missing_ok=True)
        self._socket = _bound(sandbox.run)
        self._socket.listen(64)
        threading.Thread(target=self._accept, name="door", daemon=True).start()

    def close(self) -> None:
        """Let nobody in any more."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self.path.unlink(missing_ok=True)

    def _accept(self) -> None:
        while True:
            try:
                guest, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(guest,), name="guest", daemon=True).start()

    def _serve(self, guest: socket.socket) -> None:
        upstreams: dict[bool, socket.socket] = {}  # by whether it is the edge
        try:
            with guest, guest.makefile("rb") as reader:
                while (head := read_head(reader.readline)) is not None:
                    body = framed(head, reader.read1, reader.readline, answer=False)
                    visit = self._in_hand()
                    if visit is None:
                        refuse(guest, NotAuthorized("no job is in hand here", hint="ask only while the job runs"))
                        return
                    blob = BLOB in head.line
                    upstream = upstreams.get(blob) or self._dial(guest, blob)
                    if upstream is None:
                        return
                    upstreams[blob] = upstream
                    if not self._relay(guest, upstream, head, body, visit):
                        return
        except (OSError, ValueError) as error:
            log.debug("a guest of the door left: %s", error)
        finally:
            for upstream in upstreams.values():
                upstream.close()

    def _dial(self, guest: socket.socket, blob: bool) -> socket.socket | None:
        try:
            if blob and not self._edge:
                self._edge = Control(self._order).edge()
            parts = urlsplit(self._edge if blob else self._order.url)
            made = nearby.connect(parts.hostname or "", parts.port or 80, 30.0)
        except (OSError, CloudException) as error:
            self._edge = ""  # it may be elsewhere by now
            refuse(guest, Unavailable(f"control does not answer: {error}"))
            return None
        made.settimeout(None)
        if parts.scheme == "https":
            import ssl

            return ssl.create_default_context().wrap_socket(made, server_hostname=parts.hostname)
        return made

    def _relay(self, guest: socket.socket, upstream: socket.socket, head: Head, body: Iterator[bytes], visit: Visit) -> bool:
        """One request and its answer; False when the connection cannot be used again."""
        waits = head.line.startswith(b"POST /v1/result") or b"/wait?" in head.line
        readers = _readers(head.line)
        if waits:
            visit.wait(True, readers)
        begun = False
        try:
            upstream.sendall(self._request(head, visit))
            for piece in body:
                upstream.sendall(piece)
            with io.BufferedReader(socket.SocketIO(upstream, "r"), PIECE) as reader:
                answer = read_head(reader.readline)
                if answer is None:
                    raise OSError("control closed the connection")
                begun = True
                if head.line.startswith(ASKED):
                    visit.answered()
                guest.sendall(raw(answer))
                for piece in framed(answer, reader.read1, reader.readline, answer=True):
                    guest.sendall(piece)
            return reusable(head) and reusable(answer)
        except OSError as error:
            if not begun:
                refuse(guest, Unavailable(f"control does not answer: {error}"))
            return False
        finally:
            if waits:
                visit.wait(False, readers)

    def _request(self, head: Head, visit: Visit) -> bytes:
        kept = [(name, value) for name, value in head.headers if name not in DROPPED]
        if BLOB in head.line:
            return raw(Head(head.line, [*kept, (b"host", urlsplit(self._edge).netloc.encode())]))
        kept += [
            (b"host", urlsplit(self._order.url).netloc.encode()),
            (b"authorization", self._order.authorization.encode()),
            (b"x-picloud-attempt", visit.attempt.encode()),
        ]
        return raw(Head(head.line, kept))


def _readers(line: bytes) -> int:
    """Of how many processes of the job the one that asks is one."""
    found = re.search(rb"[?&]readers=([0-9]{1,4})\b", line)
    return max(1, int(found[1])) if found else 1


def _bound(folder: Path) -> socket.socket:
    """A socket in a folder however long its path is: the kernel counts only how it is named."""
    made, place = socket.socket(socket.AF_UNIX), os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        made.bind(f"/proc/self/fd/{place}/{NAME}")
    finally:
        os.close(place)
    os.chmod(folder / NAME, 0o666)  # whoever sees the folder may knock: the jobs of this slot, and we
    return made


def read_head(readline: Callable[[int], bytes]) -> Head | None:
    """Read start line and headers; None at the end of the connection.

    Raises:
        ValueError: that is not HTTP, or it is too long.
    """
    line, total, headers = readline(HEAD), 0, []
    if not line:
        return None
    while (text := readline(HEAD)) not in (b"\r\n", b"\n"):
        name, colon, value = text.partition(b":")
        total += len(text)
        if not colon or total > HEAD or not name.strip():
            raise ValueError("not a header")
        headers.append((name.strip().lower(), value.strip()))
    return Head(line.rstrip(b"\r\n"), headers)


def raw(head: Head) -> bytes:
    """The head as bytes."""
    return head.line + b"\r\n" + b"".join(b"%b: %b\r\n" % item for item in head.headers) + b"\r\n"


def framed(head: Head, read: Callable[[int], bytes], readline: Callable[[int], bytes], *, answer: bool) -> Iterator[bytes]:
    """The bytes of the body as they stand, chunk marks included, and not one more."""
    if head.get(b"transfer-encoding").lower() == b"chunked":
        yield from _chunks(read, readline)
    elif length := head.get(b"content-length"):
        yield from _exactly(int(length), read)
    elif answer and head.line.split()[1:2] not in ([b"204"], [b"304"]):
        while piece := read(PIECE):
            yield piece


def _exactly(left: int, read: Callable[[int], bytes]) -> Iterator[bytes]:
    while left > 0:
        piece = read(min(left, PIECE))
        if not piece:
            raise OSError("the connection ended within a body")
        left -= len(piece)
        yield piece


def _chunks(read: Callable[[int], bytes], readline: Callable[[int], bytes]) -> Iterator[bytes]:
    while True:
        line = readline(HEAD)
        size = int(line.split(b";")[0], 16)
        yield line
        if size:
            yield from _exactly(size + 2, read)
            continue
        while (line := readline(HEAD)) not in (b"\r\n", b"\n", b""):
            yield line
        yield b"\r\n"
        return


def reusable(head: Head) -> bool:
    """Whether another request may follow on the connection."""
    if head.line.startswith(b"HTTP/1.0") or head.line.endswith(b"HTTP/1.0") or head.get(b"connection").lower() == b"close":
        return False
    return not head.line.startswith(b"HTTP/") or bool(head.get(b"content-length") or head.get(b"transfer-encoding"))


def refuse(guest: socket.socket, error: CloudException) -> None:
    """Answer with an error."""
    body = json.dumps({"error": error.to_dict()}).encode()
    head = f"HTTP/1.1 {error.http_status} {error.code}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
    with contextlib.suppress(OSError):
        guest.sendall(head.encode() + b"connection: close\r\n\r\n" + body)
