"""The workers' WebSocket: leases out, outcomes in; and the code and bytes that workers ask for."""

from __future__ import annotations

import asyncio
import logging

import msgspec

from picloud.server.control import Control
from picloud.server.fleet import Worker
from picloud.server.http import BYTES, Receive, Request, Send
from picloud.server.storage import now_ms
from picloud.store import code as codes
from picloud.store import log as logs
from picloud.store.act import lease
from picloud.wire import WIRE_VERSION
from picloud.wire.error import BadRequest, CloudException
from picloud.wire.message import Credit, Done, Hello, Kill, Logs, Returned, Slots, Started, ToServer, decode_to_server

log = logging.getLogger("picloud.worker")


async def code(control: Control, request: Request, digest: str) -> None:
    """GET /v1/worker/code/{digest}"""
    worker = control.authority.worker(request.headers)
    found = await control.storage.read(codes.get, worker.kind.account, digest)
    await request.answer(found.data, BYTES)


async def session(control: Control, worker: Worker, receive: Receive, send: Send) -> None:
    """One connection of one worker, from accept to disconnect."""
    await receive()
    await send({"type": "websocket.accept"})
    outbox: asyncio.Queue[bytes] = asyncio.Queue()
    sender = asyncio.create_task(_send(outbox, send))
    try:
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return
            try:
                told = decode_to_server(message.get("bytes") or b"")
                await _hear(control, worker, outbox, told)
            except (msgspec.MsgspecError, CloudException) as error:
                log.error("worker %s sent what cannot be read: %s", worker.incarnation, error)
                await send({"type": "websocket.close", "code": 1002})
                return
    finally:
        sender.cancel()
        if worker.outbox is outbox:
            worker.outbox = None


async def _send(outbox: asyncio.Queue[bytes], send: Send) -> None:
    while True:
        await send({"type": "websocket.send", "bytes": await outbox.get()})


async def _hear(control: Control, worker: Worker, outbox: asyncio.Queue[bytes], told: ToServer) -> None:
    """One message of a worker."""
    match told:
        case Done():
            control.dispatcher.done(worker, told)
        case Credit():
            worker.window, worker.slots, worker.busy, worker.lent = told.window, told.slots, told.busy, told.lent
            control.dispatcher.refill(worker)
            control.dispatcher.wake()
        case Started():
            await control.storage.note(lease.started, worker.id, told.jobs, now_ms())
        case Logs():
            control.storage.then(
                lambda tx: logs.append(tx, worker.id, told.chunks, control.settings.log_head, control.settings.log_tail),
                lambda _: None,
                _complain,
                durable=False,
            )
        case Returned():
            for jid, _, _ in told.jobs:
                worker.held.pop(jid, None)
            control.dispatcher.more(await control.storage.note(lease.returned, worker.id, told.jobs, now_ms()))
        case Hello():
            await _welcome(control, worker, outbox, told)


async def _welcome(control: Control, worker: Worker, outbox: asyncio.Queue[bytes], hello: Hello) -> None:
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
    worker.greet(outbox, hello.pid)
    if closed:
        worker.send(Kill(closed))
    worker.target = worker.target or max(1, worker.slots)
    worker.send(Slots(worker.target))
    control.dispatcher.more({worker.kind.id, *ready})
    control.dispatcher.wake()


def _complain(error: BaseException) -> None:
    log.error("log lines of jobs were not kept: %r", error)
