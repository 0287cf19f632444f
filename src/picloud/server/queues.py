"""Those who wait for messages, and what wakes them.

The truth is the store's. A request for messages that finds none waits for the **bell** of its queue, which is rung after
each transaction that may have made something visible, and when the next delay or deadline ends. A ring wakes the one who has
waited longest; who then takes all that it wanted, or may take nothing, passes it on to the next.

Handing out is no promise: should a power cut undo it, the message is there again and its ticket holds no more. Only what a plain
pop takes is on disk before it is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from picloud.server.alarms import Alarms
from picloud.server.storage import Storage, now_ms
from picloud.store.db import Transaction
from picloud.store.queue import exchange as acts
from picloud.store.queue import message as messages
from picloud.store.queue.exchange import Found
from picloud.wire import queue as wire
from picloud.wire.error import Unavailable
from picloud.wire.queue import Hold, Message


class Waiter:
    """One request that waits."""

    def __init__(self, ring: int, jid: int) -> None:
        self.bell = asyncio.Event()
        self.heard = ring  # the newest ring that it was woken for
        self.jid = jid  # the job that asks; 0 = it is none of an attachment
        self.gone = False  # nobody would read the answer, or nothing more shall be given

    def leave(self) -> None:
        """The one who asked has gone, or has to go."""
        self.gone = True
        self.bell.set()


class Queues:
    """All waiting of this process."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._waiting: dict[int, list[Waiter]] = {}  # by queue, the longest first
        self._alarms = Alarms(self._due)
        self._rings = 0
        self._closed = False
        self.rung: Callable[[Iterable[int]], None] = lambda queues: None  # told of each ring

    def ring(self, queues: Iterable[int]) -> None:
        """Something may be visible in these queues that was not."""
        self._rings += 1
        for number in queues:
            self._wake(number)
        self.rung(queues)

    def _wake(self, number: int) -> None:
        """Wake one who has not heard the newest ring."""
        for waiter in self._waiting.get(number, ()):
            if waiter.heard < self._rings:
                waiter.heard = self._rings
                waiter.bell.set()
                return

    async def push(self, account: int, asked: wire.Push) -> int:
        """Store new messages; how many were new. Errors as for ``store.queue.exchange.push``."""
        count, rung = await self._storage.write(acts.push, account, asked, now_ms())
        if asked.delay_ms:
            for number in rung:
                self._remind(number, now_ms() + asked.delay_ms)
        else:
            self.ring(rung)
        return count

    async def exchange(self, account: int, asked: wire.Exchange, jid: int = 0, of: int = 0) -> Found:
        """End messages and hand out more, without waiting for any; see ``store.queue.exchange.exchange``."""
        write = self._storage.write if asked.units or asked.hold == Hold.removed else self._storage.note
        found = await write(acts.exchange, account, asked, now_ms(), jid=jid, of=of)
        if found.rung:
            self.ring(found.rung)
            for number in found.rung if asked.units else ():
                await self._look_ahead(number)
        return found

    def waiter(self, number: int, jid: int = 0) -> Waiter:
        """A place among those who wait for a queue; give it back with :meth:`forget`."""
        made = Waiter(self._rings, jid)
        self._waiting.setdefault(number, []).append(made)
        return made

    def forget(self, number: int, waiter: Waiter) -> None:
        """It waits no more; what it was woken for and did not look at is another's."""
        waiting = self._waiting[number]
        waiting.remove(waiter)
        if not waiting:
            del self._waiting[number]
        elif waiter.bell.is_set():
            self._wake(number)

    def waits(self, jid: int) -> bool:
        """Whether a reader of this job waits for messages."""
        return any(waiter.jid == jid for waiting in self._waiting.values() for waiter in waiting)

    def dismiss(self, jid: int) -> None:
        """A job of an attachment gets nothing more: let those of its readers go that wait."""
        for waiting in self._waiting.values():
            for waiter in waiting:
                if waiter.jid == jid:
                    waiter.leave()

    async def wait(self, found: Found, asked: wire.Exchange, waiter: Waiter) -> list[Message]:
        """Messages for a batch that has none, as soon as there are some; none when its time is up, or its asker gone.

        Raises:
            Unavailable: the server stops: the next one answers.
        """
        loop, number = asyncio.get_running_loop(), found.batch.queue
        until = loop.time() + asked.timeout_ms / 1000
        write = self._storage.write if asked.hold == Hold.removed else self._storage.note
        while not waiter.gone:
            if self._closed:
                raise Unavailable("the server stops", hint="ask again")
            waiter.bell.clear()
            taken = await write(_more, found, asked)
            if not taken or len(taken) == asked.take:
                self._wake(number)
            if taken or loop.time() >= until:
                return taken
            await self._look_ahead(number)
            try:
                async with asyncio.timeout_at(until):
                    await waiter.bell.wait()
            except TimeoutError:
                return []
        return []

    async def _look_ahead(self, number: int) -> None:
        """Have the bell rung when the next delay or deadline ends."""
        due = await self._storage.read(messages.next_due, number, now_ms())
        if due is not None:
            self._remind(number, due)

    def _remind(self, number: int, due: int) -> None:
        self._alarms.set(number, max(0.0, (due - now_ms()) / 1000) + 0.001)

    def _due(self, number: int) -> None:
        self.ring([number])

    def close(self) -> None:
        """Let everybody go, now and from now on."""
        self._closed = True
        self._alarms.close()
        for waiting in self._waiting.values():
            for waiter in waiting:
                waiter.bell.set()


def _more(tx: Transaction, found: Found, asked: wire.Exchange) -> list[Message]:
    now = now_ms()
    return acts.more(tx, found.batch, asked.take, acts.until(asked, now), now)
