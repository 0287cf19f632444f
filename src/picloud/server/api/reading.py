"""Reading along: what a job prints and what it uses, as it comes, woken by the hub."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec

from picloud.server.control import Control
from picloud.server.http import Request
from picloud.server.hub import Bell
from picloud.server.operation import BYTES, FRAMES, LINES, MSGPACK, RAW, Content, operation
from picloud.server.storage import now_ms
from picloud.store import job as jobs
from picloud.store import log as logs
from picloud.wire.bounds import Number
from picloud.wire.error import BadRequest, NotFound
from picloud.wire.job import FIRST_FINAL
from picloud.wire.message import LogChunk, Sample, encode
from picloud.wire.samples import told

HEARTBEAT = 5.0
"""Seconds between two signs of life of a stream that has nothing to tell."""
AT_ONCE = 32
"""Chunks of one stream in one step."""
EMPTY = b"\0\0\0\0"
"""A frame that is a sign of life."""
END = b"\0\0\0\1\x90"
"""The frame of an empty list: all was told. Without it the stream broke off."""


class Follow(msgspec.Struct):
    """Whether to go on until the job has ended; whether in frames, which tell of their end."""

    follow: bool = False
    framed: bool = False


class Log(Follow):
    stream: str = ""  # stdout, stderr, logging, pilog, syslog; several only in frames
    since: Number = 0  # bytes
    last: Number = 0  # ms


@operation(query=Log, answer=(RAW, FRAMES), raises=(NotFound,))
async def log(control: Control, request: Request, jid: str) -> None:
    """GET /v1/job/{jid}/log: query stream, since (bytes), last (ms), follow=1; its bytes, or LogChunks of several (framed=1)"""
    account, number = request.principal.account, int(jid)
    await control.storage.read(jobs.statuses, account, [(number, 1)])
    query = request.asked(Log)
    framed = query.framed
    names = query.stream.split(",") if query.stream else list(logs.STREAMS[:-1]) if framed else ["stdout"]
    for name in names:
        if name not in logs.STREAMS:
            raise BadRequest(f"no stream {name[:40]!r}", hint=", ".join(logs.STREAMS))
    if len(names) != 1 and not framed:
        raise BadRequest("bytes are of one stream", hint=f"stream={names[0]}, or framed=1 for frames of several")
    start = await control.storage.read(logs.newest, account, number)
    since = now_ms() - query.last if query.last else 0
    reader = _Reader(control, account, number, names, (start, query.since), since)
    said = _frame if framed else _plain
    await _send(
        control, request, number, MSGPACK if framed else BYTES, reader.step, said, b"\0\0\0\0" if framed else b"", query.follow
    )


@operation(query=Follow, answer=(Content(LINES), FRAMES), raises=(NotFound,))
async def samples(control: Control, request: Request, jid: str) -> None:
    """GET /v1/job/{jid}/samples: query follow=1; lines of JSON, empty ones are signs of life; frames with framed=1"""
    account, number = request.principal.account, int(jid)
    await control.storage.read(jobs.statuses, account, [(number, 1)])
    seen = (0, -1)  # n, ms

    async def step() -> tuple[list[Sample], bool]:
        nonlocal seen
        live = control.sampling.latest(account, number)
        if seen[1] < 0 or live is None or live.n != seen[0] or live.last[0].at_ms > seen[1]:
            found = await control.sampling.read(account, number)
        else:
            found = list(live.last)
        news = [one for one in found if (one.n, one.at_ms) > seen]
        if news:
            seen = (news[-1].n, news[-1].at_ms)
        return news, False

    query = request.asked(Follow)
    framed = query.framed
    said = _frame if framed else lambda some: b"".join(told(one) for one in some)
    await _send(
        control, request, number, MSGPACK if framed else LINES, step, said, b"\0\0\0\0" if framed else b"\n", query.follow
    )


class _Reader:
    """Where somebody is in the streams of one job."""

    def __init__(self, control: Control, account: int, jid: int, names: list[str], start: tuple[int, int], since: int) -> None:
        self._control, self._account, self._jid, self._since = control, account, jid, since
        self._places = dict.fromkeys(names, start)

    async def step(self) -> tuple[list[LogChunk], bool]:
        """What follows, in the order in which it came; whether there is more at once."""
        found: list[logs.Piece] = []
        horizon = None  # what came later than this, other streams may not have told yet
        for name, (n, offset) in self._places.items():
            pieces = await self._control.storage.read(logs.after, self._account, self._jid, name, n, offset, self._since, AT_ONCE)
            if len(pieces) == AT_ONCE:
                horizon = pieces[-1].at if horizon is None else min(horizon, pieces[-1].at)
            found += pieces
        if horizon is not None:
            found = [one for one in found if one.at <= horizon]
        found.sort(key=lambda one: (one.n, one.at))
        return [self._cut(one) for one in found], horizon is not None

    def _cut(self, piece: logs.Piece) -> LogChunk:
        """The piece without what is known of it."""
        n, offset = self._places[piece.stream]
        known = max(0, offset - piece.offset) if n == piece.n else 0
        self._places[piece.stream] = (piece.n, piece.offset + len(piece.data))
        return LogChunk(self._jid, piece.n, piece.stream, piece.offset + known, piece.data[known:])


def _plain(chunks: list[LogChunk]) -> bytes:
    return b"".join(chunk.data for chunk in chunks)


def _frame(some: list[Any]) -> bytes:
    body = encode(some)
    return len(body).to_bytes(4, "big") + body if some else b""


async def _send(control: Control, request: Request, jid: int, kind: bytes, step: Callable[[], Any],
                said: Callable[[list[Any]], bytes], heartbeat: bytes, follow: bool) -> None:  # fmt: skip
    """Send what ``step`` finds; with ``follow``, again at each news of the job until it has ended."""
    bell = control.hub.listen(jid)
    gone: asyncio.Future[None] | None = None
    try:
        head = [(b"content-type", kind), (b"x-accel-buffering", b"no"), (b"x-content-type-options", b"nosniff")]
        await request.send({"type": "http.response.start", "status": 200, "headers": head})
        async for news in _steps(control, request, bell, step, follow):
            if body := said(news) if news is not None else heartbeat:
                await request.send({"type": "http.response.body", "body": body, "more_body": True})
            if follow and gone is None:
                gone = asyncio.ensure_future(_until_gone(request, bell))
        last = END if kind == MSGPACK and not bell.closed else b""
        await request.send({"type": "http.response.body", "body": last, "more_body": False})
    finally:
        control.hub.hang_up(bell)
        if gone is not None:
            gone.cancel()


async def _steps(
    control: Control, request: Request, bell: Bell, step: Callable[[], Any], follow: bool
) -> AsyncIterator[list[Any] | None]:
    """What each step finds; None = a sign of life is due."""
    account = request.principal.account
    while not bell.closed:
        bell.news.clear()
        (state,) = await control.storage.read(jobs.statuses, account, [(bell.jid, 1)])
        over = state >= FIRST_FINAL and not control.hub.is_writing(bell.jid)
        more = True
        while more:
            news, more = await step()
            yield news
        if over or not follow:
            return
        while not bell.news.is_set():
            try:
                async with asyncio.timeout(HEARTBEAT):
                    await bell.news.wait()
            except TimeoutError:
                yield None


async def _until_gone(request: Request, bell: Bell) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        while (await request.receive())["type"] != "http.disconnect":
            pass
        bell.closed = True
        bell.news.set()
