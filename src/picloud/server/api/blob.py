"""Tickets for bytes that are too large for rows. The bytes themselves go to and from the edge."""

from __future__ import annotations

import msgspec

from picloud.server.control import Control
from picloud.server.http import Request
from picloud.server.storage import now_ms
from picloud.store import blob as blobs
from picloud.wire.error import BadRequest

BATCH = 1000


class Sizes(msgspec.Struct):
    sizes: list[int]


class Ids(msgspec.Struct):
    ids: list[str]


async def new(control: Control, request: Request) -> None:
    """POST /v1/blob and /v1/worker/blob"""
    try:
        sizes = msgspec.json.decode(await request.body(), type=Sizes).sizes
    except msgspec.MsgspecError as error:
        raise BadRequest(f"no list of sizes: {error}") from error
    if not 0 < len(sizes) <= BATCH or any(size < 0 or size > 2**50 for size in sizes):
        raise BadRequest(f"1 to {BATCH} sizes in bytes")
    control.storage.check_space()
    ids = await control.storage.note(blobs.new, _account(control, request), sizes, now_ms())
    await request.json(
        {
            "blobs": [
                {"id": blob, "url": control.blob_url(request, "put", blob, size)} for blob, size in zip(ids, sizes, strict=True)
            ]
        }
    )


async def get(control: Control, request: Request) -> None:
    """POST /v1/blob/get and /v1/worker/blob/get"""
    try:
        ids = msgspec.json.decode(await request.body(), type=Ids).ids
    except msgspec.MsgspecError as error:
        raise BadRequest(f"no list of blob ids: {error}") from error
    if len(ids) > BATCH:
        raise BadRequest(f"at most {BATCH} blobs at once")
    await control.storage.read(blobs.owned, _account(control, request), ids)
    await request.json({"urls": [control.blob_url(request, "get", blob) for blob in ids]})


async def edge(control: Control, request: Request) -> None:
    """GET /v1/worker/edge: {url}: where a worker brings the blobs of jobs that ask at their door"""
    await request.json({"url": control.edge(request)})


def _account(control: Control, request: Request) -> int:
    """Whose blobs it is about: a user, a job of one, or, by the routes of workers, the worker itself."""
    known = request.principal
    return known.account if known is not None else control.authority.worker(request.headers).kind.account
