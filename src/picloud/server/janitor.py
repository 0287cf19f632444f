"""The slow loops: retry times that come, clients that vanished, old rows and bytes."""

from __future__ import annotations

import asyncio
import logging
import time

from picloud.server.dispatcher import Dispatcher
from picloud.server.placement import Placer
from picloud.server.storage import Storage, now_ms
from picloud.settings import Settings
from picloud.store import account as accounts
from picloud.store.act import accept, lease

log = logging.getLogger("picloud.janitor")

VANISHED_EVERY = 15.0
RETENTION_EVERY = 3600.0


class Janitor:
    """Each chore is one short act, harmless if two servers do it at once."""

    def __init__(self, storage: Storage, dispatcher: Dispatcher, placer: Placer, settings: Settings) -> None:
        self._storage, self._dispatcher, self._placer, self._settings = storage, dispatcher, placer, settings
        self._last: dict[str, float] = {}

    async def run(self) -> None:
        """Chores until cancelled; one that fails is logged and comes again."""
        while True:
            await asyncio.sleep(0.25)
            for name, period, chore in (
                ("due", 0.25, self._due),
                ("vanished", VANISHED_EVERY, self._vanished),
                ("retention", RETENTION_EVERY, self._retention),
            ):
                if time.monotonic() - self._last.get(name, 0.0) >= period:
                    self._last[name] = time.monotonic()
                    try:
                        await chore()
                    except Exception:
                        log.exception("chore %s failed", name)

    async def _due(self) -> None:
        """Jobs whose retry time came become ready."""
        next_due = await self._storage.read(lease.next_due)
        if next_due is not None and next_due <= now_ms():
            self._dispatcher.more(await self._storage.write(lease.due, now_ms()))

    async def _vanished(self) -> None:
        """Jids that a client announced and never sent end as killed, cause not_sent."""
        before = now_ms() - int(self._settings.not_sent_after * 1000)
        self._dispatcher.settle(await self._storage.write(accept.vanished, before, now_ms()))

    async def _retention(self) -> None:
        """Old login tickets and tokens go."""
        await self._storage.note(accounts.expire, now_ms())
