"""Jobs after submission: states, records, lists, kill, delete, rerun, payloads. JSON unless said otherwise."""

from __future__ import annotations

from typing import Any, Literal, TypedDict

import msgspec

from picloud.server.api import figures
from picloud.server.api.result import parse
from picloud.server.api.shell import ports_of
from picloud.server.check import check_ranges
from picloud.server.control import Control
from picloud.server.http import Request
from picloud.server.operation import BYTES, RAW, operation, packed
from picloud.server.storage import now_ms
from picloud.store import closing
from picloud.store import job as jobs
from picloud.store import listing as listings
from picloud.store.act import close
from picloud.store.act import info as infos
from picloud.store.act import kill as kills
from picloud.store.act.rerun import rerun as copy
from picloud.store.choice import Choice
from picloud.store.log import STREAMS
from picloud.store.rows import merged
from picloud.wire.bounds import Number, Token
from picloud.wire.error import BadRequest, Conflict, NotFound, StorageFull
from picloud.wire.message import Ranges, Watch
from picloud.wire.ranges import pieces

LIST_LIMIT = 1000
AT_ONCE = 4096
"""Jobs deleted in one act, so that everybody else can write in between."""


class Jids(msgspec.Struct):
    """The body of most of these calls."""

    jids: Ranges | None = None
    fields: list[str] = msgspec.field(default_factory=list)
    failed: bool = False
    token: Token = ""


class Part(msgspec.Struct):
    part: Literal["function", "args", "result"]


class Page(msgspec.Struct):
    """Which jobs, the newest first; all that is given must fit."""

    state: str | None = None
    label: str | None = None
    func: str | None = None  # name of the function
    queue: str | None = None  # jobs of its handlers
    since: Number | None = None  # created then or later, epoch ms
    until: Number | None = None  # created before, epoch ms
    env: str | None = None  # environment
    type: str | None = None  # core type
    cause: str | None = None
    attachment: Number | None = None  # its number
    text: str | None = None  # in label or function, or what the jid begins with
    submission: Number | None = None  # its number: the jobs of one call or map
    before: Number | None = None  # a jid
    limit: Number = 50

    def choice(self) -> Choice:
        """The same for the store."""
        return Choice(self.state, self.label, self.func, self.queue, self.since, self.until, self.env, self.type, self.cause,
                      self.attachment, self.text, self.submission)  # fmt: skip


class Records(TypedDict):
    jobs: dict[str, dict[str, Any]]  # by jid; their fields are those of cloud.info


class Killed(TypedDict):
    killed: int


class Deleted(TypedDict):
    deleted: int


class Rerun(TypedDict):
    jids: Ranges


class Row(TypedDict):
    """A job in a list."""

    jid: int
    status: str
    function: str
    label: str
    core_type: str
    cores: int
    created: int
    started: int | None
    finished: int | None
    runtime: float | None
    cause: str | None
    attempts: int
    parent_jid: int | None
    cpu: float | None  # seconds of all its cores in the last attempt, or so far
    peak_memory: int | None  # bytes
    failcnt: int | None  # requests for memory that were refused: MemAlloc Fails
    amount: int | None  # what its attempts that ended cost; a dollar is picloud.wire.money.DOLLAR


class Jobs(TypedDict):
    jobs: list[Row]
    next: int | None  # "before" of the page that follows


async def _parse(request: Request, all_allowed: bool = False) -> Jids:
    message = await request.read(Jids, 'for example {"jids": [[17, 1]]}')
    if message.jids is None and not all_allowed:
        raise BadRequest("no jids are named", hint='for example {"jids": [[17, 1]]}')
    check_ranges(message.jids or [])
    return message


@operation(body=packed(Watch), answer=RAW, raises=(NotFound,))
async def status(control: Control, request: Request) -> None:
    """POST /v1/job/status: msgpack Watch -> one byte a jid"""
    message = parse(await request.read(Watch))
    found = await control.storage.read(jobs.statuses, request.principal.account, message.jids)
    await request.answer(found, BYTES)


