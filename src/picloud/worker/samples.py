"""What one running job uses, from the gauges of its sandbox.

A gauge counts since the sandbox was made, and may have served other jobs before; a :class:`Meter` begins with the gauge at
its job's begin, so that its figures are that job's alone.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from msgspec import structs

from picloud.sandbox.base import Gauge
from picloud.wire.message import Figures, Outcome, Sample
from picloud.worker.pace import Pace

EVERY = 2.0  # seconds between two samples of a job
LAST = 60_000  # milliseconds of samples that a death certificate tells
_COUNTED = ("limit_hits", "refused", "kernel_kills", "disk_read", "disk_written", "net_in", "net_out")
_NOTHING = Sample(0, 0, 0, 0, 0, 0, 0)
_HELD = ("cache", "swap", "disk_used")


class Meter:
    """The samples of one attempt.

    Args:
        before: the gauge when the attempt began.
        limit: bytes of RAM that the attempt may use; 0 = no limit.
    """

    def __init__(self, jid: int, n: int, before: Gauge, limit: int) -> None:
        self._jid, self._n, self._before = jid, n, before
        self.figures = Figures(memory_limit=limit or None)
        self.peak = 0
        self.due = 0.0  # when the next sample is taken, seconds of the monotonic clock
        self.pace = Pace()  # of looks at the memory alone
        self.forks_refused = 0
        self.disk_used: int | None = None  # bytes, as the last look at the disk saw it
        self.disk_due = 0.0  # when the disk is looked at next
        self.walking = False  # a look at the disk is under way
        self.said: dict[str, int] = {}  # what the Pi log was told already, with counts
        self.last: deque[Sample] = deque(maxlen=LAST // int(EVERY * 1000) + 1)

    def sample(self, gauge: Gauge, at_ms: int) -> Sample:
        """Take in a look at the sandbox.

        Args:
            at_ms: milliseconds since the attempt began.
        """
        self.peak = max(self.peak, gauge.memory)
        self.forks_refused = _since(self._before.forks_refused, gauge.forks_refused) or 0
        counted = {name: _since(getattr(self._before, name), getattr(gauge, name)) for name in _COUNTED}
        held = {name: getattr(gauge, name) for name in _HELD} | {"disk_used": self.disk_used}
        for name, value in (*counted.items(), *held.items()):
            seen = getattr(self.figures, name)
            if value is not None and (seen is None or value > seen):
                setattr(self.figures, name, value)
        last = self.last[-1] if self.last else _NOTHING  # what a process used may be forgotten with it
        made = Sample(
            self._jid,
            self._n,
            at_ms,
            max(last.cpu_user_us, gauge.cpu_user_us - self._before.cpu_user_us),
            max(last.cpu_system_us, gauge.cpu_system_us - self._before.cpu_system_us),
            gauge.memory or last.memory,
            self.peak,
            processes=gauge.processes,
            **counted,
            **held,
        )
        self.last.append(made)
        return made

    def into(self, outcome: Outcome) -> None:
        """Put the figures of the whole attempt into its outcome."""
        last = self.last[-1] if self.last else None
        if last is not None:  # what the runner counted lacks children that nobody waited for
            outcome.cpu_user_us = max(outcome.cpu_user_us, last.cpu_user_us)
            outcome.cpu_system_us = max(outcome.cpu_system_us, last.cpu_system_us)
        outcome.peak_memory = max(outcome.peak_memory, self.peak)
        outcome.figures = self.figures

    def last_minute(self) -> list[dict[str, int]]:
        """The newest samples, for a death certificate."""
        since = self.last[-1].at_ms - LAST if self.last else 0
        return [plain(sample) for sample in self.last if sample.at_ms >= since]


def plain(sample: Sample) -> dict[str, int]:
    """A sample as plain values, without whose it is and what is not known."""
    told: dict[str, Any] = structs.asdict(sample)
    return {name: value for name, value in told.items() if value is not None and name not in ("jid", "n")}


def _since(before: int | None, now: int | None) -> int | None:
    return None if now is None else max(0, now - (before or 0))
