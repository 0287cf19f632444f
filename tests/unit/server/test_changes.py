"""Who watches is told, in order, before anybody knows; who does not read is dropped."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import msgspec
import pytest

from picloud.server import changes
from picloud.server.changes import Changes, Turns
from picloud.wire.error import Unavailable
from picloud.wire.object import Event


def run(act: Coroutine[Any, Any, None]) -> None:
    asyncio.run(act)


class Wire:
    """The way to a watcher: what was sent, and whether it takes more now."""

    def __init__(self) -> None:
        self.sent = b""
        self.open = asyncio.Event()
        self.open.set()

    async def send(self, frames: bytes) -> None:
        if not self.open.is_set():
            await self.open.wait()
        self.sent += frames

    def told(self) -> list[str]:
        data, found = self.sent, list[str]()
        self.sent = b""
        while data:
            size = int.from_bytes(data[:4], "big")
            found += [event.key for event in msgspec.msgpack.decode(data[4 : 4 + size], type=list[Event])]
            data = data[4 + size :]
        return found


def test_each_hears_of_its_own() -> None:
    async def act() -> None:
        feed, mine, volume, other = Changes(), Wire(), Wire(), Wire()
        for account, name, wire in ((1, "", mine), (1, "data", volume), (2, "", other)):
            feed.watch(account, name, wire.send)
        await feed.tell(1, "", [Event("a"), Event("b/")])
        await feed.tell(1, "", [Event("c")])
        await feed.tell(1, "data", [Event("d")])
        assert (mine.told(), volume.told(), other.told()) == (["a", "b/", "c"], ["d"], [])

    run(act())


def test_a_watcher_has_written_before_the_teller_goes_on() -> None:
    order: list[str] = []

    async def send(frames: bytes) -> None:  # as a transport does it
        asyncio.get_running_loop().call_soon(order.append, "written")

    async def act() -> None:
        feed = Changes()
        feed.watch(1, "", send)
        await feed.tell(1, "", [Event("a")])
        order.append("answered")

    run(act())
    assert order == ["written", "answered"]


def test_what_waits_for_a_slow_watcher_follows_in_order() -> None:
    async def act() -> None:
        feed, wire = Changes(), Wire()
        watcher = feed.watch(1, "", wire.send)
        wire.open.clear()
        for key in "abc":
            await feed.tell(1, "", [Event(key)])
        assert watcher.behind and wire.told() == []
        wire.open.set()
        told: list[str] = []
        for _ in range(100):  # turns of the loop
            await asyncio.sleep(0)
            told += wire.told()
        assert told == ["a", "b", "c"] and not watcher.behind

    run(act())


def test_who_does_not_read_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "BEHIND", 100)

    async def act() -> None:
        feed, wire = Changes(), Wire()
        wire.open.clear()
        slow = feed.watch(1, "", wire.send)
        await feed.tell(1, "", [Event("first")])  # on its way, and stuck
        for n in range(3):
            await feed.tell(1, "", [Event("k" * 60)])
            assert slow.closed == (n > 0)

    run(act())


def test_who_has_left_is_forgotten() -> None:
    async def act() -> None:
        feed, wire = Changes(), Wire()
        feed.leave(1, "", feed.watch(1, "", wire.send))
        await feed.tell(1, "", [Event("a")])
        assert wire.told() == [] and not feed._watchers

    run(act())


def test_a_server_that_stops_ends_all_streams() -> None:
    async def act() -> None:
        feed = Changes()
        one = feed.watch(1, "", Wire().send)
        feed.close()
        assert one.closed
        with pytest.raises(Unavailable):
            feed.watch(1, "", Wire().send)

    run(act())


def test_turns_are_locks_by_name() -> None:
    async def act() -> None:
        turns = Turns()
        async with turns.one("a"):
            assert turns.one("a").locked() and not turns.one("b").locked()
        assert not list(turns._locks)

    run(act())
