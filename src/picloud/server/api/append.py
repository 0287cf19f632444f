"""POST /v1/object/append: bytes behind those of an object. Many may do so at once, and none of them loses."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
from msgspec import structs

from picloud.server import changes, objects
from picloud.server.control import Control
from picloud.server.http import Request
from picloud.server.storage import now_ms
from picloud.store.db import Transaction
from picloud.store.index import object as store
from picloud.store.index import tree
from picloud.wire.error import BadRequest, Conflict
from picloud.wire.object import INLINE, Append, Extent, New, Object, kept_headers

MERGED = 4 << 20
"""Bytes of the piece that small appends grow into."""
TRIES = 100
"""Appends of other replicas that may come first; those of this one wait for each other."""


async def append(control: Control, request: Request) -> None:
    """POST /v1/object/append: Append -> Object; an object that is not there begins with these bytes"""
    try:
        asked = msgspec.msgpack.decode(await request.body(), type=Append)
    except msgspec.MsgspecError as error:
        raise BadRequest(f"the body is not what this route takes: {error}") from error
    added = New(asked.key, asked.size, data=asked.data, extents=asked.extents, id=asked.id, token=asked.token)
    added = objects.checked(added)
    control.storage.check_space()
    await control.arrived(sorted({piece.blob for piece in added.extents}))
    account = request.principal.account
    async with control.appends.one((account, asked.volume, asked.id or asked.key)):
        for left in reversed(range(TRIES)):
            try:
                found = await _once(control, account, asked.volume, added)
                break
            except Conflict as error:
                if not left or "etag" not in error.facts:
                    raise
    await control.changes.tell(account, asked.volume, changes.stored([found]))
    await request.answer(msgspec.msgpack.encode(objects.shown(control, request, found)))


async def _once(control: Control, account: int, volume: str, added: New) -> Object:
    """Put the whole of it in place of the version that is there.

    Raises:
        Conflict: somebody else has put one meanwhile.
    """

    def query(tx: Transaction) -> tuple[Object | None, bytes | list[Extent], bytes]:
        number = tree.find(tx, account, volume)
        there = store.find_ids(tx, number, [added.id]) if added.id else store.find(tx, number, [added.key])
        if not there:
            return None, b"", b""
        return there[0], store.contents(tx, [there[0].id])[there[0].id], store.token(tx, there[0].id)

    there, held, token = await control.storage.read(query)
    if there is not None and added.token and token == added.token:
        return there  # a repeat
    quota, made = control.settings.storage_quota, structs.replace(added, match=None if added.id else "")
    if there is not None:
        pieces, data = await asyncio.to_thread(_gathered, control, held, added.data or b"")
        whole = structs.replace(
            added, size=there.size + added.size, match=there.etag, headers=kept_headers(there.headers), md5=""
        )
        if data and (pieces or added.extents or len(data) > INLINE):
            pieces.append(await objects.blob_of(control, account, data))
            data = b""
        made = structs.replace(whole, data=data or None, extents=[*pieces, *added.extents])
    (placed,) = await objects.placed(control, account, [made])

    def act(tx: Transaction) -> Object:
        return store.put(tx, account, tree.ensure(tx, account, volume, now_ms()), [placed], now_ms(), quota)[0]

    return await control.storage.write(act)


def _gathered(control: Control, held: bytes | Sequence[Extent], data: bytes) -> tuple[list[Extent], bytes]:
    """What stays where it is of an object's bytes, and the bytes to be written behind that.

    Small pieces are gathered by doubling: a byte is written again a few times at most, however small the appends are.
    """
    if isinstance(held, bytes):
        return [], held + data
    pieces = list(held)
    while data and pieces and pieces[-1].length <= len(data) and pieces[-1].length + len(data) <= MERGED:
        last = pieces.pop()
        data = b"".join(control.files.read(last.blob, last.start, last.start + last.length)) + data
    return pieces, data
