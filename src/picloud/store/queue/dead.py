"""Dead letters: messages that failed for good, with what is known of it.

set_aside(tx, queue, letters, now)                  from the queue to its dead letters
listing(tx, queue, before, limit) -> list[Dead]     the newest first
newest(tx, queue) -> int                            an id
replay(tx, queue, ids, now, newest) -> int          back into the queue, as if new
remove(tx, queue, ids) -> int
expire(tx, now, limit) -> int          what was not read within its queue's retention
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Connection, LargeBinary, Text, and_, bindparam, delete, func, insert, select

from picloud.store.queue import body as bodies
from picloud.store.queue import queue as queues
from picloud.store.queue import tally
from picloud.store.queue.schema import body, dead, message, queue
from picloud.store.rows import Listed, as_list, constant, one, pack, run, run_rows, text, unpack_failure
from picloud.wire.job import Cause, Failure


class Letter(NamedTuple):
    """Why a message is set aside."""

    message: int
    failure: Failure
    preview: str = ""  # the message for people; "" where JSON tells it
    popped: bool = False  # it counts as gone from its queue already


class Dead(NamedTuple):
    """A dead letter."""

    id: int
    message: int
    pushed: int
    given: int
    retries: int
    deaths: int
    kind: int
    size: int
    data: bytes
    blob: str
    failure: Failure
    preview: str
    died: int


def set_aside(tx: Connection, number: int, letters: Sequence[Letter], now: int) -> None:
    """Make messages of a queue, locked and in somebody's hands, its dead letters."""
    if not letters:
        return
    run_rows(tx, _COPY, [
        {"message_": one.message, "cause_": one.failure.cause, "failure_": pack(one.failure), "preview_": text(one.preview),
         "now": now}
        for one in letters
    ])  # fmt: skip
    run(tx, _DROP, ids=as_list([one.message for one in letters]))
    queues.grow(tx, {number: -sum(not one.popped for one in letters)})
    queues.bury(tx, number, len(letters))
    tally.add(tx, {number: tally.Happened(went=sum(not one.popped for one in letters), failed=len(letters))}, now)


def listing(tx: Connection, number: int, before: int = 1 << 62, limit: int = 100) -> list[Dead]:
    """Dead letters of a queue with ids below ``before``, the newest first."""
    rows = run(tx, _LIST, queue=number, before=before, limit=limit).fetchall()
    return [_dead(*row) for row in rows]


def _dead(*row: Any) -> Dead:
    *numbers, data, blob, failure, preview, died = row
    return Dead._make([*numbers, bytes(data), blob or "", unpack_failure(bytes(failure)), preview, died])


def newest(tx: Connection, number: int) -> int:
    """The id of the newest dead letter of a queue; 0 where there is none."""
    return int(one(tx, _NEWEST, queue=number)[0] or 0)


def replay(tx: Connection, number: int, ids: Iterable[int] | None, now: int, newest: int = 1 << 62, limit: int = 5000) -> int:
    """Put dead letters back into their queue as new messages; how many. Call again while there are some.

    Args:
        ids: of letters; None = all up to ``newest``.
    """
    chosen = _choose(tx, number, ids, limit, newest)
    moved = int(run(tx, _REPLAY, ids=as_list(chosen), now=now).rowcount) if chosen else 0
    run(tx, _REMOVE, ids=as_list(chosen))
    queues.bury(tx, number, -moved)
    queues.grow(tx, {number: moved})
    if moved:
        tally.add(tx, {number: tally.Happened(came=moved)}, now)
    return moved


def remove(tx: Connection, number: int, ids: Iterable[int] | None, limit: int = 5000) -> int:
    """Remove dead letters for good; how many. Call again while it is ``limit``."""
    chosen = _choose(tx, number, ids, limit)
    gone = run(tx, _REMOVE, ids=as_list(chosen)).fetchall()
    bodies.release(tx, [row[1] for row in gone])
    queues.bury(tx, number, -len(gone))
    return len(gone)


