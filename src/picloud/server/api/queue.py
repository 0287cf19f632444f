"""Queues: messages in and out in MessagePack, everything about the queues themselves in JSON."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Annotated, TypedDict

import msgspec
from msgspec import Meta, structs

from picloud.server import pipeline
from picloud.server.calls import checked_function
from picloud.server.control import Control
from picloud.server.http import Request
from picloud.server.operation import operation, packed
from picloud.server.queues import Waiter
from picloud.server.storage import now_ms
from picloud.store.db import Transaction
from picloud.store.queue import attachment as attachments
from picloud.store.queue import dead as letters
from picloud.store.queue import queue as queues
from picloud.store.queue.dead import Dead
from picloud.store.queue.exchange import Found
from picloud.wire import queue as wire
from picloud.wire.bounds import Number
from picloud.wire.error import BadRequest, Conflict, Forbidden, NotFound, Skew, StorageFull, TooLarge
from picloud.wire.job import Failure
from picloud.wire.queue import Attach, Attached, End, Exchange, Exchanged, Hold, Message, Push, Pushed, check_bodies, check_name
from picloud.wire.scope import Scope

encode = msgspec.msgpack.encode
SECOND = 1000
DAY = 24 * 60
"""Minutes of history that are kept."""
LETTERS = 100
"""Dead letters in one answer."""


class Asked(msgspec.Struct):
    """The body of all that concerns a queue as a whole."""

    name: wire.Name
    paused: bool | None = None
    retention: float | None = None  # seconds; 0 = for ever
    ids: list[int] | None = None  # of dead letters; None = all
    max_jobs: int | None = None


class Which(msgspec.Struct):
    name: str = ""
    minutes: Annotated[int, Meta(ge=1, le=DAY)] = 1  # of history


class Letters(msgspec.Struct):
    name: wire.Name
    before: Number = (1 << 62) - 1  # a dead letter's id


class Queues(TypedDict):
    queues: list[pipeline.Shown]


class Detached(TypedDict):
    detached: bool


class Deleted(TypedDict):
    deleted: bool


class Removed(TypedDict):
    removed: int


class Replayed(TypedDict):
    replayed: int


class Letter(TypedDict):
    """A dead letter."""

    id: int
    message: int
    kind: int
    size: int
    data: bytes
    url: str  # of the bytes, where they are many
    failure: Failure | None
    preview: str
    pushed: int
    died: int
    given: int
    retries: int
    deaths: int


class DeadLetters(TypedDict):
    dead: list[Letter]


async def _asked(request: Request) -> Asked:
    asked = await request.read(Asked, 'for example {"name": "in"}')
    check_name(asked.name)
    return asked


@operation(body=packed(Push), answer=packed(Pushed), raises=(NotFound, Conflict, TooLarge, StorageFull))
async def push(control: Control, request: Request) -> None:
    """POST /v1/queue/push: Push -> Pushed"""
    asked = await request.read(Push)
    check_name(asked.queue)
    if not 0 < len(asked.bodies) <= wire.PUSHED:
        raise BadRequest(f"{len(asked.bodies)} messages in one request", hint=f"1 to {wire.PUSHED}")
    if asked.keys and (len(asked.keys) != len(asked.bodies) or not all(0 < len(key) <= wire.LONGEST_KEY for key in asked.keys)):
        raise BadRequest("there is not one key for each message, or one is empty or too long",
                         hint=f"1 to {wire.LONGEST_KEY} characters")  # fmt: skip
    _check_span("a delay", asked.delay_ms, 0, wire.LONGEST_DELAY)
    await _arrived(control, request, asked.bodies)
    control.storage.check_space()
    count = await control.queues.push(request.principal.account, asked)
    await request.answer(encode(Pushed(count)))


@operation(body=packed(Exchange), answer=packed(Exchanged), raises=(NotFound, Conflict, TooLarge, StorageFull))
async def exchange(control: Control, request: Request) -> None:
    """POST /v1/queue/exchange: Exchange -> Exchanged"""
    asked = await request.read(Exchange)
    jid = _checked(request, asked)
    await _arrived(control, request, asked.bodies, asked.units)
    if asked.bodies:
        control.storage.check_space()
    if jid:
        await _handle(control, request, asked, jid)
        return
    found = await control.queues.exchange(request.principal.account, asked)
    taken = found.messages or await waited(control, request, found, asked)
    await _give(control, request, found, taken)


async def _handle(control: Control, request: Request, asked: Exchange, jid: int) -> None:
    """The same for a job of an attachment: it is told when it has to leave."""
    one = await control.attachments.handling(jid)
    if one.leaving:
        asked.take = 0
    asked.timeout_ms = min(asked.timeout_ms, int(control.settings.handler_idle * SECOND))
    found = await control.queues.exchange(request.principal.account, asked, jid, one.queue)
    if asked.units:
        control.attachments.worked(one, len(found.refused) < len(asked.units))
    taken = found.messages or await waited(control, request, found, asked, jid)
    if taken:
        control.attachments.worked(one, False)
    leave = not taken and (one.leaving or (bool(asked.timeout_ms) and await control.attachments.is_idle(one)))
    await _give(control, request, found, taken, leave)


async def _give(control: Control, request: Request, found: Found, taken: list[Message], leave: bool = False) -> None:
    messages = [_reachable(control, request, one) for one in taken]
    await request.answer(encode(Exchanged(found.batch.id, messages, found.refused, leave)))


async def waited(control: Control, request: Request, found: Found, asked: Exchange, jid: int = 0) -> list[Message]:
    """Messages for an exchange that has found none, if some come in its time."""
    if not asked.take or not asked.timeout_ms:
        return []
    waiter = control.queues.waiter(found.batch.queue, jid)
    gone = asyncio.ensure_future(_until_gone(request, waiter))
    try:
        return await control.queues.wait(found, asked, waiter)
    finally:
        gone.cancel()
        control.queues.forget(found.batch.queue, waiter)


async def _until_gone(request: Request, waiter: Waiter) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        while (await request.receive())["type"] != "http.disconnect":
            pass
        waiter.leave()


def _reachable(control: Control, request: Request, one: Message) -> Message:
    return structs.replace(one, blob=control.blob_url(request, "get", one.blob)) if one.blob else one


def _checked(request: Request, asked: Exchange) -> int:
    """The job that asks for messages to hold on to; 0 where it is not one."""
    check_name(asked.queue)
    for name in asked.queues:
        check_name(name)
    if len(asked.units) > wire.GIVEN or not 0 <= asked.take <= wire.GIVEN:
        raise BadRequest(f"{len(asked.units)} ends and {asked.take} messages in one request", hint=f"at most {wire.GIVEN}")
    if asked.hold not in set(Hold):
        raise BadRequest(f"messages cannot be held in the way {asked.hold}")
    _check_span("a timeout", asked.timeout_ms, 0, wire.LONGEST_TIMEOUT)
    if asked.take and asked.hold == Hold.deadline:
        _check_span("a deadline", asked.deadline_ms, wire.SHORTEST_DEADLINE, wire.LONGEST_DEADLINE)
    check_bodies(asked.bodies)
    for unit in asked.units:
        _check_unit(asked, unit)
    if asked.hold != Hold.job:
        return 0
    if request.principal.attempt is None:
        raise Forbidden("only a job can hold messages as long as it lives", hint="take tickets with a deadline")
    return request.principal.attempt[0]


def _check_unit(asked: Exchange, unit: wire.Unit) -> None:
    if unit.end not in set(End):
        raise BadRequest(f"a message cannot end in the way {unit.end}")
    if unit.end == End.retry:
        _check_span("a delay", unit.delay_ms, 0, wire.LONGEST_DEADLINE)
    elif unit.end == End.extend:
        _check_span("a deadline", unit.delay_ms, wire.SHORTEST_DEADLINE, wire.LONGEST_DEADLINE)
    else:
        _check_span("a delay", unit.delay_ms, 0, wire.LONGEST_DELAY)
    if not unit.message and unit.end != End.back:
        raise BadRequest("no message is named", hint="only what comes back unread may be told as a whole batch")
    for output in unit.outputs:
        if not (0 <= output.body < len(asked.bodies) and 0 <= output.queue < len(asked.queues)):
            raise BadRequest("an output names a message or a queue that did not come")
        _check_span("a delay", output.delay_ms, 0, wire.LONGEST_DELAY)


def _check_span(what: str, value_ms: int, least: int, most: int) -> None:
    if not least * SECOND <= value_ms <= most * SECOND:
        raise BadRequest(f"{what} of {value_ms / SECOND:g} s", hint=f"{least} to {most} s")


async def _arrived(control: Control, request: Request, bodies: list[wire.Body], units: Sequence[wire.Unit] = ()) -> None:
    check_bodies(bodies)
    pickled = any(body.kind != wire.Kind.json for body in bodies) or any(one.failure and one.failure.exception for one in units)
    if pickled and not request.principal.scopes & Scope.code:  # whoever loads a pickle runs what is in it
        raise Forbidden("a key without the scope code pushes JSON only", hint="send plain numbers, texts, lists and dicts")
    await control.arrived(sorted({body.blob for body in bodies if body.blob}))


# -- handlers --------------------------------------------------------------------------------------------------------


@operation(body=packed(Attach), answer=packed(Attached), raises=(NotFound, Conflict, Skew, TooLarge, StorageFull))
async def attach(control: Control, request: Request) -> None:
    """POST /v1/queue/attach: Attach -> Attached: a handler, in the place of the one that the queue has"""
    asked = await request.read(Attach)
    for name in (asked.queue, *asked.outputs, *(edge.queue for edge in asked.edges)):
        check_name(name)
    if len(asked.token) != 16 or max(len(asked.outputs), len(asked.edges)) > wire.MOST_OUTPUTS:
        raise BadRequest(f"an attachment has a token of 16 bytes and at most {wire.MOST_OUTPUTS} queues of each sort")
    if not 1 <= asked.readers <= wire.MOST_READERS or not 0 <= asked.max_jobs <= wire.MOST_JOBS:
        raise BadRequest(
            f"{asked.readers} readers and {asked.max_jobs} jobs", hint=f"1 to {wire.MOST_READERS}, 0 to {wire.MOST_JOBS}"
        )
    host, env = checked_function(control, request, asked.submit)
    asked.submit.options.restartable = False
    account = request.principal.account
    answer, number = await control.storage.write(attachments.attach, account, asked, host, env, now_ms())
    if number:
        control.attachments.attached(number)
    await request.answer(encode(answer))


@operation(body=Asked, answer=Detached, raises=(NotFound,))
async def detach(control: Control, request: Request) -> None:
    """POST /v1/queue/detach: {name} -> {detached}: its handler finishes what it holds"""
    asked = await _asked(request)
    number = await control.storage.write(attachments.detach, request.principal.account, asked.name, now_ms())
    control.attachments.look_at([number])
    await request.json({"detached": bool(number)})


@operation(body=Asked, raises=(NotFound,))
async def resize(control: Control, request: Request) -> None:
    """POST /v1/queue/resize: {name, max_jobs}: how many jobs its handler may have at once; 0 lets all end"""
    asked = await _asked(request)
    if asked.max_jobs is None or not 0 <= asked.max_jobs <= wire.MOST_JOBS:
        raise BadRequest(f"{asked.max_jobs} jobs", hint=f"0 to {wire.MOST_JOBS}")
    number = await control.storage.write(attachments.resize, request.principal.account, asked.name, asked.max_jobs)
    control.attachments.look_at([number])
    await request.json({})


# -- queues as a whole ----------------------------------------------------------------------------------------------


@operation(query=Which, answer=Queues, raises=(NotFound,))
async def listing(control: Control, request: Request) -> None:
    """GET /v1/queue?name=&minutes=: the account's queues with their handlers, or one of them; so many minutes of history"""
    query = request.asked(Which)
    names = [check_name(query.name)] if query.name else []
    await request.json({"queues": await pipeline.shown(control, request.principal.account, names, query.minutes)})


