"""Work that comes back: not before its time, within its share of the loop, and by turns between accounts."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from picloud.server import pace
from picloud.server.pace import Clock, Pace

DEADLINE = 60.0


def run(act: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(DEADLINE):
            await act

    asyncio.run(bounded())


async def until(true: Callable[[], bool]) -> None:
    while not true():  # noqa: ASYNC110 - what is waited for has no event
        await asyncio.sleep(0.001)


def spin(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def test_a_clock_counts_work_and_no_waiting() -> None:
    async def work() -> str:
        spin(0.02)
        await asyncio.sleep(0.3)
        spin(0.02)
        return "done"

    async def act() -> None:
        clock = Clock()
        began = time.perf_counter()
        assert await clock.run(work()) == "done"
        assert 0.04 <= clock.spent <= time.perf_counter() - began - 0.3 + 0.02

    run(act())


def test_what_is_thrown_into_a_clocked_coroutine_arrives_there() -> None:
    caught: list[str] = []

    async def work() -> None:
        try:
            async with asyncio.timeout(0.001):
                await asyncio.Event().wait()
        except TimeoutError:
            caught.append("its own timeout")
        await asyncio.Event().wait()

    async def act() -> None:
        task = asyncio.ensure_future(Clock().run(work()))  # type: ignore[arg-type]
        await until(lambda: bool(caught))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(act())
    assert caught == ["its own timeout"]


def test_nothing_begins_again_before_its_interval() -> None:
    begun: list[float] = []

    async def work(name: str) -> None:
        begun.append(asyncio.get_running_loop().time())

    async def act() -> None:
        paced = Pace(work)
        paced.add(1, "a")
        await until(lambda: len(begun) == 3)
        paced.close()

    run(act())
    assert all(later - earlier >= pace.INTERVAL - 0.001 for earlier, later in zip(begun, begun[1:], strict=False))


def test_nothing_is_done_when_nothing_is_wanted() -> None:
    done: Counter[str] = Counter()

    async def work(name: str) -> None:
        done[name] += 1

    async def act() -> None:
        paced = Pace(work)
        assert paced.idle
        for name in ("a", "b"):
            paced.add(1, name)
        await until(lambda: done["a"] > 0 and done["b"] > 0)
        paced.drop("a")
        assert not paced.idle
        paced.drop("b")
        paced.drop("b")
        await until(lambda: paced.idle)
        assert not paced._accounts and not paced._used and not paced._due and not paced._later

    run(act())


def test_all_together_take_their_share_of_the_loop_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "INTERVAL", 0.0)
    monkeypatch.setattr(pace, "BURST", 0.0)
    took: list[float] = []

    async def work(name: int) -> None:
        began = time.perf_counter()
        spin(0.005)
        took.append(time.perf_counter() - began)

    async def act() -> None:
        paced = Pace(work)
        began = asyncio.get_running_loop().time()
        for name in range(20):
            paced.add(name % 3, name)
        await until(lambda: sum(took) >= 0.1)
        passed = asyncio.get_running_loop().time() - began
        paced.close()
        most = pace.SHARE * passed + pace.AT_ONCE * max(took)
        assert sum(took) <= most, "those that run at a time may be above it, once"

    run(act())


def test_who_wants_much_waits_for_herself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "INTERVAL", 0.0)
    monkeypatch.setattr(pace, "BURST", 0.0)
    monkeypatch.setattr(pace, "AT_ONCE", 1)
    took: dict[int, list[float]] = {1: [], 2: []}

    async def work(name: tuple[int, int]) -> None:
        began = time.perf_counter()
        spin(0.001)
        took[name[0]].append(time.perf_counter() - began)

    async def act() -> None:
        paced = Pace(work)
        for n in range(100):
            paced.add(1, (1, n))
        paced.add(2, (2, 0))
        await until(lambda: len(took[2]) >= 20)
        paced.close()

    run(act())
    ahead = 3 * max(took[1] + took[2])
    assert sum(took[1]) <= 1.2 * sum(took[2]) + ahead, "one page of another account gets as much time as a hundred of hers"
