"""Messages of queues for those who speak plain HTTP: JSON in, JSON out.

What was pushed from Python and has JSON's own types is JSON here too. Anything else is a pickle, which nobody here loads: it is
handed out as base64 under a name of its own.
"""

from __future__ import annotations

import os
import re
from typing import Annotated, NotRequired, TypedDict

import msgspec
from msgspec import Meta, Raw

from picloud.server.api.queue import waited
from picloud.server.control import Control
from picloud.server.http import UNREADABLE, Request
from picloud.server.operation import JSON, operation
from picloud.wire import queue as wire
from picloud.wire.error import BadRequest, Conflict, StorageFull, TooLarge
from picloud.wire.job import INLINE_LIMIT
from picloud.wire.queue import Body, End, Exchange, Hold, Kind, Message, Push, Unit

SECOND = 1000
MOST = 100
"""Messages that one request pops or ends."""
_TICKET = re.compile(r"([0-9]{1,18})-([0-9]{1,18})")
_ENDS = {"ack": End.ack, "retry": End.retry, "back": End.back, "extend": End.extend}


class Messages(msgspec.Struct):
    """Values for a queue."""

    messages: Annotated[list[Raw], Meta(min_length=1, max_length=wire.PUSHED)]  # any JSON, each at most 64 KiB
    delay: Annotated[float, Meta(ge=0, le=wire.LONGEST_DELAY)] = 0.0  # seconds until they can be popped
    keys: list[Annotated[str, Meta(min_length=1, max_length=wire.LONGEST_KEY)]] = []  # one each: known ones are not pushed again


class Pushed(TypedDict):
    pushed: int  # that were new


class Pop(msgspec.Struct):
    """A wish for messages, the oldest first."""

    count: Annotated[int, Meta(ge=1, le=MOST)] = 1  # at most
    wait: Annotated[float, Meta(ge=0, le=wire.LONGEST_TIMEOUT)] = 0.0  # seconds for the first to come
    deadline: Annotated[float, Meta(ge=wire.SHORTEST_DEADLINE, le=wire.LONGEST_DEADLINE)] | None = (
        None  # seconds in which to ack, else they come again; null = they are gone at once
    )


class Popped(TypedDict):
    """A message: one of value, pickle and url."""

    ticket: str | None  # to ack it by
    pushed: int  # epoch ms
    retries: int
    given: int  # so often it was handed out
    value: NotRequired[Raw]
    pickle: NotRequired[bytes]  # a Python object that JSON cannot say, in base64
    url: NotRequired[str]  # of its bytes, where they are many, for an hour
    kind: NotRequired[str]  # of these bytes: json or pickle


class Batch(TypedDict):
    messages: list[Popped]


class Ends(msgspec.Struct):
    """What becomes of messages that were popped with a deadline."""

    tickets: Annotated[list[str], Meta(min_length=1, max_length=MOST)]
    end: str = "ack"  # ack, retry (after a delay, one retry more), back (unread), extend (the deadline, by so long from now)
    delay: Annotated[float, Meta(ge=0, le=wire.LONGEST_DEADLINE)] = 0.0  # seconds


class Refused(TypedDict):
    refused: list[str]  # tickets that are not current: the message was ended before, or has come again


@operation(body=Messages, answer=Pushed, raises=(Conflict, TooLarge, StorageFull))
async def push(control: Control, request: Request, queue: str) -> None:
    """POST /v1/queue/{queue}/message: {messages, delay, keys} -> {pushed}: any JSON values"""
    asked = await request.read(Messages, 'for example {"messages": [{"n": 1}, "two"]}')
    if asked.keys and len(asked.keys) != len(asked.messages):
        raise BadRequest("there is not one key for each message", hint="as many keys as messages, or none")
    bodies = [Body(Kind.json, _checked(at, bytes(one))) for at, one in enumerate(asked.messages)]
    control.storage.check_space()
    made = Push(os.urandom(16), queue, bodies, int(asked.delay * SECOND), asked.keys)
    await request.json(Pushed(pushed=await control.queues.push(request.principal.account, made)))


def _checked(at: int, text: bytes) -> bytes:
    """The JSON of a message, if every client can read it."""
    if len(text) > INLINE_LIMIT:
        raise TooLarge(f"message {at} has {len(text)} bytes", limit=INLINE_LIMIT, hint="put it into the bucket, push its key")
    try:
        msgspec.json.decode(text)
    except (*UNREADABLE, RecursionError) as error:
        raise BadRequest(f"message {at} is no JSON: {error}") from error
    return text


@operation(body=Pop, answer=Batch, raises=(Conflict,))
async def pop(control: Control, request: Request, queue: str) -> None:
    """POST /v1/queue/{queue}/pop: {count, wait, deadline} -> {messages}: the oldest ones, waited for if there is none"""
    asked = await request.read(Pop, 'for example {"count": 1, "wait": 10, "deadline": 60}')
    hold, deadline = (Hold.removed, 0) if asked.deadline is None else (Hold.deadline, int(asked.deadline * SECOND))
    wish = Exchange(os.urandom(16), queue, take=asked.count, hold=hold, deadline_ms=deadline, timeout_ms=int(asked.wait * SECOND))
    found = await control.queues.exchange(request.principal.account, wish)
    taken = found.messages or await waited(control, request, found, wish)
    ticketed = found.batch.id if hold is Hold.deadline else 0
    shown = [_shown(control, request, one, ticketed) for one in taken]
    await request.answer(msgspec.json.encode(Batch(messages=shown)), JSON)


def _shown(control: Control, request: Request, one: Message, batch: int) -> Popped:
    ticket = f"{one.id}-{batch}" if batch else None
    made = Popped(ticket=ticket, pushed=one.pushed, retries=one.retries, given=one.given)
    if one.blob:
        made["url"], made["kind"] = control.blob_url(request, "get", one.blob), Kind(one.kind).name
    elif one.kind == Kind.json:
        made["value"] = Raw(one.data)
    else:
        made["pickle"] = one.data
    return made


@operation(body=Ends, answer=Refused, raises=(Conflict,))
async def ack(control: Control, request: Request, queue: str) -> None:
    """POST /v1/queue/{queue}/ack: {tickets, end, delay} -> {refused}: messages were handled, or shall come again"""
    asked = await request.read(Ends, 'for example {"tickets": ["12-5"]}')
    if asked.end not in _ENDS:
        raise BadRequest(f"a message cannot end as {asked.end[:40]!r}", hint=", ".join(_ENDS))
    least = wire.SHORTEST_DEADLINE if asked.end == "extend" else 0
    if asked.delay < least or (asked.delay and asked.end in ("ack", "back")):
        raise BadRequest(f"{asked.end} with a delay of {asked.delay:g} s", hint=f"extend: from {least} s on; ack and back: none")
    units = [_unit(ticket, _ENDS[asked.end], int(asked.delay * SECOND)) for ticket in asked.tickets]
    found = await control.queues.exchange(request.principal.account, Exchange(os.urandom(16), queue, units))
    await request.json(Refused(refused=[asked.tickets[at] for at in found.refused]))


def _unit(ticket: str, end: End, delay_ms: int) -> Unit:
    found = _TICKET.fullmatch(ticket)
    if found is None or not int(found[1]):
        raise BadRequest(f"{ticket[:40]!r} is no ticket", hint="as a pop with a deadline told it: 12-5")
    return Unit(int(found[1]), int(found[2]), end, delay_ms)
