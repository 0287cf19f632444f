"""How many jobs came and ended lately, in windows of ten seconds, by account.

Counted in memory, beside what the dispatcher does anyway: an index on the time of each end would cost every job of every map, for
what only a chart asks. What was before this server began is read once, by one walk over the account's rows (a second a million),
when somebody first asks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from picloud.server.storage import Storage, now_ms
from picloud.store import pulse
from picloud.store.act.accept import Repeated
from picloud.store.act.answer import Finish
from picloud.wire.job import Status
from picloud.wire.message import Accepted, Submitted

WINDOW = 10_000
"""Milliseconds."""
KEPT = 60 * 60_000
"""Milliseconds of history."""
SUBMITTED, DONE, FAILED = range(3)


class Throughput:
    """The counts of all accounts.

    Args:
        storage: for what was before.
        now: epoch ms; what begins from here on is counted.
    """

    def __init__(self, storage: Storage, now: int) -> None:
        self._storage, self._began = storage, now
        self._windows: defaultdict[int, dict[int, list[int]]] = defaultdict(dict)  # account -> begin -> counts
        self._primed: set[int] = set()

    def accepted(self, account: int, answer: Any, ready: set[int]) -> None:
        """An act has accepted jobs of an account; whatever it answered, and the kinds that got ready ones."""
        if not isinstance(ready, Repeated) and (count := made(answer)):
            self._window(account, now_ms())[SUBMITTED] += count

    def ended(self, account: int, result: Finish) -> None:
        """An act has ended jobs of an account."""
        done = sum(one.status == Status.done for one in result.moved)
        failed = len(result.moved) - done + sum(count for _, count in result.closed)
        if done or failed:
            window = self._window(account, now_ms())
            window[DONE] += done
            window[FAILED] += failed

    def _window(self, account: int, now: int) -> list[int]:
        windows, at = self._windows[account], now - now % WINDOW
        if at not in windows:
            windows[at] = [0, 0, 0]
            for old in [each for each in windows if each < now - KEPT - WINDOW]:
                del windows[old]
        return windows[at]

    async def read(self, account: int, minutes: int, now: int) -> tuple[int, list[list[int]]]:
        """The last ``minutes`` (at most 60) up to ``now``: the begin of the first window, and three lists of counts for them."""
        if account not in self._primed:
            await self._prime(account, now)
        steps = minutes * 60_000 // WINDOW
        start = now - now % WINDOW - (steps - 1) * WINDOW
        windows = self._windows.get(account, {})
        rows = [windows.get(start + step * WINDOW, (0, 0, 0)) for step in range(steps)]
        return start, [[row[what] for row in rows] for what in range(3)]

    async def _prime(self, account: int, now: int) -> None:
        """Add what was before this server began."""
        since = now - now % WINDOW - KEPT
        found = await self._storage.read(pulse.read, account, since, self._began, WINDOW) if since < self._began else []
        if account in self._primed:  # somebody else asked meanwhile
            return
        self._primed.add(account)
        windows = self._windows[account]
        for at, *counts in found:
            known = windows.setdefault(at, [0, 0, 0])
            windows[at] = [mine + before for mine, before in zip(known, counts, strict=True)]


def made(answer: Any) -> int:
    """How many jobs an accepting act has made, by what it answered."""
    match answer:
        case Submitted():
            return answer.accepted
        case Accepted():
            return answer.count
        case list():
            return sum(count for _, count in answer)
    jids: Iterable[int] = getattr(answer, "jids", ())
    return len(list(jids))
