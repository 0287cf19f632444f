"""Messages: pushed, handed out, ended. What a whole request does is an act of ``store.queue.exchange``.

add(tx, account, fresh, bodies, now)
take(tx, queue, batch, hold, wanted, now, until) -> list[Message]
of_batch(tx, queue, batch) -> list[Message]
acked(tx, queue, batch, ids) -> list[Gone]          those that were in this batch's hands
held(tx, queue, batch, ids) -> list[Held]           the same, locked and left there
back(tx, rows)                                      come again
extend(tx, ids, until)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Connection,
    Integer,
    LargeBinary,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    select,
    update,
)

from picloud.store.queue import body as store
from picloud.store.queue.schema import NEVER, REMOVED, batch, body, message
from picloud.store.rows import Given, Listed, as_list, constant, cut, from_json, gathered, glued, one, pieces, run, run_rows
from picloud.wire.queue import ANSWER_BYTES, Body, Hold, Message


class Fresh(NamedTuple):
    """A message to be."""

    queue: int
    body: int  # index of its bytes
    due: int  # epoch ms


class Held(NamedTuple):
    """A message in somebody's hands."""

    id: int
    deaths: int
    alone: int
    given: int  # how often it was handed out
    popped: int = 0  # a plain pop took it: it counts as gone


class Gone(NamedTuple):
    """A message that was removed."""

    id: int
    body: int
    deaths: int


def add(tx: Connection, account: int, fresh: Sequence[Fresh], bodies: Sequence[Body], now: int) -> None:
    """Store messages.

    Raises:
        NotFound: a blob is not a live one of the account.
    """
    if not fresh:
        return
    copies = [0] * len(bodies)
    for each in fresh:
        copies[each.body] += 1
    placed = store.stored(tx, account, bodies, copies, now)
    starts, at = [], 0
    for found in placed:
        starts.append(at)
        at += len(found.data)
    rows = (
        (each.queue, each.due, placed[each.body].kind, starts[each.body], len(placed[each.body].data), placed[each.body].size,
         placed[each.body].body)
        for each in fresh
    )  # fmt: skip
    run(tx, _ADD, fresh=rows, data_=b"".join(found.data for found in placed) or b"\0", now=now)


def take(tx: Connection, queue: int, number: int, hold: Hold, wanted: int, now: int, until: int) -> list[Message]:
    """Hand out up to ``wanted`` messages that are due, in batch ``number``.

    Args:
        until: epoch ms, their deadline; for a job NEVER, for a plain pop REMOVED.
    """
    if wanted <= 0:
        return []
    rows, data = one(tx, _NEXT_OF_JOB if hold is Hold.job else _NEXT, queue=queue, now=now, wanted=wanted)
    return _hand_out(tx, _decoded(rows, data), number, until)


def take_suspect(tx: Connection, queue: int, number: int, now: int) -> list[Message]:
    """Hand out one message whose last holder died with it in hand."""
    rows, data = one(tx, _NEXT_SUSPECT, queue=queue, now=now, wanted=1)
    return _hand_out(tx, _decoded(rows, data), number, NEVER)


def _hand_out(tx: Connection, found: list[Message], number: int, until: int) -> list[Message]:
    size = 0
    for at, each in enumerate(found):
        size += len(each.data)
        if at and size > ANSWER_BYTES:
            found = found[:at]
            break
    if found:
        run(tx, _TAKE, ids=as_list([each.id for each in found]), batch_=number, due_=until)
        for each in found:
            each.given += 1
    return found


def of_batch(tx: Connection, queue: int, number: int) -> list[Message]:
    """The messages that are still in the hands of a batch."""
    return _decoded(*one(tx, _OF_BATCH, queue=queue, number=number))


def _decoded(rows: str, data: bytes | None) -> list[Message]:
    found = from_json(rows)
    parts = pieces(data, [row[1] for row in found])
    return [
        Message(number, kind, part, retries, given, pushed, blob or "")
        for (number, _, kind, retries, given, pushed, blob), part in zip(found, parts, strict=True)
    ]


