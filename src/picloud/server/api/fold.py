"""Lists in which a call or a map is one row, however many jobs it has."""

from __future__ import annotations

from typing import TypedDict

from picloud.server.api import figures
from picloud.server.api.job import LIST_LIMIT, Page, Row
from picloud.server.control import Control
from picloud.server.http import Request
from picloud.server.operation import operation
from picloud.store import fold
from picloud.wire.message import Ranges


class Used(TypedDict):
    """What the attempts of a map have used that ended."""

    runtime: float  # seconds, of all of them
    cpu: float  # seconds
    peak_memory: int | None  # bytes, of the one that used most
    amount: int  # a dollar is picloud.wire.money.DOLLAR


class Folded(TypedDict):
    """A call or a map."""

    submission: int
    jid_first: int
    jid_last: int
    ranges: Ranges  # its jids, (first, count); of a map that was sent without its length the first thousand
    count: int  # jobs that there are, those still to be sent too
    done: int
    failed: int  # in error, stalled or killed
    running: int
    queued: int
    waiting: int
    over: bool  # all have ended, and no more will come
    function: str
    label: str
    core_type: str
    cores: int
    env: str | None
    queue: str
    created: int  # epoch ms
    parent_jid: int | None
    job: Row | None  # of a call: its one job
    used: Used | None  # of a map of at most 1000 jobs, some of which have run


class Submissions(TypedDict):
    submissions: list[Folded]
    next: int | None  # "before" of the page that follows


@operation(query=Page, answer=Submissions, named="submission.listing")
async def listing(control: Control, request: Request) -> None:
    """GET /v1/submission, with the query of GET /v1/job: calls and maps with a job that fits, a row each, the newest first"""
    page, account = request.asked(Page), request.principal.account
    rows, further = await control.storage.read(
        fold.newest, account, page.choice(), before=page.before, limit=min(page.limit or 50, LIST_LIMIT)
    )
    for row in rows:
        if row["job"] is not None:
            figures.summary(control, account, row["job"])
    await request.json({"submissions": rows, "next": further})
