"""Queues of one account, as tests of the store see them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from picloud.store.db import Database
from picloud.store.queue import dead, exchange, message, queue
from picloud.store.queue.exchange import Found
from picloud.wire.queue import Body, End, Exchange, Hold, Message, Output, Push, Unit

_tokens = itertools.count(1)


class Ticket(NamedTuple):
    """A message that was handed out."""

    message: int
    batch: int
    data: bytes


class Queues:
    """An account's queues, with a clock of their own in ms."""

    def __init__(self, db: Database, account: int = 1) -> None:
        self.db, self.account, self.now = db, account, 1_000_000

    def act(self, act: Callable[..., Any], *args: Any, **more: Any) -> Any:
        return self.db.write(lambda tx: act(tx, *args, **more)).result(30)

    def push(self, name: str, *texts: bytes, delay_ms: int = 0, keys: Sequence[str] = (), token: bytes = b"") -> int:
        asked = Push(token or self.token(), name, [Body(0, each) for each in texts], delay_ms, list(keys))
        count: int = self.act(exchange.push, self.account, asked, self.now)[0]
        return count

    def token(self) -> bytes:
        return next(_tokens).to_bytes(16, "big")

    def exchange(self, name: str, *units: Unit, jid: int = 0, take: int = 0, hold: Hold = Hold.deadline, token: bytes = b"",
                 **more: Any) -> Found:  # fmt: skip
        asked = Exchange(token or self.token(), name, list(units), take=take, hold=int(Hold.job if jid else hold),
                         deadline_ms=more.pop("deadline_ms", 30_000), **more)  # fmt: skip
        found: Found = self.act(exchange.exchange, self.account, asked, self.now, jid=jid)
        return found

    def take(self, name: str, wanted: int = 10, **more: Any) -> list[Ticket]:
        found = self.exchange(name, take=wanted, **more)
        return [Ticket(each.id, found.batch.id, each.data) for each in found.messages]

    def pop(self, name: str, wanted: int = 10) -> list[bytes]:
        return [each.data for each in self.exchange(name, take=wanted, hold=Hold.removed).messages]

    def count(self, name: str) -> queue.Count:
        found: queue.Count = self.act(lambda tx: queue.count(tx, queue.find(tx, self.account, name), self.now))
        return found

    def number(self, name: str) -> int:
        return int(self.act(queue.find, self.account, name).id)

    def dead(self, name: str) -> list[dead.Dead]:
        found: list[dead.Dead] = self.act(dead.listing, self.number(name))
        return found

    def bereaved(self, jid: int, blamed: int = 1) -> set[int]:
        rung: set[int] = self.act(exchange.bereaved, jid, blamed=blamed, now=self.now)
        return rung


def ended(ticket: Ticket, end: End = End.ack, **more: Any) -> Unit:
    return Unit(ticket.message, ticket.batch, int(end), **more)


__all__ = ["Message", "Output", "Queues", "Ticket", "ended", "message"]
