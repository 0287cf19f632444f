"""What a removed account had goes away, in small pieces; see :mod:`picloud.store.account.removal`.

    stop(tx, account, now)                          nothing of it begins or is found any more
    jobs(tx, account, after) -> int | None          the ended ones, their payloads and submissions
    BITES                                           acts (tx, account) -> bool: call again while true
    is_left(tx, account) -> bool

All of it may be done again and again: what a request has written that was under way goes at the next time. A job in a worker's
hands stays until the worker has let go, so that its line of the ledger is written first. Versions of its environments stay as
long as an unfinished job of anybody runs in them, layers as long as any version or base names them, and bytes fall to the sweeper
of blobs. :data:`KEPT` is what stays for ever.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Connection, Table, bindparam, delete, exists, func, null, select, update
from sqlalchemy.sql import ColumnElement

from picloud.store import environment as environments
from picloud.store import retention
from picloud.store.account.schema import invitation, membership
from picloud.store.award.schema import application, application_file
from picloud.store.call.schema import call, cron, endpoint, runs
from picloud.store.environment_schema import base, environment, version
from picloud.store.index import object as objects
from picloud.store.index import tree as trees
from picloud.store.index.schema import tree
from picloud.store.queue import queue as queues
from picloud.store.queue.schema import attachment, batch, handler, queue
from picloud.store.rows import constant, gathered, listing, run
from picloud.store.schema import api_key, chunk, code, job, lease, login, submission
from picloud.store.secret.schema import secret
from picloud.store.webhook.schema import delivery, webhook
from picloud.wire.job import FIRST_FINAL

LIMIT = 1000
"""Rows of one bite."""
HEAVY = 20
"""Rows of a bite that may be megabytes each."""
KEPT = frozenset({"account", "attempt", "stretch", "usage", "purpose", "kind", "reservation", "credit", "audit"})
"""Tables whose rows outlive their account: the ledger, what its lines are summed by, what was given to pay it, the audit log."""
SWEPT = frozenset({"blob"})
"""Those that the sweeper of blobs empties."""
Bite = Callable[[Connection, int], bool]


def stop(tx: Connection, account: int, now: int) -> None:
    """Take away what would begin or be found by itself: crons, addresses, webhooks, secrets, handlers, queues, environments.

    Args:
        now: epoch ms.
    """
    mine = select(call.c.id).where(call.c.account == account)
    for clock in (cron, endpoint):
        tx.execute(delete(clock).where(clock.c.call.in_(mine)))
    for table in (webhook, secret, api_key, login, invitation, membership):
        tx.execute(delete(table).where(table.c.account == account))
    tx.execute(update(attachment).where(attachment.c.account == account, attachment.c.live != 0).values(live=0, ended=now))
    tx.execute(update(queue).where(queue.c.account == account, queue.c.gone == 0).values(gone=queue.c.id))
    tx.execute(update(submission).where(submission.c.account == account, submission.c.final == 0).values(final=1))
    ended = {"gone": environment.c.id, "public": 0, "modified": 0, "setup_jid": null(), "action": "idle"}
    tx.execute(update(environment).where(environment.c.account == account, environment.c.gone == 0).values(ended))
    tx.execute(update(environment).where(environment.c.account == account).values(modified=0))


def jobs(tx: Connection, account: int, after: int, limit: int = LIMIT) -> int | None:
    """Remove ended jobs that are in nobody's hands, ``limit`` of them, and submissions that none is left of.

    The newest submission of all keeps its number, as for :func:`picloud.store.retention.submissions`; it tells nothing any more.

    Args:
        after: the number of the submission up to which this was called already; 0 to begin with.

    Returns:
        Up to which it is done now; None at the end.
    """
    rows = [Sent(*row) for row in run(tx, _SUBMISSIONS, account=account, after=after, limit=limit).fetchall()]
    jids: list[int] = []
    whole: list[int] = []
    for one in rows:
        jids += _ended_of(tx, account, one, limit - len(jids))
        if len(jids) >= limit:
            break
        whole.append(one.id)
    retention.drop_jobs(tx, jids)
    newest, empty = retention.newest(tx), retention.empty(tx, whole)
    retention.drop_submissions(tx, [number for number in empty if number != newest])
    if newest in empty:
        retention.drop_submissions(tx, [newest], bare=True)
        tx.execute(_BLANK, {"id_": newest})
    return None if not rows else whole[-1] if whole else after


class Sent(NamedTuple):
    """A submission: where its jids lie."""

    id: int
    first: int
    reserved: int | None  # jids from ``first`` on; None: they lie in its chunks
    head: int


def _ended_of(tx: Connection, account: int, sent: Sent, limit: int) -> list[int]:
    """Jids of a submission that may go, ``limit`` at most."""
    ranges = [(sent.first, sent.head if sent.reserved is None else sent.reserved)]
    if sent.reserved is None:
        ranges += run(tx, _CHUNKS, submission=sent.id).fetchall()
    jids: list[int] = []
    for first, count in ranges:
        if len(jids) < limit:
            jids += listing(tx, _ENDED, account=account, first=first, end=first + count, limit=limit - len(jids))
    return jids


def is_left(tx: Connection, account: int) -> bool:
    """Whether anything is left of what an account had, but for what stays."""
    told = exists().where(submission.c.account == account, submission.c.function != "")
    return any(tx.execute(select(one)).scalar() for one in (told, *(exists().where(t.c.account == account) for t in EMPTIED)))


def _queues(tx: Connection, account: int) -> bool:
    """Rows of deleted queues, its own among them."""
    return bool(tx.execute(select(exists().where(queue.c.account == account))).scalar()) and queues.forget(tx)


def _trees(tx: Connection, account: int) -> bool:
    """What lies in its bucket and its volumes, then these."""
    number = tx.execute(select(func.min(tree.c.id)).where(tree.c.account == account)).scalar()
    if number is None:
        return False
    trees.lock(tx, number)
    found = objects.below(tx, number, "", LIMIT)
    objects.drop(tx, account, number, found)
    if len(found) < LIMIT:
        tx.execute(delete(tree).where(tree.c.id == number))
    return True


def _environments(tx: Connection, account: int) -> bool:
    """Versions that no unfinished job runs in, then environments without any."""
    environments.forget(tx, 1)  # ``stop`` has dated these to the beginning of time
    bare = ~exists().where(version.c.environment == environment.c.id)
    tx.execute(delete(environment).where(environment.c.account == account, environment.c.gone != 0, bare))
    return False


def _some(table: Table, key: ColumnElement[Any], mine: Callable[[int], Any], limit: int = LIMIT) -> Bite:
    """A bite of the rows of one table."""

    def bite(tx: Connection, account: int) -> bool:
        chosen = select(key).where(mine(account)).limit(limit)
        return bool(tx.execute(delete(table).where(mine(account), key.in_(chosen))).rowcount >= limit)

    return bite


def _own(table: Table, limit: int = LIMIT) -> Bite:
    """The same for one whose rows tell their account."""
    key = table.c.digest if table is code else table.c.id
    return _some(table, key, lambda account: table.c.account == account, limit)


def _of(table: Table, key: ColumnElement[Any], column: ColumnElement[Any], owner: Table) -> Bite:
    """The same for rows that belong to those of ``owner``."""
    return _some(table, key, lambda account: column.in_(select(owner.c.id).where(owner.c.account == account)))


BITES: tuple[Bite, ...] = (
    _queues,
    _trees,
    _environments,
    _of(runs, runs.c.id, runs.c.call, call),
    _own(call),
    _of(handler, handler.c.jid, handler.c.attachment, attachment),
    _own(attachment),
    _own(delivery),
    _own(batch),
    _own(code, HEAVY),
    _own(base),
    _of(application_file, application_file.c.application, application_file.c.application, application),
    _own(application),
)
"""In this order, behind :func:`jobs`."""
EMPTIED = (
    api_key, application, attachment, base, batch, call, code, delivery, environment, invitation, login, membership, queue,
    secret, tree, webhook,
)  # fmt: skip
"""Tables that tell an account and have no row of it in the end; beside submissions and their jobs."""


def _bound(name: str) -> Any:
    return bindparam(name, type_=BigInteger)


_SUBMISSIONS = (
    select(submission.c.id, submission.c.first, submission.c.count, submission.c.head)
    .where(submission.c.account == _bound("account"), submission.c.id > _bound("after"))
    .order_by(submission.c.id)
    .limit(_bound("limit"))
)
_CHUNKS = select(chunk.c.first, chunk.c.count).where(chunk.c.submission == _bound("submission")).order_by(chunk.c.offset)
_ENDED = select(
    gathered(
        select(job.c.jid)
        .where(
            job.c.jid >= _bound("first"),
            job.c.jid < _bound("end"),
            job.c.account == _bound("account"),
            job.c.status >= constant(int(FIRST_FINAL)),
            ~select(lease.c.jid).where(lease.c.jid == job.c.jid).exists(),
        )
        .order_by(job.c.jid)
        .limit(_bound("limit"))
        .subquery()
        .c.jid
    )
)
_BLANK = (
    update(submission)
    .where(submission.c.id == bindparam("id_"))
    .values(name="", label="", function="", modules="[]", options="{}")
)
