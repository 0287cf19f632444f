"""Queues: made with their first use, listed, deleted.

find(tx, account, name) -> Queue                    NotFound
ensure(tx, account, names, now) -> dict[name, id]   makes those that are missing
every(tx, account) -> list[Queue]
count(tx, account, name, now) -> Count              NotFound
grow(tx, sizes) / bury(tx, queue, count)            keep their numbers right
change(tx, account, name, now, paused=, retention=) -> id   makes it where it is missing
delete(tx, account, name) -> bool
forget(tx, limit) -> bool                           rows of deleted queues; call again while true
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Connection, Text, bindparam, delete, func, literal_column, select, update

from picloud.store.base import near
from picloud.store.queue import body as bodies
from picloud.store.queue.schema import REMOVED, batch, dead, message, pushed_key, queue, tally
from picloud.store.rows import Listed, add, as_list, one, run, run_rows
from picloud.wire.error import NotFound


class Queue(NamedTuple):
    """A row."""

    id: int
    account: int
    name: str
    paused: int
    retention: int  # ms; 0 = for ever
    size: int
    dead: int
    created: int


class Count(NamedTuple):
    """What is in a queue."""

    waiting: int  # visible now or later
    in_hand: int  # handed out and not ended
    delayed: int  # of the waiting ones: not visible yet
    dead: int
    oldest: int | None  # when the one that is next was pushed, in epoch ms


def ensure(tx: Connection, account: int, names: Iterable[str], now: int) -> dict[str, int]:
    """The ids of queues, which are made where they are not there."""
    wanted = sorted(set(names))
    found = _ids(tx, account, wanted)
    if missing := [name for name in wanted if name not in found]:
        run_rows(tx, _ADD, [{"account": account, "name": name, "created": now} for name in missing])
        found = _ids(tx, account, wanted)
    return found


def _ids(tx: Connection, account: int, names: list[str]) -> dict[str, int]:
    return dict(run(tx, _IDS, account=account, names=as_list(names)).fetchall())


def find(tx: Connection, account: int, name: str) -> Queue:
    """One queue.

    Raises:
        NotFound: it has not been used yet, or was deleted.
    """
    found = one(tx, _FIND, account=account, name=name)
    if found is None:
        hint = near(name, [each.name for each in every(tx, account)], "the first push, pop or attach makes it")
        raise NotFound(f"there is no queue {name[:80]!r}", queue=name[:80], hint=hint)
    return Queue(*found)


def lock(tx: Connection, number: int) -> None:
    """Keep others from changing a queue's handler until this transaction ends (SQLite has one writer anyway)."""
    one(tx, _LOCK, id_=number)


def every(tx: Connection, account: int) -> list[Queue]:
    """All queues of an account, by name."""
    return [Queue(*row) for row in run(tx, _EVERY, account=account).fetchall()]


def count(tx: Connection, found: Queue, now: int) -> Count:
    """What is in a queue; in constant time but for what is in hand and what is delayed."""
    in_hand, delayed, oldest = one(tx, _COUNT, queue=found.id, now=now)
    return Count(max(0, found.size - in_hand), in_hand, delayed, found.dead, oldest)


def grow(tx: Connection, sizes: Mapping[int, int]) -> None:
    """Add to the sizes of queues; in the order of their ids, for each row is locked."""
    run_rows(tx, _GROW, [{"id_": number, "more": more} for number, more in sorted(sizes.items()) if more])


def bury(tx: Connection, number: int, more: int) -> None:
    """Add to the number of dead letters."""
    run(tx, _BURY, id_=number, more=more)


def change(tx: Connection, account: int, name: str, now: int, *, paused: bool | None = None, retention: int | None = None) -> int:
    """Change what is given of a queue, which is made where it is not there; its id.

    Args:
        retention: ms; 0 = for ever.
    """
    ensure(tx, account, [name], now)
    found = find(tx, account, name)
    run(tx, _CHANGE, id_=found.id, paused=found.paused if paused is None else int(paused),
        retention=found.retention if retention is None else retention)  # fmt: skip
    return found.id


