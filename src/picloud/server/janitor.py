"""The slow loops: retry times that come, clients that vanished, old rows and bytes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from picloud.sandbox.layer import Layers
from picloud.server.dispatcher import Dispatcher
from picloud.server.storage import Storage, now_ms
from picloud.settings import Settings
from picloud.store import account as accounts
from picloud.store import blob as blobs
from picloud.store import closing, code, environment, layer, retention
from picloud.store.act import accept, close, lease
from picloud.store.files import Files

log = logging.getLogger("picloud.janitor")

TICK = 0.5
VANISHED_EVERY = 15.0
RETENTION_EVERY = 3600.0
BLOBS_EVERY = 6 * 3600.0
CODE_EVERY = 24 * 3600.0
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

    async def run(self) -> None:
        """Chores until cancelled, each in a loop of its own: a long one delays no other."""
        await asyncio.gather(
            self._again_and_again("due", TICK, self._due),
            self._again_and_again("closing", TICK, self._closing),
            self._again_and_again("vanished", VANISHED_EVERY, self._vanished),
            self._again_and_again("retention", RETENTION_EVERY, self._retention),
            self._again_and_again("blobs", BLOBS_EVERY, self._blobs),
            self._again_and_again("code", CODE_EVERY, self._code),
        )

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
        """Payloads and logs, job rows, login tickets go after their time."""
        await self._storage.note(accounts.expire, now_ms())
        for remove, days in ((retention.payloads, self._settings.keep_payloads), (retention.jobs, self._settings.keep_jobs)):
            while await self._storage.note(remove, now_ms() - int(days * 1000)):  # noqa: ASYNC110 - bites, not polling
                await asyncio.sleep(BREATH)
        before = now_ms() - max(int(self._settings.keep_jobs * 1000), UNUSED_MS)
        done: int | None = 0
        while done is not None:
            done = await self._storage.note(retention.submissions, before, done)
            await asyncio.sleep(BREATH)

    async def _code(self) -> None:
        """Functions and modules that no submission needs go after a day."""
        before = now_ms() - UNUSED_MS
        newest, loose = await self._storage.read(code.every)
        for until in range(newest, 0, -WALK):
            if not loose:
                return
            loose -= await self._storage.read(code.named, until - WALK, until)
            await asyncio.sleep(BREATH)
        unneeded = sorted(loose)
        for at in range(0, len(unneeded), AT_ONCE):
            await self._storage.note(code.remove, set(unneeded[at : at + AT_ONCE]), newest, before)
            await asyncio.sleep(BREATH)

    async def _blobs(self) -> None:
        """Bytes that no row names go: condemned after a day, deleted a cycle later."""
        await self._storage.write(environment.forget, now_ms() - UNUSED_MS)
        await self._storage.write(layer.sweep, now_ms() - UNUSED_MS)
        await self._unpacked()
        _, gone = await self._storage.write(blobs.sweep, now_ms() - UNUSED_MS, now_ms())
        for blob in gone:
            await asyncio.to_thread(self._files.delete, blob)
        await asyncio.to_thread(self._files.sweep)

    async def _unpacked(self) -> None:
        """Unpacked layers of this host go when they are stored no more and no worker shows them."""
        place = Path(self._settings.home) / "layers"
        if place.is_dir():
            kept = await self._storage.read(layer.every)
            await asyncio.to_thread(lambda: Layers(place).sweep(kept))
