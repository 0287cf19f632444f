"""The attempt that a slot has in hand."""

from __future__ import annotations

import time

from picloud.sandbox.base import Gauge
from picloud.wire.job import Failure
from picloud.wire.message import Lease, Spec
from picloud.worker.guests import Guests
from picloud.worker.logs import JobLog
from picloud.worker.loop import Timer
from picloud.worker.samples import Meter


class Running:
    """See the module."""

    __slots__ = (
        "before", "began", "ending", "job_log", "key", "lease", "meter", "peak", "shown", "spec", "started_ms", "timers",
        "told", "waits", "guests",
    )  # fmt: skip

    def __init__(self, lease: Lease, spec: Spec) -> None:
        self.lease, self.spec, self.key = lease, spec, (lease.jid, lease.n)
        self.began, self.started_ms = time.monotonic(), int(time.time() * 1000)
        self.ending: Failure | None = None  # why the worker is ending it
        self.job_log: JobLog | None = None
        self.timers: tuple[Timer, ...] = ()
        self.peak = 0
        self.shown = 0.0  # when its output was sent last
        self.told = False  # that it has started
        self.waits = 0  # requests under way that wait for other jobs
        self.before: Gauge | None = None  # of its sandbox, when it began
        self.guests: Guests | None = None  # who have come by ssh
        self.meter: Meter | None = None  # once it is sampled