@operation(body=Asked, raises=(NotFound, Conflict))
async def change(control: Control, request: Request) -> None:
    """POST /v1/queue/change: {name, paused, retention}: what is left out stays"""
    asked, account = await _asked(request), request.principal.account
    if asked.retention is not None and not 0 <= asked.retention <= 10 * 365 * 86_400:
        raise BadRequest(f"a retention of {asked.retention:g} s", hint="0 (for ever) to ten years")
    retention = None if asked.retention is None else int(asked.retention * SECOND)

    def act(tx: Transaction) -> int:
        return queues.change(tx, account, asked.name, now_ms(), paused=asked.paused, retention=retention)

    control.queues.ring([await control.storage.write(act)])
    await request.json({})


@operation(body=Asked, answer=Deleted, raises=(NotFound, Conflict))
async def delete(control: Control, request: Request) -> None:
    """POST /v1/queue/delete: {name} -> {deleted}: a queue with all that is in it"""
    asked = await _asked(request)
    number = await control.storage.write(queues.remove, request.principal.account, asked.name)
    await request.json({"deleted": bool(number)})


@operation(body=Asked, answer=Removed, raises=(NotFound,))
async def purge(control: Control, request: Request) -> None:
    """POST /v1/queue/purge: {name} -> {removed}: all that waits"""
    asked, account, removed = await _asked(request), request.principal.account, 0
    number = (await control.storage.read(queues.find, account, asked.name)).id
    while some := await control.storage.write(queues.purge, number, now_ms()):
        removed += some
    await request.json({"removed": removed})


