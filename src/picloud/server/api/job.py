"""Jobs after submission: states, records, lists, kill, delete, rerun, payloads. JSON unless said otherwise."""

from __future__ import annotations

from typing import Any

import msgspec

from picloud.server.api import figures
from picloud.server.api.result import parse
from picloud.server.api.shell import ports_of
from picloud.server.check import check_ranges
from picloud.server.control import Control
from picloud.server.http import BYTES, Request
from picloud.server.storage import now_ms
from picloud.store import closing
from picloud.store import job as jobs
from picloud.store import listing as listings
from picloud.store.act import close
from picloud.store.act import info as infos
from picloud.store.act import kill as kills
from picloud.store.act.rerun import rerun as copy
from picloud.store.log import STREAMS
from picloud.store.rows import merged
from picloud.wire.error import BadRequest
from picloud.wire.message import Ranges
from picloud.wire.ranges import pieces

LIST_LIMIT = 1000
AT_ONCE = 4096
"""Jobs deleted in one act, so that everybody else can write in between."""


class Jids(msgspec.Struct):
    """The body of most of these calls."""

    jids: Ranges | None = None
    fields: list[str] = msgspec.field(default_factory=list)
    failed: bool = False
    token: str = ""


async def _parse(request: Request, all_allowed: bool = False) -> Jids:
    try:
        message = msgspec.json.decode(await request.body(), type=Jids)
    except msgspec.MsgspecError as error:
        raise BadRequest(f"the body is not what this route takes: {error}", hint='for example {"jids": [[17, 1]]}') from error
    if message.jids is None and not all_allowed:
        raise BadRequest("no jids are named", hint='for example {"jids": [[17, 1]]}')
    check_ranges(message.jids or [])
    return message


async def status(control: Control, request: Request) -> None:
    """POST /v1/job/status: msgpack Watch -> one byte a jid"""
    message = parse(await request.body())
    found = await control.storage.read(jobs.statuses, request.principal.account, message.jids)
    await request.answer(found, BYTES)


async def info(control: Control, request: Request) -> None:
    """POST /v1/job/info"""
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


async def kill(control: Control, request: Request) -> None:
    """POST /v1/job/kill"""
    message = await _parse(request, all_allowed=True)
    killed, more = 0, True
    while more:
        result, running = await control.storage.write(kills.kill, request.principal.account, message.jids, now_ms())
        control.dispatcher.kill(result, running)
        killed, more = killed + result.ended, result.more
    await request.json({"killed": killed})


async def delete(control: Control, request: Request) -> None:
    """POST /v1/job/delete"""
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


async def rerun(control: Control, request: Request) -> None:
    """POST /v1/job/rerun"""
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


async def listing(control: Control, request: Request) -> None:
    """GET /v1/job"""
    query = request.query()
    rows, further = await control.storage.read(
        listings.newest,
        request.principal.account,
        state=query.get("state"),
        label=query.get("label"),
        func=query.get("func"),
        since=_integer(query, "since", None),
        before=_integer(query, "before", None),
        limit=min(_integer(query, "limit", 50) or 50, LIST_LIMIT),
    )
    await request.json({"jobs": rows, "next": further})


async def payload(control: Control, request: Request, jid: str) -> None:
    """GET /v1/job/{jid}/payload?part=function|args|result: raw bytes"""
    part = request.query().get("part", "")
    if part not in ("function", "args", "result"):
        raise BadRequest(f"no part {part[:40]!r}", hint="function, args or result")
    data, blob = await control.storage.read(jobs.payload, request.principal.account, int(jid), part)
    if blob:
        await request.redirect(control.blob_url(request, "get", blob))
    else:
        await request.answer(data, BYTES)


def _integer(query: dict[str, str], name: str, default: int | None) -> int | None:
    value = query.get(name)
    if value is None:
        return default
    if not value.isdecimal() or len(value) > 18:
        raise BadRequest(f"{name} is a number, not {value[:40]!r}")
    return int(value)
