"""Looks after running jobs a few times a second, only while there are any: start reports, live output, samples, memory."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from picloud.sandbox.base import Journaled
from picloud.wire.message import Lease, LogChunk, Sample, Samples, ToServer
from picloud.worker import death, remarks
from picloud.worker.kernel import KernelLog
from picloud.worker.logs import LIVE
from picloud.worker.loop import Loop
from picloud.worker.order import Order
from picloud.worker.pace import TURN
from picloud.worker.running import Running
from picloud.worker.samples import EVERY, Meter
from picloud.worker.slot import Slot

MOMENT = TURN  # seconds; jobs that run longer are reported as started
EACH = round(LIVE / MOMENT)  # turns between two looks at a job's output
FIRST_AFTER = 0.25  # seconds; jobs that run longer are sampled
SELDOM = 10.0  # seconds between two looks at a disk that does not fill
HOW = "ended by the worker, which looks several times a second"


class Reports(Protocol):
    def started(self, leases: list[Lease]) -> None: ...
    def printed(self, chunks: list[LogChunk]) -> None: ...
    def tell(self, message: ToServer) -> None: ...


class Watch:
    """One for all slots of a worker."""

    def __init__(self, loop: Loop, order: Order, slots: list[Slot], reports: Reports, further: Callable[[float], None]) -> None:
        self._loop, self._order, self._slots, self._reports = loop, order, slots, reports
        self._kernel_log = KernelLog(loop, slots)
        self._further = further  # what else looks at running jobs
        self._on = False
        self._turn = 0

    def wake(self) -> None:
        """A job has begun."""
        if not self._on:
            self._on = True
            self._loop.after(MOMENT, self._look)

    def _look(self) -> None:
        now = time.monotonic()
        self._turn += 1
        started: list[Lease] = []
        taken: list[Sample] = []
        busy = False
        for slot in self._slots:
            job = slot.job
            if job is None:
                slot.rest()
                continue
            busy = True
            if job.before is None:
                job.before = slot.gauge()
            if now - job.began >= MOMENT:
                self._tend(slot, job, now, started, taken)
        self._further(now)
        if started:
            self._reports.started(started)
        if taken:
            self._reports.tell(Samples(taken))
        self._on = busy
        if busy:
            self._loop.after(MOMENT, self._look)

    def _tend(self, slot: Slot, job: Running, now: float, started: list[Lease], taken: list[Sample]) -> None:
        """Look after one job that runs for longer than a moment."""
        age = now - job.began
        if not job.told:
            job.told = True
            started.append(job.lease)
        if age >= LIVE and self._turn % EACH == 0:
            self._output(slot, job, now)
        if age < FIRST_AFTER or job.before is None:
            return
        if job.meter is None:
            job.meter = Meter(*job.key, job.before, self._order.memory_limit)
            remarks.first(slot, job, self._order)
        if not slot.quarters.kernel_limits and now >= job.meter.pace.due:
            self._memory(slot, job, job.meter, now)
        if now >= job.meter.due:
            job.meter.due = now + EVERY
            if (made := slot.sample(job)) is not None:
                taken.append(made)
                remarks.of(slot, job, made, self._order.memory_limit)
            if self._order.disk and now >= job.meter.disk_due and not job.meter.walking:
                self._disk(slot, job, job.meter)

    def _output(self, slot: Slot, job: Running, now: float) -> None:
        slot.take_output(job)
        if job.job_log is not None and now - job.shown >= LIVE and (chunks := job.job_log.take(now)):
            job.shown = now
            self._reports.printed(chunks)

    def _memory(self, slot: Slot, job: Running, meter: Meter, now: float) -> None:
        """End a job that passes its limit, where the kernel does not."""
        limit = self._order.memory_limit
        if slot.process is None:
            return
        used = slot.quarters.held()
        job.peak = max(job.peak, used)
        if limit and used > limit and job.ending is None:
            slot.sample(job)  # for its certificate: afterwards nothing is left to look at
            slot.cut_down(job, death.out_of_memory(used, HOW, self._order))
        wait = meter.pace.looked(used, limit, now - job.began, now)
        if 0 < wait < MOMENT and job.ending is None:
            self._loop.after(wait, lambda: self._memory_again(slot, job, meter))

    def _memory_again(self, slot: Slot, job: Running, meter: Meter) -> None:
        """Between two turns, of a job that comes near its limit fast."""
        now = time.monotonic()
        if slot.job is job and now >= meter.pace.due:
            self._memory(slot, job, meter, now)

    def _disk(self, slot: Slot, job: Running, meter: Meter) -> None:
        """Look at what the job holds on disk, in a thread; end it where that is more than it may."""
        sandbox, limit = slot.sandbox, self._order.disk
        if not isinstance(sandbox, Journaled):
            return
        meter.walking = True

        def seen(used: int | None, error: BaseException | None) -> None:
            meter.walking = False
            if used is None or slot.job is not job:
                return
            meter.disk_due = time.monotonic() + (EVERY if used != meter.disk_used else SELDOM)
            meter.disk_used = used
            if used > limit and job.ending is None:
                slot.cut_down(job, death.disk_full(used, limit))

        self._loop.work(sandbox.disk, seen)
