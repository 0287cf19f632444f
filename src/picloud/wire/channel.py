"""The frames of a channel that carries a program's streams: kind, length, bytes.

A channel to a port is bytes as they are. Every channel begins with the request ``GET /channel/<id>`` that the worker sends
to the edge; where the program or the port could not be had, it carries the error in the header ``X-Picloud-Error``.
"""

from __future__ import annotations

import json
import struct
from typing import NamedTuple
from urllib.parse import quote, unquote

from picloud.wire.error import CloudException, from_dict

PATH = "/channel/"
ERROR = "X-Picloud-Error"
PIECE = 1 << 17
"""Bytes read from a stream at once."""
LARGEST = 1 << 20
"""Bytes of a frame at most."""

DATA, ERRORS, EOF, RESIZE, SIGNAL, EXIT = range(6)
"""stdin or stdout; stderr; no more stdin or stdout; rows and columns; a signal's number; the exit status, negative: a signal."""

_head = struct.Struct(">BI")
_size = struct.Struct(">HH")
_number = struct.Struct(">i")


class Frame(NamedTuple):
    kind: int
    data: bytes


def pack(kind: int, data: bytes = b"") -> bytes:
    """One frame, ready to be sent."""
    return _head.pack(kind, len(data)) + data


def resize(rows: int, columns: int) -> bytes:
    """The frame that tells a new size of the terminal."""
    return pack(RESIZE, _size.pack(min(max(rows, 1), 65_535), min(max(columns, 1), 65_535)))


def size_of(frame: Frame) -> tuple[int, int]:
    """Rows and columns of a RESIZE frame."""
    rows, columns = _size.unpack(frame.data)
    return rows, columns


def number(kind: int, value: int) -> bytes:
    """A frame that holds one number: a signal or an exit status."""
    return pack(kind, _number.pack(value))


def number_of(frame: Frame) -> int:
    """The number in a SIGNAL or EXIT frame."""
    return int(_number.unpack(frame.data)[0])


class Inbox:
    """Makes frames of what comes, however it is cut."""

    def __init__(self) -> None:
        self._rest = b""

    def take(self, data: bytes) -> list[Frame]:
        """The frames that are whole by now.

        Raises:
            ValueError: those are no frames.
        """
        data = self._rest + data if self._rest else data
        found, at = [], 0
        while len(data) - at >= _head.size:
            kind, size = _head.unpack_from(data, at)
            if size > LARGEST or kind > EXIT:
                raise ValueError("not a frame of a channel")
            end = at + _head.size + size
            if end > len(data):
                break
            found.append(Frame(kind, data[at + _head.size : end]))
            at = end
        self._rest = data[at:]
        return found


def told(error: CloudException) -> str:
    """An error as the value of the header."""
    return quote(json.dumps(error.to_dict(), default=repr), safe="")


def heard(value: str) -> CloudException:
    """The error in the header's value."""
    try:
        return from_dict(json.loads(unquote(value)))
    except (ValueError, TypeError, KeyError):
        return CloudException("the worker could not open the channel")