def remove(tx: Connection, account: int, name: str) -> int:
    """Delete a queue; its id, 0 where there is none. Its messages can be seen by nobody from now on; see :func:`forget`."""
    found = one(tx, _REMOVE, account=account, name=name)
    return int(found[0]) if found else 0


def purge(tx: Connection, number: int, now: int, limit: int = 5000) -> int:
    """Remove waiting messages of a queue; how many. Those in hand stay. Call again while it is ``limit``."""
    gone = run(tx, _PURGE, queue=number, now=now, limit=limit).fetchall()
    bodies.release(tx, [row[1] for row in gone])
    grow(tx, {number: -len(gone)})
    return len(gone)


def forget(tx: Connection, limit: int = 5000) -> bool:
    """Remove some rows of deleted queues; whether there may be more."""
    found = one(tx, _GONE)
    if found is None:
        return False
    number = int(found[0])
    for statement in (_SOME, _DEAD):
        rows = run(tx, statement, queue=number, limit=limit).fetchall()
        bodies.release(tx, [row[1] for row in rows])
        if len(rows) == limit:
            return True
    for statement in _REST:
        run(tx, statement, queue=number)
    return True


_names = Listed("names")
_here = queue.c.gone == literal_column("0")
_of = queue.c.account == bindparam("account")
_named = (_of, queue.c.name == bindparam("name"), _here)
_COLUMNS = tuple(queue.c[name] for name in Queue._fields)
_IDS = select(queue.c.name, queue.c.id).where(_of, queue.c.name.in_(_names.chosen(Text)), _here)
_ADD = add(queue)
_FIND = select(*_COLUMNS).where(*_named)
_LOCK = select(queue.c.id).where(queue.c.id == bindparam("id_")).with_for_update()
_EVERY = select(*_COLUMNS).where(_of, _here).order_by(queue.c.name)
_number, _now = bindparam("queue", type_=BigInteger), bindparam("now", type_=BigInteger)
_mine = message.c.queue == _number
_nil: Any = literal_column("0")
_due = message.c.due + _nil  # not for the index: those in hand are few, those that are delayed may be many
_held = (message.c.batch != _nil, message.c.batch > _nil)  # the one names the index, the other chooses it
_in_hand = select(func.count()).where(_mine, *_held, _due > _now, _due < literal_column(str(REMOVED)))
_delayed = select(func.count()).where(_mine, message.c.batch == _nil, message.c.due > _now)
_oldest = select(message.c.pushed).where(_mine, message.c.due <= _now).order_by(message.c.due).limit(1)
_COUNT = select(_in_hand.scalar_subquery(), _delayed.scalar_subquery(), _oldest.scalar_subquery())
_GROW = update(queue).where(queue.c.id == bindparam("id_")).values(size=queue.c.size + bindparam("more", type_=BigInteger))
_BURY = update(queue).where(queue.c.id == bindparam("id_")).values(dead=queue.c.dead + bindparam("more", type_=BigInteger))
_CHANGE = (
    update(queue)
    .where(queue.c.id == bindparam("id_"))
    .values(paused=bindparam("paused", type_=BigInteger), retention=bindparam("retention", type_=BigInteger))
)
_REMOVE = update(queue).where(*_named).values(gone=queue.c.id).returning(queue.c.id)
_limit = bindparam("limit", type_=BigInteger)
_waiting = (
    select(message.c.id)
    .where(_mine, (message.c.batch == literal_column("0")) | (message.c.due <= _now))
    .limit(_limit)
    .with_for_update(skip_locked=True)
)
_PURGE = delete(message).where(message.c.id.in_(_waiting)).returning(message.c.id, message.c.body)
_GONE = select(queue.c.id).where(queue.c.gone != literal_column("0")).order_by(queue.c.id).limit(1)
_SOME, _DEAD = (
    delete(table)
    .where(table.c.id.in_(select(table.c.id).where(table.c.queue == _number).limit(_limit)))
    .returning(table.c.id, table.c.body)
    for table in (message, dead)
)
_REST: list[Any] = [delete(table).where(table.c.queue == _number) for table in (batch, pushed_key, tally)] + [
    delete(queue).where(queue.c.id == _number)
]
