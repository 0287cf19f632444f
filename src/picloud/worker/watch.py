"""Looks after running jobs a few times a second, only while there are any: start reports, live output, memory."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from picloud.wire.message import Lease, LogChunk
from picloud.worker import death, samples
from picloud.worker.logs import LIVE
from picloud.worker.loop import Loop
from picloud.worker.order import Order
from picloud.worker.slot import Running, Slot

MOMENT = 0.1  # seconds; jobs that run longer are reported as started
MEMORY_AFTER = 0.25  # seconds; memory of shorter jobs is not looked at


class Reports(Protocol):
    def started(self, leases: list[Lease]) -> None: ...
    def printed(self, chunks: list[LogChunk]) -> None: ...


class Watch:
    """One for all slots of a worker."""

    def __init__(
        self, loop: Loop, order: Order, slots: list[Slot], reports: Reports, look: Callable[[list[Slot], float], None]
    ) -> None:
        self._loop, self._order, self._slots, self._reports = loop, order, slots, reports
        self._further = look  # what else looks at running jobs
        self._on = False

    def wake(self) -> None:
        """A job has begun."""
        if not self._on:
            self._on = True
            self._loop.after(MOMENT, self._look)

    def _look(self) -> None:
        now, started = time.monotonic(), []
        busy = [slot for slot in self._slots if slot.job is not None]
        for slot in busy:
            job = slot.job
            if job is None or now - job.began < MOMENT:
                continue
            if not job.told:
                job.told = True
                started.append(job.lease)
            if now - job.began >= LIVE:
                self._output(slot, job, now)
            if now - job.began >= MEMORY_AFTER:
                self._memory(slot, job)
        self._further(busy, now)
        if started:
            self._reports.started(started)
        self._on = bool(busy)
        if busy:
            self._loop.after(MOMENT, self._look)

    def _output(self, slot: Slot, job: Running, now: float) -> None:
        slot.take_output(job)
        if job.job_log is not None and now - job.shown >= LIVE and (chunks := job.job_log.take(now)):
            job.shown = now
            self._reports.printed(chunks)

    def _memory(self, slot: Slot, job: Running) -> None:
        if slot.process is None:
            return
        used, limit = samples.memory(slot.process.pid), self._order.memory_limit
        job.peak = max(job.peak, used)
        if limit and used > limit and job.ending is None:
            slot.cut_down(job, death.out_of_memory(used, limit, "ended by the worker, which looks several times a second"))