class Suspects(NamedTuple):
    """How a job stands to the messages of a queue whose holders died."""

    due: bool  # there are some to be handed out
    mine: bool  # the job holds one
    empty_handed: bool  # the job holds nothing


def suspects(tx: Connection, queue: int, jid: int, now: int) -> Suspects | None:
    """None: the queue has none, as nearly always."""
    if one(tx, _ANY_SUSPECT, queue=queue) is None:
        return None
    due, mine, held = one(tx, _SUSPECTS, queue=queue, jid=jid, now=now)
    return Suspects(bool(due), bool(mine), not held)


def acked(tx: Connection, queue: int, number: int, ids: Iterable[int]) -> list[Gone]:
    """Remove messages that are in the hands of this batch; those that were."""
    return [Gone(*row) for row in run(tx, _ACK, queue=queue, number=number, ids=as_list(ids)).fetchall()]


def held(tx: Connection, queue: int, number: int, ids: Iterable[int] | None = None) -> list[Held]:
    """The messages that are in the hands of this batch, or those among ``ids``, locked."""
    statement, values = (_REST, {}) if ids is None else (_HELD, {"ids": as_list(ids)})
    return [Held(*row) for row in run(tx, statement, queue=queue, number=number, **values).fetchall()]


def holds(tx: Connection, queue: int, jid: int) -> bool:
    """Whether a job has messages of a queue in its hands."""
    return one(tx, _HOLDS, queue=queue, jid=jid) is not None


def held_by(tx: Connection, queue: int, jid: int) -> list[tuple[int, Held]]:
    """All messages of a queue in the hands of a job, with their batches, locked."""
    return [(number, Held(*row)) for number, *row in run(tx, _HELD_BY, queue=queue, jid=jid).fetchall()]


def back(tx: Connection, rows: Iterable[tuple[int, int]], *, retried: bool = False) -> None:
    """Let messages come again.

    Args:
        rows: id, and when it is due in epoch ms.
        retried: it failed, and was not just left unread.
    """
    run_rows(tx, _RETRY if retried else _BACK, [{"id_": number, "due_": due} for number, due in rows])


def blame(tx: Connection, rows: Iterable[Held]) -> None:
    """Write down how often a message's holder died."""
    run_rows(tx, _BLAME, [{"id_": each.id, "deaths_": each.deaths, "alone_": each.alone} for each in rows])


def extend(tx: Connection, ids: Iterable[int], until: int) -> None:
    """Move the deadline of messages that were handed out with one."""
    run(tx, _EXTEND, ids=as_list(ids), due_=until)


def next_due(tx: Connection, queue: int, now: int) -> int | None:
    """When the next message of a queue that is not visible yet will be, in epoch ms."""
    found = one(tx, _NEXT_DUE, queue=queue, now=now)
    return int(found[0]) if found else None


_fresh = Given("fresh", BigInteger, BigInteger, Integer, Integer, Integer, BigInteger, BigInteger)
_ids = Listed("ids")
_queue, _now = bindparam("queue", type_=BigInteger), bindparam("now", type_=BigInteger)
_number, _jid = bindparam("number", type_=BigInteger), bindparam("jid", type_=BigInteger)
_mine = message.c.queue == _queue
_in_batch = and_(_mine, message.c.batch == _number, message.c.batch != constant(0))
_due = and_(_mine, message.c.due <= _now)
_loose = message.c.due + constant(0)  # not for the index
_suspect = and_(message.c.deaths != constant(0), message.c.deaths > constant(0))  # the one names the index, the other chooses it
_ADD = insert(message).from_select(
    ["queue", "due", "pushed", "kind", "data", "size", "body"],
    select(_fresh.c(0), _fresh.c(1), _now, _fresh.c(2), cut("data_", _fresh.c(3), _fresh.c(4)), _fresh.c(5), _fresh.c(6)),
)  # fmt: skip


