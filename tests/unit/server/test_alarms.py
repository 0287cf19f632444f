"""Alarms ring once, at the earliest time that was asked for."""

from __future__ import annotations

import asyncio

import pytest
import uvloop

from picloud.server.alarms import Alarms


@pytest.mark.parametrize("runner", [asyncio.run, uvloop.run])
def test_the_earliest_counts(runner: object) -> None:
    async def rings() -> list[int]:
        rung: list[int] = []
        over = asyncio.Event()

        def ring(number: int) -> None:
            rung.append(number)
            if number == 3:
                over.set()

        alarms = Alarms(ring)
        for seconds in (60, 0, -1, 60):  # uvloop gives what is due at once another kind of handle
            alarms.set(1, seconds)
        alarms.set(2, 60)
        alarms.set(3, 60)
        alarms.set(3, 0.05)
        await asyncio.wait_for(over.wait(), 20)
        alarms.set(1, 60)
        alarms.close()
        return rung

    assert runner(rings()) == [1, 3]  # type: ignore[operator]
