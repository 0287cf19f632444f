"""One job whole: all that is known of it in one answer, so that a page needs no second question."""

from __future__ import annotations

import asyncio
from typing import Any, TypedDict

import msgspec

from picloud.server.api import figures
from picloud.server.api.fold import Folded
from picloud.server.api.shell import ports_of
from picloud.server.control import Control
from picloud.server.http import UNREADABLE, Request
from picloud.server.operation import JSON, operation
from picloud.store import kin
from picloud.store.act import info
from picloud.store.db import Transaction
from picloud.store.kin import Kin, Origin, Stored
from picloud.wire import plain
from picloud.wire.error import NotFound
from picloud.wire.job import Status
from picloud.wire.message import Ranges

SHOWN = 16_384
"""Bytes of a JSON result that are shown as they are."""


class Stage(TypedDict):
    """A stretch of a job's life, epoch ms; ``ends`` is None while it lasts."""

    attempt: int
    stage: str  # waiting, queued, environment, import, run
    begins: int
    ends: int | None


class Result(TypedDict):
    """What a job answered, as far as the server can tell without loading it."""

    kind: str  # json, bytes, or pickle: only a client loads that
    size: int
    preview: str  # of its value; after = it is JSON, exactly
    json: Any  # the value, where it is JSON and short; else null
    exact: bool  # whether ``json`` is the whole value


class Digests(TypedDict):
    function: str
    modules: list[str]
    environment: str  # "" = it is not of a saved version
    python: str  # who pickled


class Whole(TypedDict):
    """A job: the fields of cloud.info, and what stands around it."""

    jid: int
    status: str
    cause: str | None
    exception: str | None
    failure: dict[str, Any] | None  # the death certificate
    waits_for: str | None  # why the account begins nothing
    created: int
    started: int | None
    finished: int | None
    runtime: float | None  # seconds
    stages: list[Stage]
    function: dict[str, Any]  # name, and of Python functions module, file, line, source
    args: str | None  # preview
    result: Result | None
    label: str
    attributes: dict[str, Any]  # what it was submitted with
    env: str | None
    vol: list[str]
    core_type: str
    cores: int
    priority: int
    cputime: dict[str, float | None]
    cpu_percentage: float | None  # of one core, now
    memory: dict[str, int | None]  # failcnt are the MemAlloc Fails
    swap: dict[str, int | None]
    disk: dict[str, int | None]
    network: dict[str, int | None]
    ports: dict[str, Any] | None
    cost: dict[str, Any]
    attempts: list[dict[str, Any]]
    logs: dict[str, int]  # bytes of each stream
    digests: Digests
    submission: int
    position: int  # in its map, from 0
    jid_first: int  # of its map
    count: int | None  # jobs of its map
    origin: Origin
    reserved: bool  # it is on reserved cores
    parent_jid: int | None
    children: list[Folded]  # the first hundred calls and maps that it has submitted
    children_count: int  # jobs of all of them
    depends_on: Ranges
    holds: list[int]  # first jids of calls and maps that wait for it


_NONE: dict[str, dict[str, Any]] = {"cputime": {}, "memory": {}, "swap": {}, "disk": {}, "network": {}, "cost": {}}


@operation(answer=Whole, raises=(NotFound,))
async def whole(control: Control, request: Request, jid: str) -> None:
    """GET /v1/job/{jid}: all that is known of a job"""
    account, number = request.principal.account, int(jid)

    def read(tx: Transaction) -> tuple[dict[str, Any], Kin]:
        return info.read(tx, account, [(number, 1)])[number], kin.read(tx, account, number)

    record, around = await control.storage.read(read)
    sent = "created" in record
    if not sent:  # reserved: there is no row of it yet
        record = _unsent(record, around)
    figures.complete(control, account, number, record)
    record["ports"] = ports_of(control, request, number) if record["status"] == Status.processing.name else None
    stored, preview = around.stored, record["result"]
    far = stored is not None and bool(stored.blob)
    shown = await asyncio.to_thread(_result, control, preview, stored) if far else _result(control, preview, stored)
    await request.answer(msgspec.json.encode(_whole(number, record, around, shown)), JSON)


