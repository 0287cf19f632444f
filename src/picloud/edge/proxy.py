"""Web pages of jobs: HTTP and WebSockets to a port of a running job, under a host name of its own.

Who may see a page has an entry (:mod:`picloud.wire.entry`): in the link at first, then as a cookie of that host name. Both
stay here; the job gets requests that hold nothing of ours, and its page shares an origin with nothing of ours.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import h11

from picloud.edge.channel import Channel, Channels
from picloud.edge.head import HOP, Head, check_origin, shown, to_job, to_visitor, without_entry
from picloud.wire import entry
from picloud.wire.entry import Entry
from picloud.wire.error import CloudException, Forbidden, Unavailable
from picloud.wire.message import Connect

COOKIE_LIFE = 12 * 3600
"""Seconds that a link that works once opens the page for."""
ROOM = 1 << 20
"""Bytes of an answer that wait for the visitor."""


class Proxy:
    """See the module.

    Args:
        secret: the key that control signs entries with.
        domain: the names of pages end in it.
    """

    def __init__(self, channels: Channels, secret: bytes, domain: str) -> None:
        self._channels, self._secret, self._end = channels, secret, "." + domain.lower()
        self._born = time.time()
        self._used: dict[str, int] = {}  # links that worked their once, until when

    def serves(self, host: str) -> bool:
        """Whether a Host header names a page of a job."""
        return host.lower().rpartition(":")[0].endswith(self._end) or host.lower().endswith(self._end)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        head = Head(
            scope["method"].encode(),
            scope["raw_path"].decode("latin-1")
            + ("?" + scope["query_string"].decode("latin-1") if scope["query_string"] else ""),
            [(bytes(name).lower(), bytes(value)) for name, value in scope["headers"]],
        )
        try:
            found, fresh = self._entered(head)
            if fresh:
                await self._welcome(send, head, fresh, secure=scope["scheme"] == "https")
                return
            channel = await self._channels.open(found.jid, Connect(found.port), account=found.account)
        except CloudException as error:
            await _page(send, error)
            return
        try:
            await _Exchange(channel, head).run(receive, send)
        finally:
            channel.close()

    async def upgraded(self, head: Head) -> tuple[Channel, bytes]:
        """The channel for a request that wants to become something else, and the head to begin it with.

        Raises:
            CloudException: the visitor has no entry, or the job does not listen.
        """
        check_origin(head)
        found, _ = self._entered(head)
        channel = await self._channels.open(found.jid, Connect(found.port), account=found.account)
        headers = to_job(head.headers)
        lines = [b"%b %b HTTP/1.1" % (head.method, without_entry(head.path).encode("latin-1"))]
        lines += [b"%b: %b" % header for header in headers]
        return channel, b"\r\n".join(lines) + b"\r\n\r\n"

    def _entered(self, head: Head) -> tuple[Entry, str]:
        """The visitor's entry, and the cookie to give where it came by a link.

        Raises:
            Forbidden: none, or one that does not count.
        """
        name = head.host.lower().partition(".")[0]
        link, cookie = shown(head)
        now = time.time()
        if link:
            found = entry.check(self._secret, name, link, now)
            if found.once:
                self._use(found, now)
                ends = int(now) + COOKIE_LIFE
            else:
                ends = found.ends
            return found, Entry(found.account, found.jid, found.port, ends).signed(self._secret)
        if not cookie:
            raise Forbidden("this page is a job's, and its owner's", hint="picloud open JID PORT makes a link to it")
        found = entry.check(self._secret, name, cookie, now)
        if found.once:
            raise Forbidden("this is a link, not what it is exchanged for")
        return found, ""

    def _use(self, found: Entry, now: float) -> None:
        """A link that works once does not work twice, also after a restart: those made before it are void."""
        self._used = {mark: ends for mark, ends in self._used.items() if ends >= now}
        if found.mark in self._used or found.ends - 60 < int(self._born) - 1:
            raise Forbidden("this link was used already", hint="make another one: picloud open JID PORT")
        self._used[found.mark] = found.ends

    async def _welcome(self, send: Any, head: Head, cookie: str, *, secure: bool) -> None:
        """Exchange a link for a cookie, so that it is seen neither in the address bar nor by the job."""
        flags = "; Path=/; HttpOnly; SameSite=Lax" + ("; Secure" if secure else "")
        headers = [
            (b"location", without_entry(head.path).encode("latin-1")),
            (b"set-cookie", f"{entry.COOKIE}={cookie}{flags}".encode()),
            (b"referrer-policy", b"no-referrer"),
            (b"cache-control", b"no-store"),
            (b"content-length", b"0"),
        ]
        await send({"type": "http.response.start", "status": 303, "headers": headers})
        await send({"type": "http.response.body", "body": b""})


class _Exchange:
    """One request to a job and its answer."""

    def __init__(self, channel: Channel, head: Head) -> None:
        self._channel, self._head = channel, head
        self._http = h11.Connection(h11.CLIENT)
        self._came = asyncio.Event()
        self._waiting: list[bytes] = []
        self._size = 0
        self._over = False
        self._room = asyncio.Event()
        self._room.set()

    async def run(self, receive: Any, send: Any) -> None:
        """Send the request while the answer may already come."""
        self._channel.attach(self)
        body = asyncio.ensure_future(self._ask(receive))
        started = False
        try:
            async for event in self._events():
                if isinstance(event, h11.Response):
                    started = True
                    headers = to_visitor([(bytes(name), bytes(value)) for name, value in event.headers])
                    await send({"type": "http.response.start", "status": event.status_code, "headers": headers})
                elif isinstance(event, h11.Data):
                    await send({"type": "http.response.body", "body": bytes(event.data), "more_body": True})
                elif isinstance(event, h11.EndOfMessage):
                    await send({"type": "http.response.body", "body": b"", "more_body": False})
                    return
        except (h11.ProtocolError, ConnectionError) as error:
            if started:
                raise
            await _page(send, Unavailable(f"the job's program did not answer as a web server does: {error}"), 502)
        finally:
            body.cancel()

    async def _ask(self, receive: Any) -> None:
        headers = [*to_job(self._head.headers, HOP), (b"connection", b"close")]
        chunked = any(name == b"transfer-encoding" for name, _ in self._head.headers)
        if chunked:
            headers.append((b"transfer-encoding", b"chunked"))
        target = self._head.path.encode("latin-1")
        self._write(self._http.send(h11.Request(method=self._head.method, target=target, headers=headers)))
        has_body = chunked or self._head.get(b"content-length") not in ("", "0")
        while has_body:
            message = await receive()
            if message["type"] == "http.disconnect":
                self._channel.close()
                return
            if part := message.get("body", b""):
                await self._room.wait()
                self._write(self._http.send(h11.Data(data=part)))
            has_body = message.get("more_body", False)
        self._write(self._http.send(h11.EndOfMessage()))
        while (await receive())["type"] != "http.disconnect":
            continue
        self._channel.close()  # the visitor has left in mid-answer

    def _write(self, data: bytes | None) -> None:
        if data:
            self._channel.write(data)

    async def _events(self) -> AsyncIterator[Any]:
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                await self._came.wait()
                self._came.clear()
                data, self._waiting, self._size = b"".join(self._waiting), [], 0
                self._channel.resume_reading()
                if data:
                    self._http.receive_data(data)
                elif self._over:
                    self._http.receive_data(b"")
                    self._came.set()
                continue
            if isinstance(event, h11.ConnectionClosed):
                raise ConnectionError("it closed the connection")
            if event is h11.PAUSED:
                return
            yield event

    # -- the channel ----------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        self._waiting.append(data)
        self._size += len(data)
        if self._size > ROOM:
            self._channel.pause_reading()
        self._came.set()

    def eof_received(self) -> None:
        self._over = True
        self._came.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._over = True
        self._room.set()
        self._came.set()

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()


async def _page(send: Any, error: CloudException, status: int = 0) -> None:
    """An error, for people."""
    body = f"PiCloud: {error}\n".encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": status or error.http_status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
