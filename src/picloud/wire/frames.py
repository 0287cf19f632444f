"""The frames of a WebSocket (RFC 6455) in their simplest form: whole binary messages, pings answered.

For both ends of the lines of workers and clients: they must start quickly, and a message must get from the socket to who
acts on it in one step, for that is what the time of a single warm call is made of. Clients send under a mask of zeros: masks
keep the scripts of web pages from choosing the bytes on the wire, and here there are no such scripts.
"""

from __future__ import annotations

import os
import socket
from base64 import b64encode

from picloud.wire.error import CloudException, NotAuthorized

PIECE = 1 << 18
"""Bytes to read at once."""
LONGEST_HEAD = 65_536
_BINARY, _CLOSE, _PING, _PONG = 0x82, 0x88, 0x89, 0x8A
_MASKED, _LAST = 0x80, 0x80


def upgrade(sock: socket.socket, host: str, path: str, headers: str) -> bytes:
    """Ask for a WebSocket on a fresh connection; blocks. The bytes that came behind the answer.

    Args:
        headers: further ones, each with its end of line.

    Raises:
        NotAuthorized: we may not have one.
        CloudException: the far end knows of no such thing.
        OSError: the connection broke.
    """
    key = b64encode(os.urandom(16)).decode()
    head = (
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{headers}Connection: Upgrade\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
    )
    sock.sendall(head.encode("ascii"))
    answer = b""
    while b"\r\n\r\n" not in answer and len(answer) < LONGEST_HEAD:
        data = sock.recv(PIECE)
        if not data:
            break
        answer += data
    head_said, _, early = answer.partition(b"\r\n\r\n")
    if answer[9:12] == b"101":
        return early
    if answer[9:12] in (b"401", b"403"):
        raise NotAuthorized("the server does not let us open a line")
    said = head_said.split(b"\r\n")[0].decode("latin-1")
    raise CloudException(f"the server opens no line: {said or 'no answer'}")


def unmasked(data: bytes, kind: int = _BINARY) -> bytes:
    """One message of a server, ready to be sent."""
    size = len(data)
    if size < 126:
        return bytes((kind, size)) + data
    if size < 1 << 16:
        return bytes((kind, 126)) + size.to_bytes(2, "big") + data
    return bytes((kind, 127)) + size.to_bytes(8, "big") + data


def ping() -> bytes:
    """A server's question whether the client is still there."""
    return unmasked(b"", _PING)


def closing(code: int) -> bytes:
    """A server's word that it closes, with a code of RFC 6455."""
    return unmasked(code.to_bytes(2, "big"), _CLOSE)


def framed(data: bytes, kind: int = _BINARY) -> bytes:
    """One message of a client, ready to be sent."""
    size = len(data)
    if size < 126:
        return bytes((kind, _MASKED | size, 0, 0, 0, 0)) + data
    if size < 1 << 16:
        return bytes((kind, _MASKED | 126)) + size.to_bytes(2, "big") + b"\0\0\0\0" + data
    return bytes((kind, _MASKED | 127)) + size.to_bytes(8, "big") + b"\0\0\0\0" + data


class Inbox:
    """Makes messages of what comes from the socket, however it is cut.

    Args:
        masked: whether they come from a client.
        largest: bytes of a frame, and of a message, at most.
    """

    def __init__(self, masked: bool = False, largest: int = 1 << 62) -> None:
        self.replies = b""
        """To be sent: the answers to pings."""
        self._masked, self._largest = masked, largest
        self._buffer = bytearray()
        self._needed = 2
        self._parts: list[bytes] = []

    def take(self, data: bytes) -> list[bytes]:
        """The messages that are complete with ``data``.

        Raises:
            ConnectionError: the far end says that it closes the line, or breaks the rules.
        """
        if not self._masked and not self._buffer and len(data) > 1 and data[0] == _BINARY and data[1] == len(data) - 2 < 126:
            return [data[2:]]  # a short message, alone: most are
        self._buffer += data
        messages: list[bytes] = []
        while len(self._buffer) >= self._needed:
            frame = self._frame()
            if frame is None:
                break
            kind, payload = frame
            self._act(kind, payload, messages)
        return messages

    def _frame(self) -> tuple[int, bytes] | None:
        """Cut the next frame off; None where some of it is still on its way."""
        buffer, start = self._buffer, 2
        size = buffer[1] & 0x7F
        if size > 125:
            start = 4 if size == 126 else 10
            size = int.from_bytes(buffer[2:start], "big") if len(buffer) >= start else 0
        if bool(buffer[1] & _MASKED) is not self._masked or size > self._largest:
            raise ConnectionError("that is no frame of ours, or too large")
        at = start + 4 * self._masked
        if len(buffer) < at or len(buffer) < at + size:
            self._needed = at if len(buffer) < at else at + size
            return None
        kind, payload = buffer[0], bytes(memoryview(buffer)[at : at + size])
        if self._masked and any(mask := bytes(buffer[start:at])):
            payload = _uncovered(payload, mask)
        start = at
        del buffer[: start + size]
        self._needed = 2
        return kind, payload

    def _act(self, kind: int, payload: bytes, messages: list[bytes]) -> None:
        if kind == _PING:
            self.replies += (unmasked if self._masked else framed)(payload, _PONG)
        elif kind == _CLOSE:
            raise ConnectionError("the far end closed the line")
        elif kind != _PONG:  # a message, or a piece of one
            self._parts.append(payload)
            if sum(map(len, self._parts)) > self._largest:
                raise ConnectionError("the message is too large")
            if kind & _LAST:
                messages.append(self._parts[0] if len(self._parts) == 1 else b"".join(self._parts))
                self._parts = []


def _uncovered(payload: bytes, mask: bytes) -> bytes:
    size = len(payload)
    cover = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(cover, "big")).to_bytes(size, "big")
