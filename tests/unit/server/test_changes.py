"""Who watches is told, in order, before anybody knows; who does not read is dropped."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import msgspec
import pytest

from picloud.server import changes
from picloud.server.changes import Changes, Turns, Watcher
from picloud.wire.error import Unavailable
from picloud.wire.object import Event


def run(act: Coroutine[Any, Any, None]) -> None:
    asyncio.run(act)


def told(watcher: Watcher) -> list[str]:
    data, found = watcher.take(), list[str]()
    while data:
        size = int.from_bytes(data[:4], "big")
        found += [event.key for event in msgspec.msgpack.decode(data[4 : 4 + size], type=list[Event])]
        data = data[4 + size :]
    return found


def test_each_hears_of_its_own() -> None:
    async def act() -> None:
        feed = Changes()
        mine, volume, other = feed.watch(1, ""), feed.watch(1, "data"), feed.watch(2, "")
        await feed.tell(1, "", [Event("a"), Event("b/")])
        await feed.tell(1, "", [Event("c")])
        await feed.tell(1, "data", [Event("d")])
        assert (told(mine), told(volume), told(other)) == (["a", "b/", "c"], ["d"], [])
        assert told(mine) == []

    run(act())


def test_a_watcher_has_written_before_the_teller_goes_on() -> None:
    order: list[str] = []

    async def watch(watcher: Watcher) -> None:
        await watcher.wake.wait()
        asyncio.get_running_loop().call_soon(order.append, "written")

    async def act() -> None:
        feed = Changes()
        watching = asyncio.ensure_future(watch(feed.watch(1, "")))
        await asyncio.sleep(0)
        await feed.tell(1, "", [Event("a")])
        order.append("answered")
        await watching

    run(act())
    assert order == ["written", "answered"]


def test_who_does_not_read_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "BEHIND", 100)

    async def act() -> None:
        feed = Changes()
        slow = feed.watch(1, "")
        for n in range(3):
            await feed.tell(1, "", [Event("k" * 60)])
            assert slow.closed == (n > 0)

    run(act())


def test_who_has_left_is_forgotten() -> None:
    async def act() -> None:
        feed = Changes()
        one = feed.watch(1, "")
        feed.leave(1, "", one)
        await feed.tell(1, "", [Event("a")])
        assert told(one) == [] and not feed._watchers

    run(act())


def test_a_server_that_stops_ends_all_streams() -> None:
    async def act() -> None:
        feed = Changes()
        one = feed.watch(1, "")
        feed.close()
        assert one.closed and one.wake.is_set()
        with pytest.raises(Unavailable):
            feed.watch(1, "")

    run(act())


def test_turns_are_locks_by_name() -> None:
    async def act() -> None:
        turns = Turns()
        async with turns.one("a"):
            assert turns.one("a").locked() and not turns.one("b").locked()
        assert not list(turns._locks)

    run(act())
