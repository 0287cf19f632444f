"""Counts of jobs that came and ended, without a clock or a database of their own."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from picloud.server import throughput
from picloud.server.throughput import Throughput, made
from picloud.store.act.accept import Repeated
from picloud.store.act.answer import Finish
from picloud.wire.job import Status
from picloud.wire.message import Accepted, Finished, Submitted


class Storage:
    """Tells of a time before the server began."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []

    async def read(self, query: Any, *args: Any) -> list[tuple[int, int, int, int]]:
        self.asked.append(args)
        await asyncio.sleep(0)
        return [(990_000, 5, 4, 1)]


def read(one: Throughput, now: int, minutes: int = 1) -> tuple[int, list[list[int]]]:
    return asyncio.run(one.read(7, minutes, now))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    at = [1_000_000]
    monkeypatch.setattr(throughput, "now_ms", lambda: at[0])
    return at


def test_what_comes_is_counted_beside_what_was_before(clock: list[int]) -> None:
    storage = Storage()
    one = Throughput(cast(Any, storage), 1_000_000)
    one.accepted(7, Submitted(1, 1, 3), {1})
    one.accepted(7, Submitted(1, 1, 3), Repeated())
    one.accepted(8, Submitted(2, 4, 9), set())
    clock[0] += 10_500
    one.ended(7, Finish(moved=[Finished(1, int(Status.done)), Finished(2, int(Status.error))], closed=[(3, 2)]))
    start, counts = read(one, clock[0])
    assert (start, counts) == (960_000, [[0, 0, 0, 5, 3, 0], [0, 0, 0, 4, 0, 1], [0, 0, 0, 1, 0, 3]])
    assert read(one, clock[0]) == (start, counts) and len(storage.asked) == 1, "what was before is read once"


def test_what_is_old_is_forgotten(clock: list[int]) -> None:
    one = Throughput(cast(Any, Storage()), 0)
    one.accepted(7, Accepted(1, 2), {1})
    clock[0] += 3_600_000 + 30_000
    one.accepted(7, Accepted(3, 1), {1})
    assert list(one._windows[7].values()) == [[1, 0, 0]]
    assert sum(map(sum, read(one, clock[0], 60)[1])) == 1


def test_two_who_ask_at_once_add_it_once() -> None:
    one = Throughput(cast(Any, Storage()), 1_000_000)

    async def both() -> list[tuple[int, list[list[int]]]]:
        return list(await asyncio.gather(one.read(7, 1, 1_000_000), one.read(7, 1, 1_000_000)))

    first, second = asyncio.run(both())
    assert first == second and sum(map(sum, first[1])) == 10


def test_what_an_act_made_is_in_its_answer() -> None:
    assert [made(Submitted(1, 1, 5)), made(Accepted(1, 3))] == [5, 3]
    assert (made([(1, 2), (9, 1)]), made(None)) == (3, 0)
