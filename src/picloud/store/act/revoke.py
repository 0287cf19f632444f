"""A worker is dead, or shall count as dead.

    revoke(tx, worker, evidence, now, *, blameless=False) -> Finish

Afterwards nothing that the worker reports is accepted. Its attempts close as ``worker_lost``, and their jobs are tried
again or fail as in ``act.finish``. A job known to run, or given out alone, counts the death against itself; one that was
merely in hand is only doubted. ``blameless``: the server itself ended the worker (``picloud down``), so nothing counts.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Connection, Text, bindparam, update

from picloud.store.act.answer import Finish
from picloud.store.act.finish import Ending, Weight, conclude
from picloud.store.act.lease import Held, in_hand
from picloud.store.schema import worker
from picloud.wire.job import FIRST_FINAL, Cause, Failure
from picloud.wire.message import Outcome


def revoke(tx: Connection, worker_id: int, evidence: str, now: int, *, blameless: bool = False) -> Finish:
    """Close a worker and everything it held. A repeat changes nothing.

    Args:
        evidence: one line for people: how it is known that the worker is gone.
        now: epoch ms.
        blameless: do not hold this end against the jobs.
    """
    if not tx.execute(_CLOSE, {"worker": worker_id, "now": now, "evidence_": evidence[:1000].replace("\0", "")}).rowcount:
        return Finish()
    held = in_hand(tx, worker_id)
    endings = [Ending(_lost(one, evidence), one.status >= FIRST_FINAL, _weight(one, blameless)) for one in held]
    return conclude(tx, endings, held[0].kind, held[0].account, now) if held else Finish()


def _lost(held: Held, evidence: str) -> Outcome:
    told = Failure("worker_lost", f"the worker that held the job was lost: {evidence}",
                   "look at its memory use, then rerun it if it may run twice")  # fmt: skip
    return Outcome(held.jid, held.n, held.lease, int(Cause.worker_lost), 0, failure=told)


def _weight(held: Held, blameless: bool) -> Weight:
    if blameless:
        return "free"
    return "lost" if held.started is not None or held.alone else "doubt"


_CLOSE = (
    update(worker)
    .where(worker.c.id == bindparam("worker"), worker.c.closed.is_(None))
    .values(closed=bindparam("now", type_=BigInteger), evidence=bindparam("evidence_", type_=Text))
)
