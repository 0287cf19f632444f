"""Removed accounts: what is left of them goes, at once and whatever happens to the server.

A level-triggered loop over the rows of accounts that were removed, so a server that dies goes on where it was. Each of its acts
is short and harmless if it is done again. Accounts that nothing was left of are looked at again now and then: a request that was
under way while its account was removed may have written something.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from picloud.server.storage import now_ms
from picloud.store import removal as store
from picloud.store.account import removal as accounts
from picloud.store.act import kill

if TYPE_CHECKING:
    from picloud.server.control import Control

log = logging.getLogger("picloud.removal")

AGAIN = 1.0
"""Seconds between two looks at an account of which something is left."""
ALL = 3600.0
"""Seconds between two looks at all that were ever removed."""
BREATH = 0.02
"""Seconds between two bites, for everybody else."""
WHY = "the account was removed"


class Removal:
    """The removed accounts of this installation."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._news = asyncio.Event()

    def changed(self) -> None:
        """An account was removed."""
        self._news.set()

    async def run(self) -> None:
        """Clear away, until cancelled."""
        clock = asyncio.get_running_loop().time
        due = clock()
        while True:
            self._news.clear()
            everything = clock() >= due
            if everything:
                due = clock() + ALL
            try:
                left = await self._look(everything)
            except Exception:
                log.exception("removed accounts; the next look tries again")
                left = True
            try:
                async with asyncio.timeout(AGAIN if left else max(0.0, due - clock())):
                    await self._news.wait()
            except TimeoutError:
                continue

    async def _look(self, everything: bool) -> bool:
        """One round; whether something is left."""
        for one in await self._control.storage.read(lambda tx: accounts.going(tx, cleared=everything)):
            await self._clear(one.id)
        return bool(await self._control.storage.read(accounts.going))

    async def _clear(self, account: int) -> None:
        storage = self._control.storage
        await storage.note(store.stop, account, now_ms())
        await self._end_work(account)
        after: int | None = 0
        while after is not None:
            after = await storage.note(store.jobs, account, after)
            await asyncio.sleep(BREATH)
        for bite in store.BITES:
            while await storage.note(bite, account):  # noqa: ASYNC110 - bites, not polling
                await asyncio.sleep(BREATH)
        if not await storage.read(store.is_left, account):
            await storage.note(accounts.clear, account, now_ms())
            log.info("nothing is left of removed account %d", account)

    async def _end_work(self, account: int) -> None:
        """Reserved cores are released, jobs killed, their workers ended."""
        await self._control.realtime.stop(account, WHY)
        more = True
        while more:
            ended, running = await self._control.storage.write(kill.kill, account, None, now_ms())
            self._control.dispatcher.kill(ended, running, account)
            more = ended.more
        for kind in {worker.kind.id for worker in self._control.fleet if worker.kind.account == account}:
            await self._control.placer.retire(kind)
