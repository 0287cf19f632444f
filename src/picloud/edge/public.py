"""Public objects: ``/public/<owner>/<key>``, for everybody, on a host of their own: no script in them can act for its reader.

Control is asked each time: what was made private is gone with the next request.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from email.utils import formatdate
from typing import Any, NamedTuple

from picloud.edge.answer import Message, Send, begun, header, safe_headers, stream
from picloud.edge.control import Control
from picloud.edge.ranges import Span, span
from picloud.store.files import Files
from picloud.wire.error import BadRequest
from picloud.wire.object import HEADERS

PREFIX = "/public/"


class Found(NamedTuple):
    """A public object, as control tells it."""

    size: int
    etag: str
    modified: int  # epoch ms
    headers: Mapping[str, str]
    data: bytes | None
    extents: list[tuple[str, int, int]]  # blob, first byte there, length


class Public:
    """See the module."""

    def __init__(self, control: Control, files: Files) -> None:
        self._control, self._files = control, files

    async def __call__(self, scope: Message, send: Send) -> None:
        """Answer one request.

        Raises:
            NotFound: nothing public has that name.
            BadRequest: it is no GET or HEAD.
        """
        if scope["method"] not in ("GET", "HEAD"):
            raise BadRequest("public objects are for reading: GET or HEAD")
        owner, _, key = scope["path"].removeprefix(PREFIX).partition("/")
        found = await self._found(owner, key)
        await give(self._files, scope, send, found, headers(found))

    async def _found(self, owner: str, key: str) -> Found:
        return found_in(await self._control.ask("/v1/edge/public", {"owner": owner, "key": key}))


def found_in(told: dict[str, Any]) -> Found:
    """The object that control tells of."""
    data = None if told["data"] is None else bytes.fromhex(told["data"])
    extents = [(blob, start, length) for blob, start, length in told["extents"]]
    return Found(told["size"], told["etag"], told["modified"], told["headers"], data, extents)


async def give(files: Files, scope: Message, send: Send, found: Found, told: list[tuple[bytes, bytes]]) -> None:
    """Send an object, or the part that is asked for, under these headers."""
    if found.etag in [mark.strip().strip('"') for mark in header(scope, b"if-none-match").split(",")]:
        await _send(send, 304, told, iter(()))
        return
    part = _part(scope, found)
    if part is None:
        await _send(send, 416, [(b"content-range", f"bytes */{found.size}".encode())], iter(()))
        return
    body = await begun(_bytes(files, found, part)) if scope["method"] == "GET" else iter(())
    named = {name for name, _ in told}
    safe = [one for one in safe_headers(part, found.size) if one[0] not in named]
    await _send(send, 206 if part.partial else 200, [*told, *safe], body)


def _part(scope: Message, found: Found) -> Span | None:
    held = header(scope, b"if-range")
    return span("" if held and held.strip('"') != found.etag else header(scope, b"range"), found.size)


def _bytes(files: Files, found: Found, part: Span) -> Iterator[bytes]:
    if found.data is not None:
        return iter([found.data[part.start : part.end]])
    return itertools.chain.from_iterable(_pieces(files, found, part))


def _pieces(files: Files, found: Found, part: Span) -> Iterator[Iterator[bytes]]:
    at = 0
    for blob, start, length in found.extents:
        first, last = max(part.start - at, 0), min(part.end - at, length)
        if first < last:
            yield files.read(blob, start + first, start + last)
        at += length


def headers(found: Found) -> list[tuple[bytes, bytes]]:
    """What an object is served with besides its length."""
    kind = found.headers.get("content-type", "application/octet-stream")
    told = {"content-type": kind, "cache-control": "no-cache"}
    for name, value in found.headers.items():
        told[name if name in HEADERS else f"x-meta-{name}"] = value
    told |= {
        "etag": f'"{found.etag}"',
        "last-modified": formatdate(found.modified / 1000, usegmt=True),
        "access-control-allow-origin": "*",
    }
    return [(name.encode(), value.encode("latin-1")) for name, value in told.items()]


async def _send(send: Send, status: int, told: list[tuple[bytes, bytes]], body: Iterator[bytes]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": told})
    await stream(send, body)
