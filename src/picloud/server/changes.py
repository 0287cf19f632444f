"""Changes of buckets and volumes, told to those who keep a picture of them: mounts.

A watcher is an open stream. Whoever changes something tells it after the commit and before the answer to the one who asked
for it: on one machine the news lies in a watcher's socket before that one can know of its success. A watcher that does not
read is dropped; when it comes back it knows that it missed something, and asks anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from weakref import WeakValueDictionary

import msgspec

from picloud.wire.error import Unavailable
from picloud.wire.object import Event, Object

BEHIND = 4 << 20
"""Bytes that wait for a watcher at most."""
STEPS = 3
"""Turns of the loop in which a watcher wakes up, writes, and the write goes out."""
_encode = msgspec.msgpack.encode


class Watcher:
    """One stream of events."""

    def __init__(self) -> None:
        self.wake = asyncio.Event()
        self.closed = False
        self._frames: list[bytes] = []
        self._size = 0

    def offer(self, frame: bytes) -> None:
        """Queue a frame."""
        self._frames.append(frame)
        self._size += len(frame)
        if self._size > BEHIND:
            self.closed = True
        self.wake.set()

    def take(self) -> bytes:
        """All that waits."""
        sent, self._frames, self._size = b"".join(self._frames), [], 0
        self.wake.clear()
        return sent

    def close(self) -> None:
        self.closed = True
        self.wake.set()


class Changes:
    """Who watches which bucket or volume ("" = the bucket)."""

    def __init__(self) -> None:
        self._watchers: dict[tuple[int, str], set[Watcher]] = {}
        self._closed = False

    def watch(self, account: int, volume: str) -> Watcher:
        """Begin to watch.

        Raises:
            Unavailable: the server stops: the next one will tell.
        """
        if self._closed:
            raise Unavailable("the server stops", hint="ask again")
        watcher = Watcher()
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
        for _ in range(STEPS):
            await asyncio.sleep(0)

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
