"""The few pieces of bare ASGI that the hot routes stand on: read a body, send an answer, send an error."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any, TypeVar, cast
from urllib.parse import parse_qsl

import msgspec

from picloud.server.auth import Headers, Pass, Principal
from picloud.server.operation import BYTES, JSON, MSGPACK, Operation
from picloud.wire.error import BadRequest, CloudException, TooLarge

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

T = TypeVar("T")
UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError)
"""What msgspec raises where a body is not what it should be; the latter where a text in it is no UTF-8."""


class Request:
    """One HTTP request after authentication."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, headers: Headers, max_body: int) -> None:
        self.scope, self.receive, self.send, self.headers = scope, receive, send, headers
        self.principal: Principal = None  # type: ignore[assignment]  # set by the app before any handler runs
        self.held: Pass | None = None  # of a key that is remembered
        self.operation: Operation | None = None  # of the route, set by the app too
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

    async def read(self, kind: type[T], hint: str | None = None) -> T:
        """The body, as the route has declared it.

        Args:
            kind: the declared type.
            hint: of the error.

        Raises:
            BadRequest: it is not.
        """
        return self.decoded(await self.body(), kind, hint)

    def decoded(self, body: bytes, kind: type[T], hint: str | None = None) -> T:
        """The same of a body that was read already."""
        known = self.operation
        if known is None or known.decode is None or known.body[0].shape is not kind:
            raise TypeError(f"the handler reads a {kind}, which its operation does not declare")
        try:
            return cast(T, known.decode(body))
        except (*UNREADABLE, RecursionError) as error:
            raise BadRequest(f"the body is not what this route takes: {error}", hint=hint) from error

    def asked(self, kind: type[T]) -> T:
        """The query, as the route has declared it; of a repeated name the last value.

        Raises:
            BadRequest: it is not.
        """
        if self.operation is None or self.operation.query is not kind:
            raise TypeError(f"the handler asks for a {kind}, which its operation does not declare")
        try:
            return msgspec.convert(self.query(), kind, strict=False)
        except UNREADABLE as error:
            raise BadRequest(f"the query is not what this route takes: {error}") from error

    def address(self) -> str:
        """Where the request came from; "" = from a program of this machine, over a unix socket."""
        client = self.scope.get("client")
        return str(client[0]) if client and client[0] else ""

    def base(self) -> str:
        """The address under which this request found us, without a path."""
        return f"{self.scope['scheme']}://{self.headers.get(b'host', b'127.0.0.1').decode('latin-1')}"

    async def answer(self, body: bytes, kind: bytes = MSGPACK, status: int = 200) -> None:
        await reply(self.send, body, kind, status)

    async def json(self, value: Any) -> None:
        await reply(self.send, json.dumps(value).encode(), JSON)

    async def redirect(self, url: str) -> None:
        """Send the client to a ticket."""
        await reply(self.send, b"", BYTES, 307, [(b"location", url.encode())])

    def header(self, name: str) -> str:
        """A header; "" = there is none."""
        return self.headers.get(name.encode(), b"").decode("latin-1")

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
