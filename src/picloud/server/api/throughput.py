"""How many jobs came and ended lately."""

from __future__ import annotations

from typing import Annotated, TypedDict

import msgspec
from msgspec import Meta

from picloud.server.control import Control
from picloud.server.http import Request
from picloud.server.operation import operation
from picloud.server.storage import now_ms
from picloud.server.throughput import KEPT, WINDOW


class Span(msgspec.Struct):
    minutes: Annotated[int, Meta(ge=1, le=KEPT // 60_000)] = 60


class Shown(TypedDict):
    """Jobs in windows of 10 s, the present one last."""

    start_ms: int  # epoch, of the first window
    step_ms: int
    submitted: list[int]
    done: list[int]
    failed: list[int]  # in error, stalled or killed


@operation(query=Span, answer=Shown, named="throughput.read")
async def throughput(control: Control, request: Request) -> None:
    """GET /v1/throughput?minutes=: how many of the account's jobs came and ended in each 10 s of the last minutes, at most 60"""
    minutes = request.asked(Span).minutes
    start, counts = await control.dispatcher.throughput.read(request.principal.account, minutes, now_ms())
    submitted, done, failed = counts
    await request.json({"start_ms": start, "step_ms": WINDOW, "submitted": submitted, "done": done, "failed": failed})
