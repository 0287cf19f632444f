"""Attachments: handlers of queues, each a version of its own, and the jobs that run them.

attach(tx, account, asked, host, env, now) -> Attached     a queue has one handler: this one replaces the one in force
detach(tx, account, name, now) -> bool
resize(tx, account, name, max_jobs)                        NotFound
live(tx) -> list[Attachment] / of_queue(tx, account, name) -> Attachment | None
need(tx, queue, per_reader, now) -> Need                   what the loop that keeps the number of jobs looks at
start(tx, attachment, count, now) -> Started               further jobs, under the row's lock
alive(tx) -> list[Handler]                                 all whose end has not been seen to
ended(tx, jid, now) -> Ended                               a job has ended: what it held comes back
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import msgspec
from msgspec import structs
from sqlalchemy import BigInteger, Connection, and_, bindparam, case, func, insert, select, update

from picloud.store.call import stored
from picloud.store.queue import exchange
from picloud.store.queue import queue as queues
from picloud.store.queue.schema import attachment, handler, message, queue
from picloud.store.rows import EVERY, Listed, add, as_list, constant, one, pack, run
from picloud.store.schema import attempt, job, worker
from picloud.wire.call import NOTHING
from picloud.wire.error import NotFound
from picloud.wire.job import FIRST_FINAL, Cause, Status
from picloud.wire.message import Arguments
from picloud.wire.queue import Attach, Attached

BLAMED = frozenset({Cause.signal, Cause.out_of_memory, Cause.exit, Cause.worker_lost})
"""Ends of a job that a message in its hands may have caused."""
SEASONED = 10
"""A message is out of reach of the worker itself, where jobs are sandboxed: one is suspected of a worker's death only when it was
given out so often already."""
_decode = msgspec.msgpack.Decoder(Attach).decode


class Attachment(NamedTuple):
    """A row."""

    id: int
    account: int
    queue: int
    version: int
    live: int
    name: str
    max_jobs: int
    host: str
    env: str | None
    created: int
    attach: Attach


class Need(NamedTuple):
    """What an attachment has to do, and who does it."""

    attachment: Attachment | None  # None: another one is in force, or the queue was deleted
    paused: bool
    visible: int  # messages to be handed out, counted up to what all its jobs would take
    waited_ms: int  # how long the first of them has been visible
    jobs: list[tuple[int, int]]  # its jobs that have not ended: jid, status; of former versions too


class Handler(NamedTuple):
    """A job of an attachment."""

    jid: int
    attachment: int
    queue: int
    final: int  # it has ended


class Started(NamedTuple):
    """New jobs of an attachment."""

    jids: list[int]
    ready: set[int]  # kinds


class Ended(NamedTuple):
    """The end of a job of an attachment."""

    attachment: int
    cause: Cause
    rung: set[int]


def attach(tx: Connection, account: int, asked: Attach, host: str, env: str | None, now: int) -> tuple[Attached, int]:
    """Give a queue a handler; one that it has finishes what it holds.

    Args:
        asked: its jobs' options are checked and complete.
        host: the image of base/host with this client's interpreter, as in ``kind.env``.
        env: the image, whatever the options say.

    Returns:
        The answer, and the queue; 0 where code is missing.

    Raises:
        NotFound, Conflict, Skew: no such environment or volume, or it does not fit.
    """
    submit = asked.submit
    if missing := stored.keep(tx, account, submit, host, env, now):
        return Attached(0, missing), 0
    names = {asked.queue, *asked.outputs, *(edge.queue for edge in asked.edges)}
    number = queues.ensure(tx, account, names, now)[asked.queue]
    queues.lock(tx, number)
    last = one(tx, _LAST, queue=number)
    if last is not None and bytes(last[1]) == asked.token:
        return Attached(last[0]), number
    version = 1 if last is None else last[0] + 1
    run(tx, _END, queue=number, now=now)
    kept = structs.replace(asked, submit=stored.bare(submit))
    tx.execute(insert(attachment), {
        "account": account, "queue": number, "version": version, "live": 1, "token": asked.token, "name": submit.name,
        "max_jobs": asked.max_jobs, "host": host, "env": env, "attach": pack(kept), "created": now,
    })  # fmt: skip
    return Attached(version), number


def detach(tx: Connection, account: int, name: str, now: int) -> int:
    """Take a queue's handler away; it finishes what it holds. The queue, 0 where there is no handler.

    Raises:
        NotFound: no such queue.
    """
    found = queues.find(tx, account, name)
    return found.id if run(tx, _END, queue=found.id, now=now).rowcount else 0


def resize(tx: Connection, account: int, name: str, max_jobs: int) -> int:
    """Change how many jobs a handler may have at once; its queue.

    Raises:
        NotFound: no such queue, or it has no handler.
    """
    found = queues.find(tx, account, name)
    if not run(tx, _RESIZE, queue=found.id, max_jobs_=max_jobs).rowcount:
        raise NotFound(f"queue {name!r} has no handler", queue=name, hint="attach one first")
    return found.id


def live(tx: Connection) -> list[Attachment]:
    """All attachments in force, of queues that are there."""
    return [_attachment(row) for row in run(tx, _LIVE).fetchall()]


def live_of(tx: Connection, account: int) -> list[Attachment]:
    """The same of one account."""
    return [_attachment(row) for row in run(tx, _LIVE_OF, account=account).fetchall()]


def of_queue(tx: Connection, number: int) -> Attachment | None:
    """The attachment in force of a queue."""
    row = one(tx, _OF_QUEUE, queue=number)
    return _attachment(row) if row else None


def _attachment(row: Any) -> Attachment:
    *columns, data = row
    return Attachment._make([*columns, _decode(bytes(data))])


def need(tx: Connection, number: int, per_reader: int, now: int) -> Need:
    """What the handler of a queue has to do.

    Args:
        per_reader: messages that a reader is expected to have in hand.
    """
    found = of_queue(tx, number)
    jobs = [(jid, status) for jid, status in run(tx, _JOBS, queue=number).fetchall()]
    if found is None:
        return Need(None, False, 0, 0, jobs)
    limit = per_reader * found.attach.readers * max(found.max_jobs, 1)
    visible, first = one(tx, _VISIBLE, queue=number, now=now, limit=limit)
    paused = bool(one(tx, _PAUSED, id_=number))
    return Need(found, paused, visible, now - first if first is not None else 0, jobs)


def start(tx: Connection, found: Attachment, count: int, now: int) -> Started:
    """Submit up to ``count`` further jobs of an attachment, if it is in force and may have them."""
    queues.lock(tx, found.queue)
    current = of_queue(tx, found.queue)
    if current is None or current.id != found.id:
        return Started([], set())
    there = sum(status < FIRST_FINAL for _, status in run(tx, _JOBS, queue=found.queue).fetchall())
    count = min(count, current.max_jobs - there)
    if count <= 0:
        return Started([], set())
    ends = [len(NOTHING) * (at + 1) for at in range(count)]
    arguments = Arguments(ends, NOTHING * count, [""] * count)
    options = structs.replace(current.attach.submit.options, queue=current.attach.queue)
    kept, token = structs.replace(current.attach.submit, options=options), os.urandom(16)
    made, ready = stored.again(tx, current.account, kept, current.host, current.env, arguments, token, now)
    jids = list(range(made.first, made.first + count))
    run(tx, _ADD_HANDLERS, jids=as_list(jids), attachment_=current.id)
    return Started(jids, ready)


def alive(tx: Connection) -> list[Handler]:
    """The jobs of attachments whose end has not been seen to."""
    return [Handler(*row) for row in run(tx, _ALIVE, first_final=int(FIRST_FINAL)).fetchall()]


def handled_by(tx: Connection, jid: int) -> tuple[int, int] | None:
    """The attachment and the queue of a living job; None where it is none of an attachment."""
    row = one(tx, _HANDLED_BY, jid=jid)
    return (int(row[0]), int(row[1])) if row else None


def ended(tx: Connection, jid: int, now: int) -> Ended | None:
    """See to the end of a job; None where it is none of an attachment, has not ended, or was seen to."""
    row = one(tx, _ENDED, jid=jid)
    if row is None or row[1] < FIRST_FINAL:
        return None
    number, status, cause = int(row[0]), Status(row[1]), Cause(row[2] or 0)
    rung = exchange.bereaved(tx, jid, blamed=_blamed(tx, jid, status, cause), now=now)
    run(tx, _SEEN_TO, jid=jid)
    return Ended(number, cause, rung)


def _blamed(tx: Connection, jid: int, status: Status, cause: Cause) -> int:
    """How often a message must have been given out to be suspected of the end of the job that held it."""
    if status != Status.error or cause not in BLAMED:
        return exchange.NOBODY
    return SEASONED if cause == Cause.worker_lost and one(tx, _WORKER_DIED, jid=jid) else 1


_queue = bindparam("queue", type_=BigInteger)
_now, _jid = bindparam("now", type_=BigInteger), bindparam("jid", type_=BigInteger)
_is_live = attachment.c.live != constant(0)
_COLUMNS = tuple(attachment.c[name] for name in Attachment._fields)
_LAST = (
    select(attachment.c.version, attachment.c.token)
    .where(attachment.c.queue == _queue)
    .order_by(attachment.c.version.desc())
    .limit(1)
)
_END = update(attachment).where(attachment.c.queue == _queue, _is_live).values(live=0, ended=_now)
_RESIZE = (
    update(attachment).where(attachment.c.queue == _queue, _is_live).values(max_jobs=bindparam("max_jobs_", type_=BigInteger))
)
_there = select(*_COLUMNS).join_from(attachment, queue, and_(queue.c.id == attachment.c.queue, queue.c.gone == constant(0)))
_LIVE = _there.where(_is_live).order_by(attachment.c.id)
_LIVE_OF = _LIVE.where(attachment.c.account == bindparam("account", type_=BigInteger))
_OF_QUEUE = _there.where(attachment.c.queue == _queue, _is_live)
_some = (
    select(message.c.due)
    .where(message.c.queue == _queue, message.c.due <= _now)
    .order_by(message.c.due)
    .limit(bindparam("limit", type_=BigInteger))
    .subquery()
)
_VISIBLE = select(func.count(), func.min(_some.c.due)).select_from(_some)
_not_seen_to = handler.c.ended == constant(0)
_JOBS = (
    select(handler.c.jid, job.c.status)
    .join_from(handler, attachment, attachment.c.id == handler.c.attachment)
    .join(job, job.c.jid == handler.c.jid)
    .where(attachment.c.queue == _queue, _not_seen_to)
    .order_by(handler.c.jid)
)
_jids = Listed("jids")
_ADD_HANDLERS = add(handler).from_select(
    ["jid", "attachment"], select(_jids.only(), bindparam("attachment_", type_=BigInteger)).select_from(_jids.table).where(EVERY)
)
_ALIVE = (
    select(handler.c.jid, handler.c.attachment, attachment.c.queue, case((job.c.status >= bindparam("first_final"), 1), else_=0))
    .join_from(handler, attachment, attachment.c.id == handler.c.attachment)
    .outerjoin(job, job.c.jid == handler.c.jid)
    .where(_not_seen_to)
    .order_by(handler.c.jid)
)
_ENDED = (
    select(handler.c.attachment, func.coalesce(job.c.status, constant(int(Status.killed))), job.c.cause)
    .join_from(handler, job, job.c.jid == handler.c.jid, isouter=True)
    .where(handler.c.jid == _jid, _not_seen_to)
)
_HANDLED_BY = (
    select(handler.c.attachment, attachment.c.queue)
    .join_from(handler, attachment, attachment.c.id == handler.c.attachment)
    .where(handler.c.jid == _jid, _not_seen_to)
)
_PAUSED = select(queue.c.id).where(queue.c.id == bindparam("id_"), queue.c.paused != constant(0))
_WORKER_DIED = (
    select(worker.c.id).join(attempt, attempt.c.worker == worker.c.id).where(attempt.c.jid == _jid, worker.c.closed.is_not(None))
)
_SEEN_TO = update(handler).where(handler.c.jid == _jid).values(ended=1)
