"""What stands around one job: its submission, where that came from, what it has submitted itself, and what waits for it.

read(tx, account, jid, limit) -> Kin        NotFound

Kin.origin is what made the job, besides people and programs: a queue's attachment, a cron, an endpoint, an environment.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct, field
from sqlalchemy import BigInteger, Connection, LargeBinary, bindparam, func, literal_column, select

from picloud.store import fold
from picloud.store import job as jobs
from picloud.store.call import call as calls
from picloud.store.call.schema import call, runs
from picloud.store.environment_schema import environment
from picloud.store.queue.schema import attachment, handler
from picloud.store.queue.schema import queue as queues
from picloud.store.rows import constant, one, run
from picloud.store.schema import chunk, dependency, job, kind, lease, log, result, submission, worker
from picloud.wire import plain
from picloud.wire.call import Sort
from picloud.wire.error import NotFound
from picloud.wire.job import INLINE_LIMIT, Options

CHILDREN = 100
"""Calls and maps of a job that are told."""
MOST_HELD = 100
"""Submissions that wait for it, likewise."""


class Origin(Struct):
    """What made a job."""

    kind: str  # attachment, cron, rest, environment; "" = somebody's call
    name: str = ""  # queue, label or environment
    attachment: int = 0  # its number
    version: int = 0  # of the attachment


class Stored(Struct):
    """The result as it lies there."""

    size: int = 0  # bytes of the row's own
    blob: str = ""
    head: bytes = b""  # of these bytes


class Kin(Struct):
    """See the module."""

    submission: int
    first: int  # jid of the submission's first job
    count: int | None  # jobs of it; None = not known before its items end
    position: int  # of the job among them, from 0
    options: Options
    function: str  # digest
    modules: list[str]  # digests
    python: str
    name: str  # of the function
    created: int  # the submission
    core_type: str
    cores: int
    parent_n: int | None  # the attempt of its parent that submitted it
    parent_jid: int | None
    origin: Origin
    reserved: bool  # it runs, or ran last, on reserved cores
    children: list[dict[str, Any]] = field(default_factory=list)
    children_count: int = 0
    holds: list[int] = field(default_factory=list)  # first jids of what waits for it
    logs: dict[str, int] = field(default_factory=dict)  # bytes of each stream, of the last attempt that printed
    stored: Stored | None = None  # None = there is no result


def read(tx: Connection, account: int, jid: int, limit: int = CHILDREN) -> Kin:
    """What stands around a job; one that was reserved and not sent yet has a submission too.

    Raises:
        NotFound: there is no such job of this account.
    """
    row: Any = tx.execute(_OF_JOB, {"jid": jid, "account": account}).one_or_none()
    if row is None:
        jobs.unsent(tx, account, [(jid, 1)])
        row = tx.execute(_OF_RANGE, {"jid": jid, "account": account}).first()
    if row is None:
        raise NotFound(f"there is no job {jid}", jid=jid, hint="`picloud jobs` lists yours")
    options = msgspec.json.decode(row.options, type=Options)
    children, count = fold.of_parent(tx, account, jid, limit)
    return Kin(
        row.id, row.first, row.count, _position(tx, row, jid), options, row.function, msgspec.json.decode(row.modules),
        row.python, row.name, row.created, row.core_type, row.cores, row.parent_n, row.parent_jid,
        _origin(tx, account, jid, row, options),
        bool(one(tx, _RESERVED, jid=jid)), children, count, [each[0] for each in run(tx, _HOLDS, jid=jid, most=MOST_HELD)],
        _logs(tx, jid), _stored(tx, jid),
    )  # fmt: skip


def _position(tx: Connection, row: Any, jid: int) -> int:
    """Where in its submission a job is: the chunks of one without a length lie apart."""
    if row.count is not None or jid < row.first + row.head:
        return int(jid - row.first)
    offset, first = tx.execute(_CHUNK, {"submission": row.id, "jid": jid}).one()
    return int(offset + jid - first)


def _origin(tx: Connection, account: int, jid: int, row: Any, options: Options) -> Origin:
    found = one(tx, _HANDLER, jid=jid)
    if found is not None:
        return Origin("attachment", *found)
    found = one(tx, _CRON, jid=jid)
    if found is not None:
        return Origin("cron", found[0])
    if row.env[:1] == "s":
        found = one(tx, _ENVIRONMENT, id=int(row.env[1:].partition(".")[0]))
        return Origin("environment", found[0] if found else "")
    if row.parent_jid is None:
        for each in calls.every(tx, account, Sort.rest):
            if each.submit.function == row.function and each.submit.options.label == options.label:
                return Origin("rest", each.label)
    return Origin("")


def _logs(tx: Connection, jid: int) -> dict[str, int]:
    rows = run(tx, _LOGS, jid=jid).fetchall()
    last = max((n for n, _, _ in rows), default=0)
    return {stream: int(end) for n, stream, end in rows if n == last}


def _stored(tx: Connection, jid: int) -> Stored | None:
    found = one(tx, _RESULT, jid=jid)
    return None if found is None else Stored(int(found[0] or 0), found[1] or "", bytes(found[2] or b""))


def _bound(name: str) -> Any:
    return bindparam(name, type_=BigInteger)


_s = submission.c
_COLUMNS = (_s.id, _s.first, _s.count, _s.head, _s.options, _s.function, _s.modules, _s.python, _s.name, _s.created, _s.parent_n,
            _s.parent_jid, kind.c.core_type, kind.c.cores, kind.c.env)  # fmt: skip
_whole = select(*_COLUMNS).join_from(submission, kind, kind.c.id == _s.kind).where(_s.account == _bound("account"))
_jid = _bound("jid")
_OF_JOB = _whole.join(job, job.c.submission == _s.id).where(job.c.jid == _jid, job.c.account == _bound("account"))
_OF_RANGE = _whole.where(_s.first <= _jid, _s.count.is_not(None), _s.first + _s.count > _jid).order_by(_s.first.desc()).limit(1)
_CHUNK = (
    select(chunk.c.offset, chunk.c.first)
    .where(chunk.c.submission == _bound("submission"), chunk.c.first <= _jid)
    .order_by(chunk.c.first.desc())
    .limit(1)
)
_HANDLER = (
    select(queues.c.name, attachment.c.id, attachment.c.version)
    .join_from(handler, attachment, attachment.c.id == handler.c.attachment)
    .join(queues, queues.c.id == attachment.c.queue)
    .where(handler.c.jid == _jid)
)
_CRON = (
    select(call.c.label)
    .join_from(runs, call, call.c.id == runs.c.call)
    .where(runs.c.jid == _jid, runs.c.jid != literal_column("0"))
)
_ENVIRONMENT = select(environment.c.name).where(environment.c.id == _bound("id"))
_HOLDS = (
    select(_s.first)
    .join_from(dependency, submission, _s.id == dependency.c.child)
    .where(dependency.c.parent == _jid)
    .order_by(_s.first)
    .limit(_bound("most"))
)
_RESERVED = (
    select(worker.c.id)
    .join_from(lease, worker, worker.c.id == lease.c.worker)
    .where(lease.c.jid == _jid, worker.c.reserved == constant(1))
)
_LOGS = (
    select(log.c.n, log.c.stream, func.max(log.c.offset + log.c.size)).where(log.c.jid == _jid).group_by(log.c.n, log.c.stream)
)
_head = func.substr(result.c.data, constant(1), constant(INLINE_LIMIT + plain.HEAD), type_=LargeBinary)
_RESULT = select(func.length(result.c.data), result.c.blob, _head).where(
    result.c.jid == _jid, (result.c.data.is_not(None)) | (result.c.blob.is_not(None))
)
