"""Payloads that need no pickler: a call with JSON text, and the bytes that a published function answered.

Whoever posts to an address speaks JSON, and the server never unpickles. So it writes the one pickle that a job needs by hand,
``((text, {name: file}), {})``, and of a result it knows by its first bytes whether it is a bytes object or ``json.loads(bytes)``,
and where these bytes lie. It makes no object of them.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import NamedTuple

HEAD = 256
"""Bytes of a payload that tell what it is."""
TAIL = 64
"""Bytes behind those of the answer, at most."""
_BEHIND = {b".": False, b"\x85R.": True}
_JSON = [b"json", b"loads"]


class Answer(NamedTuple):
    """Where the bytes of an answer lie in a payload."""

    json: bool
    start: int
    length: int


def call(text: bytes, files: Mapping[str, bytes]) -> bytes:
    """The payload of a job's arguments: the text, and a dict of files by parameter."""
    parts = [b"\x80\x05", _bytes(text), b"}("]
    for name, data in files.items():
        parts += [_text(name), _bytes(data)]
    return b"".join([*parts, b"u\x86}\x86."])


def program(name: str) -> bytes:
    """The function of a job that runs a command line: ``(cloud._program.Program(name, {}), None)``."""
    return b"\x80\x05ccloud._program\nProgram\n(" + _text(name) + b"}tRN\x86."


def command(line: str, return_file: str | None, ignore_exit_status: bool, cwd: str | None) -> bytes:
    """The arguments of such a job: ``((cloud._program.Command(..),), {})``, whose line is run as it is, braces too."""
    values = b"}" + _text("line") + _text(line) + b"s"
    rest = [_optional(return_file), b"\x88" if ignore_exit_status else b"\x89", _optional(cwd)]
    return b"\x80\x05ccloud._program\nCommand\n(" + b"".join([_text("{line}"), values, b"}", *rest]) + b"tR\x85}\x86."


def _optional(text: str | None) -> bytes:
    return b"N" if text is None else _text(text)


def _text(text: str) -> bytes:
    encoded = text.encode()
    return b"X" + struct.pack("<I", len(encoded)) + encoded


def _bytes(data: bytes) -> bytes:
    return (b"B" + struct.pack("<I", len(data)) if len(data) < 1 << 32 else b"\x8e" + struct.pack("<Q", len(data))) + data


def find(head: bytes) -> Answer | None:
    """Where the answer lies; None where the payload is no such answer.

    Args:
        head: the payload, or its first HEAD bytes.
    """
    at, words = 0, list[bytes]()
    named = False
    try:
        while True:
            op = head[at : at + 1]
            if op in _SKIPPED:
                at += _SKIPPED[op]
            elif op == b"\x8c" and len(words) < 2 and not named:
                size = head[at + 1]
                words.append(head[at + 2 : at + 2 + size])
                at += 2 + size
            elif op == b"\x93" and words == _JSON:
                named, at = True, at + 1
            elif op in _SIZES and named == bool(words):
                form, width = _SIZES[op]
                (length,) = struct.unpack_from(form, head, at + 1)
                return Answer(named, at + 1 + width, length)
            else:
                return None
    except (IndexError, struct.error):
        return None


def ends(tail: bytes, json: bool) -> bool:
    """Whether nothing else is in the payload.

    Args:
        tail: what is behind the answer's bytes.
    """
    at, rest = 0, bytearray()
    while at < len(tail):
        op = tail[at : at + 1]
        if op in (b"\x94", b"\x95"):
            at += _SKIPPED[op]
        else:
            rest += op
            at += 1
    return _BEHIND.get(bytes(rest)) is json


_SKIPPED = {b"\x80": 2, b"\x95": 9, b"\x94": 1}
"""Which protocol, how much follows, remember this: nothing of it matters here."""
_SIZES = {b"C": ("<B", 1), b"B": ("<I", 4), b"\x8e": ("<Q", 8)}
