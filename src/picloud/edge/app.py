"""Bytes in and out by ticket. The edge knows no accounts and no database: the signature is the permission."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from picloud.edge import download, public
from picloud.edge.answer import Message, Receive, Send, begun, header, json_answer, safe_headers, stream
from picloud.edge.download import Downloads
from picloud.edge.origins import Origins, allowed, preflight
from picloud.edge.proxy import Proxy
from picloud.edge.public import Public
from picloud.edge.ranges import span
from picloud.edge.writing import Writing
from picloud.store.files import Files
from picloud.wire import ticket
from picloud.wire.error import BadRequest, CloudException, NotFound, TooLarge, Unavailable

PREFIX = "/blob/"


class Edge:
    """The ASGI application of the edge process.

    Args:
        files: where blobs rest.
        secret: the key that control signs tickets with.
        proxy: serves the names of jobs' web pages.
        public: serves what accounts have made public.
        downloads: serves objects by link.
        origins: of the pages that may read our answers.
    """

    def __init__(
        self,
        files: Files,
        secret: bytes,
        proxy: Proxy | None = None,
        public: Public | None = None,
        downloads: Downloads | None = None,
        origins: Origins | None = None,
    ) -> None:
        self._files, self._secret, self._proxy, self._public = files, secret, proxy, public
        self._downloads, self._origins = downloads, origins or Origins()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if self._proxy is not None:
            host = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
            if self._proxy.serves(host):
                await self._proxy(scope, receive, send)
                return
        if not scope["path"].startswith(public.PREFIX):  # what is public every page may read
            send = allowed(self._origins, scope, send)
        try:
            await self._serve(scope, receive, send)
        except CloudException as error:
            await json_answer(send, {"error": error.to_dict()}, error.http_status)

    async def _serve(self, scope: Message, receive: Receive, send: Send) -> None:
        if self._public is not None and scope["path"].startswith(public.PREFIX):
            await self._public(scope, send)
            return
        if scope["method"] == "OPTIONS" and header(scope, b"access-control-request-method"):
            await preflight(send)
            return
        if self._downloads is not None and scope["path"].startswith(download.PREFIX):
            await self._downloads(scope, send)
            return
        blob = scope["path"].removeprefix(PREFIX)
        if not scope["path"].startswith(PREFIX) or not blob.isalnum():
            raise NotFound("the edge serves blobs by ticket", hint="ask the API for a ticket")
        verb = {"PUT": "put", "GET": "get"}.get(scope["method"], "")
        size = ticket.check(self._secret, verb, blob, scope["query_string"].decode("latin-1"), time.time())
        if verb == "put":
            try:
                found = await self._put(blob, _body(receive, size))
            except asyncio.CancelledError:  # we stop and could not wait any longer; the client sends it to the next one
                raise Unavailable("the edge is stopping", hint="it is started again") from None
            await json_answer(send, {"size": size, "crc32": found}, 200)
        else:
            await self._get(blob, header(scope, b"range"), send)

    async def _put(self, blob: str, parts: AsyncIterator[bytes]) -> int:
        """Store the bytes; their CRC-32, by which the sender knows that they are the same."""
        writing = Writing(await asyncio.to_thread(self._files.create, blob))
        try:
            async for part in parts:
                await writing.add(part)
            return await writing.end()
        except BaseException:
            await writing.abort()
            raise

    async def _get(self, blob: str, asked: str, send: Send) -> None:
        size = await asyncio.to_thread(self._files.size, blob)
        part = span(asked, size)
        if part is None:
            raise BadRequest(f"{asked} of a blob of {size} bytes", hint="ask for less")
        body = await begun(self._files.read(blob, part.start, part.end))
        headers = [(b"content-type", b"application/octet-stream"), *safe_headers(part, size)]
        await send({"type": "http.response.start", "status": 206 if part.partial else 200, "headers": headers})
        await stream(send, body)


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
