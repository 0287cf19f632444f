"""Give the jobs of closed ranges their rows; see :mod:`picloud.store.closing`.

proceed(tx, now, among=None, limit=...) -> Finish       one bite; call again while ``Finish.more``
"""

from __future__ import annotations

from sqlalchemy import Connection, select

from picloud.store import closing
from picloud.store import job as jobs
from picloud.store.act import gate
from picloud.store.act.answer import Finish
from picloud.store.schema import submission
from picloud.wire.message import Ranges


def proceed(tx: Connection, now: int, among: Ranges | None = None, limit: int = closing.AT_ONCE) -> Finish:
    """Write the rows of up to ``limit`` closed jobs, and stall what waits for them.

    Args:
        now: epoch ms.
        among: only of closed ranges that overlap these.
    """
    finish = Finish()
    bite = closing.next_bite(tx, among, limit)
    if bite is None:
        return finish
    finish.more = bite.more
    owner = tx.execute(select(submission).where(submission.c.id == bite.of.submission)).one_or_none()
    if owner is None:
        return finish  # so old that it was removed
    jobs.write_unsent(tx, owner, bite.of.first, bite.count, bite.of.cause, now)
    finish.closed = [(bite.of.first, bite.count)]
    gate.spread(tx, gate.held_by(tx, bite.of.first, bite.count), finish, now)
    return finish
