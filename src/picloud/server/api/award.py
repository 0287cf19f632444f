"""The grant programme: accounts apply to calls, the owner of the installation awards or declines.

What is attached to an application was uploaded for it and belongs to it: the owner gets these bytes by a ticket, and nothing else
of the applicant's account.
"""

from __future__ import annotations

from typing import TypedDict

import msgspec

from picloud.server import audit
from picloud.server.api.installation import owner_only
from picloud.server.control import Control
from picloud.server.http import Request
from picloud.server.operation import operation
from picloud.server.storage import now_ms
from picloud.store import audit as acts
from picloud.store import blob as blob_rows
from picloud.store.award import application as applications
from picloud.store.award import call as calls
from picloud.store.award.application import Application
from picloud.store.award.call import Asked, Call
from picloud.store.db import Transaction
from picloud.wire.award import MOST_FILES, Apply, State
from picloud.wire.bounds import Number
from picloud.wire.error import BadRequest, Conflict, Forbidden, NotFound, StorageFull
from picloud.wire.money import DOLLAR, dollars

USUAL = 500 * DOLLAR
"""An award: 10,000 core-hours of c1 at their usual price."""


class Opening(msgspec.Struct):
    name: str
    deadline: Number  # epoch ms
    awards: Number = 1
    amount: Number = USUAL
    expires: Number = 0  # epoch ms: when the grants end; 0 = never


class Named(msgspec.Struct):
    call: str = ""  # "" = the only one that is open


class Decision(msgspec.Struct):
    application: Number
    note: str = ""


class Attachment(msgspec.Struct):
    application: Number
    name: str


class Which(msgspec.Struct):
    """Applications to a call, or one by its number."""

    call: str = ""  # "" = the only one that is open
    application: Number | None = None


class CallShown(TypedDict):
    name: str
    deadline: int  # epoch ms
    awards: int
    amount: int
    dollars: float
    expires: int | None  # epoch ms, of the grants


class CallCounted(CallShown):
    """What the owner of the installation sees of it."""

    created: int
    closed: int | None
    open: bool
    applications: int
    given: int


class Calls(TypedDict):
    calls: list[CallShown]


class AllCalls(TypedDict):
    calls: list[CallCounted]


class FileShown(TypedDict):
    name: str
    size: int


class ApplicationShown(TypedDict):
    application: int
    call: str
    name: str
    institution: str
    position: str
    biography: str
    research: str
    state: str
    sent: int
    changed: int
    decided: int | None
    note: str
    grant: int | None
    amount: int
    dollars: float
    attachments: list[FileShown]


class Received(ApplicationShown):
    """What the owner of the installation sees of it."""

    account: str


class Applications(TypedDict):
    applications: list[ApplicationShown]


class AllApplications(TypedDict):
    applications: list[Received]


class File(TypedDict):
    url: str
    size: int


# -- applicants --------------------------------------------------------------------------------------------------------


@operation(answer=Calls)
async def open_calls(control: Control, request: Request) -> None:
    """GET /v1/grant/call -> {calls: [{name, deadline, awards, amount, dollars, expires}]}: those that are open"""
    found = await control.storage.read(calls.every, now_ms(), only_open=True)
    await request.json({"calls": [_call(one) for one in found]})


@operation(answer=Applications)
async def own(control: Control, request: Request) -> None:
    """GET /v1/grant/application -> {applications: [..]}: of the account, the newest first"""
    found = await control.storage.read(applications.own, request.principal.account)
    await request.json({"applications": [_application(one) for one in found]})


@operation(body=Apply, answer=ApplicationShown, raises=(NotFound, Conflict, StorageFull))
async def apply(control: Control, request: Request) -> None:
    """POST /v1/grant/application: {call, name, institution, position, biography, research, attachments: [{name, blob}]}

    -> the application. Once more before the deadline changes what is named. Blobs are uploaded before, by POST /v1/blob.
    """
    asked, who = await request.read(Apply), request.principal
    _by_hand(request)
    blobs = [one.blob for one in asked.attachments or []]
    if len(blobs) > MOST_FILES or not all(one.isalnum() and len(one) == 32 for one in blobs):
        raise BadRequest(f"attachments are at most {MOST_FILES} names with ids of blobs", hint="POST /v1/blob gives such ids")
    control.storage.check_space()
    sizes = await control.sizes(blobs)

    def act(tx: Transaction) -> Application:
        blob_rows.all_arrived(tx, sizes, now_ms())
        made = applications.apply(tx, who.account, asked, sizes, who.person, now_ms())
        acts.note(tx, audit.act(request, "application", made.call, application=made.id, files=len(made.files)))
        return made

    await request.json(_application(await control.storage.write(act)))


@operation(body=Named, answer=ApplicationShown, raises=(NotFound, Conflict))
async def withdraw(control: Control, request: Request) -> None:
    """POST /v1/grant/application/withdraw: {call} -> the application; before the deadline it can be sent again"""
    name, who = (await request.read(Named)).call, request.principal
    _by_hand(request)

    def act(tx: Transaction) -> Application:
        found = applications.withdraw(tx, who.account, name, now_ms())
        acts.note(tx, audit.act(request, "application.withdraw", found.call, application=found.id))
        return found

    await request.json(_application(await control.storage.write(act)))


