"""The figures of /metrics that are found out when somebody asks: from the store, the fleet and the disks.

A look is good for some seconds, whoever asks and however often.
"""

from __future__ import annotations

import asyncio
import os
import resource
import time
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from picloud import __version__
from picloud.server.fullness import disks
from picloud.server.metrics import Family, Sample
from picloud.server.storage import now_ms
from picloud.store import overview
from picloud.store.db import Transaction
from picloud.store.overview import Jobs, Queued
from picloud.store.queue.tally import WINDOW

if TYPE_CHECKING:
    from picloud.server.control import Control

FRESH = 5.0
"""Seconds that a look is good for."""
QUEUES = 200
"""The fullest queues are shown one by one."""


class Overview:
    """What /metrics shows."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._found: list[Family] = []
        self._until = 0.0
        self._turn = asyncio.Lock()

    async def all(self) -> list[Family]:
        """Every family there is, in the same order each time."""
        async with self._turn:
            if time.monotonic() >= self._until:
                self._found = await self._look()
                self._until = time.monotonic() + FRESH
        return [*self._control.metrics.families(), *self._found]

    async def _look(self) -> list[Family]:
        control, now = self._control, now_ms()

        def stored(tx: Transaction) -> tuple[list[Jobs], list[Queued], int, int]:
            return overview.jobs(tx), *overview.queues(tx, now, QUEUES), overview.database_size(tx)

        jobs, queues, count, size = await control.storage.read(stored)
        there = await asyncio.to_thread(disks, control.settings)
        folders = [(("folder", disk.folder), disk) for disk in there]
        return [
            _gauge("picloud_jobs", "Unfinished jobs by state and core type; those that wait for others have no type.",
                   (Sample((("state", one.state), ("core_type", one.core_type)), one.amount) for one in jobs)),
            *_queues(queues, count, now),
            *_workers(control),
            _gauge("picloud_disk_bytes", "Size of the disks that we write to.",
                   (Sample((name,), disk.total) for name, disk in folders)),
            _gauge("picloud_disk_free_bytes", "What is free on them for us.",
                   (Sample((name,), disk.free) for name, disk in folders)),
            _gauge("picloud_database_bytes", "Size of the database.", [Sample((), size)]),
            *_process(control),
        ]  # fmt: skip


def _gauge(name: str, told: str, samples: Iterable[Sample]) -> Family:
    return Family(name, "gauge", told, list(samples))


def _queues(found: list[Queued], count: int, now: int) -> list[Family]:
    named = [((("account", one.account), ("queue", one.name)), one) for one in found]
    rates = [(labels, ("direction", way), getattr(one.lately, field) * 1000 / WINDOW) for labels, one in named
             for way, field in (("in", "came"), ("out", "went"), ("failed", "failed"), ("retried", "retried"))]  # fmt: skip
    ages = [Sample(labels, max(0, now - one.inside.oldest) / 1000) for labels, one in named if one.inside.oldest is not None]
    return [
        _gauge("picloud_queues", f"Queues there are; the {QUEUES} fullest are shown below.", [Sample((), count)]),
        _gauge("picloud_queue_messages", "Messages that wait.", (Sample(labels, one.inside.waiting) for labels, one in named)),
        _gauge("picloud_queue_in_flight", "Messages handed out and not ended.",
               (Sample(labels, one.inside.in_hand) for labels, one in named)),
        _gauge("picloud_queue_dead", "Dead letters.", (Sample(labels, one.inside.dead) for labels, one in named)),
        _gauge("picloud_queue_oldest_seconds", "Age of the message that is next.", ages),
        _gauge("picloud_queue_rate", "Messages a second in the last whole 10 s.",
               (Sample((*labels, way), value) for labels, way, value in rates)),
    ]  # fmt: skip


def _workers(control: Control) -> list[Family]:
    workers: Counter[Any] = Counter()
    slots: Counter[Any] = Counter()
    for each in control.fleet:
        core_type, busy = ("core_type", each.kind.core_type), min(len(each.held), each.slots)
        workers[core_type, ("state", "connected" if each.connected else "away")] += 1
        slots[core_type, ("state", "busy")] += busy
        slots[core_type, ("state", "idle")] += each.slots - busy
    capacity = control.engine.capacity()
    return [
        _gauge("picloud_workers", "Worker processes.", (Sample(labels, count) for labels, count in sorted(workers.items()))),
        _gauge("picloud_slots", "Slots for jobs, by whether a job is in them.",
               (Sample(labels, count) for labels, count in sorted(slots.items()))),
        _gauge("picloud_cores", "Cores of the machine for jobs.", [Sample((), capacity.cores)]),
        _gauge("picloud_compute_units", "Compute units that they come to.", [Sample((), capacity.units / 1000)]),
    ]  # fmt: skip


def _process(control: Control) -> list[Family]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    with open("/proc/self/statm") as file:
        resident = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return [
        Family("picloud_process_cpu_seconds_total", "counter", "Processor time of the control process.",
               [Sample((), used.ru_utime + used.ru_stime)]),
        _gauge("picloud_process_resident_bytes", "Memory of the control process.", [Sample((), resident)]),
        _gauge("picloud_start_time_seconds", "When the server was started, seconds of the epoch.", [Sample((), control.started)]),
        _gauge("picloud_info", "Always 1.", [Sample((("version", __version__),), 1)]),
    ]  # fmt: skip
