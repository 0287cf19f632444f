"""Samples of running jobs: the newest in memory, thinned out and written to the store now and then.

Kept are the first five minutes whole, the last minute whole, and of what lies between one sample in thirty seconds. A row of
the store holds a minute, or an hour of the thinned ones; it is written again while it grows. A control process that dies
takes the samples of a few seconds with it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterable

from picloud.server.hub import Hub
from picloud.server.storage import Storage
from picloud.store import sample as rows
from picloud.wire.message import Finished, Sample

log = logging.getLogger("picloud.sampling")

WHOLE = 300_000  # milliseconds from an attempt's begin of which every sample is kept
MINUTE, HOUR = 60_000, 3_600_000
THIN = 30_000  # milliseconds between two samples that are kept of later times
WRITE_EVERY = 10.0  # seconds


class Series:
    """The samples of one attempt."""

    def __init__(self, account: int, n: int) -> None:
        self.account, self.n = account, n
        self.last: deque[Sample] = deque()  # of the last minute
        self._row: list[Sample] = []  # of the row that grows
        self._dirty = False
        self._number = -1
        self._full: list[tuple[int, list[Sample]]] = []  # rows that grow no more, with their numbers

    def add(self, sample: Sample) -> None:
        """Take in a sample that is later than all others."""
        self.last.append(sample)
        while self.last[0].at_ms < sample.at_ms - MINUTE:
            self.last.popleft()
        self._dirty = True
        whole = sample.at_ms < WHOLE
        if not whole and self._row and sample.at_ms - self._row[-1].at_ms < THIN:
            return
        number = sample.at_ms // MINUTE if whole else WHOLE + sample.at_ms // HOUR
        if number != self._number and self._row:
            self._full.append((self._row[0].at_ms, self._row))
            self._row = []
        self._number = number
        self._row.append(sample)

    def taken(self, jid: int) -> list[rows.Row]:
        """The rows that have changed since this was asked last."""
        if not self._dirty:
            return []
        self._dirty = False
        full, self._full = self._full, []
        made = [(jid, self.n, start, list(row)) for start, row in full]
        if self._row:
            made.append((jid, self.n, self._row[0].at_ms, list(self._row)))
        if self.last[-1].at_ms >= WHOLE:
            made.append((jid, self.n, rows.LAST, list(self.last)))
        return made

    def cpu(self) -> float | None:
        """Per cent of one core in use between the newest two samples, or since the begin."""
        now = self.last[-1]
        before = self.last[-2] if len(self.last) > 1 else None
        used = now.cpu_user_us + now.cpu_system_us - (before.cpu_user_us + before.cpu_system_us if before else 0)
        span = now.at_ms - (before.at_ms if before else 0)
        return round(max(0, used) / span / 10, 1) if span > 0 else None


class Sampling:
    """What workers tell of the running jobs of all accounts."""

    def __init__(self, storage: Storage, hub: Hub) -> None:
        self._storage, self._hub = storage, hub
        self._series: dict[int, Series] = {}
        self._ended: list[tuple[int, Series]] = []  # with their jids; their last samples are not written yet
        self._pen = asyncio.Lock()

    def heard(self, account: int, samples: Iterable[Sample]) -> None:
        """Samples of running attempts, already known to be the teller's own."""
        for sample in samples:
            series = self._series.get(sample.jid)
            if series is None or series.n != sample.n:
                self._end(sample.jid)
                series = self._series[sample.jid] = Series(account, sample.n)
            if not series.last or sample.at_ms > series.last[-1].at_ms:
                series.add(sample)
                self._hub.ring(sample.jid)

    def latest(self, account: int, jid: int) -> Series | None:
        """What is known of a running job of the account."""
        series = self._series.get(jid)
        return series if series is not None and series.account == account and series.last else None

    async def read(self, account: int, jid: int) -> list[Sample]:
        """All samples that are kept of the newest sampled attempt of a job, those of the last seconds included."""
        await self.write()
        return await self._storage.read(rows.read, account, jid)

    def ended(self, finished: list[Finished]) -> None:
        """Jobs have ended: nothing more will come of them."""
        if self._series:
            for item in finished:
                self._end(item.jid)

    def _end(self, jid: int) -> None:
        if (series := self._series.pop(jid, None)) is not None:
            self._ended.append((jid, series))

    async def write(self) -> None:
        """Write what has come."""
        async with self._pen:
            ended, self._ended = self._ended, []
            made = [row for jid, series in (*ended, *self._series.items()) for row in series.taken(jid)]
            if made:
                await self._storage.note(rows.keep, made)

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await asyncio.sleep(WRITE_EVERY)
            try:
                await self.write()
            except Exception:
                log.exception("samples of jobs were not kept")