def _unsent(record: dict[str, Any], around: Kin) -> dict[str, Any]:
    options = msgspec.to_builtins(around.options)
    return {
        "exception": None, "failure": None, "created": around.created, "started": None, "finished": None, "runtime": None,
        "function": {"name": around.name}, "args": None, "result": None, "label": around.options.label, "attributes": options,
        "env": around.options.env or None, "vol": around.options.vol, "core_type": around.core_type, "cores": around.cores,
        "priority": around.options.priority, "cpu_percentage": None, **_NONE, **record, "parent_jid": around.parent_jid,
        "submission": around.submission, "depends_on": around.options.depends_on, "memory": {"limit": None},
    }  # fmt: skip


def _whole(jid: int, record: dict[str, Any], around: Kin, result: Result | None) -> Whole:
    return {
        "jid": jid,
        **{name: record[name] for name in _TAKEN},  # type: ignore[typeddict-item]
        "waits_for": record.get("waits_for"),
        "stages": stages(record),
        "result": result,
        "logs": around.logs,
        "digests": {"function": around.function, "modules": around.modules, "python": around.python,
                    "environment": record["attributes"].get("env_digest", "")},
        "position": around.position, "jid_first": around.first, "count": around.count, "origin": around.origin,
        "reserved": around.reserved, "children": around.children, "children_count": around.children_count,
        "holds": around.holds,
    }  # fmt: skip


_TAKEN = ("status", "cause", "exception", "failure", "created", "started", "finished", "runtime", "function", "args", "label",
          "attributes", "env", "vol", "core_type", "cores", "priority", "cputime", "cpu_percentage", "memory", "swap", "disk",
          "network", "ports", "cost", "attempts", "submission", "parent_jid", "depends_on")  # fmt: skip


def stages(record: dict[str, Any]) -> list[Stage]:
    """The life of a job from its record, in order.

    ``environment`` is from the lease to the start: a worker and a file system are made, if there are none. ``import`` is what an
    attempt that ended took besides the function itself: loading it and its arguments. Which of the two it is in is not known of
    one that runs, so that shows as ``run``. Clocks of two machines may disagree: no stage is shorter than nothing.
    """
    made: list[Stage] = []
    place, over = record["created"], record["finished"]
    for one in record["attempts"]:
        n, leased, started, ended = one["n"], one["leased"], one["started"], one["ended"]
        made.append(_stage(n, "queued", place, max(place, leased)))
        place = max(place, leased)
        if started is None:
            made.append(_stage(n, "environment", place, ended))
        else:
            made.append(_stage(n, "environment", place, max(place, started)))
            place = max(place, started)
            made += _run(n, place, ended, one["runtime"])
        if ended is None:
            return made
        place = max(place, ended)
    if over is None:
        name = record["status"] if record["status"] in (Status.waiting.name, Status.queued.name) else Status.queued.name
        made.append(_stage(len(record["attempts"]) + 1, name, place, None))
    elif not record["attempts"]:
        made.append(_stage(1, Status.waiting.name, place, max(place, over)))
    return made


def _run(n: int, begins: int, ended: int | None, runtime: float | None) -> list[Stage]:
    if ended is None or runtime is None:
        return [_stage(n, "run", begins, ended)]
    ended = max(begins, ended)
    own = min(ended - begins, round(runtime * 1000))
    return [_stage(n, "import", begins, ended - own), _stage(n, "run", ended - own, ended)]


def _stage(n: int, stage: str, begins: int, ends: int | None) -> Stage:
    return {"attempt": n, "stage": stage, "begins": begins, "ends": ends}


def _result(control: Control, preview: str | None, stored: Stored | None) -> Result | None:
    """What can be told of a result; nothing is loaded but JSON that says that it is."""
    if stored is None:
        return None
    said = preview or ""
    size, head = stored.size, stored.head
    if stored.blob:
        try:
            size, head = control.files.size(stored.blob), b"".join(control.files.read(stored.blob, 0, plain.HEAD))
        except NotFound:  # it is being swept
            size, head = 0, b""
    found = plain.find(head[: plain.HEAD])
    kind = "pickle" if found is None else "json" if found.json else "bytes"
    if said.startswith("="):
        known, value = _value(said[1:].encode())
        return {"kind": "json" if known else kind, "size": size, "preview": said, "json": value, "exact": known}
    known, value = False, None
    if found is not None and found.json and found.length <= SHOWN and not stored.blob:
        known, value = _value(head[found.start : found.start + found.length])
    return {"kind": kind, "size": size, "preview": said, "json": value, "exact": known}


def _value(data: bytes) -> tuple[bool, Any]:
    """The value that this is the JSON of, if it is: a job may write anything."""
    try:
        return True, msgspec.json.decode(data)
    except (*UNREADABLE, RecursionError):
        return False, None
