"""Alarms: something is to be looked at later, and only once, at the earliest of the times that were asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Alarms:
    """One alarm for each number.

    Args:
        ring: called with the number when its time has come; another may be set from then on.
    """

    def __init__(self, ring: Callable[[int], None]) -> None:
        self._ring = ring
        self._set: dict[int, tuple[float, asyncio.Handle]] = {}  # uvloop's handle of what is due at once knows no time

    def set(self, number: int, seconds: float) -> None:
        """Ring in so many seconds, unless that happens earlier anyway."""
        loop = asyncio.get_running_loop()
        at = loop.time() + max(0.0, seconds)
        known = self._set.get(number)
        if known is not None and known[0] <= at:
            return
        if known is not None:
            known[1].cancel()
        self._set[number] = at, loop.call_at(at, self._now, number)

    def _now(self, number: int) -> None:
        del self._set[number]
        self._ring(number)

    def close(self) -> None:
        """Ring no more."""
        for _, handle in self._set.values():
            handle.cancel()
        self._set.clear()
