"""The few pieces of bare ASGI that the edge answers with."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import Any

from picloud.edge.ranges import Span
from picloud.wire.error import CloudException

log = logging.getLogger("picloud.edge")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


def header(scope: Message, name: bytes) -> str:
    """A header of a request; "" = it has none of that name."""
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")


def safe_headers(part: Span, size: int) -> list[tuple[bytes, bytes]]:
    """What goes with every content that somebody has stored: its length, and that nothing in it may act for its reader."""
    told = [
        (b"content-length", str(part.end - part.start).encode()),
        (b"accept-ranges", b"bytes"),
        (b"content-security-policy", b"sandbox"),
        (b"x-content-type-options", b"nosniff"),
    ]
    if part.partial:
        told.append((b"content-range", f"bytes {part.start}-{part.end - 1}/{size}".encode()))
    return told


async def begun(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same pieces, the first of them read: what fails there is an answer of its own, and not one that breaks off."""
    first = await asyncio.to_thread(next, pieces, b"")
    return itertools.chain([first] if first else [], pieces)


async def stream(send: Send, pieces: Iterator[bytes]) -> None:
    """Send the body of an answer, each piece read when the one before is on its way.

    Where one cannot be read the answer breaks off: the connection is closed, and the reader asks for what is missing.
    """
    try:
        while part := await asyncio.to_thread(next, pieces, b""):
            await send({"type": "http.response.body", "body": part, "more_body": True})
    except CloudException as error:
        log.warning("an answer breaks off: %s", error.parameter)
        return
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def json_answer(send: Send, value: Any, status: int) -> None:
    """Send a whole answer."""
    body = json.dumps(value, default=repr).encode()
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())],
        }
    )
    await send({"type": "http.response.body", "body": body})
