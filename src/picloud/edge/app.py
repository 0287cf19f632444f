"""Bytes in and out by ticket. The edge knows no accounts and no database: the signature is the permission."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

from picloud.edge.proxy import Proxy
from picloud.store.files import Files
from picloud.wire import ticket
from picloud.wire.error import BadRequest, CloudException, NotFound, TooLarge

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
PREFIX = "/blob/"


class Edge:
    """The ASGI application of the edge process.

    Args:
        files: where blobs rest.
        secret: the key that control signs tickets with.
        proxy: serves the names of jobs' web pages.
    """

    def __init__(self, files: Files, secret: bytes, proxy: Proxy | None = None) -> None:
        self._files, self._secret, self._proxy = files, secret, proxy

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if self._proxy is not None:
            host = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
            if self._proxy.serves(host):
                await self._proxy(scope, receive, send)
                return
        try:
            await self._serve(scope, receive, send)
        except CloudException as error:
            await _json(send, {"error": error.to_dict()}, error.http_status)

    async def _serve(self, scope: Message, receive: Receive, send: Send) -> None:
        blob = scope["path"].removeprefix(PREFIX)
        if not scope["path"].startswith(PREFIX) or not blob.isalnum():
            raise NotFound("the edge serves blobs by ticket", hint="ask the API for a ticket")
        verb = {"PUT": "put", "GET": "get"}.get(scope["method"], "")
        size = ticket.check(self._secret, verb, blob, scope["query_string"].decode("latin-1"), time.time())
        if verb == "put":
            await self._put(blob, _body(receive, size))
            await _json(send, {"size": size}, 200)
        else:
            await self._get(blob, send)

    async def _put(self, blob: str, parts: AsyncIterator[bytes]) -> None:
        sink = await asyncio.to_thread(self._files.create, blob)
        try:
            async for part in parts:
                await asyncio.to_thread(sink.write, part)
        except BaseException:
            sink.abort()
            raise
        await asyncio.to_thread(sink.commit)

    async def _get(self, blob: str, send: Send) -> None:
        size = await asyncio.to_thread(self._files.size, blob)
        pieces = self._files.read(blob)
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [
                    (b"content-type", b"application/octet-stream"),
                    (b"content-length", str(size).encode()),
                    (b"content-security-policy", b"sandbox"),
                    (b"x-content-type-options", b"nosniff"),
                ],
            }
        )
        while part := await asyncio.to_thread(next, pieces, b""):
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _body(receive: Receive, size: int) -> AsyncIterator[bytes]:
    """The request's body, exactly ``size`` bytes of it."""
    seen = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BadRequest(f"the upload ended after {seen} of {size} bytes", hint="send it again")
        part = message.get("body", b"")
        seen += len(part)
        if seen > size:
            raise TooLarge(f"the ticket is for {size} bytes", hint="ask for a ticket of the true size")
        if part:
            yield part
        if not message.get("more_body"):
            break
    if seen != size:
        raise BadRequest(f"the upload has {seen} bytes, its ticket says {size}", hint="send it again")


async def _json(send: Send, value: Any, status: int) -> None:
    body = json.dumps(value, default=repr).encode()
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())],
        }
    )
    await send({"type": "http.response.body", "body": body})
