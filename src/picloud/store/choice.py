"""Which jobs somebody wants to see: what lists of jobs and of submissions are filtered by.

conditions(tx, account, choice) -> list of SQL conditions on ``job``, None where nothing can fit
of_submissions(tx, account, choice) -> the same on ``submission``

Label, function and queue are looked up among the account's purposes, which are few and which each job names; environment and core
type among its kinds. So a filter costs no index: at worst one walk over the account's job rows, 0.1 s a million.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, Select, and_, exists, false, literal_column, or_, select
from sqlalchemy import func as sql

from picloud.store import image
from picloud.store.meter.schema import purpose
from picloud.store.queue.schema import attachment, handler
from picloud.store.queue.schema import queue as queues
from picloud.store.rows import constant, text
from picloud.store.schema import FAILED, READY, WAITING, chunk, job, kind, lease, submission
from picloud.wire.error import BadRequest
from picloud.wire.image import HOST
from picloud.wire.job import Cause, Status

LONGEST_TEXT = 200
"""Characters that are searched for."""
DIGITS = 18
"""Of a jid at most."""


class Choice(Struct, frozen=True, omit_defaults=True):
    """What is given must fit; None fits all."""

    state: str | None = None  # a name of Status
    label: str | None = None
    func: str | None = None  # the function's name
    queue: str | None = None  # jobs of its handlers
    since: int | None = None  # created then or later, epoch ms
    until: int | None = None  # created before, epoch ms
    env: str | None = None  # environment, as cloud.info names it
    type: str | None = None  # core type
    cause: str | None = None  # a name of Cause
    attachment: int | None = None  # its number
    text: str | None = None  # in label or function, or what the jid begins with
    submission: int | None = None  # its number: the jobs of one call or map


def check(choice: Choice) -> None:
    """Refuse what no job can be.

    Raises:
        BadRequest: no such state or cause, or a number out of range.
    """
    for what, value, names in (("state", choice.state, Status), ("cause", choice.cause, Cause)):
        if value and value not in names.__members__:
            raise BadRequest(f"there is no {what} {value[:40]!r}", hint=f"one of {', '.join(names.__members__)}")
    if not all(abs(number or 0) < 1 << 62 for number in (choice.since, choice.until, choice.attachment, choice.submission)):
        raise BadRequest("a time or number is out of range")
    if len(choice.text or "") > LONGEST_TEXT:
        raise BadRequest(f"a text of more than {LONGEST_TEXT} characters", hint="search for a part of it")


def conditions(tx: Connection, account: int, choice: Choice) -> list[ColumnElement[bool]] | None:
    """What is asked of rows of ``job``; None where no row can fit.

    Raises:
        BadRequest: as for :func:`check`.
    """
    check(choice)
    made: list[ColumnElement[bool]] = [job.c.account == account, *_of_kind(tx, account, choice, job.c.kind)]
    if choice.label or choice.func:
        meant = _purposes(account, choice)
        if tx.execute(meant.limit(1)).first() is None:
            return None
        made.append(_meant_for(meant))
    if choice.text:
        made.append(_found(tx, account, choice.text))
    if choice.queue:
        made.append(job.c.jid.in_(_of_queue(account, choice.queue)))
    if choice.attachment is not None:
        own = exists().where(attachment.c.id == choice.attachment, attachment.c.account == account)
        made.append(job.c.jid.in_(select(handler.c.jid).where(handler.c.attachment == choice.attachment, own)))
    if choice.submission is not None:
        made += _of_one(tx, account, choice.submission)
    return [*made, *_times(choice, job.c.created), *_ends(choice)]


def of_submissions(tx: Connection, account: int, choice: Choice) -> list[ColumnElement[bool]] | None:
    """The same of rows of ``submission``: those that have a job which fits; times are those of the submission.

    Raises:
        BadRequest: as for :func:`check`.
    """
    check(choice)
    made: list[ColumnElement[bool]] = [submission.c.account == account, *_of_kind(tx, account, choice, submission.c.kind)]
    if choice.label or choice.func:
        meant = _purposes(account, choice)
        if tx.execute(meant.limit(1)).first() is None:
            return None
        made.append(submission.c.purpose.in_(meant))
    if choice.text:
        spans = [job.c.jid.between(low, high) for low, high in _beginning(choice.text)]
        inside = [submission.c.id.in_(select(job.c.submission).where(job.c.account == account, or_(*spans)))] if spans else []
        made.append(or_(submission.c.purpose.in_(_named(account, choice.text)), *inside))
    if choice.submission is not None:
        made.append(submission.c.id == choice.submission)
    if choice.state == Status.done.name and not (choice.cause or choice.queue or choice.attachment):
        return [*made, _some_done(), *_times(choice, submission.c.created)]
    of_jobs = Choice(state=choice.state, cause=choice.cause, queue=choice.queue, attachment=choice.attachment)
    if of_jobs != Choice():
        made.append(submission.c.id.in_(select(job.c.submission).where(*conditions(tx, account, of_jobs) or [false()])))
    return [*made, *_times(choice, submission.c.created)]


def _some_done() -> ColumnElement[bool]:
    """That a submission has jobs that are done. Most have, so each is asked for one, instead of all jobs for theirs."""
    s = submission.c
    ends = (
        select(sql.max(chunk.c.first + chunk.c.count)).where(chunk.c.submission == s.id).correlate(submission).scalar_subquery()
    )
    last = sql.coalesce(s.first + s.count, ends, s.first + s.head)
    inside = (job.c.jid >= s.first, job.c.jid < last, job.c.submission == s.id)
    return exists().where(*inside, in_state(Status.done)).correlate(submission)


def _times(choice: Choice, created: Any) -> list[ColumnElement[bool]]:
    made: list[ColumnElement[bool]] = [] if choice.since is None else [created >= choice.since]
    return made if choice.until is None else [*made, created < choice.until]


def _ends(choice: Choice) -> list[ColumnElement[bool]]:
    made: list[ColumnElement[bool]] = [in_state(Status[choice.state])] if choice.state else []
    if not choice.cause:
        return made
    cause = Cause[choice.cause]
    failed = [] if cause == Cause.none else [FAILED]  # the index of those that failed is found by it
    return [*made, *failed, job.c.cause == constant(cause.value)]


def _purposes(account: int, choice: Choice) -> Select[int]:
    """The account's purposes with this label and function."""
    wanted = select(purpose.c.id).where(purpose.c.account == account)
    if choice.label:
        wanted = wanted.where(purpose.c.label == text(choice.label))
    return wanted.where(purpose.c.function == text(choice.func)) if choice.func else wanted


