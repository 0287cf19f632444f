"""Batches: requests by their tokens, so that a repeat gets the same answer.

begin(tx, account, token, queue, hold, jid, now) -> (Batch, whether it is new)
answer(tx, id, bytes)
abandon(tx, account, token, queue, jid, now) -> int     whoever sent it has died: nothing more is handed out for it
received(tx, account, token) -> None        its answer has arrived: what a plain pop took is removed
sweep(tx, before, limit) -> int             the same for those that are old
of_job(tx, jid) -> list[queue]              queues of which a job may hold messages
close(tx, jid)                              a job holds nothing any more
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import BigInteger, Connection, bindparam, delete, exists, select, update

from picloud.store.queue import body as bodies
from picloud.store.queue.schema import ABANDONED, REMOVED, batch, message
from picloud.store.rows import Listed, add, as_list, constant, one, run
from picloud.wire.error import BadRequest, Conflict
from picloud.wire.queue import Hold


class Batch(NamedTuple):
    """A row."""

    id: int
    queue: int
    hold: int
    jid: int
    answer: bytes


def begin(tx: Connection, account: int, token: bytes, queue: int, hold: Hold, jid: int, now: int) -> tuple[Batch, bool]:
    """The batch of this token.

    Raises:
        BadRequest: it is no token.
        Conflict: it was used for something else.
    """
    if len(token) != 16:
        raise BadRequest("a token has 16 bytes")
    made = run(tx, _ADD, account=account, token=token, queue=queue, hold=int(hold), jid=jid, answer=b"", created=now).rowcount
    found = Batch(*one(tx, _FIND, account=account, token=token))
    if not made and (found.queue, found.hold, found.jid) != (queue, int(hold), jid):
        raise Conflict("this token was used for another request", hint="make a fresh token for each")
    return found, bool(made)


def answer(tx: Connection, number: int, data: bytes) -> None:
    """Keep what is answered besides messages."""
    run(tx, _ANSWER, id_=number, answer_=data)


def abandon(tx: Connection, account: int, token: bytes, queue: int, jid: int, now: int) -> int:
    """Hand out nothing more in the batch of a token whose asker has died, whether or not the request has come yet; its id.

    Raises:
        Conflict: it is not this job's.
    """
    found = one(tx, _FIND, account=account, token=token)
    number = Batch(*found).id if found is not None else begin(tx, account, token, queue, Hold.job, jid, now)[0].id
    if not run(tx, _ABANDON, id_=number, jid=jid).rowcount:
        raise Conflict(f"this token is not one of job {jid}", jid=jid, hint="a job speaks for its own processes")
    return number


def received(tx: Connection, account: int, token: bytes) -> None:
    """Forget a request whose answer has arrived, unless something of it is still in hand."""
    found = one(tx, _FIND, account=account, token=token)
    if found is not None:
        _forget(tx, [Batch(*found)])


def sweep(tx: Connection, before: int, limit: int = 1000) -> int:
    """Forget requests made before ``before`` (epoch ms) of which nothing is in hand; so many were looked at."""
    found = [Batch(*row) for row in run(tx, _OLD, before=before, limit=limit).fetchall()]
    _forget(tx, found)
    return len(found)


def _forget(tx: Connection, gone: list[Batch]) -> None:
    for each in gone:
        if each.hold == Hold.removed:
            rows = run(tx, _POPPED, queue=each.queue, number=each.id).fetchall()
            bodies.release(tx, [row[1] for row in rows])
    run(tx, _DROP, ids=as_list([each.id for each in gone]))


def of_job(tx: Connection, jid: int) -> list[int]:
    """The queues of which a job may hold messages."""
    return sorted({row[0] for row in run(tx, _OF_JOB, jid=jid).fetchall()})


def held_by_jobs(tx: Connection) -> list[int]:
    """The jobs that may hold messages."""
    return [row[0] for row in run(tx, _JOBS).fetchall()]


def close(tx: Connection, jid: int) -> None:
    """Forget the batches of a job that has ended and whose messages have come back."""
    run(tx, _CLOSE, jid=jid)


_ids = Listed("ids")
_jid = bindparam("jid", type_=BigInteger)
_columns = tuple(batch.c[name] for name in Batch._fields)
_ADD = add(batch)
_FIND = select(*_columns).where(batch.c.account == bindparam("account"), batch.c.token == bindparam("token"))
_ANSWER = update(batch).where(batch.c.id == bindparam("id_")).values(answer=bindparam("answer_"))
_ABANDON = (
    update(batch)
    .where(batch.c.id == bindparam("id_"), batch.c.jid == _jid, batch.c.jid != constant(0))
    .values(hold=constant(ABANDONED))
)
_in_hand = exists().where(message.c.queue == batch.c.queue, message.c.batch == batch.c.id, message.c.batch != constant(0))
_OLD = (
    select(*_columns)
    .where(batch.c.created < bindparam("before", type_=BigInteger), (batch.c.hold == int(Hold.removed)) | ~_in_hand)
    .order_by(batch.c.created)
    .limit(bindparam("limit", type_=BigInteger))
)
_POPPED = (
    delete(message)
    .where(
        message.c.queue == bindparam("queue", type_=BigInteger),
        message.c.batch == bindparam("number", type_=BigInteger),
        message.c.batch != constant(0),
        message.c.due == constant(REMOVED),
    )
    .returning(message.c.id, message.c.body)
)
_DROP = delete(batch).where(batch.c.id.in_(_ids.chosen()), ~_in_hand)
_OF_JOB = select(batch.c.queue).where(batch.c.jid == _jid, batch.c.jid != constant(0)).distinct()
_JOBS = select(batch.c.jid).where(batch.c.jid != constant(0)).distinct()
_CLOSE = delete(batch).where(batch.c.jid == _jid, batch.c.jid != constant(0))
