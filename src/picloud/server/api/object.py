"""Objects of buckets and volumes. Questions and answers are MessagePack, of the structs of ``wire.object``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import msgspec
from msgspec import structs

from picloud.server import changes, objects
from picloud.server.control import Control
from picloud.server.http import Request
from picloud.server.storage import now_ms
from picloud.store.db import Transaction
from picloud.store.index import folder as folders
from picloud.store.index import listing as listings
from picloud.store.index import move, tree
from picloud.store.index import object as store
from picloud.wire.error import BadRequest, NotFound
from picloud.wire.object import (
    BATCH,
    BATCH_BYTES,
    Change,
    Content,
    Contents,
    Event,
    Extent,
    Keys,
    List,
    Listing,
    Object,
    Put,
    check_headers,
    check_key,
)

T = TypeVar("T")
encode = msgspec.msgpack.encode


async def _parsed(request: Request, kind: type[T]) -> T:
    try:
        return msgspec.msgpack.decode(await request.body(), type=kind)
    except msgspec.MsgspecError as error:
        raise BadRequest(f"the body is not what this route takes: {error}") from error


def _some(keys: Sequence[str]) -> list[str]:
    if not 0 < len(keys) <= BATCH:
        raise BadRequest(f"{len(keys)} keys in one question", hint=f"1 to {BATCH}")
    return [check_key(key) for key in keys]


def _check_asked(asked: Keys) -> None:
    if len(asked.ids) > BATCH or not all(0 < one < 1 << 63 for one in asked.ids):
        raise BadRequest(f"{len(asked.ids)} ids in one question", hint=f"1 to {BATCH}, each above 0")
    if not asked.ids:
        _some(asked.keys)


def _there(tx: Transaction, number: int, asked: Keys) -> list[Object]:
    """Those of the objects asked for that are there."""
    return store.find_ids(tx, number, asked.ids) if asked.ids else store.find(tx, number, asked.keys)


async def put(control: Control, request: Request) -> None:
    """POST /v1/object/put: Put -> list of Object; all of them, or none"""
    asked, account = await _parsed(request, Put), request.principal.account
    if not 0 < len(asked.objects) <= BATCH:
        raise BadRequest(f"{len(asked.objects)} objects in one put", hint=f"1 to {BATCH}")
    made = await objects.all_checked(asked.objects)
    if len({one.key for one in made}) != len(made):
        raise BadRequest("a key is there twice in one put")
    control.storage.check_space()
    made = await objects.placed(control, account, made)
    quota = control.settings.storage_quota

    def act(tx: Transaction) -> list[Object]:
        return store.put(tx, account, tree.ensure(tx, account, asked.volume, now_ms()), made, now_ms(), quota)

    found = await control.storage.write(act)
    await control.changes.tell(account, asked.volume, changes.stored(found))
    await request.answer(encode([objects.shown(control, request, one) for one in found]))


async def find(control: Control, request: Request) -> None:
    """POST /v1/object/find: Keys -> list of Object, those that are there"""
    asked, account = await _parsed(request, Keys), request.principal.account
    _check_asked(asked)

    def query(tx: Transaction) -> list[Object]:
        number = tree.find(tx, account, asked.volume)
        return _there(tx, number, asked) + (folders.those(tx, number, asked.keys) if asked.folders else [])

    found = await control.storage.read(query)
    await request.answer(encode([objects.shown(control, request, one) for one in found]))


async def get(control: Control, request: Request) -> None:
    """POST /v1/object/get: Keys -> Contents: bytes, or the tickets for them"""
    asked, account = await _parsed(request, Keys), request.principal.account
    _check_asked(asked)

    def query(tx: Transaction) -> tuple[list[Object], dict[int, bytes | list[Extent]]]:
        there = _there(tx, tree.find(tx, account, asked.volume), asked)
        return there, store.contents(tx, [one.id for one in there])

    there, bytes_of = await control.storage.read(query)
    known: dict[int | str, Object] = {one.id if asked.ids else one.key: one for one in there}
    found, size, looked = list[Content](), 0, 0
    for name in asked.ids or asked.keys:
        if (one := known.get(name)) is not None:
            held = bytes_of[one.id]
            size += len(held) if isinstance(held, bytes) else 0
            if found and size > BATCH_BYTES:
                break
            found.append(_content(control, request, one, held))
        looked += 1
    await request.answer(encode(Contents(found, looked)))


def _content(control: Control, request: Request, one: Object, held: bytes | list[Extent]) -> Content:
    shown = objects.shown(control, request, one)
    if isinstance(held, bytes):
        return Content(shown, held)
    urls = [(piece.length, control.blob_url(request, "get", piece.blob)) for piece in held]
    return Content(shown, extents=urls, starts=[piece.start for piece in held])


async def listing(control: Control, request: Request) -> None:
    """POST /v1/object/list: List -> Listing"""
    asked, account = await _parsed(request, List), request.principal.account
    if not 0 < asked.limit <= 10 * BATCH:
        raise BadRequest(f"a page of {asked.limit} keys", hint=f"1 to {10 * BATCH}")
    folder, look = check_key(asked.prefix, folder=True), listings.level if asked.level else listings.page
    found, more = await control.storage.read(
        lambda tx: look(tx, tree.find(tx, account, asked.volume), folder, asked.after, asked.limit)
    )
    await request.answer(encode(Listing([objects.shown(control, request, one) for one in found], more)))


async def remove(control: Control, request: Request) -> None:
    """POST /v1/object/remove: Keys -> {removed}: how many were there"""
    asked, account = await _parsed(request, Keys), request.principal.account
    prefix = None if asked.prefix is None else check_key(asked.prefix, folder=True)
    keys = _some(asked.keys) if prefix is None else []

    def act(tx: Transaction) -> tuple[int, list[Event]]:
        number = tree.find(tx, account, asked.volume)
        if prefix is not None:
            return store.remove_below(tx, account, number, prefix), [Event(f"{prefix}/")]
        removed = store.remove(tx, account, number, keys, now_ms() if asked.keep else 0)
        return len(removed), changes.gone(removed, asked.keep)

    count, events = await control.storage.write(act)
    await control.changes.tell(account, asked.volume, events)
    await request.answer(encode({"removed": count}))


async def folder(control: Control, request: Request) -> None:
    """POST /v1/object/folder: Change -> {}: an empty folder, if there is none of that name (replace=False: there must be none)"""
    asked, account = await _parsed(request, Change), request.principal.account
    key = check_key(asked.key.removesuffix("/"))
    control.storage.check_space()

    def act(tx: Transaction) -> None:
        folders.make(tx, tree.ensure(tx, account, asked.volume, now_ms()), key, now_ms(), not asked.replace)

    await control.storage.write(act)
    await control.changes.tell(account, asked.volume, [Event(f"{key}/", kept=True)])
    await request.answer(encode({}))


async def remove_folder(control: Control, request: Request) -> None:
    """POST /v1/object/folder/remove: Change -> {}: an empty folder goes"""
    asked, account = await _parsed(request, Change), request.principal.account
    key = check_key(asked.key.removesuffix("/"))
    await control.storage.write(lambda tx: folders.remove(tx, account, tree.find(tx, account, asked.volume), key, now_ms()))
    await control.changes.tell(account, asked.volume, [Event(f"{key}/", kept=True)])
    await request.answer(encode({}))


async def rename(control: Control, request: Request) -> None:
    """POST /v1/object/rename: Change -> {}: an object or a folder, within its bucket or volume"""
    asked, account = await _parsed(request, Change), request.principal.account
    key, to = check_key(asked.key), check_key(asked.to)

    def act(tx: Transaction) -> list[Object]:
        number = tree.find(tx, account, asked.volume)
        return move.rename(tx, account, number, key, to, asked.replace, now_ms() if asked.keep else 0)

    if moved := await control.storage.write(act):
        events = [Event(key, None, moved[0].id, asked.keep), *changes.stored(moved)]
    else:
        events = [Event(f"{key}/", kept=asked.keep), Event(f"{to}/", kept=True)]
    await control.changes.tell(account, asked.volume, events)
    await request.answer(encode({}))


async def copy(control: Control, request: Request) -> None:
    """POST /v1/object/copy: Change -> {copied}: an object or a folder, perhaps into another bucket or volume"""
    asked, account = await _parsed(request, Change), request.principal.account
    key, to, quota = check_key(asked.key), check_key(asked.to), control.settings.storage_quota
    control.storage.check_space()

    def act(tx: Transaction) -> int:
        source, target = tree.find(tx, account, asked.volume), tree.ensure(tx, account, asked.to_volume, now_ms())
        return move.copy(tx, account, source, key, target, to, now_ms(), quota)

    copied = await control.storage.write(act)
    await control.changes.tell(account, asked.to_volume, [Event(to), Event(f"{to}/")])
    await request.answer(encode({"copied": copied}))


async def publish(control: Control, request: Request) -> None:
    """POST /v1/object/publish: Change -> Object, with its URL if it is public now"""
    asked, account = await _parsed(request, Change), request.principal.account
    key, headers = check_key(asked.key), check_headers(asked.headers)
    found = await control.storage.write(
        lambda tx: store.publish(tx, tree.find(tx, account, ""), key, asked.public, headers, asked.reset)
    )
    await request.answer(encode(objects.shown(control, request, found)))


async def md5(control: Control, request: Request) -> None:
    """POST /v1/object/md5: Keys (one) -> Object, with its md5, computed now if nobody has before"""
    asked, account = await _parsed(request, Keys), request.principal.account
    (key,) = _some(asked.keys[:1])

    def query(tx: Transaction) -> tuple[Object, bytes | list[Extent]]:
        one = store.get(tx, tree.find(tx, account, asked.volume), key)
        return one, store.contents(tx, [one.id])[one.id] if not one.md5 else b""

    one, held = await control.storage.read(query)
    if not one.md5:
        found = await objects.digest(control, held)
        await control.storage.note(store.learn, one.id, one.version, found)
        one = structs.replace(one, md5=found)
    await request.answer(encode(objects.shown(control, request, one)))


async def usage(control: Control, request: Request) -> None:
    """GET /v1/object: what the account stores: {objects, bytes, quota (0 = none), public}"""
    count, size = await control.storage.read(tree.used, request.principal.account)
    folder = objects.public_folder(control, request)
    await request.json({"objects": count, "bytes": size, "quota": control.settings.storage_quota, "public": folder})


class Wanted(msgspec.Struct):
    owner: str
    key: str


async def public(control: Control, request: Request) -> None:
    """POST /v1/edge/public: {owner, key} -> a public object's headers, etag, and where its bytes are; the edge only"""
    try:
        asked = msgspec.json.decode(await request.body(), type=Wanted)
    except msgspec.MsgspecError as error:
        raise BadRequest(f"the body is not what this route takes: {error}") from error

    def query(tx: Transaction) -> tuple[Object, bytes | list[Extent]]:
        number = tree.of_owner(tx, asked.owner)
        one = store.get(tx, number, asked.key) if number else None
        if one is None or not one.public:
            raise NotFound("there is nothing public of that name")
        return one, store.contents(tx, [one.id])[one.id]

    one, held = await control.storage.read(query)
    data = held.hex() if isinstance(held, bytes) else None
    extents = [] if isinstance(held, bytes) else [(piece.blob, piece.start, piece.length) for piece in held]
    told = {"size": one.size, "etag": one.etag, "modified": one.modified, "headers": one.headers, "md5": one.md5}
    await request.json(told | {"data": data, "extents": extents})