def _meant_for(numbers: Any) -> ColumnElement[bool]:
    """Jobs of these purposes; rows that were closed before they were sent leave it to their submission."""
    theirs = exists().where(submission.c.id == job.c.submission, submission.c.purpose.in_(numbers)).correlate(job)
    return or_(job.c.purpose.in_(numbers), and_(job.c.purpose == constant(0), theirs))


def _of_kind(tx: Connection, account: int, choice: Choice, column: Any) -> list[ColumnElement[bool]]:
    """That a job runs in this environment, on this core type."""
    if not choice.env and not choice.type:
        return []
    rows = tx.execute(select(kind.c.id, kind.c.env, kind.c.core_type).where(kind.c.account == account)).all()
    rows = [row for row in rows if choice.type in (None, "", row.core_type)]
    if choice.env:
        names = image.shown(tx, {row.env for row in rows})
        rows = [row for row in rows if row.env in names and names[row.env].name == _plain(choice.env)]
    return [column.in_([row.id for row in rows])]


def _plain(env: str) -> str:
    """The name under which an image is shown: without an owner."""
    return env.rsplit("/", 1)[-1] if env.startswith("/") else env or HOST


def _of_one(tx: Connection, account: int, number: int) -> list[ColumnElement[bool]]:
    """The jobs of one submission, which lie between the first and the last of its jids, among others of longer maps."""
    s = submission.c
    ends = select(sql.max(chunk.c.first + chunk.c.count)).where(chunk.c.submission == number).scalar_subquery()
    row = tx.execute(select(s.first, s.head, s.count, ends.label("ends")).where(s.id == number, s.account == account)).first()
    if row is None:
        return [false()]
    end = row.first + row.count if row.count is not None else max(row.first + row.head, row.ends or 0)
    return [job.c.submission == number, job.c.jid >= row.first, job.c.jid < end]


def _of_queue(account: int, name: str) -> Any:
    named = (queues.c.account == account) & (queues.c.name == text(name)) & (queues.c.gone == literal_column("0"))
    versions = select(attachment.c.id).join(queues, queues.c.id == attachment.c.queue).where(named)
    return select(handler.c.jid).where(handler.c.attachment.in_(versions))


def _named(account: int, wanted: str) -> Any:
    """Purposes in whose label or function the text is, whatever its case."""
    low = text(wanted).lower()
    inside = or_(*(sql.lower(column).contains(low, autoescape=True) for column in (purpose.c.label, purpose.c.function)))
    return select(purpose.c.id).where(purpose.c.account == account, inside)


def _found(tx: Connection, account: int, wanted: str) -> ColumnElement[bool]:
    spans = [job.c.jid.between(low, high) for low, high in _beginning(wanted)]
    named = _named(account, wanted)
    if tx.execute(named.limit(1)).first() is None:  # then the spans are found without a walk
        return or_(false(), *spans)
    return or_(_meant_for(named), *spans)


def _beginning(wanted: str) -> list[tuple[int, int]]:
    """The jids whose digits begin with these: from the first to the last of each length."""
    if not (wanted.isascii() and wanted.isdecimal()) or wanted[0] == "0" or len(wanted) > DIGITS:
        return []
    number, powers = int(wanted), (10**more for more in range(DIGITS - len(wanted) + 1))
    return [(number * power, number * power + power - 1) for power in powers]


def in_state(state: Status) -> ColumnElement[bool]:
    """That a job is in this state."""
    if state == Status.waiting:
        return WAITING
    if state == Status.queued:
        unstarted = select(lease.c.jid).where(lease.c.started.is_(None))
        return (job.c.status == literal_column("1")) & (READY | job.c.jid.in_(unstarted))
    if state == Status.processing:
        return job.c.jid.in_(select(lease.c.jid)) & (job.c.status == literal_column("2"))
    equal = job.c.status == literal_column(str(int(state)))
    return equal if state == Status.done else equal & FAILED
