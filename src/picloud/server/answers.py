"""Results for those who speak plain HTTP: JSON as it is, bytes as they are, waited for if that is asked.

Only what says so in its first bytes is answered (``wire.plain``): nothing is loaded here.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Annotated, Any, NotRequired, TypedDict

from msgspec import Meta

from picloud.server.auth import Principal
from picloud.server.http import Request, reply
from picloud.server.hub import Watcher
from picloud.server.operation import BYTES, JSON
from picloud.store import job as jobs
from picloud.wire import plain
from picloud.wire.call import LONGEST_WAIT
from picloud.wire.error import BadRequest, JobError, Told
from picloud.wire.job import FIRST_FINAL, Status
from picloud.wire.message import Finished

if TYPE_CHECKING:
    from picloud.server.control import Control

LARGEST = 256 << 20
"""Bytes of an answer that is read whole."""
ACCEPTED, FAILED = 202, 422


Patience = Annotated[float, Meta(ge=0, le=LONGEST_WAIT)]
"""Seconds that a request would wait."""


class State(TypedDict):
    jid: int
    status: str


class Ended(TypedDict):
    """A job that was accepted, or has ended well: with its result, if that was waited for."""

    jid: int
    status: NotRequired[str]
    result: NotRequired[Any]


class Refused(TypedDict):
    """Any error."""

    error: Told


async def shown(control: Control, account: int, jid: int) -> State:
    """A job and its state.

    Raises:
        NotFound: no job of this account.
    """
    state = Status((await control.storage.read(jobs.statuses, account, [(jid, 1)]))[0])
    return {"jid": jid, "status": state.name}


async def answer(control: Control, request: Request, jid: int, seconds: float) -> None:
    """Answer a job's result: 200 with it; 202 where it has none yet; 422 with the error where it failed.

    Raises:
        NotFound: no job of this account.
        BadRequest: the result is neither JSON nor bytes.
    """
    account = request.principal.account
    state = await _ended(control, request.principal, jid, seconds)
    if state < FIRST_FINAL:
        await reply(request.send, json.dumps({"jid": jid, "status": state.name}).encode(), JSON, ACCEPTED)
        return
    if state != Status.done:
        (found,) = await control.storage.read(jobs.finished, account, [(jid, 1)], -1, 1)
        await reply(request.send, json.dumps({"error": _failure(found, state).to_dict()}).encode(), JSON, FAILED)
        return
    data, blob = await control.storage.read(jobs.payload, account, jid, "result")
    is_json, content = await asyncio.to_thread(_read, control, jid, blob) if blob else _cut(jid, data)
    number = (b"x-picloud-jid", str(jid).encode())
    if is_json:
        await reply(request.send, b'{"jid": %d, "status": "done", "result": %s}' % (jid, content), JSON, headers=[number])
    else:
        await reply(request.send, content, BYTES, headers=[number])


async def _ended(control: Control, who: Principal, jid: int, seconds: float) -> Status:
    """The state of a job, when it has ended or the time is up."""
    watcher = Watcher(who.account, [(jid, 1)], payload=False)
    waits = None
    control.hub.add(watcher)
    try:
        end = time.monotonic() + seconds
        while True:
            watcher.wake.clear()  # before the look, so that nothing falls between
            found = Status((await control.storage.read(jobs.statuses, who.account, [(jid, 1)]))[0])
            if found >= FIRST_FINAL or watcher.closed or (left := end - time.monotonic()) <= 0:
                return found
            if waits is None and who.attempt is not None and who.worker is not None:
                waits = control.dispatcher.begin_wait(who.worker, who.attempt, watcher)
            await _woken(watcher.wake, left)
    finally:
        control.hub.remove(watcher)
        if waits is not None:
            control.dispatcher.end_wait(waits)


async def _woken(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return


def _failure(found: Finished, state: Status) -> JobError:
    told = found.failure
    message = told.message if told else f"it ended {state.name}"
    made = JobError(message, jid=found.jid, status=state.name, hint=told.advice or None if told else None)
    if told:
        made.facts = {"cause": told.cause, "type": told.type, "traceback": told.traceback}
    return made


def _cut(jid: int, data: bytes) -> tuple[bool, bytes]:
    found = plain.find(data)
    if found is None or not plain.ends(data[found.start + found.length :][: plain.TAIL], found.json):
        raise _foreign(jid)
    return found.json, data[found.start : found.start + found.length]


def _foreign(jid: int) -> BadRequest:
    hint = "publish the function by cloud.rest, or let it return bytes; cloud.result loads anything"
    return BadRequest(f"the result of job {jid} is a Python object, neither JSON nor bytes", jid=jid, hint=hint)


def _read(control: Control, jid: int, blob: str) -> tuple[bool, bytes]:
    def piece(start: int, end: int | None) -> bytes:
        return b"".join(control.files.read(blob, start, end))

    found = plain.find(piece(0, plain.HEAD))
    size = control.files.size(blob)
    behind = found.start + found.length if found else 0
    if found is None or not behind <= size <= behind + plain.TAIL or not plain.ends(piece(behind, size), found.json):
        raise _foreign(jid)
    if found.length > LARGEST:
        raise BadRequest(f"the result of job {jid} has {found.length >> 20} MiB, too many for one answer", jid=jid,
                         hint="let the function put it into the bucket, or use cloud.result")  # fmt: skip
    return found.json, piece(found.start, behind)