def _choose(tx: Connection, number: int, ids: Iterable[int] | None, limit: int, newest: int = 1 << 62) -> list[int]:
    statement, values = (_ALL, {"newest": newest}) if ids is None else (_SOME, {"ids": as_list(ids)})
    return [row[0] for row in run(tx, statement, queue=number, limit=limit, **values).fetchall()]


def expire(tx: Connection, now: int, limit: int = 1000) -> int:
    """Set messages aside that nobody read within their queue's retention; how many. Call again while it is ``limit``."""
    found = run(tx, _EXPIRED, now=now, limit=limit).fetchall()
    for number in sorted({row[0] for row in found}):
        letters = [Letter(row[1], _expired(row[2], now - row[3])) for row in found if row[0] == number]
        set_aside(tx, number, letters, now)
    return len(found)


def _expired(retention: int, age: int) -> Failure:
    message = f"nobody read it for {age / 1000:.0f} s; its queue keeps messages {retention / 1000:.0f} s"
    return Failure(Cause.expired.name, message, "attach a handler, or set a longer retention; replay puts it back")


_ids = Listed("ids")
_now, _limit = bindparam("now", type_=BigInteger), bindparam("limit", type_=BigInteger)
_kept = ("queue", "pushed", "given", "retries", "deaths", "kind", "size", "data", "body")
_COPY = insert(dead).from_select(
    [*_kept, "message", "cause", "failure", "preview", "died"],
    select(
        *(message.c[name] for name in _kept), message.c.id, bindparam("cause_", type_=Text),
        bindparam("failure_", type_=LargeBinary), bindparam("preview_", type_=Text), _now,
    ).where(message.c.id == bindparam("message_", type_=BigInteger)),
)  # fmt: skip
_DROP = delete(message).where(message.c.id.in_(_ids.chosen()))
_of = dead.c.queue == bindparam("queue", type_=BigInteger)
_LIST = (
    select(dead.c.id, dead.c.message, dead.c.pushed, dead.c.given, dead.c.retries, dead.c.deaths, dead.c.kind, dead.c.size,
           func.coalesce(body.c.data, dead.c.data, type_=LargeBinary), body.c.blob, dead.c.failure, dead.c.preview, dead.c.died)
    .select_from(dead.outerjoin(body, and_(body.c.id == dead.c.body, dead.c.body != constant(0))))
    .where(_of, dead.c.id < bindparam("before", type_=BigInteger))
    .order_by(dead.c.id.desc())
    .limit(_limit)
)  # fmt: skip
_NEWEST = select(func.max(dead.c.id)).where(_of)
_ALL = (
    select(dead.c.id)
    .where(_of, dead.c.id <= bindparam("newest", type_=BigInteger))
    .order_by(dead.c.id)
    .limit(_limit)
    .with_for_update()
)
_SOME = select(dead.c.id).where(_of, dead.c.id.in_(_ids.chosen())).order_by(dead.c.id).limit(_limit).with_for_update()
_again = ("queue", "kind", "size", "data", "body")
_REPLAY = insert(message).from_select(
    [*_again, "due", "pushed"],
    select(*(dead.c[name] for name in _again), _now, _now).where(dead.c.id.in_(_ids.chosen())).order_by(dead.c.id),
)
_REMOVE = delete(dead).where(dead.c.id.in_(_ids.chosen())).returning(dead.c.id, dead.c.body)
_EXPIRED = (
    select(message.c.queue, message.c.id, queue.c.retention, message.c.due)
    .join_from(queue, message, message.c.queue == queue.c.id)
    .where(
        queue.c.retention > constant(0),
        queue.c.gone == constant(0),
        message.c.due < _now - queue.c.retention,
    )
    .order_by(message.c.id)
    .limit(_limit)
    .with_for_update(of=message, skip_locked=True)
)
