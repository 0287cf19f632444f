"""The clock of all crons: one timer, to the next time of any of them.

It is set anew when a cron comes, changes or goes; nothing is asked of the store in between. A time and the job that comes of it
are one transaction, so whoever dies before it commits has done nothing, and whoever dies behind it has nothing left to do.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from itertools import groupby
from typing import TYPE_CHECKING

from picloud.server.storage import now_ms
from picloud.store.call import cron as store
from picloud.store.call.cron import Ticked
from picloud.store.db import Transaction
from picloud.wire.error import CloudException, Unavailable

if TYPE_CHECKING:
    from picloud.server.control import Control

log = logging.getLogger("picloud.crons")

LOOK = 20.0
"""Seconds after which the wall clock is compared with ours: it may have been set, or the machine have slept."""
AGAIN = 2.0
"""Seconds after which we ask again where the disk is full, or the database away."""


class Crons:
    """All crons of this installation."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._news = asyncio.Event()

    def changed(self) -> None:
        """A cron came, changed or went."""
        self._news.set()

    async def by_hand(self, account: int, label: str, token: bytes) -> int:
        """Run one now; the jid.

        Raises:
            CloudException: there is none, or it cannot be submitted.
        """
        self._control.storage.check_space()
        made = await self._accept(lambda tx: store.by_hand(tx, account, label, token, now_ms()), account)
        return made.jids[0]

    async def run(self) -> None:
        """Run crons at their times, until cancelled."""
        while True:
            try:
                self._news.clear()
                due = await self._control.storage.read(store.next_due)
                if await self._until(due):
                    await self._tick()
            except Unavailable as error:
                log.warning("crons have to wait: %s", error.parameter)
                await asyncio.sleep(AGAIN)
            except Exception:
                log.exception("crons")
                await asyncio.sleep(AGAIN)

    async def _until(self, due: int | None) -> bool:
        """Wait for that time; False where something changed before."""
        while due is None or now_ms() < due:
            left = None if due is None else min(LOOK, max(due - now_ms(), 1) / 1000)
            try:
                async with asyncio.timeout(left):
                    await self._news.wait()
                return False
            except TimeoutError:
                continue
        return True

    async def _tick(self) -> None:
        """Submit the jobs of all whose time has come."""
        while found := await self._control.storage.read(store.due, now_ms()):
            self._control.storage.check_space()
            for account, some in groupby(sorted(found), key=lambda one: one[0]):
                await self._submit(account, [number for _, number in some])

    async def _submit(self, account: int, numbers: list[int]) -> None:
        try:
            await self._accept(lambda tx: store.tick(tx, numbers, now_ms()), account)
        except Unavailable:
            raise
        except CloudException as error:
            if len(numbers) > 1:  # one of them; the others have their right
                for number in numbers:
                    await self._submit(account, [number])
                return
            log.warning("cron %d cannot be submitted: %s", numbers[0], error.parameter)
            await self._control.storage.write(store.spoil, numbers[0], error.parameter, now_ms())

    async def _accept(self, act: Callable[[Transaction], Ticked], account: int) -> Ticked:
        def accepting(tx: Transaction) -> tuple[Ticked, set[int]]:
            made = act(tx)
            return made, made.ready

        return await self._control.dispatcher.accept(accepting, account)
