"""Take in submissions and their chunks.

    submit(tx, account, m: Submit, *, parent=(jid, n)|None, now) -> (Submitted, ready_kinds)
    chunk(tx, account, m: Chunk, body_digest: bytes, now)        -> (Accepted, ready_kinds)
    vanished(tx, before, now)                                    -> Finish

``now`` is epoch ms; ``ready_kinds`` the kinds that got ready jobs (wake the dispatcher). ``m.options.core_type`` and
``cores`` must be final (the server fills in the default type). All are idempotent: a token or a (submission, offset) that was
seen gets the same answer, with another content Conflict. Missing code is named in ``Submitted.missing`` and nothing is stored.
"""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import BigInteger, Connection, Integer, Text, and_, bindparam, func, insert, literal_column, null, select, update
from sqlalchemy.sql import ColumnElement

from picloud.store import blob, code, image, kind
from picloud.store import job as jobs
from picloud.store.act import gate
from picloud.store.act.answer import Finish
from picloud.store.index import volume
from picloud.store.meter import purpose
from picloud.store.rows import EVERY, Given, Listed, add, as_list, constant, cut, from_json, one, pack, run, text, to_json
from picloud.store.schema import argument, counter, job, submission, submission_env
from picloud.store.schema import chunk as chunk_table
from picloud.store.secret import secret
from picloud.store.webhook import webhook
from picloud.wire.error import BadRequest, Conflict, NotFound
from picloud.wire.job import Cause, Options, Status
from picloud.wire.message import Accepted, Arguments, Chunk, Submit, Submitted

LONGEST_NAME = 1000
"""Characters of a label or function name."""
MOST_RETRIES = 10_000
STATUS_BY_GATE = {gate.OPEN: Status.queued, gate.SHUT: Status.waiting, gate.STALLED: Status.stalled}


def submit(
    tx: Connection,
    account: int,
    m: Submit,
    *,
    parent: tuple[int, int] | None = None,
    now: int,
    host: str = "",
    env: str | None = None,
) -> tuple[Submitted, set[int]]:
    """Store a call or map with its first chunk.

    Args:
        account: the owner.
        m: the submission.
        parent: the attempt (jid, n) that submits, where a job does.
        now: epoch ms.
        host: the image of base/host with this client's interpreter, as in ``kind.env``.
        env: the image, whatever ``m.options.env`` says.

    Raises:
        Conflict: the token was used with another content.
        NotFound: a job, blob, volume or secret it names is not of this account, or there is no such environment.
        BadRequest, Skew: it contradicts itself, or its environment does not fit.
    """
    digest, needed = body_digest(m), [m.function, *m.modules]
    vol = kind.text_of(volume.numbers(tx, account, m.options.vol)) if m.options.vol else ""
    seen = Seen(*one(tx, _LOOK, account=account, token=m.token, digests=as_list(needed), core_type=m.options.core_type,
                     cores=m.options.cores, env=host if env is None else env, vol=vol,
                     function=text(m.name), label=m.options.label, queue=m.options.queue))  # fmt: skip
    if seen.id is not None:
        return _repeated(seen, digest), Repeated()
    options = _checked(tx, account, m, seen)
    if env is None and m.options.env:
        env = image.resolve(tx, account, m.options.env, host=host, python=m.python, program=m.options.interactive)
        seen = seen._replace(kind=seen.kind if env == host else None)
    if missing := code.missing(tx, account, needed, from_json(seen.code), m.code, now):
        return Submitted(0, 0, 0, missing), set()
    head = len(m.arguments.ends)
    blob.refer(tx, account, m.arguments.blobs.values(), now)
    parents = gate.look(tx, account, m.options)
    kind_id = seen.kind or kind.ensure(tx, account, m.options.core_type, m.options.cores, host if env is None else env, vol)
    paid_for = seen.purpose or purpose.ensure(tx, account, purpose.of(m))
    first = reserve(tx, head if m.count is None else m.count)
    (made,) = one(
        tx, _SUBMISSION, account=account, token=m.token, digest=digest, function=m.function, modules=as_list(m.modules),
        python=m.python, name=m.name, label=m.options.label, options=to_json(options).decode(), kind=kind_id,
        purpose=paid_for, first=first, count=m.count, head=head, accepted=head, final=int(m.final or head == m.count),
        gate=parents.state, blame=parents.blame, parent_jid=parent[0] if parent else None, parent_n=parent[1] if parent else None,
        created=now, seen=now,
    )  # fmt: skip
    if m.env_values:
        tx.execute(insert(submission_env), {"submission": made, "data": to_json(m.env_values).decode()})
    gate.hold(tx, made, parents)
    shape = Shape(made, kind_id, options.priority, options.restartable, parents.state, paid_for, is_told(options))
    _store(tx, account, first, m.arguments, shape, now)
    if parents.state == gate.STALLED and m.count is not None:
        # at once, for later nobody would tell the jobs that come to wait for these
        jobs.close_unsent(tx, jobs.Owner(made, account, kind_id), first + head, m.count - head, Cause.dependency, now)
    return Submitted(made, first, head), {kind_id} if head and parents.state == gate.OPEN else set()


