"""Look into a queue and take nothing.

messages(tx, queue, now, limit) -> list[Seen]       those that are next, in their order; what is in hand last
jobs(tx, queue, limit) -> list[(jid, status, attachment, version)]   of its handlers, former ones too, that have not ended
versions(tx, queue, limit) -> list[Version]         its handlers, the present one and former ones, the newest first
"""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Connection, LargeBinary, and_, bindparam, func, select

from picloud.store.queue.schema import REMOVED, attachment, body, handler, message
from picloud.store.rows import constant, run
from picloud.store.schema import job
from picloud.wire.job import FIRST_FINAL

HEAD = 2048
"""Bytes of a message that are looked at."""


class Seen(NamedTuple):
    """A message that rests where it is."""

    id: int
    due: int  # epoch ms: when it is handed out, or comes back; schema.NEVER = when its job ends
    held: int  # 1: somebody has it
    pushed: int
    given: int
    retries: int
    deaths: int
    kind: int
    size: int
    head: bytes
    blob: str  # where its bytes are, if they are many


class Version(NamedTuple):
    """A handler that a queue has or had."""

    version: int
    name: str
    created: int  # epoch ms
    ended: int | None  # when another one took its place, or it was detached


def messages(tx: Connection, queue: int, now: int, limit: int) -> list[Seen]:
    """The next messages of a queue by the time at which they are handed out, or come back."""
    rows = run(tx, _NEXT, queue=queue, limit=limit).fetchall()
    return [_seen(now, *row) for row in rows]


def _seen(now: int, number: int, due: int, batch: int, *row: Any) -> Seen:
    *numbers, head, blob = row
    return Seen._make([number, due, int(bool(batch) and due > now), *numbers, bytes(head or b""), blob or ""])


def jobs(tx: Connection, queue: int, limit: int) -> list[tuple[int, int, int, int]]:
    """Jobs of a queue's handlers that have not ended: jid, status, number of the attachment, its version."""
    return [tuple(map(int, row)) for row in run(tx, _JOBS, queue=queue, limit=limit).fetchall()]  # type: ignore[misc]


def versions(tx: Connection, queue: int, limit: int) -> list[Version]:
    """The newest handlers of a queue."""
    return [Version(*row) for row in run(tx, _VERSIONS, queue=queue, limit=limit).fetchall()]


_limit = bindparam("limit", type_=BigInteger)
_VERSIONS = (
    select(*(attachment.c[name] for name in Version._fields))
    .where(attachment.c.queue == bindparam("queue", type_=BigInteger))
    .order_by(attachment.c.version.desc())
    .limit(_limit)
)
_m = message.c
_chosen = (
    select(_m.id, _m.due, _m.batch, _m.pushed, _m.given, _m.retries, _m.deaths, _m.kind, _m.size, _m.data, _m.body)
    .where(_m.queue == bindparam("queue", type_=BigInteger), _m.due < constant(REMOVED))
    .order_by(_m.due, _m.id)
    .limit(_limit)
    .subquery("chosen")
)
_c = _chosen.c
_bytes = func.coalesce(body.c.data, _c.data, type_=LargeBinary)
_NEXT = (
    select(_c.id, _c.due, _c.batch, _c.pushed, _c.given, _c.retries, _c.deaths, _c.kind, _c.size,
           func.substr(_bytes, constant(1), constant(HEAD), type_=LargeBinary), body.c.blob)
    .select_from(_chosen.outerjoin(body, and_(body.c.id == _c.body, _c.body != constant(0))))
    .order_by(_c.due, _c.id)
)  # fmt: skip
_JOBS = (
    select(job.c.jid, job.c.status, attachment.c.id, attachment.c.version)
    .join_from(handler, attachment, attachment.c.id == handler.c.attachment)
    .join(job, job.c.jid == handler.c.jid)
    .where(
        attachment.c.queue == bindparam("queue", type_=BigInteger),
        handler.c.ended == constant(0),
        job.c.status < constant(int(FIRST_FINAL)),
    )
    .order_by(job.c.jid.desc())
    .limit(_limit)
)
