"""Work that comes back every second as long as somebody wants it, and never takes more than a share of the event loop's time.

What that share does not suffice for is done less often. Among what is due the account goes first that has used least: whoever
wants much waits for herself, and not others for her.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import time
import types
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Generator
from itertools import count
from typing import Any, Generic, TypeVar

T = TypeVar("T")

INTERVAL = 1.0
"""Seconds between two beginnings of the same work, at least."""
SHARE = 0.15
"""Of the event loop's time, for all work together."""
BURST = 1.0
"""Seconds whose share may be used in advance: what is new need not wait."""
AT_ONCE = 4
"""Works that wait for the store at a time."""


class Clock:
    """Seconds for which the event loop was busy with a coroutine, without those for which that waited."""

    def __init__(self) -> None:
        self.spent = 0.0

    @types.coroutine
    def run(self, coroutine: Coroutine[Any, Any, T]) -> Generator[Any, Any, T]:
        """Await a coroutine and take its time."""
        value: Any = None
        thrown: BaseException | None = None
        while True:
            began = time.perf_counter()
            try:
                waits_for = coroutine.send(value) if thrown is None else coroutine.throw(thrown)
            except StopIteration as ended:
                return ended.value  # type: ignore[no-any-return]
            finally:
                self.spent += time.perf_counter() - began
            try:
                value, thrown = (yield waits_for), None
            except BaseException as error:  # noqa: BLE001 - it is thrown where the coroutine waits
                thrown = error


class Pace(Generic[T]):
    """Does each piece of work now and then again and again.

    Args:
        do: one piece; it must raise nothing.
    """

    def __init__(self, do: Callable[[T], Coroutine[Any, Any, None]]) -> None:
        self._do = do
        self._accounts: dict[T, int] = {}  # whose each piece is
        self._pieces: Counter[int] = Counter()  # how many an account has
        self._used: dict[int, float] = {}  # seconds, by account
        self._later: list[tuple[float, int, T]] = []
        self._due: dict[int, deque[T]] = {}
        self._number = count()  # where two are due at the same time
        self._free = 0.0  # loop's time at which the share is used up no more
        self._running: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()
        self._turning: asyncio.Task[None] | None = None

    @property
    def idle(self) -> bool:
        """Whether nothing is done, now and until something is added."""
        return self._turning is None and not self._running

    def add(self, account: int, work: T) -> None:
        """Do this from now on; the first time soon."""
        self._accounts[work] = account
        self._pieces[account] += 1
        self._used.setdefault(account, min(self._used.values(), default=0.0))
        self._due.setdefault(account, deque()).append(work)
        self._news.set()
        if self._turning is None:
            self._turning = asyncio.ensure_future(self._turn())

    def drop(self, work: T) -> None:
        """Do this no more."""
        account = self._accounts.pop(work, None)
        if account is None:
            return
        self._pieces[account] -= 1
        if not self._pieces[account]:
            del self._pieces[account], self._used[account]
            self._due.pop(account, None)
        if not self._accounts and self._turning is not None:
            self._turning.cancel()
            self._turning = None
            self._later.clear()

    def close(self) -> None:
        """End what is under way."""
        for work in list(self._accounts):
            self.drop(work)
        for task in self._running:
            task.cancel()

    async def _turn(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._news.clear()
            wait = self._start(loop.time())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._news.wait()

    def _start(self, now: float) -> float | None:
        """Begin what is due and may be; seconds until there is more, None = when there are news."""
        while self._later and self._later[0][0] <= now:
            work = heapq.heappop(self._later)[2]
            if work in self._accounts:
                self._due.setdefault(self._accounts[work], deque()).append(work)
        while self._due and len(self._running) < AT_ONCE and self._free - BURST <= now:
            self._begin(min(self._due, key=self._used.__getitem__), now)
        if len(self._running) >= AT_ONCE:
            return None
        if self._due:
            return self._free - BURST - now
        return max(0.0, self._later[0][0] - now) if self._later else None

    def _begin(self, account: int, now: float) -> None:
        work = self._due[account].popleft()
        if not self._due[account]:
            del self._due[account]
        if work in self._accounts:
            task = asyncio.ensure_future(self._one(work, account, now))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _one(self, work: T, account: int, began: float) -> None:
        clock = Clock()
        try:
            await clock.run(self._do(work))
        finally:
            self._count(account, clock.spent)
            if work in self._accounts:
                heapq.heappush(self._later, (began + INTERVAL, next(self._number), work))
            asyncio.get_running_loop().call_soon(self._news.set)  # when it is no longer among those that run

    def _count(self, account: int, spent: float) -> None:
        self._free = max(self._free, asyncio.get_running_loop().time()) + spent / SHARE
        if account in self._used:
            self._used[account] += spent
