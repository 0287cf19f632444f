"""POST /v1/object/watch: the changes of a bucket or volume as they happen."""

from __future__ import annotations

import asyncio
import contextlib

import msgspec

from picloud.server.changes import Watcher
from picloud.server.control import Control
from picloud.server.http import MSGPACK, Request
from picloud.store.index import tree
from picloud.wire.error import BadRequest
from picloud.wire.object import Keys

HEARTBEAT = 5.0
"""Seconds between two signs of life."""
_HEAD = [(b"content-type", MSGPACK), (b"x-accel-buffering", b"no")]


async def watch(control: Control, request: Request) -> None:
    """POST /v1/object/watch: Keys (its volume) -> frames, each a list of Event; the first, an empty one, when it listens"""
    try:
        asked = msgspec.msgpack.decode(await request.body(), type=Keys)
    except msgspec.MsgspecError as error:
        raise BadRequest(f"the body is not what this route takes: {error}") from error
    if asked.keys or asked.ids or asked.prefix:
        raise BadRequest("single keys cannot be watched", hint="watch a bucket or volume as a whole")
    account, volume = request.principal.account, asked.volume
    await control.storage.read(tree.find, account, volume)
    watcher = control.changes.watch(account, volume)
    gone = asyncio.ensure_future(_until_gone(request, watcher))
    try:
        await request.send({"type": "http.response.start", "status": 200, "headers": _HEAD})
        await request.send({"type": "http.response.body", "body": b"\0\0\0\0", "more_body": True})
        while not watcher.closed:
            sent = await _next(watcher)
            await request.send({"type": "http.response.body", "body": sent or b"\0\0\0\0", "more_body": True})
        await request.send({"type": "http.response.body", "body": b"", "more_body": False})
    finally:
        gone.cancel()
        control.changes.leave(account, volume, watcher)


async def _next(watcher: Watcher) -> bytes:
    """What is to be told; nothing after a while without news."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(HEARTBEAT):
            await watcher.wake.wait()
    return watcher.take()


async def _until_gone(request: Request, watcher: Watcher) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        while (await request.receive())["type"] != "http.disconnect":
            pass
        watcher.close()
