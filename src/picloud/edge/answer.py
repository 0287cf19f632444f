"""The few pieces of bare ASGI that the edge answers with."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import Any

from picloud.edge.ranges import Span

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


async def stream(send: Send, pieces: Iterator[bytes]) -> None:
    """Send the body of an answer, each piece read when the one before is on its way."""
    while part := await asyncio.to_thread(next, pieces, b""):
        await send({"type": "http.response.body", "body": part, "more_body": True})
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
