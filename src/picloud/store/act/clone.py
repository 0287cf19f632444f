"""A job as it was submitted, so that it can be submitted again with other settings.

source(tx, account, jid) -> Source      NotFound, Conflict
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import BigInteger, Connection, bindparam, select

from picloud.store import job as jobs
from picloud.store.schema import argument, job, kind, submission, submission_env
from picloud.wire.error import Conflict, NotFound
from picloud.wire.job import Options
from picloud.wire.message import Arguments, Submit


class Source(Struct):
    """What a job was submitted with."""

    submit: Submit  # of it alone, without a token and without code, which the store has
    image: str  # it ran in, as in ``kind.env``


def source(tx: Connection, account: int, jid: int) -> Source:
    """Read one job back, whatever state it is in. What it waited for is not waited for again.

    Raises:
        NotFound: no such job of this account, or its arguments are gone.
        Conflict: it was not sent yet, handles a queue, or sets an environment up.
    """
    row = tx.execute(_OF, {"jid": jid, "account": account}).one_or_none()
    if row is None:
        jobs.unsent(tx, account, [(jid, 1)])
        raise Conflict(f"job {jid} was not sent yet", jid=jid, hint="wait until its client has sent it")
    options = msgspec.json.decode(row.options, type=Options)
    if options.queue:
        raise Conflict(f"job {jid} handles the queue {options.queue!r}", jid=jid, queue=options.queue,
                       hint="attach the handler with other settings; the server starts such jobs itself")  # fmt: skip
    if row.image.startswith("s"):
        raise Conflict(f"job {jid} sets an environment up", jid=jid, hint="picloud env modify starts a new one")
    if row.data is None and row.blob is None:
        raise NotFound(f"the arguments of job {jid} are gone", jid=jid, hint="submit it again")
    data, blob = bytes(row.data or b""), row.blob or ""
    values = tx.execute(_ENV, {"id": row.id}).scalar_one_or_none()
    options = msgspec.structs.replace(options, depends_on=[], hooked=False)
    made = Submit(
        b"", row.function, msgspec.json.decode(row.modules), row.python, row.name, options, 1,
        Arguments([len(data)], data, [row.preview], {0: blob} if blob else {}),
        msgspec.json.decode(values) if values else {},
    )  # fmt: skip
    return Source(made, row.image)


def _bound(name: str) -> Any:
    return bindparam(name, type_=BigInteger)


_s = submission.c
_OF = (
    select(_s.id, _s.function, _s.modules, _s.python, _s.name, _s.options, kind.c.env.label("image"), argument.c.data,
           argument.c.blob, argument.c.preview)
    .join_from(job, submission, _s.id == job.c.submission)
    .join(kind, kind.c.id == job.c.kind)
    .outerjoin(argument, argument.c.jid == job.c.jid)
    .where(job.c.jid == _bound("jid"), job.c.account == _bound("account"))
)  # fmt: skip
_ENV = select(submission_env.c.data).where(submission_env.c.submission == _bound("id"))
