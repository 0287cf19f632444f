"""Results as they come: one streaming answer, fed by the hub, and by the store where the client was away."""

from __future__ import annotations

import asyncio
import contextlib

from picloud.server.check import check_ranges
from picloud.server.control import Control
from picloud.server.http import Request
from picloud.server.hub import Watcher
from picloud.server.operation import FRAMES, MSGPACK, operation, packed
from picloud.store import job as jobs
from picloud.wire.error import NotFound
from picloud.wire.message import Watch

HEARTBEAT = 5.0
"""Seconds between two signs of life of a stream that has nothing to tell."""
HEAD = 0.02
"""Seconds that the head waits for a first frame: a client's own timeout can only count from there."""
PAGE = 2000
_HEAD = [(b"content-type", MSGPACK), (b"x-accel-buffering", b"no")]


def parse(message: Watch) -> Watch:
    """A Watch as it comes from outside."""
    check_ranges(message.jids)
    return message


@operation(body=packed(Watch), answer=FRAMES, raises=(NotFound,))
async def stream(control: Control, request: Request) -> None:
    """POST /v1/result: Watch -> frames of Finished: ends of jobs as they come"""
    message = parse(await request.read(Watch))
    who = request.principal
    watcher = Watcher(who.account, message.jids, message.payload)
    control.hub.add(watcher)
    waits = None
    try:
        if not control.hub.recall(watcher):
            await _replay(control, watcher, check=True)
        if watcher.left and who.attempt is not None and who.worker is not None:
            waits = control.dispatcher.begin_wait(who.worker, who.attempt, watcher)
        await _send(control, request, watcher)
    finally:
        control.hub.remove(watcher)
        if waits is not None:
            control.dispatcher.end_wait(waits)


async def _send(control: Control, request: Request, watcher: Watcher) -> None:
    """Send frames as they come. The head goes with the first of them, so a short answer is one write.

    Whether the client is still there is looked at from the first heartbeat on: most answers do not take that long.
    """
    gone: asyncio.Future[None] | None = None
    try:
        await _ready(watcher, HEAD)
        await request.send({"type": "http.response.start", "status": 200, "headers": _HEAD})
        while not watcher.closed:
            sent = watcher.take()
            if sent:
                more = watcher.left > 0 or bool(watcher.frames)
                await request.send({"type": "http.response.body", "body": sent, "more_body": more})
                if not more:
                    return
            elif watcher.behind:
                watcher.behind = False
                await _replay(control, watcher)
            elif not watcher.left:
                break
            elif not await _ready(watcher):
                gone = gone or asyncio.ensure_future(_until_gone(request, watcher))
                await request.send({"type": "http.response.body", "body": b"\0\0\0\0", "more_body": True})
        await request.send({"type": "http.response.body", "body": b"", "more_body": False})
    finally:
        if gone is not None:
            gone.cancel()


async def _ready(watcher: Watcher, seconds: float = HEARTBEAT) -> bool:
    """Wait until there is something to do for a watcher; False after so many seconds without."""
    if watcher.frames or watcher.behind or not watcher.left:
        return True
    try:
        async with asyncio.timeout(seconds):
            await watcher.wake.wait()
    except TimeoutError:
        return False
    return True


async def _until_gone(request: Request, watcher: Watcher) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        while (await request.receive())["type"] != "http.disconnect":
            pass
        watcher.closed = True
        watcher.wake.set()


async def _replay(control: Control, watcher: Watcher, check: bool = False) -> None:
    """Offer what the store already has, page by page, while the client keeps up.

    Raises:
        NotFound: with ``check``, where a jid is not of this account.
    """
    missing = watcher.unseen()
    after = -1
    if check:
        await control.storage.read(jobs.statuses, watcher.account, missing)
    while missing:
        page = await control.storage.read(jobs.finished, watcher.account, missing, after, PAGE)
        watcher.offer(page)
        if len(page) < PAGE or watcher.behind:
            return
        after = page[-1].jid
