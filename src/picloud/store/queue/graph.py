"""All queues of an account with their handlers, as a picture of them needs it.

read(tx, account, names, since, now) -> list[Node]
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import BigInteger, Connection, bindparam, func, select

from picloud.store.queue import attachment as attachments
from picloud.store.queue import queue as queues
from picloud.store.queue import tally
from picloud.store.queue.attachment import Attachment
from picloud.store.queue.queue import Count, Queue
from picloud.store.queue.schema import attachment, handler
from picloud.store.queue.tally import Happened
from picloud.store.rows import constant, run
from picloud.store.schema import job
from picloud.wire.job import FIRST_FINAL, Status


class Node(NamedTuple):
    """A queue and its handler."""

    queue: Queue
    inside: Count
    windows: list[tuple[int, Happened]]  # epoch ms of their begins; those in which nothing happened are left out
    handler: Attachment | None
    running: int  # jobs of the handler, of former ones too
    starting: int


def read(tx: Connection, account: int, names: Sequence[str], since: int, now: int) -> list[Node]:
    """The queues of an account, or those that are named.

    Args:
        since: epoch ms from which on windows are told.

    Raises:
        NotFound: one that is named is not there.
    """
    found = [queues.find(tx, account, name) for name in names] if names else queues.every(tx, account)
    windows = tally.read(tx, [one.id for one in found], since)
    handlers = {one.queue: one for one in attachments.live_of(tx, account)}
    jobs = _jobs(tx, account)
    return [
        Node(one, queues.count(tx, one, now), windows[one.id], handlers.get(one.id), *jobs[one.id])
        for one in found
    ]  # fmt: skip


def _jobs(tx: Connection, account: int) -> dict[int, list[int]]:
    """How many jobs of handlers run, and how many are about to, by queue."""
    found: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    for number, status, count in run(tx, _JOBS, account=account).fetchall():
        found[number][status != Status.processing] += count
    return found


_JOBS = (
    select(attachment.c.queue, job.c.status, func.count())
    .join_from(handler, attachment, attachment.c.id == handler.c.attachment)
    .join(job, job.c.jid == handler.c.jid)
    .where(
        attachment.c.account == bindparam("account", type_=BigInteger),
        handler.c.ended == constant(0),
        job.c.status < constant(int(FIRST_FINAL)),
    )
    .group_by(attachment.c.queue, job.c.status)
)
