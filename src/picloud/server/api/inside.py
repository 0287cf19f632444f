"""One queue whole, and a look at its messages that takes none. JSON."""

from __future__ import annotations

from typing import Annotated, Any, NotRequired, TypedDict

import msgspec
from msgspec import Meta

from picloud.server import pipeline
from picloud.server.control import Control
from picloud.server.http import UNREADABLE, Request
from picloud.server.operation import JSON, operation
from picloud.server.storage import now_ms
from picloud.store.db import Transaction
from picloud.store.queue import attachment as attachments
from picloud.store.queue import peek as looks
from picloud.store.queue import queue as queues
from picloud.store.queue.peek import HEAD, Seen, Version
from picloud.store.queue.schema import NEVER
from picloud.store.queue.tally import WINDOW
from picloud.wire.error import NotFound
from picloud.wire.job import Status
from picloud.wire.queue import Kind

MINUTES = 10
DAY = 24 * 60
MOST_JOBS = 100
MOST_VERSIONS = 20
MOST = 100


class Look(msgspec.Struct):
    minutes: Annotated[int, Meta(ge=1, le=DAY)] = MINUTES  # of history


class Peek(msgspec.Struct):
    limit: Annotated[int, Meta(ge=1, le=MOST)] = 20


class Series(TypedDict):
    """What happened in each 10 s, the present ones last: messages that ..."""

    start_ms: int  # epoch, of the first
    step_ms: int
    came: list[int]
    went: list[int]
    failed: list[int]  # for good, of those that went
    retried: list[int]


class Handling(TypedDict):
    """A job of its handlers."""

    jid: int
    status: str
    attachment: int
    version: int  # of the handler; a former one finishes what it holds


class HandlerVersion(TypedDict):
    """A handler that the queue has or had."""

    version: int
    name: str
    created: int  # epoch ms
    ended: int | None  # when another one took its place, or it was detached; null = it is in force


class Input(TypedDict):
    """A queue whose handler pushes into this one."""

    queue: str
    on_error: bool  # it does so only with what failed


class Whole(pipeline.Shown):
    """A queue, its handler, its jobs and its history."""

    series: Series
    jobs: list[Handling]  # the newest hundred that have not ended
    inputs: list[Input]
    versions: list[HandlerVersion]  # the newest twenty, the newest first


class Message(TypedDict):
    """A message that rests where it is."""

    id: int
    state: str  # ready, delayed, in_hand
    due: int | None  # epoch ms: when it can be had, or comes back; null = when its job ends
    pushed: int  # epoch ms
    given: int  # so often it was handed out
    retries: int
    deaths: int  # so often whoever held it died
    kind: str  # json or pickle
    size: int  # bytes
    json: Any  # the value, where it is JSON and short; else null
    text: NotRequired[str]  # the beginning of longer JSON
    url: NotRequired[str]  # of its bytes, where they are many


class Messages(TypedDict):
    messages: list[Message]


@operation(query=Look, answer=Whole, raises=(NotFound,), named="queue.whole")
async def whole(control: Control, request: Request, queue: str) -> None:
    """GET /v1/queue/{queue}?minutes=: a queue with its handler, their jobs, and so many minutes of history in windows of 10 s"""
    minutes, account, now = request.asked(Look).minutes, request.principal.account, now_ms()
    (shown,) = await pipeline.shown(control, account, [queue], minutes)

    def read(tx: Transaction) -> tuple[list[tuple[int, int, int, int]], list[Input], list[Version]]:
        found = queues.find(tx, account, queue)
        named = {one.id: one.name for one in queues.every(tx, account)}
        inputs = _inputs(attachments.live_of(tx, account), named, queue)
        return looks.jobs(tx, found.id, MOST_JOBS), inputs, looks.versions(tx, found.id, MOST_VERSIONS)

    jobs, inputs, versions = await control.storage.read(read)
    told = [Handling(jid=jid, status=Status(status).name, attachment=number, version=version)
            for jid, status, number, version in jobs]  # fmt: skip
    history = series(shown["windows"], minutes, now)
    former = [each._asdict() for each in versions]
    await request.json({**shown, "series": history, "jobs": told, "inputs": inputs, "versions": former})


def _inputs(live: list[attachments.Attachment], named: dict[int, str], queue: str) -> list[Input]:
    made: list[Input] = []
    for one in live:
        usual, errors = queue in one.attach.outputs, any(edge.queue == queue for edge in one.attach.edges)
        if one.queue in named and (usual or errors):
            made.append({"queue": named[one.queue], "on_error": not usual})
    return sorted(made, key=lambda each: each["queue"])


def series(windows: list[list[int]], minutes: int, now: int) -> Series:
    """Windows without gaps: those in which nothing happened are zeros."""
    last = now - now % WINDOW
    steps = minutes * 60_000 // WINDOW
    start, known = last - (steps - 1) * WINDOW, {at: rest for at, *rest in windows}
    rows = [known.get(start + step * WINDOW, [0, 0, 0, 0]) for step in range(steps)]
    came, went, failed, retried = ([row[at] for row in rows] for at in range(4))
    return {"start_ms": start, "step_ms": WINDOW, "came": came, "went": went, "failed": failed, "retried": retried}


@operation(query=Peek, answer=Messages, raises=(NotFound,), named="queue.peek")
async def peek(control: Control, request: Request, queue: str) -> None:
    """GET /v1/queue/{queue}/peek?limit=: the next messages, which stay where they are"""
    limit, account, now = request.asked(Peek).limit, request.principal.account, now_ms()

    def read(tx: Transaction) -> list[Seen]:
        return looks.messages(tx, queues.find(tx, account, queue).id, now, limit)

    found = await control.storage.read(read)
    shown = [_message(control, request, one, now) for one in found]
    await request.answer(msgspec.json.encode({"messages": shown}), JSON)


def _message(control: Control, request: Request, one: Seen, now: int) -> Message:
    state = "in_hand" if one.held else "ready" if one.due <= now else "delayed"
    made: Message = {
        "id": one.id, "state": state, "due": None if one.due >= NEVER else one.due, "pushed": one.pushed, "given": one.given,
        "retries": one.retries, "deaths": one.deaths, "kind": Kind(one.kind).name, "size": one.size, "json": None,
    }  # fmt: skip
    if one.blob:
        made["url"] = control.blob_url(request, "get", one.blob)
    elif one.kind == Kind.json:
        try:
            made["json"] = msgspec.json.decode(one.head) if one.size <= HEAD else None
        except (*UNREADABLE, RecursionError):  # a client pushed what is none
            made["json"] = None
        if one.size > HEAD:
            made["text"] = one.head.decode("utf-8", "ignore")
    return made
