"""The outbox: ends of jobs that somebody is to be told of, until they were told or given up.

announce(tx, pairs, now)                            the jobs of these pairs (jid, submission) have ended
due(tx, now, limit, busy) -> list[Due]              to be tried now
tried(tx, id, code, trouble, wait, now)             what came of a try
listing(tx, account, ...) -> list[Delivery]         the newest first
expire(tx, before, limit) -> bool                   call again while true

Who delivers may die between a delivery and its row, so a message may come twice; it has the same event then.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Connection, Text, and_, bindparam, delete, func, insert, null, select, update

from picloud.store.rows import Listed, as_list, constant, from_json, one, run, text, to_json
from picloud.store.schema import attempt, job, submission
from picloud.store.webhook.schema import delivery, webhook
from picloud.wire.job import Cause, Status

Pairs = Iterable[tuple[int, int]]
"""(jid, submission)."""


class State(IntEnum):
    """What became of a delivery; shown as the lower-case name."""

    waiting = 0
    delivered = 1
    failed = 2  # so often that it was given up, or nobody can sign it any more


class Due(NamedTuple):
    """A message to be sent, with what signs it: None where the webhook is gone."""

    id: int
    account: int
    event: str
    url: str
    body: str
    tries: int
    label: str | None
    key: str | None
    data: bytes | None


class Delivery(NamedTuple):
    """All that is shown of one."""

    id: int
    jid: int
    event: str
    url: str
    state: int
    tries: int
    answer: int
    trouble: str
    created: int
    due: int | None
    ended: int | None


def announce(tx: Connection, pairs: Pairs, now: int) -> None:
    """Put messages into the outbox: these jobs have ended, and each of them is to be told once."""
    known: dict[tuple[int, str], tuple[int, str] | None] = {}

    def signs(account: int, label: str) -> tuple[int, str] | None:
        """Number and address of the webhook that is asked."""
        if (account, label) not in known:
            known[account, label] = one(tx, _SIGNS, account=account, label=label)
        return known[account, label]

    rows = []
    for end in (End(*row) for row in run(tx, _ENDS, jids=as_list(sorted({jid for jid, _ in pairs}))).fetchall()):
        options = from_json(end.options)
        if (own := options.get("webhook")) and (signing := signs(end.account, "")) is not None:
            rows.append(_row(end, signing[0], own, now))
        if options.get("hooked") and (labelled := signs(end.account, end.label)) is not None:
            rows.append(_row(end, *labelled, now))
    if rows:
        tx.execute(insert(delivery), rows)


class End(NamedTuple):
    """The end of a job, as it is told."""

    jid: int
    account: int
    status: int
    cause: int
    finished: int
    label: str
    name: str
    options: str
    runtime_us: int | None


def _row(end: End, number: int, url: str, now: int) -> dict[str, Any]:
    event, status = f"evt_{os.urandom(12).hex()}", Status(end.status).name
    body = {
        "type": f"job.{status}", "timestamp": datetime.fromtimestamp(end.finished / 1000, UTC).isoformat(timespec="milliseconds"),
        "id": event,
        "data": {
            "jid": end.jid, "status": status, "cause": Cause(end.cause).name if end.cause else None, "label": end.label,
            "function": end.name, "runtime": None if end.runtime_us is None else end.runtime_us / 1e6,
        },
    }  # fmt: skip
    return {"account": end.account, "webhook": number, "jid": end.jid, "event": event, "url": url,
            "body": text(to_json(body).decode()), "created": now, "due": now}  # fmt: skip


def due(tx: Connection, now: int, limit: int, busy: Iterable[int] = ()) -> list[Due]:
    """Messages whose time has come, the oldest first.

    Args:
        busy: accounts that have as many under way as they may.
    """
    rows = run(tx, _DUE, now=now, limit=limit, busy=as_list(busy)).fetchall()
    return [Due(*row) for row in rows]


def tried(tx: Connection, number: int, answer: int, trouble: str, wait: int | None, now: int) -> None:
    """Write down what came of a try.

    Args:
        answer: HTTP status; 0 = there was none.
        trouble: "" = it was delivered.
        wait: milliseconds until the next try; None = there will be none.
    """
    state = State.waiting if trouble and wait is not None else State.failed if trouble else State.delivered
    ended = state is not State.waiting
    values: dict[str, Any] = {
        "tries": delivery.c.tries + 1, "state": int(state), "answer": answer, "trouble": text(trouble)[:500],
        "due": null() if ended else now + (wait or 0), "ended": now if ended else null(),
    }  # fmt: skip
    tx.execute(update(delivery).where(delivery.c.id == number, delivery.c.due.is_not(None)).values(values))


def listing(tx: Connection, account: int, *, before: int = 0, limit: int = 100) -> list[Delivery]:
    """Deliveries of an account, the newest first.

    Args:
        before: only those with a smaller number; 0 = all.
    """
    rows = run(tx, _LISTING, account=account, before=before or 1 << 62, limit=limit)
    return [Delivery(*row) for row in rows.fetchall()]


def expire(tx: Connection, before: int, limit: int = 5000) -> bool:
    """Remove those that ended before this time, so many at once; whether there were so many."""
    old = select(delivery.c.id).where(delivery.c.ended < before).limit(limit)
    return bool(tx.execute(delete(delivery).where(delivery.c.id.in_(old))).rowcount == limit)


def _bound(name: str) -> Any:
    return bindparam(name, type_=BigInteger)


_jids, _busy = Listed("jids"), Listed("busy")
_runtime = (
    select(attempt.c.runtime_us).where(attempt.c.jid == job.c.jid, attempt.c.n == job.c.attempts).correlate(job).scalar_subquery()
)
_ENDS = (
    select(job.c.jid, job.c.account, job.c.status, job.c.cause, func.coalesce(job.c.finished, constant(0)),
           submission.c.label, submission.c.name, submission.c.options, _runtime)
    .join_from(job, submission, submission.c.id == job.c.submission)
    .where(job.c.jid.in_(_jids.chosen()))
    .order_by(job.c.jid)
)  # fmt: skip
_SIGNS = select(webhook.c.id, webhook.c.url).where(
    webhook.c.account == _bound("account"), webhook.c.label == bindparam("label", type_=Text)
)
_DUE = (
    select(delivery.c.id, delivery.c.account, delivery.c.event, delivery.c.url, delivery.c.body, delivery.c.tries,
           webhook.c.label, webhook.c.key, webhook.c.data)
    .outerjoin(webhook, and_(webhook.c.id == delivery.c.webhook, webhook.c.account == delivery.c.account))
    .where(delivery.c.due <= _bound("now"), delivery.c.account.not_in(_busy.chosen()))
    .order_by(delivery.c.due, delivery.c.id)
    .limit(_bound("limit"))
)  # fmt: skip
_LISTING = (
    select(*(delivery.c[name] for name in Delivery._fields))
    .where(delivery.c.account == _bound("account"), delivery.c.id < _bound("before"))
    .order_by(delivery.c.id.desc())
    .limit(_bound("limit"))
)