def _checked(tx: Connection, account: int, m: Submit, seen: Seen) -> Options:
    """Refuse what cannot be; the options, with what the server says itself."""
    check(m)
    secret.check(tx, account, m.options.secrets)
    if m.options.webhook:
        webhook.find(tx, account, "")
    hooked = seen.webhook is not None and m.options.label != ""
    return msgspec.structs.replace(m.options, hooked=True) if hooked else m.options


class Repeated(set[int]):
    """The kinds that got ready jobs from what was taken in before: none, and nothing came at all."""


class Seen(NamedTuple):
    """What is there already of a submission that comes in."""

    id: int | None  # the same one, or one of the same token
    digest: bytes
    first: int
    accepted: int
    code: str  # JSON: those digests that the account has
    kind: int | None
    purpose: int | None
    webhook: int | None  # of its label


def _repeated(seen: Seen, digest: bytes) -> Submitted:
    """The answer that was given to this token before."""
    if seen.id is None or bytes(seen.digest) != digest:
        raise Conflict("this token was used for another submission", hint="make a fresh token for each call or map")
    return Submitted(seen.id, seen.first, seen.accepted)


def chunk(tx: Connection, account: int, m: Chunk, body_digest: bytes, now: int) -> tuple[Accepted, set[int]]:
    """Store a further chunk.

    Args:
        body_digest: sha256 of the chunk as it was sent; tells a repeat from a conflict.

    Raises:
        NotFound: no such submission of this account.
        Conflict: this offset was used with another content.
        BadRequest: the chunk lies outside of the submission.
    """
    s = tx.execute(_LOCKED, {"id": m.submission, "account": account}).one_or_none()
    if s is None:
        raise NotFound(f"there is no submission {m.submission}")
    count = len(m.arguments.ends)
    known: Any = tx.execute(_CHUNK, {"submission": s.id, "last": m.offset + max(count, 1) - 1}).one_or_none()
    if known is not None and (known.offset == m.offset or known.offset + known.count > m.offset):
        if known.offset != m.offset or known.digest != body_digest:
            raise Conflict(f"the chunk at {m.offset} was sent before with another content", submission=s.id)
        return Accepted(known.first, known.count), Repeated()
    _check_place(s, m, count)
    blob.refer(tx, account, m.arguments.blobs.values(), now)
    first = s.first + m.offset if s.count is not None else reserve(tx, count)
    tx.execute(insert(chunk_table), {"submission": s.id, "offset": m.offset, "first": first, "count": count,
                                     "digest": body_digest})  # fmt: skip
    tx.execute(_GROW, {"id_": s.id, "accepted_": s.accepted + count, "seen_": now,
                       "final_": int(m.final or s.accepted + count == s.count)})  # fmt: skip
    options = msgspec.json.decode(s.options, type=Options)
    shape = Shape(s.id, s.kind, options.priority, options.restartable, s.gate, s.purpose, is_told(options))
    _store(tx, account, first, m.arguments, shape, now)
    return Accepted(first, count), {s.kind} if count and s.gate == gate.OPEN else set()


