"""Objects of buckets and volumes. Questions and answers are MessagePack, of the structs of ``wire.object``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import msgspec
from msgspec import structs

from picloud.server import changes, filing, objects
from picloud.server.control import Control
from picloud.server.http import UNREADABLE, Request
from picloud.server.operation import Nothing, operation, packed
from picloud.server.storage import now_ms
from picloud.store import blob as blobs
from picloud.store.db import Transaction
from picloud.store.index import folder as folders
from picloud.store.index import listing as listings
from picloud.store.index import object as store
from picloud.store.index import tree
from picloud.wire.error import BadRequest, Conflict, NotFound, StorageFull
from picloud.wire.object import (
    BATCH,
    BATCH_BYTES,
    CARRIED,
    INLINE,
    Change,
    Content,
    Contents,
    Extent,
    Keys,
    List,
    Listing,
    Mark,
    New,
    Object,
    Put,
    check_headers,
    check_key,
)

encode = msgspec.msgpack.encode


class Removed(TypedDict):
    removed: int  # that were there


class Copied(TypedDict):
    copied: int


class Usage(TypedDict):
    objects: int
    bytes: int
    quota: int  # bytes; 0 = none
    public: str  # the URL below which public objects are


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


@operation(body=packed(Put), answer=packed(list[Object]), raises=(NotFound, Conflict, StorageFull))
async def put(control: Control, request: Request) -> None:
    """POST /v1/object/put: Put -> list of Object; all of them, or none"""
    asked, account = await request.read(Put), request.principal.account
    if not 0 < len(asked.objects) <= BATCH:
        raise BadRequest(f"{len(asked.objects)} objects in one put", hint=f"1 to {BATCH}")
    made = await objects.all_checked(asked.objects)
    if len({one.key for one in made}) != len(made):
        raise BadRequest("a key is there twice in one put")
    control.storage.check_space()
    made, arrived = await objects.placed(control, account, made)
    quota = control.settings.storage_quota

    def act(tx: Transaction) -> list[Object]:
        blobs.all_arrived(tx, arrived, now_ms())
        return store.put(tx, account, tree.ensure(tx, account, asked.volume, now_ms()), made, now_ms(), quota)

    few = _is_few(made)
    found = await (control.storage.write_few(act, lone=len(made) == 1) if few else control.storage.write(act))
    await control.changes.tell(account, asked.volume, changes.stored(found))
    await request.answer(encode([objects.shown(control, request, one) for one in found]))


def _is_few(made: Sequence[New]) -> bool:
    """Whether the server's loop may wait for it."""
    return len(made) <= filing.FEW and sum(one.size for one in made if one.data is not None) <= objects.PACKED


@operation(body=packed(Keys), answer=packed(list[Object]), raises=(NotFound,))
async def find(control: Control, request: Request) -> None:
    """POST /v1/object/find: Keys -> list of Object, those that are there"""
    asked, account = await request.read(Keys), request.principal.account
    _check_asked(asked)

    def query(tx: Transaction) -> list[Object]:
        number = tree.find(tx, account, asked.volume)
        return _there(tx, number, asked) + (folders.those(tx, number, asked.keys) if asked.folders else [])

    ask = control.storage.look if len(asked.ids or asked.keys) <= filing.FEW else control.storage.read
    found = await ask(query)
    await request.answer(encode([objects.shown(control, request, one) for one in found]))


@operation(body=packed(Keys), answer=packed(Contents), raises=(NotFound,))
async def get(control: Control, request: Request) -> None:
    """POST /v1/object/get: Keys -> Contents: bytes, or the tickets for them"""
    asked, account = await request.read(Keys), request.principal.account
    _check_asked(asked)

    def query(tx: Transaction) -> tuple[list[Object], int, dict[int, bytes | list[Extent]]]:
        chosen, looked = _fitting(asked, _there(tx, tree.find(tx, account, asked.volume), asked))
        return chosen, looked, store.contents(tx, [one.id for one in chosen])

    ask = control.storage.look if len(asked.ids or asked.keys) <= filing.FEW else control.storage.read
    chosen, looked, bytes_of = await ask(query)
    if asked.carried:
        bytes_of = await objects.brought(control, chosen, bytes_of)
    found = [_content(control, request, one, bytes_of[one.id]) for one in chosen]
    await request.answer(encode(Contents(found, looked)))


def _fitting(asked: Keys, there: Sequence[Object]) -> tuple[list[Object], int]:
    """As many of the objects as one answer carries, in the order of the question; so many names were looked at for them."""
    known: dict[int | str, Object] = {one.id if asked.ids else one.key: one for one in there}
    largest = CARRIED if asked.carried else INLINE
    chosen, size, looked = list[Object](), 0, 0
    for name in asked.ids or asked.keys:
        if (one := known.get(name)) is not None:
            size += one.size if one.size <= largest else 0
            if chosen and size > BATCH_BYTES:
                break
            chosen.append(one)
        looked += 1
    return chosen, looked


def _content(control: Control, request: Request, one: Object, held: bytes | list[Extent]) -> Content:
    shown = objects.shown(control, request, one)
    if isinstance(held, bytes):
        return Content(shown, held)
    urls = [(piece.length, control.blob_url(request, "get", piece.blob)) for piece in held]
    return Content(shown, extents=urls, starts=[piece.start for piece in held])


