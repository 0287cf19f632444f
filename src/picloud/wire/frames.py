"""The far end of a WebSocket (RFC 6455) in its simplest form: whole binary messages out, whole messages in, pings answered.

For clients that must import quickly and wait in plain reads. Frames go out under a mask of zeros: masks keep scripts of web
pages from choosing the bytes on the wire, and here there are no such scripts.
"""

from __future__ import annotations

import io
import os
import socket
from base64 import b64encode

from picloud.wire.error import CloudException, NotAuthorized

_BINARY, _CLOSE, _PING, _PONG = 0x82, 0x88, 0x89, 0x8A
_MASKED = 0x80


def upgrade(sock: socket.socket, host: str, path: str, headers: str) -> io.BufferedReader:
    """Ask for a WebSocket on a fresh connection; where to read its frames from.

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
    reader = sock.makefile("rb")
    line = reader.readline(1000)
    if line[9:12] != b"101":
        reader.close()
        if line[9:12] in (b"401", b"403"):
            raise NotAuthorized("the server lets this key open no line")
        raise CloudException(f"the server opens no line: {line.decode('latin-1').strip() or 'no answer'}")
    while reader.readline(10_000) not in (b"\r\n", b"\n", b""):
        pass
    return reader


def send(sock: socket.socket, data: bytes, kind: int = _BINARY) -> None:
    """Send one message."""
    size = len(data)
    if size < 126:
        head = bytes((kind, _MASKED | size))
    elif size < 1 << 16:
        head = bytes((kind, _MASKED | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((kind, _MASKED | 127)) + size.to_bytes(8, "big")
    sock.sendall(head + b"\0\0\0\0" + data)


def receive(sock: socket.socket, reader: io.BufferedReader) -> bytes:
    """The next message.

    Raises:
        OSError: the connection is closed or broke, or the socket's time is up.
    """
    message = b""
    while True:
        first, size = _exactly(reader, 2)
        if size > 125:
            size = int.from_bytes(_exactly(reader, 2 if size == 126 else 8), "big")
        data = _exactly(reader, size)
        kind = first | 0x80
        if kind == _PING:
            send(sock, data, _PONG)
        elif kind == _CLOSE:
            raise ConnectionError("the far end closed the line")
        elif kind != _PONG:  # a message, or a further piece of one
            message = message + data if message else data
            if first & 0x80:
                return message


def _exactly(reader: io.BufferedReader, size: int) -> bytes:
    data = reader.read(size)
    if len(data) < size:
        raise ConnectionError("the far end closed the line")
    return data