def vanished(tx: Connection, before: int, now: int) -> Finish:
    """Close what clients that fell silent never sent.

    Submissions that are not complete and idle since ``before`` (epoch ms) are made final; their unsent jids become killed
    jobs, cause ``not_sent``.
    """
    finish = Finish()
    for s in tx.execute(_IDLE, {"before": before}).all():
        tx.execute(update(submission).where(submission.c.id == s.id).values(final=1))
        for first, count in jobs.unsent_of(tx, s):
            jobs.close_unsent(tx, s, first, count, Cause.not_sent, now)
            finish.closed.append((first, count))
            gate.spread(tx, gate.held_by(tx, first, count), finish, now)
    return finish


def reserve(tx: Connection, count: int) -> int:
    """The first of ``count`` new jids."""
    last: int = one(tx, _RESERVE, more=count)[0]
    return last - count + 1


def body_digest(m: Submit) -> bytes:
    """sha256 of everything in a submission but the code it brings along."""
    made = hashlib.sha256(m.arguments.data)
    a = m.arguments
    made.update(pack((m.function, m.modules, m.python, m.name, m.options, m.count, a.ends, a.previews, a.blobs,
                      m.env_values, m.final)))  # fmt: skip
    return made.digest()


def check(m: Submit) -> None:
    """Refuse what contradicts itself, before anything is stored."""
    if len(m.token) != 16:
        raise BadRequest("a token has 16 bytes")
    for what, value in (("label", m.options.label), ("function name", m.name)):
        if len(value) > LONGEST_NAME or "\0" in value:
            raise BadRequest(f"the {what} has {len(value)} characters or a NUL", hint=f"at most {LONGEST_NAME}, no NUL")
    if m.count is not None and not len(m.arguments.ends) <= m.count < 1 << 40:
        raise BadRequest(f"a submission of {m.count} jobs cannot begin with {len(m.arguments.ends)}")
    o = m.options
    for what, number in (("priority", o.priority), ("cores", o.cores), ("retries", o.retries), ("retry delay", o.retry_delay_ms)):
        if not -(1 << 31) <= number < 1 << 31:
            raise BadRequest(f"the {what} {number} is out of range")
    if o.retries > MOST_RETRIES:
        raise BadRequest(f"{o.retries} retries are too many", hint=f"at most {MOST_RETRIES}")
    check_arguments(m.arguments)


def check_arguments(a: Arguments) -> None:
    """Refuse arguments whose parts do not fit each other."""
    last = 0
    for end in a.ends:
        if end < last:
            break
        last = end
    else:
        if last == len(a.data) and len(a.previews) == len(a.ends) and all(0 <= i < len(a.ends) for i in a.blobs):
            return
    raise BadRequest("the chunk's ends, previews and blobs do not fit its data")


def _check_place(s: Any, m: Chunk, count: int) -> None:
    if s.final:
        raise BadRequest(f"submission {s.id} is complete, or was killed or given up", hint="submit again")
    if m.offset < s.head or (s.count is not None and m.offset + count > s.count) or (s.count is None and m.offset != s.accepted):
        raise BadRequest(f"a chunk of {count} at {m.offset} does not fit submission {s.id}", accepted=s.accepted, count=s.count)
    check_arguments(m.arguments)


class Shape(msgspec.Struct):
    """What the jobs of one submission share."""

    submission: int
    kind: int
    priority: int
    restartable: bool
    gate: int
    purpose: int
    told: bool = False  # their ends, to webhooks


def is_told(options: Options) -> bool:
    """Whether webhooks are told of the ends of these jobs."""
    return bool(options.webhook) or options.hooked


