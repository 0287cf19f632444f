"""Run finished jobs anew, as new jobs with the same code, options and arguments.

    rerun(tx, account, ranges, *, failed, token, now) -> (Ranges, ready_kinds)

Jobs of one submission become one submission again. What they once waited for is not waited for again.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from typing import Any

import msgspec
from sqlalchemy import BigInteger, Connection, bindparam, insert, select

from picloud.store import image
from picloud.store import job as jobs
from picloud.store.act import gate
from picloud.store.act.accept import Shape, is_told, put_jobs, reserve
from picloud.store.rows import Listed, as_list, gathered, listing, merged, to_json
from picloud.store.schema import argument, job, kind, submission, submission_env
from picloud.store.secret import secret
from picloud.wire.error import BadRequest, Conflict, NotFound
from picloud.wire.job import FIRST_FINAL, Options, Status
from picloud.wire.message import Ranges


def rerun(tx: Connection, account: int, ranges: Ranges, *, failed: bool, token: bytes, now: int) -> tuple[Ranges, set[int]]:
    """Submit copies of these jobs.

    Args:
        failed: only of those that did not end in ``done``.
        token: 16 bytes; a repeat gets the same answer.
        now: epoch ms.

    Returns:
        The jids of the copies, in the order of the originals, and the kinds that got ready jobs.

    Raises:
        NotFound: a jid is not of this account, or its arguments are gone, or the environment or a secret is.
        Conflict: a job is unfinished, or the token was used for other jobs.
    """
    if len(token) != 16:
        raise BadRequest("a token has 16 bytes")
    made: Ranges = []
    ready: set[int] = set()
    for source, jids in _by_submission(tx, account, merged(ranges), failed).items():
        copied, kind = _copy(tx, account, source, jids, token, now)
        made.append(copied)
        ready |= {kind} if kind is not None else set()
    return made, ready


def _by_submission(tx: Connection, account: int, ranges: Ranges, failed: bool) -> dict[int, list[int]]:
    found: dict[int, list[int]] = defaultdict(list)
    for first, count in ranges:
        if unsent := jobs.unsent(tx, account, [(first, count)]):
            raise Conflict(f"job {unsent[0][0]} was not sent yet", jid=unsent[0][0])
        for jid, source, status, known in listing(tx, _FOUND, account=account, first=first, end=first + count):
            if status < FIRST_FINAL:
                raise Conflict(f"job {jid} is not finished", jid=jid, hint="wait for it, or kill it first")
            if failed and status == Status.done:
                continue
            if known is None:
                raise NotFound(f"the arguments of job {jid} are gone", jid=jid, hint="submit it again")
            found[source].append(jid)
    return found


def _copy(tx: Connection, account: int, source: int, jids: list[int], token: bytes, now: int
          ) -> tuple[tuple[int, int], int | None]:  # fmt: skip
    """One submission with copies of these jobs of ``source``: its range, and its kind where it is new."""
    listed, count = as_list(jids), len(jids)
    own, digest = hashlib.sha256(token + b"%d" % source).digest()[:16], hashlib.sha256(listed.encode()).digest()
    known = tx.execute(_KNOWN, {"account": account, "token": own}).one_or_none()
    if known is not None:
        if known.digest != digest:
            raise Conflict("this token was used to rerun other jobs", hint="make a fresh token for each call")
        return (known.first, count), None
    row = tx.execute(select(submission).where(submission.c.id == source)).mappings().one()
    image.check_there(tx, tx.execute(_IMAGE, {"kind": row["kind"]}).scalar_one())
    options = msgspec.structs.replace(msgspec.json.decode(row["options"], type=Options), depends_on=[])
    secret.check(tx, account, options.secrets)
    first = reserve(tx, count)
    values = {name: row[name] for name in ("function", "modules", "python", "name", "label", "kind", "purpose")}
    values |= {"account": account, "token": own, "digest": digest, "options": to_json(options).decode(), "first": first,
               "count": count, "head": count, "accepted": count, "final": 1, "gate": 0, "created": now, "seen": now}  # fmt: skip
    new = tx.execute(_SUBMISSION, values).scalar_one()
    tx.execute(_ENV, {"new": new, "source": source})
    put_jobs(tx, account, first, listed, Shape(new, row["kind"], options.priority, options.restartable, 0, row["purpose"]), now)
    if is_told(options):
        gate.announce(tx, new, first, count, now)
    tx.execute(_ARGUMENTS, {"rows": listed, "first": first})
    return (first, count), int(row["kind"])


def _bound(name: str) -> Any:
    return bindparam(name, type_=BigInteger)


_rows = Listed("rows")
_of = (
    select(job.c.jid, job.c.submission, job.c.status, argument.c.jid.label("known"))
    .outerjoin(argument, argument.c.jid == job.c.jid)
    .where(job.c.account == _bound("account"), job.c.jid >= _bound("first"), job.c.jid < _bound("end"))
    .order_by(job.c.jid)
    .subquery()
)
_FOUND = select(gathered(_of.c.jid, _of.c.submission, _of.c.status, _of.c.known))
_KNOWN = select(submission.c.first, submission.c.digest).where(
    submission.c.account == bindparam("account"), submission.c.token == bindparam("token")
)
_IMAGE = select(kind.c.env).where(kind.c.id == bindparam("kind"))
_SUBMISSION = insert(submission).returning(submission.c.id)
_ENV = insert(submission_env).from_select(
    ["submission", "data"],
    select(_bound("new"), submission_env.c.data).where(submission_env.c.submission == _bound("source")),
)
_ARGUMENTS = insert(argument).from_select(
    ["jid", "data", "blob", "preview"],
    select(_bound("first") + _rows.key, argument.c.data, argument.c.blob, argument.c.preview)
    .select_from(_rows.table)
    .join(argument, argument.c.jid == _rows.only()),
)
