"""POST /v1/object/watch: the changes of a bucket or volume as they happen."""

from __future__ import annotations

import asyncio
import contextlib

from picloud.server.changes import Watcher
from picloud.server.control import Control
from picloud.server.http import Request
from picloud.server.operation import FRAMES, MSGPACK, operation, packed
from picloud.store.index import tree
from picloud.wire.error import BadRequest, NotFound
from picloud.wire.object import Keys

HEARTBEAT = b"\0\0\0\0"
"""An empty frame."""
PAUSE = 5.0
"""Seconds between two looks whether one is due."""
_HEAD = [(b"content-type", MSGPACK), (b"x-accel-buffering", b"no")]


@operation(body=packed(Keys), answer=FRAMES, raises=(NotFound,))
async def watch(control: Control, request: Request) -> None:
    """POST /v1/object/watch: Keys (its volume) -> frames, each a list of Event; the first, an empty one, when it listens"""
    asked = await request.read(Keys)
    if asked.keys or asked.ids or asked.prefix:
        raise BadRequest("single keys cannot be watched", hint="watch a bucket or volume as a whole")
    account, volume = request.principal.account, asked.volume
    await control.storage.read(tree.find, account, volume)

    async def send(frames: bytes) -> None:
        await request.send({"type": "http.response.body", "body": frames, "more_body": True})

    watcher = control.changes.watch(account, volume, send)
    await request.send({"type": "http.response.start", "status": 200, "headers": _HEAD})  # does not wait: no event comes before
    gone = asyncio.ensure_future(_until_gone(request, watcher))
    try:
        watcher.offer(HEARTBEAT)
        while not await _ended(watcher):
            if watcher.quiet:
                watcher.offer(HEARTBEAT)
            watcher.quiet = True
        if not watcher.behind:
            await request.send({"type": "http.response.body", "body": b"", "more_body": False})
    finally:
        gone.cancel()
        watcher.leave()
        control.changes.leave(account, volume, watcher)


async def _ended(watcher: Watcher) -> bool:
    """Whether the stream shall end; waits for a while."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PAUSE):
            await watcher.ended.wait()
    return watcher.closed


async def _until_gone(request: Request, watcher: Watcher) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        while (await request.receive())["type"] != "http.disconnect":
            pass
        watcher.close()
