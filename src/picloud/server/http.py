"""The few pieces of bare ASGI that the hot routes stand on: read a body, send an answer, send an error."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from picloud.server.auth import Headers, Principal
from picloud.wire.error import BadRequest, CloudException, TooLarge

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

MSGPACK = b"application/msgpack"
JSON = b"application/json"
BYTES = b"application/octet-stream"


class Request:
    """One HTTP request after authentication."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, headers: Headers, max_body: int) -> None:
        self.scope, self.receive, self.send, self.headers = scope, receive, send, headers
        self.principal: Principal = None  # type: ignore[assignment]  # set by the app before any handler runs
        self._max_body = max_body

    async def body(self) -> bytes:
        """The whole body.

        Raises:
            TooLarge: above the server's ``max_body``.
            BadRequest: the client went away in mid-body.
        """
        parts: list[bytes] = []
        size = 0
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise BadRequest("the request ended before its body did", hint="send it again")
            part = message.get("body", b"")
            size += len(part)
            if size > self._max_body:
                raise TooLarge(
                    f"a request body may hold {self._max_body >> 20} MiB",
                    hint="send large values as blobs, more jobs in more chunks",
                    limit=self._max_body,
                )
            parts.append(part)
            if not message.get("more_body"):
                return parts[0] if len(parts) == 1 else b"".join(parts)

    async def answer(self, body: bytes, kind: bytes = MSGPACK, status: int = 200) -> None:
        await reply(self.send, body, kind, status)

    async def json(self, value: Any) -> None:
        await reply(self.send, json.dumps(value).encode(), JSON)

    async def redirect(self, url: str) -> None:
        """Send the client to a ticket."""
        await reply(self.send, b"", BYTES, 307, [(b"location", url.encode())])

    def query(self) -> dict[str, str]:
        """The query string; of a repeated name the last value."""
        return dict(parse_qsl(self.scope["query_string"].decode("latin-1")))


async def reply(send: Send, body: bytes, kind: bytes, status: int = 200, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
    """Send a whole answer."""
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (b"content-type", kind),
                (b"content-length", str(len(body)).encode()),
                (b"x-content-type-options", b"nosniff"),
                *headers,
            ],
        }
    )
    await send({"type": "http.response.body", "body": body})


async def refuse(send: Send, error: CloudException) -> None:
    """Send an error as JSON under its class's status."""
    await reply(send, json.dumps({"error": error.to_dict()}, default=repr).encode(), JSON, error.http_status)
