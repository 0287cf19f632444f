"""The jobs of attachments: as many as there is work for, none where there is none.

A level-triggered loop. Whatever happens only names a queue to be looked at; the look itself asks the store what is there, and
starts jobs, or tells some to leave. So nothing depends on an event that was missed: each queue is looked at again while messages
wait. A job that has ended is never tried again; the next look replaces it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

from picloud.server.alarms import Alarms
from picloud.server.storage import now_ms
from picloud.store.db import Transaction
from picloud.store.queue import attachment as store
from picloud.store.queue import message as messages
from picloud.store.queue.attachment import Need
from picloud.wire.error import CloudException, Forbidden, NotFound
from picloud.wire.job import FIRST_FINAL, Cause, Status
from picloud.wire.message import Finished

if TYPE_CHECKING:
    from picloud.server.control import Control

log = logging.getLogger("picloud.attachments")

BATCH = 10
"""Messages that a reader is expected to have in hand: for so many visible ones a further reader is wanted."""
IMPATIENT_MS = 500
"""A visible message that waits longer gets a further job, however few there are."""
MOMENT = 0.1
"""Seconds between two looks at the same queue."""
AGAIN = 1.0
"""Seconds after which a queue is looked at again whose messages wait."""
TICK = 15.0
"""Seconds after which every queue is looked at, in case of anything."""
STARVED, SLICE = 2.0, 5.0
"""Seconds after which a job that has not begun makes one of another handler leave that has run for so long: on few cores all
handlers of a pipeline get their turns."""
LONGEST_PAUSE = 60.0
"""Seconds between two jobs of a handler whose jobs end in error without having handled anything."""


INNOCENT = (Cause.none, Cause.killed, Cause.worker_lost)
"""Ends of a job that say nothing about its handler."""


class Handling:
    """One job of an attachment, as long as it lives."""

    def __init__(self, jid: int, attachment: int, queue: int, now: float) -> None:
        self.jid, self.attachment, self.queue = jid, attachment, queue
        self.submitted = self.busy = now  # busy: when it last got or ended a message; the loop's clock
        self.began = 0.0  # when it asked for the first time; 0 = it has not
        self.worked = False  # it has ended one
        self.leaving = False


class Attachments:
    """All attachments of this installation. A ``server.hub.Follower`` of their jobs."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._jobs: dict[int, Handling] = {}
        self._attached: set[int] = set()  # queues that have a handler
        self._dirty: set[int] = set()
        self._news = asyncio.Event()
        self._looked: dict[int, float] = {}  # queue -> when it was looked at last; the loop's clock
        self._alarms = Alarms(self._now)
        self._closed = False
        self._failures: dict[int, int] = {}  # attachment -> jobs in a row that ended in error without any work
        self._trouble: dict[int, str] = {}  # attachment -> what keeps it from working
        self._not_before: dict[int, float] = {}  # attachment -> when its next job may start; the loop's clock

    async def open(self) -> None:
        """At start: take up what an earlier server began."""
        self._attached = {one.queue for one in await self._control.storage.read(store.live)}
        for one in await self._control.storage.read(store.alive):
            self._follow(one.jid, one.attachment, one.queue)
            await self._look(one.jid)
        self.look_at(self._attached)

    def close(self) -> None:
        """The server stops, and its workers: handlers finish what they hold, and no others start."""
        self._closed = True
        self._dismiss(list(self._jobs.values()))

    # -- what happens ---------------------------------------------------------------------------------------------

    def look_at(self, queues: Iterable[int]) -> None:
        """Something changed in these queues. One that was looked at a moment ago has to wait for the next."""
        now = asyncio.get_running_loop().time()
        for number in self._attached.intersection(queues):
            spent = now - self._looked.get(number, 0.0)
            if spent < MOMENT:
                self._later(number, MOMENT - spent)
            else:
                self._dirty.add(number)
                self._news.set()

    def look_at_all(self) -> None:
        """Something changed for all queues of an account."""
        self.look_at(self._attached)

    def attached(self, queue: int) -> None:
        """A queue got a handler, or another one."""
        self._attached.add(queue)
        self.look_at([queue])

    def trouble(self, attachment: int) -> str:
        """What keeps a handler from working; "" = nothing."""
        return self._trouble.get(attachment, "")

    async def handling(self, jid: int) -> Handling:
        """What a job handles.

        Raises:
            Forbidden: it is no job of an attachment.
        """
        if jid not in self._jobs:  # it may be quicker than the word that it was accepted
            found = await self._control.storage.read(store.handled_by, jid)
            if found is None:
                raise Forbidden(f"job {jid} handles no queue", jid=jid, hint="take tickets with a deadline")
            self._follow(jid, *found)
        one = self._jobs[jid]
        one.leaving = one.leaving or self._closed
        one.began = one.began or asyncio.get_running_loop().time()
        return one

    def worked(self, one: Handling, ended: bool) -> None:
        """A job got messages, or has ended some."""
        one.busy = asyncio.get_running_loop().time()
        if ended and not one.worked:
            one.worked = True
            self._failures.pop(one.attachment, None)
            self._trouble.pop(one.attachment, None)

    async def is_idle(self, one: Handling) -> bool:
        """Whether a job that found nothing has had nothing to do for long enough; it leaves then."""
        loop = asyncio.get_running_loop()
        if loop.time() - one.busy < self._control.settings.handler_idle - 0.05:
            return False
        if await self._control.storage.read(messages.holds, one.queue, one.jid):
            return False
        one.leaving = True
        self._control.queues.dismiss(one.jid)
        return True

    def relieve(self) -> bool:
        """Have the job leave that has waited for messages the longest; False where none waits."""
        idle = [one for one in self._jobs.values() if not one.leaving and self._control.queues.waits(one.jid)]
        self._dismiss(sorted(idle, key=lambda one: one.busy)[:1])
        return bool(idle)

    def offer(self, finished: list[Finished]) -> None:
        """Jobs of ours ended."""
        for item in finished:
            self._control.spawn(self._look(item.jid))

    def lose(self) -> None:
        """One ended without a result at hand: look at all."""
        for jid in list(self._jobs):
            self._control.spawn(self._look(jid))

    def _follow(self, jid: int, attachment: int, queue: int) -> None:
        if jid not in self._jobs:
            self._jobs[jid] = Handling(jid, attachment, queue, asyncio.get_running_loop().time())
            self._control.hub.follow(self, jid)

    async def _look(self, jid: int) -> None:
        """Whether a job has ended: then what it held comes back."""
        ended = await self._control.storage.write(store.ended, jid, now_ms())
        if ended is None:
            return
        one = self._jobs.pop(jid, None)
        self._control.hub.unfollow([jid])
        self._judge(jid, ended.attachment, ended.cause, one)
        self._control.queues.ring(ended.rung)
        if one is not None:
            self.look_at([one.queue])

    def _judge(self, jid: int, attachment: int, cause: Cause, one: Handling | None) -> None:
        """Handlers that cannot even begin are tried less and less often."""
        if cause in INNOCENT or (one is not None and one.worked):
            self._failures.pop(attachment, None)
            self._trouble.pop(attachment, None)
            return
        failures = self._failures[attachment] = self._failures.get(attachment, 0) + 1
        pause = min(LONGEST_PAUSE, 0.5 * 2**failures)
        self._not_before[attachment] = asyncio.get_running_loop().time() + pause
        told = f"job {jid} ended by {cause.name} before it handled anything; the next begins in {pause:.0f} s"
        self._trouble[attachment] = told
        log.warning("attachment %d: %s", attachment, told)

    # -- the loop -------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Look at queues, until cancelled."""
        while True:
            try:
                async with asyncio.timeout(TICK):
                    await self._news.wait()
            except TimeoutError:
                self._dirty |= self._attached
            self._news.clear()
            queues, self._dirty = self._dirty, set()
            for number in sorted(queues):
                try:
                    await self._level(number)
                except CloudException as error:
                    log.warning("the handler of queue %d has to wait: %s", number, error.parameter)
                    self._later(number, AGAIN)
                except Exception:
                    log.exception("queue %d", number)
                    self._later(number, AGAIN)

    async def _level(self, number: int) -> None:
        """Bring one queue's jobs to their number."""
        self._looked[number] = asyncio.get_running_loop().time()
        need = await self._control.storage.read(store.need, number, BATCH, now_ms())
        there = [jid for jid, status in need.jobs if status < FIRST_FINAL]
        here = [self._jobs[jid] for jid in there if jid in self._jobs]
        current = need.attachment
        if current is None:
            self._attached.discard(number)
            self._dismiss(here)
            return
        if current.account in self._control.meter.stopped:
            self._dismiss(here)
            return
        ours = [one for one in here if one.attachment == current.id]
        self._dismiss([one for one in here if one.attachment != current.id] + ours[current.max_jobs :])
        if not need.visible or need.paused or self._closed:
            return
        self._make_room(ours)
        staying = sum(not one.leaving for one in ours)
        count = min(_wanted(need, current) - staying, current.max_jobs - len(there))
        if count > 0:
            await self._start(current, count)
        self._later(number, AGAIN)

    async def _start(self, current: store.Attachment, count: int) -> None:
        pause = self._not_before.get(current.id, 0.0) - asyncio.get_running_loop().time()
        if pause > 0:
            self._later(current.queue, pause)
            return
        made: list[int] = []

        def act(tx: Transaction) -> tuple[store.Started, set[int]]:
            found = store.start(tx, current, count, now_ms())
            made[:] = found.jids
            return found, found.ready

        try:
            await self._control.dispatcher.accept(act, current.account, count)
        except NotFound as error:  # an environment or a volume that is gone
            self._trouble[current.id] = error.parameter
            log.warning("attachment %d cannot start: %s", current.id, error.parameter)
            self._not_before[current.id] = asyncio.get_running_loop().time() + LONGEST_PAUSE
            return
        for jid in made:
            self._follow(jid, current.id, current.queue)
        for jid in made:
            await self._look(jid)

    def _make_room(self, ours: list[Handling]) -> None:
        """Where a job of an attachment waits for a slot: have the one leave that has held its slot the longest. The next look at
        its queue submits another in its place, which waits in turn."""
        now = asyncio.get_running_loop().time()
        if any(not one.began and now - one.submitted > STARVED for one in ours):
            others = {one.attachment for one in ours}
            busy = [one for one in self._jobs.values() if one.began and not one.leaving and one.attachment not in others]
            self._dismiss([one for one in sorted(busy, key=lambda one: one.began)[:1] if now - one.began > SLICE])

    def _dismiss(self, some: list[Handling]) -> None:
        """Have these jobs finish what they hold and leave."""
        for one in some:
            if not one.leaving:
                one.leaving = True
                self._control.queues.dismiss(one.jid)

    def _later(self, number: int, seconds: float) -> None:
        """Look at a queue in a while."""
        self._alarms.set(number, seconds)

    def _now(self, number: int) -> None:
        self._dirty.add(number)
        self._news.set()


def _wanted(need: Need, current: store.Attachment) -> int:
    """How many jobs an attachment should have that has something to do."""
    wanted = -(-need.visible // (BATCH * current.attach.readers))
    there = [status for _, status in need.jobs if status < FIRST_FINAL]
    if need.waited_ms > IMPATIENT_MS and all(status == Status.processing for status in there):
        wanted = max(wanted, len(there) + 1)
    return min(wanted, current.max_jobs)
