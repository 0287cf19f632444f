"""Jobs that wait for other jobs lend their slots: the server is told, and few leases are held while it lasts.

A worker full of unstarted parents has no room for the children that the running ones wait for; so the window shrinks, the
rest goes back, and the server hands out the awaited jobs first.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from picloud.worker.loop import Loop
from picloud.worker.running import Running

SHORT = 1.0  # seconds after a wait for which only few leases are held


class Reports(Protocol):
    def picture(self) -> None: ...


class Lending:
    """Counts lent slots."""

    def __init__(self, loop: Loop, window: int, reports: Reports) -> None:
        self._loop, self._window, self._reports = loop, window, reports
        self.lent = 0
        self._short_until = 0.0
        self._looks = False  # a look at what may go is due

    def moved(self, running: Running, begins: bool, readers: int = 1) -> bool:
        """A request of this job that waits for others begins or ends; True if its slot is lent from now.

        Args:
            readers: so many of the job's processes have to wait until the job does.
        """
        running.waits = running.waits + 1 if begins else max(0, running.waits - 1)
        lends = running.waits >= readers
        if lends == running.lends:
            return False
        running.lend(lends)
        self._change(1 if lends else -1)
        return lends

    def ended(self, running: Running) -> None:
        """The job is over while it waited."""
        running.waits, running.lends = 0, False
        self._change(-1)

    def _change(self, by: int) -> None:
        self.lent += by
        self._short_until = time.monotonic() + SHORT
        self._reports.picture()
        if by < 0:
            self._loop.after(SHORT, self._reports.picture)

    def keeps(self, look_again: Callable[[], None]) -> bool:
        """Whether slots beyond those wanted stay for now, since the next wait would need them; if so, when to look again.

        They stay idle: the pool never has more jobs under way than it is to have slots.
        """
        left = self._short_until - time.monotonic()
        if left > 0 and not self._looks:
            self._looks = True
            self._loop.after(left + 0.01, lambda: self._look(look_again))
        return left > 0

    def _look(self, look_again: Callable[[], None]) -> None:
        self._looks = False
        look_again()

    def window(self, slots: int) -> int:
        """Leases to hold at most, those of lent slots not counted."""
        if self.lent or time.monotonic() < self._short_until:
            return min(self._window, 2 * max(1, slots - self.lent) + 2)
        return self._window
