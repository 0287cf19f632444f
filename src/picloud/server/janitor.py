"""The slow loops: retry times that come, clients that vanished, old rows and bytes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from picloud.sandbox.layer import Layers
from picloud.server.dispatcher import Dispatcher
from picloud.server.fullness import disks
from picloud.server.storage import Storage, now_ms
from picloud.settings import Settings
from picloud.store import account as accounts
from picloud.store import audit, closing, code, environment, layer, retention
from picloud.store import blob as blobs
from picloud.store.act import accept, close, lease
from picloud.store.call import past
from picloud.store.files import Files
from picloud.store.index import repeat
from picloud.store.queue import batch, dead, queue, tally
from picloud.store.webhook import delivery

log = logging.getLogger("picloud.janitor")

TICK = 0.5
VANISHED_EVERY = 15.0
RETENTION_EVERY = 3600.0
BLOBS_EVERY = 6 * 3600.0
CODE_EVERY = 24 * 3600.0
QUEUES_EVERY = 10.0
DISKS_EVERY = 60.0
ANSWER_MS = 600_000
"""For so long the same request to a queue gets the same answer."""
TALLIES_MS = 24 * 3_600_000
UNUSED_MS = 24 * 3_600_000
BREATH = 0.05
"""Seconds between two bites of retention, for everybody else."""
WALK = 20_000
"""Submissions looked at in one read."""
AT_ONCE = 20
"""Pieces of code removed in one act; each may be megabytes."""


class Janitor:
    """Each chore is one short act, harmless if two servers do it at once."""

    def __init__(self, storage: Storage, dispatcher: Dispatcher, files: Files, settings: Settings) -> None:
        self._storage, self._dispatcher, self._files, self._settings = storage, dispatcher, files, settings
        self._full = set[str]()  # folders whose disks were too full at the last look

    async def run(self) -> None:
        """Chores until cancelled, each in a loop of its own: a long one delays no other."""
        await asyncio.gather(
            self._again_and_again("due", TICK, self._due),
            self._again_and_again("closing", TICK, self._closing),
            self._again_and_again("vanished", VANISHED_EVERY, self._vanished),
            self._again_and_again("retention", RETENTION_EVERY, self._retention),
            self._again_and_again("blobs", min(BLOBS_EVERY, self._settings.keep_unused / 4), self._blobs),
            self._again_and_again("code", CODE_EVERY, self._code),
            self._again_and_again("queues", QUEUES_EVERY, self._queues),
            self._again_and_again("disks", DISKS_EVERY, self._disks),
        )

    async def sweep(self) -> None:
        """All that removes what is old or unused, now; harmless beside the loops."""
        for chore in (self._retention, self._code, self._blobs, self._queues):
            await chore()

    async def _again_and_again(self, name: str, period: float, chore: Callable[[], Awaitable[None]]) -> None:
        """One chore; if it fails, that is logged and it comes again."""
        await asyncio.sleep(TICK)
        while True:
            try:
                await chore()
            except Exception:
                log.exception("chore %s failed", name)
            await asyncio.sleep(period)

    async def _due(self) -> None:
        """Jobs whose retry time came become ready."""
        next_due = await self._storage.read(lease.next_due)
        if next_due is not None and next_due <= now_ms() + TICK * 1000:
            await asyncio.sleep(max(0.0, (next_due - now_ms()) / 1000))
            self._dispatcher.more(await self._storage.write(lease.due, now_ms()))

    async def _vanished(self) -> None:
        """Jids that a client announced and never sent end as killed, cause not_sent."""
        before = now_ms() - int(self._settings.not_sent_after * 1000)
        self._dispatcher.settle(await self._storage.write(accept.vanished, before, now_ms()))

    async def _closing(self) -> None:
        """Jobs that ended unsent in great numbers get their rows."""
        while await self._storage.read(closing.any_left):
            self._dispatcher.settle(await self._storage.write(close.proceed, now_ms()))
            await asyncio.sleep(BREATH)

    async def _retention(self) -> None:
        """Payloads and logs, job rows, runs of crons, messages of webhooks, login tickets, links, rows of the audit log go."""
        await self._storage.note(accounts.expire, now_ms())
        while await self._storage.note(audit.expire, now_ms() - int(self._settings.keep_audit * 1000)):  # noqa: ASYNC110 - bites
            await asyncio.sleep(BREATH)
        for remove, days in ((retention.payloads, self._settings.keep_payloads), (retention.jobs, self._settings.keep_jobs)):
            while await self._storage.note(remove, now_ms() - int(days * 1000)):  # noqa: ASYNC110 - bites, not polling
                await asyncio.sleep(BREATH)
        while await self._storage.note(delivery.expire, now_ms() - int(self._settings.keep_payloads * 1000)):  # noqa: ASYNC110
            await asyncio.sleep(BREATH)
        before = now_ms() - max(int(self._settings.keep_jobs * 1000), UNUSED_MS)
        while await self._storage.note(past.expire, before):  # noqa: ASYNC110 - bites, not polling
            await asyncio.sleep(BREATH)
        done: int | None = 0
        while done is not None:
            done = await self._storage.note(retention.submissions, before, done)
            await asyncio.sleep(BREATH)

    async def _code(self) -> None:
        """Functions and modules that no submission needs go after a day."""
        before = now_ms() - UNUSED_MS
        newest, loose = await self.loose_code()
        unneeded = sorted(loose)
        for at in range(0, len(unneeded), AT_ONCE):
            await self._storage.note(code.remove, set(unneeded[at : at + AT_ONCE]), newest, before)
            await asyncio.sleep(BREATH)

    async def loose_code(self) -> tuple[int, set[code.Piece]]:
        """The number of the newest submission, and the pieces that none up to it needs."""
        newest, loose = await self._storage.read(code.every)
        until = newest
        while until and loose:
            loose -= await self._storage.read(code.named, until - WALK, until)
            await asyncio.sleep(BREATH)
            until = await self._storage.read(code.newest, until - WALK)
        return newest, loose

    async def _blobs(self) -> None:
        """Bytes that no row names go: condemned after a day, deleted after another one."""
        await self._storage.note(repeat.forget, now_ms())
        await self._storage.write(environment.forget, now_ms() - UNUSED_MS)
        await self._storage.write(layer.sweep, now_ms() - UNUSED_MS)
        await self._unpacked()
        kept = int(self._settings.keep_unused * 1000)
        while due := (await self._storage.write(blobs.sweep, now_ms() - kept, now_ms()))[1]:
            await asyncio.to_thread(self._files.delete, *due)  # the rows after the bytes: else a crash would leave these for ever
            await self._storage.note(blobs.forget, due)
            await asyncio.sleep(BREATH)
        await asyncio.to_thread(self._files.sweep)

    async def _queues(self) -> None:
        """What was not read in time is set aside; answers that arrived long ago, old counts and deleted queues go."""
        note = self._storage.note
        bites: list[Callable[[], Awaitable[object]]] = [
            lambda: note(dead.expire, now_ms()),
            lambda: note(batch.sweep, now_ms() - ANSWER_MS),
            lambda: note(queue.forget),
        ]
        for bite in bites:
            while await bite():  # noqa: ASYNC110 - bites, not polling
                await asyncio.sleep(BREATH)
        await note(tally.expire, now_ms() - TALLIES_MS)

    async def _disks(self) -> None:
        """That a disk fills up is said when it comes to be so, and not again before it was better."""
        found = {disk.folder: disk for disk in await asyncio.to_thread(disks, self._settings)}
        limit = self._settings.warn_disk
        full = {folder for folder, disk in found.items() if limit and disk.full >= limit}
        for folder in sorted(full - self._full):
            log.warning("%s; picloud du tells what takes room, picloud gc removes what is old", found[folder].told())
        self._full = full

    async def _unpacked(self) -> None:
        """Unpacked layers of this host go when they are stored no more and no worker shows them."""
        place = Path(self._settings.home) / "layers"
        if place.is_dir():
            kept = await self._storage.read(layer.every)
            await asyncio.to_thread(lambda: Layers(place).sweep(kept))
