"""What workers tell and ask: outcomes and reports that come over their line, and the code that they fetch."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from picloud.server import images
from picloud.server.auth import Headers
from picloud.server.control import Control
from picloud.server.fleet import Line, Worker
from picloud.server.http import Request
from picloud.server.operation import BYTES
from picloud.server.storage import now_ms
from picloud.store import code as codes
from picloud.store import layer as layers
from picloud.store import log as logs
from picloud.store.act import lease
from picloud.wire import WIRE_VERSION
from picloud.wire.error import BadRequest, NotFound
from picloud.wire.message import (
    Credit,
    Done,
    Hello,
    Kill,
    LogChunk,
    Logs,
    Performed,
    Ports,
    Returned,
    Samples,
    Saved,
    Slots,
    Started,
    decode_to_server,
)

log = logging.getLogger("picloud.worker")


async def code(control: Control, request: Request, digest: str) -> None:
    """GET /v1/worker/code/{digest}"""
    worker = control.authority.worker(request.headers)
    found = await control.storage.read(codes.get, worker.kind.account, digest)
    await request.answer(found.data, BYTES)


async def layer(control: Control, request: Request, digest: str) -> None:
    """GET /v1/worker/layer/{digest}: the way to a layer of the image that this worker shows"""
    worker = control.authority.worker(request.headers)
    if worker.image is None:
        worker.image = await control.storage.read(images.draw, worker.kind.env)
    if digest not in worker.image.layers:
        raise NotFound(f"layer {digest[:12]} is not one of this worker's image")
    await request.redirect(control.blob_url(request, "get", await control.storage.read(layers.blob_of, digest)))


class WorkerEnd:
    """What acts on the messages of one worker."""

    def __init__(self, control: Control, line: Line, worker: Worker) -> None:
        self._control, self._line, self._worker = control, line, worker

    def __repr__(self) -> str:
        return f"worker {self._worker.incarnation}"

    def gone(self) -> None:
        """The connection has ended."""
        if self._worker.line is self._line:
            self._worker.line = None

    def hear(self, message: bytes) -> Coroutine[Any, Any, object] | None:
        """Act on a message; what has to wait is returned."""
        control, worker = self._control, self._worker
        match told := decode_to_server(message):
            case Done():
                control.dispatcher.done(worker, told)
            case Credit():
                worker.window, worker.slots, worker.busy, worker.lent = told.window, told.slots, told.busy, told.lent
                worker.ready = told.ready
                if worker.reserved:
                    control.realtime.changed()
                control.dispatcher.refill(worker)
                control.dispatcher.wake()
            case Started():
                return _begun(control, worker, told)
            case Ports():
                control.ports.report(worker, told)
            case Logs():
                _print(control, worker, told.chunks)
            case Samples():
                own = [one for one in told.samples if worker.held.get(one.jid, (0,))[0] == one.n]
                control.sampling.heard(worker.kind.account, own)
            case Returned():
                for jid, _, _ in told.jobs:
                    worker.held.pop(jid, None)
                return _given_back(control, worker, told)
            case Saved():
                return control.setups.saved(worker, told)
            case Performed():
                return control.setups.performed(worker, told)
            case Hello():
                return _welcome(control, worker, self._line, told)
        return None


def opened(control: Control, line: Line, headers: Headers) -> WorkerEnd:
    """A worker connects."""
    return WorkerEnd(control, line, control.authority.worker(headers))


async def _begun(control: Control, worker: Worker, told: Started) -> None:
    await control.storage.note(lease.started, worker.id, told.jobs, now_ms())
    control.ports.started([jid for jid, _, _ in told.jobs])
    await control.setups.started([jid for jid, _, _ in told.jobs])


async def _given_back(control: Control, worker: Worker, told: Returned) -> None:
    control.dispatcher.more(await control.storage.note(lease.returned, worker.id, told.jobs, now_ms()))


async def _welcome(control: Control, worker: Worker, line: Line, hello: Hello) -> None:
    """Settle what both sides believe is held: leases that got lost on the way go back, closed ones are ended."""
    if hello.incarnation != worker.incarnation or hello.wire != WIRE_VERSION:
        raise BadRequest(f"a hello of {hello.incarnation}, wire {hello.wire}", hint="restart the worker")
    while worker.leasing:  # noqa: ASYNC110 - a lease on its way from the writer (milliseconds, once a connection) counts first
        await asyncio.sleep(0.005)
    worker.leasing = True
    try:
        believed = {(item.jid, item.n): item.lease for item in await control.storage.note(lease.in_hand, worker.id)}
        held = {(jid, n): mark for jid, n, mark in hello.held}
        lost = [(jid, n, mark) for (jid, n), mark in believed.items() if held.get((jid, n)) != mark]
        closed = [(jid, n) for (jid, n), mark in held.items() if believed.get((jid, n)) != mark]
        ready = await control.storage.note(lease.returned, worker.id, lost, now_ms()) if lost else set()
        worker.held = {jid: (n, mark) for (jid, n), mark in held.items() if believed.get((jid, n)) == mark}
    finally:
        worker.leasing = False
    worker.greet(line, hello.pid)
    if closed:
        worker.send(Kill(closed))
    worker.target = worker.target or max(1, worker.slots)
    worker.send(Slots(worker.target))
    control.setups.greeted(worker)
    control.ports.settle(worker)
    control.dispatcher.more({worker.kind.id, *ready})
    control.dispatcher.wake()


def _print(control: Control, worker: Worker, chunks: list[LogChunk]) -> None:
    """Write what jobs have printed, and wake those who read along."""
    jids = {chunk.jid for chunk in chunks}
    head, tail, now = control.settings.log_head, control.settings.log_tail, now_ms()
    control.hub.writing(jids, True)

    def written(_: int) -> None:
        control.hub.writing(jids, False)

    def failed(error: BaseException) -> None:
        control.hub.writing(jids, False)
        _complain(error)

    control.storage.then(lambda tx: logs.append(tx, worker.id, chunks, head, tail, now), written, failed, durable=False)


def _complain(error: BaseException) -> None:
    log.error("log lines of jobs were not kept: %r", error)
