"""Delivers what is in the outbox: a loop that asks the store what is due, and a task for each message under way.

A message is sent at least once. Who receives it tells repeats by ``webhook-id``, which stays the same.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from typing import TYPE_CHECKING, TypedDict

from picloud.server.outward import Answer, post
from picloud.server.storage import now_ms
from picloud.settings import networks
from picloud.store.secret.secret import Sealed
from picloud.store.webhook import delivery as store
from picloud.store.webhook.delivery import Due
from picloud.wire.webhook import sign

if TYPE_CHECKING:
    from picloud.server.control import Control

log = logging.getLogger("picloud.webhooks")

PAUSE = 0.5
"""Seconds between two looks."""
AT_ONCE, EACH = 32, 4
"""Messages under way: in all, and of one account, so that one whose receiver is slow holds up no other."""
WAITS = (5, 60, 300, 1800, 7200, 21_600, 43_200)
"""Seconds before the second, third, .. try; after the last one a message is given up."""
GONE = 410
"""The status by which a receiver says that it wants no more of it."""


class Webhooks:
    """All deliveries of this installation."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._networks = networks(control.settings)
        self._under_way: dict[int, Due] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Deliver until cancelled."""
        try:
            while True:
                await asyncio.sleep(PAUSE)
                try:
                    await self.look(now_ms())
                except Exception:
                    log.exception("webhooks")
        finally:
            for task in self._tasks:
                task.cancel()

    async def look(self, now: int) -> None:
        """Begin to deliver what is due at ``now`` (epoch ms), as far as there is room. A restored server tells nobody anything
        before it may go on."""
        room = AT_ONCE - len(self._under_way)
        if room <= 0 or self._control.dispatcher.held:
            return
        each = Counter(due.account for due in self._under_way.values())
        busy = [account for account, count in each.items() if count >= EACH]
        for due in await self._control.storage.read(store.due, now, AT_ONCE * EACH, busy):
            if due.id not in self._under_way and each[due.account] < EACH and len(self._under_way) < AT_ONCE:
                each[due.account] += 1
                self._under_way[due.id] = due
                task = asyncio.ensure_future(self._deliver(due, now))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def settled(self) -> None:
        """Wait until nothing is under way."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _deliver(self, due: Due, now: int) -> None:
        try:
            answer = await self._sent(due, now)
            over = not answer.trouble or answer.status == GONE or due.label is None or due.tries >= len(WAITS)
            wait = None if over else WAITS[due.tries] * 1000
            await self._control.storage.write(store.tried, due.id, answer.status, answer.trouble, wait, now)
        except Exception:
            log.exception("delivery %d; it is tried again", due.id)
        finally:
            del self._under_way[due.id]

    async def _sent(self, due: Due, now: int) -> Answer:
        if due.label is None or due.key is None or due.data is None:
            return Answer(0, "its webhook was removed")
        opened = self._control.vault.open(due.account, place(due.label), Sealed([], due.key, due.data))
        if opened is None:
            return Answer(0, "its signing secret cannot be opened: make a new one")
        body, timestamp = due.body.encode(), now // 1000
        headers = {
            "Content-Type": "application/json",
            "webhook-id": due.event,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": sign(opened["secret"], due.event, timestamp, body),
        }
        return await post(due.url, headers, body, self._networks)


def place(label: str) -> str:
    """Under which name the vault seals the signing secret of a label: none that a secret can have."""
    return f"webhook/{label}"


class DeliveryShown(TypedDict):
    """A delivery as JSON. Times are epoch ms."""

    id: int
    jid: int
    event: str
    url: str
    state: str
    tries: int
    answer: int | None  # HTTP status of the last try
    trouble: str
    created: int
    due: int | None  # of the next try
    ended: int | None


def shown(one: store.Delivery) -> DeliveryShown:
    """See there."""
    return {"id": one.id, "jid": one.jid, "event": one.event, "url": one.url, "state": store.State(one.state).name,
            "tries": one.tries, "answer": one.answer or None, "trouble": one.trouble, "created": one.created, "due": one.due,
            "ended": one.ended}  # fmt: skip