@operation(body=Jids, answer=Records, raises=(NotFound,))
async def info(control: Control, request: Request) -> None:
    """POST /v1/job/info: {jids, fields} -> {jobs}: all that is known of jobs, or these fields"""
    message = await _parse(request)
    streams = [name for name in message.fields if name in STREAMS]
    account = request.principal.account
    found = await control.storage.read(infos.read, account, message.jids or [], streams=streams)
    for jid, record in found.items():
        figures.complete(control, account, jid, record)
        if not message.fields or "ports" in message.fields:
            record["ports"] = ports_of(control, request, jid) if record["status"] == "processing" else None
    await request.json({"jobs": {str(jid): _chosen(record, message.fields) for jid, record in found.items()}})


def _chosen(record: dict[str, Any], fields: list[str]) -> dict[str, Any]:
    return {name: record.get(name) for name in fields} if fields else record


@operation(body=Jids, answer=Killed, raises=(NotFound,))
async def kill(control: Control, request: Request) -> None:
    """POST /v1/job/kill: {jids} -> {killed}: end jobs; without jids all of the account"""
    message = await _parse(request, all_allowed=True)
    killed, more = 0, True
    while more:
        result, running = await control.storage.write(kills.kill, request.principal.account, message.jids, now_ms())
        control.dispatcher.kill(result, running, request.principal.account)
        killed, more = killed + result.ended, result.more
    await request.json({"killed": killed})


@operation(body=Jids, answer=Deleted, raises=(NotFound, Conflict))
async def delete(control: Control, request: Request) -> None:
    """POST /v1/job/delete: {jids} -> {deleted}: forget jobs that have ended, with their results"""
    message = await _parse(request)
    account, wanted = request.principal.account, merged(message.jids or [])
    await control.storage.read(jobs.check_final, account, wanted)  # before anything goes
    if any(one.overlaps(wanted) for one in await control.storage.read(closing.covering, account)):
        await _closed(control, wanted)
    deleted = 0
    for piece in pieces(wanted, AT_ONCE):
        deleted += await control.storage.write(jobs.delete, account, piece)
    control.hub.forget()
    await request.json({"deleted": deleted})


async def _closed(control: Control, wanted: Ranges) -> None:
    """Wait until jobs that were never sent have their rows; others write in between."""
    more = True
    while more:
        result = await control.storage.write(close.proceed, now_ms(), wanted)
        control.dispatcher.settle(result)
        more = result.more


@operation(body=Jids, answer=Rerun, raises=(NotFound, Conflict, StorageFull))
async def rerun(control: Control, request: Request) -> None:
    """POST /v1/job/rerun: {jids, failed, token} -> {jids}: the same calls once more as new jobs"""
    message = await _parse(request)
    control.storage.check_space()
    try:
        token = bytes.fromhex(message.token)
    except ValueError:
        token = b""
    if len(token) != 16:
        raise BadRequest("a rerun carries a token of 16 bytes in hex")
    who = request.principal
    ranges = await control.dispatcher.accept(
        lambda tx: copy(tx, who.account, message.jids or [], failed=message.failed, token=token, now=now_ms()),
        who.account,
    )
    await request.json({"jids": ranges})


@operation(query=Page, answer=Jobs)
async def listing(control: Control, request: Request) -> None:
    """GET /v1/job?state=&label=&func=&queue=&env=&type=&cause=&attachment=&text=&since=&until=&before=&limit=: newest first"""
    page, account = request.asked(Page), request.principal.account
    rows, further = await control.storage.read(
        listings.newest, account, page.choice(), before=page.before, limit=min(page.limit or 50, LIST_LIMIT)
    )
    for row in rows:
        figures.summary(control, account, row)
    await request.json({"jobs": rows, "next": further})


@operation(query=Part, answer=RAW, answers={307: RAW}, raises=(NotFound,))
async def payload(control: Control, request: Request, jid: str) -> None:
    """GET /v1/job/{jid}/payload?part=function|args|result: raw bytes"""
    part = request.asked(Part).part
    data, blob = await control.storage.read(jobs.payload, request.principal.account, int(jid), part)
    if blob:
        await request.redirect(control.blob_url(request, "get", blob))
    else:
        await request.answer(data, BYTES)