def _store(tx: Connection, account: int, first: int, a: Arguments, shape: Shape, now: int) -> None:
    if not a.ends:
        return
    names = a.blobs
    rows = (
        (first + at, start, end - start, names.get(at, ""), text(preview))
        for at, (start, end, preview) in enumerate(zip([0, *a.ends], a.ends, a.previews, strict=False))
    )
    put_jobs(tx, account, first, as_list(range(len(a.ends))), shape, now)
    if shape.told:
        gate.announce(tx, shape.submission, first, len(a.ends), now)
    run(tx, _ARGUMENTS, arguments=rows, data_=a.data or b"\0")


def put_jobs(tx: Connection, account: int, first: int, rows: str, shape: Shape, now: int) -> None:
    """New jobs from ``first`` on, one for each member of the JSON list ``rows``."""
    stalled = shape.gate == gate.STALLED
    run(
        tx, _JOBS, rows=rows, first=first, submission_=shape.submission, account_=account, kind_=shape.kind,
        priority_=shape.priority, status_=int(STATUS_BY_GATE[shape.gate]), restartable_=int(shape.restartable),
        cause_=int(Cause.dependency if stalled else Cause.none), now=now, finished_=now if stalled else None,
        purpose_=shape.purpose,
    )  # fmt: skip


def _bound(name: str) -> ColumnElement[Any]:
    return bindparam(name, type_=BigInteger)


_rows = Listed("rows")
_arguments = Given("arguments", BigInteger, Integer, Integer, Text, Text)
_zero = constant(0)
_JOBS = add(job).from_select(
    jobs.COLUMNS,
    select(_bound("first") + _rows.key, _bound("submission_"), _bound("account_"), _bound("kind_"), _bound("priority_"),
           _bound("status_"), _zero, _bound("restartable_"), _zero, _zero, _zero, _zero, _bound("cause_"), null(),
           _bound("now"), _bound("finished_"), _bound("purpose_")).select_from(_rows.table).where(EVERY),
)  # fmt: skip
"""New jobs, one a row of the chunk. Ones that a kill closed before they came stay as they are."""
_ARGUMENTS = add(argument).from_select(
    ["jid", "data", "blob", "preview"],
    select(_arguments.c(0), cut("data_", _arguments.c(1), _arguments.c(2)), func.nullif(_arguments.c(3), literal_column("''")),
           _arguments.c(4)).where(EVERY),
)  # fmt: skip
_nothing = select(literal_column("1").label("one")).subquery("look")
_same = and_(submission.c.account == bindparam("account"), submission.c.token == bindparam("token"))
_LOOK = select(
    submission.c.id, submission.c.digest, submission.c.first, submission.c.accepted,
    code.HAVE.scalar_subquery(), kind.FIND.scalar_subquery(), purpose.FIND.scalar_subquery(),
    webhook.OF_LABEL.scalar_subquery(),
).select_from(_nothing.outerjoin(submission, _same))  # fmt: skip
"""One look at all that decides what to do with a submission: each statement costs a single call 20 us and more."""
_SUBMISSION = insert(submission).returning(submission.c.id)
_LOCKED = (
    select(submission).where(submission.c.id == bindparam("id"), submission.c.account == bindparam("account")).with_for_update()
)
_GROW = (
    update(submission)
    .where(submission.c.id == bindparam("id_"))
    .values(accepted=_bound("accepted_"), seen=_bound("seen_"), final=_bound("final_"))
)
_CHUNK = (
    select(chunk_table)
    .where(chunk_table.c.submission == bindparam("submission"), chunk_table.c.offset <= bindparam("last"))
    .order_by(chunk_table.c.offset.desc())
    .limit(1)
)
"""The last chunk that begins before the end of the one in hand: chunks never overlap, so it tells whether that is new."""
_IDLE = (
    select(submission)
    .where(submission.c.final == constant(0), submission.c.seen < bindparam("before"))
    .order_by(submission.c.id)
    .limit(100)
    .with_for_update()
)
_RESERVE = (
    update(counter).where(counter.c.name == "jid").values(value=counter.c.value + _bound("more")).returning(counter.c.value)
)
