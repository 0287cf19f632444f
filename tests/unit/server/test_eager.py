"""Coroutines that begin at once."""

from __future__ import annotations

import asyncio

import pytest

from picloud.server import eager


def test_what_need_not_wait_has_ended_when_start_returns() -> None:
    said: list[str] = []

    async def quick() -> None:
        said.append("done")

    async def run() -> None:
        assert eager.start(quick()) is None
        assert said == ["done"]

    asyncio.run(run())


def test_what_waits_goes_on_as_a_task() -> None:
    said: list[object] = []

    async def slow(gate: asyncio.Future[str]) -> None:
        said.append("began")
        said.append(await gate)
        await asyncio.sleep(0)
        said.append("ended")

    async def run() -> None:
        gate = asyncio.get_running_loop().create_future()
        task = eager.start(slow(gate))
        assert said == ["began"]
        assert task is not None
        gate.set_result("value")
        await task

    asyncio.run(run())
    assert said == ["began", "value", "ended"]


def test_errors_and_cancelling_reach_the_coroutine_where_it_waits() -> None:
    said, caught = list[str](), asyncio.Event()

    async def slow(gate: asyncio.Future[None]) -> None:
        try:
            await gate
        except ValueError:
            said.append("error")
            caught.set()
        try:
            await asyncio.sleep(60)
        finally:
            said.append("cancelled")

    async def run() -> None:
        gate = asyncio.get_running_loop().create_future()
        task = eager.start(slow(gate))
        assert task is not None
        gate.set_exception(ValueError())
        await caught.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert said == ["error", "cancelled"]


def test_what_fails_at_once_raises_at_once() -> None:
    async def fails() -> None:
        raise KeyError("at once")

    async def run() -> None:
        with pytest.raises(KeyError):
            eager.start(fails())

    asyncio.run(run())
