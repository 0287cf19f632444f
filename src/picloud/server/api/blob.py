"""Tickets for bytes that are too large for rows. The bytes themselves go to and from the edge."""

from __future__ import annotations

from typing import TypedDict

import msgspec

from picloud.server.control import Control
from picloud.server.http import Request
from picloud.server.operation import operation
from picloud.server.storage import now_ms
from picloud.store import blob as blobs
from picloud.wire.error import BadRequest, NotFound, StorageFull

BATCH = 1000
TOUCHES = 24
"""In the time after which what nobody touches is swept, a blob that is asked for again and again is touched so often."""


class Sizes(msgspec.Struct):
    sizes: list[int]


class Ids(msgspec.Struct):
    ids: list[str]


class BlobShown(TypedDict):
    id: str
    url: str  # to PUT its bytes to, for an hour


class Blobs(TypedDict):
    blobs: list[BlobShown]


class Urls(TypedDict):
    urls: list[str]  # to GET them from, for an hour


@operation(body=Sizes, answer=Blobs, raises=(NotFound, StorageFull))
async def new(control: Control, request: Request) -> None:
    """POST /v1/blob and /v1/worker/blob: {sizes} -> {blobs}: places for large values, each to be put to its URL"""
    sizes = (await request.read(Sizes)).sizes
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


@operation(body=Ids, answer=Urls, raises=(NotFound,))
async def get(control: Control, request: Request) -> None:
    """POST /v1/blob/get and /v1/worker/blob/get: who asks keeps them from the sweeper"""
    ids = (await request.read(Ids)).ids
    if len(ids) > BATCH:
        raise BadRequest(f"at most {BATCH} blobs at once")
    account, now = _account(control, request), now_ms()
    touched = await control.storage.read(blobs.owned, account, ids)
    if ids and touched < now - int(control.settings.keep_unused * 1000) // TOUCHES:
        await control.storage.note(blobs.refer, account, ids, now)
    await request.json({"urls": [control.blob_url(request, "get", blob) for blob in ids]})


async def edge(control: Control, request: Request) -> None:
    """GET /v1/worker/edge: {url}: where a worker brings the blobs of jobs that ask at their door"""
    await request.json({"url": control.edge(request)})


def _account(control: Control, request: Request) -> int:
    """Whose blobs it is about: a user, a job of one, or, by the routes of workers, the worker itself."""
    known = request.principal
    return known.account if known is not None else control.authority.worker(request.headers).kind.account