def _by_hand(request: Request) -> None:
    if request.principal.attempt is not None:
        raise Forbidden("a job applies for no grants", hint="run `picloud grant apply` yourself")


# -- the owner of the installation -------------------------------------------------------------------------------------


@operation(answer=AllCalls)
async def every_call(control: Control, request: Request) -> None:
    """GET /v1/admin/call -> {calls: [{name, deadline, awards, .., open, applications, given}]}: all; the owner only"""
    owner_only(request)
    found = await control.storage.read(calls.every, now_ms())
    await request.json({"calls": [_kept(one) for one in found]})


@operation(body=Opening, raises=(Conflict,))
async def open_call(control: Control, request: Request) -> None:
    """POST /v1/admin/call: {name, deadline, awards, amount, expires} -> {}; the owner only"""
    owner_only(request)
    asked = await request.read(Opening)

    def act(tx: Transaction) -> None:
        calls.open_(tx, Asked(asked.name, asked.deadline, asked.awards, asked.amount, asked.expires), now_ms())
        acts.note(tx, audit.act(request, "call.open", asked.name, awards=asked.awards, amount=asked.amount))

    await control.storage.write(act)
    await request.json({})


@operation(body=Named, raises=(NotFound,))
async def close_call(control: Control, request: Request) -> None:
    """POST /v1/admin/call/close: {call} -> {}: nobody applies any further; the owner only"""
    owner_only(request)
    name = (await request.read(Named)).call

    def act(tx: Transaction) -> None:
        calls.close(tx, name, now_ms())
        acts.note(tx, audit.act(request, "call.close", name))

    await control.storage.write(act)
    await request.json({})


@operation(query=Which, answer=AllApplications, raises=(NotFound,))
async def received(control: Control, request: Request) -> None:
    """GET /v1/admin/application?call=NAME | ?application=N -> {applications: [..]}: of a call, the oldest first; owner only"""
    owner_only(request)
    query = request.asked(Which)
    if query.application is not None:
        found = [await control.storage.read(applications.get, query.application)]
    else:
        found = await control.storage.read(applications.listing, query.call, now_ms())
    await request.json({"applications": [_received(one) for one in found]})


@operation(body=Decision, answer=Received, raises=(NotFound, Conflict))
async def award(control: Control, request: Request) -> None:
    """POST /v1/admin/application/award: {application, note} -> the application, with its grant; the owner only"""
    owner_only(request)
    asked, author = await request.read(Decision), request.principal.name

    def act(tx: Transaction) -> Application:
        before = applications.get(tx, asked.application).state
        found = applications.award(tx, asked.application, asked.note, author, now_ms())
        if before != State.awarded:
            acts.note(tx, audit.act(request, "application.award", found.account_name, application=found.id, grant=found.credit))
        return found

    found = await control.storage.write(act)
    control.meter.touch(found.account)
    await request.json(_received(found))


@operation(body=Decision, answer=Received, raises=(NotFound, Conflict))
async def decline(control: Control, request: Request) -> None:
    """POST /v1/admin/application/decline: {application, note} -> the application; the owner only"""
    owner_only(request)
    asked = await request.read(Decision)

    def act(tx: Transaction) -> Application:
        found = applications.decline(tx, asked.application, asked.note, now_ms())
        acts.note(tx, audit.act(request, "application.decline", found.account_name, application=found.id))
        return found

    found = await control.storage.write(act)
    await request.json(_received(found))


@operation(body=Attachment, answer=File, raises=(NotFound,))
async def attachment(control: Control, request: Request) -> None:
    """POST /v1/admin/application/attachment: {application, name} -> {url, size}: by which its bytes are got; the owner only"""
    owner_only(request)
    asked = await request.read(Attachment)
    found = await control.storage.read(applications.file, asked.application, asked.name)
    await request.json({"url": control.blob_url(request, "get", found.blob), "size": found.size})


def _call(one: Call) -> CallShown:
    return {
        "name": one.name, "deadline": one.deadline, "awards": one.awards, "amount": one.amount, "dollars": dollars(one.amount),
        "expires": one.ends or None,
    }  # fmt: skip


def _kept(one: Call) -> CallCounted:
    return {**_call(one), "created": one.created, "closed": one.closed, "open": one.open, "applications": one.applications,
            "given": one.given}  # fmt: skip


def _application(one: Application) -> ApplicationShown:
    return {
        "application": one.id, "call": one.call, "name": one.name, "institution": one.institution, "position": one.position,
        "biography": one.biography, "research": one.research, "state": one.state.name, "sent": one.created,
        "changed": one.changed, "decided": one.decided, "note": one.note, "grant": one.credit or None, "amount": one.amount,
        "dollars": dollars(one.amount), "attachments": [{"name": file.name, "size": file.size} for file in one.files],
    }  # fmt: skip


def _received(one: Application) -> Received:
    return {**_application(one), "account": one.account_name}
