"""Changes of buckets and volumes, told to those who keep a picture of them: mounts.

A watcher is an open stream. Whoever changes something tells it after the commit and before the answer to the one who asked
for it: on one machine the news lies in a watcher's socket before that one can know of its success. A watcher that does not
read is dropped; when it comes back it knows that it missed something, and asks anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any
from weakref import WeakValueDictionary

import msgspec

from picloud.server.eager import start
from picloud.wire.error import Unavailable
from picloud.wire.object import Event, Object

BEHIND = 4 << 20
"""Bytes that wait for a watcher at most."""
_encode = msgspec.msgpack.encode


class Watcher:
    """One stream of events.

    Args:
        send: brings bytes on their way; it waits only where those before have not gone.
    """

    def __init__(self, send: Callable[[bytes], Coroutine[Any, Any, None]]) -> None:
        self.ended = asyncio.Event()
        self.quiet = True  # nothing was sent since somebody set it
        self._send = send
        self._frames: list[bytes] = []
        self._size = 0
        self._sending: asyncio.Task[None] | None = None

    @property
    def closed(self) -> bool:
        return self.ended.is_set()

    def offer(self, frame: bytes) -> None:
        """Send a frame now, or as soon as those before it have gone."""
        self._frames.append(frame)
        self._size += len(frame)
        if self._size > BEHIND:
            self.close()
        elif self._sending is None and not self.closed:
            self._next()

    @property
    def behind(self) -> bool:
        """Whether something is stuck on its way: the stream cannot be ended in good order."""
        return self._sending is not None

    def leave(self) -> None:
        """Give up what is stuck."""
        if self._sending is not None:
            self._sending.cancel()

    def _gone(self, sending: asyncio.Task[None]) -> None:
        self._sending = None
        if sending.cancelled() or sending.exception() is not None:
            self.close()
        else:
            self._next()

    def _next(self) -> None:
        sent, self._frames, self._size = b"".join(self._frames), [], 0
        self.quiet = False
        if sent and not self.closed:
            self._sending = start(self._send(sent))
            if self._sending is not None:
                self._sending.add_done_callback(self._gone)

    def close(self) -> None:
        self.ended.set()


class Changes:
    """Who watches which bucket or volume ("" = the bucket)."""

    def __init__(self) -> None:
        self._watchers: dict[tuple[int, str], set[Watcher]] = {}
        self._closed = False

    def watch(self, account: int, volume: str, send: Callable[[bytes], Coroutine[Any, Any, None]]) -> Watcher:
        """Begin to watch.

        Args:
            send: see :class:`Watcher`.

        Raises:
            Unavailable: the server stops: the next one will tell.
        """
        if self._closed:
            raise Unavailable("the server stops", hint="ask again")
        watcher = Watcher(send)
        self._watchers.setdefault((account, volume), set()).add(watcher)
        return watcher

    def leave(self, account: int, volume: str, watcher: Watcher) -> None:
        """End to watch."""
        watchers = self._watchers.get((account, volume), set())
        watchers.discard(watcher)
        if not watchers:
            self._watchers.pop((account, volume), None)

    async def tell(self, account: int, volume: str, events: Sequence[Event]) -> None:
        """Tell what has been committed; returns when it is on its way to all who keep up."""
        watchers = self._watchers.get((account, volume))
        if not watchers or not events:
            return
        body = _encode(list(events))
        for watcher in list(watchers):
            watcher.offer(len(body).to_bytes(4, "big") + body)
        await asyncio.sleep(0)  # the loop's turn in which what was written goes out

    def close(self) -> None:
        """End all streams, now and from now on."""
        self._closed = True
        for watchers in self._watchers.values():
            for watcher in watchers:
                watcher.close()


def stored(objects: Sequence[Object]) -> list[Event]:
    """Events of objects that are there now."""
    return [Event(one.key, one, one.id) for one in objects]


def gone(objects: Sequence[Object], kept: bool) -> list[Event]:
    """Events of objects that were removed."""
    return [Event(one.key, None, one.id, kept) for one in objects]


class Turns:
    """Locks by name, each there while somebody holds or wants it."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[object, asyncio.Lock] = WeakValueDictionary()

    def one(self, name: object) -> asyncio.Lock:
        """The lock of this name."""
        lock = self._locks.get(name)
        if lock is None:
            lock = self._locks[name] = asyncio.Lock()
        return lock
