"""Workers: one row for each incarnation that an engine starts. Their liveness is judged elsewhere; a row says only whether
the incarnation may still act.

    create(tx, incarnation, kind, secret, now, reserved) -> int
    by_incarnation(tx, incarnation, secret) -> Worker   NotAuthorized: unknown, wrong secret, or closed
    placed(tx, worker, pid, pid_start)                  where the engine put it
    live(tx) -> list[Worker]
    close: act.revoke
"""

from __future__ import annotations

import hashlib
import hmac

from msgspec import Struct
from sqlalchemy import Connection, bindparam, insert, select, update

from picloud.store.schema import kind, worker
from picloud.wire.error import NotAuthorized


class Worker(Struct, frozen=True):
    """One incarnation."""

    id: int
    incarnation: str
    kind: int
    account: int
    core_type: str
    cores: int
    pid: int | None
    pid_start: str | None  # start time of the process, as the engine wrote it
    created: int
    secret_hash: bytes
    env: str = ""
    vol: str = ""
    reserved: int = 0


def create(tx: Connection, incarnation: str, kind_id: int, secret: str, now: int, reserved: bool = False) -> int:
    """Register an incarnation before it is started; only the hash of its secret is kept.

    Args:
        reserved: it works on cores that a reservation keeps ready.
    """
    values = {"incarnation": incarnation, "kind": kind_id, "secret_hash": _hash(secret), "created": now, "evidence": "",
              "reserved": int(reserved)}  # fmt: skip
    return int(tx.execute(_CREATE, values).scalar_one())


def by_incarnation(tx: Connection, incarnation: str, secret: str) -> Worker:
    """The live worker that shows this credential.

    Raises:
        NotAuthorized: unknown, wrong secret, or closed.
    """
    row = tx.execute(_FIND, {"incarnation": incarnation}).one_or_none()
    if not hmac.compare_digest(row.secret_hash if row else bytes(32), _hash(secret)) or row is None or row.closed:
        raise NotAuthorized("this worker's credential is not valid any more", hint="it was revoked: end the worker")
    return Worker(*row[:13])


def placed(tx: Connection, worker_id: int, pid: int, pid_start: str) -> None:
    """Note the process that an engine started for the worker."""
    tx.execute(_PLACED, {"id_": worker_id, "pid_": pid, "start_": pid_start})


def live(tx: Connection) -> list[Worker]:
    """All workers that are not closed, oldest first."""
    return [Worker(*row[:13]) for row in tx.execute(_LIVE)]


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


_CREATE = insert(worker).returning(worker.c.id)
_ROWS = select(
    worker.c.id, worker.c.incarnation, worker.c.kind, kind.c.account, kind.c.core_type, kind.c.cores, worker.c.pid,
    worker.c.pid_start, worker.c.created, worker.c.secret_hash, kind.c.env, kind.c.vol,
    worker.c.reserved, worker.c.closed,
).join_from(worker, kind, kind.c.id == worker.c.kind)  # fmt: skip
_FIND = _ROWS.where(worker.c.incarnation == bindparam("incarnation"))
_LIVE = _ROWS.where(worker.c.closed.is_(None)).order_by(worker.c.id)
_PLACED = update(worker).where(worker.c.id == bindparam("id_")).values(pid=bindparam("pid_"), pid_start=bindparam("start_"))