@operation(query=Letters, answer=DeadLetters, raises=(NotFound,))
async def dead(control: Control, request: Request) -> None:
    """GET /v1/queue/dead?name=&before=: dead letters of a queue, the newest first"""
    query, account = request.asked(Letters), request.principal.account

    def read(tx: Transaction) -> list[Dead]:
        return letters.listing(tx, queues.find(tx, account, check_name(query.name)).id, query.before, LETTERS)

    found = await control.storage.read(read)
    shown = [_letter(control, request, one) for one in found]
    await request.answer(msgspec.json.encode({"dead": shown}), b"application/json")


def _letter(control: Control, request: Request, one: Dead) -> Letter:
    return {
        "id": one.id, "message": one.message, "kind": one.kind, "size": one.size, "data": one.data,
        "url": control.blob_url(request, "get", one.blob) if one.blob else "", "failure": one.failure, "preview": one.preview,
        "pushed": one.pushed, "died": one.died, "given": one.given, "retries": one.retries, "deaths": one.deaths,
    }  # fmt: skip


@operation(body=Asked, answer=Replayed, raises=(NotFound, StorageFull))
async def replay(control: Control, request: Request) -> None:
    """POST /v1/queue/replay: {name, ids} -> {replayed}: dead letters go back into their queue; without ids all"""
    asked, account, moved = await _asked(request), request.principal.account, 0
    number = (await control.storage.read(queues.find, account, asked.name)).id
    control.storage.check_space()
    # Not those that die meanwhile: what fails each time would go round for ever.
    newest = await control.storage.read(letters.newest, number)
    while some := await control.storage.write(letters.replay, number, asked.ids, now_ms(), newest):
        moved += some
    control.queues.ring([number])
    await request.json({"replayed": moved})


@operation(body=Asked, answer=Removed, raises=(NotFound,))
async def bury(control: Control, request: Request) -> None:
    """POST /v1/queue/bury: {name, ids} -> {removed}: dead letters are removed for good; without ids all"""
    asked, account, removed = await _asked(request), request.principal.account, 0
    number = (await control.storage.read(queues.find, account, asked.name)).id
    while some := await control.storage.write(letters.remove, number, asked.ids):
        removed += some
    await request.json({"removed": removed})
