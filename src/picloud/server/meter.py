"""Who may begin further work: the accounts whose money is used up, where the settings say that this stops them.

A level-triggered loop over the accounts whose work has ended since the last look, over those that have reserved cores, and over
those that are stopped. Nothing here is truth: what was spent are rows. What was given out before the look goes on; so an account
spends a second of its work too much at most, and what runs longer, unless that is ended.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from picloud.server.storage import now_ms
from picloud.settings import free_amount
from picloud.store import account as accounts
from picloud.store.act import kill
from picloud.store.meter import credit, spent
from picloud.store.meter.credit import Standing
from picloud.wire.job import Cause
from picloud.wire.message import Recall
from picloud.wire.money import DAY

if TYPE_CHECKING:
    from picloud.server.control import Control

log = logging.getLogger("picloud.meter")

PAUSE = 1.0
"""Seconds between two looks."""
SETTLED = 60_000
"""Milliseconds of a month until what the one before has cost is all written: reserved cores are paid a few seconds late."""

OFF = "the account is switched off"


class Meter:
    """The money of all accounts, as far as it decides anything."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._touched: set[int] = set()
        self._known: set[int] = set()
        self._opened: set[int] = set()  # accounts whose free hours of this month are written down
        self._earlier: dict[int, dict[int, int]] = {}  # account -> what it spent on each day before this month
        self._month = 0
        self.free = free_amount(control.settings)
        self.stopped: dict[int, str] = {}  # account -> why it begins nothing further
        self.off: set[int] = set()  # accounts that are switched off
        self._gone: set[int] = set()  # those of them that are removed

    def touch(self, account: int) -> None:
        """Work of an account has ended, or its money has changed."""
        self._touched.add(account)

    async def switch(self, account: int, active: bool) -> None:
        """An account was switched off, or on again: what it runs is killed, what waits goes on waiting."""
        if active:
            self.off.discard(account)
        else:
            self.off.add(account)
            self.stopped.pop(account, None)  # without credit it may have run on
        await self._look_at(account, now_ms(), False)

    def remove(self, account: int) -> None:
        """An account that is switched off was removed: no month begins for it."""
        self._gone.add(account)

    async def standing(self, account: int, now: int) -> Standing:
        """How an account stands at ``now`` (epoch ms)."""
        return await self._control.storage.read(credit.standing, account, now, self.free)

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(PAUSE)
            try:
                await self.look(now_ms())
            except Exception:
                log.exception("a look at the accounts' money failed; the next one tries again")

    async def look(self, now: int) -> None:
        """Stop who has used up what there was, let those go on who have more.

        Args:
            now: epoch ms.
        """
        month = credit.month_of(now)
        touched, self._touched = self._touched | self._control.realtime.accounts, set()
        if not self._month:
            self.off = await self._control.storage.read(accounts.closed)
            self._gone = self.off - {one.id for one in await self._control.storage.read(accounts.every)}
            touched |= self.off
        if month != self._month:
            self._known, self._opened, self._earlier = set(), set(), {}
        if self._control.settings.spending_stops:
            touched |= await self._new()
        try:
            for account in sorted(touched | self.stopped.keys()):
                await self._look_at(account, now, account in touched)
        except BaseException:
            self._touched |= touched
            raise
        self._month = month

    async def _new(self) -> set[int]:
        """Accounts that were not looked at in this month: they may have nothing to begin with."""
        there = {one.id for one in await self._control.storage.read(accounts.every)}
        new, self._known = there - self._known, there
        return new

    async def _look_at(self, account: int, now: int, touched: bool) -> None:
        if touched and account not in self._opened | self._gone:
            await self._control.storage.note(credit.open_month, account, now, self.free)
            self._opened.add(account)
        why = await self._reason(account, now)
        if why and account not in self.stopped:
            self.stopped[account] = why
            log.warning("account %d begins no further work: %s", account, why)
            await self._stop(account)
        elif why:
            self.stopped[account] = why
        elif self.stopped.pop(account, None):
            self._control.dispatcher.wake()
            self._control.attachments.look_at_all()

    async def _reason(self, account: int, now: int) -> str:
        """Why an account may begin nothing further; "" = it may."""
        if account in self.off:
            return OFF
        if not self._control.settings.spending_stops:
            return ""
        read, month = self._control.storage.read, credit.month_of(now)
        earlier = self._earlier.get(account)
        if earlier is None:
            days = await read(spent.days, account, 0)
            earlier = {day: amount for day, amount in days.items() if day * DAY < month}
            if now - month > SETTLED:
                self._earlier[account] = earlier
        return (await read(credit.standing, account, now, self.free, earlier)).stops

    async def _stop(self, account: int) -> None:
        """What has not begun goes back; handlers finish what they hold; reserved cores are released; what runs is ended if the
        settings say so."""
        for worker in self._control.fleet:
            if worker.kind.account == account:
                worker.send(Recall())
        self._control.attachments.look_at_all()
        await self._control.realtime.stop(account, self.stopped[account])
        if account in self.off:
            await self._end(account, Cause.killed)
        elif self._control.settings.spending_ends:
            await self._end(account, Cause.spending_limit)

    async def _end(self, account: int, cause: Cause) -> None:
        jids = await self._control.storage.read(credit.running, account)
        if jids:
            ranges = [(jid, 1) for jid in jids]
            ended, running = await self._control.storage.write(kill.kill, account, ranges, now_ms(), limit=len(jids), cause=cause)
            self._control.dispatcher.kill(ended, running, account)