_COLUMNS = tuple(message.c[name] for name in ("id", "kind", "retries", "given", "pushed", "body", "data"))


def _first(order: Any, *where: Any) -> Any:
    """Messages to be handed out, those that came first before others."""
    wanted = bindparam("wanted", type_=BigInteger)
    return select(*_COLUMNS).where(*where).order_by(order).limit(wanted).with_for_update(skip_locked=True)


def _read(chosen: Any) -> Any:
    """Messages as one row: JSON of their numbers, and all their bytes."""
    found = chosen.subquery("found")
    whole = (
        select(found, func.coalesce(body.c.data, found.c.data, type_=LargeBinary).label("bytes"), body.c.blob)
        .select_from(found.outerjoin(body, and_(body.c.id == found.c.body, found.c.body != constant(0))))
        .subquery("whole")
    )
    c = whole.c
    return select(gathered(c.id, func.length(c.bytes), c.kind, c.retries, c.given, c.pushed, c.blob), glued(c.bytes))


_NEXT = _read(_first(message.c.due, _due))
_NEXT_OF_JOB = _read(_first(message.c.due, _due, message.c.deaths == constant(0)))
_NEXT_SUSPECT = _read(_first(_loose, _mine, _suspect, _loose <= _now))
_OF_BATCH = _read(select(*_COLUMNS).where(_in_batch).order_by(message.c.id))
_TAKE = (
    update(message)
    .where(message.c.id.in_(_ids.chosen()))
    .values(
        batch=bindparam("batch_", type_=BigInteger), due=bindparam("due_", type_=BigInteger), given=message.c.given + constant(1)
    )
)
_ANY_SUSPECT = select(message.c.id).where(_mine, _suspect).limit(1)
_jobs_batches = select(batch.c.id).where(batch.c.jid == _jid, batch.c.jid != constant(0), batch.c.queue == _queue)
_in_jobs_hands = and_(_mine, message.c.batch != constant(0), message.c.batch.in_(_jobs_batches))
_SUSPECTS = select(
    select(message.c.id).where(_due, _suspect).exists(),
    select(message.c.id).where(_in_jobs_hands, _suspect).exists(),
    select(message.c.id).where(_in_jobs_hands).exists(),
)
_ACK = (
    delete(message)
    .where(_in_batch, message.c.id.in_(_ids.chosen()), message.c.due != constant(REMOVED))
    .returning(message.c.id, message.c.body, message.c.deaths)
)
_popped = case((message.c.due == constant(REMOVED), constant(1)), else_=constant(0))
_numbers = (message.c.id, message.c.deaths, message.c.alone, message.c.given)
_REST = select(*_numbers, _popped).where(_in_batch).with_for_update()
_HELD = _REST.where(message.c.id.in_(_ids.chosen()))
_HELD_BY = select(message.c.batch, *_numbers).where(_in_jobs_hands).with_for_update(of=message)
_due_ = bindparam("due_", type_=BigInteger)
_HOLDS = select(message.c.id).where(_in_jobs_hands).limit(1)
_BACK = update(message).where(message.c.id == bindparam("id_")).values(batch=0, due=_due_)
_RETRY = (
    update(message)
    .where(message.c.id == bindparam("id_"))
    .values(batch=0, due=_due_, retries=message.c.retries + constant(1), deaths=0, alone=0)
)
_BLAME = (
    update(message)
    .where(message.c.id == bindparam("id_"))
    .values(deaths=bindparam("deaths_", type_=Integer), alone=bindparam("alone_", type_=Integer))
)
_EXTEND = update(message).where(message.c.id.in_(_ids.chosen())).values(due=_due_)
_NEXT_DUE = (
    select(message.c.due).where(_mine, message.c.due > _now, message.c.due < constant(NEVER)).order_by(message.c.due).limit(1)
)