@operation(body=packed(List), answer=packed(Listing), raises=(NotFound,))
async def listing(control: Control, request: Request) -> None:
    """POST /v1/object/list: List -> Listing"""
    asked, account = await request.read(List), request.principal.account
    if not 0 < asked.limit <= 10 * BATCH:
        raise BadRequest(f"a page of {asked.limit} keys", hint=f"1 to {10 * BATCH}")
    folder, look = check_key(asked.prefix, folder=True), listings.level if asked.level else listings.page
    found, more = await control.storage.read(
        lambda tx: look(tx, tree.find(tx, account, asked.volume), folder, asked.after, asked.limit)
    )
    await request.answer(encode(Listing([objects.shown(control, request, one) for one in found], more)))


@operation(body=packed(Keys), answer=packed(Removed), raises=(NotFound, Conflict))
async def remove(control: Control, request: Request) -> None:
    """POST /v1/object/remove: Keys -> {removed}: how many were there"""
    asked, account = await request.read(Keys), request.principal.account
    prefix = None if asked.prefix is None else check_key(asked.prefix, folder=True)
    keys = _some(asked.keys) if prefix is None else []

    if prefix is not None:
        count = await filing.remove_below(control, account, asked.volume, prefix)
    else:
        count = await filing.remove(control, account, asked.volume, keys, keep=asked.keep, early=asked.early)
    await request.answer(encode({"removed": count}))


@operation(body=packed(Keys), answer=packed(Nothing), raises=(NotFound,))
async def sync(control: Control, request: Request) -> None:
    """POST /v1/object/sync: Keys (its volume) -> {}: what was answered before is on disk, early answers too"""
    asked, account = await request.read(Keys), request.principal.account

    def act(tx: Transaction) -> None:  # it writes something: an empty transaction brings nothing to the disk
        tree.grow(tx, account, tree.ensure(tx, account, asked.volume, now_ms()), 0, 0)

    await control.storage.write_few(act)
    await request.answer(encode({}))


@operation(body=packed(Change), answer=packed(Nothing), raises=(NotFound, Conflict, StorageFull))
async def folder(control: Control, request: Request) -> None:
    """POST /v1/object/folder: Change -> {}: an empty folder, if there is none of that name (replace=False: there must be none)"""
    asked, account = await request.read(Change), request.principal.account
    key = check_key(asked.key.removesuffix("/"))
    await filing.make_folder(control, account, asked.volume, key, fresh=not asked.replace)
    await request.answer(encode({}))


@operation(body=packed(Change), answer=packed(Nothing), raises=(NotFound, Conflict))
async def remove_folder(control: Control, request: Request) -> None:
    """POST /v1/object/folder/remove: Change -> {}: an empty folder goes"""
    asked, account = await request.read(Change), request.principal.account
    key = check_key(asked.key.removesuffix("/"))
    await filing.remove_folder(control, account, asked.volume, key)
    await request.answer(encode({}))


@operation(body=packed(Change), answer=packed(Nothing), raises=(NotFound, Conflict))
async def rename(control: Control, request: Request) -> None:
    """POST /v1/object/rename: Change -> {}: an object or a folder, within its bucket or volume"""
    asked, account = await request.read(Change), request.principal.account
    key, to = check_key(asked.key), check_key(asked.to)
    await filing.rename(control, account, asked.volume, key, to, replace=asked.replace, keep=asked.keep)
    await request.answer(encode({}))


@operation(body=packed(Change), answer=packed(Copied), raises=(NotFound, Conflict, StorageFull))
async def copy(control: Control, request: Request) -> None:
    """POST /v1/object/copy: Change -> {copied}: an object or a folder, perhaps into another bucket or volume"""
    asked, account = await request.read(Change), request.principal.account
    key, to = check_key(asked.key), check_key(asked.to)
    copied = await filing.copy(control, account, asked.volume, key, asked.to_volume, to)
    await request.answer(encode({"copied": copied}))


@operation(body=packed(Change), answer=packed(Object), raises=(NotFound,))
async def publish(control: Control, request: Request) -> None:
    """POST /v1/object/publish: Change -> Object, with its URL if it is public now"""
    asked = await request.read(Change)
    key, headers = check_key(asked.key), check_headers(asked.headers)
    found = await filing.publish(control, request, key, headers, public=asked.public, reset=asked.reset)
    await request.answer(encode(objects.shown(control, request, found)))


@operation(body=packed(Mark), answer=packed(Object), raises=(NotFound,))
async def mark(control: Control, request: Request) -> None:
    """POST /v1/object/mark: Mark -> Object: headers of it change, its content and version do not"""
    asked, account = await request.read(Mark), request.principal.account
    if not 0 < asked.id < 1 << 63:
        raise BadRequest(f"{asked.id} is no object", hint="find tells their ids")
    headers = check_headers(asked.headers)
    found = await control.storage.write(lambda tx: store.mark(tx, tree.find(tx, account, asked.volume), asked.id, headers))
    await control.changes.tell(account, asked.volume, changes.stored([found]))
    await request.answer(encode(objects.shown(control, request, found)))


@operation(body=packed(Keys), answer=packed(Object), raises=(NotFound,))
async def md5(control: Control, request: Request) -> None:
    """POST /v1/object/md5: Keys (one) -> Object, with its md5, computed now if nobody has before"""
    asked, account = await request.read(Keys), request.principal.account
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


@operation(answer=Usage)
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
    except UNREADABLE as error:
        raise BadRequest(f"the body is not what this route takes: {error}") from error

    def query(tx: Transaction) -> tuple[Object, bytes | list[Extent]]:
        number = tree.of_owner(tx, asked.owner)
        one = store.get(tx, number, asked.key) if number else None
        if one is None or not one.public:
            raise NotFound("there is nothing public of that name")
        return one, store.contents(tx, [one.id])[one.id]

    one, held = await control.storage.read(query)
    await request.json(objects.facts(one, held))
