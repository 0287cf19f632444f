"""The attempt that a slot has in hand."""

from __future__ import annotations

import time

from picloud.sandbox.base import Gauge
from picloud.wire.job import Failure
from picloud.wire.mask import Mask
from picloud.wire.message import Lease, Outcome, Spec
from picloud.worker.guests import Guests
from picloud.worker.logs import JobLog
from picloud.worker.loop import Timer
from picloud.worker.order import Order
from picloud.worker.samples import Meter


class Running:
    """See the module."""

    __slots__ = (
        "before", "began", "ending", "job_log", "key", "lease", "meter", "peak", "shown", "spec", "started_ms", "timers",
        "told", "waits", "lends", "guests", "lent", "lent_since", "first", "last", "mask",
    )  # fmt: skip

    def __init__(self, lease: Lease, spec: Spec) -> None:
        self.lease, self.spec, self.key = lease, spec, (lease.jid, lease.n)
        self.began, self.started_ms = time.monotonic(), int(time.time() * 1000)
        self.ending: Failure | None = None  # why the worker is ending it
        self.job_log: JobLog | None = None
        self.mask: Mask | None = None  # it has secrets
        self.timers: tuple[Timer, ...] = ()
        self.peak = 0
        self.shown = 0.0  # when its output was sent last
        self.told = False  # that it has started
        self.waits = 0  # requests under way that wait for other jobs, or for messages
        self.lends = False  # enough of them: its slot is lent
        self.before: Gauge | None = None  # of its sandbox, when it began
        self.lent = self.lent_since = 0.0  # seconds that it was lent before; when it was lent last
        self.first = self.last = 0.0  # of a handler: when it was answered about messages first and last
        self.guests: Guests | None = None  # who have come by ssh
        self.meter: Meter | None = None  # once it is sampled

    def hide(self, mask: Mask, order: Order) -> None:
        """Whatever it says passes this mask; so it has a log from the beginning."""
        self.mask = mask
        self.job_log = JobLog(*self.key, order.log_head, order.log_tail, mask)

    @property
    def named(self) -> str:
        """The attempt as requests name it."""
        return f"{self.key[0]}.{self.key[1]}.{self.lease.lease.hex()}"

    def lend(self, lends: bool) -> None:
        """Its slot is lent from now on, or is its own again."""
        now, self.lends = time.monotonic(), lends
        if lends:
            self.lent_since = now
        else:
            self.lent += now - self.lent_since

    def answered(self) -> None:
        """One of its readers got messages, or word that others are ended; from any thread."""
        self.last = time.monotonic()
        self.first = self.first or self.last

    def unpaid_us(self, outcome: Outcome) -> int:
        """How much of its run time nobody pays for: what was lent, and before a handler's first message and after its last
        one. (One that did not end well may have died with messages in hand; until then it pays.)"""
        now = time.monotonic()
        begun, over = self.began, now
        if self.spec.options.queue:
            begun, over = self.first or now, self.last if not outcome.cause else now
        lent = self.lent + (max(0.0, over - self.lent_since) if self.lends else 0.0)
        paid = max(0.0, over - begun - lent)
        return max(0, outcome.runtime_us - int(paid * 1e6)) if self.spec.options.queue else int(lent * 1e6)
