"""Applications: one of each account for each call, until it is decided on.

apply(tx, account, asked, sizes, person, now) -> Application    sends one, or changes it
withdraw(tx, account, call, now) -> Application
own(tx, account) -> list[Application]               the newest first
listing(tx, call) -> list[Application]              for who decides; the oldest first
get(tx, number) -> Application                      NotFound
award(tx, number, note, author, now) -> Application         once, and never more than the call has
decline(tx, number, note, now) -> Application
file(tx, number, name) -> File                      NotFound

Whoever changes an application holds its call, so that an award counts those that were given before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, insert, select, update

from picloud.store import blob
from picloud.store.award import call as calls
from picloud.store.award.call import Call
from picloud.store.award.schema import application, application_file, grant_call
from picloud.store.meter import credit
from picloud.store.meter.credit import LONGEST_REASON, Given
from picloud.store.schema import account
from picloud.wire.award import FIELDS, LARGEST_FILE, LINES, MOST_FILES, Apply, Attached, State, file_name, line, text
from picloud.wire.error import BadRequest, Conflict, NotFound


class File(NamedTuple):
    """Something attached."""

    name: str
    size: int  # bytes
    blob: str


class Application(NamedTuple):
    """A row, with what is attached."""

    id: int
    call: str
    account: int
    account_name: str
    state: State
    name: str
    institution: str
    position: str
    biography: str
    research: str
    created: int
    changed: int
    decided: int | None
    note: str
    credit: int  # the grant that it became; 0 = none
    amount: int  # that the call gives
    files: list[File]


def apply(tx: Connection, account_id: int, asked: Apply, sizes: Mapping[str, int], person: int, now: int) -> Application:
    """Send an application, or change the one that was sent; what is not told stays. One that was withdrawn is sent again.

    Args:
        sizes: bytes of each blob that it names.
        person: who does it; 0 = nobody is known.

    Raises:
        NotFound: there is no such call, or no such blob of the account.
        Conflict: the call is closed, or it was decided on the application.
        BadRequest: something lacks, is too long, or no plain text.
    """
    call = _open(tx, asked.call, now)
    found = _mine(tx, account_id, call)
    values = _told(asked, found)
    files = None if asked.attachments is None else _files(asked.attachments, sizes)
    _undecided(found)
    values |= {"state": int(State.sent), "changed": now, "person": person}
    if found is None:
        row = {"call": call.id, "account": account_id, "created": now} | values
        number = int(tx.execute(insert(application).returning(application.c.id), row).scalar_one())
    else:
        number = found.id
        tx.execute(update(application).where(application.c.id == number).values(values))
    if files is not None:
        _attach(tx, account_id, number, files, now)
    return get(tx, number)


def withdraw(tx: Connection, account_id: int, call: str, now: int) -> Application:
    """Take an application back; once more changes nothing.

    Raises:
        NotFound: there is no such call, or no application for it.
        Conflict: the call is closed, or it was decided on the application.
    """
    there = _open(tx, call, now)
    found = _mine(tx, account_id, there)
    if found is None:
        raise NotFound(f"nothing was sent for {there.name!r}", hint="picloud grant status")
    _undecided(found)
    tx.execute(update(application).where(application.c.id == found.id).values(state=int(State.withdrawn), changed=now))
    return get(tx, found.id)


def own(tx: Connection, account_id: int) -> list[Application]:
    """All applications of an account, the newest first."""
    return _with_files(tx, _ROWS.where(application.c.account == account_id).order_by(application.c.id.desc()))


def listing(tx: Connection, call: str, now: int) -> list[Application]:
    """All applications for a call, also those that were withdrawn, the oldest first.

    Raises:
        NotFound: there is no such call.
    """
    number = calls.find(tx, call, now).id
    return _with_files(tx, _ROWS.where(application.c.call == number).order_by(application.c.id))


def get(tx: Connection, number: int) -> Application:
    """One application.

    Raises:
        NotFound: there is none of that number.
    """
    found = _with_files(tx, _ROWS.where(application.c.id == number)) if 0 < number < 1 << 62 else []
    if not found:
        raise NotFound(f"there is no application {number}", hint="picloud admin call applications CALL")
    return found[0]


def award(tx: Connection, number: int, note: str, author: str, now: int) -> Application:
    """Give an application what its call promises: it becomes a grant, once however often this is asked.

    Args:
        note: for the applicant.
        author: account that gives it.

    Raises:
        NotFound: there is no such application.
        Conflict: it was withdrawn, or all awards of the call are given.
    """
    note, call = text("a note", note, LONGEST_REASON), _call_of(tx, number, now)
    found = get(tx, number)
    if found.state == State.awarded:
        return found
    if found.state == State.withdrawn:
        raise Conflict(f"application {number} was withdrawn", hint="picloud admin call applications CALL")
    if call.given >= call.awards:
        raise Conflict(f"all {call.awards} awards of {call.name!r} are given", awards=call.awards)
    given = Given(call.amount, f"award: {call.name}", author, call.ends or None, f"application:{number}")
    made = credit.grant(tx, found.account, given, now)
    _decide(tx, number, State.awarded, note, now, credit=made)
    return get(tx, number)


def decline(tx: Connection, number: int, note: str, now: int) -> Application:
    """Give nothing. A later award is possible; another note replaces this one.

    Raises:
        NotFound: there is no such application.
        Conflict: it was withdrawn or awarded.
    """
    note, _ = text("a note", note, LONGEST_REASON), _call_of(tx, number, now)
    found = get(tx, number)
    if found.state in (State.awarded, State.withdrawn):
        raise Conflict(f"application {number} is {found.state.name}", hint="picloud admin call applications CALL")
    _decide(tx, number, State.declined, note, now)
    return get(tx, number)


def file(tx: Connection, number: int, name: str) -> File:
    """Something attached to an application.

    Raises:
        NotFound: there is no such application, or nothing of that name.
    """
    for one in get(tx, number).files:
        if one.name == name:
            return one
    raise NotFound(f"application {number} has no attachment {name[:200]!r}", hint="picloud admin call read NUMBER")


def _open(tx: Connection, name: str, now: int) -> Call:
    found = calls.held(tx, calls.find(tx, name, now).id, now)
    if not found.open:
        raise Conflict(f"the call {found.name!r} is closed", hint="picloud grant calls", deadline=found.deadline)
    return found


def _call_of(tx: Connection, number: int, now: int) -> Call:
    """The call of an application, held."""
    row = tx.execute(select(application.c.call).where(application.c.id == number)) if 0 < number < 1 << 62 else None
    found = row.scalar_one_or_none() if row is not None else None
    if found is None:
        raise NotFound(f"there is no application {number}", hint="picloud admin call applications CALL")
    return calls.held(tx, int(found), now)


def _mine(tx: Connection, account_id: int, call: Call) -> Application | None:
    rows = _ROWS.where(application.c.call == call.id, application.c.account == account_id)
    return next(iter(_with_files(tx, rows)), None)


def _undecided(found: Application | None) -> None:
    if found is not None and found.decided is not None:
        raise Conflict(f"it was decided on this application: it is {found.state.name}", hint="picloud grant status")


def _told(asked: Apply, found: Application | None) -> dict[str, Any]:
    """The fields that are told, in order; all of a first application."""
    values = {}
    for name in FIELDS:
        given = getattr(asked, name)
        if given is not None or found is None:
            checked = line if name in LINES else text
            values[name] = checked(name, given or "")
    if values.get("research") == "":
        raise BadRequest("research is missing", hint="a summary of what the hours are for")
    return values


def _files(attached: list[Attached], sizes: Mapping[str, int]) -> list[File]:
    if len(attached) > MOST_FILES:
        raise BadRequest(f"{len(attached)} attachments", hint=f"at most {MOST_FILES}", limit=MOST_FILES)
    made = [File(file_name(one.name), sizes[one.blob], one.blob) for one in attached]
    if len({one.name for one in made}) < len(made):
        raise BadRequest("two attachments have the same name", hint="rename one of them")
    for one in made:
        if one.size > LARGEST_FILE:
            raise BadRequest(f"{one.name} has {one.size:,} bytes", hint=f"an attachment has at most {LARGEST_FILE:,}")
    return made


def _attach(tx: Connection, account_id: int, number: int, files: list[File], now: int) -> None:
    blob.refer(tx, account_id, [one.blob for one in files], now)
    tx.execute(delete(application_file).where(application_file.c.application == number))
    if files:
        tx.execute(insert(application_file), [one._asdict() | {"application": number} for one in files])


def _decide(tx: Connection, number: int, state: State, note: str, now: int, **more: int) -> None:
    values = {"state": int(state), "note": note, "decided": now, **more}
    tx.execute(update(application).where(application.c.id == number).values(values))


def _with_files(tx: Connection, rows: Any) -> list[Application]:
    found = tx.execute(rows).all()
    files: dict[int, list[File]] = {row.id: [] for row in found}
    of = select(application_file).where(application_file.c.application.in_(files)).order_by(application_file.c.name)
    for number, name, blob_id, size in tx.execute(of) if files else ():
        files[number].append(File(name, size, blob_id))
    return [Application._make([*row[:4], State(row[4]), *row[5:], files[row.id]]) for row in found]


_ROWS = select(
    application.c.id, grant_call.c.name.label("of_call"), application.c.account, account.c.name.label("of_account"),
    application.c.state, application.c.name, application.c.institution, application.c.position, application.c.biography,
    application.c.research, application.c.created, application.c.changed, application.c.decided, application.c.note,
    application.c.credit, grant_call.c.amount,
).select_from(
    application.join(grant_call, grant_call.c.id == application.c.call).join(account, account.c.id == application.c.account)
)  # fmt: skip
