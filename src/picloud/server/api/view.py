"""POST /v1/view: all that an open page shows, in one stream, as it changes."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Annotated

import msgspec
from msgspec import Meta

from picloud.server.control import Control
from picloud.server.http import Request
from picloud.server.operation import LINES, Content, operation
from picloud.server.views import Page
from picloud.wire.error import Forbidden, TooMany

SIGN = b"{}\n"
"""The line lives."""
PAUSE = 15.0
"""Seconds between two looks whether one is due."""
_HEAD = [
    (b"content-type", LINES),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
]


class Path(msgspec.Struct):
    path: Annotated[str, Meta(max_length=2000)]  # of a GET route, with its query
    mark: Annotated[str, Meta(max_length=64)] = ""  # of the answer that the page knows


class Paths(msgspec.Struct):
    """What a page watches."""

    watch: Annotated[list[Path], Meta(max_length=32)]


@operation(body=Paths, answer=Content(LINES), raises=(TooMany,))
async def watch(control: Control, request: Request) -> None:
    """POST /v1/view: {watch: [{path, mark}]} -> lines {path, mark, body} or {path, mark, error}: what GET of each path answers

    For pages: at once, unless it has that mark, and again whenever it has changed, at most once a second; {} is a sign of life.
    It ends when the key or the session does.
    """
    asked, account = (await request.read(Paths)).watch, request.principal.account
    if request.principal.attempt is not None:
        raise Forbidden("a job has no pages", hint="ask the routes themselves")

    async def send(lines: bytes) -> None:
        await request.send({"type": "http.response.body", "body": lines, "more_body": True})

    page = control.views.open(account, send)
    gone: asyncio.Future[None] | None = None
    try:
        await request.send({"type": "http.response.start", "status": 200, "headers": _HEAD})
        page.offer(SIGN)
        for one in {each.path: each for each in asked}.values():
            control.views.watch(page, request, one.path, one.mark)
        gone = asyncio.ensure_future(_until_gone(request, page))
        while not await _ended(page):
            page.beat(SIGN)
        if not page.behind:
            await request.send({"type": "http.response.body", "body": b"", "more_body": False})
    finally:
        if gone is not None:
            gone.cancel()
        control.views.leave(page)


async def _ended(page: Page) -> bool:
    """Whether the stream shall end; waits for a while."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(PAUSE):
            await page.ended.wait()
    return page.closed


async def _until_gone(request: Request, page: Page) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        while (await request.receive())["type"] != "http.disconnect":
            pass
        page.close()
