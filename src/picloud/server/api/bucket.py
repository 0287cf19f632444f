"""The bucket for those who speak plain HTTP: PUT, GET and DELETE of a key, and lists, with JSON or the bytes themselves."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator, Sequence
from typing import Annotated, TypedDict

import msgspec
from msgspec import Meta, structs

from picloud.edge.ranges import span
from picloud.server import changes, objects
from picloud.server.control import Control
from picloud.server.http import Request
from picloud.server.operation import ANYTHING, BYTES, EMPTY, operation
from picloud.server.storage import now_ms
from picloud.store import blob as blobs
from picloud.store.db import Transaction
from picloud.store.index import listing as listings
from picloud.store.index import object as store
from picloud.store.index import tree
from picloud.wire.error import Conflict, NotFound, StorageFull
from picloud.wire.object import BATCH, BATCH_BYTES, HEADERS, Extent, New, Object, check_key

STREAMED = BATCH_BYTES
"""An object that is one blob of more bytes is fetched from the edge."""


class Volume(msgspec.Struct):
    volume: str = ""  # "" = the bucket


class Page(Volume):
    prefix: str = ""  # a folder
    after: str = ""  # the last key of the page before
    limit: Annotated[int, Meta(ge=1, le=10 * BATCH)] = BATCH
    level: bool = False  # what lies deeper is shown as its folder, with a / behind its name


class Listed(TypedDict):
    objects: list[objects.Shown]
    truncated: bool  # there are more: ask with after=


class Composed(msgspec.Struct):
    """An object of blobs that have arrived: see POST /v1/blob."""

    blobs: Annotated[list[str], Meta(min_length=1, max_length=10_000)]  # their ids, in order
    headers: dict[str, str] = {}


class Removed(TypedDict):
    removed: int


@operation(body=ANYTHING, query=Volume, answer=objects.Shown, raises=(NotFound, Conflict, StorageFull))
async def put(control: Control, request: Request, key: str) -> None:
    """PUT /v1/bucket/{key}: its bytes, and its Content-Type -> the object; If-None-Match: * and If-Match: ETAG are heard"""
    volume = request.asked(Volume).volume
    data = await request.body()
    told = {name: text for name in HEADERS if (text := request.header(name)) and (name, text) != ("content-type", _FORM)}
    md5 = await asyncio.to_thread(lambda: hashlib.md5(data, usedforsecurity=False).hexdigest())
    await _store(control, request, volume, New(check_key(key), len(data), md5, headers=told, data=data, match=_match(request)))


@operation(body=Composed, query=Volume, answer=objects.Shown, raises=(NotFound, Conflict, StorageFull))
async def compose(control: Control, request: Request, key: str) -> None:
    """POST /v1/bucket/{key}: {blobs, headers} -> the object: of blobs that have arrived, for what one request does not hold"""
    asked, volume = await request.read(Composed), request.asked(Volume).volume
    sizes = await control.sizes(sorted(set(asked.blobs)))
    pieces = [Extent(blob, 0, sizes[blob]) for blob in asked.blobs if sizes[blob]]
    made = New(
        check_key(key), sum(piece.length for piece in pieces), headers=asked.headers, extents=pieces, match=_match(request)
    )
    await _store(control, request, volume, made if pieces else structs.replace(made, data=b""))


_FORM = "application/x-www-form-urlencoded"
"""What curl says of a body where nobody has said anything."""


def _match(request: Request) -> str | None:
    """The version that must be there; "" = none."""
    if request.header("if-none-match") == "*":
        return ""
    return request.header("if-match").strip('"') or None


async def _store(control: Control, request: Request, volume: str, wanted: New) -> None:
    account, quota = request.principal.account, control.settings.storage_quota
    control.storage.check_space()
    made, arrived = await objects.placed(control, account, await objects.all_checked([wanted]))

    def act(tx: Transaction) -> list[Object]:
        blobs.all_arrived(tx, arrived, now_ms())
        return store.put(tx, account, tree.ensure(tx, account, volume, now_ms()), made, now_ms(), quota)

    found = await control.storage.write(act)
    await control.changes.tell(account, volume, changes.stored(found))
    await request.json(objects.plain(control, request, found[0]))


@operation(query=Volume, answer=ANYTHING, answers={206: ANYTHING, 304: EMPTY, 307: EMPTY, 416: EMPTY}, raises=(NotFound,))
async def get(control: Control, request: Request, key: str) -> None:
    """GET /v1/bucket/{key}: its bytes, or those of Range; curl needs -L, for large ones are at another address"""
    account, volume = request.principal.account, request.asked(Volume).volume
    check_key(key)

    def query(tx: Transaction) -> tuple[Object, bytes | list[Extent]]:
        one = store.get(tx, tree.find(tx, account, volume), key)
        return one, store.contents(tx, [one.id])[one.id]

    one, held = await control.storage.read(query)
    told = [(name.encode(), one.headers[name].encode("latin-1")) for name in HEADERS if name in one.headers]
    told += [(b"etag", f'"{one.etag}"'.encode()), (b"accept-ranges", b"bytes"), (b"content-security-policy", b"sandbox")]
    if request.header("if-none-match").strip('"') == one.etag:
        await _send(request, 304, told, iter(()))
    elif isinstance(held, list) and one.size > STREAMED and await asyncio.to_thread(_is_whole, control, held):
        await request.redirect(control.blob_url(request, "get", held[0].blob))
    else:
        await _give(control, request, one, held, told)


def _is_whole(control: Control, pieces: Sequence[Extent]) -> bool:
    return len(pieces) == 1 and not pieces[0].start and control.files.size(pieces[0].blob) == pieces[0].length


async def _give(
    control: Control, request: Request, one: Object, held: bytes | list[Extent], told: list[tuple[bytes, bytes]]
) -> None:
    """Send an object, or the part that is asked for."""
    part = span(request.header("range"), one.size)
    if part is None:
        await _send(request, 416, [(b"content-range", f"bytes */{one.size}".encode())], iter(()))
        return
    if part.partial:
        told.append((b"content-range", f"bytes {part.start}-{part.end - 1}/{one.size}".encode()))
    if "content-type" not in one.headers:
        told.append((b"content-type", BYTES))
    told.append((b"content-length", str(part.end - part.start).encode()))
    parts = iter([held[part.start : part.end]]) if isinstance(held, bytes) else _pieces(control, held, part.start, part.end)
    await _send(request, 206 if part.partial else 200, told, parts)


def _pieces(control: Control, held: Sequence[Extent], start: int, end: int) -> Iterator[bytes]:
    at = 0
    for piece in held:
        first, last = max(start - at, 0), min(end - at, piece.length)
        if first < last:
            yield from control.files.read(piece.blob, piece.start + first, piece.start + last)
        at += piece.length


async def _send(request: Request, status: int, told: list[tuple[bytes, bytes]], parts: Iterator[bytes]) -> None:
    first = await asyncio.to_thread(next, parts, b"")  # what fails here is an answer of its own
    await request.send(
        {"type": "http.response.start", "status": status, "headers": [*told, (b"x-content-type-options", b"nosniff")]}
    )
    while first:
        await request.send({"type": "http.response.body", "body": first, "more_body": True})
        first = await asyncio.to_thread(next, parts, b"")
    await request.send({"type": "http.response.body", "body": b"", "more_body": False})


@operation(query=Volume, answer=Removed, raises=(NotFound, Conflict))
async def remove(control: Control, request: Request, key: str) -> None:
    """DELETE /v1/bucket/{key} -> {removed}: 0 where there was none"""
    account, volume = request.principal.account, request.asked(Volume).volume
    check_key(key)

    def act(tx: Transaction) -> list[Object]:
        return store.remove(tx, account, tree.find(tx, account, volume), [key], 0)

    gone = await control.storage.write(act)
    await control.changes.tell(account, volume, changes.gone(gone, False))
    await request.json(Removed(removed=len(gone)))


@operation(query=Page, answer=Listed, raises=(NotFound,))
async def listing(control: Control, request: Request) -> None:
    """GET /v1/bucket?prefix=&after=&limit=&level=: a page of objects in the order of their keys"""
    asked, account = request.asked(Page), request.principal.account
    folder, look = check_key(asked.prefix, folder=True), listings.level if asked.level else listings.page
    found, more = await control.storage.read(
        lambda tx: look(tx, tree.find(tx, account, asked.volume), folder, asked.after, asked.limit)
    )
    await request.json(Listed(objects=[objects.plain(control, request, one) for one in found], truncated=more))
