"""POST /v1/object/append: bytes behind those of an object. Many may do so at once, and none of them loses."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
from msgspec import structs

from picloud.server import changes, objects
from picloud.server.control import Control
from picloud.server.http import Request
from picloud.server.operation import operation, packed
from picloud.server.storage import now_ms
from picloud.store import blob as blobs
from picloud.store.db import Transaction
from picloud.store.index import object as store
from picloud.store.index import repeat, tree
from picloud.wire.error import Conflict, NotFound, StorageFull
from picloud.wire.object import INLINE, Append, Extent, New, Object, kept_headers

MERGED = 4 << 20
"""Bytes of the piece that small appends grow into."""
TRIES = 100
"""Appends of other replicas that may come first; those of this one wait for each other."""


@operation(body=packed(Append), answer=packed(Object), raises=(NotFound, Conflict, StorageFull))
async def append(control: Control, request: Request) -> None:
    """POST /v1/object/append: Append -> Object; an object that is not there begins with these bytes"""
    asked = await request.read(Append)
    added = New(asked.key, asked.size, data=asked.data, extents=asked.extents, id=asked.id, token=asked.token)
    added = objects.checked(added)
    control.storage.check_space()
    await control.sizes(sorted({piece.blob for piece in added.extents}))
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

    def query(tx: Transaction) -> tuple[Object | None, bytes | list[Extent], Object | None]:
        number = tree.find(tx, account, volume)
        found = store.find_ids(tx, number, [added.id]) if added.id else store.find(tx, number, [added.key])
        if not found:
            return None, b"", None
        (one,) = found
        done = repeat.known(tx, {one.key: one}, [structs.replace(added, key=one.key)])
        return one, store.contents(tx, [one.id])[one.id], done.get(one.key)

    there, held, done = await control.storage.read(query)
    if done is not None:
        return done
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
    (placed,), arrived = await objects.placed(control, account, [made])

    def act(tx: Transaction) -> Object:
        blobs.all_arrived(tx, arrived, now_ms())
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
